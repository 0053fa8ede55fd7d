"""TFRecord files written, read by a queue of file names, parsed and shuffled into batches by queue runners."""

import json
import os
import tempfile

import numpy as np
import tensorflow as tf

np.random.seed(0)
tf.set_random_seed(0)

num_files, per_file, num_classes, side, num_epochs, batch_size = 3, 60, 4, 8, 6, 20


def int64_feature(value):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def bytes_feature(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


def write(path):
    writer = tf.python_io.TFRecordWriter(path)
    for _ in range(per_file):
        label = np.random.randint(num_classes)
        image = np.random.randint(0, 100, (side, side)).astype(np.uint8)
        image[2 * label : 2 * label + 2] += 120
        features = {"image": bytes_feature(image.tostring()), "label": int64_feature(label)}
        writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    writer.close()


folder = tempfile.mkdtemp()
paths = [os.path.join(folder, "part-%d.tfrecords" % i) for i in range(num_files)]
for path in paths:
    write(path)
records = sum(1 for path in paths for _ in tf.python_io.tf_record_iterator(path))

with tf.name_scope("input"):
    names = tf.train.string_input_producer(paths, num_epochs=num_epochs, shuffle=True)
    _, serialized = tf.TFRecordReader().read(names)
    parsed = tf.parse_single_example(
        serialized,
        features={"image": tf.FixedLenFeature([], tf.string), "label": tf.FixedLenFeature([], tf.int64)},
    )
    pixels = tf.decode_raw(parsed["image"], tf.uint8)
    pixels.set_shape([side * side])
    image = tf.cast(pixels, tf.float32) * (1.0 / 255) - 0.5
    label = tf.cast(parsed["label"], tf.int32)
    images, labels = tf.train.shuffle_batch(
        [image, label], batch_size=batch_size, capacity=200, min_after_dequeue=100, num_threads=2
    )

logits = tf.layers.dense(tf.layers.dense(images, 32, tf.nn.relu), num_classes)
loss = tf.losses.sparse_softmax_cross_entropy(labels, logits)
correct = tf.reduce_mean(tf.to_float(tf.nn.in_top_k(logits, labels, 1)))
train_op = tf.train.GradientDescentOptimizer(0.3).minimize(loss)

with tf.Session() as sess:
    sess.run(tf.group(tf.global_variables_initializer(), tf.local_variables_initializer()))
    coord = tf.train.Coordinator()
    threads = tf.train.start_queue_runners(sess=sess, coord=coord)
    history = []
    try:
        while not coord.should_stop():
            _, step_loss, accuracy = sess.run([train_op, loss, correct])
            history.append((float(step_loss), float(accuracy)))
    except tf.errors.OutOfRangeError:
        print("%d epochs, %d steps" % (num_epochs, len(history)))
    finally:
        coord.request_stop()
    coord.join(threads)

result = {
    "records": records,
    "steps": len(history),
    "first_loss": history[0][0],
    "loss": float(np.mean([h[0] for h in history[-5:]])),
    "accuracy": float(np.mean([h[1] for h in history[-5:]])),
    "shape": images.get_shape().as_list(),
}
print("RESULT", json.dumps(result))
