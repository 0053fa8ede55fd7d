"""Dense, Embedding, Activation, Lambda, Identity, Input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from corenn import activations, constraints, initializers, regularizers
from corenn.dtypes import as_dtype, int32
from corenn.errors import AttributeValueError, DTypeError, ShapeError, UsageError
from corenn.layers.base import Layer, register, unique_name
from corenn.layers.symbolic import Symbolic
from corenn.ops.contraction import matmul
from corenn.ops.creation import asarray
from corenn.ops.elementwise import add, cast, identity
from corenn.ops.embedding import embedding
from corenn.ops.logic import not_equal
from corenn.ops.softmax import log_softmax, softmax
from corenn.spec import Spec
from corenn.tensor import Tensor
from corenn.variable import Variable

#: Activations whose results a loss takes logarithms of.
PROBABILITIES = (softmax, log_softmax)


def Input(shape: Sequence[int], *, name: str | None = None, dtype: object = "float32") -> Symbolic:
    """A symbolic input of a functional model: ``shape`` without the batch axis, of ``dtype``.

    AttributeValueError for a shape that is not a tuple of ints: extents other than the batch must be known.
    """
    if not isinstance(shape, Sequence) or any(type(n) is not int or n < 0 for n in shape):
        hint = "a tuple without the batch axis, such as (28, 28, 1); all its extents must be known"
        raise AttributeValueError("Input", "shape must be a tuple of non-negative ints", {"shape": shape}, hint=hint)
    return Symbolic(Spec((1, *shape), as_dtype(dtype), None), name or unique_name("input"))


def positive(layer: str, name: str, value: Any) -> int:
    """``value`` as a positive int, or AttributeValueError naming the layer's argument."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or value < 1:
        raise AttributeValueError(layer, f"{name} must be a positive int, not {value!r}")
    return int(value)


def require_floating(layer: str, x: Any) -> None:
    """DTypeError, saying what to do, for inputs that are integers or bools; UsageError unless it is one tensor."""
    if x is None:
        raise UsageError(layer, "the input is None", hint="does the layer before it return its result?")
    if not isinstance(x, Spec):
        hint = "layers.Concatenate joins several inputs; labels go beside them: fit(x, y)"
        raise UsageError(layer, f"takes one tensor, not a {type(x).__name__} of them", hint=hint)
    if not x.dtype.is_inexact:
        hint = "x.astype('float32'); for images of 0 to 255, layers.Rescaling(1 / 255) before it"
        raise DTypeError(layer, f"takes floating inputs, not {x.dtype}", {"x": x}, hint=hint)


class WithWeights(Layer):
    """A layer with a kernel and perhaps a bias: their initialisers, regularisers, constraints, and an activation."""

    def __init__(
        self,
        *,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.kernel: Variable
        self.bias: Variable | None = None

    def add_kernel(self, shape: tuple[int, ...], name: str = "kernel") -> Variable:
        """The kernel, initialised, regularised and constrained as configured."""
        return self.add_weight(
            name, shape, self.kernel_initializer, regularizer=self.kernel_regularizer, constraint=self.kernel_constraint
        )

    def add_bias(self, shape: tuple[int, ...]) -> Variable | None:
        """The bias, or ``None`` with ``use_bias=False``."""
        if not self.use_bias:
            return None
        return self.add_weight(
            "bias", shape, self.bias_initializer, regularizer=self.bias_regularizer, constraint=self.bias_constraint
        )

    def finish(self, x: Tensor) -> Tensor:
        """Add the bias along the last axis, and activate."""
        if self.bias is not None:
            x = add(x, self.bias)
        return self.activate(x)

    def activate(self, x: Tensor) -> Tensor:
        """The activation; probabilities are computed in the precision of the variables."""
        if self.activation is identity:
            return x
        if self.activation in PROBABILITIES and x.dtype is not self.dtype:
            x = x.cast(self.dtype)
        return self.activation(x)


@register()
class Dense(WithWeights):
    """``activation(x @ kernel + bias)`` over the last axis.

    ``units``: size of the output's last axis.  Input [..., n], output [..., units]; kernel [n, units], bias [units].
    Raises ShapeError for inputs of fewer than two axes or of another last extent than before, DTypeError for integers.
    """

    keeps_mask = True

    def __init__(self, units: int, activation: Any = None, **options: Any) -> None:
        super().__init__(activation=activation, **options)
        self.units = positive(self.name, "units", units)

    def build(self, x: Spec) -> None:
        """Make kernel and bias."""
        require_floating(self.name, x)
        self._check_rank(x)
        self.kernel = self.add_kernel((x.extent(-1), self.units))
        self.bias = self.add_bias((self.units,))

    def _check_rank(self, x: Spec) -> None:
        if x.ndim < 2:
            raise ShapeError(self.name, "Dense takes inputs of at least 2 axes (batch, features)", {"x": x},
                             hint="x[None] for one example, x[:, None] for examples of one feature")  # fmt: skip

    def call(self, x: Tensor) -> Tensor:
        """[..., n] to [..., units]."""
        if len(x.spec.shape) < 2:
            self._check_rank(x.spec)
        if x.spec.shape[-1:] != self.kernel.spec.shape[:1]:
            features = self.kernel.shape[0]
            raise ShapeError(
                self.name, f"the layer was built for inputs of {features} features",
                {"x": f"{x.spec}   last axis is {x.shape[-1] if x.shape else 'absent'}", "kernel": self.kernel.spec},
                hint=f"give it inputs of shape [..., {features}], or make a new layer",
            )  # fmt: skip
        return self.finish(matmul(x, self.kernel))


@register()
class Embedding(Layer):
    """Rows of a trainable table by integer id: input ints [...], output [..., output_dim].

    ``input_dim``: number of ids (0 to input_dim - 1); ``mask_zero``: ``compute_mask`` is False where the id is 0.
    """

    mixed_policy = "inner"  # a few rows are cast, not the table

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.input_dim = positive(self.name, "input_dim", input_dim)
        self.output_dim = positive(self.name, "output_dim", output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)
        self.mask_zero = mask_zero
        self.embeddings: Variable

    def build(self, ids: Spec) -> None:
        """Make the table [input_dim, output_dim]."""
        self.embeddings = self.add_weight(
            "embeddings", (self.input_dim, self.output_dim), self.embeddings_initializer,
            regularizer=self.embeddings_regularizer, constraint=self.embeddings_constraint,
        )  # fmt: skip

    def call(self, ids: Tensor) -> Tensor:
        """Look the ids up."""
        return embedding(self.embeddings, ids if ids.dtype.is_integer else cast(ids, dtype=int32))

    def compute_mask(self, x: Any, mask: Tensor | None = None) -> Tensor | None:
        """Where ids are not 0, if ``mask_zero``."""
        return not_equal(asarray(x), 0) if self.mask_zero else None


@register()
class Activation(Layer):
    """An activation by name or function, as a layer."""

    keeps_mask = True

    def __init__(self, activation: Any, **base: Any) -> None:
        super().__init__(**base)
        self.activation = activations.get(activation)

    def call(self, x: Tensor) -> Tensor:
        """Apply it."""
        if self.activation in PROBABILITIES and x.dtype is not self.dtype:
            x = x.cast(self.dtype)
        return self.activation(x)


@register()
class Lambda(Layer):
    """Any function of tensors as a layer.  It has no weights, and cannot be saved: subclass Layer for that."""

    def __init__(self, function: Callable[..., Any], **base: Any) -> None:
        super().__init__(**base)
        if not callable(function):
            raise UsageError(self.name, f"{function!r} is not a function", hint="Lambda(lambda x: x * 2)")
        self.function = function

    def call(self, *inputs: Any) -> Any:
        """Call the function."""
        return self.function(*inputs)


@register()
class Identity(Layer):
    """The input itself."""

    keeps_mask = True

    def call(self, x: Any) -> Any:
        """Return it."""
        return x


__all__ = [
    "Activation", "Dense", "Embedding", "Identity", "Input", "Lambda", "WithWeights", "positive", "require_floating",
]  # fmt: skip
