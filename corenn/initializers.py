"""Initial values of weights: called with a shape and a dtype, they give a tensor on the current device.

The random ones draw from the default generator (``corenn.random.seed``), so one seed gives the same weights on every
backend; with a ``seed`` of their own they give the same values on every call.  Draws in 16-bit dtypes are rounded from
float32, so a model has the same weights, to rounding, in every precision.

Fans (semantics of TensorFlow's ``init_ops``): a vector counts its length as both; a matrix is [fan_in, fan_out]; a
convolution kernel [*window, inputs, outputs] has ``prod(window) * inputs`` and ``prod(window) * outputs``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, overload

import numpy as np

from corenn import dtypes
from corenn.configurable import Configurable, Registry
from corenn.dtypes import DType, as_dtype
from corenn.errors import AttributeValueError, DTypeError, ShapeError
from corenn.ops import random
from corenn.ops.creation import eye, full, tensor
from corenn.tensor import Tensor

Shape = Sequence[int]
Mode = Literal["fan_in", "fan_out", "fan_avg"]
Distribution = Literal["truncated_normal", "untruncated_normal", "uniform", "normal"]

#: Standard deviation of a standard normal number given that it lies in [-2, 2].
TRUNCATED_STDDEV: Final = 0.87962566103423978


class Initializer(Configurable):
    """Base of initializers: ``init(shape, dtype)`` is a tensor of that shape and dtype on the current device."""

    def __call__(self, shape: Shape, dtype: object = dtypes.float32) -> Tensor:
        """Initial values for a weight of ``shape``."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__")


_registry: Registry[Initializer] = Registry("initializer", Initializer)
register = _registry.register


@overload
def get(spec: None) -> None: ...
@overload
def get(
    spec: Initializer | Callable[..., Tensor] | str | dict[str, Any] | type[Initializer] | float,
) -> Initializer: ...
def get(spec: Any) -> Any:
    """The initializer for None, a name (``"he_normal"``), a class, an instance, a dictionary, a function or a number.

    A function is called as an initializer is: ``function(shape, dtype=dtype)``; a number means that constant.
    """
    if isinstance(spec, (int, float)) and not isinstance(spec, bool):
        return Constant(spec)
    return _registry.get(spec)


# ---------------------------------------------------------------- constants


@register("zeros", "zero")
class Zeros(Initializer):
    """All 0 (False)."""

    def __call__(self, shape: Shape, dtype: object = dtypes.float32) -> Tensor:
        """Zeros."""
        return full(tuple(shape), 0, as_dtype(dtype))


@register("ones", "one")
class Ones(Initializer):
    """All 1 (True)."""

    def __call__(self, shape: Shape, dtype: object = dtypes.float32) -> Tensor:
        """Ones."""
        return full(tuple(shape), 1, as_dtype(dtype))


@register("constant")
class Constant(Initializer):
    """``value`` everywhere: a number, or an array or nested lists that broadcast to the shape."""

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Shape, dtype: object = dtypes.float32) -> Tensor:
        """The constant, repeated where it is smaller than ``shape``; ShapeError if it does not broadcast."""
        if isinstance(self.value, (bool, int, float)):
            return full(tuple(shape), self.value, as_dtype(dtype))
        given = np.asarray(self.value)
        try:
            repeated = np.broadcast_to(given, tuple(shape))
        except ValueError:
            operands = {"value": given.shape, "shape": tuple(shape)}
            raise ShapeError("Constant", "the value does not broadcast to the shape", operands) from None
        return tensor(repeated, dtype=dtype)


@register("identity", "eye")
class Identity(Initializer):
    """``gain`` on the diagonal of a matrix, 0 elsewhere; ShapeError for anything but a matrix."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = float(gain)

    def __call__(self, shape: Shape, dtype: object = dtypes.float32) -> Tensor:
        """The scaled identity, cut or padded with zeros to ``shape``."""
        if len(shape) != 2:
            raise ShapeError("Identity", "makes matrices", {"shape": tuple(shape)}, hint="Orthogonal takes other ranks")
        made = eye(shape[0], shape[1], dtype=as_dtype(dtype))
        return made if self.gain == 1 else made * self.gain


# ---------------------------------------------------------------- draws


def _drawing_dtype(where: str, dtype: object) -> tuple[DType, DType]:
    """The dtype asked for, and the one to draw in."""
    wanted = as_dtype(dtype)
    if not wanted.is_floating:
        hint = "zeros, ones and constant make integers and bools"
        raise DTypeError(where, f"draws floating numbers, not {wanted}", hint=hint)
    return wanted, dtypes.float32 if wanted.itemsize < 4 else wanted


def _check_spread(where: str, stddev: float) -> None:
    if not stddev >= 0:
        raise AttributeValueError(where, "stddev must be at least 0", {"stddev": stddev})


@register("random_uniform", "uniform")
class RandomUniform(Initializer):
    """Uniform in [minval, maxval)."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        if not minval <= maxval:
            bounds = {"minval": minval, "maxval": maxval}
            raise AttributeValueError("RandomUniform", "minval must not be above maxval", bounds)
        self.minval, self.maxval, self.seed = float(minval), float(maxval), seed

    def __call__(self, shape: Shape, dtype: object = dtypes.float32) -> Tensor:
        """A draw of ``shape``."""
        wanted, kind = _drawing_dtype("RandomUniform", dtype)
        return random.uniform(tuple(shape), self.minval, self.maxval, kind, seed=self.seed).cast(wanted)


@register("random_normal", "normal")
class RandomNormal(Initializer):
    """Normal with ``mean`` and ``stddev``."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        _check_spread("RandomNormal", stddev)
        self.mean, self.stddev, self.seed = float(mean), float(stddev), seed

    def __call__(self, shape: Shape, dtype: object = dtypes.float32) -> Tensor:
        """A draw of ``shape``."""
        wanted, kind = _drawing_dtype("RandomNormal", dtype)
        return random.normal(tuple(shape), self.mean, self.stddev, kind, seed=self.seed).cast(wanted)


@register("truncated_normal")
class TruncatedNormal(Initializer):
    """Normal with ``mean`` and ``stddev``, given that it lies within two ``stddev`` of the mean.

    The standard deviation of what is drawn is 0.8796 ``stddev``.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        _check_spread("TruncatedNormal", stddev)
        self.mean, self.stddev, self.seed = float(mean), float(stddev), seed

    def __call__(self, shape: Shape, dtype: object = dtypes.float32) -> Tensor:
        """A draw of ``shape``."""
        wanted, kind = _drawing_dtype("TruncatedNormal", dtype)
        return random.truncated_normal(tuple(shape), self.mean, self.stddev, kind, seed=self.seed).cast(wanted)


def fans(shape: Shape) -> tuple[int, int]:
    """``(fan_in, fan_out)`` of a weight: how many inputs one output sees, and the reverse (see the module)."""
    if not shape:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


@register("variance_scaling")
class VarianceScaling(Initializer):
    """Draws of mean 0 and variance ``scale / n``, where n is a fan of the shape (He et al. 2015, arXiv:1502.01852).

    ``mode``: n is ``fan_in``, ``fan_out`` or their mean ``fan_avg``.  ``distribution``: ``truncated_normal`` (also
    called ``normal``), ``untruncated_normal``, or ``uniform`` in +-sqrt(3 * scale / n).
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: Mode = "fan_in",
        distribution: Distribution = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        if not scale > 0:
            raise AttributeValueError("VarianceScaling", "scale must be positive", {"scale": scale})
        for name, value, allowed in (
            ("mode", mode, ("fan_in", "fan_out", "fan_avg")),
            ("distribution", distribution, ("truncated_normal", "untruncated_normal", "uniform", "normal")),
        ):
            if value not in allowed:
                what = f"{name} {value!r} is not one of {', '.join(allowed)}"
                raise AttributeValueError("VarianceScaling", what)
        self.scale, self.mode, self.distribution, self.seed = float(scale), mode, distribution, seed

    def __call__(self, shape: Shape, dtype: object = dtypes.float32) -> Tensor:
        """A draw of ``shape``."""
        wanted, kind = _drawing_dtype(type(self).__name__, dtype)
        fan_in, fan_out = fans(shape)
        count = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, count)
        extents = tuple(shape)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            drawn = random.uniform(extents, -limit, limit, kind, seed=self.seed)
        elif self.distribution == "untruncated_normal":
            drawn = random.normal(extents, 0.0, math.sqrt(variance), kind, seed=self.seed)
        else:
            stddev = math.sqrt(variance) / TRUNCATED_STDDEV
            drawn = random.truncated_normal(extents, 0.0, stddev, kind, seed=self.seed)
        return drawn.cast(wanted)


class _Scaled(VarianceScaling):
    """A VarianceScaling with all but the seed fixed."""

    _settings: tuple[float, Mode, Distribution]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self._settings, seed=seed)


@register("glorot_uniform", "xavier_uniform")
class GlorotUniform(_Scaled):
    """Uniform in +-sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""

    _settings = (1.0, "fan_avg", "uniform")


@register("glorot_normal", "xavier_normal")
class GlorotNormal(_Scaled):
    """Truncated normal of variance 2 / (fan_in + fan_out) (Glorot and Bengio 2010)."""

    _settings = (1.0, "fan_avg", "truncated_normal")


@register("he_uniform", "kaiming_uniform")
class HeUniform(_Scaled):
    """Uniform in +-sqrt(6 / fan_in) (He et al. 2015, arXiv:1502.01852): for layers followed by a ReLU."""

    _settings = (2.0, "fan_in", "uniform")


@register("he_normal", "kaiming_normal")
class HeNormal(_Scaled):
    """Truncated normal of variance 2 / fan_in (He et al. 2015, arXiv:1502.01852): for layers followed by a ReLU."""

    _settings = (2.0, "fan_in", "truncated_normal")


@register("lecun_uniform")
class LecunUniform(_Scaled):
    """Uniform in +-sqrt(3 / fan_in) (LeCun et al. 1998, Efficient BackProp)."""

    _settings = (1.0, "fan_in", "uniform")


@register("lecun_normal")
class LecunNormal(_Scaled):
    """Truncated normal of variance 1 / fan_in (LeCun et al. 1998): for layers followed by a SELU."""

    _settings = (1.0, "fan_in", "truncated_normal")


@register("orthogonal")
class Orthogonal(Initializer):
    """``gain`` times a random matrix with orthonormal rows or columns (Saxe et al. 2013, arXiv:1312.6120).

    The shape is read as a matrix [prod(shape[:-1]), shape[-1]].  Q of the QR decomposition of a normal matrix, with
    signs chosen so that R has a positive diagonal (which makes it uniform over all such matrices, and the same on every
    backend: the decomposition is done on the host).
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        self.gain, self.seed = float(gain), seed

    def __call__(self, shape: Shape, dtype: object = dtypes.float32) -> Tensor:
        """A draw of ``shape``, which has at least two axes (ShapeError)."""
        wanted, kind = _drawing_dtype("Orthogonal", dtype)
        if len(shape) < 2:
            raise ShapeError("Orthogonal", "needs at least two axes", {"shape": tuple(shape)})
        rows, columns = math.prod(shape[:-1]), shape[-1]
        drawn = random.normal((max(rows, columns), min(rows, columns)), dtype=kind, seed=self.seed)
        q, r = np.linalg.qr(drawn.numpy().astype(np.float64))
        q *= np.where(np.diagonal(r) < 0, -1.0, 1.0)
        matrix = q.T if rows < columns else q
        return tensor((self.gain * matrix).reshape(tuple(shape)), dtype=wanted)


__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "fans",
    "get",
    "register",
]
