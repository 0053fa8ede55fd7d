"""Write the embedded handwritten digits (UCI, CC BY 4.0) as the four IDX files of MNIST, for scripts that read those.

    python examples/digits_as_mnist.py MNIST_data

The 1,797 images of 8x8 are enlarged to 28x28 bilinearly and scaled to 0..255; 1,437 are for training and 360 for
testing, as in ``corenn run digits``.  Nothing is downloaded.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
from corenn_datasets.digits import LEVELS, held_out, images
from corenn_datasets.idx import dump_idx

from corenn import image


def enlarged(pixels: np.ndarray) -> np.ndarray:
    """``uint8[n, 8, 8]`` with values 0..16 as ``uint8[n, 28, 28]``, the digit in the middle 20x20 as in MNIST."""
    scaled = pixels[..., None].astype(np.float32) / LEVELS
    inner = image.resize(scaled, size=(20, 20), method="bilinear").numpy()[..., 0]
    framed = np.pad(inner, ((0, 0), (4, 4), (4, 4)))
    return np.clip(np.rint(framed * 255), 0, 255).astype(np.uint8)


def write(directory: Path) -> None:
    """Write the four files."""
    pixels, labels = images()
    test = held_out(labels)
    directory.mkdir(parents=True, exist_ok=True)
    for prefix, chosen in (("train", ~test), ("t10k", test)):
        files = {"images-idx3": enlarged(pixels[chosen]), "labels-idx1": labels[chosen].astype(np.uint8)}
        for name, array in files.items():
            path = directory / f"{prefix}-{name}-ubyte.gz"
            path.write_bytes(gzip.compress(dump_idx(array), mtime=0))
            print(f"{path}: {array.shape}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(Path(sys.argv[1]))
