"""Sorted string tables, the container of a TensorFlow checkpoint's ``.index`` file: reading and writing whole ones.

A table is a run of blocks and a footer of 48 bytes.  A block holds records ``varint shared, varint unshared, varint
size, key[shared:], value`` in the order of their keys, where ``shared`` bytes are those of the key before; then the
``uint32`` offsets of the records whose keys are written whole (restart points) and the number of them.  After each
block come its compression type, one byte, and a masked CRC-32C of block and type.  The footer names two blocks by
offset and size: one for extensions, here empty, and the index, whose values name the data blocks in order.
Source: the table format page of the LevelDB documentation (doc/table_format.md).
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable

from corenn.checkpoint._layout import damaged
from corenn.errors import CheckpointError
from corenn.records import protobuf as pb
from corenn.records.checksum import masked_crc

MAGIC = struct.pack("<Q", 0xDB4775248B80FB57)
FOOTER_SIZE = 48  # two handles in 40 bytes, padded with zeros, and the magic number
BLOCK_SIZE = 1 << 18  # bytes of records after which a block is full; TensorFlow's choice
RESTART_INTERVAL = 16  # records from one key that is written whole to the next
_TRAILER = struct.Struct("<BI")
_UINT32 = struct.Struct("<I")
_COMPRESSION = {1: "snappy", 2: "zlib", 4: "zstd"}

Record = tuple[bytes, bytes]


def build(records: Iterable[Record]) -> bytes:
    """The table of ``records``, which come with their keys in ascending order, each once."""
    out, block, index = bytearray(), _BlockBuilder(), _BlockBuilder(restart_interval=1)

    def finish(key: bytes) -> None:
        index.add(key, _append(out, block.finish()))

    last = b""
    for last, value in records:  # the last key is also that of the last block
        block.add(last, value)
        if len(block.records) >= BLOCK_SIZE:
            finish(last)
            block = _BlockBuilder()
    if block.records:
        finish(last)
    extensions = _append(out, _BlockBuilder().finish())
    handles = extensions + _append(out, index.finish())
    return bytes(out + handles.ljust(FOOTER_SIZE - len(MAGIC), b"\0") + MAGIC)


def parse(table: bytes, path: str) -> list[Record]:
    """The records of a whole table in the order of their keys; checksums and order are checked.

    Raises CheckpointError naming ``path`` where the table is truncated, corrupt or compressed.
    """
    if len(table) < FOOTER_SIZE or not table.endswith(MAGIC):
        kind = f"it has only {len(table)} bytes" if len(table) < FOOTER_SIZE else "its last bytes are not a footer"
        raise damaged(path, f"{kind}; it is not the index file of a checkpoint, or it is truncated")
    try:
        footer = table[-FOOTER_SIZE : -len(MAGIC)]
        extensions, at = _handle(footer, 0)
        index, _ = _handle(footer, at)
        _read_block(table, *extensions, path)
        records: list[Record] = []
        for last, value in _records(_read_block(table, *index, path)):
            found = _records(_read_block(table, *_handle(value, 0)[0], path))
            if found and found[-1][0] > last:
                raise pb.WireError("a block has keys beyond those that the index gives it")
            records += found
        if any(left >= right for (left, _), (right, _) in itertools.pairwise(records)):
            raise pb.WireError("its keys are not in order")
    except pb.WireError as error:
        raise damaged(path, str(error)) from error
    return records


class _BlockBuilder:
    """A block being filled."""

    def __init__(self, restart_interval: int = RESTART_INTERVAL) -> None:
        self.records = bytearray()
        self._interval, self._count = restart_interval, 0
        self._restarts, self._last = [0], b""

    def add(self, key: bytes, value: bytes) -> None:
        if self._count % self._interval:
            shared = _common_prefix(self._last, key)
        else:
            shared = 0
            if self._count:
                self._restarts.append(len(self.records))
        self.records += pb.varint(shared) + pb.varint(len(key) - shared) + pb.varint(len(value)) + key[shared:] + value
        self._last = key
        self._count += 1

    def finish(self) -> bytes:
        return bytes(self.records) + struct.pack(f"<{len(self._restarts) + 1}I", *self._restarts, len(self._restarts))


def _common_prefix(left: bytes, right: bytes) -> int:
    size = min(len(left), len(right))
    return next((i for i in range(size) if left[i] != right[i]), size)


def _append(out: bytearray, block: bytes) -> bytes:
    """Put ``block`` with its trailer at the end of ``out``; returns the handle that names it."""
    handle = pb.varint(len(out)) + pb.varint(len(block))
    out += block + _TRAILER.pack(0, masked_crc(block + b"\0"))
    return handle


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    offset, at = pb.read_varint(data, at)
    size, at = pb.read_varint(data, at)
    return (offset, size), at


def _read_block(table: bytes, offset: int, size: int, path: str) -> bytes:
    """The block at ``offset``, its checksum verified."""
    end = offset + size
    if end + _TRAILER.size > len(table) - FOOTER_SIZE:
        raise pb.WireError(f"a block of {size} bytes at byte {offset} lies outside the file")
    compression, crc = _TRAILER.unpack_from(table, end)
    if masked_crc(table[offset : end + 1]) != crc:
        raise pb.WireError(f"the checksum of the block at byte {offset} is wrong")
    if compression:
        kind = _COMPRESSION.get(compression, f"type {compression}")
        what = f"has compressed blocks ({kind}), which are not read here; TensorFlow writes this file uncompressed"
        hint = "restore it with the program that wrote it, and save it with tf.compat.v1.train.Saver"
        raise CheckpointError(path, what, hint=hint)
    return table[offset:end]


def _records(block: bytes) -> list[Record]:
    """The records of a block.  Raises WireError where it is not well formed."""
    if len(block) < _UINT32.size:
        raise pb.WireError("a block is too short")
    end = len(block) - _UINT32.size * (1 + _UINT32.unpack_from(block, len(block) - _UINT32.size)[0])
    if end < 0:
        raise pb.WireError("a block has more restart points than bytes")
    records: list[Record] = []
    key, at = b"", 0
    while at < end:
        shared, at = pb.read_varint(block, at)
        unshared, at = pb.read_varint(block, at)
        size, at = pb.read_varint(block, at)
        if shared > len(key) or at + unshared + size > end:
            raise pb.WireError("a record runs past the end of its block")
        key = key[:shared] + block[at : at + unshared]
        at += unshared + size
        records.append((key, block[at - size : at]))
    return records
