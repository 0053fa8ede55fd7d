"""Layers that came to Keras late, or stand beside others: ``EinsumDense``, ``Identity``, ``AbstractRNNCell``."""

from __future__ import annotations

from typing import Any

from corenn.ops.einstein import einsum
from corenn.ops.elementwise import add, identity
from corenn.ops.shaping import expand_dims
from corenn.spec import Spec
from corenn_tensorflow import nn
from corenn_tensorflow.keras.engine.base_layer import Layer
from corenn_tensorflow.keras.layers import standard
from corenn_tensorflow.keras.layers.spatial import ArgumentLayer, as_tuple


class Identity(Layer):
    """What it is given."""

    casts_inputs = False

    def call(self, inputs: Any) -> Any:
        """Give it back."""
        return identity(inputs) if hasattr(inputs, "dtype") else inputs


class EinsumDense(ArgumentLayer):
    """``einsum(equation, x, kernel) + bias``: ``EinsumDense("ab,bc->ac", output_shape=64, bias_axes="c")``.

    ``output_shape``: that of an example, ``None`` for extents that are the input's.  ``bias_axes``: the letters of the
    axes that have a bias of their own.
    """

    order = tuple(
        [
            "equation",
            "output_shape",
            "activation",
            "bias_axes",
            "kernel_initializer",
            "bias_initializer",
            "kernel_regularizer",
            "bias_regularizer",
            "activity_regularizer",
            "kernel_constraint",
            "bias_constraint",
        ]
    )
    start = {"kernel_initializer": "glorot_uniform", "bias_initializer": "zeros"}  # noqa: RUF012  (never changed)

    def build(self, x: Any) -> None:
        """Make the weights."""
        given = list(x.shape if isinstance(x, Spec) else x)
        equation = str(self.arguments["equation"]).replace(" ", "")
        try:
            left, out = equation.split("->")
            inputs, kernel = left.split(",")
        except ValueError:
            raise ValueError(
                f"Invalid einsum equation {equation!r}. Equations must be in the form [X],[Y]->[Z], "
                "...[X],[Y]->...[Z], or [X]...,[Y]->[Z]...."
            ) from None
        wanted = self.arguments["output_shape"]
        wanted = [wanted] if isinstance(wanted, int) or wanted is None else list(wanted)
        extents: dict[str, Any] = {}
        known_out: dict[str, Any] = {}
        if inputs.startswith("..."):
            names, outs = inputs[3:], out[3:]
            extents = dict(zip(names, given[len(given) - len(names) :], strict=True))
            known_out = dict(zip(outs[::-1], wanted[::-1], strict=False))
        else:
            names, outs = inputs.replace("...", ""), out.replace("...", "")
            extents = dict(zip(names, given[: len(names)], strict=True))
            known_out = dict(zip(outs[1:], wanted, strict=False))
        for name, extent in known_out.items():
            if extent is not None and extents.get(name) not in (None, extent):
                raise ValueError(f"output_shape says {extent} for {name!r} of {equation!r}, the input {extents[name]}")
            extents[name] = extent if extent is not None else extents.get(name)
        unknown = [n for n in kernel if extents.get(n) is None]
        if unknown:
            raise ValueError(f"the extents of {', '.join(unknown)} of the kernel of {equation!r} are not known")
        self.kernel = self.weight("kernel", [int(extents[n]) for n in kernel], "kernel")
        self.bias: Any = None
        axes = self.arguments["bias_axes"]
        if axes:
            strange = [n for n in axes if n not in outs]
            if strange:
                raise ValueError(f"bias_axes {axes!r}: {', '.join(strange)} is no axis of the output of {equation!r}")
            first = min(outs.index(n) for n in axes)
            tail = outs[first:]
            shape = [int(extents[n]) if n in axes else 1 for n in tail]
            shape += [1] * (len(given) - len(names)) if out.endswith("...") else []
            self.bias = self.weight("bias", shape, "bias")
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Compute."""
        found = einsum(str(self.arguments["equation"]).replace(" ", ""), inputs, self.kernel)
        if self.bias is not None:
            found = add(found, self.bias)
        activation = self.arguments["activation"]
        return found if activation is None else activation(found)


class DepthwiseConv1D(ArgumentLayer):
    """A convolution over steps [batch, steps, channels] with ``depth_multiplier`` kernels for each channel."""

    order = tuple(
        [
            "kernel_size",
            "strides",
            "padding",
            "depth_multiplier",
            "data_format",
            "dilation_rate",
            "activation",
            "use_bias",
            "depthwise_initializer",
            "bias_initializer",
            "depthwise_regularizer",
            "bias_regularizer",
            "activity_regularizer",
            "depthwise_constraint",
            "bias_constraint",
        ]
    )
    start = {  # noqa: RUF012  (never changed)
        "strides": 1, "padding": "valid", "depth_multiplier": 1, "dilation_rate": 1, "use_bias": True,
        "depthwise_initializer": "glorot_uniform", "bias_initializer": "zeros", "data_format": "channels_last",
    }  # fmt: skip

    def build(self, x: Any) -> None:
        """Make the weights: [kernel_size, channels, depth_multiplier]."""
        channels = int((x.shape if isinstance(x, Spec) else x)[-1])
        (size,) = as_tuple(self.arguments["kernel_size"], 1)
        many = int(self.arguments["depth_multiplier"])
        self.depthwise_kernel = self.weight("depthwise_kernel", (size, channels, many), "depthwise")
        self.bias = self.weight("bias", (channels * many,), "bias") if self.arguments["use_bias"] else None
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Convolve, as an image of one row."""
        (step,), (apart,) = as_tuple(self.arguments["strides"], 1), as_tuple(self.arguments["dilation_rate"], 1)
        found = nn.depthwise_conv2d.v2(
            expand_dims(inputs, axis=1), expand_dims(self.depthwise_kernel, axis=0), [1, step, step, 1],
            str(self.arguments["padding"]).upper(), dilations=[apart, apart],
        )[:, 0]  # fmt: skip
        if self.bias is not None:
            found = add(found, self.bias)
        activation = self.arguments["activation"]
        return found if activation is None else activation(found)


class AbstractRNNCell(Layer):
    """Base of users' cells: ``call(inputs, states)`` to (output, new states), ``state_size`` and ``output_size``."""

    def call(self, inputs: Any, states: Any) -> Any:
        """One step."""
        raise NotImplementedError("AbstractRNNCell: write call(inputs, states)")

    @property
    def state_size(self) -> Any:
        """The size of the state, or a list of sizes."""
        raise NotImplementedError("AbstractRNNCell: write state_size")

    @property
    def output_size(self) -> Any:
        """The size of the output."""
        raise NotImplementedError("AbstractRNNCell: write output_size")

    def get_initial_state(self, inputs: Any = None, batch_size: Any = None, dtype: Any = None) -> Any:
        """Zeros for every state."""
        from corenn.ops.creation import zeros

        batch = int(inputs.shape[0]) if inputs is not None else int(batch_size)
        sizes = self.state_size if isinstance(self.state_size, (list, tuple)) else [self.state_size]
        found = [zeros((batch, int(n)), dtype=dtype or "float32") for n in sizes]
        return found if isinstance(self.state_size, (list, tuple)) else found[0]


SeparableConvolution1D = standard.SeparableConv1D
Convolution1DTranspose, Convolution3DTranspose = standard.Conv1DTranspose, standard.Conv3DTranspose

__all__ = [
    "AbstractRNNCell", "Convolution1DTranspose", "Convolution3DTranspose", "DepthwiseConv1D", "EinsumDense", "Identity",
    "SeparableConvolution1D",
]  # fmt: skip
