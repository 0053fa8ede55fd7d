"""Random tensors: draws named by a seed and a stream, the same on every backend.

Each draw takes the next stream of a generator, so a program with one seed gives the same numbers on every run, device
and backend.  Where the numbers come from, in order of precedence:

- ``key=``: a key tensor (``corenn.random.key(seed, stream, offset)``); the same key gives the same numbers;
- ``seed=``: an int; stream 0 under that seed, so the same call gives the same numbers;
- ``generator=``: a ``Generator``, which gives its next stream;
- none: the default generator of the process, seeded by ``corenn.random.seed(n)``, else by a fresh seed.

Whatever is given no seed (that generator, a session, a run) asks ``fresh_seed`` for one.  They come from the operating
system's entropy, or, after ``set_entropy(n)``, from ``n``.

The tensors are made on the current device.  Philox 4x64-10 (Salmon et al. 2011) is behind all; ``corenn/philox.py``
says how its bits become numbers.
"""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, SupportsIndex

import numpy as np

from corenn import dtypes, philox
from corenn.device import Device, current_device
from corenn.dtypes import as_dtype
from corenn.errors import AttributeValueError, ShapeError, UsageError
from corenn.ops.creation import DTypeLike, asarray, tensor
from corenn.ops.dispatch import current
from corenn.ops.draws import (
    random_bernoulli,
    random_categorical,
    random_exponential,
    random_gamma,
    random_integers,
    random_normal,
    random_permutation,
    random_truncated_normal,
    random_uniform,
)
from corenn.ops.elementwise import add, divide, multiply
from corenn.ops.gathering import gather
from corenn.ops.noise import drop
from corenn.ops.shaping import reshape
from corenn.ops.table import TensorLike
from corenn.spec import Spec
from corenn.tensor import Tensor

ShapeLike = int | tuple[int, ...] | list[int]


class Generator:
    """A sequence of random streams under one seed: every draw takes the next.

    ``seed``: an int, reduced modulo 2**64.  The state is a small dict that JSON holds, so a run can be resumed; the
    generator may be shared between threads, which then take streams in the order they come.
    """

    def __init__(self, seed: int) -> None:
        self._keys = philox.KeySequence(_integer("Generator", "seed", seed))

    @property
    def seed(self) -> int:
        """The seed, in [0, 2**64)."""
        return self._keys.seed

    def next_key(self) -> Tensor:
        """A key not given before, uint64[3], on the current device.

        While a graph is built: a graph tensor, for which every run takes the next key.
        """
        in_graph = getattr(current(), "random_key", None)
        if in_graph is not None:
            return in_graph(generator=self)  # type: ignore[no-any-return]
        where = current_device()
        return Tensor(self.next_key_on(where), Spec((3,), dtypes.uint64, where))

    def next_key_on(self, device: Device) -> Any:
        """The next key, uint64[3], as an array of the device's backend: for programs, which ask when they run."""
        return device.backend.from_host(_numbers(self._keys.seed, self._keys.next_stream(), 0), device.index)

    def state(self) -> dict[str, int]:
        """What ``set_state`` needs to continue from here."""
        return self._keys.state()

    def set_state(self, state: Mapping[str, int]) -> None:
        """Continue where the generator that gave ``state`` stood; AttributeValueError if it is not a state."""
        self._keys.set_state(state)

    def derive(self, *path: str | SupportsIndex) -> Generator:
        """A generator of its own for the purpose that ``path`` (strings, ints) names.

        It depends on the seed and the path alone, not on how many draws were made: ``g.derive("dropout", 3)``.
        """
        return Generator(philox.derive(self.seed, *path))

    def split(self, count: int) -> list[Generator]:
        """``count`` new generators, independent of one another and of all further draws; takes one stream."""
        stream = self._keys.next_stream()
        return [self.derive("split", stream, i) for i in range(count)]

    def __repr__(self) -> str:
        state = self.state()
        return f"corenn.random.Generator(seed={state['seed']}, draws={state['next']})"


_lock = threading.RLock()
_default: Generator | None = None
_entropy: int | None = None
_asked: dict[str, int] = {}


def fresh_seed(purpose: str = "") -> int:
    """A seed in [0, 2**64) for what was given none, another at every call.

    It is the operating system's, and so another in every process.  After ``set_entropy(n)`` it follows from ``n``,
    ``purpose`` and how often a seed was asked for this purpose before: two runs of a program get the same seeds.
    """
    with _lock:
        if _entropy is None:
            return int.from_bytes(os.urandom(8), "little")
        count = _asked.get(purpose, 0)
        _asked[purpose] = count + 1
        return philox.derive(_entropy, "fresh", purpose, count)


def set_entropy(value: int | None) -> None:
    """Draw all fresh seeds from ``value``, an int modulo 2**64, or with ``None`` from the operating system again.

    ``corenn run SCRIPT.py --seed N`` calls this before the script starts.  Seeds that were given out before stay as
    they are, so call it before anything is drawn.  What is seeded by ``seed`` or otherwise asks for no fresh seed.
    """
    global _entropy
    made = None if value is None else _integer("set_entropy", "value", value)
    with _lock:
        _entropy = made
        _asked.clear()


def default_generator() -> Generator:
    """The generator of draws that name no other.  Unless ``seed`` was called, its seed is a fresh one."""
    global _default
    with _lock:
        if _default is None:
            _default = Generator(fresh_seed("default generator"))
        return _default


def seed(value: int) -> None:
    """Start the default generator anew from a seed: the draws that follow are the same on every run and backend."""
    global _default
    made = Generator(value)
    with _lock:
        _default = made


def get_state() -> dict[str, int]:
    """The state of the default generator; JSON holds it."""
    return default_generator().state()


def set_state(state: Mapping[str, int]) -> None:
    """Continue the default generator where it stood when ``get_state`` gave ``state``."""
    default_generator().set_state(state)


def key(seed: int, stream: int = 0, offset: int = 0) -> Tensor:
    """The key of a draw, uint64[3] on the current device; all three are reduced modulo 2**64.

    Element i of a draw depends on ``seed``, ``stream`` and ``offset + i`` alone.
    """
    given = (("seed", seed), ("stream", stream), ("offset", offset))
    return tensor(_numbers(*[_integer("key", name, value) for name, value in given]))


def _numbers(*key: int) -> np.ndarray[Any, Any]:
    """The numbers of a key on the host, modulo 2**64."""
    return np.array([number & 0xFFFFFFFFFFFFFFFF for number in key], np.uint64)


def _integer(where: str, name: str, value: Any) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise AttributeValueError(where, f"{name} must be an int", {name: repr(value)}) from None


def _source(where: str, seed: int | None, generator: Generator | None, given: Tensor | None) -> Tensor:
    """The key to draw with; UsageError when more than one source is named."""
    if (seed is not None) + (generator is not None) + (given is not None) > 1:
        raise UsageError(where, "give one of seed, generator and key", hint="a key says everything, a seed starts anew")
    if given is not None:
        return given
    in_graph = getattr(current(), "random_key", None)
    if in_graph is not None and generator is None:  # the op's own stream, from the graph's seed and this one
        return in_graph(seed=seed)  # type: ignore[no-any-return]
    if seed is not None:
        return key(seed)
    return (generator if generator is not None else default_generator()).next_key()


def _extents(where: str, shape: Any) -> tuple[int, ...]:
    if hasattr(shape, "__corenn_op__") or (
        isinstance(shape, (tuple, list)) and any(hasattr(n, "__corenn_op__") for n in shape)
    ):
        return shape  # type: ignore[no-any-return]  # known when the graph runs
    try:
        found = tuple(map(operator.index, shape)) if isinstance(shape, tuple | list) else (operator.index(shape),)
    except TypeError:
        raise AttributeValueError(where, "shape must be an int or ints", {"shape": repr(shape)}) from None
    if any(n < 0 for n in found):
        raise AttributeValueError(where, "shape must not be negative", {"shape": found})
    return found


def _floating_dtype(where: str, dtype: DTypeLike) -> dtypes.DType:
    found = as_dtype(dtype)
    if not found.is_floating:
        hint = "corenn.random.integers draws integers" if found.is_integer else None
        raise AttributeValueError(where, f"draws floating numbers, not {found}", {"dtype": found}, hint=hint)
    return found


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _parameter(value: TensorLike, dtype: dtypes.DType) -> Tensor:
    """A distribution's parameter as a tensor of the draw's dtype."""
    return tensor(value, dtype=dtype) if not isinstance(value, Tensor) else value.cast(dtype)


def _scaled(drawn: Tensor, scale: TensorLike, shift: TensorLike, dtype: dtypes.DType) -> Tensor:
    """``drawn * scale + shift``, without the steps that change nothing."""
    if not (_number(scale) and scale == 1):
        drawn = multiply(drawn, scale if _number(scale) else _parameter(scale, dtype))
    if not (_number(shift) and shift == 0):
        drawn = add(drawn, shift if _number(shift) else _parameter(shift, dtype))
    return drawn


def uniform(
    shape: ShapeLike,
    low: TensorLike = 0.0,
    high: TensorLike = 1.0,
    dtype: DTypeLike = dtypes.float32,
    *,
    seed: int | None = None,
    generator: Generator | None = None,
    key: Tensor | None = None,
) -> Tensor:
    """Numbers uniform in [low, high), a tensor of ``shape`` and floating ``dtype``.

    ``low`` and ``high``: numbers, or tensors that broadcast to ``shape`` (gradients reach them).  Where ``low`` is not
    0 rounding may give ``high`` itself.  Raises AttributeValueError for ``low > high`` or a dtype that is not floating.
    """
    kind = _floating_dtype("uniform", dtype)
    if _number(low) and _number(high) and not low <= high:  # type: ignore[operator]  # numbers, as just tested
        raise AttributeValueError("uniform", "low must not be above high", {"low": low, "high": high})
    drawn = random_uniform(_source("uniform", seed, generator, key), shape=_extents("uniform", shape), dtype=kind)
    if _number(low) and _number(high):
        return _scaled(drawn, high - low, low, kind)  # type: ignore[operator]
    start, end = _parameter(low, kind), _parameter(high, kind)
    return add(multiply(drawn, end - start), start)


def normal(
    shape: ShapeLike,
    mean: TensorLike = 0.0,
    stddev: TensorLike = 1.0,
    dtype: DTypeLike = dtypes.float32,
    *,
    seed: int | None = None,
    generator: Generator | None = None,
    key: Tensor | None = None,
) -> Tensor:
    """Normal numbers, a tensor of ``shape`` and floating ``dtype``.

    ``mean`` and ``stddev``: numbers, or tensors that broadcast to ``shape`` (gradients reach them).  Raises
    AttributeValueError for a negative ``stddev`` or a dtype that is not floating.
    """
    return _of_standard("normal", random_normal, shape, dtype, (seed, generator, key), {"stddev": stddev}, mean)


def _of_standard(
    where: str, draw: Callable[..., Tensor], shape: ShapeLike, dtype: DTypeLike,
    source: tuple[int | None, Generator | None, Tensor | None], scale: dict[str, Any], shift: TensorLike,
) -> Tensor:  # fmt: skip
    """A draw of a distribution's standard form, scaled by what has a name in ``scale`` and shifted."""
    kind = _floating_dtype(where, dtype)
    ((name, factor),) = scale.items()
    if _number(factor) and factor < 0:
        raise AttributeValueError(where, f"{name} must not be negative", scale)
    drawn = draw(_source(where, *source), shape=_extents(where, shape), dtype=kind)
    return _scaled(drawn, factor, shift, kind)


def truncated_normal(
    shape: ShapeLike,
    mean: TensorLike = 0.0,
    stddev: TensorLike = 1.0,
    dtype: DTypeLike = dtypes.float32,
    *,
    seed: int | None = None,
    generator: Generator | None = None,
    key: Tensor | None = None,
) -> Tensor:
    """Normal numbers given that they lie within two ``stddev`` of ``mean``, a tensor of ``shape`` and floating
    ``dtype``; their own standard deviation is 0.8796 ``stddev``.

    Each is the inverse distribution function of a uniform number: none is rejected.  Parameters and errors as
    ``normal``.
    """
    source, scale = (seed, generator, key), {"stddev": stddev}
    return _of_standard("truncated_normal", random_truncated_normal, shape, dtype, source, scale, mean)


def integers(
    low: int,
    high: int | None = None,
    shape: ShapeLike = (),
    dtype: DTypeLike = dtypes.int32,
    *,
    seed: int | None = None,
    generator: Generator | None = None,
    key: Tensor | None = None,
) -> Tensor:
    """Integers uniform in [low, high), a tensor of ``shape`` and integer ``dtype``; ``integers(n)`` is [0, n).

    Raises AttributeValueError when the interval is empty or does not fit the dtype.
    """
    first, last = (0, low) if high is None else (low, high)
    extents = _extents("integers", shape)
    first, last = _integer("integers", "low", first), _integer("integers", "high", last)
    source = _source("integers", seed, generator, key)
    return random_integers(source, shape=extents, low=first, high=last, dtype=as_dtype(dtype))


def bernoulli(
    p: TensorLike = 0.5,
    shape: ShapeLike | None = None,
    dtype: DTypeLike = dtypes.bool_,
    *,
    seed: int | None = None,
    generator: Generator | None = None,
    key: Tensor | None = None,
) -> Tensor:
    """True (or 1 of another ``dtype``) with probability ``p``, a tensor of ``shape`` (default: that of ``p``).

    Raises AttributeValueError for a number ``p`` outside [0, 1], ShapeError when ``p`` does not broadcast to ``shape``.
    """
    if _number(p) and not 0 <= p <= 1:  # type: ignore[operator]
        raise AttributeValueError("bernoulli", "p must be in [0, 1]", {"p": p})
    chance = tensor(p, dtype=dtypes.float32) if not isinstance(p, Tensor) else p
    extents = chance.shape if shape is None else _extents("bernoulli", shape)
    drawn = random_bernoulli(_source("bernoulli", seed, generator, key), chance, shape=extents)
    kind = as_dtype(dtype)
    return drawn if kind is dtypes.bool_ else drawn.cast(kind)


def categorical(
    logits: TensorLike,
    num_samples: int | None = None,
    *,
    seed: int | None = None,
    generator: Generator | None = None,
    key: Tensor | None = None,
) -> Tensor:
    """Class indices with probabilities ``softmax(logits)`` over the last axis, int64.

    ``logits``: floating ``[..., classes]``.  The result is ``[...]``, or ``[..., num_samples]`` when that is given.
    Raises ShapeError when there are no classes.
    """
    scores = asarray(logits)
    count = 1 if num_samples is None else _integer("categorical", "num_samples", num_samples)
    drawn = random_categorical(_source("categorical", seed, generator, key), scores, num_samples=count)
    return reshape(drawn, shape=scores.shape[:-1]) if num_samples is None else drawn


def permutation(
    n: int, *, seed: int | None = None, generator: Generator | None = None, key: Tensor | None = None
) -> Tensor:
    """0, ..., n - 1 in random order, int64[n].  To reorder a tensor: ``shuffle``."""
    if getattr(n, "ndim", 0):
        raise UsageError("permutation", "takes a number of elements", hint="corenn.random.shuffle(x)")
    return random_permutation(_source("permutation", seed, generator, key), n=_integer("permutation", "n", n))


def shuffle(
    x: TensorLike,
    axis: int = 0,
    *,
    seed: int | None = None,
    generator: Generator | None = None,
    key: Tensor | None = None,
) -> Tensor:
    """A copy of ``x`` with its entries along ``axis`` in random order; gradients follow them.  ShapeError if 0-d."""
    given = asarray(x)
    if not -given.ndim <= axis < given.ndim:
        raise ShapeError("shuffle", f"there is no axis {axis}", {"x": given.spec})
    place = axis % given.ndim
    order = permutation(given.shape[place], seed=seed, generator=generator, key=key)
    return gather(given, order, axis=place)


def gamma(
    shape: ShapeLike,
    alpha: TensorLike,
    beta: TensorLike = 1.0,
    dtype: DTypeLike = dtypes.float32,
    *,
    seed: int | None = None,
    generator: Generator | None = None,
    key: Tensor | None = None,
) -> Tensor:
    """Numbers of the gamma distribution with shape parameter ``alpha`` and rate ``beta`` (mean alpha / beta), a tensor
    of ``shape`` and floating ``dtype``.

    ``alpha`` and ``beta``: positive numbers, or tensors that broadcast to ``shape``; gradients reach ``beta`` only.
    Marsaglia & Tsang (2000) with eight attempts, see ``random_gamma``.  Raises AttributeValueError for numbers that
    are not positive; tensors with such values give NaN.
    """
    kind = _floating_dtype("gamma", dtype)
    for name, value in (("alpha", alpha), ("beta", beta)):
        if _number(value) and not value > 0:  # type: ignore[operator]
            raise AttributeValueError("gamma", f"{name} must be positive", {name: value})
    drawn = random_gamma(
        _source("gamma", seed, generator, key), _parameter(alpha, kind), shape=_extents("gamma", shape)
    )
    if _number(beta):
        return drawn if beta == 1 else divide(drawn, beta)
    return divide(drawn, _parameter(beta, kind))


def exponential(
    shape: ShapeLike,
    scale: TensorLike = 1.0,
    dtype: DTypeLike = dtypes.float32,
    *,
    seed: int | None = None,
    generator: Generator | None = None,
    key: Tensor | None = None,
) -> Tensor:
    """Numbers of the exponential distribution of mean ``scale``, a tensor of ``shape`` and floating ``dtype``.

    ``scale``: a number or a tensor that broadcasts to ``shape`` (gradients reach it); AttributeValueError if negative.
    """
    source = (seed, generator, key)
    return _of_standard("exponential", random_exponential, shape, dtype, source, {"scale": scale}, 0.0)


def dropout(
    x: TensorLike,
    rate: float,
    *,
    noise_shape: tuple[int | None, ...] | None = None,
    seed: int | None = None,
    generator: Generator | None = None,
    key: Tensor | None = None,
) -> Tensor:
    """``x`` with elements replaced by 0 with probability ``rate`` and the others divided by ``1 - rate``, so that the
    mean stays (Srivastava et al., "Dropout", JMLR 2014).  Apply it in training only.

    ``rate``: a float in [0, 1); with 0, ``x`` comes back as it is.  ``noise_shape``: the shape of the decisions, 1
    along axes that share one (``(None, 1, 1, None)`` drops whole channels of NHWC images), ``None`` for x's extent.
    Nothing is kept for the gradient but the key.  Raises AttributeValueError for a rate outside [0, 1).
    """
    given = asarray(x)
    if _number(rate) and rate == 0:
        return given
    return drop(given, _source("dropout", seed, generator, key), rate=rate, noise_shape=noise_shape)
