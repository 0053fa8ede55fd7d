"""Files that Keras and PyTorch have written (``written/write.py``), loaded where neither is installed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from corenn_models import weights

from corenn import layers as L
from corenn.training import Model, Sequential

PACKED = Path(__file__).parent / "written" / "files.zip"


def keras_model():
    images = L.Input((8, 8, 3))
    x = L.Conv2D(4, 3, padding="same", name="conv")(images)
    x = L.BatchNormalization(name="norm")(x)
    x = L.DepthwiseConv2D(3, name="depthwise")(L.ReLU()(x))
    x = L.Conv2DTranspose(3, 2, strides=2, name="transposed")(x)
    x = L.SeparableConv2D(4, 3, strides=3, name="separable")(x)
    x = L.Reshape((16, 4))(x)
    x = L.Bidirectional(L.LSTM(3, return_sequences=True), name="both_ways")(x)
    x = L.GRU(5, return_sequences=True, name="gru")(x)
    x = L.LayerNormalization(name="layer_norm")(L.MultiHeadAttention(2, 3, name="attention")(x, x))
    stack = [L.Input((16, 5)), L.Dense(4, name="a"), L.BatchNormalization(name="b"), L.Dense(3, name="c")]
    x = L.SimpleRNN(2, name="rnn")(Sequential(stack, name="inner")(x))
    return Model(images, L.Dense(2, name="last")(x))


def torch_model():
    return Sequential(
        [
            L.Input((8, 8, 3)), L.Conv2D(4, 3, padding="same", name="0"), L.BatchNormalization(epsilon=1e-5, name="1"),
            L.ReLU(), L.MaxPooling2D(2), L.DepthwiseConv2D(3, name="4"), L.Conv2DTranspose(3, 2, 2, name="5"),
            L.Flatten(), L.Dense(5, name="7"), L.Dense(2, name="8"),
        ]
    )  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The files in a directory."""
    folder = tmp_path_factory.mktemp("written")
    with zipfile.ZipFile(PACKED) as packed:
        packed.extractall(folder)
    return folder


@pytest.mark.parametrize("by", ["name", "order", None])
@pytest.mark.parametrize("file", ["model.h5", "model.weights.h5", "model.keras", "zip.pth", "before_zip.pth"])
def test_same_input_same_output(file, by, written):
    keras = not file.endswith(".pth")
    if keras:
        pytest.importorskip("h5py", reason="reading Keras's files needs h5py")
    model = keras_model() if keras else torch_model()
    data = np.load(written / ("keras.npz" if keras else "torch.npz"))
    assert np.abs(model.predict(data["given"]) - data["wanted"]).max() > 0.01
    report = weights.load(model, written / file, by)
    assert report.complete and not report.unused and len(report.matches) == len(model.weights)
    np.testing.assert_allclose(model.predict(data["given"]), data["wanted"], atol=1e-4)
    assert data["wanted"].std() > 0.05
