"""Penalties on weights, against their formulas and their gradients."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn import regularizers
from corenn.errors import AttributeValueError, ShapeError

W = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0]])


def cosines(w):
    unit = w / np.linalg.norm(w, axis=1, keepdims=True)
    gram = np.abs(unit @ unit.T)
    return gram[~np.eye(len(w), dtype=bool)].mean()


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        ("l1", 0.01 * np.abs(W).sum()),
        ("l2", 0.01 * (W**2).sum()),
        ("l1_l2", 0.01 * np.abs(W).sum() + 0.01 * (W**2).sum()),
        (regularizers.L1L2(l1=0.5), 0.5 * np.abs(W).sum()),
        (regularizers.L1L2(l2=0.5), 0.5 * (W**2).sum()),
        (regularizers.L1L2(0.0, 0.0), 0.0),
        (regularizers.OrthogonalRegularizer(0.3), 0.3 * cosines(W)),
        (regularizers.OrthogonalRegularizer(0.3, mode="columns"), 0.3 * cosines(W.T)),
        (lambda w: corenn.sum(w), W.sum()),
    ],
)
def test_values(penalty, expected):
    found = regularizers.get(penalty)(corenn.tensor(W))
    assert found.shape == ()
    assert found.dtype == "float64"
    assert found.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [("l1", 0.01 * np.sign(W)), ("l2", 0.02 * W), (regularizers.L1L2(0.1, 0.2), 0.1 * np.sign(W) + 0.4 * W)],
)
def test_gradients(penalty, expected):
    w = corenn.Variable(W, name="w")
    with corenn.GradientTape() as tape:
        value = regularizers.get(penalty)(w)
    np.testing.assert_allclose(tape.gradient(value, w).numpy(), expected, rtol=1e-12)


def test_orthogonal_rows_cost_nothing():
    eye = corenn.eye(3, 5, dtype="float64") * 4.0
    assert regularizers.OrthogonalRegularizer(1.0)(eye).item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: regularizers.L1(-1.0), AttributeValueError, "l1 must be at least 0"),
        (lambda: regularizers.L2(float("nan")), AttributeValueError, "l2 must be at least 0"),
        (lambda: regularizers.L1L2(0.1, -0.1), AttributeValueError, "l2 must be at least 0"),
        (lambda: regularizers.OrthogonalRegularizer(mode="diagonal"), AttributeValueError, "neither 'rows' nor"),
        (lambda: regularizers.OrthogonalRegularizer()(corenn.zeros((2, 2, 2))), ShapeError, "takes matrices"),
    ],
)
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call()
