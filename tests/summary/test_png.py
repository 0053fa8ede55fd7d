import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from corenn.summary._png import encode_png, to_uint8

pixels = st.sampled_from([1, 3, 4]).flatmap(
    lambda channels: hnp.arrays(np.uint8, st.tuples(st.integers(1, 7), st.integers(1, 7), st.just(channels)))
)


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    found, at = [], 8
    while at < len(png):
        (size,) = struct.unpack_from(">I", png, at)
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", png, at + 8 + size)[0] == zlib.crc32(kind + data)
        found.append((kind, data))
        at += size + 12
    return found


def decode(png: bytes) -> np.ndarray:
    """The pixels, undone row by row as the specification says."""
    (_, header), (_, body), end = chunks(png)
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", header)
    assert depth == 8 and rest == [0, 0, 0] and end == (b"IEND", b"")
    channels = {0: 1, 2: 3, 6: 4}[colour]
    rows = np.frombuffer(zlib.decompress(body), np.uint8).reshape(height, 1 + width * channels).astype(int)
    out = np.zeros((height, width * channels), int)
    for y in range(height):
        for x in range(width * channels):
            left = out[y, x - channels] if x >= channels else 0
            above = out[y - 1, x] if y else 0
            out[y, x] = (rows[y, 1 + x] + (0, left, above)[rows[y, 0]]) % 256
    return out.reshape(height, width, channels)


@settings(deadline=None)
@given(pixels)
def test_round_trip(image):
    assert np.array_equal(decode(encode_png(image)), image)


@settings(deadline=None)
@given(pixels)
def test_pillow_reads_it(image):
    pillow = pytest.importorskip("PIL.Image")
    with pillow.open(io.BytesIO(encode_png(image))) as opened:
        opened.load()
        assert opened.mode == {1: "L", 3: "RGB", 4: "RGBA"}[image.shape[2]]
        assert np.array_equal(np.asarray(opened).reshape(image.shape), image)


def test_not_contiguous():
    image = np.arange(2 * 6 * 5 * 3, dtype=np.uint8).reshape(3, 5, 6, 2).T[0, ::-1]
    assert np.array_equal(decode(encode_png(image)), image)


def test_filters_pay_off():
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8)[:, None], (200, 200))
    noise = np.random.default_rng(0).integers(0, 256, (1, 200), np.uint8)
    for smooth in (ramp, ramp.T, np.broadcast_to(noise, (200, 200))):
        assert len(encode_png(np.ascontiguousarray(smooth)[..., None])) < 1200


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0, 7, 255], np.uint8), [0, 7, 255]),
        (np.array([False, True]), [0, 255]),
        (np.array([0.0, 0.5, 1.0, 1 / 255]), [0, 128, 255, 1]),
        (np.array([-1.0, 2.0, np.inf, -np.inf, np.nan], np.float16), [0, 255, 255, 0, 0]),
        (np.array([1e300, -1e300]), [255, 0]),
    ],
)
def test_to_uint8(values, expected):
    converted = to_uint8(values)
    assert converted.dtype == np.uint8 and converted.tolist() == expected


def test_every_byte_survives_a_float():
    levels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(to_uint8(levels.astype(np.float32) / np.float32(255)), levels)
