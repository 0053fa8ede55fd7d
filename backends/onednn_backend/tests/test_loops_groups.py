"""Groups as loops give what the calls give one by one on NumPy: schedules, dtypes, threads, memory, special values."""

from __future__ import annotations

import ctypes
from importlib.util import find_spec

import numpy as np
import pytest
from corenn_onednn.loops import compile_group, compiling, expressible
from corenn_onednn.loops.decompositions import DECOMPOSITIONS
from corenn_onednn.loops.running import run_group
from corenn_onednn.native.openmp import openmp

import corenn
from corenn import dtypes, nn
from corenn.compiler.passes import eliminate_common_subexpressions, prune
from corenn.compiler.passes.decompose import decompose
from corenn.compiler.passes.fuse import fuse
from corenn.compiler.program import Block, Fused, Program, Symbol
from corenn.compiler.tracing import Trace, recording, recording_device, tensor_of
from corenn.ops.batch_norm import batch_norm_grad
from corenn.ops.draws import random_uniform
from corenn.ops.noise import drop
from corenn.ops.softmax import softmax_cross_entropy_grad, sparse_softmax_cross_entropy_grad
from corenn.ops.updates import adam_update, momentum_update, sgd_update
from corenn.spec import Spec

pytestmark = pytest.mark.skipif(find_spec("llvmlite") is None, reason="llvmlite is not installed")

NUMPY = corenn.device("numpy")
THREADS = (1, 2, 3) if openmp() else (1,)


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORENN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


def traced(function, arrays) -> Program:
    """The program of a function of arrays."""
    device, trace = recording_device(NUMPY), Trace()
    symbols = [Symbol(Spec(a.shape, dtypes.as_dtype(a.dtype), NUMPY)) for a in arrays]
    with recording(trace, device):
        found = function(*[tensor_of(s, device) for s in symbols])
    results = [t.data for t in (found if isinstance(found, tuple | list) else [found])]
    return Program(NUMPY, symbols, [], Block(trace.instructions, results), results, [])


def one_by_one(program, arrays):
    """The results of the calls, each by its kernel for NumPy."""
    values = dict(zip(program.inputs, arrays, strict=True))
    for call in program.instructions:
        made = call.plan.run(*[None if i is None else values.get(i, i.array) for i in call.inputs])
        values.update(zip(call.outputs, made if call.plan.op.results is not None else (made,), strict=True))
    return [values.get(r, r.array) for r in program.results]


def fused(program) -> Program:
    return fuse(prune(eliminate_common_subexpressions(decompose(program, expressible, DECOMPOSITIONS))), expressible)


def in_loops(program, arrays, threads=1):
    """The results of the groups, and of what is left over on NumPy."""
    values = dict(zip(program.inputs, arrays, strict=True))
    for instruction in program.instructions:
        if isinstance(instruction, Fused):
            values |= run_group(instruction, values, threads)
        else:
            made = instruction.plan.run(*[values.get(i, i.array) for i in instruction.inputs])
            values[instruction.outputs[0]] = made
    return [values.get(r, r.array) for r in program.results]


def rng():
    return np.random.default_rng(5)


def real(*shape):
    return rng().standard_normal(shape).astype(np.float32)


KEY = np.array([7, 3, 0], np.uint64)
LABELS = rng().integers(0, 10, 50)


def loss_and_gradients(labels, logits):
    g = corenn.full((50,), 1 / 50.0)
    slope = sparse_softmax_cross_entropy_grad(g, labels, logits, axis=-1)
    loss = nn.sparse_softmax_cross_entropy(labels, logits)
    return corenn.mean(loss), slope, corenn.sum(slope, axis=0), corenn.sum(loss)


# name: function, arrays; all of it becomes one group
ONE_GROUP = {
    "map": (lambda x: corenn.tanh(x) * 2 + 1, [real(50, 70)]),
    "map of a number": (lambda x: corenn.exp(x) + 1, [real()]),
    "row beside": (lambda x, b: nn.relu(x + b), [real(50, 70), real(70)]),
    "column beside": (lambda x, b: x * corenn.sqrt(corenn.abs(b)), [real(50, 70), real(50, 1)]),
    "outer product": (lambda a, b: a * b + b, [real(9, 1), real(1, 21)]),
    "middle beside": (lambda x, b: x * b - 1, [real(4, 5, 6), real(4, 1, 6)]),
    "several results": (lambda x: (corenn.exp(x), corenn.exp(x) * 2, x > 0), [real(7, 3)]),
    "softmax": (lambda x: nn.softmax(x), [real(50, 70)]),
    "log softmax": (lambda x: nn.log_softmax(x), [real(50, 7)]),
    "logsumexp": (lambda x: corenn.logsumexp(x, axis=1), [real(50, 7)]),
    "sum of rows": (lambda x: corenn.sum(x, axis=1), [real(50, 70)]),
    "sum of columns": (lambda x: corenn.sum(x, axis=0), [real(50, 70)]),
    "all reductions": (
        lambda x: tuple(f(x, axis=0) for f in (corenn.sum, corenn.max, corenn.min, corenn.mean, corenn.prod)),
        [real(20, 33)],
    ),
    "truth": (
        lambda x: (corenn.any(x > 2, axis=0), corenn.all(x > -3, axis=0), corenn.count_nonzero(x > 0)), [real(9, 5)]
    ),
    "mean of squares": (lambda x: (corenn.mean(x * x), x * 2), [real(50, 70)]),
    "many parts": (lambda x: (corenn.sum(x), corenn.max(x, axis=0), x * 2), [real(3000, 100)]),
    "many flat parts": (lambda x: (corenn.sum(x), corenn.mean(corenn.abs(x))), [real(300001)]),
    "variance": (lambda x: (corenn.variance(x, axis=1), corenn.std(x, axis=1, correction=1)), [real(50, 70)]),
    "layer norm": (lambda x, a, b: nn.layer_norm(x, a, b), [real(50, 70), real(70), real(70)]),
    "layer norm of two axes": (
        lambda x, a, b: nn.layer_norm(x, a, b, axis=(1, 2)), [real(50, 7, 10), real(7, 10), real(7, 10)]
    ),
    "batch norm": (lambda x, a, b: nn.batch_norm_training(x, a, b), [real(50, 70), real(70), real(70)]),
    "batch norm of images": (
        lambda x, a, b: nn.relu(nn.batch_norm_training(x, a, b)[0]), [real(4, 9, 9, 20), real(20), real(20)]
    ),
    "softmax of an axis in the middle": (lambda x: nn.softmax(x, axis=1), [real(6, 9, 40)]),
    "mean over positions": (lambda x: corenn.mean(nn.relu(x), axis=(1, 2)), [real(16, 4, 5, 70)]),
    "instance norm": (lambda x, a, b: nn.instance_norm(x, a, b), [real(6, 9, 4, 33), real(33), real(33)]),
    "lines and sums of them": (
        lambda x: (corenn.max(x, axis=1, keepdims=True) - x, corenn.any(x > 2, axis=1), corenn.sum(x, axis=1) * 2),
        [real(6, 9, 7)],
    ),
    "batch norm gradient": (
        lambda g, gm, gv, x, m, v, a: batch_norm_grad(g, gm, gv, x, m, v, a, axis=1, epsilon=0.1),
        [real(50, 7), real(7), real(7), real(50, 7) + 1, real(7), real(7) ** 2, real(7)],
    ),
    "loss and gradients": (loss_and_gradients, [LABELS, real(50, 10)]),
    "cross-entropy gradient": (
        lambda g, y, x: (softmax_cross_entropy_grad(g, y, x, axis=-1), nn.softmax_cross_entropy(y, x)),
        [real(50), corenn.nn.softmax(real(50, 10)).numpy(), real(50, 10)],
    ),
    "changes of shape": (lambda x: corenn.reshape(corenn.tanh(x), shape=(25, 2, 70)) * 2, [real(50, 70)]),
    "flattened": (lambda x: corenn.reshape(nn.relu(x), shape=(4, -1)) + 1, [real(4, 5, 6)]),
    "broadcast": (lambda x: corenn.broadcast_to(x, shape=(3, 4, 5)) * 2, [real(4, 1)]),
    "a draw": (lambda k: random_uniform(k, shape=(37, 13)), [KEY]),
    "dropout": (lambda x, k: drop(x, k, rate=0.3), [real(50, 70), KEY]),
    "dropout with bias": (lambda x, k, b: drop(nn.relu(x + b), k, rate=0.3), [real(50, 70), KEY, real(70)]),
    "dropout of whole rows": (lambda x, k: drop(x, k, rate=0.3, noise_shape=(None, 1)), [real(50, 70), KEY]),
    "integers": (
        lambda x: (corenn.cast(corenn.round(x * 10), dtype="int32") + 1, corenn.cast(x > 0, dtype="int64")),
        [real(50, 7)],
    ),
    "wide integers": (lambda x: (x * 3 + 1, corenn.sum(x), corenn.max(x, axis=0)), [LABELS.reshape(5, 10)]),
    "narrow integers": (
        lambda x: (corenn.sum(x, axis=0), corenn.maximum(x, 7)), [rng().integers(0, 255, (9, 40)).astype(np.uint8)]
    ),
    "powers": (lambda x: (x**2, x**3, x**-1, corenn.abs(x) ** 0.5), [real(50, 7)]),
    "counting": (lambda x: x + corenn.arange(70, dtype="float32"), [real(50, 70)]),
    "float64": (lambda x: corenn.exp(x) * corenn.tanh(x) + corenn.mean(x), [real(50, 7).astype(np.float64)]),
    "float16": (lambda x: corenn.tanh(x) * 2, [real(50, 7).astype(np.float16)]),
    "adam": (
        lambda w, g, m, v, rate, step: adam_update(w, g, m, v, rate, step),
        [real(50, 7), real(50, 7) / 2, real(50, 7) / 3, real(50, 7) ** 2, np.array(0.1, np.float32), np.array(3)],
    ),
    "momentum": (
        lambda w, g, v, rate: momentum_update(w, g, v, rate, momentum=0.9, nesterov=True),
        [real(50, 7), real(50, 7) / 2, real(50, 7) / 3, np.array(0.1, np.float32)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("name", ONE_GROUP)
def test_a_group_is_its_calls(name, threads):
    function, arrays = ONE_GROUP[name]
    if any(a.dtype == np.float16 for a in arrays) and not expressible_half():
        pytest.skip("this processor does not convert float16")
    program = traced(function, arrays)
    groups = fused(program)
    kinds = {type(i) for i in groups.instructions if i.name not in ("expand_dims", "reshape", "squeeze")}
    assert kinds == {Fused}
    assert len([i for i in groups.instructions if isinstance(i, Fused)]) == 1
    exact = max((r.spec.dtype.itemsize for r in program.results), default=4) == 8
    for found, wanted in zip(in_loops(groups, arrays, threads), one_by_one(program, arrays), strict=True):
        assert found.dtype == wanted.dtype and found.shape == wanted.shape
        scale = max(1.0, np.abs(np.asarray(wanted, np.float64)).max())
        narrow = found.dtype == np.float16
        rtol = 2e-3 if narrow else 1e-12 if exact and found.dtype == np.float64 else 2e-5
        np.testing.assert_allclose(found, wanted, rtol=rtol, atol=(1e-3 if narrow else 2e-6) * scale)


@pytest.mark.parametrize("name", ONE_GROUP)
def test_eight_lanes_give_the_same(name, monkeypatch):
    """What processors without AVX-512 run, on the one at hand."""
    function, arrays = ONE_GROUP[name]
    if any(a.dtype == np.float16 for a in arrays) and not expressible_half():
        pytest.skip("this processor does not convert float16")
    monkeypatch.setattr(compiling.machine(), "width", 8)
    monkeypatch.setattr(compiling.machine(), "name", "eight lanes")
    program = traced(function, arrays)
    for found, wanted in zip(in_loops(fused(program), arrays), one_by_one(program, arrays), strict=True):
        scale = max(1.0, np.abs(np.asarray(wanted, np.float64)).max())
        narrow = found.dtype == np.float16
        np.testing.assert_allclose(
            found, wanted, rtol=2e-3 if narrow else 2e-5, atol=(1e-3 if narrow else 2e-6) * scale
        )


def expressible_half() -> bool:
    from corenn_onednn.loops.compiling import machine

    return machine().has_half


ELEMENTWISE = [
    corenn.abs, corenn.ceil, corenn.exp2, corenn.expm1, corenn.floor, corenn.isfinite, corenn.isinf, corenn.isnan,
    corenn.log, corenn.log10, corenn.log1p, corenn.log2, corenn.negative, corenn.reciprocal, corenn.round, corenn.rsqrt,
    corenn.sign, corenn.sqrt, corenn.square, corenn.tanh, corenn.trunc, corenn.erf, corenn.erfc, corenn.exp,
    nn.celu, nn.elu, nn.gelu, nn.hard_sigmoid, nn.hard_swish, nn.hard_tanh, nn.leaky_relu, nn.log_sigmoid, nn.mish,
    nn.relu, nn.relu6, nn.selu, nn.sigmoid, nn.silu, nn.softplus, nn.softsign, nn.threshold,
    lambda x: nn.gelu(x, approximate=True), lambda x: corenn.clip(x, min=-0.5, max=0.5),
    lambda x: nn.leaky_relu(x, alpha=1.5),
]  # fmt: skip


@pytest.mark.parametrize("function", ELEMENTWISE, ids=lambda f: f.__name__)
def test_elementwise_ops_and_their_special_values(function):
    x = np.concatenate([real(200) * 3, np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e30, -1e30, 1e-40], np.float32)])
    program = traced(function, [x])
    with np.errstate(all="ignore"):
        (wanted,) = one_by_one(program, [x])
    (found,) = in_loops(fused(program), [x])
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    "function",
    [corenn.add, corenn.subtract, corenn.multiply, corenn.divide, corenn.maximum, corenn.minimum, corenn.equal,
     corenn.not_equal, corenn.less, corenn.less_equal, corenn.greater, corenn.greater_equal, nn.prelu],
    ids=lambda f: f.__name__,
)  # fmt: skip
def test_ops_of_two_and_special_values(function):
    values = np.array([0.0, -0.0, 1.5, -2.5, np.inf, -np.inf, np.nan], np.float32)
    x, y = (v.ravel() for v in np.meshgrid(values, values))
    program = traced(function, [x, y])
    with np.errstate(all="ignore"):
        (wanted,) = one_by_one(program, [x, y])
    (found,) = in_loops(fused(program), [x, y])
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("reduce", [corenn.sum, corenn.max, corenn.min, corenn.mean, corenn.prod])
@pytest.mark.parametrize("axis", [0, 1, None])
def test_reductions_pass_nan_and_infinity_on(reduce, axis):
    x = real(40, 50)
    x[3, 4], x[5, 6], x[7, 8] = np.nan, np.inf, -np.inf
    program = traced(lambda t: reduce(t, axis=axis), [x])
    with np.errstate(all="ignore"):
        (wanted,) = one_by_one(program, [x])
    (found,) = in_loops(fused(program), [x])
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("offset", [0, 1, 5, 8, 2**40 + 3])
@pytest.mark.parametrize("shape", [(1,), (7,), (1000,), (37, 13), (5, 64)])
def test_draws_are_numpys_bit_for_bit(offset, shape):
    key = np.array([2**63 + 11, 5, offset], np.uint64)
    program = traced(lambda k: random_uniform(k, shape=shape), [key])
    (found,), (wanted,) = in_loops(fused(program), [key], max(THREADS)), one_by_one(program, [key])
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.skipif(len(THREADS) == 1, reason="no OpenMP runtime")
@pytest.mark.parametrize("name", ["many parts", "many flat parts", "batch norm of images", "layer norm"])
def test_results_do_not_depend_on_the_number_of_threads(name):
    function, arrays = ONE_GROUP[name]
    groups = fused(traced(function, arrays))
    found = [in_loops(groups, arrays, threads) for threads in THREADS]
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_sums_of_many_numbers_are_accurate():
    x = real(1000003)
    (found,) = in_loops(fused(traced(corenn.sum, [x])), [x])
    assert abs(found - x.astype(np.float64).sum()) < 1e-2


def the_group(function, arrays) -> tuple[Program, Fused]:
    program = fused(traced(function, arrays))
    (group,) = [i for i in program.instructions if isinstance(i, Fused)]
    return program, group


def test_updates_may_be_written_where_the_old_values_are():
    arrays = ONE_GROUP["adam"][1]
    program, group = the_group(*ONE_GROUP["adam"])
    variable, _, m, v, rate, _ = program.inputs
    kernel = compile_group(group)[0]
    for source, target in zip((variable, m, v), program.results, strict=True):
        assert kernel.may_alias(source, target)
    assert not kernel.may_alias(rate, program.results[0])
    values = dict(zip(program.inputs, [a.copy() for a in arrays], strict=True))
    wanted = in_loops(program, arrays)
    where = values | dict(zip(program.results, [values[s] for s in (variable, m, v)], strict=True))
    arguments = kernel.arguments([where[s].ctypes.data for s in kernel.symbols])
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(kernel.address)
    run(ctypes.addressof(arguments), 0, 1)
    for source, value in zip((variable, m, v), wanted, strict=True):
        np.testing.assert_array_equal(values[source], value)


def test_what_is_read_again_may_not_be_written_over():
    # The sums of the columns are known when all rows have been read, and then all rows are read once more.
    _, group = the_group(lambda x: (x * 2, x - corenn.sum(x, axis=0)), [real(5, 40)])
    kernel, *_ = compile_group(group)
    assert [kernel.may_alias(group.inputs[0], o) for o in group.outputs] == [False, True]
    _, group = the_group(lambda x, y: x + y, [real(5, 40), real(40)])
    (kernel,) = compile_group(group)
    assert [kernel.may_alias(s, group.outputs[0]) for s in group.inputs] == [True, False]


def test_all_is_read_before_anything_is_written():
    program, group = the_group(lambda x, y: (y + 1, x * 2 + y), [real(50), real(50)])
    (kernel,) = compile_group(group)
    x, y, z = real(50), real(50) * 3, np.empty(50, np.float32)
    wanted = in_loops(program, [x, y])
    places = dict(zip((*program.inputs, *program.results), (x, y, x, z), strict=True))
    assert kernel.may_alias(program.inputs[0], program.results[0])
    arguments = kernel.arguments([places[s].ctypes.data for s in kernel.symbols])
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(kernel.address)
    run(ctypes.addressof(arguments), 0, 1)
    for found, value in zip((x, z), wanted, strict=True):
        np.testing.assert_array_equal(found, value)


def test_one_machine_code_serves_every_size():
    keys = {
        compile_group(the_group(lambda w, g: sgd_update(w, g, 0.1), [real(n), real(n)])[1])[0].key for n in (7, 900)
    }
    assert len(keys) == 1


def test_the_text_reads_like_c():
    _, group = the_group(lambda x, b: nn.relu(x + b) * 2, [real(50, 70), real(70)])
    (kernel,) = compile_group(group)
    assert (
        kernel.text
        == """\
kernel(input float32* i0, input float32* i1, output float32* o2, int64 rows)
{   // lo, hi = share of rows
  for (int64 r = lo; r < hi; r++) {
    for (int64 c = 0; c < 70; c++) {   // lanes
      float32 v0 = i0[r * 70 + c];
      float32 v1 = i1[c];
      float32 v2 = (v0 + v1);
      float32 v3 = ((v2 < 0) ? 0 : v2);
      float32 v4 = (v3 * 2.0);
      o2[r * 70 + c] = v4;
    }
  }
}"""
    )


@pytest.mark.parametrize(
    "function, arrays",
    [
        (lambda x: x @ x, [real(4, 4)]),
        (lambda x: corenn.sort(x), [real(4, 4)]),
        (lambda x: x * 1j, [real(4, 4)]),
        (lambda x: corenn.sum(x, axis=0), [real(0, 4)]),
        (lambda x: x**x, [real(4, 4)]),
        (lambda x: corenn.floor_divide(x, 2.0), [real(4, 4)]),
    ],
)
def test_what_loops_do_not_hold(function, arrays):
    assert not all(expressible(c) for c in traced(function, arrays).instructions)


def test_bfloat16_is_rounded_to_nearest_even():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = np.concatenate([real(1000), np.array([np.nan, np.inf, -np.inf, 3.4e38, 1e-40], np.float32)])
    program = traced(lambda t: corenn.cast(t, dtype="bfloat16"), [x])
    (found,) = in_loops(fused(program), [x])
    with np.errstate(all="ignore"):
        wanted = x.astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(found.astype(np.float32), wanted.astype(np.float32))
    y = wanted[:1000]
    program = traced(
        lambda t: corenn.cast(corenn.cast(corenn.cast(t, dtype="float32") * 1.001, dtype="bfloat16"), dtype="float32"),
        [y],
    )
    for found, wanted in zip(in_loops(fused(program), [y]), one_by_one(program, [y]), strict=True):
        np.testing.assert_array_equal(found, wanted)
