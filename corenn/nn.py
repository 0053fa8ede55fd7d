"""Building blocks of networks: activations, convolution, pooling, normalisation, attention, recurrence, losses."""

from typing import TYPE_CHECKING

from corenn.advice import guide
from corenn.ops.activations import (
    celu,
    elu,
    gelu,
    hard_sigmoid,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    mish,
    prelu,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softplus,
    softsign,
    swish,
    threshold,
)
from corenn.ops.attention import scaled_dot_product_attention
from corenn.ops.batch_norm import batch_norm_inference, batch_norm_training, local_response_norm
from corenn.ops.convolution import conv, conv_input_grad, conv_transpose, conv_weight_grad
from corenn.ops.convolution_forms import conv1d, conv2d, conv3d, depthwise_conv, separable_conv, separable_conv2d
from corenn.ops.embedding import embedding
from corenn.ops.normalization import group_norm, instance_norm, layer_norm, moments, rms_norm
from corenn.ops.norms import l2_normalize
from corenn.ops.pooling import adaptive_avg_pool, avg_pool, global_avg_pool, global_max_pool, max_pool
from corenn.ops.random import dropout
from corenn.ops.recurrent import gru, gru_cell, lstm, lstm_cell, rnn_cell, simple_rnn
from corenn.ops.softmax import (
    log_softmax,
    sigmoid_cross_entropy,
    softmax,
    softmax_cross_entropy,
    sparse_softmax_cross_entropy,
)
from corenn.ops.transcendental import tanh

__all__ = [
    "adaptive_avg_pool",
    "avg_pool",
    "batch_norm_inference",
    "batch_norm_training",
    "celu",
    "conv",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_input_grad",
    "conv_transpose",
    "conv_weight_grad",
    "depthwise_conv",
    "dropout",
    "elu",
    "embedding",
    "gelu",
    "global_avg_pool",
    "global_max_pool",
    "group_norm",
    "gru",
    "gru_cell",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "instance_norm",
    "l2_normalize",
    "layer_norm",
    "leaky_relu",
    "local_response_norm",
    "log_sigmoid",
    "log_softmax",
    "lstm",
    "lstm_cell",
    "max_pool",
    "mish",
    "moments",
    "prelu",
    "relu",
    "relu6",
    "rms_norm",
    "rnn_cell",
    "scaled_dot_product_attention",
    "selu",
    "separable_conv",
    "separable_conv2d",
    "sigmoid",
    "sigmoid_cross_entropy",
    "silu",
    "simple_rnn",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "softsign",
    "sparse_softmax_cross_entropy",
    "swish",
    "tanh",
    "threshold",
]

if not TYPE_CHECKING:  # type checkers know which names there are
    __getattr__, __dir__ = guide(__name__, __all__)
