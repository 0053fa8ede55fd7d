"""How operations of each kind are written to a file and made again: a registry, and the kinds it begins with.

A kind that is not here, or a Python function that is not registered, cannot be written: files hold no code, and loading
one imports nothing that it names.  Packages that add kinds or functions make them known with ``register_kind`` and
``register_function`` when they are imported.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from corenn.errors import GraphError, UsageError, nearest
from corenn.graph.encoding import UnwritableError
from corenn.graph.graph import Graph
from corenn.graph.operations import Kind, Known, Operation
from corenn.graph.tensors import GraphTensor

if TYPE_CHECKING:
    from corenn.graph.state import GraphVariable
    from corenn.graph.subgraph import SubGraph

F = TypeVar("F", bound=Callable[..., Any])
K = TypeVar("K", bound=Kind)


class Writer(Protocol):
    """What writing a kind can ask of the export."""

    def value(self, value: Any) -> Any:
        """The JSON form of an attribute."""

    def cell(self, variable: Any) -> Any:
        """A reference to a variable."""

    def function(self, function: Any) -> Any:
        """A reference to a registered function."""

    def subgraph(self, graph: SubGraph) -> dict[str, Any]:
        """The description of a subgraph."""

    def constraint(self, constraint: Any) -> Any:
        """The JSON form of a variable's constraint."""


class Reader(Protocol):
    """What making a kind can ask of the import."""

    def value(self, data: Any) -> Any:
        """An attribute from its JSON form."""

    def cell(self, data: Any) -> GraphVariable:
        """The variable that a reference names."""

    def function(self, data: Any) -> Callable[..., Any]:
        """The registered function that a reference names."""

    def operation(self, name: Any) -> Operation:
        """An operation that comes before, by its name in the file."""

    def tensor(self, name: Any) -> GraphTensor:
        """A tensor that comes before, by its name in the file."""

    def subgraph(self, data: Any, captured: Sequence[GraphTensor]) -> SubGraph:
        """The subgraph of a description; ``captured`` begins with the inputs of the operation that it captures."""

    def later(self, action: Callable[[], None]) -> None:
        """Do this when the graph is complete."""

    def constraint(self, data: Any) -> Any:
        """A variable's constraint."""

    variable_class: type[GraphVariable]


@dataclass(slots=True)
class Record:
    """One operation as it is read, all but its kind.  ``config``: what the kind wrote; ``refuse`` raises."""

    name: str
    graph: Graph
    inputs: list[GraphTensor]
    results: list[Known]
    attrs: dict[str, Any]
    config: dict[str, Any]
    refuse: Callable[[str], NoReturn]

    def counts(self, inputs: int, outputs: int) -> None:
        """Refuse other numbers of inputs and outputs."""
        if (len(self.inputs), len(self.results)) != (inputs, outputs):
            self.refuse(f"it has {len(self.inputs)} inputs and {len(self.results)} outputs, not {inputs} and {outputs}")

    def same(self, known: Known, result: int = 0) -> None:
        """Refuse a result whose dtype is another, or whose shape contradicts ``known``."""
        self.agree(known, self.results[result], f"output {result}")

    def agree(self, known: Known, stated: Known, what: str) -> None:
        """Refuse when two things known of one value contradict each other."""
        a, b = known[0], stated[0]
        fits = a is None or b is None or (
            len(a) == len(b) and all(x is None or y is None or x == y for x, y in zip(a, b, strict=True))
        )  # fmt: skip
        if known[1] is not stated[1] or not fits:
            self.refuse(f"{what} should be {shown(known)} and is {shown(stated)}")

    def known(self, i: int) -> Known:
        """What is known of an input."""
        return self.inputs[i].extents, self.inputs[i].dtype


def shown(known: Known) -> str:
    """``float32[?, 10]``."""
    shape = "[...]" if known[0] is None else f"[{', '.join('?' if n is None else str(n) for n in known[0])}]"
    return f"{known[1].name}{shape}"


@dataclass(frozen=True, slots=True)
class KindFormat:
    """How one class of kinds is written and read.

    ``write(kind, operation, writer)`` gives a JSON object of what is in the kind beyond the operation's attributes.
    ``read(record, reader)`` checks the record and gives the kind; ``made(operation, reader)`` is called with the
    operation that was added.
    """

    name: str
    cls: type[Kind]
    write: Callable[[Any, Operation, Writer], dict[str, Any]]
    read: Callable[[Record, Reader], Kind]
    made: Callable[[Operation, Record, Reader], None] | None = None


_by_name: dict[str, KindFormat] = {}
_by_class: dict[type[Kind], KindFormat] = {}
_functions: dict[str, Callable[..., Any]] = {}
#: Functions given to functions deeper than this are damage.
_DEEPEST = 20
#: Modules of corenn that register kinds or functions which a file may hold before anything else has imported them.
_HOMES = {"builtin": "corenn.graph.builtin_kinds", "summary": "corenn.summary.graph_ops"}


def register_kind(
    name: str, cls: type[K], write: Callable[[K, Operation, Writer], dict[str, Any]],
    read: Callable[[Record, Reader], Kind], made: Callable[[Operation, Record, Reader], None] | None = None,
) -> None:  # fmt: skip
    """Make operations whose kind is exactly ``cls`` writable, as ``name``; see ``KindFormat``.

    Names of packages outside corenn begin with the package's, as in ``"my_package.attention"``.  Raises UsageError for
    a name or class that is registered already, for a class that is no ``Kind``, and for what cannot be called.
    """
    if not isinstance(name, str) or not name:
        raise UsageError("register_kind", f"{name!r} is no name", hint="a string, such as 'my_package.my_kind'")
    if not isinstance(cls, type) or not issubclass(cls, Kind):
        raise UsageError(
            "register_kind", f"{cls!r} is not a class of kinds", hint="a subclass of corenn.graph.operations.Kind"
        )
    for what, function in (("write", write), ("read", read), ("made", made)):
        if not callable(function) and not (what == "made" and function is None):
            raise UsageError("register_kind", f"{what!r} is a {type(function).__name__}, not a function",
                             hint="write(kind, operation, writer), read(record, reader)")  # fmt: skip
    if name in _by_name or cls in _by_class:
        raise UsageError(
            "register_kind", f"{name!r} or {cls.__name__} is registered already", hint="choose another name"
        )
    _by_name[name] = _by_class[cls] = KindFormat(name, cls, write, read, made)


def register_function(name: str, function: F | None = None) -> Any:
    """Make a Python function known by a dotted name, so that graphs which call it can be written and read again.

    Use it as a decorator, ``@register_function("my_package.scale")``, or with the function as the second argument.
    The function must behave alike in every process that loads the graph.  ``functools.partial`` of a registered
    function is writable, too, when its arguments are plain values or functions that are writable themselves.  Raises
    UsageError for a name that is not dotted, or that another function has.
    """
    if function is None:
        return functools.partial(register_function, name)
    if not isinstance(name, str) or not all(part.isidentifier() for part in name.split(".")) or "." not in name:
        raise UsageError("register_function", f"{name!r} is not a dotted name", hint="'my_package.my_function'")
    known = _functions.setdefault(name, function)
    if known is not function:
        if (known.__module__, known.__qualname__) != (function.__module__, function.__qualname__):
            raise UsageError("register_function", f"another function is registered as {name!r}",
                             {"known": f"{known.__module__}.{known.__qualname__}"})  # fmt: skip
        _functions[name] = function  # its module was imported again
    return function


def format_of(kind: Kind) -> KindFormat | None:
    """How a kind is written, or ``None``."""
    _import_homes()
    return _by_class.get(type(kind))


def format_called(name: str) -> KindFormat | None:
    """How the kind called ``name`` in files is read, or ``None``."""
    if name not in _by_name:
        _import_homes()
    return _by_name.get(name)


def kind_names() -> list[str]:
    """The kinds that can be read."""
    _import_homes()
    return sorted(_by_name)


@functools.cache
def _import_homes() -> None:
    for module in _HOMES.values():
        importlib.import_module(module)


def write_function(function: Any, value: Callable[[Any], Any]) -> dict[str, Any]:
    """A reference to a registered function, or to a partial application of one; UnwritableError for others."""
    if isinstance(function, functools.partial):
        found = write_function(function.func, value)
        if "args" in found or "kwargs" in found:
            raise UnwritableError("a partial function of a partial function")
        return {**found, "args": [_write_argument(v, value) for v in function.args],
                "kwargs": {key: _write_argument(v, value) for key, v in function.keywords.items()}}  # fmt: skip
    name = next((n for n, f in _functions.items() if f is function), None)
    if name is None:
        module, own = getattr(function, "__module__", None), getattr(function, "__qualname__", repr(function))
        hint = "register the function: corenn.graph.register_function('my_package.my_function', function)"
        raise UnwritableError(f"the Python function {f'{module}.{own}' if module else own}", hint)
    return {"function": name}


def _write_argument(argument: Any, value: Callable[[Any], Any]) -> Any:
    """What a partial application holds: a value, or a function again, as ``{"$function": reference}``."""
    if isinstance(argument, (functools.partial, FunctionType)):
        return {"$function": write_function(argument, value)}
    return value(argument)


def _read_argument(data: Any, value: Callable[[Any], Any], depth: int) -> Any:
    if isinstance(data, dict) and data.keys() == {"$function"}:
        return read_function(data["$function"], value, depth + 1)
    return value(data)


def read_function(data: Any, value: Callable[[Any], Any], depth: int = 0) -> Callable[..., Any]:
    """The function that ``write_function`` referred to; GraphError when it is not registered here."""
    if depth > _DEEPEST:
        raise GraphError("import_graph", f"functions are given to functions more than {_DEEPEST} deep")
    name = data.get("function") if isinstance(data, dict) else None
    found = _functions.get(name) if isinstance(name, str) else None
    if found is None:
        hint = nearest(str(name), _functions) if _functions else ""
        raise GraphError(
            "import_graph", f"the graph calls a Python function that is not registered here: {str(name)[:80]!r}",
            hint=hint or "import the package that registers it (corenn.graph.register_function) before loading",
        )  # fmt: skip
    if "args" not in data and "kwargs" not in data:
        return found
    args, kwargs = data.get("args", []), data.get("kwargs", {})
    if not isinstance(args, list) or not isinstance(kwargs, dict):
        raise GraphError("import_graph", f"the arguments of {name!r} are malformed")
    given = [_read_argument(v, value, depth) for v in args]
    return functools.partial(found, *given, **{k: _read_argument(v, value, depth) for k, v in kwargs.items()})


def nothing(kind: Kind, operation: Operation, writer: Writer) -> dict[str, Any]:
    """For kinds that hold nothing of their own."""
    return {}


__all__ = [
    "KindFormat", "Reader", "Record", "Writer", "format_called", "format_of", "kind_names", "nothing",
    "read_function", "register_function", "register_kind", "shown", "write_function",
]  # fmt: skip
