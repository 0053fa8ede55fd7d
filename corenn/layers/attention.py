"""Attention as a layer."""

from __future__ import annotations

import math
from typing import Any

from corenn import constraints, initializers, regularizers
from corenn.errors import AttributeValueError, ShapeError
from corenn.layers.base import Layer, register
from corenn.layers.core import positive, require_floating
from corenn.layers.reshaping import batch_extent
from corenn.ops import random
from corenn.ops.attention import scaled_dot_product_attention
from corenn.ops.contraction import matmul
from corenn.ops.creation import arange, asarray
from corenn.ops.elementwise import add, multiply, where
from corenn.ops.logic import greater_equal, logical_and
from corenn.ops.reduction import any as any_over
from corenn.ops.shaping import expand_dims, reshape, transpose
from corenn.ops.softmax import softmax
from corenn.spec import Spec
from corenn.tensor import Tensor
from corenn.variable import Variable


@register()
class MultiHeadAttention(Layer):
    """Several attentions side by side, each in a projection of its own (Vaswani et al. 2017).

    ``layer(query, value, key=None)``: query [b, t, ...], value and key (default: value) [b, s, ...]; the output is
    [b, t, ``output_size``], by default as wide as the query.  ``key_dim`` and ``value_dim`` (default: key_dim) are the
    sizes of each head.  ``dropout``: the fraction of attention weights dropped in training.

    Options of a call: ``attention_mask`` (bools [b, t, s], True where attention is allowed; [t, s] for all alike,
    [b, heads, t, s] for heads of their own), ``mask`` (bools [b, s]: which values count; or a list of the masks of
    query and value), ``use_causal_mask`` (no step sees later ones) and ``return_attention_scores`` (also return the
    weights [b, heads, t, s]).

    Weights as in Keras: kernels [features, heads, size] and biases [heads, size] for query, key and value; for the
    output [heads, value_dim, output_size] and [output_size].
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_size: int | None = None,
        *,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.num_heads = positive(self.name, "num_heads", num_heads)
        self.key_dim = positive(self.name, "key_dim", key_dim)
        self.value_dim = self.key_dim if value_dim is None else positive(self.name, "value_dim", value_dim)
        if not 0 <= dropout < 1:
            raise AttributeValueError(self.name, f"dropout must lie in [0, 1), not {dropout!r}")
        self.dropout, self.use_bias = float(dropout), use_bias
        self.output_size = None if output_size is None else positive(self.name, "output_size", output_size)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self._parts: dict[str, tuple[Variable, Variable | None]] = {}

    def build(self, query: Spec, value: Spec, key: Spec | None = None) -> None:
        """Make kernels and biases."""
        key = value if key is None else key
        for name, spec in (("query", query), ("value", value), ("key", key)):
            require_floating(self.name, spec)
            if spec.ndim != 3:
                raise ShapeError(self.name, "takes sequences [batch, time, features]", {name: spec})
        heads = self.num_heads
        self._add("query", (query.extent(-1), heads, self.key_dim), (heads, self.key_dim))
        self._add("key", (key.extent(-1), heads, self.key_dim), (heads, self.key_dim))
        self._add("value", (value.extent(-1), heads, self.value_dim), (heads, self.value_dim))
        width = query.extent(-1) if self.output_size is None else self.output_size
        self._add("output", (heads, self.value_dim, width), (width,))

    def _add(self, part: str, shape: tuple[int, ...], bias_shape: tuple[int, ...]) -> None:
        kernel = self.add_weight(f"{part}_kernel", shape, self.kernel_initializer, regularizer=self.kernel_regularizer,
                                 constraint=self.kernel_constraint)  # fmt: skip
        bias = None
        if self.use_bias:
            bias = self.add_weight(f"{part}_bias", bias_shape, self.bias_initializer, regularizer=self.bias_regularizer,
                                   constraint=self.bias_constraint)  # fmt: skip
        self._parts[part] = kernel, bias

    def _heads(self, part: str, x: Tensor) -> Tensor:
        """[b, t, features] to [b, heads, t, size]."""
        kernel, bias = self._parts[part]
        features, heads, size = kernel.shape
        if x.shape[-1] != features:
            raise ShapeError(self.name, f"the layer was built for a {part} of {features} features", {part: x.spec})
        y = matmul(x, reshape(kernel, shape=(features, heads * size)))
        if bias is not None:
            y = add(y, reshape(bias, shape=(heads * size,)))
        return transpose(reshape(y, shape=(batch_extent(x), x.spec.extent(1), heads, size)), axes=(0, 2, 1, 3))

    def call(
        self,
        query: Tensor,
        value: Tensor,
        key: Tensor | None = None,
        *,
        attention_mask: Any = None,
        mask: Any = None,
        use_causal_mask: bool = False,
        return_attention_scores: bool = False,
        training: bool = False,
    ) -> Any:
        """Attend."""
        q, v = self._heads("query", query), self._heads("value", value)
        k = self._heads("key", value if key is None else key)
        allowed = self._allowed(attention_mask, mask)
        scores: Tensor | None = None
        if return_attention_scores or (training and self.dropout):
            scores = self._scores(q, k, allowed, use_causal_mask)
            weights = random.dropout(scores, self.dropout) if training and self.dropout else scores
            found = matmul(weights, v)
        else:
            given = () if allowed is None else (allowed,)
            found = scaled_dot_product_attention(q, k, v, *given, causal=use_causal_mask)
        batch, heads, steps, size = batch_extent(found), *(found.spec.extent(axis) for axis in (1, 2, 3))
        kernel, bias = self._parts["output"]
        joined = reshape(transpose(found, axes=(0, 2, 1, 3)), shape=(batch, steps, heads * size))
        out = matmul(joined, reshape(kernel, shape=(heads * size, kernel.shape[-1])))
        out = out if bias is None else add(out, bias)
        return (out, scores) if return_attention_scores else out

    def _allowed(self, attention_mask: Any, mask: Any) -> Tensor | None:
        found = None
        if attention_mask is not None:
            found = asarray(attention_mask)
            if not 2 <= found.ndim <= 4:
                raise ShapeError(self.name, "attention_mask must broadcast to [batch, queries, values]",
                                 {"attention_mask": found.spec})  # fmt: skip
            found = (expand_dims(found, axis=1) if found.ndim == 3 else found).cast("bool")
        if isinstance(mask, list):
            mask = mask[1]  # of query, value and perhaps key
        if mask is not None:
            keys = asarray(mask).cast("bool")
            keys = reshape(keys, shape=(keys.shape[0], 1, 1, keys.shape[1]))
            found = keys if found is None else logical_and(found, keys)
        return found

    def _scores(self, q: Tensor, k: Tensor, allowed: Tensor | None, causal: bool) -> Tensor:
        """The weights of all values for all queries; zeros for a query that may attend to nothing."""
        scores = multiply(matmul(q, k, transpose_b=True), 1 / math.sqrt(self.key_dim))
        if causal:
            rows, columns = (arange(n, device=q.device) for n in (scores.spec.extent(-2), scores.spec.extent(-1)))
            earlier = greater_equal(reshape(rows, shape=(-1, 1)), columns)
            allowed = earlier if allowed is None else logical_and(allowed, earlier)
        if allowed is None:
            return softmax(scores, axis=-1)
        weights = softmax(where(allowed, scores, -1e9 if scores.dtype.itemsize >= 4 else -3e4), axis=-1)
        return where(any_over(allowed, axis=-1, keepdims=True), weights, 0.0)

    def compute_mask(self, x: Any, mask: Tensor | None = None) -> Tensor | None:
        """The query's."""
        return mask[0] if isinstance(mask, list) else mask


__all__ = ["MultiHeadAttention"]
