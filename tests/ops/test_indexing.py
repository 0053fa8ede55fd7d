"""Indexing against NumPy: random shapes and keys, values and gradients, on NumPy and on the bare array API."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import corenn
from corenn.errors import DTypeError, ShapeError
from corenn.testing.doubles import register_doubles

register_doubles()
DEVICES = ("numpy", "strict")
SIDES = st.integers(0, 4)


def numbers(shape):
    return np.arange(1.0, np.prod(shape, dtype=int) + 1).reshape(shape)


@st.composite
def array_keys(draw, shape):
    """A key with at least one array, mask or bool for an operand of ``shape``, as NumPy takes it."""
    base = draw(hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    items = []
    axis = 0
    while axis < len(shape):
        kind = draw(st.sampled_from(["array", "array", "mask", "int", "slice", "none", "bool", "stop", "wide"]))
        extent = shape[axis]
        if kind == "stop":
            break
        if kind == "none":
            items.append(None)
        elif kind == "bool":
            items.append(draw(st.booleans()))
        elif kind == "array":
            cut = draw(st.integers(0, len(base)))
            taken = tuple(1 if draw(st.booleans()) else n for n in base[cut:])
            positions = st.integers(-extent, extent - 1) if extent else st.just(0)
            items.append(draw(hnp.arrays(draw(st.sampled_from(["int64", "int32"])), taken, elements=positions)))
            axis += 1
        elif kind == "mask":
            items.append(draw(hnp.arrays(bool, extent)))
            axis += 1
        elif kind == "wide" and axis + 1 < len(shape):
            items.append(draw(hnp.arrays(bool, shape[axis : axis + 2])))
            axis += 2
        elif kind == "int" and extent:
            items.append(draw(st.integers(-extent, extent - 1)))
            axis += 1
        else:
            items.append(draw(st.slices(extent)))
            axis += 1
    masked = 0 in shape and any(isinstance(item, np.ndarray) and item.dtype.kind == "b" for item in items)
    if draw(st.booleans()) and not masked:  # NumPy lets a mask of another shape pass where the operand is empty
        items.insert(draw(st.integers(0, len(items))), Ellipsis)
    return tuple(items)


@st.composite
def operands_and_array_keys(draw):
    shape = draw(st.lists(SIDES, min_size=1, max_size=4).map(tuple))
    return shape, draw(array_keys(shape))


def as_given(key, how, device):
    """The same key with its arrays as NumPy arrays, as lists, or as tensors."""
    forms = {
        "numpy": lambda a: a,
        "list": lambda a: a.tolist() if a.size else a,
        "tensor": lambda a: corenn.tensor(a, device=device),
    }
    return tuple(forms[how](item) if isinstance(item, np.ndarray) else item for item in key)


def check_key(shape, key, how, device):
    a = numbers(shape)
    x = corenn.tensor(a, device=device)
    given_key = as_given(key, how, device)
    try:
        expected = a[key]
    except IndexError as problem:
        if "out of bounds" in str(problem) and device != "numpy":
            return  # a backend that cannot tell without waiting does not
        with pytest.raises(ShapeError):
            x[given_key]
        return
    np.testing.assert_array_equal(x[given_key].numpy(), expected)
    weights = numbers(expected.shape) ** 2
    with corenn.GradientTape() as tape:
        tape.watch(x)
        loss = corenn.sum(x[given_key] * weights)
    gradient = tape.gradient(loss, x)
    added = np.zeros(shape)
    np.add.at(added, key, weights)
    np.testing.assert_allclose(gradient.numpy(), added)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=150, deadline=None)
@given(case=operands_and_array_keys(), how=st.sampled_from(["numpy", "list", "tensor"]))
def test_keys_with_arrays_mean_what_they_mean_in_numpy(device, case, how):
    check_key(*case, how, device)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_basic_keys_mean_what_they_mean_in_numpy(device, data):
    shape = data.draw(st.lists(SIDES, max_size=4).map(tuple))
    key = data.draw(hnp.basic_indices(shape, allow_newaxis=True, max_dims=8))
    check_key(shape, key if isinstance(key, tuple) else (key,), "numpy", device)


FIXED_KEYS = [
    ((2, 3, 4), np.s_[[0, 1], ..., [0, 1], :]),  # an Ellipsis for no axis still parts the arrays
    ((2, 3, 4), np.s_[:, [0, 1], [1, 2]]),
    ((2, 3, 4), np.s_[0, :, [1, 2, 3]]),
    ((2, 3, 4), np.s_[:, 1, [[1, 2], [3, 0]]]),
    ((2, 3, 4), np.s_[[1], None, [2]]),
    ((2, 3, 4), np.s_[True, [0, 1]]),
    ((2, 3, 4), np.s_[:, False]),
    ((2, 3, 4), np.s_[...]),
    ((2, 3, 4), np.s_[()]),
    ((3,), np.s_[[]]),
    ((3,), np.s_[5:1]),
    ((3,), np.s_[-100:100:2]),
    ((), np.s_[True]),
    ((), np.s_[None, ..., None]),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("shape", "key"), FIXED_KEYS, ids=lambda v: str(v))
def test_keys_worth_naming(shape, key, device):
    a = numbers(shape)
    np.testing.assert_array_equal(corenn.tensor(a, device=device)[key].numpy(), a[key])


ALTERNATIVES = [
    ("a tensor of one integer", lambda: corenn.tensor(2), 2),
    ("a NumPy integer", lambda: np.int64(-1), -1),
    ("a 0-d array", lambda: np.array(1), 1),
    ("a list of tensors", lambda: [corenn.tensor(0), corenn.tensor(2)], [0, 2]),
    ("a range", lambda: range(2), [0, 1]),
    ("nested lists", lambda: ([[0, 1], [2, 0]],), ([[0, 1], [2, 0]],)),
    ("bounds that are tensors", lambda: slice(corenn.tensor(1), corenn.tensor(3)), slice(1, 3)),
    ("bounds that are NumPy integers", lambda: slice(np.int32(0), np.uint8(2)), slice(0, 2)),
    ("a bool tensor", lambda: corenn.tensor([True, False, True]), [True, False, True]),
    ("a bool of no axes", lambda: corenn.tensor(True), True),
    ("a NumPy bool", lambda: np.bool_(False), False),
]


@pytest.mark.parametrize(("make", "same"), [c[1:] for c in ALTERNATIVES], ids=[c[0] for c in ALTERNATIVES])
def test_forms_of_indices(make, same):
    a = numbers((3, 2))
    np.testing.assert_array_equal(corenn.tensor(a)[make()].numpy(), a[same])


WRONG_KEYS = [
    (np.s_[3], ShapeError, "index 3 is out of range for axis 0"),
    (np.s_[0, -5], ShapeError, "axis 1 has extent 4"),
    (np.s_[0, 0, 0], ShapeError, "too many indices: 3 for 2 axes"),
    (np.s_[..., ...], ShapeError, "only one '...'"),
    (np.s_[::0], ShapeError, "step of a slice is 0"),
    (np.s_[[0, 3]], ShapeError, "3"),
    (np.s_[[0, 1], [0, 1, 2]], ShapeError, "do not broadcast"),
    (np.s_[[True, False]], ShapeError, "mask of shape [2]"),
    (np.s_[1.0], DTypeError, "float is no index"),
    (np.s_["a"], DTypeError, "str is no index"),
    (np.s_[0.5:], DTypeError, "float in a slice"),
    (np.s_[[0.0, 1.0]], DTypeError, "float64 is no index"),
    (np.s_[[[0], [1, 2]]], ShapeError, "ragged"),
]


@pytest.mark.parametrize(("key", "exception", "message"), WRONG_KEYS, ids=lambda v: str(v))
def test_wrong_keys_say_what_is_wrong(key, exception, message):
    with pytest.raises(exception) as caught:
        corenn.tensor(numbers((3, 4)))[key]
    assert message in str(caught.value)


def test_a_tensor_of_floats_is_no_index():
    with pytest.raises(DTypeError, match="float32 is no index"):
        corenn.tensor([1.0, 2.0])[corenn.tensor([0.0])]


def test_a_mask_tensor_of_another_shape_is_refused():
    with pytest.raises(ShapeError, match="mask has another shape"):
        corenn.tensor(numbers((3, 4)))[corenn.tensor([True, False])]


@pytest.mark.parametrize("key", [1, slice(1, 3), (slice(None), 2), (None, slice(None, None, 2))], ids=str)
def test_basic_parts_share_memory_on_numpy(key):
    x = corenn.tensor(numbers((4, 4)))
    assert np.shares_memory(x[key].data, x.data)


def test_a_variable_reads_its_present_value_and_is_recorded():
    v = corenn.Variable([1.0, 2.0, 3.0])
    part = v[1:]
    v.assign([4.0, 5.0, 6.0])
    assert part.tolist() == [2.0, 3.0] and v[-1].item() == 6.0
    with corenn.GradientTape() as tape:
        loss = v[0] * v[0]
    assert tape.gradient(loss, v).tolist() == [8.0, 0.0, 0.0]


def test_reading_an_unwatched_tensor_inside_a_tape_is_not_recorded():
    x, w = corenn.tensor([1.0, 2.0]), corenn.tensor(3.0)
    with corenn.GradientTape() as tape:
        tape.watch(w)
        loss = x[1] * w
        recorded = len(tape.entries)
    assert recorded == 1
    assert tape.gradient(loss, w).item() == 2.0


def test_a_backend_with_its_own_kernel_is_asked_also_for_plain_keys():
    from corenn_numpy.backend import NumpyBackend

    from corenn.backend import Kernel, use_backend

    asked = []

    class Listening(NumpyBackend):
        name = "listening"

        def kernels(self):
            def kernel(x, *, pattern):
                asked.append(pattern)
                return x[pattern[0][1]]

            return {"index": Kernel(kernel)}

    use_backend(Listening())
    assert corenn.tensor([5.0, 6.0], device="listening")[1].item() == 6.0
    assert asked == [(("int", 1),)]


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_gather_is_numpys_take(device, data):
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    extent = shape[axis]
    indices = data.draw(
        hnp.arrays("int32", hnp.array_shapes(min_dims=0, max_dims=2), elements=st.integers(-extent, extent - 1))
    )
    a = numbers(shape)
    found = corenn.gather(corenn.tensor(a, device=device), corenn.tensor(indices, device=device), axis=axis)
    np.testing.assert_array_equal(found.numpy(), np.take(a, indices, axis))


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_take_along_axis_is_numpys_with_its_gradient(device, data):
    shape = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    extent = shape[axis]
    lines = [n if i == axis % len(shape) or data.draw(st.booleans()) else 1 for i, n in enumerate(shape)]
    lines[axis] = data.draw(st.integers(0, 3))
    indices = data.draw(hnp.arrays("int64", tuple(lines), elements=st.integers(-extent, extent - 1)))
    a = numbers(shape)
    expected = np.take_along_axis(a, indices, axis)
    weights = numbers(expected.shape) ** 2
    x = corenn.tensor(a, device=device)
    with corenn.GradientTape() as tape:
        tape.watch(x)
        found = corenn.take_along_axis(x, corenn.tensor(indices, device=device), axis=axis)
        loss = corenn.sum(found * weights)
    np.testing.assert_array_equal(found.numpy(), expected)
    added = np.zeros(shape)
    where = list(np.indices(expected.shape))
    where[axis] = np.broadcast_to(indices, expected.shape)
    np.add.at(added, tuple(where), weights)
    np.testing.assert_allclose(tape.gradient(loss, x).numpy(), added)


@pytest.mark.parametrize(
    "call",
    [
        lambda x, i: corenn.gather(x, i),
        lambda x, i: corenn.gather_nd(x, corenn.reshape(i, shape=(-1, 1))),
        lambda x, i: corenn.take_along_axis(x, corenn.reshape(i, shape=(-1, 1)), axis=0),
        lambda x, i: corenn.take_along_axis(x[:1], corenn.reshape(i, shape=(1, -1)), axis=1),
        lambda x, i: corenn.index_add(x, 1.0, i),
        lambda x, i: corenn.index_update(x, 1.0, i),
        lambda x, i: corenn.scatter_add(x, i, corenn.zeros((2, 4), dtype="float64")),
    ],
)
@pytest.mark.parametrize("wrong", [7, -7])
def test_numpy_refuses_positions_outside_an_axis(call, wrong):
    with pytest.raises(ShapeError, match="7"):
        call(corenn.tensor(numbers((3, 4))), corenn.tensor([0, wrong]))


def test_gather_nd_against_a_loop():
    a = numbers((3, 4, 2))
    indices = np.array([[[0, 1], [2, 3]], [[-1, -1], [1, 0]]])
    expected = np.stack([[a[tuple(i)] for i in row] for row in indices])
    np.testing.assert_array_equal(corenn.gather_nd(a, indices).numpy(), expected)


def test_nonzero_argwhere_and_boolean_mask_are_numpys():
    a = np.array([[0, 3, 0], [1, 0, 2]])
    for mine, numpys in zip(corenn.nonzero(a), np.nonzero(a), strict=True):
        np.testing.assert_array_equal(mine.numpy(), numpys)
    np.testing.assert_array_equal(corenn.argwhere(a).numpy(), np.argwhere(a))
    np.testing.assert_array_equal(corenn.boolean_mask(a, a[0] > 0, axis=1).numpy(), a[:, a[0] > 0])
    np.testing.assert_array_equal(corenn.boolean_mask(a, corenn.tensor(a) > 0).numpy(), a[a > 0])
    with pytest.raises(ShapeError, match="with axes"):
        corenn.nonzero(3.0)


def test_many_moving_parts_do_not_grow_the_plan_table():
    from corenn.ops.table import TABLE

    x = corenn.tensor(numbers((300, 2)))
    before = len(TABLE["index"].plans)
    for i in range(300):
        x[i], x[i : i + 4], x[:, : i % 3]
    assert len(TABLE["index"].plans) == before
