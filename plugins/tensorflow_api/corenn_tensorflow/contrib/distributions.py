"""``tf.contrib.distributions`` (and ``tf.distributions``): normal, uniform, Bernoulli, categorical, and divergences."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

from corenn.dtypes import as_dtype
from corenn.errors import UsageError
from corenn.ops.activations import sigmoid, softplus
from corenn.ops.elementwise import add, cast, divide, multiply, negative, square, subtract, where
from corenn.ops.gathering import take_along_axis
from corenn.ops.logic import greater_equal, less, less_equal, logical_and
from corenn.ops.random import categorical, normal, uniform
from corenn.ops.reduction import argmax
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import broadcast_to, expand_dims, moveaxis
from corenn.ops.softmax import log_softmax, sigmoid_cross_entropy, softmax
from corenn.ops.transcendental import erf, exp, log
from corenn.tensor import Tensor
from corenn_tensorflow import missing
from corenn_tensorflow.operands import dynamic_shape, extents, ints, like, tensor


def _times(sample_shape: Any, batch: Any) -> Any:
    """The shape of samples: ``sample_shape``, then that of the parameters."""
    front = () if sample_shape is None else ints(sample_shape)
    if isinstance(batch, tuple):
        return (*front, *batch)
    count = (extents(batch) or (0,))[0] or 0
    return (*front, *[batch[i] for i in range(count)])


class Distribution:
    """Base of the distributions."""

    def __init__(self, dtype: Any, name: str | None) -> None:
        self.dtype, self.name = as_dtype(dtype), name or type(self).__name__

    @abstractmethod
    def sample(self, sample_shape: Any = (), seed: int | None = None, name: str | None = None) -> Any:
        """Random values of shape ``sample_shape`` + that of the parameters."""

    @abstractmethod
    def log_prob(self, value: Any, name: str | None = None) -> Any:
        """The logarithm of the probability (or its density)."""

    @abstractmethod
    def entropy(self, name: str | None = None) -> Any:
        """The entropy in nats."""

    def prob(self, value: Any, name: str | None = None) -> Any:
        """The probability, or its density."""
        return exp(self.log_prob(value))

    def kl_divergence(self, other: Any, name: str | None = None) -> Any:
        """The divergence of ``other`` from this."""
        return kl_divergence(self, other)

    def cross_entropy(self, other: Any, name: str | None = None) -> Any:
        """The entropy plus the divergence."""
        return add(self.entropy(), kl_divergence(self, other))


class Normal(Distribution):
    """The normal distribution of mean ``loc`` and standard deviation ``scale``."""

    def __init__(
        self, loc: Any, scale: Any, validate_args: bool = False, allow_nan_stats: bool = True, name: str | None = None
    ) -> None:
        self.loc = tensor(loc, None, scale)
        self.loc = self.loc if self.loc.dtype.is_floating else cast(self.loc, dtype="float32")
        self.scale = like(scale, self.loc)
        super().__init__(self.loc.dtype, name)

    def mean(self, name: str | None = None) -> Tensor:
        """``loc``, of the shape of the parameters."""
        return add(self.loc, multiply(self.scale, 0.0))

    mode = mean

    def stddev(self, name: str | None = None) -> Tensor:
        """``scale``, of the shape of the parameters."""
        return add(self.scale, multiply(self.loc, 0.0))

    def variance(self, name: str | None = None) -> Tensor:
        """``scale ** 2``."""
        return square(self.stddev())

    def sample(self, sample_shape: Any = (), seed: int | None = None, name: str | None = None) -> Tensor:
        """Random values; gradients reach the parameters."""
        shape = _times(sample_shape, dynamic_shape(self.mean()))
        return add(multiply(normal(shape, dtype=self.dtype, seed=seed), self.scale), self.loc)

    def log_prob(self, value: Any, name: str | None = None) -> Tensor:
        """The logarithm of the density."""
        apart = divide(subtract(like(value, self.loc), self.loc), self.scale)
        return subtract(multiply(square(apart), -0.5), add(log(self.scale), 0.5 * math.log(2 * math.pi)))

    def cdf(self, value: Any, name: str | None = None) -> Tensor:
        """The probability of at most ``value``."""
        apart = divide(subtract(like(value, self.loc), self.loc), self.scale)
        return multiply(add(erf(multiply(apart, math.sqrt(0.5))), 1.0), 0.5)

    def entropy(self, name: str | None = None) -> Tensor:
        """``log(scale) + (1 + log(2 pi)) / 2``."""
        return add(log(self.stddev()), 0.5 * (1 + math.log(2 * math.pi)))


class Uniform(Distribution):
    """The uniform distribution over [low, high)."""

    def __init__(
        self,
        low: Any = 0.0,
        high: Any = 1.0,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str | None = None,
    ) -> None:
        self.low = tensor(low, None, high)
        self.high = like(high, self.low)
        super().__init__(self.low.dtype, name)

    def mean(self, name: str | None = None) -> Tensor:
        """The middle."""
        return multiply(add(self.low, self.high), 0.5)

    def stddev(self, name: str | None = None) -> Tensor:
        """The standard deviation."""
        return divide(subtract(self.high, self.low), math.sqrt(12.0))

    def sample(self, sample_shape: Any = (), seed: int | None = None, name: str | None = None) -> Tensor:
        """Random values."""
        shape = _times(sample_shape, dynamic_shape(self.mean()))
        return add(multiply(uniform(shape, dtype=self.dtype, seed=seed), subtract(self.high, self.low)), self.low)

    def log_prob(self, value: Any, name: str | None = None) -> Tensor:
        """The logarithm of the density."""
        given = like(value, self.low)
        inside = logical_and(greater_equal(given, self.low), less(given, self.high))
        return where(inside, negative(log(subtract(self.high, self.low))), -math.inf)

    def entropy(self, name: str | None = None) -> Tensor:
        """``log(high - low)``."""
        return log(subtract(self.high, self.low))


class _OfLogits(Distribution):
    """A distribution given by ``logits`` or by ``probs``, each of which says what the other is."""

    def __init__(
        self,
        logits: Any = None,
        probs: Any = None,
        dtype: Any = "int32",
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str | None = None,
    ) -> None:
        if (logits is None) == (probs is None):
            raise UsageError(type(self).__name__, "Must pass probs or logits, but not both.")
        if probs is not None:
            self.probs = tensor(probs)
            self.logits = self._to_logits(self.probs)
        else:
            self.logits = tensor(logits)
            self.probs = self._to_probs(self.logits)
        super().__init__(dtype, name)

    def _to_logits(self, probs: Tensor) -> Tensor:
        raise NotImplementedError(type(self).__name__)

    def _to_probs(self, logits: Tensor) -> Tensor:
        raise NotImplementedError(type(self).__name__)


class Bernoulli(_OfLogits):
    """1 with probability ``probs`` (or ``sigmoid(logits)``), else 0."""

    def _to_logits(self, probs: Tensor) -> Tensor:
        return log(divide(probs, subtract(1.0, probs)))

    def _to_probs(self, logits: Tensor) -> Tensor:
        return sigmoid(logits)

    def mean(self, name: str | None = None) -> Tensor:
        """``probs``."""
        return self.probs

    def mode(self, name: str | None = None) -> Tensor:
        """The likelier value."""
        return cast(less_equal(0.5, self.probs), dtype=self.dtype)

    def variance(self, name: str | None = None) -> Tensor:
        """``probs * (1 - probs)``."""
        return multiply(self.probs, subtract(1.0, self.probs))

    def sample(self, sample_shape: Any = (), seed: int | None = None, name: str | None = None) -> Tensor:
        """Random values."""
        shape = _times(sample_shape, dynamic_shape(self.probs))
        return cast(less(uniform(shape, dtype=self.probs.dtype, seed=seed), self.probs), dtype=self.dtype)

    def log_prob(self, value: Any, name: str | None = None) -> Tensor:
        """The logarithm of the probability."""
        given = like(value, self.logits)
        shape = dynamic_shape(add(given, self.logits))
        return negative(sigmoid_cross_entropy(broadcast_to(given, shape=shape), broadcast_to(self.logits, shape=shape)))

    def entropy(self, name: str | None = None) -> Tensor:
        """The entropy in nats."""
        return subtract(softplus(self.logits), multiply(self.logits, self.probs))


class Categorical(_OfLogits):
    """Class numbers with probabilities ``probs`` [..., classes] (or ``softmax(logits)``)."""

    def _to_logits(self, probs: Tensor) -> Tensor:
        return log(probs)

    def _to_probs(self, logits: Tensor) -> Tensor:
        return softmax(logits)

    @property
    def event_size(self) -> Any:
        """The number of classes."""
        return (extents(self.logits) or (None,))[-1]

    def mode(self, name: str | None = None) -> Tensor:
        """The likeliest classes."""
        return cast(argmax(self.logits, axis=-1), dtype=self.dtype)

    def sample(self, sample_shape: Any = (), seed: int | None = None, name: str | None = None) -> Tensor:
        """Random class numbers."""
        front = () if sample_shape is None else ints(sample_shape)
        count = math.prod(front)
        drawn = cast(categorical(self.logits, count, seed=seed), dtype=self.dtype)
        if not front:
            return drawn[..., 0]
        found = moveaxis(drawn, -1, 0)
        if len(front) == 1:
            return found
        from corenn.ops.shaping import reshape

        rest = _times((), dynamic_shape(self.logits))[:-1]
        return reshape(found, shape=(*front, *rest))

    def log_prob(self, value: Any, name: str | None = None) -> Tensor:
        """The logarithm of the probability."""
        given = cast(tensor(value, None, self.logits), dtype="int64")
        scores = log_softmax(self.logits)
        more = len(extents(given) or ()) - len(extents(scores) or ()) + 1
        for _ in range(more):
            scores = expand_dims(scores, axis=0)
        if more > 0:
            scores = broadcast_to(scores, shape=(*_times((), dynamic_shape(given)), self.event_size))
        return take_along_axis(scores, expand_dims(given, axis=-1), axis=-1)[..., 0]

    def entropy(self, name: str | None = None) -> Tensor:
        """The entropy in nats."""
        return negative(sum_over(multiply(softmax(self.logits), log_softmax(self.logits)), axis=-1))


class MultivariateNormalDiag(Distribution):
    """Independent normals along the last axis, as one event."""

    def __init__(
        self,
        loc: Any,
        scale_diag: Any,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str | None = None,
    ) -> None:
        self._each = Normal(loc, scale_diag)
        self.loc, self.scale_diag = self._each.loc, self._each.scale
        super().__init__(self._each.dtype, name)

    def mean(self, name: str | None = None) -> Tensor:
        """``loc``."""
        return self._each.mean()

    mode = mean

    def stddev(self, name: str | None = None) -> Tensor:
        """``scale_diag``."""
        return self._each.stddev()

    def sample(self, sample_shape: Any = (), seed: int | None = None, name: str | None = None) -> Tensor:
        """Random vectors; gradients reach the parameters."""
        return self._each.sample(sample_shape, seed)

    def log_prob(self, value: Any, name: str | None = None) -> Tensor:
        """The logarithm of the density."""
        return sum_over(self._each.log_prob(value), axis=-1)

    def entropy(self, name: str | None = None) -> Tensor:
        """The entropy in nats."""
        return sum_over(self._each.entropy(), axis=-1)


def _kl_normal(a: Any, b: Any) -> Tensor:
    ratio = square(divide(a.scale, b.scale))
    apart = square(divide(subtract(a.loc, b.loc), b.scale))
    return multiply(subtract(add(apart, ratio), add(log(ratio), 1.0)), 0.5)


def _kl_bernoulli(a: Any, b: Any) -> Tensor:
    apart = subtract(a.logits, b.logits)
    return add(multiply(a.probs, apart), subtract(softplus(b.logits), softplus(a.logits)))


def _kl_categorical(a: Any, b: Any) -> Tensor:
    return sum_over(multiply(softmax(a.logits), subtract(log_softmax(a.logits), log_softmax(b.logits))), axis=-1)


def _kl_diagonal(a: Any, b: Any) -> Tensor:
    return sum_over(_kl_normal(a._each, b._each), axis=-1)


_DIVERGENCES = {
    Normal: _kl_normal, Bernoulli: _kl_bernoulli, Categorical: _kl_categorical, MultivariateNormalDiag: _kl_diagonal,
}  # fmt: skip


def kl_divergence(
    distribution_a: Any, distribution_b: Any, allow_nan_stats: bool = True, name: str | None = None
) -> Any:
    """The Kullback-Leibler divergence of the second distribution from the first, in nats."""
    kind = type(distribution_a)
    if kind is not type(distribution_b) or kind not in _DIVERGENCES:
        raise NotImplementedError(
            f"No KL(distribution_a || distribution_b) registered for distribution_a type {kind.__name__} and "
            f"distribution_b type {type(distribution_b).__name__}"
        )
    return _DIVERGENCES[kind](distribution_a, distribution_b)


kl = kl_divergence
__getattr__ = missing.guard(__name__)

__all__ = [
    "Bernoulli", "Categorical", "Distribution", "MultivariateNormalDiag", "Normal", "Uniform", "kl", "kl_divergence",
]  # fmt: skip
