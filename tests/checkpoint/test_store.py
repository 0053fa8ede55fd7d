import contextlib
import os
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from corenn.checkpoint import _atomic, load_file, load_metadata, load_specs, save_file
from corenn.errors import AttributeValueError, CheckpointError, DTypeError, MissingExtraError

NATIVE = ["?", "u1", "i1", "u2", "i2", "f2", "u4", "i4", "f4", "u8", "i8", "f8", "c8"]
EXTENSION = [ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2, ml_dtypes.float8_e8m0fnu]
CRC_AT = 8 + len('{"__metadata__":{"corenn_crc32":"')

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=8).filter(lambda name: name != "__metadata__")
arrays = st.sampled_from(NATIVE).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def same(left: np.ndarray, right: np.ndarray) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.safetensors"


@settings(deadline=None, max_examples=60)
@given(tensors=st.dictionaries(names, arrays, max_size=5), metadata=st.dictionaries(names, json_values, max_size=3))
def test_round_trip(tmp_path_factory, tensors, metadata):
    path = tmp_path_factory.getbasetemp() / "round.safetensors"
    save_file(path, tensors, metadata)
    loaded, read = load_file(path)
    assert list(loaded) == list(tensors)
    assert all(same(loaded[name], tensors[name]) and loaded[name].flags.writeable for name in tensors)
    assert read == metadata == load_metadata(path)
    by_library = safetensors.numpy.load_file(path)
    assert by_library.keys() == tensors.keys()
    assert all(same(by_library[name], tensors[name]) for name in tensors)


@settings(deadline=None, max_examples=40)
@given(  # min_size: without tensors, safetensors 0.8.0 writes a header that is not JSON
    tensors=st.dictionaries(names, arrays, min_size=1, max_size=5),
    metadata=st.dictionaries(names, st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=4),
)
def test_reads_files_of_the_library(tmp_path_factory, tensors, metadata):
    path = tmp_path_factory.getbasetemp() / "library.safetensors"
    safetensors.numpy.save_file(tensors, path, metadata)
    loaded, read = load_file(path)
    assert loaded.keys() == tensors.keys()
    assert all(same(loaded[name], tensors[name]) for name in tensors)
    assert read == metadata == load_metadata(path)


@pytest.mark.parametrize("dtype", EXTENSION, ids=lambda dtype: dtype.__name__)
def test_extension_types(path, dtype):
    values = np.array([[0.5, 1.0, 2.0], [4.0, 8.0, 16.0]], dtype)
    save_file(path, {"x": values, "scalar": values[0, 0], "none": values[:0]})
    loaded, _ = load_file(path)
    assert same(loaded["x"], values) and loaded["scalar"].shape == () and same(loaded["none"], values[:0])
    with safetensors.safe_open(path, "np") as file:  # the library checks the header's own consistency
        assert set(file.keys()) == {"x", "scalar", "none"}
        assert file.get_slice("x").get_shape() == [2, 3]


BASE = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("given_array", "expected"),
    [
        (BASE.T, BASE.T),
        (BASE[:, ::-2, 1::2], BASE[:, ::-2, 1::2]),
        (np.asfortranarray(BASE), BASE),
        (BASE.astype(">f4"), BASE),
        (np.broadcast_to(np.int16(7), (3, 2)), np.full((3, 2), 7, np.int16)),
        (np.array(3.5), np.array(3.5)),
        (np.zeros((0, 3), np.int8), np.zeros((0, 3), np.int8)),
        (2.5, np.array(2.5)),
        ([[1, 2], [3, 4]], np.array([[1, 2], [3, 4]])),
    ],
    ids=["transposed", "strided", "fortran", "big-endian", "broadcast", "scalar", "empty", "float", "nested-list"],
)
def test_layouts_of_the_input(path, given_array, expected):
    save_file(path, {"x": given_array, "y": np.ones(3, np.uint8)})
    loaded, _ = load_file(path)
    assert same(loaded["x"], np.ascontiguousarray(expected).reshape(expected.shape))


def test_large_tensor_spans_chunks(path):
    data = np.random.default_rng(0).integers(0, 256, 9 << 20, np.uint8)
    save_file(path, {"x": data, "y": data[:5]})
    assert np.array_equal(load_file(path)[0]["x"], data)
    assert np.array_equal(safetensors.numpy.load_file(path)["x"], data)


def test_tensors_are_aligned(path):
    save_file(path, {"a": np.zeros(3, np.uint8), "b": np.zeros(1, np.float64), "c": np.zeros(1, np.int16)})
    raw = path.read_bytes()
    assert struct.unpack("<Q", raw[:8])[0] % 8 == 0
    assert safetensors.safe_open(path, "np").offset_keys() == ["b", "c", "a"]


class Foreign:
    def __array__(self, dtype=None, copy=None):
        return np.arange(3, dtype=np.int32)


def test_anything_with_array_is_taken(path):
    save_file(path, {"x": Foreign()})
    assert same(load_file(path)[0]["x"], np.arange(3, dtype=np.int32))


@pytest.mark.parametrize(
    ("tensors", "metadata", "error", "words"),
    [
        ({"x": np.array(["a"])}, {}, DTypeError, "pack_state"),
        ({"x": np.zeros(2, np.complex128)}, {}, DTypeError, "complex128"),
        ({"x": np.ma.masked_array([1, 2])}, {}, DTypeError, "masked"),
        ({"x": np.array([None])}, {}, DTypeError, "object"),
        ({"__metadata__": np.zeros(1)}, {}, AttributeValueError, "__metadata__"),
        ({"\ud800": np.zeros(1)}, {}, AttributeValueError, "Unicode"),
        ({3: np.zeros(1)}, {}, AttributeValueError, "string"),
        ({}, {"corenn_crc32": "x"}, AttributeValueError, "corenn_crc32"),
        ({}, {"k": float("nan")}, AttributeValueError, "not JSON"),
        ({}, {"k": {1: 2}}, AttributeValueError, "come back changed"),
        ({}, {"k": (1, 2)}, AttributeValueError, "come back changed"),
        ({}, {"k": np.float64(1.5)}, AttributeValueError, "come back changed"),
        ({}, {"k": {1, 2}}, AttributeValueError, "not JSON"),
    ],
)
def test_refuses_what_it_cannot_hold(path, tensors, metadata, error, words):
    with pytest.raises(error, match=words):
        save_file(path, tensors, metadata)
    assert os.listdir(path.parent) == []


# --- damage ----------------------------------------------------------------------------------------------------------


def make(path: Path) -> bytes:
    save_file(path, {"w": BASE, "flag": np.array([True, False])}, {"step": 3, "note": "é"})
    return path.read_bytes()


def test_every_truncation_is_noticed(path):
    raw = make(path)
    for size in range(len(raw)):
        path.write_bytes(raw[:size])
        with pytest.raises(CheckpointError, match=r"a\.safetensors"):
            load_file(path)


def test_every_flipped_bit_is_noticed(path):
    raw = make(path)
    for bit in range(8 * len(raw)):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"a\.safetensors"):
            load_file(path)


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_any_other_content_is_an_error_that_names_the_file(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.safetensors"
    raw = bytearray(make(path))
    begin = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(begin, len(raw)))
    patch = data.draw(st.binary(max_size=64))
    changed = bytes(raw[:begin] + patch + raw[end:])
    path.write_bytes(changed)
    if changed == raw:
        load_file(path)
    else:
        with pytest.raises(CheckpointError, match=r"damaged\.safetensors"):
            load_file(path)


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_damage_to_files_without_checksum_is_no_other_error(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "foreign.safetensors"
    raw = safetensors.numpy.save({"w": BASE, "flag": np.array([True, False])}, {"k": "v"})
    begin = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(begin, len(raw)))
    path.write_bytes(raw[:begin] + data.draw(st.binary(max_size=20)) + raw[end:])
    with contextlib.suppress(CheckpointError):
        assert all(isinstance(array, np.ndarray) for array in load_file(path)[0].values())


def header(text: str, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode() + data


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "only 0 bytes"),
        (b"PK\x03\x04" + b"\xff" * 60, "zip archive"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 60, "HDF5"),
        (b"\xff" * 64, "not a safetensors file"),
        (header("[]"), "not a JSON object"),
        (header('{"a":'), "not valid"),
        (header('{"a":1}'), "malformed"),
        (header('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}}'), "malformed"),
        (header('{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}', b"\0"), "malformed"),
        (header('{"a":{"dtype":"U8","shape":[true],"data_offsets":[0,1]}}', b"\0"), "malformed"),
        (header('{"a":{"dtype":"Q8","shape":[1],"data_offsets":[0,1]}}', b"\0"), "element type 'Q8'"),
        (header('{"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}}', b"\0"), "element type 'F4'"),
        (header('{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,1]}}', b"\0"), "do not fit"),
        (header('{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}', b"\0\0"), "begins at byte 1"),
        (header('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"\0\0"), "holds 2"),
        (header('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'), "holds 0"),
        (header('{"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}', b"\2"), "boolean"),
        (
            header('{"a":{"dtype":"U8","shape":[0,N],"data_offsets":[0,0]}}'.replace("N", str(2**70))),
            "impossible shape",
        ),
        (
            header('{"a":{"dtype":"U8","shape":[1N],"data_offsets":[0,1]}}'.replace("N", ",1" * 98), b"\0"),
            "impossible shape",
        ),
        (header('{"__metadata__":{"corenn_crc32":"\\ud800","corenn_format":"1"}}'), "checksum is not where"),
        (header('{"__metadata__":{"k":1}}'), "table of strings"),
        (header('{"__metadata__":{"k":"1","k":"2"}}'), "twice"),
        (header('{"__metadata__":{"corenn_format":"1"}}'), "checksum is not where"),
        (header('{"__metadata__":{"corenn_crc32":"zzzzzzzz","corenn_format":"1"}}'), "checksum should be zzzzzzzz"),
        (header('{"__metadata__":{"corenn_crc32":"00000000","corenn_format":"9"}}'), "format '9'"),
        (header('{"__metadata__":{"corenn_crc32":"00000000","corenn_format":"1"}}'), "checksum should be"),
        (header("[" * 100_000), "not valid"),
    ],
)
def test_malformed_files(path, raw, words):
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match=words):
        load_file(path)


def test_missing_and_unreadable(tmp_path):
    for read in (load_file, load_metadata, load_specs):
        with pytest.raises(CheckpointError, match=r"none\.safetensors: does not exist"):
            read(tmp_path / "none.safetensors")
        with pytest.raises(CheckpointError, match="cannot be read"):
            read(tmp_path)


def test_bfloat16_without_ml_dtypes(path, monkeypatch):
    save_file(path, {"x": np.zeros(2, ml_dtypes.bfloat16)})
    monkeypatch.setitem(__import__("sys").modules, "ml_dtypes", None)
    with pytest.raises(MissingExtraError, match=r"corenn\[bfloat16\]"):
        load_file(path)


# --- atomic ----------------------------------------------------------------------------------------------------------


def test_failed_write_keeps_the_old_file(path, monkeypatch):
    save_file(path, {"x": np.zeros(2)})
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_atomic.os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        save_file(path, {"x": np.ones(2)})
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


def test_file_and_directory_are_synced_around_the_rename(path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace

    def traced_fsync(descriptor):
        calls.append("directory" if os.path.isdir(f"/dev/fd/{descriptor}") else "file")
        fsync(descriptor)

    def traced_replace(source, target):
        calls.append("rename")
        assert Path(source).parent == Path(target).parent
        replace(source, target)

    monkeypatch.setattr(_atomic.os, "fsync", traced_fsync)
    monkeypatch.setattr(_atomic.os, "replace", traced_replace)
    save_file(path, {"x": np.zeros(2)})
    assert calls == ["file", "rename", "directory"]


def test_missing_directory(tmp_path):
    with pytest.raises(CheckpointError, match="No such file or directory"):
        save_file(tmp_path / "no" / "x.safetensors", {})


def test_shapes_and_types_are_read_without_the_values(path: Path) -> None:
    tensors = {dtype: np.ones((2, 0, 3), dtype) for dtype in NATIVE} | {"bf16": np.ones((), ml_dtypes.bfloat16)}
    save_file(path, tensors)
    assert load_specs(path) == {name: (a.shape, a.dtype.name) for name, a in tensors.items()}
    safetensors.numpy.save_file({"b": np.ones(2, "f4"), "a": np.ones((1, 3), "i8")}, path)
    assert load_specs(path) == {"a": ((1, 3), "int64"), "b": ((2,), "float32")}
    data = path.read_bytes()
    path.write_bytes(data[:-1])
    with pytest.raises(CheckpointError, match="should hold"):
        load_specs(path)
