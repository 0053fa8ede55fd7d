"""What the guide to ``tf.data`` does: dtypes of lists, folders of files, windows of series, resampling, Python."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.mark.parametrize(
    ("given", "dtype"),
    [([8, 3], "int32"), ([0.5, 1.0], "float32"), (np.array([8, 3]), "int64"), (np.array([0.5]), "float64"),
     (["a", "b"], "string"), ([True], "bool")],
)  # fmt: skip
def test_dtypes_of_lists(tf2, given, dtype):
    assert tf2.data.Dataset.from_tensor_slices(given).element_spec.dtype.name == dtype


def test_reduce_of_numbers(tf2):
    total = tf2.data.Dataset.from_tensor_slices([8, 3, 0, 8, 2, 1]).reduce(0, lambda state, value: state + value)
    assert int(total) == 22


@pytest.mark.parametrize("subset", [None, "training", "validation"])
def test_texts_of_a_folder(tf2, tmp_path, subset):
    for name in ("neg", "pos"):
        (tmp_path / name).mkdir()
        for i in range(5):
            (tmp_path / name / f"{i}.txt").write_text(f"{name} {i}", encoding="utf-8")
    make = tf2.keras.preprocessing.text_dataset_from_directory
    options = {} if subset is None else {"validation_split": 0.2, "subset": subset, "seed": 1}
    found = make(tmp_path, batch_size=4, **options)
    assert found.class_names == ["neg", "pos"]
    rows = [(t.decode(), int(c)) for texts, labels in found for t, c in zip(texts.numpy(), labels.numpy(), strict=True)]
    assert len(rows) == {None: 10, "training": 8, "validation": 2}[subset]
    assert all(text.startswith(found.class_names[label]) for text, label in rows)
    if subset == "validation":
        others = make(tmp_path, batch_size=4, **{**options, "subset": "training"})
        seen = {t for texts, _ in others for t in texts.numpy()}
        assert not seen & {text.encode() for text, _ in rows}


@pytest.mark.parametrize(
    ("options", "windows", "targets"),
    [
        ({"sequence_length": 3, "batch_size": None}, [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 5]], None),
        ({"sequence_length": 2, "sequence_stride": 2}, [[0, 1], [2, 3], [4, 5]], [0, 20, 40]),
        ({"sequence_length": 2, "sampling_rate": 3}, [[0, 3], [1, 4], [2, 5]], [0, 10, 20]),
        ({"sequence_length": 2, "start_index": 2, "end_index": 5}, [[2, 3], [3, 4]], [20, 30]),
    ],
)
def test_windows_of_a_series(tf2, options, windows, targets):
    series = np.arange(6)
    given = None if targets is None else series * 10
    found = list(tf2.keras.preprocessing.timeseries_dataset_from_array(series, given, **options).as_numpy_iterator())
    if targets is None:
        assert [w.tolist() for w in found] == windows
        return
    assert np.concatenate([w for w, _ in found]).tolist() == windows
    assert np.concatenate([t for _, t in found]).tolist() == targets


def test_rejection_resampling(tf2):
    rows = tf2.data.Dataset.from_tensor_slices(np.array([0] * 95 + [1] * 5)).repeat()
    drawn = rows.apply(tf2.data.experimental.rejection_resample(lambda c: c, [0.5, 0.5], [0.95, 0.05], seed=1))
    classes = [int(c) for c, element in drawn.take(400).as_numpy_iterator() if c == element]
    assert len(classes) == 400 and 0.4 < np.mean(classes) < 0.6


def test_one_result_of_python_in_a_list(tf2):
    rows = tf2.data.Dataset.from_tensor_slices(np.arange(3.0))
    found = rows.map(lambda x: tf2.py_function(lambda v: v.numpy() + 1, [x], [tf2.float64])[0])
    assert list(found.as_numpy_iterator()) == [1, 2, 3]


def test_each_image_of_a_batch_is_flipped_for_itself(tf2):
    tf2.random.set_seed(0)
    images = np.broadcast_to(np.arange(4.0)[None, None, :, None], (64, 2, 4, 1))
    found = tf2.image.random_flip_left_right(images).numpy()
    turned = found[:, 0, 0, 0] == 3
    assert 16 < turned.sum() < 48
    np.testing.assert_array_equal(found[turned], images[turned][:, :, ::-1])


def test_places_of_truth(tf2):
    assert int(tf2.argmax(tf2.constant([False, True]))) == 1
