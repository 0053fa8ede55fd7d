"""Writes ``files.zip``: a small model of many layers, saved by Keras and by PyTorch, with an input and an output.

    python write.py keras      # needs keras and a backend of it; leaves PyTorch's files as they are
    python write.py torch      # needs torch; leaves Keras's files as they are

``test_written_files.py`` loads them, so that the loaders are checked where neither library is installed.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

PACKED = Path(__file__).parent / "files.zip"


def keras(folder: Path) -> None:
    """Convolutions, normalisations, recurrence, attention, a model in the model; in the three kinds of file."""
    import keras

    layers = keras.layers
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(images)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.DepthwiseConv2D(3, name="depthwise")(layers.ReLU()(x))
    x = layers.Conv2DTranspose(3, 2, strides=2, name="transposed")(x)
    x = layers.SeparableConv2D(4, 3, strides=3, name="separable")(x)
    x = layers.Reshape((16, 4))(x)
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True), name="both_ways")(x)
    x = layers.GRU(5, return_sequences=True, name="gru")(x)
    x = layers.LayerNormalization(name="layer_norm")(layers.MultiHeadAttention(2, 3, name="attention")(x, x))
    inner = keras.Sequential(
        [
            keras.Input((16, 5)),
            layers.Dense(4, name="a"),
            layers.BatchNormalization(name="b"),
            layers.Dense(3, name="c"),
        ],
        name="inner",
    )
    x = layers.SimpleRNN(2, name="rnn")(inner(x))
    model = keras.Model(images, layers.Dense(2, name="last")(x))
    rng = np.random.default_rng(11)
    for weight in model.weights:
        noise = rng.standard_normal(weight.shape).astype("float32") * 0.4
        weight.assign(np.abs(noise) + 0.5 if "variance" in weight.path else noise)
    given = rng.standard_normal((2, 8, 8, 3)).astype("float32")
    np.savez(folder / "keras.npz", given=given, wanted=np.asarray(model(given, training=False)))
    model.save(folder / "model.h5", include_optimizer=False)
    model.save_weights(folder / "model.weights.h5")
    model.save(folder / "model.keras", include_optimizer=False)


def torch(folder: Path) -> None:
    """A convolutional network with a dense layer on its pixels, in both formats."""
    import torch
    from torch import nn

    torch.manual_seed(11)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, groups=4),
        nn.ConvTranspose2d(4, 3, 2, stride=2), nn.Flatten(), nn.Linear(48, 5), nn.Linear(5, 2),
    )  # fmt: skip
    model[1].running_mean.uniform_(-1, 1)
    model[1].running_var.uniform_(0.5, 2)
    model.eval()
    given = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        wanted = model(given).numpy()
    np.savez(folder / "torch.npz", given=given.numpy().transpose(0, 2, 3, 1), wanted=wanted)
    torch.save({"state_dict": model.state_dict(), "epoch": 3}, folder / "zip.pth")
    torch.save(model.state_dict(), folder / "before_zip.pth", _use_new_zipfile_serialization=False)


def main(library: str) -> None:
    """Write one library's files and pack them with the other's."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        if PACKED.exists():
            zipfile.ZipFile(PACKED).extractall(folder)
        {"keras": keras, "torch": torch}[library](folder)
        with zipfile.ZipFile(PACKED, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in sorted(folder.iterdir()):
                packed.write(path, path.name)


if __name__ == "__main__":
    main(sys.argv[1])
