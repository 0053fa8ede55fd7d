"""The examples of protobuf.dev/programming-guides/encoding, and what is not a message."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corenn.records import protobuf as pb

WRITTEN = [
    (pb.integer(1, 150), "089601"),
    (pb.string(2, "testing"), "120774657374696e67"),
    (pb.blob(3, pb.integer(1, 150)), "1a03089601"),
    (pb.integer(1, -2), "08feffffffffffffffff01"),
    (pb.double(5, 1.5), "29" + struct.pack("<d", 1.5).hex()),
    (pb.single(5, -1e300), "2d" + struct.pack("<f", -math.inf).hex()),
    (pb.string(1, "a\ud800"), "0a02613f"),
]


@pytest.mark.parametrize(("made", "expected"), WRITTEN)
def test_written(made, expected):
    assert made.hex() == expected


@given(st.integers(-(2**63), 2**63 - 1), st.integers(1, 2**29 - 1))
def test_integers_there_and_back(value, number):
    [(field, wire, read)] = pb.fields(pb.integer(number, value))
    assert (field, wire, pb.as_int(read)) == (number, 0, value)


def test_read():
    message = pb.integer(1, 7) + pb.double(2, 0.25) + pb.single(3, 0.5) + pb.string(4, "é")
    found = {number: value for number, _, value in pb.fields(message)}
    assert [pb.as_int(found[1]), pb.as_float(found[2]), pb.as_float(found[3]), pb.as_str(found[4])] == [
        7, 0.25, 0.5, "é",
    ]  # fmt: skip
    assert np.array_equal(pb.as_doubles(struct.pack("<2d", 1, -2)), [1.0, -2.0])


@pytest.mark.parametrize("message", ["00", "0b", "0900", "80", "ff" * 20, "0a05", "2d00"])
def test_not_a_message(message):
    with pytest.raises(pb.WireError):
        list(pb.fields(bytes.fromhex(message)))


@pytest.mark.parametrize(
    ("read", "value"),
    [(pb.as_int, b""), (pb.as_float, 1), (pb.as_float, b"123"), (pb.as_bytes, 1), (pb.as_doubles, b"123")],
)
def test_not_of_that_type(read, value):
    with pytest.raises(pb.WireError):
        read(value)
