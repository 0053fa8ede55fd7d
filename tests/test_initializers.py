"""Initial weights: their distributions, their fans, and that a seed decides them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from corenn import dtypes, initializers
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops import random

SHAPE = (300, 200)
RANDOM = [
    "random_uniform", "random_normal", "truncated_normal", "variance_scaling", "glorot_uniform", "glorot_normal",
    "he_uniform", "he_normal", "lecun_uniform", "lecun_normal", "orthogonal",
]  # fmt: skip


def draw(spec, shape=SHAPE, dtype="float64"):
    random.seed(11)
    return initializers.get(spec)(shape, dtype=dtype).numpy()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((), (1, 1)), ((7,), (7, 7)), ((7, 5), (7, 5)), ((3, 3, 4, 8), (36, 72)), ((5, 2, 3), (10, 15)), ((0, 4), (0, 4))],
)
def test_fans(shape, expected):
    assert initializers.fans(shape) == expected


@pytest.mark.parametrize(
    ("name", "variance", "limit"),
    [
        ("random_uniform", 0.1**2 / 12, 0.05),
        ("random_normal", 0.05**2, None),
        ("truncated_normal", (0.05 * 0.87962566103423978) ** 2, 0.1),
        ("variance_scaling", 1 / 300, 2 / math.sqrt(300) / 0.8796),
        ("glorot_uniform", 2 / 500, math.sqrt(6 / 500)),
        ("glorot_normal", 2 / 500, 2 * math.sqrt(2 / 500) / 0.8796),
        ("he_uniform", 2 / 300, math.sqrt(6 / 300)),
        ("he_normal", 2 / 300, 2 * math.sqrt(2 / 300) / 0.8796),
        ("lecun_uniform", 1 / 300, math.sqrt(3 / 300)),
        ("lecun_normal", 1 / 300, 2 * math.sqrt(1 / 300) / 0.8796),
    ],
)
def test_mean_variance_and_limits(name, variance, limit):
    """60,000 draws: the mean within 5 standard errors of 0, the variance within 3 per cent."""
    drawn = draw(name)
    assert abs(drawn.mean()) < 5 * math.sqrt(variance / drawn.size)
    assert drawn.var() == pytest.approx(variance, rel=0.03)
    if limit is not None:
        assert abs(drawn).max() <= limit * (1 + 1e-4)
        assert abs(drawn).max() > 0.95 * limit


@pytest.mark.parametrize(("mode", "count"), [("fan_in", 36), ("fan_out", 72), ("fan_avg", 54)])
@pytest.mark.parametrize("distribution", ["uniform", "untruncated_normal", "truncated_normal", "normal"])
def test_variance_scaling(mode, count, distribution):
    made = initializers.VarianceScaling(3.0, mode, distribution, seed=5)
    drawn = np.concatenate([draw(made, (3, 3, 4, 8)).ravel()] + [
        initializers.VarianceScaling(3.0, mode, distribution, seed=s)((3, 3, 4, 8), dtype="float64").numpy().ravel()
        for s in range(100)
    ])  # fmt: skip
    assert drawn.var() == pytest.approx(3.0 / count, rel=0.06)


@pytest.mark.parametrize("name", RANDOM)
def test_the_default_generator_decides(name):
    random.seed(7)
    first, second = initializers.get(name)((6, 4)).numpy(), initializers.get(name)((6, 4)).numpy()
    assert not np.array_equal(first, second)
    random.seed(7)
    np.testing.assert_array_equal(initializers.get(name)((6, 4)).numpy(), first)


@pytest.mark.parametrize("name", RANDOM)
def test_a_seed_of_its_own_gives_the_same_values_and_leaves_the_generator_alone(name):
    made = type(initializers.get(name))(seed=3)
    random.seed(1)
    before = random.get_state()
    np.testing.assert_array_equal(made((6, 4)).numpy(), made((6, 4)).numpy())
    assert random.get_state() == before


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("name", [*RANDOM, "zeros", "ones", "constant", "identity"])
def test_dtypes(name, dtype):
    made = initializers.get(name)((6, 4), dtype=dtype)
    assert made.dtype is dtypes.BY_NAME[dtype]
    assert made.shape == (6, 4)


def test_half_precision_is_rounded_from_single():
    made = initializers.GlorotUniform(seed=2)
    single = made((50, 4), dtype="float32").numpy()
    np.testing.assert_array_equal(made((50, 4), dtype="float16").numpy(), single.astype(np.float16))


@pytest.mark.parametrize("shape", [(8, 8), (9, 4), (4, 9), (3, 3, 5, 7)])
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_orthogonal(shape, gain):
    matrix = draw(initializers.Orthogonal(gain), shape).reshape(-1, shape[-1])
    rows, columns = matrix.shape
    gram = matrix @ matrix.T if rows < columns else matrix.T @ matrix
    np.testing.assert_allclose(gram, gain**2 * np.eye(min(rows, columns)), atol=1e-10)


def test_orthogonal_is_the_sign_fixed_factor_of_its_draw():
    """Q of the draw's QR decomposition whose R has a positive diagonal, so the draw is Q times such an R."""
    q = initializers.Orthogonal(seed=9)((5, 3), dtype="float64").numpy()
    drawn = random.normal((5, 3), dtype="float64", seed=9).numpy()
    r = q.T @ drawn
    np.testing.assert_allclose(q @ r, drawn, atol=1e-12)
    np.testing.assert_allclose(np.tril(r, -1), 0, atol=1e-12)
    assert (np.diagonal(r) > 0).all()


@pytest.mark.parametrize(
    ("spec", "shape", "dtype", "expected"),
    [
        ("zeros", (2, 2), "int32", np.zeros((2, 2), np.int32)),
        ("ones", (3,), "bool", np.ones(3, bool)),
        (initializers.Constant(2.5), (2,), "float32", np.full(2, 2.5, np.float32)),
        (0.5, (2,), "float32", np.full(2, 0.5, np.float32)),
        (initializers.Constant([[1.0], [2.0]]), (2, 3), "float32", np.array([[1, 1, 1], [2, 2, 2]], np.float32)),
        (initializers.Constant(np.arange(3.0)), (2, 3), "float64", np.array([[0, 1, 2.0]] * 2)),
        (initializers.Identity(2.0), (2, 3), "float32", np.array([[2, 0, 0], [0, 2, 0]], np.float32)),
        ("identity", (3, 2), "float32", np.eye(3, 2, dtype=np.float32)),
    ],
)
def test_constants(spec, shape, dtype, expected):
    made = initializers.get(spec)(shape, dtype=dtype).numpy()
    assert made.dtype == expected.dtype
    np.testing.assert_array_equal(made, expected)


def test_a_function_serves_as_an_initializer():
    made = initializers.get(lambda shape, dtype: initializers.Ones()(shape, dtype))
    assert made((2, 2), dtype="float32").shape == (2, 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: initializers.RandomUniform(1.0, 0.0), AttributeValueError, "minval must not be above"),
        (lambda: initializers.RandomNormal(stddev=-1), AttributeValueError, "stddev must be at least 0"),
        (lambda: initializers.TruncatedNormal(stddev=math.nan), AttributeValueError, "stddev must be at least 0"),
        (lambda: initializers.VarianceScaling(0.0), AttributeValueError, "scale must be positive"),
        (lambda: initializers.VarianceScaling(mode="fan"), AttributeValueError, "mode 'fan' is not one of"),
        (lambda: initializers.VarianceScaling(distribution="x"), AttributeValueError, "distribution 'x'"),
        (lambda: initializers.GlorotUniform()((2, 2), dtype="int32"), DTypeError, "draws floating numbers, not int32"),
        (lambda: initializers.Orthogonal()((3,)), ShapeError, "at least two axes"),
        (lambda: initializers.Identity()((3,)), ShapeError, "makes matrices"),
        (lambda: initializers.Constant([1.0, 2.0])((3,)), ShapeError, "does not broadcast"),
    ],
)
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call()
