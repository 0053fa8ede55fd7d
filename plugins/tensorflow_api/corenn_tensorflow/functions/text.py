"""Text: tensors of strings, which stay on the host; values are ``bytes``, as in TensorFlow."""

from __future__ import annotations

import base64
import functools
import itertools
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.graph.kinds import HostCallKind
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.framework import as_dtype, eager_constant, static_shape
from corenn_tensorflow.functions.calling import operand
from corenn_tensorflow.sparse import SparseTensor
from corenn_tensorflow.writing import writable


def as_bytes(bytes_or_text: Any, encoding: str = "utf-8") -> bytes:
    """Text as bytes."""
    if isinstance(bytes_or_text, bytearray):
        return bytes(bytes_or_text)
    if isinstance(bytes_or_text, str):
        return bytes_or_text.encode(encoding)
    if isinstance(bytes_or_text, bytes):
        return bytes_or_text
    raise TypeError(f"Expected binary or unicode string, got {bytes_or_text!r}")


def as_text(bytes_or_text: Any, encoding: str = "utf-8") -> str:
    """Bytes as text."""
    if isinstance(bytes_or_text, str):
        return bytes_or_text
    if isinstance(bytes_or_text, bytes):
        return bytes_or_text.decode(encoding)
    raise TypeError(f"Expected binary or unicode string, got {bytes_or_text!r}")


as_str = as_text


def as_str_any(value: Any) -> str:
    """Anything as text."""
    return as_text(value) if isinstance(value, bytes) else str(value)


@writable("on_host")
def _on_bytes(*arrays: Any, function: Callable[..., Any]) -> Any:
    return [function(*[_encoded(a) for a in arrays])]


def on_host(
    type_name: str, name: str | None, function: Callable[..., Any], inputs: list[Any], dtype: Any, shape: Any = None
) -> Any:
    """``function(*arrays)`` on the host, of NumPy arrays (text as arrays of bytes): a tensor of ``dtype``."""
    wanted = as_dtype(dtype)
    graph = mode.graph_for(inputs)
    given = [operand(i) for i in inputs]
    if graph is None:
        found = function(*[_array(g) for g in given])
        return eager_constant(
            np.array(found, object) if wanted is dtypes.string else np.asarray(found, wanted.numpy), wanted
        )
    with graph.as_default():
        tensors = [graph.convert(g) for g in given]
        known = shape if shape is not None else tensors[0].extents if len(tensors) == 1 else None
        kind = HostCallKind(functools.partial(_on_bytes, function=function), True, type_name)
        return graph.add(kind, tensors, [(known, wanted)], name=name or type_name).outputs[0]


def _array(x: Tensor) -> Any:
    return _encoded(x.data) if x.dtype is dtypes.string else np.asarray(x.numpy())


def _encoded(array: Any) -> Any:
    array = np.asarray(array)
    if array.dtype.kind not in "OUS":
        return array
    return _each(lambda v: v.encode() if isinstance(v, str) else v)(array)


def _each(function: Callable[..., Any], kind: str = "object") -> Callable[..., Any]:
    """``function`` of single elements, as a function of arrays, which gives an array of NumPy's ``kind``."""
    return functools.partial(_elementwise, function=function, kind=kind)


@writable("text.elementwise")
def _elementwise(*arrays: Any, function: Callable[..., Any], kind: str) -> Any:
    return np.vectorize(function, otypes=[np.dtype(kind)])(*arrays)


@writable("text.lower")
def _lowered(s: bytes) -> bytes:
    return s.decode().lower().encode()


@writable("text.upper")
def _uppered(s: bytes) -> bytes:
    return s.decode().upper().encode()


@writable("text.strip")
def _stripped(s: bytes) -> bytes:
    return s.strip()


def _strings(type_name: str, function: Callable[[bytes], Any], doc: str) -> Any:
    def call(input: Any, name: str | None = None, **options: Any) -> Any:  # TensorFlow's name
        return on_host(type_name, name, _each(function), [input], "string")

    call.__doc__ = doc
    return call


lower = _strings("StringLower", _lowered, "Small letters.")
upper = _strings("StringUpper", _uppered, "Capital letters.")
strip = _strings("StringStrip", _stripped, "Without white space at both ends.")


@writable("text.length")
def _length_of(s: bytes, *, unit: str) -> int:
    return len(s) if unit == "BYTE" else len(s.decode())


def length(input: Any, name: str | None = None, unit: str = "BYTE") -> Any:
    """The number of bytes (or of characters) of each string."""
    return on_host("StringLength", name, _each(functools.partial(_length_of, unit=unit), "int32"), [input], "int32")


@writable("text.as_string")
def _number_as_text(v: Any, *, form: str, whole: str) -> bytes:
    """A number, by the format for floats or that for whole numbers."""
    if isinstance(v, (bool, np.bool_)):
        return b"true" if v else b"false"
    return (format(int(v), whole) if isinstance(v, (int, np.integer)) else format(float(v), form)).encode()


def as_string(
    input: Any, precision: int = -1, scientific: bool = False, shortest: bool = False, width: int = -1,
    fill: str = "", name: str | None = None,
) -> Any:  # fmt: skip
    """Numbers as text."""
    if scientific and shortest:
        raise ValueError("scientific and shortest cannot both be true")
    places = "" if precision < 0 else f".{precision}"
    wide = "" if width < 0 else str(width)
    form = f"{fill}{wide}{places}{'e' if scientific else 'g' if shortest else 'f'}"
    function = functools.partial(_number_as_text, form=form, whole=f"{fill}{wide}d")
    return on_host("AsString", name, _each(function), [input], "string")


@writable("string_join")
def _joined(*arrays: Any, joint: Any) -> Any:
    return np.vectorize(lambda *parts: joint.join(parts), otypes=[object])(*arrays)


def string_join(inputs: Any, separator: str = "", name: str | None = None) -> Any:
    """Strings joined, element by element."""
    joint = as_bytes(separator)
    listed = [operand(i) for i in inputs]
    return on_host("StringJoin", name, functools.partial(_joined, joint=joint), listed, "string", _broadcast(listed))


def _broadcast(inputs: Iterable[Any]) -> Any:
    """What is known of the shape that these are broadcast to; ``None`` while a rank is not known."""
    shapes = [_extents(i) for i in inputs]
    if None in shapes:
        return None
    axes = itertools.zip_longest(*[reversed(s) for s in shapes], fillvalue=1)
    return builtin_tuple(max((n for n in a if n != 1), key=lambda n: n is not None, default=1) for a in axes)[::-1]


@writable("reduce_join")
def _join_along(array: Any, *, axes: Any, joint: Any, kept: Any) -> Any:
    chosen = list(range(array.ndim)) if axes is None else list(np.atleast_1d(axes))
    moved = np.moveaxis(array, [a % array.ndim for a in chosen], range(len(chosen)))
    flat = moved.reshape(-1, *moved.shape[len(chosen) :])
    found = np.empty(flat.shape[1:], object)
    for place in np.ndindex(found.shape):
        found[place] = joint.join(flat[(slice(None), *place)])
    return np.expand_dims(found, builtin_tuple(a % array.ndim for a in chosen)) if kept else found


def reduce_join(
    inputs: Any, axis: Any = None, keep_dims: Any = False, separator: str = "", name: str | None = None,
    keepdims: Any = None, reduction_indices: Any = None,
) -> Any:  # fmt: skip
    """Strings joined along axes (all by default)."""
    axes = axis if axis is not None else reduction_indices
    joint, kept = as_bytes(separator), bool(keepdims if keepdims is not None else keep_dims)
    given = input_of(inputs)
    shape = _extents(given)
    known = () if axes is None and not kept else None
    if shape is not None:
        chosen = {a % len(shape) for a in (range(len(shape)) if axes is None else np.atleast_1d(axes))}
        known = builtin_tuple(1 if i in chosen else n for i, n in enumerate(shape) if kept or i not in chosen)
    function = functools.partial(_join_along, axes=axes, joint=joint, kept=kept)
    return on_host("ReduceJoin", name, function, [given], "string", known)


builtin_tuple = tuple


def input_of(value: Any) -> Any:
    """A tensor of text."""
    return operand(value)


@writable("text.substr")
def _part(s: bytes, start: int, count: int, *, unit: str) -> bytes:
    if unit == "BYTE":
        return s[start : start + count if start >= 0 or start + count < 0 else None]
    text = s.decode()
    return text[start : start + count if start >= 0 or start + count < 0 else None].encode()


def substr(input: Any, pos: Any, len: Any, name: str | None = None, unit: str = "BYTE") -> Any:
    """``len`` bytes (or characters) of each string, from ``pos`` on."""
    function = _each(functools.partial(_part, unit=unit))
    return on_host("Substr", name, function, [input, pos, len], "string", _broadcast([input, pos, len]))


def _extents(x: Any) -> Any:
    found = static_shape(operand(x))
    return None if found is None else builtin_tuple(found)


@writable("text.integer")
def _integer(s: bytes) -> int:
    return int(s)


@writable("text.real")
def _real(s: bytes) -> float:
    return float(s)


def string_to_number(
    string_tensor: Any = None, out_type: Any = "float32", name: str | None = None, input: Any = None
) -> Any:
    """Text as numbers."""
    wanted = as_dtype(out_type)
    convert: Callable[..., Any] = _integer if wanted.is_integer else _real
    given = string_tensor if string_tensor is not None else input
    return on_host("StringToNumber", name, _each(convert, wanted.name), [given], wanted)


to_number = string_to_number


@writable("text.regex_replace")
def _replaced(s: bytes, *, pattern: bytes, by: bytes, count: int) -> bytes:
    return re.sub(pattern, by, s, count=count)


def regex_replace(
    input: Any,
    pattern: str,
    rewrite: str,
    replace_global: bool = True,
    name: str | None = None,
) -> Any:
    """What a pattern matches replaced."""
    by = re.sub(rb"\\0", rb"\\g<0>", as_bytes(rewrite))
    count = 0 if replace_global else 1
    function = functools.partial(_replaced, pattern=re.compile(as_bytes(pattern)).pattern, by=by, count=count)
    return on_host("RegexReplace", name, _each(function), [input], "string")


@writable("text.regex_full_match")
def _matches(s: bytes, *, pattern: bytes) -> bool:
    return re.fullmatch(pattern, s) is not None


def regex_full_match(input: Any, pattern: str, name: str | None = None) -> Any:
    """Whether a pattern matches the whole string."""
    function = functools.partial(_matches, pattern=re.compile(as_bytes(pattern)).pattern)
    return on_host("RegexFullMatch", name, _each(function, "bool"), [input], "bool")


@writable("text.pieces")
def _pieces(s: bytes, sep: bytes, skip_empty: bool, most: int = -1) -> list[bytes]:
    if not sep:
        return s.split(None, most)
    parts = s.split(sep, most)
    return [p for p in parts if p] if skip_empty else parts


@writable("text.split_at_any")
def _pieces_at_any(s: bytes, mark: bytes, skip_empty: bool, most: int) -> list[bytes]:
    """Pieces between any of the characters of ``mark``; single characters without one."""
    if not mark:
        return [s[i : i + 1] for i in range(len(s))]
    parts = re.split(b"[" + re.escape(mark) + b"]", s, maxsplit=max(most, 0))
    return [p for p in parts if p] if skip_empty else parts


def string_split(
    source: Any = None, sep: Any = None, skip_empty: bool = True, delimiter: Any = None,
    result_type: str = "SparseTensor", name: str | None = None, input: Any = None, maxsplit: int = -1,
) -> SparseTensor:  # fmt: skip
    """A vector of strings split at each of the separator's characters (white space by default), as a sparse matrix."""
    chosen = delimiter if delimiter is not None else sep
    given = operand(source if source is not None else input)
    mark = b" " if chosen is None else as_bytes(chosen)
    pieces = functools.partial(_pieces_at_any, mark=mark, skip_empty=skip_empty, most=maxsplit)
    return _split(given, pieces, name)


def strings_split(
    input: Any = None, sep: Any = None, maxsplit: int = -1, result_type: str = "SparseTensor",
    source: Any = None, name: str | None = None,
) -> Any:  # fmt: skip
    """Strings split at a separator (white space by default): pieces by row, as a sparse matrix.

    In generation 2 the pieces of one string are a vector.
    """
    mark = as_bytes(sep or "")
    given = operand(input if input is not None else source)
    pieces = functools.partial(_pieces, sep=mark, skip_empty=False, most=maxsplit)
    if mode.generation() == 2 and static_shape(given) == []:
        return on_host("StringSplitV2", name, functools.partial(_split_values, pieces=pieces), [given], "string",
                       (None,))  # fmt: skip
    return _split(given, pieces, name)


@writable("text.split_places")
def _split_places(array: Any, *, pieces: Callable[[bytes], list[bytes]]) -> Any:
    rows = [pieces(s) for s in array.reshape(-1)]
    return np.array([(i, j) for i, row in enumerate(rows) for j in range(len(row))], np.int64).reshape(-1, 2)


@writable("text.split_values")
def _split_values(array: Any, *, pieces: Callable[[bytes], list[bytes]]) -> Any:
    return np.array([p for s in array.reshape(-1) for p in pieces(s)], object)


@writable("text.split_extents")
def _split_extents(array: Any, *, pieces: Callable[[bytes], list[bytes]]) -> Any:
    return np.array([array.size, max((len(pieces(s)) for s in array.reshape(-1)), default=0)], np.int64)


def _split(given: Any, pieces: Callable[[bytes], list[bytes]], name: str | None) -> SparseTensor:
    with mode.scope(name, "StringSplit", given):
        return SparseTensor(
            on_host("StringSplit", None, functools.partial(_split_places, pieces=pieces), [given], "int64", (None, 2)),
            on_host("StringSplit", None, functools.partial(_split_values, pieces=pieces), [given], "string", (None,)),
            on_host("StringSplit", None, functools.partial(_split_extents, pieces=pieces), [given], "int64", (2,)),
        )


@writable("text.string_format")
def _filled(*arrays: Any, template: str, placeholder: str, summarize: int) -> Any:
    from corenn_tensorflow.functions.checking import shown

    parts = template.split(placeholder)
    found = parts[0]
    for array, rest in zip(arrays, parts[1:], strict=True):
        found += shown(array, summarize) + rest
    return np.array(found.encode(), object)


def string_format(
    template: str, inputs: Any, placeholder: str = "{}", summarize: int = 3, name: str | None = None
) -> Any:
    """Text with tensors in the places of ``{}``."""
    listed = list(inputs) if isinstance(inputs, (list, builtin_tuple)) else [inputs]
    function = functools.partial(_filled, template=template, placeholder=placeholder, summarize=summarize)
    return on_host("StringFormat", name, function, listed, "string", ())


@writable("decode_raw")
def _decode_raw_of(array: Any, *, wanted: Any, order: Any) -> Any:
    stored = wanted.numpy.newbyteorder(order)
    rows = [np.frombuffer(s, stored).astype(wanted.numpy) for s in array.reshape(-1)]
    return np.stack(rows).reshape(*array.shape, -1) if rows else np.zeros((*array.shape, 0), wanted.numpy)


def decode_raw(
    input_bytes: Any = None,
    out_type: Any = None,
    little_endian: bool = True,
    name: str | None = None,
    bytes: Any = None,
) -> Any:
    """Each string as a vector of numbers, from its bytes."""
    wanted = as_dtype(out_type)
    given = operand(input_bytes if input_bytes is not None else bytes)
    order = "<" if little_endian else ">"
    shape = _extents(given)
    return on_host(
        "DecodeRaw",
        name,
        functools.partial(_decode_raw_of, wanted=wanted, order=order),
        [given],
        wanted,
        None if shape is None else (*shape, None),
    )


@writable("text.encode_base64")
def _in_base64(s: bytes, *, pad: bool) -> bytes:
    made = base64.urlsafe_b64encode(s)
    return made if pad else made.rstrip(b"=")


@writable("text.decode_base64")
def _from_base64(s: bytes) -> bytes:
    return base64.urlsafe_b64decode(s + b"=" * (-len(s) % 4))


@writable("text.bytes")
def _single_bytes(s: bytes) -> list[bytes]:
    return [s[i : i + 1] for i in range(len(s))]


def encode_base64(input: Any, pad: bool = False, name: str | None = None) -> Any:
    """Strings in base 64, of the alphabet for addresses of pages."""
    function = functools.partial(_in_base64, pad=bool(pad))
    return on_host("EncodeBase64", name, _each(function), [input], "string")


def decode_base64(input: Any, name: str | None = None) -> Any:
    """Strings from base 64."""
    return on_host("DecodeBase64", name, _each(_from_base64), [input], "string")


def bytes_split(input: Any, name: str | None = None) -> SparseTensor:
    """The bytes of each string, as a sparse matrix."""
    return _split(operand(input), _single_bytes, name)


def is_text(x: Any) -> bool:
    """Whether a tensor holds text."""
    return isinstance(x, corenn.Tensor) and x.dtype is dtypes.string


__all__ = [
    "as_bytes", "as_str", "as_str_any", "as_string", "as_text", "bytes_split", "decode_base64", "decode_raw",
    "encode_base64", "is_text", "length", "lower", "on_host", "reduce_join", "regex_full_match", "regex_replace",
    "string_format", "string_join", "string_split", "string_to_number", "strings_split", "strip", "substr", "to_number",
    "upper",
]  # fmt: skip
