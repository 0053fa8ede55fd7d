"""Shapes, dtypes, reductions and functions of elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import corenn_tensorflow as tf
from corenn_tensorflow.framework import convert_to_tensor, static_shape
from corenn_tensorflow.keras.backend.settings import floatx
from corenn_tensorflow.keras.layers.adapting import image_data_format


def is_sparse(tensor: Any) -> bool:
    """Whether it is a sparse tensor."""
    return hasattr(tensor, "dense_shape")


def shape(x: Any) -> Any:
    """The shape, a tensor."""
    return tf.shape(x)


def int_shape(x: Any) -> Any:
    """The shape, a tuple of ints and ``None``."""
    found = static_shape(x)
    return None if found is None else tuple(None if n is None else int(n) for n in found)


def ndim(x: Any) -> Any:
    """The number of axes."""
    found = static_shape(x)
    return None if found is None else len(found)


def size(x: Any, name: str | None = None) -> Any:
    """The number of elements, a tensor."""
    return tf.size(x)


def count_params(x: Any) -> int:
    """The number of elements."""
    return int(np.prod(int_shape(x)))


def dtype(x: Any) -> str:
    """The dtype's name."""
    return str(x.dtype.name)


def cast(x: Any, dtype: Any) -> Any:
    """In another dtype."""
    return tf.cast(x, dtype)


def to_dense(tensor: Any) -> Any:
    """A dense tensor."""
    return tf.sparse.to_dense(tensor) if is_sparse(tensor) else tensor


def _axis(axis: Any) -> Any:
    return list(axis) if isinstance(axis, tuple) else axis


def _reduction(name: str, function: str) -> Callable[..., Any]:
    def reduce(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        given = convert_to_tensor(x)
        if function in ("reduce_mean", "reduce_std", "reduce_variance") and not given.dtype.is_floating:
            given = cast(given, floatx())
        if function in ("reduce_any", "reduce_all"):
            given = cast(given, "bool")
        return getattr(tf.math, function)(given, axis=_axis(axis), keepdims=keepdims)

    reduce.__name__ = reduce.__qualname__ = name
    reduce.__doc__ = f"{name.capitalize()} over ``axis``."
    return reduce


_REDUCTIONS = {"sum": "reduce_sum", "prod": "reduce_prod", "mean": "reduce_mean", "max": "reduce_max",
               "min": "reduce_min", "any": "reduce_any", "all": "reduce_all", "std": "reduce_std",
               "var": "reduce_variance", "logsumexp": "reduce_logsumexp"}  # fmt: skip
for _name, _function_name in _REDUCTIONS.items():
    globals()[_name] = _reduction(_name, _function_name)


def _elementwise(name: str, target: str) -> Callable[..., Any]:
    def apply(*args: Any, **options: Any) -> Any:
        found: Any = tf
        for part in target.split("."):
            found = getattr(found, part)
        return found(*args, **options)

    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = f"``tf.{target}``."
    return apply


_ELEMENTWISE = {
    "square": "square", "abs": "abs", "exp": "exp", "log": "math.log", "round": "round", "sign": "sign",
    "sin": "sin", "cos": "cos", "maximum": "maximum", "minimum": "minimum", "equal": "equal",
    "not_equal": "not_equal", "greater": "greater", "greater_equal": "greater_equal", "less": "less",
    "less_equal": "less_equal", "zeros_like": "zeros_like", "ones_like": "ones_like", "identity": "identity",
    "transpose": "transpose", "tile": "tile", "gather": "gather", "cumsum": "cumsum", "cumprod": "math.cumprod",
    "reverse": "reverse", "map_fn": "map_fn", "foldl": "foldl", "foldr": "foldr",
}  # fmt: skip
for _name, _target in _ELEMENTWISE.items():
    globals()[_name] = _elementwise(_name, _target)


def sqrt(x: Any) -> Any:
    """Square root of what is not negative, 0 elsewhere."""
    return tf.sqrt(tf.maximum(x, tf.zeros_like(x)))


def pow(x: Any, a: Any) -> Any:
    """Power."""
    return tf.pow(x, a)


def clip(x: Any, min_value: Any, max_value: Any) -> Any:
    """Values cut to a range."""
    high = np.inf if max_value is None else max_value
    low = -np.inf if min_value is None else min_value
    return tf.clip_by_value(
        x, low, np.maximum(high, low) if isinstance(high, (int, float)) and isinstance(low, (int, float)) else high
    )


def argmax(x: Any, axis: int = -1) -> Any:
    """Where the largest is."""
    return tf.argmax(x, axis)


def argmin(x: Any, axis: int = -1) -> Any:
    """Where the smallest is."""
    return tf.argmin(x, axis)


def one_hot(indices: Any, num_classes: int) -> Any:
    """One-hot vectors."""
    return tf.one_hot(indices, num_classes, axis=-1)


def reshape(x: Any, shape: Any) -> Any:
    """Another shape."""
    return tf.reshape(x, shape)


def permute_dimensions(x: Any, pattern: Any) -> Any:
    """Axes in another order."""
    return tf.transpose(x, perm=list(pattern))


def expand_dims(x: Any, axis: int = -1) -> Any:
    """One more axis."""
    return tf.expand_dims(x, axis)


def squeeze(x: Any, axis: int) -> Any:
    """One axis fewer."""
    return tf.squeeze(x, [axis])


def flatten(x: Any) -> Any:
    """One axis."""
    return tf.reshape(x, [-1])


def batch_flatten(x: Any) -> Any:
    """Two axes."""
    known = int_shape(x)
    rest = int(np.prod(known[1:])) if known is not None and None not in known[1:] else tf.reduce_prod(tf.shape(x)[1:])
    return tf.reshape(x, tf.stack([-1, rest]))


def concatenate(tensors: Any, axis: int = -1) -> Any:
    """Joined."""
    return tf.concat([to_dense(t) for t in tensors], axis)


def stack(x: Any, axis: int = 0) -> Any:
    """Along a new axis."""
    return tf.stack(x, axis=axis)


def repeat(x: Any, n: int) -> Any:
    """[b, d] to [b, n, d]."""
    return tf.tile(tf.expand_dims(x, 1), [1, n, 1])


def repeat_elements(x: Any, rep: int, axis: int) -> Any:
    """Each element ``rep`` times along an axis."""
    return tf.repeat(x, rep, axis=axis)


def arange(start: Any, stop: Any = None, step: int = 1, dtype: str = "int32") -> Any:
    """Numbers in order."""
    if stop is None:
        start, stop = 0, start
    return cast(tf.range(start, limit=stop, delta=step), dtype)


def slice(x: Any, start: Any, size: Any) -> Any:
    """A part."""
    return tf.slice(x, start, size)


def temporal_padding(x: Any, padding: Any = (1, 1)) -> Any:
    """Zeros around the steps."""
    return tf.pad(x, [[0, 0], list(padding), [0, 0]])


def spatial_2d_padding(x: Any, padding: Any = ((1, 1), (1, 1)), data_format: Any = None) -> Any:
    """Zeros around images."""
    inner = [list(padding[0]), list(padding[1])]
    first = (data_format or image_data_format()) == "channels_first"
    return tf.pad(x, [[0, 0], [0, 0], *inner] if first else [[0, 0], *inner, [0, 0]])


def dot(x: Any, y: Any) -> Any:
    """The product over x's last axis and y's last but one."""
    a, b = ndim(x), ndim(y)
    if a is not None and b is not None and (a > 2 or b > 2):
        return tf.tensordot(x, y, [[a - 1], [b - 2 if b > 2 else 0]])
    return tf.matmul(x, y)


def batch_dot(x: Any, y: Any, axes: Any = None) -> Any:
    """The product of each example of x with that of y over ``axes``."""
    a, b = ndim(x), ndim(y)
    chosen = (
        [a - 1, b - 2 if b > 2 else b - 1] if axes is None else [axes, axes] if isinstance(axes, int) else list(axes)
    )
    ax, ay = (c + n if c < 0 else c for c, n in zip(chosen, (a, b), strict=True))
    left, right = x, y
    if a == 2:
        left, ax = tf.expand_dims(x, 1), ax + 1
    if b == 2:
        right, ay = tf.expand_dims(y, -1), ay
    la, lb = ndim(left), ndim(right)
    if ax != la - 1:
        left = tf.transpose(left, [i for i in range(la) if i != ax] + [ax])
    if ay != 1 or lb > 3:
        right = tf.transpose(right, [0, ay] + [i for i in range(1, lb) if i != ay]) if lb > 2 else right
    if la == 3 and lb == 3:
        out = tf.matmul(left, right)
    else:
        names = "abcdefgh"
        first = "z" + names[: la - 2] + "k"
        second = "zk" + names[la - 2 : la - 2 + lb - 2]
        out = tf.einsum(f"{first},{second}->z{first[1:-1]}{second[2:]}", left, right)
    if a == 2:
        out = tf.squeeze(out, [1])
    if b == 2:
        out = tf.squeeze(out, [-1])
    return tf.expand_dims(out, 1) if ndim(out) == 1 else out
