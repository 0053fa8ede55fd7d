"""Matrix products in every layout, with bias and post-ops, against NumPy in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
from corenn_onednn.dnnl import Attributes, Binary, Descriptor, DnnlError, Eltwise, Sum, UnimplementedError, run
from corenn_onednn.dnnl.arrays import descriptor_of, packed, unpacked
from corenn_onednn.dnnl.primitives import inner_product
from corenn_onednn.dnnl.primitives.matmul import matmul

from corenn.dtypes import as_dtype
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import forward

pytestmark = pytest.mark.usefixtures("library")

SHAPES = [((7, 5), (5, 3)), ((1, 64), (64, 32)), ((33, 100), (100, 17)), ((4, 6, 5), (4, 5, 3)), ((4, 6, 5), (1, 5, 3))]


def _layout(array: np.ndarray, transposed: bool) -> np.ndarray:
    return np.ascontiguousarray(array.swapaxes(-1, -2)).swapaxes(-1, -2) if transposed else np.ascontiguousarray(array)


@pytest.mark.parametrize("transposes", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_products_of_operands_in_either_order(draw, shapes, transposes):
    a, b = (draw(*shape) for shape in shapes)
    left, right = (_layout(x.astype(np.float32), t) for x, t in zip((a, b), transposes, strict=True))
    out = np.full((a @ b).shape, np.nan, np.float32)
    primitive = matmul(descriptor_of(left), descriptor_of(right), descriptor_of(out))
    run(primitive, {"src": left, "weights": right, "dst": out})
    assert_close(out, a @ b, forward(as_dtype("float32")).scaled(math.sqrt(a.shape[-1])), "product")


def _relu(x):
    return np.maximum(x, 0)


# post-ops, and the same in NumPy of the product, what stood in the result, and a row
CHAINS = {
    "relu": ((Eltwise("relu"),), lambda y, before, row: _relu(y)),
    "leaky": ((Eltwise("relu", 0.25),), lambda y, before, row: np.where(y > 0, y, 0.25 * y)),
    "tanh": ((Eltwise("tanh"),), lambda y, before, row: np.tanh(y)),
    "sum": ((Sum(),), lambda y, before, row: y + before),
    "scaled sum, relu": ((Sum(0.5), Eltwise("relu")), lambda y, before, row: _relu(y + 0.5 * before)),
    "add a row": ((Binary("add", "row"),), lambda y, before, row: y + row),
    "relu, times a row, linear": (
        (Eltwise("relu"), Binary("multiply", "row"), Eltwise("linear", 2.0, -1.0)),
        lambda y, before, row: _relu(y) * row * 2 - 1,
    ),
}


@pytest.mark.parametrize("with_bias", [False, True], ids=["plain", "bias"])
@pytest.mark.parametrize("chain", CHAINS)
def test_post_ops_follow_the_bias(draw, chain, with_bias):
    post_ops, expected = CHAINS[chain]
    a, b, bias, before, row = draw(9, 6), draw(6, 8), draw(1, 8), draw(9, 8), draw(1, 8)
    wide = [x.astype(np.float32) for x in (a, b, bias, before, row)]
    left, right, shift, out, line = wide
    chosen = tuple(Binary(p.name, descriptor_of(line)) if isinstance(p, Binary) else p for p in post_ops)
    primitive = matmul(
        descriptor_of(left), descriptor_of(right), descriptor_of(out),
        bias=descriptor_of(shift) if with_bias else None, attributes=Attributes(chosen),
    )  # fmt: skip
    buffers = {"src": left, "weights": right, "dst": out}
    if with_bias:
        buffers["bias"] = shift
    buffers |= {f"post_op_{i}": line for i, p in enumerate(chosen) if isinstance(p, Binary)}
    run(primitive, buffers)
    assert_close(out, expected(a @ b + with_bias * bias, before, row), forward(as_dtype("float32")).scaled(4), chain)


def test_the_library_may_choose_the_layout_of_the_weights(draw):
    a, b = draw(64, 96), draw(96, 48)
    left, out = a.astype(np.float32), np.empty((64, 48), np.float32)
    primitive = matmul(descriptor_of(left), Descriptor(b.shape, "float32", "any"), descriptor_of(out))
    chosen = primitive.descriptors["weights"]
    assert not chosen.is_any
    weights = packed(b.astype(np.float32), chosen)
    np.testing.assert_array_equal(unpacked(weights, chosen), b)
    run(primitive, {"src": left, "weights": weights, "dst": out})
    assert_close(out, a @ b, forward(as_dtype("float32")).scaled(math.sqrt(96)), "product")


def test_bfloat16_is_rounded_once(library, draw):
    if not library.bfloat16:
        pytest.skip("this CPU has no bfloat16 instructions")
    dtype = as_dtype("bfloat16").numpy
    a, b = draw(16, 200).astype(dtype), draw(200, 24).astype(dtype)
    out = np.empty((16, 24), dtype)
    primitive = matmul(descriptor_of(a), descriptor_of(b), descriptor_of(out))
    run(primitive, {"src": a, "weights": b, "dst": out})
    exact = a.astype(np.float64) @ b.astype(np.float64)
    assert_close(out.astype(np.float64), exact, forward(as_dtype("bfloat16")).scaled(2), "product")


@pytest.mark.parametrize("name", ["gemm", "ref", "no such"])
def test_one_of_the_implementations_of_the_library_may_be_asked_for(draw, name):
    a, b = draw(40, 30), draw(40, 50)
    left, right, out = a.astype(np.float32), b.astype(np.float32), np.empty((30, 50), np.float32)
    operands = descriptor_of(left.T), descriptor_of(right), descriptor_of(out)
    if name == "no such":
        with pytest.raises(UnimplementedError, match="unimplemented"):
            matmul(*operands, implementation=name)
        return
    primitive = matmul(*operands, implementation=name)
    assert name in primitive.implementation
    run(primitive, {"src": left, "weights": right, "dst": out})
    assert_close(out, a.T @ b, forward(as_dtype("float32")).scaled(math.sqrt(40)), name)


@pytest.mark.parametrize("layout", ["rows of inputs", "rows of outputs", "any"])
def test_inner_products_and_their_gradients(draw, layout):
    x, w, bias, dy = draw(60, 33), draw(20, 33), draw(20), draw(60, 20)
    strides = {"rows of inputs": None, "rows of outputs": (1, 20), "any": "any"}[layout]
    src, dst, weights = Descriptor(x.shape), Descriptor(dy.shape), Descriptor(w.shape, "float32", strides)
    ahead = inner_product.forward(
        src, weights, dst, bias=Descriptor(bias.shape), attributes=Attributes((Eltwise("relu"),))
    )
    single = {"src": x, "weights": w, "bias": bias, "diff_dst": dy}
    tolerance = forward(as_dtype("float32"))

    def called(primitive, **results):
        chosen = primitive.descriptors
        given = {n: packed(v.astype(np.float32), chosen[n]) for n, v in single.items() if n in chosen}
        made = {n: np.zeros(chosen[n].bytes, np.uint8) for n in results}
        run(primitive, given | made)
        for n, expected in results.items():
            assert_close(unpacked(made[n], chosen[n]), expected, tolerance.scaled(math.sqrt(60)), n)

    called(ahead, dst=np.maximum(x @ w.T + bias, 0))
    called(inner_product.backward_data(src, weights, dst), diff_src=dy @ w)
    called(
        inner_product.backward_weights(src, weights, dst, diff_bias=Descriptor(bias.shape)),
        diff_weights=dy.T @ x, diff_bias=dy.sum(0),
    )  # fmt: skip


def test_a_refusal_names_primitive_operands_and_status():
    a, b, out = Descriptor((2, 3)), Descriptor((4, 5)), Descriptor((2, 5))
    with pytest.raises(DnnlError, match=r"oneDNN matmul: the library answers: invalid arguments") as refused:
        matmul(a, b, out)
    assert refused.value.status == 2
    assert set(refused.value.operands) == {"src", "weights", "dst"}
    assert "float32[2, 3]" in str(refused.value)


def test_arguments_must_be_those_of_the_primitive_and_laid_out_so():
    from corenn_onednn.dnnl import Arguments, Memory

    x = Descriptor((4, 4))
    primitive = matmul(x, x, x)
    memories = {name: Memory(each) for name, each in primitive.descriptors.items()}
    Arguments(primitive, memories)
    with pytest.raises(DnnlError, match="not those of the primitive"):
        Arguments(primitive, {"src": memories["src"]})
    turned = Memory(Descriptor((4, 4), "float32", (1, 4)))
    with pytest.raises(DnnlError, match="another layout"):
        Arguments(primitive, {**memories, "src": turned})
