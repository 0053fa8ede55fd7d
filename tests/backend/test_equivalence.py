"""Random small programs, drawn from the op table, give the same values and gradients on every backend.

A program is drawn step by step, and run in double precision as it is drawn: a step whose result is not finite, large,
or near a kink (where rounding decides the gradient) is left out, so what remains is well conditioned.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from corenn_numpy.backend import NumpyBackend
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import corenn
from corenn import dtypes
from corenn.backend import Kernel, get_backend, use_backend
from corenn.errors import CorennError
from corenn.ops import families
from corenn.ops.table import REQUIRED, TABLE
from corenn.plugin import registry
from corenn.tensor import Tensor
from corenn.testing import difference, forward, register_doubles

register_doubles()

LARGEST = 30.0
GAP = 1e-2

# Jumps and kinks, which are left out, and what limits the operand of other elementwise ops.
EXCLUDED = {
    "sign", "floor", "ceil", "trunc", "round", "clip", "relu6", "hard_tanh", "hard_sigmoid", "hard_swish", "sinc",
    "floor_divide", "remainder", "power", "xlogy", "hypot", "atan2", "prelu", "minimum", "digamma", "lgamma",
}  # fmt: skip
POSITIVE = {"log", "log1p", "log2", "log10", "sqrt", "rsqrt", "cbrt", "reciprocal"}
INNER = {"asin", "acos", "atanh", "erfinv", "tan"}
AWAY_FROM_ZERO = {"relu", "selu", "softsign", "abs"}


def limits(name: str, x: np.ndarray) -> bool:
    """Whether an elementwise op is smooth, with moderate derivatives, on these values."""
    if name in POSITIVE:
        return bool((x > 0.2).all())
    if name in INNER:
        return bool((np.abs(x) < 0.9).all())
    if name == "acosh":
        return bool((x > 1.2).all())
    return name not in AWAY_FROM_ZERO or bool((np.abs(x) > GAP).all())


def named(family: families.Family) -> list[str]:
    return sorted(
        name for name, op in TABLE.items()
        if op.family is family and name not in EXCLUDED and REQUIRED not in op.attributes.values()
        and op.accepted(op.tensors[0]).issuperset(dtypes.FLOATING)
    )  # fmt: skip


UNARY, BINARY = [*named(families.unary), "abs"], named(families.binary)
REDUCTIONS = ["sum", "mean", "logsumexp", "prod", "variance"]


@dataclass(frozen=True)
class Step:
    """One line of a program: an op, the lines its operands come from, its attributes."""

    name: str
    operands: tuple[int, ...]
    attrs: tuple[tuple[str, Any], ...] = ()

    def run(self, values: list[Tensor], dtype: dtypes.DType) -> Tensor:
        given, attrs = [values[i] for i in self.operands], dict(self.attrs)
        if self.name == "noise":  # the same key gives the same numbers everywhere; drawn in float32 for both dtypes
            key = corenn.tensor(np.array([7, attrs["stream"], 1], np.uint64))
            drawn = TABLE["random_uniform"].public(key, shape=given[0].shape, dtype=dtypes.float32)
            return given[0] * (drawn.cast(dtype) + 0.5)
        if self.name == "part":
            return given[0][attrs["index"]]
        return TABLE[self.name].public(*given, **attrs)


@dataclass(frozen=True)
class Program:
    """Two inputs and some steps; the loss is a weighted sum of the last value."""

    shapes: tuple[tuple[int, ...], ...]
    seed: int
    steps: tuple[Step, ...]
    largest: float = 1.0

    def inputs(self) -> list[np.ndarray]:
        generator = np.random.Generator(np.random.Philox(self.seed))
        return [generator.uniform(-2, 2, shape) for shape in self.shapes]

    def run(self, device: Any, dtype: dtypes.DType) -> tuple[list[np.ndarray], list[np.ndarray | None]]:
        """Every value, and the gradients of the loss by the inputs."""
        with corenn.device(device):
            values = [corenn.tensor(a.astype(dtype.numpy)) for a in self.inputs()]
            sources = list(values)
            with corenn.GradientTape() as tape:
                tape.watch(sources)
                for step in self.steps:
                    values.append(step.run(values, dtype))
            weights = np.linspace(0.5, 1.5, values[-1].size).reshape(values[-1].shape)
            gradients = tape.gradient(values[-1], sources, corenn.tensor(weights, dtype=dtype))
        return [v.numpy() for v in values], [None if g is None else g.numpy() for g in gradients]


def axis_of(draw: Callable[..., Any], ndim: int) -> Any:
    return draw(st.none() | st.integers(-ndim, ndim - 1)) if ndim else None


def draw_step(draw: Callable[..., Any], values: list[np.ndarray]) -> Step | None:
    """A step on the values so far; ``None`` where the kind drawn does not fit the operand drawn."""
    kind = draw(
        st.sampled_from(["unary", "unary", "binary", "binary", "reduction", "layout", "matmul", "softmax", "noise"])
    )
    i = draw(st.integers(0, len(values) - 1))
    x, ndim = values[i], values[i].ndim
    if kind == "unary":
        name = draw(st.sampled_from(UNARY))
        return Step(name, (i,)) if limits(name, x) else None
    if kind == "binary":
        name, j = draw(st.sampled_from(BINARY)), draw(st.integers(0, len(values) - 1))
        if name == "maximum":
            try:
                clear = (np.abs(x - values[j]) > GAP).all()
            except ValueError:
                return None
            return Step(name, (i, j)) if clear else None
        return Step(name, (i, j))
    if kind == "reduction":
        attrs = (("axis", axis_of(draw, ndim)), ("keepdims", draw(st.booleans())))
        return Step(draw(st.sampled_from(REDUCTIONS)), (i,), attrs)
    if kind == "noise":
        return Step("noise", (i,), (("stream", draw(st.integers(0, 9))),))
    if kind == "matmul":
        return Step("matmul", (i, i), (("transpose_b", True),)) if ndim >= 2 else None
    if ndim == 0:
        return None
    axis = draw(st.integers(-ndim, ndim - 1))
    if kind == "softmax":
        return Step(draw(st.sampled_from(["softmax", "log_softmax", "cumsum"])), (i,), (("axis", axis),))
    return draw(
        st.sampled_from(
            [
                Step("reshape", (i,), (("shape", (-1,)),)),
                Step("transpose", (i,), (("axes", tuple(draw(st.permutations(range(ndim))))),)),
                Step("expand_dims", (i,), (("axis", axis),)),
                Step("broadcast_to", (i,), (("shape", (2, *x.shape)),)),
                Step("flip", (i,), (("axis", axis),)),
                Step("concatenate", (i, i), (("axis", axis),)),
                Step("stack", (i, i), (("axis", axis),)),
                Step("part", (i,), (("index", (slice(None, None, -2), ...)),)),
                Step("part", (i,), (("index", (..., 0)),)),
            ]
        )
    )


@st.composite
def programs(draw: Callable[..., Any]) -> Program:
    shape = st.lists(st.integers(1, 3), max_size=3).map(tuple)
    shapes = (draw(shape), draw(shape))
    seed = draw(st.integers(0, 2**32))
    program = Program(shapes, seed, ())
    numpy = corenn.device("numpy")
    with numpy:
        values = [corenn.tensor(a) for a in program.inputs()]
        steps: list[Step] = []
        for _ in range(draw(st.integers(3, 10))):
            step = draw_step(draw, [v.numpy() for v in values])
            if step is None:
                continue
            try:
                with np.errstate(all="ignore"):
                    found = step.run(values, dtypes.float64)
            except CorennError:  # shapes that do not fit
                continue
            host = found.numpy()
            if host.size <= 128 and np.isfinite(host).all() and np.abs(host).max(initial=0.0) <= LARGEST:
                values.append(found)
                steps.append(step)
    largest = max(float(np.abs(v.numpy()).max(initial=1.0)) for v in values)
    return Program(shapes, seed, tuple(steps), largest)


def available(name: str) -> Any:
    """A backend to compare with, or a mark that skips it with the reason why it cannot run here."""
    reason = registry.get("backend", name).unavailable_reason() if name in registry.backends() else "is not installed"
    marks = pytest.mark.skip(reason=f"{name}: {reason}") if reason else ()
    return pytest.param(name, marks=marks)


def compare(program: Program, name: str, dtype: dtypes.DType) -> None:
    values, gradients = program.run("numpy", dtype)
    others, theirs = program.run(name, dtype)
    # Each step may add a rounding error of the size of the largest value, and the next ones pass it on.
    allowed = forward(dtype).scaled(8.0 * program.largest * (1 + len(program.steps)))
    for line, (mine, other) in enumerate(zip(values, others, strict=True)):
        assert other.dtype == mine.dtype
        assert difference(other, mine, allowed) is None, f"value {line}"
    for source, (mine, other) in enumerate(zip(gradients, theirs, strict=True)):
        assert (mine is None) == (other is None)
        if mine is not None:
            scale = max(1.0, float(np.abs(mine).max(initial=0.0)))
            assert difference(other, mine, allowed.scaled(scale)) is None, f"gradient of input {source}"


@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.float64], ids=str)
@pytest.mark.parametrize("name", [available(n) for n in ("strict", "simulated", "cuda")])
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(program=programs())
def test_programs_agree(name, dtype, program):
    if dtype not in get_backend(name).offered:
        pytest.skip(f"{name} has no {dtype}")
    compare(program, name, dtype)


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(program=programs())
def test_programs_repeat_on_a_second_device(program):
    """The second device of a backend computes the same bits as the first."""
    first, second = (program.run(f"simulated:{i}", dtypes.float32) for i in (0, 1))
    for mine, other in zip([*first[0], *first[1]], [*second[0], *second[1]], strict=True):
        assert (mine is None) == (other is None)
        assert mine is None or np.array_equal(mine, other)


class Wrong(NumpyBackend):
    """NumPy with an addition that is a little wrong in single precision."""

    name = "wrong-addition"

    def kernels(self):
        def add(x, y):
            return x + y if x.dtype != np.float32 else (x + y) * np.float32(1.001)

        return {**super().kernels(), "add": Kernel(add)}


def test_a_backend_that_is_wrong_is_found():
    use_backend(Wrong())

    @settings(
        max_examples=200,
        deadline=None,
        derandomize=True,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(program=programs())
    def search(program):
        compare(program, "wrong-addition", dtypes.float32)

    with pytest.raises(AssertionError, match="value 2"):
        search()


def test_the_generator_draws_from_the_whole_table():
    assert {"tanh", "exp", "erf", "silu", "relu"} <= set(UNARY)
    assert {"add", "multiply", "maximum", "squared_difference"} <= set(BINARY)
    assert set(REDUCTIONS) <= set(TABLE)
