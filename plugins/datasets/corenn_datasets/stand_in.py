"""Images of a wanted shape for tasks: the data set that was asked for, or where there is none, the embedded digits.

A task that needs images of some shape says which data set it was written for.  That is used when it is in the data
directory, in the cache, or can be downloaded.  Otherwise the embedded handwritten digits take its place, and the
person is told so, and why.  Only what is not there has a stand-in: a damaged file, or one of another set, stays an
error, and so does a data directory (``--data-dir``) that lacks the files.

Images of another size are resized by cubic interpolation, smoothed where they shrink, and stay in [0, 1].  Grey images
become colour images of three equal channels, colour images become grey with the weights 0.2989, 0.587 and 0.114.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from corenn import image
from corenn.errors import DataError, MissingExtraError, PluginError, UsageError
from corenn.plugin import registry
from corenn_datasets import digits
from corenn_datasets.download import UnavailableError
from corenn_datasets.splits import Array, Arrays, DatasetSplits

if TYPE_CHECKING:
    from corenn.training.run import Run

PARITY = ("even digit", "odd digit")
_LUMA = np.array([0.2989, 0.587, 0.114], np.float32)  # red, green, blue: ITU-R BT.601 rounded, as TensorFlow has them
_AT_ONCE = 256  # images


def image_set(
    run: Run,
    name: str | None,
    shape: tuple[int, int, int],
    classes: int | Sequence[str] | None = None,
) -> DatasetSplits:
    """The data set ``name`` (``None``: that of the run) with images of ``shape`` (h, w, c), or digits in its place.

    ``classes``: how many classes the task needs, or their names.  For two, sets of the ten digits (the stand-in is
    one) are labelled 0 for even and 1 for odd digits, and the classes are called as given, or ``PARITY``.

    Returns ``DatasetSplits`` of float32 images in [0, 1] and int32 labels; says through ``run.say`` when it is the
    stand-in.  Raises ``UsageError`` for a data set without labelled images, or with another number of classes;
    ``DataError`` for files that are damaged, of another set, or missing from the data directory that was given, and for
    fewer training images than classes, no test images, or training images of one class.
    """
    called = name or run.config["dataset"]
    try:
        found = run.dataset(called, **_options(called, shape))
    except (UnavailableError, MissingExtraError) as error:
        # Without pooch nothing can be downloaded, as without a network; any other library is needed for what is here.
        if run.config["data_dir"] is not None or getattr(error, "package", "pooch") != "pooch":
            raise
        found = digits.load()
        size = "x".join(map(str, shape))
        why = f"{called}: {error.what}" if isinstance(error, UnavailableError) else f"{error.where} {error.what}"
        run.say(
            f"{why}.  In its place: the embedded digits, {len(found.train.x)} training and "
            f"{len(found.test.x)} test images, resized to {size} (--data-dir DIR uses files of your own)"
        )
    if found.image_shape is None or not found.classes:
        raise UsageError(called, "is not a data set of labelled images", hint="--dataset digits, mnist or cifar10")
    _refuse_too_few(found, run.config["data_dir"])
    return in_classes(in_shape(found, shape), classes)


def _refuse_too_few(splits: DatasetSplits, data_dir: str | None) -> None:
    """Raise ``DataError`` for a set that nothing can be learnt from."""
    where = splits.name if data_dir is None else f"{splits.name} in {data_dir}"
    count, kinds = len(splits.train.x), len(splits.classes)
    if count < kinds or not len(splits.test.x):
        what = f"is too small: {count} training and {len(splits.test.x)} test images of {kinds} classes"
        raise DataError(where, what, hint="give at least as many training images as classes, and a test image")
    found = np.unique(splits.train.y)
    if len(found) < 2:
        what = f"has training images of one class only, {splits.classes[int(found[0])]!r}"
        raise DataError(where, what, hint="are the labels those of these images?")


def in_shape(splits: DatasetSplits, shape: tuple[int, int, int]) -> DatasetSplits:
    """The data set with its images resized and in as many channels (1 or 3) as ``shape`` (h, w, c) has."""
    height, width, channels = wanted = shape[0], shape[1], shape[2]
    if min(height, width) < 1 or channels not in (1, 3):
        raise UsageError(splits.name, f"images have the shape (height, width, 1 or 3), not {wanted}")
    if splits.image_shape == wanted:
        return splits
    parts = [Arrays(_shaped(part.x, wanted), part.y) for part in (splits.train, splits.test)]
    return dataclasses.replace(
        splits,
        train=parts[0],
        test=parts[1],
        image_shape=wanted,
        description=f"{splits.description}, resized to {height}x{width}x{channels}",
        levels=None,
    )


def in_classes(splits: DatasetSplits, classes: int | Sequence[str] | None) -> DatasetSplits:
    """The data set with ``classes`` classes (or classes of these names); the ten digits can also become two."""
    if classes is None:
        return splits
    count = classes if isinstance(classes, int) else len(classes)
    if count == 2 and splits.classes == digits.CLASSES:
        train, test = (Arrays(part.x, part.y % 2) for part in (splits.train, splits.test))
        names = PARITY if isinstance(classes, int) else tuple(classes)
        return dataclasses.replace(splits, train=train, test=test, classes=names)
    if count != len(splits.classes):
        raise UsageError(
            splits.name,
            f"has {len(splits.classes)} classes, and the task needs {count}",
            {"classes": ", ".join(splits.classes)},
            hint="choose another --dataset",
        )
    return splits


def _options(name: str, shape: tuple[int, int, int]) -> dict[str, Any]:
    """For sets whose pictures have no size of their own: the one that is wanted."""
    with contextlib.suppress(PluginError):  # a name that there is not is for run.dataset() to refuse
        if "size" in inspect.signature(registry.get("dataset", name).load()).parameters:
            return {"size": max(shape[:2])}
    return {}


def _shaped(x: Array, shape: tuple[int, int, int]) -> Array:
    height, width, channels = shape
    out = np.empty((len(x), *shape), np.float32)
    for first in range(0, len(x), _AT_ONCE):
        some = x[first : first + _AT_ONCE]
        if channels == 1 < some.shape[-1]:
            some = (some @ _LUMA)[..., np.newaxis]
        if some.shape[1:3] != (height, width):
            resized = image.resize(some, size=(height, width), method="bicubic", antialias=True)
            some = np.clip(resized.numpy(), 0, 1)
        out[first : first + _AT_ONCE] = some  # one grey channel is written to all three
    return out
