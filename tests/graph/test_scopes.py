"""Variable scopes and ``get_variable``: sharing by name, and every way it is refused."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn.errors import CorennError
from corenn.graph import (
    AUTO_REUSE,
    Graph,
    Session,
    get_collection,
    get_variable,
    get_variable_scope,
    global_variables_initializer,
    name_scope,
    variable_scope,
)  # fmt: skip


@pytest.fixture(autouse=True)
def graph():
    with Graph().as_default() as made:
        yield made


def test_names_follow_variable_scopes_not_name_scopes():
    with name_scope("ops"), variable_scope("a"), variable_scope("b"):
        w = get_variable("w", (2, 3))
        total = w + 1.0
    assert w.name == "a/b/w:0"
    assert total.operation.name.startswith("ops/a/b/")
    assert w.initializer.name == "a/b/w/Assign"


def test_a_scope_entered_twice_shares_variable_names_and_not_operation_names():
    with variable_scope("a"):
        get_variable("w", ())
        first = corenn.identity(corenn.graph.constant(1.0))
    with variable_scope("a"):
        get_variable("v", ())
        second = corenn.identity(corenn.graph.constant(1.0))
    assert first.operation.name == "a/Identity" and second.operation.name == "a_1/Identity"
    assert [v.name for v in get_collection("variables")] == ["a/w:0", "a/v:0"]


@pytest.mark.parametrize("reuse", [True, AUTO_REUSE])
def test_reuse(reuse):
    with variable_scope("a"):
        first = get_variable("w", (2,))
    with variable_scope("a", reuse=reuse):
        assert get_variable("w", (2,)) is first
        assert get_variable("w") is first
        assert get_variable_scope().reuse is reuse
        with variable_scope("inner", reuse=False):  # inherits
            assert get_variable_scope().reuse is reuse
    assert get_variable_scope().reuse is False


def test_auto_reuse_makes_what_is_missing():
    for _ in range(2):
        with variable_scope("a", reuse=AUTO_REUSE):
            w = get_variable("w", (2,))
    assert get_collection("variables") == [w]


def test_reuse_variables_and_scope_objects():
    with variable_scope("a") as scope:
        first = get_variable("w", ())
        scope.reuse_variables()
        assert get_variable("w", ()) is first
    with variable_scope("elsewhere"), variable_scope(scope, reuse=True):
        assert get_variable_scope().name == "a"
        assert get_variable("w", ()) is first


@pytest.mark.parametrize(
    ("prepare", "call", "message"),
    [
        ({"shape": (2,)}, lambda: get_variable("w", (2,)), "Variable w already exists, disallowed. Did you mean to set "
         "reuse=True or reuse=tf.AUTO_REUSE in VarScope"),
        (None, lambda: _reusing("w", (2,)), "Variable w does not exist, or was not created with"),
        ({"shape": (2,)}, lambda: _reusing("w", (3,)), r"Trying to share variable w, but specified shape \(3,\) and "
         r"found shape \(2,\)"),
        ({"shape": (2,)}, lambda: _reusing("w", (2,), "float64"), "specified dtype float64 and found dtype float32"),
        (None, lambda: get_variable("w", (2,), initializer=np.zeros(2)), "If initializer is a constant, do not specify "
         "shape"),
        (None, lambda: get_variable("w"), "Shape of a new variable (.*) must be fully defined"),
        (None, lambda: get_variable("w", (None, 2)), "must be fully defined"),
    ],
    ids=["exists", "missing", "shape", "dtype", "constant with shape", "no shape", "partial shape"],
)  # fmt: skip
def test_refusals(prepare, call, message):
    if prepare is not None:
        get_variable("w", **prepare)
    with pytest.raises(ValueError, match=message):
        call()


def _reusing(*args):
    with variable_scope(get_variable_scope(), reuse=True):
        return get_variable(*args)


def test_an_error_says_where_the_variable_was_made():
    get_variable("w", ())
    with pytest.raises(ValueError, match=r"(?s)Originally defined at:.*test_scopes\.py:"):
        get_variable("w", ())


def test_default_names_are_made_unique():
    names = []
    for _ in range(3):
        with variable_scope(None, "layer"):
            names.append(get_variable("w", ()).name)
    assert names == ["layer/w:0", "layer_1/w:0", "layer_2/w:0"]
    with pytest.raises(TypeError, match="default_name"), variable_scope(None):
        pass


def test_initializers_and_regularizers_of_a_scope():
    with variable_scope("a", initializer=corenn.initializers.Constant(3.0), regularizer=lambda v: corenn.sum(v) * 0.5):
        w = get_variable("w", (2,))
        own = get_variable("own", initializer=[1.0, 2.0], regularizer=lambda v: None)
        name = get_variable("named", (2, 2), initializer="ones")
        integer = get_variable("n", (), dtype="int32", initializer="zeros")
    (loss,) = get_collection("regularization_losses")[:1]
    with Session() as session:
        session.run(global_variables_initializer())
        found = session.run([w, own, name, integer, loss])
    np.testing.assert_array_equal(found[0], [3, 3])
    np.testing.assert_array_equal(found[1], [1, 2])
    np.testing.assert_array_equal(found[2], np.ones((2, 2)))
    assert found[3] == 0 and found[3].dtype == np.int32 and found[4] == 3
    assert loss.operation.name.startswith("a/w/Regularizer/")


def test_custom_getters_wrap_from_outside_in():
    calls = []

    def getter(label):
        def get(inner, name, *args, **options):
            calls.append((label, name))
            return inner(name, *args, **options)

        return get

    with variable_scope("a", custom_getter=getter("outer")), variable_scope("b", custom_getter=getter("inner")):
        made = get_variable("w", ())
    assert made.name == "a/b/w:0" and calls == [("inner", "a/b/w"), ("outer", "a/b/w")]


def test_variables_made_in_a_branch_belong_to_the_outer_graph(graph):
    p = corenn.graph.placeholder("bool", ())

    def branch():
        return get_variable("w", (), initializer="ones") * 2.0

    y = corenn.graph.cond(p, branch, lambda: corenn.graph.constant(0.0))
    (w,) = get_collection("variables")
    assert w.graph is graph
    with Session() as session:
        session.run(global_variables_initializer())
        assert session.run(y, {p: True}) == 2 and session.run(y, {p: False}) == 0


def test_scopes_are_left_when_a_block_raises():
    with pytest.raises(CorennError), variable_scope("a"):
        raise CorennError("x", "y")
    assert get_variable_scope().name == ""
