"""Random numbers as ops: functions of a key, uint64[3] = (seed, stream, offset).

Element i of a draw depends on the seed, the stream and offset + i alone (see ``corenn/philox.py``), so the same key
gives the same numbers on every backend.  ``corenn.random`` hands out keys; these ops take them, and a key is data:
drawing again from another stream is the same call with other operands, in eager mode and in a graph.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn import dtypes, philox
from corenn.dtypes import FLOATING, INTEGER, DType
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops import _philox
from corenn.ops.creation import tensor
from corenn.ops.elementwise import (
    add,
    clip,
    divide,
    maximum,
    multiply,
    negative,
    square,
    stop_gradient,
    subtract,
    where,
)
from corenn.ops.families import static_shape
from corenn.ops.logic import greater, less, logical_and
from corenn.ops.reduction import argmax
from corenn.ops.sampling import Arg, error, integer, literal, real, sample
from corenn.ops.shaping import broadcast_to, expand_dims
from corenn.ops.table import Call, TensorLike, op
from corenn.ops.transcendental import cos, erfinv, exp, log, log1p, sin, sqrt
from corenn.spec import Shape, Spec
from corenn.tensor import Tensor

KEY = frozenset({dtypes.uint64})
_TRUNCATION = 2.0
_ATTEMPTS = 8  # of the gamma distribution; each takes two numbers, and one is left for small alpha
_PER_GAMMA = 2 * _ATTEMPTS + 1


def key_arg(seed: int, stream: int, offset: int = 0) -> Arg:
    """A key as an operand of samples."""
    return literal(np.array([seed, stream, offset], np.uint64), "uint64")


_key = key_arg(7, 3)
_keys = (_key, key_arg(2**64 - 1, 2**63, 5), key_arg(0, 1, 6))
_float_key = error(
    DTypeError, "takes integer elements", literal([1.0, 2.0, 3.0], "float32"), shape=(2,), dtype="float32"
)
_short_key = error(ShapeError, "three numbers", literal([1, 2], "uint64"), shape=(2,), dtype="float32")


def _drawn(call: Call, key: Spec, allowed: frozenset[DType]) -> Spec:
    """The spec of a draw with attributes ``shape`` and ``dtype``."""
    check_key(call, key)
    shape = call.attrs["shape"] = static_shape(call, call.attrs["shape"])
    dtype = call.attrs["dtype"]
    if dtype not in allowed:
        kind = "integers" if allowed is INTEGER else "floating numbers"
        raise call.dtype_error(f"draws {kind}, not {dtype}", dtype="")
    return Spec(shape, dtype)


def check_key(call: Call, key: Spec) -> None:
    """ShapeError unless ``key`` has the shape of one."""
    if key.shape != (3,):
        raise call.shape_error("a key is three numbers: seed, stream, offset", "corenn.random.key(seed)", key="")


def _floats(call: Call, key: Spec) -> Spec:
    return _drawn(call, key, FLOATING)


def _shaped(draw: Callable[..., Any]) -> Callable[..., Any]:
    """A shared kernel from a draw of so many elements of a dtype."""

    def kernel(xp: Any, key: Any, *, shape: tuple[int, ...], dtype: Any, device: Any) -> Any:
        return xp.reshape(draw(xp, key, math.prod(shape), dtype, device), shape)

    return kernel


def _named(key: Any) -> tuple[int, int, int]:
    """Seed, stream and offset of a key on the host."""
    seed, stream, offset = key.tolist()
    return seed, stream, offset


def _on_host(draw: Callable[..., Any]) -> Callable[..., Any]:
    """A reference from a draw of the host definition."""

    def reference(key: Any, *, shape: Any, dtype: DType) -> Any:
        shape = (shape,) if isinstance(shape, int) else shape
        return draw(*_named(key), math.prod(shape), dtypes.as_dtype(dtype).numpy).reshape(shape)

    return reference


# ---------------------------------------------------------------- bits


def _random_words(call: Call, key: Spec) -> Spec:
    check_key(call, key)
    call.attrs["count"] = static_shape(call, call.attrs["count"], "count")[0]
    return Spec((call.attrs["count"],), dtypes.uint64)


@op(infer=_random_words, dtypes=KEY, namespace="_")
def random_words(key: TensorLike, /, *, count: int) -> Tensor:
    """``count`` 64-bit words of Philox 4x64-10 from the key's offset on, uint64[count]."""


@random_words.kernel
def _(xp: Any, key: Any, *, count: int, device: Any) -> Any:
    return _philox.words(xp, key, key[2:3], count, device)


random_words.samples(*(sample(k, count=n, grad=False) for k, n in zip(_keys, (9, 3, 0), strict=True)))
random_words.error_samples(
    error(ShapeError, "three numbers", literal([1, 2], "uint64"), count=2),
    error(AttributeValueError, "non-negative", _key, count=-1),
)
random_words.reference(lambda key, *, count: philox.words(*_named(key), count))


@op(infer=_floats, dtypes=KEY, namespace="random")
def random_uniform(key: TensorLike, /, *, shape: tuple[int, ...], dtype: DType = dtypes.float32) -> Tensor:
    """Numbers uniform in [0, 1) of a floating dtype: multiples of 2**-24 in float32, 2**-53 in float64, 2**-11 in
    float16, 2**-8 in bfloat16.  Exact, so the same bits on every backend."""


random_uniform.kernel(_shaped(_philox.uniform))
random_uniform.samples(
    *(sample(k, shape=(3, 5), grad=False) for k in _keys),
    sample(_key, shape=(4,), dtype="float64", grad=False),
    sample(_key, shape=(), grad=False),
    sample(_key, shape=(2, 0), grad=False),
)
random_uniform.error_samples(
    _float_key,
    _short_key,
    error(DTypeError, "draws floating numbers, not int32", _key, shape=(2,), dtype="int32"),
    error(AttributeValueError, "non-negative", _key, shape=(-1,)),
)
random_uniform.reference(_on_host(philox.uniform))


@op(infer=_floats, dtypes=KEY, namespace="random")
def random_normal(key: TensorLike, /, *, shape: tuple[int, ...], dtype: DType = dtypes.float32) -> Tensor:
    """Standard normal numbers of a floating dtype by Box and Muller (1958) on pairs of words; float16 and bfloat16 are
    rounded from float32.  Backends agree to the rounding of their logarithm, sine and cosine."""


random_normal.kernel(_shaped(_philox.normal))
random_normal.samples(
    *(sample(k, shape=(3, 5), grad=False) for k in _keys),
    sample(key_arg(7, 3, 1), shape=(4,), dtype="float64", grad=False),
    sample(_key, shape=(), grad=False),
    sample(_key, shape=(2, 0), grad=False),
)
random_normal.error_samples(_short_key, error(DTypeError, "draws floating", _key, shape=(2,), dtype="int32"))
random_normal.reference(_on_host(philox.normal))


def _integers(call: Call, key: Spec) -> Spec:
    spec = _drawn(call, key, INTEGER)
    low, high = call.attrs["low"], call.attrs["high"]
    limits = np.iinfo(spec.dtype.numpy)
    if not (isinstance(low, int) and isinstance(high, int)) or not limits.min <= low < high <= int(limits.max) + 1:
        hint = f"{spec.dtype} holds {limits.min} to {limits.max}; high itself is never drawn"
        raise call.attribute_error("low must be an int below high, and both must fit the dtype", hint, low="", high="")
    return spec


@op(infer=_integers, dtypes=KEY, namespace="random")
def random_integers(
    key: TensorLike, /, *, shape: tuple[int, ...], low: int, high: int, dtype: DType = dtypes.int32
) -> Tensor:
    """Integers uniform in [low, high), one 64-bit word each, by multiplication (Lemire 2019, without rejection): no
    value is more than ``(high - low) * 2**-64`` more likely than another.  The same bits on every backend."""


@random_integers.kernel
def _(xp: Any, key: Any, *, shape: tuple[int, ...], low: int, high: int, dtype: Any, device: Any) -> Any:
    return xp.reshape(_philox.integers(xp, key, math.prod(shape), low, high, dtype, device), shape)


random_integers.samples(
    sample(_key, shape=(3, 5), low=-3, high=9, grad=False),
    sample(_keys[1], shape=(4,), low=0, high=256, dtype="uint8", grad=False),
    sample(_key, shape=(), low=-(2**63), high=2**63, dtype="int64", grad=False),
    sample(_key, shape=(0,), low=0, high=1, grad=False),
)
random_integers.error_samples(
    error(AttributeValueError, "below high", _key, shape=(2,), low=3, high=3),
    error(AttributeValueError, "fit the dtype", _key, shape=(2,), low=0, high=257, dtype="uint8"),
    error(DTypeError, "draws integers, not float32", _key, shape=(2,), low=0, high=3, dtype="float32"),
)


@random_integers.reference
def _(key: Any, *, shape: tuple[int, ...], low: int, high: int, dtype: Any) -> Any:
    count, kind = math.prod(shape), dtypes.as_dtype(dtype).numpy
    return philox.integers(*_named(key), count, low, high, kind).reshape(shape)


def _permutation(call: Call, key: Spec) -> Spec:
    check_key(call, key)
    call.attrs["n"] = static_shape(call, call.attrs["n"], "n")[0]
    return Spec((call.attrs["n"],), dtypes.int64)


@op(infer=_permutation, dtypes=KEY, namespace="random")
def random_permutation(key: TensorLike, /, *, n: int) -> Tensor:
    """0, ..., n - 1 in random order, int64[n]: the stable argsort of n words.  The same on every backend."""


@random_permutation.kernel
def _(xp: Any, key: Any, *, n: int, device: Any) -> Any:
    order = xp.argsort(_philox.words(xp, key, key[2:3], n, device), stable=True)
    return xp.astype(order, xp.int64, copy=False)


random_permutation.samples(*(sample(k, n=n, grad=False) for k, n in zip(_keys, (10, 1, 0), strict=True)))
random_permutation.error_samples(error(AttributeValueError, "non-negative", _key, n=-2))
random_permutation.reference(lambda key, *, n: np.argsort(philox.words(*_named(key), n), kind="stable"))


# ---------------------------------------------------------------- distributions made of uniform numbers


@op(infer=_floats, dtypes=KEY, namespace="random")
def random_truncated_normal(key: TensorLike, /, *, shape: tuple[int, ...], dtype: DType = dtypes.float32) -> Tensor:
    """Normal numbers given that they lie in [-2, 2]: the inverse distribution function of uniform ones, so each takes
    one, and none is rejected.  Their standard deviation is 0.8796; 16-bit dtypes are rounded from float32."""


@random_truncated_normal.decompose
def _(key: Tensor, *, shape: tuple[int, ...], dtype: DType) -> Tensor:
    wide = dtypes.float64 if dtype is dtypes.float64 else dtypes.float32
    within = math.erf(_TRUNCATION / math.sqrt(2))  # P(-2 < x < 2)
    centred = (random_uniform(key, shape=shape, dtype=wide) * 2.0 - 1.0) * within
    drawn = clip(erfinv(centred) * math.sqrt(2), min=-_TRUNCATION, max=_TRUNCATION)
    return drawn if dtype is wide else drawn.cast(dtype)


random_truncated_normal.samples(
    *(sample(k, shape=(3, 5), grad=False) for k in _keys),
    sample(_key, shape=(4,), dtype="float64", grad=False),
    sample(_key, shape=(), grad=False),
)
random_truncated_normal.error_samples(_short_key, error(DTypeError, "draws floating", _key, shape=(2,), dtype="int8"))


@random_truncated_normal.reference
def _(key: Any, *, shape: tuple[int, ...], dtype: Any) -> Any:
    draws = _on_host(philox.uniform)(key, shape=shape, dtype=dtype).astype(np.float64)
    return np.vectorize(_truncated_quantile, otypes=[np.float64])(draws)


def _truncated_quantile(p: float) -> float:
    """Where the distribution function of the truncated normal is ``p``, by bisection."""
    low, high, within = -_TRUNCATION, _TRUNCATION, math.erf(_TRUNCATION / math.sqrt(2))
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if math.erf(middle / math.sqrt(2)) < (2 * p - 1) * within else (low, middle)
    return (low + high) / 2


@op(infer=_floats, dtypes=KEY, namespace="random")
def random_exponential(key: TensorLike, /, *, shape: tuple[int, ...], dtype: DType = dtypes.float32) -> Tensor:
    """Numbers of the exponential distribution of mean 1, ``-log(1 - u)`` of uniform ones; 16-bit dtypes are rounded
    from float32."""


@random_exponential.decompose
def _(key: Tensor, *, shape: tuple[int, ...], dtype: DType) -> Tensor:
    wide = dtypes.float64 if dtype is dtypes.float64 else dtypes.float32
    drawn = negative(log1p(negative(random_uniform(key, shape=shape, dtype=wide))))
    return drawn if dtype is wide else drawn.cast(dtype)


random_exponential.samples(*(sample(k, shape=(3, 5), grad=False) for k in _keys), sample(_key, shape=(), grad=False))
random_exponential.error_samples(_short_key, error(DTypeError, "draws floating", _key, shape=(2,), dtype="int8"))
random_exponential.reference(lambda key, **attrs: -np.log1p(-_on_host(philox.uniform)(key, **attrs).astype(np.float64)))


def _bernoulli(call: Call, key: Spec, p: Spec) -> Spec:
    check_key(call, key)
    shape = call.attrs["shape"] = static_shape(call, call.attrs["shape"])
    return Spec(_checked_parameter(call, p, shape, "p"), dtypes.bool_)


def _checked_parameter(call: Call, parameter: Spec, shape: Shape, name: str) -> Shape:
    """The shape of a draw, to which a parameter of the distribution must broadcast."""
    lead = len(shape) - parameter.ndim
    if lead < 0 or any(m not in (1, n) for m, n in zip(parameter.shape, shape[lead:], strict=True)):
        hint = "give a shape that ends in the parameter's, or none"
        raise call.shape_error(f"{name} does not broadcast to the shape of the draw", hint, **{name: "", "shape": ""})
    return shape


@op(infer=_bernoulli, dtypes={"key": KEY, "p": FLOATING}, namespace="random")
def random_bernoulli(key: TensorLike, p: TensorLike, /, *, shape: tuple[int, ...]) -> Tensor:
    """True with probability ``p`` (floating, broadcast to ``shape``): whether a uniform float32 number is below
    ``p`` in float32.  The same bits on every backend."""


@random_bernoulli.decompose
def _(key: Tensor, p: Tensor, *, shape: tuple[int, ...]) -> Tensor:
    return less(random_uniform(key, shape=shape), p if p.dtype is dtypes.float32 else p.cast(dtypes.float32))


_p = literal([0.0, 0.2, 0.5, 0.9, 1.0], "float32")
random_bernoulli.samples(
    *(sample(k, _p, shape=(3, 5), grad=False) for k in _keys),
    sample(_key, literal(0.3, "float32"), shape=(7,), grad=False),
    sample(_key, literal(0.3, "float64"), shape=(), grad=False),
)
random_bernoulli.error_samples(
    error(ShapeError, "does not broadcast", _key, _p, shape=(3, 4)),
    error(ShapeError, "three numbers", literal([1], "uint64"), _p, shape=(5,)),
    error(DTypeError, "p", _key, integer(0, 2), shape=(3, 4)),
)
random_bernoulli.reference(lambda key, p, *, shape: host_uniform(key, shape) < p.astype(np.float32))


def host_uniform(key: Any, shape: tuple[int, ...]) -> Any:
    """Uniform float32 numbers by the host definition, for references."""
    return philox.uniform(*_named(key), math.prod(shape)).reshape(shape)


def _categorical(call: Call, key: Spec, logits: Spec) -> Spec:
    check_key(call, key)
    count = call.attrs["num_samples"] = static_shape(call, call.attrs["num_samples"], "num_samples")[0]
    if logits.ndim == 0 or logits.shape[-1] == 0:
        raise call.shape_error("the last axis must hold the logits of at least one class", logits="")
    return Spec((*logits.shape[:-1], count), dtypes.int64)


@op(infer=_categorical, dtypes={"key": KEY, "logits": FLOATING}, namespace="random")
def random_categorical(key: TensorLike, logits: TensorLike, /, *, num_samples: int) -> Tensor:
    """Class indices, int64 ``[..., num_samples]``, with probabilities ``softmax(logits)`` over the last axis.

    The largest of the logits plus Gumbel noise (Gumbel 1954): each sample takes one uniform number per class, of
    float64 beside float64 logits, else of float32.  Classes of logit -inf are never drawn.
    """


@random_categorical.decompose
def _(key: Tensor, logits: Tensor, *, num_samples: int) -> Tensor:
    wide = dtypes.float64 if logits.dtype is dtypes.float64 else dtypes.float32
    logits = logits if logits.dtype is wide else logits.cast(wide)
    shape = (*logits.shape[:-1], num_samples, logits.shape[-1])
    least = 2.0**-54 if wide is dtypes.float64 else 2.0**-25  # half a step, in place of 0
    waiting = negative(log1p(negative(maximum(random_uniform(key, shape=shape, dtype=wide), least))))
    return argmax(subtract(expand_dims(logits, axis=-2), log(waiting)), axis=-1)


_logits = literal([[0.0, 1.0, -2.0, 0.5], [-np.inf, 3.0, 3.0, 2.0]], "float32")
random_categorical.samples(
    *(sample(k, _logits, num_samples=5, grad=False) for k in _keys),
    sample(_key, literal([0.0, 1.0], "float32"), num_samples=0, grad=False),
)
random_categorical.error_samples(
    error(ShapeError, "at least one class", _key, real(shape=()), num_samples=2),
    error(ShapeError, "three numbers", literal([1], "uint64"), real(shape=(3,)), num_samples=2),
    error(DTypeError, "logits", _key, integer(), num_samples=2),
)


@random_categorical.reference
def _(key: Any, logits: Any, *, num_samples: int) -> Any:
    shape = (*logits.shape[:-1], num_samples, logits.shape[-1])
    u = np.maximum(host_uniform(key, shape).astype(np.float64), 2.0**-25)
    return np.argmin(-np.log1p(-u) / np.exp(logits[..., None, :]), axis=-1)  # the exponential race, in other words


def _gamma(call: Call, key: Spec, alpha: Spec) -> Spec:
    check_key(call, key)
    shape = call.attrs["shape"] = static_shape(call, call.attrs["shape"])
    return Spec(_checked_parameter(call, alpha, shape, "alpha"), alpha.dtype)


@op(infer=_gamma, dtypes={"key": KEY, "alpha": FLOATING}, namespace="random")
def random_gamma(key: TensorLike, alpha: TensorLike, /, *, shape: tuple[int, ...]) -> Tensor:
    """Numbers of the gamma distribution of shape parameter ``alpha`` (floating, broadcast to ``shape``) and scale 1.

    Marsaglia & Tsang, "A simple method for generating gamma variables" (ACM TOMS 26, 2000), with their power of a
    uniform number for ``alpha`` below 1.  Each element makes eight attempts from seventeen numbers of its own and keeps
    the first that is accepted; at most one element in 2**34 has none and is ``alpha - 1/3``.  NaN where ``alpha`` is
    not positive.  Not differentiable; 16-bit dtypes are rounded from float32.
    """


@random_gamma.decompose
def _(key: Tensor, alpha: Tensor, *, shape: tuple[int, ...]) -> Tensor:
    wide = dtypes.float64 if alpha.dtype is dtypes.float64 else dtypes.float32
    given = stop_gradient(alpha if alpha.dtype is wide else alpha.cast(wide))
    legal = greater(given, 0.0)
    a = where(legal, given, 1.0)
    small = less(a, 1.0)
    d = subtract(where(small, add(a, 1.0), a), 1.0 / 3.0)
    c = divide(1.0, sqrt(multiply(d, 9.0)))
    stride = tensor(np.array([1, 1, _PER_GAMMA], np.uint64), device=key.spec.device)  # element i has numbers 17 i, ...
    numbers = random_uniform(multiply(key, stride), shape=(*shape, _PER_GAMMA), dtype=wide)
    open_below = subtract(1.0, numbers)  # in (0, 1], so that its logarithm is finite
    logs = log(open_below)
    drawn = broadcast_to(d, shape=shape)
    for attempt in reversed(range(_ATTEMPTS)):
        pair = attempt // 2
        turn = cos if attempt % 2 == 0 else sin
        x = multiply(sqrt(multiply(logs[..., 2 * pair], -2.0)), turn(multiply(numbers[..., 2 * pair + 1], 2 * math.pi)))
        root = add(1.0, multiply(c, x))
        positive = greater(root, 0.0)
        v = where(positive, multiply(root, square(root)), 1.0)
        bound = add(multiply(square(x), 0.5), multiply(d, add(subtract(1.0, v), log(v))))
        accepted = logical_and(positive, less(logs[..., _ATTEMPTS + attempt], bound))
        drawn = where(accepted, multiply(d, v), drawn)
    power = exp(divide(logs[..., 2 * _ATTEMPTS], where(small, a, 1.0)))
    drawn = where(small, multiply(drawn, power), drawn)
    drawn = where(legal, drawn, math.nan)
    return drawn if alpha.dtype is wide else drawn.cast(alpha.dtype)


_alphas = literal([0.1, 0.7, 1.0, 3.0, 40.0], "float32")
random_gamma.samples(
    *(sample(k, _alphas, shape=(4, 5), grad=False) for k in _keys),
    sample(_key, literal(2.5, "float32"), shape=(6,), grad=False),
    sample(_key, literal([-1.0, 0.0, 1.0], "float32"), shape=(3,), grad=False, name="not positive"),
)
random_gamma.error_samples(
    error(ShapeError, "does not broadcast", _key, _alphas, shape=(5, 4)),
    error(ShapeError, "three numbers", literal([1], "uint64"), _alphas, shape=(5,)),
    error(DTypeError, "alpha", _key, integer(1, 4), shape=(3, 4)),
)


@random_gamma.reference
def _(key: Any, alpha: Any, *, shape: tuple[int, ...]) -> Any:
    seed, stream, offset = _named(key)
    numbers = philox.uniform(seed, stream, _PER_GAMMA * offset, _PER_GAMMA * math.prod(shape))
    rows = numbers.astype(np.float64).reshape(-1, _PER_GAMMA).tolist()
    drawn = [_gamma_of(a, row) for a, row in zip(np.broadcast_to(alpha, shape).ravel().tolist(), rows, strict=True)]
    return np.array(drawn).reshape(shape)


def _gamma_of(alpha: float, row: list[float]) -> float:
    """One number from the seventeen of its element, attempt by attempt."""
    if not alpha > 0:
        return math.nan
    d = (alpha + 1 if alpha < 1 else alpha) - 1 / 3
    boost = (1 - row[-1]) ** (1 / alpha) if alpha < 1 else 1.0
    for attempt in range(_ATTEMPTS):
        first, second = row[attempt - attempt % 2 : attempt - attempt % 2 + 2]
        turn = math.sin if attempt % 2 else math.cos
        x = math.sqrt(-2 * math.log1p(-first)) * turn(2 * math.pi * second)
        v = (1 + x / math.sqrt(9 * d)) ** 3
        if v > 0 and math.log1p(-row[_ATTEMPTS + attempt]) < x * x / 2 + d * (1 - v + math.log(v)):
            return d * v * boost
    return d * boost


random_gamma.terms(lambda key, alpha, *, shape: 100)  # about as many roundings on the way
