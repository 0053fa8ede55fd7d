"""Checkpoints against TensorFlow itself, where it is installed: it reads what is written here, and the other way."""

import importlib.util
import json
import os
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

from corenn.checkpoint import _sstable
from corenn.checkpoint.tensor_bundle import (
    BundleReader,
    CheckpointState,
    latest,
    read_checkpoint_state,
    write_bundle,
    write_checkpoint_state,
)

NATIVE = ["?", "u1", "i1", "u2", "i2", "f2", "u4", "i4", "f4", "u8", "i8", "f8", "c8", "c16"]
EXTENSION = [
    ml_dtypes.bfloat16,
    ml_dtypes.float8_e5m2,
    ml_dtypes.float8_e4m3fn,
    ml_dtypes.float8_e4m3fnuz,
    ml_dtypes.float8_e4m3b11fnuz,
    ml_dtypes.float8_e5m2fnuz,
]


def same(left: np.ndarray, right: np.ndarray) -> bool:
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    return left.tolist() == right.tolist() if left.dtype == object else left.tobytes() == right.tobytes()


def read_all(prefix) -> dict[str, np.ndarray]:
    with BundleReader(prefix) as reader:
        return dict(reader.items())


#: Reads "ours", says what it found and writes it again; then saves and restores variables with tf.train.Saver.
WITH_TENSORFLOW = """
import json, sys
import numpy as np
import tensorflow as tf
tf1 = tf.compat.v1
tf1.disable_eager_execution()
reader = tf.train.load_checkpoint("ours")
shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
print(json.dumps({name: [dtypes[name].name, shapes[name]] for name in shapes}))
names = sorted(shapes)
with tf1.Session() as session:
    values = tf.raw_ops.RestoreV2(
        prefix="ours", tensor_names=names, shape_and_slices=[""] * len(names), dtypes=[dtypes[n] for n in names]
    )
    save = tf.raw_ops.SaveV2(prefix="theirs", tensor_names=names, shape_and_slices=[""] * len(names), tensors=values)
    session.run(save)
with tf1.Session(config=tf1.ConfigProto(device_count={"CPU": 2})) as session:
    step = tf1.get_variable("step", initializer=np.int64(7))
    with tf.device("/cpu:1"):
        part = tf1.get_variable("part", initializer=tf.reshape(tf.range(4000.0), [1000, 4]),
                                partitioner=tf1.fixed_size_partitioner(3))
    scales = [tf1.get_variable(f"layer_{i:04d}/scale", initializer=float(i)) for i in range(200)]
    session.run(tf1.global_variables_initializer())
    tf1.train.Saver(sharded=True).save(session, "saver/é", global_step=1)
    tf1.train.Saver().save(session, "saver/é", global_step=2)
    session.run([tf1.assign(step, 0), *[tf1.assign(p, tf.zeros_like(p)) for p in part]])
    tf1.train.Saver([step, part]).restore(session, "restored")
    assert session.run(step) == 8, session.run(step)
    got = session.run(tf.concat(list(part), 0))
    assert (got == np.arange(4000.0).reshape(1000, 4) * 2).all(), got
with tf.Graph().as_default():
    state = tf.train.get_checkpoint_state("state")
    assert state.model_checkpoint_path.endswith('m"é-2'), state
    assert list(state.all_model_checkpoint_timestamps) == [1.5, 2.5], state
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_with_tensorflow(tmp_path):
    generator = np.random.default_rng(0)
    tensors = {f"{dtype}/é": generator.integers(0, 100, (2, 3)).astype(dtype) for dtype in NATIVE}
    tensors |= {dtype.__name__: np.array([[0.5, 1.0], [2.0, 4.0]], dtype) for dtype in EXTENSION}
    tensors |= {"scalar": np.array(1.5), "empty": np.zeros((3, 0), np.float32), "none": np.zeros(0, object)}
    tensors |= {
        "text": np.array([[b"a\0", "é".encode()], [b"", b"x" * 70_000]], object),
        "word": np.array(b"w", object),
    }
    tensors |= {"large": generator.normal(size=(1500, 1001)).astype(np.float32)}
    many = generator.bytes(40 * 6000).hex()  # names that share little, for several blocks
    tensors |= {many[80 * i : 80 * (i + 1)]: np.array(i, np.float32) for i in range(6000)}
    write_bundle(tmp_path / "ours", tensors)
    doubled = np.arange(4000, dtype=np.float32).reshape(1000, 4) * 2
    write_bundle(tmp_path / "restored", {"step": np.int64(8), "part": doubled})
    (tmp_path / "state").mkdir()
    (tmp_path / "saver").mkdir()
    every = [tmp_path / "state" / "m-1", tmp_path / "state" / 'm"é-2']
    write_checkpoint_state(tmp_path / "state", every[-1], every, timestamps=[1.5, 2.5])
    done = subprocess.run(
        [sys.executable, "-c", WITH_TENSORFLOW],
        cwd=tmp_path,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    own_names = {"bool_": "bool", "object": "string"}
    expected = {n: [own_names.get(a.dtype.name, a.dtype.name), list(a.shape)] for n, a in tensors.items()}
    assert found == expected
    assert min(os.path.getsize(tmp_path / f"{name}.index") for name in ("ours", "theirs")) > 2 * _sstable.BLOCK_SIZE
    theirs = read_all(tmp_path / "theirs")
    assert theirs.keys() == tensors.keys() and all(same(theirs[name], tensors[name]) for name in tensors)
    state = read_checkpoint_state(tmp_path / "saver")
    assert state == CheckpointState(str(tmp_path / "saver/é-2"), (str(tmp_path / "saver/é-2"),))
    assert latest(tmp_path / "saver") == state.latest
    assert len(list(tmp_path.glob("saver/é-1.data-*"))) == 2
    for number in (1, 2):
        saved = read_all(tmp_path / f"saver/é-{number}")
        assert len(saved) == 202 and saved["step"] == 7 and same(saved["part"] * 2, doubled)
        assert all(saved[f"layer_{i:04d}/scale"] == i for i in range(200))
