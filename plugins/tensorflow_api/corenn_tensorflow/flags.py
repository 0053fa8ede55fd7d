"""``tf.flags`` (``tf.app.flags``): flags declared where they are used, read from ``sys.argv`` at first access.

::

    tf.flags.DEFINE_integer("steps", 100, "steps to train")
    FLAGS = tf.flags.FLAGS
    print(FLAGS.steps)

``--name=value``, ``--name value``, one dash or two; ``--flag`` and ``--noflag`` for booleans; ``--`` ends them.
Arguments that are no declared flag are kept for the program (``FLAGS(argv)`` returns them, ``tf.app.run`` passes
them on).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

from corenn.errors import UsageError, nearest
from corenn_tensorflow import missing


class Error(UsageError):
    """Base of what goes wrong with flags."""


class DuplicateFlagError(Error):
    """Two modules declare a flag of the same name."""


class IllegalFlagValueError(Error):
    """A value a flag does not take."""


class UnrecognizedFlagError(Error, AttributeError):
    """A flag that nobody has declared."""


class ValidationError(Error):
    """A required flag was not given."""


class Flag:
    """A declared flag.  ``str(flag)`` is its value.

    Fields: ``name``, ``value``, ``default``, ``help``, ``present`` (how often it was on the command line), ``module``.
    """

    def __init__(
        self,
        name: str,
        parse: Callable[[Any], Any],
        default: Any,
        text: str,
        kind: str,
        module: str,
        multi: bool = False,
    ) -> None:
        self.name, self.help, self.kind, self.module = name, text or "", kind, module
        self.parse, self.multi = parse, multi
        self.required = False
        self.present = 0
        self.default = self.value = self.converted(default)

    @property
    def boolean(self) -> bool:
        """Whether ``--name`` alone and ``--noname`` mean something."""
        return self.kind == "boolean"

    def converted(self, value: Any) -> Any:
        """A value as the flag holds it; IllegalFlagValueError for one it does not take.  ``None`` means: not set."""
        if value is None:
            return None
        try:
            if self.multi:
                return [self.parse(v) for v in (value if isinstance(value, (list, tuple)) else [value])]
            return self.parse(value)
        except (TypeError, ValueError) as error:
            raise IllegalFlagValueError(f"--{self.name}", f"{value!r}: {error}", {"takes": self.kind}) from None

    def set(self, text: Any) -> None:
        """Take a value from the command line; a repeatable flag gathers them."""
        value = self.converted(text)
        self.value = [*self.value, *value] if self.multi and self.present else value
        self.present += 1

    def __str__(self) -> str:
        return str(self.value)

    def __repr__(self) -> str:
        return f"<Flag --{self.name}={self.value!r}>"


class FlagValues:
    """The flags and their values, as attributes; the one of a program is ``FLAGS``.

    Calling it with an argument list (the first is the program) parses it and returns what was no flag.
    """

    def __init__(self) -> None:
        self.__dict__.update({"__flags": {}, "_parsed": False, "_rest": []})

    # ---- declaring

    def define(self, flag: Flag) -> Flag:
        """Add a flag; DuplicateFlagError if another module has declared one of that name."""
        known = self._flags.get(flag.name)
        if known is not None and known.module != flag.module:
            raise DuplicateFlagError(
                f"--{flag.name}", "the flag is defined twice", {"first": known.module, "then": flag.module}
            )
        self._flags[flag.name] = flag
        self.__dict__["_parsed"] = False
        return flag

    @property
    def _flags(self) -> dict[str, Flag]:
        found: dict[str, Flag] = self.__dict__["__flags"]
        return found

    # ---- parsing

    def __call__(self, argv: Sequence[str], known_only: bool = False) -> list[str]:
        """Parse ``argv``; the program's name and all that is no declared flag comes back, ``known_only`` or not."""
        rest = list(argv[:1])
        arguments = list(argv[1:])
        while arguments:
            argument = arguments.pop(0)
            if argument == "--":
                rest += arguments
                break
            if not argument.startswith("-") or argument == "-" or not self._take(argument, arguments):
                rest.append(argument)
        self.mark_as_parsed()
        self.__dict__["_rest"] = rest
        lacking = [flag for flag in self._flags.values() if flag.required and flag.value is None]
        if lacking:
            raise ValidationError(f"--{lacking[0].name}", "must be given", hint=lacking[0].help or None)
        return rest

    def _take(self, argument: str, following: list[str]) -> bool:
        """Set the flag that ``argument`` names, with the next argument where it needs one; whether it names one."""
        name, given, value = argument.lstrip("-").partition("=")
        if name in ("help", "helpfull", "helpshort", "h") and name not in self._flags:
            print(self.main_module_help())
            raise SystemExit(1)
        flag = self._flags.get(name)
        if flag is None and name.startswith("no"):
            flag = self._flags.get(name.removeprefix("no"))
            if flag is None or not flag.boolean or given:
                return False
            flag.set(False)
        elif flag is None:
            return False
        elif given:
            flag.set(value)
        elif flag.boolean:
            flag.set(True)
        elif following:
            flag.set(following.pop(0))
        else:
            raise Error(f"--{name}", "needs a value", {"takes": flag.kind})
        return True

    def mark_as_parsed(self) -> None:
        """Take the values as they are; the command line is not read any more."""
        self.__dict__["_parsed"] = True

    def is_parsed(self) -> bool:
        """Whether the command line has been read."""
        return bool(self.__dict__["_parsed"])

    def unparse_flags(self) -> None:
        """Back to the defaults and to reading the command line at the next access."""
        for flag in self._flags.values():
            flag.value, flag.present = flag.default, 0
        self.__dict__["_parsed"] = False

    def _parse_flags(self, args: Sequence[str] | None = None) -> None:
        self(sys.argv if args is None else [sys.argv[0], *args])

    def _read(self) -> None:
        if not self.is_parsed():
            for flag in self._flags.values():  # declared after a first access: read from the start again
                if flag.present:
                    flag.value, flag.present = flag.default, 0
            self(sys.argv)

    # ---- values

    def __getattr__(self, name: str) -> Any:
        if name in self._flags:
            self._read()
            return self._flags[name].value
        if name.startswith("__"):
            raise AttributeError(name)
        raise UnrecognizedFlagError(f"--{name}", "no such flag is defined", hint=nearest(name, self._flags))

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._flags:
            raise UnrecognizedFlagError(f"--{name}", "no such flag is defined", hint=nearest(name, self._flags))
        self._read()
        self._flags[name].value = self._flags[name].converted(value)

    def __delattr__(self, name: str) -> None:
        if name not in self._flags:
            raise UnrecognizedFlagError(f"--{name}", "no such flag is defined", hint=nearest(name, self._flags))
        del self._flags[name]

    def __getitem__(self, name: str) -> Flag:
        if name not in self._flags:
            raise KeyError(name)
        return self._flags[name]

    def __contains__(self, name: object) -> bool:
        return name in self._flags

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._flags))

    def __len__(self) -> int:
        return len(self._flags)

    def __dir__(self) -> Iterable[str]:
        return sorted([*super().__dir__(), *self._flags])

    def get_flag_value(self, name: str, default: Any) -> Any:
        """The value of a flag, or ``default`` when it is not set."""
        value = getattr(self, name)
        return default if value is None else value

    def set_default(self, name: str, value: Any) -> None:
        """Change a default; a value from the command line stays."""
        flag = self._flags[name]
        flag.default = flag.converted(value)
        if not flag.present:
            flag.value = flag.default

    def flag_values_dict(self) -> dict[str, Any]:
        """Name to value."""
        self._read()
        return {name: flag.value for name, flag in self._flags.items()}

    def main_module_help(self) -> str:
        """What ``--help`` prints."""
        lines = [f"usage: {sys.argv[0]} [flags]", ""]
        for name, flag in sorted(self._flags.items()):
            lines += [
                f"  --{'[no]' * flag.boolean}{name}: {flag.help}",
                f"    (default: {flag.default!r}; {flag.kind})",
            ]
        return "\n".join(lines)


FLAGS = FlagValues()


def _boolean(value: Any) -> bool:
    if isinstance(value, str):
        known = {"true": True, "t": True, "1": True, "yes": True, "y": True,
                 "false": False, "f": False, "0": False, "no": False, "n": False}  # fmt: skip
        if value.lower() not in known:
            raise ValueError("neither true nor false")
        return known[value.lower()]
    if isinstance(value, (bool, int)) and value in (0, 1):
        return bool(value)
    raise ValueError("neither true nor false")


def _number(kind: type, low: Any, high: Any) -> Callable[[Any], Any]:
    def parse(value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError("not a number")
        if kind is int and isinstance(value, str) and value[:2].lower() in ("0x", "0o"):
            number: Any = int(value, 0)
        else:
            number = kind(value)
        if kind is int and isinstance(value, float) and number != value:
            raise ValueError("not a whole number")
        if (low is not None and number < low) or (high is not None and number > high):
            raise ValueError(f"not between {low} and {high}" if None not in (low, high) else
                             f"not at least {low}" if high is None else f"above {high}")  # fmt: skip
        return number

    return parse


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _items(value: Any) -> list[str]:
    if isinstance(value, (list, tuple)):
        return list(value)
    return [item.strip() for item in value.split(",")] if value else []


def _words(value: Any) -> list[str]:
    return list(value) if isinstance(value, (list, tuple)) else value.split()


_OLD_KEYWORDS = {"flag_name": "name", "default_value": "default", "docstring": "help"}


def _define(kind: str, parser: Callable[..., Callable[[Any], Any]], multi: bool = False) -> Callable[..., Flag]:
    """A ``DEFINE_`` function: its arguments by position, or by the keywords of either spelling."""

    def define(*args: Any, **options: Any) -> Flag:
        given = dict(zip(("name", "default", "help"), args, strict=False))
        given |= {_OLD_KEYWORDS.get(k, k): v for k, v in options.items()}
        name, default, text = given.pop("name"), given.pop("default"), given.pop("help", "")
        values: FlagValues = given.pop("flag_values", FLAGS)
        required = given.pop("required", False)
        for unused in ("short_name", "module_name"):
            given.pop(unused, None)
        parse = parser(*args[3:], **given)
        flag = Flag(name, parse, default, text, kind, sys._getframe(1).f_globals.get("__name__", "?"), multi)
        flag.required = required
        return values.define(flag)

    define.__doc__ = f"Declare a flag that takes a {kind}: ``(name, default, help)``; returns the ``Flag``."
    return define


def _bounds(kind: type) -> Callable[..., Callable[[Any], Any]]:
    return lambda lower_bound=None, upper_bound=None: _number(kind, lower_bound, upper_bound)


def DEFINE_enum(name: str, default: Any, enum_values: Sequence[str], help: str = "", **options: Any) -> Flag:
    """Declare a flag that takes one of ``enum_values``."""
    case_sensitive = options.pop("case_sensitive", True)
    known = list(enum_values)

    def parse(value: Any) -> str:
        for choice in known:
            if value == choice or (not case_sensitive and value.lower() == choice.lower()):
                return choice
        raise ValueError(f"not one of {', '.join(known)}")

    values: FlagValues = options.pop("flag_values", FLAGS)
    flag = Flag(name, parse, default, help, f"one of {', '.join(known)}", sys._getframe(1).f_globals["__name__"])
    flag.required = options.pop("required", False)
    return values.define(flag)


DEFINE_string = _define("string", lambda: _text)
DEFINE_integer = _define("integer", _bounds(int))
DEFINE_float = _define("float", _bounds(float))
DEFINE_boolean = DEFINE_bool = _define("boolean", lambda: _boolean)
DEFINE_list = _define("list, separated by commas", lambda: _items)
DEFINE_spaceseplist = _define("list, separated by spaces", lambda comma_compat=False: _words)
DEFINE_multi_string = _define("string, may repeat", lambda: _text, multi=True)
DEFINE_multi_integer = _define("integer, may repeat", _bounds(int), multi=True)
DEFINE_multi_float = _define("float, may repeat", _bounds(float), multi=True)


def mark_flag_as_required(flag_name: str, flag_values: FlagValues = FLAGS) -> None:
    """The flag must be given: parsing raises ValidationError without it."""
    flag_values[flag_name].required = True


def mark_flags_as_required(flag_names: Iterable[str], flag_values: FlagValues = FLAGS) -> None:
    """As ``mark_flag_as_required``, for several."""
    for name in flag_names:
        mark_flag_as_required(name, flag_values)


def _fail(error: Error) -> NoReturn:
    """What a program does about wrong flags: the message and the exit status of wrong usage."""
    print(f"FATAL flags parsing error:\n  {error}\nPass --help to see the flags.", file=sys.stderr)
    raise SystemExit(1)


__getattr__ = missing.guard(__name__)

__all__ = [
    "FLAGS",
    "DEFINE_bool",
    "DEFINE_boolean",
    "DEFINE_enum",
    "DEFINE_float",
    "DEFINE_integer",
    "DEFINE_list",
    "DEFINE_multi_float",
    "DEFINE_multi_integer",
    "DEFINE_multi_string",
    "DEFINE_spaceseplist",
    "DEFINE_string",
    "DuplicateFlagError",
    "Error",
    "Flag",
    "FlagValues",
    "IllegalFlagValueError",
    "UnrecognizedFlagError",
    "ValidationError",
    "mark_flag_as_required",
    "mark_flags_as_required",
]
