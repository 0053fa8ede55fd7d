"""``tensorflow_datasets`` over corenn's data sets."""

from __future__ import annotations

import numpy as np
import pytest
from corenn_datasets import digits
from corenn_tensorflow import datasets_shim as tfds

from corenn.data import Dataset
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
def test_splits(split, sizes):
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
            assert isinstance(found, Dataset) and len(found) == expected

    check(tfds.load("digits", split=split), sizes)


def test_pieces_meet_without_gap_or_overlap(original):
    (_, y), _ = original
    for pieces in (tfds.Split.TRAIN.subsplit(weighted=(80, 10, 10)), ["train[:33%]", "train[33%:67%]", "train[67%:]"]):
        found = tfds.load("digits", split=list(pieces), as_supervised=True, batch_size=-1)
        assert np.array_equal(np.concatenate([label for _, label in found]), y)


def test_elements(original):
    (x, y), _ = original
    (pair,) = tfds.load("digits", split="train", as_supervised=True).take(1)
    (element,) = tfds.load("digits", split="train").take(1)
    assert list(element) == ["image", "label"]
    for image, label in (pair, (element["image"], element["label"])):
        assert (image.shape, image.dtype, label.dtype) == ((8, 8, 1), np.uint8, np.int64)
        assert np.array_equal(image, x[0]) and label == y[0]
    batch = next(iter(tfds.load("digits", split="test", batch_size=32, as_supervised=True)))
    assert batch[0].shape == (32, 8, 8, 1)
    assert tfds.load("digits", split="test", batch_size=-1)["image"].shape == (TEST, 8, 8, 1)
    images = [e["label"] for e in tfds.load("digits", split="train", shuffle_files=True)]
    assert sorted(images) == sorted(y) and images != list(y)


def test_info():
    (train, _), info = tfds.load("digits", split=["train", "test"], with_info=True, as_supervised=True)
    assert len(train) == info.splits["train"].num_examples == TRAIN and info.splits["test"].num_examples == TEST
    assert info.features["label"].num_classes == 10 and info.features["image"].shape == (8, 8, 1)
    label = info.features["label"]
    assert label.int2str(3) == "3" and label.str2int("7") == 7 and label.names == list("0123456789")
    assert info.supervised_keys == ("image", "label") and info.name == info.full_name == "digits"
    with pytest.raises(UsageError):
        label.str2int("eleven")


def test_sets_that_are_not_images():
    _, info = tfds.load("sine", split="train", with_info=True)
    assert list(info.features) == ["features", "target"]
    (element,) = tfds.load("blobs", split="train").take(1)
    assert element["features"].dtype == np.float32 and element["label"].dtype == np.int64


def test_builders_and_names():
    builder = tfds.builder("digits")
    builder.download_and_prepare()
    assert len(builder.as_dataset(split="test")) == builder.info.splits["test"].num_examples
    assert {"digits", "mnist", "fashion_mnist"} <= set(tfds.list_builders())
    assert len(tfds.load("digits:1.0.0", tfds.Split.TEST)) == TEST
    assert tfds.as_numpy({"a": [np.ones(2)]})["a"][0].sum() == 2


def test_a_folder_to_download_to_holds_nothing_to_read(tmp_path):
    with pytest.raises(UsageError, match="takes no data directory"):
        (tmp_path / "x").write_text("")
        tfds.load("digits", split="test", data_dir=str(tmp_path))
    assert len(tfds.load("digits", split="test", data_dir=str(tmp_path / "new"))) == TEST


def test_mnist_files_are_read_from_data_dir(idx_folder):
    train, test = tfds.load("mnist", split=["train", "test"], data_dir=idx_folder(), as_supervised=True)
    assert (len(train), len(test)) == (60, 12)
    assert next(iter(train))[0].shape == (28, 28, 1)


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
