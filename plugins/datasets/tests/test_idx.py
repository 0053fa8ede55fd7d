import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from corenn_datasets.idx import dump_idx, parse_idx, read_idx, read_pair, write_idx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from corenn.errors import DataError, DTypeError, ShapeError

DTYPES = ["u1", "i1", "<i2", ">i2", "<i4", "<f4", ">f4", "<f8"]
arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4))
)
# An example of the format by hand, as its description gives it: int16, 2 axes (2, 3), big-endian.
BY_HAND = bytes.fromhex("00000b02 00000002 00000003 0001 fffe 0003 0004 7fff 8000")
BY_HAND_ARRAY = np.array([[1, -2, 3], [4, 32767, -32768]], np.int16)
SAMPLE = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_bytes_are_those_of_the_format() -> None:
    assert dump_idx(BY_HAND_ARRAY) == BY_HAND
    read = parse_idx(BY_HAND)
    np.testing.assert_array_equal(read, BY_HAND_ARRAY)
    assert read.dtype == np.int16 and read.dtype.isnative


@given(array=arrays, suffix=st.sampled_from(["", ".gz"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_round_trip(folder: Path, array: np.ndarray, suffix: str) -> None:
    path = folder / f"array.idx{suffix}"
    write_idx(path, array)
    assert (path.read_bytes()[:2] == b"\x1f\x8b") == bool(suffix)
    read = read_idx(path)
    assert read.shape == array.shape
    assert read.dtype == array.dtype.newbyteorder("=") and read.flags.writeable
    assert read.tobytes() == array.astype(read.dtype).tobytes()  # bit for bit, whatever the NaNs


@given(array=arrays, data=st.data())
def test_every_truncation_is_an_error(array: np.ndarray, data: st.DataObject) -> None:
    whole = dump_idx(array)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(DataError, match=r"sample\.idx: is truncated"):
        parse_idx(whole[:cut], where="sample.idx")


@given(array=arrays, more=st.binary(min_size=1, max_size=9))
def test_every_addition_is_an_error(array: np.ndarray, more: bytes) -> None:
    with pytest.raises(DataError, match=r"sample\.idx: goes on after its last element"):
        parse_idx(dump_idx(array) + more, where="sample.idx")


@given(cut=st.integers(2, len(gzip.compress(dump_idx(SAMPLE), mtime=0)) - 1))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_truncated_gzip_is_an_error(folder: Path, cut: int) -> None:
    path = folder / "cut.gz"
    path.write_bytes(gzip.compress(dump_idx(SAMPLE), mtime=0)[:cut])
    with pytest.raises(DataError, match=r"cut\.gz: is truncated: its compressed data end early"):
        read_idx(path)


def test_no_flipped_bit_of_a_gzip_file_goes_unnoticed(folder: Path) -> None:
    path = folder / "flipped.gz"
    whole = gzip.compress(dump_idx(SAMPLE), mtime=0)
    refused = 0
    for bit in range(8 * len(whole)):
        path.write_bytes(_flip(whole, bit))
        try:
            read = read_idx(path)
        except DataError as error:
            assert error.where == str(path)
            refused += 1
        else:  # time, system and spare flags in the gzip header, and the padding before its trailer: not data
            np.testing.assert_array_equal(read, SAMPLE)
            assert 3 <= bit // 8 <= 9 or bit // 8 == len(whole) - 9
    assert refused > 8 * (len(whole) - 10)


def _flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "0 bytes are no IDX header"),
        (b"\0\0\x08", "3 bytes are no IDX header"),
        (b"\0\1\x08\1" + bytes(4), "does not begin with two zero bytes"),
        (b"\1\0\x08\1" + bytes(4), "does not begin with two zero bytes"),
        (b"<!doctype html>", "web page saved in place of the file"),
        (b"PK\3\4 a zip file", "first bytes: 50 4b 03 04"),
        (b"\0\0\x0a\1" + bytes(4), "0x0a is no element type"),
        (b"\0\0\x00\1" + bytes(4), "0x00 is no element type"),
        (b"\0\0\x08\0", "it has 0 axes"),
        (b"\0\0\x08\x41" + bytes(4 * 65), "it has 65 axes"),
        (b"\0\0\x08\2" + bytes(7), "ends inside the sizes of its 2 axes"),
        (
            struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1),
            "claims 79228162458924105385300197375 bytes of elements",
        ),
        (struct.pack(">HBB4I", 0, 8, 4, 0, 2**32 - 1, 2**32 - 1, 2**32 - 1), "a shape NumPy cannot hold"),
    ],
)
def test_what_is_not_idx(data: bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        parse_idx(data, where="sample.idx")
    assert str(caught.value).startswith("sample.idx: ")
    assert message in str(caught.value)
    assert caught.value.hint


def test_rest_after_the_compressed_part_is_an_error(folder: Path) -> None:
    path = folder / "long.gz"
    path.write_bytes(gzip.compress(dump_idx(SAMPLE)) + b"rest")
    with pytest.raises(DataError, match="does not decompress"):
        read_idx(path)


def test_a_damaged_header_does_not_take_the_memory(folder: Path) -> None:
    path = folder / "huge.gz"
    path.write_bytes(gzip.compress(struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 2) + bytes(9)))
    with pytest.raises(DataError, match="claims 9223372036854775808 bytes of elements, more than"):
        read_idx(path)


@pytest.mark.parametrize(("name", "message"), [("absent", "does not exist"), (".", "cannot be read")])
def test_unreadable(folder: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_idx(folder / name)


@pytest.mark.parametrize(("wanted", "found"), [({"ndim": 1}, "3 axes and labels 1"), ({"dtype": "int32"}, "uint8")])
def test_another_array_than_wanted(wanted: dict[str, object], found: str) -> None:
    with pytest.raises(DataError, match=found):
        parse_idx(dump_idx(SAMPLE), **wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("array", "error"),
    [
        (np.zeros(3, np.int64), DTypeError),
        (np.zeros(3, np.bool_), DTypeError),
        (np.zeros(3, np.complex64), DTypeError),
        (np.array(["a"]), DTypeError),
        (np.uint8(3), ShapeError),
        (np.broadcast_to(np.uint8(0), (2**32, 0)), ShapeError),
    ],
)
def test_what_idx_cannot_hold(array: np.ndarray, error: type[Exception]) -> None:
    with pytest.raises(error):
        dump_idx(array)


def test_compressed_files_are_reproducible(folder: Path) -> None:
    for name in ("a.gz", "b.gz"):
        write_idx(folder / name, SAMPLE)
    first = (folder / "a.gz").read_bytes()
    assert first == (folder / "b.gz").read_bytes()
    assert zlib.decompress(first, wbits=31) == dump_idx(SAMPLE)


def _pair(folder: Path, images: np.ndarray, labels: np.ndarray) -> tuple[Path, Path]:
    paths = folder / "images", folder / "labels"
    for path, array in zip(paths, (images, labels), strict=True):
        write_idx(path, array)
    return paths


LABELS = np.array([0, 1, 9, 3], np.uint8)


def test_pair(folder: Path) -> None:
    images, labels = read_pair(*_pair(folder, SAMPLE, LABELS), classes=10, image_shape=(3, 2))
    np.testing.assert_array_equal(images, SAMPLE)
    np.testing.assert_array_equal(labels, LABELS)


@pytest.mark.parametrize(
    ("images", "labels", "at_fault", "message"),
    [
        (SAMPLE, LABELS[:3], "images", "images and labels do not belong together"),
        (SAMPLE[:3], LABELS, "images", "images and labels do not belong together"),
        (SAMPLE, np.array([0, 1, 10, 3], np.uint8), "labels", "label 10 at index 2 is not below 10"),
        (SAMPLE.transpose(0, 2, 1), LABELS, "images", "holds images of 2x3 pixels, not 3x2"),
        (SAMPLE[:0], LABELS[:0], "images", "holds no images"),
        (LABELS, SAMPLE, "images", "the two files may be swapped"),
        (SAMPLE, SAMPLE, "labels", "the two files may be swapped"),
        (SAMPLE.astype(np.float32), LABELS, "images", "float32[4, 3, 2]"),
    ],
)
def test_pairs_that_do_not_fit(
    folder: Path, images: np.ndarray, labels: np.ndarray, at_fault: str, message: str
) -> None:
    paths = _pair(folder, images, labels)
    with pytest.raises(DataError) as caught:
        read_pair(*paths, classes=10, image_shape=(3, 2))
    assert caught.value.where == str(folder / at_fault)
    assert message in str(caught.value)
    assert caught.value.hint
