"""Reads pickles as data: a small machine for the instructions that PyTorch's files use, which can call nothing else.

Python's own unpickler runs whatever a file asks for.  This one knows no modules: a name in the file is looked up in a
table that the caller gives, and everything else is refused.  Source of the instructions: the comments of Python's
``pickletools`` module.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from corenn.errors import CheckpointError
from corenn_models.weights.source import damaged

_MARK = object()
_HIGHEST = 5  # the newest protocol there is
_TOP = {b"N": None, b"\x88": True, b"\x89": False}
_NUMBERS = {b"J": "<i", b"K": "<B", b"M": "<H", b"G": ">d"}
#: Instruction -> (format of the length, what the bytes are).
_SIZED: dict[bytes, tuple[str, str]] = {
    b"X": ("<I", "text"), b"\x8c": ("<B", "text"), b"\x8d": ("<Q", "text"),
    b"B": ("<I", "bytes"), b"C": ("<B", "bytes"), b"\x8e": ("<Q", "bytes"),
    b"T": ("<i", "latin"), b"U": ("<B", "latin"),
    b"\x8a": ("<B", "int"), b"\x8b": ("<i", "int"),
}  # fmt: skip


class Name:
    """A name the file refers to; ``make`` takes the arguments the file gives, ``None``: it cannot be called."""

    def __init__(self, name: str, make: Callable[..., Any] | None = None) -> None:
        self.name, self.make = name, make


class Machine:
    """Reads one pickle from ``data``, beginning at ``at``; afterwards ``at`` is where it ended.

    ``known``: what the file may refer to, by ``module.name``.  ``persistent``: what makes an object from an id.
    Raises CheckpointError naming ``path`` for anything that is not known, and for damage.
    """

    def __init__(
        self, data: bytes, path: str, known: Mapping[str, Name], persistent: Callable[[Any], Any], at: int = 0
    ) -> None:
        self.data, self.path, self.known, self.persistent, self.at = data, path, known, persistent, at
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def load(self) -> Any:
        """The object."""
        try:
            while True:
                code = self._take(1)
                if code == b".":
                    return self._pop()
                self._step(code)
        except (IndexError, KeyError, TypeError, ValueError, AttributeError, struct.error) as error:
            if isinstance(error, CheckpointError):
                raise
            raise damaged(self.path, f"its pickle makes no sense at byte {self.at} ({error})") from error

    # ---- bytes

    def _take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise damaged(self.path, f"its pickle ends too early, at byte {len(self.data)}")
        self.at += count
        return self.data[self.at - count : self.at]

    def _number(self, kind: str) -> Any:
        return struct.unpack(kind, self._take(struct.calcsize(kind)))[0]

    def _line(self) -> str:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise damaged(self.path, "its pickle ends inside a name")
        return self._take(end + 1 - self.at)[:-1].decode("utf-8")

    # ---- the stack

    def _pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value was expected")
        return value

    def _to_mark(self) -> list[Any]:
        at = len(self.stack) - 1
        while self.stack[at] is not _MARK:
            at -= 1
            if at < 0:
                raise ValueError("no mark")
        found = self.stack[at + 1 :]
        del self.stack[at:]
        return found

    # ---- instructions

    def _step(self, code: bytes) -> None:
        push = self.stack.append
        if code in _TOP:
            push(_TOP[code])
        elif code in _NUMBERS:
            push(self._number(_NUMBERS[code]))
        elif code in _SIZED:
            push(self._sized(*_SIZED[code]))
        elif code == b"\x80":
            protocol = self._number("<B")
            if protocol > _HIGHEST:
                raise damaged(self.path, f"its pickle has the protocol {protocol}")
        elif code == b"\x95":
            self._number("<Q")  # the length of a frame: nothing depends on it
        elif code == b"(":
            push(_MARK)
        elif code in b"}])":
            push({b"}": {}, b"]": [], b")": ()}[code])
        elif code in b"\x85\x86\x87":
            push(tuple(reversed([self._pop() for _ in range(code[0] - 0x84)])))
        elif code == b"t":
            push(tuple(self._to_mark()))
        elif code in b"asue":
            self._fill(code)
        elif code in b"qr\x94hj":
            self._remember(code)
        elif code in b"c\x93":
            push(self._named(code))
        elif code in b"R\x81":
            self._call()
        elif code == b"b":
            self._build()
        elif code == b"Q":
            push(self.persistent(self._pop()))
        else:
            raise CheckpointError(
                self.path, f"its pickle has the instruction {code!r} at byte {self.at - 1}, which no weights need",
                hint="save the state_dict() of the model, or safetensors",
            )  # fmt: skip

    def _sized(self, length: str, kind: str) -> Any:
        raw = self._take(self._number(length))
        if kind == "text":
            return raw.decode("utf-8", "surrogatepass")
        if kind == "latin":
            return raw.decode("latin-1")
        return int.from_bytes(raw, "little", signed=True) if kind == "int" else raw

    def _fill(self, code: bytes) -> None:
        """Append to a list, or set items of a dict."""
        items = self._to_mark() if code in b"ue" else [self._pop() for _ in range(1 + (code == b"s"))][::-1]
        target = self.stack[-1]
        if code in b"ae":
            if type(target) is not list:
                raise ValueError("an item for what is no list")
            target.extend(items)
            return
        if type(target) is not dict or len(items) % 2:
            raise ValueError("an item for what is no dict")
        target.update(zip(items[::2], items[1::2], strict=True))

    def _remember(self, code: bytes) -> None:
        if code in b"hj":
            self.stack.append(self.memo[self._number("<B" if code == b"h" else "<I")])
            return
        where = len(self.memo) if code == b"\x94" else self._number("<B" if code == b"q" else "<I")
        self.memo[where] = self.stack[-1]

    def _named(self, code: bytes) -> Name:
        if code == b"c":
            module, name = self._line(), self._line()
        else:
            name, module = self._pop(), self._pop()
        full = f"{module}.{name}"
        found = self.known.get(full)
        if found is None:
            raise CheckpointError(
                self.path, f"its pickle refers to {full!r}, which is not a part of plain tensors: refused",
                hint="files of whole models run code when they are loaded; save model.state_dict(), or safetensors",
            )  # fmt: skip
        return found

    def _call(self) -> None:
        arguments, function = self._pop(), self._pop()
        if not isinstance(function, Name) or function.make is None or type(arguments) is not tuple:
            raise ValueError("a call of what cannot be called")
        self.stack.append(function.make(*arguments))

    def _build(self) -> None:
        """The attributes of an OrderedDict (PyTorch keeps versions of modules there): nothing that weights need."""
        self._pop()
        if type(self.stack[-1]) is not dict:
            raise ValueError("attributes for what has none")


__all__ = ["Machine", "Name"]
