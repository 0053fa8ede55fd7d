"""A convolutional network of tf.layers in an Estimator: one with dropout, and one that shares its weights."""

import json
import tempfile

import tensorflow as tf
from tensorflow.examples.tutorials.mnist import input_data

mnist = input_data.read_data_sets("MNIST_data/", one_hot=False)

learning_rate = 0.001
num_steps = 80
batch_size = 50
num_classes = 10
dropout = 0.25  # probability to drop a unit


def conv_net(x_dict, n_classes, dropout, reuse, is_training):
    with tf.variable_scope("ConvNet", reuse=reuse):
        x = x_dict["images"]
        x = tf.reshape(x, shape=[-1, 28, 28, 1])
        conv1 = tf.layers.conv2d(x, 16, 5, activation=tf.nn.relu)
        conv1 = tf.layers.max_pooling2d(conv1, 2, 2)
        conv2 = tf.layers.conv2d(conv1, 32, 3, activation=tf.nn.relu)
        conv2 = tf.layers.max_pooling2d(conv2, 2, 2)
        fc1 = tf.contrib.layers.flatten(conv2)
        fc1 = tf.layers.dense(fc1, 128)
        fc1 = tf.layers.dropout(fc1, rate=dropout, training=is_training)
        out = tf.layers.dense(fc1, n_classes)
    return out


def model_fn(features, labels, mode):
    logits_train = conv_net(features, num_classes, dropout, reuse=False, is_training=True)
    logits_test = conv_net(features, num_classes, dropout, reuse=True, is_training=False)
    pred_classes = tf.argmax(logits_test, axis=1)

    if mode == tf.estimator.ModeKeys.PREDICT:
        return tf.estimator.EstimatorSpec(mode, predictions=pred_classes)

    loss_op = tf.reduce_mean(
        tf.nn.sparse_softmax_cross_entropy_with_logits(logits=logits_train, labels=tf.cast(labels, dtype=tf.int32))
    )
    optimizer = tf.train.AdamOptimizer(learning_rate=learning_rate)
    train_op = optimizer.minimize(loss_op, global_step=tf.train.get_global_step())
    acc_op = tf.metrics.accuracy(labels=labels, predictions=pred_classes)
    return tf.estimator.EstimatorSpec(
        mode=mode, predictions=pred_classes, loss=loss_op, train_op=train_op, eval_metric_ops={"accuracy": acc_op}
    )


model = tf.estimator.Estimator(model_fn, config=tf.estimator.RunConfig(model_dir=tempfile.mkdtemp(), tf_random_seed=1))
logging_hook = tf.train.LoggingTensorHook({"step": "global_step"}, every_n_iter=50)

input_fn = tf.estimator.inputs.numpy_input_fn(
    x={"images": mnist.train.images}, y=mnist.train.labels, batch_size=batch_size, num_epochs=None, shuffle=True
)
model.train(input_fn, steps=num_steps, hooks=[logging_hook])
# a second call of train resumes from the checkpoint
model.train(input_fn, max_steps=num_steps + 20)

input_fn = tf.estimator.inputs.numpy_input_fn(
    x={"images": mnist.test.images}, y=mnist.test.labels, batch_size=batch_size, shuffle=False
)
evaluation = model.evaluate(input_fn)
variables = sorted(model.get_variable_names())
print(variables)

print(
    "RESULT "
    + json.dumps(
        {
            "accuracy": float(evaluation["accuracy"]),
            "global_step": int(evaluation["global_step"]),
            "kernel_shape": list(model.get_variable_value("ConvNet/conv2d/kernel").shape),
            "checkpoint": tf.train.latest_checkpoint(model.model_dir) is not None,
        }
    )
)
