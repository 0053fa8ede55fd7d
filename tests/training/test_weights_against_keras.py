"""Class weights and sample weights mean what they mean in Keras: numbers measured with Keras 3.15.1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from corenn import layers as L
from corenn import optimizers
from corenn.data import Dataset
from corenn.layers import Input
from corenn.training import Model, Sequential

X = np.sin(np.arange(40, dtype="float32").reshape(10, 4))
LABELS = np.arange(10) * 7 % 3
WEIGHTS = np.linspace(0.1, 2, 10).astype("float32")
CLASSES = {0: 1.0, 1: 0.5, 2: 3.0}
KERNEL, BIAS = np.cos(np.arange(12, dtype="float32").reshape(4, 3)), np.zeros(3, "float32")


def fitted(
    loss: str = "sparse_categorical_crossentropy", y: Any = LABELS, metric: str = "accuracy", units: int = 3,
    activation: str | None = "softmax", **options: Any,
) -> dict[str, Any]:  # fmt: skip
    """Two epochs of gradient descent in batches of 4; the history and the first row of the kernel."""
    model = Sequential([Input((4,)), L.Dense(units, activation)])
    model.set_weights([KERNEL[:, :units], BIAS[:units]])
    model.compile(optimizers.SGD(0.1), loss, weighted_metrics=[metric])
    if "form" in options:
        given = (X, y, options.pop("sample_weight")) if "sample_weight" in options else (X, y)
        data: Any = Dataset.from_tensor_slices(given).batch(4)
        if options.pop("form") == "generator":
            batches, data = data, lambda: iter(list(batches))
        history = model.fit(data, epochs=2, verbose=0, **options).history
    else:
        history = model.fit(X, y, batch_size=4, epochs=2, shuffle=False, verbose=0, **options).history
    return {**history, "kernel": model.get_weights()[0][0].tolist()}


BY_CLASS = {
    "accuracy": [0.0, 0.4137931168079376],
    "kernel": [0.7142901420593262, 0.43483418226242065, -0.024968836456537247],
    "loss": [2.125793933868408, 1.4732463359832764],
}
BY_SAMPLE = {
    "accuracy": [0.0, 0.3206349313259125],
    "kernel": [0.7266430854797363, 0.5472437143325806, -0.1497313678264618],
    "loss": [1.5071570873260498, 1.1951076984405518],
}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "class weights": ({"class_weight": CLASSES}, BY_CLASS),
    "class weights of a dataset": ({"class_weight": CLASSES, "form": "dataset"}, BY_CLASS),
    "class weights of a generator": ({"class_weight": CLASSES, "form": "generator"}, BY_CLASS),
    "class weights of one-hot labels": (
        {"loss": "categorical_crossentropy", "y": np.eye(3)[LABELS], "class_weight": CLASSES}, BY_CLASS,
    ),
    "class weights of a binary model": (
        {"loss": "binary_crossentropy", "y": (LABELS == 2).astype("float32")[:, None], "units": 1,
         "activation": "sigmoid", "class_weight": {0: 0.5, 1: 4.0}},
        {"accuracy": [0.9677419066429138, 0.9354838728904724], "kernel": [1.1943150758743286],
         "loss": [0.6216295957565308, 0.5161689519882202]},
    ),
    "class weights leave validation alone": (
        {"class_weight": CLASSES, "validation_data": (X[:5], LABELS[:5])},
        {**BY_CLASS, "val_accuracy": [0.0, 0.20000000298023224], "val_loss": [1.207772970199585, 1.0782485008239746]},
    ),
    "sample weights": ({"sample_weight": WEIGHTS}, BY_SAMPLE),
    "sample weights of a dataset": ({"sample_weight": WEIGHTS, "form": "dataset"}, BY_SAMPLE),
    "sample weights of a generator": ({"sample_weight": WEIGHTS, "form": "generator"}, BY_SAMPLE),
    "sample weights of a regression": (
        {"loss": "mse", "y": X[:, :1], "metric": "mae", "units": 1, "activation": None, "sample_weight": WEIGHTS},
        {"kernel": [1.0180566310882568], "loss": [0.003810286056250334, 0.0009938378352671862],
         "mae": [0.05337825417518616, 0.02601790800690651]},
    ),
    "validation with weights": (
        {"sample_weight": WEIGHTS, "validation_data": (X[:5], LABELS[:5], WEIGHTS[:5])},
        {**BY_SAMPLE, "val_accuracy": [0.0, 0.0], "val_loss": [0.6428159475326538, 0.5689969062805176]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_fit(case: str) -> None:
    given, expected = CASES[case]
    found = fitted(**given)
    assert set(found) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=3e-5, atol=1e-6, err_msg=name)


def test_weights_of_single_steps() -> None:
    sequences = np.sin(np.arange(60, dtype="float32").reshape(3, 5, 4))
    labels = np.arange(15).reshape(3, 5) * 7 % 3
    model = Sequential([Input((5, 4)), L.Dense(3, "softmax")])
    model.set_weights([KERNEL, BIAS])
    model.compile("sgd", "sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    found = model.evaluate(sequences, labels, sample_weight=np.linspace(0, 1, 15).reshape(3, 5))
    assert found == pytest.approx({"accuracy": 0.2380952388048172, "loss": 0.6162351965904236}, rel=1e-5)


def test_weights_by_output() -> None:
    x = Input((4,))
    a, c = L.Dense(3, "softmax", name="a"), L.Dense(1, name="c")
    model = Model(x, {"a": a(x), "c": c(x)})
    a.set_weights([KERNEL, BIAS])
    c.set_weights([KERNEL[:, :1], BIAS[:1]])
    model.compile("sgd", {"a": "sparse_categorical_crossentropy", "c": "mse"}, loss_weights={"a": 1.0, "c": 0.5})
    found = model.evaluate(X, {"a": LABELS, "c": X[:, :1]}, sample_weight={"a": WEIGHTS, "c": WEIGHTS[::-1].copy()})
    assert found["loss"] == pytest.approx(1.5744091272354126, rel=1e-5)
