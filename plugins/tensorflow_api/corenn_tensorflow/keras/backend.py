"""``keras.backend``: functions on tensors of every kind, and the settings and session of Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import corenn_tensorflow as tf
from corenn import tree
from corenn.dtypes import as_dtype
from corenn.graph.kinds import PlaceholderKind
from corenn.graph.tensors import GraphTensor
from corenn.layers.naming import reset_names, unique_name
from corenn.tensor import Tensor
from corenn.variable import Variable
from corenn_tensorflow import mode
from corenn_tensorflow.framework import convert_to_tensor, static_shape
from corenn_tensorflow.keras import activations, losses, session, world
from corenn_tensorflow.keras.engine.functional import Plan
from corenn_tensorflow.keras.engine.symbolic import Input, node_of
from corenn_tensorflow.keras.engine.weights import Weight, present, storage_of
from corenn_tensorflow.keras.layers.adapting import _settings, image_data_format
from corenn_tensorflow.missing import guard

learning_phase, set_learning_phase = world.learning_phase, world.set_learning_phase
get_session, set_session = session.get_session, session.set_session
_values: dict[str, Any] = {"epsilon": 1e-7, "floatx": "float32"}

# ---- settings


def backend() -> str:
    """``tensorflow``: whose functions these are."""
    return "tensorflow"


def epsilon() -> float:
    """The small number that keeps divisions safe."""
    return float(_values["epsilon"])


def set_epsilon(value: float) -> None:
    """Set it."""
    _values["epsilon"] = float(value)


def floatx() -> str:
    """The dtype of weights and inputs."""
    return str(_values["floatx"])


def set_floatx(value: str) -> None:
    """Set it."""
    if value not in ("float16", "float32", "float64"):
        raise ValueError(f"Unknown floatx type: {value}")
    _values["floatx"] = value


def cast_to_floatx(x: Any) -> Any:
    """An array or tensor in that dtype."""
    return cast(x, floatx()) if isinstance(x, Tensor) else np.asarray(x, dtype=floatx())


def set_image_data_format(data_format: str) -> None:
    """``channels_last`` or ``channels_first``."""
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"Unknown data_format: {data_format}")
    _settings["image_data_format"] = data_format


def image_dim_ordering() -> str:
    """Keras 1's name: ``tf`` or ``th``."""
    return "th" if image_data_format() == "channels_first" else "tf"


def set_image_dim_ordering(dim_ordering: str) -> None:
    """Keras 1's name."""
    set_image_data_format({"th": "channels_first", "tf": "channels_last"}[dim_ordering])


def clear_session() -> None:
    """Start again: names, the graph, the session, the learning phase."""
    reset_names()
    from corenn_tensorflow.keras.engine import symbolic

    symbolic.core_name_started.clear()
    world.clear()
    session.forget()
    if not mode._state.eager:
        mode.reset_default_graph()


reset_uids = reset_names


def get_uid(prefix: str = "") -> int:
    """1, 2, ... for each prefix."""
    found = unique_name(f"uid_{prefix}")
    return 1 if found == f"uid_{prefix}" else int(found.rpartition("_")[2]) + 1


def manual_variable_initialization(value: bool) -> None:
    """Nothing: weights have values from the beginning."""


# ---- making


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


def is_sparse(tensor: Any) -> bool:
    """Whether it is a sparse tensor."""
    return hasattr(tensor, "dense_shape")


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
    return variable(np.random.default_rng(seed).uniform(low, high, _plain(shape)), dtype, name)


def random_normal_variable(
    shape: Any, mean: float, scale: float, dtype: Any = None, name: str | None = None, seed: Any = None
) -> Any:
    """A variable of normal numbers."""
    return variable(np.random.default_rng(seed).normal(mean, scale, _plain(shape)), dtype, name)


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

# ---- values


def eval(x: Any) -> Any:  # Keras's name
    """The value, an array."""
    return get_value(x)


def get_value(x: Any) -> Any:
    """The value of a variable, an array."""
    held = storage_of(x)
    if isinstance(held, GraphTensor):
        return get_session().run(held)
    if isinstance(held, Tensor):
        found = np.asarray(held._host())
        return found if found.ndim else found[()]
    return x.numpy() if hasattr(x, "numpy") else x


def set_value(x: Any, value: Any) -> None:
    """Set a variable, or a setting such as ``optimizer.lr``."""
    held = storage_of(x)
    if isinstance(held, GraphTensor):
        get_session().load(held, np.asarray(value))
    elif isinstance(held, Variable):
        with world.eagerly():
            held.assign(np.asarray(value, held.dtype.numpy))
    elif hasattr(x, "assign"):
        x.assign(value)
    else:
        raise TypeError(f"{x!r} is not a variable")


def batch_get_value(tensors: Any) -> list[Any]:
    """The values of several variables."""
    return [get_value(t) for t in tensors]


def batch_set_value(tuples: Any) -> None:
    """Set several variables."""
    for x, value in tuples:
        set_value(x, value)


def update(x: Any, new_x: Any) -> Any:
    """Assign."""
    return tf.assign(x, new_x) if isinstance(x, GraphTensor) else x.assign(new_x)


def update_add(x: Any, increment: Any) -> Any:
    """Add in place."""
    return x.assign_add(increment)


def update_sub(x: Any, decrement: Any) -> Any:
    """Subtract in place."""
    return x.assign_sub(decrement)


def moving_average_update(x: Any, value: Any, momentum: float) -> Any:
    """Move a variable towards a value."""
    return x.assign(x * momentum + value * (1.0 - momentum))


class _Function:
    """Symbolic inputs to values of symbolic outputs."""

    def __init__(self, inputs: Any, outputs: Any, updates: Any) -> None:
        self.inputs = [inputs] if isinstance(inputs, GraphTensor) else [i for i in inputs]
        self.outputs, self.updates = outputs, list(updates or ())
        wanted = tree.leaves(outputs)
        self._symbolic = isinstance(wanted[0], GraphTensor) and isinstance(
            world.home_of(wanted[0].graph), world.KerasGraph
        )
        if self._symbolic:
            self._plan = Plan("function", [i for i in self.inputs if isinstance(i, GraphTensor)], wanted)

    def __call__(self, *inputs: Any) -> Any:
        """Arrays for arrays."""
        given = inputs[0] if len(inputs) == 1 and isinstance(inputs[0], (list, tuple)) else list(inputs)
        if self._symbolic:
            return self._run(given)
        feeds = {i: v for i, v in zip(self.inputs, given, strict=True) if isinstance(i, GraphTensor)}
        listed = self.outputs if isinstance(self.outputs, (list, tuple)) else [self.outputs]
        wanted = [present(o) for o in listed]
        before = [u for u in self.updates if not isinstance(u, tuple)]
        before += [update(*u) for u in self.updates if isinstance(u, tuple)]
        self.updates = before
        found = get_session().run([*wanted, *before], feeds)[: len(wanted)]
        return list(found) if isinstance(self.outputs, (list, tuple)) else found[0]

    def _run(self, given: Any) -> Any:
        from corenn.layers.phase import _phase

        values, phase = [], None
        for symbol, value in zip(self.inputs, given, strict=True):
            if isinstance(symbol, GraphTensor):
                values.append(convert_to_tensor(np.asarray(value, symbol.dtype.numpy)))
            else:  # the learning phase
                phase = bool(np.asarray(value))
        token = _phase.set(phase)
        try:
            with world.eagerly():
                found = [np.asarray(v._host()) for v in self._plan.run(values)]
        finally:
            _phase.reset(token)
        return list(found) if isinstance(self.outputs, (list, tuple)) else found[0]


def function(inputs: Any, outputs: Any, updates: Any = None, name: str | None = None, **options: Any) -> _Function:
    """A function of arrays: the values of ``outputs`` for values of ``inputs``."""
    return _Function(inputs, outputs, updates)


def gradients(loss: Any, variables: Any) -> Any:
    """d(loss)/d(variables), in a graph of generation 1."""
    listed = variables if isinstance(variables, (list, tuple)) else [variables]
    return tf.gradients(loss, [present(v) for v in listed])


def stop_gradient(variables: Any) -> Any:
    """The same values without gradients."""
    if isinstance(variables, (list, tuple)):
        return [tf.stop_gradient(v) for v in variables]
    return tf.stop_gradient(variables)


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """``x`` in training, else ``alt``; both may be functions."""
    phase = learning_phase() if training is None else training
    if isinstance(phase, GraphTensor):
        return switch(phase, x, alt)
    chosen = x if bool(phase) else alt
    return chosen() if callable(chosen) and not isinstance(chosen, Tensor) else chosen


def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """``x`` outside of training, else ``alt``."""
    return in_train_phase(alt, x, training)


def learning_phase_scope(value: int) -> Any:
    """A block in which the learning phase is ``value``."""
    import contextlib

    @contextlib.contextmanager
    def scope() -> Any:
        before = world._world.phase
        set_learning_phase(value)
        try:
            yield
        finally:
            world._world.phase = before

    return scope()


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One of two values, elementwise where the condition has axes."""

    def value(given: Any) -> Any:
        return given() if callable(given) and not isinstance(given, Tensor) else given

    if ndim(condition):
        a, b = value(then_expression), value(else_expression)
        mask = condition
        while ndim(mask) < ndim(a):
            mask = tf.expand_dims(mask, -1)
        return tf.where(tf.logical_and(mask, tf.ones_like(a, dtype="bool")), a, b)
    return tf.cond(
        tf.cast(condition, "bool"),
        lambda: tf.identity(value(then_expression)),
        lambda: tf.identity(value(else_expression)),
    )


# ---- shapes and dtypes


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
        return tf.tensordot(x, y, [[a - 1], [max_of(b - 2, 0)]])
    return tf.matmul(x, y)


def max_of(a: int, b: int) -> int:
    """The larger of two ints."""
    return a if a > b else b


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


# ---- neural networks


def relu(x: Any, alpha: float = 0.0, max_value: Any = None, threshold: float = 0.0) -> Any:
    """Rectified linear."""
    return activations.relu(x, alpha, max_value, threshold)


def softmax(x: Any, axis: int = -1) -> Any:
    """Softmax."""
    return tf.nn.softmax(x, axis=axis)


elu, softplus, softsign = activations.elu, activations.softplus, activations.softsign
hard_sigmoid = activations.hard_sigmoid


def sigmoid(x: Any) -> Any:
    """Sigmoid."""
    return tf.nn.sigmoid(x)


def tanh(x: Any) -> Any:
    """Hyperbolic tangent."""
    return tf.nn.tanh(x)


def dropout(x: Any, level: float, noise_shape: Any = None, seed: Any = None) -> Any:
    """Elements dropped with probability ``level``, the others scaled."""
    return tf.compat.v1.nn.dropout(x, keep_prob=1.0 - level, noise_shape=noise_shape, seed=seed)


def l2_normalize(x: Any, axis: Any = None) -> Any:
    """Of length 1."""
    return tf.nn.l2_normalize(x, axis)


def categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Cross-entropy of one-hot labels."""
    return losses.categorical_crossentropy(target, output, from_logits, axis=axis)


def sparse_categorical_crossentropy(target: Any, output: Any, from_logits: bool = False, axis: int = -1) -> Any:
    """Cross-entropy of class numbers."""
    return losses.sparse_categorical_crossentropy(target, output, from_logits, axis)


def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """Cross-entropy of each element."""
    t, p = losses._pair(target, output)
    if from_logits:
        return tf.nn.sigmoid_cross_entropy_with_logits(labels=t, logits=p)
    p = tf.clip_by_value(p, epsilon(), 1.0 - epsilon())
    return -(t * tf.math.log(p + epsilon()) + (1.0 - t) * tf.math.log(1.0 - p + epsilon()))


def in_top_k(predictions: Any, targets: Any, k: int) -> Any:
    """Whether the target is among the k largest."""
    return tf.nn.in_top_k(predictions=predictions, targets=targets, k=k)


def _padding(padding: str) -> str:
    return padding.upper()


def _format(data_format: Any, rank: int) -> str:
    last = {1: "NWC", 2: "NHWC", 3: "NDHWC"}[rank]
    chosen = data_format or image_data_format()
    return last if chosen == "channels_last" else f"NC{last[1:-1]}"


def conv1d(
    x: Any, kernel: Any, strides: int = 1, padding: str = "valid", data_format: Any = None, dilation_rate: int = 1
) -> Any:
    """Convolution over steps."""
    if padding == "causal":
        x = temporal_padding(x, (dilation_rate * (int_shape(kernel)[0] - 1), 0))
        padding = "valid"
    return tf.nn.convolution(x, kernel, padding=_padding(padding), strides=[strides], dilations=[dilation_rate],
                             data_format=_format(data_format, 1))  # fmt: skip


def conv2d(
    x: Any,
    kernel: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: Any = None,
    dilation_rate: Any = (1, 1),
) -> Any:
    """Convolution over images."""
    return tf.nn.convolution(x, kernel, padding=_padding(padding), strides=list(strides), dilations=list(dilation_rate),
                             data_format=_format(data_format, 2))  # fmt: skip


def pool2d(
    x: Any,
    pool_size: Any,
    strides: Any = (1, 1),
    padding: str = "valid",
    data_format: Any = None,
    pool_mode: str = "max",
) -> Any:
    """Pooling over images."""
    return tf.nn.pool(x, list(pool_size), pool_mode.upper(), strides=list(strides), padding=_padding(padding),
                      data_format=_format(data_format, 2))  # fmt: skip


def resize_images(
    x: Any, height_factor: int, width_factor: int, data_format: Any = None, interpolation: str = "nearest"
) -> Any:
    """Images enlarged by whole factors."""
    from corenn_tensorflow.keras.layers import UpSampling2D

    return UpSampling2D((height_factor, width_factor), interpolation=interpolation)(x)


def bias_add(x: Any, bias: Any, data_format: Any = None) -> Any:
    """Plus a bias along the channels."""
    return tf.nn.bias_add(x, bias)


def batch_normalization(
    x: Any, mean: Any, var: Any, beta: Any, gamma: Any, axis: int = -1, epsilon: float = 1e-3
) -> Any:
    """Normalised by given statistics."""
    return tf.nn.batch_normalization(x, mean, var, beta, gamma, epsilon)


def rnn(
    step_function: Any, inputs: Any, initial_states: Any, go_backwards: bool = False, mask: Any = None,
    constants: Any = None, unroll: bool = False, input_length: Any = None, **ignored: Any,
) -> Any:  # fmt: skip
    """``output, states = step_function(input, states)`` over the steps: last output, outputs, last states."""
    steps = tf.unstack(inputs, axis=1)
    marks = None if mask is None else tf.unstack(mask, axis=1)
    order = range(len(steps) - 1, -1, -1) if go_backwards else range(len(steps))
    states, outputs = list(initial_states), []
    for i in order:
        out, after = step_function(steps[i], states + list(constants or ()))
        if marks is not None:
            keep = tf.expand_dims(marks[i], -1)
            before = outputs[-1] if outputs else tf.zeros_like(out)
            out = switch(tf.logical_and(keep, tf.ones_like(out, dtype="bool")), out, before)
            after = [
                switch(tf.logical_and(keep, tf.ones_like(n, dtype="bool")), n, o)
                for n, o in zip(after, states, strict=False)
            ]
        states = list(after)
        outputs.append(out)
    return outputs[-1], tf.stack(outputs, axis=1), states


def name_scope(name: str) -> Any:
    """A scope of names."""
    return tf.name_scope(name)


def print_tensor(x: Any, message: str = "") -> Any:
    """The tensor; its value is printed when it is computed."""
    return tf.Print(x, [x], message) if mode.generation() == 1 else x


def get_graph() -> Any:
    """The graph of symbolic tensors."""
    return world.symbolic_graph()


def normalize_batch_in_training(x: Any, gamma: Any, beta: Any, reduction_axes: Any, epsilon: float = 1e-3) -> Any:
    """Normalised by the batch: the result, mean and variance."""
    average, variance = tf.nn.moments(x, list(reduction_axes))
    return tf.nn.batch_normalization(x, average, variance, beta, gamma, epsilon), average, variance


__all__ = sorted(
    n
    for n, v in list(globals().items())
    if not n.startswith("_")
    and callable(v)
    and n
    not in (
        "Any",
        "Callable",
        "Plan",
        "Input",
        "Weight",
        "Tensor",
        "Variable",
        "GraphTensor",
        "PlaceholderKind",
        "guard",
        "present",
        "storage_of",
        "node_of",
        "as_dtype",
        "convert_to_tensor",
        "static_shape",
        "unique_name",
        "reset_names",
        "max_of",
    )
)
__getattr__ = guard(__name__)
