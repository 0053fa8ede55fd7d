"""One trace of a function: its graph, its programs for the shapes at hand, and its gradients."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any

from corenn import tree
from corenn.autodiff.functional import custom_gradient
from corenn.autodiff.tape import recording_tapes
from corenn.compiler.executor import Executable
from corenn.compiler.lowering import lower
from corenn.compiler.passes import optimize
from corenn.compiler.program import Program, UnknownValueError
from corenn.device import Device, current_device
from corenn.errors import GraphError, UsageError
from corenn.graph.gradients import gradients
from corenn.graph.graph import Graph
from corenn.graph.kinds import GeneratorKeyKind
from corenn.graph.operations import Known, Operation
from corenn.graph.replay import ReplayRun, replay
from corenn.graph.subgraph import ParameterKind, needed
from corenn.graph.tensors import GraphTensor
from corenn.ops.creation import asarray
from corenn.ops.dispatch import _interpreter
from corenn.ops.random import default_generator, key
from corenn.spec import Spec
from corenn.tensor import Tensor
from corenn.variable import Variable

_log = logging.getLogger("corenn")


class _DefaultGenerator:
    """The default generator, as it is when a key is drawn."""

    def next_key(self) -> Tensor:
        """Its next key."""
        return default_generator().next_key()


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
        return super().random_key(generator=generator or _DefaultGenerator())

    def value_now(self, tensor: GraphTensor, where: str) -> Tensor:
        """The value of a tensor that depends on no argument, for a variable that is made while a function is traced.

        What it is computed from runs now, once.  Raises GraphError for one that depends on arguments.
        """
        steps, waiting = set[Operation](), [tensor.operation]
        while waiting:
            step = waiting.pop()
            if isinstance(step.kind, ParameterKind):
                raise GraphError(
                    where, "its initial value depends on the arguments of the function that is being traced",
                    hint="make the variable before, or give it a value of its own", site=tensor.operation.where,
                )  # fmt: skip
            if step not in steps:
                steps.add(step)
                waiting += [i.operation for i in step.kind.operands(step)]
        device = current_device()
        run = ReplayRun(device, lambda cell: Tensor(cell.data, cell.spec), _Keys(device), None)
        (found,) = replay(sorted(steps, key=lambda o: o.number), [tensor], {}, run)
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
    """

    def __init__(
        self, name: str, function: Callable[..., Any], structure: Any, known: Sequence[Known],
        graph: FunctionGraph | None = None,
    ) -> None:  # fmt: skip
        self.name, self.graph = name, graph if graph is not None else FunctionGraph()
        with self.graph.as_default():
            names = iter(f"arg{i}" for i in range(len(known)))
            given = [self.graph.parameter(k, next(names)) for k in known]
            args, kwargs = structure.filled(given)
            result = function(*args, **kwargs)
            self.structure = result
            self._kept = tree.leaves(result)
            self.outputs = [self.graph.convert(leaf) if isinstance(leaf, Tensor) else None for leaf in self._kept]
        self._fetches = [o for o in self.outputs if o is not None]
        self._operations = self._needed(self._fetches)
        self._executables: dict[Any, tuple[Executable, list[Any], list[tuple[Any, Spec]]] | None] = {}
        self._backward: ConcreteGradient | None = None

    def _needed(self, fetches: list[GraphTensor]) -> list[Operation]:
        return [o for o in needed(self.graph, fetches) if not isinstance(o.kind, ParameterKind)]  # type: ignore[arg-type]

    @property
    def inputs(self) -> list[GraphTensor]:
        """The parameters."""
        return list(self.graph.parameters)

    def variables(self) -> list[Variable]:
        """The eager variables it reads."""
        return [v for v, _ in self.graph.reads.values()]

    def __call__(self, *args: Any) -> Any:
        """Run it on tensors for its parameters."""
        values = [asarray(a) for a in args]
        if len(values) != len(self.graph.parameters):
            raise UsageError(self.name, f"takes {len(self.graph.parameters)} tensors, not {len(values)}")
        return self.call_flat(values)

    def call_flat(self, values: list[Tensor]) -> Any:
        """Run it on one tensor for each parameter; tapes that watch an input or a variable record it."""
        tapes = recording_tapes()
        if tapes:
            return self._recorded(values)
        return self.rebuild(self.run(values, None))

    def rebuild(self, results: Sequence[Tensor]) -> Any:
        """The structure the Python function returned, with these tensors."""
        found = iter(results)
        return tree.rebuild(
            self.structure,
            iter([kept if o is None else next(found) for kept, o in zip(self._kept, self.outputs, strict=True)]),
        )

    # ---- running

    def run(self, values: Sequence[Tensor], keys: _Keys | None) -> list[Tensor]:
        """The outputs as tensors."""
        where = values[0].spec.device if values else self._home()
        assert where is not None  # arrays have devices
        signature = (where, *[v.spec for v in values])
        if signature not in self._executables:
            self._executables[signature] = self._compiled(values, where)
        made = self._executables[signature]
        draw = keys or _Keys(where)
        if made is None:
            return self._replayed(values, where, draw)
        executable, cells, writes = made
        results, written = executable([v.data for v in values], [c.data for c in cells], draw)
        for (cell, _), array in zip(writes, written, strict=True):
            cell.data, cell.node = array, None
        specs = [r.spec for r in executable.program.results]
        return [Tensor(array, spec) for array, spec in zip(results, specs, strict=True)]

    def _home(self) -> Device:
        variables = self.variables()
        return variables[0].device if variables else current_device()

    def program(self, *args: Any) -> Program:
        """The program that runs for such arguments; GraphError if they run operation by operation."""
        values = [asarray(a) for a in args]
        where = values[0].device if values else self._home()
        signature = (where, *[v.spec for v in values])
        if signature not in self._executables:
            self._executables[signature] = self._compiled(values, where)
        made = self._executables[signature]
        if made is None:
            raise GraphError(self.name, "runs operation by operation for these arguments")
        return made[0].program

    def _compiled(
        self, values: Sequence[Tensor], where: Device
    ) -> tuple[Executable, list[Any], list[tuple[Any, Spec]]] | None:
        feeds = {p: v.spec for p, v in zip(self.graph.parameters, values, strict=True)}
        try:
            program, _ = lower(self._operations, self._fetches, feeds, {}, where, lambda cell: cell.spec)
        except UnknownValueError as reason:
            _log.info("%s runs operation by operation: %s", self.name, reason.what)
            return None
        program = optimize(program)
        writes = [(cell, symbol.spec) for cell, symbol in program.writes]
        return Executable(program), [cell for cell, _ in program.state], writes

    def _replayed(self, values: Sequence[Tensor], where: Device, draw: _Keys) -> list[Tensor]:
        run = ReplayRun(where, lambda cell: Tensor(cell.data, cell.spec), draw, None)
        feeds = dict(zip(self.graph.parameters, values, strict=True))
        results = replay(self._operations, self._fetches, feeds, run)
        for place, cell in run.written.items():
            cell.data, cell.node = run.values[place].data, None
        return results

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
            keys = _Keys(values[0].device if values else self._home())
            state = [v.data for v in variables]
            outputs = self.run(arguments, keys)

            def pull(*output_gradients: Any) -> tuple[Tensor | None, ...]:
                return backward(
                    arguments, list(output_gradients), keys, dict(zip(map(id, variables), state, strict=True))
                )

            return tuple(outputs), pull

        outputs = call(*values, *variables) if self._fetches else self.run(values, None)
        return self.rebuild(list(outputs))


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
        kind = operation.kind
        assert isinstance(kind, GeneratorKeyKind)  # the only one that function graphs make
        place = self._places.get(id(operation))
        drawn = self._drawn.setdefault(id(operation), [])
        if place is not None and place < len(drawn):
            self._places[id(operation)] = place + 1
            return drawn[place]
        with self._device:
            made = kind.generator.next_key().data
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
        waiting, operations = [r.operation for r in self._fetches], set()
        while waiting:
            operation = waiting.pop()
            if operation not in operations:
                operations.add(operation)
                waiting += [i.operation for i in operation.kind.operands(operation)]
        self._operations = [
            o for o in sorted(operations, key=lambda o: o.number) if not isinstance(o.kind, ParameterKind)
        ]
        self._executables: dict[Any, tuple[Executable, list[Any]] | None] = {}

    def __call__(
        self, arguments: list[Tensor], output_gradients: list[Any], keys: _Keys, state: dict[int, Any]
    ) -> tuple[Tensor | None, ...]:
        """Gradients of the parameters, then of the variables; ``None`` where there is none."""
        grads = [output_gradients[i] for i in self._places]
        values = [*arguments, *grads]
        parameters = [*self.parameters, *self.seeds]
        where = values[0].spec.device
        assert where is not None  # arrays have devices
        signature = (where, *[v.spec for v in values])
        if signature not in self._executables:
            feeds = {p: v.spec for p, v in zip(parameters, values, strict=True)}
            try:
                program, _ = lower(self._operations, self._fetches, feeds, {}, where, lambda cell: cell.spec)
                program = optimize(program)
                self._executables[signature] = Executable(program), [cell for cell, _ in program.state]
            except UnknownValueError:
                self._executables[signature] = None
        made = self._executables[signature]
        keys.rewind()
        if made is None:
            run = ReplayRun(where, lambda cell: Tensor(state.get(id(cell), cell.data), cell.spec), keys, None)
            results = iter(replay(self._operations, self._fetches, dict(zip(parameters, values, strict=True)), run))
        else:
            executable, cells = made
            arrays, _ = executable([v.data for v in values], [state.get(id(c), c.data) for c in cells], keys)
            specs = [r.spec for r in executable.program.results]
            results = iter([Tensor(a, s) for a, s in zip(arrays, specs, strict=True)])
        return tuple(None if r is None else next(results) for r in self._results)


def _sum(parts: list[GraphTensor | None]) -> GraphTensor | None:
    present = [p for p in parts if p is not None]
    return functools.reduce(lambda a, b: a + b, present) if present else None  # type: ignore[arg-type, return-value]


__all__ = ["ConcreteFunction", "ConcreteGradient", "FunctionGraph"]
