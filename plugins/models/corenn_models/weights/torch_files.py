"""PyTorch's files without PyTorch: ``torch.save`` of a state dict, in the zip format (since 1.6) and the one before it.

Zip: ``<root>/data.pkl`` is a pickle in which tensors refer to storages by number, ``<root>/data/<number>`` the bytes of
a storage.  Before: a pickled magic number, the version, facts about the machine, the object, the list of the storages'
keys, and then each storage as a count (int64) and its bytes.  Sources: ``torch/serialization.py`` and
``torch/_utils.py`` of PyTorch 2.
"""

from __future__ import annotations

import math
import os
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from corenn.dtypes import extension_dtype
from corenn.errors import CheckpointError
from corenn_models.weights.modules import file_of_modules
from corenn_models.weights.pickles import Machine, Name
from corenn_models.weights.source import ZIP_ERRORS, Array, Stored, WeightFile, damaged

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
#: Storage class -> NumPy's name of the element type.
_STORAGES = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool", "ComplexFloatStorage": "complex64",
}  # fmt: skip
_DEEPEST, _MOST = 16, 1_000_000  # levels of dicts in a file, and arrays in it
#: Where training scripts keep the state dict among other things, the first that is there.
_USUAL = ("state_dict", "model_state_dict", "model", "module", "net", "params", "weights")


class Storage:
    """A vector of numbers in the file; ``read`` gives its bytes."""

    def __init__(self, dtype: str, count: int, read: Callable[[], bytes]) -> None:
        self.dtype, self.count, self.read = dtype, count, read


class TensorView:
    """A tensor as a part of a storage: offset and strides count elements."""

    def __init__(self, storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def read(self) -> Array:
        """The values."""
        kind = extension_dtype(self.storage.dtype) if self.storage.dtype == "bfloat16" else self.storage.dtype
        dtype: np.dtype[Any] = np.dtype(kind)
        flat = np.frombuffer(self.storage.read(), dtype, count=self.storage.count)[self.offset :]
        strides = [n * dtype.itemsize for n in self.strides]
        return np.array(np.lib.stride_tricks.as_strided(flat, self.shape, strides, writeable=False))


class _Reader:
    """What a file's pickle may refer to, checked."""

    def __init__(self, path: str, storage: Callable[[Name, Any, int], Storage]) -> None:
        self.path, self._storage = path, storage
        self.known = {f"torch.{name}": Name(name) for name in _STORAGES}
        makers: dict[str, Callable[..., Any]] = {
            "collections.OrderedDict": _table,
            "collections.Counter": _table,
            "torch._utils._rebuild_tensor": self._tensor,
            "torch._utils._rebuild_tensor_v2": self._tensor,
            "torch._utils._rebuild_parameter": _parameter,
            "torch._utils._rebuild_parameter_with_state": _parameter,
            "torch.Size": lambda extents=(): tuple(extents),
        }
        self.known |= {name: Name(name, make) for name, make in makers.items()}

    def load(self, data: bytes, at: int = 0) -> tuple[Any, int]:
        """The object of one pickle, and where it ends."""
        machine = Machine(data, self.path, self.known, self._persistent, at)
        return machine.load(), machine.at

    def _persistent(self, given: Any) -> Storage:
        if type(given) is not tuple or len(given) < 5 or given[0] != "storage" or not isinstance(given[1], Name):
            raise damaged(self.path, "it refers to something outside its pickle that is not a storage")
        _, kind, key, _, count = given[:5]
        if kind.name not in _STORAGES or type(count) is not int or count < 0:
            raise damaged(self.path, f"a storage has {count!r} elements of {kind.name}")
        if len(given) > 5 and given[5] is not None:
            raise CheckpointError(self.path, "its storages are views of each other, as before PyTorch 0.4",
                                  hint="load it with PyTorch and save the state dict again")  # fmt: skip
        return self._storage(kind, key, count)

    def _tensor(self, storage: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> TensorView:
        numbers = [offset, *shape, *strides]
        if (
            not isinstance(storage, Storage)
            or len(shape) != len(strides)
            or len(shape) > 32
            or not all(type(n) is int and n >= 0 for n in numbers)
        ):
            raise damaged(self.path, f"a tensor of shape {shape!r} and strides {strides!r} makes no sense")
        if len(rest) > 2 and rest[2] and any(rest[2].values()):
            raise CheckpointError(self.path, f"a tensor is to be read with {', '.join(map(str, rest[2]))}",
                                  hint="save tensor.resolve_conj().resolve_neg()")  # fmt: skip
        size = math.prod(shape)
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) if size else offset
        if size > storage.count or (size and last >= storage.count):
            raise damaged(self.path, f"a tensor of shape {tuple(shape)} does not lie in its {storage.count} elements")
        return TensorView(storage, offset, tuple(shape), tuple(strides))


def _table(items: Any = ()) -> dict[Any, Any]:
    return dict(items)


def _parameter(data: Any, *rest: Any) -> Any:
    if not isinstance(data, TensorView):
        raise ValueError("a parameter that is no tensor")
    return data


# ---------------------------------------------------------------- the two formats


def read_zip(path: str, archive: zipfile.ZipFile, key: str | None) -> WeightFile:
    """The state dict in an open archive, which the result closes."""
    infos = {info.filename: info for info in archive.infolist()}
    root = next(name for name in infos if name.endswith("/data.pkl"))[: -len("data.pkl")]
    size = os.path.getsize(path)
    if any(i.compress_type != zipfile.ZIP_STORED or i.file_size > size or i.flag_bits & 1 for i in infos.values()):
        raise damaged(path, "a part of the archive is compressed, encrypted or longer than the file")
    if f"{root}constants.pkl" in infos:
        raise CheckpointError(path, "is a TorchScript program, not a file of weights",
                              hint="torch.save(torch.jit.load(path).state_dict(), 'weights.pth')")  # fmt: skip
    order = _member(path, archive, infos, f"{root}byteorder") if f"{root}byteorder" in infos else b"little"

    def storage(kind: Name, number: Any, count: int) -> Storage:
        dtype = _STORAGES[kind.name]
        width = 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
        name = f"{root}data/{number}"
        if not isinstance(number, str) or name not in infos:
            raise damaged(path, f"the storage {number!r} is missing from the archive")
        if infos[name].file_size < count * width:
            raise damaged(path, f"storage {number} has {infos[name].file_size} bytes for {count} x {dtype}")

        def read() -> bytes:
            data = _member(path, archive, infos, name)[: count * width]
            return _swapped(data, dtype) if order.strip() == b"big" else data

        return Storage(dtype, count, read)

    tree, _ = _Reader(path, storage).load(_member(path, archive, infos, f"{root}data.pkl"))
    return _as_file(path, "PyTorch, zip format", tree, key, archive.close)


def _swapped(data: bytes, dtype: str) -> bytes:
    values = np.frombuffer(data, "uint16" if dtype == "bfloat16" else dtype)
    return values.byteswap().tobytes()


def _member(path: str, archive: zipfile.ZipFile, infos: Mapping[str, zipfile.ZipInfo], name: str) -> bytes:
    try:
        return archive.read(infos[name])
    except ZIP_ERRORS as error:
        raise damaged(path, f"{name} cannot be read from the archive ({error})") from error


def read_before_zip(path: str, data: bytes, key: str | None) -> WeightFile:
    """The state dict in the bytes of a file of the format before PyTorch 1.6."""
    storages: dict[str, tuple[int, int]] = {}  # key -> where its bytes begin, how many
    wanted: dict[str, tuple[str, int]] = {}

    def storage(kind: Name, name: Any, count: int) -> Storage:
        dtype = _STORAGES[kind.name]
        width = 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
        if not isinstance(name, str) or wanted.setdefault(name, (dtype, count * width))[1] != count * width:
            raise damaged(path, f"the storage {name!r} is given two sizes")

        def read() -> bytes:
            begin, length = storages[name]
            return data[begin : begin + length]

        return Storage(dtype, count, read)

    reader = _Reader(path, storage)
    magic, at = reader.load(data)
    if magic != _MAGIC:
        raise CheckpointError(path, "is a pickle, but not one that torch.save wrote",
                              hint="corenn loads no pickles; save safetensors, or .npz")  # fmt: skip
    version, at = reader.load(data, at)
    if version != _VERSION:
        raise CheckpointError(path, f"has the version {version!r} of PyTorch's format, not {_VERSION}")
    facts, at = reader.load(data, at)
    if isinstance(facts, dict) and facts.get("little_endian") is False:
        raise CheckpointError(
            path, "was written on a big-endian machine", hint="save it again with PyTorch 1.6 or newer"
        )
    tree, at = reader.load(data, at)
    keys, at = reader.load(data, at)
    if not isinstance(keys, list) or set(wanted) - set(map(str, keys)):
        raise damaged(path, "the list of its storages is incomplete")
    for name in keys:
        if name not in wanted or at + 8 > len(data):
            raise damaged(path, f"the file ends before the storage {name!r}")
        width = wanted[name][1]
        count = struct.unpack_from("<q", data, at)[0]
        at += 8
        item = 2 if wanted[name][0] == "bfloat16" else np.dtype(wanted[name][0]).itemsize
        if count * item != width or at + width > len(data):
            raise damaged(path, f"the storage {name!r} has {count} elements, which do not fit")
        storages[name] = (at, width)
        at += width
    return _as_file(path, "PyTorch, format before 1.6", tree, key, lambda: None)


# ---------------------------------------------------------------- the state dict in what was saved


def _as_file(path: str, kind: str, tree: Any, key: str | None, close: Callable[[], None]) -> WeightFile:
    tensors, notes = _state_dict(path, tree, key)
    arrays = {name: Stored(name, view.shape, view.storage.dtype, view.read) for name, view in tensors.items()}
    found = file_of_modules(path, kind, arrays)
    found.notes += notes
    found.close = close
    return found


def _state_dict(path: str, tree: Any, key: str | None) -> tuple[dict[str, TensorView], list[str]]:
    """Tensors by name, and what was left out."""
    if not isinstance(tree, dict):
        what = "a tensor" if isinstance(tree, TensorView) else f"a {type(tree).__name__}"
        raise CheckpointError(path, f"holds {what}, not a state dict", hint="torch.save(model.state_dict(), path)")
    if key is not None:
        for part in key.split("/"):
            if not isinstance(tree, dict) or part not in tree:
                listed = ", ".join(map(str, tree)) if isinstance(tree, dict) else "nothing"
                raise CheckpointError(path, f"there is no {part!r} in it", {"there is": listed}, hint="key='a/b'")
            tree = tree[part]
    direct = _tensors(path, tree)
    inner = {k: v for k, v in tree.items() if isinstance(v, dict)} if isinstance(tree, dict) else {}
    if not direct:
        holding = {k: found for k, v in inner.items() if (found := _tensors(path, v))}
        chosen = next((k for k in _USUAL if k in holding), None) or (next(iter(holding)) if len(holding) == 1 else None)
        if chosen is None:
            shown = {"there is": ", ".join(map(str, tree)) if isinstance(tree, dict) else type(tree).__name__}
            raise CheckpointError(path, "there is no state dict at its top", shown, hint="say where it is: key='a/b'")
        left = [str(k) for k in tree if k != chosen]
        return holding[chosen], [f"read from {chosen!r}" + (f"; left out: {', '.join(left)}" if left else "")]
    left = [str(k) for k in tree if k not in direct]
    return direct, [f"left out: {', '.join(left)}"] if left else []


def _tensors(path: str, tree: Any, depth: int = 0) -> dict[str, TensorView]:
    """The tensors of one dict."""
    if not isinstance(tree, dict) or depth > _DEEPEST:
        return {}
    if len(tree) > _MOST:
        raise damaged(path, f"it has {len(tree)} entries")
    return {str(k): v for k, v in tree.items() if isinstance(v, TensorView)}


__all__ = ["read_before_zip", "read_zip"]
