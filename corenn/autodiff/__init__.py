"""Gradients: tapes, functional transforms, the gradient checker."""

from corenn.autodiff.tape import GradientTape

__all__ = ["GradientTape"]
