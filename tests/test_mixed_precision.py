"""Policies: what layers compute in under each, that training works in 16 bits, and what is refused."""

from __future__ import annotations

import builtins
import threading
from typing import Any

import numpy as np
import pytest

import corenn
from corenn import data, metrics, mixed_precision, optimizers
from corenn import layers as L
from corenn.configurable import deserialize, serialize
from corenn.errors import AttributeValueError, BackendError, MissingExtraError, UnofferedDTypeError
from corenn.layers import Input, Layer
from corenn.training import Model, Sequential

RNG = np.random.default_rng(0)
HALVES = [corenn.float16, corenn.bfloat16]
MIXED = {dtype: f"mixed_{dtype.name}" for dtype in HALVES}


def test_policies() -> None:
    half = mixed_precision.policy("mixed_float16")
    assert (half.compute_dtype, half.variable_dtype, half.mixed) == (corenn.float16, corenn.float32, True)
    double = mixed_precision.policy("float64")
    assert (double.compute_dtype, double.variable_dtype, double.mixed) == (corenn.float64, corenn.float64, False)
    assert mixed_precision.policy(corenn.float32) == mixed_precision.policy("float32") == mixed_precision.policy()
    assert half != double and len({half, double, mixed_precision.policy(half)}) == 2


def test_layers_take_the_policy_of_the_moment() -> None:
    with mixed_precision.policy("mixed_float16"):
        outer = L.Dense(1)
        with mixed_precision.policy("float32"):
            inner = L.Dense(1)
        assert L.Dense(1).dtype_policy.name == "mixed_float16"
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(mixed_precision.policy()))
        thread.start()
        thread.join()
    assert found[0].name == "float32"  # a block is that of its thread
    assert (outer.compute_dtype, outer.dtype, inner.compute_dtype) == (corenn.float16, corenn.float32, corenn.float32)
    mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        assert L.Dense(1).compute_dtype is corenn.bfloat16
        assert L.Dense(1, dtype="float64").compute_dtype is corenn.float64
    finally:
        mixed_precision.set_global_policy(None)
    assert L.Dense(1).compute_dtype is corenn.float32
    assert L.Dense(1, dtype="mixed_float16").compute_dtype is corenn.float16


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_configurations_keep_it(half: Any) -> None:
    with mixed_precision.policy(MIXED[half]):
        x = Input((4,))
        models = [Sequential([L.Dense(2), L.Dense(1, dtype="float32")]), Model(x, L.Dense(2)(x))]
    for model in models:
        made = deserialize(serialize(model))
        assert [layer.dtype_policy for layer in made.layers] == [layer.dtype_policy for layer in model.layers]
        assert made.layers[0].compute_dtype is half


#: Layers, their inputs, and whether results are of the compute dtype (True) or of the variables' (False).
CASES: dict[str, tuple[Any, tuple[int, ...], bool]] = {
    "dense": (lambda: L.Dense(3, "relu"), (2, 4), True),
    "dense softmax": (lambda: L.Dense(3, "softmax"), (2, 4), False),
    "activation": (lambda: L.Activation("tanh"), (2, 4), True),
    "activation softmax": (lambda: L.Activation("softmax"), (2, 4), False),
    "softmax": (lambda: L.Softmax(), (2, 4), False),
    "prelu": (lambda: L.PReLU(), (2, 4), True),
    "conv": (lambda: L.Conv2D(3, 3), (2, 6, 6, 2), True),
    "conv channels first": (lambda: L.Conv2D(3, 3, data_format="channels_first"), (2, 2, 6, 6), True),
    "conv transpose": (lambda: L.Conv2DTranspose(3, 3), (2, 6, 6, 2), True),
    "depthwise": (lambda: L.DepthwiseConv2D(3), (2, 6, 6, 2), True),
    "separable": (lambda: L.SeparableConv2D(3, 3), (2, 6, 6, 2), True),
    "pooling": (lambda: L.MaxPooling2D(2), (2, 6, 6, 2), True),
    "batch normalization": (lambda: L.BatchNormalization(), (8, 4), True),
    "layer normalization": (lambda: L.LayerNormalization(), (2, 4), True),
    "group normalization": (lambda: L.GroupNormalization(2), (2, 4), True),
    "rms normalization": (lambda: L.RMSNormalization(), (2, 4), True),
    "dropout": (lambda: L.Dropout(0.5), (2, 4), True),
    "rnn": (lambda: L.SimpleRNN(3), (2, 5, 4), True),
    "lstm": (lambda: L.LSTM(3, return_sequences=True), (2, 5, 4), True),
    "lstm step by step": (lambda: L.LSTM(3, recurrent_activation="hard_sigmoid"), (2, 5, 4), True),
    "stateful lstm": (lambda: L.LSTM(3, stateful=True), (2, 5, 4), True),
    "gru": (lambda: L.GRU(3), (2, 5, 4), True),
    "cells": (lambda: L.RNN([L.LSTMCell(3), L.GRUCell(2)]), (2, 5, 4), True),
    "bidirectional": (lambda: L.Bidirectional(L.GRU(3)), (2, 5, 4), True),
    "time distributed": (lambda: L.TimeDistributed(L.Dense(3)), (2, 5, 4), True),
    "flatten": (lambda: L.Flatten(), (2, 3, 4), True),
}


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_layers_compute_in_16_bits_with_variables_of_32(name: str, half: Any) -> None:
    make, shape, narrow = CASES[name]
    x = RNG.normal(size=shape).astype(np.float32)
    corenn.random.seed(0)
    exact = make()
    exact(x)
    with mixed_precision.policy(MIXED[half]):
        layer = make()
    layer(x)
    layer.set_weights(exact.get_weights())
    for one in (exact, layer):
        if hasattr(one, "reset_state"):
            one.reset_state()
    for training in (False, True):
        if training and name == "dropout":
            continue  # which elements are dropped is another draw
        with corenn.GradientTape() as tape:
            found = layer(x, training=training)
            loss = corenn.sum(found.astype("float32"))
        assert found.dtype is (half if narrow else corenn.float32)
        wanted = exact(x, training=training)
        tolerance = 0.04 if half is corenn.bfloat16 else 0.006
        np.testing.assert_allclose(np.asarray(found, np.float32), wanted.numpy(), rtol=tolerance, atol=tolerance)
        gradients = tape.gradient(loss, layer.trainable_weights)
        assert all(g.dtype is corenn.float32 for g in gradients)
    assert {w.dtype for w in layer.weights} <= {corenn.float32}


def test_weights_are_themselves_again_after_a_call() -> None:
    class Own(Layer):
        def build(self, x: Any) -> None:
            self.kernels = [self.add_weight(f"k{i}", (4, 4)) for i in range(2)]
            self.table = {"last": (self.add_weight("last", (4, 1)), None)}
            self.count = self.add_weight("count", (), "zeros", trainable=False)

        def call(self, x: Any) -> Any:
            seen.append({self.kernels[0].dtype, self.table["last"][0].dtype, x.dtype})
            self.count.assign_add(1.0)
            for kernel in self.kernels:
                x = x @ kernel
            return x @ self.table["last"][0]

    seen: list[Any] = []
    layer = Own(dtype="mixed_float16")
    for _ in range(2):
        assert layer(np.ones((2, 4))).dtype is corenn.float16
    assert seen == [{corenn.float16}] * 2
    assert [v.dtype for v in (*layer.kernels, layer.table["last"][0])] == [corenn.float32] * 3
    assert layer.kernels[0] is layer.weights[0] and float(layer.count) == 2.0
    with pytest.raises(corenn.CorennError):
        layer(np.ones((2, 3)))
    assert layer.kernels[0] is layer.weights[0]


# ---------------------------------------------------------------- training

X = RNG.normal(size=(160, 6)).astype(np.float32)
LABELS = (X @ RNG.normal(size=(6, 3))).argmax(-1)


def classifier(policy: str, **compiling: Any) -> Sequential:
    corenn.random.seed(0)
    with mixed_precision.policy(policy):
        model = Sequential([L.Dense(32, "relu"), L.BatchNormalization(), L.Dense(3, "softmax")])
    model.compile(**{"optimizer": optimizers.Adam(0.01), "loss": "sparse_categorical_crossentropy",
                     "metrics": ["accuracy"], **compiling})  # fmt: skip
    return model


@pytest.mark.parametrize("eager", [False, True], ids=["traced", "eager"])
@pytest.mark.parametrize("half", HALVES, ids=str)
def test_training_is_as_good(half: Any, eager: bool) -> None:
    """After 20 epochs the losses of six seeds lie between 0.05 and 0.13, those of 16 bits 0.001 at most beside them."""
    model = classifier(MIXED[half], run_eagerly=eager)
    history = model.fit(X, LABELS, epochs=20, verbose=0).history
    exact = classifier("float32").fit(X, LABELS, epochs=20, verbose=0).history
    assert history["loss"][-1] == pytest.approx(exact["loss"][-1], abs=0.005)
    assert history["accuracy"][-1] == pytest.approx(exact["accuracy"][-1], abs=0.02)
    assert {w.dtype for w in model.weights} == {corenn.float32}
    assert model.predict(X[:2]).dtype == np.float32
    scaled = half is corenn.float16
    assert (model.optimizer.loss_scale_factor is not None) == scaled
    assert model.optimizer.loss_scale >= (2.0**10 if scaled else 1.0)


@pytest.mark.parametrize("half", HALVES, ids=str)
@pytest.mark.parametrize("place", ["onednn", "simulated:1"])
def test_other_devices_train_alike(place: str, half: Any) -> None:
    """Adam shows a wrong number of the step in its bias correction, many times larger than the rounding."""
    corenn.testing.register_doubles()
    try:
        there = corenn.device(place)
    except BackendError as reason:
        pytest.skip(str(reason))
    if half not in there.backend.offered:
        pytest.skip(f"{place} has no {half}")
    weights = []
    for device in (there, corenn.device("numpy")):
        with device:
            model = classifier(MIXED[half], optimizer=optimizers.Adam(0.001))
            model.fit(X, LABELS, epochs=2, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, atol=4e-4 if half is corenn.float16 else 2e-3)


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_a_functional_model_of_many_kinds_of_layers(half: Any) -> None:
    """Embedding, attention, merging, a frozen layer and a layer of float32 in the middle: as in float32."""

    def trained(policy: str) -> Any:
        corenn.random.seed(0)
        with mixed_precision.policy(policy):
            ids = Input((6,), dtype="int32")
            x = L.Embedding(12, 8)(ids)
            y = L.LayerNormalization()(L.Add()([x, L.MultiHeadAttention(2, 4)(x, x)]))
            y = L.Dense(8, "tanh", dtype="float32")(y)
            y = L.Concatenate()([y, L.Dense(4, "relu", trainable=False)(y)])
            model = Model(ids, L.Dense(3, "softmax")(L.GlobalAveragePooling1D()(y)))
        model.compile(optimizers.SGD(0.5), "sparse_categorical_crossentropy")
        tokens = np.random.default_rng(1).integers(0, 12, (32, 6))
        history = model.fit(tokens, tokens[:, 0] % 3, epochs=5, shuffle=False, verbose=0).history["loss"]
        return model, history

    (model, found), (_, exact) = trained(MIXED[half]), trained("float32")
    dtypes = [layer.output_specs.dtype for layer in model.layers if not isinstance(layer.output_specs, tuple)]
    assert dtypes.count(half) == 7 and dtypes.count(corenn.float32) == 2, dtypes
    np.testing.assert_allclose(found, exact, rtol=2e-2 if half is corenn.bfloat16 else 2e-3)
    assert found[-1] < found[0]


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_traced_and_eager_steps_agree(half: Any) -> None:
    results = []
    for eager in (False, True):
        model = classifier(MIXED[half], run_eagerly=eager)
        model.fit(X, LABELS, epochs=3, verbose=0)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_small_gradients_survive_only_with_a_scale() -> None:
    """Gradients of about 1e-8 at the layer's output are 0 in float16."""

    def trained(auto: bool) -> Any:
        corenn.random.seed(0)
        model = Sequential([L.Dense(1, use_bias=False, dtype="mixed_float16")])
        model.compile(optimizers.SGD(1e6), lambda y, p: corenn.mean(p, axis=-1) * 1e-6, auto_scale_loss=auto)
        model.fit(X[:, :4], np.zeros((160, 1)), batch_size=160, verbose=0, shuffle=False)
        return model, model.get_weights()[0]

    corenn.random.seed(0)
    start = Sequential([L.Dense(1, use_bias=False)])
    start(X[:, :4])
    (_, lost), (model, kept) = trained(False), trained(True)
    np.testing.assert_array_equal(lost, start.get_weights()[0])
    expected = start.get_weights()[0] - X[:, :4].mean(0)[:, None]
    np.testing.assert_allclose(kept, expected, rtol=1e-2, atol=1e-3)
    assert model.optimizer.loss_scale == 2.0**15


def test_losses_and_metrics_are_computed_in_32_bits() -> None:
    """A mean square error of 300**2 is beyond float16."""
    model = Sequential([Input((2,)), L.Dense(1, use_bias=False, kernel_initializer="ones", dtype="mixed_float16")])
    model.compile("sgd", "mse", ["mae", metrics.RootMeanSquaredError()])
    found = model.evaluate(np.full((4, 2), 200.0), np.full((4, 1), 100.0))
    assert found == pytest.approx({"loss": 90000.0, "mae": 300.0, "root_mean_squared_error": 300.0}, rel=1e-6)


def test_a_loop_of_ones_own() -> None:
    model = classifier("mixed_float16")
    optimizer = optimizers.Adam(0.01, loss_scale_factor="dynamic")
    loss_function = corenn.losses.SparseCategoricalCrossentropy()

    @corenn.function
    def step(x: Any, y: Any) -> Any:
        with corenn.GradientTape() as tape:
            loss = loss_function(y, model(x, training=True))
            scaled = optimizer.scale_loss(loss)
        optimizer.apply_gradients(
            zip(tape.gradient(scaled, model.trainable_weights), model.trainable_weights, strict=True)
        )
        return loss

    model(X)
    batches = data.Dataset.from_tensor_slices((X, LABELS)).batch(32)
    losses = [float(step(x, y)) for _ in range(10) for x, y in batches]
    assert losses[-1] < 0.5 * losses[0]
    assert optimizer.iterations == 50


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("name", "text"),
    [("mixed_float8", "no policy"), ("mixed-float16", "mixed_float16"), ("int32", "floating"), (3.5, "no policy")],
)
def test_unknown_policies(name: Any, text: str) -> None:
    with pytest.raises(AttributeValueError, match=text):
        mixed_precision.policy(name)


def test_bfloat16_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name == "ml_dtypes":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(corenn.bfloat16, "_numpy", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'corenn\[bfloat16\]'"):
        mixed_precision.policy("mixed_bfloat16")
    assert mixed_precision.policy("mixed_float16").compute_dtype is corenn.float16


def test_a_device_without_the_dtype_says_so() -> None:
    pytest.importorskip("array_api_strict")
    corenn.testing.register_doubles()
    with corenn.device("strict"), pytest.raises(UnofferedDTypeError, match="has no float16"):
        L.Dense(2, dtype="mixed_float16")(np.ones((2, 3), np.float32))
