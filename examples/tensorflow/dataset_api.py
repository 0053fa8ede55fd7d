"""tf.data in TensorFlow 1: one-shot, initializable, reinitializable and feedable iterators; transformations."""

import json

import numpy as np
import tensorflow as tf

results = {}
sess = tf.Session()

# one shot: no initialisation
dataset = tf.data.Dataset.range(10).map(lambda v: v * v).filter(lambda v: tf.equal(v % 2, 0)).batch(3)
next_element = dataset.make_one_shot_iterator().get_next()
squares = []
try:
    while True:
        squares.append(sess.run(next_element).tolist())
except tf.errors.OutOfRangeError:
    print("End of dataset")
results["one_shot"] = squares

# initializable: placeholders hold the data
features = np.arange(12, dtype=np.float32).reshape(6, 2)
labels = np.arange(6)
features_placeholder = tf.placeholder(features.dtype, [None, 2])
labels_placeholder = tf.placeholder(tf.int64, [None])
dataset = tf.data.Dataset.from_tensor_slices((features_placeholder, labels_placeholder))
dataset = dataset.shuffle(buffer_size=6, seed=1).repeat(2).batch(4).prefetch(1)
iterator = dataset.make_initializable_iterator()
x, y = iterator.get_next()
sess.run(iterator.initializer, feed_dict={features_placeholder: features, labels_placeholder: labels})
seen, sizes = [], []
while True:
    try:
        bx, by = sess.run([x, y])
        sizes.append(len(by))
        seen += by.tolist()
    except tf.errors.OutOfRangeError:
        break
results["initializable"] = {"sizes": sizes, "each_twice": sorted(seen) == sorted(labels.tolist() * 2)}

# reinitializable: one iterator for training and validation data
training = tf.data.Dataset.range(100, 104)
validation = tf.data.Dataset.range(3)
iterator = tf.data.Iterator.from_structure(training.output_types, training.output_shapes)
value = iterator.get_next()
training_init_op = iterator.make_initializer(training)
validation_init_op = iterator.make_initializer(validation)
order = []
for init_op, n in [(training_init_op, 4), (validation_init_op, 3)]:
    sess.run(init_op)
    order += [int(sess.run(value)) for _ in range(n)]
results["reinitializable"] = order

# feedable: a handle chooses between iterators, each of which keeps its place
handle = tf.placeholder(tf.string, shape=[])
iterator = tf.data.Iterator.from_string_handle(handle, training.output_types, training.output_shapes)
value = iterator.get_next()
train_iterator = training.repeat().make_one_shot_iterator()
valid_iterator = validation.repeat().make_one_shot_iterator()
train_handle, valid_handle = sess.run([train_iterator.string_handle(), valid_iterator.string_handle()])
results["feedable"] = [int(sess.run(value, {handle: h})) for h in [train_handle, valid_handle, train_handle]]

# a generator, padded batches, zip, and a model that reads straight from the iterator


def words():
    for n in [1, 3, 2]:
        yield list(range(1, n + 1))


dataset = tf.data.Dataset.from_generator(words, tf.int32, tf.TensorShape([None]))
padded = dataset.padded_batch(3, padded_shapes=[None]).make_one_shot_iterator().get_next()
results["padded"] = sess.run(padded).tolist()

xs = np.random.RandomState(0).rand(200, 3).astype(np.float32)
ys = xs.dot([[1.0], [-2.0], [3.0]]).astype(np.float32)
dataset = tf.data.Dataset.zip((tf.data.Dataset.from_tensor_slices(xs), tf.data.Dataset.from_tensor_slices(ys)))
dataset = (
    dataset.apply(tf.contrib.data.shuffle_and_repeat(200))
    if hasattr(tf, "contrib") and hasattr(tf.contrib, "data")
    else dataset.shuffle(200).repeat()
)
x, y = dataset.batch(32).make_one_shot_iterator().get_next()
loss = tf.losses.mean_squared_error(y, tf.layers.dense(x, 1, use_bias=False, name="linear"))
train_op = tf.train.AdamOptimizer(0.05).minimize(loss)
sess.run(tf.global_variables_initializer())
for _ in range(400):
    sess.run(train_op)
results["linear"] = [round(float(v), 2) for v in sess.run("linear/kernel:0")[:, 0]]
sess.close()

print("RESULT " + json.dumps(results))
