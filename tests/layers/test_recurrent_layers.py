"""Recurrent layers beyond their formulas: states, masks, directions, dropout, cells of one's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from corenn import layers as L
from corenn.errors import ShapeError
from corenn.layers import Input, Layer
from corenn.layers.cells import GateWeights
from corenn.training import Model


def test_stateful_layers_go_on_where_the_last_batch_ended() -> None:
    x = np.random.default_rng(1).normal(size=(2, 6, 3)).astype(np.float32)
    whole = L.LSTM(4, return_sequences=True)
    expected = whole(x).numpy()
    stateful = L.LSTM(4, return_sequences=True, stateful=True)
    stateful(x)
    stateful.reset_state()
    stateful.set_weights([*whole.get_weights(), *[np.zeros((2, 4))] * 2])
    parts = [stateful(x[:, i : i + 2]).numpy() for i in range(0, 6, 2)]
    np.testing.assert_allclose(np.concatenate(parts, 1), expected, rtol=1e-5, atol=1e-6)
    assert len(stateful.trainable_weights) == 3
    with pytest.raises(ShapeError, match="a batch of 2"):
        stateful(x[:1])


def test_initial_states_are_used() -> None:
    x = np.random.default_rng(1).normal(size=(2, 6, 3)).astype(np.float32)
    for layer in (L.LSTM(4, return_state=True), L.Bidirectional(L.GRU(4, return_state=True))):
        _, *states = layer(x)
        again, *_ = layer(x, initial_state=states)
        assert (again.numpy() != layer(x)[0].numpy()).any()
    first = L.LSTM(4, return_state=True)
    _, *states = first(x[:, :3])
    np.testing.assert_allclose(first(x[:, 3:], initial_state=states)[0].numpy(), first(x)[0].numpy(), rtol=1e-5)


def test_initial_states_may_be_symbolic() -> None:
    x = np.random.default_rng(1).normal(size=(2, 6, 3)).astype(np.float32)
    sequence, h = Input((6, 3)), Input((4,))
    layer = L.GRU(4)
    model = Model([sequence, h], layer(sequence, initial_state=h))
    start = np.ones((2, 4), np.float32)
    np.testing.assert_array_equal(model([x, start]).numpy(), layer(x, initial_state=start).numpy())


def test_lstm_forget_gate_starts_open() -> None:
    layer = L.LSTM(3, bias_initializer="zeros")
    layer(np.zeros((1, 2, 2), np.float32))
    np.testing.assert_array_equal(layer.bias.numpy(), [0] * 3 + [1] * 3 + [0] * 6)
    np.testing.assert_allclose(layer.recurrent_kernel.numpy() @ layer.recurrent_kernel.numpy().T, np.eye(3), atol=1e-6)


def test_dropout_of_a_recurrent_layer_is_the_same_in_all_steps() -> None:
    layer = L.SimpleRNN(1, "linear", dropout=0.5, return_sequences=True, use_bias=False)
    x = np.ones((64, 3, 4), np.float32)
    layer(x)
    layer.set_weights([np.array([[1.0], [10], [100], [1000]]), np.zeros((1, 1))])
    out = layer(x, training=True).numpy()[..., 0]
    assert (out == out[:, :1]).all()
    assert len(np.unique(out[:, 0])) > 4


@pytest.mark.parametrize(("mode", "width"), [("concat", 6), ("sum", 3), ("mul", 3), ("ave", 3), (None, None)])
def test_bidirectional_merges(mode: str | None, width: int | None) -> None:
    x = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
    layer = L.Bidirectional(L.GRU(3, return_sequences=True), merge_mode=mode)
    out = layer(x)
    ahead, back = layer.layer(x).numpy(), layer.backward_layer(x).numpy()[:, ::-1]
    expected = {
        "concat": np.concatenate([ahead, back], -1), "sum": ahead + back, "mul": ahead * back,
        "ave": (ahead + back) / 2,
    }  # fmt: skip
    if mode is None:
        np.testing.assert_array_equal(out[0].numpy(), ahead)
        np.testing.assert_array_equal(out[1].numpy(), back)
    else:
        assert out.shape[-1] == width
        np.testing.assert_allclose(out.numpy(), expected[mode], rtol=1e-6)


def test_a_cell_of_ones_own() -> None:
    class Adder(Layer):
        state_size = output_size = 3

        def call(self, x: Any, states: Any) -> Any:
            total = states[0] + x
            return total, (total,)

    x = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
    mask = np.array([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1]], bool)
    out = L.RNN(Adder(), return_sequences=True)(x, mask=mask)
    np.testing.assert_allclose(out.numpy(), np.cumsum(x * mask[..., None], 1) * mask[..., None], rtol=1e-5, atol=1e-6)
    last = L.RNN(Adder())(x, mask=mask).numpy()
    np.testing.assert_allclose(last, (x * mask[..., None]).sum(1), rtol=1e-5, atol=1e-6)


def left_padded() -> Any:
    return np.arange(6) >= np.array([0, 4, 2])[:, None]


def right_padded() -> Any:
    return np.arange(6) < np.array([6, 2, 4])[:, None]


@pytest.mark.parametrize("make_mask", [left_padded, right_padded, lambda: np.ones((3, 6), bool)])
@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
def test_masks_whole_and_step_by_step(name: str, make_mask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The op for whole sequences, where the mask allows it, and the loop over the steps agree."""
    x, mask = np.random.default_rng(2).normal(size=(3, 6, 2)), make_mask()
    layer = getattr(L, name)(3, return_sequences=True, return_state=True, dtype="float64")
    found = [t.numpy() for t in layer(x, mask=mask)]
    steps: list[int] = []
    advance = type(layer).advance

    def counted(self: Any, *args: Any) -> Any:
        steps.append(1)
        return advance(self, *args)

    monkeypatch.setattr(type(layer), "advance", counted)
    layer(x, mask=mask)
    assert len(steps) == (6 if make_mask is left_padded else 0)
    monkeypatch.setattr(type(layer), "sequence", lambda *args: None)
    for a, b in zip(found, (t.numpy() for t in layer(x, mask=mask)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    for n in range(3):
        alone = layer(x[n : n + 1, mask[n]])
        np.testing.assert_allclose(found[0][n, mask[n]], alone[0].numpy()[0], rtol=1e-12, atol=1e-12)
        assert (found[0][n, ~mask[n]] == 0).all()


def test_gates_are_a_base_to_build_on() -> None:
    class Minimal(GateWeights):
        def call(self, x: Any, states: Any) -> Any:
            h = self.activation(self.project(x))
            return h, (h,)

    x = np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32)
    layer = L.RNN(Minimal(4, "linear", use_bias=False))
    np.testing.assert_allclose(layer(x).numpy(), x[:, -1] @ layer.cell.kernel.numpy(), rtol=1e-5)
