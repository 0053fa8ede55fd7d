"""One function of the facade a row: an imported graph gives what the graph gave that was written.

A row of a table is an expression; its operations are those that a script would make by calling the function.
"""

from __future__ import annotations

import numpy as np
import pytest

from corenn import tree

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


def outputs_of(tf, found):
    """What is computed, as names: tensors, variables and operations in any structure."""
    return [leaf.name for leaf in tree.leaves(found) if hasattr(leaf, "name")]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_imported_graph_gives_the_same(tf1, meta, expression):
    tf1.set_random_seed(7)
    made = eval(expression, {"tf": tf1, "np": np, **meta.placeholders()})
    meta.check(outputs_of(tf1, made))
