"""The tester tested: a backend or an op with one planted mistake, and the case of the kit that must name it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from corenn_numpy.backend import NumpyBackend

import corenn
from corenn import dtypes
from corenn.backend import Backend, Kernel
from corenn.ops.elementwise import add, multiply
from corenn.ops.families import unary
from corenn.ops.sampling import error, real, sample
from corenn.ops.table import TABLE, op
from corenn.testing import run_conformance


class Planted(NumpyBackend):
    """NumPy with some kernels replaced by wrong ones."""

    name = "planted"

    def __init__(self, **wrong: Callable[..., object]) -> None:
        self.wrong = {name: Kernel(function) for name, function in wrong.items()}

    def kernels(self):
        return {**super().kernels(), **self.wrong}


def failures(backend: Backend, pattern: str) -> dict[str, str]:
    report = run_conformance(backend, pattern=pattern)
    assert not report.ok
    return {o.id: o.message for o in report.failed}


def mutating(x):
    np.multiply(x, -1, out=x)
    return x


def wrong_when_strided(x):
    return -x if x.flags.c_contiguous else -x * 1.01


def wrong_when_empty(x):
    return np.zeros((1, *x.shape[1:]), x.dtype) if x.size == 0 else -x


def refusing_empty(x):
    if x.size == 0:
        raise ValueError("no elements")
    return -x


_ticks = itertools.count()


def unsteady(x):
    return -x * (1 + 1e-7 * (next(_ticks) % 2))


def wrong_in_single(x):
    return -x if x.itemsize > 4 else -x * x.dtype.type(1.001)


def wrong_in_the_tail(x):
    result = -x
    result[x.size // 1024 * 1024 if x.size > 1024 else x.size :] = 0
    return result


def off_at_zero(x, y):
    return np.where(np.isnan(x) | np.isnan(y), np.float64(0), np.maximum(x, y)).astype(x.dtype)


def vanishing(a, b, transpose_a=False, transpose_b=False):
    return 0 * ((a.T if transpose_a else a) @ (b.T if transpose_b else b))


# What is planted in which op, the case that must fail, and part of what it must say.
MISTAKES = [
    pytest.param("negative", lambda x: -x * 1.1, "L1/negative/0/float64", "elements differ", id="value"),
    pytest.param("negative", lambda x: -x.astype(np.float64), "L1/negative/0/float32",
                 "returned float64 elements, inference says float32", id="dtype"),
    pytest.param("negative", lambda x: np.ravel(-x), "L1/negative/0/float32",
                 "returned shape (12,), inference says (3, 4)", id="shape"),
    pytest.param("negative", mutating, "L1/negative/0/float32", "changed its operand 'x'", id="mutation"),
    pytest.param("negative", wrong_when_strided, "L1/negative/0/float32/strided", "elements differ", id="strided"),
    pytest.param("negative", wrong_when_empty, "L1/negative/1/float32", "returned shape (1, 3)", id="empty"),
    pytest.param("negative", refusing_empty, "L1/negative/1/float32", "ValueError: no elements", id="refusing-empty"),
    pytest.param("negative", unsteady, "L1/negative/0/float32/repeat", "two runs on the same operands differ",
                 id="nondeterministic"),
    pytest.param("negative", wrong_in_single, "L1/negative/0/float32", "elements differ", id="one-dtype"),
    pytest.param("negative", wrong_in_the_tail, "L1/negative/large/float32", "0.0 where", id="tail-of-a-block"),
    pytest.param("square", refusing_empty, "L1/square/empty/float32", "ValueError: no elements", id="empty-unsampled"),
    pytest.param("square", lambda x: np.atleast_1d(x * x), "L1/square/scalar/float32", "returned shape (1,)", id="0-d"),
    pytest.param("maximum", off_at_zero, "L1/maximum/special/float32", "0.0 where nan", id="nan"),
    pytest.param("squared_difference", lambda x, y: np.abs(x - y), "L3/squared_difference/0/float32",
                 "kernel 1 of the backend: ", id="override-against-decomposition"),
    pytest.param("random_words", lambda key, count: np.arange(count, dtype=np.uint64), "L4/words/1",
                 "seed 7, stream 3, offset 0, 1000 elements: ", id="bits"),
    pytest.param("random_uniform", lambda key, shape, dtype: np.full(shape, 0.5, dtype), "L4/uniform/float32",
                 "elements differ; first at [0]: 0.5 where", id="uniform"),
    pytest.param("random_normal", lambda key, shape, dtype: np.zeros(shape, dtype), "L4/normal/float32",
                 "0.0 where", id="normal"),
    pytest.param("random_permutation", lambda key, n: np.arange(n)[::-1], "L4/permutation", "n = 100: ",
                 id="permutation"),
    pytest.param("matmul", vanishing, "L5/mlp/learns", "the loss went from", id="training"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "function", "case", "message"), MISTAKES)
def test_a_wrong_kernel_is_named(name, function, case, message):
    found = failures(Planted(**{name: function}), case)
    assert case in found
    assert message in found[case]


def test_only_the_planted_op_is_blamed():
    found = failures(Planted(negative=lambda x: -x * 1.1), "L1/n*")
    assert {case.split("/")[1] for case in found} == {"negative"}


# ---------------------------------------------------------------- lying backends


class ClaimsFloat64(NumpyBackend):
    """Says it has float64, and stores it in float32."""

    name = "lying"

    def from_host(self, array, index):
        return super().from_host(array.astype(np.float32) if array.dtype == np.float64 else array, index)


class LosesPrecision(NumpyBackend):
    """Keeps int64 in float64 on the way, as some libraries do."""

    name = "lossy"

    def from_host(self, array, index):
        with np.errstate(invalid="ignore"):
            return np.array(array.astype(np.float64).astype(array.dtype) if array.dtype == np.int64 else array)


class Shares(NumpyBackend):
    """Keeps the host's array instead of copying it."""

    name = "sharing"

    def from_host(self, array, index):
        return np.asarray(array)


class Reorders(NumpyBackend):
    """Loses the order of the elements of arrays that are not in C order."""

    name = "reordering"

    def from_host(self, array, index):
        return np.array(array).ravel(order="K").reshape(array.shape)


class Halves(NumpyBackend):
    """Offers no int32, which Python ints become."""

    name = "halving"

    def dtypes(self):
        return frozenset({dtypes.float32, dtypes.bool_})


class Incomplete(NumpyBackend):
    """Has a namespace without a function that kernels need."""

    name = "incomplete"

    class xp:
        def __getattr__(self, name):
            if name == "take":
                raise AttributeError(name)
            return getattr(np, name)

    xp = xp()


class Misnames(NumpyBackend):
    """Has a kernel for an op that does not exist."""

    name = "misnaming"

    def kernels(self):
        return {"no_such_op": Kernel(np.negative)}


@pytest.mark.parametrize(
    ("backend", "case", "message"),
    [
        (ClaimsFloat64(), "L0/transfer/float64/1d", "from_host made float32 of float64"),
        (LosesPrecision(), "L0/transfer/int64/extremes", "what came back from lossy is not what was sent"),
        (Shares(), "L0/transfer/copies", "from_host shares memory"),
        (Reorders(), "L0/transfer/float32/transposed", "not what was sent"),
        (Halves(), "L0/dtypes/required", "does not offer int32"),
        (Incomplete(), "L0/namespace/take", "xp has no take"),
        (Misnames(), "L0/backend/contract", "ops that do not exist: no_such_op"),
    ],
    ids=lambda v: v.name if isinstance(v, Backend) else None,
)
def test_a_lying_backend_is_named(backend, case, message):
    found = failures(backend, case)
    assert message in found[case]


# ---------------------------------------------------------------- mistakes in the table itself


@pytest.fixture
def table() -> Iterator[None]:
    """Ops declared in a test leave the table with it."""
    before = set(TABLE)
    yield
    for name in set(TABLE) - before:
        del TABLE[name]


def declare(name: str, rule: Callable[..., object], reference: Callable[..., object]) -> None:
    @op(family=unary, dtypes=dtypes.INEXACT, name=name)
    def cube(x: object, /) -> object:
        """``x ** 3``, with whatever rule and reference the test plants."""

    cube.kernel(lambda xp, x: x * x * x)
    cube.vjp(rule)
    cube.samples(sample(real(0.5, 2)))
    cube.error_samples(error(corenn.errors.DTypeError, "takes floating", real(), real()))
    cube.reference(reference)


def test_a_wrong_first_order_gradient_is_named(table):
    declare("planted_cube", lambda g, x: multiply(g, multiply(x, x)), lambda x: x**3)  # lacks the factor 3
    message = failures(NumpyBackend(), "L2/planted_cube/0/float64")["L2/planted_cube/0/float64"]
    assert "order 1, input 0" in message


def test_a_wrong_second_order_gradient_is_named(table):
    """Right the first time, but the rule hides part of its dependence on x from a second derivative."""

    def rule(g, x):
        return multiply(g, multiply(3.0, multiply(x, corenn.stop_gradient(x))))

    declare("planted_cube", rule, lambda x: x**3)
    message = failures(NumpyBackend(), "L2/planted_cube/0/float64")["L2/planted_cube/0/float64"]
    assert "order 2, input 0" in message


def test_a_right_gradient_passes(table):
    declare("planted_cube", lambda g, x: multiply(g, multiply(3.0, multiply(x, x))), lambda x: x**3)
    assert run_conformance(NumpyBackend(), pattern="L[123]/planted_cube/0/*").ok


def test_a_wrong_reference_and_a_wrong_error_sample_are_named(table):
    declare("planted_cube", lambda g, x: multiply(g, x), lambda x: x**2)
    found = failures(NumpyBackend(), "L1/planted_cube/*")
    assert "elements differ" in found["L1/planted_cube/0/float64"]
    assert "UsageError instead of DTypeError" in found["L1/planted_cube/error0"]


def test_a_gradient_that_is_wrong_in_float32_only_is_named():
    """The double precision path is right, so differences do not show it: the float32 gradient is held against it."""

    def product(x, y):
        return x * y if x.dtype != np.float32 else x * y * np.float32(1.01)

    found = failures(Planted(multiply=product), "L2/multiply/0/*")
    assert set(found) == {"L2/multiply/0/float32"}
    assert "order 1, the gradient of operand 0 in float32, against float64" in found["L2/multiply/0/float32"]


def test_a_mistake_on_the_second_device_is_named(table):
    """A kernel that makes an array where new arrays go, instead of beside its operand."""
    from corenn.testing import SimulatedDevice

    @op(family=unary, dtypes=dtypes.FLOATING, name="planted_shift")
    def shift(x: object, /) -> object:
        """``x + 1``."""

    shift.kernel(lambda xp, x: x + xp.ones(x.shape, dtype=x.dtype))
    shift.vjp(lambda g: add(g, 0.0))
    shift.samples(sample(real()))
    shift.reference(lambda x: x + 1)
    found = failures(SimulatedDevice(), "L1/planted_shift/0/float32*")
    assert set(found) == {"L1/planted_shift/0/float32/device"}
    assert "copy one with to_device" in found["L1/planted_shift/0/float32/device"]


# ---------------------------------------------------------------- mistakes that only graphs show


def test_an_executor_that_is_wrong_is_named(monkeypatch):
    from corenn.compiler.executor import Executable

    run = Executable.__call__

    def wrong(self, feeds, state, key):
        results, writes = run(self, feeds, state, key)
        return [r * 1.01 if r.dtype == np.float32 else r for r in results], writes

    monkeypatch.setattr(Executable, "__call__", wrong)
    assert (
        "in a session, against running it now" in failures(NumpyBackend(), "L6/negative/0/*")["L6/negative/0/float32"]
    )
    assert failures(NumpyBackend(), "L6/control/loop")["L6/control/loop"].startswith("compiled:")


def test_a_kernel_that_keeps_its_result_is_named():
    """One that gives the same memory again: the second use of the op in a program spoils the first."""
    held: dict[tuple[int, ...], np.ndarray] = {}

    def scaled(x, y):
        out = held.setdefault(
            np.broadcast_shapes(x.shape, y.shape), np.empty(np.broadcast_shapes(x.shape, y.shape), x.dtype)
        )
        return np.multiply(x, y, out=out) if x.dtype == out.dtype else x * y

    found = failures(Planted(multiply=scaled), "L6/control/*")
    assert "L6/control/scan" in found or "L6/control/loop" in found


def test_a_gradient_that_is_wrong_in_graphs_is_named(monkeypatch):
    from corenn.graph.gradients import GradientKind

    run = GradientKind.run
    monkeypatch.setattr(GradientKind, "run", lambda self, *given: [g * 2.0 for g in run(self, *given)])
    message = failures(NumpyBackend(), "L6/tanh/0/*")["L6/tanh/0/float32"]
    assert "a gradient in a session, against a tape's" in message
