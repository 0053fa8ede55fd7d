"""Layers that change images: what they compute, when, with which numbers; and that training with them resumes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

import corenn
from corenn import layers as L
from corenn.configurable import deserialize, serialize
from corenn.device import device
from corenn.dtypes import as_dtype
from corenn.errors import AttributeValueError, BackendError, ShapeError
from corenn.layers import Input
from corenn.testing import register_doubles
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import forward
from corenn.training import Functional
from corenn.training.callbacks import BackupAndRestore, Callback

IMAGES = np.random.default_rng(0).random((6, 9, 7, 3), np.float32)
CLOSE = forward(as_dtype("float32")).scaled(8)

CHANGES: dict[str, dict[str, Any]] = {
    "RandomFlip": {},
    "RandomRotation": {"factor": 0.2},
    "RandomTranslation": {"height_factor": 0.3, "width_factor": 0.2, "fill_mode": "constant"},
    "RandomZoom": {"height_factor": 0.4, "width_factor": (-0.2, 0.5), "fill_mode": "nearest"},
    "RandomBrightness": {"factor": 0.3, "value_range": (0, 1)},
    "RandomContrast": {"factor": 0.6},
    "RandomCrop": {"height": 5, "width": 4},
}
every = pytest.mark.parametrize("name", CHANGES)


def make(name: str, **more: Any) -> L.Layer:
    made: L.Layer = getattr(L, name)(**CHANGES[name], **more)
    return made


# ---------------------------------------------------------------- when, and by which numbers


@every
def test_nothing_is_changed_outside_training(name: str) -> None:
    layer = make(name)
    found = layer(IMAGES).numpy()
    if name != "RandomCrop":
        np.testing.assert_array_equal(found, IMAGES)
    np.testing.assert_array_equal(found, layer(IMAGES).numpy())
    assert not np.array_equal(layer(IMAGES, training=True).numpy(), found)


@every
def test_a_seed_decides_every_step(name: str) -> None:
    one, other = make(name, seed=4), make(name, seed=4)
    corenn.random.seed(0)
    first = [one(IMAGES, training=True).numpy() for _ in range(3)]
    corenn.random.seed(1)  # not the layer's generator
    second = [other(IMAGES, training=True).numpy() for _ in range(3)]
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], make(name, seed=5)(IMAGES, training=True).numpy())


@every
def test_without_a_seed_the_default_generator_decides(name: str) -> None:
    found = []
    for _ in range(2):
        corenn.random.seed(7)
        found.append(make(name)(IMAGES, training=True).numpy())
    np.testing.assert_array_equal(*found)


@every
@pytest.mark.parametrize("place", ["strict", "simulated:1", "onednn"])
def test_every_backend_changes_alike(name: str, place: str) -> None:
    register_doubles()
    wanted = make(name, seed=4)(IMAGES, training=True).numpy()
    try:
        where = device(place)
    except BackendError:
        pytest.skip(f"{place} is not available")
    with where:
        assert_close(make(name, seed=4)(corenn.tensor(IMAGES), training=True).numpy(), wanted, CLOSE)


@every
def test_a_single_image_and_integers_are_taken(name: str) -> None:
    whole = (IMAGES * 255).astype(np.uint8)
    options = {"value_range": (0, 255)} if name in ("RandomBrightness", "RandomContrast") else {}
    layers = [getattr(L, name)(**{**CHANGES[name], **options}, seed=2) for _ in range(2)]
    batch, single = layers[0](whole, training=True), layers[1](whole[0], training=True)
    assert batch.dtype.name == "float32"
    assert_close(single.numpy(), batch.numpy()[0], forward(as_dtype("float32")).scaled(100))
    assert batch.numpy().max() > 1


@every
def test_written_and_read_it_changes_alike(name: str) -> None:
    layer = make(name, seed=11)
    again = deserialize(json.loads(json.dumps(serialize(layer))))
    np.testing.assert_array_equal(layer(IMAGES, training=True).numpy(), again(IMAGES, training=True).numpy())


@every
def test_gradients_pass(name: str) -> None:
    x = corenn.Variable(IMAGES)
    with corenn.GradientTape() as tape:
        loss = corenn.sum(corenn.square(make(name, seed=3)(x, training=True)))
    gradient = tape.gradient(loss, x)
    assert gradient is not None and np.isfinite(gradient.numpy()).all() and np.abs(gradient.numpy()).max() > 0


# ---------------------------------------------------------------- what they compute


def drawn(seed: int, width: int, low: Any, high: Any, count: int = 6) -> Any:
    """The rows of numbers that a layer of this seed draws first."""
    rows = corenn.random.uniform((count, width), key=corenn.random.key(seed)).numpy().astype(np.float64)
    return rows * (np.asarray(high) - np.asarray(low)) + np.asarray(low)


def mapped(x: Any, matrix: Any, shift: Any, mode: str) -> Any:
    middle = (np.array(x.shape[:2]) - 1) / 2
    offset = middle - matrix @ middle + shift
    planes = [ndimage.affine_transform(x[..., c].astype(float), matrix, offset, order=1, mode=mode) for c in range(3)]
    return np.stack(planes, -1)


def test_flips_of_both_kinds() -> None:
    found = L.RandomFlip(seed=3)(IMAGES, training=True).numpy()
    for x, y, (sideways, upwards) in zip(IMAGES, found, drawn(3, 2, 0, 1), strict=True):
        x = x[:, ::-1] if sideways < 0.5 else x
        np.testing.assert_array_equal(y, x[::-1] if upwards < 0.5 else x)


def test_rotation() -> None:
    found = L.RandomRotation((-0.3, 0.1), seed=3)(IMAGES, training=True).numpy()
    for x, y, (part,) in zip(IMAGES, found, drawn(3, 1, -0.3, 0.1), strict=True):
        c, s = np.cos(2 * np.pi * part), np.sin(2 * np.pi * part)
        assert_close(y, mapped(x, np.array([[c, s], [-s, c]]), 0, "reflect"), CLOSE)


def test_translation() -> None:
    layer = L.RandomTranslation((0.0, 0.3), 0.2, fill_mode="constant", seed=3)
    found = layer(IMAGES, training=True).numpy()
    for x, y, by in zip(IMAGES, found, drawn(3, 2, (0.0, -0.2), (0.3, 0.2)), strict=True):
        assert_close(y, mapped(x, np.eye(2), -by * (9, 7), "grid-constant"), CLOSE)


@pytest.mark.parametrize("width_factor", [None, (0.1, 0.4)])
def test_zoom(width_factor: Any) -> None:
    found = L.RandomZoom(0.3, width_factor, fill_mode="nearest", seed=3)(IMAGES, training=True).numpy()
    wide = (-0.3, 0.3) if width_factor is None else width_factor
    for x, y, by in zip(IMAGES, found, drawn(3, 2, (0.7, 1 + wide[0]), (1.3, 1 + wide[1])), strict=True):
        scale = np.diag([by[0], by[0] if width_factor is None else by[1]])
        assert_close(y, mapped(x, scale, 0, "nearest"), CLOSE)


def test_brightness_and_contrast() -> None:
    x = IMAGES * 255
    found = L.RandomBrightness((-0.1, 0.4), value_range=(0, 255), seed=3)(x, training=True).numpy()
    deltas = drawn(3, 1, -0.1 * 255, 0.4 * 255).reshape(-1, 1, 1, 1)
    assert_close(found, np.clip(x + deltas, 0, 255), CLOSE.scaled(10))
    found = L.RandomContrast((0.5, 2.0), value_range=(0, 255), seed=3)(x, training=True).numpy()
    factors, middle = drawn(3, 1, 0.5, 3.0).reshape(-1, 1, 1, 1), x.astype(float).mean((1, 2), keepdims=True)
    assert_close(found, np.clip((x - middle) * factors + middle, 0, 255), CLOSE.scaled(10))


def test_sizes() -> None:
    np.testing.assert_array_equal(L.CenterCrop(5, 4)(IMAGES).numpy(), IMAGES[:, 2:7, 1:5])
    np.testing.assert_array_equal(L.Resizing(9, 7)(IMAGES).numpy(), IMAGES)
    small = L.CenterCrop(18, 7)(IMAGES).numpy()  # higher than the images: their middle 9 by 3, resized
    assert_close(small, corenn.image.resize(IMAGES[:, :, 2:5], size=(18, 7), method="bilinear").numpy(), CLOSE)
    cropped = L.Resizing(3, 7, crop_to_aspect_ratio=True)(IMAGES).numpy()  # rows 3 to 5
    np.testing.assert_array_equal(cropped, IMAGES[:, 3:6])
    part = L.RandomCrop(5, 4, seed=1)(IMAGES, training=True).numpy()
    windows = [IMAGES[0, i : i + 5, j : j + 4] for i in range(5) for j in range(4)]
    assert any(np.array_equal(part[0], w) for w in windows)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: L.RandomFlip("sideways"), "horizontal_and_vertical"),
        (lambda: L.RandomRotation(-0.1), "factor is a number that is not negative"),
        (lambda: L.RandomRotation((0.2, 0.1)), "pair"),
        (lambda: L.RandomRotation(0.1, fill_mode="mirror"), "fill_mode 'mirror'"),
        (lambda: L.RandomRotation(0.1, interpolation="cubic"), "interpolation 'cubic'"),
        (lambda: L.RandomZoom((-1.5, 0)), "from -1"),
        (lambda: L.RandomBrightness((0.0, 1.5)), "at most 1"),
        (lambda: L.RandomBrightness(0.1, value_range=(1, 0)), "value_range"),
        (lambda: L.RandomContrast(-0.1), "factor is a number in"),
        (lambda: L.CenterCrop(0, 3), "height counts pixels"),
        (lambda: L.Resizing(3, 3, interpolation="spline"), "interpolation 'spline'"),
        (lambda: L.Resizing(3, 3, interpolation="nearest", antialias=True), "takes no antialias"),
    ],
)
def test_arguments_are_checked(build: Any, message: str) -> None:
    with pytest.raises(AttributeValueError, match=message):
        build()


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"takes an image \[height"):
        L.RandomFlip(name="flip")(np.zeros((3, 4), np.float32), training=True)


# ---------------------------------------------------------------- in models


def build(seed: int | None) -> Any:
    """A classifier with every kind of change before it."""
    x = Input((9, 7, 3))
    changed: Any = x
    for name in CHANGES:
        changed = make(name, **({} if seed is None else {"seed": seed}))(changed)
    made = Functional(x, L.Dense(2, kernel_initializer=corenn.initializers.Constant(0.01))(L.Flatten()(changed)))
    made.compile("adam", loss="sparse_categorical_crossentropy")
    return made


class Killed(Exception):
    pass


class Kill(Callback):
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.model.optimizer.iterations == 5:
            raise Killed


@pytest.mark.parametrize("seed", [None, 3], ids=["default generator", "generators of their own"])
@pytest.mark.parametrize("run_eagerly", [True, False])
def test_training_resumes_bit_for_bit(tmp_path: Path, seed: int | None, run_eagerly: bool) -> None:
    labels = np.arange(6) % 2

    def train(folder: str, *more: Any) -> Any:
        model = build(seed)
        model.compile("adam", loss="sparse_categorical_crossentropy", run_eagerly=run_eagerly)
        corenn.random.seed(12)
        backup = BackupAndRestore(str(tmp_path / folder), save_freq=2)
        model.fit(IMAGES, labels, batch_size=2, epochs=4, verbose=0, callbacks=[backup, *more])
        return model

    whole = train("whole")
    with pytest.raises(Killed):
        train("parts", Kill())
    resumed = train("parts")
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_traced_training_sees_new_numbers_in_every_step() -> None:
    weights = []
    for run_eagerly in (True, False):
        model = build(None)
        model.compile("sgd", loss="sparse_categorical_crossentropy", run_eagerly=run_eagerly)
        corenn.random.seed(12)
        model.fit(IMAGES, np.arange(6) % 2, batch_size=3, epochs=3, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        assert_close(a, b, CLOSE)


def test_a_saved_model_predicts_unchanged_images(tmp_path: Path) -> None:
    model = build(2)
    model.fit(IMAGES, np.arange(6) % 2, epochs=1, verbose=0)
    before = model.predict(IMAGES)
    np.testing.assert_array_equal(before, model.predict(IMAGES))
