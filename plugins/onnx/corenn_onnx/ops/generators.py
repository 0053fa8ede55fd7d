"""Constants, ranges, windows, random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.tensor import Tensor
from corenn_onnx.ops._common import of_onnx, shape_of
from corenn_onnx.table import onnx_op
from corenn_onnx.values import as_text

Host = np.ndarray[Any, Any]


@onnx_op("Constant")
def constant(
    *, node: Any, value: Host | None = None, value_float: float | None = None, value_floats: Any = None,
    value_int: int | None = None, value_ints: Any = None, value_string: str | None = None, value_strings: Any = None,
    sparse_value: Any = None,
) -> Any:  # fmt: skip
    """A value that stands in the model."""
    if value is not None:
        return value
    for given in (value_float, value_floats):
        if given is not None:
            return np.array(given, np.float32)
    for whole in (value_int, value_ints):
        if whole is not None:
            return np.array(whole, np.int64)
    for text in (value_string, value_strings):
        if text is not None:
            return as_text(np.array(text, object))
    if sparse_value is not None:
        from corenn_onnx.running import dense

        return dense(sparse_value, node.around.base_dir)
    raise node.unsupported("it has no value")


@onnx_op("ConstantOfShape", host=("shape",))
def constant_of_shape(shape: Host, *, value: Host | None = None) -> Any:
    """A tensor with every element the same."""
    given = np.zeros(1, np.float32) if value is None else value
    return np.full(tuple(int(n) for n in shape), given.reshape(-1)[0], given.dtype)


@onnx_op("Range", host=("start", "limit", "delta"))
def range_(start: Host, limit: Host, delta: Host, *, stash_type: int = 1) -> Any:
    """``start``, ``start + delta``, ... before ``limit``."""
    first, last, step = (v.reshape(()) for v in (start, limit, delta))
    if start.dtype.kind in "iu":
        return np.arange(int(first), int(last), int(step), dtype=start.dtype)
    count = max(0, int(np.ceil((float(last) - float(first)) / float(step))))
    return (float(first) + np.arange(count) * float(step)).astype(start.dtype)


def _window(name: str, weights: tuple[float, ...]) -> None:
    @onnx_op(name, host=("size",))
    def run(size: Host, *, node: Any, output_datatype: int = 1, periodic: int = 1) -> Tensor:
        count = int(size.reshape(()))
        angle = 2 * np.pi * np.arange(count) / max(1, count if periodic else count - 1)
        values = sum((-1) ** k * w * np.cos(k * angle) for k, w in enumerate(weights))
        return corenn.asarray(np.asarray(values, np.float64)).cast(of_onnx(output_datatype, node))


_window("HannWindow", (0.5, 0.5))
_window("HammingWindow", (25 / 46, 21 / 46))
_window("BlackmanWindow", (0.42, 0.5, 0.08))


@onnx_op("MelWeightMatrix", host=("bins", "length", "rate", "low", "high"))
def mel_weight_matrix(
    bins: Host, length: Host, rate: Host, low: Host, high: Host, *, node: Any, output_datatype: int = 1
) -> Tensor:
    """Triangular weights from the frequencies of a transform to mel bands."""
    count, size = int(bins.reshape(())), int(length.reshape(()))

    def mel(hertz: Any) -> Any:
        return 2595 * np.log10(1 + hertz / 700)

    first, last = mel(float(low.reshape(()))), mel(float(high.reshape(())))
    edges = first + np.arange(count + 2) * ((last - first) / (count + 2))
    hertz = 700 * (10 ** (edges / 2595) - 1)
    places = ((size + 1) * hertz // int(rate.reshape(()))).astype(np.int64)
    weights = np.zeros((size // 2 + 1, count))
    for i in range(count):
        left, centre, right = places[i : i + 3]
        if centre == left:
            weights[centre, i] = 1
        else:
            weights[left : centre + 1, i] = (np.arange(left, centre + 1) - left) / (centre - left)
        if right > centre:
            weights[centre:right, i] = (right - np.arange(centre, right)) / (right - centre)
    return corenn.asarray(weights).cast(of_onnx(output_datatype, node))


# ---------------------------------------------------------------- random numbers


def _seed(seed: float | None) -> int | None:
    """A seed for a generator of integers, of ONNX's floating one; without one, draws differ from run to run."""
    return None if seed is None else int(np.float32(seed).view(np.uint32))


def _uniform(shape: Any, low: float, high: float, seed: float | None, kind: Any) -> Tensor:
    wide = kind if kind in (dtypes.float32, dtypes.float64) else dtypes.float32
    return corenn.random.uniform(shape, low=low, high=high, dtype=wide, seed=_seed(seed)).cast(kind)


def _normal(shape: Any, mean: float, scale: float, seed: float | None, kind: Any) -> Tensor:
    wide = kind if kind in (dtypes.float32, dtypes.float64) else dtypes.float32
    drawn = corenn.random.normal(shape, dtype=wide, seed=_seed(seed))
    return corenn.add(corenn.multiply(drawn, scale), mean).cast(kind)


@onnx_op("RandomUniform", pure=False)
def random_uniform(
    *, node: Any, shape: Any, dtype: int = 1, high: float = 1.0, low: float = 0.0, seed: float | None = None
) -> Tensor:
    """Uniform numbers."""
    return _uniform(shape, low, high, seed, of_onnx(dtype, node))


@onnx_op("RandomNormal", pure=False)
def random_normal(
    *, node: Any, shape: Any, dtype: int = 1, mean: float = 0.0, scale: float = 1.0, seed: float | None = None
) -> Tensor:
    """Normal numbers."""
    return _normal(shape, mean, scale, seed, of_onnx(dtype, node))


@onnx_op("RandomUniformLike", pure=False)
def random_uniform_like(
    x: Tensor, *, node: Any, dtype: int | None = None, high: float = 1.0, low: float = 0.0, seed: float | None = None
) -> Tensor:
    """Uniform numbers in the shape of ``x``."""
    return _uniform(shape_of(x), low, high, seed, x.dtype if dtype is None else of_onnx(dtype, node))


@onnx_op("RandomNormalLike", pure=False)
def random_normal_like(
    x: Tensor, *, node: Any, dtype: int | None = None, mean: float = 0.0, scale: float = 1.0, seed: float | None = None
) -> Tensor:
    """Normal numbers in the shape of ``x``."""
    return _normal(shape_of(x), mean, scale, seed, x.dtype if dtype is None else of_onnx(dtype, node))


@onnx_op("Bernoulli", pure=False)
def bernoulli(x: Tensor, *, node: Any, dtype: int | None = None, seed: float | None = None) -> Tensor:
    """1 with the probability that each element states, else 0."""
    drawn = _uniform(shape_of(x), 0, 1, seed, dtypes.float32)
    return corenn.less(drawn, x.cast(dtypes.float32)).cast(x.dtype if dtype is None else of_onnx(dtype, node))


@onnx_op("Multinomial", pure=False)
def multinomial(x: Tensor, *, node: Any, dtype: int = 6, sample_size: int = 1, seed: float | None = None) -> Tensor:
    """Classes drawn by unnormalised log probabilities."""
    edges = corenn.cumsum(corenn.nn.softmax(x.cast(dtypes.float32), axis=-1), axis=-1)
    drawn = _uniform((x.shape[0], sample_size, 1), 0, 1, seed, dtypes.float32)
    below = corenn.greater_equal(drawn, corenn.expand_dims(edges[:, :-1], axis=1))
    return corenn.sum(below.cast(dtypes.int32), axis=-1).cast(of_onnx(dtype, node))


def _dropped(x: Tensor, ratio: float, training: bool, seed: Any, node: Any) -> Any:
    if not training or ratio == 0:
        y = x
        kept = corenn.broadcast_to(corenn.asarray(True), shape=tuple(x.shape)) if node.wanted(1) else None
    else:
        kept = corenn.greater_equal(_uniform(shape_of(x), 0, 1, seed, dtypes.float32), ratio)
        y = corenn.where(kept, corenn.divide(x, 1 - ratio).cast(x.dtype), corenn.zeros_like(x))
    return (y, kept) if node.wanted(1) else y


@onnx_op("Dropout", since=12, host=("ratio", "training"), pure=False)
def dropout(
    x: Tensor, ratio: Host | None = None, training: Host | None = None, *, node: Any, seed: int | None = None
) -> Any:
    """In training mode elements are left out at random; with a second output, which were kept."""
    rate = 0.5 if ratio is None else float(ratio.reshape(()))
    return _dropped(x, rate, training is not None and bool(training.reshape(())), seed, node)


@onnx_op("Dropout", pure=False)
def dropout_attribute(
    x: Tensor, *, node: Any, ratio: float = 0.5, is_test: int = 1, consumed_inputs: Any = None
) -> Any:
    """Before opset 12 it does nothing in inference."""
    return _dropped(x, ratio, False, None, node)
