"""``tf.nn.rnn_cell``: recurrent cells, and cells around a cell."""

from corenn_tensorflow import missing
from corenn_tensorflow.nn.cell_wrappers import DeviceWrapper, DropoutWrapper, ResidualWrapper
from corenn_tensorflow.nn.cells import (
    BasicLSTMCell,
    BasicRNNCell,
    GRUCell,
    LSTMCell,
    LSTMStateTuple,
    MultiRNNCell,
    RNNCell,
)

__getattr__ = missing.guard(__name__)

__all__ = [
    "BasicLSTMCell", "BasicRNNCell", "DeviceWrapper", "DropoutWrapper", "GRUCell", "LSTMCell", "LSTMStateTuple",
    "MultiRNNCell", "RNNCell", "ResidualWrapper",
]  # fmt: skip
