"""Random programs of calls that loops hold: joined and run natively they give what NumPy gives call by call."""

from __future__ import annotations

import functools
from importlib.util import find_spec

import numpy as np
import pytest
from corenn_onednn.loops import expressible
from corenn_onednn.loops.decompositions import DECOMPOSITIONS
from corenn_onednn.loops.running import run_group
from corenn_onednn.native.openmp import openmp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import corenn
from corenn import dtypes
from corenn.compiler.passes import eliminate_common_subexpressions, prune
from corenn.compiler.passes.decompose import decompose
from corenn.compiler.passes.fuse import fuse
from corenn.compiler.program import Block, Fused, Program, Symbol
from corenn.compiler.tracing import Trace, recording, recording_device, tensor_of
from corenn.ops.draws import random_uniform
from corenn.spec import Spec

pytestmark = pytest.mark.skipif(find_spec("llvmlite") is None, reason="llvmlite is not installed")

NUMPY = corenn.device("numpy")
KEY = np.array([9, 2, 5], np.uint64)

UNARY = [
    corenn.tanh, corenn.square, corenn.negative, corenn.nn.sigmoid, corenn.nn.relu, corenn.nn.gelu,
    lambda x: x * 0.5 + 1.0, lambda x: corenn.exp(corenn.tanh(x)), lambda x: corenn.cast(x > 0.1, dtype="float32"),
    lambda x: corenn.where(x > 0, x, -x * 0.3), lambda x: corenn.clip(x, min=-1.0, max=0.7),
]  # fmt: skip
BINARY = [
    corenn.add, corenn.subtract, corenn.multiply, corenn.maximum, corenn.squared_difference,
    lambda a, b: a / (1.5 + corenn.abs(b)), lambda a, b: corenn.where(a > b, a, b * 0.5),
]  # fmt: skip
REDUCTIONS = [corenn.sum, corenn.mean, corenn.max, corenn.min]
EXTENTS = [1, 2, 3, 5, 7, 16, 17, 33, 40]


@st.composite
def recipes(draw):
    """Shapes of three operands that broadcast, steps over what there is, and which values are results."""
    extents = [draw(st.sampled_from(EXTENTS)) for _ in range(3)]
    shapes = [
        tuple(n if draw(st.integers(0, 4)) else 1 for n in extents)[draw(st.integers(0, 2)) :] for _ in range(3)
    ]  # fmt: skip
    steps = []
    for _ in range(draw(st.integers(1, 14))):
        kind = draw(st.sampled_from(["unary", "binary", "binary", "reduce", "reduce", "softmax", "reshape", "draw"]))
        steps.append((kind, draw(st.integers(0, 99)), draw(st.integers(0, 99)), draw(st.integers(0, 99))))
    return shapes, steps, draw(st.integers(0, 2**20)), draw(st.sampled_from([1, 2, 3] if openmp() else [1]))


def follow(steps, wanted, tensors):
    """The chosen values of a recipe; steps that do not fit the shapes are left out."""
    *values, key = tensors
    count = len(values)
    for kind, which, other, choice in steps:
        x, y = values[which % len(values)], values[other % len(values)]
        if kind == "unary":
            made = UNARY[choice % len(UNARY)](x)
        elif kind == "binary":
            try:
                made = BINARY[choice % len(BINARY)](x, y)
            except corenn.errors.ShapeError:
                continue
        elif kind == "reduce":
            axes = tuple(a for a in range(x.ndim) if other >> a & 1)
            made = REDUCTIONS[choice % 4](x, axis=axes, keepdims=bool(choice & 4))
        elif kind == "softmax":
            made = corenn.nn.softmax(x) if x.ndim else x * 2
        elif kind == "draw":
            made = x + random_uniform(key, shape=x.shape)
        else:
            shapes = [(-1,), (1, -1), (*x.shape, 1), (x.shape[0] * x.shape[1], *x.shape[2:]) if x.ndim > 1 else (-1, 1)]
            made = corenn.reshape(x, shape=shapes[choice % 4])
        if made.size <= 40000 and made.ndim <= 4:
            values.append(made)
    made = values[count:]
    return [v for i, v in enumerate(made) if wanted >> i & 1] or made[-1:]


def program_of(function, arrays) -> Program:
    device, trace = recording_device(NUMPY), Trace()
    symbols = [Symbol(Spec(a.shape, dtypes.as_dtype(a.dtype), NUMPY)) for a in arrays]
    with recording(trace, device):
        results = [t.data for t in function([tensor_of(s, device) for s in symbols])]
    return Program(NUMPY, symbols, [], Block(trace.instructions, results), results, [])


def run(program, arrays, threads):
    values = dict(zip(program.inputs, arrays, strict=True))
    for instruction in program.instructions:
        if isinstance(instruction, Fused):
            values |= run_group(instruction, values, threads)
            continue
        made = instruction.plan.run(*[None if i is None else values.get(i, i.array) for i in instruction.inputs])
        values.update(zip(instruction.outputs, made if instruction.plan.op.results else (made,), strict=True))
    return [values.get(r, r.array) for r in program.results]


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CORENN_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(recipes())
def test_random_programs_agree_with_numpy(recipe):
    shapes, steps, wanted, threads = recipe
    rng = np.random.default_rng(3)
    arrays = [*(rng.standard_normal(s).astype(np.float32) for s in (*shapes, ())), KEY]
    program = program_of(functools.partial(follow, steps, wanted), arrays)
    joined = fuse(prune(eliminate_common_subexpressions(decompose(program, expressible, DECOMPOSITIONS))), expressible)
    right = [a.astype(np.float64) for a in run(program, arrays, 1)]
    for found, value in zip(run(joined, arrays, threads), right, strict=True):
        assert found.shape == value.shape
        scale = max(1.0, float(np.abs(value).max()))
        np.testing.assert_allclose(found, value, rtol=2e-4, atol=2e-5 * scale)
