"""``GraphTensor``: a value that a graph will compute; what ops give while a graph is being built."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

from corenn.device import Device, current_device
from corenn.dtypes import DType
from corenn.errors import GraphError, ShapeError
from corenn.ops.table import Op
from corenn.spec import Shape, Spec
from corenn.tensor import Tensor

if TYPE_CHECKING:
    from corenn.graph.graph import Graph
    from corenn.graph.operations import Operation


class NoValueError(GraphError, AttributeError):
    """A graph tensor was asked for something only values have."""


class UnknownRankError(ShapeError, AttributeError):
    """A graph tensor of unknown rank was asked for its shape by code that needs one."""


class GraphTensor(Tensor):
    """One result of an operation of a graph.  It has no value until a session runs the operation.

    ``operation`` is the operation, ``index`` which of its results this is; ``shape`` a tuple whose unknown extents are
    ``None``, or ``None`` where even the rank is unknown; ``name`` is ``"operation:index"``.  Ops, operators and methods
    add operations to the same graph.
    """

    __slots__ = ("_dtype", "index", "operation")

    operation: Operation
    index: int

    def __init__(self, operation: Operation, index: int, shape: Shape | None, dtype: DType) -> None:
        # ``spec`` stays unset where the rank is unknown: __getattr__ below says so.
        self.node = self.data = None
        self.operation, self.index, self._dtype = operation, index, dtype
        if shape is not None:
            self.spec = Spec(shape, dtype)

    # ---- what it is

    @property
    def op(self) -> Operation:
        """The operation that computes it."""
        return self.operation

    @property
    def graph(self) -> Graph:
        """The graph it belongs to."""
        return self.operation.graph

    @property
    def name(self) -> str:
        """``"operation:index"``."""
        return f"{self.operation.name}:{self.index}"

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self._dtype

    @property
    def extents(self) -> Shape | None:
        """The shape as far as it is known: ``None`` for an unknown extent, ``None`` as a whole for an unknown rank."""
        try:
            return self.spec.shape
        except UnknownRankError:
            return None

    @property
    def shape(self) -> Any:
        """Extents of the axes, ``None`` where unknown; ``None`` if not even the rank is known."""
        return self.extents

    @property
    def device(self) -> Device:
        """The current device: where it will be computed, unless a session chooses another."""
        return current_device()

    def set_shape(self, shape: Shape | None) -> None:
        """State what is known of the shape beside what was inferred; ShapeError if that contradicts it."""
        if shape is None:
            return
        given: Shape = tuple(None if n is None else int(n) for n in shape)
        known = self.extents
        if known is None:
            self.spec = Spec(given, self._dtype)
            return
        if len(known) != len(given) or any(
            a is not None and b is not None and a != b for a, b in zip(known, given, strict=False)
        ):
            raise ShapeError("set_shape", f"{self.name} has another shape", {"known": known, "given": given})
        merged = tuple(b if a is None else a for a, b in zip(known, given, strict=True))
        self.spec = Spec(merged, self._dtype)

    def consumers(self) -> list[Operation]:
        """The operations that take this tensor."""
        return [o for o in self.graph.get_operations() if any(i is self for i in o.inputs)]

    def eval(self, feed_dict: Any = None, session: Any = None) -> Any:
        """Its value in ``session``, by default the innermost ``with session:``; see ``Session.run``."""
        return self.graph.session_for(f"{self.name}.eval()", session).run(self, feed_dict)

    # ---- ops

    def __corenn_op__(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Add an operation to the graph this tensor belongs to, whichever graph is the default."""
        return self.graph(op, args, attrs)

    def __corenn_shape__(self) -> Any:
        """Its shape, for making another of that shape: a tuple, or a tensor where an extent is not known yet."""
        from corenn.graph.building import shape

        extents = self.extents
        return shape(self) if extents is None or None in extents else extents

    def __getitem__(self, key: Any) -> Tensor:
        from corenn.graph.indexing import index_in_graph

        return index_in_graph(self, key)

    def __corenn_index__(self, x: Any, key: Any) -> Tensor:
        """``x[key]`` for an ``x`` that has its value, where this tensor bounds a slice of the key."""
        from corenn.graph.graph import building
        from corenn.graph.indexing import index_in_graph

        return index_in_graph((building() or self.graph).convert(x), key)

    def __getattr__(self, name: str) -> Any:
        if name == "spec" or name in vars(Tensor):  # a property that needs the shape ended up here, too
            raise UnknownRankError(
                self.name, "its rank is not known, and this needs a shape",
                hint="give the placeholder a shape, or call set_shape((None, 10)) on the tensor",
            )  # fmt: skip
        return super().__getattr__(name)

    # ---- what only values have

    def _host(self) -> NoReturn:
        raise NoValueError(
            self.name, "a graph tensor has no value until a session runs it",
            hint="session.run(tensor); inside a function, keep to corenn ops, or use corenn.py_function",
        )  # fmt: skip

    def item(self) -> NoReturn:
        """NoValueError; ``float(t)`` and ``int(t)`` end here, too."""
        self._host()

    def numpy(self) -> NoReturn:
        """NoValueError: run it in a session."""
        self._host()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        self._host()

    def __bool__(self) -> bool:
        raise GraphError(
            "bool", f"{self.name} has no value while the graph is built: Python cannot branch on it",
            hint="corenn.cond(p, lambda: a, lambda: b); for elements, corenn.where(p, a, b)",
        )  # fmt: skip

    def __len__(self) -> int:
        extents = self.extents
        if not extents or extents[0] is None:
            raise GraphError("len", f"{self.name} has no first extent that is known while the graph is built",
                             hint="corenn.shape(x)[0]")  # fmt: skip
        return extents[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __index__(self) -> int:
        raise TypeError(f"{self.name} has no value while the graph is built: it cannot be an index or a Python int")

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        extents = self.extents
        shape = (
            "shape unknown" if extents is None else "[" + ", ".join("?" if n is None else str(n) for n in extents) + "]"
        )
        return f"<{self.name!r} {self._dtype.name}{shape if extents is not None else ' of unknown rank'}>"

    def _repr_html_(self) -> str:
        return f"<code>{repr(self).replace('<', '&lt;').replace('>', '&gt;')}</code>"


__all__ = ["GraphTensor", "NoValueError", "UnknownRankError"]
