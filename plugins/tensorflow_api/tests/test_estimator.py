"""Estimators, canned and own, feature columns, hyperparameters."""

from __future__ import annotations

import numpy as np
import pytest

RNG = np.random.RandomState(0)
X = RNG.randn(240, 3).astype(np.float32)
Y = (X[:, 0] - X[:, 1] > 0).astype(np.int64)
NAMES = np.array([["a", "b", "c"][i % 3] for i in range(240)], object)


@pytest.fixture(autouse=True)
def closed():
    yield
    from corenn_tensorflow.summary import FileWriterCache

    FileWriterCache.clear()


def model_fn_of(tf):
    def model_fn(features, labels, mode, params):
        hidden = tf.layers.dense(features["x"], 8, activation=tf.nn.relu)
        logits = tf.layers.dense(hidden, 2)
        classes = tf.argmax(logits, axis=1)
        if mode == tf.estimator.ModeKeys.PREDICT:
            return tf.estimator.EstimatorSpec(mode, predictions={"class": classes, "p": tf.nn.softmax(logits)})
        loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
        if mode == tf.estimator.ModeKeys.EVAL:
            metrics = {"accuracy": tf.metrics.accuracy(labels, classes)}
            return tf.estimator.EstimatorSpec(mode, loss=loss, eval_metric_ops=metrics)
        train = tf.train.AdamOptimizer(params["rate"]).minimize(loss, global_step=tf.train.get_global_step())
        return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train)

    return model_fn


def inputs(tf, features, labels=None, epochs=None, shuffle=True):
    return tf.estimator.inputs.numpy_input_fn(features, labels, batch_size=32, num_epochs=epochs, shuffle=shuffle)


@pytest.mark.parametrize("generation", [1, 2])
def test_train_evaluate_predict(request, tmp_path, generation):
    tf = request.getfixturevalue(f"tf{generation}")
    tf1 = tf if generation == 1 else tf.compat.v1
    config = tf.estimator.RunConfig(tf_random_seed=1, save_checkpoints_steps=40)
    made = tf.estimator.Estimator(model_fn_of(tf1), str(tmp_path), config, params={"rate": 0.03})
    feed = inputs(tf1, {"x": X}, Y)
    assert made.train(feed, steps=60) is made
    made.train(feed, max_steps=80)
    made.train(feed, max_steps=80)  # it is there already
    found = made.evaluate(inputs(tf1, {"x": X}, Y, epochs=1, shuffle=False))
    assert found["global_step"] == 80 and found["accuracy"] > 0.93 and found["loss"] < 0.3
    answers = list(made.predict(inputs(tf1, {"x": X[:40]}, epochs=1, shuffle=False)))
    assert len(answers) == 40 and set(answers[0]) == {"class", "p"}
    assert np.mean([a["class"] == y for a, y in zip(answers, Y, strict=False)]) > 0.9
    only = next(iter(made.predict(inputs(tf1, {"x": X[:4]}, epochs=1, shuffle=False), predict_keys="p")))
    assert set(only) == {"p"}
    assert made.get_variable_value("dense/kernel").shape == (3, 8) and "global_step" in made.get_variable_names()
    assert (tmp_path / "eval").is_dir()


def test_export_and_load(tf1, tmp_path):
    made = tf1.estimator.Estimator(model_fn_of(tf1), str(tmp_path / "m"), params={"rate": 0.03})
    made.train(inputs(tf1, {"x": X}, Y), steps=5)
    expected = [a["class"] for a in made.predict(inputs(tf1, {"x": X[:9]}, epochs=1, shuffle=False))]

    def receiver():
        x = tf1.placeholder(tf1.float32, [None, 3], name="given")
        return tf1.estimator.export.ServingInputReceiver({"x": x}, {"x": x})

    path = made.export_savedmodel(str(tmp_path / "out"), receiver)
    with tf1.Session(graph=tf1.Graph()) as session:
        loaded = tf1.saved_model.loader.load(session, ["serve"], path)
        signature = loaded.signature_def["serving_default"]
        found = session.run(signature.outputs["class"].name, {signature.inputs["x"].name: X[:9]})
    assert found.tolist() == expected


def test_train_and_evaluate(tf1, tmp_path):
    made = tf1.estimator.Estimator(model_fn_of(tf1), str(tmp_path), params={"rate": 0.03})
    evaluation, _ = tf1.estimator.train_and_evaluate(
        made,
        tf1.estimator.TrainSpec(inputs(tf1, {"x": X}, Y), max_steps=30),
        tf1.estimator.EvalSpec(inputs(tf1, {"x": X}, Y, epochs=1, shuffle=False), steps=None),
    )
    assert evaluation["global_step"] == 30


def columns(tf):
    names = tf.feature_column.categorical_column_with_vocabulary_list("k", ["a", "b", "c"])
    return tf.feature_column.numeric_column("x", shape=3), names


CANNED = {
    "LinearClassifier": lambda tf, x, k: {"feature_columns": [x, k]},
    "DNNClassifier": lambda tf, x, k: {
        "feature_columns": [x, tf.feature_column.embedding_column(k, 2)], "hidden_units": [8], "n_classes": 3,
    },
    "DNNLinearCombinedClassifier": lambda tf, x, k: {
        "linear_feature_columns": [k], "dnn_feature_columns": [x], "dnn_hidden_units": [8],
    },
}  # fmt: skip


@pytest.mark.parametrize("name", CANNED)
def test_canned_classifiers(tf1, tmp_path, name):
    made = getattr(tf1.estimator, name)(
        model_dir=str(tmp_path), config=tf1.estimator.RunConfig(tf_random_seed=2), **CANNED[name](tf1, *columns(tf1))
    )
    features = {"x": X, "k": NAMES}
    made.train(inputs(tf1, features, Y, epochs=12))
    found = made.evaluate(inputs(tf1, features, Y, epochs=1, shuffle=False))
    assert found["accuracy"] > 0.9 and found["average_loss"] < 0.4 and found["global_step"] == 90
    if "DNNClassifier" not in name:
        assert found["auc"] > 0.95 and found["label/mean"] == pytest.approx(Y.mean())
    answer = next(iter(made.predict(inputs(tf1, features, epochs=1, shuffle=False))))
    assert answer["probabilities"].sum() == pytest.approx(1.0) and answer["classes"][0] in (b"0", b"1")


@pytest.mark.parametrize("name", ["LinearRegressor", "DNNRegressor"])
def test_canned_regressors(tf1, tmp_path, name):
    options = {"hidden_units": [8]} if name.startswith("DNN") else {}
    config = tf1.estimator.RunConfig(tf_random_seed=2)
    made = getattr(tf1.estimator, name)(
        feature_columns=[columns(tf1)[0]], model_dir=str(tmp_path), config=config, **options
    )
    target = (X @ [1.0, 2.0, -1.0]).astype(np.float32)
    made.train(inputs(tf1, {"x": X}, target, epochs=12))
    found = made.evaluate(inputs(tf1, {"x": X}, target, epochs=1, shuffle=False))
    assert found["average_loss"] < 0.5 and found["prediction/mean"] == pytest.approx(target.mean(), abs=0.2)


def test_baseline(tf1, tmp_path):
    made = tf1.estimator.BaselineClassifier(model_dir=str(tmp_path))
    made.train(inputs(tf1, {"x": X}, Y, epochs=5))
    answer = next(iter(made.predict(inputs(tf1, {"x": X[:1]}, epochs=1, shuffle=False))))
    assert answer["logistic"][0] == pytest.approx(Y.mean(), abs=0.05)


def test_columns(tf2):
    fc = tf2.feature_column
    x = fc.numeric_column("x", normalizer_fn=lambda v: v * 2.0)
    k = fc.categorical_column_with_vocabulary_list("k", ["a", "b"], num_oov_buckets=1)
    n = fc.categorical_column_with_identity("n", 4, default_value=0)
    features = {
        "x": tf2.constant([1.0, 5.0]), "k": tf2.constant(["b", "z"]), "n": tf2.constant([[3], [9]], tf2.int64),
    }  # fmt: skip
    assert x.dense(features).numpy().tolist() == [[2.0], [10.0]]
    assert fc.bucketized_column(x, [3.0, 10.0]).dense(features).numpy().tolist() == [[1, 0, 0], [0, 0, 1]]
    assert fc.indicator_column(k).dense(features).numpy().tolist() == [[0, 1, 0], [0, 0, 1]]
    assert n.ids(features).numpy().tolist() == [[3], [0]]
    crossed = fc.crossed_column(["k", n], 100)
    ids = crossed.ids(features).numpy()
    assert ids.shape == (2, 1) and (ids == crossed.ids(features).numpy()).all() and ids.max() < 100
    assert set(fc.make_parse_example_spec([x, fc.indicator_column(k)])) == {"x", "k"}


def test_layers_of_columns(tf1):
    fc = tf1.feature_column
    features = {"x": tf1.constant([[1.0], [2.0]]), "n": tf1.constant([[1], [-1]], tf1.int64)}
    n = fc.categorical_column_with_identity("n", 3)
    side = fc.input_layer(
        features, [fc.embedding_column(n, 2, initializer=tf1.ones_initializer()), fc.numeric_column("x")]
    )
    linear = fc.linear_model(features, [n, fc.numeric_column("x")])
    names = [v.op.name for v in tf1.global_variables()]
    assert names == [
        "input_layer/n_embedding/embedding_weights", "linear_model/n/weights", "linear_model/x/weights",
        "linear_model/bias_weights",
    ]  # fmt: skip
    with tf1.Session() as session:
        session.run(tf1.global_variables_initializer())
        assert session.run(side).tolist() == [[1.0, 1.0, 1.0], [0.0, 0.0, 2.0]]
        assert session.run(linear).tolist() == [[0.0], [0.0]]


def test_pandas(tf1):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]})
    made = tf1.estimator.inputs.pandas_input_fn(frame, frame["a"], batch_size=2, shuffle=False)
    features, labels = made()
    with tf1.Session() as session:
        found = session.run([features["a"], features["b"], labels])
    assert found[0].tolist() == [1.0, 2.0] and found[1].tolist() == ["x", "y"] and found[2].tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"mode": "train", "loss": 1.0}, ValueError, "Missing train_op"),
        ({"mode": "eval"}, ValueError, "Missing loss"),
        ({"mode": "infer"}, ValueError, "Missing predictions"),
        ({"mode": "eval", "loss": 1.0, "eval_metric_ops": {"a": 1}}, TypeError, "must be .metric_value, update_op."),
    ],
)
def test_specs_are_checked(tf1, options, error, text):
    with pytest.raises(error, match=text):
        tf1.estimator.EstimatorSpec(**options)


def test_arguments_are_checked(tf1):
    with pytest.raises(ValueError, match="shuffle must be provided"):
        tf1.estimator.inputs.numpy_input_fn({"x": X}, Y)
    with pytest.raises(ValueError, match="mismatched"):
        tf1.estimator.inputs.numpy_input_fn({"x": X}, Y[:5], shuffle=False)
    with pytest.raises(ValueError, match="must include features"):
        tf1.estimator.Estimator(lambda labels: None)
    with pytest.raises(ValueError, match="cannot be both set"):
        tf1.estimator.RunConfig(save_checkpoints_steps=1, save_checkpoints_secs=1)


def test_hyperparameters(tf1):
    from corenn_tensorflow.contrib.training import HParams

    made = HParams(rate=0.1, sizes=[1, 2], name="x", flag=True)
    made.parse("rate=0.5,sizes=[3,4,5],flag=false,name=y")
    assert made.values() == {"rate": 0.5, "sizes": [3, 4, 5], "name": "y", "flag": False}
    made.parse("sizes[1]=9").rate = 2
    assert made.sizes == [3, 9, 5] and made.rate == 2.0 and "rate" in made and made.get("none", 1) == 1
    with pytest.raises(ValueError, match="Could not cast hyperparameter 'rate'"):
        made.parse("rate=fast")
    with pytest.raises(ValueError, match="Unknown hyperparameter"):
        made.parse("other=1")
