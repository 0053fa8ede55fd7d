"""The registered models: shapes, options, and that each of them learns."""

from __future__ import annotations

import numpy as np
import pytest

from corenn import random
from corenn.errors import CorennError, UsageError
from corenn.optimizers import Adam
from corenn.plugin import registry

NAMES = ("cnn", "mlp", "linear")


@pytest.fixture(autouse=True)
def seeded():
    state = random.get_state()
    random.seed(0)
    yield
    random.set_state(state)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("shape", "classes"), [((8, 8, 1), 10), ((28, 28, 1), 10), ((7, 5, 3), 2)])
def test_probabilities_of_the_classes_for_images_of_any_size(name, shape, classes):
    model = registry.get("model", name).load()(input_shape=shape, classes=classes)
    probabilities = model.predict(np.ones((3, *shape), np.float32))
    assert probabilities.shape == (3, classes)
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)
    assert model.name == name


@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        # Counted by hand: weights and biases of each layer; four numbers a channel of batch normalisation.
        ("cnn", {"filters": (2, 3), "dense": 5}, 9 * 2 + 2 + 8 + 9 * 2 * 3 + 3 + 12 + (2 * 2 * 3) * 5 + 5 + 5 * 4 + 4),
        ("cnn", {"filters": [2], "dense": 0}, 9 * 2 + 2 + 8 + (4 * 4 * 2) * 4 + 4),
        ("mlp", {"hidden": (6,)}, 64 * 6 + 6 + 6 * 4 + 4),
        ("mlp", {"hidden": ()}, 64 * 4 + 4),
        ("linear", {}, 64 * 4 + 4),
    ],
)
def test_options_decide_the_layers(name, options, parameters):
    model = registry.get("model", name).load()(input_shape=(8, 8, 1), classes=4, dropout=0.1, **options)
    assert model.count_params() == parameters


@pytest.mark.parametrize("name", NAMES)
def test_it_learns(name):
    """Two kinds of image, bright above or bright below."""
    x = np.zeros((40, 8, 8, 1), np.float32)
    y = np.arange(40, dtype=np.int32) % 2
    x[y == 0, :4] = 1
    x[y == 1, 4:] = 1
    options = {"filters": (4,), "dense": 0} if name == "cnn" else {}
    model = registry.get("model", name).load()(input_shape=(8, 8, 1), classes=2, dropout=0.0, **options)
    model.compile(Adam(0.02), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=15, batch_size=10, verbose=0)
    assert (model.predict(x).argmax(-1) == y).all()


def test_a_convolutional_network_takes_images():
    with pytest.raises(UsageError, match="takes images"):
        registry.get("model", "cnn").load()(input_shape=(64,), classes=2)


@pytest.mark.parametrize("options", [{"filters": (0,)}, {"filters": ("a",)}, {"dense": -1}, {"dropout": 1.5}])
def test_options_without_sense_are_refused(options):
    with pytest.raises(CorennError):
        registry.get("model", "cnn").load()(input_shape=(8, 8, 1), classes=2, **options)
