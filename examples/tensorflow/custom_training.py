"""TensorFlow 2: a custom training loop with a schedule, a metric class, clipping, checkpoints."""

import json
import tempfile

import numpy as np
import tensorflow as tf

np.random.seed(0)
tf.random.set_seed(0)
x = np.random.randn(1000, 5).astype(np.float32)
score = x[:, 0] * x[:, 1] + x[:, 2]
y = (score > 0.8).astype(np.float32)
train_ds = tf.data.Dataset.from_tensor_slices((x[:800], y[:800])).shuffle(800, seed=0).batch(40, drop_remainder=True)
test_ds = tf.data.Dataset.from_tensor_slices((x[800:], y[800:])).batch(50)


class TruePositives(tf.keras.metrics.Metric):
    """How many positives were found, and of how many."""

    def __init__(self, name="true_positives", **kwargs):
        super(TruePositives, self).__init__(name=name, **kwargs)
        self.found = self.add_weight(name="found", initializer="zeros")
        self.all = self.add_weight(name="all", initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        y_true = tf.cast(y_true, tf.bool)
        self.found.assign_add(tf.reduce_sum(tf.cast(tf.logical_and(y_true, y_pred > 0.5), tf.float32)))
        self.all.assign_add(tf.reduce_sum(tf.cast(y_true, tf.float32)))

    def result(self):
        return tf.math.divide_no_nan(self.found, self.all)


model = tf.keras.Sequential(
    [
        tf.keras.layers.Dense(
            32, activation="relu", input_shape=(5,), kernel_regularizer=tf.keras.regularizers.l2(1e-4)
        ),
        tf.keras.layers.Dense(1, activation="sigmoid"),
    ]
)
schedule = tf.keras.optimizers.schedules.ExponentialDecay(0.02, decay_steps=100, decay_rate=0.7)
optimizer = tf.keras.optimizers.Adam(learning_rate=schedule)
bce = tf.keras.losses.BinaryCrossentropy()
recall = TruePositives()
auc = tf.keras.metrics.AUC()
mean_loss = tf.keras.metrics.Mean()

checkpoint = tf.train.Checkpoint(step=tf.Variable(0), optimizer=optimizer, model=model)
manager = tf.train.CheckpointManager(checkpoint, tempfile.mkdtemp(), max_to_keep=2)


@tf.function
def train_step(features, labels):
    with tf.GradientTape() as tape:
        probabilities = model(features, training=True)[:, 0]
        loss = bce(labels, probabilities) + tf.add_n(model.losses)
    grads = tape.gradient(loss, model.trainable_variables)
    grads, norm = tf.clip_by_global_norm(grads, 1.0)
    optimizer.apply_gradients(zip(grads, model.trainable_variables))
    checkpoint.step.assign_add(1)
    return loss, norm


for epoch in range(15):
    mean_loss.reset_states()
    for features, labels in train_ds:
        loss, norm = train_step(features, labels)
        mean_loss.update_state(loss)
    if epoch % 5 == 4:
        tf.print("epoch", epoch + 1, "loss", mean_loss.result(), "rate", schedule(optimizer.iterations))
    manager.save()


def evaluate():
    recall.reset_states()
    auc.reset_states()
    for features, labels in test_ds:
        probabilities = model(features)[:, 0]
        recall.update_state(labels, probabilities)
        auc.update_state(labels, probabilities)
    return float(recall.result()), float(auc.result())


test_recall, test_auc = evaluate()
for variable in model.trainable_variables:
    variable.assign(tf.zeros_like(variable))
ruined = evaluate()
status = checkpoint.restore(manager.latest_checkpoint)
restored = evaluate()

print(
    "RESULT "
    + json.dumps(
        {
            "loss": float(mean_loss.result()),
            "recall": test_recall,
            "auc": test_auc,
            "auc_of_zeros": ruined[1],
            "restored": restored == (test_recall, test_auc),
            "step": int(checkpoint.step.numpy()),
            "checkpoints": len(manager.checkpoints),
            "rate": float(schedule(optimizer.iterations)),
        }
    )
)
