"""Contractions against NumPy and PyTorch; samples, references and errors of each op are tested from the table."""

from __future__ import annotations

import string

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import corenn
from corenn.ops import dispatch
from corenn.ops._einsum import contraction_path, parse_equation
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import forward

MATMULS = [
    ((3, 4), (4, 5), False, False),
    ((4, 3), (4, 5), True, False),
    ((3, 4), (5, 4), False, True),
    ((4, 3), (5, 4), True, True),
    ((2, 3, 4), (4, 5), False, False),
    ((2, 4, 3), (4, 5), True, False),
    ((2, 3, 4), (5, 4), False, True),
    ((2, 4, 3), (5, 4), True, True),
    ((3, 4), (2, 4, 5), False, False),
    ((2, 1, 3, 4), (6, 4, 5), False, False),
    ((2, 1, 4, 3), (6, 5, 4), True, True),
    ((4,), (4,), False, False),
    ((4,), (2, 4, 5), False, False),
    ((4,), (2, 5, 4), False, True),
    ((2, 3, 4), (4,), False, False),
    ((2, 4, 3), (4,), True, False),
    ((0, 4), (4, 5), False, False),
    ((3, 0), (0, 5), False, False),
    ((2, 3, 0), (0, 5), False, False),
    ((2, 3, 0), (0,), False, False),
    ((0,), (0, 5), False, False),
    ((1, 4), (4, 1), False, False),
]


def _values(shape, dtype="float64", seed=0):
    generator = np.random.default_rng([seed, *shape])
    values = generator.normal(size=shape) * 3
    if np.dtype(dtype).kind == "c":
        values = values + 1j * generator.normal(size=shape)
    return np.asarray(values, dtype)


def _flip(x, flag):
    return np.swapaxes(x, -1, -2) if flag else x


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "complex64", "int32", "uint8"])
@pytest.mark.parametrize(("left", "right", "transpose_a", "transpose_b"), MATMULS)
def test_matmul_is_numpys(left, right, transpose_a, transpose_b, dtype):
    kind = corenn.zeros(1, dtype).numpy().dtype
    a, b = (np.abs(_values(shape, seed=i)).astype(kind) for i, shape in enumerate((left, right)))
    wide = {"c": "complex128", "u": "uint8", "i": "int32"}.get(kind.kind, "float64")
    expected = np.matmul(_flip(a.astype(wide), transpose_a), _flip(b.astype(wide), transpose_b))
    found = corenn.matmul(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
    assert found.dtype.name == dtype
    assert_close(found.numpy(), expected, forward(found.dtype).scaled(2.0))


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize(("left", "right", "transpose_a", "transpose_b"), MATMULS)
def test_matmul_gradients_are_pytorchs(left, right, transpose_a, transpose_b, dtype):
    torch = pytest.importorskip("torch")
    a, b = _values(left, dtype), _values(right, dtype, 1)
    ta, tb = torch.tensor(a, requires_grad=True), torch.tensor(b, requires_grad=True)
    product = torch.matmul(ta.mT if transpose_a else ta, tb.mT if transpose_b else tb)
    weights = _values(tuple(product.shape), dtype, 2)
    product.backward(torch.tensor(weights))
    ca, cb = corenn.tensor(a), corenn.tensor(b)
    with corenn.GradientTape() as tape:
        tape.watch([ca, cb])
        out = corenn.matmul(ca, cb, transpose_a=transpose_a, transpose_b=transpose_b)
    found = tape.gradient(out, [ca, cb], corenn.tensor(weights))
    for gradient, expected in zip(found, (ta.grad, tb.grad), strict=True):
        assert_close(gradient.numpy(), expected.numpy(), forward(gradient.dtype).scaled(3.0))


class Spy:
    """An interpreter that runs every call and notes the op."""

    def __init__(self):
        self.ops = []

    def __call__(self, op, args, attrs):
        self.ops.append(op.name)
        plan, tensors = dispatch.find(op, args, attrs)
        return plan.execute(tensors)


def _backward_ops(left, right, **flags):
    """The ops that the gradients of a product run."""
    a, b = corenn.ones(left), corenn.ones(right)
    with corenn.GradientTape() as tape:
        tape.watch([a, b])
        out = corenn.matmul(a, b, **flags)
    seed, spy = corenn.ones(out.shape), Spy()
    token = dispatch._interpreter.set(spy)
    try:
        tape.gradient(out, [a, b], seed)
    finally:
        dispatch._interpreter.reset(token)
    return spy.ops


@pytest.mark.parametrize("flags", [{}, {"transpose_a": True}, {"transpose_b": True}])
def test_gradients_of_a_dense_product_are_two_products_and_nothing_else(flags):
    assert _backward_ops((4, 4), (4, 4), **flags) == ["matmul", "matmul"]


def test_the_gradient_of_a_shared_matrix_is_one_product_over_the_batch():
    ops = _backward_ops((5, 3, 4), (4, 2))
    assert ops.count("matmul") == 2
    assert "sum" not in ops


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.T,
        lambda x: x[::2, ::2],
        lambda x: x[::-1],
        lambda x: x[:, ::-1],
        lambda x: np.broadcast_to(x[:1], x.shape),
        lambda x: np.broadcast_to(x[:, :1], x.shape),
        lambda x: np.broadcast_to(x[0, 0], x.shape),
        lambda x: x[None].swapaxes(0, 2)[..., 0],
    ],
    ids=["transposed", "strided", "flipped rows", "flipped columns", "row", "column", "number", "moved"],
)
@pytest.mark.parametrize("flags", [(False, False), (True, False), (False, True)])
def test_matmul_of_views_of_any_strides(view, flags):
    from corenn.spec import Spec
    from corenn.tensor import Tensor

    array = view(_values((6, 6)))
    other = _values((array.shape[0], array.shape[0]), seed=3)
    tensor = corenn.tensor(array)
    seen = Tensor(array, Spec(array.shape, tensor.dtype, tensor.device))  # corenn.tensor would copy to C order
    found = corenn.matmul(seen, other, transpose_a=flags[0], transpose_b=flags[1])
    expected = _flip(np.array(array), flags[0]) @ _flip(other, flags[1])
    assert_close(found.numpy(), expected, forward(found.dtype))


def test_half_precision_products_are_rounded_once():
    row = np.full((1, 4096), 0.1, np.float16)
    exact = float(np.float64(np.float16(0.1)) ** 2 * 4096)
    found = corenn.matmul(row, row, transpose_b=True).item()
    assert abs(found - exact) <= np.spacing(np.float16(exact))


TENSORDOTS = [
    ((2, 3, 4), (3, 4, 5), 2),
    ((2, 3), (4, 5), 0),
    ((2, 3, 4), (4, 3, 5), ((1, 2), (1, 0))),
    ((3, 2, 4), (4, 3, 5), ([0, 2], [1, 0])),
    ((2, 3, 4), (5, 3), (1, 1)),
    ((3, 4), (3, 4), ((0, 1), (0, 1))),
    ((2, 3), (4, 3), (-1, -1)),
]


@pytest.mark.parametrize(("left", "right", "axes"), TENSORDOTS)
def test_tensordot_is_numpys(left, right, axes):
    a, b = _values(left), _values(right, seed=1)
    found = corenn.tensordot(a, b, axes=axes)
    assert_close(found.numpy(), np.tensordot(a, b, axes), forward(found.dtype).scaled(4.0))


@pytest.mark.parametrize("name", ["dot", "inner"])
@pytest.mark.parametrize(("left", "right"), [((3,), (3,)), ((2, 3), (3,)), ((2, 3), (3, 3)), ((2, 3), (4, 3, 3))])
def test_dot_and_inner_are_numpys(name, left, right):
    a, b = _values(left), _values(right, seed=1)
    found = getattr(corenn, name)(a, b)
    assert_close(found.numpy(), getattr(np, name)(a, b), forward(found.dtype).scaled(2.0))


def test_dot_with_a_number_multiplies():
    assert corenn.dot(2.0, corenn.tensor([1.0, 3.0])).tolist() == [2.0, 6.0]


@pytest.mark.parametrize(("left", "right", "axis"), [((3,), (3,), -1), ((2, 3), (4, 1, 3), -1), ((3, 2), (3, 1), -2)])
def test_vecdot_conjugates_the_first(left, right, axis):
    a, b = _values(left, "complex128"), _values(right, "complex128", 1)
    expected = (np.moveaxis(a.conj(), axis, -1) * np.moveaxis(b, axis, -1)).sum(-1)
    found = corenn.vecdot(a, b, axis=axis)
    assert_close(found.numpy(), expected, forward(found.dtype))


# ---------------------------------------------------------------- einsum

EINSUMS = [
    ("ij,jk->ik", [(2, 3), (3, 4)]),
    ("ij,jk", [(2, 3), (3, 4)]),
    ("ba", [(2, 3)]),
    ("ij->", [(2, 3)]),
    ("ii", [(3, 3)]),
    ("ii->i", [(3, 3)]),
    ("iii->i", [(3, 3, 3)]),
    ("iij,jji->ij", [(2, 2, 3), (3, 3, 2)]),
    ("i,j->ij", [(2,), (3,)]),
    ("i,i", [(3,), (3,)]),
    ("bij,bjk->bik", [(4, 2, 3), (4, 3, 2)]),
    ("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)]),
    ("bhqk,bkhd->bqhd", [(2, 3, 4, 5), (2, 5, 3, 6)]),
    ("...ij,...jk->...ik", [(5, 1, 2, 3), (4, 3, 2)]),
    ("...i,...i->...", [(2, 3), (2, 3)]),
    ("i...->...i", [(2, 3, 4)]),
    ("...", [(2, 3)]),
    ("a...b,b", [(2, 3, 4), (4,)]),
    ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 5)]),
    ("ab,bc,cd,de->ae", [(2, 9), (9, 2), (2, 9), (9, 2)]),
    ("ij,ij,ij->j", [(2, 3), (2, 3), (2, 3)]),
    ("ij,kl->", [(2, 3), (4, 5)]),
    ("i,->i", [(3,), ()]),
    (" i j , j k -> i k ", [(2, 3), (3, 4)]),
    ("ij,ij->ij", [(1, 3), (2, 3)]),
    ("ij,jk->ik", [(2, 1), (3, 4)]),
    ("ij,jk->ik", [(0, 3), (3, 2)]),
    ("Ab,bC->AC", [(2, 3), (3, 4)]),
]


@pytest.mark.parametrize(("equation", "shapes"), EINSUMS)
def test_einsum_is_numpys(equation, shapes):
    operands = [_values(s, "complex128", i) for i, s in enumerate(shapes)]
    found = corenn.einsum(equation, *operands)
    assert_close(found.numpy(), np.einsum(equation, *operands), forward(found.dtype).scaled(10.0))


@pytest.mark.parametrize(("equation", "shapes"), [e for e in EINSUMS if "iii" not in e[0] and "jji" not in e[0]])
def test_einsum_gradients_are_pytorchs(equation, shapes):
    torch = pytest.importorskip("torch")
    operands = [_values(s, "complex128", i) for i, s in enumerate(shapes)]
    theirs = [torch.tensor(x, requires_grad=True) for x in operands]
    out = torch.einsum(equation, *theirs)
    weights = _values(tuple(out.shape), "complex128", 9)
    out.backward(torch.tensor(weights))
    ours = [corenn.tensor(x) for x in operands]
    with corenn.GradientTape() as tape:
        tape.watch(ours)
        result = corenn.einsum(equation, *ours)
    found = tape.gradient(result, ours, corenn.tensor(weights))
    for gradient, tensor in zip(found, theirs, strict=True):
        assert_close(gradient.numpy(), tensor.grad.numpy(), forward(gradient.dtype).scaled(10.0))


@st.composite
def _equations(draw):
    """An equation and the shapes of its operands: any letters, repeated or not, any subset in the result."""
    extents = draw(st.dictionaries(st.sampled_from("abcdeXYZ"), st.integers(1, 3), min_size=1, max_size=5))
    letters = sorted(extents)
    terms = draw(st.lists(st.lists(st.sampled_from(letters), max_size=4), min_size=1, max_size=4))
    used = sorted({c for t in terms for c in t})
    output = draw(st.permutations(used)) if used else []
    kept = output[: draw(st.integers(0, len(output)))]
    return ",".join("".join(t) for t in terms) + "->" + "".join(kept), [tuple(extents[c] for c in t) for t in terms]


@settings(max_examples=200, deadline=None)
@given(_equations())
def test_einsum_of_random_equations(case):
    equation, shapes = case
    operands = [np.asarray(_values(s, seed=i)) for i, s in enumerate(shapes)]
    found = corenn.einsum(equation, *operands)
    assert_close(found.numpy(), np.einsum(equation, *operands), forward(found.dtype).scaled(30.0))


def test_einsum_takes_a_list_and_promotes():
    found = corenn.einsum("i,i->i", [np.ones(2, np.float32), np.ones(2, np.float64)])
    assert found.dtype.name == "float64"


def test_the_path_contracts_small_results_first():
    extents = dict.fromkeys(string.ascii_lowercase, 2) | {"b": 100, "c": 100}
    assert contraction_path(["ab", "bc", "c"], "a", extents)[0] == (1, 2)  # a matrix by a vector, not by a matrix
    assert contraction_path(["a", "ab", "bc"], "c", extents)[0] == (0, 1)


@pytest.mark.parametrize(
    ("text", "ranks", "canonical"),
    [
        ("ij,jk", (2, 2), "ij,jk->ik"),
        ("ji", (2,), "ji->ij"),
        ("ii", (2,), "ii->"),
        ("ij,jk->ki", (2, 2), "ij,jk->ki"),
        ("...j,j", (3, 1), "αβj,j->αβ"),
        ("...,...->...", (1, 3), "γ,αβγ->αβγ"),
        ("...i->i...", (1,), "i->i"),
    ],
)
def test_equations_are_made_explicit(text, ranks, canonical):
    assert str(parse_equation(text, ranks)) == canonical
