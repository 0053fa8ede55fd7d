"""One trace of a function: its graph, its programs for the shapes at hand, and its gradients."""

from __future__ import annotations

import functools
import logging
import operator
from collections.abc import Callable, Sequence
from typing import Any

from corenn import tree
from corenn.autodiff.functional import custom_gradient
from corenn.autodiff.tape import recording_tapes
from corenn.compiler.compiling import Compiled, compile_run
from corenn.compiler.program import Program, UnknownValueError
from corenn.device import Device, current_device
from corenn.errors import GradientError, GraphError, UsageError
from corenn.graph.gradients import gradients
from corenn.graph.graph import Graph, building
from corenn.graph.kinds import GeneratorKeyKind, HostCallKind
from corenn.graph.operations import Known, Operation, needed
from corenn.graph.replay import ReplayRun, replay
from corenn.graph.subgraph import ParameterKind, whole
from corenn.graph.tensors import GraphTensor
from corenn.ops.creation import asarray
from corenn.ops.dispatch import _interpreter
from corenn.ops.random import default_generator, key
from corenn.tensor import Tensor
from corenn.variable import Variable

_log = logging.getLogger("corenn")
_spec_of = operator.attrgetter("spec")


class _DefaultGenerator:
    """The default generator, as it is when a key is drawn."""

    def next_key_on(self, device: Device) -> Any:
        """Its next key, an array of the device's backend."""
        return default_generator().next_key_on(device)


class FunctionGraph(Graph):
    """The graph of a traced function: it reads and writes eager variables, and holds eager tensors it captured."""

    def __init__(self) -> None:
        super().__init__()
        self.parameters: list[GraphTensor] = []

    def parameter(self, known: Known, name: str) -> GraphTensor:
        """A new parameter."""
        made = self.add(ParameterKind(), [], [known], name=name, controls=[]).outputs[0]
        self.parameters.append(made)
        return made

    def random_key(self, seed: int | None = None, generator: Any = None) -> GraphTensor:
        """As eagerly: a key that ``seed`` names, or the next of the generator."""
        if seed is not None:
            return self.convert(_outside(key, seed))
        # Not super(): branches and loops inside (``SubGraph.random_key``) call this with themselves.
        return Graph.random_key(self, generator=generator or _DefaultGenerator())

    def value_now(self, tensor: GraphTensor, where: str) -> Tensor:
        """The value of a tensor that depends on no argument, for a variable that is made while a function is traced.

        What it is computed from runs now, once.  Raises GraphError for one that depends on arguments.
        """
        steps = needed([tensor.operation], controls=False)
        if any(isinstance(step.kind, ParameterKind) for step in steps):
            raise GraphError(
                where, "its initial value depends on the arguments of the function that is being traced",
                hint="make the variable before, or give it a value of its own", site=tensor.operation.where,
            )  # fmt: skip
        device = current_device()
        run = ReplayRun(device, lambda cell: Tensor(cell.data, cell.spec), _Keys(device), None)
        (found,) = replay(steps, [tensor], {}, run)
        return found

    def session_for(self, where: str, session: Any = None) -> Any:
        """A traced function has no session."""
        raise GraphError(where, "it is inside a function, which only runs as a whole", hint="return the tensor")


def _outside(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function eagerly, whatever is being built."""
    token = _interpreter.set(None)
    try:
        return function(*args)
    finally:
        _interpreter.reset(token)


class ConcreteFunction:
    """One trace: a graph, the parameters it takes, and what it returns.

    ``graph`` can be looked at, exported, shown; ``program(*args)`` is what runs for arguments of such shapes.
    ``inputs`` are graph tensors of the shapes and dtypes it takes; ``outputs`` those it gives, ``None`` in the places
    of what is no tensor.  Making one raises what the Python function raises; calls raise UsageError for another number
    of tensors, and what operations raise, with a note that names the operation.
    """

    def __init__(
        self, name: str, function: Callable[..., Any], structure: Any, known: Sequence[Known],
        graph: FunctionGraph | None = None, memory_budget: int | None = None,
    ) -> None:  # fmt: skip
        self.name, self.graph = name, graph if graph is not None else FunctionGraph()
        self._function, self._arguments = function, structure
        with self.graph.as_default():
            names = iter(f"arg{i}" for i in range(len(known)))
            given = [self.graph.parameter(k, next(names)) for k in known]
            args, kwargs = structure.filled(given)
            result = function(*args, **kwargs)
            self.structure = result
            self._kept = tree.leaves(result)
            self.outputs = [self.graph.convert(leaf) if isinstance(leaf, Tensor) else None for leaf in self._kept]
        self._fetches = [o for o in self.outputs if o is not None]
        self._single = isinstance(result, Tensor)
        self._runs = _Runs(name, whole(self.graph, self._fetches), self._fetches, memory_budget=memory_budget)
        self._backward: ConcreteGradient | None = None

    @property
    def inputs(self) -> list[GraphTensor]:
        """The parameters."""
        return list(self.graph.parameters)

    def variables(self) -> list[Variable]:
        """The eager variables it reads."""
        return [v for v, _ in self.graph.reads.values()]

    def __call__(self, *args: Any) -> Any:
        """Run it on tensors for its parameters; UsageError for another number of them."""
        values = [asarray(a) for a in args]
        if len(values) != len(self.graph.parameters):
            raise UsageError(self.name, f"takes {len(self.graph.parameters)} tensors, not {len(values)}")
        if building() is not None:  # part of what is being built, like any other function
            arguments, named = self._arguments.filled(values)
            return self._function(*arguments, **named)
        return self.call_flat(values)

    def call_flat(self, values: list[Tensor]) -> Any:
        """Run it on one tensor for each parameter; tapes that watch an input or a variable record it."""
        return self._recorded(values) if recording_tapes() else self.rebuild(self.run(values, None))

    def rebuild(self, results: Sequence[Tensor]) -> Any:
        """The structure the Python function returned, with these tensors."""
        if self._single:
            return results[0]
        found = iter(results)
        return tree.rebuild(
            self.structure,
            iter([kept if o is None else next(found) for kept, o in zip(self._kept, self.outputs, strict=True)]),
        )

    # ---- running

    def run(self, values: Sequence[Tensor], keys: _Keys | None, runs: _Runs | None = None) -> list[Tensor]:
        """The outputs as tensors; ``runs``: a run of it that gives something else."""
        where = self.device_for(values)
        runs = runs or self._runs
        compiled = runs.compiled(self.graph.parameters, values, where)
        if compiled is None:
            results, run = runs.replayed(
                self.graph.parameters, values, where, keys or _Keys(where), lambda cell: cell.data
            )
            for place, cell in run.written.items():
                cell.data, cell.node = run.values[place].data, None
            return results
        draw: Callable[[Operation], Any] = keys or (functools.partial(_next_key, where) if compiled.draws else _no_keys)
        arrays, written = compiled.executable([v.data for v in values], [c.data for c in compiled.cells], draw)
        for cell, array in zip(compiled.written, written, strict=True):
            cell.data, cell.node = array, None
        return [Tensor(array, spec) for array, spec in zip(arrays, compiled.specs, strict=True)]

    def device_for(self, values: Sequence[Tensor]) -> Device:
        """Where it runs: where its arguments are, or its variables."""
        if values:
            where = values[0].spec.device
            assert where is not None  # arrays have devices
            return where
        variables = self.variables()
        return variables[0].device if variables else current_device()

    def program(self, *args: Any) -> Program:
        """The program that runs for such arguments; GraphError if they run operation by operation."""
        values = [asarray(a) for a in args]
        compiled = self._runs.compiled(self.graph.parameters, values, self.device_for(values))
        if compiled is None:
            raise GraphError(self.name, "runs operation by operation for these arguments")
        return compiled.executable.program

    # ---- gradients

    def _recorded(self, values: list[Tensor]) -> Any:
        """Run under tapes: its gradients come from a second graph, which computes it again with the same keys."""
        variables = [v for v in self.variables() if v.dtype.is_inexact]
        if self._backward is None:
            self._backward = ConcreteGradient(self, variables)
        backward = self._backward

        @custom_gradient
        def call(*operands: Tensor) -> tuple[Any, Callable[..., Any]]:
            arguments = list(operands[: len(values)])
            keys = _Keys(self.device_for(values))
            state = [v.data for v in variables]
            found = self.run(arguments, keys, backward.forward_runs)
            outputs, kept = found[: len(self._fetches)], found[len(self._fetches) :]

            def pull(*output_gradients: Any) -> tuple[Tensor | None, ...]:
                return backward(
                    arguments, list(output_gradients), kept, keys, dict(zip(map(id, variables), state, strict=True))
                )

            return tuple(outputs), pull

        outputs = call(*values, *variables) if self._fetches else self.run(values, None)
        return self.rebuild(list(outputs))


class _Runs:
    """Operations of a function's graph, and the programs they become for the shapes at hand."""

    def __init__(
        self, name: str, operations: Sequence[Operation], fetches: Sequence[GraphTensor], writes: bool = True,
        memory_budget: int | None = None,
    ) -> None:  # fmt: skip
        self.name, self.fetches, self.writes, self.memory_budget = name, fetches, writes, memory_budget
        self.operations = [o for o in operations if not isinstance(o.kind, ParameterKind)]
        self._compiled: dict[Any, Compiled | None] = {}

    def giving(self, further: Sequence[GraphTensor]) -> _Runs:
        """The same operations, giving further tensors after the fetches."""
        if not further:
            return self
        return _Runs(self.name, self.operations, [*self.fetches, *further], self.writes, self.memory_budget)

    def compiled(self, parameters: Sequence[GraphTensor], values: Sequence[Tensor], where: Device) -> Compiled | None:
        """The program for such values; ``None``, said once in the log, if they run operation by operation."""
        signature = (where, *map(_spec_of, values))
        try:
            return self._compiled[signature]
        except KeyError:
            pass
        feeds = {p: v.spec for p, v in zip(parameters, values, strict=True)}
        made: Compiled | None = None
        try:
            made = compile_run(
                self.operations, self.fetches, feeds, where, lambda cell: cell.spec, writes=self.writes,
                memory_budget=self.memory_budget,
            )  # fmt: skip
        except UnknownValueError as reason:
            _log.info("%s runs operation by operation: %s", self.name, reason.what)
        self._compiled[signature] = made
        return made

    def replayed(
        self, parameters: Sequence[GraphTensor], values: Sequence[Tensor], where: Device, keys: _Keys,
        state: Callable[[Any], Any],
    ) -> tuple[list[Tensor], ReplayRun]:  # fmt: skip
        """The values of the fetches, operation by operation; ``state(cell)`` gives the array of a variable."""
        run = ReplayRun(where, lambda cell: Tensor(state(cell), cell.spec), keys, None)
        return replay(self.operations, self.fetches, dict(zip(parameters, values, strict=True)), run), run


def _calls(operation: Operation) -> bool:
    """Whether it is a call of Python with effects; GradientError for a branch or loop with one that it has to run."""
    kind = operation.kind
    if isinstance(kind, HostCallKind):
        return kind.effects
    for inside in [o for g in getattr(kind, "subgraphs", ()) for o in g.get_operations()]:
        if _calls(inside):
            raise GradientError(
                operation.name, "its gradient would call Python with effects again",
                hint="take the gradient inside the function", site=inside.where,
            )  # fmt: skip
    return False


def _no_keys(operation: Operation) -> Any:
    """For programs that draw nothing."""
    raise AssertionError(f"{operation.name} draws a key that its program does not name")


def _next_key(device: Device, operation: Operation) -> Any:
    """The next key of a random operation, for a run that is not repeated."""
    kind = operation.kind
    assert isinstance(kind, GeneratorKeyKind)  # the only one that function graphs make
    return kind.generator.next_key_on(device)


class _Keys:
    """Draws keys of random operations, and gives them again in the same order when rewound."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._drawn: dict[int, list[Any]] = {}
        self._places: dict[int, int] = {}

    def rewind(self) -> None:
        """Start again with the keys drawn before."""
        self._places = dict.fromkeys(self._drawn, 0)

    def __call__(self, operation: Operation) -> Any:
        place = self._places.get(id(operation))
        drawn = self._drawn.setdefault(id(operation), [])
        if place is not None and place < len(drawn):
            self._places[id(operation)] = place + 1
            return drawn[place]
        made = _next_key(self._device, operation)
        drawn.append(made)
        return made


class ConcreteGradient:
    """The gradients of a trace: from its parameters and output gradients to gradients of parameters and variables."""

    def __init__(self, forward: ConcreteFunction, variables: list[Variable]) -> None:
        self.forward, self.variables = forward, variables
        graph = forward.graph
        self._targets = [o for o in forward._fetches if o.dtype.is_inexact]
        self._places = [i for i, o in enumerate(forward._fetches) if o.dtype.is_inexact]
        with graph.as_default():
            count = len(graph.parameters)
            self.seeds = [graph.parameter((o.extents, o.dtype), f"gradient{i}") for i, o in enumerate(self._targets)]
            self.parameters = graph.parameters[:count]
            del graph.parameters[count:]
            sources = [p for p in self.parameters if p.dtype.is_inexact]
            reads = [graph.reads[id(v)][1] for v in variables]
            flat = [*sources, *[r for places in reads for r in places]]
            found = gradients(self._targets, flat, self.seeds) if self._targets and flat else [None] * len(flat)
            of_sources = dict(zip(map(id, sources), found[: len(sources)], strict=True))
            parts = iter(found[len(sources) :])
            of_variables = [_sum([next(parts) for _ in places]) for places in reads]
        self._results = [*[of_sources.get(id(p)) for p in self.parameters], *of_variables]
        self._fetches = [r for r in self._results if r is not None]
        # What the function writes it may read again.
        writing = [o for o in forward._runs.operations if o.kind.writes]
        wanted = [*[r.operation for r in self._fetches], *writing]
        # Python with effects is not called again: what it returned is kept.
        called = [o for o in needed(wanted, controls=False) if _calls(o)]
        self.kept = [output for operation in called for output in operation.outputs]
        operations = needed(wanted, {id(k) for k in self.kept}, controls=False)
        self._runs = _Runs(
            f"the gradient of {forward.name}", operations, self._fetches, False, forward._runs.memory_budget
        )
        self.forward_runs = forward._runs.giving(self.kept)

    def __call__(
        self, arguments: list[Tensor], output_gradients: list[Any], kept: list[Tensor], keys: _Keys,
        state: dict[int, Any],
    ) -> tuple[Tensor | None, ...]:  # fmt: skip
        """Gradients of the parameters, then of the variables; ``None`` where there is none.

        ``kept``: what the run of ``forward_runs`` gave after the outputs; ``state``: arrays of variables, as before.
        """
        grads = [output_gradients[i] for i in self._places]
        values = [*arguments, *grads, *kept]
        parameters = [*self.parameters, *self.seeds, *self.kept]
        where = self.forward.device_for(values)
        compiled = self._runs.compiled(parameters, values, where)
        keys.rewind()
        if compiled is None:
            found, _ = self._runs.replayed(parameters, values, where, keys, lambda cell: state.get(id(cell), cell.data))
        else:
            arrays, _ = compiled.executable(
                [v.data for v in values], [state.get(id(c), c.data) for c in compiled.cells], keys
            )
            found = [Tensor(a, s) for a, s in zip(arrays, compiled.specs, strict=True)]
        results = iter(found)
        return tuple(None if r is None else next(results) for r in self._results)


def _sum(parts: list[GraphTensor | None]) -> GraphTensor | None:
    present = [p for p in parts if p is not None]
    return functools.reduce(lambda a, b: a + b, present) if present else None  # type: ignore[arg-type, return-value]


__all__ = ["ConcreteFunction", "ConcreteGradient", "FunctionGraph"]
