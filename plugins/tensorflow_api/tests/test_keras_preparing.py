"""Keras's layers that prepare data, and recurrence over images: values of TensorFlow 2.21, and properties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(0)
SERIES = RNG.normal(size=(2, 4, 7, 6, 3)).astype(np.float32)
IMAGES = RNG.uniform(0, 255, size=(2, 8, 9, 3)).astype(np.float32)


def filled(layer: Any, x: Any) -> Any:
    """The layer with weights of its own."""
    layer(x)
    drawn = np.random.default_rng(1)
    layer.set_weights([drawn.normal(size=w.shape) * 0.3 for w in layer.get_weights()])
    return layer


# (options, shape, sum and sum of squares of what TensorFlow 2.21 gives with these weights)
CONV_LSTM = [
    ({"padding": "same", "return_sequences": True, "recurrent_activation": "sigmoid"}, (2, 4, 7, 6, 5), -83.21203,
     111.56355),
    ({"strides": 2, "go_backwards": True}, (2, 3, 2, 5), -4.83851, 4.5575852),
]  # fmt: skip


@pytest.mark.parametrize(("options", "shape", "total", "squares"), CONV_LSTM)
def test_conv_lstm(options: Any, shape: Any, total: float, squares: float, tf2: Any) -> None:
    layer = filled(tf2.keras.layers.ConvLSTM2D(5, 3, **options), SERIES)
    found = layer(SERIES).numpy()
    assert found.shape == shape
    np.testing.assert_allclose([found.sum(), (found**2).sum()], [total, squares], rtol=1e-4)


def test_conv_lstm_with_channels_first_and_states(tf2: Any) -> None:
    layers = tf2.keras.layers
    last = filled(layers.ConvLSTM2D(4, 3, return_state=True), SERIES)
    first = layers.ConvLSTM2D(4, 3, return_state=True, data_format="channels_first")
    turned = SERIES.transpose(0, 1, 4, 2, 3)
    first(turned)
    first.set_weights(last.get_weights())
    for a, b in zip(last(SERIES), first(turned), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy().transpose(0, 2, 3, 1), rtol=1e-5, atol=1e-6)


def test_a_model_of_conv_lstms_learns_and_is_made_again(tf2: Any) -> None:
    """Next frames: a point that moves one pixel at a time."""
    keras = tf2.keras
    frames = np.zeros((16, 5, 6, 6, 1), np.float32)
    for i in range(16):
        for t in range(5):
            frames[i, t, i % 6, (i + t) % 6] = 1
    model = keras.Sequential([
        keras.Input((None, 6, 6, 1)),
        keras.layers.ConvLSTM2D(6, 3, padding="same", return_sequences=True),
        keras.layers.Conv3D(1, 3, padding="same", activation="sigmoid"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.03), "binary_crossentropy")
    assert model.output_shape == (None, None, 6, 6, 1)
    losses = model.fit(frames[:, :4], frames[:, 1:], epochs=8, verbose=0).history["loss"]
    assert losses[-1] < 0.6 * losses[0]
    again = keras.Sequential.from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.predict(frames[:, :4], verbose=0), model.predict(frames[:, :4], verbose=0))


@pytest.mark.parametrize("rank", [1, 2])
def test_local_weights(rank: int, tf2: Any) -> None:
    """With the same kernel everywhere it is a convolution."""
    layers = tf2.keras.layers
    x = RNG.normal(size=(*(2, 7, 6, 3)[: rank + 1], 3)).astype(np.float32)
    local = getattr(layers, f"LocallyConnected{rank}D")(4, 3, strides=2, activation="tanh")
    local(x)
    kernel, bias = local.get_weights()
    drawn = RNG.normal(size=(3,) * rank + (3, 4)).astype(np.float32)
    local.set_weights([np.broadcast_to(drawn.reshape(1, -1, 4), kernel.shape), bias])
    shared = getattr(layers, f"Conv{rank}D")(4, 3, strides=2, activation="tanh")
    shared(x)
    shared.set_weights([drawn, np.zeros(4, np.float32)])
    np.testing.assert_allclose(local(x).numpy(), shared(x).numpy(), rtol=1e-4, atol=1e-5)
    assert bias.shape == local(x).shape[1:]


# ---- images


@pytest.mark.parametrize(
    ("make", "total"),
    [
        (lambda layers: layers.Resizing(4, 5), 15594.908),
        (lambda layers: layers.CenterCrop(4, 5), 15241.868),
        (lambda layers: layers.Resizing(4, 4, crop_to_aspect_ratio=True), 12206.401),
    ],
)
def test_sizes_are_those_of_tensorflow(make: Any, total: float, tf2: Any) -> None:
    np.testing.assert_allclose(make(tf2.keras.layers)(IMAGES).numpy().sum(), total, rtol=1e-5)


# sums of images turned by 0.4, plain and weighted by place (TensorFlow 2.21, ImageProjectiveTransformV3)
TURNED = [
    ("reflect", "nearest", 54747.805, 11966237.5), ("reflect", "bilinear", 54159.477, 11919169.2),
    ("wrap", "nearest", 54527.023, 11866061.8), ("wrap", "bilinear", 54174.516, 11892873.0),
    ("nearest", "nearest", 54747.805, 11966237.5), ("nearest", "bilinear", 54019.15, 11904440.3),
    ("constant", "nearest", 47803.414, 10394280.1), ("constant", "bilinear", 47367.53, 10407689.3),
]  # fmt: skip


@pytest.mark.parametrize(("fill", "between", "total", "weighted"), TURNED)
def test_rotation(fill: str, between: str, total: float, weighted: float, tf2: Any) -> None:
    turn = 0.4 / (2 * np.pi)
    layer = tf2.keras.layers.RandomRotation((turn, turn), fill, between, fill_value=3.0)
    found = layer(IMAGES, training=True).numpy()
    sums = [found.sum(), (found * np.arange(found.size).reshape(found.shape)).sum()]
    np.testing.assert_allclose(sums, [total, weighted], rtol=1e-5)


def test_changes_in_training_only(tf2: Any) -> None:
    layers = tf2.keras.layers
    changes = [
        layers.RandomFlip("horizontal"), layers.RandomRotation(0.2), layers.RandomZoom(0.3), layers.RandomContrast(0.5),
        layers.RandomTranslation(0.3, 0.3), layers.RandomBrightness(0.3),
    ]  # fmt: skip
    tf2.random.set_seed(3)
    for change in changes:
        np.testing.assert_array_equal(change(IMAGES, training=False).numpy(), IMAGES)
        found = change(np.repeat(IMAGES, 8, axis=0), training=True).numpy()
        assert found.shape == (16, 8, 9, 3) and not np.array_equal(found, np.repeat(IMAGES, 8, axis=0))
        assert change(IMAGES[0]).shape == (8, 9, 3)
        again = type(change).from_config(change.get_config())
        assert again.get_config() == change.get_config()


def test_flips_and_translations_by_hand(tf2: Any) -> None:
    layers = tf2.keras.layers
    found = layers.RandomFlip("vertical", seed=1)(np.repeat(IMAGES[:1], 32, axis=0), training=True).numpy()
    up = [np.array_equal(image, IMAGES[0]) for image in found]
    down = [np.array_equal(image, IMAGES[0, ::-1]) for image in found]
    assert all(a != b for a, b in zip(up, down, strict=True)) and 4 < sum(up) < 28
    moved = layers.RandomTranslation((0.25, 0.25), (0.0, 0.0), "constant")(IMAGES, training=True).numpy()
    np.testing.assert_allclose(moved[:, 2:], IMAGES[:, :-2], rtol=1e-5)
    assert (moved[:, :2] == 0).all()
    out = layers.RandomZoom((1.0, 1.0), (1.0, 1.0), "constant")(IMAGES, training=True).numpy()
    assert (out[:, 0] == 0).all() and (out[:, 4, 4] > 0).all()


@pytest.mark.parametrize(
    "make",
    [
        lambda layers: layers.RandomFlip("sideways"),
        lambda layers: layers.RandomRotation(-1),
        lambda layers: layers.RandomRotation(0.1, fill_mode="mirror"),
        lambda layers: layers.StringLookup(vocabulary=["a", "a"]),
        lambda layers: layers.CategoryEncoding(),
        lambda layers: layers.TextVectorization(output_mode="float"),
        lambda layers: layers.LocallyConnected2D(2, 3, padding="same"),
    ],
)
def test_arguments_that_cannot_be(make: Any, tf2: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        make(tf2.keras.layers)


# ---- categories

TEXTS = ["The cat sat.", "the dog sat on the cat!", "A dog?"]


def test_text_vectorization(tf2: Any) -> None:
    """(vocabulary and numbers of TensorFlow 2.21)"""
    layer = tf2.keras.layers.TextVectorization(output_sequence_length=5)
    layer.adapt(tf2.data.Dataset.from_tensor_slices(TEXTS).batch(2))
    assert layer.get_vocabulary() == ["", "[UNK]", "the", "sat", "dog", "cat", "on", "a"]
    expected = [[2, 5, 3, 0, 0], [2, 4, 3, 6, 2], [1, 4, 0, 0, 0]]
    np.testing.assert_array_equal(layer(["The cat sat.", TEXTS[1], "Ah, dog?"]).numpy(), expected)
    np.testing.assert_array_equal(layer(tf2.constant([["the cat"]])).numpy(), [[2, 5, 0, 0, 0]])
    again = type(layer).from_config(layer.get_config())
    np.testing.assert_array_equal(again(TEXTS).numpy(), layer(TEXTS).numpy())


@pytest.mark.parametrize(
    ("mode", "row"),
    [
        ("count", [0, 2, 1, 1, 1, 1, 0]),
        ("multi_hot", [0, 1, 1, 1, 1, 1, 0]),
        ("tf_idf", [0, 2 * np.log(2), np.log(2), np.log(2), np.log(2), np.log(2.5), 0]),
    ],
)
def test_bags_of_words(mode: str, row: Any, tf2: Any) -> None:
    layer = tf2.keras.layers.TextVectorization(output_mode=mode)
    layer.adapt(TEXTS)
    assert layer.get_vocabulary()[:3] == ["[UNK]", "the", "sat"]
    np.testing.assert_allclose(layer(TEXTS).numpy()[1], row, rtol=1e-6)


def test_groups_of_words_and_functions(tf2: Any) -> None:
    layer = tf2.keras.layers.TextVectorization(
        standardize=lambda x: tf2.strings.lower(x), split=lambda x: tf2.strings.split(x, "-"), ngrams=2
    )
    layer.adapt(["A-b-a", "b"])
    assert set(layer.get_vocabulary()[2:]) == {"a", "b", "a b", "b a"}


def test_a_model_of_texts(tf2: Any) -> None:
    """Text classification with the vectorizer inside of the model and in the data."""
    keras = tf2.keras
    vectorize = keras.layers.TextVectorization(max_tokens=20, output_sequence_length=4)
    x, y = np.array(["good film", "very good", "bad film", "very bad"] * 4), np.array([1, 1, 0, 0] * 4)
    vectorize.adapt(x)
    model = keras.Sequential([
        keras.Input((1,), dtype=tf2.string), vectorize, keras.layers.Embedding(20, 4),
        keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(1, activation="sigmoid"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(0.1), "binary_crossentropy", metrics=["accuracy"])
    data = tf2.data.Dataset.from_tensor_slices((x[:, None], y)).batch(8)
    model.fit(data, epochs=15, verbose=0)
    assert model.evaluate(data, verbose=0)[1] == 1
    mapped = data.map(lambda text, label: (vectorize(text), label))
    assert next(iter(mapped))[0].shape == (8, 4)


def test_lookups(tf2: Any) -> None:
    layers = tf2.keras.layers
    words = layers.StringLookup(vocabulary=["a", "b", "c"])
    np.testing.assert_array_equal(words([["a", "c"], ["z", "b"]]).numpy(), [[1, 3], [0, 2]])
    back = layers.StringLookup(vocabulary=words.get_vocabulary(), invert=True)
    assert back([1, 3, 0]).numpy().tolist() == [b"a", b"c", b"[UNK]"]
    ints = layers.IntegerLookup(output_mode="multi_hot")
    ints.adapt(np.array([[10], [10], [7], [10], [7], [3]]))
    assert ints.get_vocabulary() == [-1, 10, 7, 3]
    np.testing.assert_array_equal(ints([[10, 3], [5, 5]]).numpy(), [[0, 1, 0, 1], [1, 0, 0, 0]])
    older = layers.experimental.preprocessing.StringLookup(vocabulary=["a", "b"])
    np.testing.assert_array_equal(older(["a", "", "q"]).numpy(), [2, 0, 1])
    with pytest.raises(tf2.errors.InvalidArgumentError, match="num_oov_indices"):
        layers.StringLookup(vocabulary=["a"], num_oov_indices=0)(["b"])


def test_encodings(tf2: Any) -> None:
    layers = tf2.keras.layers
    np.testing.assert_array_equal(layers.CategoryEncoding(4, "one_hot")([3, 0]).numpy(), np.eye(4)[[3, 0]])
    np.testing.assert_array_equal(layers.CategoryEncoding(4)([[0, 1], [3, 3]]).numpy(), [[1, 1, 0, 0], [0, 0, 0, 1]])
    found = layers.CategoryEncoding(4, "count")([[0, 0], [3, 1]], count_weights=np.float32([[0.5, 0.25], [2, 1]]))
    np.testing.assert_array_equal(found.numpy(), [[0.75, 0, 0, 0], [0, 1, 0, 2]])
    with pytest.raises(tf2.errors.InvalidArgumentError, match="num_tokens=4"):
        layers.CategoryEncoding(4)([[4]])
    bins = layers.Discretization([0.0, 1.0, 2.0])
    np.testing.assert_array_equal(bins(np.float32([[-1.5, 1.0], [3.4, 0.5]])).numpy(), [[0, 2], [3, 1]])
    learnt = layers.Discretization(num_bins=4)
    learnt.adapt(np.arange(100, dtype=np.float32))
    assert np.bincount(learnt(np.arange(100, dtype=np.float32)).numpy()).tolist() == [25] * 4
    hashed = layers.Hashing(3, mask_value="")(["a", "b", "", "a"]).numpy()
    assert hashed[0] == hashed[3] and hashed[2] == 0 and set(hashed) <= {0, 1, 2} and (hashed[[0, 1]] > 0).all()


def test_hashes_are_those_of_tensorflow(tf2: Any) -> None:
    """(the example of the layer's documentation)"""
    layers, words = tf2.keras.layers, [["A"], ["B"], ["C"], ["D"], ["E"]]
    np.testing.assert_array_equal(layers.Hashing(3)(words).numpy(), [[1], [0], [1], [1], [2]])
    np.testing.assert_array_equal(layers.Hashing(3, mask_value="")([["A"], ["B"], [""]]).numpy(), [[1], [1], [0]])
    np.testing.assert_array_equal(layers.Hashing(3, salt=[133, 137])(words).numpy(), [[1], [2], [1], [0], [2]])


# ---- layers beside others

EINSUMS = [
    ("ab,bc->ac", (4,), "c", (2, 3), (3, 4), (4,)),
    ("abc,cd->abd", (None, 4), "d", (2, 5, 3), (3, 4), (4,)),
    ("...x,xy->...y", (4,), "y", (2, 5, 3), (3, 4), (4,)),
    ("abc,cde->abde", (None, 2, 6), "de", (2, 5, 3), (3, 2, 6), (2, 6)),
    ("abde,dec->abc", (None, 7), None, (2, 5, 3, 4), (3, 4, 7), None),
]


@pytest.mark.parametrize(("equation", "shape", "axes", "given", "kernel", "bias"), EINSUMS)
def test_einsum_dense(equation: str, shape: Any, axes: Any, given: Any, kernel: Any, bias: Any, tf2: Any) -> None:
    layer = tf2.keras.layers.EinsumDense(equation, shape, bias_axes=axes)
    x = RNG.normal(size=given).astype(np.float32)
    found = layer(x).numpy()
    weights = layer.get_weights()
    assert [w.shape for w in weights] == [s for s in (kernel, bias) if s is not None]
    np.testing.assert_allclose(found, np.einsum(equation, x, weights[0]), rtol=1e-4, atol=1e-5)


def test_depthwise_convolution_of_steps(tf2: Any) -> None:
    x = RNG.normal(size=(2, 9, 3)).astype(np.float32)
    layer = tf2.keras.layers.DepthwiseConv1D(3, strides=2, depth_multiplier=2)
    found = layer(x).numpy()
    kernel = layer.get_weights()[0]
    expected = [np.einsum("bkc,kcm->bcm", x[:, i : i + 3], kernel).reshape(2, 6) for i in (0, 2, 4, 6)]
    np.testing.assert_allclose(found, np.stack(expected, 1), rtol=1e-4, atol=1e-5)


def test_a_cell_of_ones_own(tf2: Any) -> None:
    layers = tf2.keras.layers

    class Sum(layers.AbstractRNNCell):  # type: ignore[misc]
        state_size = output_size = 3

        def call(self, inputs: Any, states: Any) -> Any:
            return inputs + states[0], [inputs + states[0]]

    x = RNG.normal(size=(2, 4, 3)).astype(np.float32)
    np.testing.assert_allclose(layers.RNN(Sum())(x).numpy(), x.sum(1), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(layers.Identity()(x).numpy(), x)
