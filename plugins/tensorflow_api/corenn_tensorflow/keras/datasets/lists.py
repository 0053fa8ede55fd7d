"""Lists of ints out of the pickled object arrays of NumPy files, by a reader that knows nothing else.

``imdb.npz`` and ``reuters.npz`` keep ragged lists as pickles.  Loading a pickle can run any code, so this reads the few
opcodes of which such a pickle consists and refuses every other: no names are looked up and nothing is called.
"""

from __future__ import annotations

import pickletools
import zipfile
from typing import Any

import numpy as np

from corenn.errors import DataError

_ALLOWED = {("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"), ("numpy", "ndarray"),
            ("numpy", "dtype"), ("_codecs", "encode")}  # fmt: skip


class _Mark:
    pass


def read(path: str) -> dict[str, Any]:
    """The arrays of an ``.npz`` file, of which some are object arrays of lists of ints."""
    found: dict[str, Any] = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                version = np.lib.format.read_magic(file)
                reader = (
                    np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                )
                shape, _, dtype = reader(file)
                key = name.removesuffix(".npy")
                if not dtype.hasobject:
                    found[key] = np.frombuffer(file.read(), dtype).reshape(shape).copy()
                    continue
                lists = _objects(file.read(), path)
                made = np.empty(len(lists), object)
                made[:] = lists
                found[key] = made.reshape(shape)
    return found


def _objects(data: bytes, path: str) -> list[Any]:
    """The elements of a pickled object array: what the state given to its BUILD opcode holds last."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    state: Any = None

    def to_mark() -> list[Any]:
        items = []
        while not isinstance(stack[-1], _Mark):
            items.append(stack.pop())
        stack.pop()
        return items[::-1]

    for opcode, argument, _ in pickletools.genops(data):
        name = opcode.name
        if name in ("PROTO", "FRAME", "STOP"):
            continue
        if name == "MARK":
            stack.append(_Mark())
        elif name in (
            "BININT",
            "BININT1",
            "BININT2",
            "LONG1",
            "INT",
            "LONG",
            "BINUNICODE",
            "SHORT_BINUNICODE",
            "UNICODE",
            "BINSTRING",
            "SHORT_BINSTRING",
            "BINBYTES",
            "SHORT_BINBYTES",
            "STRING",
        ):
            stack.append(argument)
        elif name in ("NONE", "NEWTRUE", "NEWFALSE"):
            stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
        elif name in ("EMPTY_LIST", "EMPTY_TUPLE", "EMPTY_DICT"):
            stack.append([] if name == "EMPTY_LIST" else () if name == "EMPTY_TUPLE" else {})
        elif name in ("TUPLE", "LIST"):
            items = to_mark()
            stack.append(tuple(items) if name == "TUPLE" else items)
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            items, stack[-count:] = tuple(stack[-count:]), []
            stack.append(items)
        elif name == "APPEND":
            value = stack.pop()
            stack[-1].append(value)
        elif name == "APPENDS":
            items = to_mark()
            stack[-1].extend(items)
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            memo[int(argument)] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(memo[int(argument)])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            if name == "STACK_GLOBAL":
                attribute, module = stack.pop(), stack.pop()
            else:
                module, attribute = argument.split(" ")
            if (module, attribute) not in _ALLOWED:
                raise DataError("keras.datasets", f"{path} names {module}.{attribute}, which lists of ints do not need")
            stack.append((module, attribute))
        elif name == "REDUCE":
            stack.pop()
            stack[-1] = {"made by": stack[-1]}
        elif name == "BUILD":
            given = stack.pop()
            if isinstance(given, tuple) and given and isinstance(given[-1], list):
                state = given[-1]
        else:
            raise DataError("keras.datasets", f"{path} holds more than lists of ints (pickle opcode {name})")
    if state is None:
        raise DataError("keras.datasets", f"{path} holds no list")
    return state  # type: ignore[no-any-return]  # a list, as was looked at


__all__ = ["read"]
