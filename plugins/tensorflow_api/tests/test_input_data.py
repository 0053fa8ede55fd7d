"""``input_data.read_data_sets`` over small files, and the batches it hands out."""

from __future__ import annotations

import numpy as np
import pytest
from corenn_datasets import mnist as mnist_module
from corenn_datasets.splits import DatasetSplits, images_and_labels
from corenn_tensorflow import input_data
from corenn_tensorflow.input_data import DataSet, read_data_sets

from corenn.errors import DataError, UsageError


def numbers(images) -> list[int]:
    """Which examples these are: the first pixel says it."""
    return [round(float(v)) for v in np.asarray(images).reshape(len(images), -1)[:, 0] * 255]


def dataset(n: int, **options) -> DataSet:
    images = np.zeros((n, 4, 3, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(n)
    return DataSet(images, np.arange(n), **options)


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("one_hot", [True, False])
def test_shapes_dtypes_and_ranges(idx_folder, compressed, one_hot):
    found = read_data_sets(str(idx_folder(compressed=compressed)), one_hot=one_hot, validation_size=7)
    assert [part.num_examples for part in found] == [53, 7, 12]
    assert (found.train.images.shape, found.train.images.dtype) == ((53, 784), np.float32)
    assert found.train.images.max() == 1.0 and found.train.images.min() == 7 * np.float32(1 / 255)
    assert numbers(found.validation.images) == list(range(7)) and numbers(found.train.images) == list(range(7, 60))
    if one_hot:
        assert found.train.labels.shape == (53, 10) and found.train.labels.dtype == np.float64
        assert (found.train.labels.argmax(1) == np.arange(7, 60) % 10).all() and (found.train.labels.sum(1) == 1).all()
    else:
        assert found.train.labels.dtype == np.uint8 and (found.train.labels == np.arange(7, 60) % 10).all()


@pytest.mark.parametrize("dtype", ["uint8", np.uint8, np.dtype("uint8")])
def test_bytes_and_images_as_they_are(idx_folder, dtype):
    found = read_data_sets(idx_folder(shape=(5, 4)), dtype=dtype, reshape=False, validation_size=0)
    assert (found.train.images.shape, found.train.images.dtype) == ((60, 5, 4, 1), np.uint8)
    assert found.validation.num_examples == 0
    with pytest.raises(UsageError, match="no examples"):
        found.validation.next_batch(1)


def test_dtypes_of_corenn_and_wrong_ones(idx_folder):
    import corenn

    folder = idx_folder()
    assert read_data_sets(folder, dtype=corenn.uint8, validation_size=1).train.images.dtype == np.uint8
    with pytest.raises(TypeError, match="expected uint8 or float32"):
        read_data_sets(folder, dtype="int32", validation_size=1)


def test_a_small_set_gives_a_twelfth_to_validation_and_says_so(idx_folder, capsys):
    found = read_data_sets(idx_folder(train=120))
    assert [part.num_examples for part in found] == [110, 10, 12]
    assert capsys.readouterr().err == "read_data_sets: 120 training images only: validation_size is 10, not 5000\n"
    assert read_data_sets(idx_folder(train=24), validation_size=24).train.num_examples == 0
    assert capsys.readouterr().err == ""


def test_batches_without_shuffling_go_on_over_the_end():
    data = dataset(5)
    seen = [(numbers(data.next_batch(2, shuffle=False)[0]), data.epochs_completed) for _ in range(5)]
    assert seen == [([0, 1], 0), ([2, 3], 0), ([4, 0], 1), ([1, 2], 1), ([3, 4], 1)]
    assert numbers(data.next_batch(12, shuffle=False)[0]) == [0, 1, 2, 3, 4] * 2 + [0, 1] and data.epochs_completed == 4


def test_every_epoch_has_all_examples_in_an_order_of_its_own():
    data = dataset(50, seed=3)
    epochs = [[n for _ in range(5) for n in numbers(data.next_batch(10)[0])] for _ in range(3)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in [*epochs, range(50)]}) == 4
    assert data.epochs_completed == 2  # the third ends with the next batch, as in TensorFlow
    data.next_batch(1)
    assert data.epochs_completed == 3


def test_a_batch_over_the_end_has_the_rest_and_the_start_of_the_next_epoch():
    data = dataset(10, seed=1)
    first = numbers(data.next_batch(8)[0])
    images, labels = data.next_batch(5)
    assert sorted(first + numbers(images)[:2]) == list(range(10)) and numbers(images) == list(labels)
    rest = numbers(data.next_batch(7)[0])
    assert sorted(numbers(images)[2:] + rest) == list(range(10))


def test_the_order_is_that_of_the_seed_or_of_numpy():
    def drawn(**options):
        return numbers(dataset(20, **options).next_batch(20)[0])

    assert drawn(seed=5) == drawn(seed=5) != drawn(seed=6)
    np.random.seed(1)
    first = drawn()
    np.random.seed(1)
    assert drawn() == first != drawn()
    # The first epoch's order is that of NumPy's own shuffle, as in TensorFlow.
    order = np.arange(20)
    np.random.RandomState(5).shuffle(order)
    assert drawn(seed=5) == list(order)


def test_fake_data(tmp_path):
    found = read_data_sets(tmp_path, fake_data=True, one_hot=True)
    images, labels = found.train.next_batch(3)
    assert images == [[1] * 784] * 3 and labels == [[1] + [0] * 9] * 3 and found.test.num_examples == 10000
    assert dataset(3).next_batch(2, fake_data=True) == ([[1] * 784] * 2, [0, 0])


@pytest.fixture
def loaders(monkeypatch):
    """Loaders that make small sets instead of downloading; the names of those that were called."""
    called: list[str] = []

    def splits(name):
        part = images_and_labels(np.full((24, 28, 28), 51, np.uint8), np.zeros(24, np.uint8), 255)
        return DatasetSplits(name, part, part, tuple("0123456789"), (28, 28, 1), "", "", "", 255)

    for name in ("mnist", "fashion_mnist"):
        monkeypatch.setattr(mnist_module, f"load_{name}", lambda name=name: called.append(name) or splits(name))
    return called


@pytest.mark.parametrize(
    ("options", "loader"),
    [
        ({}, "mnist"),
        ({"source_url": "http://yann.lecun.com/exdb/mnist/"}, "mnist"),
        ({"source_url": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"}, "fashion_mnist"),
        ({"source_url": "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"}, "fashion_mnist"),
    ],
)
def test_without_files_the_set_comes_from_the_cache(tmp_path, loaders, options, loader):
    found = read_data_sets(tmp_path / "nothing", validation_size=4, **options)
    assert loaders == [loader] and found.train.num_examples == 20
    assert found.train.images[0, 0] == np.float32(51 * np.float32(1 / 255))
    assert not (tmp_path / "nothing").exists()


def test_files_and_no_network(tmp_path, idx_folder, monkeypatch):
    monkeypatch.setenv("CORENN_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CORENN_OFFLINE", "1")
    with pytest.raises(DataError) as caught:
        read_data_sets(tmp_path / "MNIST_data")
    for part in ("MNIST_data", "has none of the four files", "CORENN_OFFLINE", "train-images-idx3-ubyte"):
        assert part in str(caught.value)
    folder = idx_folder()
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte") as caught:
        read_data_sets(folder)
    assert "some of the four files" in str(caught.value)
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(b"<html>")
    with pytest.raises(DataError, match="not an IDX file"):
        read_data_sets(folder)


@pytest.mark.parametrize(
    "call",
    [
        lambda folder: read_data_sets(folder, validation_size=-1),
        lambda folder: dataset(3).next_batch(0),
        lambda folder: DataSet(np.zeros((3, 4, 4, 1)), np.zeros(2)),
        lambda folder: DataSet(np.zeros((3, 4, 4, 3)), np.zeros(3)),
    ],
)
def test_wrong_arguments(idx_folder, call):
    with pytest.raises(ValueError):
        call(idx_folder())


def test_load_mnist_is_read_data_sets(idx_folder, capsys):
    assert input_data.load_mnist(idx_folder(train=36)).train.num_examples == 33
