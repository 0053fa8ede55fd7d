"""Emitters of what networks are made of: convolution, pooling, normalisation, recurrence, resizing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from corenn import dtypes
from corenn_onnx.errors import OnnxExportError
from corenn_onnx.exporting.emitter import CallUse, Emitter, Use
from corenn_onnx.exporting.extents import Extent
from corenn_onnx.exporting.table import emits


def _last(call: CallUse) -> bool:
    """Whether channels are last."""
    return str(call.attrs["layout"])[-1] == "C"


def _pads(call: CallUse) -> list[int]:
    pairs = call.fixed("padding")
    return [p[0] for p in pairs] + [p[1] for p in pairs]


def _done(e: Emitter, call: CallUse, name: str) -> str | None:
    """The result of a node that works with channels first."""
    if not _last(call):
        return name
    e.define_first(call.result, name)
    return None


def _kernel(e: Emitter, use: Use, swap: bool = False) -> str:
    """Weights [*kernel, in, out] as ONNX has them, [out, in, *kernel]; with ``swap`` [in, ...] is the larger part."""
    rank = use.rank - 2
    order = (rank + 1, rank, *range(rank))
    found = e.prepared(use, lambda v: np.transpose(v, order), "swapped" if swap else "kernel")
    return found if found is not None else str(e.add("Transpose", [e.name(use)], perm=order))


@emits("conv")
def conv(e: Emitter, call: CallUse) -> Any:
    """Conv; a bias that is added next becomes its own."""
    x, w = call.operand(0), call.operand(1)
    name = e.add(
        "Conv", [e.first(x, _last(call)), _kernel(e, w)], kernel_shape=list(w.shape[:-2]),
        strides=list(call.attrs["strides"]), dilations=list(call.attrs["dilation"]), group=call.attrs["groups"],
        pads=_pads(call),
    )  # fmt: skip
    if _last(call):
        e.convolutions[call.result.symbol] = e.nodes[-1]
    return _done(e, call, name)


@emits("conv_input_grad")
def conv_input_grad(e: Emitter, call: CallUse) -> Any:
    """ConvTranspose; what the stride leaves over at the end is its output padding."""
    y, w = call.operand(0), call.operand(1)
    strides, dilation, size = call.attrs["strides"], call.attrs["dilation"], call.attrs["size"]
    pairs = call.fixed("padding")
    axes = range(2, y.rank) if not _last(call) else range(1, y.rank - 1)
    extra = []
    for i, axis in enumerate(axes):
        span = (w.shape[i] - 1) * dilation[i] + 1
        extra.append(size[i] - ((y.shape[axis] - 1) * strides[i] + span - sum(pairs[i])))
    name = e.add(
        "ConvTranspose", [e.first(y, _last(call)), _kernel(e, w, swap=True)], kernel_shape=list(w.shape[:-2]),
        strides=list(strides), dilations=list(dilation), group=call.attrs["groups"], pads=_pads(call),
        output_padding=extra if any(extra) else None,
    )  # fmt: skip
    if _last(call):
        e.convolutions[call.result.symbol] = e.nodes[-1]
    return _done(e, call, name)


@emits("max_pool")
def max_pool(e: Emitter, call: CallUse) -> Any:
    """MaxPool."""
    name = e.add("MaxPool", [e.first(call.operand(0), _last(call))], kernel_shape=list(call.attrs["window"]),
                 strides=list(call.attrs["strides"]), pads=_pads(call))  # fmt: skip
    return _done(e, call, name)


@emits("avg_pool")
def avg_pool(e: Emitter, call: CallUse) -> Any:
    """AveragePool."""
    name = e.add("AveragePool", [e.first(call.operand(0), _last(call))], kernel_shape=list(call.attrs["window"]),
                 strides=list(call.attrs["strides"]), pads=_pads(call),
                 count_include_pad=int(bool(call.attrs["count_padding"])))  # fmt: skip
    return _done(e, call, name)


def _by_resize(call: Any, opset: int) -> bool:
    """Whether ONNX has the method, for a batch of images."""
    attrs = call.plan.attrs
    batch = str(attrs["layout"]).startswith("N") and 0 not in call.inputs[0].shape
    return batch and attrs["method"] in ("nearest", "bilinear") and not attrs["antialias"]


@emits("resize", when=_by_resize)
def resize(e: Emitter, call: CallUse) -> Any:
    """Resize with half-pixel centres, or with corners aligned."""
    x, last = call.operand(0), _last(call)
    size = call.attrs["size"]
    nearest = call.attrs["method"] == "nearest"
    mode = "align_corners" if call.attrs["align_corners"] else "half_pixel"
    inputs = [e.first(x, last), "", ""]
    if any(isinstance(n, Extent) for n in x.shape):
        batch, channels = e.shape([x.shape[0]]), e.shape([x.shape[-1] if last else x.shape[1]])
        sizes = e.add("Concat", [batch, channels, e.ints(*size)], axis=0)
    else:
        sizes = e.ints(x.shape[0], x.shape[-1] if last else x.shape[1], *size)
    rounding = "round_prefer_ceil" if nearest else None
    name = e.add("Resize", [*inputs, sizes], mode="nearest" if nearest else "linear",
                 coordinate_transformation_mode=mode, nearest_mode=rounding)  # fmt: skip
    return _done(e, call, name)


# ---------------------------------------------------------------- normalisation


def _vectors(e: Emitter, uses: Sequence[Use | None], like: Use, size: int, absent: Sequence[float]) -> list[str]:
    """Names of vectors, and of constants where they are absent."""
    return [
        e.constant(np.full(size, value, like.dtype.numpy)) if use is None else e.name(use)
        for use, value in zip(uses, absent, strict=True)
    ]


def _on_channels(call: Any, opset: int) -> bool:
    spec = call.inputs[0].spec
    return spec.ndim > 1 and call.plan.attrs["axis"] % spec.ndim in (1, spec.ndim - 1)


@emits("batch_norm_inference", when=_on_channels)
def batch_norm(e: Emitter, call: CallUse) -> Any:
    """BatchNormalization with channels first."""
    x = call.operand(0)
    axis = call.attrs["axis"] % x.rank
    last = axis == x.rank - 1 and x.rank > 2
    given = _vectors(e, call.inputs[1:5], x, x.shape[axis], (1, 0, 0, 1))
    name = e.add("BatchNormalization", [e.first(x, last), *given], epsilon=float(call.attrs["epsilon"]))
    if not last:
        return name
    e.define_first(call.result, name)
    return None


@emits("instance_norm", when=lambda call, opset: _on_channels(call, opset) and call.inputs[0].spec.ndim > 2)
def instance_norm(e: Emitter, call: CallUse) -> Any:
    """InstanceNormalization with channels first."""
    x = call.operand(0)
    axis = call.attrs["axis"] % x.rank
    last = axis == x.rank - 1
    given = _vectors(e, call.inputs[1:3], x, x.shape[axis], (1, 0))
    name = e.add("InstanceNormalization", [e.first(x, last), *given], epsilon=float(call.attrs["epsilon"]))
    if not last:
        return name
    e.define_first(call.result, name)
    return None


def _trailing(call: Any, opset: int) -> bool:
    rank, axis = call.inputs[0].spec.ndim, call.plan.attrs["axis"]
    axes = sorted(a % rank for a in (axis if isinstance(axis, tuple) else (axis,)))
    return axes == list(range(rank - len(axes), rank))


@emits("layer_norm", when=_trailing)
def layer_norm(e: Emitter, call: CallUse) -> Any:
    """LayerNormalization over the last axes."""
    x, axis = call.operand(0), call.attrs["axis"]
    count = len(axis) if isinstance(axis, tuple) else 1
    shape = x.shape[x.rank - count :]
    gamma, beta = call.inputs[1], call.inputs[2]
    scale = e.constant(np.ones(shape, x.dtype.numpy)) if gamma is None else e.name(gamma)
    given = [e.name(x), scale, *([] if beta is None else [e.name(beta)])]
    return e.add("LayerNormalization", given, axis=x.rank - count, epsilon=float(call.attrs["epsilon"]))


@emits("local_response_norm", when=lambda call, opset: _on_channels(call, opset) and call.inputs[0].spec.ndim == 4)
def local_response_norm(e: Emitter, call: CallUse) -> Any:
    """LRN, which divides alpha by the number of channels it adds up."""
    x = call.operand(0)
    axis = call.attrs["axis"] % x.rank
    last = axis == x.rank - 1
    size = 2 * call.attrs["depth_radius"] + 1
    name = e.add("LRN", [e.first(x, last)], size=size, alpha=float(call.attrs["alpha"] * size),
                 beta=float(call.attrs["beta"]), bias=float(call.attrs["bias"]))  # fmt: skip
    if not last:
        return name
    e.define_first(call.result, name)
    return None


# ---------------------------------------------------------------- recurrence

#: Where each of ONNX's gates is among corenn's.
_LSTM, _GRU, _RNN = (0, 3, 1, 2), (0, 1, 2), (0,)


def _gates(array: np.ndarray[Any, Any], order: Sequence[int]) -> np.ndarray[Any, Any]:
    parts = np.split(array, len(order), axis=-1)
    return np.concatenate([parts[i] for i in order], axis=-1)


def _ordered(e: Emitter, name: str, order: Sequence[int]) -> str:
    """Gates along the last axis in another order."""
    if list(order) == list(range(len(order))):
        return name
    parts = e.add("Split", [name], len(order), axis=-1, num_outputs=len(order) if e.opset >= 18 else None)
    return str(e.add("Concat", [parts[i] for i in order], axis=-1))


def _matrix(e: Emitter, use: Use, order: Sequence[int], tag: str) -> str:
    """A kernel [in, gates * units] as ONNX has it, [1, gates * units, in]."""
    found = e.prepared(use, lambda v: _gates(v, order).T[None], tag)
    if found is None:
        flipped = e.add("Transpose", [_ordered(e, e.name(use), order)], perm=[1, 0])
        found = str(e.add("Unsqueeze", [flipped, e.ints(0)]))
    return found


def _recurrent(e: Emitter, call: CallUse, op_type: str, order: Sequence[int], states: int, **attributes: Any) -> Any:
    """A recurrent op: operands x, states, kernel, recurrent kernel, bias, lengths; results outputs, states, ...

    corenn's sequences are [batch, time, features], ONNX's [time, batch, features].
    """
    inputs = call.inputs
    x, kernel, recurrent = call.operand(0), call.operand(1 + states), call.operand(2 + states)
    bias, lengths = inputs[3 + states], inputs[4 + states]
    units = recurrent.shape[0]
    for extra in call.outputs[1 + states :]:
        if e.uses.get(extra.symbol):
            raise OnnxExportError(call.where, "what only its gradient needs is used")
    names = [e.add("Transpose", [e.name(x)], perm=[1, 0, 2]), _matrix(e, kernel, order, "kernel"),
             _matrix(e, recurrent, order, "recurrent_kernel")]  # fmt: skip
    names.append("" if bias is None else _bias(e, bias, order))
    names.append("" if lengths is None else e.cast(e.name(lengths), dtypes.int32))
    names += [e.add("Unsqueeze", [e.name(call.operand(1 + i)), e.ints(0)]) for i in range(states)]
    direction = "reverse" if call.attrs["reverse"] else "forward"
    made = e.add(op_type, names, 1 + states, hidden_size=units, direction=direction, **attributes)
    outputs = e.add("Transpose", [e.add("Squeeze", [made[0], e.ints(1)])], perm=[1, 0, 2])
    return (outputs, *[e.add("Squeeze", [name, e.ints(0)]) for name in made[1:]])


def _bias(e: Emitter, bias: Use, order: Sequence[int]) -> str:
    """ONNX adds two biases; corenn has one, but for a GRU that is reset after, which has both."""

    def both(v: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        rows = v if v.ndim == 2 else np.stack([v, np.zeros_like(v)])
        return np.concatenate([_gates(row, order) for row in rows])[None]

    found = e.prepared(bias, both, "bias")
    if found is None:
        name = _ordered(e, e.name(bias), order)
        if bias.rank == 1:
            name = e.add("Concat", [name, e.constant(np.zeros(bias.shape, bias.dtype.numpy))], axis=0)
        found = str(e.add("Reshape", [name, e.ints(1, -1)]))
    return found


@emits("lstm")
def lstm(e: Emitter, call: CallUse) -> Any:
    """LSTM."""
    return _recurrent(e, call, "LSTM", _LSTM, 2)


@emits("gru")
def gru(e: Emitter, call: CallUse) -> Any:
    """GRU."""
    return _recurrent(e, call, "GRU", _GRU, 1, linear_before_reset=int(bool(call.attrs["reset_after"])))


@emits("simple_rnn")
def simple_rnn(e: Emitter, call: CallUse) -> Any:
    """RNN."""
    return _recurrent(e, call, "RNN", _RNN, 1, activations=[str(call.attrs["activation"]).capitalize()])
