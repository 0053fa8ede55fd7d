"""The dynamic loss scale: when it grows and shrinks, and that an update with gradients that overflow never happened."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import corenn
from corenn import layers as L
from corenn import optimizers
from corenn.errors import AttributeValueError
from corenn.optimizers import DynamicLossScale
from corenn.training import BackupAndRestore, Sequential


def test_the_scale_follows_the_gradients() -> None:
    """Scales, counts and values are those of Keras 3.15.1's ``LossScaleOptimizer``, which has no floor of 1."""
    w = corenn.Variable([1.0], name="w")
    optimizer = optimizers.SGD(0.5, loss_scale_factor=DynamicLossScale(8.0, growth_steps=2))
    seen = []
    for gradient in (1.0, 1.0, math.inf, 1.0, math.nan, math.nan, math.nan, math.nan, math.nan, 1.0, 1.0):
        scale = optimizer.loss_scale
        assert float(optimizer.scale_loss(corenn.tensor(3.0))) == 3.0 * scale
        optimizer.apply_gradients([(corenn.tensor([gradient]) * scale, w)])
        seen.append((optimizer.loss_scale, optimizer.iterations, float(w[0])))
    assert [s for s, _, _ in seen] == [8, 16, 8, 8, 4, 2, 1, 1, 1, 1, 2]  # never below 1
    assert [i for _, i, _ in seen] == [1, 2, 2, 3, 3, 3, 3, 3, 3, 4, 5]
    assert [v for _, _, v in seen] == [0.5, 0, 0, -0.5, -0.5, -0.5, -0.5, -0.5, -0.5, -1.0, -1.5]


X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
Y = X.sum(1, keepdims=True)


def data(bad: tuple[int, ...]) -> tuple[Any, Any]:
    """Ten batches of four, some with an input that makes the gradients infinite."""
    x = X.copy()
    for batch in bad:
        x[4 * batch, 0] = np.inf
    return x, Y


MAKE: dict[str, Any] = {
    "sgd": lambda **o: optimizers.SGD(0.01, momentum=0.9, **o),
    "adam": lambda **o: optimizers.Adam(0.01, **o),
    "nadam": lambda **o: optimizers.Nadam(0.01, **o),
    "averaged": lambda **o: optimizers.Adam(0.01, use_ema=True, **o),
    "clipped": lambda **o: optimizers.RMSprop(0.01, global_clipnorm=0.5, weight_decay=0.1, **o),
}


def fitted(name: str, bad: tuple[int, ...], eager: bool, growth: int = 3, constraint: Any = None) -> Any:
    corenn.random.seed(2)
    layers = [L.Dense(3, kernel_constraint=constraint) for _ in range(3)]
    model = Sequential([corenn.layers.Input((4,)), *layers, L.Dense(1)])
    model.compile(MAKE[name](loss_scale_factor=DynamicLossScale(2.0**10, growth)), "mse", run_eagerly=eager)
    model.fit(*data(bad), batch_size=4, epochs=2, shuffle=False, verbose=0)
    return model


@pytest.mark.filterwarnings("ignore:the loss is nan", "ignore:the loss is inf", "ignore:overflow", "ignore:invalid")
@pytest.mark.parametrize("bad", [(), (0, 1, 7), (3,)], ids=["good", "bad at first", "bad"])
@pytest.mark.parametrize("name", MAKE)
def test_traced_steps_leave_the_same_updates_out(name: str, bad: tuple[int, ...]) -> None:
    eager, traced = (fitted(name, bad, e, constraint="unit_norm") for e in (True, False))
    assert traced.optimizer.iterations == eager.optimizer.iterations == 20 - 2 * len(bad)
    assert traced.optimizer.loss_scale == eager.optimizer.loss_scale
    for a, b in zip(traced.get_weights(), eager.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
        assert np.isfinite(a).all()
    for a, b in zip(traced.optimizer.variables, eager.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_a_scale_of_powers_of_two_changes_no_bit() -> None:
    scaled = fitted("adam", (), eager=False)
    corenn.random.seed(2)
    plain = Sequential([corenn.layers.Input((4,)), *[L.Dense(3) for _ in range(3)], L.Dense(1)])
    plain.compile(optimizers.Adam(0.01), "mse")
    plain.fit(X, Y, batch_size=4, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(scaled.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_is_configured_and_saved(tmp_path: Any) -> None:
    optimizer = optimizers.Adam(loss_scale_factor="dynamic")
    assert optimizer.loss_scale == 2.0**15
    again = optimizers.Adam.from_config(optimizer.get_config())
    assert isinstance(again.loss_scale_factor, DynamicLossScale)
    assert optimizers.Adam(loss_scale_factor=64.0).get_config()["loss_scale_factor"] == 64.0

    def model() -> Sequential:
        corenn.random.seed(0)
        made = Sequential([corenn.layers.Input((4,)), L.Dense(1)])
        made.compile(optimizers.Adam(loss_scale_factor=DynamicLossScale(4.0, growth_steps=4)), "mse")
        return made

    whole = model()
    whole.fit(X, Y, batch_size=4, epochs=2, verbose=0)
    model().fit(
        X, Y, batch_size=4, epochs=2, verbose=0, most_steps=7,
        callbacks=[BackupAndRestore(str(tmp_path), delete_checkpoint=False)],
    )  # fmt: skip
    resumed = model()
    resumed.fit(X, Y, batch_size=4, epochs=2, verbose=0, callbacks=[BackupAndRestore(str(tmp_path))])
    assert resumed.optimizer.get_state()["loss_scale"] == whole.optimizer.get_state()["loss_scale"]
    assert resumed.optimizer.loss_scale == 4.0 * 2**5  # 20 good updates
    np.testing.assert_array_equal(resumed.get_weights()[0], whole.get_weights()[0])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: optimizers.SGD(loss_scale_factor=0.0), "positive number or 'dynamic'"),
        (lambda: optimizers.SGD(loss_scale_factor="static"), "positive number or 'dynamic'"),  # type: ignore[arg-type]
        (lambda: DynamicLossScale(0.5), "between 1 and"),
        (lambda: DynamicLossScale(growth_steps=0), "positive int"),
    ],
)
def test_mistakes(make: Any, text: str) -> None:
    with pytest.raises(AttributeValueError, match=text):
        make()
