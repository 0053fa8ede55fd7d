"""``tf.nn``: values against NumPy, names of operations, both generations' signatures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5)).astype(np.float32)
IMAGE = RNG.normal(size=(2, 7, 6, 3)).astype(np.float32)


def run(tf: Any, fetches: Any, feed: Any = None) -> Any:
    with tf.Session() as session:
        session.run([tf.global_variables_initializer(), tf.local_variables_initializer()])
        return session.run(fetches, feed)


def softmax(x: Any, axis: int = -1) -> Any:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


ELEMENTWISE: dict[str, Callable[[Any], Any]] = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "swish": lambda x: x / (1 + np.exp(-x)),
    "crelu": lambda x: np.maximum(np.concatenate([x, -x], -1), 0),
    "softmax": softmax,
    "log_softmax": lambda x: np.log(softmax(x)),
    "l2_loss": lambda x: (x**2).sum() / 2,
    "zero_fraction": lambda x: (x == 0).mean(),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_activations_of_both_generations(name: str, tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, 5])
    np.testing.assert_allclose(run(tf1, getattr(tf1.nn, name)(x), {x: X}), ELEMENTWISE[name](X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["relu", "softmax", "crelu", "l2_loss"])
def test_activations_run_eagerly(name: str, tf2: Any) -> None:
    np.testing.assert_allclose(getattr(tf2.nn, name)(X).numpy(), ELEMENTWISE[name](X), rtol=1e-5, atol=1e-6)


def test_a_name_is_that_of_the_operation(tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, 8, 8, 1])
    w = tf1.placeholder(tf1.float32, [3, 3, 1, 4])
    assert tf1.nn.conv2d(x, w, [1, 1, 1, 1], "SAME").name == "Conv2D:0"
    assert tf1.nn.relu(x, name="act").name == "act:0"
    assert tf1.nn.relu(x, name="act").op.type == "Relu"
    assert tf1.nn.max_pool(x, [1, 2, 2, 1], [1, 2, 2, 1], "VALID").get_shape().as_list() == [None, 4, 4, 1]


def correlate(x: Any, w: Any, stride: int, padding: str, combine: Callable[[Any, Any], Any], empty: float = 0.0) -> Any:
    """``combine(window [batch, h, w, channels], w)`` at every place."""
    size, kernel = x.shape[1:3], w.shape[:2]
    if padding == "SAME":
        out = [-(-n // stride) for n in size]
        total = [max((o - 1) * stride + k - n, 0) for o, k, n in zip(out, kernel, size, strict=True)]
        pads = [(t // 2, t - t // 2) for t in total]
        x = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=empty)
    out = [(n - k) // stride + 1 for n, k in zip(x.shape[1:3], kernel, strict=True)]
    rows = []
    for i in range(out[0]):
        cells = []
        for j in range(out[1]):
            a, b = i * stride, j * stride
            cells.append(combine(x[:, a : a + kernel[0], b : b + kernel[1]], w))
        rows.append(np.stack(cells, 1))
    return np.stack(rows, 1)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("stride", [1, 2])
def test_windows(padding: str, stride: int, tf1: Any) -> None:
    w, depth = RNG.normal(size=(3, 2, 3, 4)).astype(np.float32), RNG.normal(size=(3, 2, 3, 2)).astype(np.float32)
    strides, window = [1, stride, stride, 1], np.zeros((3, 2))
    x = tf1.placeholder(tf1.float32, [None, 7, 6, 3])
    found = run(
        tf1,
        [
            tf1.nn.conv2d(x, w, strides, padding),
            tf1.nn.depthwise_conv2d(x, depth, strides, padding),
            tf1.nn.max_pool(x, [1, 3, 2, 1], strides, padding),
            tf1.nn.avg_pool(x, [1, 3, 2, 1], strides, padding),
            tf1.nn.dilation2d(x, w[..., 0], strides, [1, 1, 1, 1], padding),
            tf1.nn.erosion2d(x, w[..., 0], strides, [1, 1, 1, 1], padding),
        ],
        {x: IMAGE},
    )
    by_channel = correlate(IMAGE, depth, stride, padding, lambda v, k: np.einsum("bhwc,hwcm->bcm", v, k))
    inside = correlate(np.ones_like(IMAGE), window, stride, padding, lambda v, k: v.sum((1, 2)))
    expected = [
        correlate(IMAGE, w, stride, padding, lambda v, k: np.einsum("bhwc,hwco->bo", v, k)),
        by_channel.reshape(*by_channel.shape[:3], 6),
        correlate(IMAGE, window, stride, padding, lambda v, k: v.max((1, 2)), -np.inf),
        correlate(IMAGE, window, stride, padding, lambda v, k: v.sum((1, 2))) / inside,
        correlate(IMAGE, w[..., 0], stride, padding, lambda v, k: (v + k).max((1, 2)), -np.inf),
        correlate(IMAGE, w[..., 0], stride, padding, lambda v, k: (v - k[::-1, ::-1]).min((1, 2)), np.inf),
    ]
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_transposed_convolution_is_the_gradient(tf1: Any) -> None:
    w = RNG.normal(size=(3, 3, 2, 4)).astype(np.float32)
    dy = RNG.normal(size=(1, 4, 3, 4)).astype(np.float32)
    x = tf1.placeholder(tf1.float32, [1, 7, 6, 2])
    y = tf1.nn.conv2d(x, w, [1, 2, 2, 1], "SAME")
    (by_x,) = tf1.gradients(y, [x], grad_ys=[tf1.constant(dy)])
    up = tf1.nn.conv2d_transpose(tf1.constant(dy), w, [1, 7, 6, 2], [1, 2, 2, 1], "SAME")
    a, b = run(tf1, [by_x, up], {x: np.zeros((1, 7, 6, 2))})
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_max_pool_with_argmax(tf2: Any) -> None:
    image = np.array([1, 5, 2, 8, 3, 0, 9, 4, 7], np.float32).reshape(1, 3, 3, 1)
    values, places = tf2.nn.max_pool_with_argmax(image, 2, 1, "VALID")
    np.testing.assert_array_equal(values.numpy().ravel(), [8, 5, 9, 7])
    np.testing.assert_array_equal(places.numpy().ravel(), [3, 1, 6, 8])


def test_strides_of_batch_or_depth_are_refused(tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, 8, 8, 1])
    with pytest.raises(ValueError, match="strides in the batch and depth dimensions"):
        tf1.nn.conv2d(x, np.zeros((3, 3, 1, 1), np.float32), [2, 1, 1, 1], "SAME")


# ---------------------------------------------------------------- cross entropies

LABELS = np.eye(5, dtype=np.float32)[[1, 0, 4]]
ENTROPY = -np.log(softmax(X))[np.arange(3), [1, 0, 4]]


@pytest.mark.parametrize(
    "call",
    [
        lambda nn, z, x: nn.softmax_cross_entropy_with_logits(x, z),  # TensorFlow 0.x: logits first
        lambda nn, z, x: nn.softmax_cross_entropy_with_logits(labels=z, logits=x),
        lambda nn, z, x: nn.softmax_cross_entropy_with_logits_v2(labels=z, logits=x),
        lambda nn, z, x: nn.sparse_softmax_cross_entropy_with_logits(x, np.array([1, 0, 4])),
        lambda nn, z, x: nn.sparse_softmax_cross_entropy_with_logits(labels=[1, 0, 4], logits=x),
    ],
)
def test_cross_entropies_of_generation_1(call: Any, tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, 5])
    np.testing.assert_allclose(run(tf1, call(tf1.nn, tf1.constant(LABELS), x), {x: X}), ENTROPY, rtol=1e-5)


def test_generation_2_takes_labels_first(tf2: Any) -> None:
    np.testing.assert_allclose(tf2.nn.softmax_cross_entropy_with_logits(LABELS, X).numpy(), ENTROPY, rtol=1e-5)
    sparse = tf2.nn.sparse_softmax_cross_entropy_with_logits([1, 0, 4], X)
    np.testing.assert_allclose(sparse.numpy(), ENTROPY, rtol=1e-5)


def test_one_positional_argument_is_refused(tf1: Any) -> None:
    with pytest.raises(ValueError, match="Both labels and logits must be provided"):
        tf1.nn.softmax_cross_entropy_with_logits(logits=tf1.constant(X))
    with pytest.raises(ValueError, match="named arguments"):
        tf1.nn.softmax_cross_entropy_with_logits(tf1.constant(X), tf1.constant(LABELS), labels=LABELS)


def test_gradients_reach_labels_in_v2_only(tf1: Any) -> None:
    z, x = tf1.constant(LABELS), tf1.constant(X)
    assert tf1.gradients(tf1.nn.softmax_cross_entropy_with_logits(labels=z, logits=x), [z]) == [None]
    assert tf1.gradients(tf1.nn.softmax_cross_entropy_with_logits_v2(labels=z, logits=x), [z]) != [None]


def test_sigmoid_and_weighted_cross_entropy(tf1: Any) -> None:
    p = 1 / (1 + np.exp(-X.astype(np.float64)))
    plain = -LABELS * np.log(p) - (1 - LABELS) * np.log(1 - p)
    weighted = -3 * LABELS * np.log(p) - (1 - LABELS) * np.log(1 - p)
    a, b = run(
        tf1,
        [
            tf1.nn.sigmoid_cross_entropy_with_logits(labels=LABELS, logits=tf1.constant(X)),
            tf1.nn.weighted_cross_entropy_with_logits(LABELS, tf1.constant(X), 3.0),
        ],
    )
    np.testing.assert_allclose(a, plain, rtol=1e-5)
    np.testing.assert_allclose(b, weighted, rtol=1e-5)


# ---------------------------------------------------------------- dropout


@pytest.mark.parametrize("fed", [False, True])
def test_dropout_keeps_in_generation_1(fed: bool, tf1: Any) -> None:
    keep = tf1.placeholder(tf1.float32, []) if fed else 0.8
    y = tf1.nn.dropout(tf1.ones([200, 200]), keep)
    found = run(tf1, y, {keep: 0.8} if fed else None)
    assert set(np.unique(found)) == {0.0, np.float32(1 / 0.8)}
    assert abs((found > 0).mean() - 0.8) < 0.01


def test_dropout_drops_in_generation_2(tf2: Any) -> None:
    found = tf2.nn.dropout(np.ones((200, 200), np.float32), 0.25).numpy()
    assert abs((found == 0).mean() - 0.25) < 0.01


def test_dropout_of_all_kept_is_the_input(tf1: Any) -> None:
    x = tf1.constant(X)
    assert tf1.nn.dropout(x, 1.0) is x
    with pytest.raises(
        ValueError, match=r"keep_prob must be a scalar tensor or a float in the range \(0, 1\], got 1.5"
    ):
        tf1.nn.dropout(x, 1.5)


# ---------------------------------------------------------------- normalisation


def test_moments_and_normalisation(tf1: Any) -> None:
    x = tf1.placeholder(tf1.float32, [None, 7, 6, 3])
    gamma, beta = np.float32([1, 2, 3]), np.float32([0, 1, -1])
    mean, variance = tf1.nn.moments(x, [0, 1, 2])
    y = tf1.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)
    fused, kept_mean, kept_variance = tf1.nn.fused_batch_norm(x, gamma, beta)
    local = tf1.nn.lrn(x, 1, bias=1.0, alpha=0.3, beta=0.7)
    unit = tf1.nn.l2_normalize(x, 3)
    found = run(tf1, [mean, variance, y, fused, kept_mean, kept_variance, local, unit], {x: IMAGE})
    m, v = IMAGE.mean((0, 1, 2)), IMAGE.var((0, 1, 2))
    normal = (IMAGE - m) / np.sqrt(v + 1e-3) * gamma + beta
    count = IMAGE.size / 3
    squares = np.pad(IMAGE**2, [(0, 0)] * 3 + [(1, 1)])
    near = squares[..., :-2] + squares[..., 1:-1] + squares[..., 2:]
    expected = [
        m, v, normal, normal, m, v * count / (count - 1), IMAGE / (1 + 0.3 * near) ** 0.7,
        IMAGE / np.sqrt((IMAGE**2).sum(3, keepdims=True)),
    ]  # fmt: skip
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_weighted_moments(tf1: Any) -> None:
    w = np.float32([[1], [2], [5]])
    mean, variance = run(tf1, tf1.nn.weighted_moments(tf1.constant(X), [0], w))
    m = np.average(X, axis=0, weights=w[:, 0])
    np.testing.assert_allclose(mean, m, rtol=1e-5)
    np.testing.assert_allclose(variance, np.average((X - m) ** 2, axis=0, weights=w[:, 0]), rtol=1e-5)


# ---------------------------------------------------------------- embeddings and candidates

TABLE = RNG.normal(size=(7, 4)).astype(np.float32)


def test_embedding_lookup(tf1: Any) -> None:
    ids = np.array([[1, 2], [6, 0]])
    mod = [TABLE[0::2], TABLE[1::2]]
    div = [TABLE[:4], TABLE[4:]]
    whole, parted, divided, short = run(
        tf1,
        [
            tf1.nn.embedding_lookup(TABLE, ids),
            tf1.nn.embedding_lookup(mod, ids),
            tf1.nn.embedding_lookup(div, ids, partition_strategy="div"),
            tf1.nn.embedding_lookup(TABLE, ids, max_norm=0.5),
        ],
    )
    for found in (whole, parted, divided):
        np.testing.assert_array_equal(found, TABLE[ids])
    np.testing.assert_allclose(np.linalg.norm(short, axis=-1), 0.5, rtol=1e-5)


def test_embedding_gradients_add_up(tf1: Any) -> None:
    table = tf1.Variable(TABLE)
    (gradient,) = tf1.gradients(tf1.nn.embedding_lookup(table, [1, 1, 3]), [table])
    expected = np.zeros_like(TABLE)
    expected[1], expected[3] = 2, 1
    np.testing.assert_array_equal(run(tf1, tf1.convert_to_tensor(gradient)), expected)


def test_top_k_and_in_top_k(tf1: Any) -> None:
    scores = np.float32([[0.1, 0.9, 0.5], [0.3, 0.3, 0.4]])
    top = tf1.nn.top_k(scores, 2)
    values, places, within = run(tf1, [top.values, top.indices, tf1.nn.in_top_k(scores, [2, 1], 2)])
    np.testing.assert_array_equal(places, [[1, 2], [2, 0]])
    np.testing.assert_array_equal(values, np.take_along_axis(scores, places, 1))
    assert within.tolist() == [True, True] and places.dtype == np.int32


@pytest.mark.parametrize("name", ["log_uniform", "uniform"])
def test_samplers_draw_distinct_classes_as_often_as_they_say(name: str, tf1: Any) -> None:
    classes, runs = 60, 600
    sampler = getattr(tf1.nn, f"{name}_candidate_sampler")
    drawn, true_count, count = sampler(np.array([[0], [9]]), 1, 6, True, classes)
    hits, expected = np.zeros(classes), []
    with tf1.Session() as session:
        for _ in range(runs):
            found, truth, own = session.run([drawn, true_count, count])
            assert len(set(found.tolist())) == 6 and truth.shape == (2, 1) and own.shape == (6,)
            hits[found] += 1
            expected.append(truth[1, 0])
    assert abs(hits[9] / runs - np.mean(expected)) < 0.05


def test_a_learned_sampler_learns(tf1: Any) -> None:
    drawn, true_count, _ = tf1.nn.learned_unigram_candidate_sampler(np.array([[5]]), 1, 2000, False, 10)
    with tf1.Session() as session:
        (first, before), (last, after) = (session.run([drawn, true_count]) for _ in range(2))
        np.testing.assert_allclose([before[0, 0], after[0, 0]], [2000 / 10, 2000 * 2 / 11], rtol=1e-5)
    assert abs((first == 5).mean() - 1 / 10) < 0.03 and abs((last == 5).mean() - 2 / 11) < 0.04


def test_sampled_losses_with_given_candidates(tf1: Any) -> None:
    weights, biases = RNG.normal(size=(9, 4)).astype(np.float32), RNG.normal(size=9).astype(np.float32)
    inputs, labels, sampled = X[:, :4], np.array([[1], [3], [8]]), np.array([3, 0, 7])
    given = (sampled, np.full((3, 1), 0.3, np.float32), np.float32([0.5, 0.2, 0.1]))
    nce = tf1.nn.nce_loss(weights, biases, labels, inputs, 3, 9, sampled_values=given)
    soft = tf1.nn.sampled_softmax_loss(weights, biases, labels, inputs, 3, 9, sampled_values=given)
    found = run(tf1, [nce, soft])
    true = (inputs * weights[labels[:, 0]]).sum(1) + biases[labels[:, 0]] - math.log(0.3)
    others = inputs @ weights[sampled].T + biases[sampled] - np.log(given[2])
    nce_expected = np.log1p(np.exp(-true)) + np.log1p(np.exp(others)).sum(1)
    kept = np.where(sampled[None] == labels, -np.inf, others)
    soft_expected = np.log(np.exp(kept).sum(1) + np.exp(true)) - true
    np.testing.assert_allclose(found[0], nce_expected, rtol=1e-4)
    np.testing.assert_allclose(found[1], soft_expected, rtol=1e-4)


def test_too_many_distinct_candidates_are_refused(tf1: Any) -> None:
    with pytest.raises(ValueError, match="range is too small"):
        tf1.nn.uniform_candidate_sampler([[1]], 1, 10, True, 5)


def test_a_name_tensorflow_has_not_says_so(tf1: Any) -> None:
    with pytest.raises(AttributeError, match=r"tf\.nn\.relux"):
        tf1.nn.relux
