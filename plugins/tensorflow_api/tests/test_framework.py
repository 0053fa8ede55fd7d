"""Shapes, dtypes, graphs and tensors as TensorFlow shows them; texts are those of TensorFlow 1.15 and 2."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import corenn


@pytest.mark.parametrize(
    ("dims", "text", "listed"),
    [((2, 3), "(2, 3)", [2, 3]), ((None, 3), "(?, 3)", [None, 3]), ((3,), "(3,)", [3]), ((), "()", [])],
)
def test_shapes_in_generation_1(tf1: Any, dims: Any, text: str, listed: list[Any]) -> None:
    shape = tf1.TensorShape(dims)
    assert (str(shape), shape.as_list(), shape.ndims) == (text, listed, len(listed))
    assert [d.value for d in shape] == listed and isinstance(shape, tuple)
    assert repr(shape) == f"TensorShape([{', '.join(f'Dimension({n})' for n in listed)}])"


def test_dimensions(tf1: Any) -> None:
    known, unknown = tf1.TensorShape([4, None])
    assert (known * 2).value == 8 and known + 1 == 5 and isinstance(known, int)
    assert isinstance(unknown, tf1.Dimension) and unknown.value is None and (unknown * 2).value is None
    assert (unknown == 3) is None
    with pytest.raises(TypeError):
        int(unknown)


def test_shapes_of_unknown_rank(tf1: Any) -> None:
    shape = tf1.TensorShape(None)
    assert str(shape) == "<unknown>" and shape.ndims is None and not shape.is_fully_defined()
    with pytest.raises(ValueError, match="not defined on an unknown TensorShape"):
        shape.as_list()
    assert shape.merge_with([2, None]) == [2, None]
    assert tf1.TensorShape([2, None]).concatenate([5]).as_list() == [2, None, 5]


def test_shapes_that_contradict(tf1: Any) -> None:
    with pytest.raises(ValueError, match=r"Shapes \(2, 3\) and \(2, 4\) are not compatible"):
        tf1.TensorShape([2, 3]).merge_with([2, 4])
    with pytest.raises(ValueError, match=r"Shape \(2,\) must have rank 3"):
        tf1.TensorShape([2]).assert_has_rank(3)


def test_shapes_in_generation_2(tf2: Any) -> None:
    x = tf2.zeros([2, 3])
    assert x.shape == (2, 3) and x.shape[0] == 2 and x.shape.as_list() == [2, 3] and x.get_shape().rank == 2
    assert repr(x.shape) == "TensorShape([2, 3])" and type(x.shape[0]) is int


def test_texts_of_graph_tensors(tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, 2], name="x")
    total = x + 1.0
    assert str(total) == 'Tensor("add:0", shape=(?, 2), dtype=float32)'
    assert repr(total) == "<tf.Tensor 'add:0' shape=(?, 2) dtype=float32>"
    assert repr(total.op) == "<tf.Operation 'add' type=Add>"
    assert str(tf1.placeholder(tf1.int32)) == 'Tensor("Placeholder:0", dtype=int32)'


def test_texts_of_eager_tensors(tf2: Any) -> None:
    x = tf2.constant([1, 2])
    assert str(x) == "tf.Tensor([1 2], shape=(2,), dtype=int32)"
    assert repr(x) == "<tf.Tensor: shape=(2,), dtype=int32, numpy=array([1, 2], dtype=int32)>"
    assert str(tf2.constant(2.5)) == "tf.Tensor(2.5, shape=(), dtype=float32)"
    assert str(tf2.constant("hi")) == "tf.Tensor(b'hi', shape=(), dtype=string)"


def test_names_of_operators(tf1: Any) -> None:
    x = tf1.constant([1.0, 2.0], name="x")
    named = [x - 1, 2 * x, x / 2, x**2, -x, x > 1, tf1.matmul([[1.0]], [[2.0]]), tf1.reduce_mean(x), tf1.argmax(x)]
    assert [t.op.name for t in named] == [
        "sub", "mul", "truediv", "pow", "Neg", "Greater", "MatMul", "Mean", "ArgMax",
    ]  # fmt: skip
    graph = tf1.get_default_graph()
    assert graph.get_operation_by_name("sub/y").type == "Const" and graph.get_operation_by_name("mul/x").type == "Const"


def test_comparison_of_tensors_follows_the_generation(tf1: Any) -> None:
    a, b = tf1.constant([1, 2]), tf1.constant([1, 2])
    assert (a == b) is False and a == a and a in [b, a] and len({a, b, a}) == 2


def test_comparison_in_generation_2(tf2: Any) -> None:
    assert (tf2.constant([1, 2]) == [1, 3]).numpy().tolist() == [True, False]


def test_python_may_not_look_at_graph_tensors(tf1: Any) -> None:
    x = tf1.constant([1.0, 2.0])
    with pytest.raises(TypeError, match="as a Python `bool` is not allowed"):
        bool(x)
    with pytest.raises(TypeError, match="only iterable when eager execution is enabled"):
        list(x)
    with pytest.raises(TypeError, match="len is not well defined"):
        len(x)
    with pytest.raises(NotImplementedError, match="Cannot convert a symbolic"):
        np.asarray(x)


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda tf: tf.matmul(tf.ones([2, 3]), tf.ones([4, 5])),
         r"must be equal, but are 3 and 4 for 'MatMul' \(op: 'MatMul'\) with input shapes: \[2,3\], \[4,5\]\."),
        (lambda tf: tf.matmul(tf.ones([3]), tf.ones([3, 1])), "Shape must be rank 2 but is rank 1 for 'MatMul'"),
        (lambda tf: tf.ones([2, 3]) + tf.ones([2, 4]), "Dimensions must be equal, but are 3 and 4 for 'add'"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit(tf1: Any, build: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        build(tf1)


def test_dtypes_do_not_mix(tf1: Any) -> None:
    with pytest.raises(TypeError, match="has type float32 that does not match type int32"):
        tf1.constant(1) + tf1.constant(1.0)
    with pytest.raises(TypeError, match=r"Expected int32, got 2\.5"):
        tf1.add(tf1.constant(1), 2.5)
    with pytest.raises(ValueError, match="Tensor conversion requested dtype float32 for Tensor with dtype int32"):
        tf1.convert_to_tensor(tf1.constant(1), tf1.float32)
    assert (tf1.ones([2]) * np.array([1.0, 2.0])).dtype == tf1.float32  # an array of doubles follows the tensor


def test_dtypes_do_not_mix_eagerly(tf2: Any) -> None:
    with pytest.raises(tf2.errors.InvalidArgumentError, match="cannot compute Add as input #1"):
        tf2.constant(1) + tf2.constant(1.0)


def test_dtypes(tf1: Any) -> None:
    assert (str(tf1.float32), repr(tf1.float32)) == ("<dtype: 'float32'>", "tf.float32")
    assert tf1.float32.as_numpy_dtype is np.float32 and tf1.as_dtype("int64") is tf1.int64
    assert (
        tf1.as_dtype(np.float64) is tf1.float64 and tf1.as_dtype(1) is tf1.float32 and tf1.as_dtype(str) is tf1.string
    )
    assert tf1.int32.max == 2**31 - 1 and tf1.uint8.is_integer and not tf1.bool.is_floating
    with pytest.raises(TypeError, match="Cannot convert the argument `type_value`"):
        tf1.as_dtype("float31")


def test_graphs(tf1: Any) -> None:
    graph = tf1.Graph()
    with graph.as_default():
        with tf1.name_scope("layer") as scope:
            made = tf1.constant(1, name="c")
        assert tf1.get_default_graph() is graph and scope == "layer/" and made.name == "layer/c:0"
        assert graph.version == 1 and [n.name for n in graph.as_graph_def().node] == ["layer/c"]
        tf1.add_to_collection("kept", made)
        assert tf1.get_collection("kept") == [made] and graph.get_all_collection_keys() == ["kept"]
        assert graph.as_graph_element("layer/c:0") is made
    assert tf1.get_default_graph() is not graph
    graph.finalize()
    with graph.as_default(), pytest.raises(RuntimeError, match="Graph is finalized and cannot be modified"):
        tf1.constant(2)


def test_everything_adopted_is_given_back() -> None:
    from corenn_tensorflow import adopting

    adopting.release()
    before = [dict(vars(cls)) for cls in (corenn.Tensor, corenn.Variable, corenn.DType)]
    adopting.adopt()
    assert str(corenn.tensor([1])).startswith("tf.Tensor")
    adopting.release()
    assert [dict(vars(cls)) for cls in (corenn.Tensor, corenn.Variable, corenn.DType)] == before


def test_views_of_generations(tf2: Any) -> None:
    assert tf2.compat.v1.reduce_sum(tf2.ones([2, 3]), reduction_indices=1).numpy().tolist() == [3.0, 3.0]
    assert tf2.compat.v1.gather(tf2.range(3), [2], None, "named").numpy().tolist() == [2]
    assert tf2.compat.v1.math.exp(0.0).numpy() == 1.0 and tf2.compat.v2.constant(1).numpy() == 1
    assert tf2.__version__.startswith("2.")


def test_version_of_generation_1(tf1: Any) -> None:
    assert tf1.__version__.startswith("1.15") and tf1.__version__ == tf1.VERSION
