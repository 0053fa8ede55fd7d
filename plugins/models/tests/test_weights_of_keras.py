"""Files that Keras has written, loaded by corenn: the same input gives the same output.  Needs keras and h5py."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest
from corenn_models import mobile, plain, residual, weights

from corenn import layers as L
from corenn.errors import CheckpointError
from corenn.training import Model, Sequential

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
pytestmark = pytest.mark.filterwarnings("ignore")  # those of TensorFlow
pytest.importorskip("h5py", reason="reading Keras's files needs h5py")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    keras = pytest.importorskip("keras", reason="keras writes the files of this test", exc_type=ImportError)

SUFFIXES = (".h5", "_whole.h5", ".weights.h5", ".keras")


def written(model, folder, suffix):
    """The file of a Keras model, by what its name ends in."""
    path = str(folder / f"model{suffix}")
    if suffix in (".h5", ".weights.h5"):
        if suffix == ".h5":
            import h5py
            from keras.src.legacy.saving import legacy_h5_format

            with h5py.File(path, "w") as file:
                legacy_h5_format.save_weights_to_hdf5_group(file, model)
        else:
            model.save_weights(path)
    else:
        model.save(path)
    return path


def filled(model):
    """A Keras model with other numbers in all its weights, so that no zero or one hides a mistake."""
    rng = np.random.default_rng(7)
    for variable in model.weights:
        if not np.issubdtype(np.dtype(variable.dtype), np.floating):
            continue
        noise = rng.standard_normal(variable.shape).astype("float32") * 0.3
        variable.assign(np.abs(noise) + 0.5 if "variance" in variable.path else noise)
    return model


def both(shape, keras_layers, corenn_layers):
    theirs = filled(keras.Sequential([keras.Input(shape), *keras_layers]))
    return theirs, Sequential([L.Input(shape), *corenn_layers])


K = keras.layers
#: name -> shape of an example, Keras's layers, corenn's.
LAYOUTS = {
    "dense": ((5,), [K.Dense(4, activation="relu"), K.Dense(3)], [L.Dense(4, activation="relu"), L.Dense(3)]),
    "conv1d": ((9, 3), [K.Conv1D(4, 3, padding="causal")], [L.Conv1D(4, 3, padding="causal")]),
    "conv2d": ((8, 9, 3), [K.Conv2D(4, (3, 2), strides=2, padding="same")],
               [L.Conv2D(4, (3, 2), strides=2, padding="same")]),
    "conv2d groups": ((8, 8, 4), [K.Conv2D(6, 3, groups=2)], [L.Conv2D(6, 3, groups=2)]),
    "conv3d": ((5, 6, 7, 2), [K.Conv3D(3, 2)], [L.Conv3D(3, 2)]),
    "depthwise": ((8, 8, 3), [K.DepthwiseConv2D(3, depth_multiplier=2)], [L.DepthwiseConv2D(3, depth_multiplier=2)]),
    "separable": ((8, 8, 3), [K.SeparableConv2D(5, 3)], [L.SeparableConv2D(5, 3)]),
    "transposed": ((5, 5, 3), [K.Conv2DTranspose(4, 3, strides=2, padding="same")],
                   [L.Conv2DTranspose(4, 3, strides=2, padding="same")]),
    "batch norm": ((6, 6, 3), [K.BatchNormalization(), K.Conv2D(2, 1), K.BatchNormalization(scale=False)],
                   [L.BatchNormalization(), L.Conv2D(2, 1), L.BatchNormalization(scale=False)]),
    "layer norm": ((4, 6), [K.LayerNormalization(), K.Dense(2), K.LayerNormalization(center=False)],
                   [L.LayerNormalization(), L.Dense(2), L.LayerNormalization(center=False)]),
    "lstm": ((7, 3), [K.LSTM(4, return_sequences=True), K.LSTM(5)], [L.LSTM(4, return_sequences=True), L.LSTM(5)]),
    "gru": ((7, 3), [K.GRU(4, return_sequences=True), K.GRU(5, reset_after=False)],
            [L.GRU(4, return_sequences=True), L.GRU(5, reset_after=False)]),
    "rnn": ((7, 3), [K.SimpleRNN(4)], [L.SimpleRNN(4)]),
    "stacked cells": ((7, 3), [K.RNN([K.LSTMCell(4), K.GRUCell(3)])], [L.RNN([L.LSTMCell(4), L.GRUCell(3)])]),
    "bidirectional": ((7, 3), [K.Bidirectional(K.LSTM(4, return_sequences=True)), K.Bidirectional(K.GRU(3))],
                      [L.Bidirectional(L.LSTM(4, return_sequences=True)), L.Bidirectional(L.GRU(3))]),
    "time distributed": ((4, 6), [K.TimeDistributed(K.Dense(3))], [L.TimeDistributed(L.Dense(3))]),
    "inside": ((6,), [K.Dense(4), keras.Sequential([keras.Input((4,)), K.Dense(4), K.BatchNormalization(), K.Dense(4)]),
                      K.BatchNormalization(), K.Dropout(0.5), K.Dense(2)],
               [L.Dense(4), Sequential([L.Input((4,)), L.Dense(4), L.BatchNormalization(), L.Dense(4)]),
                L.BatchNormalization(), L.Dropout(0.5), L.Dense(2)]),
    "flattened": ((4, 3, 2), [K.Conv2D(5, 2), K.Flatten(), K.Dense(3)], [L.Conv2D(5, 2), L.Flatten(), L.Dense(3)]),
    "prelu": ((4, 3, 2), [K.PReLU(shared_axes=[1, 2])], [L.PReLU(shared_axes=[1, 2])]),
}  # fmt: skip


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", LAYOUTS)
def test_each_layout_computes_the_same(name, suffix, tmp_path):
    shape, theirs, ours = LAYOUTS[name]
    theirs, ours = both(shape, [type(k).from_config(k.get_config()) for k in theirs],
                        [type(layer).from_config(layer.get_config()) for layer in ours])  # fmt: skip
    x = np.random.default_rng(0).standard_normal((3, *shape)).astype("float32")
    path = written(theirs, tmp_path, suffix)
    report = weights.load(ours, path, by="order")
    assert report.complete
    assert len(report.matches) == len(ours.weights)
    np.testing.assert_allclose(ours.predict(x), np.asarray(theirs(x, training=False)), atol=1e-4)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_embedding_and_attention(suffix, tmp_path):
    ids, tokens = keras.Input((6,), dtype="int32"), L.Input((6,), dtype="int32")
    x = K.Embedding(11, 8)(ids)
    theirs = filled(keras.Model(ids, K.Dense(3)(K.MultiHeadAttention(2, 4, value_dim=3)(x, x))))
    y = L.Embedding(11, 8)(tokens)
    ours = Model(tokens, L.Dense(3)(L.MultiHeadAttention(2, 4, value_dim=3)(y, y)))
    given = np.random.default_rng(0).integers(0, 11, (4, 6)).astype("int32")
    assert weights.load(ours, written(theirs, tmp_path, suffix), by="order").complete
    np.testing.assert_allclose(ours.predict(given), np.asarray(theirs(given)), atol=1e-4)


def branched(k, model, made):
    """Two branches of different depths that are given in the order opposite to their making."""
    inputs = made((6,))
    deep = k.Dense(5, name="deep_1")(inputs)
    deep = k.Dense(5, name="deep_2")(k.Activation("relu")(deep))
    short = k.Dense(5, name="short")(inputs)
    joined = k.Add()([short, deep])
    return model(inputs, k.Dense(2, name="last")(joined))


@pytest.mark.parametrize("by", ["name", "order", None])
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_branches_stand_in_the_order_of_keras(by, suffix, tmp_path):
    theirs = filled(branched(K, keras.Model, keras.Input))
    ours = branched(L, Model, L.Input)
    x = np.random.default_rng(0).standard_normal((3, 6)).astype("float32")
    weights.load(ours, written(theirs, tmp_path, suffix), by=by)
    np.testing.assert_allclose(ours.predict(x), np.asarray(theirs(x)), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "by"), [(".h5", "name"), (".h5", "order"), (".keras", "name"), (".weights.h5", "order")]
)
def test_resnet50(suffix, by, tmp_path):
    theirs = keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3), classes=10)
    rng = np.random.default_rng(3)
    for variable in theirs.weights:
        if "moving" in variable.path or "gamma" in variable.path or "beta" in variable.path or "bias" in variable.path:
            variable.assign(np.asarray(variable) + rng.uniform(0, 0.2, variable.shape).astype("float32"))
    ours = residual.resnet50((64, 64, 3), 10)
    report = weights.load(ours, written(theirs, tmp_path, suffix), by=by)
    assert report.complete and not report.unused and len(report.matches) == 320
    x = rng.uniform(0, 1, (2, 64, 64, 3)).astype("float32")
    wanted = np.asarray(theirs(x, training=False))
    assert wanted.std() > 1e-3
    np.testing.assert_allclose(ours.predict(x), wanted, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("top", [True, False])
@pytest.mark.parametrize("name", ["MobileNetV2", "VGG16", "ResNet101"])
def test_other_networks(name, top, tmp_path):
    """As in keras.applications, from a file whose top is not always wanted."""
    theirs = getattr(keras.applications, name)(weights=None, input_shape=(64, 64, 3), classes=10)
    rng = np.random.default_rng(3)
    for variable in theirs.weights:
        if "kernel" not in variable.path:
            variable.assign(np.asarray(variable) + rng.uniform(0, 0.2, variable.shape).astype("float32"))
    path = written(theirs, tmp_path, ".h5")
    build = {"MobileNetV2": mobile.mobilenet_v2, "VGG16": plain.vgg16, "ResNet101": residual.resnet101}[name]
    x = rng.uniform(0, 1, (2, 64, 64, 3)).astype("float32")
    if not top:
        last = {"MobileNetV2": "out_relu", "VGG16": "block5_pool", "ResNet101": "conv5_block3_out"}[name]
        theirs = keras.Model(theirs.input, theirs.get_layer(last).output)
    ours = build((64, 64, 3), 10, include_top=top, weights=path)
    wanted = np.asarray(theirs(x, training=False))
    assert wanted.std() > 1e-4
    np.testing.assert_allclose(ours.predict(x), wanted, rtol=1e-4, atol=1e-4 * max(1, np.abs(wanted).max()))


@pytest.mark.parametrize("trainable", [True, False])
def test_frozen_layers_and_subclassed_models(trainable, tmp_path):
    """A subclassed model keeps its layers under its attributes; freezing changes the order of weights in Keras."""

    class Theirs(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = keras.Sequential([K.Dense(4), K.BatchNormalization(), K.Dense(4)])
            self.others = [K.Dense(4), K.LayerNormalization(), K.Dense(2)]

        def call(self, x):
            x = self.inner(x)
            for layer in self.others:
                x = layer(x)
            return x

    class Ours(Model):
        def __init__(self):
            super().__init__()
            self.inner = Sequential([L.Dense(4), L.BatchNormalization(), L.Dense(4)])
            self.others = [L.Dense(4), L.LayerNormalization(), L.Dense(2)]

        def call(self, x):
            x = self.inner(x)
            for layer in self.others:
                x = layer(x)
            return x

    theirs, ours = Theirs(), Ours()
    x = np.random.default_rng(0).standard_normal((3, 5)).astype("float32")
    theirs(x), ours(x)
    theirs.inner.trainable = trainable
    weights.load(ours, written(filled(theirs), tmp_path, ".weights.h5"))
    np.testing.assert_allclose(ours.predict(x), np.asarray(theirs(x, training=False)), atol=1e-4)


@pytest.mark.parametrize("by", ["name", "order"])
def test_keras_reads_what_corenn_writes(by, tmp_path):
    shape, theirs, ours = LAYOUTS["inside"]
    theirs, ours = both(shape, [type(k).from_config(k.get_config()) for k in theirs],
                        [type(layer).from_config(layer.get_config()) for layer in ours])  # fmt: skip
    for mine, other in zip(ours.layers, theirs.layers, strict=True):
        mine.name = other.name
    path = str(tmp_path / "from_corenn.h5")
    weights.save(ours, path)
    theirs.load_weights(path, **({"by_name": True} if by == "name" else {}))
    x = np.random.default_rng(0).standard_normal((3, *shape)).astype("float32")
    np.testing.assert_allclose(np.asarray(theirs(x, training=False)), ours.predict(x), atol=1e-4)


def test_the_error_of_another_number_of_layers(tmp_path):
    theirs, _ = both((5,), [K.Dense(4), K.Dense(3)], [])
    ours = Sequential([L.Input((5,)), L.Dense(4)])
    with pytest.raises(CheckpointError, match=r"Model expected 1 layers, found 2 saved layers\."):
        weights.load(ours, written(theirs, tmp_path, ".h5"), by="order")
