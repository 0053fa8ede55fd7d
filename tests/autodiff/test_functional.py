"""grad, value_and_grad, jacobian, hessian, vjp, custom_gradient, check_gradients."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn.errors import DTypeError, GradientError, ShapeError, UsageError


def test_grad_and_higher_orders():
    f = lambda x: x**4
    assert corenn.grad(f)(corenn.tensor(2.0)).item() == 32
    assert corenn.grad(corenn.grad(f))(2.0).item() == 48
    assert corenn.grad(corenn.grad(corenn.grad(f)))(2.0).item() == 48


def test_argnums_aux_and_structures():
    def loss(params, x):
        y = x @ params["w"] + params["b"]
        return corenn.sum(y), y.shape

    params = {"w": np.ones((2, 1), np.float32), "b": [0.5]}
    x = np.array([[1.0, 2.0]], np.float32)
    params["b"] = np.array([0.5], np.float32)
    (value, shape), gradient = corenn.value_and_grad(loss, has_aux=True)(params, x)
    assert value.item() == 3.5 and shape == (1, 1)
    assert gradient["w"].tolist() == [[1], [2]] and gradient["b"].tolist() == [1]
    both = corenn.grad(lambda a, b: corenn.sum(a * b), argnums=(0, 1))(np.float32([2.0]), np.float32([3.0]))
    assert [g.tolist() for g in both] == [[3], [2]]


def test_hessian_of_a_quadratic():
    a = np.random.default_rng(0).normal(size=(3, 3))
    h = corenn.hessian(lambda x: corenn.sum(x * (corenn.tensor(a) @ x)))(np.ones(3))
    np.testing.assert_allclose(h.numpy(), a + a.T)


def test_jacobian_and_vjp_agree():
    f = lambda x: corenn.sin(x) * corenn.sum(x)
    x = np.array([0.1, 0.5, -0.3])
    jacobian = corenn.jacobian(f)(x).numpy()
    value, pull = corenn.vjp(f, x)
    for i in range(3):
        np.testing.assert_allclose(pull(corenn.tensor(np.eye(3)[i]))[0].numpy(), jacobian[i])
    np.testing.assert_allclose(value.numpy(), np.sin(x) * x.sum())


@pytest.mark.parametrize(
    ("function", "exception", "text"),
    [
        (lambda x: x, ShapeError, "must return a scalar"),
        (lambda x: 1.0, UsageError, "must return a tensor"),
        (lambda x: corenn.cast(corenn.sum(x), dtype="int32"), GradientError, "only floating"),
    ],
)
def test_grad_errors(function, exception, text):
    with pytest.raises(exception, match=text):
        corenn.grad(function)(np.ones(3, np.float32))


def test_custom_gradient_is_used_and_differentiated_again():
    @corenn.custom_gradient
    def cube(x):
        return x**3, lambda g: g * 3 * x**2 * 10  # ten times the truth, to be seen

    assert corenn.grad(cube)(2.0).item() == 120
    assert cube(corenn.tensor(2.0)).item() == 8


def test_custom_gradient_in_stable_softplus():
    @corenn.custom_gradient
    def softplus(x):
        e = corenn.exp(x)
        return corenn.log(1 + e), lambda g: g * (1 - 1 / (1 + e))

    with np.errstate(over="ignore"):
        assert corenn.grad(softplus)(100.0).item() == 1.0  # the derived gradient would be NaN


def test_custom_gradient_errors():
    v = corenn.Variable(2.0, name="hidden")

    @corenn.custom_gradient
    def reads(x):
        return x * v, lambda g: g

    @corenn.custom_gradient
    def short(x, y):
        return x * y, lambda g: (g,)

    with pytest.raises(GradientError, match="hidden"):
        corenn.grad(reads)(1.0)
    with pytest.raises(GradientError, match="1 gradients for 2"):
        corenn.grad(short)(1.0, 2.0)


def test_check_gradients_accepts_right_and_catches_wrong():
    x = np.array([0.3, -0.7, 1.2])
    corenn.check_gradients(lambda t: corenn.exp(t) * t, x)

    @corenn.custom_gradient
    def wrong(t):
        return corenn.sin(t), lambda g: g * corenn.sin(t)

    with pytest.raises(GradientError, match="order 1, input 0"):
        corenn.check_gradients(wrong, x)

    @corenn.custom_gradient
    def wrong_twice(t):
        return t**3, lambda g: g * corenn.stop_gradient(3 * t**2)

    corenn.check_gradients(wrong_twice, x, order=1)
    with pytest.raises(GradientError, match="order 2"):
        corenn.check_gradients(wrong_twice, x)
    with pytest.raises(DTypeError, match="float64"):
        corenn.check_gradients(lambda t: t, corenn.tensor([1]))
