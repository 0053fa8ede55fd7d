"""Layers that run users' functions, and those of a few functions of Keras's own."""

from __future__ import annotations

import inspect
from typing import Any

from corenn.ops import random
from corenn.ops.elementwise import identity, multiply, where
from corenn.ops.logic import greater
from corenn.tensor import Tensor
from corenn_tensorflow.keras import _lookup
from corenn_tensorflow.keras.engine.base_layer import Layer
from corenn_tensorflow.keras.layers.adapting import BuiltIn


class Lambda(Layer):
    """Any function of tensors as a layer."""

    def __init__(
        self, function: Any, output_shape: Any = None, mask: Any = None, arguments: Any = None, **options: Any
    ) -> None:
        super().__init__(**options)
        self.function, self.arguments = function, dict(arguments or {})
        self._given_shape, self._given_mask = output_shape, mask
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError):
            parameters = {}  # type: ignore[assignment]
        self._takes = {n for n in ("training", "mask") if n in parameters}

    def call(self, inputs: Any, mask: Any = None, training: Any = None) -> Any:
        """Call the function."""
        given = {"mask": mask, "training": training}
        found = self.function(inputs, **self.arguments, **{n: given[n] for n in self._takes})
        if isinstance(found, (Tensor, list, tuple, dict)):
            return found
        from corenn_tensorflow.framework import convert_to_tensor

        return convert_to_tensor(found)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """What was given for it."""
        return self._given_mask(inputs, mask) if callable(self._given_mask) else self._given_mask

    def get_config(self) -> dict[str, Any]:
        """The function by name: it must be given as a custom object to load the model."""
        return {
            **super().get_config(),
            "function": getattr(self.function, "__name__", "<lambda>"),
            "arguments": self.arguments,
        }

    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None) -> Any:
        """A layer from its configuration; ValueError where the function is not known."""
        name = config["function"]
        function = (custom_objects or {}).get(name, _lookup.CUSTOM.get(name))
        if function is None:
            raise ValueError(
                f"the function {name!r} of a Lambda layer is code, which files of models do not hold here: "
                f"pass custom_objects={{{name!r}: function}}"
            )
        return cls(**{**config, "function": function})


class ReLU(BuiltIn):
    """``x`` from ``threshold`` up to ``max_value``, ``negative_slope * (x - threshold)`` below."""

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **options: Any
    ) -> None:
        super().__init__(**options)
        self.max_value, self.negative_slope, self.threshold = max_value, float(negative_slope), float(threshold)
        self.arguments = {"max_value": max_value, "negative_slope": self.negative_slope, "threshold": self.threshold}

    def call(self, inputs: Any) -> Any:
        """Compute."""
        from corenn_tensorflow.keras.activations import relu

        return relu(inputs, self.negative_slope, self.max_value, self.threshold)


class ThresholdedReLU(BuiltIn):
    """``x`` where it is above ``theta``, else 0."""

    def __init__(self, theta: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.theta = float(theta)
        self.arguments = {"theta": self.theta}

    def call(self, inputs: Any) -> Any:
        """Compute."""
        return where(greater(inputs, self.theta), inputs, 0.0)


class AlphaDropout(BuiltIn):
    """Dropout that keeps mean and variance of self-normalising networks (Klambauer et al. 2017)."""

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.rate, self.noise_shape, self.seed = float(rate), noise_shape, seed
        self.arguments = {"rate": self.rate}

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drop to the saturation value and rescale, in training."""
        if not training or not self.rate:
            return identity(inputs)
        low = -1.0507009873554805 * 1.6732632423543772
        kept = greater(random.uniform(inputs.shape, dtype=inputs.dtype), self.rate)
        a = ((1 - self.rate) * (1 + self.rate * low**2)) ** -0.5
        return multiply(where(kept, inputs, low), a) - a * low * self.rate


class Attention(BuiltIn):
    """Dot-product attention: ``layer([query, value])`` or ``[query, value, key]`` (Luong et al. 2015)."""

    def __init__(self, use_scale: bool = False, causal: bool = False, dropout: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.use_scale, self.causal, self.dropout = use_scale, causal, dropout
        self.scale: Any = None
        self.arguments = {"use_scale": use_scale, "causal": causal, "dropout": dropout}

    def build(self, *inputs: Any) -> None:
        """Make the scale."""
        if self.use_scale:
            self.scale = self.add_weight("scale", (), initializer="ones")
        self.built = True

    def score(self, query: Any, key: Any) -> Any:
        """[b, tq, tv] from [b, tq, d] and [b, tv, d]."""
        from corenn.ops.contraction import matmul

        found = matmul(query, key, transpose_b=True)
        return found if self.scale is None else multiply(found, self.scale)

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        """Weighted sums of the values."""
        from corenn.nn import softmax
        from corenn.ops.arranging import tril
        from corenn.ops.contraction import matmul
        from corenn.ops.creation import ones
        from corenn.ops.shaping import expand_dims

        query, value, *rest = inputs
        scores = self.score(query, rest[0] if rest else value)
        hidden = None
        if isinstance(mask, (list, tuple)) and len(mask) > 1 and mask[1] is not None:
            hidden = expand_dims(mask[1], axis=-2)
            scores = where(hidden, scores, -1e9)
        if self.causal:
            scores = where(greater(tril(ones(tuple(scores.shape)[-2:])), 0.5), scores, -1e9)
        weights = softmax(scores, axis=-1)
        if training and self.dropout:
            weights = random.dropout(weights, self.dropout)
        return matmul(weights, value)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The query's."""
        return mask[0] if isinstance(mask, (list, tuple)) else None


class AdditiveAttention(Attention):
    """Additive attention (Bahdanau et al. 2014): ``sum(scale * tanh(query + key))``."""

    def __init__(self, use_scale: bool = True, **options: Any) -> None:
        super().__init__(use_scale, **options)

    def build(self, *inputs: Any) -> None:
        """Make the scale."""
        if self.use_scale:
            first = inputs[0][0] if isinstance(inputs[0], list) else inputs[0]
            width = (first.shape if hasattr(first, "dtype") else first)[-1]
            self.scale = self.add_weight("scale", (int(width),), initializer="glorot_uniform")
        self.built = True

    def score(self, query: Any, key: Any) -> Any:
        """[b, tq, tv]."""
        from corenn.ops.reduction import sum as total
        from corenn.ops.shaping import expand_dims
        from corenn.ops.transcendental import tanh

        both = tanh(expand_dims(query, axis=-2) + expand_dims(key, axis=-3))
        return total(both if self.scale is None else multiply(both, self.scale), axis=-1)


__all__ = ["AdditiveAttention", "AlphaDropout", "Attention", "Lambda", "ReLU", "ThresholdedReLU"]
