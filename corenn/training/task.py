"""``Task``: what ``corenn run NAME`` runs; and its settings, which the command line can change one by one."""

from __future__ import annotations

import dataclasses
import json
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

    ``epochs``: passes over the training data.  ``steps``: end after so many steps in all (0: not).  ``batch_size``:
    examples in a step.  ``checkpoint_every``: also save after so many steps (0: at the end of epochs only).
    """

    epochs: int = 10
    steps: int = 0
    batch_size: int = 32
    checkpoint_every: int = 0

    def check(self) -> None:
        """Raise UsageError for values that make no sense; a subclass calls ``super().check()``."""
        for name, least in (("epochs", 1), ("steps", 0), ("batch_size", 1), ("checkpoint_every", 0)):
            if getattr(self, name) < least:
                raise UsageError("settings", f"{name} must be at least {least}, not {getattr(self, name)}")

    def as_dict(self) -> dict[str, Any]:
        """All settings, for ``config.json``."""
        return dataclasses.asdict(self)

    def change(self, values: Mapping[str, Any]) -> None:
        """Set some by name; text is read as the field's type.  UsageError for unknown names and wrong types."""
        hints = typing.get_type_hints(type(self))
        known = [f.name for f in dataclasses.fields(self)]
        for name, value in values.items():
            if name not in known:
                raise UsageError("settings", f"there is no setting {name!r}", hint=nearest(name, known))
            setattr(self, name, _read(name, value, hints[name]))
        self.check()


def parse_assignments(items: Sequence[str]) -> dict[str, str]:
    """``["a=1", "b=x"]`` as a dict; UsageError for an item without ``=``."""
    found = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise UsageError("--set", f"{item!r} is not of the form key=value", hint="--set learning_rate=0.01")
        found[name.strip()] = value.strip()
    return found


def _read(name: str, value: Any, kind: Any) -> Any:
    """``value`` (text from the command line, or JSON) as the type of a field."""
    options = typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)
    if types.NoneType in options and value in (None, "none", "None", ""):
        return None
    for option in options:
        if option is not types.NoneType:
            try:
                return _read_one(value, option)
            except (ValueError, TypeError):
                continue
    wanted = " or ".join(getattr(o, "__name__", str(o)) for o in options if o is not types.NoneType)
    raise UsageError("settings", f"{name} takes {wanted}, not {value!r}", hint=f"--set {name}={_example(options[0])}")


def _read_one(value: Any, kind: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin in (tuple, list):
        inner = (typing.get_args(kind) or (str,))[0]
        items = value.strip("()[] ").split(",") if isinstance(value, str) else value
        return origin(_read_one(item.strip() if isinstance(item, str) else item, inner) for item in items if item != "")
    if kind is bool:
        text = str(value).lower()
        if text not in ("true", "false", "1", "0", "yes", "no"):
            raise ValueError(value)
        return text in ("true", "1", "yes")
    if kind is int:
        number = float(value)
        if number != int(number):
            raise ValueError(value)
        return int(str(value)) if str(value).lstrip("+-").isdecimal() else int(number)
    if kind is float:
        return float(value)
    if kind is str:
        return str(value)
    return json.loads(value) if isinstance(value, str) else value


def _example(kind: Any) -> str:
    return {int: "10", float: "0.01", bool: "true", str: "name"}.get(kind, "64,32")


class Task(ABC):
    """Something a person can run.  Subclass it, name its ``Settings``, and write ``run``.

    The factory of a ``TaskRecord`` is the subclass.  ``summary`` is one line; ``default_dataset`` the name of the data set
    used if the user names none (``None`` for tasks without one).
    """

    Settings: ClassVar[type[Settings]] = Settings
    summary: ClassVar[str] = ""
    default_dataset: ClassVar[str | None] = None

    @abstractmethod
    def run(self, run: Run) -> dict[str, float]:
        """Do it, with ``run``'s settings, data and directory; return the figures for ``result.json``."""
