"""Level 7: programs.  Training steps run whole, after every pass and as the backend compiles them, against the same
steps op by op on the same backend; and what a program may never do to arrays that others hold."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

import numpy as np

from corenn import dtypes, nn, optimizers
from corenn.autodiff.tape import GradientTape
from corenn.backend.contract import Backend
from corenn.compiler.compiling import Runs
from corenn.compiler.executor import Executable
from corenn.compiler.passes import (
    eliminate_common_subexpressions,
    eliminate_dead_state,
    fold,
    join_updates,
    optimize,
    prune,
    rematerialize,
    simplify,
)
from corenn.compiler.passes.axes import REDUCTIONS, RESHAPES
from corenn.compiler.passes.decompose import decompose
from corenn.compiler.passes.fuse import fuse
from corenn.compiler.program import Call, Program
from corenn.compiler.verify import verify
from corenn.compiler.watching import watching
from corenn.device import Device, device_of
from corenn.graph import cond, py_function, while_loop
from corenn.graph.function import function
from corenn.ops.creation import tensor
from corenn.ops.families import binary, comparison, unary
from corenn.ops.random import Generator
from corenn.ops.table import TABLE
from corenn.tensor import Tensor
from corenn.testing.cases import Case
from corenn.testing.compare import difference
from corenn.testing.tolerances import GRADIENT, TRAINING, forward
from corenn.testing.trial import Host, require_dtypes
from corenn.variable import Variable

_STEPS = 4
_BATCH, _CLASSES = 6, 3
_ELEMENTWISE = frozenset(o.name for o in TABLE.values() if o.family in (unary, binary, comparison)) | {"where", "cast"}


def cases(backend: Backend) -> Iterator[Case]:
    """L7: training steps compiled and after each pass; what programs leave alone."""
    home = device_of(backend, 0)
    for name, network in NETWORKS.items():
        yield Case(f"L7/{name}/compiled", functools.partial(_check_step, home, network, None))
        for title, change in PASSES.items():
            yield Case(f"L7/{name}/{title}", functools.partial(_check_step, home, network, change))
    for name, scenario in SCENARIOS.items():
        yield Case(f"L7/keeps/{name}", functools.partial(_check_scenario, home, scenario))


def _op(name: str, *operands: Any, **attrs: object) -> Tensor:
    """A call of an op of one result, by name."""
    found: Tensor = TABLE[name].public(*operands, **attrs)
    return found


# ---------------------------------------------------------------- passes


def _joinable(call: Call) -> bool:
    return call.name in _ELEMENTWISE | REDUCTIONS | RESHAPES


def _nothing(call: Call) -> bool:
    return False


def _apart(program: Program) -> Program:
    return decompose(program, _nothing)


def _fused(program: Program) -> Program:
    return fuse(program, _joinable)


def _everything(program: Program) -> Program:
    return _fused(join_updates(optimize(_apart(optimize(program)))))


#: What the core may do to a program before it runs, each by itself and then all of it.
PASSES: dict[str, Callable[[Program], Program]] = {
    "as lowered": lambda program: program,
    "pruned": prune,
    "simplified": simplify,
    "common subexpressions": eliminate_common_subexpressions,
    "constants folded": fold,
    "dead state": eliminate_dead_state,
    "decomposed": _apart,
    "fused": _fused,
    "joined": join_updates,
    "rematerialized": lambda program: rematerialize(optimize(program), 0),
    "everything": _everything,
}

# ---------------------------------------------------------------- networks


@dataclass
class Network:
    """``forward`` of variables, a batch and a generator gives logits; ``weights`` are trained, ``others`` are not.

    ``inputs``: the shape of an example.
    """

    inputs: tuple[int, ...]
    weights: dict[str, tuple[int, ...]]
    forward: Callable[[dict[str, Variable], Tensor, Generator], Tensor]
    optimizer: Callable[[], optimizers.Optimizer]
    others: tuple[tuple[str, tuple[int, ...]], ...] = ()


def _dense(w: dict[str, Variable], x: Tensor, draws: Generator) -> Tensor:
    return _op("relu", x @ w["w1"] + w["b1"]) @ w["w2"] + w["b2"]


def _convolutional(w: dict[str, Variable], x: Tensor, draws: Generator) -> Tensor:
    hidden = _op("relu", _op("conv", x, w["w1"], padding="SAME") + w["b1"])
    hidden = _op("max_pool", hidden, window=2)
    return _op("reshape", hidden, shape=(_BATCH, -1)) @ w["w2"] + w["b2"]


def _normalized(w: dict[str, Variable], x: Tensor, draws: Generator) -> Tensor:
    hidden, mean, variance = TABLE["batch_norm_training"].public(x @ w["w1"], w["gamma"], w["b1"])
    for name, now in (("mean", mean), ("variance", variance)):
        w[name].assign_sub((w[name] - _op("stop_gradient", now)) * 0.1)
    return _op("tanh", hidden) @ w["w2"] + w["b2"]


def _dropping(w: dict[str, Variable], x: Tensor, draws: Generator) -> Tensor:
    hidden = _op("sigmoid", nn.dropout(x, rate=0.2, generator=draws) @ w["w1"] + w["b1"])
    return nn.dropout(hidden, rate=0.5, generator=draws) @ w["w2"] + w["b2"]


def _recurrent(w: dict[str, Variable], x: Tensor, draws: Generator) -> Tensor:
    start = _op("full", shape=(_BATCH, 8), value=0.0, dtype=dtypes.float32)
    outputs, _, _ = nn.lstm(x, start, start, w["w1"], w["u1"], w["b1"])
    return outputs[:, -1] @ w["w2"] + w["b2"]


def _layers(inputs: int, hidden: int, gates: int = 1) -> dict[str, tuple[int, ...]]:
    return {"w1": (inputs, gates * hidden), "b1": (gates * hidden,), "w2": (hidden, _CLASSES), "b2": (_CLASSES,)}


NETWORKS: dict[str, Network] = {
    "dense": Network((12,), _layers(12, 16), _dense, lambda: optimizers.Adam(0.05)),
    "conv": Network(
        (8, 8, 3), {**_layers(0, 4 * 4 * 16), "w1": (3, 3, 3, 16), "b1": (16,)}, _convolutional,
        lambda: optimizers.SGD(0.05, momentum=0.9),
    ),
    "batch norm": Network(
        (12,), {**_layers(12, 16), "gamma": (16,)}, _normalized, lambda: optimizers.RMSprop(0.01),
        (("mean", (16,)), ("variance", (16,))),
    ),
    "dropout": Network((12,), _layers(12, 16), _dropping, lambda: optimizers.SGD(0.1)),
    "lstm": Network((5, 6), {**_layers(6, 8, 4), "u1": (8, 32)}, _recurrent, lambda: optimizers.Adam(0.05)),
}  # fmt: skip


class _Training:
    """A network about to be trained: everything is drawn from fixed seeds, so two of them go the same way."""

    def __init__(self, network: Network) -> None:
        rng = np.random.Generator(np.random.Philox(11))

        def drawn(shape: tuple[int, ...]) -> Host:
            scale = np.sqrt(max(1, int(np.prod(shape[:-1]))))
            return np.asarray(rng.normal(size=shape) / scale, np.float32)

        self.network, self.optimizer, self.draws = network, network.optimizer(), Generator(5)
        self.variables = {n: Variable(drawn(s), name=n) for n, s in network.weights.items()}
        self.variables |= {n: Variable(drawn(s), name=n) for n, s in network.others}
        self.batches = [
            (tensor(drawn((_BATCH, *network.inputs))), tensor(np.eye(3, dtype=np.float32)[rng.integers(0, 3, _BATCH)]))
            for _ in range(_STEPS)
        ]

    def step(self, x: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """The loss and the gradients; the weights are updated."""
        trained = [self.variables[n] for n in self.network.weights]
        with GradientTape() as tape:
            logits = self.network.forward(self.variables, x, self.draws)
            loss = _op("mean", _op("softmax_cross_entropy", labels, logits), axis=None)
        found = tape.gradient(loss, trained)
        self.optimizer.apply_gradients(zip(found, trained, strict=True))
        return (loss, *found)

    def run(self, step: Callable[..., Sequence[Tensor]]) -> list[list[Host]]:
        """Loss and gradients of each step, and the weights at the end, read when all is done."""
        kept = [step(x, labels) for x, labels in self.batches]
        return [*([np.array(t.numpy()) for t in results] for results in kept),
                [np.array(v.numpy()) for v in self.variables.values()]]  # fmt: skip


def _check_step(home: Device, network: Network, change: Callable[[Program], Program] | None) -> str | None:
    """A few training steps as one program each, against the same op by op."""
    require_dtypes([dtypes.float32, dtypes.uint64, dtypes.bool_], home)
    with home:
        eager, whole = _Training(network), _Training(network)
        wanted = eager.run(eager.step)
        step = function(whole.step)
        found = whole.run(step if change is None else _Changed(step, change, home))
    names = ["the loss", *(f"the gradient of {n}" for n in network.weights)]
    for number, (ours, right) in enumerate(zip(found[:-1], wanted[:-1], strict=True)):
        for name, mine, other in zip(names, ours, right, strict=True):
            problem = difference(mine, other, TRAINING if number else GRADIENT[dtypes.float32])
            if problem is not None:
                return f"step {number}, {name}: {problem}"
    for name, mine, other in zip(whole.variables, found[-1], wanted[-1], strict=True):
        problem = difference(mine, other, TRAINING)
        if problem is not None:
            return f"{name} after {_STEPS} steps: {problem}"
    return None


class _Changed:
    """A step whose program goes through a pass, and then runs in the default executor."""

    def __init__(self, step: Any, change: Callable[[Program], Program], home: Device) -> None:
        self.step, self.change, self.home = step, change, home
        self.executable: Runs | None = None

    def __call__(self, *batch: Tensor) -> list[Tensor]:
        """Run it on a batch."""
        if self.executable is None:
            with watching() as seen:
                self.step.get_concrete_function(*batch).program(*batch)
            lowered, _ = seen[-1]
            self.executable = Executable(verify(self.change(lowered), "the pass"))
        program = self.executable.program
        state = [cell.data for cell, _ in program.state]
        arrays, written = self.executable([t.data for t in batch], state, self._key)
        for (cell, _), array in zip(program.writes, written, strict=True):
            cell.data, cell.node = array, None
        return [Tensor(a, s.spec) for a, s in zip(arrays, program.results, strict=True)]

    def _key(self, operation: Any) -> Any:
        return operation.kind.generator.next_key_on(self.home)


# ---------------------------------------------------------------- what programs leave alone

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]
_SHAPE = (64, 40)  # of enough elements that buffers are worth keeping


class _Stopped(Exception):
    """What a step raises in its middle."""


def _array(seed: int, shape: tuple[int, ...] = _SHAPE) -> Tensor:
    return tensor(np.random.Generator(np.random.Philox(seed)).normal(size=shape).astype(np.float32))


def _results(wrap: Wrap) -> list[Any]:
    """What one call gave is as it was after the next ones."""
    f = wrap(lambda x: (_op("tanh", x) @ _op("transpose", x), _op("exp", x * 0.5) + 1.0, _op("sum", x, axis=0)))
    return [result for seed in range(3) for result in f(_array(seed))]


def _same_results(wrap: Wrap) -> list[Any]:
    """What is fed may be a result, also seen otherwise, and one value may be several results."""

    def again(x: Tensor) -> tuple[Any, ...]:
        y = _op("tanh", x)
        return x, _op("identity", x), _op("reshape", x, shape=(-1,)), y, y, _op("transpose", y), y * 1.0 + x

    f = wrap(again)
    return [result for seed in range(3) for result in f(_array(seed))]


def _inputs(wrap: Wrap) -> list[Any]:
    """What is fed stays as it is, also where a variable takes it over and is updated then."""
    v = Variable(np.zeros(_SHAPE, np.float32))
    take, update = wrap(lambda x: v.assign(x * 1.0)), wrap(lambda x: (v.assign_add(x), v.assign_sub(x * 3.0)))
    given = [_array(seed) for seed in range(3)]
    for x in given:
        take(x)
        update(x)
        update(_op("tanh", x))
    return [*given, v]


def _held(wrap: Wrap) -> list[Any]:
    """Values of variables that somebody holds are as they were after the variables are written."""
    v, w = (Variable(_array(seed).numpy()) for seed in (1, 2))
    held: list[Any] = []

    def update(x: Tensor) -> Tensor:
        v.assign_sub(x * 0.5)
        w.assign(w * 0.9 + v.value())
        return v.value()

    f = wrap(update)
    for seed in range(4):
        held += [v.value(), w.value(), v * 1.0, f(_array(seed))]
    return [*held, v, w]


def _shared(wrap: Wrap) -> list[Any]:
    """Two variables that were given one array go their own ways."""
    v, w = (Variable(_array(seed).numpy()) for seed in (1, 2))
    same, one = wrap(lambda: w.assign(v.value())), wrap(lambda x: v.assign_add(x))
    swap = wrap(lambda: (lambda a, b: (v.assign(b), w.assign(a)))(v * 1.0, w * 1.0))
    found = []
    for seed in range(3):
        same()
        one(_array(seed))
        found += [v.value(), w.value()]
        swap()
        one(_array(seed))
        found += [v.value(), w.value()]
    return found


def _constants(wrap: Wrap) -> list[Any]:
    """Constants of a program survive variables that take them over."""
    v, constant = Variable(_array(1).numpy()), _array(2)
    reset, update = wrap(lambda: v.assign(constant)), wrap(lambda x: (v.assign_add(x), v.value())[1])
    found: list[Any] = []
    for seed in range(3):
        reset()
        found += [v.value(), update(_array(seed)), update(_array(seed))]
    return [*found, constant]


def _strided(wrap: Wrap) -> list[Any]:
    """Operands that are not contiguous mean what they say."""
    f = wrap(lambda a, b: (a @ b, _op("tanh", a) + 1.0, _op("sum", b, axis=1), _op("maximum", a, 0.1)))
    plain = [_array(1), _array(2, _SHAPE[::-1])]
    across = [_op("transpose", plain[1]), _op("transpose", plain[0])]
    wide = _array(3, (_SHAPE[0] * 2, _SHAPE[1] + 3))
    parts = [wide[::2, 3:], _op("transpose", wide[1::2, :-3])]
    back = [plain[0][::-1], plain[1][:, ::-1]]
    return [result for given in (plain, across, parts, back, plain) for result in f(*given)]


def _shapes(wrap: Wrap) -> list[Any]:
    """Calls with different shapes in turn."""
    v = Variable(_array(1, (40,)).numpy())

    def update(x: Tensor) -> Any:
        v.assign_add(_op("mean", x, axis=0) * 0.1)
        return _op("softmax", x + v.value())

    f = wrap(update)
    return [*(f(_array(seed, (rows, 40))) for seed, rows in enumerate((3, 64, 1, 64, 3, 1))), v]


def _branches(wrap: Wrap) -> list[Any]:
    """Branches that are taken by value, and write variables."""
    v = Variable(_array(1).numpy())

    def update(x: Tensor) -> Any:
        y = cond(_op("sum", x) > 0.0, lambda: v.assign_add(x) * 1.0, lambda: v.assign(_op("tanh", x)) - 1.0)
        return y * 2.0, v.value()

    f = wrap(update)
    return [*(result for seed in range(4) for result in f(_array(seed) + (0.3 if seed % 2 else -0.3))), v]


def _loops(wrap: Wrap) -> list[Any]:
    """A loop whose length is only known when it has run."""

    def grown(x: Tensor) -> Any:
        return while_loop(lambda y: _op("sum", _op("square", y)) < 1e5, lambda y: y * 1.5 + x, [x])[0]

    f = wrap(grown)
    return [f(_array(seed)) for seed in range(3)]


def _errors(wrap: Wrap) -> list[Any]:
    """A call that raises in its middle changes no variable, and the next one goes on from there."""
    v, w = (Variable(_array(seed).numpy()) for seed in (1, 2))
    traced = wrap is not _as_it_is

    def told(array: Host) -> Host:
        if array.max() > 100:
            raise _Stopped
        return array * 2

    def update(x: Tensor) -> Any:
        v.assign_add(x)
        y = _op("tanh", v.value()) + x
        told_y = py_function(told, [y], "float32", shapes=_SHAPE) if traced else tensor(told(y.numpy()))
        w.assign(w * 0.5 + told_y)
        return told_y * 1.0

    f = wrap(update)
    found: list[Any] = []
    for seed in range(4):
        found += [f(_array(seed)), v.value(), w.value()]
        if traced:
            _refused(f, _array(seed) + 1000.0)
            found += [v.value(), w.value()]
        else:
            found += found[-2:]
    return found


def _refused(f: Callable[..., Any], x: Tensor) -> None:
    try:
        f(x)
    except _Stopped:
        return
    raise AssertionError("an error in the middle of a program did not come out of it")


def _threads(wrap: Wrap) -> list[Any]:
    """Several threads may be in one function at once."""
    f = wrap(lambda x: _op("tanh", x @ _op("transpose", x)) * 0.5 + 1.0)
    given = [_array(seed) for seed in range(8)]
    f(given[0])
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(copy_context().run, f, x) for _ in range(6) for x in given]
        return [call.result() for call in calls]


def _draws(wrap: Wrap) -> list[Any]:
    """Every call draws anew, and what running now would draw."""
    draws = Generator(7)
    f = wrap(lambda x: nn.dropout(x, rate=0.3, generator=draws) + nn.dropout(x, rate=0.3, generator=draws))
    return [f(_array(1)) for _ in range(4)]


SCENARIOS: dict[str, Callable[[Wrap], list[Any]]] = {
    "results": _results, "same results": _same_results, "inputs": _inputs, "held arrays": _held,
    "shared arrays": _shared, "constants": _constants, "strided operands": _strided, "shapes": _shapes,
    "branches": _branches, "loops": _loops, "errors": _errors, "draws": _draws, "threads": _threads,
}  # fmt: skip


def _as_it_is(python: Callable[..., Any]) -> Callable[..., Any]:
    return python


def _check_scenario(home: Device, scenario: Callable[[Wrap], list[Any]]) -> str | None:
    """Everything a scenario saw, looked at when all is over, with traced functions against plain ones."""
    require_dtypes([dtypes.float32, dtypes.uint64, dtypes.bool_], home)
    with home:
        wanted = [np.array(t.numpy()) for t in scenario(_as_it_is)]
        found = [np.array(t.numpy()) for t in scenario(function)]
    for number, (ours, right) in enumerate(zip(found, wanted, strict=True)):
        problem = difference(ours, right, forward(dtypes.float32).scaled(_SHAPE[1] ** 0.5))
        if problem is not None:
            return f"value {number} of {len(wanted)}: {problem}"
    return None


__all__ = ["NETWORKS", "PASSES", "SCENARIOS", "Network", "cases"]
