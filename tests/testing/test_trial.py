"""Drawing and placing operands, and every source of a call."""

from __future__ import annotations

import numpy as np
import pytest
from corenn_numpy.backend import NumpyBackend

import corenn
from corenn import dtypes
from corenn.backend import Kernel
from corenn.device import device_of
from corenn.errors import UnofferedDTypeError
from corenn.ops.sampling import boolean, integer, literal, real, sample
from corenn.ops.table import TABLE
from corenn.testing import checks
from corenn.testing.trial import NotHere, Trial, is_free, needed, strided

NUMPY = corenn.device("numpy")
ALL = sorted(dtypes.ALL, key=lambda d: d.name)


@pytest.mark.parametrize("dtype", ALL, ids=str)
@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 4), (2, 0), (0,)], ids=str)
def test_strided_views_hold_the_values(dtype, shape):
    values = real(-9, 9, shape=shape).values(np.random.Generator(np.random.Philox(1)), dtype)
    with NUMPY:
        view = strided(values)
    assert view.dtype is dtype
    np.testing.assert_array_equal(view.numpy(), values)
    if view.size > 1:
        assert not view.data.flags.c_contiguous


@pytest.mark.parametrize("dtype", ALL, ids=str)
def test_draws_suit_the_dtype(dtype):
    drawn = sample(real(0.5, 3)).draw("op", dtype)[0]
    assert drawn.dtype == dtype.numpy
    if dtype.is_integer:
        assert set(np.unique(drawn)) == {1, 2, 3}  # rounded away from zero, so that reciprocals exist
    if dtype.kind == "c":
        assert np.all(drawn.imag != 0)


@pytest.mark.parametrize("dtype", sorted(dtypes.UNSIGNED, key=lambda d: d.name), ids=str)
def test_unsigned_draws_are_magnitudes(dtype):
    drawn = sample(literal([-1.5, 2.0, np.nan, -np.inf])).draw("op", dtype)[0]
    assert drawn.tolist() == [2, 2, 0, 9]


def test_draws_repeat_and_differ_between_ops():
    one, again, other = (sample(real()).draw(name, dtypes.float32)[0] for name in ("a", "a", "b"))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_what_a_sample_needs():
    mixed = sample(real(), integer(dtype="int64"), None, dtype=dtypes.float16)
    assert needed(mixed, dtypes.float64) == [dtypes.float64, dtypes.int64, dtypes.float16]
    assert is_free(mixed)
    assert not is_free(sample(integer(), boolean()))


def test_a_lacking_dtype_is_a_reason_not_a_failure():
    class Small(NumpyBackend):
        name = "small"
        computes_in = {}  # noqa: RUF012  plain data of a test

        def dtypes(self):
            return frozenset({dtypes.float32, dtypes.int32, dtypes.bool_})

    place = device_of(Small())
    with pytest.raises(NotHere, match="needs float64"):
        Trial(TABLE["add"], TABLE["add"].sample_list[0], dtypes.float64, place)
    with pytest.raises(UnofferedDTypeError, match="the small backend has no float64"):
        corenn.tensor(np.zeros(2), device=place)


class Several(NumpyBackend):
    """Has two kernels for an op that also has a decomposition; the first serves matrices only."""

    name = "several"

    def kernels(self):
        def square_of_difference(x, y):
            return (x - y) * (x - y)

        first = Kernel(square_of_difference, when=lambda specs, attrs: specs[0].ndim == 2)
        return {"squared_difference": [first, Kernel(square_of_difference)]}


def test_every_source_that_does_not_decline_is_run():
    place = device_of(Several())
    op = TABLE["squared_difference"]
    names = {}
    for shape in ((3, 4), (4,)):
        trial = Trial(op, sample(real(shape=shape), real(shape=shape)), dtypes.float32, place)
        names[shape] = [name for name, _ in trial.sources()]
        for _, run in trial.sources():
            assert trial.wrong(run()) is None
    assert names[3, 4] == ["kernel 1 of the backend", "kernel 2 of the backend", "the decomposition"]
    assert names[4,] == ["kernel 1 of the backend", "the decomposition"]


def test_a_call_with_one_source_has_nothing_to_compare():
    with pytest.raises(NotHere, match="the shared kernel alone"):
        checks.check_sources(TABLE["add"], TABLE["add"].sample_list[0], dtypes.float32, device_of(Several()))


def test_half_precision_is_widened_for_every_source():
    trial = Trial(TABLE["squared_difference"], sample(real(), real()), dtypes.float16, device_of(Several()))
    assert [run()[0].dtype for _, run in trial.sources()] == [dtypes.float16] * 3


def test_dtypes_of_free_operands_are_those_all_of_them_take():
    accepted = checks.accepted_dtypes(TABLE["add"], sample(real(), real()))
    assert set(accepted) == dtypes.NUMERIC
    assert checks.accepted_dtypes(TABLE["add"], sample(real(), real(), kinds="f")) == sorted(
        dtypes.FLOATING, key=lambda d: (d.itemsize, d.name)
    )
    assert checks.accepted_dtypes(TABLE["add"], sample(integer(), integer())) == [dtypes.float32]


def test_special_samples_are_for_elementwise_ops():
    special = {op.name: checks.special_sample(op) for op in checks.all_ops()}
    assert {"negative", "maximum", "isnan", "less"} <= {name for name, found in special.items() if found}
    assert not {"matmul", "reshape", "sum", "leaky_relu"} & {name for name, found in special.items() if found}
    for name, found in special.items():
        if found is not None:
            assert len(found.args) == len(TABLE[name].tensors)
            assert set(checks.accepted_dtypes(TABLE[name], found)) <= dtypes.FLOATING
