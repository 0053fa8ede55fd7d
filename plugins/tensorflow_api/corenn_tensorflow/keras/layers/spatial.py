"""Recurrence over images (``ConvLSTM2D``), and convolutions whose weights are not shared (``LocallyConnected2D``)."""

from __future__ import annotations

from typing import Any

from corenn.ops.arranging import flip
from corenn.ops.contraction import matmul
from corenn.ops.creation import full
from corenn.ops.elementwise import add, multiply, where
from corenn.ops.random import dropout as dropped
from corenn.ops.shaping import parts, reshape, stack, transpose, unstack
from corenn.spec import Spec
from corenn.tensor import Tensor
from corenn_tensorflow import nn
from corenn_tensorflow.keras import activations, constraints, initializers, regularizers
from corenn_tensorflow.keras.layers.adapting import BuiltIn, image_data_format, modern, written


def as_tuple(value: Any, rank: int) -> tuple[int, ...]:
    """A number for each axis; ValueError for other counts."""
    found = (value,) * rank if isinstance(value, int) else tuple(int(v) for v in value)
    if len(found) != rank:
        raise ValueError(f"{rank} numbers are needed, got {value!r}")
    return found


def _converted(values: dict[str, Any]) -> dict[str, Any]:
    for name, value in values.items():
        if name.endswith("_initializer"):
            values[name] = initializers.get(value)
        elif name.endswith("_regularizer"):
            values[name] = regularizers.get(value)
        elif name.endswith("_constraint"):
            values[name] = constraints.get(value)
        elif name.endswith("activation"):
            values[name] = activations.get(value)
    return values


class ArgumentLayer(BuiltIn):
    """Arguments by ``order``, with ``start`` for those that are not given."""

    start: dict[str, Any] = {}  # noqa: RUF012  (never changed)

    def __init__(self, *args: Any, **options: Any) -> None:
        given = modern(type(self), self.order, args, options, {})
        own = {n: given.pop(n, self.start.get(n)) for n in self.order}
        super().__init__(**given)
        self.arguments = _converted(own)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), **{n: written(n, v) for n, v in self.arguments.items()}}

    def weight(self, name: str, shape: Any, kind: str) -> Any:
        """A weight with the initialiser, penalty and constraint of its kind."""
        given = self.arguments
        return self.add_weight(
            name, tuple(shape), initializer=given[f"{kind}_initializer"], regularizer=given[f"{kind}_regularizer"],
            constraint=given[f"{kind}_constraint"],
        )  # fmt: skip


_SHARED = (
    "kernel_initializer recurrent_initializer bias_initializer unit_forget_bias kernel_regularizer "
    "recurrent_regularizer bias_regularizer activity_regularizer kernel_constraint recurrent_constraint "
    "bias_constraint return_sequences return_state go_backwards stateful dropout recurrent_dropout"
)


class _ConvLSTM(ArgumentLayer):
    """LSTM whose products are convolutions (Shi et al. 2015, without peepholes).

    Inputs [batch, time, *space, channels]; outputs [batch, *space, filters], or with time for ``return_sequences``.
    """

    rank = 2
    order = tuple(
        "filters kernel_size strides padding data_format dilation_rate activation recurrent_activation use_bias "
        f"{_SHARED}".split()
    )
    start = {  # noqa: RUF012  (never changed)
        "strides": 1, "padding": "valid", "data_format": None, "dilation_rate": 1, "activation": "tanh",
        "recurrent_activation": "hard_sigmoid", "use_bias": True, "kernel_initializer": "glorot_uniform",
        "recurrent_initializer": "orthogonal", "bias_initializer": "zeros", "unit_forget_bias": True,
        "return_sequences": False, "return_state": False, "go_backwards": False, "stateful": False, "dropout": 0.0,
        "recurrent_dropout": 0.0,
    }  # fmt: skip

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        given = self.arguments
        if given["data_format"] is None:
            given["data_format"] = image_data_format()
        for name in ("return_sequences", "return_state", "go_backwards"):
            setattr(self, name, bool(given[name]))
        self.filters = int(given["filters"])
        self.kernel_size, self.strides = (
            as_tuple(given["kernel_size"], self.rank),
            as_tuple(given["strides"], self.rank),
        )
        self.dilation = as_tuple(given["dilation_rate"], self.rank)
        if given["stateful"]:
            raise ValueError(f"{type(self).__name__} keeps no states between batches: pass initial_state instead")

    def build(self, x: Any, *rest: Any) -> None:
        """Make the weights, of shape [*kernel_size, channels, 4 * filters]."""
        shape = x.shape if isinstance(x, Spec) else tuple(x)
        channels = shape[2] if self.arguments["data_format"] == "channels_first" else shape[-1]
        four = 4 * self.filters
        self.kernel = self.weight("kernel", (*self.kernel_size, int(channels), four), "kernel")
        self.recurrent_kernel = self.weight("recurrent_kernel", (*self.kernel_size, self.filters, four), "recurrent")
        self.bias: Any = None
        if self.arguments["use_bias"]:
            self.bias = self.weight("bias", (four,), "bias")
            if self.arguments["unit_forget_bias"]:
                ones = self.bias.numpy()
                ones[self.filters : 2 * self.filters] += 1
                self.bias.assign(ones)
        self.built = True

    def _convolve(self, x: Tensor, kernel: Any, padding: str, strides: Any, dilation: Any) -> Tensor:
        return nn.convolution(x, kernel, padding=padding.upper(), strides=strides, dilations=dilation)  # type: ignore[no-any-return]

    def call(self, inputs: Any, mask: Any = None, training: bool = False, initial_state: Any = None) -> Any:
        """Run over the steps."""
        first = self.arguments["data_format"] == "channels_first"
        if isinstance(inputs, (list, tuple)):
            inputs, initial_state = inputs[0], list(inputs[1:])
        x = transpose(inputs, axes=(0, 1, *range(3, inputs.ndim), 2)) if first else inputs
        batch, steps, *rest = x.spec.static
        rate = float(self.arguments["dropout"] or 0)
        if training and rate:
            x = dropped(x, rate, noise_shape=(batch, 1, *rest))
        flat = reshape(x, shape=(batch * steps, *rest))
        given = self._convolve(flat, self.kernel, self.arguments["padding"], self.strides, self.dilation)
        if self.bias is not None:
            given = add(given, self.bias)
        size = given.spec.static[1:-1]
        series = unstack(reshape(given, shape=(batch, steps, *size, 4 * self.filters)), axis=1)
        if initial_state:
            h, c = (transpose(s, axes=(0, *range(2, s.ndim), 1)) if first else s for s in initial_state)
        else:
            h = c = full((batch, *size, self.filters), 0, x.dtype)
        rate = float(self.arguments["recurrent_dropout"] or 0)
        kept = dropped(full(h.spec.static, 1, h.dtype), rate) if training and rate else None
        marks = None if mask is None else unstack(mask, axis=1)
        outputs, order = [], range(steps - 1, -1, -1) if self.go_backwards else range(steps)
        for step in order:
            new_h, new_c = self.step(series[step], h if kept is None else multiply(h, kept), c)
            if marks is not None:
                mark = reshape(marks[step], shape=(batch, *[1] * (h.ndim - 1)))
                new_h, new_c = where(mark, new_h, h), where(mark, new_c, c)
            h, c = new_h, new_c
            outputs.append(h)

        def out(value: Tensor, ahead: int) -> Tensor:
            if not first:
                return value
            axes = range(value.ndim)
            return transpose(value, axes=(*axes[:ahead], value.ndim - 1, *axes[ahead:-1]))

        found = out(stack(outputs, axis=1), 2) if self.return_sequences else out(h, 1)
        return [found, out(h, 1), out(c, 1)] if self.return_state else found

    def step(self, given: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """One step; gates in the order input, forget, candidate, output."""
        one = (1,) * self.rank
        both = add(given, self._convolve(h, self.recurrent_kernel, "same", one, one))
        i, f, g, o = parts(both, sizes=4, axis=-1)
        gate, act = self.arguments["recurrent_activation"], self.arguments["activation"]
        gate, act = gate or (lambda v: v), act or (lambda v: v)
        new = add(multiply(gate(f), c), multiply(gate(i), act(g)))
        return multiply(gate(o), act(new)), new

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The input's, if every step gives an output."""
        if mask is None or not self.return_sequences or self.return_state:
            return None
        given = mask[0] if isinstance(mask, (list, tuple)) else mask
        return flip(given, axis=1) if self.go_backwards else given


class ConvLSTM1D(_ConvLSTM):
    """LSTM of convolutions over one axis of space: inputs [batch, time, rows, channels]."""

    rank = 1


class ConvLSTM2D(_ConvLSTM):
    """LSTM of convolutions over images: inputs [batch, time, rows, columns, channels]."""


class ConvLSTM3D(_ConvLSTM):
    """LSTM of convolutions over volumes: inputs [batch, time, depth, rows, columns, channels]."""

    rank = 3


class _Local(ArgumentLayer):
    """A kernel of its own at every place: [places, kernel * channels, filters]."""

    rank = 2
    order = tuple(
        [
            "filters",
            "kernel_size",
            "strides",
            "padding",
            "data_format",
            "activation",
            "use_bias",
            "kernel_initializer",
            "bias_initializer",
            "kernel_regularizer",
            "bias_regularizer",
            "activity_regularizer",
            "kernel_constraint",
            "bias_constraint",
            "implementation",
        ]
    )
    start = {  # noqa: RUF012  (never changed)
        "strides": 1, "padding": "valid", "use_bias": True, "kernel_initializer": "glorot_uniform",
        "bias_initializer": "zeros", "implementation": 1,
    }  # fmt: skip

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        given = self.arguments
        given["data_format"] = given["data_format"] or (image_data_format() if self.rank > 1 else "channels_last")
        if str(given["padding"]).lower() != "valid":
            raise ValueError(
                f"Invalid border mode for {type(self).__name__} (only 'valid' is supported): {given['padding']!r}"
            )
        self.filters = int(given["filters"])
        self.kernel_size, self.strides = (
            as_tuple(given["kernel_size"], self.rank),
            as_tuple(given["strides"], self.rank),
        )

    def _last(self, x: Tensor) -> Tensor:
        if self.arguments["data_format"] != "channels_first":
            return x
        return transpose(x, axes=(0, *range(2, x.ndim), 1))

    def build(self, x: Any) -> None:
        """Make the weights; the extents of the space must be known."""
        shape = list(x.shape if isinstance(x, Spec) else x)
        if self.arguments["data_format"] == "channels_first":
            shape = [shape[0], *shape[2:], shape[1]]
        if None in shape[1:]:
            raise ValueError(f"The spatial dimensions of the inputs to {type(self).__name__} should be fully defined")
        size = [(int(n) - k) // s + 1 for n, k, s in zip(shape[1:-1], self.kernel_size, self.strides, strict=True)]
        places, area = 1, int(shape[-1])
        for n, k in zip(size, self.kernel_size, strict=True):
            places, area = places * n, area * k
        self.kernel = self.weight("kernel", (places, area, self.filters), "kernel")
        self.bias = self.weight("bias", (*size, self.filters), "bias") if self.arguments["use_bias"] else None
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Multiply the patches."""
        x = self._last(inputs)
        batch, *space, channels = x.spec.static
        size = [(n - k) // s + 1 for n, k, s in zip(space, self.kernel_size, self.strides, strict=True)]
        # Patches, the places of the kernel before the channels: slices are few where kernels are small.
        cut = [x]
        for axis, (k, s, n) in enumerate(zip(self.kernel_size, self.strides, size, strict=True), 1):
            before = (slice(None),) * axis
            cut = [part[(*before, slice(i, i + s * (n - 1) + 1, s))] for part in cut for i in range(k)]
        places = 1
        for n in size:
            places *= n
        patches = reshape(stack(cut, axis=-2), shape=(batch, places, len(cut) * channels))
        found = transpose(matmul(transpose(patches, axes=(1, 0, 2)), self.kernel), axes=(1, 0, 2))
        found = reshape(found, shape=(batch, *size, self.filters))
        if self.bias is not None:
            found = add(found, self.bias)
        if self.arguments["activation"] is not None:
            found = self.arguments["activation"](found)
        if self.arguments["data_format"] == "channels_first":
            found = transpose(found, axes=(0, found.ndim - 1, *range(1, found.ndim - 1)))
        return found


class LocallyConnected1D(_Local):
    """A convolution over steps [batch, steps, channels] with weights of its own at every step."""

    rank = 1


class LocallyConnected2D(_Local):
    """A convolution over images [batch, rows, columns, channels] with weights of its own at every place."""


__all__ = ["ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "LocallyConnected1D", "LocallyConnected2D"]
