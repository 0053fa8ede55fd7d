"""MonitoredTrainingSession: hooks that stop, log, check for NaN and save; a second session goes on where it stopped."""

import json
import tempfile

import numpy as np
import tensorflow as tf

tf.logging.set_verbosity(tf.logging.INFO)
checkpoint_dir = tempfile.mkdtemp()
rng = np.random.RandomState(0)
data = rng.randn(500, 4).astype(np.float32)
labels = (data.dot([1.0, -1.0, 2.0, 0.5]) > 0).astype(np.float32).reshape(-1, 1)


class LossRecorder(tf.train.SessionRunHook):
    """A hook of our own: it asks for the loss in every run and keeps it."""

    def __init__(self, loss):
        self.loss = loss
        self.losses = []
        self.ended = False

    def begin(self):
        self.step = tf.train.get_global_step()

    def before_run(self, run_context):
        return tf.train.SessionRunArgs({"loss": self.loss, "step": self.step})

    def after_run(self, run_context, run_values):
        self.losses.append(float(run_values.results["loss"]))
        if self.losses[-1] < 0.05:
            run_context.request_stop()

    def end(self, session):
        self.ended = True


def run(last_step):
    """Build the graph anew and train until last_step; the recorder and the step it stopped at."""
    with tf.Graph().as_default():
        tf.set_random_seed(0)
        x = tf.placeholder(tf.float32, [None, 4])
        y = tf.placeholder(tf.float32, [None, 1])
        logits = tf.layers.dense(x, 1)
        loss = tf.losses.sigmoid_cross_entropy(y, logits)
        global_step = tf.train.get_or_create_global_step()
        train_op = tf.train.AdamOptimizer(0.02).minimize(loss, global_step=global_step)
        recorder = LossRecorder(loss)
        hooks = [
            tf.train.StopAtStepHook(last_step=last_step),
            tf.train.NanTensorHook(loss),
            tf.train.LoggingTensorHook({"step": global_step, "loss": loss}, every_n_iter=50),
            recorder,
        ]
        with tf.train.MonitoredTrainingSession(
            checkpoint_dir=checkpoint_dir, hooks=hooks, save_checkpoint_secs=None, save_checkpoint_steps=50
        ) as mon_sess:
            step = mon_sess.run(global_step, {x: data, y: labels})
            while not mon_sess.should_stop():
                rows = rng.randint(0, len(data), 64)
                _, step = mon_sess.run([train_op, global_step], {x: data[rows], y: labels[rows]})
        return recorder, int(step)


first, first_step = run(100)
second, second_step = run(160)

print(
    "RESULT "
    + json.dumps(
        {
            "first_stop": first_step,
            "second_stop": second_step,
            "first_loss": first.losses[0],
            "loss_at_the_first_stop": first.losses[-1],
            "loss_after_restart": second.losses[0],
            "last_loss": second.losses[-1],
            "hooks_ended": first.ended and second.ended,
            "latest_checkpoint": tf.train.latest_checkpoint(checkpoint_dir).split("-")[-1],
        }
    )
)
