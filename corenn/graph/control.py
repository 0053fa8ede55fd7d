"""Control flow: ``cond``, ``case``, ``while_loop``, ``scan``, ``map_fn``, ``fold``.

Outside a graph they are what they say, in Python.  In a graph each is one operation that holds the traced branches or
bodies as subgraphs.  All are differentiable.
"""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from corenn import dtypes, tree
from corenn.autodiff.tape import GradientTape, recording_tapes
from corenn.errors import GraphError, ShapeError, UsageError
from corenn.graph.graph import Graph, building
from corenn.graph.operations import Kind, Known, Operation, Run
from corenn.graph.subgraph import SubGraph, run_subgraph, trace
from corenn.graph.tensors import GraphTensor
from corenn.ops.creation import asarray, zeros_like
from corenn.ops.elementwise import identity
from corenn.ops.shaping import stack
from corenn.tensor import Tensor


class ControlKind(Kind):
    """An operation that runs subgraphs.  Its effects are theirs."""

    effects = True

    def __init__(self, *subgraphs: SubGraph) -> None:
        self.subgraphs = subgraphs
        inside = [o.kind for g in subgraphs for o in g.get_operations()]
        self.effects = any(k.effects for k in inside)
        self.writes = any(k.writes for k in inside)

    def split(self, inputs: Sequence[Tensor], first: int) -> list[list[Tensor]]:
        """The captured values of each subgraph, which follow the operands proper."""
        found = []
        for subgraph in self.subgraphs:
            count = len(subgraph.captures)
            found.append(list(inputs[first : first + count]))
            first += count
        return found

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """Run the subgraphs."""
        run.start(operation)
        return self.execute(operation, inputs, run)

    @abstractmethod
    def execute(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """Run the subgraphs, whether for the first time or for a gradient."""

    def config(self, operation: Operation) -> None:
        """Written down with their subgraphs by ``corenn.graph.serialization``."""


class CondKind(ControlKind):
    """Run one of two subgraphs; inputs: the predicate, then what each captures."""

    type = "Cond"

    def execute(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """The chosen branch's outputs."""
        captured = self.split(inputs, 1)
        return run.branch(
            inputs[0],
            [functools.partial(run_subgraph, g, [], c) for g, c in zip(self.subgraphs, captured, strict=True)],
        )

    def pull(
        self, operation: Operation, inputs: list[Tensor], needed: Sequence[int], given: Sequence[int],
        grads: list[Tensor], run: Run,
    ) -> list[Tensor]:  # fmt: skip
        """The gradients of the inputs ``needed``: those of the branch that ran."""
        captured = self.split(inputs, 1)
        offsets = [1, 1 + len(captured[0])]

        def backward(which: int) -> Callable[[Run], list[Tensor]]:
            def run_branch(here: Run) -> list[Tensor]:
                fresh = parted(captured[which])
                here.assume(operation.inputs[offsets[which] : offsets[which] + len(fresh)], fresh)
                mine = {i: fresh[i - offsets[which]] for i in needed if 0 <= i - offsets[which] < len(fresh)}
                with GradientTape() as tape:
                    tape.watch(list(mine.values()))
                    results = run_subgraph(self.subgraphs[which], [], fresh, here)
                found = tape.gradient([results[i] for i in given], list(mine.values()), grads)
                by_place = dict(zip(mine, found, strict=True))
                return [zeros_like(inputs[i]) if by_place.get(i) is None else by_place[i] for i in needed]

            return run_branch

        return run.branch(inputs[0], [backward(0), backward(1)])


def parted(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors, each an object of its own to take gradients by; tapes that are recording already see through."""
    if recording_tapes():
        return [identity(t) for t in tensors]
    return [Tensor(t.data, t.spec) for t in tensors]


class WhileKind(ControlKind):
    """Run a body while a condition holds; inputs: the initial state, then what condition and body capture."""

    type = "While"

    def execute(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """The final state."""
        condition, body = self.subgraphs
        count = len(body.parameters)
        of_condition, of_body = self.split(inputs, count)
        return run.loop(
            inputs[:count],
            lambda state, here: run_subgraph(condition, state, of_condition, here)[0],
            lambda state, here: run_subgraph(body, state, of_body, here),
            operation.attrs.get("maximum_iterations"),
        )


class ScanKind(ControlKind):
    """Run a body once for each row of the elements; inputs: state, elements, what the body captures.

    The body takes the state and a row of each of the ``elements`` and gives the new state, then what is to be stacked.
    """

    type = "Scan"

    def execute(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """The final state, then the stacked outputs."""
        (body,) = self.subgraphs
        states, elements = operation.attrs["states"], operation.attrs["elements"]
        state, rows = list(inputs[:states]), inputs[states : states + elements]
        (captured,) = self.split(inputs, states + elements)
        lengths = {r.spec.static[0] for r in rows}
        if len(lengths) != 1:
            raise ShapeError(operation.name, f"the elements have {sorted(lengths)} rows", site=operation.where)
        order: Any = range(lengths.pop())
        if operation.attrs["reverse"]:
            order = reversed(order)
        collected: list[list[Tensor]] = []
        for i in order:
            taken = [_host_row(operation, run, r, i) if r.dtype is dtypes.string else r[i] for r in rows]
            results = run_subgraph(body, [*state, *taken], captured, run)
            state = results[:states]
            collected.append(results[states:])
        if operation.attrs["reverse"]:
            collected.reverse()
        if not collected:
            raise ShapeError(operation.name, "there are no elements", site=operation.where)
        return [*state, *[_stacked(operation, run, column) for column in zip(*collected, strict=True)]]


def _host_row(operation: Operation, run: Run, text: Tensor, row: int) -> Tensor:
    """A row of a tensor of strings, which the host holds."""
    known = (text.spec.static[1:], dtypes.string)
    return run.call_host(operation, lambda array: [np.asarray(array[row], object)], [text], [known])[0]


def _stacked(operation: Operation, run: Run, rows: Sequence[Tensor]) -> Tensor:
    if rows[0].dtype is not dtypes.string:
        return stack(*rows, axis=0)
    known = ((len(rows), *rows[0].spec.static), dtypes.string)
    return run.call_host(operation, lambda *arrays: [np.stack([np.asarray(a, object) for a in arrays])], rows, [known])[
        0
    ]


# ---------------------------------------------------------------- what users call


def _graph(*structures: Any) -> Graph | None:
    """The graph to build in: the default one, or that of a graph tensor among the arguments."""
    here = building()
    if here is not None:
        return here
    for structure in structures:
        for leaf in tree.leaves(structure):
            if isinstance(leaf, GraphTensor):
                return leaf.graph
    return None


def cond(predicate: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any], name: str | None = None) -> Any:
    """``true_fn()`` if ``predicate`` (a 0-d bool tensor) holds, else ``false_fn()``.

    In a graph both are traced, and only one runs; they must return the same structure of tensors of the same dtypes
    (or operations, or ``None``).  Extents in which the branches differ are unknown in the result.  Gradients flow
    through the branch that ran.  Raises GraphError for branches that return different numbers of tensors or different
    dtypes, and for a tensor of another graph.
    """
    graph = _graph(predicate)
    if graph is None:
        return true_fn() if bool(predicate) else false_fn()
    if isinstance(predicate, bool):
        return true_fn() if predicate else false_fn()
    chosen = graph.convert(predicate, dtypes.bool_ if not isinstance(predicate, Tensor) else None)
    yes, structure = trace(graph, true_fn, [])
    no, _ = trace(graph, false_fn, [])
    known = []
    if len(yes.outputs) != len(no.outputs):
        raise GraphError("cond", f"true_fn returns {len(yes.outputs)} tensors, false_fn {len(no.outputs)}",
                         hint="both branches must return the same structure")  # fmt: skip
    for a, b in zip(yes.outputs, no.outputs, strict=True):
        if a.dtype is not b.dtype:
            raise GraphError("cond", "the branches return tensors of different dtypes", {"true_fn": a, "false_fn": b},
                             hint=f"corenn.cast(..., dtype={a.dtype.name!r})")  # fmt: skip
        known.append((merged(a.extents, b.extents), a.dtype))
    inputs = [chosen, *yes.captured, *no.captured]
    operation = graph.add(CondKind(yes, no), inputs, known, name=name or "cond")
    return _rebuilt(structure, operation)


def merged(a: Any, b: Any) -> Any:
    """What two shapes have in common."""
    if a is None or b is None or len(a) != len(b):
        return None
    return tuple(x if x == y else None for x, y in zip(a, b, strict=True))


def _rebuilt(structure: Any, operation: Operation) -> Any:
    """The structure a branch returned, with the operation's outputs in the places of tensors."""
    if structure is None or isinstance(structure, Operation):
        return operation
    outputs = iter(operation.outputs)
    return tree.tree_map(lambda leaf: None if leaf is None else next(outputs), structure)


def case(pairs: Any, default: Callable[[], Any] | None = None, exclusive: bool = False, name: str | None = None) -> Any:
    """The result of the first function whose predicate holds, else of ``default`` (by default the last function).

    ``pairs``: (predicate, function) pairs, or a dict; predicates are 0-d bool tensors.  All functions return the same
    structure of tensors of the same dtypes.  Raises UsageError for no pairs, otherwise as ``cond`` does.
    """
    listed = list(pairs.items()) if isinstance(pairs, dict) else list(pairs)
    if not listed:
        raise UsageError("case", "needs at least one (predicate, function) pair")
    if default is None:
        *listed, (_, default) = listed
    result = default
    for predicate, function in reversed(listed):
        result = _chained(predicate, function, result, name)
    return result()


def _chained(
    predicate: Any, function: Callable[[], Any], rest: Callable[[], Any], name: str | None
) -> Callable[[], Any]:
    return lambda: cond(predicate, function, rest, name or "case")


def while_loop(
    condition: Callable[..., Any], body: Callable[..., Any], loop_vars: Any, *, maximum_iterations: Any = None,
    shape_invariants: Any = None, name: str | None = None,
) -> Any:  # fmt: skip
    """``loop_vars = body(*loop_vars)`` while ``condition(*loop_vars)`` holds; the final loop_vars.

    ``loop_vars``: a list or tuple of tensors or nested structures; the body keeps their number and dtypes, and the
    result has their structure.  ``condition`` gives a 0-d bool tensor.  ``shape_invariants``: their shapes where an
    extent changes from one iteration to the next (``None`` for it).  ``maximum_iterations``: an int.  In a graph,
    condition and body are traced, not run, and an extent that the body changes is unknown in the result.  Raises
    GraphError for a body that returns another number of tensors or other dtypes, a condition that returns more than
    one tensor, and a ``maximum_iterations`` that is no plain number; ValueError where there is not one of
    ``shape_invariants`` for each of ``loop_vars``.
    """
    single = not isinstance(loop_vars, (list, tuple))
    given = [loop_vars] if single else list(loop_vars)
    graph = _graph(given)
    if graph is None:
        state: Any = given
        count = 0
        while (maximum_iterations is None or count < maximum_iterations) and bool(condition(*state)):
            state = _like(body(*state), given)
            count += 1
        return state[0] if single else tree.rebuild(loop_vars, iter(tree.leaves(state)))
    initial = [graph.convert(leaf) for leaf in tree.leaves(given)]
    shapes = [t.extents for t in initial]
    if shape_invariants is not None:
        stated = list(shape_invariants) if not single else [shape_invariants]
        flat = [_extents(s) for s in _shape_leaves(stated, given)]
        shapes = flat
    written: dict[int, Any] = {}
    for _ in range(4):  # until the shapes that go in are those that come out, and all that is written is known
        known: list[Known] = [(s, t.dtype) for s, t in zip(shapes, initial, strict=True)]
        test, _ = trace(graph, lambda *leaves: condition(*tree.rebuild(given, iter(leaves))), known, (), written)
        step, _ = trace(
            graph, lambda *leaves: _like(body(*tree.rebuild(given, iter(leaves))), given), known, (), written
        )
        if len(step.outputs) != len(initial):
            raise GraphError("while_loop", f"the body returns {len(step.outputs)} tensors for {len(initial)} loop_vars")
        for a, b in zip(initial, step.outputs, strict=True):
            if a.dtype is not b.dtype:
                raise GraphError("while_loop", "a loop variable changes its dtype", {"before": a, "after": b},
                                 hint=f"corenn.cast(..., dtype={a.dtype.name!r})")  # fmt: skip
        after = [merged(s, o.extents) for s, o in zip(shapes, step.outputs, strict=True)]
        everything = test.written | step.written
        if after == shapes and everything.keys() == written.keys():
            break
        shapes, written = after, everything
    if len(test.outputs) != 1:
        raise GraphError("while_loop", "the condition must return one bool tensor")
    attrs = {} if maximum_iterations is None else {"maximum_iterations": _plain_int(maximum_iterations)}
    inputs = [*initial, *test.captured, *step.captured]
    results: list[Known] = [(s, t.dtype) for s, t in zip(shapes, initial, strict=True)]
    operation = graph.add(WhileKind(test, step), inputs, results, attrs, name=name or "while")
    rebuilt = tree.rebuild(given, iter(operation.outputs))
    return rebuilt[0] if single else tree.rebuild(loop_vars, iter(operation.outputs))


def _plain_int(value: Any) -> int:
    from corenn.graph.deferred import static_value

    if isinstance(value, GraphTensor):
        value = static_value(value)
    if not isinstance(value, int):
        raise GraphError("while_loop", "maximum_iterations must be a plain number",
                         hint="make it part of the condition: corenn.logical_and(i < n, ...)")  # fmt: skip
    return value


def _like(result: Any, given: list[Any]) -> Any:
    """What a body returned, as a list with the structure of the loop variables."""
    listed = list(result) if isinstance(result, (list, tuple)) and len(result) == len(given) else [result]
    return tree.rebuild(given, iter(tree.leaves(listed)))


def _shape_leaves(stated: list[Any], given: list[Any]) -> list[Any]:
    """One shape for each leaf of the loop variables."""
    found: list[Any] = []
    for shape, value in zip(stated, given, strict=True):
        found += _shape_leaves(list(shape), list(value)) if isinstance(value, (list, tuple)) else [shape]
    return found


def _extents(shape: Any) -> Any:
    dims = getattr(shape, "dims", shape)
    return None if dims is None else tuple(None if getattr(n, "value", n) is None else int(n) for n in dims)


def scan(
    fn: Callable[..., Any], elems: Any, initializer: Any = None, *, reverse: bool = False, name: str | None = None
) -> Any:
    """``fn(accumulated, row)`` over the rows of ``elems``: all accumulated values, stacked.

    ``elems``: a tensor ``[n, ...]``, or a structure of them of one ``n``; the accumulated value is a tensor or
    structure that keeps its shapes and dtypes, and each in the result has ``[n, ...]`` of it.  ``initializer`` defaults
    to the first row, which then is the first result.  ``reverse`` begins with the last row.  Raises ShapeError for
    elements without rows or of different lengths, GraphError for a function that returns another number of tensors or
    other dtypes.
    """
    if initializer is None:
        first = -1 if reverse else 0
        initializer = tree.tree_map(lambda e: asarray(e)[first], elems)
        rest = tree.tree_map(lambda e: asarray(e)[:-1] if reverse else asarray(e)[1:], elems)
        tail = scan(fn, rest, initializer, reverse=reverse, name=name)
        from corenn.ops.shaping import concatenate

        def joined(start: Any, others: Any) -> Any:
            return concatenate([others, start[None]] if reverse else [start[None], others], axis=0)

        return tree.tree_map(joined, initializer, tail)

    def step(state: Any, row: Any) -> tuple[Any, Any]:
        result = fn(state, row)
        return result, result

    return _scan(step, elems, initializer, reverse, name or "scan")[1]


def map_fn(fn: Callable[..., Any], elems: Any, *, name: str | None = None) -> Any:
    """``fn(row)`` for each row of ``elems``, the results stacked.

    ``elems``: a tensor ``[n, ...]``, or a structure of them of one ``n``.  ``fn`` gives a tensor or structure of one
    shape and dtype for all rows; each in the result has ``[n, ...]`` of it.  Raises ShapeError for elements without
    rows or of different lengths, and for results that cannot be stacked.
    """
    return _scan(lambda state, row: ([], fn(row)), elems, [], False, name or "map")[1]


def fold(
    fn: Callable[..., Any], elems: Any, initializer: Any = None, *, reverse: bool = False, name: str | None = None
) -> Any:
    """``fn(accumulated, row)`` over the rows of ``elems``: the last accumulated value.

    Arguments, shapes and errors are those of ``scan``; the result has the shape and dtype of ``initializer``.
    """
    if initializer is None:
        first = -1 if reverse else 0
        initializer = tree.tree_map(lambda e: asarray(e)[first], elems)
        elems = tree.tree_map(lambda e: asarray(e)[:-1] if reverse else asarray(e)[1:], elems)
    return _scan(lambda state, row: (fn(state, row), []), elems, initializer, reverse, name or "fold")[0]


def _keeping_dtypes(fn: Callable[[Any, Any], tuple[Any, Any]], name: str, state: Any, row: Any) -> tuple[Any, Any]:
    """``fn(state, row)``; GraphError if a tensor of the state gets another dtype."""
    found = fn(state, row)
    for before, after in zip(tree.leaves(state), tree.leaves(found[0]), strict=False):
        if isinstance(before, Tensor) and isinstance(after, Tensor) and before.dtype is not after.dtype:
            raise GraphError(name, "the accumulated value changes its dtype", {"before": before, "after": after},
                             hint=f"corenn.cast(..., dtype={before.dtype.name!r})")  # fmt: skip
    return found


def _scan(
    fn: Callable[[Any, Any], tuple[Any, Any]], elems: Any, initializer: Any, reverse: bool, name: str
) -> tuple[Any, Any]:
    """``state, output = fn(state, row)`` over rows: the last state, and the outputs stacked."""
    graph = _graph(elems, initializer)
    fn = functools.partial(_keeping_dtypes, fn, name)
    if graph is None:
        return _scan_now(fn, elems, initializer, reverse)
    rows = [graph.convert(e) for e in tree.leaves(elems)]
    state = [graph.convert(s) for s in tree.leaves(initializer)]
    shapes = [s.extents for s in state]
    written: dict[int, Any] = {}
    for _ in range(4):
        known: list[Known] = [(s, t.dtype) for s, t in zip(shapes, state, strict=True)]
        known += [(None if r.extents is None else r.extents[1:], r.dtype) for r in rows]

        def call(*leaves: Any) -> Any:
            carried = tree.rebuild(initializer, iter(leaves[: len(state)]))
            return fn(carried, tree.rebuild(elems, iter(leaves[len(state) :])))

        body, structure = trace(graph, call, known, (), written)
        if len(tree.leaves(structure[0])) != len(state):
            raise GraphError(name, f"the function's state has {len(state)} tensors and becomes "
                             f"{len(tree.leaves(structure[0]))}")  # fmt: skip
        after = [merged(s, o.extents) for s, o in zip(shapes, body.outputs, strict=False)]
        if after == shapes and body.written.keys() == written.keys():
            break
        shapes, written = after, dict(body.written)
    length = next((r.extents[0] for r in rows if r.extents and r.extents[0] is not None), None)
    results: list[Known] = [(s, t.dtype) for s, t in zip(shapes, state, strict=True)]
    results += [(None if o.extents is None else (length, *o.extents), o.dtype) for o in body.outputs[len(state) :]]
    attrs = {"states": len(state), "elements": len(rows), "reverse": reverse}
    operation = graph.add(ScanKind(body), [*state, *rows, *body.captured], results, attrs, name=name)
    last = tree.rebuild(structure[0], iter(operation.outputs[: len(state)]))
    return last, tree.rebuild(structure[1], iter(operation.outputs[len(state) :]))


def _scan_now(
    fn: Callable[[Any, Any], tuple[Any, Any]], elems: Any, initializer: Any, reverse: bool
) -> tuple[Any, Any]:
    rows = [asarray(e) for e in tree.leaves(elems)]
    count = len(rows[0])
    state, collected, output = initializer, [], None
    for i in reversed(range(count)) if reverse else range(count):
        state, output = fn(state, tree.rebuild(elems, iter([r[i] for r in rows])))
        collected.append(tree.leaves(output))
    if reverse:
        collected.reverse()
    if not collected:
        raise ShapeError("scan", "there are no elements", {"elems": rows[0].spec})
    stacked = [stack(*[asarray(v) for v in column], axis=0) for column in zip(*collected, strict=True)]
    return state, tree.rebuild(output, iter(stacked))


__all__ = [
    "CondKind",
    "ControlKind",
    "ScanKind",
    "WhileKind",
    "case",
    "cond",
    "fold",
    "map_fn",
    "parted",
    "scan",
    "while_loop",
]
