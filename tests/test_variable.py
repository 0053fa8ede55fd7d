"""Variables: replacing values, and what tapes see of it."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn.errors import DTypeError, ShapeError


def test_assign_replaces_and_converts():
    v = corenn.Variable([1.0, 2.0], name="v")
    assert v.assign([3, 4]) is v
    assert v.tolist() == [3, 4] and v.dtype == "float32"
    v.assign_add(1.0)
    v.assign_sub([1.0, 0.0])
    assert v.tolist() == [3, 5]
    assert "'v'" in repr(v)


@pytest.mark.parametrize(
    ("value", "exception", "text"),
    [
        (corenn.zeros(3), ShapeError, "another shape"),
        (corenn.zeros(2, "float64"), DTypeError, "corenn.cast(value, dtype='float32')"),
    ],
)
def test_assign_refuses(value, exception, text):
    v = corenn.Variable([1.0, 2.0], name="v")
    with pytest.raises(exception, match="v") as caught:
        v.assign(value)
    assert text in str(caught.value)
    assert v.tolist() == [1, 2]


def test_a_value_read_before_an_assignment_stays():
    v = corenn.Variable(1.0)
    before = v.value()
    v.assign(2.0)
    assert before.item() == 1 and v.item() == 2


def test_gradient_uses_the_value_that_was_read():
    v = corenn.Variable(3.0)
    with corenn.GradientTape() as tape:
        y = v * v
        v.assign(100.0)
    assert tape.gradient(y, v).item() == 6


def test_gradient_over_an_assignment_sums_both_reads():
    v = corenn.Variable(3.0)
    with corenn.GradientTape() as tape:
        y = v * 2
        v.assign(5.0)
        y = y + v * v
    assert tape.gradient(y, v).item() == 2 + 10


def test_initial_values_are_copied():
    source = np.ones(2, np.float32)
    v = corenn.Variable(source)
    source[:] = 9
    assert v.tolist() == [1, 1]
