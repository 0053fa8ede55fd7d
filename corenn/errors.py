"""The exceptions corenn raises: one layout, built-in bases, and fields a program can read.

Every message has the same shape, so a person learns to read it once::

    ShapeError: matmul: inner dimensions differ
      a: float32[32, 784]   last axis is 784
      b: float32[100, 10]   first axis is 100
      in layer 'dense_1' at train.py:41
      hint: transpose b, or give the layer 784 inputs

The first line is ``where: what``, then the operands by parameter name, the place in *the caller's* code, and a hint
only where a concrete fix is known.  The text is built when it is printed, never on a path that succeeds.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterable, Mapping
from types import FrameType


class CorennError(Exception):
    """Base of every error corenn raises on purpose.

    Fields: ``where`` (op, layer, file or command the error is about), ``what`` (one sentence, no full stop),
    ``operands`` (name to description), ``hint`` (a concrete fix or ``None``), ``site`` (``file:line`` of the caller
    or ``None``) and ``layer`` (name of the layer that was running or ``None``).
    """

    def __init__(
        self,
        where: str,
        what: str,
        operands: Mapping[str, object] | None = None,
        *,
        hint: str | None = None,
        site: str | None = None,
    ) -> None:
        self.where = where
        self.what = what
        self.operands = dict(operands or {})
        self.hint = hint
        self.site = site if site is not None else user_site()
        self.layer: str | None = None
        super().__init__(where, what)

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.what}" if self.where else self.what]
        width = max((len(name) for name in self.operands), default=0)
        lines += [f"  {name + ':':<{width + 1}} {value}" for name, value in self.operands.items()]
        place = [f"in layer {self.layer!r}"] if self.layer else []
        place += [f"at {self.site}"] if self.site else []
        if place:
            lines.append("  " + " ".join(place))
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class ShapeError(CorennError, ValueError):
    """Shapes, axes or ranks that do not fit together."""


class DTypeError(CorennError, TypeError):
    """An element type an op does not take, or two that do not promote to a common one."""


class ImmutableError(CorennError, TypeError):
    """An attempt to change in place what never changes."""


class UnofferedDTypeError(DTypeError):
    """An element type that corenn has, but that the backend at hand does not offer."""


class AttributeValueError(CorennError, ValueError):
    """An attribute of an op, layer or setting has a value outside its domain."""


class BackendError(CorennError, LookupError):
    """A backend or device that does not exist, is not available, or was mixed with another."""


class KernelMissing(CorennError, NotImplementedError):
    """A backend has neither a kernel nor a decomposition that serves an op for these operands."""


class GradientError(CorennError, RuntimeError):
    """A gradient that cannot be computed: no rule, a spent tape, a target that is not floating."""


class GraphError(CorennError, RuntimeError):
    """A graph, session or traced function used in a way its state does not allow."""


class PluginError(CorennError, LookupError):
    """A plugin, or a record it should provide, that is missing, broken or not compatible."""


class DataError(CorennError, ValueError):
    """Data that is missing, truncated, corrupt or of another shape than promised; names the file and the fix."""


class CheckpointError(CorennError, ValueError):
    """A checkpoint that is missing, damaged, or does not fit the object it is loaded into."""


class MissingExtraError(CorennError, ImportError):
    """An optional dependency that is not installed; the message is one line with the exact ``pip install``."""

    def __init__(self, feature: str, package: str, extra: str) -> None:
        self.feature, self.package, self.extra = feature, package, extra
        super().__init__(feature, f"needs {package}, which is not installed: pip install 'corenn[{extra}]'", site="")

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


class UsageError(CorennError, ValueError):
    """Wrong arguments to a public function or command; lists what would have been right."""


_PACKAGE_DIR = os.path.dirname(os.path.abspath(__file__)) + os.sep
_skipped_dirs: set[str] = {_PACKAGE_DIR}


def hide_frames_of(directory: str) -> None:
    """Treat files under ``directory`` as corenn's own when an error looks for the caller's line (backends, plugins)."""
    _skipped_dirs.add(os.path.abspath(directory) + os.sep)


def user_site() -> str | None:
    """``file:line`` of the innermost frame outside corenn, or ``None`` when every frame is corenn's own."""
    frame: FrameType | None = sys._getframe(1)
    skipped = tuple(_skipped_dirs)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(skipped) and not name.startswith("<frozen"):
            return f"{os.path.basename(name) if os.sep in name else name}:{frame.f_lineno}"
        frame = frame.f_back
    return None


def nearest(name: str, known: Iterable[str], limit: int = 3) -> str:
    """A hint ``did you mean 'a' or 'b'?`` for a misspelt ``name``, or the list of known names; '' if there are none."""
    names = sorted(set(known))
    close = difflib.get_close_matches(name, names, n=limit, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(n) for n in close) + "?"
    if not names:
        return ""
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"known: {shown}"
