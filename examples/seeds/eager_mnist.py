"""A convolutional classifier of MNIST in TensorFlow Eager (1.10), with tf.keras.Model and GradientTape.

Environment: SEED_STEPS (document: 1000), SEED_IMAGES (images used of each part), SEED_BATCH (32).
"""

import json
import os

import numpy as np
import tensorflow as tf
import tensorflow.contrib.eager as tfe

tf.enable_eager_execution()

BATCH_SIZE = int(os.environ.get("SEED_BATCH", 32))

(x_train, y_train), (x_test, y_test) = tf.keras.datasets.mnist.load_data()
images = int(os.environ.get("SEED_IMAGES", len(x_train)))
x_train, y_train, x_test, y_test = x_train[:images], y_train[:images], x_test[:images], y_test[:images]


# this function scales the data from 0..255 to 0..1
def scale(x, min_val=0.0, max_val=255.0):
    x = tf.to_float(x)
    return tf.div(tf.subtract(x, min_val), tf.subtract(max_val, min_val))


train_ds = tf.data.Dataset.from_tensor_slices((np.expand_dims(x_train, -1), y_train))
train_ds = train_ds.map(lambda x, y: (scale(x), tf.one_hot(y, 10))).shuffle(10000).repeat().batch(BATCH_SIZE)

test_ds = tf.data.Dataset.from_tensor_slices((np.expand_dims(x_test, -1), y_test))
test_ds = test_ds.map(lambda x, y: (scale(x), tf.one_hot(y, 10))).shuffle(10000).batch(BATCH_SIZE)


class MNISTModel(tf.keras.Model):
    def __init__(self):
        super(MNISTModel, self).__init__()
        self.conv1 = tf.keras.layers.Conv2D(32, 5, padding="same", activation=tf.nn.relu)
        self.max_pool2d = tf.keras.layers.MaxPooling2D((2, 2), (2, 2), padding="same")
        self.conv2 = tf.keras.layers.Conv2D(64, 5, padding="same", activation=tf.nn.relu)
        self.flatten = tf.keras.layers.Flatten()
        self.fc1 = tf.keras.layers.Dense(750, activation=tf.nn.relu)
        self.dropout = tf.keras.layers.Dropout(0.5)
        self.fc2 = tf.keras.layers.Dense(10)

    def call(self, x):
        x = self.max_pool2d(self.conv1(x))
        x = self.max_pool2d(self.conv2(x))
        x = self.flatten(x)
        x = self.dropout(self.fc1(x))
        return self.fc2(x)


def loss_fn(model, x, y):
    return tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits_v2(labels=y, logits=model(x)))


def get_accuracy(model, x, y_true):
    prediction = tf.argmax(tf.nn.softmax(model(x)), 1)
    equality = tf.equal(prediction, tf.argmax(y_true, 1))
    return tf.reduce_mean(tf.cast(equality, tf.float32))


model = MNISTModel()
optimizer = tf.train.AdamOptimizer()
epochs = int(os.environ.get("SEED_STEPS", 1000))

for batch, (images, labels) in enumerate(train_ds):
    with tfe.GradientTape() as tape:
        loss = loss_fn(model, images, labels)
    grads = tape.gradient(loss, model.variables)
    optimizer.apply_gradients(zip(grads, model.variables), global_step=tf.train.get_or_create_global_step())
    if batch % 10 == 0:
        acc = get_accuracy(model, images, labels).numpy()
        print(
            "Iteration {}, loss: {:.3f}, train accuracy: {:.2f}%".format(
                batch, loss_fn(model, images, labels).numpy(), acc * 100
            )
        )
    if batch > epochs:
        break

avg_acc = 0
test_epochs = 20
for batch, (images, labels) in enumerate(test_ds):
    avg_acc += get_accuracy(model, images, labels).numpy()
    if batch % 100 == 0 and batch != 0:
        print("Iteration:{}, Average test accuracy: {:.2f}%".format(batch, (avg_acc / batch) * 100))
# the document divides by the index of the last batch; the number of batches is one more
print("Final test accuracy: {:.2f}%".format(avg_acc / (batch + 1) * 100))

print(
    "RESULT "
    + json.dumps(
        {
            "loss": float(loss.numpy()),
            "train_accuracy": float(acc),
            "test_accuracy": float(avg_acc / (batch + 1)),
            "global_step": int(tf.train.get_or_create_global_step().numpy()),
        }
    )
)
