import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from corenn.checkpoint import load_file, pack_state, save_file, unpack_state
from corenn.errors import AttributeValueError, CheckpointError, DTypeError

dtypes = (
    hnp.boolean_dtypes()
    | hnp.integer_dtypes(endianness="?")
    | hnp.unsigned_integer_dtypes(endianness="?")
    | hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64))
    | hnp.complex_number_dtypes(endianness="?", sizes=(64, 128))
    | hnp.datetime64_dtypes(endianness="?")
    | hnp.unicode_string_dtypes(min_len=1, max_len=3)
    | hnp.byte_string_dtypes(min_len=1, max_len=3)
)
arrays = dtypes.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
)
keys = st.text(max_size=4) | st.sampled_from(["$array", "$dict", "a", "a/b", "b", "/", "__metadata__", "0"])
states = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | arrays,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4) | st.tuples(inner, inner),
    max_leaves=8,
)


def same(left, right) -> bool:
    """Equal in type, structure, order and every bit."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, (np.ndarray, np.generic)):
        return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()
    if isinstance(left, float):
        return (math.isnan(left) and math.isnan(right)) or (
            left == right and math.copysign(1, left) == math.copysign(1, right)
        )
    return left == right


def through_a_file(state, path):
    save_file(path, *pack_state(state))
    return unpack_state(*load_file(path))


@settings(deadline=None, max_examples=200)
@given(state=states)
def test_round_trip(tmp_path_factory, state):
    path = tmp_path_factory.getbasetemp() / "state.safetensors"
    assert same(through_a_file(state, path), state)


@pytest.mark.parametrize(
    "state",
    [
        2**64,
        -(2**70),
        10**5000,
        -0.0,
        math.inf,
        5e-324,
        1e22,
        "\ud800 lone",
        {"\ud800": np.zeros(2)},
        {"$array": "x"},
        (),
        [(), [], {}],
        np.float32(1.5),
        np.bool_(True),
        np.complex128(1 + 2j),
        np.datetime64("2024-01-02T03:04", "s"),
        np.array([b"ab\0", b"c"]),
        np.array([1.5, 2], ml_dtypes.bfloat16),
        np.array([1.5, 2], ml_dtypes.float8_e4m3b11fnuz),
        np.zeros((2, 0, 3), np.complex128),
        np.arange(6, dtype=">i4").reshape(2, 3).T,
        np.array(7, np.uint64),
        np.zeros(2, "V3"),
    ],
    ids=lambda state: type(state).__name__,
)
def test_round_trip_of_corner_cases(tmp_path, state):
    assert same(through_a_file(state, tmp_path / "x.safetensors"), state)
    assert same(through_a_file({"a": [state]}, tmp_path / "x.safetensors"), {"a": [state]})


def test_names_are_paths():
    state = {"model": {"dense/kernel": np.ones((2, 2)), "slots": [np.zeros(1), np.zeros(2)]}, "step": 3}
    tensors, metadata = pack_state(state)
    assert list(tensors) == ["model/dense/kernel", "model/slots/0", "model/slots/1"]
    assert metadata["state"]["step"] == 3
    assert tensors["model/dense/kernel"] is state["model"]["dense/kernel"]


def test_paths_that_coincide_are_told_apart():
    state = {"a/b": np.zeros(1), "a": {"b": np.ones(1)}, "a/b~2": np.full(1, 2.0)}
    tensors, metadata = pack_state(state)
    assert len(tensors) == 3
    assert same(unpack_state(tensors, metadata), state)


class Foreign:
    def __array__(self, dtype=None, copy=None):
        return np.arange(3)


def test_objects_with_array_come_back_as_arrays():
    assert same(unpack_state(*pack_state({"x": Foreign()})), {"x": np.arange(3)})


def loop() -> list:
    inner: list = []
    inner.append(inner)
    return inner


@pytest.mark.parametrize(
    ("state", "error", "words"),
    [
        ({"a": [1, {2, 3}]}, AttributeValueError, r"state\['a'\]\['1'\] is a set"),
        ({"a": {1: 2}}, AttributeValueError, r"state\['a'\] has the key 1"),
        ({"a": b"x"}, AttributeValueError, "bytes"),
        ({"a": 1j}, AttributeValueError, "complex"),
        ({"a": object()}, AttributeValueError, "object"),
        ({"a": np.array([None])}, DTypeError, r"state\['a'\]"),
        ({"a": np.zeros(1, "f4,i4")}, DTypeError, "kept exactly"),
        ({"a": np.zeros(1, np.longdouble)}, DTypeError, "long double"),
        ({"a": np.ma.masked_array([1])}, AttributeValueError, "MaskedArray"),
        (loop(), AttributeValueError, "contains itself"),
    ],
)
def test_refuses_what_it_cannot_keep(state, error, words):
    with pytest.raises(error, match=words):
        pack_state(state)


def packed():
    return pack_state({"w": np.ones(2), "z": np.ones(2, np.complex128), "n": 2**70})


def drop_tensor(tensors, metadata):
    del tensors["w"]


def add_tensor(tensors, metadata):
    tensors["more"] = np.zeros(1)


def drop_state(tensors, metadata):
    del metadata["state"]


def unknown_mark(tensors, metadata):
    metadata["state"]["n"] = {"$set": []}


def bad_int(tensors, metadata):
    metadata["state"]["n"] = {"$int": "zz"}


def bad_dtype(tensors, metadata):
    metadata["state"]["z"]["dtype"] = "<q99"


def wrong_size(tensors, metadata):
    metadata["state"]["z"]["shape"] = [3]


def bad_pairs(tensors, metadata):
    metadata["state"]["n"] = {"$dict": [1]}


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (drop_tensor, "'w' .* is missing"),
        (add_tensor, "1 tensors do not belong"),
        (drop_state, "no 'state'"),
        (unknown_mark, r"unknown mark '\$set'"),
        (bad_int, "malformed"),
        (bad_dtype, "malformed"),
        (wrong_size, "does not fit"),
        (bad_pairs, "malformed"),
    ],
)
def test_unpack_is_strict(spoil, words):
    tensors, metadata = packed()
    spoil(tensors, metadata)
    with pytest.raises(CheckpointError, match=words):
        unpack_state(tensors, metadata)
