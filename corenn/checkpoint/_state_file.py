"""The text file ``checkpoint`` in a directory of TensorFlow checkpoints: which there are, and which is the newest.

It is a CheckpointState message (tensorflow/python/training/checkpoint_state.proto) in the text format of Protocol
Buffers (protobuf.dev/reference/protobuf/textformat-spec)::

    model_checkpoint_path: "model.ckpt-200"
    all_model_checkpoint_paths: "model.ckpt-100"
    all_model_checkpoint_paths: "model.ckpt-200"
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from corenn.checkpoint._atomic import write_atomically
from corenn.checkpoint.manager import CheckpointWarning
from corenn.errors import AttributeValueError, CheckpointError

StrPath = str | os.PathLike[str]

_TOKEN = re.compile(
    rb"""(?P<skip>\s+|\#[^\n]*)"""
    rb"""|(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')"""
    rb"""|(?P<word>[-+.\w]+)|(?P<mark>[:,;\[\]])""",
    re.DOTALL,
)
_ESCAPE = re.compile(
    rb"""\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))""", re.DOTALL
)
_LETTERS = {b"a": 7, b"b": 8, b"f": 12, b"n": 10, b"r": 13, b"t": 9, b"v": 11, b"\\": 92, b"'": 39, b'"': 34, b"?": 63}
_BYTES = {b"model_checkpoint_path", b"all_model_checkpoint_paths"}  # the other fields are numbers


@dataclass(frozen=True, slots=True)
class CheckpointState:
    """What a ``checkpoint`` file says.

    ``latest``: prefix of the newest checkpoint.  ``all``: prefixes, oldest first; ``latest`` is the last.
    ``timestamps``: when each was saved, seconds since 1970, or empty.  ``last_preserved``: when one was last
    kept for good, or ``None``.  Prefixes that the file gives relative to its directory are joined to that directory.
    """

    latest: str
    all: tuple[str, ...]
    timestamps: tuple[float, ...] = ()
    last_preserved: float | None = None


def read_checkpoint_state(directory: StrPath, filename: str = "checkpoint") -> CheckpointState | None:
    """The state that ``filename`` in ``directory`` holds; ``None`` if there is no such file or it names no checkpoint.

    Raises CheckpointError naming the file when it cannot be read or is not such a file.
    """
    folder = os.fspath(directory)
    path = os.path.join(folder, filename)
    try:
        text = Path(path).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(path, f"cannot be read: {error.strerror or error}") from error
    try:
        values = _parse(text)
    except (ValueError, OverflowError) as error:
        hint = "delete it, or write it anew with write_checkpoint_state; the checkpoints can be loaded by their prefix"
        raise CheckpointError(path, f"is not a TensorFlow checkpoint state: {error}", hint=hint) from error
    if not values.newest:
        return None
    names = [os.path.join(folder, os.fsdecode(name)) for name in values.paths]
    newest = os.path.join(folder, os.fsdecode(values.newest))
    return CheckpointState(newest, tuple(_with_last(names, newest)), tuple(values.timestamps), values.last_preserved)


def write_checkpoint_state(
    directory: StrPath,
    latest: StrPath,
    all: Sequence[StrPath] = (),
    *,
    timestamps: Sequence[float] = (),
    last_preserved: float | None = None,
    relative: bool = False,
    filename: str = "checkpoint",
) -> None:
    """Write ``filename`` in ``directory``, whole or not at all: ``latest`` is the newest of the checkpoints ``all``.

    Prefixes are paths as for any function.  In the file an absolute one stays absolute and a relative one becomes
    relative to ``directory``; with ``relative`` all become so, and the directory can be moved.  ``latest`` is put at
    the end of ``all`` where it is not.  ``timestamps``: one for each of ``all``, or none.  Raises AttributeValueError
    for an empty prefix or another number of timestamps, CheckpointError when the file cannot be written.
    """
    names = _with_last([os.fspath(name) for name in all], os.fspath(latest))
    if not min(names):
        raise AttributeValueError("write_checkpoint_state", "a prefix is empty", {"latest": latest, "all": list(all)})
    if timestamps and len(timestamps) != len(names):
        operands = {"all": names, "timestamps": list(timestamps)}
        raise AttributeValueError("write_checkpoint_state", "there must be a timestamp for each checkpoint", operands)
    folder = os.fspath(directory)
    stored = [_stored_name(name, folder, relative) for name in names]
    lines = [f"model_checkpoint_path: {_quoted(stored[-1])}"]
    lines += [f"all_model_checkpoint_paths: {_quoted(name)}" for name in stored]
    lines += [f"all_model_checkpoint_timestamps: {float(value)!r}" for value in timestamps]
    lines += [] if last_preserved is None else [f"last_preserved_timestamp: {float(last_preserved)!r}"]
    text = "".join(line + "\n" for line in lines).encode("ascii")
    path = Path(folder, filename)
    try:
        write_atomically(path, lambda file: file.write(text))
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise CheckpointError(str(path), what, hint="make the directory, free space or choose another one") from error


def latest(directory: StrPath, filename: str = "checkpoint") -> str | None:
    """The prefix of the newest checkpoint in ``directory``, or ``None`` when its ``checkpoint`` file names none.

    ``None`` with a CheckpointWarning when the one it names is gone.  Raises CheckpointError for a damaged state file.
    """
    state = read_checkpoint_state(directory, filename)
    if state is None:
        return None
    if not os.path.isfile(state.latest + ".index"):
        where = os.path.join(os.fspath(directory), filename)
        warnings.warn(f"{where} names {state.latest}, which does not exist", CheckpointWarning, stacklevel=2)
        return None
    return state.latest


@dataclass
class _Values:
    """The fields of the message, as they stand in the file."""

    newest: bytes = b""
    paths: list[bytes] = field(default_factory=list)
    timestamps: list[float] = field(default_factory=list)
    last_preserved: float | None = None

    def add(self, name: bytes, kind: str, text: bytes) -> None:
        """Take one value of the field ``name``; ValueError if there is no such field or it has another type."""
        if (kind == "string") != (name in _BYTES):
            raise ValueError(f"{_shown(text)} is not a value of {_shown(name)}")
        if name == b"model_checkpoint_path":
            self.newest = text
        elif name == b"all_model_checkpoint_paths":
            self.paths.append(text)
        elif name == b"all_model_checkpoint_timestamps":
            self.timestamps.append(float(text))
        elif name == b"last_preserved_timestamp":
            self.last_preserved = float(text)
        else:
            raise ValueError(f"it has no field {_shown(name)}")


def _parse(text: bytes) -> _Values:
    """Fields ``name: value`` or ``name: [value, value]``; strings next to each other are one.

    Raises ValueError, or OverflowError for a number of a character that is too large.
    """
    values, tokens = _Values(), [*_tokens(text), ("end", b"")]
    at = 0

    def value() -> None:
        nonlocal at
        kind, item = tokens[at]
        if kind not in ("string", "word"):
            raise ValueError(f"a value is missing after {_shown(name)}")
        at += 1
        while kind == "string" and tokens[at][0] == "string":
            item += tokens[at][1]
            at += 1
        values.add(name, kind, item)

    while tokens[at][0] != "end":
        (kind, name), mark = tokens[at], tokens[at + 1 : at + 2]
        if kind != "word" or mark != [("mark", b":")]:
            raise ValueError(f'a field such as model_checkpoint_path: "..." was expected at {_shown(name)}')
        at += 2
        if tokens[at] == ("mark", b"["):
            at += 1
            while tokens[at] != ("mark", b"]"):
                value()
                at += tokens[at] == ("mark", b",")
            at += 1
        else:
            value()
        at += tokens[at] in (("mark", b","), ("mark", b";"))
    return values


def _tokens(text: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"unexpected {_shown(text[at : at + 20])}")
        at, kind = match.end(), match.lastgroup
        if kind == "string":
            yield kind, _ESCAPE.sub(_unescaped, match[0][1:-1])
        elif kind in ("word", "mark"):
            yield kind, match[0]


def _unescaped(match: re.Match[bytes]) -> bytes:
    octal, digits, short, long, letter = match.groups()
    if octal or digits:
        return bytes((int(octal or digits, 8 if octal else 16) & 0xFF,))
    if short or long:
        return chr(int(short or long, 16)).encode()  # ValueError or OverflowError for what is no character
    if letter not in _LETTERS:
        raise ValueError(f"there is no escape {_shown(match[0])}")
    return bytes((_LETTERS[letter],))


def _quoted(name: str) -> str:
    """A string of the text format in ASCII: other bytes of the UTF-8 (or of the file name) as octal numbers."""
    plain = {**{byte: chr(byte) for byte in range(32, 127)}, 34: '\\"', 92: "\\\\", 10: "\\n"}
    return '"' + "".join(plain.get(byte) or f"\\{byte:03o}" for byte in os.fsencode(name)) + '"'


def _with_last(names: list[str], last: str) -> list[str]:
    return names if names[-1:] == [last] else [*names, last]


def _stored_name(name: str, folder: str, relative: bool) -> str:
    return name if os.path.isabs(name) and not relative else os.path.relpath(name, folder or ".")


def _shown(text: bytes) -> str:
    return repr(text.decode("utf-8", "backslashreplace"))
