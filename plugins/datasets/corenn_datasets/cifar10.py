"""CIFAR-10: 50,000 training and 10,000 test colour images of 32x32 pixels in ten classes, from the binary files.

``corenn_datasets.cifar_binary`` describes the files and where they come from.
"""

from __future__ import annotations

from corenn_datasets.cifar_binary import IMAGE_SHAPE, LEVELS, BinarySet, dump_records, load_parts
from corenn_datasets.download import RemoteFile
from corenn_datasets.splits import DatasetSplits, PathLike, Progress, images_and_labels

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
TRAIN_FILES = tuple(f"data_batch_{k}.bin" for k in range(1, 6))
TEST_FILE = "test_batch.bin"

_FILE_BYTES = 10_000 * 3073
_SET = BinarySet(
    name="cifar10",
    title="CIFAR-10",
    archive=RemoteFile(
        "cifar-10-binary.tar.gz", 170052171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
    ),
    folder="cifar-10-batches-bin",
    train=TRAIN_FILES,
    test=TEST_FILE,
    label_classes=(len(CLASSES),),
    largest_file=_FILE_BYTES,
    largest_archive=8 * _FILE_BYTES,  # the published one has a little more than six files
    pickles=("data_batch_1", "cifar-10-batches-py/data_batch_1", "cifar10/cifar-10-batches-py/data_batch_1"),
)
FOLDER = _SET.folder


def load(data_dir: PathLike | None = None, *, progress: Progress | None = None) -> DatasetSplits:
    """CIFAR-10: train float32[50000, 32, 32, 3] and test float32[10000, 32, 32, 3] in [0, 1], labels int32.

    From the six ``.bin`` files or ``cifar-10-binary.tar.gz`` in ``data_dir`` (or its subfolder ``cifar10`` or
    ``cifar-10-batches-bin``); without it from ``CORENN_DATA_DIR`` where that has one of those, else from the cache,
    downloading and verifying the archive and calling ``progress(name, received, total)``.  Files with other numbers of
    records are read as well.  Raises ``DataError`` naming the file for what is missing, damaged or something else.
    """
    (train, train_labels), (test, test_labels) = load_parts(_SET, data_dir, progress)
    return DatasetSplits(
        name=_SET.name,
        train=images_and_labels(train, train_labels[:, 0], LEVELS),
        test=images_and_labels(test, test_labels[:, 0], LEVELS),
        classes=CLASSES,
        image_shape=IMAGE_SHAPE,
        description="60,000 colour images of 32x32 pixels in ten classes",
        source="A. Krizhevsky, Learning multiple layers of features from tiny images (2009)",
        licence="none stated",
        levels=LEVELS,
    )


__all__ = ["CLASSES", "FOLDER", "IMAGE_SHAPE", "TEST_FILE", "TRAIN_FILES", "DatasetSplits", "dump_records", "load"]
