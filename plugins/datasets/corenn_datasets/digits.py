"""The embedded data set: UCI optical recognition of handwritten digits, 1,797 images of 8x8 pixels.

Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998,
https://doi.org/10.24432/C50P49, licence CC BY 4.0.  ``data/README.md`` beside this file says what was changed.

The split, without any random numbers: number the images by class, in file order within a class; positions 0, 5, 10,
... are the test set (360 images) and the rest the training set (1,437).  Both keep the order of the file.  Each class
gives a fifth of its images, rounded up or down.  All 1,797 images were written by the same 13 people, who are in both
parts, so the test accuracy speaks of new images, not of new writers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from corenn_datasets.idx import read_pair
from corenn_datasets.splits import Array, DatasetSplits, PathLike, Progress, images_and_labels, refuse_data_dir

CLASSES = tuple("0123456789")
LEVELS = 16
_TEST_EVERY = 5
_FILES = Path(__file__).parent / "data"


def images() -> tuple[Array, Array]:
    """All images as stored, uint8[1797, 8, 8] with values 0..16, and their labels uint8[1797], in the file's order."""
    return read_pair(
        _FILES / "digits-images.idx3-ubyte.gz",
        _FILES / "digits-labels.idx1-ubyte.gz",
        classes=len(CLASSES),
        image_shape=(8, 8),
    )


def held_out(labels: Array) -> npt.NDArray[np.bool_]:
    """Which examples are the test set, bool[N]: every fifth once the examples are sorted stably by label."""
    mask = np.zeros(len(labels), np.bool_)
    mask[np.argsort(labels, kind="stable")[::_TEST_EVERY]] = True
    return mask


def load(data_dir: PathLike | None = None, *, progress: Progress | None = None) -> DatasetSplits:
    """The digits: train float32[1437, 8, 8, 1] and test float32[360, 8, 8, 1] in [0, 1], labels int32.

    Needs neither files nor a network, so ``progress`` is never called.  Raises ``UsageError`` when ``data_dir`` is
    given.
    """
    refuse_data_dir("digits", data_dir)
    pixels, labels = images()
    test = held_out(labels)
    return DatasetSplits(
        name="digits",
        train=images_and_labels(pixels[~test], labels[~test], LEVELS),
        test=images_and_labels(pixels[test], labels[test], LEVELS),
        classes=CLASSES,
        image_shape=(8, 8, 1),
        description="1,797 handwritten digits of 8x8 pixels (UCI optical recognition of handwritten digits)",
        source="E. Alpaydin, C. Kaynak (1998), UCI Machine Learning Repository, https://doi.org/10.24432/C50P49",
        licence="CC BY 4.0",
        levels=LEVELS,
    )
