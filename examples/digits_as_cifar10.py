"""Write the embedded handwritten digits (UCI, CC BY 4.0) in the format of CIFAR-10, for programs that read that.

    python examples/digits_as_cifar10.py DATA/cifar10

A stand-in to try programs with, not CIFAR-10: class 0, "airplane", is the digit 0, and so on.  The images are enlarged
to 32x32 and painted in one colour on a dark ground of another; the colours depend on the position in the file only, so
they say nothing about the class.  1,437 images are for training, in five files, and 360 for testing.  Nothing is
downloaded.  ``CORENN_DATA_DIR=DATA`` makes them what ``keras.datasets.cifar10.load_data()`` reads.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from corenn_datasets.cifar10 import TEST_FILE, TRAIN_FILES, dump_records
from corenn_datasets.digits import LEVELS, held_out, images

from corenn import image


def painted(pixels: np.ndarray, first: int = 0) -> np.ndarray:
    """``uint8[n, 8, 8]`` with values 0..16 as ``uint8[n, 32, 32, 3]``; ``first``: the position of the first image."""
    grey = image.resize(pixels[..., None].astype(np.float32) / LEVELS, size=(24, 24), method="bilinear").numpy()
    grey = np.pad(grey, ((0, 0), (4, 4), (4, 4), (0, 0)))
    place = np.arange(first, first + len(pixels))[:, None, None, None]
    # Three channels in turn go round in steps that have no common factor, so no two neighbours are alike.
    ink = 155 + (place * np.array([37, 59, 83])) % 101
    ground = (place * np.array([41, 23, 67])) % 90
    return np.clip(np.rint(ground + grey * (ink - ground)), 0, 255).astype(np.uint8)


def write(directory: Path) -> None:
    """Write the six files."""
    pixels, labels = images()
    test = held_out(labels)
    directory.mkdir(parents=True, exist_ok=True)
    places = [*np.array_split(np.flatnonzero(~test), len(TRAIN_FILES)), np.flatnonzero(test)]
    for name, chosen in zip((*TRAIN_FILES, TEST_FILE), places, strict=True):
        coloured = painted(pixels[chosen], int(chosen[0]))
        (directory / name).write_bytes(dump_records(coloured, labels[chosen]))
        print(f"{directory / name}: {coloured.shape}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(Path(sys.argv[1]))
