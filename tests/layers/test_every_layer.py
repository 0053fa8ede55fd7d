"""What holds for all layers: one table of constructors and inputs, and the properties checked on each row."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import corenn
from corenn import layers as L
from corenn import tree
from corenn.configurable import deserialize, serialize
from corenn.errors import ShapeError
from corenn.graph import TensorSpec
from corenn.layers import Input
from corenn.layers.base import _REGISTRY, Layer
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import forward
from corenn.training import Functional

SEQUENCE, IMAGE, VOLUME = (6, 4), (8, 7, 4), (4, 5, 6, 2)

# name: (how to make the layer, shapes of its inputs without the batch)
CASES: dict[str, tuple[Callable[[], Layer], list[tuple[int, ...]]]] = {
    "Dense": (lambda: L.Dense(3, activation="relu", kernel_regularizer="l2", bias_constraint="non_neg"), [(5,)]),
    "Dense without bias": (lambda: L.Dense(3, use_bias=False), [SEQUENCE]),
    "Embedding": (lambda: L.Embedding(9, 3, mask_zero=True), [(5,)]),
    "Activation": (lambda: L.Activation("gelu"), [(5,)]),
    "Identity": (lambda: L.Identity(), [IMAGE]),
    "ReLU": (lambda: L.ReLU(max_value=0.5, negative_slope=0.1), [(5,)]),
    "LeakyReLU": (lambda: L.LeakyReLU(0.2), [(5,)]),
    "ELU": (lambda: L.ELU(0.5), [(5,)]),
    "GELU": (lambda: L.GELU(approximate=True), [(5,)]),
    "PReLU": (lambda: L.PReLU("he_normal", shared_axes=[1, 2]), [IMAGE]),
    "Softmax": (lambda: L.Softmax(axis=1), [SEQUENCE]),
    "LogSoftmax": (lambda: L.LogSoftmax(), [SEQUENCE]),
    "Dropout": (lambda: L.Dropout(0.5, noise_shape=(None, 1, None), seed=3), [SEQUENCE]),
    "SpatialDropout1D": (lambda: L.SpatialDropout1D(0.5), [SEQUENCE]),
    "SpatialDropout2D": (lambda: L.SpatialDropout2D(0.5), [IMAGE]),
    "SpatialDropout3D": (lambda: L.SpatialDropout3D(0.5), [VOLUME]),
    "GaussianDropout": (lambda: L.GaussianDropout(0.3), [(5,)]),
    "GaussianNoise": (lambda: L.GaussianNoise(0.3, seed=1), [(5,)]),
    "ActivityRegularization": (lambda: L.ActivityRegularization(0.1, 0.2), [(5,)]),
    "Add": (lambda: L.Add(), [(5,), (5,), (5,)]),
    "Subtract": (lambda: L.Subtract(), [(5,), (5,)]),
    "Multiply": (lambda: L.Multiply(), [(5,), (5,)]),
    "Average": (lambda: L.Average(), [(5,), (5,)]),
    "Maximum": (lambda: L.Maximum(), [(5,), (1,)]),
    "Minimum": (lambda: L.Minimum(), [(5,), (5,)]),
    "Concatenate": (lambda: L.Concatenate(axis=1), [SEQUENCE, (2, 4)]),
    "Dot": (lambda: L.Dot(axes=(2, 1), normalize=True), [SEQUENCE, (4, 3)]),
    "Flatten": (lambda: L.Flatten(), [IMAGE]),
    "Reshape": (lambda: L.Reshape((2, -1)), [SEQUENCE]),
    "Permute": (lambda: L.Permute((2, 1)), [SEQUENCE]),
    "RepeatVector": (lambda: L.RepeatVector(3), [(5,)]),
    "ZeroPadding1D": (lambda: L.ZeroPadding1D((1, 2)), [SEQUENCE]),
    "ZeroPadding2D": (lambda: L.ZeroPadding2D(((1, 0), (2, 3))), [IMAGE]),
    "ZeroPadding3D": (lambda: L.ZeroPadding3D(2), [VOLUME]),
    "Cropping1D": (lambda: L.Cropping1D(1), [SEQUENCE]),
    "Cropping2D": (lambda: L.Cropping2D(((1, 0), (2, 3))), [IMAGE]),
    "Cropping3D": (lambda: L.Cropping3D((1, 2, 1)), [VOLUME]),
    "UpSampling1D": (lambda: L.UpSampling1D(3), [SEQUENCE]),
    "UpSampling2D": (lambda: L.UpSampling2D((2, 3)), [IMAGE]),
    "UpSampling2D bilinear": (lambda: L.UpSampling2D(2, interpolation="bilinear"), [IMAGE]),
    "UpSampling3D": (lambda: L.UpSampling3D((1, 2, 3)), [VOLUME]),
    "Conv1D": (lambda: L.Conv1D(6, 3, padding="same", dilation_rate=2, groups=2), [SEQUENCE]),
    "Conv2D": (lambda: L.Conv2D(3, (3, 2), strides=2, padding="same", activation="tanh"), [IMAGE]),
    "Conv2D channels first": (lambda: L.Conv2D(3, 2, data_format="channels_first"), [IMAGE]),
    "Conv3D": (lambda: L.Conv3D(3, 2, strides=(1, 2, 1)), [VOLUME]),
    "Conv1DTranspose": (lambda: L.Conv1DTranspose(3, 3, strides=2), [SEQUENCE]),
    "Conv2DTranspose": (lambda: L.Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=1), [IMAGE]),
    "Conv3DTranspose": (lambda: L.Conv3DTranspose(2, 2, strides=2), [VOLUME]),
    "DepthwiseConv1D": (lambda: L.DepthwiseConv1D(3, depth_multiplier=2), [SEQUENCE]),
    "DepthwiseConv2D": (lambda: L.DepthwiseConv2D(3, padding="same", depthwise_regularizer="l1"), [IMAGE]),
    "SeparableConv1D": (lambda: L.SeparableConv1D(5, 3), [SEQUENCE]),
    "SeparableConv2D": (lambda: L.SeparableConv2D(5, 3, depth_multiplier=2, strides=2), [IMAGE]),
    "MaxPooling1D": (lambda: L.MaxPooling1D(3, strides=2), [SEQUENCE]),
    "MaxPooling2D": (lambda: L.MaxPooling2D((2, 3), padding="same"), [IMAGE]),
    "MaxPooling3D": (lambda: L.MaxPooling3D(), [VOLUME]),
    "AveragePooling1D": (lambda: L.AveragePooling1D(2, data_format="channels_first"), [SEQUENCE]),
    "AveragePooling2D": (lambda: L.AveragePooling2D(3, strides=1, padding="same"), [IMAGE]),
    "AveragePooling3D": (lambda: L.AveragePooling3D(2), [VOLUME]),
    "GlobalMaxPooling1D": (lambda: L.GlobalMaxPooling1D(), [SEQUENCE]),
    "GlobalMaxPooling2D": (lambda: L.GlobalMaxPooling2D(keepdims=True), [IMAGE]),
    "GlobalMaxPooling3D": (lambda: L.GlobalMaxPooling3D(), [VOLUME]),
    "GlobalAveragePooling1D": (lambda: L.GlobalAveragePooling1D(), [SEQUENCE]),
    "GlobalAveragePooling2D": (lambda: L.GlobalAveragePooling2D(data_format="channels_first"), [IMAGE]),
    "GlobalAveragePooling3D": (lambda: L.GlobalAveragePooling3D(), [VOLUME]),
    "BatchNormalization": (lambda: L.BatchNormalization(axis=1, momentum=0.9, scale=False), [IMAGE]),
    "LayerNormalization": (lambda: L.LayerNormalization(axis=[1, 2], epsilon=1e-5), [SEQUENCE]),
    "GroupNormalization": (lambda: L.GroupNormalization(2), [IMAGE]),
    "GroupNormalization of one channel": (lambda: L.GroupNormalization(-1), [IMAGE]),
    "RMSNormalization": (lambda: L.RMSNormalization(), [(5,)]),
    "UnitNormalization": (lambda: L.UnitNormalization(), [(5,)]),
    "SimpleRNN": (lambda: L.SimpleRNN(3, activation="relu", return_sequences=True), [SEQUENCE]),
    "SimpleRNN step by step": (lambda: L.SimpleRNN(3, activation="softsign", go_backwards=True), [SEQUENCE]),
    "LSTM": (lambda: L.LSTM(3, return_state=True, dropout=0.2, recurrent_regularizer="l2"), [SEQUENCE]),
    "LSTM step by step": (lambda: L.LSTM(3, recurrent_activation="hard_sigmoid"), [SEQUENCE]),
    "GRU": (lambda: L.GRU(3, return_sequences=True, return_state=True, go_backwards=True), [SEQUENCE]),
    "GRU reset before": (lambda: L.GRU(3, reset_after=False, stateful=True), [SEQUENCE]),
    "RNN": (lambda: L.RNN(L.LSTMCell(3, unit_forget_bias=False), return_sequences=True), [SEQUENCE]),
    "RNN stacked": (lambda: L.RNN([L.GRUCell(3), L.SimpleRNNCell(2)], return_state=True), [SEQUENCE]),
    "Bidirectional": (lambda: L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode="ave"), [SEQUENCE]),
    "TimeDistributed": (lambda: L.TimeDistributed(L.Conv1D(2, 2)), [(3, 6, 4)]),
    "MultiHeadAttention": (lambda: L.MultiHeadAttention(2, 3, value_dim=4, dropout=0.1), [SEQUENCE, (5, 4)]),
    "Masking": (lambda: L.Masking(0.5), [SEQUENCE]),
    "Rescaling": (lambda: L.Rescaling(1 / 255, offset=-1.0), [IMAGE]),
    "Resizing": (lambda: L.Resizing(5, 6, interpolation="bicubic", antialias=True), [IMAGE]),
    "Resizing cropped": (lambda: L.Resizing(4, 4, crop_to_aspect_ratio=True), [IMAGE]),
    "CenterCrop": (lambda: L.CenterCrop(5, 4), [IMAGE]),
    "RandomCrop": (lambda: L.RandomCrop(5, 4, seed=1), [IMAGE]),
    "RandomFlip": (lambda: L.RandomFlip("vertical"), [IMAGE]),
    "RandomRotation": (lambda: L.RandomRotation((-0.1, 0.2), fill_mode="constant", fill_value=0.5), [IMAGE]),
    "RandomTranslation": (lambda: L.RandomTranslation(0.2, (0.0, 0.1), interpolation="nearest"), [IMAGE]),
    "RandomZoom": (lambda: L.RandomZoom(0.2, (-0.1, 0.3), fill_mode="nearest", seed=2), [IMAGE]),
    "RandomBrightness": (lambda: L.RandomBrightness(0.2, value_range=(-3, 3)), [IMAGE]),
    "RandomContrast": (lambda: L.RandomContrast((0.2, 0.4), seed=3), [IMAGE]),
    "Normalization": (lambda: L.Normalization(mean=[1.0, 2, 3, 4], variance=[4.0, 1, 1, 1]), [SEQUENCE]),
    "Normalization inverted": (lambda: L.Normalization(axis=None, mean=1.0, variance=4.0, invert=True), [SEQUENCE]),
}
# Not functions of tensors alone, or nothing to put in a file: tested where they are used.
ELSEWHERE = {"Lambda", "SimpleRNNCell", "LSTMCell", "GRUCell", "StackedRNNCells"}
MERGING = (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum, L.Concatenate, L.Dot)

every = pytest.mark.parametrize("case", CASES)


def make(case: str) -> tuple[Layer, list[Any]]:
    """The layer of a row, and a batch for it."""
    layer = CASES[case][0]()
    rng = np.random.default_rng(0)
    if isinstance(layer, L.Embedding):
        return layer, [rng.integers(0, 9, (3, 5)).astype(np.int32)]
    return layer, [rng.normal(size=(3, *shape)).astype(np.float32) for shape in CASES[case][1]]


def apply(layer: Layer, inputs: list[Any], **options: Any) -> Any:
    return layer(inputs, **options) if isinstance(layer, MERGING) else layer(*inputs, **options)


def arrays(structure: Any) -> list[np.ndarray[Any, Any]]:
    return [t.numpy() for t in tree.leaves(structure)]


def test_the_table_has_every_registered_layer() -> None:
    registered = {cls.__name__ for cls in _REGISTRY._found.values() if cls.__module__.startswith("corenn.")}
    assert registered - ELSEWHERE == {type(make(case)[0]).__name__ for case in CASES}


def test_every_layer_is_public() -> None:
    registered = {cls.__name__ for cls in _REGISTRY._found.values() if cls.__module__.startswith("corenn.")}
    assert registered <= set(L.__all__)
    assert all(hasattr(L, name) for name in L.__all__)


@every
def test_layer_made_from_its_config_computes_the_same(case: str) -> None:
    layer, inputs = make(case)
    first = arrays(apply(layer, inputs))
    written = json.loads(json.dumps(serialize(layer)))
    again = deserialize(written)
    assert type(again) is type(layer)
    assert serialize(again) == written
    apply(again, inputs)
    if isinstance(layer, L.GRU) and layer.stateful:
        layer.reset_state()
    again.set_weights(layer.get_weights())
    for a, b in zip(first, arrays(apply(again, inputs)), strict=True):
        np.testing.assert_array_equal(a, b)


@every
def test_symbolic_output_has_the_spec_of_the_real_one(case: str) -> None:
    layer, inputs = make(case)
    dtype = "int32" if isinstance(layer, L.Embedding) else "float32"
    symbols = [Input(shape, dtype=dtype) for shape in CASES[case][1]]
    outputs = apply(layer, symbols)
    real = tree.leaves(apply(layer, inputs))
    assert [(s.shape[1:], s.dtype) for s in tree.leaves(outputs)] == [(t.shape[1:], t.dtype) for t in real]
    assert all(s.shape[0] is None for s in tree.leaves(outputs))
    if not (isinstance(layer, L.GRU) and layer.stateful):
        model = Functional(symbols, outputs)
        for a, b in zip(arrays(model(inputs)), arrays(apply(layer, inputs)), strict=True):
            np.testing.assert_array_equal(a, b)


@every
def test_gradients_reach_every_trainable_weight(case: str) -> None:
    layer, inputs = make(case)
    with corenn.GradientTape() as tape:
        outputs = tree.leaves(apply(layer, inputs, training=True))
        loss = sum((corenn.sum(corenn.square(t)) for t in outputs[1:]), corenn.sum(corenn.square(outputs[0])))
    weights = layer.trainable_weights
    for variable, gradient in zip(weights, tape.gradient(loss, weights), strict=True):
        assert gradient is not None, variable.name
        assert gradient.spec is variable.spec
        assert np.isfinite(gradient.numpy()).all(), variable.name


@every
def test_layer_works_in_double_precision(case: str) -> None:
    layer, inputs = make(case)
    config = {**layer.get_config(), "dtype": "float64"}
    for inner in ("layer", "backward_layer", "cell"):  # wrapped layers have a precision of their own
        if config.get(inner) is not None:
            return
    wide = type(layer).from_config(config)
    outputs = tree.leaves(apply(wide, inputs))
    assert all(t.dtype is corenn.float64 for t in outputs)
    assert all(w.dtype is corenn.float64 for w in wide.weights)


@every
def test_weights_are_named_once_and_survive_a_round_trip(case: str) -> None:
    layer, inputs = make(case)
    apply(layer, inputs)
    names = layer.weight_names()
    assert len(set(names)) == len(names) == len(layer.weights)
    values = [np.full_like(v, 0.25) for v in layer.get_weights()]
    layer.set_weights(values)
    assert all((v == 0.25).all() for v in layer.get_weights())
    assert layer.count_params() == sum(v.size for v in values)


@every
def test_a_frozen_layer_has_nothing_to_train(case: str) -> None:
    layer, inputs = make(case)
    layer.trainable = False
    apply(layer, inputs)
    assert layer.trainable_weights == []
    count = len(layer.weights)
    layer.trainable = True
    fixed = sum(len(inner._fixed) for inner in layer.walk())
    assert len(layer.trainable_weights) == count - fixed


@pytest.mark.parametrize("case", [case for case in CASES if not getattr(CASES[case][0](), "stateful", False)])
def test_one_trace_serves_batches_of_every_size(case):
    layer, inputs = make(case)
    apply(layer, inputs)

    def run(*tensors):
        watched = [t for t in tensors if t.dtype.is_floating] + layer.trainable_variables
        with corenn.GradientTape() as tape:
            tape.watch(watched)
            results = [t for t in tree.leaves(apply(layer, list(tensors))) if t.dtype.is_floating]
            loss = sum(corenn.sum(corenn.square(t)) for t in results)
        return results, tape.gradient(loss, watched)

    traced = corenn.function(run, input_signature=[TensorSpec((None, *x.shape[1:]), x.dtype.name) for x in inputs])
    for count in (3, 2):
        batch = [corenn.tensor(x[:count]) for x in inputs]
        for found, wanted in zip(arrays(traced(*batch)), arrays(run(*batch)), strict=True):
            assert_close(found, wanted, forward(corenn.float32).scaled(4))
    assert len(traced.traces) == 1


def test_a_layer_that_keeps_states_needs_to_know_the_batch():
    layer = L.LSTM(3, stateful=True)
    layer(np.ones((3, 6, 4), np.float32))
    with pytest.raises(ShapeError, match="stateful"):
        corenn.function(layer, input_signature=[TensorSpec((None, 6, 4))])(corenn.ones((3, 6, 4)))


def test_an_extent_that_weights_need_must_be_known():
    with pytest.raises(ShapeError, match="axis 1 must be known"):
        corenn.function(L.Dense(3), input_signature=[TensorSpec((2, None))])(corenn.ones((2, 4)))
