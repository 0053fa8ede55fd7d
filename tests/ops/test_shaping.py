"""Shaping and arranging against NumPy; gradients by the adjoint identity <f(v), w> = <v, f'(w)> of linear functions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import corenn
from corenn.errors import AttributeValueError, ShapeError
from corenn.testing.doubles import register_doubles

register_doubles()
DEVICES = ("numpy", "strict")


def numbers(shape):
    return np.arange(1.0, np.prod(shape, dtype=int) + 1).reshape(shape)


def check(mine, numpys, arrays, device):
    """Values as NumPy's, and a gradient that is the adjoint."""
    tensors = [corenn.tensor(a, device=device) for a in arrays]
    with corenn.GradientTape() as tape:
        tape.watch(tensors)
        found = mine(*tensors)
        expected = np.asarray(numpys(*arrays))
        weights = numbers(expected.shape) ** 2
        loss = corenn.sum(found * weights)
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found.numpy(), expected)
    gradients = tape.gradient(loss, tensors, unconnected_gradients="zero")
    paired = sum(float((g.numpy() * a).sum()) for g, a in zip(gradients, arrays, strict=True))
    np.testing.assert_allclose(paired, (expected * weights).sum(), rtol=1e-12)


SAME = [
    ("moveaxis", lambda x: corenn.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, 0, -1)),
    ("moveaxis two", lambda x: corenn.moveaxis(x, (0, 2), (2, 1)), lambda x: np.moveaxis(x, (0, 2), (2, 1))),
    ("swapaxes", lambda x: corenn.swapaxes(x, 0, -1), lambda x: np.swapaxes(x, 0, -1)),
    ("matrix_transpose", corenn.matrix_transpose, np.matrix_transpose),
    ("mT", lambda x: x.mT, lambda x: x.mT),
    ("T", lambda x: x[0].T, lambda x: x[0].T),
    ("transpose method", lambda x: x.transpose(1, 2, 0), lambda x: x.transpose(1, 2, 0)),
    ("ravel", corenn.ravel, np.ravel),
    ("atleast_1d", lambda x: corenn.atleast_1d(x[0, 0, 0]), lambda x: np.atleast_1d(x[0, 0, 0])),
    ("atleast_2d", lambda x: corenn.atleast_2d(x[0, 0]), lambda x: np.atleast_2d(x[0, 0])),
    ("atleast_2d of more", corenn.atleast_2d, np.atleast_2d),
    ("diag of a vector", lambda x: corenn.diag(x[0, 0], -1), lambda x: np.diag(x[0, 0], -1)),
    ("diag of a matrix", lambda x: corenn.diag(x[0], 1), lambda x: np.diag(x[0], 1)),
    ("trace", lambda x: corenn.trace(x, 1), lambda x: np.trace(x, 1, -2, -1)),
    ("meshgrid xy", lambda x: corenn.stack(*corenn.meshgrid(x[0, 0], x[0, :, 1])),
     lambda x: np.stack(np.meshgrid(x[0, 0], x[0, :, 1]))),
    ("meshgrid ij", lambda x: corenn.stack(*corenn.meshgrid(x[0, 0], x[:, 0, 0], x[0, :, 1], indexing="ij")),
     lambda x: np.stack(np.meshgrid(x[0, 0], x[:, 0, 0], x[0, :, 1], indexing="ij"))),
    ("split", lambda x: corenn.concatenate(*corenn.split(x, 2, axis=-1)[::-1]),
     lambda x: np.concatenate(np.split(x, 2, -1)[::-1])),
    ("split by sizes", lambda x: corenn.split(x, [1, -1], axis=1)[1], lambda x: x[:, 1:]),
    ("unstack", lambda x: corenn.unstack(x, axis=1)[2], lambda x: x[:, 2]),
    ("unstack and stack", lambda x: corenn.stack(*corenn.unstack(x, axis=-1)), lambda x: np.moveaxis(x, -1, 0)),
    ("iteration", lambda x: corenn.stack(*x, axis=1), lambda x: np.stack(list(x), 1)),
]  # fmt: skip


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("mine", "numpys"), [c[1:] for c in SAME], ids=[c[0] for c in SAME])
def test_functions_are_numpys(mine, numpys, device):
    check(mine, numpys, [numbers((2, 3, 4))], device)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=100, deadline=None)
@given(data=st.data(), mode=st.sampled_from(["constant", "edge", "reflect", "symmetric"]))
def test_pad_is_numpys(device, data, mode):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    widths = data.draw(st.tuples(*[st.tuples(st.integers(0, 9), st.integers(0, 9)) for _ in shape]))
    check(
        lambda x: corenn.pad(x, widths=widths, mode=mode), lambda x: np.pad(x, widths, mode), [numbers(shape)], device
    )


@pytest.mark.parametrize("widths", [2, (1, 2), ((1, 2),), ((1, 2), (0, 1)), [[1, 2], [0, 1]]], ids=str)
def test_forms_of_widths(widths):
    a = numbers((2, 3))
    expected = np.pad(a, widths, constant_values=-7)
    np.testing.assert_array_equal(corenn.pad(a, widths=widths, value=-7).numpy(), expected)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_repeating_and_turning_are_numpys(device, data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    times = data.draw(st.integers(0, 3))
    repetitions = data.draw(st.lists(st.integers(0, 2), min_size=1, max_size=4).map(tuple))
    shift = data.draw(st.integers(-7, 7))
    for mine, numpys in (
        (lambda x: corenn.repeat(x, repeats=times, axis=axis), lambda x: np.repeat(x, times, axis)),
        (lambda x: corenn.tile(x, repetitions=repetitions), lambda x: np.tile(x, repetitions)),
        (lambda x: corenn.roll(x, shift=shift, axis=axis), lambda x: np.roll(x, shift, axis)),
        (lambda x: corenn.flip(x, axis=axis), lambda x: np.flip(x, axis)),
        (lambda x: corenn.expand_dims(x, axis=axis), lambda x: np.expand_dims(x, axis)),
    ):
        check(mine, numpys, [numbers(shape)], device)


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_joining_is_numpys(device, data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=3))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    extents = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    place = axis % len(shape)
    arrays = [numbers((*shape[:place], n, *shape[place + 1 :])) for n in extents]
    check(lambda *xs: corenn.concatenate(*xs, axis=axis), lambda *xs: np.concatenate(xs, axis), arrays, device)
    same = [numbers(shape) * (i + 1) for i in range(len(extents))]
    check(lambda *xs: corenn.stack(xs, axis=axis), lambda *xs: np.stack(xs, axis), same, device)


def test_joining_takes_a_list_and_promotes():
    joined = corenn.concat([corenn.tensor([1.0]), corenn.tensor([2.0], dtype="float64")])
    assert joined.dtype is corenn.float64 and joined.tolist() == [1.0, 2.0]


def test_what_only_looks_different_shares_memory_on_numpy():
    x = corenn.tensor(numbers((4, 6)))
    looks = [
        corenn.reshape(x, shape=(6, 4)), x.T, corenn.expand_dims(x, axis=1), corenn.flip(x),
        *corenn.split(x, 3, axis=1), *corenn.unstack(x, axis=1),
    ]  # fmt: skip
    assert all(np.shares_memory(t.data, x.data) for t in looks)


@pytest.mark.parametrize("parts", [lambda x: corenn.split(x, 4), corenn.unstack], ids=["split", "unstack"])
def test_the_gradient_of_parting_is_one_join(parts):
    x = corenn.tensor(numbers((4, 3)))
    with corenn.GradientTape() as tape:
        tape.watch(x)
        found = parts(x)
        calls = len(tape.entries)
        loss = corenn.sum(found[1] * 2.0) + corenn.sum(found[3])
    assert calls == 1
    np.testing.assert_array_equal(tape.gradient(loss, x).numpy(), np.repeat([[0.0], [2.0], [0.0], [1.0]], 3, axis=1))


WRONG = [
    ("split", lambda x: corenn.split(x, 5), ShapeError, "axis 0 does not divide into 5"),
    ("split sizes", lambda x: corenn.split(x, [1, 1]), ShapeError, "do not add up"),
    ("split axis", lambda x: corenn.split(x, 1, axis=2), ShapeError, "axis 2 is out of range"),
    ("unstack axis", lambda x: corenn.unstack(x, axis=-3), ShapeError, "axis -3 is out of range"),
    ("swapaxes", lambda x: corenn.swapaxes(x, 0, 2), ShapeError, "axis 2 is out of range"),
    ("matrix_transpose", lambda x: corenn.matrix_transpose(x[0]), ShapeError, "out of range"),
    ("moveaxis count", lambda x: corenn.moveaxis(x, (0, 1), 0), ShapeError, "as many axes"),
    ("moveaxis twice", lambda x: corenn.moveaxis(x, (0, 0), (0, 1)), ShapeError, "each once"),
    ("diag", lambda x: corenn.diag(x[None]), ShapeError, "a vector or a matrix"),
    ("meshgrid", lambda x: corenn.meshgrid(x[0], indexing="yx"), AttributeValueError, "no indexing 'yx'"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "exception", "message"), [c[1:] for c in WRONG], ids=[c[0] for c in WRONG])
def test_wrong_arguments_say_what_is_wrong(call, exception, message):
    with pytest.raises(exception, match=message):
        call(corenn.tensor(numbers((3, 4))))
