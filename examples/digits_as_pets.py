"""Write the embedded handwritten digits (UCI, CC BY 4.0) as the folder of cats_vs_dogs, for programs that read that.

    python examples/digits_as_pets.py DATA/cats_vs_dogs

A stand-in to try programs with, not photographs: the digits 0 to 4 lie in ``PetImages/Cat`` and 5 to 9 in
``PetImages/Dog``, as JPEG files of 60 to 119 pixels a side, in colours that say nothing about the class.  Needs pillow;
nothing is downloaded.  ``CORENN_DATA_DIR=DATA`` makes them what ``tfds.load("cats_vs_dogs")`` reads.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from corenn_datasets.digits import LEVELS, images
from PIL import Image


def painted(pixels: np.ndarray, place: int) -> Image.Image:
    """``uint8[8, 8]`` with values 0..16 as a picture; its colours and size depend on its place in the file only."""
    height, width = 60 + place * 7 % 60, 60 + place * 11 % 60
    grey = Image.fromarray((pixels.astype(np.float32) * (255 / LEVELS)).astype(np.uint8))
    share = np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR), np.float32)[..., None] / 255
    ink = 155 + place * np.array([37, 59, 83]) % 101
    ground = place * np.array([41, 23, 67]) % 90
    return Image.fromarray(np.rint(ground + share * (ink - ground)).astype(np.uint8))


def write(directory: Path) -> None:
    """Write ``PetImages/Cat`` and ``PetImages/Dog``, numbered from 0 each."""
    pixels, labels = images()
    for kind, digits in (("Cat", range(5)), ("Dog", range(5, 10))):
        folder = directory / "PetImages" / kind
        folder.mkdir(parents=True, exist_ok=True)
        places = np.flatnonzero(np.isin(labels, list(digits)))
        for number, place in enumerate(places):
            painted(pixels[place], int(place)).save(folder / f"{number}.jpg", "JPEG", quality=92)
        print(f"{folder}: {len(places)} pictures")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(Path(sys.argv[1]))
