"""The directory of a file cache: ``leaf<k>.npy`` (the bytes of leaf k of all elements, one after another),
``leaf<k>.shapes.npy`` where its shapes vary, and ``meta.json`` (structure, dtypes, count, the pipeline it came from).

It is written under another name and renamed when complete, so a directory of the right name is never half a cache.
"""

from __future__ import annotations

import array
import json
import os
import secrets
import shutil
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from corenn.data.protocol import Node
from corenn.data.structure import Element, Mismatch, leaves, map_leaves, named_leaves
from corenn.dtypes import extension_dtype
from corenn.errors import CorennError, DataError

_FORMAT = "corenn dataset cache"
_VERSION = 1


class Writer:
    """Writes elements as they come; nothing is left behind unless :meth:`finish` was reached."""

    def __init__(self, node: Node, directory: str) -> None:
        self.node, self.directory = node, directory
        self.temporary = f"{directory}.{secrets.token_hex(4)}.tmp"
        self.count = 0
        self.first: Element = None
        self.columns: list[Column] = []
        os.makedirs(self.temporary)

    def add(self, element: Element) -> None:
        """Append one element."""
        if not self.count:
            self.first = element
            plain_structure(self.node, element)
            self.columns = [
                Column(self.node, path, leaf, os.path.join(self.temporary, f"leaf{k}"))
                for k, (path, leaf) in enumerate(named_leaves(map_leaves(np.asarray, element)))
            ]
        try:
            parts = leaves(map_leaves(lambda _, leaf: np.asarray(leaf), self.first, element))
        except Mismatch as mismatch:
            raise mismatch.error(
                "Dataset.cache", self.node.site, "every element must have the same tuples and dicts"
            ) from None
        for column, leaf in zip(self.columns, parts, strict=True):
            column.add(leaf)
        self.count += 1

    def finish(self) -> None:
        """Complete the files and give the directory its name; if another process was faster, keep its directory."""
        meta = {
            "format": _FORMAT,
            "version": _VERSION,
            "pipeline": self.node.inputs[0].signature(),
            "count": self.count,
            "structure": plain_structure(self.node, self.first) if self.count else None,
            "leaves": [column.finish() for column in self.columns],
        }
        with open(os.path.join(self.temporary, "meta.json"), "w", encoding="utf-8") as file:
            json.dump(meta, file, indent=1)
        try:
            if os.path.isdir(self.directory) and not os.listdir(self.directory):
                os.rmdir(self.directory)  # an empty directory may stand in the way
            os.rename(self.temporary, self.directory)
        except OSError:
            if not os.path.isdir(self.directory):
                raise

    def discard(self) -> None:
        """Remove what is unfinished."""
        for column in self.columns:
            column.file.close()
        shutil.rmtree(self.temporary, ignore_errors=True)


class Column:
    """One leaf of all elements."""

    def __init__(self, node: Node, path: str, leaf: npt.NDArray[Any], stem: str) -> None:
        self.node, self.path, self.stem = node, path, stem
        self.dtype, self.ndim = leaf.dtype, leaf.ndim
        self.row = self._row(leaf)
        self.rows = array.array("q")  # shape and item size of each element
        self.nbytes = 0
        self.varies = False
        self.file: IO[bytes] = open(f"{stem}.npy", "wb")  # noqa: SIM115  (closed by finish or discard)
        self.offset = self._header()

    @staticmethod
    def _row(leaf: npt.NDArray[Any]) -> tuple[int, ...]:
        return (*leaf.shape, leaf.dtype.itemsize)

    def _header(self) -> int:
        """Write the .npy header of a byte array of the present length; NumPy leaves room for the length to grow."""
        self.file.seek(0)
        fields = {"descr": "|u1", "fortran_order": False, "shape": (self.nbytes,)}
        np.lib.format.write_array_header_1_0(self.file, fields)
        return self.file.tell()

    def add(self, leaf: npt.NDArray[Any]) -> None:
        """Append the leaf of one element.  Strings may differ in width; other dtypes, and ranks, may not differ."""
        strings = leaf.dtype.kind in "US" and leaf.dtype.kind == self.dtype.kind
        if (leaf.dtype != self.dtype and not strings) or leaf.ndim != self.ndim:
            raise self.node.error(
                DataError,
                f"elements differ in dtype or rank{f' in component {self.path}' if self.path else ''}",
                {"element 0": f"{self.dtype}, rank {self.ndim}", "a later one": f"{leaf.dtype}, rank {leaf.ndim}"},
                hint="convert in map() before cache()",
            )
        row = self._row(leaf)
        self.varies |= row != self.row
        self.rows.extend(row)
        data = leaf.tobytes()
        self.nbytes += len(data)
        self.file.write(data)

    def finish(self) -> dict[str, Any]:
        """Complete the files; the entry of this leaf in ``meta.json``."""
        if self._header() != self.offset:
            raise RuntimeError("the .npy header has outgrown its room")
        self.file.close()
        if self.varies:
            rows = np.frombuffer(self.rows, np.int64).reshape(-1, self.ndim + 1)
            np.save(f"{self.stem}.shapes.npy", rows, allow_pickle=False)
        shape = None if self.varies else list(self.row[:-1])
        kind = self.dtype.kind
        name = kind if kind in "US" and self.varies else self.dtype.name if kind == "V" else self.dtype.str
        return {"dtype": name, "rank": self.ndim, "shape": shape, "bytes": self.nbytes}


class Reader:
    """An opened cache: ``count`` elements, ``leaves`` to read rows from, ``whole`` arrays where shapes are equal."""

    def __init__(self, node: Node, directory: str) -> None:
        self.node, self.directory = node, directory
        if not os.path.exists(os.path.join(directory, "meta.json")):
            raise node.error(
                DataError,
                f"{directory!r} exists and is not a dataset cache",
                hint="choose a directory that does not exist yet",
            )
        try:
            with open(os.path.join(directory, "meta.json"), encoding="utf-8") as file:
                meta = json.load(file)
            if meta["format"] != _FORMAT or meta["version"] != _VERSION:
                raise self._broken(f"its format is {meta['format']!r} {meta['version']}")
            pipeline = node.inputs[0].signature()
            if meta["pipeline"] != pipeline:
                raise node.error(
                    DataError,
                    f"the cache {directory!r} holds the elements of another pipeline",
                    {"cached": meta["pipeline"], "now": pipeline},
                    hint="delete the directory, or cache this pipeline in another",
                )
            self.count: int = meta["count"]
            self.structure = meta["structure"]
            self.leaves = [self._leaf(k, entry) for k, entry in enumerate(meta["leaves"])]
        except (OSError, ValueError, KeyError, TypeError) as error:
            if isinstance(error, CorennError):
                raise
            raise self._broken(str(error) or type(error).__name__) from error
        self.whole = [leaf.whole for leaf in self.leaves]

    def _broken(self, reason: str) -> CorennError:
        return self.node.error(
            DataError,
            f"the cache {self.directory!r} cannot be read",
            {"reason": reason},
            hint="delete the directory; it is written again when the dataset is next read",
        )

    def _leaf(self, k: int, entry: dict[str, Any]) -> LeafReader:
        stem = os.path.join(self.directory, f"leaf{k}")
        size = entry["bytes"]
        # A file of no bytes cannot be mapped.
        mapped: Any = np.load(f"{stem}.npy", mmap_mode="r" if size else None, allow_pickle=False)
        data = np.asarray(mapped)
        if data.size != size:
            raise self._broken(f"leaf{k}.npy holds {data.size} bytes, not {size}")
        if entry["shape"] is not None:
            shape, dtype = (self.count, *entry["shape"]), _dtype(entry["dtype"])
            return LeafReader(data.view(dtype).reshape(shape) if size else np.zeros(shape, dtype), None, "")
        rows = np.load(f"{stem}.shapes.npy", allow_pickle=False)
        if rows.shape != (self.count, entry["rank"] + 1) or int(np.prod(rows, axis=1).sum()) != size:
            raise self._broken(f"leaf{k}.shapes.npy does not fit leaf{k}.npy")
        return LeafReader(data, rows, entry["dtype"])

    def build(self, parts: list[Any]) -> Element:
        """An element with these leaves."""
        return restore_structure(self.structure, parts)


class LeafReader:
    """One leaf of all elements: a whole array, or bytes with the shape of each row."""

    def __init__(self, data: npt.NDArray[Any], rows: npt.NDArray[np.int64] | None, dtype: str) -> None:
        self.data, self.rows, self.dtype = data, rows, dtype
        self.whole = data if rows is None else None
        if rows is not None:
            self.ends = np.cumsum(np.prod(rows, axis=1))

    def row(self, i: int) -> Any:
        """The leaf of element ``i``."""
        if self.rows is None:
            return self.data[i]
        *shape, itemsize = self.rows[i].tolist()
        end = int(self.ends[i])
        part = self.data[end - int(np.prod(self.rows[i])) : end]
        if self.dtype not in ("U", "S"):
            return part.view(_dtype(self.dtype)).reshape(shape)[()]
        return part.view(f"{self.dtype}{itemsize // (4 if self.dtype == 'U' else 1)}").reshape(shape)[()]


def _dtype(name: str) -> np.dtype[Any]:
    try:
        return np.dtype(name)
    except TypeError:
        return extension_dtype(name)


def plain_structure(node: Node, element: Element) -> Any:
    """The structure of an element in JSON: ``null`` for a leaf, a list for a tuple, an object for a dict."""
    if isinstance(element, tuple):
        if type(element) is not tuple:
            raise node.error(
                DataError,
                "named tuples cannot be cached in files",
                {"element": type(element).__name__},
                hint="use a dict, or cache() in memory",
            )
        return [plain_structure(node, part) for part in element]
    if isinstance(element, dict):
        if not all(isinstance(key, str) for key in element):
            raise node.error(DataError, "a cache in files needs strings as keys", {"keys": list(element)})
        return {key: plain_structure(node, part) for key, part in element.items()}
    return None


def restore_structure(structure: Any, parts: list[Any]) -> Element:
    """The element with leaves ``parts``, in order."""
    given = iter(parts)

    def build(shape: Any) -> Element:
        if shape is None:
            return next(given)
        if isinstance(shape, list):
            return tuple(build(part) for part in shape)
        return {key: build(part) for key, part in shape.items()}

    return build(structure)
