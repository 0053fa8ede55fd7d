"""Graphs inside a graph: the branches of a condition, the body of a loop, a traced function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from corenn import tree
from corenn.errors import GraphError
from corenn.graph.graph import Graph
from corenn.graph.kinds import DefaultPlaceholderKind
from corenn.graph.operations import Kind, Known, Operation, Run, needed
from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor
from corenn.variable import Variable


class ParameterKind(Kind):
    """A value that whoever runs the subgraph passes."""

    type = "Parameter"

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """Never called: parameters are given."""
        raise GraphError(operation.name, "a parameter of a subgraph was not passed")


class SubGraph(Graph):
    """A graph that is run by an operation of another.

    ``parameters`` are passed by that operation; tensors of the outer graph that are used inside become
    ``captures``: the outer tensor and the parameter that stands for it.
    """

    def __init__(self, outer: Graph) -> None:
        super().__init__()
        self.tensor_class = outer.tensor_class  # type: ignore[misc]  # one graph's own
        self.operation_class = outer.operation_class  # type: ignore[misc]
        self.outer = outer
        self.seed = outer.seed
        self.collections = outer.collections
        self.variable_scopes = outer.variable_scopes
        self.parameters: list[GraphTensor] = []
        self.captures: dict[int, tuple[GraphTensor, GraphTensor]] = {}
        self.outputs: list[GraphTensor] = []

    def parameter(self, known: Known, name: str = "arg") -> GraphTensor:
        """A new parameter."""
        made = self.add(ParameterKind(), [], [known], name=name, controls=[]).outputs[0]
        self.parameters.append(made)
        return made

    def inside(self, home: Graph) -> bool:
        """Whether ``home`` is this graph or one around it."""
        return self is home or self.outer.inside(home)

    def capture(self, tensor: GraphTensor) -> GraphTensor:
        """The parameter that stands for a tensor of the outer graph."""
        if not self.inside(tensor.graph):
            return super().capture(tensor)
        outside = self.outer.convert(tensor)
        found = self.captures.get(id(outside))
        if found is None:
            name = f"{outside.operation.name.split('/')[-1]}_in"
            known = (outside.extents, outside.dtype)
            inside = self.add(ParameterKind(), [], [known], name=name, controls=[]).outputs[0]
            found = self.captures[id(outside)] = (outside, inside)
        return found[1]

    def capture_tensor(self, tensor: Tensor, name: str | None = None) -> GraphTensor:
        """The outer graph keeps it."""
        return self.capture(self.outer.capture_tensor(tensor, name))

    def capture_variable(self, variable: Variable) -> GraphTensor:
        """Read by the outer graph, before the subgraph runs, unless the subgraph has written it."""
        source = self.capture(self.outer.capture_variable(variable))
        if id(variable) not in self.written:
            return source
        from corenn.graph.state import read_eager

        return read_eager(self, variable, source)

    def random_key(self, seed: int | None = None, generator: Any = None) -> GraphTensor:
        """As the outer graph would, drawn every time the subgraph runs."""
        from corenn.graph.concrete import FunctionGraph

        home: Any = self.outer
        while isinstance(home, SubGraph):
            home = home.outer
        if isinstance(home, FunctionGraph):
            return FunctionGraph.random_key(self, seed, generator)  # type: ignore[arg-type]  # it only adds here
        return super().random_key(seed, generator)

    def _place_of_draw(self) -> int:
        """Numbers repeat in branches and loops; streams must not: the outermost graph counts those inside."""
        home: Graph = self.outer
        while isinstance(home, SubGraph):
            home = home.outer
        home.inner_draws += 1
        return len(home.get_operations()) + (home.inner_draws << 32)

    def session_for(self, where: str, session: Any = None) -> Any:
        """A subgraph has no session of its own."""
        raise GraphError(where, "it is inside a branch, loop or function, which only runs as a whole")

    @property
    def captured(self) -> list[GraphTensor]:
        """The outer tensors, in the order they were first used."""
        return [outside for outside, _ in self.captures.values()]


def trace(
    outer: Graph, function: Callable[..., Any], known: Sequence[Known], names: Sequence[str] = (),
    written: Mapping[int, Any] | None = None,
) -> tuple[SubGraph, Any]:  # fmt: skip
    """A subgraph of what ``function`` does with parameters of which this is known, and the structure it returned.

    The leaves of the structure become the subgraph's outputs (``None`` and operations are kept out: an operation must
    only run).  ``written``: variables that are read inside from the start, for iterations before have written them.
    """
    inner = SubGraph(outer)
    inner.written.update(written or {})
    with inner.as_default():
        given = [inner.parameter(k, names[i] if i < len(names) else "arg") for i, k in enumerate(known)]
        result = function(*given)
        leaves = [leaf for leaf in tree.leaves(result) if leaf is not None]
        inner.outputs = [_output(inner, leaf) for leaf in leaves]
    return inner, result


def _output(inner: SubGraph, leaf: Any) -> GraphTensor:
    if not isinstance(leaf, Operation):
        return inner.convert(leaf)
    with inner.control_dependencies([leaf]):  # True, once the operation has run
        done = inner.constant(True)
        return inner.add(DefaultPlaceholderKind(), [done], [((), done.dtype)], name="done").outputs[0]


def whole(graph: Graph, outputs: Sequence[GraphTensor]) -> list[Operation]:
    """The operations that the outputs need, and those with effects, in order."""
    return needed([*[o.operation for o in outputs], *[o for o in graph.get_operations() if o.kind.effects]])


def run_subgraph(inner: SubGraph, parameters: Sequence[Tensor], captured: Sequence[Tensor], run: Run) -> list[Tensor]:
    """Run a subgraph on values for its parameters and captures; its outputs."""
    values: dict[int, Tensor] = {id(p): v for p, v in zip(inner.parameters, parameters, strict=True)}
    values |= {id(inside): v for (_, inside), v in zip(inner.captures.values(), captured, strict=True)}
    return run_operations(whole(inner, inner.outputs), values, inner.outputs, run)


def run_operations(
    operations: Sequence[Operation], values: dict[int, Tensor], outputs: Sequence[GraphTensor], run: Run
) -> list[Tensor]:
    """Run operations in order; ``values`` has what is given, by identity of the graph tensor, and collects results."""
    for operation in operations:
        if operation.outputs and all(id(o) in values for o in operation.outputs):
            continue
        kind = operation.kind
        inputs = [values[id(i)] for i in kind.operands(operation)]
        try:
            results = kind.run(operation, inputs, run)
        except Exception as error:
            blame(error, operation, inputs)
            raise
        for output, result in zip(operation.outputs, results, strict=True):
            values.setdefault(id(output), result)
    return [values[id(o)] for o in outputs]


def blame(error: Exception, operation: Operation, inputs: Iterable[Any]) -> None:
    """Note on an error which operation raised it, of what (things with a ``spec``), and where the user made it."""
    if getattr(error, "graph_operation", None) is not None:
        return
    error.graph_operation = operation  # type: ignore[attr-defined]  # errors carry attributes
    shown = ", ".join(str(i.spec.at(None)) for i in inputs)
    made = f", made at {operation.where}" if operation.where else ""
    error.add_note(f"in operation {operation.name!r} (type {operation.type}) of ({shown}){made}")


__all__ = ["ParameterKind", "SubGraph", "blame", "run_operations", "run_subgraph", "trace", "whole"]
