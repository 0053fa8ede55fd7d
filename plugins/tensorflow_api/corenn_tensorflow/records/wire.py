"""Messages of Protocol Buffers as Python objects: fields by name, repeated fields as lists, maps as dicts.

A class lists its fields; the wire format is in ``corenn.records``.  Methods have the names that programs know from
the official library: ``SerializeToString``, ``ParseFromString``, ``HasField``, ``WhichOneof``, ``CopyFrom`` ...
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from corenn.errors import DataError
from corenn.records import protobuf as pb

_DEFAULTS: dict[str, Any] = {"double": 0.0, "float": 0.0, "int": 0, "bool": False, "string": "", "bytes": b""}
_WIRE = {"double": 1, "float": 5, "int": 0, "bool": 0, "string": 2, "bytes": 2}


@dataclass(frozen=True)
class Field:
    """One field: ``kind`` is a name of ``_DEFAULTS`` or a message class; ``oneof`` a group of which one may be set."""

    name: str
    number: int
    kind: Any
    repeated: bool = False
    oneof: str | None = None
    key: str | None = None  #: the kind of keys, for a map

    @property
    def composite(self) -> bool:
        """Whether values are messages."""
        return isinstance(self.kind, type)


class Repeated(list[Any]):
    """A repeated field of messages or of scalars."""

    def __init__(self, field: Field, values: Iterable[Any] = ()) -> None:
        self._field = field
        super().__init__(_checked(field, v) for v in values)

    def add(self, **fields: Any) -> Any:
        """Append a new message with these fields, and return it."""
        made = self._field.kind(**fields)
        super().append(made)
        return made

    def append(self, value: Any) -> None:
        """Append a value of the field's type."""
        super().append(_checked(self._field, value))

    def extend(self, values: Iterable[Any]) -> None:
        """Append several."""
        super().extend(_checked(self._field, v) for v in values)

    def MergeFrom(self, other: Iterable[Any]) -> None:
        """Append those of ``other``."""
        self.extend(other)


class Map(dict[Any, Any]):
    """A map field; asking for a message that is not there makes it."""

    def __init__(self, field: Field, values: Any = ()) -> None:
        self._field = field
        super().__init__({k: _checked(field, v) for k, v in dict(values).items()})

    def __missing__(self, key: Any) -> Any:
        if not self._field.composite:
            raise KeyError(key)
        made = self[key] = self._field.kind()
        return made

    def get_or_create(self, key: Any) -> Any:
        """The message under ``key``, made if missing."""
        return self[key]


class Message:
    """Base of messages; a subclass lists its ``FIELDS``."""

    FIELDS: ClassVar[tuple[Field, ...]] = ()
    _by_name: ClassVar[dict[str, Field]] = {}
    _by_number: ClassVar[dict[int, Field]] = {}

    def __init_subclass__(cls) -> None:
        cls._by_name = {f.name: f for f in cls.FIELDS}
        cls._by_number = {f.number: f for f in cls.FIELDS}

    def __init__(self, **fields: Any) -> None:
        self.__dict__["_values"] = {}
        for name, value in fields.items():
            if name not in self._by_name:
                raise ValueError(f'Protocol message {type(self).__name__} has no "{name}" field.')
            if value is None:
                continue
            field = self._by_name[name]
            if field.key is not None:
                self._values[name] = Map(field, value)
            elif field.repeated:
                self._values[name] = Repeated(field, value)
            else:
                self._set(field, value)

    # ---- fields

    def __getattr__(self, name: str) -> Any:
        field = type(self)._by_name.get(name)
        if field is None:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute {name!r}")
        if name not in self._values:
            if field.key is not None:
                self._values[name] = Map(field)
            elif field.repeated:
                self._values[name] = Repeated(field)
            elif field.composite:
                self._values[name] = field.kind()
            else:
                return _DEFAULTS[field.kind]
        return self._values[name]

    def __setattr__(self, name: str, value: Any) -> None:
        field = self._by_name.get(name)
        if field is None:
            raise AttributeError(f"Assignment not allowed (no field {name!r} in protocol message object).")
        if field.repeated or field.key is not None or field.composite:
            raise AttributeError(f"Assignment not allowed to {name!r}: use add(), extend() or CopyFrom().")
        self._set(field, value)

    def _set(self, field: Field, value: Any) -> None:
        value = _checked(field, value)
        if field.oneof is not None:
            for other in self.FIELDS:
                if other.oneof == field.oneof and other is not field:
                    self._values.pop(other.name, None)
        if field.composite:
            value.__dict__["_set_in_parent"] = True
        self._values[field.name] = value

    def HasField(self, name: str) -> bool:
        """Whether a field that is not repeated has been set."""
        field = self._by_name.get(name)
        if field is None:
            return self.WhichOneof(name) is not None
        found = self._values.get(name)
        if found is None or not field.composite:
            return found is not None
        return found._present()

    def _present(self) -> bool:
        return "_set_in_parent" in self.__dict__ or any(True for _ in self._listed())

    def SetInParent(self) -> None:
        """Count as set, though empty."""
        self.__dict__["_set_in_parent"] = True

    def WhichOneof(self, group: str) -> str | None:
        """The name of the field of ``group`` that is set."""
        return next((f.name for f in self.FIELDS if f.oneof == group and self.HasField(f.name)), None)

    def _listed(self) -> Iterator[tuple[Field, Any]]:
        for field in self.FIELDS:
            value = self._values.get(field.name)
            if value is None or ((field.repeated or field.key is not None) and not value):
                continue
            if field.composite and not field.repeated and field.key is None and not value._present():
                continue
            yield field, value

    def ListFields(self) -> list[tuple[Field, Any]]:
        """The fields that are set, with their values."""
        return list(self._listed())

    def Clear(self) -> None:
        """Unset every field."""
        self._values.clear()

    def ClearField(self, name: str) -> None:
        """Unset one."""
        self._values.pop(name, None)

    # ---- encoding

    def SerializeToString(self, deterministic: bool | None = None) -> bytes:
        """The message in the wire format."""
        out = bytearray()
        for field, value in self._listed():
            if field.key is not None:
                for key in sorted(value):
                    entry = _encoded(Field("key", 1, field.key), key) + _encoded(
                        Field("value", 2, field.kind), value[key]
                    )
                    out += pb.blob(field.number, entry)
            elif not field.repeated:
                out += _encoded(field, value)
            elif field.composite or field.kind in ("string", "bytes"):
                for item in value:
                    out += _encoded(field, item)
            else:
                out += pb.blob(field.number, _packed(field.kind, value))
        return bytes(out)

    def ByteSize(self) -> int:
        """The length of the encoded message."""
        return len(self.SerializeToString())

    @classmethod
    def FromString(cls, data: bytes) -> Any:
        """The message that ``data`` encodes; DataError where it is none."""
        made = cls()
        made.MergeFromString(data)
        return made

    def ParseFromString(self, data: bytes) -> int:
        """Become the message that ``data`` encodes."""
        self.Clear()
        return self.MergeFromString(data)

    def MergeFromString(self, data: bytes) -> int:
        """Add what ``data`` encodes; unknown fields are skipped."""
        try:
            for number, wire, value in pb.fields(bytes(data)):
                field = self._by_number.get(number)
                if field is not None:
                    self._take(field, wire, value)
        except (pb.WireError, UnicodeDecodeError, struct.error) as error:
            raise DataError(type(self).__name__, f"Error parsing message: {error}") from error
        return len(data)

    def _take(self, field: Field, wire: int, value: int | bytes) -> None:
        if field.key is not None:
            parts = {n: (w, v) for n, w, v in pb.fields(pb.as_bytes(value))}
            key = _decoded(field.key, *parts[1]) if 1 in parts else _DEFAULTS[field.key]
            if 2 in parts:
                item = _decoded(field.kind, *parts[2])
            else:
                item = field.kind() if field.composite else _DEFAULTS[field.kind]
            getattr(self, field.name)[key] = item
        elif not field.repeated:
            if field.composite and field.name in self._values:
                self._values[field.name].MergeFromString(pb.as_bytes(value))
            else:
                self._set(field, _decoded(field.kind, wire, value))
        elif wire == 2 and not field.composite and field.kind not in ("string", "bytes"):
            list.extend(getattr(self, field.name), _unpacked(field.kind, pb.as_bytes(value)))
        else:
            list.append(getattr(self, field.name), _decoded(field.kind, wire, value))

    # ---- copying, comparing, showing

    def MergeFrom(self, other: Message) -> None:
        """Add what ``other`` says."""
        self.MergeFromString(other.SerializeToString())

    def CopyFrom(self, other: Message) -> None:
        """Become a copy of ``other``."""
        data = other.SerializeToString()
        self.Clear()
        self.MergeFromString(data)
        self.SetInParent()

    def __deepcopy__(self, memo: Any) -> Any:
        return type(self).FromString(self.SerializeToString())

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and dict(self._pairs()) == dict(other._pairs())  # type: ignore[attr-defined]

    __hash__ = None  # type: ignore[assignment]

    def _pairs(self) -> Iterator[tuple[str, Any]]:
        return ((field.name, value) for field, value in self._listed())

    def __str__(self) -> str:
        return "".join(self._lines(""))

    __repr__ = __str__

    def _lines(self, indent: str) -> Iterator[str]:
        for field, value in self._listed():
            if field.key is not None:
                for key, item in sorted(value.items()):
                    yield f"{indent}{field.name} {{\n"
                    yield from _shown("key", key, indent + "  ")
                    yield from _shown("value", item, indent + "  ")
                    yield f"{indent}}}\n"
                continue
            for item in value if field.repeated else (value,):
                yield from _shown(field.name, item, indent)


def _shown(name: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, Message):
        yield f"{indent}{name} {{\n"
        yield from value._lines(indent + "  ")
        yield f"{indent}}}\n"
    elif isinstance(value, bytes):
        text = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\{b:03o}" for b in value)
        yield f'{indent}{name}: "{text}"\n'
    elif isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        yield f'{indent}{name}: "{escaped}"\n'
    elif isinstance(value, bool):
        yield f"{indent}{name}: {'true' if value else 'false'}\n"
    else:
        yield f"{indent}{name}: {value}\n"


def _checked(field: Field, value: Any) -> Any:
    """``value`` as the field takes it; TypeError for another type."""
    kind = field.kind
    if isinstance(kind, type):
        if isinstance(value, dict):
            return kind(**value)
        if not isinstance(value, kind):
            raise TypeError(f"{field.name}: expected {kind.__name__}, got {type(value).__name__}")
        return value
    if kind == "bytes":
        if isinstance(value, (bytes, bytearray, memoryview)):
            return bytes(value)
        raise TypeError(f"{value!r} has type {type(value).__name__}, but expected one of: bytes")
    if kind == "string":
        if isinstance(value, bytes):
            return value.decode("utf-8")
        if isinstance(value, str):
            return str(value)
        raise TypeError(f"{value!r} has type {type(value).__name__}, but expected one of: bytes, str")
    if isinstance(value, (str, bytes)) or (hasattr(value, "__len__") and np.ndim(value) != 0):
        raise TypeError(f"{value!r} has type {type(value).__name__}, but expected one of: int, float")
    if kind == "bool":
        return bool(value)
    if kind == "int":
        if isinstance(value, (float, np.floating)) and value != int(value):
            raise TypeError(f"{value!r} has type {type(value).__name__}, but expected one of: int")
        return int(value)
    number = float(value)
    return float(np.float32(number)) if kind == "float" and abs(number) < 3.4e38 else number


def _encoded(field: Field, value: Any) -> bytes:
    kind, number = field.kind, field.number
    if field.composite:
        return pb.blob(number, value.SerializeToString())
    if kind in ("int", "bool"):
        return pb.integer(number, int(value))
    if kind == "double":
        return pb.double(number, value)
    if kind == "float":
        return pb.single(number, value)
    return pb.string(number, value) if kind == "string" else pb.blob(number, value)


def _decoded(kind: Any, wire: int, value: int | bytes) -> Any:
    if isinstance(kind, type):
        made = kind.FromString(pb.as_bytes(value))
        made.SetInParent()
        return made
    if wire != _WIRE[kind]:
        raise pb.WireError(f"wire type {wire} for {kind}")
    if kind == "bool":
        return bool(pb.as_int(value))
    if kind == "int":
        return pb.as_int(value)
    if kind in ("double", "float"):
        return pb.as_float(value)
    return pb.as_bytes(value) if kind == "bytes" else pb.as_bytes(value).decode("utf-8")


def _packed(kind: str, values: list[Any]) -> bytes:
    if kind == "double":
        return np.asarray(values, "<f8").tobytes()
    if kind == "float":
        return np.asarray(values, "<f4").tobytes()
    return b"".join(pb.varint(int(v)) for v in values)


def _unpacked(kind: str, data: bytes) -> list[Any]:
    if kind in ("double", "float"):
        width = 8 if kind == "double" else 4
        if len(data) % width:
            raise pb.WireError("packed numbers of an odd length")
        return np.frombuffer(data, f"<f{width}").tolist()
    found, at = [], 0
    while at < len(data):
        value, at = pb.read_varint(data, at)
        signed = pb.as_int(value)
        found.append(bool(signed) if kind == "bool" else signed)
    return found


__all__ = ["Field", "Map", "Message", "Repeated"]
