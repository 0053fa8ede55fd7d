"""What every data set returns: :class:`DatasetSplits`, NumPy arrays on the host with a little about their origin."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from corenn.errors import DataError, UsageError

Array: TypeAlias = npt.NDArray[Any]
PathLike: TypeAlias = str | os.PathLike[str]

#: Called while a data set is downloaded: a file's name, the bytes received so far and the bytes there are.
Progress: TypeAlias = Callable[[str, int, int], None]


class Arrays(NamedTuple):
    """Examples and targets of one part, unpacked as ``x, y``; the first axis of both counts the examples."""

    x: Array
    y: Array


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class DatasetSplits:
    """A data set in memory.

    ``train`` and ``test`` are ``(x, y)``.  For images ``x`` is float32[N, H, W, C] in [0, 1] and ``y`` int32[N] with
    values in ``range(len(classes))``.  Other sets have float32 ``x`` of any shape [N, ...], or int32 where its numbers
    count ``classes`` (text, whose ``y`` has the shape of ``x``); a regression has no ``classes`` and a float32 ``y``.
    ``image_shape`` is (H, W, C), or ``None`` when the examples are not images.
    ``levels`` is the largest pixel value of the file the images came from (255, or 16 for the digits).

    Raises ``DataError`` when the arrays contradict each other.
    """

    name: str
    train: Arrays
    test: Arrays
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int] | None
    description: str
    source: str
    licence: str
    levels: int | None = None

    def __post_init__(self) -> None:
        for part, (x, y) in (("train", self.train), ("test", self.test)):
            if len(x) != len(y):
                raise DataError(self.name, f"{part} has {len(x)} examples but {len(y)} targets")
            if self.image_shape is not None and x.shape[1:] != self.image_shape:
                raise DataError(self.name, f"{part} images have shape {x.shape[1:]}, not {self.image_shape}")
            if self.classes and len(y) and not 0 <= int(y.min()) <= int(y.max()) < len(self.classes):
                raise DataError(
                    self.name,
                    f"{part} labels run from {y.min()} to {y.max()}, but there are {len(self.classes)} classes",
                )

    def original(self, part: Literal["train", "test"]) -> Arrays:
        """The images as the file holds them, uint8[N, H, W, C] in 0..levels, with their labels.

        Exact: the float pixels are the bytes divided by ``levels``, and rounding the product gives the bytes back.
        Raises ``UsageError`` for a data set that does not come from integer pixels, or another ``part``.
        """
        if part not in ("train", "test"):
            raise UsageError(self.name, f"there is no part {part!r}", hint="the parts are 'train' and 'test'")
        if self.levels is None:
            raise UsageError(self.name, "is not made of integer pixels", hint=f"use .{part}.x")
        x, y = self.train if part == "train" else self.test
        return Arrays(np.rint(x * np.float32(self.levels)).astype(np.uint8), y)

    def __repr__(self) -> str:
        parts = ", ".join(
            f"{part}=({x.dtype}{list(x.shape)}, {y.dtype}{list(y.shape)})"
            for part, (x, y) in (("train", self.train), ("test", self.test))
        )
        kinds = f"{len(self.classes)} classes" if self.classes else "regression"
        return f"DatasetSplits({self.name!r}, {parts}, {kinds})"


def images_and_labels(images: Array, labels: Array, levels: int) -> Arrays:
    """Images and labels uint8[N] as float32[N, H, W, C] in [0, 1] and int32[N].

    ``images``: uint8[N, H, W, C], or grey ones uint8[N, H, W], which get C = 1.
    """
    if images.ndim == 3:
        images = images[..., np.newaxis]
    x = np.divide(images, np.float32(levels), dtype=np.float32)
    return Arrays(x, labels.astype(np.int32))


def refuse_data_dir(name: str, data_dir: PathLike | None) -> None:
    """Raise ``UsageError`` when a data set that reads no files is given a directory, instead of ignoring it."""
    if data_dir is not None:
        raise UsageError(
            name,
            "reads no files, so it takes no data directory",
            {"data_dir": data_dir},
            hint="leave --data-dir (data_dir) out, or choose a data set that reads files, for example mnist",
        )
