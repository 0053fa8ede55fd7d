"""Random numbers: a new draw at every run of a graph, or at every call."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import corenn
from corenn import dtypes, philox
from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.framework import as_dtype, convert_to_tensor
from corenn_tensorflow.functions.calling import composite, is_static, operand, python_value, shape_argument
from corenn_tensorflow.writing import writable


class _Seeds:
    """The global seed, and the streams of calls that give a seed of their own when run eagerly."""

    value: int | None = None
    streams: dict[Any, Any] = {}  # noqa: RUF012  # of the process


def set_seed(seed: int | None) -> None:
    """Set the global seed: of the default graph, or of eager calls."""
    if mode.executing_eagerly():
        _Seeds.value = seed
        _Seeds.streams = {}
        if seed is not None:
            corenn.random.seed(int(seed))
    else:
        mode.default_graph().seed = None if seed is None else int(seed)


set_random_seed = set_seed


def get_seed(op_seed: int | None) -> tuple[int | None, int | None]:
    """The pair of seeds that an operation with ``op_seed`` uses now."""
    graph = mode.graph_for()
    first = _Seeds.value if graph is None else graph.seed
    if first is None and op_seed is None:
        return None, None
    last = 0 if graph is None else len(graph.get_operations())
    return (87654321 if first is None else first, last if op_seed is None else op_seed)


def stream(seed: int | None) -> dict[str, Any]:
    """The ``seed=`` or ``generator=`` that a draw passes on.

    In a graph the seed is the operation's; eagerly, calls of one seed draw from one stream, which goes on.
    """
    if seed is None:
        return {}
    if mode.graph_for() is not None:
        return {"seed": int(seed)}
    key = (_Seeds.value, int(seed))
    if key not in _Seeds.streams:
        _Seeds.streams[key] = corenn.random.Generator(philox.derive(_Seeds.value or 0, "operation", int(seed)))
    return {"generator": _Seeds.streams[key]}


def _drawn(name: str | None, default: str, shape: Any, draw: Any) -> Any:
    graph = mode.graph_for(shape)
    extents = shape_argument(shape)
    if graph is None:
        return draw(extents)
    with graph.as_default(), graph.name_scope(name or default):
        return draw(extents)


def _scaled(value: Any, dtype: Any) -> Any:
    """A parameter of a distribution: a number, or a tensor of the dtype."""
    return convert_to_tensor(value) if isinstance(value, Tensor) else convert_to_tensor(value, dtype) if isinstance(
        value, (np.ndarray, list, tuple)) else float(value)  # fmt: skip


def random_normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32", seed: int | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Normal numbers."""
    wanted = as_dtype(dtype)
    return _drawn(name, "random_normal", shape, lambda extents: corenn.random.normal(
        extents, _scaled(mean, wanted), _scaled(stddev, wanted), wanted, **stream(seed)))  # fmt: skip


def truncated_normal(
    shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32", seed: int | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Normal numbers, drawn again beyond two standard deviations."""
    wanted = as_dtype(dtype)
    return _drawn(name, "truncated_normal", shape, lambda extents: corenn.random.truncated_normal(
        extents, _scaled(mean, wanted), _scaled(stddev, wanted), wanted, **stream(seed)))  # fmt: skip


def random_uniform(
    shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = "float32", seed: int | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Uniform numbers from ``minval`` up to ``maxval``, which is left out; integers need ``maxval``."""
    wanted = as_dtype(dtype)
    if maxval is None:
        if wanted.is_integer:
            raise ValueError(f"Must specify maxval for integer dtype {wanted.name}")
        maxval = 1
    if not wanted.is_integer:
        low, high = _scaled(minval, wanted), _scaled(maxval, wanted)
        if isinstance(low, float) and isinstance(high, float) and low > high:
            low, high = high, low  # the same distribution, and the usual slip
        return _drawn(name, "random_uniform", shape, lambda extents: corenn.random.uniform(
            extents, low, high, wanted, **stream(seed)))  # fmt: skip
    low, high = python_value(minval), python_value(maxval)
    if isinstance(low, int) and isinstance(high, int):
        return _drawn(name, "random_uniform", shape, lambda extents: corenn.random.integers(
            low, high, extents, wanted, **stream(seed)))  # fmt: skip

    def between(extents: Any) -> Any:
        # Limits that only the run knows: 52 random bits spread over the range.
        start, stop = (corenn.cast(operand(v), dtype="float64") for v in (low, high))
        drawn = corenn.random.uniform(extents, 0.0, 1.0, "float64", **stream(seed))
        return corenn.cast(corenn.floor(start + drawn * (stop - start)), dtype=wanted)

    graph = mode.graph_for(shape, minval, maxval)
    if graph is None:
        return between(shape_argument(shape))
    with graph.as_default():
        return _drawn(name, "random_uniform", shape, between)


def random_shuffle(value: Any, seed: int | None = None, name: str | None = None) -> Any:
    """The rows in random order."""
    x = operand(value)
    if not isinstance(x, GraphTensor):
        if mode.graph_for(x) is None:
            return corenn.random.shuffle(x, **stream(seed))
        x = convert_to_tensor(x)
    with mode.scope(name, "RandomShuffle", x):
        from corenn_tensorflow.functions.arrays import shape

        keys = corenn.random.uniform((shape(x)[0],), 0.0, 1.0, "float64", **stream(seed))
        return corenn.gather(x, corenn.argsort(keys), axis=0)


def multinomial(
    logits: Any, num_samples: Any, seed: int | None = None, name: str | None = None, output_dtype: Any = None
) -> Any:
    """Numbers of classes, drawn with the probabilities that ``logits`` mean: ``num_samples`` for each row."""
    x = operand(logits)
    wanted = dtypes.int64 if output_dtype is None else as_dtype(output_dtype)
    with mode.scope(name, "multinomial", x, num_samples):
        found = corenn.random.categorical(x, python_value(num_samples), **stream(seed))
        return found if found.dtype is wanted else corenn.cast(found, dtype=wanted)


def categorical(
    logits: Any, num_samples: Any, dtype: Any = None, seed: int | None = None, name: str | None = None
) -> Any:
    """Numbers of classes, drawn with the probabilities that ``logits`` mean."""
    return multinomial(logits, num_samples, seed, name or "categorical", dtype)


def random_gamma(
    shape: Any, alpha: Any, beta: Any = None, dtype: Any = "float32", seed: int | None = None, name: str | None = None
) -> Any:
    """Gamma numbers: ``shape`` of them for each ``alpha`` (and ``beta``)."""
    wanted = as_dtype(dtype)
    a = convert_to_tensor(alpha, None if isinstance(alpha, Tensor) else wanted)
    b = convert_to_tensor(1.0 if beta is None else beta, None if isinstance(beta, Tensor) else wanted)

    def draw(extents: Any) -> Any:
        inner = corenn.broadcast_to(a, shape=_joint(a, b)) if a.spec.shape != b.spec.shape and b.spec.shape else a
        return corenn.random.gamma((*extents, *inner.spec.shape), inner, b, wanted, **stream(seed))

    return _drawn(name, "random_gamma", shape, draw)


def _joint(a: Any, b: Any) -> tuple[int, ...]:
    return np.broadcast_shapes(a.spec.static, b.spec.static)


def random_poisson(
    lam: Any = None, shape: Any = None, dtype: Any = "float32", seed: int | None = None, name: str | None = None
) -> Any:
    """Poisson numbers: ``shape`` of them for each ``lam``.

    The number of exponential times that fit into one unit; for means up to about 100.
    """
    if not isinstance(shape, (list, tuple)) and isinstance(lam, (list, tuple)) and not isinstance(shape, Tensor):
        shape, lam = lam, shape
    wanted = as_dtype(dtype)
    rate = convert_to_tensor(lam, None if isinstance(lam, Tensor) else "float64")
    most = 512

    def draw(extents: Any) -> Any:
        times = corenn.random.exponential((most, *extents, *rate.spec.shape), 1.0, "float64", **stream(seed))
        arrived = corenn.less_equal(corenn.cumsum(times, axis=0), corenn.cast(rate, dtype="float64"))
        return corenn.cast(corenn.sum(corenn.cast(arrived, dtype="int32"), axis=0), dtype=wanted)

    return _drawn(name, "random_poisson", shape if shape is not None else (), draw)


@writable("random_crop")
def _cropped_at(t: Any, start: Any, *, extents: Any) -> Any:
    for axis, count in enumerate(extents):
        places = start[axis] + corenn.arange(count)
        t = corenn.gather(t, places, axis=axis)
    return t


def random_crop(value: Any, size: Any, seed: int | None = None, name: str | None = None) -> Any:
    """A block of ``size`` at a random place; its corner is drawn anew each time."""
    x = operand(value)
    extents = python_value(size)
    with mode.scope(name, "random_crop", x):
        from corenn_tensorflow.functions.arrays import shape
        from corenn_tensorflow.functions.slicing import slice as block

        room = shape(x) - convert_to_tensor(size, "int32") + 1
        drawn = corenn.random.uniform((len(extents),), 0.0, 1.0, "float64", **stream(seed))
        corner = corenn.cast(corenn.floor(drawn * corenn.cast(room, dtype="float64")), dtype="int32")
        if is_static(extents) and isinstance(x, GraphTensor):
            return composite("RandomCrop", None, functools.partial(_cropped_at, extents=extents), x, corner)
        return block(x, corner, extents)


@writable("random.stateless")
def _stateless_of(pair: Any, *, draw: str, shape: Any, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    numbers = corenn.cast(pair, dtype="uint64")
    key = corenn.concatenate(numbers, corenn.zeros((1,), "uint64"), axis=0)
    return _STATELESS[draw](shape, key, *args, **options)


def _stateless(draw: str, doc: str) -> Any:
    def call(shape: Any, seed: Any, *args: Any, name: str | None = None, **options: Any) -> Any:
        if "dtype" in options:
            options["dtype"] = as_dtype(options["dtype"])
        run = functools.partial(_stateless_of, draw=draw, shape=shape_argument(shape), args=args, options=options)
        return composite("StatelessRandom", name, run, operand(seed))

    call.__doc__ = doc
    return call


def _stateless_uniform(shape: Any, key: Any, minval: Any = 0, maxval: Any = None, dtype: Any = "float32") -> Any:
    wanted = as_dtype(dtype)
    if wanted.is_integer:
        return corenn.random.integers(int(minval), int(maxval), shape, wanted, key=key)
    return corenn.random.uniform(shape, float(minval), 1.0 if maxval is None else float(maxval), wanted, key=key)


def _stateless_normal(shape: Any, key: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32") -> Any:
    return corenn.random.normal(shape, mean, stddev, as_dtype(dtype), key=key)


def _stateless_truncated(shape: Any, key: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = "float32") -> Any:
    return corenn.random.truncated_normal(shape, mean, stddev, as_dtype(dtype), key=key)


_STATELESS = {"uniform": _stateless_uniform, "normal": _stateless_normal, "truncated_normal": _stateless_truncated}

stateless_uniform = _stateless("uniform", "Uniform numbers that depend on ``seed``, two integers, alone.")
stateless_normal = _stateless("normal", "Normal numbers that depend on ``seed``, two integers, alone.")
stateless_truncated_normal = _stateless(
    "truncated_normal", "Truncated normal numbers that depend on ``seed``, two integers, alone."
)

__all__ = [
    "categorical", "get_seed", "multinomial", "random_crop", "random_gamma", "random_normal", "random_poisson",
    "random_shuffle", "random_uniform", "set_random_seed", "set_seed", "stateless_normal",
    "stateless_truncated_normal", "stateless_uniform", "stream", "truncated_normal",
]  # fmt: skip
