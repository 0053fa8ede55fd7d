"""Sequential, functional and subclassed models: structure, calls, files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corenn
from corenn import layers as L
from corenn import metrics
from corenn.configurable import deserialize, serialize
from corenn.errors import CheckpointError, ShapeError, UsageError
from corenn.layers import Input
from corenn.training import Functional, Model, Sequential

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 4)).astype(np.float32)


def small() -> Sequential:
    return Sequential([L.Dense(3, "relu"), L.Dropout(0.5), L.Dense(2)])


def branching() -> Model:
    a, b = Input((4,), name="a"), Input((3,), name="b")
    hidden = L.Dense(6, name="hidden")(a)
    joined = L.Concatenate()([hidden, b])
    return Model([a, b], {"one": L.Dense(1, name="one")(joined), "two": L.Dense(2, name="two")(hidden)})


# ---------------------------------------------------------------- Sequential


def test_sequential_is_its_layers_in_order() -> None:
    model = small()
    out = model(X)
    x: Any = X
    for layer in model.layers:
        x = layer(x)
    np.testing.assert_array_equal(out.numpy(), x.numpy())
    assert [type(layer) for layer in model.layers] == [L.Dense, L.Dropout, L.Dense]


def test_sequential_with_an_input_is_built_at_once() -> None:
    model = Sequential([Input((4,)), L.Dense(3)])
    assert model.built
    assert [w.shape for w in model.weights] == [(4, 3), (3,)]
    model.add(L.Dense(2))
    assert model.weights[2].shape == (3, 2)
    last = model.pop()
    assert len(model.weights) == 2
    model.add(last)
    assert model(X).shape == (5, 2)


def test_sequential_in_sequential_and_in_a_functional_model() -> None:
    inner = small()
    outer = Sequential([inner, L.Dense(1)])
    np.testing.assert_array_equal(outer(X).numpy(), outer.layers[1](inner(X)).numpy())
    x = Input((4,))
    model = Model(x, inner(inner(L.Dense(4)(x))[:, :1] * np.ones((1, 4), np.float32)))
    assert model(X).shape == (5, 2)
    assert len(model.weights) == 6, "a model used twice has its weights once"
    assert outer.weight_names()[0] == "sequential/dense/kernel"


def test_sequential_refuses_what_is_no_layer() -> None:
    with pytest.raises(UsageError, match=r"is not a layer(.|\n)*Lambda"):
        Sequential([lambda x: x])
    with pytest.raises(UsageError, match="Input must come first"):
        Sequential([L.Dense(2), Input((3,))])
    with pytest.raises(UsageError, match="two layers called 'a'"):
        Sequential([L.Dense(2, name="a"), L.Dense(3, name="a")])
    with pytest.raises(UsageError, match="there are no layers"):
        Sequential().pop()
    with pytest.raises(UsageError, match="is the output of a layer"):
        Sequential([L.Dense(2)(Input((3,)))])


# ---------------------------------------------------------------- functional


def test_model_with_inputs_and_outputs_is_functional() -> None:
    model = branching()
    assert isinstance(model, Functional)
    b = np.ones((5, 3), np.float32)
    out = model([X, b])
    assert {k: v.shape for k, v in out.items()} == {"one": (5, 1), "two": (5, 2)}
    for pair in ((X, b), [corenn.tensor(X), corenn.tensor(b)]):
        np.testing.assert_array_equal(model(pair)["one"].numpy(), out["one"].numpy())
    np.testing.assert_array_equal(model(X, b)["one"].numpy(), out["one"].numpy())


def test_inputs_by_name() -> None:
    x, y = Input((4,)), Input((4,))
    model = Model({"x": x, "y": y}, L.Subtract()([x, y]))
    np.testing.assert_allclose(model({"y": X, "x": 3 * X, "unused": X}).numpy(), 2 * X, rtol=1e-6)
    with pytest.raises(UsageError, match="the input 'y' is missing"):
        model({"x": X})


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_graph_of_calls_computes_what_its_calls_compute(data: Any) -> None:
    """Random graphs of layers and ops, against the same calls on data; and again from the configuration."""
    x = Input((3,))
    symbols: list[Any] = [x]
    values: list[Any] = [corenn.tensor(X[:, :3])]
    kinds: list[Any] = [lambda a, b: L.Add()([a, b]), lambda a, b: L.Concatenate()([a, b])[:, 1:4], lambda a, b: a * b,
                        lambda a, b: corenn.tanh(a), lambda a, b: a - 0.5]  # fmt: skip
    for _ in range(data.draw(st.integers(1, 6))):
        kind = data.draw(st.integers(0, len(kinds)))
        a, b = (data.draw(st.integers(0, len(symbols) - 1)) for _ in range(2))
        layer = L.Dense(3)
        for listed in (symbols, values):
            one, other = listed[a], listed[b]
            listed.append(kinds[kind](one, other) if kind < len(kinds) else layer(one))
    chosen = data.draw(st.lists(st.integers(1, len(symbols) - 1), min_size=1, max_size=3))
    model = Model(x, [symbols[i] for i in chosen])
    copy = deserialize(json.loads(json.dumps(serialize(model))))
    copy.set_weights(model.get_weights())
    for found, again, i in zip(model(X[:, :3]), copy(X[:, :3]), chosen, strict=True):
        np.testing.assert_array_equal(found.numpy(), values[i].numpy())
        np.testing.assert_array_equal(again.numpy(), values[i].numpy())


def test_parts_of_a_functional_model_are_models_too() -> None:
    x = Input((4,))
    hidden = L.Dense(3, "tanh")(x)
    model, inner = Model(x, L.Dense(1)(hidden)), Model(x, hidden)
    assert inner.weights[0] is model.weights[0]
    assert inner(X).shape == (5, 3)


def test_a_layer_called_with_training_true_always_trains() -> None:
    x = Input((4,))
    model = Model(x, L.Dropout(0.5)(x, training=True))
    assert (model(X).numpy() != X).any()
    assert (Model(x, L.Dropout(0.5)(x))(X).numpy() == X).all()


FUNCTIONAL_ERRORS = {
    "missing input": (lambda: Model(Input((3,)), L.Dense(1)(Input((2,), name="q"))), "depends on the input 'q'"),
    "not symbolic": (lambda: Model(Input((3,)), np.zeros(3)), "must be symbolic, not ndarray"),
    "twice": (lambda: (lambda x: Model([x, x], L.Dense(1)(x)))(Input((3,))), "listed twice"),
    "names": (
        lambda: (lambda x: Model(x, L.Dense(1, name="d")(L.Dense(1, name="d")(x))))(Input((3,))),
        "two layers called 'd'",
    ),
    "too few": (lambda: branching()(X), "takes 2 inputs, got 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", FUNCTIONAL_ERRORS)
def test_functional_mistakes(case: str) -> None:
    act, message = FUNCTIONAL_ERRORS[case]
    with pytest.raises(UsageError, match=message):
        act()


def test_wrong_input_shapes_are_explained() -> None:
    x = Input((8, 8, 1), name="image")
    model = Model(x, L.Flatten()(x))
    for shape, hint in (((2, 8, 8), "x[..., None]"), ((8, 8, 1), "x[None]"), ((2, 9, 8, 1), None)):
        with pytest.raises(ShapeError, match=r"float32\[batch, 8, 8, 1\]") as caught:
            model(np.zeros(shape, np.float32))
        assert caught.value.hint is None if hint is None else hint in caught.value.hint


# ---------------------------------------------------------------- masks


def text_model(cell: Any) -> Model:
    ids = Input((6,), dtype="int32")
    return Model(ids, cell(L.Embedding(10, 4, mask_zero=True)(ids)))


IDS = np.array([[3, 1, 4, 0, 0, 0], [1, 5, 9, 2, 6, 5]], np.int32)


@pytest.mark.parametrize(
    "tail",
    [
        lambda: [L.LSTM(3)],
        lambda: [L.Dense(4), L.Dropout(0.5), L.GRU(3)],
        lambda: [L.Bidirectional(L.LSTM(3, return_sequences=True)), L.GlobalAveragePooling1D()],
        lambda: [L.TimeDistributed(L.Dense(3)), L.LayerNormalization(), L.SimpleRNN(2, "relu")],
    ],
)
def test_masks_reach_the_layers_that_take_them(tail: Any) -> None:
    """With the mask, padding does not matter."""
    layers = tail()
    model = Sequential([L.Embedding(10, 4, mask_zero=True), *layers])
    long = model(IDS).numpy()
    short = model(IDS[:1, :3]).numpy()
    np.testing.assert_allclose(long[:1], short, rtol=1e-5, atol=1e-6)
    x = out = Input((6,), dtype="int32")
    for layer in model.layers:
        out = layer(out)
    np.testing.assert_array_equal(Model(x, out)(IDS).numpy(), long)


def test_masks_pass_additions_and_attention() -> None:
    embed, attend, average = L.Embedding(10, 4, mask_zero=True), L.MultiHeadAttention(2, 3), L.GlobalAveragePooling1D()

    def model(length: int) -> Model:
        ids = Input((length,), dtype="int32")
        x = embed(ids)
        x = L.LayerNormalization(center=False, scale=False)(x + attend(x, x))
        x = L.Add()([x, attend(x, x)])
        return Model(ids, average(x))

    np.testing.assert_allclose(model(6)(IDS).numpy()[:1], model(3)(IDS[:1, :3]).numpy(), rtol=1e-5, atol=1e-6)


def test_masking_layer_and_where_masks_end() -> None:
    x = RNG.normal(size=(2, 5, 3)).astype(np.float32)
    x[0, 3:] = 0
    lstm = L.LSTM(4)
    model = Sequential([L.Masking(), lstm])
    np.testing.assert_allclose(model(x).numpy()[:1], lstm(x[:1, :3]).numpy(), rtol=1e-5, atol=1e-6)
    through = Sequential([L.Masking(), L.Conv1D(3, 1), lstm])  # a convolution mixes steps
    assert through(x).shape == (2, 4)


# ---------------------------------------------------------------- files


MODELS = {
    "sequential": lambda: Sequential(
        [Input((4,)), L.Dense(3, "relu", kernel_regularizer="l2"), L.BatchNormalization()]
    ),
    "lazy": small,
    "nested": lambda: Sequential([Input((4,)), Sequential([L.Dense(3)], name="inner"), L.Dense(1)]),
    "functional with ops": lambda: (lambda x: Model(x, corenn.tanh(L.Dense(3)(x) * 2.0)[:, 1:] + 1))(Input((4,))),
    "shared": lambda: (lambda x, d: Model(x, d(d(x))))(Input((4,)), L.Dense(4)),
    "recurrent": lambda: Sequential([L.Reshape((2, 2)), L.Bidirectional(L.GRU(3)), L.Dense(1, dtype="float32")]),
    "frozen": lambda: Sequential([Input((4,)), L.Dense(3)], trainable=False),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_architecture_and_weights_survive_files(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    out = model(X)
    copy = deserialize(json.loads(json.dumps(serialize(model))))
    copy(X)
    assert copy.weight_names() == model.weight_names()
    assert copy.trainable == model.trainable
    model.save_weights(tmp_path / "w.safetensors")
    copy.load_weights(tmp_path / "w.safetensors")
    np.testing.assert_array_equal(copy(X).numpy(), out.numpy())


def test_models_of_several_inputs_and_outputs_survive_files() -> None:
    model = branching()
    copy = deserialize(json.loads(json.dumps(serialize(model))))
    copy.set_weights(model.get_weights())
    inputs = [X, np.ones((5, 3), np.float32)]
    for key, value in model(inputs).items():
        np.testing.assert_array_equal(copy(inputs)[key].numpy(), value.numpy())


def test_what_cannot_be_saved_says_so() -> None:
    x = Input((4,))
    with pytest.raises(UsageError, match=r"constant array(.|\n)*layer of your own"):
        Model(x, x + np.ones(4, np.float32)).get_config()
    with pytest.raises(UsageError, match="has no name that another process could find"):
        Sequential([L.Lambda(lambda x: x)]).get_config()


def test_weights_that_do_not_fit_change_nothing(tmp_path: Path) -> None:
    model, other = MODELS["sequential"](), Sequential([Input((4,)), L.Dense(2), L.Dense(3)])
    other.save_weights(tmp_path / "w.safetensors")
    before = model.get_weights()
    with pytest.raises(CheckpointError) as caught:
        model.load_weights(tmp_path / "w.safetensors")
    text = str(caught.value)
    for part in ("batch_normalization/gamma is missing", "dense/kernel has shape (4, 2)", "same settings"):
        assert part in text
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(CheckpointError, match=r"no weights yet(.|\n)*call it on one batch"):
        small().load_weights(tmp_path / "w.safetensors")


# ---------------------------------------------------------------- subclassed


class Pair(Model):
    """Two towers that share a layer, and a metric of its own."""

    def __init__(self, units: int = 3, **base: Any) -> None:
        super().__init__(**base)
        self.units = units
        self.shared = L.Dense(units)
        self.norms = [L.LayerNormalization() for _ in range(2)]
        self.seen = metrics.Sum(name="seen")

    def call(self, inputs: Any) -> Any:
        a, b = (norm(self.shared(x)) for norm, x in zip(self.norms, inputs, strict=True))
        self.seen.update_state(float(a.shape[0]))
        return corenn.sum(a * b, axis=-1, keepdims=True)


def test_subclassed_models_train_and_hold_metrics() -> None:
    model = Pair()
    model.compile("sgd", "mse")
    history = model.fit((X, X[::-1].copy()), np.zeros((5, 1)), epochs=2, batch_size=2, verbose=0)
    assert history.history["seen"] == [5.0, 5.0]
    assert model.weight_names()[2:4] == ["norms/0/gamma", "norms/0/beta"]
    assert len(model.trainable_weights) == 6


def test_overriding_a_step_or_the_loss() -> None:
    class Own(Pair):
        def compute_loss(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            return corenn.mean(corenn.abs(y_pred - 1.0))

    corenn.random.seed(0)
    model = Own()
    model.compile("sgd")
    history = model.fit((X, X), epochs=1, verbose=0)
    assert history.history["loss"][0] == pytest.approx(2.0, rel=0.05)  # normalised vectors of 3: their square is 3


# ---------------------------------------------------------------- looking


def test_summary_lists_layers_shapes_and_parameters() -> None:
    lines: list[str] = []
    model = Sequential([Input((4,)), L.Dense(3, name="first"), L.BatchNormalization(name="norm")], name="net")
    model.summary(print_fn=lines.append)
    text = lines[0]
    for part in ("Sequential 'net'", "first (Dense)", "[batch, 3]", "15", "27 parameters (108 B): 21 trainable, 6 not"):
        assert part in text
    lines.clear()
    small().summary(print_fn=lines.append, line_length=50)
    assert "?" in lines[0]
    assert "first call" in lines[0]
    assert all(len(line) <= 50 for line in lines[0].splitlines()[:-1])


def test_get_layer_at_any_depth() -> None:
    inner = Sequential([L.Dense(3, name="deep")])
    model = Sequential([inner, L.Dense(1, name="top")])
    assert model.get_layer("deep") is inner.layers[0]
    with pytest.raises(UsageError, match="did you mean 'deep'"):
        model.get_layer("depp")
