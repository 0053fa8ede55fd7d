"""Further functions of ``tf.strings``: pieces by row, characters, code points, joined segments."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn import dtypes
from corenn_tensorflow import errors, mode
from corenn_tensorflow.framework import static_shape
from corenn_tensorflow.functions import text
from corenn_tensorflow.functions.calling import operand
from corenn_tensorflow.functions.hosting import on_host_many
from corenn_tensorflow.functions.text import as_bytes, on_host
from corenn_tensorflow.ragged_tensor import RaggedTensor
from corenn_tensorflow.writing import writable


@writable("text.pieces_by_row")
def _by_row(array: Any, *, pieces: Callable[[bytes], list[Any]], kind: str) -> Any:
    """The pieces of all strings, and where each row begins."""
    rows = [pieces(s) for s in array.reshape(-1)]
    flat = np.array([p for row in rows for p in row], object if kind == "string" else kind)
    return [flat, np.cumsum([0, *map(len, rows)]).astype(np.int64)]


def _rows(type_name: str, input: Any, pieces: Callable[[bytes], list[Any]], kind: str = "string") -> Any:
    """A vector for one string, a ragged tensor for a vector or a matrix of them."""
    given = operand(input)
    function = functools.partial(_by_row, pieces=pieces, kind=kind)
    shape = static_shape(given)
    count = int(np.prod(shape)) + 1 if shape is not None and None not in shape else None
    values, splits = on_host_many(type_name, None, function, [given], [((None,), kind), ((count,), "int64")])
    if shape == []:
        return values
    found = RaggedTensor(values, splits)
    for extent in reversed((shape or [])[1:]):
        if extent is None:
            raise ValueError(f"{type_name}: the inner extents of the strings must be known, not {shape}")
        rows = len(found)
        found = RaggedTensor.from_row_lengths(found, np.full(rows // extent, extent, np.int64))
    return found


def _split_v2(input: Any, sep: Any = None, maxsplit: int = -1, name: str | None = None) -> Any:
    """Strings split at a separator (white space by default): a vector, or by row as a ragged tensor."""
    if isinstance(input, RaggedTensor):
        return input.with_values(_split_v2(input.values, sep, maxsplit))
    pieces = functools.partial(text._pieces, sep=as_bytes(sep or ""), skip_empty=False, most=maxsplit)
    return _rows("StringSplitV2", input, pieces)


def _split_v1(
    input: Any = None, sep: Any = None, maxsplit: int = -1, result_type: str = "SparseTensor", source: Any = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Strings split at a separator (white space by default): a sparse matrix, or a ragged tensor if that is asked."""
    if result_type == "RaggedTensor":
        return _split_v2(input if input is not None else source, sep, maxsplit)
    return text.strings_split(input, sep, maxsplit, result_type, source, name)


split = mode.by_generation(_split_v1, _split_v2)


def _decoded(s: bytes, encoding: str, errors_: str) -> str:
    name = encoding.replace("-", "_").lower()
    try:
        found = s.decode(name if name != "utf_16_be" else "utf_16_be", "strict" if errors_ == "strict" else "replace")
    except UnicodeDecodeError as error:
        raise errors.InvalidArgumentError(None, None, f"Invalid formatting on input string: {error}") from None
    return found.replace("�", "") if errors_ == "ignore" else found


@writable("text.characters")
def _characters(s: bytes, *, encoding: str, errors_: str) -> list[bytes]:
    return [c.encode() for c in _decoded(s, encoding, errors_)]


@writable("text.code_points")
def _code_points(s: bytes, *, encoding: str, errors_: str) -> list[int]:
    return [ord(c) for c in _decoded(s, encoding, errors_)]


def unicode_split(
    input: Any, input_encoding: str, errors: str = "replace", replacement_char: int = 65533, name: str | None = None
) -> Any:
    """The characters of each string."""
    return _rows("UnicodeSplit", input, functools.partial(_characters, encoding=input_encoding, errors_=errors))


def unicode_decode(
    input: Any, input_encoding: str, errors: str = "replace", replacement_char: int = 65533,
    replace_control_characters: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """The code points of each string, int32."""
    pieces = functools.partial(_code_points, encoding=input_encoding, errors_=errors)
    return _rows("UnicodeDecode", input, pieces, "int32")


def unicode_encode(
    input: Any, output_encoding: str, errors: str = "replace", replacement_char: int = 65533, name: str | None = None
) -> Any:
    """Strings of the code points of each row."""
    encoding = output_encoding.replace("-", "_").lower()
    if isinstance(input, RaggedTensor):
        function: Any = functools.partial(_encoded_rows, encoding=encoding)
        count = static_shape(input.row_splits)
        known = (None if not count or count[0] is None else count[0] - 1,)
        return on_host("UnicodeEncode", name, function, [input.flat_values, input.row_splits], "string", known)
    given = operand(input)
    shape = static_shape(given)
    function = functools.partial(_encoded_last, encoding=encoding)
    return on_host("UnicodeEncode", name, function, [given], "string", None if shape is None else tuple(shape[:-1]))


@writable("text.encoded_rows")
def _encoded_rows(points: Any, splits: Any, *, encoding: str) -> Any:
    rows = ["".join(map(chr, points[a:b])).encode(encoding) for a, b in itertools.pairwise(splits)]
    return np.array(rows, object)


@writable("text.encoded_last")
def _encoded_last(points: Any, *, encoding: str) -> Any:
    found = np.empty(points.shape[:-1], object)
    for place in np.ndindex(found.shape):
        found[place] = "".join(map(chr, points[place])).encode(encoding)
    return found


@writable("text.transcoded")
def _transcoded(s: bytes, *, encoding: str, output: str, errors_: str) -> bytes:
    return _decoded(s, encoding, errors_).encode(output)


def unicode_transcode(
    input: Any, input_encoding: str, output_encoding: str, errors: str = "replace", replacement_char: int = 65533,
    replace_control_characters: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """Strings in another encoding."""
    output = output_encoding.replace("-", "_").lower()
    function = functools.partial(_transcoded, encoding=input_encoding, output=output, errors_=errors)
    return on_host("UnicodeTranscode", name, text._each(function), [input], "string")


@writable("text.segment_join")
def _joined(array: Any, ids: Any, *, count: int, joint: bytes) -> Any:
    found = np.empty((count, *array.shape[ids.ndim :]), object)
    flat, rows = ids.reshape(-1), array.reshape(ids.size, *array.shape[ids.ndim :])
    for i in range(count):
        for place in np.ndindex(found.shape[1:]):
            found[(i, *place)] = joint.join(rows[(k, *place)] for k in np.nonzero(flat == i)[0])
    return found


def unsorted_segment_join(
    inputs: Any, segment_ids: Any, num_segments: int, separator: str = "", name: str | None = None
) -> Any:
    """The strings that share a number, joined."""
    function = functools.partial(_joined, count=int(num_segments), joint=as_bytes(separator))
    return on_host("UnsortedSegmentJoin", name, function, [inputs, segment_ids], "string", None)


def ngrams(
    data: Any, ngram_width: Any, separator: str = " ", pad_values: Any = None, padding_width: int | None = None,
    preserve_short_sequences: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """The groups of so many strings in a row, joined, of each row: ragged for ragged data, else a matrix."""
    sizes = [ngram_width] if isinstance(ngram_width, int) else list(ngram_width)
    ends = None if pad_values is None else (pad_values, pad_values) if isinstance(pad_values, str) else pad_values
    rows = data.to_list() if isinstance(data, RaggedTensor) else operand(data).data.tolist()
    flat = not isinstance(data, RaggedTensor) and bool(rows) and not isinstance(rows[0], list)
    made = [_groups(row, sizes, as_bytes(separator), ends, padding_width, preserve_short_sequences)
            for row in ([rows] if flat else rows)]  # fmt: skip
    if flat:
        return operand(np.array(made[0], object), dtypes.string)
    if not isinstance(data, RaggedTensor):
        return operand(np.array(made, object), dtypes.string)
    words = operand(np.array([w for row in made for w in row], object), dtypes.string)
    return RaggedTensor.from_row_lengths(words, np.array([len(row) for row in made], np.int64))


def _groups(row: list[bytes], sizes: list[int], joint: bytes, ends: Any, width: int | None, keep: bool) -> list[bytes]:
    found: list[bytes] = []
    for size in sizes:
        given = row
        if ends is not None:
            count = size - 1 if width is None else min(size - 1, width)
            given = [as_bytes(ends[0])] * count + row + [as_bytes(ends[1])] * count
        found += [joint.join(given[i : i + size]) for i in range(len(given) - size + 1)]
    return [joint.join(row)] if keep and row and not found else found


def takes_ragged(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of strings, element by element, that takes ragged tensors, too."""

    @functools.wraps(function)
    def call(input: Any, *args: Any, **options: Any) -> Any:
        if isinstance(input, RaggedTensor):
            return input.with_flat_values(function(input.flat_values, *args, **options))
        return function(input, *args, **options)

    return call


__all__ = [
    "ngrams", "split", "takes_ragged", "unicode_decode", "unicode_encode", "unicode_split", "unicode_transcode",
    "unsorted_segment_join",
]  # fmt: skip
