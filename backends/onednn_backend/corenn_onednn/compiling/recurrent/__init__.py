"""Recurrent networks as series of commands: for each step a product, and the cell that follows it in the same loops.

Where units are no multiple of sixteen, or lanes are fewer, oneDNN makes the products and the cells are loops of their
own.  (oneDNN's primitives for whole networks, ``dnnl.primitives.recurrent``, take their slow way when they train in
float32: twice as long forward, four times back.)  A network leaves its table for the gradient by its weights, as a
pooling leaves its workspace.

Masks (``lengths``), other dtypes than float32, and gradients by what only the gradient reads stay with NumPy.
"""

from __future__ import annotations

from collections.abc import Callable

from corenn.compiler.program import Call
from corenn_onednn.compiling.forwards import Forwards
from corenn_onednn.compiling.recurrent.forward import gru, lstm, simple_rnn
from corenn_onednn.compiling.recurrent.gradients import gru_grad, input_grad, lstm_grad, simple_rnn_grad, weight_grad
from corenn_onednn.compiling.series import Series

#: Ops that are not taken apart into steps in any case: what is not served here, one NumPy kernel does.
WHOLE = frozenset(
    {
        "lstm", "lstm_grad", "gru", "gru_grad", "simple_rnn", "simple_rnn_grad", "recurrent_weight_grad",
        "recurrent_input_grad",
    }
)  # fmt: skip

#: Op name to what makes the series of a call; UnimplementedError for a call that is not served.
SERIES: dict[str, Callable[[Call, Forwards], Series]] = {
    "lstm": lstm, "lstm_grad": lstm_grad, "gru": gru, "gru_grad": gru_grad, "simple_rnn": simple_rnn,
    "simple_rnn_grad": simple_rnn_grad, "recurrent_weight_grad": weight_grad, "recurrent_input_grad": input_grad,
}  # fmt: skip

__all__ = ["SERIES", "WHOLE"]
