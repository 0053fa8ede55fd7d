"""Making variables, constants, placeholders and random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

import corenn_tensorflow as tf
from corenn.dtypes import as_dtype
from corenn.graph.kinds import PlaceholderKind
from corenn.graph.tensors import GraphTensor
from corenn.layers.naming import unique_name
from corenn.tensor import Tensor
from corenn_tensorflow.keras import world
from corenn_tensorflow.keras.backend.arrays import cast
from corenn_tensorflow.keras.backend.settings import floatx
from corenn_tensorflow.keras.engine.symbolic import Input, node_of
from corenn_tensorflow.keras.engine.weights import Weight, present


def cast_to_floatx(x: Any) -> Any:
    """An array or tensor in that dtype."""
    return cast(x, floatx()) if isinstance(x, Tensor) else np.asarray(x, dtype=floatx())


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Any:
    """A variable."""
    given = value._host() if isinstance(value, Tensor) and not isinstance(value, GraphTensor) else value
    kind = as_dtype(getattr(dtype, "name", dtype) or floatx())
    label = name or unique_name("Variable")
    with world.eagerly():
        made = Weight(np.asarray(given, kind.numpy), name=label, dtype=kind, constraint=constraint)
    return present(made)


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    """A constant."""
    return tf.constant(value, dtype=dtype or floatx(), shape=shape, name=name or "Const")


def placeholder(
    shape: Any = None, ndim: int | None = None, dtype: Any = None, sparse: bool = False, name: str | None = None
) -> Any:
    """A tensor to be fed: the input of a ``function``."""
    if shape is None and ndim is not None:
        shape = (None,) * ndim
    graph = world.symbolic_graph()
    if isinstance(graph, world.KerasGraph):
        return Input(batch_shape=shape, dtype=dtype or floatx(), name=name)
    kind = as_dtype(getattr(dtype, "name", dtype) or floatx())
    known = (None if shape is None else tuple(None if n is None else int(n) for n in shape), kind)
    return graph.add(PlaceholderKind(), [], [known], name=name or "Placeholder", controls=[]).outputs[0]


def is_placeholder(x: Any) -> bool:
    """Whether it is one."""
    return isinstance(x, GraphTensor) and isinstance(x.operation.kind, PlaceholderKind)


def is_keras_tensor(x: Any) -> bool:
    """Whether a layer of Keras gave it."""
    return node_of(x) is not None


def is_tensor(x: Any) -> bool:
    """Whether it is a tensor."""
    return isinstance(x, Tensor)


def zeros(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A variable of zeros."""
    return variable(np.zeros(_plain(shape)), dtype, name)


def ones(shape: Any, dtype: Any = None, name: str | None = None) -> Any:
    """A variable of ones."""
    return variable(np.ones(_plain(shape)), dtype, name)


def eye(size: int, dtype: Any = None, name: str | None = None) -> Any:
    """A variable: the identity matrix."""
    return variable(np.eye(size), dtype, name)


def random_uniform_variable(
    shape: Any, low: float, high: float, dtype: Any = None, name: str | None = None, seed: Any = None
) -> Any:
    """A variable of uniform numbers."""
    return variable(_drawing(seed).uniform(low, high, _plain(shape)), dtype, name)


def random_normal_variable(
    shape: Any, mean: float, scale: float, dtype: Any = None, name: str | None = None, seed: Any = None
) -> Any:
    """A variable of normal numbers."""
    return variable(_drawing(seed).normal(mean, scale, _plain(shape)), dtype, name)


def _drawing(seed: Any) -> np.random.Generator:
    """As in Keras, the seed of a call without one comes from NumPy's global generator."""
    return np.random.default_rng(np.random.randint(10**9) if seed is None else seed)


def _plain(shape: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in shape)


def random_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Normal numbers."""
    return tf.random.normal(shape, mean, stddev, dtype or floatx(), seed=seed)


def random_uniform(shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Uniform numbers."""
    return tf.random.uniform(shape, minval, maxval, dtype or floatx(), seed=seed)


def truncated_normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = None, seed: Any = None) -> Any:
    """Normal numbers within two standard deviations."""
    return tf.random.truncated_normal(shape, mean, stddev, dtype or floatx(), seed=seed)


def random_binomial(shape: Any, p: float = 0.0, dtype: Any = None, seed: Any = None) -> Any:
    """Ones with probability ``p``, else zeros."""
    return cast(tf.less(tf.random.uniform(shape, seed=seed), p), dtype or floatx())


random_bernoulli = random_binomial
