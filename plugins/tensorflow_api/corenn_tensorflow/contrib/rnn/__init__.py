"""``tf.contrib.rnn``: cells, and cells over lists of steps."""

from corenn_tensorflow import missing
from corenn_tensorflow.contrib.rnn import more_cells
from corenn_tensorflow.contrib.rnn.cells import (
    AttentionCellWrapper,
    CompiledWrapper,
    EmbeddingWrapper,
    GRUBlockCell,
    GRUBlockCellV2,
    InputProjectionWrapper,
    LayerNormBasicLSTMCell,
    LSTMBlockCell,
    OutputProjectionWrapper,
    stack_bidirectional_dynamic_rnn,
    stack_bidirectional_rnn,
    transpose_batch_time,
)
from corenn_tensorflow.contrib.rnn.more_cells import *  # noqa: F403
from corenn_tensorflow.nn.cell_wrappers import DeviceWrapper, DropoutWrapper, ResidualWrapper
from corenn_tensorflow.nn.cells import (
    BasicLSTMCell,
    BasicRNNCell,
    GRUCell,
    LayerRNNCell,
    LSTMCell,
    LSTMStateTuple,
    MultiRNNCell,
    RNNCell,
)
from corenn_tensorflow.nn.recurrent import (
    bidirectional_dynamic_rnn,
    dynamic_rnn,
    static_bidirectional_rnn,
    static_rnn,
    static_state_saving_rnn,
)

__getattr__ = missing.guard(__name__)

__all__ = [
    "AttentionCellWrapper", "BasicLSTMCell", "BasicRNNCell", "CompiledWrapper", "DeviceWrapper", "DropoutWrapper",
    "EmbeddingWrapper", "GRUBlockCell", "GRUBlockCellV2", "GRUCell", "InputProjectionWrapper", "LSTMBlockCell",
    "LSTMCell", "LSTMStateTuple", "LayerNormBasicLSTMCell", "LayerRNNCell", "MultiRNNCell", "OutputProjectionWrapper",
    "RNNCell", "ResidualWrapper", "bidirectional_dynamic_rnn", "dynamic_rnn", "stack_bidirectional_dynamic_rnn",
    "stack_bidirectional_rnn", "static_bidirectional_rnn", "static_rnn", "static_state_saving_rnn",
    "transpose_batch_time", *more_cells.__all__,
]  # fmt: skip
