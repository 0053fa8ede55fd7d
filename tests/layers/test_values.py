"""What layers without weights compute, against formulas in NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import corenn
from corenn import layers as L
from corenn.data import Dataset
from corenn.errors import AttributeValueError, DataError, DTypeError, ShapeError, UsageError

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4, 5)).astype(np.float32)
IMAGE = RNG.normal(size=(2, 4, 6, 3)).astype(np.float32)
VECTORS = RNG.normal(size=(2, 3, 5)).astype(np.float32)  # two of [3, 5]


def softmax(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


CASES: dict[str, tuple[Callable[[], Any], Any, Callable[..., Any]]] = {
    "relu": (L.ReLU, X, lambda x: np.maximum(x, 0)),
    "relu, bounded": (lambda: L.ReLU(0.5, 0.1), X, lambda x: np.minimum(np.where(x > 0, x, 0.1 * x), 0.5)),
    "leaky relu": (L.LeakyReLU, X, lambda x: np.where(x > 0, x, 0.3 * x)),
    "elu": (lambda: L.ELU(0.5), X, lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
    "softmax": (lambda: L.Softmax(1), X, lambda x: softmax(x, 1)),
    "log softmax": (L.LogSoftmax, X, lambda x: np.log(softmax(x, -1))),
    "activation": (lambda: L.Activation("softplus"), X, lambda x: np.logaddexp(x, 0)),
    "lambda": (lambda: L.Lambda(lambda x: x * 2), X, lambda x: x * 2),
    "identity": (L.Identity, X, lambda x: x),
    "add": (L.Add, tuple(VECTORS), lambda a, b: a + b),
    "subtract": (L.Subtract, tuple(VECTORS), lambda a, b: a - b),
    "multiply": (L.Multiply, tuple(VECTORS), lambda a, b: a * b),
    "average": (L.Average, tuple(VECTORS), lambda a, b: (a + b) / 2),
    "maximum": (L.Maximum, tuple(VECTORS), np.maximum),
    "minimum": (L.Minimum, tuple(VECTORS), np.minimum),
    "concatenate": (L.Concatenate, tuple(VECTORS), lambda a, b: np.concatenate([a, b], -1)),
    "dot of vectors": (lambda: L.Dot(), tuple(VECTORS), lambda a, b: (a * b).sum(-1, keepdims=True)),
    "cosine": (lambda: L.Dot(normalize=True), tuple(VECTORS),
               lambda a, b: ((a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1))[:, None]),
    "dot of matrices": (lambda: L.Dot((1, 2)), (X, X.transpose(0, 2, 1)), lambda a, b: np.einsum("bij,bki->bjk", a, b)),
    "dot of both": (lambda: L.Dot((1, 2)), (X[:, :, 0], X.transpose(0, 2, 1)),
                    lambda a, b: np.einsum("bi,bki->bk", a, b)),
    "flatten": (L.Flatten, IMAGE, lambda x: x.reshape(2, -1)),
    "flatten vectors": (L.Flatten, X[:, 0, 0], lambda x: x[:, None]),
    "reshape": (lambda: L.Reshape((-1, 2)), X, lambda x: x.reshape(3, -1, 2)),
    "permute": (lambda: L.Permute((3, 1, 2)), IMAGE, lambda x: x.transpose(0, 3, 1, 2)),
    "repeat vector": (lambda: L.RepeatVector(4), X[:, 0], lambda x: np.repeat(x[:, None], 4, 1)),
    "zero padding": (lambda: L.ZeroPadding2D(((1, 0), (2, 3))), IMAGE,
                     lambda x: np.pad(x, ((0, 0), (1, 0), (2, 3), (0, 0)))),
    "zero padding of steps": (lambda: L.ZeroPadding1D((1, 2)), X, lambda x: np.pad(x, ((0, 0), (1, 2), (0, 0)))),
    "cropping": (lambda: L.Cropping2D((1, 2)), IMAGE, lambda x: x[:, 1:-1, 2:-2]),
    "cropping of steps": (lambda: L.Cropping1D((0, 2)), X, lambda x: x[:, :2]),
    "upsampling": (lambda: L.UpSampling2D((2, 3)), IMAGE, lambda x: x.repeat(2, 1).repeat(3, 2)),
    "upsampling of steps": (lambda: L.UpSampling1D(3), X, lambda x: x.repeat(3, 1)),
    "global max": (L.GlobalMaxPooling2D, IMAGE, lambda x: x.max((1, 2))),
    "global average": (lambda: L.GlobalAveragePooling2D(keepdims=True), IMAGE, lambda x: x.mean((1, 2), keepdims=True)),
    "global average, channels first": (lambda: L.GlobalAveragePooling2D(data_format="channels_first"), IMAGE,
                                       lambda x: x.mean((2, 3))),
    "unit length": (lambda: L.UnitNormalization(1), X, lambda x: x / np.linalg.norm(x, axis=1, keepdims=True)),
    "rescaling": (lambda: L.Rescaling(0.5, -1), X, lambda x: x * 0.5 - 1),
    "rescaling of bytes": (lambda: L.Rescaling(1 / 255), np.arange(6, dtype=np.uint8).reshape(2, 3),
                           lambda x: x / np.float32(255)),
    "given statistics": (lambda: L.Normalization(mean=1.0, variance=4.0), X, lambda x: (x - 1) / 2),
    "given statistics, inverted": (lambda: L.Normalization(mean=1.0, variance=4.0, invert=True), X,
                                   lambda x: x * 2 + 1),
    "masking": (lambda: L.Masking(1.0), np.where(X > 0, X, 1.0).astype(np.float32),
                lambda x: np.where((x == 1).all(-1, keepdims=True), 0, x)),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_values(case: str) -> None:
    make, given, formula = CASES[case]
    inputs = given if isinstance(given, tuple) else (given,)
    layer = make()
    out = layer(list(inputs)) if len(inputs) > 1 else layer(*inputs)
    expected = formula(*inputs)
    assert out.shape == expected.shape
    assert out.dtype is corenn.float32
    np.testing.assert_allclose(out.numpy(), expected, rtol=2e-5, atol=1e-6)


def test_merging_layers_take_a_list_or_several_arguments() -> None:
    a, b = VECTORS
    np.testing.assert_array_equal(L.Add()(a, b).numpy(), L.Add()([a, b]).numpy())


def test_embedding_looks_rows_up_and_masks_zero() -> None:
    layer = L.Embedding(6, 3, mask_zero=True)
    ids = np.array([[1, 0, 5], [2, 2, 0]])
    np.testing.assert_array_equal(layer(ids).numpy(), layer.embeddings.numpy()[ids])
    np.testing.assert_array_equal(layer.compute_mask(ids).numpy(), ids != 0)
    np.testing.assert_array_equal(layer(ids.astype(np.float32)).numpy(), layer(ids).numpy())
    with corenn.GradientTape() as tape:
        loss = corenn.sum(layer(ids))
    counts = np.bincount(ids.reshape(-1), minlength=6)
    np.testing.assert_array_equal(tape.gradient(loss, layer.embeddings).numpy(), np.repeat(counts[:, None], 3, 1))


def test_average_over_steps_that_count() -> None:
    mask = np.array([[1, 1, 0, 0], [1, 0, 1, 1], [0, 0, 0, 0]], bool)
    out = L.GlobalAveragePooling1D()(X, mask=mask).numpy()
    np.testing.assert_allclose(out[0], X[0, :2].mean(0), rtol=1e-6)
    np.testing.assert_allclose(out[1], X[1, [0, 2, 3]].mean(0), rtol=1e-6)
    assert (out[2] == 0).all()
    first = L.GlobalAveragePooling1D(data_format="channels_first")(X.transpose(0, 2, 1), mask=mask)
    np.testing.assert_allclose(first.numpy(), out, rtol=1e-6)


# ---------------------------------------------------------------- noise


NOISE = {
    "dropout": lambda: L.Dropout(0.4),
    "spatial": lambda: L.SpatialDropout1D(0.4),
    "gaussian dropout": lambda: L.GaussianDropout(0.4),
    "gaussian noise": lambda: L.GaussianNoise(0.4),
}


@pytest.mark.parametrize("case", NOISE)
def test_noise_only_in_training_and_from_the_seed(case: str) -> None:
    layer = NOISE[case]()
    x = np.ones((50, 20, 30), np.float32)
    np.testing.assert_array_equal(layer(x).numpy(), x)
    corenn.random.seed(3)
    first, second = (layer(x, training=True).numpy() for _ in range(2))
    assert (first != second).any()
    corenn.random.seed(3)
    np.testing.assert_array_equal(layer(x, training=True).numpy(), first)
    assert abs(first.mean() - 1) < 0.05
    spread = {"gaussian dropout": 0.4 / 0.6, "gaussian noise": 0.16}.get(case, 0.4 / 0.6)
    assert first.var() == pytest.approx(spread, rel=0.1)


def test_dropout_scales_what_it_keeps() -> None:
    out = L.Dropout(0.25)(np.ones((100, 100), np.float32), training=True).numpy()
    assert set(np.unique(out)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (out == 0).mean() == pytest.approx(0.25, abs=0.02)


def test_spatial_dropout_drops_whole_channels() -> None:
    out = L.SpatialDropout2D(0.5)(np.ones((8, 3, 4, 16), np.float32), training=True).numpy()
    assert ((out == out[:, :1, :1]).all(axis=(1, 2))).all()
    assert len(np.unique(out)) == 2


def test_a_seed_of_its_own_gives_a_layer_a_sequence_of_its_own() -> None:
    x = np.ones((4, 100), np.float32)
    a, b = L.Dropout(0.5, seed=7), L.Dropout(0.5, seed=7)
    for _ in range(2):
        np.testing.assert_array_equal(a(x, training=True).numpy(), b(x, training=True).numpy())


# ---------------------------------------------------------------- adapting


@pytest.mark.parametrize("axis", [-1, None, (1, 2)], ids=str)
def test_normalization_learns_mean_and_variance(axis: Any) -> None:
    data = RNG.normal(3.0, 2.0, size=(40, 4, 5))
    kept = () if axis is None else (2,) if axis == -1 else axis
    others = tuple(a for a in range(3) if a not in kept)
    expected = (data - data.mean(others, keepdims=True)) / data.std(others, keepdims=True)
    whole, batched, pairs = (L.Normalization(axis) for _ in range(3))
    whole.adapt(data)
    batched.adapt(Dataset.from_tensor_slices(data).batch(7))
    pairs.adapt((data[i : i + 10], np.zeros(10)) for i in range(0, 40, 10))
    for layer in (whole, batched, pairs):
        np.testing.assert_allclose(layer(data).numpy(), expected, rtol=1e-4, atol=1e-5)
        assert layer.trainable_weights == []
    back = L.Normalization(axis, invert=True)
    back.adapt(data)
    np.testing.assert_allclose(back(whole(data)).numpy(), data, rtol=1e-4, atol=1e-4)


def test_statistics_are_saved_with_the_weights() -> None:
    layer, other = L.Normalization(), L.Normalization()
    layer.adapt(X)
    L.Input((4, 5))
    other(L.Input((4, 5)))
    with pytest.raises(UsageError, match=r"not known yet(.|\n)*adapt\(data\)"):
        other(X)
    other.set_weights(layer.get_weights())
    np.testing.assert_array_equal(other(X).numpy(), layer(X).numpy())


# ---------------------------------------------------------------- mistakes

ERRORS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "units": (lambda: L.Dense(0), AttributeValueError, "units must be a positive int"),
    "units float": (lambda: L.Dense(2.5), AttributeValueError, "units must be a positive int, not 2.5"),
    "activation": (lambda: L.Dense(2, "rulu"), UsageError, "did you mean 'relu'"),
    "initializer": (lambda: L.Dense(2, kernel_initializer="glorot"), UsageError, "no initializer 'glorot'"),
    "one example": (lambda: L.Dense(2)(np.ones(4, np.float32)), ShapeError, "at least 2 axes(.|\n)*x\\[None\\]"),
    "integers": (lambda: L.Dense(2)(np.ones((2, 4), np.uint8)), DTypeError, "not uint8(.|\n)*Rescaling"),
    "integers to conv": (lambda: L.Conv2D(2, 3)(np.ones((2, 8, 8, 1), np.int64)), DTypeError, "astype\\('float32'\\)"),
    "no channels": (lambda: L.Conv2D(2, 3)(np.ones((2, 8, 8), np.float32)), ShapeError,
                    "batch, height, width, channels(.|\n)*x\\[\\.\\.\\., None\\]"),
    "groups": (lambda: L.Conv2D(4, 3, groups=3)(IMAGE), ShapeError, "4 filters do not divide into 3 groups"),
    "data format": (lambda: L.Conv2D(2, 3, data_format="NHWC"), AttributeValueError, "'channels_last' or"),
    "kernel size": (lambda: L.Conv2D(2, (3, 3, 3)), AttributeValueError, "kernel_size must be a positive int or 2"),
    "rate": (lambda: L.Dropout(1.0), AttributeValueError, "the fraction dropped"),
    "noise": (lambda: L.GaussianNoise(-1.0), AttributeValueError, "stddev must not be negative"),
    "spatial rank": (lambda: L.SpatialDropout2D(0.5)(X), ShapeError, "takes inputs of 4 axes"),
    "two to merge": (lambda: L.Add()(X), UsageError, "at least 2 tensors"),
    "two to subtract": (lambda: L.Subtract()([X, X, X]), UsageError, "subtracts two tensors, got 3"),
    "merge shapes": (lambda: L.Add()([X, X[:, :3]]), ShapeError, "in layer 'add"),
    "dot axes": (lambda: L.Dot()([IMAGE, IMAGE]), ShapeError, "2 or 3 axes"),
    "permutation": (lambda: L.Permute((0, 1)), AttributeValueError, "permutation of 1 to 2"),
    "padding": (lambda: L.ZeroPadding2D((1, 2, 3)), AttributeValueError, "padding must be an int, 2 ints or 2 pairs"),
    "cropping": (lambda: L.Cropping1D(2)(X), ShapeError, "leaves nothing"),
    "interpolation": (lambda: L.UpSampling1D(2, interpolation="bilinear"), AttributeValueError, "not offered"),
    "pooling rank": (lambda: L.MaxPooling2D()(X), ShapeError, "takes inputs of 4 axes"),
    "momentum": (lambda: L.BatchNormalization(momentum=2.0), AttributeValueError, "momentum must lie in"),
    "group channels": (lambda: L.GroupNormalization(2)(IMAGE), ShapeError, "3 channels do not divide into 2"),
    "sequence rank": (lambda: L.LSTM(2)(X[..., 0]), ShapeError, "batch, time, features(.|\n)*one feature"),
    "no steps": (lambda: L.LSTM(2)(X[:, :0]), ShapeError, "at least one step"),
    "mask shape": (lambda: L.LSTM(2)(X, mask=np.ones((3, 3), bool)), ShapeError, "one bool for each step"),
    "lengths shape": (lambda: L.LSTM(2)(X, lengths=np.ones(4, int)), ShapeError, "one int for each sequence"),
    "mask and lengths": (lambda: L.GRU(2)(X, mask=np.ones((3, 4), bool), lengths=[1, 2, 3]), UsageError, "not both"),
    "initial states": (lambda: L.LSTM(2)(X, initial_state=np.zeros((3, 2))), UsageError, "1 initial states given"),
    "initial shape": (lambda: L.GRU(2)(X, initial_state=np.zeros((3, 4))), ShapeError, "does not fit"),
    "padding name": (lambda: L.Conv2D(2, 3, padding="smae"), AttributeValueError, "'same', 'valid', an int"),
    "causal images": (lambda: L.Conv2D(2, 3, padding="causal"), AttributeValueError, "padding 'causal' is not one"),
    "recurrent dropout": (lambda: L.GRU(2, dropout=1.0), AttributeValueError, "dropout must lie in"),
    "attention dropout": (lambda: L.MultiHeadAttention(1, 2, dropout=-1), AttributeValueError, "dropout must lie in"),
    "repeated matrices": (lambda: L.RepeatVector(2)(X), ShapeError, "takes vectors"),
    "dot of the batch": (lambda: L.Dot(0)([X, X]), ShapeError, "no axis 0 beside the batch"),
    "shared axes": (lambda: L.PReLU(shared_axes=[3])(X), ShapeError, "shared_axes must lie in 1 to 2"),
    "layer axis": (lambda: L.LayerNormalization(axis=3)(X), ShapeError, "no axis 3 beside the batch"),
    "group axis": (lambda: L.GroupNormalization(1, axis=0)(X), ShapeError, "no axis 0 beside the batch"),
    "batch normalization axis": (lambda: L.BatchNormalization(-3)(X), ShapeError, "no axis -3 beside the batch"),
    "cell": (lambda: L.RNN(L.Dense(3)), UsageError, "is not a cell(.|\n)*state_size"),
    "no cells": (lambda: L.StackedRNNCells([]), UsageError, "no cells"),
    "two ways": (lambda: L.Bidirectional(L.Dense(2)), UsageError, "takes a recurrent layer"),
    "merge mode": (lambda: L.Bidirectional(L.LSTM(2), "add"), AttributeValueError, "merge_mode 'add'"),
    "same way": (lambda: L.Bidirectional(L.LSTM(2), backward_layer=L.LSTM(2)), UsageError, "go the other way"),
    "time": (lambda: L.TimeDistributed(L.Dense(2))(X[..., 0]), ShapeError, "\\[batch, time, ...\\]"),
    "heads": (lambda: L.MultiHeadAttention(0, 2), AttributeValueError, "num_heads must be"),
    "attention rank": (lambda: L.MultiHeadAttention(1, 2)(IMAGE, IMAGE), ShapeError, "\\[batch, time, features\\]"),
    "one statistic": (lambda: L.Normalization(mean=1.0), UsageError, "together"),
    "no data": (lambda: L.Normalization().adapt([]), DataError, "no data to adapt to"),
    "batch axis": (lambda: L.Normalization(axis=0).adapt(X), ShapeError, "beside the batch"),
    "name": (lambda: L.Dense(2, name="a/b"), AttributeValueError, "separates the levels"),
    "layer dtype": (lambda: L.Dense(2, dtype="int32"), AttributeValueError, "must be floating"),
    "lambda": (lambda: L.Lambda(3), UsageError, "3 is not a function"),
    "unknown layer": (lambda: L.get("dens"), UsageError, "did you mean 'dense'"),
    "unknown argument": (lambda: L.Dense.from_config({"unit": 3}), UsageError, "takes no argument 'unit'"),
    "input shape": (lambda: L.Input(28), AttributeValueError, "tuple without the batch axis"),
    "input extent": (lambda: L.Input((None, 3)), AttributeValueError, "must be known"),
}  # fmt: skip


@pytest.mark.parametrize("case", ERRORS)
def test_mistakes_say_what_to_do(case: str) -> None:
    act, kind, message = ERRORS[case]
    with pytest.raises(kind, match=message):
        act()
