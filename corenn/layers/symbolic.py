"""Symbolic inputs of functional models: what ``Input`` gives, and what layers and ops applied to it give.

A symbolic tensor has a spec and remembers the layer call or op that makes it.  Its spec is found by *abstract
execution*: the real ``call`` runs on tensors without data, under an interpreter that only infers.  The extent of the
batch axis is unknown to the user and 1 during abstract execution.

A function of ops alone is looked at by tracing it (``corenn.compiler.tracing.outline``), tapes and constants included.
A layer has variables, which hold arrays of a real device: inference takes them as they are, a trace would not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from corenn import tree
from corenn.autodiff.reverse import refuse_target
from corenn.device import current_device
from corenn.errors import UsageError
from corenn.ops.binding import prepare
from corenn.ops.dispatch import _interpreter, current, infer
from corenn.ops.table import Op
from corenn.spec import Spec
from corenn.tensor import Tensor

if TYPE_CHECKING:
    from corenn.layers.base import Layer


class Symbolic(Tensor):
    """A tensor that stands for a value of a functional model; ``shape[0]`` is ``None``, the batch.

    Layers, operators and ops take it and give others.  ``origin`` is the call that makes it (``None`` for an input),
    ``position`` which of the call's results it is.
    """

    __slots__ = ("name", "origin", "position")

    def __init__(self, spec: Spec, name: str, origin: Origin | None = None, position: int = 0) -> None:
        super().__init__(None, spec)
        self.name, self.origin, self.position = name, origin, position

    @property
    def shape(self) -> tuple[Any, ...]:  # the batch extent is None
        """Extents, the batch as ``None``; ``()`` for a number of the whole batch, such as a mean."""
        return (None, *self.spec.shape[1:]) if self.spec.shape else ()

    def __corenn_op__(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Record an op applied to symbolic tensors."""
        return _record(OpCall(op), args, attrs, op.name)

    def _host(self) -> NoReturn:
        raise UsageError("numpy", f"{self!r} is symbolic and has no values", hint="call the model on data")

    def item(self) -> NoReturn:
        """UsageError: there is no value yet; ``float(x)`` and ``int(x)`` end here, too."""
        self._host()

    def __bool__(self) -> NoReturn:
        hint = "corenn.where(condition, a, b), or an if inside a subclass of Model"
        raise UsageError("bool", f"{self!r} is symbolic: it cannot decide yet", hint=hint)

    def __iter__(self) -> NoReturn:
        hint = "index it: x[:, 0]; corenn.unstack(x, axis=1)"
        raise UsageError("iter", f"{self!r} is symbolic: its batch has no size yet", hint=hint)

    def __repr__(self) -> str:
        return f"<symbolic {self.name!r} {self.spec.dtype}{list(self.shape)}>".replace("None", "batch")


class Outline(Tensor):
    """A tensor without data, as layers see it during abstract execution."""

    __slots__ = ()

    def _host(self) -> NoReturn:
        what = "the values are not known while a layer is only looked at for its shapes"
        hint = "compute with corenn ops, or build the model by calling it on data instead of through Input"
        raise UsageError("numpy", what, hint=hint)

    def __repr__(self) -> str:
        return f"<outline {self.spec}>"


class Origin:
    """One call in a functional model: what was called, on which arguments, with which options."""

    __slots__ = ("args", "callee", "name", "options")

    def __init__(self, callee: Any, args: tuple[Any, ...], options: dict[str, Any], name: str) -> None:
        self.callee, self.args, self.options, self.name = callee, args, options, name

    def parents(self) -> list[Symbolic]:
        """The symbolic arguments, those in options last."""
        return [a for a in tree.leaves([list(self.args), self.options]) if isinstance(a, Symbolic)]


class OpCall:
    """An op as the callee of a functional model's call."""

    def __init__(self, op: Op) -> None:
        self.op, self.name = op, op.name

    def __call__(self, *args: Any, **attrs: Any) -> Any:
        """Run the op."""
        return self.op.public(*args, **attrs)


class Abstract:
    """The interpreter that only infers: ops give tensors without data."""

    only_infers = True  #: what metrics, which know nothing of layers, ask for

    def __init__(self) -> None:
        self.reads: dict[int, Any] = {}  #: what a tape asks a graph for: there are no values to read here

    def __call__(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Infer one call."""
        tensors, bound = prepare(op, args, attrs)
        specs = tuple(None if t is None else t.spec for t in tensors)
        device = next((s.device for s in specs if s is not None and s.device is not None), None) or current_device()
        results = tuple(Outline(None, s.at(device)) for s in infer(op, specs, bound))
        return results if op.results is not None else results[0]

    def tape_gradient(self, targets: Any, sources: Any, seeds: Any, zeros: bool) -> Any:
        """What a tape opened in a layer's ``call`` gives: each gradient has its source's spec.

        Whether a source is connected at all only a call on data can tell, which then gives ``None`` or zeros.
        """
        for target in targets:
            if not target.dtype.is_inexact:
                refuse_target(target.spec)
        return tree.tree_map(lambda source: Outline(None, source.spec), sources)


def is_abstract() -> bool:
    """Whether layers are running for their shapes only: then nothing may be remembered from one call to the next."""
    return isinstance(current(), Abstract)


def is_symbolic(*structures: Any) -> bool:
    """Whether any leaf is a symbolic tensor."""
    return any(isinstance(x, Symbolic) for structure in structures for x in tree.leaves(structure))


def abstract_call(callee: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Specs of what ``callee`` returns for inputs given as specs; variables the layer makes are made for real."""
    device = current_device()

    def stand_in(leaf: Any) -> Any:
        return Outline(None, leaf.at(device)) if isinstance(leaf, Spec) else leaf

    given, named = tree.tree_map(stand_in, list(inputs)), tree.tree_map(stand_in, options)
    token = _interpreter.set(Abstract())
    try:
        out = callee(*given, **named)
    finally:
        _interpreter.reset(token)
    return tree.tree_map(lambda t: t.spec, out)


def trace_layer(layer: Layer, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Record a layer called on symbolic tensors; the layer is built."""
    return _record(layer, inputs, options, layer.name)


def _record(callee: Any, args: tuple[Any, ...], options: dict[str, Any], name: str) -> Any:
    def spec_of(leaf: Any) -> Any:
        return leaf.spec if isinstance(leaf, Symbolic) else leaf

    specs = tuple(tree.tree_map(spec_of, list(args)))
    result = abstract_call(callee, specs, tree.tree_map(spec_of, options))
    origin = Origin(callee, args, options, name)
    found = []
    for position, spec in enumerate(tree.leaves(result)):
        label = f"{name}:{position}" if position else name
        found.append(Symbolic(spec.at(None), label, origin, position))
    return tree.rebuild(result, iter(found))


__all__ = [
    "Abstract", "OpCall", "Origin", "Outline", "Symbolic", "abstract_call", "is_abstract", "is_symbolic", "trace_layer",
]  # fmt: skip
