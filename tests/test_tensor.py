"""Tensors: making them, leaving corenn, operators, and the errors a newcomer meets first."""

from __future__ import annotations

import operator
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import corenn
from corenn.errors import BackendError, DTypeError, ShapeError, UsageError


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, "float32"),
        (2, "int32"),
        (2**40, "int64"),
        (True, "bool"),
        (1j, "complex64"),
        ([1.0, 2.0], "float32"),
        ([[1, 2], [3, 4]], "int32"),
        ([2**40], "int64"),
        ([], "float32"),
        (np.zeros(3), "float64"),
        (np.float64(1.0), "float64"),
        (np.int8([1]), "int8"),
        (range(3), "int32"),
    ],
)
def test_dtype_of_made_tensors(data, dtype):
    made = corenn.tensor(data)
    assert made.dtype == dtype
    np.testing.assert_array_equal(made.numpy(), np.asarray(data).astype(dtype))


def test_a_tensor_owns_its_data():
    source = np.ones(3, np.float32)
    made = corenn.tensor(source)
    source[:] = 5
    assert made.tolist() == [1, 1, 1]
    out = made.numpy()
    out[:] = 7
    assert made.tolist() == [1, 1, 1]
    assert not np.asarray(made).flags.writeable


@given(
    hnp.arrays(st.sampled_from([np.float32, np.float64, np.int32, np.uint8, np.bool_]), hnp.array_shapes(min_dims=0))
)
def test_round_trip(array):
    made = corenn.tensor(array)
    assert made.shape == array.shape
    assert made.numpy().dtype == array.dtype
    np.testing.assert_array_equal(made.numpy(), array)
    np.testing.assert_array_equal(np.from_dlpack(made), array) if array.size and array.dtype != np.bool_ else None


def test_dlpack_both_ways():
    made = corenn.from_dlpack(np.arange(6, dtype=np.float32).reshape(2, 3))
    assert made.tolist() == [[0, 1, 2], [3, 4, 5]]
    torch = pytest.importorskip("torch")
    assert torch.from_dlpack(made).tolist() == made.tolist()
    assert corenn.from_dlpack(torch.ones(2)).tolist() == [1, 1]


BINARY = {
    operator.add: np.add,
    operator.sub: np.subtract,
    operator.mul: np.multiply,
    operator.truediv: np.divide,
    operator.floordiv: np.floor_divide,
    operator.mod: np.remainder,
    operator.pow: np.power,
    operator.eq: np.equal,
    operator.ne: np.not_equal,
    operator.lt: np.less,
    operator.le: np.less_equal,
    operator.gt: np.greater,
    operator.ge: np.greater_equal,
}


@pytest.mark.parametrize("compute", BINARY, ids=lambda f: f.__name__)
@pytest.mark.parametrize("right", ["tensor", "array", "scalar"])
def test_operators(compute, right):
    a = np.array([[1.5, 2.0, 3.0], [0.5, 4.0, 2.0]], np.float32)
    b = {
        "tensor": np.array([2.0, 1.0, 3.0], np.float32),
        "array": np.array([2.0, 1.0, 3.0], np.float32),
        "scalar": 2.0,
    }[right]
    other = corenn.tensor(b) if right == "tensor" else b
    x = corenn.tensor(a)
    expected = BINARY[compute](a, np.float32(b) if right == "scalar" else b)
    for found, wanted in (
        (compute(x, other), expected),
        (compute(other, x), BINARY[compute](np.asarray(b, np.float32), a)),
    ):
        assert isinstance(found, corenn.Tensor)
        np.testing.assert_allclose(found.numpy(), wanted, rtol=1.3e-6)
        assert found.numpy().dtype == wanted.dtype


@pytest.mark.parametrize(
    ("make", "dtype", "value"),
    [
        (lambda: corenn.tensor([1, 2]) * 0.5, "float32", [0.5, 1.0]),
        (lambda: 2 - corenn.tensor([1, 2]), "int32", [1, 0]),
        (lambda: corenn.tensor([True, False]) + 1, "int32", [2, 1]),
        (lambda: corenn.tensor([200], dtype="uint8") / 100, "float32", [2.0]),
        (lambda: corenn.tensor([1.0], dtype="float64") + 1, "float64", [2.0]),
        (lambda: corenn.tensor([1.0]) * 1j, "complex64", [1j]),
    ],
)
def test_python_scalars_are_weak(make, dtype, value):
    found = make()
    assert found.dtype == dtype
    np.testing.assert_allclose(found.numpy(), value)


def test_unary_and_matmul_operators():
    x = corenn.tensor([[1.0, -2.0], [3.0, 4.0]])
    assert (-x).tolist() == [[-1, 2], [-3, -4]]
    assert abs(x).tolist() == [[1, 2], [3, 4]]
    assert (x @ x).tolist() == (x.numpy() @ x.numpy()).tolist()
    assert (~corenn.tensor([True, False])).tolist() == [False, True]
    assert x.T.tolist() == x.numpy().T.tolist()
    assert x.reshape(4).tolist() == x.reshape((4,)).tolist() == x.flatten().tolist() == [1, -2, 3, 4]
    assert float(x.sum()) == 6 and float(x.mean()) == 1.5 and float(x.max()) == 4 and int(x.argmax()) == 3


# What a person new to corenn does wrong first, and what the message must tell them.
MISTAKES = [
    ("shapes", lambda x: x + corenn.zeros((3,)), ShapeError, ["add", "do not broadcast", "float32[2, 4]", "axis -1"]),
    ("inner", lambda x: x @ corenn.zeros((3, 2)), ShapeError, ["matmul: inner dimensions differ", "last axis is 4"]),
    (
        "dtypes",
        lambda x: x + corenn.tensor([1, 2, 3, 4]),
        DTypeError,
        ["do not promote", "corenn.cast(y, dtype='float32')"],
    ),
    ("mean of ints", lambda x: corenn.mean(corenn.tensor([1, 2])), DTypeError, ["takes floating", "corenn.cast"]),
    ("attribute by position", lambda x: corenn.sum(x, 0), UsageError, ["takes 1 tensor", "axis=0"]),
    ("attribute misspelt", lambda x: corenn.sum(x, axes=0), UsageError, ["no attribute 'axes'", "did you mean 'axis'"]),
    ("axis", lambda x: corenn.sum(x, axis=5), ShapeError, ["axis 5 is out of range", "-2 to 1"]),
    ("reshape", lambda x: corenn.reshape(x, shape=(3, 3)), ShapeError, ["number of elements would change", "has 8"]),
    ("numpy function", lambda x: np.sin(x), DTypeError, ["corenn.sin(x)", "x.numpy()"]),
    ("truth", lambda x: bool(x > 0), ShapeError, ["ambiguous", "corenn.any(x)"]),
    ("item", lambda x: x.item(), ShapeError, ["one element", "x.tolist()"]),
    ("assignment", lambda x: x.__setitem__(0, 1.0), TypeError, ["immutable", "corenn.index_update"]),
    ("ragged", lambda x: corenn.tensor([[1], [2, 3]]), ShapeError, ["ragged"]),
    ("strings", lambda x: corenn.tensor(["a"]), DTypeError, ["cannot hold text"]),
    ("dtype name", lambda x: x.cast("flaot32"), DTypeError, ["did you mean", "float32"]),
    ("device", lambda x: x.to("gpu"), BackendError, ["gpu", "numpy"]),
    ("missing name", lambda x: corenn.tanhh, AttributeError, ["did you mean 'tanh'"]),
    ("None", lambda x: corenn.add(x, None), UsageError, ["'y' is None"]),
    ("index", lambda x: x[5], (ShapeError, IndexError), ["5"]),
    ("pickle", lambda x: pickle.dumps(x), TypeError, ["checkpoint"]),
]


@pytest.mark.parametrize(("name", "mistake", "exception", "texts"), MISTAKES, ids=[m[0] for m in MISTAKES])
def test_mistakes_say_what_to_do(name, mistake, exception, texts):
    with pytest.raises(exception) as caught:
        mistake(corenn.tensor(np.arange(8, dtype=np.float32).reshape(2, 4)))
    for text in texts:
        assert text in str(caught.value)


def test_an_error_names_the_callers_line():
    with pytest.raises(ShapeError) as caught:
        corenn.add(corenn.zeros(2), corenn.zeros(3))
    assert "test_tensor.py:" in caught.value.site


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (corenn.tensor([1.0, 2.0]), "corenn.tensor([1., 2.], dtype='float32')"),
        (corenn.tensor(3), "corenn.tensor(3, dtype='int32')"),
        (corenn.zeros((0, 2)), "shape=(0, 2)"),
    ],
)
def test_repr(tensor, text):
    assert text in repr(tensor)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (40, 40), (2, 2, 2), (0,)])
def test_notebook_view(shape):
    view = corenn.zeros(shape)._repr_html_()
    assert view.startswith("<div>") and "float32[" in view
    assert len(view) < 20_000


def test_iteration_and_len():
    x = corenn.tensor([[1, 2], [3, 4]])
    assert len(x) == 2 and [r.tolist() for r in x] == [[1, 2], [3, 4]]
    for call in (len, iter):
        with pytest.raises(TypeError, match="0-d"):
            call(corenn.tensor(1))
