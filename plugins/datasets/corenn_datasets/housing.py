"""House prices to predict: Boston 1978 (506 tracts, 13 features) and California 1990 (20,640 blocks, 8 features).

Sources: D. Harrison, D. Rubinfeld, Hedonic housing prices and the demand for clean air, 1978; R. K. Pace, R. Barry,
Sparse spatial autoregressions, 1997; in the ``.npz`` files of arrays that Keras uses, which are read without pickle.
One feature of the Boston set was made from the share of Black residents on the assumption that it lowers prices, so it
is for comparing with old programs only; the California set is the better one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from corenn.errors import DataError
from corenn_datasets.download import RemoteFile, fetch_all
from corenn_datasets.folders import common_folder, expanded, is_file, listing, state
from corenn_datasets.npz import read_arrays
from corenn_datasets.splits import Array, Arrays, DatasetSplits, PathLike, Progress
from corenn_datasets.zips import AGAIN

_BASES = ("https://storage.googleapis.com/tensorflow/tf-keras-datasets",)
_LARGEST = 64 << 20  # bytes of one array; the published ones have less than 2 MB
_SEED, _TEST_PART = 113, 0.2  # the split that Keras makes by default


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    file: RemoteFile
    features: tuple[str, ...]
    description: str
    source: str


_BOSTON = _Table(
    name="boston_housing",
    file=RemoteFile("boston_housing.npz", 57026, "f553886a1f8d56431e820c5b82552d9d95cfcb96d1e678153f8839538947dff5"),
    features=("CRIM", "ZN", "INDUS", "CHAS", "NOX", "RM", "AGE", "DIS", "RAD", "TAX", "PTRATIO", "B", "LSTAT"),
    description="506 census tracts of Boston: 13 features and the median price of homes in 1,000 dollars",
    source="D. Harrison, D. Rubinfeld, Hedonic housing prices and the demand for clean air (1978)",
)
_CALIFORNIA = _Table(
    name="california_housing",
    file=RemoteFile(
        "california_housing.npz", 743530, "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f"
    ),
    features=("MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude"),
    description="20,640 blocks of California: 8 features and the median price of homes in dollars",
    source="R. K. Pace, R. Barry, Sparse spatial autoregressions (1997)",
)


def load_boston(data_dir: PathLike | None = None, *, progress: Progress | None = None) -> DatasetSplits:
    """Boston: x float32[N, 13], y float32[N] in 1,000 dollars; 404 training and 102 test examples, as Keras splits.

    From ``boston_housing.npz`` in ``data_dir`` (or that file itself); without it from ``CORENN_DATA_DIR``, else from
    the cache, downloading and verifying it.  Raises ``DataError`` naming the file for what is missing or damaged.
    """
    return _load(_BOSTON, data_dir, progress)


def load_california(data_dir: PathLike | None = None, *, progress: Progress | None = None) -> DatasetSplits:
    """California: x float32[N, 8], y float32[N] in dollars; 16,512 training and 4,128 test examples, as Keras splits.

    From ``california_housing.npz``; everything else as for :func:`load_boston`.
    """
    return _load(_CALIFORNIA, data_dir, progress)


def _load(which: _Table, data_dir: PathLike | None, progress: Progress | None) -> DatasetSplits:
    path = _in_common_folder(which) if data_dir is None else _find(which, expanded(data_dir))
    if path is None:
        (path,) = fetch_all(which.name, [which.file], _BASES, progress=progress)
    x, y = _read(which, path)
    order = np.arange(len(x))
    np.random.RandomState(_SEED).shuffle(order)  # the generator whose numbers Keras' split was made with
    x, y, cut = x[order], y[order], int(len(x) * (1 - _TEST_PART))
    return DatasetSplits(
        name=which.name,
        train=Arrays(x[:cut], y[:cut]),
        test=Arrays(x[cut:], y[cut:]),
        classes=(),
        image_shape=None,
        description=which.description,
        source=which.source,
        licence="none stated",
    )


def _read(which: _Table, path: Path) -> tuple[Array, Array]:
    """The two arrays of the file, float32."""
    where, (x, y) = str(path), read_arrays(path, ("x", "y"), _LARGEST)
    y = np.squeeze(y)
    fits = x.ndim == 2 and x.shape[1] == len(which.features) and y.shape == x.shape[:1]
    numbers = x.dtype.kind in "fiu" and y.dtype.kind in "fiu"
    if not fits or not numbers or len(x) < 5:
        found = {"x": f"{x.dtype}{list(x.shape)}", "y": f"{y.dtype}{list(y.shape)}"}
        what = f"is not {which.name}: it needs at least 5 rows of {len(which.features)} features and as many prices"
        raise DataError(where, what, found, hint="the file is corrupt, or belongs to another data set")
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite
        x, y = x.astype(np.float32), y.astype(np.float32)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError(where, "holds numbers that are not finite, or too large for float32", hint=AGAIN)
    return x, y


def _in_common_folder(which: _Table) -> Path | None:
    common = common_folder()
    names = (which.file.name, f"{which.name}/{which.file.name}")
    return next((common / name for name in names if is_file(common / name)), None) if common is not None else None


def _find(which: _Table, data_dir: Path) -> Path:
    """The file: ``data_dir`` itself, or in it or its subfolder of the set's name."""
    for path in (data_dir, data_dir / which.file.name, data_dir / which.name / which.file.name):
        if is_file(path):
            return path
    raise DataError(
        which.name,
        f"the data directory {data_dir} " + state(data_dir, f"has no {which.file.name}"),
        {"found there": listing(data_dir)},
        hint="give the folder that has it, or leave --data-dir (data_dir) out to download it",
    )


__all__ = ["load_boston", "load_california"]
