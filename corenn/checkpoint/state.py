"""Nested state (dicts and lists of arrays, numbers, strings) as the flat tensors and JSON metadata of one checkpoint.

Arrays become tensors named by their path, ``optimizer/slots/0/m``; everything else, and the shape of the nesting, goes
into one JSON tree under the metadata key ``"state"``.  What JSON cannot say is written as an object with one reserved
key that begins with ``$``:

``{"$array": tensor}`` and ``{"$scalar": tensor}``: an array, a NumPy scalar; with ``"dtype"`` and ``"shape"`` when the
tensor holds the raw bytes of a type the file format lacks.  ``{"$int": hex}``: an integer beyond 64 bits.
``{"$float": "nan"}``: a float that is not finite.  ``{"$tuple": [...]}``.  ``{"$dict": [[key, value], ...]}``: a dict
with a key that itself begins with ``$``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from corenn.checkpoint._layout import CODES
from corenn.dtypes import extension_dtype
from corenn.errors import AttributeValueError, CheckpointError, DTypeError

STATE_KEY = "state"


def pack_state(state: object) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """``(tensors, metadata)`` for :func:`corenn.checkpoint.save_file`; :func:`unpack_state` gives ``state`` back.

    ``state``: dicts with str keys, lists, tuples, None, bool, int, float (NaN and infinities too), str, NumPy arrays
    and scalars of every type without Python objects, and objects with ``__array__``, which come back as arrays.
    Arrays are not copied.  Raises AttributeValueError or DTypeError naming the path of what cannot be kept exactly.
    """
    packer = _Packer()
    try:
        tree = packer.encode(state, ())
    except RecursionError as error:
        what = "the state is nested too deeply, or contains itself"
        raise AttributeValueError("pack_state", what, hint="keep it a tree of moderate depth") from error
    return packer.tensors, {STATE_KEY: tree}


def unpack_state(tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, Any]) -> Any:
    """The state that :func:`pack_state` packed.  Other metadata keys are ignored.

    Raises CheckpointError when the metadata has no state, a tensor is missing, or one is left over.
    """
    if STATE_KEY not in metadata:
        what = f"the metadata has no {STATE_KEY!r}: pack_state did not make this checkpoint"
        raise CheckpointError("unpack_state", what, {"keys": ", ".join(map(str, metadata)) or "none"})
    unpacker = _Unpacker(tensors)
    state = unpacker.decode(metadata[STATE_KEY], ())
    left = sorted(set(tensors) - unpacker.used)
    if left:
        what = f"{len(left)} tensors do not belong to the state"
        raise CheckpointError("unpack_state", what, {"first": left[0]}, hint="pass exactly the tensors of the file")
    return state


class _Packer:
    def __init__(self) -> None:
        self.tensors: dict[str, npt.NDArray[Any]] = {}

    def encode(self, value: object, path: tuple[str, ...]) -> Any:
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value
        if isinstance(value, int) and kind is int:
            return value if -(2**63) <= value < 2**63 else {"$int": hex(value)}
        if isinstance(value, float) and kind is float:
            return value if math.isfinite(value) else {"$float": repr(value)}
        if isinstance(value, np.generic):
            return self._array("$scalar", np.asarray(value), path)
        if isinstance(value, (list, tuple)) and kind in (list, tuple):
            items = [self.encode(item, (*path, str(i))) for i, item in enumerate(value)]
            return items if kind is list else {"$tuple": items}
        if isinstance(value, dict) and kind is dict:
            return self._dict(value, path)
        if hasattr(value, "__array__") and not isinstance(value, np.ma.MaskedArray):
            return self._array("$array", np.asarray(value), path)
        what = f"{_where(path)} is a {kind.__name__}, which cannot be kept exactly"
        hint = "use dict, list, tuple, int, float, str, bool, None or an array"
        raise AttributeValueError("pack_state", what, hint=hint)

    def _dict(self, table: dict[Any, Any], path: tuple[str, ...]) -> Any:
        for key in table:
            if type(key) is not str:
                what = f"{_where(path)} has the key {key!r}, which is not a string"
                raise AttributeValueError("pack_state", what, hint="use str(key)")
        pairs = [[key, self.encode(value, (*path, key))] for key, value in table.items()]
        return {"$dict": pairs} if any(key.startswith("$") for key in table) else dict(pairs)

    def _array(self, tag: str, array: npt.NDArray[Any], path: tuple[str, ...]) -> dict[str, Any]:
        base = "/".join(path).encode("utf-8", "backslashreplace").decode() or STATE_KEY
        name, number = base, 1
        while name in self.tensors or name == "__metadata__":  # keys may contain slashes, so paths may coincide
            number += 1
            name = f"{base}~{number}"
        if array.dtype.name in CODES and array.dtype.byteorder != ">":
            self.tensors[name] = array
            return {tag: name}
        text = _dtype_text(array.dtype, path)
        self.tensors[name] = np.frombuffer(array.tobytes(), np.uint8)
        return {tag: name, "dtype": text, "shape": list(array.shape)}


class _Unpacker:
    def __init__(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        self.tensors = tensors
        self.used: set[str] = set()

    def decode(self, value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, list):
            return [self.decode(item, (*path, str(i))) for i, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        tag = next((key for key in value if key.startswith("$")), None)
        if tag is None:
            return {key: self.decode(item, (*path, key)) for key, item in value.items()}
        try:
            return self._tagged(tag, value, path)
        except (TypeError, ValueError, AttributeError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError("unpack_state", f"{_where(path)} is malformed: {error}") from error

    def _tagged(self, tag: str, value: dict[str, Any], path: tuple[str, ...]) -> Any:
        body = value[tag]
        if tag == "$int":
            return int(body, 16)
        if tag == "$float":
            return float(body)
        if tag == "$tuple":
            return tuple(self.decode(body, path))
        if tag == "$dict":
            return {key: self.decode(item, (*path, key)) for key, item in body}
        if tag in ("$array", "$scalar"):
            array = self._array(value, body, path)
            return array if tag == "$array" else array[()]
        what = f"{_where(path)} has the unknown mark {tag!r}"
        raise CheckpointError("unpack_state", what, hint="load it with the version of corenn that wrote it")

    def _array(self, value: dict[str, Any], name: str, path: tuple[str, ...]) -> npt.NDArray[Any]:
        if name not in self.tensors:
            raise CheckpointError("unpack_state", f"the tensor {name!r} of {_where(path)} is missing")
        self.used.add(name)
        array = self.tensors[name]
        if "dtype" not in value:
            return array
        text, shape = value["dtype"], tuple(value["shape"])
        dtype = extension_dtype(text) if text[0] not in "<>|" else np.dtype(text)
        if array.dtype != np.uint8 or array.size != math.prod(shape) * dtype.itemsize:
            raise CheckpointError("unpack_state", f"the tensor {name!r} does not fit {text}{list(shape)}")
        return np.ndarray(shape, dtype, array.tobytes()).copy()


def _dtype_text(dtype: np.dtype[Any], path: tuple[str, ...]) -> str:
    if dtype.isbuiltin == 2:
        return dtype.name  # an extension type; its str says only how many bytes it has
    if dtype.kind in "biufcSUMmV" and dtype.names is None and dtype.subdtype is None and dtype.char not in "gG":
        return dtype.str
    what = f"{_where(path)} has an element type that cannot be kept exactly"
    hint = "use plain numbers or strings; long double differs between machines, and objects would need pickle"
    raise DTypeError("pack_state", what, {"dtype": dtype}, hint=hint)


def _where(path: tuple[str, ...]) -> str:
    return "state" + "".join(f"[{key!r}]" for key in path)
