"""Level 6: graphs.  Every op in a graph gives what it gives now; control flow; a training run in a session."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.backend.contract import Backend
from corenn.backend.registry import get_backend
from corenn.device import Device, device_of
from corenn.dtypes import DType
from corenn.errors import ShapeError
from corenn.graph import (
    Graph,
    GraphTensor,
    Session,
    cond,
    constant,
    global_variables_initializer,
    gradients,
    group,
    placeholder,
    scan,
    variable,
    while_loop,
)
from corenn.graph.partial import compatible
from corenn.graph.tensors import UnknownRankError
from corenn.ops.creation import tensor
from corenn.ops.elementwise import multiply, subtract
from corenn.ops.sampling import Sample
from corenn.ops.table import TABLE, Op
from corenn.tensor import Tensor
from corenn.testing import checks
from corenn.testing.cases import Case
from corenn.testing.compare import bits_difference, difference
from corenn.testing.tolerances import GRADIENT, TRAINING, Tolerance, forward
from corenn.testing.trial import Host, NotHere, needed, require_dtypes

_KNOWN = ("static", "extents unknown", "rank unknown")


def cases(backend: Backend) -> Iterator[Case]:
    """L6: ops in graphs with their shapes known and unknown, control flow, training in a session."""
    home = device_of(backend, 0)
    for op in checks.all_ops():
        for number, sample in enumerate(op.sample_list):
            dtype = first_dtype(op, sample)
            if dtype is not None:
                check = functools.partial(check_in_graph, op, sample, dtype, home, _KNOWN[number % 2])
                yield Case(f"L6/{op.name}/{number}/{dtype}", check)
    for name, program in CONTROL.items():
        yield Case(f"L6/control/{name}", functools.partial(_check_control, program, home))
    yield Case("L6/session/learns", functools.partial(_learns, home))
    yield Case("L6/session/repeats", functools.partial(_repeats, home))
    yield Case("L6/session/agrees", functools.partial(_agrees, home))


def first_dtype(op: Op, sample: Sample) -> DType | None:
    """The dtype an op is tried in inside graphs: the first that training would use."""
    accepted = checks.accepted_dtypes(op, sample)
    preferred = [d for d in (dtypes.float32, dtypes.int32, dtypes.bool_) if d in accepted]
    return next(iter([*preferred, *accepted]), None)


# ---------------------------------------------------------------- every op


def check_in_graph(op: Op, sample: Sample, dtype: DType, home: Device, known: str) -> str | None:
    """Value and gradient of a sample in a session, against running it now on the same device.

    ``known``: ``"static"``, or what placeholders leave open: ``"extents unknown"``, ``"rank unknown"``.  Raises NotHere
    for an op that cannot be put into a graph without what is open.
    """
    require_dtypes(needed(sample, dtype), home)
    hosts = sample.draw(op.name, dtype)
    with home:
        operands = tuple(None if a is None else tensor(a) for a in hosts)
        found = op.public(*operands, **sample.attrs)
        wanted: tuple[Tensor, ...] = found if op.results is not None else (found,)
    graph = Graph()
    with graph.as_default():
        placed = [None if a is None else _open(a, known) for a in hosts]
        try:
            made = op.public(*placed, **sample.attrs)
        except (ShapeError, UnknownRankError) as error:
            if known != "static" and ("not known" in str(error) or isinstance(error, UnknownRankError)):
                raise NotHere(error.what) from error
            raise
    outputs: Sequence[GraphTensor] = made if op.results is not None else (made,)
    for output, result in zip(outputs, wanted, strict=True):
        if output.dtype is not result.dtype or not compatible(output.extents, result.spec.static):
            return f"the graph says {output!r}, and it is {result.spec.at(None)}"
    session = Session(graph, backend=home)
    feeds = {p: a for p, a in zip(placed, hosts, strict=True) if p is not None and a is not None}
    values = session.run(list(outputs), feeds)
    for value, result in zip(values, wanted, strict=True):
        problem = _value_difference(np.asarray(value), result)
        if problem is not None:
            return f"in a session, against running it now: {problem}"
    if dtype.is_inexact and checks.has_gradient(op, sample):
        return _gradients_differ(op, sample, operands, placed, outputs, feeds, session, home)
    return None


def _open(array: Host, known: str) -> GraphTensor:
    shape = {"static": array.shape, "extents unknown": (None,) * array.ndim, "rank unknown": None}[known]
    return placeholder(array.dtype, shape)


def _value_difference(value: Host, result: Tensor) -> str | None:
    wanted = result.numpy()
    if value.dtype != wanted.dtype:
        return f"{value.dtype} where {wanted.dtype} was expected"
    return difference(value, wanted, forward(result.dtype))


def _gradients_differ(
    op: Op, sample: Sample, operands: tuple[Tensor | None, ...], placed: list[GraphTensor | None],
    outputs: Sequence[GraphTensor], feeds: dict[GraphTensor, Host], session: Session, home: Device,
) -> str | None:  # fmt: skip
    with home:
        wanted = checks.gradients(op, sample, operands)
        found = op.public(*operands, **sample.attrs)
        shapes = [o.shape for o in (found if op.results is not None else (found,)) if o.dtype.is_inexact]
    sources = [placed[i] for i, a in enumerate(sample.args) if a is not None and a.dtype is None]
    targets = [o for o in outputs if o.dtype.is_inexact]
    generator = np.random.Generator(np.random.Philox(1))  # as checks.gradients draws them
    seeds = [generator.uniform(0.5, 1.5, s).astype(t.dtype.numpy) for s, t in zip(shapes, targets, strict=True)]
    with session.graph.as_default():
        made = gradients(targets, sources, [constant(s) for s in seeds])
    if [g is None for g in made] != [g is None for g in wanted]:
        return f"gradients {made} where {wanted} were expected"
    values = session.run([g for g in made if g is not None], feeds)
    for value, right in zip(values, [g for g in wanted if g is not None], strict=True):
        allowed = GRADIENT.get(right.dtype, Tolerance(2e-3, 2e-3))
        problem = difference(np.asarray(value), right.numpy(), allowed)
        if problem is not None:
            return f"a gradient in a session, against a tape's: {problem}"
    return None


# ---------------------------------------------------------------- control flow


def _power(x: Any) -> Any:
    return while_loop(lambda i, y: i < 4, lambda i, y: (i + 1, multiply(y, x)), (0, x))[1]


def _doubled(x: Any) -> Any:
    return while_loop(lambda y: TABLE["sum"].public(y) < 100.0, lambda y: y * 2.0, [x])[0]


def _chosen(x: Any) -> Any:
    return cond(TABLE["sum"].public(x) > 0.0, lambda: x * x, lambda: subtract(x, 1.0))


def _accumulated(x: Any) -> Any:
    return scan(lambda a, row: a * 0.5 + row, x)


#: Programs of one float32 vector, and what they are in NumPy.
CONTROL: dict[str, tuple[Callable[[Any], Any], Callable[[Host], Host]]] = {
    "loop": (_power, lambda x: x**5),
    "loop by value": (_doubled, lambda x: x * 2 ** max(0, int(np.ceil(np.log2(100 / x.sum()))))),
    "branch": (_chosen, lambda x: x * x if x.sum() > 0 else x - 1),
    "other branch": (lambda x: _chosen(x * -1.0), lambda x: -x - 1 if x.sum() > 0 else x * x),
    "scan": (_accumulated, lambda x: np.array([sum(x[: i + 1] * 0.5 ** np.arange(i, -1, -1)) for i in range(len(x))])),
}  # fmt: skip


def _check_control(program: tuple[Callable[[Any], Any], Callable[[Host], Host]], home: Device) -> str | None:
    require_dtypes([dtypes.float32, dtypes.int32, dtypes.bool_], home)
    build, meaning = program
    value = np.array([0.5, 1.5, 0.75], np.float32)
    with Graph().as_default() as graph:
        x = placeholder("float32", (None,))
        y = build(x)
        (g,) = gradients(y, [x])
    session = Session(graph, backend=home)
    for trace in (False, lambda *step: None):
        how = "operation by operation" if trace else "compiled"
        found = session.run([y, g], {x: value}, trace=trace)
        problem = difference(np.asarray(found[0]), meaning(value), forward(dtypes.float32))
        if problem is not None:
            return f"{how}: {problem}"
        step = 1e-3
        wide = value.astype(np.float64)
        moved = [
            (meaning(wide + step * row).sum() - meaning(wide - step * row).sum()) / (2 * step) for row in np.eye(3)
        ]
        problem = difference(np.asarray(found[1]), np.array(moved), GRADIENT[dtypes.float32])
        if problem is not None:
            return f"the gradient, {how}: {problem}"
    return None


# ---------------------------------------------------------------- training


def train(home: Device, seed: int, steps: int = 30) -> tuple[Host, Host]:
    """Train a small network on three blobs in a session; the losses, and the first layer's weights at the end."""
    from corenn.testing.training import _blobs

    require_dtypes([dtypes.float32, dtypes.uint64, dtypes.bool_], home)
    points, labels = _blobs()
    graph = Graph()
    graph.seed = seed
    generator = np.random.Generator(np.random.Philox(seed))
    with graph.as_default():
        x, wanted = placeholder("float32", (None, 6)), placeholder("float32", (None, 3))
        w1 = variable(generator.normal(size=(6, 16)).astype(np.float32) * 0.5, name="w1")
        b1 = variable(np.zeros(16, np.float32), name="b1")
        w2 = variable(generator.normal(size=(16, 3)).astype(np.float32) * 0.3, name="w2")
        keep = TABLE["random_uniform"].public(graph.random_key(1), shape=(16,), dtype=dtypes.float32) < 0.95
        hidden = TABLE["maximum"].public(x @ w1 + b1, 0.0) * TABLE["cast"].public(keep, dtype=dtypes.float32)
        loss = TABLE["mean"].public(TABLE["squared_difference"].public(hidden @ w2, wanted))
        weights = [w1, b1, w2]
        pulled = gradients(loss, weights)
        step = group(*[w.assign_sub(g * 0.1) for w, g in zip(weights, pulled, strict=True) if g is not None])
        start = global_variables_initializer()
    session = Session(graph, backend=home)
    session.run(start)
    losses = [session.run([loss, step], {x: points[i % 3 :: 3], wanted: labels[i % 3 :: 3]})[0] for i in range(steps)]
    return np.array(losses, np.float32), np.asarray(session.run(w1))


def _learns(home: Device) -> str | None:
    losses, _ = train(home, 1)
    first, last = float(np.mean(losses[:5])), float(np.mean(losses[-5:]))
    return None if last < 0.8 * first else f"the loss went from {first:.4g} to {last:.4g}"


def _repeats(home: Device) -> str | None:
    (losses, weights), (again, others) = train(home, 2), train(home, 2)
    return bits_difference(again, losses) or bits_difference(others, weights)


def _agrees(home: Device) -> str | None:
    (losses, weights), (wanted, others) = train(home, 3), train(device_of(get_backend("numpy")), 3)
    return difference(losses, wanted, TRAINING) or difference(weights, others, TRAINING)


__all__ = ["CONTROL", "cases", "check_in_graph", "first_dtype", "train"]
