"""``tensorflow_datasets`` over corenn's data sets."""

from __future__ import annotations

import numpy as np
import pytest
from corenn_datasets import digits
from corenn_tensorflow import datasets_shim as tfds

from corenn.errors import UsageError

TRAIN, TEST = 1437, 360


@pytest.fixture(scope="module")
def original():
    splits = digits.load()
    return splits.original("train"), splits.original("test")


@pytest.mark.parametrize(
    ("split", "sizes"),
    [
        ("train", TRAIN),
        ("test", TEST),
        (tfds.Split.TRAIN, TRAIN),
        ("train[:80%]", 1150),
        ("train[80%:]", 287),
        ("train[-10%:]", 144),
        ("train[10:20]", 10),
        ("train[-10:]", 10),
        ("train[:99999]", TRAIN),
        ("train[ :10 ]", 10),
        ("train+test", TRAIN + TEST),
        ("all", TRAIN + TEST),
        ("train[:10]+test[:5]", 15),
        (["train", "test[:3]"], [TRAIN, 3]),
        (("train[:10%]", ["test"]), (144, [TEST])),
        ({"a": "train[:5]", "b": "test"}, {"a": 5, "b": TEST}),
        (None, {"train": TRAIN, "test": TEST}),
        (tfds.Split.TRAIN.subsplit(weighted=(80, 10, 10)), [1150, 143, 144]),
        (tfds.Split.TRAIN.subsplit((1, 1)), [718, 719]),
        (tfds.Split.TRAIN.subsplit(k=3), [474, 489, 474]),
        (tfds.Split.TRAIN.subsplit(tfds.percent[:25]), 359),
        (tfds.Split.TRAIN[tfds.percent[50:]], 719),
        (tfds.Split.TRAIN + tfds.Split.TEST, TRAIN + TEST),
        (tfds.ReadInstruction("train", from_=10, to=30, unit="%"), 287),
        (tfds.core.ReadInstruction("train", to=4, unit="abs") + tfds.ReadInstruction("test", from_=-3), 7),
    ],
)
def test_splits(tf2, split, sizes):
    def check(found, expected):
        if isinstance(expected, dict):
            assert list(found) == list(expected)
            for key in expected:
                check(found[key], expected[key])
        elif isinstance(expected, (list, tuple)):
            assert type(found) is type(expected) and len(found) == len(expected)
            for one, other in zip(found, expected, strict=True):
                check(one, other)
        else:
            assert isinstance(found, tf2.data.Dataset) and len(found) == expected

    check(tfds.load("digits", split=split), sizes)


def test_pieces_meet_without_gap_or_overlap(original):
    (_, y), _ = original
    for pieces in (tfds.Split.TRAIN.subsplit(weighted=(80, 10, 10)), ["train[:33%]", "train[33%:67%]", "train[67%:]"]):
        found = tfds.load("digits", split=list(pieces), as_supervised=True, batch_size=-1)
        assert np.array_equal(np.concatenate([label for _, label in found]), y)


def test_elements(tf2, original):
    (x, y), _ = original
    (pair,) = tfds.load("digits", split="train", as_supervised=True).take(1)
    (element,) = tfds.load("digits", split="train").take(1)
    assert list(element) == ["image", "label"]
    for image, label in (pair, (element["image"], element["label"])):
        assert (image.shape, image.dtype, label.dtype) == ((8, 8, 1), tf2.uint8, tf2.int64)
        assert np.array_equal(image.numpy(), x[0]) and label.numpy() == y[0]
    batch = next(iter(tfds.load("digits", split="test", batch_size=32, as_supervised=True)))
    assert batch[0].shape == (32, 8, 8, 1)
    assert tfds.load("digits", split="test", batch_size=-1)["image"].shape == (TEST, 8, 8, 1)
    labels = [e["label"] for e in tfds.as_numpy(tfds.load("digits", split="train", shuffle_files=True))]
    assert sorted(labels) == sorted(y) and labels != list(y)


def test_info(tf2):
    (train, _), info = tfds.load("digits", split=["train", "test"], with_info=True, as_supervised=True)
    assert len(train) == info.splits["train"].num_examples == TRAIN and info.splits["test"].num_examples == TEST
    assert info.features["label"].num_classes == 10 and info.features["image"].shape == (8, 8, 1)
    label = info.features["label"]
    assert label.int2str(3) == "3" and label.str2int("7") == 7 and label.names == list("0123456789")
    assert info.supervised_keys == ("image", "label") and info.name == info.full_name == "digits"
    with pytest.raises(UsageError):
        label.str2int("eleven")


def test_sets_that_are_not_images(tf2):
    _, info = tfds.load("sine", split="train", with_info=True)
    assert list(info.features) == ["features", "target"]
    (element,) = tfds.load("blobs", split="train").take(1)
    assert element["features"].dtype == tf2.float32 and element["label"].dtype == tf2.int64


def test_builders_and_names(tf2):
    builder = tfds.builder("digits")
    builder.download_and_prepare()
    assert len(builder.as_dataset(split="test")) == builder.info.splits["test"].num_examples
    assert {"digits", "mnist", "fashion_mnist"} <= set(tfds.list_builders())
    assert len(tfds.load("digits:1.0.0", tfds.Split.TEST)) == TEST
    assert tfds.as_numpy({"a": [np.ones(2)]})["a"][0].sum() == 2


def test_a_folder_to_download_to_holds_nothing_to_read(tf2, tmp_path):
    with pytest.raises(UsageError, match="takes no data directory"):
        (tmp_path / "x").write_text("")
        tfds.load("digits", split="test", data_dir=str(tmp_path))
    assert len(tfds.load("digits", split="test", data_dir=str(tmp_path / "new"))) == TEST


def test_mnist_files_are_read_from_data_dir(tf2, idx_folder):
    train, test = tfds.load("mnist", split=["train", "test"], data_dir=idx_folder(), as_supervised=True)
    assert (len(train), len(test)) == (60, 12)
    assert next(iter(train))[0].shape == (28, 28, 1)


@pytest.fixture
def pets(tmp_path, monkeypatch):
    """Photographs of all sizes: twelve cats and eight dogs, each of one colour; the red level numbers them."""
    image = pytest.importorskip("PIL.Image")
    for kind, count in (("Cat", 12), ("Dog", 8)):
        folder = tmp_path / "all" / "cats_vs_dogs" / "PetImages" / kind
        folder.mkdir(parents=True)
        for k in range(count):
            colour = (20 * k, 0, 200 * (kind == "Dog"))
            image.new("RGB", (30 + k, 50 - k), colour).save(folder / f"{k}.jpg", quality=95)
    monkeypatch.setenv("CORENN_DATA_DIR", str(tmp_path / "all"))
    monkeypatch.setenv("CORENN_OFFLINE", "1")


def test_photographs(tf2, pets):
    weights = tfds.Split.TRAIN.subsplit(weighted=(80, 10, 10))
    parts, info = tfds.load("cats_vs_dogs", split=list(weights), with_info=True, as_supervised=True)
    assert [len(part) for part in parts] == [16, 2, 2] and info.splits["train"].num_examples == 20
    assert list(info.splits) == ["train"] and info.features["image"].shape == (None, None, 3)
    assert info.features["label"].names == ["cat", "dog"]
    seen = []
    for part in parts:
        for picture, label in part:
            red, _, blue = np.rint(picture.numpy().reshape(-1, 3).mean(0))
            number = round(red / 20)
            assert picture.dtype == tf2.uint8 and picture.shape == (50 - number, 30 + number, 3)
            assert label.dtype == tf2.int64 and label.numpy() == (blue > 100)
            seen.append((int(label), number))
    assert sorted(seen) == [(0, k) for k in range(12)] + [(1, k) for k in range(8)] and seen != sorted(seen)
    assert {label for label, _ in seen[:16]} == {0, 1}  # the classes are mixed
    again = tfds.load("cats_vs_dogs", split="train[:80%]")
    assert [int(e["label"]) for e in again] == [label for label, _ in seen[:16]]
    resized = again.map(lambda e: tf2.image.resize(tf2.cast(e["image"], tf2.float32), (8, 8))).batch(5)
    assert [batch.shape for batch in resized] == [(5, 8, 8, 3)] * 3 + [(1, 8, 8, 3)]
    shuffled = [int(e["label"]) for e in tfds.as_numpy(tfds.load("cats_vs_dogs", split="all", shuffle_files=True))]
    assert sorted(shuffled) == [0] * 12 + [1] * 8
    for wrong in ({"split": "test"}, {"split": "train", "batch_size": -1}):
        with pytest.raises(UsageError):
            tfds.load("cats_vs_dogs", **wrong)


def test_in_a_session(tf1, idx_folder, pets):
    """In TensorFlow 1 the elements come from an iterator of the graph."""
    numbers = tfds.load("mnist", split="train", data_dir=idx_folder(), as_supervised=True)
    pictures = tfds.load("cats_vs_dogs", split="train", as_supervised=True)
    number, picture = (data.make_one_shot_iterator().get_next() for data in (numbers, pictures))
    with tf1.Session() as session:
        for k in range(3):
            image, label = session.run(number)
            assert (image.shape, image[0, 0, 0], label) == ((28, 28, 1), k, k)
        image, label = session.run(picture)
        assert image.dtype == np.uint8 and image.shape[2] == 3 and label in (0, 1)


def test_arrays_for_keras(idx_folder, tmp_path, monkeypatch):
    from corenn_datasets.cifar10 import TEST_FILE, TRAIN_FILES, dump_records

    (tmp_path / "cifar10").mkdir()
    for place, name in enumerate((*TRAIN_FILES, TEST_FILE)):
        (tmp_path / "cifar10" / name).write_bytes(dump_records(np.full((2, 32, 32, 3), place), np.array([place, 9])))
    idx_folder().rename(tmp_path / "mnist")
    monkeypatch.setenv("CORENN_DATA_DIR", str(tmp_path))
    (x, y), (x_test, y_test) = tfds.keras_arrays("cifar10")
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((10, 32, 32, 3), np.uint8, (10, 1), np.uint8)
    assert x[:, 0, 0, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4] and y[::2, 0].tolist() == [0, 1, 2, 3, 4]
    assert x_test.min() == x_test.max() == 5 and y_test.tolist() == [[5], [9]]
    (x, y), (x_test, _) = tfds.keras_arrays("mnist")
    assert (x.shape, x.dtype, y.shape, y.dtype) == ((60, 28, 28), np.uint8, (60,), np.uint8)
    assert len(x_test) == 12 and y.tolist()[:3] == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "split", "said"),
    [
        ("imagenet2012", "train", "no data set 'imagenet2012'"),
        ("digits", "validation", "no split 'validation'"),
        ("digits", "trian", "no split 'trian'"),
        ("digits", "train[:10%", "is not a split"),
        ("digits", "train[10:20%]", "is not a split"),
        ("digits", 3, "is not a split"),
    ],
)
def test_what_is_not_there(name, split, said):
    with pytest.raises(UsageError, match=said.replace("[", r"\[")):
        tfds.load(name, split=split)
    with pytest.raises(UsageError):
        tfds.Split.TRAIN.subsplit(k=2, weighted=(1, 2))
