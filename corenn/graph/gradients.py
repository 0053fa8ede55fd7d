"""Gradients in a graph: operations that apply the rules of the op table when the graph runs.

Walking back from ``ys``, every operation on a path from ``xs`` gets one partner, which takes its operands, its results
and their gradients, and gives the gradients of its operands.  The partner applies the op's rule once shapes are known,
so rules need not cope with unknown extents, and the shape of each gradient is its operand's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

from corenn import tree
from corenn.autodiff.reverse import Entry, backpropagate
from corenn.autodiff.tape import GradientTape
from corenn.errors import GradientError, ShapeError, UsageError
from corenn.graph.control import CondKind, ControlKind, parted
from corenn.graph.graph import Graph
from corenn.graph.kinds import CompositeKind, DefaultPlaceholderKind, HostCallKind, SliceKind
from corenn.graph.operations import Kind, Operation, Run, TableKind
from corenn.graph.state import InitializedValueKind, ReadKind
from corenn.graph.tensors import GraphTensor
from corenn.ops.creation import ones_like, zeros_like
from corenn.ops.dispatch import find
from corenn.ops.elementwise import add
from corenn.tensor import Node, Tensor
from corenn.variable import Variable


class GradientKind(Kind):
    """The gradients of one operation's operands, from those of its results.

    Inputs: the operation's inputs, its results where they have gradients or the rule needs them, the gradients.
    """

    def __init__(self, forward: Operation, needed: tuple[int, ...], given: tuple[int, ...]) -> None:
        self.forward, self.needed, self.given = forward, needed, given
        self.type = f"{forward.type}Grad"

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """Apply the rule, or differentiate the operation anew where it has none of its own."""
        forward, kind = self.forward, self.forward.kind
        count = len(forward.inputs)
        operands, grads = inputs[:count], inputs[len(inputs) - len(self.given) :]
        if isinstance(kind, CondKind):
            with run.again(forward):
                return kind.pull(forward, operands, self.needed, self.given, grads, run)
        if isinstance(kind, TableKind) and kind.op.differentiable:
            results = inputs[count : len(inputs) - len(self.given)]
            found = self._by_rule(kind, operands, results, grads, run)
        else:
            found = self._anew(operands, grads, run)
        return [zeros_like(operands[i]) if g is None else g for i, g in zip(self.needed, found, strict=True)]

    def _by_rule(
        self, kind: TableKind, operands: list[Tensor], results: list[Tensor], grads: list[Tensor], run: Run
    ) -> list[Tensor | None]:
        op = kind.op
        args, attrs = kind.arguments(self.forward, operands, run)
        plan, tensors = find(op, tuple(args), attrs)
        places = [i for i, a in enumerate(args) if a is not None]
        chosen = {places[i]: Node() for i in self.needed}
        targets = tuple(Node() for _ in self.forward.outputs)
        sources = [chosen.get(i) for i in range(len(args))]
        out: Any = None
        if results:
            out = tuple(results) if op.results is not None else results[0]
        entry = Entry(plan, sources, list(tensors), out, targets)
        gradients: dict[Node | None, Tensor] = {targets[i]: g for i, g in zip(self.given, grads, strict=True)}
        backpropagate([entry], gradients, set(chosen.values()))
        return [gradients.get(chosen[places[i]]) for i in self.needed]

    def _anew(self, operands: list[Tensor], grads: list[Tensor], run: Run) -> list[Tensor | None]:
        fresh = parted(operands)
        sources = [fresh[i] for i in self.needed]
        with GradientTape() as tape:
            tape.watch(sources)
            with run.again(self.forward):
                run.assume(self.forward.inputs, fresh)
                kind = self.forward.kind
                rerun = kind.execute if isinstance(kind, ControlKind) else kind.run
                results = rerun(self.forward, fresh, run)
        found: list[Tensor | None] = tape.gradient([results[i] for i in self.given], sources, grads)
        return found

    def config(self, operation: Operation) -> dict[str, Any]:
        """The operation it belongs to, by name."""
        return {"forward": self.forward.name, "needed": self.needed, "given": self.given}


#: Operations whose result is an operand as it is.
_THROUGH = (ReadKind, DefaultPlaceholderKind)
#: The attribute of an operation whose gradient is a registered one; TensorFlow's name.
_RULE = "_gradient_op_type"
#: Operations differentiated by running them again on a tape.
_RERUN = (CompositeKind, SliceKind, ControlKind, GradientKind)


#: Gradients by the names that ``Graph.gradient_override_map`` gives to operations.
_registered: dict[str, Callable[..., Any]] = {}


def register_gradient(name: str, function: Callable[..., Any]) -> None:
    """Call ``function`` for the gradients of operations that ``Graph.gradient_override_map`` marks with ``name``.

    ``function(operation, *gradients of its results)`` is called while gradients are added to the graph, and returns one
    for each input (``None``: it stops there), or that of the only input.  Raises UsageError for a name that is taken.
    """
    if name in _registered:
        raise UsageError("register_gradient", f"there is a gradient {name!r} already", hint="choose another name")
    _registered[name] = function


def gradients(
    ys: Any, xs: Any, grad_ys: Any = None, name: str | None = "gradients", *, stop_gradients: Any = (),
    unconnected_gradients: str = "none", integers: bool = False,
) -> list[GraphTensor | None]:  # fmt: skip
    """d(sum of all elements of all ``ys``)/dx for each of ``xs``, as operations added to their graph.

    ``ys``, ``xs``: a graph tensor (or variable) or a list of them.  ``grad_ys``: what each y is multiplied by first
    (its shape; ``None`` for ones).  Gradients do not pass through ``stop_gradients``.  Each gradient has the shape and
    dtype of its x; it is ``None`` (or zeros, with ``unconnected_gradients="zero"``) for an x that no y depends on.
    Integers are constants and contribute nothing, unless ``integers``: then the rules are applied to them as well, in
    their dtype.  Raises UsageError for other numbers of ``grad_ys`` than of ``ys`` and where nothing is a graph tensor,
    ShapeError for a grad_y of another rank, GradientError for operations that have no gradient (Python functions) and
    registered gradients that are missing or return another number, GraphError for tensors of different graphs.
    """
    targets, sources = _listed(ys), _listed(xs)
    graph = _graph_of([*targets, *sources])
    seeds = _listed(grad_ys) if grad_ys is not None else [None] * len(targets)
    if len(seeds) != len(targets):
        raise UsageError("gradients", f"{len(targets)} ys but {len(seeds)} grad_ys")
    wanted = [_source(graph, x) for x in sources]
    stopped = {_source(graph, s) for s in _listed(stop_gradients)}
    with graph.as_default(), graph.name_scope(name) if name else nullcontext():
        found = _walk(graph, [graph.convert(y) for y in targets], seeds, wanted, stopped, integers)
        if unconnected_gradients == "zero":
            return [zeros_like(x) if g is None else g for g, x in zip(found, wanted, strict=True)]  # type: ignore[misc]
    return found


def _walk(
    graph: Graph,
    ys: list[GraphTensor],
    seeds: list[Any],
    xs: list[GraphTensor],
    stopped: set[GraphTensor],
    integers: bool,
) -> list[GraphTensor | None]:
    between = _between(ys, xs, stopped, integers)
    parts: dict[int, list[GraphTensor]] = {}
    for i, (y, seed) in enumerate(zip(ys, seeds, strict=True)):
        if not _varies(y, integers):
            continue
        if seed is None:
            with graph.name_scope(f"grad_ys_{i}"):
                seed = ones_like(y)
        given = graph.convert(seed, y.dtype)
        if y.extents is not None and given.extents is not None and len(y.extents) != len(given.extents):
            raise ShapeError("gradients", "a grad_y must have its y's shape", {"y": y.extents, "grad_y": given.extents})
        parts.setdefault(id(y), []).append(given)
    for operation in sorted(between, key=lambda o: o.number, reverse=True):
        arrived = {o.index: _total(parts[id(o)]) for o in operation.outputs if id(o) in parts and o not in stopped}
        if not arrived:
            continue
        for tensor, gradient in _pulled(graph, operation, arrived, between[operation]):
            parts.setdefault(id(tensor), []).append(gradient)
    return [_total(parts[id(x)]) if id(x) in parts else None for x in xs]


def _between(
    ys: list[GraphTensor], xs: list[GraphTensor], stopped: set[GraphTensor], integers: bool
) -> dict[Operation, tuple[int, ...]]:
    """The operations on paths from xs to ys, and which of their inputs lie on such a path."""
    back: set[Operation] = set()
    waiting = [y.operation for y in ys if _varies(y, integers) and y not in stopped]
    while waiting:
        operation = waiting.pop()
        if operation not in back:
            back.add(operation)
            waiting += [i.operation for i in operation.inputs if _varies(i, integers) and i not in stopped]
    reached = {id(x) for x in xs}
    found: dict[Operation, tuple[int, ...]] = {}
    for operation in sorted(back, key=lambda o: o.number):
        # An integer that a float result depends on, an index or an extent, is a constant all the same.
        whole = integers and any(o.dtype.is_integer for o in operation.outputs)
        places = tuple(i for i, t in enumerate(operation.inputs) if id(t) in reached and _varies(t, whole))
        if places and _passes(operation):
            found[operation] = places
            reached |= {id(o) for o in operation.outputs if _varies(o, integers) and o not in stopped}
    return found


def _varies(tensor: GraphTensor, integers: bool) -> bool:
    """Whether a tensor is differentiated rather than taken as a constant."""
    return tensor.dtype.is_inexact or (integers and tensor.dtype.is_integer)


def _passes(operation: Operation) -> bool:
    """Whether gradients can pass back through an operation at all."""
    kind = operation.kind
    if _RULE in operation.attrs:
        return True
    if isinstance(kind, TableKind):
        return kind.op.differentiable or kind.op.decomposition is not None
    return isinstance(kind, (*_THROUGH, *_RERUN, HostCallKind, InitializedValueKind))


def _pulled(
    graph: Graph, operation: Operation, arrived: dict[int, GraphTensor], places: tuple[int, ...]
) -> list[tuple[GraphTensor, GraphTensor]]:
    kind = operation.kind
    if _RULE in operation.attrs:
        return _by_registered(graph, operation, arrived, places)
    if isinstance(kind, HostCallKind):
        raise GradientError(
            "gradients", f"No gradient defined for operation '{operation.name}' (op type: {operation.type})",
            hint="corenn.stop_gradient around it, or write it in ops", site=operation.where,
        )  # fmt: skip
    if isinstance(kind, (*_THROUGH, InitializedValueKind)):
        return [(operation.inputs[0], arrived[0])]
    results: tuple[GraphTensor, ...] = ()
    if isinstance(kind, TableKind) and kind.op.differentiable:
        op = kind.op
        absent = operation.attrs.get("_absent", ())
        position = [i for i in range(len(operation.inputs) + len(absent)) if i not in absent]
        if op.joint_rule is None:
            places = tuple(i for i in places if position[i] in op.rules)
        key = sum(1 << position[i] for i in places) + (1 << len(position) + len(absent))
        if op.kept(key)[1]:
            results = operation.outputs
    if not places:
        return []
    given = tuple(arrived)
    inputs = [*operation.inputs, *results, *arrived.values()]
    known = [(operation.inputs[i].extents, operation.inputs[i].dtype) for i in places]
    partner = graph.add(
        GradientKind(operation, places, given), inputs, known, name=f"{operation.name}_grad", where=operation.where
    )
    return [(operation.inputs[i], g) for i, g in zip(places, partner.outputs, strict=True)]


def _by_registered(
    graph: Graph, operation: Operation, arrived: dict[int, GraphTensor], places: tuple[int, ...]
) -> list[tuple[GraphTensor, GraphTensor]]:
    """What the function that was registered for the operation gives."""
    name = operation.attrs[_RULE]
    if name not in _registered:
        raise GradientError(
            "gradients", f"No gradient defined for operation '{operation.name}' (op type: {operation.type})",
            hint=f"its graph names {name!r}: register_gradient({name!r}, function)", site=operation.where,
        )  # fmt: skip
    given = [arrived[o.index] if o.index in arrived else zeros_like(o) for o in operation.outputs]
    with graph.name_scope(f"{operation.name}_grad".rpartition("/")[2]):
        found = _listed(_registered[name](operation, *given))
    if len(found) != len(operation.inputs):
        raise GradientError(
            "gradients",
            f"Num gradients {len(found)} generated for op {operation.name} do not match num inputs "
            f"{len(operation.inputs)}",
            hint=f"the function registered as {name!r} returns one for each input, or None", site=operation.where,
        )  # fmt: skip
    return [
        (operation.inputs[i], graph.convert(found[i], operation.inputs[i].dtype))
        for i in places
        if found[i] is not None
    ]


def _total(parts: list[GraphTensor]) -> GraphTensor:
    total = parts[0]
    for part in parts[1:]:
        total = add(total, part)  # type: ignore[assignment]  # of graph tensors
    return total


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, (list, tuple)) else [given]


def _source(graph: Graph, x: Any) -> GraphTensor:
    if not isinstance(x, GraphTensor):
        found = graph.as_element(x)
        if not isinstance(found, GraphTensor):
            raise UsageError("gradients", f"{found!r} is an operation, not a tensor")
        return found
    return x if x.graph is graph else graph.convert(x)  # a capture, or the error that says it is another graph's


def _graph_of(tensors: list[Any]) -> Graph:
    for tensor in tensors:
        if isinstance(tensor, GraphTensor):
            return tensor.graph
    raise UsageError("gradients", "neither ys nor xs hold a graph tensor", hint="for eager tensors: GradientTape")


def gradients_for_tape(graph: Graph, targets: list[Any], sources: Any, seeds: list[Any], zeros: bool) -> Any:
    """The gradients a tape gives while a graph is built: of tensors of the graph, and of eager variables it reads."""
    flat = tree.leaves(sources)
    places: list[list[Any]] = []
    for source in flat:
        if isinstance(source, Variable):
            places.append(list(graph.reads.get(id(source), (source, []))[1]))
        else:
            places.append([graph.convert(source)])
    ys = [graph.convert(t) for t in targets]
    for y in ys:
        if not y.dtype.is_inexact:
            raise GradientError("gradient", "only floating values have gradients", {"target": y},
                                hint="differentiate a loss, not a count or an index")  # fmt: skip
    found = iter(gradients(ys, [p for some in places for p in some], seeds))
    results: list[Any] = []
    for source, some in zip(flat, places, strict=True):
        parts = [g for g in [next(found) for _ in some] if g is not None]
        total = _total(parts) if parts else None
        if total is None and zeros:
            total = graph.convert(zeros_like(source))
        results.append(total)
    return tree.rebuild(sources, iter(results))


__all__ = ["GradientKind", "gradients", "gradients_for_tape"]
