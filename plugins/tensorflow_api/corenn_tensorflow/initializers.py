"""Initial values with TensorFlow's formulas and signatures: ``init(shape, dtype=None, partition_info=None)``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import corenn
from corenn import initializers as core
from corenn.dtypes import DType
from corenn_tensorflow import missing, mode
from corenn_tensorflow.framework import as_dtype
from corenn_tensorflow.shapes import extents_of


class Initializer:
    """Called with a shape and a dtype, gives the initial value of a variable."""

    dtype: DType = as_dtype("float32")

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None, **options: Any) -> Any:
        """A tensor of ``shape``."""
        extents = extents_of(shape)
        if extents is None or None in extents:
            raise ValueError(f"an initial value needs a shape that is fully known, not {shape}")
        graph = mode.graph_for()
        wanted = as_dtype(dtype) if dtype is not None else self.dtype
        if graph is None:
            return self._make(extents, wanted)  # type: ignore[arg-type]  # checked just now
        with graph.as_default():
            return self._make(extents, wanted)  # type: ignore[arg-type]

    def _make(self, shape: tuple[int, ...], dtype: DType) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not say what it gives")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make another like it."""
        found = {}
        for name, value in vars(self).items():
            found[name] = value.name if isinstance(value, DType) else value
        return found

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """One made of the arguments in ``config``."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.get_config().items())})"


class Zeros(Initializer):
    """All 0."""

    def __init__(self, dtype: Any = "float32") -> None:
        self.dtype = as_dtype(dtype)

    def _make(self, shape: tuple[int, ...], dtype: DType) -> Any:
        return _filled(shape, 0, dtype)


class Ones(Initializer):
    """All 1."""

    def __init__(self, dtype: Any = "float32") -> None:
        self.dtype = as_dtype(dtype)

    def _make(self, shape: tuple[int, ...], dtype: DType) -> Any:
        return _filled(shape, 1, dtype)


def _filled(shape: tuple[int, ...], value: Any, dtype: DType) -> Any:
    graph = mode.graph_for()
    made = np.full(shape, value, dtype.numpy)
    return corenn.tensor(made) if graph is None else graph.constant(made, name="zeros" if value == 0 else "Const")


class Constant(Initializer):
    """A given value: one number for all elements, or as many as there are elements."""

    def __init__(self, value: Any = 0, dtype: Any = "float32", verify_shape: bool = False) -> None:
        self.value, self.dtype, self.verify_shape = value, as_dtype(dtype), verify_shape

    def _make(self, shape: tuple[int, ...], dtype: DType) -> Any:
        array = np.asarray(self.value, dtype.numpy)
        count = math.prod(shape)
        if array.size == 1:
            array = np.full(shape, array.reshape(())[()], dtype.numpy)
        elif self.verify_shape and array.shape != shape:
            raise TypeError(f"Expected Tensor's shape: {shape}, got {array.shape}.")
        elif array.size == count:
            array = array.reshape(shape)
        elif array.size < count and mode.generation() == 1:  # the last value fills what is left
            array = np.concatenate([array.ravel(), np.full(count - array.size, array.ravel()[-1])]).reshape(shape)
        else:
            raise ValueError(f"Too many elements provided. Needed at most {count}, but received {array.size}")
        graph = mode.graph_for()
        return corenn.tensor(array) if graph is None else graph.constant(array, name="Const")


class RandomUniform(Initializer):
    """Uniform between ``minval`` and ``maxval``."""

    def __init__(self, minval: Any = None, maxval: Any = None, seed: int | None = None, dtype: Any = "float32") -> None:
        first = mode.generation() == 1
        self.minval = (0 if first else -0.05) if minval is None else minval
        self.maxval = (1.0 if first else 0.05) if maxval is None else maxval
        self.seed, self.dtype = seed, as_dtype(dtype)

    def _make(self, shape: tuple[int, ...], dtype: DType) -> Any:
        if dtype.is_integer:
            return corenn.random.integers(int(self.minval), int(self.maxval), shape, dtype, seed=self.seed)
        return _drawn("random_uniform", corenn.random.uniform, shape, self.minval, self.maxval, dtype, seed=self.seed)


def _drawn(name: str, function: Any, *args: Any, **options: Any) -> Any:
    graph = mode.graph_for()
    if graph is None:
        return function(*args, **options)
    with graph.name_scope(name):
        return function(*args, **options)


class RandomNormal(Initializer):
    """Normal."""

    def __init__(self, mean: Any = 0.0, stddev: Any = None, seed: int | None = None, dtype: Any = "float32") -> None:
        if stddev is None:
            stddev = 1.0 if mode.generation() == 1 else 0.05
        self.mean, self.stddev, self.seed, self.dtype = mean, stddev, seed, as_dtype(dtype)

    def _make(self, shape: tuple[int, ...], dtype: DType) -> Any:
        return _drawn("random_normal", corenn.random.normal, shape, self.mean, self.stddev, dtype, seed=self.seed)


class TruncatedNormal(RandomNormal):
    """Normal, drawn again beyond two standard deviations."""

    def _make(self, shape: tuple[int, ...], dtype: DType) -> Any:
        draw = corenn.random.truncated_normal
        return _drawn("truncated_normal", draw, shape, self.mean, self.stddev, dtype, seed=self.seed)


class UniformUnitScaling(Initializer):
    """Uniform, scaled by the number of inputs; from before ``variance_scaling``."""

    def __init__(self, factor: float = 1.0, seed: int | None = None, dtype: Any = "float32") -> None:
        self.factor, self.seed, self.dtype = factor, seed, as_dtype(dtype)

    def _make(self, shape: tuple[int, ...], dtype: DType) -> Any:
        inputs = max(float(math.prod(shape[:-1])), 1.0)
        limit = math.sqrt(3 / inputs) * self.factor
        return _drawn("random_uniform", corenn.random.uniform, shape, -limit, limit, dtype, seed=self.seed)


class VarianceScaling(Initializer):
    """Random values whose scale follows the number of inputs or outputs of the weight."""

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal",
        seed: int | None = None, dtype: Any = "float32",
    ) -> None:  # fmt: skip
        distribution = distribution.lower()
        if scale <= 0.0:
            raise ValueError("`scale` must be positive float.")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"Invalid `mode` argument: {mode}")
        if distribution not in ("normal", "uniform", "truncated_normal", "untruncated_normal"):
            raise ValueError(f"Invalid `distribution` argument: {distribution}")
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.seed, self.dtype = seed, as_dtype(dtype)

    def _make(self, shape: tuple[int, ...], dtype: DType) -> Any:
        fan_in, fan_out = compute_fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, fan)
        if self.distribution in ("normal", "truncated_normal"):
            stddev = math.sqrt(variance) / core.TRUNCATED_STDDEV
            draw = corenn.random.truncated_normal
            return _drawn("truncated_normal", draw, shape, 0.0, stddev, dtype, seed=self.seed)
        if self.distribution == "untruncated_normal":
            return _drawn("random_normal", corenn.random.normal, shape, 0.0, math.sqrt(variance), dtype, seed=self.seed)
        limit = math.sqrt(3 * variance)
        return _drawn("random_uniform", corenn.random.uniform, shape, -limit, limit, dtype, seed=self.seed)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make another like it."""
        found = super().get_config()
        if type(self) is not VarianceScaling:
            return {k: v for k, v in found.items() if k in ("seed", "dtype")}
        return found


def compute_fans(shape: Any) -> tuple[int, int]:
    """Numbers of inputs and outputs of a weight: the last two axes, times the extents of a convolution's window."""
    if len(shape) < 1:
        return 1, 1
    if len(shape) == 1:
        return shape[0], shape[0]
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


def _scaled(name: str, scale: float, mode: str, distribution: str) -> type[VarianceScaling]:
    def __init__(self: VarianceScaling, seed: int | None = None, dtype: Any = "float32") -> None:
        VarianceScaling.__init__(self, scale, mode, distribution, seed, dtype)

    doc = f"``VarianceScaling(scale={scale}, mode={mode!r}, distribution={distribution!r})``."
    return type(name, (VarianceScaling,), {"__init__": __init__, "__doc__": doc, "__module__": __name__})


GlorotUniform = _scaled("GlorotUniform", 1.0, "fan_avg", "uniform")
GlorotNormal = _scaled("GlorotNormal", 1.0, "fan_avg", "truncated_normal")
LecunNormal = _scaled("LecunNormal", 1.0, "fan_in", "truncated_normal")
LecunUniform = _scaled("LecunUniform", 1.0, "fan_in", "uniform")
HeNormal = _scaled("HeNormal", 2.0, "fan_in", "truncated_normal")
HeUniform = _scaled("HeUniform", 2.0, "fan_in", "uniform")


class Orthogonal(Initializer):
    """A matrix of orthonormal rows or columns, times ``gain``; further axes are flattened into the rows."""

    def __init__(self, gain: float = 1.0, seed: int | None = None, dtype: Any = "float32") -> None:
        self.gain, self.seed, self.dtype = gain, seed, as_dtype(dtype)

    def _make(self, shape: tuple[int, ...], dtype: DType) -> Any:
        if len(shape) < 2:
            raise ValueError("The tensor to initialize must be at least two-dimensional")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        drawn = corenn.random.normal((max(rows, columns), min(rows, columns)), dtype=dtype, seed=self.seed)
        q, r = corenn.linalg.qr(drawn)
        q = q * corenn.sign(corenn.diagonal(r))
        if rows < columns:
            q = corenn.matrix_transpose(q)
        return corenn.reshape(q, shape=shape) * self.gain


class Identity(Initializer):
    """The identity matrix, times ``gain``."""

    def __init__(self, gain: float = 1.0, dtype: Any = "float32") -> None:
        self.gain, self.dtype = gain, as_dtype(dtype)

    def _make(self, shape: tuple[int, ...], dtype: DType) -> Any:
        if len(shape) != 2:
            raise ValueError("Identity matrix initializer can only be used for 2D matrices.")
        graph = mode.graph_for()
        made = np.eye(*shape, dtype=dtype.numpy) * dtype.numpy.type(self.gain)
        return corenn.tensor(made) if graph is None else graph.constant(made)


zeros = zeros_initializer = Zeros
ones = ones_initializer = Ones
constant = constant_initializer = Constant
random_uniform = random_uniform_initializer = RandomUniform
random_normal = random_normal_initializer = RandomNormal
truncated_normal = truncated_normal_initializer = TruncatedNormal
uniform_unit_scaling = uniform_unit_scaling_initializer = UniformUnitScaling
variance_scaling = variance_scaling_initializer = VarianceScaling
orthogonal = orthogonal_initializer = Orthogonal
identity = identity_initializer = Identity
glorot_uniform = glorot_uniform_initializer = GlorotUniform
glorot_normal = glorot_normal_initializer = GlorotNormal
lecun_normal, lecun_uniform, he_normal, he_uniform = LecunNormal, LecunUniform, HeNormal, HeUniform

_NAMED = {
    "zero": Zeros, "zeros": Zeros, "one": Ones, "ones": Ones, "constant": Constant, "uniform": RandomUniform,
    "random_uniform": RandomUniform, "normal": RandomNormal, "random_normal": RandomNormal,
    "truncated_normal": TruncatedNormal, "orthogonal": Orthogonal, "identity": Identity, "eye": Identity,
    "glorot_uniform": GlorotUniform, "glorot_normal": GlorotNormal, "lecun_normal": LecunNormal,
    "lecun_uniform": LecunUniform, "he_normal": HeNormal, "he_uniform": HeUniform,
    "variance_scaling": VarianceScaling,
}  # fmt: skip


def get(identifier: Any) -> Any:
    """The initializer that a name, a class, a configuration or an initializer means."""
    if identifier is None:
        return None
    if isinstance(identifier, dict):
        return get(identifier["class_name"]).from_config(identifier.get("config", {}))
    if isinstance(identifier, str):
        by_class = {cls.__name__: cls for cls in _NAMED.values()}
        found = _NAMED.get(identifier) or by_class.get(identifier)
        if found is None:
            raise ValueError(f"Unknown initializer: {identifier}")
        return found()
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret initializer identifier: {identifier!r}")


__all__ = [
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "Initializer", "LecunNormal",
    "LecunUniform", "Ones", "Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling",
    "Zeros", "constant", "get", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "identity",
    "lecun_normal", "lecun_uniform", "ones", "orthogonal", "random_normal", "random_uniform", "truncated_normal",
    "uniform_unit_scaling", "variance_scaling", "zeros",
]  # fmt: skip

__getattr__ = missing.guard(__name__)
