import itertools
import os
import struct
import sys
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from corenn.checkpoint import _atomic, _bundle_messages, _sstable
from corenn.checkpoint.tensor_bundle import (
    BundleReader,
    exists,
    write_bundle,
)
from corenn.errors import AttributeValueError, CheckpointError, DTypeError, MissingExtraError, UsageError
from corenn.records.checksum import Crc32c

NATIVE = ["?", "u1", "i1", "u2", "i2", "f2", "u4", "i4", "f4", "u8", "i8", "f8", "c8", "c16"]
EXTENSION = [
    ml_dtypes.bfloat16,
    ml_dtypes.float8_e5m2,
    ml_dtypes.float8_e4m3fn,
    ml_dtypes.float8_e4m3fnuz,
    ml_dtypes.float8_e4m3b11fnuz,
    ml_dtypes.float8_e5m2fnuz,
]
#: Written by TensorFlow 2.21: float32 "p" of shape [10, 6] in two slices, and the strings "q/é".
REAL_INDEX = bytes.fromhex(
    "00000608011a020801000a130070000101028085807f080112081202080512020806287835ff4cec98060415858580860801120812020805"
    "120208062078287835ff4cec9800012070080112081202080a120208063a060a0210050a003a0a0a04080510050a021006000412712fc3a9"
    "080712041202080220f0012808351a87890e000000000100000000a274d349000000000100000000c0f2a1b000010372008a010000000001"
    "00000000122fff4a8f01089c010f0000000000000000000000000000000000000000000000000000000000000000000057fb808b247547db"
)
REAL_DATA = np.arange(30, dtype="<f4").tobytes() * 2 + bytes.fromhex("020078270b346100")
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
numbers = st.sampled_from(NATIVE).flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))
)
strings = hnp.arrays(object, hnp.array_shapes(min_dims=0, max_dims=2, min_side=0), elements=st.binary(max_size=200))


def same(left: np.ndarray, right: np.ndarray) -> bool:
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    return left.tolist() == right.tolist() if left.dtype == object else left.tobytes() == right.tobytes()


def read_all(prefix) -> dict[str, np.ndarray]:
    with BundleReader(prefix) as reader:
        return dict(reader.items())


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return tmp_path / "model.ckpt-7"


# --- a second writer, made from the description of the format: checks the first, and makes what that does not --------


def crc32c(data: bytes) -> int:
    """One bit at a time (RFC 3720, appendix B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF


def varint(value: int) -> bytes:
    head = b""
    while value > 127:
        head, value = head + bytes([value & 127 | 128]), value >> 7
    return head + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def header(shards=1, *rest: bytes) -> bytes:
    return field(1, shards) + b"".join(rest)


def entry(dtype, shape, offset, data, shard=0, slices=(), crc=None, size=None) -> bytes:
    message = field(1, dtype) + field(2, b"".join(field(2, field(1, n)) for n in shape))
    message += field(3, shard) + field(4, offset) + field(5, len(data) if size is None else size)
    message += varint(6 << 3 | 5) + struct.pack("<I", masked(data) if crc is None else crc)
    return message + b"".join(field(7, part) for part in slices)


def block(records, compression=0) -> bytes:
    """``records``: pairs, or bytes that are already laid out."""
    body = records
    if isinstance(records, list):
        body = b"".join(b"\0" + varint(len(key)) + varint(len(value)) + key + value for key, value in records)
    body += struct.pack("<II", 0, 1)
    return body + bytes([compression]) + struct.pack("<I", masked(body + bytes([compression])))


def table(*blocks: list[tuple[bytes, bytes]] | bytes, compression=0, last=None) -> bytes:
    out, index = b"", []
    for records in blocks:
        made = block(records, compression)
        index.append((records[-1][0] if last is None else last, varint(len(out)) + varint(len(made) - 5)))
        out += made
    handles = varint(len(out)) + varint(len(block([])) - 5)
    out += block([])
    handles += varint(len(out)) + varint(len(block(index)) - 5)
    return out + block(index) + handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def put(prefix: Path, index: bytes, *shards: bytes) -> Path:
    Path(f"{prefix}.index").write_bytes(index)
    for number, data in enumerate(shards):
        Path(f"{prefix}.data-{number:05d}-of-{len(shards):05d}").write_bytes(data)
    return prefix


ONE = struct.pack("<f", 1.5)
GOOD = entry(1, (), 0, ONE)


def test_checksum_of_the_oracle():
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C


@settings(deadline=None)
@given(pieces=st.lists(st.binary(max_size=300), max_size=6))
def test_checksum_in_pieces(pieces):
    crc = Crc32c()
    for piece in pieces:
        crc.add(piece)
    assert crc.masked == masked(b"".join(pieces))


# --- round trips -----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=80)
@given(tensors=st.dictionaries(names, numbers | strings, max_size=5))
def test_round_trip(tmp_path_factory, tensors):
    prefix = tmp_path_factory.getbasetemp() / "round"
    write_bundle(prefix, tensors)
    with BundleReader(prefix) as reader:
        assert reader.names() == sorted(tensors, key=str.encode) and len(reader) == len(tensors)
        for name, array in tensors.items():
            assert name in reader and reader.shape_and_dtype(name) == (array.shape, array.dtype)
            assert same(reader.read(name), array) and reader.read(name).flags.writeable


@settings(deadline=None, max_examples=40)
@given(
    keys=st.sets(st.binary(min_size=1, max_size=6) | st.binary(min_size=1, max_size=2).map(lambda b: b * 30)),
    size=st.integers(1, 400),
    interval=st.integers(1, 5),
)
def test_tables_of_any_blocks(keys, size, interval):
    records = [(key, key[::-1] * 3) for key in sorted(keys)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_sstable, "BLOCK_SIZE", size)
        patch.setattr(_sstable._BlockBuilder.__init__, "__defaults__", (interval,))
        made = _sstable.build(records)
    assert _sstable.parse(made, "t") == records


@pytest.mark.parametrize("dtype", EXTENSION, ids=lambda dtype: dtype.__name__)
def test_extension_types(prefix, dtype):
    values = np.array([[0.5, 1.0, 2.0], [4.0, 8.0, 16.0]], dtype)
    write_bundle(prefix, {"x": values, "scalar": values[0, 0], "none": values[:0]})
    loaded = read_all(prefix)
    assert same(loaded["x"], values) and loaded["scalar"].shape == () and same(loaded["none"], values[:0])


BASE = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("given_array", "expected"),
    [
        (BASE.T, BASE.T),
        (BASE[:, ::-2, 1::2], BASE[:, ::-2, 1::2]),
        (np.asfortranarray(BASE), BASE),
        (BASE.astype(">f4"), BASE),
        (np.broadcast_to(np.int16(7), (3, 2)), np.full((3, 2), 7, np.int16)),
        (2.5, np.array(2.5)),
        ([[1, 2], [3, 4]], np.array([[1, 2], [3, 4]])),
        (b"a\0", np.array(b"a\0", object)),
        ("é", np.array("é".encode(), object)),
        ([[b"a\0", b""]], np.array([[b"a\0", b""]], object)),
        (np.array(["b", "é"]), np.array([b"b", "é".encode()], object)),
        (np.array([b"b", "é"], object)[::-1], np.array(["é".encode(), b"b"], object)),
        (np.bytes_(b"ab"), np.array(b"ab", object)),
    ],
    ids=str,
)
def test_inputs(prefix, given_array, expected):
    write_bundle(prefix, {"x": given_array, "y": np.ones(3, np.uint8)})
    assert same(read_all(prefix)["x"], np.asarray(expected, order="C"))


def test_many_and_large_tensors(prefix):
    tensors = {f"block_{i:05d}/layer/kernel_of_some_length/Adam_{i % 3}": np.full(i % 4, i) for i in range(9000)}
    tensors["large"] = np.random.default_rng(0).integers(0, 256, (3, 1_000_001), np.uint8)  # several chunks
    write_bundle(prefix, tensors)
    assert os.path.getsize(f"{prefix}.index") > 2 * _sstable.BLOCK_SIZE - 10_000
    loaded = read_all(prefix)
    assert list(loaded) == sorted(tensors) and all(same(loaded[name], tensors[name]) for name in tensors)


def test_bytes_that_are_written(prefix):
    """The data is the arrays' own bytes, in the order of names; the index is as the second writer has it."""
    write_bundle(prefix, {"b": np.float32(1.5), "a": np.array([b"xy", b""], object), "c": np.zeros((2, 0), bool)})
    lengths = struct.pack("<II", 2, 0)
    text = b"\2\0" + struct.pack("<I", masked(lengths)) + b"xy"
    assert Path(f"{prefix}.data-00000-of-00001").read_bytes() == text + ONE
    found = dict(_sstable.parse(Path(f"{prefix}.index").read_bytes(), "i"))
    assert list(found) == [b"", b"a", b"b", b"c"]
    assert found[b""] == b"\x08\x01\x1a\x02\x08\x01"  # one shard, little endian, version 1: as TensorFlow writes it
    crc = struct.pack("<I", masked(lengths + text[2:]))
    assert found[b"a"] == b"\x08\x07\x12\x04\x12\x02\x08\x02\x28\x08\x35" + crc
    assert found[b"b"] == b"\x08\x01\x12\x00\x20\x08\x28\x04\x35" + struct.pack("<I", masked(ONE))
    assert found[b"c"] == b"\x08\x0a\x12\x06\x12\x02\x08\x02\x12\x00\x20\x0c\x35" + struct.pack("<I", masked(b""))


@pytest.mark.parametrize(
    ("tensors", "error", "words"),
    [
        ({"": 1.0}, AttributeValueError, "not empty"),
        ({3: 1.0}, AttributeValueError, "not empty"),
        ({"\ud800": 1.0}, AttributeValueError, "Unicode"),
        ({"x": "\ud800"}, AttributeValueError, "Unicode"),
        ({"x": [b"a", None]}, DTypeError, "NoneType"),
        ({"x": np.zeros(2, np.longdouble)}, DTypeError, "cannot hold"),
        ({"x": np.zeros(2, "M8[s]")}, DTypeError, "cannot hold"),
        ({"x": np.ma.masked_array([1, 2])}, DTypeError, "masked"),
        ({"x": np.ma.masked_array([b"a"])}, DTypeError, "masked"),
    ],
)
def test_refuses_what_it_cannot_hold(prefix, tensors, error, words):
    with pytest.raises(error, match=words):
        write_bundle(prefix, tensors)
    assert os.listdir(prefix.parent) == []


# --- what others wrote -----------------------------------------------------------------------------------------------


def test_file_of_tensorflow(prefix):
    put(prefix, REAL_INDEX, REAL_DATA)
    with BundleReader(prefix) as reader:
        assert reader.names() == ["p", "q/é"]  # not the keys of the slices
        assert reader.shape_and_dtype("p") == ((10, 6), np.float32)
        assert same(reader.read("p"), np.tile(np.arange(30, dtype=np.float32).reshape(5, 6), (2, 1)))
        assert reader.read("q/é").tolist() == [b"a\0", b""]


def test_several_shards_and_blocks(prefix):
    first, second = np.arange(3, dtype="<i8").tobytes(), b"\1\0\1"
    records = [(b"", header(2)), (b"a", entry(10, (3,), 2, second, 1)), (b"b", entry(9, (3,), 0, first))]
    put(prefix, table(records[:2], records[2:]), first, b"??" + second)
    assert {name: array.tolist() for name, array in read_all(prefix).items()} == {
        "a": [True, False, True],
        "b": [0, 1, 2],
    }


BIG = [
    (1, np.array([[1.5], [-2.0]], np.float32)),
    (18, np.array([1 + 2j, 3 - 4j])),
    (14, np.array([1.5, 3.0], ml_dtypes.bfloat16)),
    (6, np.array([1, -2], np.int8)),
    (12, np.array([1, 255], np.uint8)),  # quint8
]


@pytest.mark.parametrize(("number", "values"), BIG)
def test_big_endian(prefix, number, values):
    unit = values.dtype.itemsize // (2 if values.dtype.kind == "c" else 1)
    data = values.reshape(-1).view(f"u{unit}").byteswap().tobytes()
    put(prefix, table([(b"", header(1, field(2, 1))), (b"x", entry(number, values.shape, 0, data))]), data)
    assert same(read_all(prefix)["x"], values)


def test_big_endian_strings(prefix):
    lengths, text = struct.pack(">I", 3), b"abc"
    stored = struct.pack(">I", masked(lengths)) + text
    made = entry(7, (), 0, b"\3" + stored, crc=masked(lengths + stored))
    put(prefix, table([(b"", header(1, field(2, 1))), (b"x", made)]), b"\3" + stored)
    assert read_all(prefix)["x"][()] == b"abc"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0, "80"),
        (-1, "7f"),
        (63, "bf"),
        (64, "c040"),
        (-64, "40"),
        (-65, "3fbf"),
        (8191, "dfff"),
        (8192, "e02000"),
        (300, "c12c"),
        (2**40, "fd0000000000"),
        (2**62, "ffc04000000000000000"),
    ],
)
def test_numbers_in_the_keys_of_slices(value, code):
    """From the definition: as many leading ones as bytes, then the value, big endian; negative ones complemented."""
    key = _bundle_messages.slice_key(b"n\0\xff", ((0, value),))
    assert key == b"\0n\0\xff\xff\0\0\1\1\1\x80" + bytes.fromhex(code)


def partitioned(whole: np.ndarray, cuts: list[int], keep=lambda key: True, shape=None) -> tuple[bytes, bytes]:
    """Index and data of ``x``, cut along its first axis before each row of ``cuts``."""
    edges = [0, *cuts, len(whole)]
    slices, data, records = [], b"", []
    for start, end in itertools.pairwise(edges):
        extents = ((start, end - start), *[(0, -1)] * (whole.ndim - 1))
        part = whole[start:end].tobytes()
        slices.append(b"".join(field(1, field(1, a) + (b"" if n < 0 else field(2, n))) for a, n in extents))
        records.append((_bundle_messages.slice_key(b"x", extents), entry(9, whole[start:end].shape, len(data), part)))
        data += part
    shape = whole.shape if shape is None else shape
    records = [(b"", header()), *filter(keep, records), (b"x", field(1, 9) + entry(9, shape, 0, b"", slices=slices))]
    return table(sorted(dict(records).items())), data


@settings(deadline=None, max_examples=60)
@given(rows=st.integers(1, 200), columns=st.integers(0, 3), data=st.data())
def test_partitioned_variables(tmp_path_factory, rows, columns, data):
    cuts = sorted(data.draw(st.sets(st.integers(1, rows - 1), max_size=4))) if rows > 1 else []
    whole = np.arange(rows * columns).reshape(rows, columns)
    prefix = put(tmp_path_factory.getbasetemp() / "parts", *partitioned(whole, cuts))
    assert same(read_all(prefix)["x"], whole)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"keep": lambda record: b"\x82\x82" not in record[0]}, r"a slice of tensor 'x' is missing: 2,2:-"),
        ({"shape": (5, 3)}, "have 12 elements of 15"),
        ({"shape": (3, 4)}, "lies outside"),
        ({"shape": (12,)}, "rank"),
        ({"cuts": [2, 2]}, None),
    ],
)
def test_slices_that_do_not_fit(prefix, change, words):
    put(prefix, *partitioned(np.arange(12).reshape(4, 3), **{"cuts": [2], **change}))
    if words is None:
        assert read_all(prefix)["x"].shape == (4, 3)  # an empty slice is none
    else:
        with pytest.raises(CheckpointError, match=words):
            read_all(prefix)


def test_slices_that_overlap(prefix):
    extents, data = [((0, 2),), ((1, 2),)], struct.pack("<2q", 5, 6)
    slices = [b"".join(field(1, field(1, a) + field(2, n)) for a, n in part) for part in extents]
    records = [(_bundle_messages.slice_key(b"x", part), entry(9, (2,), 0, data)) for part in extents]
    put(prefix, table([(b"", header()), *records, (b"x", entry(9, (4,), 0, b"", slices=slices))]), data)
    with pytest.raises(CheckpointError, match="overlap"):
        read_all(prefix)


# --- damage ----------------------------------------------------------------------------------------------------------


def make(prefix: Path) -> dict[Path, bytes]:
    partial = {"w": BASE, "flag": np.array([True, False]), "text": np.array([b"ab", b""], object)}
    write_bundle(prefix, partial)
    return {path: path.read_bytes() for path in sorted(prefix.parent.glob(f"{prefix.name}.*"))}


def test_every_truncation_is_noticed(prefix):
    for path, raw in make(prefix).items():
        for size in range(len(raw)):
            path.write_bytes(raw[:size])
            with pytest.raises(CheckpointError, match=path.name):
                read_all(prefix)
        path.write_bytes(raw)


def test_every_flipped_bit_is_noticed(prefix):
    files = make(prefix)
    expected = read_all(prefix)
    for path, raw in files.items():
        for bit in range(8 * len(raw)):
            damaged = bytearray(raw)
            damaged[bit // 8] ^= 1 << bit % 8
            path.write_bytes(damaged)
            try:
                loaded = read_all(prefix)
            except CheckpointError as error:
                assert prefix.name in error.where and error.hint
            else:  # the footer's padding between the handles and the magic number means nothing
                assert len(raw) - 48 < bit // 8 < len(raw) - 8 and path.suffix == ".index"
                assert loaded.keys() == expected.keys() and all(same(loaded[n], expected[n]) for n in expected)
        path.write_bytes(raw)


@settings(deadline=None, max_examples=200)
@given(data=st.data(), which=st.sampled_from([".index", ".data-00000-of-00001"]))
def test_any_other_content_is_a_checkpoint_error_or_harmless(tmp_path_factory, data, which):
    prefix = tmp_path_factory.getbasetemp() / "damaged"
    make(prefix)
    expected = read_all(prefix)
    path = Path(f"{prefix}{which}")
    raw = path.read_bytes()
    begin = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(begin, len(raw)))
    path.write_bytes(raw[:begin] + data.draw(st.binary(max_size=64)) + raw[end:])
    try:
        loaded = read_all(prefix)
    except CheckpointError:
        return
    assert loaded.keys() == expected.keys() and all(same(loaded[name], expected[name]) for name in expected)


@settings(deadline=None, max_examples=300)
@given(data=st.data(), message=st.binary(max_size=40) | st.just(entry(1, (2, 3), 0, b"", slices=[field(1, b"")])))
def test_records_with_right_checksums_and_wrong_contents(tmp_path_factory, data, message):
    prefix = tmp_path_factory.getbasetemp() / "wrong"
    at = data.draw(st.integers(0, len(GOOD)))
    message = data.draw(st.sampled_from([message, GOOD[:at] + message, GOOD[:at] + message[:1] + GOOD[at + 1 :]]))
    put(prefix, table([(b"", header()), (b"x", message)]), ONE * 6)
    try:
        loaded = read_all(prefix)
    except CheckpointError:
        return
    assert loaded.keys() == {"x"} and isinstance(loaded["x"], np.ndarray)


HEAD = (b"", header())


@pytest.mark.parametrize(
    ("index", "words"),
    [
        (b"", "only 0 bytes"),
        (b"x" * 100, "footer"),
        (table([HEAD, (b"x", GOOD)], compression=1), "snappy"),
        (table([HEAD, (b"x", GOOD)], compression=9), "type 9"),
        (table([(b"x", GOOD)]), "header"),
        (table([HEAD, (b"x", GOOD), (b"b", GOOD)]), "not in order"),
        (table([HEAD, (b"x", GOOD)], [(b"b", GOOD)]), "not in order"),
        (table([HEAD, (b"x", GOOD), (b"x", GOOD)]), "not in order"),
        (table([HEAD, (b"x", GOOD)], last=b"w"), "beyond those"),
        (table(b"\5\0\0", last=b"x"), "past the end"),
        (table(b"\0\5\0abc", last=b"x"), "past the end"),
        (table(b"\0\1\5xabc", last=b"x"), "past the end"),
        (table([HEAD, (b"x", b"\xff")]), "cannot be decoded"),
        (table([HEAD, (b"x", field(1, b"f"))]), "cannot be decoded"),
        (table([HEAD, (b"x", field(4, 2**64 - 1))]), "a size is -1"),
        (table([HEAD, (b"x", field(2, field(3, 1)))]), "rank is unknown"),
        (table([(b"", header(1, field(3, field(2, 2)))), (b"x", GOOD)]), "format version 2"),
        (table([HEAD, (b"x", entry(20, (), 0, ONE))]), "resource"),
        (table([HEAD, (b"x", entry(21, (), 0, ONE))]), "variant"),
        (table([HEAD, (b"x", entry(99, (), 0, ONE))]), "number 99"),
        (table([HEAD, (b"x", entry(1, (2,), 0, ONE))]), r"do not fit float32\[2\]"),
        (table([HEAD, (b"x", entry(1, (), 0, ONE, shard=1))]), "data file 1, and there are 1"),
        (table([HEAD, (b"x", entry(1, (), 2, ONE))]), "ends at byte 6, and the file has 4"),
        (table([HEAD, (b"x", entry(1, (), 0, ONE, crc=0))]), "checksum of tensor 'x' is wrong"),
        (table([HEAD, (b"x", entry(10, (4,), 0, ONE))]), "boolean"),
        (table([HEAD, (b"x", entry(1, (0, 2**62, 2**62), 0, b""))]), "impossible shape"),
        (table([HEAD, (b"x", entry(1, (1,) * 100, 0, ONE))]), "impossible shape"),
        (table([HEAD, (b"x", entry(7, (1,) * 100, 0, ONE))]), "cannot be decoded"),
        (table([HEAD, (b"x", entry(7, (9,), 0, ONE))]), "9 strings in 4 bytes"),
    ],
)
def test_malformed_files(prefix, index, words):
    put(prefix, index, ONE)
    with pytest.raises(CheckpointError, match=words) as caught:
        read_all(prefix)
    assert caught.value.where.startswith(str(prefix)) and caught.value.hint


@pytest.mark.parametrize(
    ("head", "summed", "tail", "words"),
    [
        (b"\1", struct.pack("<I", 2), b"a", "checksum of its lengths"),
        (b"\1", struct.pack("<I", 1), b"ab", "parts have 6 bytes of 7"),
        (b"\x81", struct.pack("<I", 1), b"", "cannot be decoded"),
    ],
)
def test_malformed_strings_with_the_right_checksum(prefix, head, summed, tail, words):
    rest = struct.pack("<I", masked(summed)) + tail
    crc = masked(struct.pack("<I", 1) + rest)
    made = entry(7, (1,), 0, b"", crc=crc, size=len(head + rest))
    put(prefix, table([HEAD, (b"x", made)]), head + rest)
    with pytest.raises(CheckpointError, match=words) as caught:
        read_all(prefix)
    assert caught.value.where.endswith(".data-00000-of-00001")


def test_missing_files(prefix):
    put(prefix, table([(b"", header(2)), (b"x", GOOD), (b"y", entry(1, (), 0, ONE, 1))]), ONE, ONE)
    Path(f"{prefix}.data-00001-of-00002").unlink()
    with BundleReader(prefix) as reader:
        assert reader.read("x") == 1.5
        with pytest.raises(CheckpointError, match=r"7\.data-00001-of-00002: does not exist.*'y'(.|\n)*copy all files"):
            reader.read("y")


@pytest.mark.parametrize(
    ("given_prefix", "hint"),
    [
        ("model.ckpt-7.index", "prefix of the checkpoint's files: .*ckpt-7$"),
        ("model.ckpt-7.data-00000-of-00001", "ckpt-7$"),
        ("model.ckpt-8", "did you mean '.*model.ckpt-7'"),
        ("", "is a directory"),
        ("old", "first format"),
        ("no/where", "check the path"),
    ],
)
def test_wrong_prefixes(prefix, given_prefix, hint):
    write_bundle(prefix, {"x": 1.0})
    (prefix.parent / "old").write_bytes(b"")
    assert exists(prefix) and not exists(prefix.parent / given_prefix)
    with pytest.raises(CheckpointError, match=rf"\.index: does not exist(.|\n)*{hint}"):
        BundleReader(os.path.join(prefix.parent, given_prefix))


def test_unknown_names_closed_readers_and_names_that_are_no_text(prefix):
    put(prefix, table([HEAD, (b"dense/kernel", GOOD), (b"\xff", GOOD)]), ONE)
    with BundleReader(prefix) as reader:
        assert "dense/bias" not in reader and 3 not in reader
        with pytest.raises(CheckpointError, match=r"no tensor 'dense/kernal'(.|\n)*did you mean 'dense/kernel'"):
            reader.read("dense/kernal")
        assert reader.names()[1].encode("utf-8", "surrogateescape") == b"\xff" and reader.read(reader.names()[1]) == 1.5
    with pytest.raises(UsageError, match="closed"):
        reader.read("dense/kernel")


def test_bfloat16_without_ml_dtypes(prefix, monkeypatch):
    write_bundle(prefix, {"x": np.zeros(2, ml_dtypes.bfloat16), "y": 1.0})
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with BundleReader(prefix) as reader:
        assert reader.names() == ["x", "y"] and reader.read("y") == 1.0
        with pytest.raises(MissingExtraError, match=r"corenn\[bfloat16\]"):
            reader.read("x")


# --- atomic ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_failed_write_keeps_the_old_files(prefix, monkeypatch, failing):
    """The synchronisations of a write are: data, directory, index; the data has its name after the first."""
    before = make(prefix)
    fsync, calls = os.fsync, []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) == failing:
            raise OSError(28, "No space left on device")
        fsync(descriptor)

    monkeypatch.setattr(_atomic.os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        write_bundle(prefix, {"w": BASE + 1})
    monkeypatch.undo()
    after = {path: path.read_bytes() for path in prefix.parent.iterdir()}
    assert after.keys() == before.keys()
    if failing == 1:
        assert after == before
    else:  # the old index beside the new data: told, not returned
        with pytest.raises(CheckpointError, match="data-00000-of-00001"):
            read_all(prefix)


def test_files_that_a_killed_process_left_are_removed(prefix):
    mine = prefix.with_name(f".{prefix.name}.index.0123abcd.tmp")
    other = prefix.with_name(".other.index.0123abcd.tmp")
    mine.touch()
    other.touch()
    write_bundle(prefix, {"x": 1.0})
    assert not mine.exists() and other.exists()


def test_missing_directory(tmp_path):
    with pytest.raises(CheckpointError, match="No such file or directory"):
        write_bundle(tmp_path / "no" / "x", {"a": 1.0})
