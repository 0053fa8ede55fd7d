"""Keras's files: HDF5 with a list of weights for each layer (legacy ``.h5``), HDF5 by the objects of a model
(``.weights.h5``), and the archive that holds one of the latter (``.keras``).

Legacy: the attribute ``layer_names`` (in parts ``layer_names0``, ... where long) names groups, each with an attribute
``weight_names`` that names data sets in it; in files of whole models under ``model_weights``.  By objects: the arrays
of a layer are ``layers/<class in snake case, numbered>/vars/<position>``, those of objects inside it below their
attributes' names.  Sources: ``legacy/saving/legacy_h5_format.py`` and ``saving/saving_lib.py`` of Keras 3.

h5py reads what a file says; what a file may say is checked here: no links to other files, nothing larger than the file.
"""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from corenn.dtypes import extension_dtype
from corenn.errors import CheckpointError, CorennError, MissingExtraError
from corenn_models.weights.source import ZIP_ERRORS, Array, SavedLayer, Stored, WeightFile, damaged

#: How HDF5 files begin.
SIGNATURE = b"\x89HDF\r\n\x1a\n"
_DEEPEST = 64  # groups in groups
_MOST_NAMES = 1_000_000
_RATIO = 100  # weights do not compress better than that
_LONGEST_CONFIG = 100_000_000
#: Parts of a model that have state but are no weights of it.
_NOT_WEIGHTS = frozenset({"optimizer", "metrics", "compile_metrics", "seed_generator", "_loss_tracker", "loss_tracker"})


def read_hdf5(path: str) -> WeightFile:
    """An HDF5 file of either layout."""
    return _read(path, path, lambda: None)


def read_keras_archive(path: str, archive: zipfile.ZipFile) -> WeightFile:
    """A ``.keras`` file, open as an archive that the result closes."""
    infos = {i.filename: i for i in archive.infolist()}
    size = os.path.getsize(path)
    for info in infos.values():
        if info.flag_bits & 1 or info.file_size > _RATIO * max(info.compress_size, 1) or info.compress_size > size:
            raise damaged(path, f"{info.filename} in it is encrypted, or has an impossible size")
    try:
        names = _names_of_config(path, archive, infos)
        held = io.BytesIO(archive.read("model.weights.h5"))
    except ZIP_ERRORS as error:
        raise damaged(path, f"a part of the archive cannot be read ({error})") from error
    found = _read(path, held, archive.close)
    found.kind = "Keras archive"
    for layer in found.layers:
        layer.name = names.get(layer.place or "", layer.name)
    order = list(names)
    if names:
        known = {place: position for position, place in enumerate(order)}
        found.layers.sort(key=lambda layer: known.get(layer.place or "", len(order)))
        found.ordered = True
    return found


def _names_of_config(path: str, archive: zipfile.ZipFile, infos: dict[str, zipfile.ZipInfo]) -> dict[str, str]:
    """For the layers of a sequential or functional model: place in the weights -> the layer's name, in order."""
    if "config.json" not in infos:
        return {}
    if infos["config.json"].file_size > _LONGEST_CONFIG:
        raise damaged(path, "config.json is too long")
    try:
        config = json.loads(archive.read("config.json"))
    except (ValueError, RecursionError) as error:
        raise damaged(path, f"config.json is not JSON ({error})") from error
    inner = config.get("config") if isinstance(config, dict) else None
    listed = inner.get("layers") if isinstance(inner, dict) else None
    names: dict[str, str] = {}
    counts: dict[str, int] = {}
    for entry in listed if isinstance(listed, list) else []:
        if not isinstance(entry, dict) or not isinstance(entry.get("class_name"), str):
            return {}
        place = numbered(snake_case(entry["class_name"]), counts)
        inside = entry.get("config")
        name = inside.get("name") if isinstance(inside, dict) else None
        names[f"layers/{place}"] = name if isinstance(name, str) else place
    return names


def snake_case(name: str) -> str:
    """The name of a class as Keras 3 writes it in paths: ``Conv2DTranspose`` is ``conv2d_transpose``."""
    spaced = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", spaced).lower()


def numbered(name: str, counts: dict[str, int]) -> str:
    """``name``, and ``name_1``, ``name_2``, ... when it comes again."""
    count = counts.get(name, 0)
    counts[name] = count + 1
    return f"{name}_{count}" if count else name


# ---------------------------------------------------------------- HDF5


def _read(path: str, source: Any, close: Callable[[], None]) -> WeightFile:
    try:
        import h5py
    except ImportError:
        close()
        raise MissingExtraError(f"reading {path}", "h5py", "keras") from None
    try:
        file = h5py.File(source, "r")
    except Exception as error:  # h5py promises nothing about which errors a damaged file ends in
        close()
        raise damaged(path, f"it is no whole HDF5 file ({error})") from error

    def close_both() -> None:
        file.close()
        close()

    try:
        top = _group(path, file, "model_weights") if "model_weights" in file else file
        if "layer_names" in top.attrs or "layer_names0" in top.attrs:
            found = WeightFile(path, "Keras, HDF5 by layers", "keras", list(_listed_layers(path, top)))
        elif "layers" in file or "vars" in file or _objects(file):
            found = WeightFile(path, "Keras, HDF5 by objects", "keras3", _layers_of_objects(path, file), ordered=False)
        else:
            raise CheckpointError(path, "is an HDF5 file, but not one of Keras's weights",
                                  {"it holds": ", ".join(list(file)[:8]) or "nothing"})  # fmt: skip
    except CorruptedError as error:
        close_both()
        raise damaged(path, str(error)) from error.__cause__
    except CorennError:
        close_both()
        raise
    except Exception as error:
        close_both()
        raise damaged(path, f"h5py cannot read it ({error})") from error
    found.close = close_both
    return found


class CorruptedError(Exception):
    """What is wrong with an HDF5 file, for a message."""


def _group(path: str, parent: Any, name: str) -> Any:
    """A group or data set that lies in this very file."""
    import h5py

    at = parent
    for part in name.strip("/").split("/"):
        link = at.get(part, getlink=True) if isinstance(at, h5py.Group) else None
        if link is None:
            raise CorruptedError(f"{parent.name}/{name} is missing")
        if not isinstance(link, h5py.HardLink):
            raise CorruptedError(f"{at.name}/{part} is a link to {link.path!r}, perhaps of another file: not followed")
        at = at[part]
    return at


def _names(group: Any, attribute: str) -> list[str]:
    """A list of names, which Keras writes in parts where it is long."""
    if attribute in group.attrs:
        listed = list(np.atleast_1d(group.attrs[attribute]))
    else:
        listed, part = [], 0
        while f"{attribute}{part}" in group.attrs:
            listed += list(np.atleast_1d(group.attrs[f"{attribute}{part}"]))
            part += 1
    if len(listed) > _MOST_NAMES:
        raise CorruptedError(f"{group.name} lists {len(listed)} names")
    if not all(isinstance(n, (bytes, str)) for n in listed):
        raise CorruptedError(f"the {attribute} of {group.name} are no names")
    return [n.decode("utf-8") if isinstance(n, bytes) else n for n in listed]


def _listed_layers(path: str, top: Any) -> Iterator[SavedLayer]:
    """The layers of a legacy file in order; the arrays are called after their kind, and numbered in the layer."""
    names = [*_names(top, "layer_names"), *(["top_level_model_weights"] if "top_level_model_weights" in top else [])]
    if len(set(names)) < len(names):
        raise CorruptedError("two of its layers have one name")
    for name in names:
        group = _group(path, top, name)
        arrays: dict[str, Stored] = {}
        for weight in _names(group, "weight_names"):
            role = re.sub(r"(_\d+)?(:\d+)?$", "", weight.rpartition("/")[2])
            place = 0
            while f"{role}#{place}" in arrays:
                place += 1
            full = weight if weight.startswith(f"{name}/") else f"{name}/{weight}"
            arrays[f"{role}#{place}"] = _stored(path, full, _group(path, group, weight))
        if "depthwise_kernel#0" in arrays and "pointwise_kernel#0" not in arrays:  # Keras 3 calls it kernel
            arrays = {re.sub("^depthwise_", "", role): stored for role, stored in arrays.items()}
        yield SavedLayer(name, arrays)


def _objects(file: Any) -> bool:
    """Whether there is a group with ``vars`` directly inside: a subclassed model."""
    return any(
        hasattr(file[name], "keys") and "vars" in file[name] for name in list(file)[:1000] if _inside(file, name)
    )


def _inside(group: Any, name: str) -> bool:
    import h5py

    return isinstance(group.get(name, getlink=True), h5py.HardLink)


def _layers_of_objects(path: str, file: Any) -> list[SavedLayer]:
    """What is in ``layers`` and what other attributes hold, and the weights of the model itself."""
    found, seen = [], set[int]()
    places = [
        name for name in sorted(file, key=_natural) if name not in _NOT_WEIGHTS and name not in ("layers", "vars")
    ]
    if "layers" in file:
        inside = _group(path, file, "layers")
        places += [f"layers/{name}" for name in sorted(inside, key=_natural)]
    for place in places:
        group = _group(path, file, place)
        arrays = dict(_arrays_below(path, group, "", seen))
        if not _has_vars(group) and place.partition("/")[0] != "layers":  # a list of layers
            found += _members(place, arrays)
            continue
        own = group["vars"].attrs.get("name") if _has_vars(group) else None
        name = own.decode() if isinstance(own, bytes) else own
        found.append(SavedLayer(name if isinstance(name, str) else place.rpartition("/")[2], arrays, place))
    if "vars" in file:
        own_arrays = dict(_arrays_below(path, _group(path, file, "vars"), "vars", seen))
        found += [SavedLayer("", own_arrays, "")] if own_arrays else []
    return found


def _has_vars(group: Any) -> bool:
    return hasattr(group, "keys") and "vars" in group


def _members(place: str, arrays: dict[str, Stored]) -> list[SavedLayer]:
    """The layers in a list: the first part of their arrays' paths says which."""
    members: dict[str, SavedLayer] = {}
    for role, stored in arrays.items():
        first, _, rest = role.partition("/")
        members.setdefault(first, SavedLayer(f"{place}/{first}", {}, f"{place}/{first}")).arrays[rest] = stored
    return list(members.values())


def _arrays_below(path: str, at: Any, name: str, seen: set[int]) -> Iterator[tuple[str, Stored]]:
    """The arrays of a group and those inside; CorruptedError for a group that is in the file twice (or in itself)."""
    import h5py

    if not isinstance(at, h5py.Group):
        yield name, _stored(path, at.name.strip("/"), at)
        return
    where = int(h5py.h5o.get_info(at.id).addr)
    if where in seen or name.count("/") > _DEEPEST:
        raise CorruptedError(f"its groups at {at.name} form a circle, or lie too deep")
    seen.add(where)
    for part in sorted(at, key=_natural):
        if part not in _NOT_WEIGHTS:
            yield from _arrays_below(path, _group(path, at, part), f"{name}/{part}".strip("/"), seen)


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Numbers in names by their value: ``conv2d_9`` before ``conv2d_10``."""
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in re.split(r"(\d+)", name)]


def _stored(path: str, name: str, data: Any) -> Stored:
    """A data set as an array of the file; its values must lie in the file."""
    if not hasattr(data, "shape") or data.shape is None:
        raise CorruptedError(f"{name} is no array")
    dtype = data.dtype
    half = data.attrs.get("dtype") in ("bfloat16", b"bfloat16") and dtype.itemsize == 2
    if dtype.kind not in "fiub" and not half:
        raise CorruptedError(f"{name} has the element type {dtype}")
    if data.is_virtual or data.external:
        raise CorruptedError(f"the values of {name} lie in another file: not followed")
    kept = data.id.get_storage_size() * (_RATIO if data.compression or data.scaleoffset is not None else 1)
    if data.size * dtype.itemsize > kept:
        raise CorruptedError(f"{name} should have {data.size} elements, which are not in the file")

    def read() -> Array:
        try:
            values: Array = np.asarray(data[()])
        except Exception as error:  # as above
            raise damaged(path, f"{name} cannot be read ({error})") from error
        return values.view(np.dtype(extension_dtype("bfloat16"))) if half else values

    return Stored(name, tuple(int(n) for n in data.shape), "bfloat16" if half else dtype.name, read)


__all__ = ["SIGNATURE", "numbered", "read_hdf5", "read_keras_archive", "snake_case"]
