"""Graphs written to files, read into a fresh graph, restored and run: the same outputs, the same next steps.

A row of a table is an expression; its operations are those that a script would make by calling the function.
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from corenn import tree
from corenn.errors import GraphError

ROOT = Path(__file__).parent.parent / "corenn_tensorflow"

GENERATOR = np.random.default_rng(3)
#: What the placeholders of the expressions are called and fed.
FED = {
    "x": GENERATOR.normal(size=(3, 4)).astype(np.float32),
    "y": GENERATOR.normal(size=(3, 4)).astype(np.float32),
    "p": GENERATOR.uniform(0.1, 0.9, size=(3, 4)).astype(np.float32),
    "v": GENERATOR.uniform(0.1, 0.9, size=(4,)).astype(np.float32),
    "m": (GENERATOR.normal(size=(4, 4)) + 4 * np.eye(4)).astype(np.float32),
    "img": GENERATOR.uniform(size=(2, 8, 8, 3)).astype(np.float32),
    "vol": GENERATOR.uniform(size=(2, 4, 4, 4, 3)).astype(np.float32),
    "seq": GENERATOR.normal(size=(3, 5, 4)).astype(np.float32),
    "ids": np.array([2, 0, 1], np.int32),
    "long": np.array([2, 0, 1], np.int64),
    "table": np.array([[3, 1], [0, 2], [1, 1]], np.int32),
    "on": np.array([True, False, True]),
    "hot": np.eye(4, dtype=np.float32)[[2, 0, 1]],
    "s": np.array([b"one two", b"Three", b"four 5"], object),
    "n": np.array(0.5, np.float32),
}
OPEN = ("x", "y", "p", "img", "seq", "hot")  # of a batch whose size is not known while the graph is built

MATH = [
    "tf.abs(x)", "tf.add_n([x, y, x])", "tf.accumulate_n([x, y])", "tf.argmax(x, 1)", "tf.truncatediv(ids, 2)",
    "tf.argmin(x, 1, output_type=tf.int32)", "tf.truncatemod(ids, 2)", "tf.truncatemod(x, 0.7)",
    "tf.math.divide_no_nan(x, y)", "tf.math.multiply_no_nan(x, y)", "tf.math.reciprocal_no_nan(x)",
    "tf.log_sigmoid(x)", "tf.complex(x, y)", "tf.lbeta(p)", "tf.math.ndtri(p)", "tf.nn.softsign(x)",
    "tf.math.xdivy(x, y)", "tf.math.xlog1py(p, p)", "tf.math.xlogy(p, p)", "tf.math.bessel_i0(x)",
    "tf.math.bessel_i1e(x)", "tf.math.erfcinv(p)", "tf.math.cumulative_logsumexp(x, 1)",
    "tf.math.polyval([1.0, 2.0], x)", "tf.cumsum(x, 1, exclusive=True)", "tf.reduce_mean(x, 0)",
    "tf.reduce_logsumexp(x)", "tf.count_nonzero(x)", "tf.norm(x)", "tf.norm(m, 1, axis=[0, 1])",
    "tf.norm(x, np.inf, axis=1)", "tf.cross(x[:, :3], y[:, :3])", "tf.trace(m)", "tf.diag(v)", "tf.diag_part(m)",
    "tf.matrix_diag(x)", "tf.matrix_set_diag(m, v)", "tf.matrix_band_part(m, 1, -1)", "tf.matrix_solve_ls(m, m, 0.1)",
    "tf.cholesky_solve(tf.cholesky(m @ tf.transpose(m)), m)", "tf.svd(m, compute_uv=False)", "tf.linalg.pinv(m)",
    "tf.linalg.expm(m * 0.1)", "tf.linalg.matrix_rank(m)", "tf.linalg.norm(x, axis=-1)", "tf.linalg.normalize(x)[0]",
    "tf.matmul(x, m)", "tf.einsum('ij,jk->ik', x, m)", "tf.tensordot(x, m, 1)", "tf.clip_by_value(x, -0.5, 0.5)",
    "tf.clip_by_norm(x, 0.3)", "tf.clip_by_norm(x, 0.3, axes=[1])", "tf.clip_by_average_norm(x, 0.1)",
    "tf.clip_by_global_norm([x, y], 0.5)", "tf.confusion_matrix(ids, ids, 4)", "tf.equal(s, 'Three')",
    "tf.squared_difference(x, y)", "tf.sin(x) ** 2.0", "tf.gradients(tf.reduce_sum(tf.clip_by_norm(x, 0.3)), x)[0]",
    "tf.hessians(tf.reduce_sum(v ** 3), v)[0]", "tf.gradients(tf.norm(x), x)[0]", "tf.stop_gradient(x) * x",
]  # fmt: skip

ARRAYS = [
    "tf.squeeze(tf.expand_dims(x, 1))", "tf.transpose(x)", "tf.matrix_transpose(seq)", "tf.unstack(x, axis=1)",
    "tf.unstack(x, 3)", "tf.split(x, 2, 1)", "tf.split(x, 3, 0)", "tf.split(x, [1, 3], 1)", "tf.stack([x, y], 1)",
    "tf.concat([x, y], 1)", "tf.concat([s, s], 0)", "tf.identity(s)", "tf.where(on, x, y)", "tf.where(on)",
    "tf.where(on, s, s)", "tf.pad(x, [[1, 1], [0, 0]])", "tf.tile(x, [1, 2])", "tf.reverse(x, [1])",
    "tf.reverse_sequence(seq, ids + 1, 1, 0)", "tf.roll(x, 1, 1)",
    "tf.broadcast_dynamic_shape(tf.shape(x), tf.shape(v))", "tf.broadcast_to(v, tf.shape(x))", "tf.reshape(x, [-1])",
    "tf.reshape(x, tf.shape(y))", "tf.slice(x, [0, 1], [2, 2])", "tf.strided_slice(x, [0, 0], [2, 4], [1, 2])",
    "x[:, ::2]", "x[ids[2]:]", "tf.gather(x, ids)", "tf.gather(s, ids)", "tf.gather(x, table, batch_dims=1)",
    "tf.batch_gather(x, table)", "tf.gather_nd(m, table)", "tf.gather_nd(x, table[:, :1], batch_dims=1)",
    "tf.scatter_nd(table, v[:3], [4, 4])", "tf.tensor_scatter_update(x, [[0]], [v])",
    "tf.tensor_scatter_add(x, [[0]], [v])", "tf.unique(ids)", "tf.tensor_scatter_sub(x, [[0]], [v])",
    "tf.unique_with_counts(ids)", "tf.setdiff1d(ids, [1])", "tf.invert_permutation(ids)", "tf.nn.top_k(x, 2)",
    "tf.nn.in_top_k(x, ids, 2)", "tf.sort(x)", "tf.searchsorted([0.0, 0.5], v)",
    "tf.searchsorted(tf.sort(x), y, side='right')", "tf.bincount(ids, minlength=5)",
    "tf.bincount(ids, weights=v[:3], maxlength=2)", "tf.histogram_fixed_width_bins(x, [-1.0, 1.0], 5)",
    "tf.histogram_fixed_width(x, [-1.0, 1.0], 5)", "tf.one_hot(ids, 4)", "tf.one_hot(ids, 4, n, n * 2)",
    "tf.sequence_mask(ids, 4)", "tf.sequence_mask(ids)", "tf.meshgrid(v, ids)", "tf.range(ids[0])",
    "tf.linspace(0.0, 1.0, 4)", "tf.fill(tf.shape(x), n)", "tf.zeros_like(x)", "tf.ones_like(x)", "tf.eye(3)",
    "tf.boolean_mask(x, on)", "tf.dynamic_partition(x, ids, 3)",
    "tf.dynamic_stitch([[0, 2], [1]], [[1.0, 2.0], [3.0]])", "tf.segment_sum(x, [0, 0, 1])",
    "tf.unsorted_segment_sum(x, ids, 4)", "tf.unsorted_segment_mean(x, ids, 4)",
    "tf.unsorted_segment_max(x, [0, -1, 0], 2)", "tf.unsorted_segment_sqrt_n(x, ids, 4)",
    "tf.sparse_segment_mean(x, [0, 2], [0, 0])", "tf.unravel_index(ids, [2, 2])", "tf.bitcast(x, tf.int32)",
    "tf.space_to_depth(img, 2)", "tf.depth_to_space(tf.tile(img, [1, 1, 1, 4]), 2)",
    "tf.space_to_batch_nd(img, [2, 2], [[0, 0], [0, 0]])", "tf.space_to_batch(img, [[0, 0], [0, 0]], 2)",
    "tf.batch_to_space_nd(tf.tile(img, [2, 1, 1, 1]), [2, 2], [[0, 0], [1, 0]])",
    "tf.extract_image_patches(img, [1, 3, 3, 1], [1, 2, 2, 1], [1, 1, 1, 1], 'SAME')",
    "tf.sparse_to_dense(table, [4, 4], v[:3])", "tf.sparse_tensor_to_dense(tf.SparseTensor([[0, 1]], [2.0], [2, 3]))",
    "tf.sparse_reorder(tf.SparseTensor([[1, 1], [0, 1]], [2.0, 3.0], [2, 3])).values", "tf.ensure_shape(x, [None, 4])",
    "tf.placeholder_with_default(v * 2, [None])", "tf.size(x) + tf.rank(x) + tf.shape(x)[0]", "tf.argsort(x)",
    "tf.cast(x, tf.int32)", "tf.sets.union(table, table).values", "tf.sets.difference(table, table).indices",
    "tf.random_crop(x, [2, 2], seed=1)", "tf.random_shuffle(x, seed=1)", "tf.random_normal(tf.shape(x), seed=1)",
    "tf.random_uniform([3], seed=1)", "tf.truncated_normal([3], seed=2)", "tf.multinomial(x, 2, seed=1)",
    "tf.random_gamma([2], 1.0, seed=1)", "tf.random_poisson(2.0, [2], seed=1)",
    "tf.random.stateless_uniform([3], [1, 2])", "tf.random.stateless_normal([3], [1, 2], 1.0, dtype=tf.float64)",
    "tf.random.stateless_truncated_normal([3], [1, 2])", "tf.report_uninitialized_variables()",
]  # fmt: skip

FLOW = [
    "tf.cond(n > 0, lambda: x, lambda: y)", "tf.cond(n > 0, lambda: tf.clip_by_norm(x, 0.1), lambda: y)",
    "tf.case([(n < 0, lambda: x)], default=lambda: y)",
    "tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * 2), [0, n])",
    "tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, tf.clip_by_norm(a, 0.5)), [0, v])[1]",
    "tf.map_fn(lambda r: tf.norm(r), x)", "tf.scan(lambda a, r: a + r, x)", "tf.foldl(lambda a, r: a + r, x)",
    "tf.foldr(lambda a, r: a + r, x)", "tf.TensorArray(tf.float32, 3).unstack(x).stack()",
    "tf.TensorArray(tf.float32, 2).write(0, v).write(1, v).concat()",
    "tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a.write(i, v)), [0, tf.TensorArray(tf.float32, "
    "3)])[1].stack()",
    "tf.gradients(tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * n), [0, n])[1], n)[0]",
    "tf.Print(x, [x], 'x: ')", "tf.Print(x, [x], first_n=1)", "tf.Assert(n > 0, [x])", "tf.print('x', {'a': [x]})",
    "tf.assert_equal(x, x)", "tf.assert_positive(p)", "tf.assert_near(x, x)", "tf.check_numerics(x, 'x')",
    "tf.assert_rank_at_least(tf.placeholder_with_default(v, None), 1)", "tf.verify_tensor_all_finite(x, 'x')",
    "tf.tuple([x, y])", "tf.group(x, y)", "tf.no_op()", "tf.identity_n([x, y])",
]  # fmt: skip

TEXT = [
    "tf.strings.lower(s)", "tf.strings.upper(s)", "tf.strings.strip(s)", "tf.strings.length(s, unit='UTF8_CHAR')",
    "tf.as_string(x, precision=2)", "tf.as_string(ids, width=4, fill='0')", "tf.string_join([s, s], '-')",
    "tf.reduce_join(s, 0, separator=' ')", "tf.substr(s, 0, 2)", "tf.string_to_number(tf.as_string(x))",
    "tf.regex_replace(s, '[aeiou]', 'v')", "tf.strings.regex_full_match(s, '.*e')", "tf.string_split(s).values",
    "tf.string_split(s, '').indices", "tf.strings.split(s, ' ').values", "tf.strings.format('{} and {}', [x, ids])",
    "tf.decode_raw(tf.substr(s, 0, 4), tf.uint8)", "tf.encode_base64(s, pad=True)",
    "tf.decode_base64(tf.encode_base64(s))", "tf.decode_csv(['1,2'], [[0], [0.0]])",
    "tf.strings.bytes_split(s).values",
]  # fmt: skip

NN = [
    "tf.nn.relu(x)", "tf.nn.relu6(x)", "tf.nn.elu(x)", "tf.nn.selu(x)", "tf.nn.crelu(x)", "tf.nn.leaky_relu(x)",
    "tf.nn.swish(x)", "tf.nn.softplus(x)", "tf.nn.softmax(x)", "tf.nn.log_softmax(x)", "tf.nn.l2_normalize(x, 1)",
    "tf.nn.l2_loss(x)", "tf.nn.dropout(x, n, seed=1)", "tf.nn.dropout(x, rate=0.4, seed=1)", "tf.nn.bias_add(x, v)",
    "tf.nn.xw_plus_b(x, m, v)", "tf.nn.relu_layer(x, m, v)", "tf.nn.moments(x, [0])",
    "tf.nn.weighted_moments(x, [0], p)", "tf.nn.batch_normalization(x, v, v, v, v, 1e-3)",
    "tf.nn.fused_batch_norm(img, v[:3], v[:3])", "tf.nn.lrn(img)",
    "tf.nn.conv2d(img, tf.ones([3, 3, 3, 2]), [1, 1, 1, 1], 'SAME')",
    "tf.nn.conv1d(seq, tf.ones([3, 4, 2]), 1, 'VALID')",
    "tf.nn.conv3d(vol, tf.ones([2, 2, 2, 3, 1]), [1, 1, 1, 1, 1], 'SAME')",
    "tf.nn.conv2d_transpose(img, tf.ones([2, 2, 4, 3]), [2, 16, 16, 4], [1, 2, 2, 1])",
    "tf.nn.depthwise_conv2d(img, tf.ones([2, 2, 3, 2]), [1, 1, 1, 1], 'SAME')",
    "tf.nn.separable_conv2d(img, tf.ones([2, 2, 3, 1]), tf.ones([1, 1, 3, 2]), [1, 1, 1, 1], 'SAME')",
    "tf.nn.atrous_conv2d(img, tf.ones([2, 2, 3, 1]), 2, 'SAME')",
    "tf.nn.dilation2d(img, tf.zeros([2, 2, 3]), [1, 1, 1, 1], [1, 1, 1, 1], 'SAME')",
    "tf.nn.erosion2d(img, tf.zeros([2, 2, 3]), [1, 1, 1, 1], [1, 1, 1, 1], 'VALID')",
    "tf.nn.max_pool(img, [1, 2, 2, 1], [1, 2, 2, 1], 'SAME')",
    "tf.nn.avg_pool(img, [1, 2, 2, 1], [1, 2, 2, 1], 'VALID')",
    "tf.nn.max_pool_with_argmax(img, [1, 2, 2, 1], [1, 2, 2, 1], 'SAME')", "tf.nn.pool(img, [2, 2], 'AVG', 'SAME')",
    "tf.nn.space_to_depth(img, 2)", "tf.nn.depth_to_space(tf.tile(img, [1, 1, 1, 4]), 2)",
    "tf.nn.embedding_lookup(m, ids)", "tf.nn.embedding_lookup([m, m], ids)",
    "tf.nn.embedding_lookup_sparse(m, tf.SparseTensor([[0, 0], [0, 1]], [1, 2], [1, 2]), None, combiner='mean')",
    "tf.nn.sigmoid_cross_entropy_with_logits(labels=hot, logits=x)", "tf.nn.zero_fraction(x)",
    "tf.nn.softmax_cross_entropy_with_logits(labels=hot, logits=x)", "tf.nn.log_poisson_loss(p, x)",
    "tf.nn.sparse_softmax_cross_entropy_with_logits(labels=ids, logits=x)",
    "tf.nn.weighted_cross_entropy_with_logits(hot, x, 2.0)", "tf.nn.nce_loss(m, v, tf.expand_dims(long, 1), x, 2, 4)",
    "tf.nn.sampled_softmax_loss(m, v, tf.expand_dims(long, 1), x, 2, 4)",
    "tf.nn.uniform_candidate_sampler(tf.expand_dims(long, 1), 1, 2, True, 4, seed=1)",
    "tf.nn.fixed_unigram_candidate_sampler(tf.expand_dims(long, 1), 1, 2, True, 4, unigrams=[1, 2, 3, 4], seed=1)",
    "tf.nn.compute_accidental_hits(tf.expand_dims(long, 1), [1, 2], 1)",
    "tf.nn.dynamic_rnn(tf.nn.rnn_cell.BasicLSTMCell(3), seq, dtype=tf.float32)",
    "tf.nn.dynamic_rnn(tf.nn.rnn_cell.GRUCell(3), seq, ids + 1, dtype=tf.float32)",
    "tf.nn.dynamic_rnn(tf.nn.rnn_cell.LSTMCell(3, use_peepholes=True, num_proj=2), seq, dtype=tf.float32)",
    "tf.nn.dynamic_rnn(tf.nn.rnn_cell.MultiRNNCell([tf.nn.rnn_cell.BasicRNNCell(3) for _ in range(2)]), seq, "
    "dtype=tf.float32)",
    "tf.nn.dynamic_rnn(tf.nn.rnn_cell.DropoutWrapper(tf.nn.rnn_cell.GRUCell(3), n, seed=1), seq, dtype=tf.float32)",
    "tf.nn.static_rnn(tf.nn.rnn_cell.BasicLSTMCell(3), tf.unstack(seq, 5, 1), dtype=tf.float32)",
    "tf.nn.bidirectional_dynamic_rnn(tf.nn.rnn_cell.GRUCell(2), tf.nn.rnn_cell.GRUCell(2), seq, ids + 1, "
    "dtype=tf.float32)",
    "tf.nn.sufficient_statistics(x, [0])[1]",
    "tf.contrib.rnn.AttentionCellWrapper(tf.nn.rnn_cell.GRUCell(3), 2, state_is_tuple=True)(x, (tf.zeros([3, "
    "3]), tf.zeros([3, 3]), tf.zeros([3, 6])))[0]",
    "tf.contrib.legacy_seq2seq.sequence_loss([x], [ids], [tf.ones([3])])",
    "tf.contrib.seq2seq.sequence_loss(seq, tf.zeros([3, 5], tf.int32), tf.ones([3, 5]))",
    "tf.contrib.seq2seq.LuongAttention(4, seq, ids + 1)(x)",
]  # fmt: skip

LAYERS = [
    "tf.layers.dense(x, 3, tf.nn.relu)", "tf.layers.dense(seq, 3)", "tf.layers.flatten(img)",
    "tf.layers.batch_normalization(x)", "tf.layers.dropout(x, 0.4, seed=1, training=n > 0)",
    "tf.layers.conv1d(seq, 2, 3)", "tf.layers.conv2d(img, 2, 3, padding='same')", "tf.layers.conv3d(vol, 2, 2)",
    "tf.layers.conv2d_transpose(img, 2, 3, 2)", "tf.layers.separable_conv2d(img, 2, 3)",
    "tf.layers.max_pooling2d(img, 2, 2)", "tf.layers.average_pooling2d(img, 2, 2)",
    "tf.layers.max_pooling1d(seq, 2, 2)", "tf.layers.average_pooling3d(vol, 2, 2)",
    "tf.layers.batch_normalization(img, training=n > 0)", "tf.contrib.layers.fully_connected(x, 3)",
    "tf.contrib.layers.conv2d(img, 2, 3)", "tf.contrib.layers.flatten(img)",
    "tf.contrib.layers.batch_norm(x, is_training=False)", "tf.contrib.layers.layer_norm(x)",
    "tf.contrib.layers.max_pool2d(img, 2)", "tf.contrib.layers.instance_norm(img)",
    "tf.contrib.layers.avg_pool2d(img, 2)", "tf.contrib.layers.embed_sequence(table, 4, 2)",
    "tf.contrib.layers.one_hot_encoding(ids, 4)", "tf.contrib.layers.softmax(x)",
    "tf.contrib.layers.l2_regularizer(0.1)(x)", "tf.contrib.layers.unit_norm(x, 1)", "tf.contrib.layers.bias_add(x)",
    "tf.contrib.layers.separable_conv2d(img, 2, 3, 1)", "tf.contrib.layers.conv2d_transpose(img, 2, 3)",
    "tf.keras.layers.Dense(3, 'relu')(x)", "tf.keras.layers.Conv2D(2, 3)(img)", "tf.keras.layers.LSTM(3)(seq)",
    "tf.keras.layers.Embedding(4, 2)(table)", "tf.keras.layers.Flatten()(img)", "tf.losses.mean_squared_error(x, y)",
    "tf.losses.absolute_difference(x, y, weights=2.0)", "tf.losses.huber_loss(x, y)", "tf.losses.log_loss(hot, p)",
    "tf.losses.hinge_loss(hot, x)", "tf.losses.cosine_distance(x, y, 1)",
    "tf.losses.softmax_cross_entropy(hot, x, label_smoothing=0.1)", "tf.losses.sigmoid_cross_entropy(hot, x)",
    "tf.losses.sparse_softmax_cross_entropy(ids, x)", "tf.losses.mean_pairwise_squared_error(x, y)",
    "tf.losses.mean_squared_error(x, y) + tf.losses.get_total_loss()",
]  # fmt: skip

METRICS = [
    "tf.metrics.accuracy(ids, ids)", "tf.metrics.mean(x)", "tf.metrics.auc(hot > 0, p)",
    "tf.metrics.precision(hot > 0, p > 0.5)", "tf.metrics.recall(hot > 0, p > 0.5)",
    "tf.metrics.mean_squared_error(x, y)", "tf.metrics.mean_iou(ids, ids, 4)",
    "tf.metrics.mean_per_class_accuracy(ids, ids, 4)", "tf.metrics.precision_at_k(long, x, 2)",
    "tf.metrics.recall_at_k(long, x, 2)", "tf.metrics.sensitivity_at_specificity(hot > 0, p, 0.5)",
    "tf.metrics.average_precision_at_k(long, x, 2)", "tf.metrics.root_mean_squared_error(x, y)",
    "tf.metrics.mean_cosine_distance(x, y, 1)", "tf.metrics.true_positives(on, on)",
    "tf.metrics.percentage_below(x, 0.1)", "tf.metrics.mean_relative_error(x, y, p)",
]  # fmt: skip

OTHERS = [
    "tf.keras.losses.mean_squared_error(x, y)", "tf.keras.losses.CategoricalCrossentropy()(hot, p)",
    "tf.keras.losses.sparse_categorical_crossentropy(ids, p)", "tf.keras.metrics.categorical_accuracy(hot, p)",
    "tf.keras.metrics.top_k_categorical_accuracy(hot, p, 2)", "tf.keras.activations.relu(x)",
    "tf.keras.backend.sum(x)", "tf.io.parse_tensor(tf.io.serialize_tensor(x), tf.float32)",
    "tf.parse_example(tf.placeholder_with_default(np.array([b''], object), [None]), {'a': "
    "tf.FixedLenFeature([2], tf.float32, [1.0, 2.0]), 'b': tf.VarLenFeature(tf.int64)})['a']",
    "tf.feature_column.input_layer({'s': s, 'v': x[:, 0]}, [tf.feature_column.numeric_column('v'), "
    "tf.feature_column.indicator_column(tf.feature_column.categorical_column_with_vocabulary_list('s', "
    "['Three'])), tf.feature_column.embedding_column(tf.feature_column.categorical_column_with_hash_bucket('s', "
    "4), 2)])",
    "tf.feature_column.linear_model({'s': s, 'i': ids}, [tf.feature_column.crossed_column(['s', 'i'], 5), "
    "tf.feature_column.categorical_column_with_identity('i', 3)])",
]  # fmt: skip

IMAGES = [
    "tf.image.flip_left_right(img)", "tf.image.rot90(img)", "tf.image.crop_to_bounding_box(img, 1, 1, 4, 4)",
    "tf.image.pad_to_bounding_box(img, 1, 1, 10, 10)", "tf.image.central_crop(img, 0.5)",
    "tf.image.resize_image_with_crop_or_pad(img, 6, 10)", "tf.image.resize_images(img, [4, 4])",
    "tf.image.resize_bicubic(img, [5, 5])", "tf.image.resize_area(img, [4, 4])",
    "tf.image.per_image_standardization(img[0])", "tf.image.adjust_brightness(img, 0.1)",
    "tf.image.adjust_contrast(img, 2.0)", "tf.image.rgb_to_grayscale(img)", "tf.image.adjust_hue(img, 0.1)",
    "tf.image.adjust_saturation(img, 0.5)", "tf.image.adjust_gamma(img, 0.5)", "tf.image.rgb_to_hsv(img)",
    "tf.image.random_flip_left_right(img, seed=1)", "tf.image.random_brightness(img, 0.2, seed=1)",
    "tf.image.total_variation(img)",
    "tf.image.ssim(tf.image.resize_images(img, [16, 16]), tf.image.resize_images(img, [16, 16]), 1.0)",
    "tf.image.psnr(img, img * 0.9, 1.0)", "tf.image.sobel_edges(img)",
    "tf.image.draw_bounding_boxes(img, tf.ones([2, 1, 4]) * 0.5)", "tf.image.non_max_suppression(p, v[:3], 2)",
    "tf.image.decode_png(tf.image.encode_png(tf.cast(img[0] * 255, tf.uint8)))",
    "tf.image.convert_image_dtype(img, tf.uint8, saturate=True)",
]  # fmt: skip

MORE = [
    "tf.image.crop_and_resize(img, [[0.0, 0.0, 0.5, 0.5]], [0], [3, 3])", "tf.image.resize_images(img, tf.shape(x))",
    "tf.image.resize_images(img[0], tf.shape(x)[:2] * 2, tf.image.ResizeMethod.NEAREST_NEIGHBOR)",
    "tf.nn.all_candidate_sampler(tf.expand_dims(long, 1), 1, 4, True)",
    "tf.nn.atrous_conv2d_transpose(img, tf.ones([3, 3, 2, 3]), [2, 12, 12, 2], 2, 'VALID')",
    "tf.nn.avg_pool1d(seq, 2, 2, 'SAME')", "tf.nn.avg_pool3d(vol, 2, 2, 'SAME')",
    "tf.nn.max_pool3d(vol, [1, 2, 2, 2, 1], [1, 2, 2, 2, 1], 'SAME')",
    "tf.nn.conv2d_backprop_input([2, 8, 8, 3], tf.ones([3, 3, 3, 2]), tf.ones([2, 8, 8, 2]), [1, 1, 1, 1], 'SAME')",
    "tf.nn.conv2d_backprop_filter(img, [3, 3, 3, 2], tf.ones([2, 8, 8, 2]), [1, 1, 1, 1], 'SAME')",
    "tf.nn.conv3d_transpose(vol, tf.ones([2, 2, 2, 1, 3]), [2, 8, 8, 8, 1], [1, 2, 2, 2, 1])",
    "tf.nn.conv1d_transpose(seq, tf.ones([2, 3, 4]), [3, 10, 3], 2)",
    "tf.nn.batch_norm_with_global_normalization(img, v[:3], v[:3], v[:3], v[:3], 1e-3, True)",
    "tf.nn.softmax_cross_entropy_with_logits_v2(labels=hot, logits=x)",
    "tf.nn.log_uniform_candidate_sampler(tf.expand_dims(long, 1), 1, 2, True, 4, seed=1)",
    "tf.nn.normalize_moments(n, v, v, None)",
    "tf.nn.static_bidirectional_rnn(tf.nn.rnn_cell.GRUCell(2), tf.nn.rnn_cell.GRUCell(2), tf.unstack(seq, 5, 1), "
    "dtype=tf.float32)[0]",
    "tf.nn.raw_rnn(tf.nn.rnn_cell.GRUCell(2), lambda t, o, s, l: (t >= 3, seq[:, 0], tf.zeros([3, 2]) if s is "
    "None else s, o, None))[1]",
    "tf.layers.average_pooling1d(seq, 2, 2)", "tf.layers.max_pooling3d(vol, 2, 2)",
    "tf.layers.conv3d_transpose(vol, 2, 2)", "tf.layers.separable_conv1d(seq, 2, 2)",
    "tf.losses.compute_weighted_loss(x, 2.0)", "tf.metrics.false_negatives(on, on)",
    "tf.metrics.false_positives_at_thresholds(hot > 0, p, [0.2, 0.5])", "tf.metrics.mean_absolute_error(x, y)",
    "tf.metrics.precision_at_thresholds(hot > 0, p, [0.2, 0.5])",
    "tf.metrics.specificity_at_sensitivity(hot > 0, p, 0.5)", "tf.metrics.sparse_precision_at_k(long, x, 2)",
    "tf.contrib.layers.bow_encoder(table, 4, 2)", "tf.contrib.layers.group_norm(tf.tile(img, [1, 1, 1, 2]), 2)",
    "tf.contrib.layers.l1_l2_regularizer(0.1, 0.2)(x)",
    "tf.contrib.layers.convolution2d(img, 2, 3, normalizer_fn=tf.contrib.layers.batch_norm)",
    "tf.contrib.layers.repeat(x, 2, tf.contrib.layers.fully_connected, 3)",
    "tf.contrib.layers.optimize_loss(tf.reduce_sum(tf.layers.dense(x, 2) ** 2), "
    "tf.train.get_or_create_global_step(), 0.1, 'Adam', clip_gradients=1.0)",
    "tf.contrib.layers.summarize_tensor(x)",
    "tf.contrib.rnn.LayerNormBasicLSTMCell(3)(x, (tf.zeros([3, 3]), tf.zeros([3, 3])))",
    "tf.contrib.rnn.ResidualWrapper(tf.nn.rnn_cell.GRUCell(4))(x, tf.zeros([3, 4]))",
    "tf.contrib.rnn.EmbeddingWrapper(tf.nn.rnn_cell.GRUCell(3), 4, 2)(ids, tf.zeros([3, 3]))",
    "tf.contrib.rnn.OutputProjectionWrapper(tf.nn.rnn_cell.GRUCell(3), 2)(x, tf.zeros([3, 3]))",
    "tf.contrib.rnn.stack_bidirectional_dynamic_rnn([tf.nn.rnn_cell.GRUCell(2)], [tf.nn.rnn_cell.GRUCell(2)], "
    "seq, dtype=tf.float32)[0]",
    "tf.contrib.seq2seq.BahdanauAttention(4, seq, ids + 1)(x)", "tf.contrib.seq2seq.tile_batch(x, 2)",
    "tf.contrib.seq2seq.dynamic_decode(tf.contrib.seq2seq.BasicDecoder(tf.nn.rnn_cell.GRUCell(3), "
    "tf.contrib.seq2seq.TrainingHelper(seq, ids + 1), tf.zeros([3, 3])))[0].rnn_output",
    "tf.contrib.seq2seq.dynamic_decode(tf.contrib.seq2seq.BasicDecoder(tf.nn.rnn_cell.GRUCell(4), "
    "tf.contrib.seq2seq.GreedyEmbeddingHelper(m, ids, 3), tf.zeros([3, 4])), maximum_iterations=4)[0].sample_id",
    "tf.contrib.legacy_seq2seq.basic_rnn_seq2seq([x, y], [x, y], tf.nn.rnn_cell.GRUCell(3))[0]",
    "tf.contrib.legacy_seq2seq.embedding_rnn_seq2seq([ids], [ids], tf.nn.rnn_cell.GRUCell(3), 4, 4, 2)[0]",
    "tf.contrib.crf.crf_log_likelihood(seq, tf.zeros([3, 5], tf.int32), ids + 1)[0]",
    "tf.contrib.crf.crf_decode(seq, m, ids + 1)", "tf.angle(tf.complex(x, y))", "tf.polygamma(1.0, p)",
    "tf.math.reduce_euclidean_norm(x, 1)", "tf.segment_min(x, [0, 0, 1])", "tf.unsorted_segment_prod(x, ids, 4)",
    "tf.linalg.slogdet(m)", "tf.linalg.logdet(m @ tf.transpose(m))", "tf.matrix_triangular_solve(m, m)",
    "tf.image.per_image_whitening(img[0])", "tf.image.resize_image_with_pad(img, 6, 10)",
    "tf.image.random_hue(img, 0.1, seed=1)", "tf.image.random_saturation(img, 0.5, 1.5, seed=1)",
    "tf.image.grayscale_to_rgb(img[..., :1])", "tf.image.hsv_to_rgb(img)",
    "tf.image.decode_jpeg(tf.image.encode_jpeg(tf.cast(img[0] * 255, tf.uint8)))",
    "tf.image.decode_image(tf.image.encode_png(tf.cast(img[0] * 255, tf.uint8)), 3)",
    "tf.contrib.metrics.streaming_accuracy(ids, ids)", "tf.contrib.distributions.Normal(0.0, 1.0).log_prob(x)",
    "tf.contrib.distributions.MultivariateNormalDiag(v, v).sample(2, seed=1)",
    "tf.contrib.distributions.Categorical(logits=x).sample(seed=1)",
    "tf.contrib.distributions.kl_divergence(tf.contrib.distributions.Normal(x, 1.0), "
    "tf.contrib.distributions.Normal(y, 1.0))",
    "tf.assert_greater(p, 0.0)", "tf.assert_non_negative(p)",
    "tf.assert_rank_in(tf.placeholder_with_default(v, None), [1, 2])", "tf.assert_none_equal(ids, ids + 1)",
    "tf.assert_less_equal(p, 1.0, message='p')", "tf.is_nan(x)", "tf.is_non_decreasing(x)", "tf.timestamp() > 0",
    "tf.is_variable_initialized(tf.get_variable('counter', initializer=0))",
    "tf.nn.dropout(seq, 0.5, noise_shape=[3, 1, 4], seed=1)",
    "tf.nn.dropout(seq, 0.5, noise_shape=tf.stack([tf.shape(seq)[0], 1, 4]), seed=1)", "tf.math.reduce_variance(x, 0)",
]  # fmt: skip

EXPRESSIONS = [*MORE, *MATH, *ARRAYS, *FLOW, *TEXT, *NN, *LAYERS, *METRICS, *OTHERS, *IMAGES]


def placeholders(tf):
    """The tensors of the expressions."""
    made = {}
    for name, value in FED.items():
        shape = list(value.shape)
        if name in OPEN:
            shape[0] = None
        made[name] = tf.placeholder(tf.string if value.dtype == object else value.dtype, shape, name=name)
    return made


def outputs_of(tf, found):
    """What is computed, as names: tensors, variables and operations in any structure."""
    return [leaf.name for leaf in tree.leaves(found) if hasattr(leaf, "name")]


def results(session, names):
    """The values, of a run or two."""
    graph = session.graph
    wanted = [graph.as_graph_element(n) for n in names]
    feeds = {f"{n}:0": v for n, v in FED.items()}
    return [session.run(wanted, feeds) for _ in range(2)]


def start(tf, session):
    """Run the initializers of everything that checkpoints do not hold."""
    session.run([v.initializer for v in tf.local_variables()])


def check(tf, tmp_path, names):
    """Save, import, restore: the imported graph gives what the first one gives in a session that begins alike."""
    assert names, "nothing is compared"
    prefix = str(tmp_path / "model")
    saved = bool(tf.global_variables())
    if saved:
        with tf.Session() as session:
            session.run(tf.global_variables_initializer())
            tf.train.Saver().save(session, prefix)
    tf.train.export_meta_graph(prefix + ".meta")
    with tf.Session() as session:
        start(tf, session)
        if saved:
            tf.train.Saver().restore(session, prefix)
        expected = results(session, names)
    tf.reset_default_graph()
    saver = tf.train.import_meta_graph(prefix + ".meta")
    with tf.Session() as session:
        start(tf, session)
        if saved:
            saver.restore(session, prefix)
        found = results(session, names)
    for a, b in zip(tree.leaves(expected), tree.leaves(found), strict=True):
        np.testing.assert_array_equal(a, b)
    return expected


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_imported_graph_gives_the_same(tf1, tmp_path, expression):
    tf1.set_random_seed(7)
    made = eval(expression, {"tf": tf1, "np": np, **placeholders(tf1)})
    check(tf1, tmp_path, outputs_of(tf1, made))


# ---------------------------------------------------------------- training


def network(tf, given):
    """A convolutional network: dropout, batch normalization, regularization; its loss."""
    image, labels, keep, training = given["img"], given["ids"][:2], given["n"], given["n"] > 0
    net = tf.layers.conv2d(image, 4, 3, activation=tf.nn.relu, kernel_regularizer=tf.contrib.layers.l2_regularizer(0.1))
    net = tf.layers.batch_normalization(tf.layers.max_pooling2d(net, 2, 2), training=training)
    net = tf.nn.dropout(tf.layers.dense(tf.layers.flatten(net), 6, tf.nn.elu), keep, seed=2)
    logits = tf.layers.dropout(tf.layers.dense(net, 3), 0.3, training=training)
    return tf.losses.sparse_softmax_cross_entropy(labels, logits) + tf.losses.get_regularization_loss()


def recurrent(tf, given):
    """Embeddings and a recurrent network over sequences of different lengths."""
    vectors = tf.get_variable("vectors", [4, 3])
    words = tf.nn.embedding_lookup(vectors, given["table"])
    cell = tf.nn.rnn_cell.DropoutWrapper(tf.nn.rnn_cell.LSTMCell(3), output_keep_prob=given["n"])
    outputs, state = tf.nn.dynamic_rnn(cell, tf.concat([words, words], 1), given["ids"] + 1, dtype=tf.float32)
    return tf.reduce_mean(tf.square(tf.layers.dense(outputs[:, -1], 1))) + tf.nn.l2_loss(state.c)


def sampled(tf, given):
    """Words by the company they keep, with sampled classes."""
    vectors = tf.Variable(tf.random_uniform([4, 3], -1.0, 1.0, seed=1), name="vectors")
    weights, biases = tf.Variable(tf.truncated_normal([4, 3], seed=2)), tf.Variable(tf.zeros([4]))
    near = tf.nn.embedding_lookup(vectors, given["ids"])
    return tf.reduce_mean(tf.nn.nce_loss(weights, biases, tf.expand_dims(given["long"], 1), near, 2, 4))


def branching(tf, given):
    """A branch, a loop and rows by function, all with gradients."""
    w = tf.get_variable("w", [4], initializer=tf.constant_initializer(0.5))
    x = tf.cond(given["n"] > 0, lambda: given["x"] * w, lambda: given["x"])
    x = tf.while_loop(lambda i, a: i < 2, lambda i, a: (i + 1, tf.clip_by_norm(a * w, 2.0)), [0, x])[1]
    return tf.reduce_sum(tf.square(tf.map_fn(lambda row: tf.tanh(row) * w, x)))


def linear(tf, given):
    """A dense layer."""
    return tf.reduce_mean(tf.square(tf.layers.dense(given["x"], 4, name="dense") - given["y"]))


def keras_layers(tf, given):
    """Keras's layers as functions of the tensors of a graph."""
    layers = tf.keras.layers
    net = layers.Conv2D(4, 3, activation="relu", kernel_initializer="he_normal")(given["img"])
    net = layers.BatchNormalization()(layers.MaxPooling2D()(net), training=True)
    net = layers.Dropout(0.4)(layers.Flatten()(net), training=given["n"] > 0)
    words = layers.Bidirectional(layers.LSTM(3))(layers.Embedding(4, 3)(given["table"]))
    other = layers.TimeDistributed(layers.Dense(2))(layers.GRU(3, return_sequences=True)(given["seq"]))
    parts = [layers.Dense(1, "tanh")(t) for t in (net, words, other)]
    return tf.add_n([tf.reduce_mean(tf.square(p - 1.0)) for p in parts])


def keras_model(tf, given):
    """A model of Keras, called on a tensor of a graph."""
    inner = [tf.keras.layers.Dense(5, "relu"), tf.keras.layers.BatchNormalization(), tf.keras.layers.Dense(4)]
    return tf.reduce_mean(tf.square(tf.keras.Sequential(inner)(given["x"]) - given["y"]))


LOSSES = [network, recurrent, sampled, branching, keras_layers, keras_model]
OPTIMIZERS = [
    "GradientDescentOptimizer(0.1)", "MomentumOptimizer(0.1, 0.9, use_nesterov=True)", "AdamOptimizer(0.01)",
    "AdagradOptimizer(0.1)", "AdadeltaOptimizer(0.5)", "RMSPropOptimizer(0.01, momentum=0.5, centered=True)",
    "FtrlOptimizer(0.1)", "ProximalAdagradOptimizer(0.1, l1_regularization_strength=0.01)",
    "ProximalGradientDescentOptimizer(0.1, l2_regularization_strength=0.01)", "AdagradDAOptimizer(0.1, step)",
]  # fmt: skip
CONTRIB = ["AdaMaxOptimizer(0.1)", "AdamWOptimizer(0.01, 0.1)", "AddSignOptimizer(0.1)", "NadamOptimizer(0.1)",
           "PowerSignOptimizer(0.1)", "LazyAdamOptimizer(0.1)", "MomentumWOptimizer(0.01, 0.1, 0.9)"]  # fmt: skip
SCHEDULES = [
    "exponential_decay(0.1, step, 2, 0.5, staircase=True)", "piecewise_constant(step, [1, 2], [0.1, 0.05, 0.01])",
    "polynomial_decay(0.1, step, 3)", "natural_exp_decay(0.1, step, 2, 0.5)", "inverse_time_decay(0.1, step, 2, 0.5)",
    "cosine_decay(0.1, step, 5)",
]  # fmt: skip


def trained(tf, tmp_path, loss, train):
    """Train, save; the next steps of the imported graph are those of the first, whose session begins again, too."""
    prefix, feeds = str(tmp_path / "model"), {f"{n}:0": v for n, v in FED.items()}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        for _ in range(3):
            session.run(train, feeds)
        tf.train.Saver().save(session, prefix)
    names = [v.name for v in tf.global_variables()]

    def on(saver):
        graph = tf.get_default_graph()
        with tf.Session() as session:
            saver.restore(session, prefix)
            steps = [session.run([loss.name, graph.get_operation_by_name(train.name)], feeds)[0] for _ in range(3)]
            return steps, session.run(names)

    expected = on(tf.train.Saver())
    tf.reset_default_graph()
    found = on(tf.train.import_meta_graph(prefix + ".meta"))
    assert len(set(map(float, expected[0]))) > 1, "nothing was trained"
    for a, b in zip(tree.leaves(expected), tree.leaves(found), strict=True):
        np.testing.assert_array_equal(a, b)
    assert [v.name for v in tf.global_variables()] == names


@pytest.mark.parametrize("loss", LOSSES, ids=[f.__name__ for f in LOSSES])
def test_an_imported_graph_trains_on(tf1, tmp_path, loss):
    tf1.set_random_seed(5)
    value = loss(tf1, placeholders(tf1))
    updates = tf1.get_collection(tf1.GraphKeys.UPDATE_OPS)
    assert (loss is not network) or updates
    with tf1.control_dependencies(updates):
        train = tf1.train.AdamOptimizer(0.01).minimize(value, tf1.train.get_or_create_global_step(), name="train")
    trained(tf1, tmp_path, value, train)


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, *CONTRIB])
def test_optimizers(tf1, tmp_path, optimizer):
    value = linear(tf1, placeholders(tf1))
    step = tf1.train.get_or_create_global_step()
    home = "contrib.opt" if optimizer in CONTRIB else "train"
    made = eval(f"tf.{home}.{optimizer}", {"tf": tf1, "step": step})
    trained(tf1, tmp_path, value, made.minimize(value, step, name="train"))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_clipping_and_averages(tf1, tmp_path, schedule):
    value, step = linear(tf1, placeholders(tf1)), tf1.train.get_or_create_global_step()
    rate = eval(f"tf.train.{schedule}", {"tf": tf1, "step": step})
    optimizer = tf1.train.AdamOptimizer(rate)
    gradients, variables = zip(*optimizer.compute_gradients(value), strict=True)
    clipped, _ = tf1.clip_by_global_norm(gradients, 0.5)
    applied = optimizer.apply_gradients(zip(clipped, variables, strict=True), step)
    averages = tf1.train.ExponentialMovingAverage(0.9, step)
    with tf1.control_dependencies([applied]):
        train = tf1.group(averages.apply(tf1.trainable_variables()), name="train")
    trained(tf1, tmp_path, value, train)


def test_summaries(tf1, tmp_path):
    given = placeholders(tf1)
    for kind, value in {"scalar": "n", "histogram": "x", "image": "img", "text": "s"}.items():
        getattr(tf1.summary, kind)(kind, given[value])
    tf1.summary.audio("sound", given["seq"], 8000)
    tf1.summary.tensor_summary("tensor", given["x"])
    check(tf1, tmp_path, [tf1.summary.merge_all().name])


def test_scatters_of_variables(tf1, tmp_path):
    placeholders(tf1)
    v = tf1.get_variable("rows", initializer=np.arange(12, dtype=np.float32).reshape(4, 3) + 1)
    made = [getattr(tf1, f"scatter_{kind}")(v, [1, 1], np.full((2, 3), 2.0)) for kind in
            ("update", "add", "sub", "mul", "div", "min", "max")]  # fmt: skip
    made += [tf1.scatter_nd_add(v, [[0, 1]], [5.0]), tf1.scatter_nd_update(v, [[0, 1]], [5.0])]
    counter = tf1.get_variable("counter", initializer=0)
    made.append(counter.count_up_to(3))
    check(tf1, tmp_path, [m.name for m in made])


# ---------------------------------------------------------------- what else is done with such graphs


def test_the_learning_rate_of_an_imported_graph(tf1, tmp_path):
    """https://stackoverflow.com/q/36686413 in short: a placeholder for the rate is found again by its name."""
    given = placeholders(tf1)
    rate = tf1.placeholder(tf1.float32, (), name="rate")
    loss = tf1.identity(linear(tf1, given), name="loss")
    tf1.train.AdamOptimizer(rate).minimize(loss, name="train")
    prefix, feeds = str(tmp_path / "model"), {"x:0": FED["x"], "y:0": FED["y"]}
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        session.run("train", {**feeds, rate: 0.1})
        before = session.run(loss, feeds)
        tf1.train.Saver().save(session, prefix)
    tf1.reset_default_graph()
    with tf1.Session() as session:
        tf1.train.import_meta_graph(prefix + ".meta").restore(session, prefix)
        assert session.run("loss:0", feeds) == before
        session.run("train", {**feeds, "rate:0": 0.0})
        assert session.run("loss:0", feeds) == before
        session.run("train", {**feeds, "rate:0": 0.01})
        assert session.run("loss:0", feeds) < before


def test_an_imported_graph_is_extended(tf1, tmp_path):
    """Fine tuning: a layer of the imported graph gets a new one on top, which alone is trained."""
    network(tf1, placeholders(tf1))
    prefix = str(tmp_path / "model")
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        tf1.train.Saver().save(session, prefix)
    tf1.reset_default_graph()
    saver = tf1.train.import_meta_graph(prefix + ".meta")
    features = tf1.stop_gradient(tf1.get_default_graph().get_tensor_by_name("dense/BiasAdd:0"))
    top = tf1.layers.dense(features, 2, name="top")
    loss = tf1.reduce_mean(tf1.square(top - 1.0))
    mine = tf1.get_collection(tf1.GraphKeys.TRAINABLE_VARIABLES, "top")
    train = tf1.train.GradientDescentOptimizer(0.05).minimize(loss, var_list=mine)
    feeds = {f"{n}:0": v for n, v in FED.items()}
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        saver.restore(session, prefix)
        losses = [session.run([loss, train], feeds)[0] for _ in range(5)]
    assert losses[-1] < losses[0]


def test_a_graph_definition_is_imported_and_frozen(tf1):
    given = placeholders(tf1)
    out = tf1.identity(tf1.nn.softmax(tf1.layers.dense(tf1.clip_by_norm(given["x"], 1.0), 3)), name="out")
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        expected = session.run(out, {"x:0": FED["x"]})
        frozen = tf1.graph_util.convert_variables_to_constants(session, session.graph_def, ["out"])
    tf1.reset_default_graph()
    tf1.import_graph_def(frozen, name="")
    assert not tf1.global_variables()
    with tf1.Session() as session:
        np.testing.assert_array_equal(session.run("out:0", {"x:0": FED["x"]}), expected)


def test_another_process_reads_a_graph(tf1, tmp_path):
    """Functions of modules that a fresh process has not imported yet are found."""
    given = placeholders(tf1)
    tf1.image.central_crop(given["img"], 0.5)
    tf1.contrib.seq2seq.LuongAttention(4, given["seq"], given["ids"] + 1)(given["x"])
    tf1.nn.space_to_depth(given["img"], 2)
    tf1.metrics.auc(given["on"], given["v"][:3])
    tf1.io.write_file("name", tf1.strings.reduce_join(given["s"]))
    tf1.train.export_meta_graph(str(tmp_path / "m.meta"))
    source = "import sys, corenn_tensorflow as tf; from corenn_tensorflow import mode; mode.start(1); "
    source += "tf.train.import_meta_graph(sys.argv[1]); print(len(tf.get_default_graph().get_operations()))"
    done = subprocess.run([sys.executable, "-c", source, str(tmp_path / "m.meta")], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.stdout.strip() == str(len(tf1.get_default_graph().get_operations())), done.stderr


def test_late_modules_are_listed():
    """Modules that register functions or kinds are imported with ``tf``, or are listed in ``writing``."""
    from corenn_tensorflow import writing

    found = set()
    for path in ROOT.rglob("*.py"):
        tree_ = ast.parse(path.read_text(encoding="utf-8"))
        calls = {n.func.id for n in ast.walk(tree_) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
        if calls & {"writable", "register_kind", "register_function"} and path.name != "writing.py":
            found.add(".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"))
    source = "import sys, corenn_tensorflow as tf; from corenn_tensorflow import writing; tf.Variable; "
    source += "writing.gather(); print(*[m for m in sys.argv[1:] if m not in sys.modules])"
    done = subprocess.run([sys.executable, "-c", source, *sorted(found)], capture_output=True, text=True, check=True)
    assert found and not done.stdout.split(), "add them to writing._LATE"
    assert all(importlib.import_module(f"corenn_tensorflow.{m}") for m in writing._LATE)


def own_layer(tf):
    class Twice(tf.keras.layers.Layer):
        def call(self, inputs):
            return tf.py_func(lambda v: v * 2, [inputs], tf.float32)

    return Twice()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda tf, x: tf.keras.layers.Dense(2, lambda t: t * 2)(x), "Python function"),
        (lambda tf, x: tf.keras.layers.Dense(2, kernel_initializer=lambda s, dtype: tf.ones(s))(x), "cannot be"),
        (lambda tf, x: own_layer(tf)(x), "PyFunc"),
        (lambda tf, x: tf.custom_gradient(lambda v: (v, lambda g: g))(x), "CustomGradient"),
        (lambda tf, x: tf.data.Dataset.range(3).make_one_shot_iterator().get_next(), "Iterator"),
    ],
)
def test_what_stays_unwritable_says_so(tf1, make, message):
    make(tf1, placeholders(tf1)["x"])
    with pytest.raises(GraphError, match=message):
        tf1.train.export_meta_graph()


def test_python_of_users_stays_unwritable(tf1, tmp_path):
    w = tf1.get_variable("w", initializer=1.0)
    out = tf1.py_func(lambda v: v + 1, [w], tf1.float32)
    with pytest.raises(GraphError, match=r"(?s)PyFunc.*Python function .*<lambda>"):
        tf1.train.export_meta_graph(str(tmp_path / "m.meta"))
    with tf1.Session() as session:
        session.run(w.initializer)
        prefix = tf1.train.Saver().save(session, str(tmp_path / "model"))
        assert session.run(out) == 2.0
    tf1.reset_default_graph()
    with pytest.raises(GraphError, match="holds no graph"):
        tf1.train.import_meta_graph(prefix + ".meta")
