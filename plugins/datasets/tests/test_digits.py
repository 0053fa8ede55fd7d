import hashlib

import numpy as np
import pytest
from corenn_datasets import digits

from corenn.errors import UsageError

# The counts by class that UCI states for its test set, and hashes of the arrays taken from scikit-learn's copy.
UCI_COUNTS = [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
IMAGES_SHA256 = "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"
LABELS_SHA256 = "8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0"


def test_the_data_are_those_of_uci() -> None:
    images, labels = digits.images()
    assert images.shape == (1797, 8, 8) and images.dtype == labels.dtype == np.uint8
    assert (images.min(), images.max()) == (0, 16)
    assert np.bincount(labels).tolist() == UCI_COUNTS
    assert hashlib.sha256(images.tobytes()).hexdigest() == IMAGES_SHA256
    assert hashlib.sha256(labels.tobytes()).hexdigest() == LABELS_SHA256


def test_scikit_learn_has_the_same() -> None:
    datasets = pytest.importorskip("sklearn.datasets", exc_type=ImportError)
    images, labels = digits.images()
    theirs = datasets.load_digits()
    np.testing.assert_array_equal(images, theirs.images)
    np.testing.assert_array_equal(labels, theirs.target)


def test_split_is_the_recipe_of_the_documentation() -> None:
    images, labels = digits.images()
    order = sorted(range(1797), key=lambda index: (labels[index], index))
    test = sorted(order[::5])
    train = sorted(set(range(1797)) - set(test))
    splits = digits.load()
    for part, indices in (("test", test), ("train", train)):
        x, y = splits.original(part)
        np.testing.assert_array_equal(x[..., 0], images[indices])
        np.testing.assert_array_equal(y, labels[indices])
    assert (len(train), len(test)) == (1437, 360)
    for k, count in enumerate(UCI_COUNTS):
        assert count // 5 <= np.sum(splits.test.y == k) <= -(-count // 5)


def test_arrays_are_ready_to_train_on() -> None:
    splits = digits.load()
    for x, y in (splits.train, splits.test):
        assert x.shape[1:] == splits.image_shape == (8, 8, 1)
        assert (x.dtype, y.dtype) == (np.float32, np.int32)
        assert (x.min(), x.max()) == (0, 1)
    assert splits.classes == tuple("0123456789")
    assert "CC BY" in splits.licence and "10.24432/C50P49" in splits.source


def test_the_nearest_neighbour_recognises_the_digits() -> None:
    # Labels that slipped against their images would show here: one neighbour is known to get about 0.98 right.
    splits = digits.load()
    train, test = (part.x.reshape(len(part.x), -1) for part in (splits.train, splits.test))
    distance = (test**2).sum(1)[:, None] - 2 * test @ train.T + (train**2).sum(1)
    assert np.mean(splits.train.y[distance.argmin(1)] == splits.test.y) > 0.97


def test_a_data_directory_is_not_ignored() -> None:
    with pytest.raises(UsageError, match="takes no data directory"):
        digits.load("somewhere")
