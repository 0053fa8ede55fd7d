"""What every file of weights is read as: layers with named arrays, whose values stay in the file until needed."""

from __future__ import annotations

import dataclasses
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Literal

import numpy as np

from corenn.errors import CheckpointError

#: What ``zipfile`` raises for archives that are not whole.
ZIP_ERRORS = (
    zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, UnicodeError, zlib.error, struct.error,
    OverflowError,
)  # fmt: skip

Array = np.ndarray[Any, Any]

#: How a file names and lays out arrays.  ``corenn``: as ``Model.save_weights``.  ``keras``: weights of layers in order.
#: ``keras3``: the paths of objects in a model.  ``torch``: modules with parameters and buffers.
Layout = Literal["corenn", "keras", "keras3", "torch"]


@dataclasses.dataclass(frozen=True)
class Stored:
    """An array of a file.  ``name`` is the file's own, ``dtype`` NumPy's name of the element type."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], Array] = dataclasses.field(repr=False, compare=False)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=object))


@dataclasses.dataclass
class SavedLayer:
    """A layer of a file: its arrays by what they are in it (``kernel``, ``weight_ih``, ``vars/0``).

    ``place``: for the layout ``keras3``, the name that says which layer of its class this is.
    """

    name: str
    arrays: dict[str, Stored]
    place: str | None = None


@dataclasses.dataclass
class WeightFile:
    """An open file of weights; use it in a ``with``.

    ``kind``: a few words for a person.  ``ordered``: whether the layers stand in the order of the model that was saved.
    ``notes``: what a person may want to know of what was left out.  ``close()`` lets go of the file; the ``with`` does.
    """

    path: str
    kind: str
    layout: Layout
    layers: list[SavedLayer]
    ordered: bool = True
    notes: list[str] = dataclasses.field(default_factory=list)
    close: Callable[[], None] = lambda: None

    def arrays(self) -> Iterator[Stored]:
        """All arrays, layer by layer."""
        for layer in self.layers:
            yield from layer.arrays.values()

    def __enter__(self) -> WeightFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def damaged(path: str, why: str) -> CheckpointError:
    """The error for a file that is not what a program of its kind writes."""
    return CheckpointError(path, f"is damaged: {why}", hint="copy or download the file again, and compare checksums")


__all__ = ["ZIP_ERRORS", "Array", "Layout", "SavedLayer", "Stored", "WeightFile", "damaged"]
