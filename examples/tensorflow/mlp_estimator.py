"""A multilayer perceptron of tf.layers in an Estimator with a model function; train, evaluate, predict."""

import json
import tempfile

import numpy as np
import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

tf.logging.set_verbosity(tf.logging.INFO)
mnist = input_data.read_data_sets("MNIST_data/", one_hot=False)

learning_rate = 0.1
num_steps = 200
batch_size = 64
num_classes = 10


def neural_net(x_dict):
    x = x_dict["images"]
    layer_1 = tf.layers.dense(x, 128, activation=tf.nn.relu)
    layer_2 = tf.layers.dense(layer_1, 128, activation=tf.nn.relu)
    return tf.layers.dense(layer_2, num_classes)


def model_fn(features, labels, mode):
    logits = neural_net(features)
    pred_classes = tf.argmax(logits, axis=1)
    pred_probas = tf.nn.softmax(logits)

    if mode == tf.estimator.ModeKeys.PREDICT:
        return tf.estimator.EstimatorSpec(mode, predictions={"classes": pred_classes, "probabilities": pred_probas})

    loss_op = tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(logits=logits, labels=tf.cast(labels, dtype=tf.int32))
    )
    optimizer = tf.train.GradientDescentOptimizer(learning_rate=learning_rate)
    train_op = optimizer.minimize(loss_op, global_step=tf.train.get_global_step())
    acc_op = tf.metrics.accuracy(labels=labels, predictions=pred_classes)

    return tf.estimator.EstimatorSpec(
        mode=mode, predictions=pred_classes, loss=loss_op, train_op=train_op, eval_metric_ops={"accuracy": acc_op}
    )


model = tf.estimator.Estimator(model_fn, model_dir=tempfile.mkdtemp())

input_fn = tf.estimator.inputs.numpy_input_fn(
    x={"images": mnist.train.images}, y=mnist.train.labels, batch_size=batch_size, num_epochs=None, shuffle=True
)
model.train(input_fn, steps=num_steps)

input_fn = tf.estimator.inputs.numpy_input_fn(
    x={"images": mnist.test.images}, y=mnist.test.labels, batch_size=batch_size, shuffle=False
)
evaluation = model.evaluate(input_fn)
print("Testing Accuracy:", evaluation["accuracy"])

# predict single images
input_fn = tf.estimator.inputs.numpy_input_fn(x={"images": mnist.test.images[:10]}, shuffle=False)
predictions = list(model.predict(input_fn))
hits = sum(int(p["classes"] == label) for p, label in zip(predictions, mnist.test.labels[:10]))

print(
    "RESULT "
    + json.dumps(
        {
            "accuracy": float(evaluation["accuracy"]),
            "loss": float(evaluation["loss"]),
            "global_step": int(evaluation["global_step"]),
            "hits_of_ten": hits,
            "probabilities_sum_to": float(np.sum(predictions[0]["probabilities"])),
        }
    )
)
