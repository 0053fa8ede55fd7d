"""``tf.contrib.learn``: estimators fitted to arrays, in the manners of 2016."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(0)
#: Three clouds of points in four dimensions, as flowers have them.
CENTRES = np.array([[5.0, 3.4, 1.5, 0.2], [5.9, 2.8, 4.3, 1.3], [6.6, 3.0, 5.6, 2.0]])
Y = np.arange(120) % 3
X = (CENTRES[Y] + 0.15 * RNG.normal(size=(120, 4))).astype(np.float32)


def test_a_network_of_classes(tf1: Any, tmp_path: Path) -> None:
    """The beginner's example of TensorFlow 0.9 to 1.2."""
    learn = tf1.contrib.learn
    columns = [tf1.contrib.layers.real_valued_column("", dimension=4)]
    classifier = learn.DNNClassifier(
        hidden_units=[10, 20, 10],
        n_classes=3,
        feature_columns=columns,
        model_dir=str(tmp_path / "iris"),
        config=learn.RunConfig(tf_random_seed=1),
    )
    assert classifier.fit(x=X, y=Y, steps=200) is classifier
    found = classifier.evaluate(x=X, y=Y)
    assert found["accuracy"] > 0.9 and found["global_step"] == 200 and found["loss"] < 0.6
    said = list(classifier.predict(CENTRES.astype(np.float32)))
    assert [int(c) for c in said] == [0, 1, 2]
    np.testing.assert_allclose(classifier.predict_proba(X[:5], as_iterable=False).sum(1), 1, rtol=1e-5)


@pytest.mark.parametrize("as_function", [False, True])
def test_a_linear_regression(as_function: bool, tf1: Any, tmp_path: Path) -> None:
    learn = tf1.contrib.learn
    x = np.linspace(-1, 1, 40, dtype=np.float32)
    y = 3 * x + 1

    def input_fn() -> Any:
        return {"x": tf1.constant(x[:, None])}, tf1.constant(y[:, None])

    if as_function:
        columns, given, asked = [tf1.contrib.layers.real_valued_column("x")], {"input_fn": input_fn}, {"steps": 1}
    else:
        columns, given, asked = learn.infer_real_valued_columns_from_input(x[:, None]), {"x": x[:, None], "y": y}, {}
    model = learn.LinearRegressor(
        columns, optimizer=tf1.train.GradientDescentOptimizer(0.3), model_dir=str(tmp_path / "line")
    )
    model.fit(steps=120, **given)
    assert model.evaluate(**given, **asked)["loss"] < 1e-3
    if not as_function:
        np.testing.assert_allclose(model.predict(x[:3, None], as_iterable=False), y[:3], atol=0.05)
        weights = {n.rpartition("/")[2]: model.get_variable_value(n) for n in model.get_variable_names()}
        np.testing.assert_allclose([weights["weights"].item(), weights["bias_weights"].item()], [3, 1], atol=0.05)


def test_a_model_function_of_one_array(tf1: Any, tmp_path: Path) -> None:
    """The custom estimator of 2017: a tuple, a metric by its specification, arrays through SKCompat."""
    learn = tf1.contrib.learn

    def model_fn(features: Any, targets: Any, mode: str, params: Any) -> Any:
        logits = tf1.contrib.layers.fully_connected(features, 3, activation_fn=None)
        classes = tf1.argmax(logits, 1)
        if mode == learn.ModeKeys.INFER:
            return learn.ModelFnOps(mode, {"classes": classes})
        loss = tf1.losses.sparse_softmax_cross_entropy(targets, logits)
        step = tf1.contrib.layers.optimize_loss(
            loss, tf1.train.get_global_step(), learning_rate=params["rate"], optimizer="Adam"
        )
        return {"classes": classes}, loss, step

    model = learn.Estimator(model_fn, params={"rate": 0.1}, model_dir=str(tmp_path / "own"))
    wrapped = learn.SKCompat(model)
    wrapped.fit(X, Y, steps=150, batch_size=60)
    metrics = {"right": learn.MetricSpec(tf1.metrics.accuracy, prediction_key="classes")}
    assert model.evaluate(X, Y, metrics=metrics)["right"] > 0.9
    assert (wrapped.predict(X)["classes"] == Y).mean() > 0.9
    assert wrapped.score(X, Y, metrics=metrics)["right"] > 0.9


def test_a_wide_and_deep_model(tf1: Any, tmp_path: Path) -> None:
    """Columns of words, crossed and embedded."""
    layers, words = tf1.contrib.layers, np.array([b"ab", b"cd", b"ef"], object)

    def input_fn() -> Any:
        kind = tf1.SparseTensor(
            tf1.constant([[i, 0] for i in range(120)], tf1.int64), tf1.constant(list(words[Y])),
            tf1.constant([120, 1], tf1.int64),
        )  # fmt: skip
        return {"kind": kind, "size": tf1.constant(X[:, 0])}, tf1.constant((Y == 1).astype(np.int64)[:, None])

    kind, size = layers.sparse_column_with_keys("kind", ["ab", "cd", "ef"]), layers.real_valued_column("size")
    buckets = layers.bucketized_column(size, [5.5, 6.2])
    model = tf1.contrib.learn.DNNLinearCombinedClassifier(
        model_dir=str(tmp_path / "wide"), linear_feature_columns=[kind, layers.crossed_column([kind, buckets], 50)],
        dnn_feature_columns=[layers.embedding_column(kind, 4), size], dnn_hidden_units=[8],
        config=tf1.contrib.learn.RunConfig(tf_random_seed=1),
    )  # fmt: skip
    model.fit(input_fn=input_fn, steps=300)
    found = model.evaluate(input_fn=input_fn, steps=1)
    assert found["accuracy"] > 0.9 and found["auc"] > 0.95


def test_arguments(tf1: Any, tmp_path: Path) -> None:
    learn = tf1.contrib.learn
    columns = learn.infer_real_valued_columns_from_input(X)
    model = learn.LinearClassifier(columns, n_classes=3, model_dir=str(tmp_path / "m"))
    with pytest.raises(ValueError, match="x or input_fn"):
        model.fit(steps=1)
    with pytest.raises(Exception, match="steps"):
        model.fit(X, Y)
    with pytest.raises(Exception, match="gradient_clip_norm"):
        learn.LinearClassifier(columns, gradient_clip_norm=5.0)
    with pytest.raises(ValueError, match="non-numeric"):
        learn.infer_real_valued_columns_from_input(np.array(["a", "b"]))
    with pytest.raises(AttributeError, match="sklearn"):
        learn.datasets.load_iris()
