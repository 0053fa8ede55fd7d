"""Reading and writing image files, on the host, with pillow."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any

import numpy as np

import corenn_tensorflow as tf
from corenn import dtypes
from corenn.graph.kinds import HostCallKind
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.keras.preprocessing.image.pictures import pillow
from corenn_tensorflow.writing import writable


def _on_host(
    type_name: str, function: Callable[[Any], Any], value: Any, extents: Any, dtype: Any, name: str | None
) -> Any:
    graph = mode.graph_for(value)
    if graph is None:
        given = value.data if isinstance(value, Tensor) and value.dtype is dtypes.string else value
        given = np.asarray(given._host()) if isinstance(given, Tensor) else given
        return convert_to_tensor(function(given))
    kind = HostCallKind(function, pure=True, type_name=type_name)
    return graph.add(kind, [graph.convert(value)], [(extents, dtype)], name=name).outputs[0]


@writable("image.decode")
def _decoded(data: Any, *, name: str, channels: int, wanted: Any) -> Any:
    modes = {1: "L", 3: "RGB", 4: "RGBA"}
    item = data.reshape(()).item() if isinstance(data, np.ndarray) else data
    with pillow(name).open(io.BytesIO(item)) as opened:
        if channels:
            found = np.asarray(opened.convert(modes[channels]))
        else:
            plain = opened.mode in ("L", "RGB", "RGBA")
            found = np.asarray(opened if plain else opened.convert("RGB"))
    found = found[..., None] if found.ndim == 2 else found
    if wanted.is_floating:
        return (found / 255.0).astype(wanted.numpy)
    return found.astype(np.uint16) * 257 if wanted is dtypes.uint16 else found


@writable("image.encode")
def _encoded(array: Any, *, kind: str, quality: int) -> Any:
    plain = np.asarray(array)
    plain = plain[..., 0] if plain.shape[-1] == 1 else plain
    buffer = io.BytesIO()
    options = {"quality": quality} if kind == "JPEG" else {}
    pillow(f"encode_{kind.lower()}").fromarray(plain.astype(np.uint8)).save(buffer, kind, **options)
    made = np.empty((), object)
    made[()] = buffer.getvalue()
    return made


def _decoder(type_name: str) -> Callable[..., Any]:
    def decode(
        contents: Any,
        channels: int = 0,
        ratio: int = 1,
        fancy_upscaling: bool = True,
        try_recover_truncated: bool = False,
        acceptable_fraction: float = 1,
        dct_method: str = "",
        dtype: Any = dtypes.uint8,
        name: str | None = None,
        expand_animations: bool = True,
    ) -> Any:
        wanted = dtypes.as_dtype(getattr(dtype, "name", dtype))
        read = functools.partial(_decoded, name=type_name, channels=channels, wanted=wanted)
        known = (None, None, channels or None)
        return _on_host(type_name, read, contents, known, wanted, name)

    decode.__name__ = decode.__qualname__ = type_name
    decode.__doc__ = f"``{type_name}``: an encoded image as [height, width, channels]."
    return decode


decode_jpeg, decode_png, decode_image = _decoder("decode_jpeg"), _decoder("decode_png"), _decoder("decode_image")
decode_bmp = _decoder("decode_bmp")


@writable("image.decode_gif")
def _decode_gif_read(data: Any) -> Any:
    from PIL import ImageSequence

    item = data.reshape(()).item() if isinstance(data, np.ndarray) else data
    with pillow("decode_gif").open(io.BytesIO(item)) as opened:
        return np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(opened)])


def decode_gif(contents: Any, name: str | None = None) -> Any:
    """The frames of a GIF, [frames, height, width, 3]."""
    return _on_host("decode_gif", _decode_gif_read, contents, (None, None, None, 3), dtypes.uint8, name)


def _encoder(kind: str) -> Callable[..., Any]:
    def encode(
        image: Any, *args: Any, quality: int = 95, compression: int = -1, name: str | None = None, **ignored: Any
    ) -> Any:
        write = functools.partial(_encoded, kind=kind, quality=quality)
        return _on_host(f"Encode{kind.capitalize()}", write, image, (), dtypes.string, name)

    encode.__name__ = encode.__qualname__ = f"encode_{kind.lower()}"
    encode.__doc__ = f"An image as the bytes of a {kind} file."
    return encode


encode_jpeg, encode_png = _encoder("JPEG"), _encoder("PNG")


def is_jpeg(contents: Any, name: str | None = None) -> Any:
    """Whether the bytes begin as a JPEG file does."""
    return tf.equal(tf.strings.substr(contents, 0, 3), b"\xff\xd8\xff")
