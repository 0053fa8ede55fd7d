"""Every op of the table on its own samples: exported, checked, run by onnxruntime, imported again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

import corenn_onnx
import onnxruntime as ort
from corenn_onnx.exporting import EMITTERS

import corenn
from corenn import dtypes
from corenn.graph import TensorSpec
from corenn.ops.table import TABLE

#: Ops that ONNX has no form for, with the reason.  All others of the table must be exported.
WITHOUT: dict[str, str] = {
    **dict.fromkeys(("angle", "conj", "imag", "real"), "ONNX has no complex numbers"),
    **dict.fromkeys(
        ("cholesky", "eigh", "inv", "pinv", "qr", "slogdet", "solve", "svd", "triangular_solve"),
        "ONNX has no linear algebra but Det",
    ),
    **dict.fromkeys(("digamma", "erfinv", "lgamma", "polygamma"), "ONNX has no such function"),
    **dict.fromkeys(("argwhere", "bincount", "unique", "unique_all"), "the shape of the result depends on values"),
    "searchsorted": "ONNX has no search",
    "dropout": "it draws random numbers",
    "transfer": "ONNX has no devices",
    **dict.fromkeys(
        ("bitwise_left_shift", "bitwise_right_shift"), "BitShift takes unsigned integers, not the sample's"
    ),
}
#: Samples that a runtime answers otherwise, or refuses, with the reason.
SKIPPED: dict[tuple[str, int], str] = {
    **dict.fromkeys((("argsort", 3), ("argsort", 4), ("sort", 3), ("sort", 4), ("top_k", 3), ("top_k", 7)),
                    "onnxruntime puts NaN in no order"),
    **dict.fromkeys((("max", 6), ("min", 6), ("median", 6)), "onnxruntime passes NaN over"),
    ("mean", 3): "onnxruntime gives 0 as the mean of nothing",
    ("cast", 1): "ONNX's Cast takes no complex numbers",
    ("place", 5): "onnxruntime refuses ScatterND into a scalar",
    ("index_add", 2): "onnxruntime refuses ScatterND into a scalar",
    **dict.fromkeys(((name, i) for name in ("index_arrays", "index_arrays_add") for i in (6, 7, 8)),
                    "the shape of the result depends on values"),
    **dict.fromkeys((("gru", 4), ("lstm", 3), ("simple_rnn", 3)),
                    "the last state of an example of length 0 is 0 in onnxruntime, the first state in corenn"),
    **dict.fromkeys((("gru", 6), ("lstm", 4), ("simple_rnn", 6)), "onnxruntime ends the process for an empty batch"),
}  # fmt: skip
#: Results that networks use, where the op has more for its gradient.
RESULTS = {"lstm": 3, "gru": 2, "simple_rnn": 2}


def samples() -> list[tuple[str, int]]:
    found = []
    for name, op in TABLE.items():
        if name.startswith("random") or name.endswith("_update") or name in WITHOUT:
            continue
        found += [(name, i) for i in range(len(op.sample_list))]
    return found


def kind_of(op: Any, sample: Any) -> Any:
    for dtype in (dtypes.float32, dtypes.int32, dtypes.bool_):
        if dtype.kind in sample.kinds and all(dtype in op.accepted(t) for t in op.all_tensors[:1]):
            return dtype
    return dtypes.float32


def run(proto: Any, given: list[Any]) -> list[Any]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = ort.InferenceSession(proto.SerializeToString(), options)
    return list(session.run(None, {i.name: a for i, a in zip(session.get_inputs(), given, strict=True)}))


def check(name: str, number: int, opset: int = 18) -> None:
    op = TABLE[name]
    sample = op.sample_list[number]
    dtype = kind_of(op, sample)
    drawn = [None if a is None else a.values(np.random.default_rng(0), dtype) for a in sample.args]
    given = [a for a in drawn if a is not None]

    def call(*tensors: Any) -> Any:
        rest = iter(tensors)
        found = op.public(*[None if a is None else next(rest) for a in drawn], **sample.attrs)
        return tuple(found)[: RESULTS.get(name)] if isinstance(found, tuple | list) else found

    wanted = call(*[corenn.asarray(a) for a in given])
    wanted = [w.numpy() for w in (wanted if isinstance(wanted, tuple) else [wanted])]
    proto = corenn_onnx.export(call, opset=opset, input_signature=[TensorSpec(a.shape, a.dtype) for a in given])
    again = corenn_onnx.load(proto)(*given)
    again = again if isinstance(again, tuple) else (again,)
    for a, b, c in zip(wanted, run(proto, given), again, strict=True):
        assert a.shape == b.shape == c.shape
        assert a.dtype == b.dtype == c.dtype.numpy
        np.testing.assert_allclose(b, a, rtol=2e-4, atol=2e-5)
        np.testing.assert_allclose(c.numpy(), a, rtol=2e-4, atol=2e-5)


def operands(name: str, number: int) -> list[Any]:
    return [a for a in TABLE[name].sample_list[number].args if a is not None]


def fits(name: str, number: int) -> bool:
    """Whether the sample can be drawn: it has operands, of the dtypes the op takes."""
    op, sample = TABLE[name], TABLE[name].sample_list[number]
    return bool(operands(name, number)) and kind_of(op, sample).kind in sample.kinds and "labels" not in op.tensors[:1]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, at infinities and NaN
@pytest.mark.parametrize("name", sorted({n for n, _ in samples()}))
def test_ops_agree_in_onnxruntime(name: str) -> None:
    numbers = [i for n, i in samples() if n == name and (n, i) not in SKIPPED and fits(n, i)]
    for number in numbers:
        check(name, number)


@pytest.mark.parametrize("name", [n for n in WITHOUT if n in TABLE and n not in ("searchsorted",)])
def test_what_cannot_be_exported_is_an_error_that_names_the_op(name: str) -> None:
    op = TABLE[name]
    sample = op.sample_list[0]
    dtype = dtypes.complex64 if WITHOUT[name].startswith("ONNX has no complex") else kind_of(op, sample)
    drawn = [None if a is None else a.values(np.random.default_rng(0), dtype) for a in sample.args]
    given = [a for a in drawn if a is not None]

    def call(*tensors: Any) -> Any:
        rest = iter(tensors)
        return op.public(*[None if a is None else next(rest) for a in drawn], **sample.attrs)

    with pytest.raises(corenn_onnx.OnnxExportError) as caught:
        corenn_onnx.export(call, input_signature=[TensorSpec(a.shape, a.dtype) for a in given])
    words = f"{caught.value.where} {caught.value.what}".lower().replace("_", "")
    parts = {name, "flat_index", "segment_sum", "random_uniform", "place", "set_rows"}
    assert any(part.replace("_", "") in words for part in parts)


def test_emitters_are_of_ops_that_exist() -> None:
    assert set(EMITTERS) <= set(TABLE)
    assert len(EMITTERS) > 120
