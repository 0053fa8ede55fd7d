"""Scattering against NumPy's assignment and ``ufunc.at``, values and gradients, on NumPy and on the bare array API."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import corenn
from corenn.errors import DTypeError, ShapeError
from corenn.testing.doubles import register_doubles

register_doubles()
DEVICES = ("numpy", "strict")


def numbers(shape):
    return np.arange(1.0, np.prod(shape, dtype=int) + 1).reshape(shape)


@st.composite
def regions(draw):
    """A shape, a key into it (ints, slices, arrays, masks) and a shape that broadcasts to what the key names."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple))
    base = draw(st.integers(1, 4))
    key = []
    for extent in shape[: draw(st.integers(1, len(shape)))]:
        kind = draw(st.sampled_from(["array", "array", "mask", "int", "slice", "new"]))
        if kind == "new":
            key.append(None)
        if kind == "array":
            key.append(draw(hnp.arrays("int64", base, elements=st.integers(-extent, extent - 1))))
        elif kind == "mask":
            key.append(draw(hnp.arrays(bool, extent)))
        elif kind == "int":
            key.append(draw(st.integers(-extent, extent - 1)))
        else:
            key.append(draw(st.slices(extent)))
    try:
        part = np.zeros(shape)[tuple(key)].shape
    except IndexError:  # a mask and an array that do not broadcast
        assume(False)
    lead = draw(st.integers(0, len(part)))
    return shape, tuple(key), tuple(1 if draw(st.booleans()) else n for n in part[lead:])


def last_writers(shape, key, value_shape):
    """For each element of the indexed part: whether no later one is put to the same place."""
    part = np.zeros(shape)[key].shape
    ids = np.arange(np.prod(part, dtype=int)).reshape(part)
    out = np.full(shape, -1)
    out[key] = ids
    return out[key] == ids


def summed_to(array, shape):
    lead = array.ndim - len(shape)
    array = array.sum(tuple(range(lead)))
    return array.sum(tuple(i for i, n in enumerate(shape) if n == 1 and array.shape[i] != 1), keepdims=True)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=150, deadline=None)
@given(case=regions())
def test_index_update_is_numpys_assignment(device, case):
    shape, key, value_shape = case
    a, new, weights = numbers(shape), np.asarray(-numbers(value_shape)), numbers(shape) ** 2
    x, value = corenn.tensor(a, device=device), corenn.tensor(new, device=device)
    with corenn.GradientTape() as tape:
        tape.watch([x, value])
        found = corenn.index_update(x, value, key)
        loss = corenn.sum(found * weights)
    expected, kept = a.copy(), weights.copy()
    expected[key] = new
    kept[key] = 0
    np.testing.assert_array_equal(found.numpy(), expected)
    np.testing.assert_array_equal(x.numpy(), a)
    gx, gvalue = tape.gradient(loss, [x, value])
    np.testing.assert_allclose(gx.numpy(), kept)
    won = np.where(last_writers(shape, key, value_shape), weights[key], 0)
    np.testing.assert_allclose(gvalue.numpy(), summed_to(won, value_shape))


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=150, deadline=None)
@given(case=regions())
def test_index_add_is_numpys_add_at(device, case):
    shape, key, value_shape = case
    a, new, weights = numbers(shape), np.asarray(-numbers(value_shape)), numbers(shape) ** 2
    x, value = corenn.tensor(a, device=device), corenn.tensor(new, device=device)
    with corenn.GradientTape() as tape:
        tape.watch([x, value])
        found = corenn.index_add(x, value, key)
        loss = corenn.sum(found * weights)
    expected = a.copy()
    np.add.at(expected, key, new)
    np.testing.assert_allclose(found.numpy(), expected)
    gx, gvalue = tape.gradient(loss, [x, value])
    np.testing.assert_allclose(gx.numpy(), weights)
    np.testing.assert_allclose(gvalue.numpy(), summed_to(weights[key], value_shape))


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_scatter_nd_and_gather_nd_are_adjoint(device, data):
    shape = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple))
    depth = data.draw(st.integers(1, len(shape)))
    count = data.draw(st.integers(0, 4))
    indices = np.stack(
        [data.draw(hnp.arrays("int32", count, elements=st.integers(0, n - 1))) for n in shape[:depth]], -1
    )
    updates = numbers((count, *shape[depth:]))
    found = corenn.scatter_nd(
        corenn.tensor(indices, device=device), corenn.tensor(updates, device=device), shape=shape
    ).numpy()
    expected = np.zeros(shape)
    np.add.at(expected, tuple(indices.T), updates)
    np.testing.assert_allclose(found, expected)
    probe = numbers(shape) ** 2
    taken = corenn.gather_nd(corenn.tensor(probe, device=device), corenn.tensor(indices, device=device)).numpy()
    np.testing.assert_allclose((found * probe).sum(), (taken * updates).sum())


@pytest.mark.parametrize("device", DEVICES)
def test_of_several_values_for_one_place_the_last_stays(device):
    with corenn.device(device):
        found = corenn.scatter_set(corenn.zeros((3,)), [1, 1, 0, 1], corenn.tensor([1.0, 2.0, 3.0, 4.0]))
        assert found.tolist() == [3.0, 4.0, 0.0]
        pairs = corenn.index_update(corenn.zeros((2, 2)), [1.0, 2.0], ([0, 0], [1, 1]))
        assert pairs.tolist() == [[0.0, 2.0], [0.0, 0.0]]


@pytest.mark.parametrize("width", [1, 3, 300], ids=["elements", "narrow rows", "wide rows"])
@pytest.mark.parametrize(
    ("device", "dtype"),
    [("numpy", "float16"), ("numpy", "bfloat16")]
    + [(device, dtype) for device in DEVICES for dtype in ("float32", "int32", "complex64")],
)
def test_scatter_add_of_rows_of_any_width(device, width, dtype):
    generator = np.random.default_rng(0)
    ids = generator.integers(0, 5, 200)
    rows = generator.integers(-8, 8, (200, width))
    expected = np.zeros((5, width), int)
    np.add.at(expected, ids, rows)
    with corenn.device(device):
        x = corenn.cast(corenn.tensor(rows), dtype=dtype)
        found = corenn.scatter_add(corenn.zeros((5, width), dtype=dtype), ids, x)
    np.testing.assert_array_equal(
        corenn.cast(found, dtype="complex64" if dtype == "complex64" else "float32").numpy(), expected
    )


def test_half_precision_is_added_in_float32():
    ones = corenn.ones((5000,), dtype="float16")
    total = corenn.scatter_add(corenn.zeros((1,), dtype="float16"), np.zeros(5000, int), ones)
    assert total.item() == 5000.0  # in float16 alone the sum would stop at 2048


def test_the_order_of_addition_is_fixed():
    generator = np.random.default_rng(1)
    values = corenn.tensor(generator.normal(size=(3000, 4)).astype(np.float32))
    ids = generator.integers(0, 7, 3000)
    first = corenn.scatter_add(corenn.zeros((7, 4)), ids, values).numpy()
    for _ in range(3):
        np.testing.assert_array_equal(corenn.scatter_add(corenn.zeros((7, 4)), ids, values).numpy(), first)


@pytest.mark.parametrize(
    ("value", "exception", "message"),
    [
        (np.zeros(3), ShapeError, "does not broadcast"),
        (corenn.tensor([1, 2]), DTypeError, "must have the dtype of x"),
    ],
)
@pytest.mark.parametrize("function", [corenn.index_update, corenn.index_add])
@pytest.mark.parametrize("index", [slice(0, 2), [0, 1]], ids=["slice", "array"])
def test_values_that_do_not_fit_are_refused(function, index, value, exception, message):
    with pytest.raises(exception, match=message):
        function(corenn.zeros((4,)), value, index)


@pytest.mark.parametrize("value", [5, 5.0, [5, 6], np.array([5, 6])], ids=str)
def test_values_are_converted_to_the_dtype_of_the_operand(value):
    found = corenn.index_update(corenn.zeros((3,), dtype="float64"), value, slice(0, 2))
    assert found.dtype == "float64"
    np.testing.assert_array_equal(found.numpy()[:2], np.broadcast_to(value, 2))


def test_setting_elements_of_a_tensor_points_to_index_update():
    with pytest.raises(TypeError, match="index_update"):
        corenn.zeros((3,))[0] = 1.0


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=50, deadline=None)
@given(
    indices=hnp.arrays("int64", hnp.array_shapes(min_dims=0, max_dims=2, min_side=0), elements=st.integers(-2, 6)),
    depth=st.integers(0, 5),
    data=st.data(),
)
def test_one_hot_is_rows_of_the_identity(device, indices, depth, data):
    axis = data.draw(st.integers(-indices.ndim - 1, indices.ndim))
    found = corenn.one_hot(corenn.tensor(indices, device=device), depth=depth, axis=axis)
    identity = np.vstack([np.eye(depth), np.zeros((1, depth))])  # the last row serves all indices outside
    rows = identity[np.where((indices >= 0) & (indices < depth), indices, depth)]
    np.testing.assert_array_equal(found.numpy(), np.moveaxis(rows, -1, axis))


def test_gradients_of_embedding_like_look_ups_match_torch():
    torch = pytest.importorskip("torch")
    generator = np.random.default_rng(2)
    table = generator.normal(size=(20, 6)).astype(np.float32)
    ids = generator.integers(0, 20, (4, 7))
    x = corenn.tensor(table)
    with corenn.GradientTape() as tape:
        tape.watch(x)
        loss = corenn.sum(corenn.square(corenn.gather(x, ids)))
    theirs = torch.tensor(table, requires_grad=True)
    theirs[torch.tensor(ids)].square().sum().backward()
    np.testing.assert_allclose(tape.gradient(loss, x).numpy(), theirs.grad.numpy(), rtol=1e-5)
