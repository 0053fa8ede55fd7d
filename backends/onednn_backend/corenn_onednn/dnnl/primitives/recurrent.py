"""LSTM and GRU over whole sequences, one layer in one direction, and their gradients.

Shapes: src_layer (t, n, c), states (1, 1, n, units), weights_layer (1, 1, c, gates, units), weights_iter
(1, 1, units, gates, units), bias (1, 1, gates, units), dst_layer (t, n, units).  Order of the gates: LSTM input,
forget, candidate, output; GRU update, reset, candidate ("gru_reset_after" has a fourth bias, that of the candidate's
recurrent part).  The GRU's update gate multiplies the old state.  Gradients of weights are written, not added to.
"""

from __future__ import annotations

from collections.abc import Mapping

from corenn_onednn.dnnl import constants
from corenn_onednn.dnnl.attributes import Attributes
from corenn_onednn.dnnl.descriptors import Descriptor
from corenn_onednn.dnnl.primitive import Primitive, make

_LSTM = (
    "src_layer", "src_iter", "src_iter_c", "weights_layer", "weights_iter", "peephole", "projection", "bias",
    "dst_layer", "dst_iter", "dst_iter_c",
)  # fmt: skip
_GRU = ("src_layer", "src_iter", "weights_layer", "weights_iter", "bias", "dst_layer", "dst_iter")


def _kind(cell: str) -> tuple[str, tuple[str, ...]]:
    return {"lstm": ("lstm", _LSTM), "gru": ("gru", _GRU), "gru_reset_after": ("lbr_gru", _GRU)}[cell]


def forward(
    cell: str,
    operands: Mapping[str, Descriptor],
    *,
    reverse: bool = False,
    training: bool = True,
    attributes: Attributes | None = None,
) -> Primitive:
    """``cell`` is "lstm", "gru" or "gru_reset_after".

    ``operands`` by name: src_layer, src_iter, src_iter_c (LSTM), weights_layer, weights_iter, bias, dst_layer,
    dst_iter, dst_iter_c (LSTM); a state or bias that is left out is zero, a final state that is left out is
    not written.
    Arguments: the operands, and with ``training`` a workspace.
    """
    stem, names = _kind(cell)
    kind = constants.FORWARD_TRAINING if training else constants.FORWARD_INFERENCE
    direction = constants.RIGHT_TO_LEFT if reverse else constants.LEFT_TO_RIGHT
    return make(
        f"{cell} forward",
        f"{stem}_forward",
        (kind, direction),
        {name: operands.get(name) for name in names},
        (0,),
        attributes=attributes,
    )


def backward(
    cell: str,
    operands: Mapping[str, Descriptor],
    *,
    forward: Primitive,
    reverse: bool = False,
    attributes: Attributes | None = None,
) -> Primitive:
    """The gradient of the primitive ``forward``.

    ``operands``: those of ``forward`` and, for each that is there, ``diff_<name>``.  Weights are not laid out as in
    ``forward``: "any", or the axes in the order (0, 1, 3, 4, 2); their gradients, "any" or row-major.  Arguments: all
    of them, and the workspace.
    """
    stem, names = _kind(cell)
    direction = constants.RIGHT_TO_LEFT if reverse else constants.LEFT_TO_RIGHT
    wanted = [*names, *(f"diff_{name}" for name in names)]
    return make(
        f"{cell} backward",
        f"{stem}_backward",
        (constants.BACKWARD, direction),
        {name: operands.get(name) for name in wanted},
        (constants.OVERWRITE_WEIGHT_GRADIENTS, forward.plan),
        attributes=attributes,
    )
