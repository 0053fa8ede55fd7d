"""The base of layers: building, calling, freezing, naming, saving; and symbolic tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import corenn
from corenn import layers as L
from corenn import metrics
from corenn.configurable import deserialize, serialize
from corenn.errors import BackendError, GradientError, ShapeError, UsageError
from corenn.layers import Input, Layer
from corenn.layers.naming import numbered, snake_case
from corenn.testing import register_doubles
from corenn.training import Model, Sequential

X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


class Block(Layer):
    """A layer with a layer, a list and a dict of layers, and a metric."""

    def __init__(self, units: int, **base: Any) -> None:
        super().__init__(**base)
        self.units = units
        self.first = L.Dense(units)
        self.more = [L.Dense(units), L.Dropout(0.5)]
        self.heads = {"a": L.Dense(1), "b": L.Dense(2)}
        self.count = metrics.Sum(name="count")

    def call(self, x: Any) -> Any:
        x = self.first(x)
        for layer in self.more:
            x = layer(x)
        self.count.update_state(corenn.tensor(1.0))
        return {name: head(x) for name, head in self.heads.items()}


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Dense", "dense"), ("Conv2DTranspose", "conv2d_transpose"), ("LSTMCell", "lstm_cell"), ("GRU", "gru"),
        ("MyHTTPLayer", "my_http_layer"), ("MaxPooling2D", "max_pooling2d"), ("_Hidden", "hidden"),
    ],
)  # fmt: skip
def test_snake_case(name: str, expected: str) -> None:
    assert snake_case(name) == expected


def test_numbered_never_repeats() -> None:
    assert numbered(["a", "a_1", "a", "b", "a"]) == ["a", "a_1", "a_2", "b", "a_3"]
    assert numbered(["a", "a", "a_1"]) == ["a", "a_2", "a_1"]


def test_automatic_names_count_up() -> None:
    L.reset_names()
    assert [L.Dense(1).name, L.Dense(1).name, L.Conv2D(1, 1).name] == ["dense", "dense_1", "conv2d"]


def test_names_of_weights_do_not_depend_on_what_was_made_before() -> None:
    models = [Sequential([Input((3,)), L.Dense(2), L.Dense(2, name="last"), Block(4)]) for _ in range(2)]
    names = models[0].weight_names()
    assert models[1].weight_names() == names
    assert names[:4] == ["dense/kernel", "dense/bias", "last/kernel", "last/bias"]
    assert names[4:] == [
        f"block/{part}/{weight}" for part in ("first", "more/0", "heads/a", "heads/b") for weight in ("kernel", "bias")
    ]


# ---------------------------------------------------------------- building


def test_layers_in_lists_and_dicts_are_found() -> None:
    block = Block(4)
    block(X)
    assert [layer.name for layer in block.sublayers()] == [
        block.first.name, *(m.name for m in block.more), *(h.name for h in block.heads.values())
    ]  # fmt: skip
    assert len(block.weights) == 8
    assert [id(v) for v in block.variables] == [id(v) for v in block.weights]
    assert block.count_params() == 3 * 4 + 4 + 4 * 4 + 4 + 4 + 1 + 8 + 2


def test_a_shared_layer_counts_once() -> None:
    shared = L.Dense(3)
    model = Sequential([shared, L.ReLU(), shared])
    model(X)
    assert len(model.weights) == 2


def test_built_once_for_the_first_inputs() -> None:
    layer = L.Dense(2)
    assert "not built" in repr(layer)
    layer(X)
    assert repr(layer) == f"<Dense {layer.name!r}>"
    assert layer.input_specs[0].shape == (4, 3)
    kernel = layer.kernel
    layer(X[:2])
    assert layer.kernel is kernel
    with pytest.raises(ShapeError, match=r"built for inputs of 3 features(.|\n)*last axis is 2"):
        layer(X[:, :2])


def test_a_failed_build_leaves_nothing_behind() -> None:
    class Odd(Layer):
        def build(self, x: Any) -> None:
            self.add_weight("w", (2,))
            if x.static[-1] != 3:
                raise ShapeError(self.name, "needs 3 features")

        def call(self, x: Any) -> Any:
            return x

    layer = Odd()
    with pytest.raises(ShapeError):
        layer(X[:, :2])
    assert layer.weights == []
    assert not layer.built
    layer(X)
    assert len(layer.weights) == 1


def test_initial_values_are_made_once_under_a_tape_and_are_trainable() -> None:
    layer = L.Dense(1)
    with corenn.GradientTape() as tape:
        loss = corenn.sum(layer(X))
    gradients = tape.gradient(loss, layer.weights)
    np.testing.assert_allclose(gradients[0].numpy()[:, 0], X.sum(0), rtol=1e-6)


def test_same_seed_same_weights_however_the_layer_is_built() -> None:
    def weights(build: Any) -> list[Any]:
        corenn.random.seed(5)
        layer = L.Bidirectional(L.GRU(3))
        build(layer)
        return layer.get_weights()

    x = np.zeros((2, 5, 3), np.float32)
    real = weights(lambda layer: layer(x))
    symbolic = weights(lambda layer: layer(Input((5, 3))))
    for a, b in zip(real, symbolic, strict=True):
        np.testing.assert_array_equal(a, b)


def test_compute_output_spec_computes_nothing() -> None:
    spec = L.Conv2D(3, 3, strides=2).compute_output_spec(corenn.Spec((2, 9, 9, 1), corenn.float32))
    assert spec.shape == (2, 4, 4, 3)


def test_forgetting_super_init_is_explained() -> None:
    class Bare(Layer):
        def __init__(self) -> None:
            self.x = 1

        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(UsageError, match=r"super\(\).__init__\(\)"):
        Bare()(X)


def test_missing_call_and_missing_attribute() -> None:
    with pytest.raises(UsageError, match="does not define call"):
        Layer()(X)
    with pytest.raises(AttributeError, match="'Dense' object has no attribute 'kernels'"):
        L.Dense(2).kernels


def test_errors_name_the_innermost_layer() -> None:
    model = Sequential([L.Dense(2), L.Dense(2, name="inner")])
    model(X)
    model.get_layer("inner").kernel = corenn.Variable(np.zeros((5, 2), np.float32))
    with pytest.raises(ShapeError) as caught:
        model(X)
    assert caught.value.layer == "inner"


# ---------------------------------------------------------------- inputs


def test_floating_inputs_are_cast_to_the_layers_precision_and_integers_are_not() -> None:
    assert L.Dense(2)(X.astype(np.float64)).dtype is corenn.float32
    assert L.Dense(2, dtype="float64")(X).dtype is corenn.float64
    assert L.Identity()(np.arange(3)).dtype is corenn.int64


def test_nested_lists_of_numbers_are_one_array() -> None:
    layer = L.Dense(2)
    np.testing.assert_array_equal(layer(X.tolist()).numpy(), layer(X).numpy())


def test_several_tensors_are_refused_by_layers_of_one() -> None:
    for layer in (L.Dense(2), L.Conv2D(2, 2), L.LSTM(2)):
        with pytest.raises(UsageError, match=r"takes one tensor, not a list of them(.|\n)*Concatenate"):
            layer([X, X])


def test_inputs_by_name() -> None:
    layer = L.Dense(2)
    np.testing.assert_array_equal(layer(x=X).numpy(), layer(X).numpy())
    q = np.ones((1, 2, 3), np.float32)
    attend = L.MultiHeadAttention(1, 2)
    np.testing.assert_array_equal(attend(query=q, value=q, key=q).numpy(), attend(q, q).numpy())


def test_inputs_on_another_device_are_refused() -> None:
    register_doubles()
    layer = L.Dense(2, name="here")
    layer(X)
    with pytest.raises(BackendError, match=r"different devices(.|\n)*on simulated:1(.|\n)*in layer 'here'") as caught:
        layer(corenn.tensor(X, device="simulated:1"))
    assert caught.value.layer == "here"


# ---------------------------------------------------------------- training and freezing


class Phase(Layer):
    """Remembers what it was told."""

    def call(self, x: Any, training: bool = False) -> Any:
        self.told = training
        return x


class Outer(Layer):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Phase()

    def call(self, x: Any) -> Any:
        return self.inner(x)


def test_training_reaches_layers_inside_that_are_not_told() -> None:
    outer = Outer()
    for training in (True, False):
        outer(X, training=training)
        assert outer.inner.told is training
    outer(X)
    assert outer.inner.told is False
    model = Sequential([outer])
    model(X, training=True)
    assert outer.inner.told is True


def test_what_a_layer_is_told_wins() -> None:
    class Fixed(Outer):
        def call(self, x: Any) -> Any:
            return self.inner(x, training=False)

    fixed = Fixed()
    fixed(X, training=True)
    assert fixed.inner.told is False


def test_freezing_reaches_inside_and_back() -> None:
    block = Block(4)
    block(X)
    block.trainable = False
    assert block.trainable_weights == []
    assert len(block.non_trainable_weights) == 8
    assert not block.first.trainable
    with corenn.GradientTape() as tape:
        block(X)
    assert tape.watched_variables() == ()
    block.trainable = True
    assert len(block.trainable_weights) == 8


def test_a_layer_frozen_before_it_is_built_stays_frozen() -> None:
    inner = L.BatchNormalization()
    model = Sequential([L.Dense(2), inner], trainable=False)
    model(X, training=True)
    assert model.trainable_weights == []
    assert not inner.trainable
    assert (inner.moving_mean.numpy() == 0).all()


def test_frozen_batch_normalization_uses_and_keeps_its_statistics() -> None:
    layer = L.BatchNormalization()
    layer(X, training=True)
    before = layer.get_weights()
    layer.trainable = False
    np.testing.assert_array_equal(layer(X, training=True).numpy(), layer(X).numpy())
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_statistics_are_never_trained() -> None:
    layer = L.BatchNormalization()
    layer(X)
    layer.trainable = False
    layer.trainable = True
    assert [v.name.split("/")[1] for v in layer.trainable_weights] == ["gamma", "beta"]


# ---------------------------------------------------------------- losses


def test_penalties_of_trained_weights_and_added_losses() -> None:
    model = Sequential([L.Dense(2, kernel_regularizer="l2"), L.ActivityRegularization(l2=0.5)])
    out = model(X).numpy()
    kernel = model.layers[0].kernel.numpy()
    assert [float(v) for v in model.losses] == pytest.approx([0.01 * (kernel**2).sum(), 0.5 * (out**2).sum()], rel=1e-5)
    for _ in range(3):
        model(X)
    assert len(model.losses) == 2, "a new call starts anew"
    model.layers[0].trainable = False
    assert len(model.losses) == 1
    model.clear_losses()
    assert model.losses == []


def test_looking_at_shapes_adds_no_loss() -> None:
    layer = L.ActivityRegularization(l1=1.0)
    layer(Input((3,)))
    assert layer.losses == []


# ---------------------------------------------------------------- weights as arrays


def test_set_weights_changes_all_or_nothing() -> None:
    layer = L.Dense(2)
    with pytest.raises(UsageError, match=r"2 arrays given for 0 weights(.|\n)*call it on data"):
        layer.set_weights([np.zeros((3, 2)), np.zeros(2)])
    layer(X)
    before = layer.get_weights()
    with pytest.raises(UsageError, match="1 arrays given for 2 weights"):
        layer.set_weights([np.zeros((3, 2))])
    with pytest.raises(ShapeError, match=r"bias' does not fit(.|\n)*float32\[3\]"):
        layer.set_weights([np.zeros((3, 2)), np.zeros(3)])
    for a, b in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    layer.get_weights()[0][:] = 9  # a copy
    np.testing.assert_array_equal(layer.kernel.numpy(), before[0])


# ---------------------------------------------------------------- symbolic tensors


def test_symbolic_tensors_say_what_they_are() -> None:
    x = Input((3,), name="x")
    assert repr(x) == "<symbolic 'x' float32[batch, 3]>"
    assert x.shape == (None, 3)
    for act in (x.numpy, lambda: np.asarray(x), lambda: float(x[:, 0])):
        with pytest.raises(UsageError, match="symbolic and has no values"):
            act()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x + 1, lambda x: 2 - x, lambda x: x * x, lambda x: x[:, 1:], lambda x: x[..., None],
        lambda x: corenn.concatenate([x, x], axis=-1), lambda x: corenn.exp(x), lambda x: corenn.mean(x, axis=-1),
        lambda x: x @ np.ones((3, 2), np.float32), lambda x: corenn.reshape(x, shape=(-1, 3, 1)),
        lambda x: corenn.where(x > 0, x, 0.0), lambda x: corenn.nn.softmax(x), lambda x: corenn.split(x, 3, axis=-1)[1],
        lambda x: corenn.stack([x, x], axis=1), lambda x: x.sum(axis=-1, keepdims=True), lambda x: x.cast("float64"),
    ],
)  # fmt: skip
def test_ops_and_operators_take_symbolic_tensors(function: Any) -> None:
    symbol = Input((3,))
    out = function(symbol)
    real = function(corenn.tensor(X))
    assert (out.shape[1:], out.dtype) == (real.shape[1:], real.dtype)
    np.testing.assert_array_equal(Model(symbol, out)(X).numpy(), real.numpy())


def test_values_are_refused_while_only_shapes_are_known() -> None:
    class Peeks(Layer):
        def call(self, x: Any) -> Any:
            return x * float(x[0, 0])

    with pytest.raises(UsageError, match=r"looked at for its shapes(.|\n)*calling it on data"):
        Peeks()(Input((3,)))


class Slope(Layer):
    """The gradient of ``sum(tanh(x @ w) ** 2)`` with respect to its input."""

    def build(self, spec: Any) -> None:
        self.w = self.add_weight("w", (3, 3), "glorot_uniform")

    def call(self, x: Any) -> Any:
        with corenn.GradientTape() as tape:
            tape.watch(x)
            y = corenn.sum(corenn.tanh(x @ self.w) ** 2)
        return tape.gradient(y, x)


def test_a_layer_may_take_gradients_in_its_call() -> None:
    x = Input((3,))
    layer = Slope()
    model = Model(x, layer(x))
    w = layer.w.numpy()
    y = np.tanh(X @ w)
    np.testing.assert_allclose(model(X).numpy(), (2 * y * (1 - y**2)) @ w.T, rtol=1e-5, atol=1e-6)
    model.compile(optimizer="sgd", loss="mse")
    first, *_, last = model.fit(X, 2 * X, epochs=5, verbose=0).history["loss"]
    assert last < first


def test_gradients_of_integers_are_refused_while_only_shapes_are_known() -> None:
    class Counts(Layer):
        def call(self, x: Any) -> Any:
            with corenn.GradientTape() as tape:
                y = corenn.argmax(x, axis=-1)
            return tape.gradient(y, x)

    with pytest.raises(GradientError, match="only floating values"):
        Counts()(Input((3,)))


def test_an_output_without_a_batch_axis_is_refused() -> None:
    x = Input((3,))
    total = corenn.sum(x)
    assert total.shape == ()
    with pytest.raises(ShapeError, match="batch axis"):
        Model(x, total)


# ---------------------------------------------------------------- registry


def test_layers_of_ones_own_are_saved_when_registered() -> None:
    @L.register("test_scaled")
    class ScaledForTest(Layer):
        def __init__(self, factor: float, **base: Any) -> None:
            super().__init__(**base)
            self.factor = factor

        def call(self, x: Any) -> Any:
            return x * self.factor

    model = deserialize(serialize(Sequential([ScaledForTest(3.0)])))
    np.testing.assert_allclose(model(X).numpy(), 3 * X)
    assert isinstance(L.get({"class_name": "test_scaled", "config": {"factor": 2.0}}), ScaledForTest)


def test_unregistered_functions_cannot_be_saved() -> None:
    with pytest.raises(UsageError, match="no name that another process could find"):
        L.Lambda(lambda x: x).get_config()
    with pytest.raises(UsageError, match="Dense: needs units"):
        L.get("dense")


class Between(Layer):
    """Options stand between the inputs."""

    def call(self, x: Any, y: Any, training: bool, factor: Any, mask: Any) -> Any:
        assert mask is None
        return (x - y) * factor * (2 if training else 1)


@pytest.mark.parametrize(
    ("inputs", "options", "expected"),
    [
        ((3.0, 1.0, 5.0), {"training": True}, 20),
        ((3.0, 1.0), {"training": False, "factor": corenn.tensor(5.0)}, 10),
        ((3.0,), {"training": True, "y": corenn.tensor(1.0), "factor": corenn.tensor(2.0)}, 8),
    ],
)
def test_options_may_stand_between_the_inputs(inputs: Any, options: Any, expected: float) -> None:
    assert float(Between()(*map(corenn.tensor, inputs), **options, mask=None)) == expected


def test_freezing_and_thawing_again_keeps_what_steps_were_made_for() -> None:
    model = Sequential([L.Dense(2), L.Dense(1)])
    model(X)
    collected = model._parts()
    model.layers[0].trainable = False
    model.layers[0].trainable = True
    assert model._parts() is collected
    model.layers[0].trainable = False
    assert model._parts() is not collected and len(model._parts().trainable) == 2
