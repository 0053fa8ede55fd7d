"""``keras.applications``: residual networks against the counts and names of Keras's own."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.mark.slow
def test_resnet50(tf2):
    model = tf2.keras.applications.ResNet50(weights=None)
    assert model.count_params() == 25_636_712 and model.output_shape == (None, 1000)
    assert len(model.layers) == 177 and len(model.weights) == 320
    names = [layer.name for layer in model.layers if layer.weights]
    assert len(names) == 107 and names[:2] == ["conv1_conv", "conv1_bn"] and names[-1] == "predictions"
    kernel = model.get_layer("conv3_block1_0_conv").kernel
    assert kernel.shape == (1, 1, 256, 512) and model.get_layer("conv3_block1_1_conv").strides == (2, 2)
    assert model.get_layer("conv1_bn").epsilon == 1.001e-5


def test_without_the_classifier(tf2):
    model = tf2.keras.applications.resnet50.ResNet50(False, None, input_shape=(32, 64, 3), pooling="avg")
    assert model.count_params() == 23_587_712 and model.output_shape == (None, 2048)
    found = model(np.random.RandomState(0).rand(2, 32, 64, 3).astype("float32"), training=True)
    assert found.shape == (2, 2048) and np.isfinite(found.numpy()).all() and found.numpy().std() > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"classes": 10}, "`classes` should be 1000"),
        ({"weights": None, "include_top": False, "input_shape": (20, 20, 3)}, "at least 32x32"),
        ({"weights": None, "include_top": False, "input_shape": (40, 40)}, "a tuple of three"),
        ({"weights": None, "pooling": "mean"}, "pooling is None, 'avg' or 'max'"),
    ],
)
def test_wrong_arguments(tf2, arguments, said):
    with pytest.raises(ValueError, match=said):
        tf2.keras.applications.ResNet50(**arguments)
