"""A trained graph frozen into one file, loaded under a prefix, and loaded with another input put in its place."""

import json
import os
import tempfile

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import graph_util
from tensorflow.python.tools import freeze_graph

np.random.seed(0)
tf.set_random_seed(0)
folder = tempfile.mkdtemp()
checkpoint = os.path.join(folder, "model.ckpt")

x = tf.placeholder(tf.float32, [None, 8, 8, 1], name="input")
labels = tf.placeholder(tf.int32, [None])
keep_prob = tf.placeholder_with_default(1.0, [], name="keep_prob")
net = tf.layers.max_pooling2d(tf.layers.conv2d(x, 4, 3, activation=tf.nn.relu, name="conv"), 2, 2)
net = tf.nn.dropout(tf.contrib.layers.flatten(net), keep_prob)
logits = tf.layers.dense(net, 2, name="dense")
output = tf.nn.softmax(logits, name="output")
train_op = tf.train.AdamOptimizer(0.01).minimize(tf.losses.sparse_softmax_cross_entropy(labels, logits))

images = np.random.rand(40, 8, 8, 1)
targets = (images[:, :4].mean((1, 2, 3)) > images[:, 4:].mean((1, 2, 3))).astype(int)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for _ in range(100):
        sess.run(train_op, {x: images, labels: targets, keep_prob: 0.9})
    wanted = sess.run(output, {x: images})
    saver = tf.train.Saver(max_to_keep=1)
    prefix = saver.save(sess, checkpoint, global_step=100)
    tf.train.write_graph(sess.graph_def, folder, "graph.pbtxt", as_text=True)
    frozen = graph_util.convert_variables_to_constants(sess, sess.graph_def, ["output"])
    with tf.gfile.GFile(os.path.join(folder, "frozen.pb"), "wb") as f:
        f.write(frozen.SerializeToString())

# the tool, from the files alone
freeze_graph.freeze_graph(
    os.path.join(folder, "graph.pbtxt"), "", False, prefix, "output", "save/restore_all", "save/Const:0",
    os.path.join(folder, "by_tool.pb"), True, "",
)  # fmt: skip


def load(name):
    definition = tf.GraphDef()
    with tf.gfile.GFile(os.path.join(folder, name), "rb") as f:
        definition.ParseFromString(f.read())
    return definition


gaps = []
for name in ("frozen.pb", "by_tool.pb"):
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(load(name), name="prefix")
        kinds = {op.type for op in graph.get_operations()}
        with tf.Session(graph=graph) as sess:
            found = sess.run("prefix/output:0", {"prefix/input:0": images})
    gaps.append(float(np.abs(found - wanted).max()))

with tf.Graph().as_default():
    flipped = tf.reverse(tf.constant(images[:, :, ::-1], tf.float32), [2])
    (mapped,) = tf.import_graph_def(load("frozen.pb"), {"input:0": flipped}, ["output:0"], name="")
    with tf.Session() as sess:
        gaps.append(float(np.abs(sess.run(mapped) - wanted).max()))

reader = tf.train.NewCheckpointReader(prefix)
result = {
    "gaps": gaps,
    "accuracy": float((wanted.argmax(1) == targets).mean()),
    "variables_left": sorted(kind for kind in kinds if "Variable" in kind or kind == "Assign"),
    "smaller": len(frozen.node) < len(x.graph.get_operations()),
    "in_checkpoint": sorted(n for n in reader.get_variable_to_shape_map() if "Adam" not in n and "beta" not in n),
}
print("RESULT", json.dumps(result))
