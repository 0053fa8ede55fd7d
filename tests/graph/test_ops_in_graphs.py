"""Every op of the table in a graph: values and gradients as outside, and what is known of shapes beforehand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import corenn
from corenn.errors import CorennError
from corenn.graph import Graph, Session, constant
from corenn.graph.partial import compatible, infer_partial
from corenn.ops.binding import bind_attributes
from corenn.ops.dispatch import find, infer
from corenn.testing import graphs
from corenn.testing.checks import all_ops
from corenn.testing.trial import NotHere

OPS = [pytest.param(op, id=op.name) for op in all_ops()]
NUMPY = corenn.device("numpy")


@pytest.mark.parametrize("known", ["static", "extents unknown", "rank unknown"])
@pytest.mark.parametrize("op", OPS)
def test_values_and_gradients(op, known):
    problems = {}
    for number, sample in enumerate(op.sample_list):
        dtype = graphs.first_dtype(op, sample)
        if dtype is None:
            continue
        try:
            problem = graphs.check_in_graph(op, sample, dtype, NUMPY, known)
        except NotHere:
            continue
        if problem is not None:
            problems[number] = problem
    assert not problems


def _specs(op, sample):
    """Operands as inference sees them: promoted, absent ones as None."""
    dtype = graphs.first_dtype(op, sample)
    if dtype is None:
        return None
    plan, _ = find(
        op, tuple(None if a is None else corenn.tensor(a) for a in sample.draw(op.name, dtype)), sample.attrs
    )
    return [None if s is None else s.at(None) for s in plan.inputs]


def _openings(shapes, generator):
    """Which extents to leave open: each, all, and some; then each operand's rank and all ranks."""
    places = [(i, axis) for i, s in enumerate(shapes) if s is not None for axis in range(len(s))]
    chosen = [{p} for p in places] + [set(places)]
    chosen += [{p for p in places if p[1] == 0}]
    chosen += [{p for p in places if generator.uniform() < 0.5} for _ in range(2)]
    for some in chosen:
        yield (
            [
                None if s is None else tuple(None if (i, a) in some else n for a, n in enumerate(s))
                for i, s in enumerate(shapes)
            ],
            False,
        )
    present = [i for i, s in enumerate(shapes) if s is not None]
    for some in [*itertools.combinations(present, 1), tuple(present)]:
        yield [None if i in some else s for i, s in enumerate(shapes)], True


#: What cannot be put into a graph without knowing the extent: how many results there are depends on it.
COUNTED = {"unstack", "split"}


@pytest.mark.parametrize("op", OPS)
def test_partial_shapes_are_general_enough(op):
    """Whatever is left open, what is inferred covers what the op does, and inference refuses nothing possible."""
    generator = np.random.Generator(np.random.Philox(1))
    for number, sample in enumerate(op.sample_list[:8]):
        specs = _specs(op, sample)
        if op.name in COUNTED or not specs or all(s is None for s in specs):
            continue
        attrs = bind_attributes(op, dict(sample.attrs))
        wanted = infer(op, tuple(specs), dict(attrs))
        for shapes, unranked in _openings([None if s is None else s.shape for s in specs], generator):
            operands = [None if s is None else (shape, s.dtype) for s, shape in zip(specs, shapes, strict=True)]
            try:
                found = infer_partial(op, operands, dict(attrs))
            except CorennError as error:
                if unranked and "ranks of too many operands" in str(error):
                    continue
                raise
            assert len(found) == len(wanted)
            for (shape, dtype), spec in zip(found, wanted, strict=True):
                assert dtype is spec.dtype
                assert shape is None or None in spec.shape or compatible(shape, spec.static), (
                    f"sample {number}, operands {shapes}: {shape} does not cover {spec}"
                )


@pytest.mark.parametrize(
    ("name", "shapes", "attrs", "expected"),
    [
        ("add", [(None, 3), (3,)], {}, (None, 3)),
        ("add", [(None, 1), (None, 3)], {}, (None, 3)),
        ("add", [(2, None), (None, 3)], {}, (2, 3)),
        ("add", [(None,), (1,)], {}, (None,)),
        ("add", [(None,), (3,)], {}, (3,)),
        ("add", [None, (3,)], {}, None),
        ("matmul", [(None, 784), (784, 10)], {}, (None, 10)),
        ("matmul", [(None, None), (784, 10)], {}, (None, 10)),
        ("reshape", [(None, 28, 28, 1)], {"shape": (-1, 784)}, (None, 784)),
        ("reshape", [None], {"shape": (-1, 784)}, (None, 784)),
        ("squeeze", [(None, 3, 1)], {}, None),
        ("squeeze", [(None, 3, 1)], {"axis": 2}, (None, 3)),
        ("concatenate", [(None, 4), (2, None)], {"axis": 0}, (None, 4)),
        ("stack", [(None, 3), (2, None)], {"axis": 0}, (2, 2, 3)),
        ("sum", [None], {}, ()),
        ("sum", [None], {"keepdims": True}, None),
        ("adam_update", [(None, None), (3, None), (None, 4), (None, None), (), ()], {}, (3, 4)),
        ("transpose", [(None, 3, 4)], {"axes": (2, 0, 1)}, (4, None, 3)),
    ],
)  # fmt: skip
def test_partial_shapes_are_not_too_general(name, shapes, attrs, expected):
    op = corenn.ops.table.TABLE[name]
    operands = [(shape, corenn.float32) for shape in shapes]
    assert infer_partial(op, operands, bind_attributes(op, attrs))[0][0] == expected


@pytest.mark.parametrize(
    ("name", "shapes", "attrs", "message"),
    [
        ("matmul", [(None, 3), (4, 5)], {}, r"(?s)inner dimensions differ.*float32\[\?, 3\]"),
        ("add", [(None, 3), (None, 4)], {}, r"(?s)do not broadcast.*float32\[\?, 4\]"),
        ("reshape", [(None, 3)], {"shape": (2, 2)}, "number of elements"),
        ("concatenate", [(None, 3), (None, 4)], {"axis": 0}, "3"),
        ("sum", [(None, 3)], {"axis": 2}, "out of range"),
        ("conv", [(None, 8, 8, 3), (3, 3, 4, 5)], {}, "channels"),
    ],
)
def test_what_cannot_be_is_refused_while_the_graph_is_built(name, shapes, attrs, message):
    op = corenn.ops.table.TABLE[name]
    with pytest.raises(CorennError, match=message):
        infer_partial(op, [(shape, corenn.float32) for shape in shapes], bind_attributes(op, attrs))


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int8"])
def test_scalars_take_the_dtype_beside_them(dtype):
    scalar = 1.0 if dtype.startswith("float") else 1
    calls = [lambda x: corenn.where(x == 0, scalar, x), lambda x: corenn.where(x == 0, x, scalar)]
    eager = [call(corenn.tensor([0, 2], dtype=dtype)) for call in calls]
    with Graph().as_default():
        x = constant([0, 2], dtype)
        for call, expected in zip(calls, eager, strict=True):
            assert call(x).dtype is expected.dtype is x.dtype
            np.testing.assert_array_equal(Session().run(call(x)), expected.numpy())
