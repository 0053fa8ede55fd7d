"""MNIST and Fashion-MNIST: 60,000 training and 10,000 test images of 28x28 grey pixels in ten classes, from IDX files.

Sources: Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits; H. Xiao, K. Rasul, R. Vollgraf,
Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms, 2017, arXiv:1708.07747.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from corenn.errors import DataError
from corenn_datasets.download import RemoteFile, fetch_all
from corenn_datasets.folders import common_folder, expanded, is_file, is_folder, listing, state
from corenn_datasets.idx import read_pair
from corenn_datasets.npz import read_arrays
from corenn_datasets.splits import Arrays, DatasetSplits, PathLike, Progress, images_and_labels

IMAGE_SHAPE = (28, 28)
LEVELS = 255
_LARGEST = 1 << 28  # bytes of an array; the published ones have 47 MB


@dataclass(frozen=True, slots=True)
class _Collection:
    """One set in the four files of MNIST: train images, train labels, test images, test labels."""

    name: str
    files: tuple[RemoteFile, RemoteFile, RemoteFile, RemoteFile]
    bases: tuple[str, ...]
    folders: tuple[str, ...]  # where in a data directory the files may lie
    classes: tuple[str, ...]
    description: str
    source: str
    licence: str


_MNIST = _Collection(
    name="mnist",
    files=(
        RemoteFile(
            "train-images-idx3-ubyte.gz", 9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"
        ),
        RemoteFile(
            "train-labels-idx1-ubyte.gz", 28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"
        ),
        RemoteFile(
            "t10k-images-idx3-ubyte.gz", 1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"
        ),
        RemoteFile(
            "t10k-labels-idx1-ubyte.gz", 4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
        ),
    ),
    bases=("https://storage.googleapis.com/cvdf-datasets/mnist", "https://ossci-datasets.s3.amazonaws.com/mnist"),
    folders=("", "mnist", os.path.join("MNIST", "raw")),
    classes=tuple("0123456789"),
    description="70,000 handwritten digits of 28x28 pixels",
    source="Y. LeCun, C. Cortes, C. Burges, The MNIST database of handwritten digits",
    licence="CC BY-SA 3.0",
)

_FASHION = _Collection(
    name="fashion_mnist",
    files=(
        RemoteFile(
            "train-images-idx3-ubyte.gz", 26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
        ),
        RemoteFile(
            "train-labels-idx1-ubyte.gz", 29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
        ),
        RemoteFile(
            "t10k-images-idx3-ubyte.gz", 4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
        ),
        RemoteFile(
            "t10k-labels-idx1-ubyte.gz", 5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
        ),
    ),
    bases=(
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    ),
    folders=("", "fashion_mnist", os.path.join("FashionMNIST", "raw")),
    classes=(
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ),
    description="70,000 pictures of clothing of 28x28 pixels, made to take the place of MNIST",
    source="H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST (2017), arXiv:1708.07747",
    licence="MIT",
)


def load_mnist(data_dir: PathLike | None = None, *, progress: Progress | None = None) -> DatasetSplits:
    """MNIST: train float32[60000, 28, 28, 1] and test float32[10000, 28, 28, 1] in [0, 1], labels int32.

    From the four IDX files in ``data_dir`` (or its subfolder ``mnist`` or ``MNIST/raw``), compressed or not, or from
    ``mnist.npz`` there, as Keras keeps it (``data_dir`` may be that file); without it from such a subfolder of
    ``CORENN_DATA_DIR``, else from the cache, downloading and verifying what is missing and calling
    ``progress(name, received, total)``.
    Raises ``DataError`` naming the file or folder for anything that is missing, damaged or of another set.
    """
    return _load(_MNIST, data_dir, progress)


def load_fashion_mnist(data_dir: PathLike | None = None, *, progress: Progress | None = None) -> DatasetSplits:
    """Fashion-MNIST: shapes, arguments and errors as :func:`load_mnist`.

    The subfolders that are tried are ``fashion_mnist`` and ``FashionMNIST/raw``.
    """
    return _load(_FASHION, data_dir, progress)


def _load(which: _Collection, data_dir: PathLike | None, progress: Progress | None) -> DatasetSplits:
    common = common_folder() if data_dir is None else None
    place = common / which.name if common is not None else None if data_dir is None else expanded(data_dir)
    packed = None if place is None else _packed(which, place)
    if packed is not None:
        return _splits(which, *_read_packed(which, packed))
    found = _in_common_folder(which) if data_dir is None else _find(which, expanded(data_dir), which.folders)
    paths = fetch_all(which.name, which.files, which.bases, progress=progress) if found is None else found
    if found is not None:
        for path, file in zip(paths, which.files, strict=True):
            _refuse_another_set(path, file, which)
    return _splits(which, _read(which, paths[0], paths[1]), _read(which, paths[2], paths[3]))


def _splits(which: _Collection, train: Arrays, test: Arrays) -> DatasetSplits:
    return DatasetSplits(
        name=which.name,
        train=train,
        test=test,
        classes=which.classes,
        image_shape=(*IMAGE_SHAPE, 1),
        description=which.description,
        source=which.source,
        licence=which.licence,
        levels=LEVELS,
    )


def _read(which: _Collection, images: Path, labels: Path) -> Arrays:
    pixels, marks = read_pair(images, labels, classes=len(which.classes), image_shape=IMAGE_SHAPE, largest=_LARGEST)
    return images_and_labels(pixels, marks, LEVELS)


def _packed(which: _Collection, data_dir: Path) -> Path | None:
    """The file ``NAME.npz``, as Keras keeps it, in a data directory that has it; or that file given in its place."""
    if data_dir.suffix == ".npz" and is_file(data_dir):
        return data_dir
    path = data_dir / f"{which.name}.npz"
    return path if is_file(path) else None


def _read_packed(which: _Collection, path: Path) -> tuple[Arrays, Arrays]:
    parts = []
    for part in ("train", "test"):
        images, labels = read_arrays(path, (f"x_{part}", f"y_{part}"), _LARGEST)
        where = f"{path}: x_{part} and y_{part}"
        shapes = {"images": f"{images.dtype}{list(images.shape)}", "labels": f"{labels.dtype}{list(labels.shape)}"}
        if images.shape[1:] != IMAGE_SHAPE or labels.shape != images.shape[:1] or images.dtype != np.uint8:
            what = f"are not uint8[N, {IMAGE_SHAPE[0]}, {IMAGE_SHAPE[1]}] images and N labels"
            raise DataError(where, what, shapes, hint=f"give the file of {which.name}")
        if not len(images) or labels.dtype.kind not in "iu" or not 0 <= labels.min() <= labels.max() < 10:
            what = "hold no images" if not len(images) else "have labels that are not whole numbers from 0 to 9"
            raise DataError(where, what, shapes, hint="the file is corrupt, or belongs to another data set")
        parts.append(images_and_labels(images, labels, LEVELS))
    return parts[0], parts[1]


def _spellings(file: RemoteFile) -> tuple[str, ...]:
    """The names a file goes by: unpacked before compressed, with the dash of the original or the dot of some copies."""
    dashed = file.name.removesuffix(".gz")
    dotted = dashed.replace("-idx", ".idx")
    return dashed, dotted, dashed + ".gz", dotted + ".gz"


def _in_common_folder(which: _Collection) -> list[Path] | None:
    """The four files below ``CORENN_DATA_DIR``, or ``None`` when it has no folder of this set's name.

    The folder itself is not looked at: both sets use the same four names, so files there could be either's.
    """
    common = common_folder()
    folders = tuple(name for name in which.folders if name and common is not None and is_folder(common / name))
    return _find(which, common, folders) if common is not None and folders else None


def _find(which: _Collection, data_dir: Path, folders: tuple[str, ...]) -> list[Path]:
    """The four files, all from the first folder that has them all; never some from one and some from another."""
    best: list[str] = []  # what the fullest folder still lacks
    for folder in (data_dir / name for name in folders):
        found = [_first_file(folder, file) for file in which.files]
        paths = [path for path in found if path is not None]
        if len(paths) == len(found):
            return paths
        lacking = [_spellings(file)[0] for file, path in zip(which.files, found, strict=True) if path is None]
        if not best or len(lacking) < len(best):
            best = lacking
    amount = "lacks some" if len(best) < len(which.files) else "has none"
    raise DataError(
        which.name,
        f"the data directory {data_dir} " + state(data_dir, f"{amount} of the four IDX files"),
        {
            "missing": ", ".join(best),
            "spelt": "as above or with '.idx' for '-idx', with or without '.gz'",
            "looked in": ", ".join(str(data_dir / name) for name in folders),
            "found there": listing(data_dir),
        },
        hint="give the folder that has all four files, or leave --data-dir (data_dir) out to download them",
    )


def _first_file(folder: Path, file: RemoteFile) -> Path | None:
    return next((folder / name for name in _spellings(file) if is_file(folder / name)), None)


def _refuse_another_set(path: Path, file: RemoteFile, which: _Collection) -> None:
    """Raise when a file is known to be another one: both sets use the same four names, so they are easily mixed up."""
    sizes = {known.size for collection in (_MNIST, _FASHION) for known in collection.files}
    try:
        if path.stat().st_size not in sizes:
            return
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:  # reading the file says why, and says it better
        return
    for collection in (_MNIST, _FASHION):
        for known in collection.files:
            if known.sha256 == digest and (collection, known) != (which, file):
                raise DataError(
                    str(path),
                    f"is {known.name} of {collection.name}, not {file.name} of {which.name}",
                    hint=f"put the files of {which.name} there, or load {collection.name}",
                )
