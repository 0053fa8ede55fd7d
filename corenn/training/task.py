"""``Task``: what ``corenn run NAME`` runs; and its settings, which the command line can change one by one."""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from corenn.errors import UsageError, nearest

if TYPE_CHECKING:
    from corenn.training.run import Run


@dataclasses.dataclass
class Settings:
    """Settings every task has; a task adds its own in a subclass.

    ``epochs``: passes over the training data.  ``steps``: end after so many steps in all (0: not; in a run of several
    parts: of each).  ``batch_size``: examples in a step.  ``checkpoint_every``: also save after so many steps (0: at
    the end of epochs only).  ``histograms``: every so many epochs, histograms of the weights for TensorBoard (0: none).

    Fields are annotated with int, float, bool, str, ``Literal``, tuples and lists of these, any of them ``| None``,
    or ``dict[str, Any]``, whose items are set as ``field.key``.
    """

    #: Settings that may be changed when a run is resumed; the others stay as they were.
    adjustable: ClassVar[frozenset[str]] = frozenset({"epochs", "steps", "checkpoint_every", "histograms"})

    epochs: int = 10
    steps: int = 0
    batch_size: int = 32
    checkpoint_every: int = 0
    histograms: int = 0

    def check(self) -> None:
        """Raise UsageError for values that make no sense; a subclass calls ``super().check()``."""
        for name, least in (("epochs", 1), ("steps", 0), ("batch_size", 1), ("checkpoint_every", 0),
                            ("histograms", 0)):  # fmt: skip
            value = getattr(self, name)  # a task that chooses some by its data has None for them
            if value is not None and value < least:
                raise UsageError("settings", f"{name} must be at least {least}, not {value}")

    def as_dict(self) -> dict[str, Any]:
        """All settings, for ``config.json``."""
        return dataclasses.asdict(self)

    def change(self, values: Mapping[str, Any]) -> None:
        """Set some by name; text is read as the field's type.  UsageError for unknown names and wrong values."""
        hints = typing.get_type_hints(type(self))
        known = [f.name for f in dataclasses.fields(self)]
        for name, value in values.items():
            field, dot, key = name.partition(".")
            if field not in known or (dot and not isinstance(getattr(self, field), dict)):
                raise UsageError("settings", f"there is no setting {name!r}", hint=nearest(name, known))
            if dot:
                getattr(self, field)[key] = _read_free(value)
            else:
                setattr(self, name, _read(name, value, hints[name]))
        self.check()


def parse_assignments(items: Sequence[str]) -> dict[str, str]:
    """``["a=1", "b=x"]`` as a dict; UsageError for an item without ``=``."""
    found = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name.strip():
            raise UsageError("--set", f"{item!r} is not of the form key=value", hint="--set learning_rate=0.01")
        found[name.strip()] = value.strip()
    return found


def _read(name: str, value: Any, kind: Any) -> Any:
    """``value`` (text from the command line, or JSON) as the type of a field."""
    options = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    if types.NoneType in options and value in (None, "none", "None", ""):
        return None
    options = tuple(o for o in options if o is not types.NoneType)
    for option in options:
        try:
            return _read_one(value, option)
        except (ValueError, TypeError, OverflowError):
            continue
    wanted = " or ".join(_kind_name(o) for o in options)
    raise UsageError("settings", f"{name} takes {wanted}, not {value!r}", hint=f"--set {name}={_example(options[0])}")


def _read_one(value: Any, kind: Any) -> Any:
    """``value`` as one type; ValueError, TypeError or OverflowError if it is none of it."""
    origin = typing.get_origin(kind)
    if origin in (tuple, list):
        return _read_items(value, origin, typing.get_args(kind) or (Any, ...))
    if origin is typing.Literal:
        choices = {str(choice): choice for choice in typing.get_args(kind)}
        return choices[str(value)] if str(value) in choices else _refuse(value)
    if kind is bool:
        text = str(value).lower()
        return text in _TRUE if text in _TRUE + _FALSE else _refuse(value)
    if kind is int:
        return _read_int(value)
    if kind is float:
        number = float(value)
        return number if math.isfinite(number) and not isinstance(value, bool) else _refuse(value)
    if kind is str:
        return str(value)
    return _read_free(value)


_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


def _refuse(value: Any) -> Any:
    raise ValueError(value)


def _read_int(value: Any) -> int:
    """An integer, also one written as ``1e3``."""
    if isinstance(value, bool):
        _refuse(value)
    try:
        return int(value) if isinstance(value, (int, str)) else _refuse(value)
    except ValueError:
        number = float(value)
        return int(number) if number == int(number) else _refuse(value)


def _read_items(value: Any, origin: Any, kinds: tuple[Any, ...]) -> Any:
    """Items separated by commas, or a JSON list, as a tuple or list."""
    items = [i.strip() for i in value.strip("()[] ").split(",")] if isinstance(value, str) else list(value)
    items = [i for i in items if i != ""]
    if origin is tuple and kinds[-1] is not ... and len(items) != len(kinds):
        _refuse(value)
    each = kinds if origin is tuple and kinds[-1] is not ... else (kinds[0],) * len(items)
    return origin(_read_one(item, kind) for item, kind in zip(items, each, strict=True))


def _read_free(value: Any) -> Any:
    """Text as the JSON value it spells (``64``, ``true``, ``16,32`` as a list), or as itself."""
    if not isinstance(value, str):
        return value
    for text in (value, f"[{value}]") if "," in value else (value,):
        try:
            return json.loads(text)
        except ValueError:
            continue
    return value


def _kind_name(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return " or ".join(map(str, typing.get_args(kind)))
    inner = [_kind_name(a) for a in typing.get_args(kind) if a is not ...]
    if typing.get_origin(kind) in (tuple, list):
        return f"a list of {inner[0]}" if len(set(inner)) == 1 else f"({', '.join(inner)})"
    return {int: "a whole number", float: "a finite number", bool: "true or false", str: "text"}.get(kind, str(kind))


def _example(kind: Any) -> str:
    if typing.get_origin(kind) is typing.Literal:
        return str(typing.get_args(kind)[0])
    return {int: "10", float: "0.01", bool: "true", str: "name"}.get(kind, "64,32")


class Task(ABC):
    """Something a person can run.  Subclass it, name its ``Settings``, and write ``run``.

    The factory of a ``TaskRecord`` is the subclass.  ``summary`` is one line; ``default_dataset`` the name of the data
    set used if the user names none (``None`` for tasks without one).
    """

    Settings: ClassVar[type[Settings]] = Settings
    summary: ClassVar[str] = ""
    default_dataset: ClassVar[str | None] = None

    @abstractmethod
    def run(self, run: Run) -> dict[str, float]:
        """Do it, with ``run``'s settings, data and directory; return the figures for ``result.json``."""
