"""``tf.contrib.slim``: the layers of ``tf.contrib.layers``, argument scopes, variables by scope, a training loop."""

from corenn_tensorflow import missing
from corenn_tensorflow.contrib import losses, metrics
from corenn_tensorflow.contrib.framework import (
    add_arg_scope,
    arg_scope,
    arg_scoped_arguments,
    assign_from_checkpoint,
    assign_from_checkpoint_fn,
    assign_from_values,
    assign_from_values_fn,
    filter_variables,
    get_local_variables,
    get_model_variables,
    get_or_create_global_step,
    get_trainable_variables,
    get_unique_variable,
    get_variables,
    get_variables_by_name,
    get_variables_by_suffix,
    get_variables_to_restore,
    local_variable,
    model_variable,
    variable,
)
from corenn_tensorflow.contrib.layers import (
    avg_pool2d,
    avg_pool3d,
    batch_norm,
    bias_add,
    conv1d,
    conv2d,
    conv2d_transpose,
    conv3d,
    conv3d_transpose,
    convolution,
    convolution1d,
    convolution2d,
    convolution2d_transpose,
    convolution3d,
    convolution3d_transpose,
    dropout,
    elu,
    embed_sequence,
    flatten,
    fully_connected,
    group_norm,
    instance_norm,
    l1_l2_regularizer,
    l1_regularizer,
    l2_regularizer,
    layer_norm,
    linear,
    max_pool2d,
    max_pool3d,
    one_hot_encoding,
    optimize_loss,
    relu,
    relu6,
    repeat,
    separable_conv2d,
    separable_convolution2d,
    softmax,
    stack,
    unit_norm,
    variance_scaling_initializer,
    xavier_initializer,
)
from corenn_tensorflow.contrib.layers import utils
from corenn_tensorflow.contrib.slim import evaluation, learning, model_analyzer, queues
from corenn_tensorflow.contrib.slim import learning as training
from corenn_tensorflow.train.global_step import create_global_step, get_global_step

__getattr__ = missing.guard(__name__)

__all__ = [
    "add_arg_scope", "arg_scope", "arg_scoped_arguments", "assign_from_checkpoint", "assign_from_checkpoint_fn",
    "assign_from_values", "assign_from_values_fn", "avg_pool2d", "avg_pool3d", "batch_norm", "bias_add", "conv1d",
    "conv2d", "conv2d_transpose", "conv3d", "conv3d_transpose", "convolution", "convolution1d", "convolution2d",
    "convolution2d_transpose", "convolution3d", "convolution3d_transpose", "create_global_step", "dropout", "elu", "embed_sequence", "evaluation",
    "filter_variables", "flatten", "fully_connected", "get_global_step", "get_local_variables", "get_model_variables",
    "get_or_create_global_step", "get_trainable_variables", "get_unique_variable", "get_variables",
    "get_variables_by_name", "get_variables_by_suffix", "get_variables_to_restore", "group_norm", "instance_norm",
    "l1_l2_regularizer", "l1_regularizer", "l2_regularizer", "layer_norm", "learning", "linear", "local_variable",
    "losses", "max_pool2d", "max_pool3d", "metrics", "model_analyzer", "model_variable", "one_hot_encoding", "optimize_loss", "relu",
    "queues", "relu6", "repeat", "separable_conv2d", "separable_convolution2d", "softmax", "stack", "training", "unit_norm", "utils",
    "variable", "variance_scaling_initializer", "xavier_initializer",
]  # fmt: skip
