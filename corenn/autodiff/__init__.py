"""Gradients: tapes, functional transforms, the gradient checker."""

from corenn.autodiff.checker import check_gradients
from corenn.autodiff.functional import custom_gradient, grad, hessian, jacobian, value_and_grad, vjp
from corenn.autodiff.tape import GradientTape

__all__ = ["GradientTape", "check_gradients", "custom_gradient", "grad", "hessian", "jacobian", "value_and_grad", "vjp"]
