"""TensorFlow 2: the pipelines of the `tf.data` guide: generators, interleave, padding, TFRecord, windows."""

import json

import tensorflow as tf
import os
import pathlib
import tempfile
import itertools
import numpy as np

np.set_printoptions(precision=4)
dataset = tf.data.Dataset.from_tensor_slices([8, 3, 0, 8, 2, 1])
print(dataset)
for elem in dataset:
    print(elem.numpy())
it = iter(dataset)
print(next(it).numpy())
print(dataset.reduce(0, lambda state, value: state + value).numpy())
dataset1 = tf.data.Dataset.from_tensor_slices(tf.random.uniform([4, 10]))
print(dataset1.element_spec)
dataset2 = tf.data.Dataset.from_tensor_slices(
    (tf.random.uniform([4]), tf.random.uniform([4, 100], maxval=100, dtype=tf.int32))
)
dataset3 = tf.data.Dataset.zip((dataset1, dataset2))
print(dataset3.element_spec)
for a, (b, c) in dataset3:
    print("shapes: {a.shape}, {b.shape}, {c.shape}".format(a=a, b=b, c=c))


def count(stop):
    i = 0
    while i < stop:
        yield i
        i += 1


ds_counter = tf.data.Dataset.from_generator(
    count,
    args=[25],
    output_types=tf.int32,
    output_shapes=(),
)
for count_batch in ds_counter.repeat().batch(10).take(10):
    print(count_batch.numpy())


def gen_series():
    i = 0
    while True:
        size = np.random.randint(0, 10)
        yield i, np.random.normal(size=(size,))
        i += 1


ds_series = tf.data.Dataset.from_generator(gen_series, output_types=(tf.int32, tf.float32), output_shapes=((), (None,)))
print(ds_series)
ds_series_batch = ds_series.shuffle(20).padded_batch(10)
ids, sequence_batch = next(iter(ds_series_batch))
print(ids.numpy())
print(sequence_batch.numpy().shape)
d = tempfile.mkdtemp()
paths = []
for n in range(3):
    p = os.path.join(d, f"f{n}.txt")
    with open(p, "w") as f:
        f.write("\n".join(f"file {n} line {i}" for i in range(5)) + "\n")
    paths.append(p)
dataset = tf.data.TextLineDataset(paths)
for line in dataset.take(5):
    print(line.numpy())
files_ds = tf.data.Dataset.from_tensor_slices(paths)
lines_ds = files_ds.interleave(tf.data.TextLineDataset, cycle_length=3)
for i, line in enumerate(lines_ds.take(9)):
    if i % 3 == 0:
        print()
    print(line.numpy())


def survived(line):
    return tf.not_equal(tf.strings.substr(line, 5, 1), "0")


survivors = tf.data.TextLineDataset(paths[0]).skip(1).filter(survived)
print(list(survivors.as_numpy_iterator()))
list_ds = tf.data.Dataset.list_files(os.path.join(d, "*"))


def process_path(file_path):
    label = tf.strings.split(file_path, os.sep)[-1]
    return tf.io.read_file(file_path), label


labeled_ds = list_ds.map(process_path)
for text, label in labeled_ds.take(1):
    print(repr(text.numpy()[:20]), label.numpy())
inc_dataset = tf.data.Dataset.range(100)
dec_dataset = tf.data.Dataset.range(0, -100, -1)
dataset = tf.data.Dataset.zip((inc_dataset, dec_dataset))
batched_dataset = dataset.batch(4)
for batch in batched_dataset.take(4):
    print([arr.numpy() for arr in batch])
print(dataset.batch(7, drop_remainder=True))
dataset = tf.data.Dataset.range(100)
dataset = dataset.map(lambda x: tf.fill([tf.cast(x, tf.int32)], x))
dataset = dataset.padded_batch(4, padded_shapes=(None,))
for batch in dataset.take(2):
    print(batch.numpy())
    print()
titanic_lines = tf.data.TextLineDataset(paths)
lines = titanic_lines.batch(6)
for epoch in range(2):
    for batch in lines:
        print(batch.shape)
    print("End of epoch: ", epoch)
counter = tf.data.experimental.Counter()
dataset = tf.data.Dataset.zip((counter, titanic_lines))
dataset = dataset.shuffle(buffer_size=10).batch(5)
n, line_batch = next(iter(dataset))
print(n.numpy())


def parse(x):
    return tf.py_function(lambda v: v.numpy() ** 2, [x], tf.int64)


print(list(tf.data.Dataset.range(5).map(parse).as_numpy_iterator()))


def tf_random_rotate(image, label):
    im_shape = image.shape
    [
        image,
    ] = tf.py_function(lambda im: np.rot90(im.numpy()), [image], [tf.float32])
    image.set_shape(im_shape)
    return image, label


rot = tf.data.Dataset.from_tensor_slices((np.random.rand(4, 6, 6, 3).astype("float32"), [0, 1, 0, 1])).map(
    tf_random_rotate
)
for image, label in rot.take(2):
    print(image.shape, label)


def _int64(v):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[v]))


fn = os.path.join(d, "a.tfrecord")
with tf.io.TFRecordWriter(fn) as w:
    for i in range(5):
        feature = {
            "a": _int64(i),
            "b": tf.train.Feature(float_list=tf.train.FloatList(value=[i * 0.5, 1.0])),
            "s": tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"str%d" % i])),
            "img": tf.train.Feature(
                bytes_list=tf.train.BytesList(value=[tf.io.serialize_tensor(tf.ones([2, 2]) * i).numpy()])
            ),
        }
        w.write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
raw = tf.data.TFRecordDataset([fn])
raw_example = next(iter(raw))
parsed = tf.train.Example.FromString(raw_example.numpy())
print(parsed.features.feature["b"])
desc = {
    "a": tf.io.FixedLenFeature([], tf.int64, default_value=0),
    "b": tf.io.FixedLenFeature([2], tf.float32),
    "s": tf.io.FixedLenFeature([], tf.string),
    "img": tf.io.FixedLenFeature([], tf.string),
}


def parse_fn(proto):
    ex = tf.io.parse_single_example(proto, desc)
    ex["img"] = tf.io.parse_tensor(ex["img"], out_type=tf.float32)
    return ex


for e in raw.map(parse_fn).batch(5):
    print(e["a"].numpy(), e["b"].numpy(), e["s"].numpy(), e["img"].shape)
range_ds = tf.data.Dataset.range(10000)
batches = range_ds.batch(15, drop_remainder=True)


def label_next_5_steps(batch):
    return (batch[:-5], batch[-5:])


for features, label in batches.map(label_next_5_steps).take(3):
    print(features.numpy(), " => ", label.numpy())
predict_5_steps = tf.data.Dataset.zip(
    (
        range_ds.batch(10, drop_remainder=True),
        range_ds.batch(10, drop_remainder=True).skip(1).map(lambda labels: labels[:5]),
    )
)
for features, label in predict_5_steps.take(3):
    print(features.numpy(), " => ", label.numpy())


def make_window_dataset(ds, window_size=5, shift=1, stride=1):
    windows = ds.window(window_size, shift=shift, stride=stride)

    def sub_to_batch(sub):
        return sub.batch(window_size, drop_remainder=True)

    return windows.flat_map(sub_to_batch)


ds = make_window_dataset(range_ds, window_size=10, shift=5, stride=3)
for example in ds.take(3):
    print(example.numpy())
neg = tf.data.Dataset.from_tensor_slices((np.zeros((95, 2)), np.zeros(95, int)))
pos = tf.data.Dataset.from_tensor_slices((np.ones((5, 2)), np.ones(5, int)))
balanced_ds = tf.data.experimental.sample_from_datasets([neg.repeat(), pos.repeat()], [0.5, 0.5]).batch(10)
for features, labels in balanced_ds.take(2):
    print(labels.numpy())
both = neg.concatenate(pos)
resampler = tf.data.experimental.rejection_resample(lambda f, l: l, target_dist=[0.5, 0.5], initial_dist=[0.95, 0.05])
resample_ds = both.repeat().apply(resampler).batch(10)
balanced = resample_ds.map(lambda extra_label, features_and_label: features_and_label)
for features, labels in balanced.take(2):
    print(labels.numpy())
range_ds = tf.data.Dataset.range(20)
iterator = iter(range_ds)
ckpt = tf.train.Checkpoint(step=tf.Variable(0), iterator=iterator)
manager = tf.train.CheckpointManager(ckpt, os.path.join(d, "my_ckpt"), max_to_keep=3)
print([next(iterator).numpy() for _ in range(5)])
save_path = manager.save()
print([next(iterator).numpy() for _ in range(5)])
ckpt.restore(manager.latest_checkpoint)
print([next(iterator).numpy() for _ in range(5)])
ds = tf.data.Dataset.from_tensor_slices({"a": [1, 2], "b": [[5, 6], [7, 8]]})
print(list(ds.as_numpy_iterator()))
ds = tf.data.experimental.make_csv_dataset
print(tf.data.Dataset.range(8).batch(3).unbatch().enumerate(5).cardinality().numpy())
print(
    tf.data.experimental.cardinality(tf.data.Dataset.range(8).repeat()).numpy()
    == tf.data.experimental.INFINITE_CARDINALITY
)


@tf.function
def total(ds):
    s = tf.constant(0, tf.int64)
    for x in ds:
        s += x
    return s


print(total(tf.data.Dataset.range(10)))

windows = [w.numpy().tolist() for w in make_window_dataset(tf.data.Dataset.range(60), 10, 5, 3).take(2)]
print(
    "RESULT",
    json.dumps(
        {
            "windows": windows,
            "total": int(total(tf.data.Dataset.range(10))),
            "sum": int(tf.data.Dataset.from_tensor_slices([8, 3, 0, 8, 2, 1]).reduce(0, lambda s, v: s + v)),
            "dtype": tf.data.Dataset.from_tensor_slices([8, 3]).element_spec.dtype.name,
            "balanced": float(np.mean([l.numpy().mean() for _, l in balanced.take(40)])),
        }
    ),
)
