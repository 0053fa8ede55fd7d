"""Loading ONNX models: calls, tracing, gradients, training, opsets, control flow, foreign types, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra onnx is not installed")

import corenn_onnx
import onnx
from corenn_onnx.backend import CorennBackend, run_model, run_node, supports_device
from corenn_onnx.table import TABLE
from onnx import TensorProto, helper, numpy_helper

import corenn
from corenn import layers, optimizers
from corenn.training import Sequential


def model(text: str) -> onnx.ModelProto:
    """A model in ONNX's text form."""
    proto = onnx.parser.parse_model(text)
    onnx.checker.check_model(proto)
    return proto


AFFINE = """
<ir_version: 8, opset_import: ["" : 18]>
affine (float[N, 3] x) => (float[N, 2] y, float s)
<float[3, 2] w = {1, 2, 3, 4, 5, 6}, float[2] b = {0.5, -0.5}>
{
    p = MatMul(x, w)
    q = Add(p, b)
    y = Relu(q)
    s = ReduceSum<keepdims = 0>(y)
}
"""


def test_calls_by_place_and_by_name() -> None:
    loaded = corenn_onnx.load(model(AFFINE))
    assert (loaded.inputs, loaded.outputs, loaded.opset, loaded.name) == (["x"], ["y", "s"], 18, "affine")
    x = np.array([[1, 0, -1], [0.5, 0.5, 0.5]], np.float32)
    wanted = np.maximum(x @ np.array([[1, 2], [3, 4], [5, 6]]) + [0.5, -0.5], 0)
    for y, s in (loaded(x), loaded(x=corenn.tensor(x))):
        np.testing.assert_allclose(y.numpy(), wanted, rtol=1e-6)
        np.testing.assert_allclose(s.item(), wanted.sum(), rtol=1e-6)
    assert "x -> y, s" in repr(loaded)


def test_an_initializer_that_is_an_input_can_be_given() -> None:
    proto = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 18]>
        m (float[2] x, float[2] b = {1, 1}) => (float[2] y) { y = Add(x, b) }
    """)
    loaded = corenn_onnx.load(proto)
    x = np.array([1, 2], np.float32)
    assert loaded.inputs == ["x"]
    assert loaded(x).tolist() == [2, 3]
    assert loaded(x, b=x).tolist() == [2, 4]
    assert loaded(x).tolist() == [2, 3]


def test_traced_by_function_and_differentiable() -> None:
    loaded = corenn_onnx.load(model(AFFINE))
    traced = corenn.function(loaded)
    x = corenn.tensor(np.array([[1, 2, 3]], np.float32))
    assert traced(x)[1].item() == loaded(x)[1].item()
    assert len(traced.traces) == 1
    assert "matmul" in str(traced.get_concrete_function(x).program(x))
    with corenn.GradientTape() as tape:
        tape.watch(x)
        s = loaded(x)[1]
    np.testing.assert_allclose(tape.gradient(s, x).numpy(), [[3, 7, 11]])


def test_trained_weights() -> None:
    loaded = corenn_onnx.load(model(AFFINE), trainable=True)
    assert sorted(loaded.variables) == ["b", "w"]
    x = corenn.tensor(np.array([[1, 2, 3]], np.float32))
    optimizer = optimizers.SGD(0.01)
    before = loaded(x)[1].item()
    with corenn.GradientTape() as tape:
        loss = loaded(x)[1]
    variables = list(loaded.variables.values())
    optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
    assert loaded(x)[1].item() < before
    assert corenn_onnx.load(model(AFFINE))(x)[1].item() == before


def test_a_trained_model_round_trip(tmp_path: Any) -> None:
    net = Sequential([layers.Input((4,)), layers.Dense(8, activation="tanh"), layers.Dense(3)])
    x = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    corenn_onnx.export(net, tmp_path / "net.onnx")
    loaded = corenn_onnx.load(tmp_path / "net.onnx", trainable=True)
    np.testing.assert_array_equal(loaded(x).numpy(), net(x).numpy())
    for name, variable in zip(net.weight_names(), net.weights, strict=True):
        np.testing.assert_array_equal(loaded.variables[name].numpy(), variable.numpy())
    again = corenn_onnx.export(
        loaded, input_signature=[corenn.graph.TensorSpec((None, 4))]
    )  # what was imported is exported like any function
    np.testing.assert_allclose(corenn_onnx.load(again)(x).numpy(), net(x).numpy(), rtol=1e-6)


OPSETS = {
    "Squeeze with an attribute": """<ir_version: 7, opset_import: ["" : 11]>
        m (float[1, 3] x) => (float[3] y) { y = Squeeze<axes = [0]>(x) }""",
    "Squeeze with an input": """<ir_version: 8, opset_import: ["" : 13]>
        m (float[1, 3] x) => (float[3] y) <int64[1] axes = {0}> { y = Squeeze(x, axes) }""",
    "ReduceSum with an attribute": """<ir_version: 7, opset_import: ["" : 11]>
        m (float[1, 3] x) => (float[3] y) { y = ReduceSum<axes = [0], keepdims = 0>(x) }""",
    "Clip with attributes": """<ir_version: 6, opset_import: ["" : 6]>
        m (float[1, 3] x) => (float[1, 3] y) { y = Clip<min = 0.0, max = 1.5>(x) }""",
    "Upsample": """<ir_version: 6, opset_import: ["" : 8]>
        m (float[1, 3] x) => (float[1, 6] y) { y = Upsample<mode = "nearest", scales = [1.0, 2.0]>(x) }""",
    "Slice with attributes": """<ir_version: 6, opset_import: ["" : 9]>
        m (float[1, 3] x) => (float[1, 2] y) { y = Slice<axes = [1], ends = [3], starts = [1]>(x) }""",
    "broadcasting along an axis": """<ir_version: 3, opset_import: ["" : 6]>
        m (float[1, 3] x) => (float[1, 3] y) <float[1] b = {2}> { y = Mul<broadcast = 1, axis = 0>(x, b) }""",
}
WANTED = {
    "Squeeze with an attribute": [1, 2, 3], "Squeeze with an input": [1, 2, 3],
    "ReduceSum with an attribute": [1, 2, 3], "Clip with attributes": [[1, 1.5, 1.5]],
    "Upsample": [[1, 1, 2, 2, 3, 3]], "Slice with attributes": [[2, 3]], "broadcasting along an axis": [[2, 4, 6]],
}  # fmt: skip


@pytest.mark.parametrize("name", WANTED)
def test_what_opsets_changed(name: str) -> None:
    loaded = corenn_onnx.load(onnx.parser.parse_model(OPSETS[name]))
    np.testing.assert_allclose(loaded(np.array([[1, 2, 3]], np.float32)).numpy(), WANTED[name])


CONTROL = """
<ir_version: 8, opset_import: ["" : 18]>
control (float[3] x, bool up) => (float[3] y, float[3] z)
<float two = {2}>
{
    y = If(up) <
        then_branch = larger () => (float[3] a) { a = Mul(x, two) },
        else_branch = smaller () => (float[3] b) { b = Div(x, two) }
    >
    most = Constant<value_int = 100>()
    go = Constant<value = bool {1}>()
    z = Loop(most, go, x) <body = step (int64 i, bool c, float[3] v) => (bool more, float[3] w) {
        w = Mul(v, two)
        top = ReduceMax<keepdims = 0>(w)
        limit = Constant<value = float {20}>()
        more = Less(top, limit)
    }>
}
"""


@pytest.mark.parametrize("traced", [False, True])
def test_decisions_of_a_run(traced: bool) -> None:
    loaded = corenn_onnx.load(model(CONTROL))
    call = corenn.function(loaded) if traced else loaded
    x = corenn.tensor(np.array([1, 2, 3], np.float32))
    for up, factor in ((True, 2), (False, 0.5)):
        y, z = call(x, corenn.tensor(np.array(up)))
        np.testing.assert_allclose(y.numpy(), x.numpy() * factor)
        np.testing.assert_allclose(z.numpy(), [8, 16, 24])


def test_text_sequences_and_optionals() -> None:
    proto = model("""
        <ir_version: 8, opset_import: ["" : 20]>
        text (string[3] x, seq(float[N]) s) => (string[3] y, seq(float[N]) t, bool has)
        {
            y = StringConcat(x, x)
            last = Constant<value_int = -1>()
            e = SequenceAt(s, last)
            t = SequenceInsert(s, e)
            has = OptionalHasElement(e)
        }
    """)
    y, t, has = corenn_onnx.load(proto)(np.array(["a", "bc", ""]), [np.ones(2, "f"), np.zeros(3, "f")])
    assert y.tolist() == ["aa", "bcbc", ""]
    assert [v.tolist() for v in t] == [[1, 1], [0, 0, 0], [0, 0, 0]]
    assert bool(has)


def test_functions_of_the_model() -> None:
    proto = model("""
        <ir_version: 9, opset_import: ["" : 18, "mine" : 1]>
        m (float[2] x) => (float[2] y) { y = mine.Twice<by = 3.0>(x) }
        <domain: "mine", opset_import: ["" : 18]>
        Twice <by: float = 2.0> (v) => (w) { k = Constant<value_float: float = @by>()  w = Mul(v, k) }
    """)
    assert corenn_onnx.load(proto)(np.array([1, 2], "f")).tolist() == [3, 6]


def test_where_the_inputs_are_is_where_it_runs() -> None:
    from corenn.testing.doubles import register_doubles

    register_doubles()
    loaded = corenn_onnx.load(model(AFFINE))
    x = np.array([[1, 2, 3]], np.float32)
    here, there = loaded(x), loaded(corenn.tensor(x, device="simulated"))
    assert there[0].device is corenn.device("simulated")
    np.testing.assert_array_equal(there[0].numpy(), here[0].numpy())
    np.testing.assert_array_equal(loaded(x)[0].numpy(), here[0].numpy())


def test_bodies_of_the_standard_are_differentiable() -> None:
    proto = model("""
        <ir_version: 10, opset_import: ["" : 23]>
        m (float[1, 2, 3, 4] q, float[1, 2, 5, 4] k, float[1, 2, 5, 4] v) => (float[1, 2, 3, 4] y) {
            y = Attention(q, k, v)
        }
    """)
    loaded = corenn_onnx.load(proto)
    generator = np.random.default_rng(0)
    q, k, v = (corenn.tensor(generator.normal(size=(1, 2, n, 4)).astype("f")) for n in (3, 5, 5))
    wanted = corenn.nn.scaled_dot_product_attention(q, k, v)
    for _ in range(2):  # the second call has the body ready
        np.testing.assert_allclose(loaded(q, k, v).numpy(), wanted.numpy(), rtol=1e-5, atol=1e-6)
    mine, theirs = (
        corenn.grad(lambda q, f=f: corenn.sum(f(q, k, v) ** 2))(q)
        for f in (loaded, corenn.nn.scaled_dot_product_attention)
    )
    np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-5)


def test_external_data(tmp_path: Any) -> None:
    big = np.arange(2048, dtype=np.float32)
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])], "m",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2048])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2048])], [numpy_helper.from_array(big, "w")],
    )  # fmt: skip
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    onnx.save(proto, str(tmp_path / "m.onnx"), save_as_external_data=True, location="weights.bin")
    assert (tmp_path / "weights.bin").stat().st_size >= big.nbytes
    found = corenn_onnx.load(tmp_path / "m.onnx")(np.ones(2048, np.float32))
    np.testing.assert_array_equal(found.numpy(), big + 1)


# ---------------------------------------------------------------- errors

TEXT = '<ir_version: 8, opset_import: ["" : 18]> m (float[2] x) => (float[2] y) { %s }'
WRONG = {
    "an unknown op": ("y = Nonsense(x)", corenn_onnx.UnsupportedOnnxError, ["Nonsense", "opset 18", "'y'"]),
    "an unknown attribute": ("y = Relu<slope = 1.0>(x)", corenn_onnx.UnsupportedOnnxError, ["'slope'", "Relu"]),
    "a missing attribute": ("y = Concat(x, x)", corenn_onnx.OnnxModelError, ["'axis'", "Concat"]),
    "too many inputs": ("y = Relu(x, x)", corenn_onnx.OnnxModelError, ["2 inputs", "Relu"]),
    "shapes that do not fit": ("y = MatMul(x, w) ", corenn.CorennError, ["MatMul", "'y'"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_errors_name_node_op_and_opset(name: str) -> None:
    nodes, kind, words = WRONG[name]
    text = TEXT % nodes
    if "w)" in nodes:
        text = text.replace("{ y", "<float[3] w = {1, 2, 3}> { y")
    with pytest.raises(kind) as caught:
        corenn_onnx.load(onnx.parser.parse_model(text))(np.ones(2, np.float32))
    shown = str(caught.value) + " ".join(getattr(caught.value, "__notes__", []))
    for word in words:
        assert word in shown


def test_wrong_calls_and_files(tmp_path: Any) -> None:
    loaded = corenn_onnx.load(model(AFFINE))
    x = np.ones((1, 3), np.float32)
    with pytest.raises(corenn_onnx.OnnxModelError, match="input 'x' is missing"):
        loaded()
    with pytest.raises(corenn_onnx.OnnxModelError, match="no input 'z'"):
        loaded(x, z=x)
    with pytest.raises(corenn_onnx.OnnxModelError, match="given twice"):
        loaded(x, x=x)
    with pytest.raises(corenn_onnx.OnnxModelError, match="takes 1 inputs, not 2"):
        loaded(x, x)
    with pytest.raises(corenn_onnx.OnnxModelError, match="elements of FLOAT, not float64"):
        loaded(x.astype(np.float64))
    with pytest.raises(corenn_onnx.OnnxModelError, match="no file"):
        corenn_onnx.load(tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"this is text")
    with pytest.raises(corenn_onnx.OnnxModelError, match="no ONNX model"):
        corenn_onnx.load(tmp_path / "bad.onnx")


def test_what_must_be_known_while_tracing() -> None:
    proto = model("""
        <ir_version: 8, opset_import: ["" : 18]>
        m (float[2] x, int64[1] n) => (float[N] y) { y = Tile(x, n) }
    """)
    loaded = corenn_onnx.load(proto)
    assert loaded(np.ones(2, np.float32), np.array([3])).shape == (6,)
    with pytest.raises(corenn_onnx.UnsupportedOnnxError, match="'repeats' must be known"):
        corenn.function(loaded)(np.ones(2, np.float32), np.array([3]))


def test_shapes_are_constants_while_tracing() -> None:
    proto = model("""
        <ir_version: 8, opset_import: ["" : 18]>
        m (float[A, B] x) => (float[N] y) {
            s = Shape(x)
            n = ReduceProd(s)
            y = Reshape(x, n)
        }
    """)
    traced = corenn.function(corenn_onnx.load(proto))
    assert traced(np.ones((2, 3), np.float32)).shape == (6,)
    assert traced(np.ones((4, 3), np.float32)).shape == (12,)


# ---------------------------------------------------------------- ops that the suite has no cases for

RUNTIME_CASES: dict[str, tuple[str, int, dict[str, Any], list[Any]]] = {
    "MaxRoiPool": (
        "MaxRoiPool", 18, {"pooled_shape": [2, 3], "spatial_scale": 0.5},
        [np.random.default_rng(0).normal(size=(2, 3, 8, 9)).astype("f"),
         np.array([[0, 0, 0, 9, 9], [1, 2, 3, 17, 15], [1, 6, 6, 6, 6]], "f")],
    ),
    "GlobalLpPool": ("GlobalLpPool", 18, {"p": 3}, [np.random.default_rng(1).normal(size=(2, 3, 4, 5)).astype("f")]),
    "LSTM with other activations": (
        "LSTM", 18, {"hidden_size": 2, "activations": ["HardSigmoid", "Softsign", "Relu"], "clip": 0.5},
        [np.random.default_rng(i).normal(size=s).astype("f") for i, s in enumerate([(4, 2, 3), (1, 8, 3), (1, 8, 2)])],
    ),
    "GRU, both ways": (
        "GRU", 18, {"hidden_size": 2, "direction": "bidirectional", "linear_before_reset": 1,
                    "activations": ["Sigmoid", "Tanh", "HardSigmoid", "Relu"]},
        [np.random.default_rng(i).normal(size=s).astype("f")
         for i, s in enumerate([(4, 2, 3), (2, 6, 3), (2, 6, 2), (2, 12)])],
    ),
    "Multinomial of a certain class": ("Multinomial", 18, {"sample_size": 4}, [np.array([[-99, 9, -99]], "f")]),
    "ConvTranspose with output_shape": (
        "ConvTranspose", 18, {"output_shape": [9, 11], "strides": [2, 2], "auto_pad": "SAME_LOWER"},
        [np.random.default_rng(i).normal(size=s).astype("f") for i, s in enumerate([(1, 2, 5, 6), (2, 3, 3, 3)])],
    ),
    "pooling with ceil_mode and padding": (
        "AveragePool", 19,
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 1, 1], "ceil_mode": 1, "count_include_pad": 1},
        [np.random.default_rng(0).normal(size=(1, 2, 6, 7)).astype("f")],
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "saturate", "codes"),
    [
        ("up", 1, [0, 0, 127, 128, 129, 254, 254, 255]),
        ("down", 1, [0, 0, 127, 127, 128, 254, 254, 255]),
        ("nearest", 0, [255, 255, 127, 128, 128, 254, 255, 255]),
    ],
)
def test_powers_of_two(mode: str, saturate: int, codes: list[int]) -> None:
    """The table of the standard for float8e8m0: ties up, NaN without saturation where a value does not fit."""
    x = np.array([0, 2.0**-140, 1, 1.5, 2.5, 2.0**127, np.inf, np.nan], np.float64)
    node = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT8E8M0, round_mode=mode, saturate=saturate)
    (found,) = run_node(node, [x], opset_version=24)
    assert np.asarray(found).view(np.uint8).tolist() == codes


@pytest.mark.parametrize("name", RUNTIME_CASES)
def test_ops_as_onnxruntime_has_them(name: str) -> None:
    ort = pytest.importorskip("onnxruntime")
    op_type, opset, attributes, given = RUNTIME_CASES[name]
    names = [f"x{i}" for i in range(len(given))]
    outputs = ["y", "h", "c"][: 3 if op_type == "LSTM" else 2 if op_type == "GRU" else 1]
    node = helper.make_node(op_type, names, outputs, **attributes)
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, a.shape) for n, a in zip(names, given, strict=True)]
    ends = [helper.make_empty_tensor_value_info(o) for o in outputs]
    graph = helper.make_graph([node], "m", infos, ends)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    session = ort.InferenceSession(onnx.shape_inference.infer_shapes(proto).SerializeToString())
    wanted = session.run(None, dict(zip(names, given, strict=True)))
    for a, b in zip(wanted, run_model(proto, given), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5)


# ---------------------------------------------------------------- the backend's interface


def test_backend_interface() -> None:
    x = np.array([[1, 0, -1]], np.float32)
    rep = CorennBackend.prepare(model(AFFINE))
    np.testing.assert_array_equal(rep.run([x])[0], run_model(model(AFFINE), [x])[0])
    found = run_node(helper.make_node("Relu", ["x"], ["y"]), [x])
    np.testing.assert_array_equal(found.y, [[1, 0, 0]])
    assert supports_device("CPU")
    assert not supports_device("TPU")


def test_most_ops_of_the_standard_are_there() -> None:
    latest = {s.name for s in onnx.defs.get_all_schemas() if s.domain == "" and not s.deprecated}
    have = {name for domain, name in TABLE if not domain}
    bodies = {s.name for s in onnx.defs.get_all_schemas() if s.has_function or s.has_context_dependent_function}
    missing = sorted(latest - have - bodies)
    assert missing == []
