"""Random bits against a Philox written from the paper in Python integers, and conversions against their formulas."""

import hashlib
import json
import math
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from corenn import philox
from corenn.errors import AttributeValueError, DTypeError

M64 = (1 << 64) - 1


def reference_block(counter, key):
    """Philox 4x64-10 on Python integers."""
    c, k = list(counter), list(key)
    for _ in range(10):
        p0, p1 = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [(p1 >> 64) ^ c[1] ^ k[0], p1 & M64, (p0 >> 64) ^ c[3] ^ k[1], p0 & M64]
        k = [(k[0] + 0x9E3779B97F4A7C15) & M64, (k[1] + 0xBB67AE8584CAA73B) & M64]
    return c


def reference_words(seed, stream, offset, count):
    return [
        reference_block((w // 4, 0, 0, 0), (seed % 2**64, stream % 2**64))[w % 4] for w in range(offset, offset + count)
    ]


# The known answers that Random123 ships for philox4x64 with 10 rounds (kat_vectors): counter, key, result.
KNOWN_ANSWERS = [
    (
        [0, 0, 0, 0],
        [0, 0],
        [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B],
    ),
    (
        [M64, M64, M64, M64],
        [M64, M64],
        [0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0],
    ),
    (
        [0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89],
        [0x452821E638D01377, 0xBE5466CF34E90C6C],
        [0xA528F45403E61D95, 0x38C72DBD566E9788, 0xA5A1610E72FD18B5, 0x57BD43B5E52B7FE6],
    ),
]

seeds = st.integers(-(2**65), 2**65)
offsets = st.one_of(st.integers(0, 50), st.integers(2**64 - 200, 2**64 - 100), st.integers(0, 2**63))
counts = st.integers(0, 40)


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN_ANSWERS)
def test_the_reference_gives_the_known_answers(counter, key, result):
    assert reference_block(counter, key) == result


def test_first_block_is_the_known_answer_for_zero():
    assert philox.words(0, 0, 0, 4).tolist() == KNOWN_ANSWERS[0][2]


@given(seeds, seeds, offsets, counts)
def test_words(seed, stream, offset, count):
    drawn = philox.words(seed, stream, offset, count)
    assert drawn.dtype == np.uint64
    assert drawn.tolist() == reference_words(seed, stream, offset, count)


def test_words_at_the_last_block_of_a_stream():
    assert philox.words(3, 4, 2**64 - 3, 3).tolist() == reference_words(3, 4, 2**64 - 3, 3)


@given(seeds, seeds, offsets, counts)
def test_bits32_are_the_halves_low_first(seed, stream, offset, count):
    whole = reference_words(seed, stream, offset // 2, count // 2 + 2)
    halves = [half for word in whole for half in (word & 0xFFFFFFFF, word >> 32)]
    assert philox.bits32(seed, stream, offset, count).tolist() == halves[offset % 2 :][:count]


def bfloat16():
    return np.dtype(pytest.importorskip("ml_dtypes").bfloat16)


DRAWS = {
    "float16": lambda *a: philox.uniform(*a, np.float16),
    "float32": lambda *a: philox.uniform(*a),
    "float64": lambda *a: philox.uniform(*a, np.float64),
    "bfloat16": lambda *a: philox.uniform(*a, bfloat16()),
    "integers": lambda *a: philox.integers(*a, -5, 2**40),
    "wide integers": lambda *a: philox.integers(*a, 0, 2**64 - 1, np.uint64),
    "normal16": lambda *a: philox.normal(*a, np.float16),
    "normal32": lambda *a: philox.normal(*a),
    "normal64": lambda *a: philox.normal(*a, np.float64),
    "normal bfloat16": lambda *a: philox.normal(*a, bfloat16()),
    "bits32": philox.bits32,
    "words": philox.words,
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_slice_of_a_draw_is_the_draw_of_the_slice(name, monkeypatch):
    draw = DRAWS[name]
    whole = draw(11, 12, 0, 500)
    monkeypatch.setattr(philox, "_CHUNK", 8)  # many pieces

    @given(st.integers(0, 450), st.integers(0, 50))
    def check(offset, count):
        np.testing.assert_array_equal(draw(11, 12, offset, count), whole[offset : offset + count])

    check()


@pytest.mark.parametrize("name", DRAWS)
def test_draws_longer_than_a_chunk(name):
    n = 2 * philox._CHUNK + 3
    whole = DRAWS[name](5, 6, 0, n)
    assert whole.shape == (n,)
    np.testing.assert_array_equal(whole[-8:], DRAWS[name](5, 6, n - 8, 8))


def words_and_bits(count):
    """Words with the extremes among them would need a seed found by search; take many instead."""
    raw = reference_words(21, 22, 0, count)
    return raw, [half for word in raw for half in (word & 0xFFFFFFFF, word >> 32)]


@pytest.mark.parametrize(
    ("dtype", "shift", "of_words"),
    [("float32", 8, False), ("float64", 11, True), ("float16", 21, False), ("bfloat16", 24, False)],
)
def test_uniform_is_exactly_its_formula(dtype, shift, of_words):
    kind = bfloat16() if dtype == "bfloat16" else np.dtype(dtype)
    raw, bits = words_and_bits(300)
    width = 64 if of_words else 32
    expected = [(b >> shift) * 2.0 ** (shift - width) for b in (raw if of_words else bits)]
    drawn = philox.uniform(21, 22, 0, len(expected), kind)
    assert drawn.dtype == kind
    assert drawn.astype(np.float64).tolist() == expected
    assert min(expected) >= 0
    assert max(expected) < 1


SPANS = [
    (0, 1, np.int64),
    (0, 10, np.int64),
    (-7, 7, np.int8),
    (0, 256, np.uint8),
    (-(2**63), 2**63, np.int64),
    (0, 2**64, np.uint64),
    (0, 2**64 - 1, np.uint64),
    (5, 5 + 2**32, np.int64),
    (-3, 2**33 + 12345, np.int64),
    (-(2**31), 2**31, np.int32),
]


@pytest.mark.parametrize(("low", "high", "dtype"), SPANS)
def test_integers_are_exactly_their_formula(low, high, dtype):
    drawn = philox.integers(31, 32, 7, 200, low, high, dtype)
    assert drawn.dtype == dtype
    assert drawn.tolist() == [low + ((w * (high - low)) >> 64) for w in reference_words(31, 32, 7, 200)]


@given(st.integers(0, M64), st.integers(1, 2**64))
def test_multiply_high(word, factor):
    assert philox._multiply_high(np.array([word], np.uint64), factor).tolist() == [(word * factor) >> 64]


@pytest.mark.parametrize("n", [0, 1, 2, 100, 1000])
def test_permutation_is_the_stable_argsort_of_the_words(n):
    drawn = philox.permutation(41, 42, n)
    raw = reference_words(41, 42, 0, n)
    assert drawn.dtype == np.int64
    assert drawn.tolist() == sorted(range(n), key=lambda i: (raw[i], i))


@pytest.mark.parametrize(
    ("dtype", "shift", "width", "tolerance"), [("float32", 8, 32, 2e-6), ("float64", 11, 64, 4e-15)]
)
def test_normal_is_box_muller(dtype, shift, width, tolerance):
    raw, bits = words_and_bits(400)
    source = raw if width == 64 else bits
    expected = []
    for a, b in zip(source[0::2], source[1::2], strict=True):
        u1, u2 = ((a >> shift) + 1) * 2.0 ** (shift - width), (b >> shift) * 2.0 ** (shift - width)
        r = math.sqrt(-2 * math.log(u1))
        expected += [r * math.cos(2 * math.pi * u2), r * math.sin(2 * math.pi * u2)]
    drawn = philox.normal(21, 22, 0, len(expected), dtype)
    assert drawn.dtype == dtype
    np.testing.assert_allclose(drawn, expected, rtol=tolerance, atol=4 * tolerance)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_normals_are_the_rounded_float32(dtype):
    kind = bfloat16() if dtype == "bfloat16" else np.dtype(dtype)
    drawn = philox.normal(1, 2, 0, 999, kind)
    assert drawn.dtype == kind
    np.testing.assert_array_equal(drawn, philox.normal(1, 2, 0, 999).astype(kind))


@pytest.mark.parametrize(
    ("numbers", "distribution"),
    [
        (lambda: philox.uniform(1, 0, 0, 200_000), "uniform"),
        (lambda: philox.uniform(1, 1, 0, 200_000, np.float64), "uniform"),
        (lambda: philox.normal(1, 2, 0, 200_000), "norm"),
        (lambda: philox.normal(1, 3, 0, 200_000, np.float64), "norm"),
    ],
)
def test_distributions(numbers, distribution):
    assert stats.kstest(numbers().astype(np.float64), distribution).pvalue > 1e-3


def test_integers_are_evenly_spread():
    counts = np.bincount(philox.integers(1, 4, 0, 100_000, 0, 10))
    assert stats.chisquare(counts).pvalue > 1e-3


def test_normals_of_a_pair_and_of_streams_are_uncorrelated():
    first, second = philox.normal(9, 1, 0, 100_000), philox.normal(9, 2, 0, 100_000)
    assert abs(np.corrcoef(first[0::2], first[1::2])[0, 1]) < 0.02
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.02


def test_threads_do_not_disturb_each_other():
    expected = [philox.words(i, 0, i, 5000).tolist() for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            assert list(pool.map(lambda i: philox.words(i, 0, i, 5000).tolist(), range(8))) == expected


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: philox.words(0, 0, -1, 4), AttributeValueError, "2**64 words"),
        (lambda: philox.words(0, 0, 0, -4), AttributeValueError, "must not be negative"),
        (lambda: philox.words(0, 0, 2**64 - 1, 2), AttributeValueError, "2**64 words"),
        (lambda: philox.uniform(0, 0, 0, 4, np.int32), DTypeError, "float16, bfloat16, float32 or float64"),
        (lambda: philox.normal(0, 0, 0, 4, np.complex64), DTypeError, "complex64"),
        (lambda: philox.integers(0, 0, 0, 4, 5, 5), AttributeValueError, "low must be below high"),
        (lambda: philox.integers(0, 0, 0, 4, 0, 257, np.uint8), AttributeValueError, "uint8 holds 0 to 255"),
        (lambda: philox.integers(0, 0, 0, 4, 0, 2, np.float32), DTypeError, "integer dtype"),
        (lambda: philox.derive(0, 1.5), AttributeValueError, "strings and integers"),
        (lambda: philox.KeySequence(0).set_state({"seed": 1}), AttributeValueError, "what state() gave"),
    ],
)
def test_errors_say_what_to_do(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


def test_key_sequence_hands_out_each_stream_once():
    keys = philox.KeySequence(7)
    found = []
    workers = [threading.Thread(target=lambda: found.extend(keys.next_stream() for _ in range(500))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(found) == list(range(2000))


@given(seeds, st.integers(0, 20), st.integers(0, 20))
def test_key_sequence_resumes(seed, before, after):
    keys = philox.KeySequence(seed)
    for _ in range(before):
        keys.next_stream()
    state = json.loads(json.dumps(keys.state()))
    expected = [keys.next_stream() for _ in range(after)]
    other = philox.KeySequence(0)
    other.set_state(state)
    assert other.seed == keys.seed == seed % 2**64
    assert [other.next_stream() for _ in range(after)] == expected


def test_derive_is_fixed_for_ever():
    digest = hashlib.blake2b(digest_size=8, person=b"corenn")
    for kind, text in ((b"i", b"7"), (b"s", b"shuffle"), (b"i", b"3")):
        digest.update(kind + len(text).to_bytes(8, "little") + text)
    assert philox.derive(7, "shuffle", 3) == int.from_bytes(digest.digest(), "little") == 366292466720013052
    assert philox.derive(7) == 9234616717012593881


parts = st.lists(st.one_of(st.text(max_size=3), st.integers(-9, 9)), max_size=4)


@settings(max_examples=300)
@given(st.integers(0, 3), parts, st.integers(0, 3), parts)
def test_derive_tells_paths_apart(seed, path, other_seed, other_path):
    same = (seed, path) == (other_seed, other_path)
    assert (philox.derive(seed, *path) == philox.derive(other_seed, *other_path)) == same
    assert 0 <= philox.derive(seed, *path) < 2**64


def test_derive_takes_numpy_integers_and_reduces_the_seed():
    assert philox.derive(np.int64(7), "a", np.uint8(3)) == philox.derive(7 + 2**64, "a", 3)
