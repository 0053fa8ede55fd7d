"""Exporting functions and graphs: control flow, the open batch, names, gradients, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

import corenn_onnx
import onnxruntime as ort

import corenn
from corenn import layers
from corenn.errors import UsageError
from corenn.graph import Graph, Session, TensorSpec
from corenn.training import Sequential

ROWS = TensorSpec((None, 3))


def run(proto: Any, *given: Any) -> list[Any]:
    session = ort.InferenceSession(proto.SerializeToString())
    return list(session.run(None, {i.name: a for i, a in zip(session.get_inputs(), given, strict=True)}))


def rows(batch: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(batch).normal(size=(batch, 3)).astype("float32")


def halved(x: Any) -> Any:
    """Halved until it is small: a loop whose length depends on values."""
    return corenn.while_loop(
        lambda i, v: corenn.greater(corenn.max(corenn.abs(v)), 0.1), lambda i, v: (i + 1, v / 2), [corenn.tensor(0), x]
    )


def at_most(x: Any) -> Any:
    return corenn.while_loop(lambda v: corenn.sum(v) < 1e6, lambda v: v * v + 1, [x], maximum_iterations=3)


def chosen(x: Any) -> Any:
    return corenn.cond(corenn.sum(x) > 0, lambda: x * 2 + corenn.mean(x), lambda: corenn.nn.relu(x))


#: Functions of rows whose number is open.
FUNCTIONS: dict[str, Any] = {
    "a loop by values": halved,
    "a loop of three": at_most,
    "a branch": chosen,
    "a loop that is written out": lambda x: corenn.fold(lambda a, b: a * b, x.T),
    "constants of the batch's extent": lambda x: x + corenn.ones((x.shape[0], 1)) * 2,
    "the batch as a number": lambda x: x / x.shape[0],
    "the batch doubled": lambda x: corenn.concat([x, x], axis=0) + corenn.zeros((2 * x.shape[0], 3)),
    "a reshape across the batch": lambda x: corenn.reshape(x, shape=(x.shape[0] * 3,)) * 2,
    "the last row": lambda x: x[-1] + x[0],
    "all but the first": lambda x: x[1:] - x[:-1],
    "rows in reverse": lambda x: x[::-1],
    "a matrix of rows": lambda x: corenn.matmul(x, x.T),
    "positions": lambda x: x + corenn.arange(x.shape[0]).cast("float32")[:, None],
    "a mean over the batch": lambda x: corenn.mean(x, axis=0) + corenn.std(x, axis=0),
    "an index by arrays": lambda x: x[:, [2, 0]],
    "a padded batch": lambda x: corenn.pad(x, widths=((1, 0), (0, 2))),
    "sorted rows": lambda x: corenn.sort(x, axis=0),
    "a broadcast": lambda x: corenn.broadcast_to(x[:, None, :], shape=(x.shape[0], 2, 3)) * corenn.ones((2, 1)),
    "einsum": lambda x: corenn.einsum("bi,bj->bij", x, x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_an_open_batch(name: str) -> None:
    function = FUNCTIONS[name]
    proto = corenn_onnx.export(function, input_signature=[ROWS])
    back = corenn_onnx.load(proto)
    for batch in (2, 7):
        x = rows(batch)
        wanted = function(corenn.tensor(x))
        wanted = list(wanted) if isinstance(wanted, tuple | list) else [wanted]
        again = back(x)
        again = again if isinstance(again, tuple) else (again,)
        for a, b, c in zip(wanted, run(proto, x), again, strict=True):
            assert a.shape == b.shape == c.shape
            np.testing.assert_allclose(b, a.numpy(), rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(c.numpy(), a.numpy(), rtol=1e-5, atol=1e-6)


def test_a_traced_function_with_its_signature(tmp_path: Any) -> None:
    weight = corenn.Variable(np.arange(6, dtype="float32").reshape(3, 2), name="weight")

    @corenn.function(input_signature=[ROWS])
    def double(x: Any) -> Any:
        return {"product": corenn.matmul(x, weight), "shifted": x + 1}

    proto = corenn_onnx.export(double, tmp_path / "double.onnx", input_names=["rows"])
    assert [i.name for i in proto.graph.input] == ["rows"]
    assert [o.name for o in proto.graph.output] == ["product", "shifted"]
    assert proto.graph.initializer[0].name == "weight"
    x = rows(4)
    found = corenn_onnx.load(tmp_path / "double.onnx")(rows=x)
    np.testing.assert_allclose(found[0].numpy(), x @ weight.numpy(), rtol=1e-6)


def test_a_concrete_function() -> None:
    concrete = corenn.function(lambda x: x * 3).get_concrete_function(TensorSpec((2, 3)))
    proto = corenn_onnx.export(concrete)
    np.testing.assert_allclose(run(proto, rows(2))[0], rows(2) * 3)


def test_a_graph_with_the_values_of_a_session() -> None:
    graph = Graph()
    with graph.as_default():
        x = corenn.graph.placeholder("float32", (None, 3), name="x")
        w = corenn.graph.variable(np.ones((3, 2), "float32"), name="w")
        y = corenn.graph.identity(corenn.matmul(x, w), name="y")
        session = Session(graph)
        session.run(corenn.graph.global_variables_initializer())
    proto = corenn_onnx.export(graph, inputs=[x], outputs=[y], session=session)
    assert (proto.graph.input[0].name, proto.graph.output[0].name) == ("x", "y")
    np.testing.assert_allclose(run(proto, rows(5))[0], session.run(y, {x: rows(5)}), rtol=1e-6)
    with pytest.raises(UsageError, match="session"):
        corenn_onnx.export(graph, inputs=[x], outputs=[y])


def test_a_gradient_is_exported_like_anything_else() -> None:
    model = Sequential([layers.Input((3,)), layers.Dense(4, activation="tanh"), layers.Dense(1)])

    def slope(x: Any) -> Any:
        with corenn.GradientTape() as tape:
            tape.watch(x)
            y = corenn.sum(model(x))
        return tape.gradient(y, x)

    proto = corenn_onnx.export(slope, input_signature=[ROWS])
    for batch in (1, 4):
        np.testing.assert_allclose(run(proto, rows(batch))[0], slope(corenn.tensor(rows(batch))).numpy(), 1e-4, 1e-6)


counter = corenn.Variable(0.0, name="counter")


def writes(x: Any) -> Any:
    counter.assign_add(1.0)
    return x + counter


#: What is refused: the function, the error and words of it.
REFUSED = {
    "random": (lambda x: x + corenn.random.normal((3,)), "random"),
    "an assignment": (writes, "assigns variables"),
    "linear algebra": (lambda x: corenn.linalg.inv(corenn.matmul(x.T, x)), "'inv'"),
    "a shape by values": (lambda x: corenn.boolean_mask(x, x[:, 0] > 0), "depend on values"),
    "python": (lambda x: corenn.py_function(lambda a: a, [x], ["float32"]), "py_function"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    function, words = REFUSED[name]
    with pytest.raises(corenn_onnx.OnnxExportError) as caught:
        corenn_onnx.export(function, input_signature=[ROWS])
    assert words in str(caught.value)
    assert "test_export.py" in str(caught.value)  # the line of the caller


def test_wrong_arguments() -> None:
    model = Sequential([layers.Input((3,)), layers.Dense(2)])
    with pytest.raises(UsageError, match="opsets 17 to"):
        corenn_onnx.export(model, opset=9)
    with pytest.raises(UsageError, match="2 names for 1 outputs"):
        corenn_onnx.export(model, output_names=["a", "b"])
    with pytest.raises(UsageError, match="what the function takes"):
        corenn_onnx.export(lambda x: x)
    with pytest.raises(UsageError, match="takes a model"):
        corenn_onnx.export(3)
    with pytest.raises(corenn_onnx.OnnxExportError, match="first axis"):
        corenn_onnx.export(lambda x: x, input_signature=[TensorSpec((None, None))])
