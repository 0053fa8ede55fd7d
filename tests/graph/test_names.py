"""Names of operations, name scopes, collections, control dependencies: what a graph says of itself."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn.errors import GraphError
from corenn.graph import (
    Graph,
    Session,
    add_to_collection,
    constant,
    control_dependencies,
    get_collection,
    get_default_graph,
    name_scope,
    no_op,
    placeholder,
    reset_default_graph,
    variable,
)  # fmt: skip


@pytest.fixture
def graph():
    made = Graph()
    with made.as_default():
        yield made


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a", "a", "a"], ["a", "a_1", "a_2"]),
        (["a", "a_1", "a"], ["a", "a_1", "a_2"]),
        (["foo", "Foo"], ["foo", "Foo_1"]),  # comparison ignores case
        (["a_1", "a", "a"], ["a_1", "a", "a_2"]),
        (["x/y", "x/y"], ["x/y", "x/y_1"]),
    ],
)
def test_names_are_made_unique(graph, names, expected):
    assert [no_op(name=n).name for n in names] == expected


def test_names_come_from_types(graph):
    a, b = constant(1.0), constant(2.0)
    assert (a.name, b.name) == ("Const:0", "Const_1:0")
    assert (a + b).operation.type in ("Add", "AddV2")
    assert corenn.matmul(np.ones((2, 2)), constant([[1.0], [2.0]], "float64")).name == "MatMul:0"


def test_a_converted_operand_is_named_inside_its_operation(graph):
    total = constant(1.0) + 2.0
    assert total.operation.inputs[1].operation.name == f"{total.operation.name}/y"


def test_scopes_nest_are_made_unique_and_can_be_entered_again(graph):
    with name_scope("a") as outer:
        assert outer == "a/"
        with name_scope("b") as inner:
            assert inner == "a/b/"
            assert no_op(name="x").name == "a/b/x"
        with name_scope(None) as root:
            assert root == "" and no_op(name="x").name == "x"
    with name_scope("a") as again:
        assert again == "a_1/"
    with name_scope(outer):
        assert no_op(name="x").name == "a/x"
    assert graph.scope == ""


def test_a_scope_is_left_when_its_block_raises(graph):
    with pytest.raises(ZeroDivisionError), name_scope("a"), control_dependencies([no_op()]):
        raise ZeroDivisionError
    assert graph.scope == "" and not graph.controlled


@pytest.mark.parametrize("name", ["", "_a", "a b", "a:0", "-a", "ä"])
def test_invalid_names_are_refused(graph, name):
    if not name:
        return
    with pytest.raises(GraphError, match="not a valid scope name"):
        no_op(name=name)


def test_an_inner_name_may_begin_with_an_underscore(graph):
    with name_scope("a"):
        assert no_op(name="_hidden").name == "a/_hidden"


def test_looking_up(graph):
    x = placeholder("float32", (2,), name="x")
    assert graph.get_operation_by_name("x") is x.operation
    assert graph.get_tensor_by_name("x:0") is x
    assert graph.as_element("x:0") is x and graph.as_element("x") is x.operation
    for given, error, text in [
        ("y:0", KeyError, "refers to a Tensor which does not exist. The operation, 'y', does not exist in the graph."),
        ("x:1", KeyError, "exists but only has 1 outputs"),
        ("x", ValueError, "looks like an operation's"),
    ]:
        with pytest.raises(error, match=text):
            graph.get_tensor_by_name(given)
    with pytest.raises(KeyError, match="refers to an Operation not in the graph"):
        graph.get_operation_by_name("y")
    with pytest.raises(TypeError):
        graph.as_element(3)
    with Graph().as_default():
        other = constant(1.0)
    with pytest.raises(ValueError, match="is not an element of this graph"):
        graph.as_element(other)


def test_operations_say_where_they_were_made(graph):
    made = no_op()
    assert made.where is not None and "test_names.py:" in made.where


def test_collections(graph):
    with name_scope("s"):
        v = variable(1.0, name="v")
    w = variable(2.0, name="w", trainable=False)
    add_to_collection("mine", 3)
    assert get_collection("mine") == [3] and get_collection("none") == []
    assert get_collection("variables") == [v, w]
    assert get_collection("variables", "s/") == [v]
    assert get_collection("trainable_variables") == [v]
    found = get_collection("mine")
    found.append(4)
    assert get_collection("mine") == [3]
    graph.get_collection_ref("mine").append(5)
    assert get_collection("mine") == [3, 5]
    graph.clear_collection("mine")
    assert get_collection("mine") == []


def test_control_dependencies_nest_and_clear(graph):
    a, b = no_op(name="a"), constant(1.0, name="b")
    with control_dependencies([a]):
        with control_dependencies([b]):
            inner = no_op()
        with control_dependencies(None):
            free = no_op()
        after = no_op()
    assert set(inner.control_inputs) == {a, b.operation}
    assert free.control_inputs == () and after.control_inputs == (a,)
    with pytest.raises(corenn.errors.UsageError, match="no operation or tensor"), control_dependencies([3]):
        pass


def test_finalized_graphs_refuse(graph):
    x = constant(1.0)
    graph.finalize()
    with pytest.raises(GraphError, match=r"Graph is finalized and cannot be modified\."):
        x + 1.0
    assert Session(graph).run(x) == 1


def test_the_default_graph():
    reset_default_graph()
    first = get_default_graph()
    x = placeholder("float32", ())
    assert x.graph is first
    with Graph().as_default() as other:
        assert get_default_graph() is other
    assert get_default_graph() is first
    y = x * 2  # outside any block: where its operand is
    assert y.graph is first and Session().run(y, {x: 3}) == 6
    reset_default_graph()
    assert get_default_graph() is not first


def test_tensors_of_two_graphs_do_not_mix(graph):
    x = constant(1.0)
    with Graph().as_default():
        y = constant(2.0)
        with pytest.raises(GraphError, match="belongs to another graph"):
            x + y


def test_graph_tensors_have_no_values(graph):
    x = placeholder("float32", (None, 3), name="x")
    assert x.shape == (None, 3) and repr(x) == "<'x:0' float32[?, 3]>"
    for use in (lambda: bool(x), lambda: len(x), lambda: float(x), lambda: x.numpy(), lambda: np.asarray(x)):
        with pytest.raises((GraphError, TypeError)):
            use()
    with pytest.raises(GraphError, match=r"corenn\.cond"):
        if x:
            pass
    unknown = placeholder("float32", None, name="u")
    assert unknown.shape is None and "unknown rank" in repr(unknown)
    with pytest.raises(corenn.errors.ShapeError, match="rank is not known"):
        unknown.ndim


def test_set_shape():
    with Graph().as_default():
        x = placeholder("float32", None)
        x.set_shape((None, 3))
        assert x.shape == (None, 3)
        x.set_shape((2, None))
        assert x.shape == (2, 3)
        for wrong in [(2, 4), (2,), (2, 3, 1)]:
            with pytest.raises(corenn.errors.ShapeError, match="has another shape"):
                x.set_shape(wrong)
        x.set_shape(None)
        assert x.shape == (2, 3)
