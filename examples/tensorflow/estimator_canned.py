"""Canned estimators with feature columns: LinearClassifier, DNNClassifier, DNNRegressor."""

import json
import tempfile

import numpy as np
import tensorflow as tf

tf.logging.set_verbosity(tf.logging.ERROR)
rng = np.random.RandomState(0)
n = 600
features = {
    "age": rng.uniform(18, 80, n).astype(np.float32),
    "hours": rng.uniform(0, 60, n).astype(np.float32),
    "job": np.array(["clerk", "smith", "pilot"])[rng.randint(0, 3, n)],
}
worth = 0.02 * features["age"] + 0.05 * features["hours"] + (features["job"] == "pilot") * 1.0
labels = (worth + 0.1 * rng.randn(n) > np.median(worth)).astype(np.int32)

train = {name: column[:500] for name, column in features.items()}
test = {name: column[500:] for name, column in features.items()}


def input_fn(data, y, epochs, shuffle):
    return tf.estimator.inputs.numpy_input_fn(x=data, y=y, batch_size=50, num_epochs=epochs, shuffle=shuffle)


age = tf.feature_column.numeric_column("age", normalizer_fn=lambda v: (v - 49.0) / 18.0)
hours = tf.feature_column.numeric_column("hours", normalizer_fn=lambda v: (v - 30.0) / 17.0)
job = tf.feature_column.categorical_column_with_vocabulary_list("job", ["clerk", "smith", "pilot"])
age_buckets = tf.feature_column.bucketized_column(tf.feature_column.numeric_column("age"), [30, 45, 60])
crossed = tf.feature_column.crossed_column([age_buckets, "job"], hash_bucket_size=50)

wide = [age, hours, job, crossed]
deep = [age, hours, tf.feature_column.indicator_column(job), tf.feature_column.embedding_column(job, dimension=2)]

results = {}
linear = tf.estimator.LinearClassifier(
    feature_columns=wide, model_dir=tempfile.mkdtemp(), optimizer=tf.train.FtrlOptimizer(0.2)
)
linear.train(input_fn(train, labels[:500], None, True), steps=200)
evaluation = linear.evaluate(input_fn(test, labels[500:], 1, False))
results["linear"] = {
    "accuracy": float(evaluation["accuracy"]),
    "auc": float(evaluation["auc"]),
    "baseline": float(evaluation["accuracy_baseline"]),
}

dnn = tf.estimator.DNNClassifier(
    hidden_units=[16, 8],
    feature_columns=deep,
    n_classes=2,
    optimizer=tf.train.AdamOptimizer(0.01),
    model_dir=tempfile.mkdtemp(),
)
dnn.train(input_fn(train, labels[:500], None, True), steps=300)
evaluation = dnn.evaluate(input_fn(test, labels[500:], 1, False))
results["dnn"] = {"accuracy": float(evaluation["accuracy"]), "global_step": int(evaluation["global_step"])}
predictions = list(dnn.predict(input_fn(test, None, 1, False)))
results["dnn"]["agreement"] = float(np.mean([int(p["class_ids"][0]) == y for p, y in zip(predictions, labels[500:])]))
results["dnn"]["keys"] = sorted(k for k in predictions[0] if k in ("class_ids", "classes", "logits", "probabilities"))

regressor = tf.estimator.DNNRegressor(
    hidden_units=[16], feature_columns=deep, optimizer=tf.train.AdamOptimizer(0.02), model_dir=tempfile.mkdtemp()
)
target = worth.astype(np.float32)
regressor.train(input_fn(train, target[:500], None, True), steps=300)
evaluation = regressor.evaluate(input_fn(test, target[500:], 1, False))
results["regressor"] = {"average_loss": float(evaluation["average_loss"]), "variance": float(target[500:].var())}

print("RESULT " + json.dumps(results))
