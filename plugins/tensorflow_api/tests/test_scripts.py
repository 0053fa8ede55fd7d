"""What scripts of TensorFlow 1 found missing: each row is a use that a script of that time makes."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest


def value(tf, *fetches, feed=None):
    """The values of fetches in a session with initialised variables."""
    with tf.Session() as session:
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        found = session.run(list(fetches), feed)
    return found[0] if len(found) == 1 else found


# ---------------------------------------------------------------- blocks of tensors

X = np.arange(12.0).reshape(6, 2)


@pytest.mark.parametrize(
    ("make", "shape", "expected"),
    [
        (lambda tf, x, i: tf.slice(x, tf.stack([i, 0]), [1, 2]), [1, 2], X[3:4]),
        (lambda tf, x, i: tf.slice(x, tf.pad(tf.reshape(i, [1]), [[0, 1]]), [2, 2]), [2, 2], X[3:5]),
        (lambda tf, x, i: tf.slice(x, [i, 0], [-1, -1]), [None, 2], X[3:]),
        (lambda tf, x, i: x[i : i + 2, i - 3 : i - 2], [None, None], X[3:5, :1]),
        (lambda tf, x, i: x[i - 3 : i, 1], [None], X[:3, 1]),
        (lambda tf, x, i: x[:, i - 2], [6], X[:, 1]),
    ],
)
def test_blocks_with_late_bounds(tf1, make, shape, expected):
    i = tf1.placeholder(tf1.int32, [])
    found = make(tf1, tf1.constant(X), i)
    assert found.get_shape().as_list() == shape
    np.testing.assert_array_equal(value(tf1, found, feed={i: 3}), expected)


def test_a_block_must_lie_inside(tf1):
    y = tf1.placeholder(tf1.float32, [None, 2])
    block = tf1.slice(y, [1, 0], [5, 2], name="block")
    assert (block.name, block.get_shape().as_list()) == ("block:0", [5, 2])
    assert value(tf1, block, feed={y: np.ones((7, 2))}).shape == (5, 2)
    with pytest.raises(tf1.errors.InvalidArgumentError, match=r"Expected size\[0\] in \[0, 2\], but got 5"):
        value(tf1, block, feed={y: np.ones((3, 2))})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda v, i: v[1].assign([1.0, 2.0, 3.0]), [[0, 0, 0], [1, 2, 3]]),
        (lambda v, i: v[:, 0].assign([7.0, 8.0]), [[7, 0, 0], [8, 0, 0]]),
        (lambda v, i: v[i, i + 1].assign(5.0), [[0, 0, 0], [0, 0, 5]]),
        (lambda v, i: v[..., 1:].assign(4.0), [[0, 4, 4], [0, 4, 4]]),
        (lambda v, i: v[:i, ::2].assign_add([[1.0, 2.0]]), [[1, 0, 2], [0, 0, 0]]),
        (lambda v, i: v[0].assign_sub(1.0), [[-1, -1, -1], [0, 0, 0]]),
    ],
)
def test_a_part_of_a_variable_is_assigned(tf1, change, expected):
    v, i = tf1.Variable(tf1.zeros([2, 3])), tf1.placeholder_with_default(1, [])
    made = change(v, i)
    with tf1.Session() as session:
        session.run(v.initializer)
        np.testing.assert_array_equal(session.run(made), expected)
        np.testing.assert_array_equal(session.run(v), expected)


# ---------------------------------------------------------------- text

# TensorFlow 2.21.
HASHES = [
    ("string_to_hash_bucket_fast", (10**9,), {
        b"": 34397263, b"a": 809363939, b"x" * 20: 747857348, b"y" * 50: 532487699, b"z" * 100: 163966073,
    }),
    ("string_to_hash_bucket", (10**9,), {b"x" * 20: 435223341, b"y" * 50: 960415913, b"": 29283899}),
    ("string_to_hash_bucket_strong", (10**9, [7, 8]), {b"x" * 20: 170207022, b"y" * 50: 825929413, b"": 199329060}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "expected"), HASHES)
def test_hashes_of_text(tf1, name, args, expected):
    found = getattr(tf1, name)(list(expected), *args)
    assert found.dtype is tf1.int64 and value(tf1, found).tolist() == list(expected.values())


def test_csv_with_defaults_of_the_graph(tf1):
    defaults = [[1.5], tf1.constant([], dtype=tf1.int32), tf1.constant(["none"])]
    found = tf1.decode_csv([",3,", "2,4,x"], record_defaults=defaults)
    a, b, c = value(tf1, *found)
    assert (a.tolist(), b.tolist(), c.tolist()) == ([1.5, 2], [3, 4], [b"none", b"x"])


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda tf, x: int(x), TypeError, r"int\(\) argument must be"),
        (lambda tf, x: float(x), TypeError, r"float\(\) argument must be"),
        (lambda tf, x: bool(x), TypeError, "as a Python `bool` is not allowed"),
        (lambda tf, x: tf.cond(x > 0, lambda: 1, lambda: 1.0), ValueError, "Outputs of true_fn and false_fn"),
        (lambda tf, x: tf.cond(x > 0, lambda: (x, x), lambda: x), ValueError, "Outputs of true_fn and false_fn"),
        (lambda tf, x: elsewhere(tf) + x, ValueError, "must be from the same graph"),
    ],
)
def test_errors_have_the_types_of_tensorflow(tf1, make, error, message):
    with pytest.raises(error, match=message):
        make(tf1, tf1.constant(1.0))


def elsewhere(tf):
    with tf.Graph().as_default():
        return tf.constant(1.0)


# ---------------------------------------------------------------- gradients


def test_gradients_pass_through_as_identity(tf1):
    x = tf1.constant([0.3, -1.7])
    with tf1.get_default_graph().gradient_override_map({"Sign": "Identity"}):
        y = tf1.sign(x)
    np.testing.assert_array_equal(value(tf1, tf1.gradients(3 * y, x)[0]), [3, 3])


@pytest.mark.parametrize(
    ("name", "forward", "by_output"),
    [("relu", "relu", False), ("relu6", "relu6", False), ("softplus", "softplus", False), ("sigmoid", "sigmoid", True),
     ("tanh", "tanh", True)],
)  # fmt: skip
def test_generated_gradients(tf1, hook, name, forward, by_output):
    from tensorflow.python.ops import gen_nn_ops

    x, g = tf1.constant([-2.0, 0.5, 7.0]), tf1.constant([1.0, 2.0, 3.0])
    y = getattr(tf1.nn, forward)(x)
    function = getattr(gen_nn_ops, f"{name}_grad")
    found = function(y, g) if by_output else function(g, x)
    np.testing.assert_allclose(*value(tf1, found, tf1.gradients(y, x, grad_ys=g)[0]), rtol=1e-6)


def test_generated_gradients_of_pooling(tf1, hook):
    from tensorflow.python.ops import gen_nn_ops

    x = tf1.constant(np.random.default_rng(0).normal(size=(1, 4, 4, 1)), tf1.float32)
    window, steps = [1, 2, 2, 1], [1, 2, 2, 1]
    for pool in (tf1.nn.max_pool, tf1.nn.avg_pool):
        y = pool(x, window, steps, "VALID")
        if pool is tf1.nn.max_pool:
            found = gen_nn_ops._max_pool_grad(x, y, 2 * y, window, steps, "VALID")
        else:
            found = gen_nn_ops._avg_pool_grad(tf1.shape(x), 2 * y, window, steps, "VALID")
        np.testing.assert_allclose(*value(tf1, found, tf1.gradients(y, x, grad_ys=2 * y)[0]), rtol=1e-6)


# ---------------------------------------------------------------- contrib.layers


def test_maxout_and_unit_norm_and_spatial_softmax(tf1):
    layers = tf1.contrib.layers
    x = tf1.constant([[1.0, 4.0, 3.0, 2.0]])
    image = np.full((1, 3, 5, 2), -50.0, np.float32)
    image[0, 0, 4, 0] = image[0, 2, 2, 1] = 50.0  # a corner, and the middle of the last row
    most, unit, places = value(tf1, layers.maxout(x, 2), layers.unit_norm(x, 1), layers.spatial_softmax(image))
    np.testing.assert_allclose(most, [[4, 3]])
    np.testing.assert_allclose(unit, np.array([[1, 4, 3, 2]]) / np.sqrt(30), rtol=1e-6)
    np.testing.assert_allclose(places, [[-1, 1, 1, 0]], atol=1e-5)


def test_batch_norm_without_the_bias_of_the_beginning(tf1):
    training = tf1.placeholder(tf1.bool, [])
    x = tf1.constant([[1.0], [3.0]])
    tf1.contrib.layers.batch_norm(
        x, decay=0.9, is_training=training, zero_debias_moving_mean=True, updates_collections=None, scope="bn"
    )
    out = tf1.contrib.layers.batch_norm(
        x, decay=0.9, is_training=training, zero_debias_moving_mean=True, updates_collections=None, scope="other"
    )
    mean = next(v for v in tf1.global_variables() if v.op.name == "other/moving_mean")
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        session.run(out, {training: False})
        assert session.run(mean) == 0
        for _ in range(2):
            session.run(out, {training: True})
            np.testing.assert_allclose(session.run(mean), [2], rtol=1e-6)


def test_optimize_loss_summarises(tf1):
    x = tf1.get_variable("x", initializer=3.0)
    train = tf1.contrib.layers.optimize_loss(
        x * x, tf1.train.get_or_create_global_step(), 0.1, "SGD", clip_gradients=1.0,
        summaries=["loss", "learning_rate", "gradients", "gradient_norm"],
    )  # fmt: skip
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        text, before = session.run([tf1.summary.merge_all(), train])
    found = {v.tag: v.simple_value for v in tf1.Summary.FromString(text).value}
    assert before == 9 and found["OptimizeLoss/loss"] == 9 and found["OptimizeLoss/gradient_norm/x_0"] == 1
    assert found["OptimizeLoss/global_norm/gradient_norm"] == 6 and "OptimizeLoss/gradients/x_0" in found
    with pytest.raises(ValueError, match="Summaries should be one of"):
        tf1.contrib.layers.optimize_loss(x * x, None, 0.1, "SGD", summaries=["lost"])


# ---------------------------------------------------------------- sessions, files


def test_a_traced_run_tells_its_times(tf1, hook, tmp_path):
    from tensorflow.python.client import timeline

    a = tf1.random_normal([20, 20], name="drawn")
    product = tf1.matmul(a, a, name="product")
    metadata = tf1.RunMetadata()
    with tf1.Session() as session:
        session.run(product, run_metadata=metadata)
        assert not metadata.step_stats.dev_stats
        options = tf1.RunOptions(trace_level=tf1.RunOptions.FULL_TRACE)
        session.run(product, options=options, run_metadata=metadata)
    nodes = {n.node_name: n for n in metadata.step_stats.dev_stats[0].node_stats}
    assert nodes["product"].all_end_rel_micros >= 1 and "MatMul(drawn" in nodes["product"].timeline_label
    events = json.loads(timeline.Timeline(metadata.step_stats).generate_chrome_trace_format())["traceEvents"]
    assert {e["args"]["name"] for e in events if e["ph"] == "X"} == set(nodes)
    assert len(type(metadata).FromString(metadata.SerializeToString()).step_stats.dev_stats[0].node_stats) == len(nodes)
    with tf1.summary.FileWriter(str(tmp_path)) as writer:
        writer.add_run_metadata(metadata, "step1")


def test_the_debugger_is_refused_by_name(tf1, hook):
    from tensorflow.python import debug as tf_debug

    assert tf_debug.has_inf_or_nan(None, np.array([1, np.nan])) and not tf_debug.has_inf_or_nan(None, np.ones(2))
    with pytest.raises(Exception, match="check_numerics"):
        tf_debug.LocalCLIDebugWrapperSession(tf1.Session())


def test_a_saver_makes_the_last_directory(tf1, tmp_path):
    v = tf1.Variable(1.0)
    with tf1.Session() as session:
        session.run(v.initializer)
        saver = tf1.train.Saver()
        saver.save(session, str(tmp_path / "new" / "model"))
        with pytest.raises(ValueError, match="Parent directory"):
            saver.save(session, str(tmp_path / "a" / "b" / "model"))
    assert (tmp_path / "new" / "model.index").exists()


def test_a_closed_writer_warns(tf1, tmp_path):
    writer = tf1.summary.FileWriter(str(tmp_path))
    writer.close()
    with pytest.warns(UserWarning, match="closed FileWriter"):
        writer.add_summary(tf1.Summary(value=[tf1.Summary.Value(tag="a", simple_value=1.0)]), 0)


def test_a_supervisor_is_stopped_twice(tf1, tmp_path):
    step = tf1.train.create_global_step()
    supervisor = tf1.train.Supervisor(logdir=str(tmp_path), global_step=step, summary_op=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with supervisor.managed_session() as session:
            assert session.run(step) == 0
        supervisor.stop()


def test_sparse_placeholders_and_retaining(tf1):
    given = tf1.sparse_placeholder(tf1.float32, shape=tf1.constant([2, 3], dtype=tf1.int64))
    count = tf1.placeholder(tf1.int32)
    kept = tf1.sparse_retain(given, tf1.random_uniform(count) >= 0)
    dense = tf1.sparse_tensor_to_dense(kept * 2.0)
    feed = {given: (np.array([[0, 1], [1, 2]]), np.array([3.0, 4.0]), np.array([2, 3])), count: [2]}
    np.testing.assert_array_equal(value(tf1, dense, feed=feed), [[0, 6, 0], [0, 0, 8]])


@pytest.mark.parametrize(
    "line",
    [
        "from tensorflow.contrib.framework.python.ops import add_arg_scope",
        "from tensorflow.contrib.framework.python.ops import arg_scope",
        "from tensorflow.contrib.rnn.python.ops import rnn_cell",
        "from tensorflow.contrib.slim.python.slim import learning",
        "from tensorflow.python.ops import gen_math_ops, gen_array_ops, gen_state_ops",
        "from tensorflow.python.client import timeline",
    ],
)
def test_inner_modules(tf1, hook, line):
    names: dict = {}
    exec(line, names)
    assert all(v is not None for v in names.values())


# ---------------------------------------------------------------- cells and decoders of contrib


def weights_of(tf, seed=0):
    """Random values for all variables, which are loaded; by their names."""
    rng = np.random.default_rng(seed)
    session = tf.get_default_session()
    found = {}
    for v in tf.global_variables():
        found[v.op.name] = rng.normal(size=v.get_shape().as_list()) * 0.5
        v.load(found[v.op.name], session)
    return found


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_a_convolutional_lstm(tf1):
    """With a kernel of one pixel it is an LSTM at every pixel."""
    x = np.random.default_rng(1).normal(size=(2, 3, 3, 2)).astype(np.float32)
    cell = tf1.contrib.rnn.Conv2DLSTMCell(input_shape=[3, 3, 2], output_channels=4, kernel_shape=[1, 1])
    lstm = tf1.nn.rnn_cell.BasicLSTMCell(4)
    out, _ = tf1.nn.dynamic_rnn(cell, tf1.constant(x[:, None]), dtype=tf1.float32)
    flat, _ = lstm(tf1.constant(x.reshape(-1, 2)), lstm.zero_state(18, tf1.float32))
    assert out.get_shape().as_list() == [2, 1, 3, 3, 4]
    with tf1.Session().as_default() as session:
        found = weights_of(tf1)
        kernel = found["rnn/conv_2d_lstm_cell/kernel"]
        lstm.kernel.load(kernel.reshape(6, 16), session)
        lstm.bias.load(found["rnn/conv_2d_lstm_cell/biases"], session)
        images, rows = session.run([out, flat])
    np.testing.assert_allclose(images.reshape(-1, 4), rows, rtol=1e-5)


def test_cells_by_their_formulas(tf1):
    rnn = tf1.contrib.rnn
    x, h, c = (np.random.default_rng(i).normal(size=(2, 3)).astype(np.float32) for i in range(3))
    with tf1.variable_scope("ug"):
        ug, _ = rnn.UGRNNCell(3)(tf1.constant(x), tf1.constant(h))
    with tf1.variable_scope("nas"):
        nas, state = rnn.NASCell(3)(tf1.constant(x), rnn.LSTMStateTuple(tf1.constant(c), tf1.constant(h)))
    with tf1.variable_scope("high"):
        high, _ = rnn.HighwayWrapper(rnn.BasicRNNCell(3))(tf1.constant(x), tf1.constant(h))
    with tf1.Session().as_default() as session:
        w = weights_of(tf1)
        ug, nas, nas_c, high = session.run([ug, nas, state.c, high])
    gate, new = np.split(np.c_[x, h] @ w["ug/ugrnn_cell/kernel"] + w["ug/ugrnn_cell/bias"], 2, axis=1)
    np.testing.assert_allclose(ug, sigmoid(gate + 1) * h + (1 - sigmoid(gate + 1)) * np.tanh(new), rtol=1e-4)
    a = np.split(x @ w["nas/nas_cell/kernel"], 8, axis=1)
    b = np.split(h @ w["nas/nas_cell/recurrent_kernel"], 8, axis=1)
    one = np.tanh(np.tanh(sigmoid(a[0] + b[0]) * np.maximum(a[1] + b[1], 0)) + c)
    memory = one * np.tanh(sigmoid(a[2] + b[2]) + np.maximum(a[3] * b[3], 0))
    other = np.tanh(np.tanh(np.tanh(a[4] + b[4]) * sigmoid(a[5] + b[5]))
                    + sigmoid(np.tanh(a[6] + b[6]) + sigmoid(a[7] + b[7])))  # fmt: skip
    np.testing.assert_allclose(nas_c, memory, rtol=1e-4)
    np.testing.assert_allclose(nas, np.tanh(memory * other), rtol=1e-4)
    carry = sigmoid(x @ w["high/carry_w"] + w["high/carry_b"])
    inner = np.tanh(np.c_[x, h] @ w["high/basic_rnn_cell/kernel"] + w["high/basic_rnn_cell/bias"])
    np.testing.assert_allclose(high, x * carry + inner * (1 - carry), rtol=1e-4)


def test_a_decoder_that_attends(tf1):
    """One step of two against the formula; the names are those of TensorFlow's checkpoints."""
    seq2seq, size = tf1.contrib.legacy_seq2seq, 3
    rng = np.random.default_rng(5)
    x, h = rng.normal(size=(2, 2, 4)).astype(np.float32), rng.normal(size=(2, size)).astype(np.float32)
    states = rng.normal(size=(2, 5, size)).astype(np.float32)
    steps = [tf1.constant(x[0]), tf1.constant(x[1])]
    cell = tf1.nn.rnn_cell.BasicRNNCell(size)
    outputs, _ = seq2seq.attention_decoder(steps, tf1.constant(h), tf1.constant(states), cell, output_size=6)
    with tf1.Session().as_default() as session:
        w = {n.removeprefix("attention_decoder/"): v for n, v in weights_of(tf1).items()}
        found = session.run(outputs)
    assert set(w) == {
        "AttnW_0", "AttnV_0", "kernel", "bias", "basic_rnn_cell/kernel", "basic_rnn_cell/bias", "Attention_0/kernel",
        "Attention_0/bias", "AttnOutputProjection/kernel", "AttnOutputProjection/bias",
    }  # fmt: skip

    state, seen = h, np.zeros((2, size))
    for given, output in zip(x, found, strict=True):
        mixed = np.c_[given, seen] @ w["kernel"] + w["bias"]
        state = np.tanh(np.c_[mixed, state] @ w["basic_rnn_cell/kernel"] + w["basic_rnn_cell/bias"])
        wanted = state @ w["Attention_0/kernel"] + w["Attention_0/bias"]
        scores = np.tanh(states @ w["AttnW_0"][0, 0] + wanted[:, None]) @ w["AttnV_0"]
        share = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        seen = (share[..., None] * states).sum(axis=1)
        projected = np.c_[state, seen] @ w["AttnOutputProjection/kernel"] + w["AttnOutputProjection/bias"]
        np.testing.assert_allclose(output, projected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("late", [False, True])
def test_translation_with_attention(tf1, late):
    seq2seq = tf1.contrib.legacy_seq2seq
    source = [tf1.placeholder(tf1.int32, [None]) for _ in range(3)]
    target = [tf1.placeholder(tf1.int32, [None]) for _ in range(2)]
    fed = tf1.placeholder_with_default(False, []) if late else False
    outputs, _ = seq2seq.embedding_attention_seq2seq(
        source,
        target,
        tf1.nn.rnn_cell.GRUCell(4),
        7,
        8,
        5,
        num_heads=2,
        feed_previous=fed,
        initial_state_attention=True,
    )
    feed = {t: [1, 2] for t in (*source, *target)}
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        plain = session.run(outputs, feed)
        assert [o.shape for o in plain] == [(2, 8), (2, 8)] and len(tf1.trainable_variables()) == 24
        if late:
            own = session.run(outputs, {**feed, fed: True, target[1]: [5, 5]})
            np.testing.assert_allclose(own[0], plain[0], rtol=1e-5)
            best = own[0].argmax(axis=1)
            taught = session.run(outputs, {**feed, target[1]: best})
            np.testing.assert_allclose(own[1], taught[1], rtol=1e-5)
