"""Tapes: what is watched, what is kept, persistence, nesting, jacobians."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

import corenn
from corenn import graph, nn
from corenn.errors import DTypeError, GradientError, GraphError, ShapeError, UsageError


def watched(*values):
    tensors = [corenn.tensor(v, dtype="float64") for v in values]
    tape = corenn.GradientTape()
    tape.__enter__()
    tape.watch(tensors)
    return tape, tensors


def test_gradient_of_a_composition():
    tape, (x, w) = watched(np.arange(6.0).reshape(2, 3), np.ones((3, 2)))
    y = corenn.sum(corenn.tanh(x @ w) ** 2)
    tape.__exit__(None, None, None)
    gx, gw = tape.gradient(y, [x, w])
    h = np.tanh(x.numpy() @ w.numpy())
    inner = 2 * h * (1 - h**2)
    np.testing.assert_allclose(gx.numpy(), inner @ w.numpy().T)
    np.testing.assert_allclose(gw.numpy(), x.numpy().T @ inner)


def test_structure_of_sources_is_kept():
    a, b = corenn.Variable(2.0), corenn.Variable(3.0)
    with corenn.GradientTape() as tape:
        y = a * b
    found = tape.gradient(y, {"a": a, "others": [b]})
    assert found["a"].item() == 3 and found["others"][0].item() == 2


def test_broadcasting_is_summed_once_for_all_ops():
    row, scalar = corenn.Variable(np.ones(3, np.float32)), corenn.Variable(2.0)
    with corenn.GradientTape() as tape:
        y = corenn.sum(corenn.ones((4, 3)) * row + scalar)
    g_row, g_scalar = tape.gradient(y, [row, scalar])
    assert g_row.tolist() == [4, 4, 4] and g_scalar.item() == 12 and g_scalar.shape == ()


def test_unconnected_sources():
    a, b = corenn.Variable(1.0), corenn.Variable([1.0, 2.0])
    with corenn.GradientTape(persistent=True) as tape:
        y = a * 2
    assert tape.gradient(y, [a, b])[1] is None
    assert tape.gradient(y, [a, b], unconnected_gradients="zero")[1].tolist() == [0, 0]


def test_several_targets_and_output_gradients():
    x = corenn.Variable([1.0, 2.0])
    with corenn.GradientTape(persistent=True) as tape:
        y, z = x * 3, x * x
    assert tape.gradient([y, z], x).tolist() == [5, 7]
    assert tape.gradient(z, x, output_gradients=[10.0, 100.0]).tolist() == [20, 400]
    with pytest.raises(ShapeError, match="target's shape"):
        tape.gradient(z, x, output_gradients=corenn.ones(3))


def test_not_watched_and_not_trainable():
    x, frozen = corenn.tensor(2.0), corenn.Variable(3.0, trainable=False)
    with corenn.GradientTape() as tape:
        y = x * frozen
    assert tape.gradient(y, [x, frozen]) == [None, None]
    with corenn.GradientTape(watch_accessed_variables=False) as tape:
        v = corenn.Variable(1.0)
        y = v * 2
    assert tape.gradient(y, v) is None


def test_stop_recording_and_stop_gradient():
    x = corenn.Variable(3.0)
    with corenn.GradientTape() as tape:
        y = x * x
        with tape.stop_recording():
            z = x * 10
        w = y + z + corenn.stop_gradient(x * 7)
    assert tape.gradient(w, x).item() == 6


def test_a_tape_is_asked_once_unless_persistent():
    x = corenn.Variable(3.0)
    with corenn.GradientTape() as tape:
        y = x * x
    tape.gradient(y, x)
    with pytest.raises(GradientError, match="persistent=True"):
        tape.gradient(y, x)


def test_nested_tapes_give_higher_orders():
    x = corenn.Variable(2.0)
    with corenn.GradientTape() as outer:
        with corenn.GradientTape() as inner:
            y = x**3
        first = inner.gradient(y, x)
    assert first.item() == 12
    assert outer.gradient(first, x).item() == 12


def test_gradient_inside_a_persistent_tape_is_recorded():
    x = corenn.Variable(2.0)
    with corenn.GradientTape(persistent=True) as tape:
        y = x**3
        first = tape.gradient(y, x)
    assert tape.gradient(first, x).item() == 12


def test_errors():
    x = corenn.Variable(1.0)
    with corenn.GradientTape(persistent=True) as tape:
        count = corenn.cast(x > 0, dtype="int32")
        with pytest.raises(DTypeError, match="only floating"):
            tape.watch(corenn.tensor([1, 2]))
        with pytest.raises(UsageError, match="not a tensor"):
            tape.watch([1.0])
        with pytest.raises(GradientError, match="already recording"):
            tape.__enter__()
    with pytest.raises(GradientError, match="only floating"):
        tape.gradient(count, x)
    with pytest.raises(UsageError, match="not a tensor"):
        tape.gradient(3.0, x)


def test_jacobian_against_the_formula():
    x = corenn.tensor(np.array([0.3, -0.2, 0.7]))
    with corenn.GradientTape() as tape:
        tape.watch(x)
        y = corenn.stack(corenn.sum(x * x), corenn.prod(x))
    v = x.numpy()
    expected = np.stack([2 * v, [v[1] * v[2], v[0] * v[2], v[0] * v[1]]])
    np.testing.assert_allclose(tape.jacobian(y, x).numpy(), expected)


def test_batch_jacobian_is_the_diagonal_of_the_jacobian():
    x = corenn.tensor(np.random.default_rng(0).normal(size=(4, 3)))
    w = corenn.tensor(np.random.default_rng(1).normal(size=(3, 2)))
    with corenn.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = corenn.tanh(x @ w)
    whole, batch = tape.jacobian(y, x).numpy(), tape.batch_jacobian(y, x).numpy()
    np.testing.assert_allclose(batch, np.stack([whole[i, :, i, :] for i in range(4)]))


@pytest.mark.parametrize(
    ("function", "kept"),
    [
        (lambda x: x + 1.0, []),  # nothing at all
        (lambda x: nn.relu(x), ["out"]),  # the result, not the operand
        (lambda x: corenn.sum(x), []),
        (lambda x: corenn.tanh(x), ["out"]),
        (lambda x: corenn.sin(x), ["x"]),
        (lambda x: corenn.reshape(x, shape=(-1,)), []),
    ],
)
def test_a_tape_keeps_only_what_the_rules_name(function, kept):
    x = corenn.ones((3, 4))
    with corenn.GradientTape() as tape:
        tape.watch(x)
        function(x)
    (entry,) = tape.entries
    held = (["x"] if any(t is not None for t in entry.inputs) else []) + (["out"] if entry.out is not None else [])
    assert held == kept


def test_memory_is_freed_while_gradients_are_computed():
    x = corenn.ones((64, 64))
    with corenn.GradientTape() as tape:
        tape.watch(x)
        hidden = corenn.sin(x)
        probe = weakref.ref(hidden)
        y = corenn.sum(corenn.sin(hidden))
        del hidden
    assert probe() is not None  # kept: sin's rule names its operand
    tape.gradient(y, x)
    gc.collect()
    assert probe() is None and not tape.entries


def test_gradient_of_a_mixed_precision_product_is_cast_back():
    x = corenn.Variable(np.float32(2.0))
    y64 = corenn.tensor(np.float64(3.0))
    with corenn.GradientTape() as tape:
        z = x * y64
    found = tape.gradient(z, x)
    assert found.dtype == "float32" and found.item() == 3


def squares_and_their_jacobians(x):
    with corenn.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x + corenn.sum(x, axis=-1, keepdims=True)
    return tape.jacobian(y, x), tape.batch_jacobian(y, x)


def test_jacobians_in_traced_functions_and_graphs_equal_those_of_eager_tapes():
    value = np.arange(6, dtype=np.float32).reshape(2, 3)
    wanted = [j.numpy() for j in squares_and_their_jacobians(corenn.tensor(value))]
    assert wanted[0].shape == (2, 3, 2, 3)
    np.testing.assert_array_equal(wanted[1][1], 2 * np.diag(value[1]) + 1)
    for found, expected in zip(corenn.function(squares_and_their_jacobians)(corenn.tensor(value)), wanted, strict=True):
        np.testing.assert_array_equal(found.numpy(), expected)
    with graph.Graph().as_default() as described:
        given = graph.placeholder("float32", (2, 3))
        fetches = squares_and_their_jacobians(given)
        for found, expected in zip(graph.Session(described).run(fetches, {given: value}), wanted, strict=True):
            np.testing.assert_array_equal(found, expected)
        with pytest.raises(GraphError, match="a shape is not known"):
            squares_and_their_jacobians(graph.placeholder("float32", (None, 3)))
