"""Comparing arrays: what counts as equal, and what the message says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corenn import dtypes
from corenn.testing.compare import assert_close, bits_difference, difference
from corenn.testing.tolerances import EXACT, FORWARD, Tolerance, forward

LOOSE = Tolerance(1e-3, 1e-6)
NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    ("actual", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.0]),
        ([1.0005], [1.0]),
        ([NAN, INF, -INF], [NAN, INF, -INF]),
        ([0.0], [-0.0]),
        ([1, 2], [1.0, 2.0]),
        ([True], [1]),
        (np.zeros((0, 3)), np.ones((0, 3))),
        ([1 + 1j], [1.0005 + 1j]),
    ],
)
def test_equal(actual, expected):
    assert difference(actual, expected, LOOSE) is None


@pytest.mark.parametrize(
    ("actual", "expected", "part"),
    [
        ([1.01], [1.0], "off by 0.01 with 0.001 allowed"),
        ([1.0, 5.0, 2.0], [1.0, 2.0, 2.001], "worst at [1]: 5.0 where 2.0"),
        ([NAN], [1.0], "nan where 1.0"),
        ([1.0], [NAN], "1.0 where nan"),
        ([INF], [-INF], "inf where -inf"),
        ([1e300], [INF], "1e+300 where inf"),
        ([INF], [1.0], "inf where 1.0"),
        ([1.0, 2.0], [1.0], "shape (2,) where (1,)"),
        (np.zeros((0, 3)), np.zeros((0, 2)), "shape (0, 3) where (0, 2)"),
        ([3], [4], "off by 1 with 0 allowed"),
        ([2**62 + 1], [2**62], "1 of 1 elements differ"),
        (np.array([2**64 - 1], np.uint64), np.array([-1]), "1 of 1 elements differ"),
        ([[1.0, 2.0], [3.0, 9.0]], [[1.0, 2.0], [3.0, 4.0]], "worst at [1, 1]"),
        ([1 + 1j], [1 + 2j], "off by 1"),
    ],
)
def test_different(actual, expected, part):
    message = difference(actual, expected, LOOSE)
    assert message is not None
    assert part in message


@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8),
    data=st.data(),
    excess=st.floats(1.01, 1e6),
)
def test_one_element_beyond_tolerance_is_found(values, data, excess):
    """Whichever element is moved beyond its allowance, by whatever factor, is the one that is named."""
    expected = np.array(values)
    place = data.draw(st.integers(0, len(values) - 1))
    actual = expected.copy()
    actual[place] += excess * (LOOSE.atol + LOOSE.rtol * abs(expected[place]))
    message = difference(actual, expected, LOOSE)
    assert message is not None
    assert f"1 of {len(values)} elements differ; worst at [{place}]" in message


@pytest.mark.parametrize(
    ("actual", "expected", "part"),
    [
        (np.array([0.0]), np.array([-0.0]), "0.0 where -0.0"),
        (np.array([1.0]), np.array([np.nextafter(1.0, 2)]), "1.0 where 1.0000000000000002"),
        (np.array([1.0], np.float32), np.array([1.0]), "float32[1] where float64[1]"),
        (np.zeros((2, 2)), np.zeros(4), "float64[2, 2] where float64[4]"),
        (np.array([[1, 2], [3, 4]]), np.array([[1, 2], [3, 5]]), "first at [1, 1]: 4 where 5"),
    ],
)
def test_bits_differ(actual, expected, part):
    message = bits_difference(actual, expected)
    assert message is not None
    assert part in message


@pytest.mark.parametrize("array", [np.array(NAN), np.zeros((2, 0)), np.arange(6.0).reshape(2, 3).T, np.array([True])])
def test_bits_equal(array):
    assert bits_difference(array, array.copy()) is None


def test_assert_close_names_what():
    with pytest.raises(AssertionError, match="the loss: 1 of 1 elements differ"):
        assert_close([1.0], [2.0], LOOSE, "the loss")
    assert_close([1.0], [1.0], EXACT)


def test_every_inexact_dtype_has_a_tolerance_and_the_others_none():
    assert set(FORWARD) == dtypes.INEXACT
    assert all(forward(d) is EXACT for d in dtypes.INTEGER | dtypes.BOOL)
    assert LOOSE.scaled(2.0) == Tolerance(2e-3, 2e-6)
