"""``TensorShape`` and ``Dimension``: shapes of which extents, or even the rank, may be unknown."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from corenn.errors import ShapeError
from corenn.spec import Shape
from corenn_tensorflow import mode


class _DimensionType(type):
    """Makes the unknown extent an instance of ``Dimension``, too: an int cannot be unknown."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return type.__instancecheck__(cls, instance) or isinstance(instance, _Unknown)

    def __call__(cls, value: Any) -> Any:
        value = getattr(value, "value", value)
        if value is None:
            return _UNKNOWN
        number = operator.index(value) if not isinstance(value, str) else int(value)
        if number < 0:
            raise ValueError(f"Dimension {number} must be >= 0")
        return super().__call__(number)


class Dimension(int, metaclass=_DimensionType):
    """An extent of generation 1: an int with ``.value``; ``Dimension(None)`` is the unknown one."""

    @property
    def value(self) -> int:
        """The extent as a plain int."""
        return int(self)

    def is_compatible_with(self, other: Any) -> bool:
        """Whether both can be the same extent."""
        found = getattr(other, "value", other)
        return found is None or found == int(self)

    def assert_is_compatible_with(self, other: Any) -> None:
        """ValueError unless both can be the same extent."""
        if not self.is_compatible_with(other):
            raise ValueError(f"Dimensions {int(self)} and {other} are not compatible")

    def merge_with(self, other: Any) -> Dimension:
        """The one of the two that is known; ValueError if they differ."""
        self.assert_is_compatible_with(other)
        return self

    def __repr__(self) -> str:
        return f"Dimension({int(self)})"

    def __str__(self) -> str:
        return str(int(self))

    def __format__(self, spec: str) -> str:
        return format(int(self), spec)

    def __reduce__(self) -> tuple[Any, ...]:
        return Dimension, (int(self),)

    __hash__ = int.__hash__


def _arithmetic(name: str) -> Callable[[Any, Any], Any]:
    plain = getattr(int, name)

    def method(self: Dimension, other: Any) -> Any:
        if isinstance(other, _Unknown):
            return _UNKNOWN
        found = plain(self, other)
        return type.__call__(Dimension, found) if isinstance(found, int) else found

    return method


for _name in ("add", "sub", "mul", "floordiv", "mod"):
    for _form in (f"__{_name}__", f"__r{_name}__"):
        setattr(Dimension, _form, _arithmetic(_form))


class _Unknown:
    """The extent that is not known: what arithmetic with it gives is unknown, and comparisons give ``None``."""

    __slots__ = ()
    value = None

    def _unknown(self, other: Any) -> _Unknown:
        return self

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __floordiv__ = __rfloordiv__ = _unknown
    __mod__ = __rmod__ = __truediv__ = __rtruediv__ = _unknown

    def _undecided(self, other: Any) -> None:
        return None

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _undecided  # type: ignore[assignment]  # as in TensorFlow

    def is_compatible_with(self, other: Any) -> bool:
        """True: it can be any extent."""
        return True

    def assert_is_compatible_with(self, other: Any) -> None:
        """Nothing: it can be any extent."""

    def merge_with(self, other: Any) -> Any:
        """The other."""
        return Dimension(other)

    def __index__(self) -> NoReturn:
        raise TypeError("__index__ returned non-int (type NoneType): the extent is unknown")

    def __int__(self) -> NoReturn:
        raise TypeError("__int__ returned non-int (type NoneType): the extent is unknown")

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return "Dimension(None)"

    def __str__(self) -> str:
        return "?"

    def __reduce__(self) -> tuple[Any, ...]:
        return Dimension, (None,)


_UNKNOWN = _Unknown()


def dimension_value(dimension: Any) -> int | None:
    """The extent as an int or ``None``, of a ``Dimension`` or what is one already."""
    found: int | None = getattr(dimension, "value", dimension)
    return found


def _extent(n: Any) -> int | None:
    value = getattr(n, "value", n)
    if value is None:
        return None
    try:
        number = operator.index(value)
    except TypeError:
        if not (isinstance(value, float) and value.is_integer()):
            raise TypeError(f"Dimension value must be integer or None or have an __index__ method, got value "
                            f"'{value!r}' with type '{type(value)!r}'") from None  # fmt: skip
        number = int(value)
    if number < 0:
        raise ValueError(f"Dimension {number} must be >= 0")
    return number


class TensorShape(tuple[Any, ...]):
    """A tuple of extents, ``None`` where unknown; ``TensorShape(None)`` where even the rank is.

    Its elements are ints and ``None`` in generation 2; in generation 1 looking at them gives ``Dimension``s.
    """

    unknown: bool

    def __new__(cls, dims: Any = None) -> TensorShape:
        """The shape of ``dims``: a sequence, an int, another shape, or ``None``."""
        if isinstance(dims, TensorShape):
            return dims
        if dims is None:
            return _UNKNOWN_SHAPE
        if not isinstance(dims, Iterable):
            dims = (dims,)
        return cls.of(tuple(_extent(n) for n in dims))

    @classmethod
    def of(cls, extents: Shape | None) -> TensorShape:
        """The shape of a plain tuple of ints and ``None``, or of ``None``; quick."""
        if extents is None:
            return _UNKNOWN_SHAPE
        found = _KNOWN.get(extents)
        if found is None:
            found = tuple.__new__(cls, extents)
            found.unknown = False
            if len(_KNOWN) < _MOST_KNOWN:
                _KNOWN[tuple(extents)] = found
        return found

    # ---- what it is

    @property
    def rank(self) -> int | None:
        """Number of axes, or ``None``."""
        return None if self.unknown else tuple.__len__(self)

    ndims = rank

    @property
    def dims(self) -> list[Any] | None:
        """The extents as a list, or ``None``."""
        return None if self.unknown else list(self)

    @property
    def extents(self) -> Shape | None:
        """The extents as a plain tuple of ints and ``None``, or ``None``."""
        return None if self.unknown else tuple(tuple.__iter__(self))

    def as_list(self) -> list[int | None]:
        """The extents as ints and ``None``; ValueError if the rank is unknown."""
        if self.unknown:
            raise ValueError("as_list() is not defined on an unknown TensorShape.")
        return list(tuple.__iter__(self))

    def num_elements(self) -> int | None:
        """The product of the extents, or ``None``."""
        if not self.is_fully_defined():
            return None
        total = 1
        for n in tuple.__iter__(self):
            total *= n
        return total

    def is_fully_defined(self) -> bool:
        """Whether all extents are known."""
        return not self.unknown and None not in tuple(tuple.__iter__(self))

    def __len__(self) -> int:
        if self.unknown:
            raise ValueError("Cannot take the length of Shape with unknown rank.")
        return tuple.__len__(self)

    def __bool__(self) -> bool:
        return not self.unknown and tuple.__len__(self) > 0

    def __iter__(self) -> Iterator[Any]:
        if self.unknown:
            raise ValueError("Cannot iterate over a shape with unknown rank.")
        if mode.generation() == 1:
            return iter([Dimension(n) for n in tuple.__iter__(self)])
        return tuple.__iter__(self)

    def __getitem__(self, key: Any) -> Any:
        if self.unknown:
            if isinstance(key, slice):
                return _UNKNOWN_SHAPE
            return Dimension(None) if mode.generation() == 1 else None
        found = tuple.__getitem__(self, key)
        if isinstance(key, slice):
            return TensorShape.of(found)
        return Dimension(found) if mode.generation() == 1 else found

    def __contains__(self, value: Any) -> bool:
        return value in tuple(tuple.__iter__(self))

    # ---- two shapes

    def is_compatible_with(self, other: Any) -> bool:
        """Whether both can be the same shape."""
        a, b = self.extents, TensorShape(other).extents
        if a is None or b is None:
            return True
        return len(a) == len(b) and all(m is None or n is None or m == n for m, n in zip(a, b, strict=True))

    def assert_is_compatible_with(self, other: Any) -> None:
        """ValueError unless both can be the same shape."""
        if not self.is_compatible_with(other):
            raise ShapeError("", f"Shapes {self} and {TensorShape(other)} are incompatible")

    def merge_with(self, other: Any) -> TensorShape:
        """What both say together; ValueError if they contradict each other."""
        second = TensorShape(other)
        if not self.is_compatible_with(second):
            raise ShapeError("", f"Shapes {self} and {second} are not compatible")
        a, b = self.extents, second.extents
        if a is None or b is None:
            return second if a is None else self
        return TensorShape.of(tuple(n if m is None else m for m, n in zip(a, b, strict=True)))

    def concatenate(self, other: Any) -> TensorShape:
        """The axes of both."""
        second = TensorShape(other)
        a, b = self.extents, second.extents
        return _UNKNOWN_SHAPE if a is None or b is None else TensorShape.of(a + b)

    def __add__(self, other: Any) -> TensorShape:
        return self.concatenate(other)

    def __radd__(self, other: Any) -> TensorShape:
        return TensorShape(other).concatenate(self)

    def most_specific_compatible_shape(self, other: Any) -> TensorShape:
        """What both have in common."""
        a, b = self.extents, TensorShape(other).extents
        if a is None or b is None or len(a) != len(b):
            return _UNKNOWN_SHAPE
        return TensorShape.of(tuple(m if m == n else None for m, n in zip(a, b, strict=True)))

    # ---- demands

    def with_rank(self, rank: int) -> TensorShape:
        """This shape, known to have ``rank`` axes; ValueError if it has not."""
        try:
            return self.merge_with((None,) * rank)
        except ValueError:
            raise ShapeError("", f"Shape {self} must have rank {rank}") from None

    def with_rank_at_least(self, rank: int) -> TensorShape:
        """This shape; ValueError if it has fewer axes."""
        if self.rank is not None and self.rank < rank:
            raise ShapeError("", f"Shape {self} must have rank at least {rank}")
        return self

    def with_rank_at_most(self, rank: int) -> TensorShape:
        """This shape; ValueError if it has more axes."""
        if self.rank is not None and self.rank > rank:
            raise ShapeError("", f"Shape {self} must have rank at most {rank}")
        return self

    def assert_has_rank(self, rank: int) -> None:
        """ValueError unless it can have ``rank`` axes."""
        if self.rank not in (None, rank):
            raise ShapeError("", f"Shape {self} must have rank {rank}")

    def assert_same_rank(self, other: Any) -> None:
        """ValueError unless both can have as many axes."""
        second = TensorShape(other)
        if self.rank is not None and second.rank is not None and self.rank != second.rank:
            raise ShapeError("", f"Shapes {self} and {second} must have the same rank")

    def assert_is_fully_defined(self) -> None:
        """ValueError unless all extents are known."""
        if not self.is_fully_defined():
            raise ShapeError("", f"Shape {self} is not fully defined")

    # ---- text, comparison

    def __eq__(self, other: object) -> bool:
        if other is None:
            return self.unknown
        if not isinstance(other, (tuple, list)):
            return NotImplemented
        theirs = other.extents if isinstance(other, TensorShape) else tuple(dimension_value(n) for n in other)
        return self.extents == theirs

    def __ne__(self, other: object) -> bool:
        found = self.__eq__(other)
        return found if found is NotImplemented else not found

    def __hash__(self) -> int:
        return hash(self.extents)

    def __str__(self) -> str:
        if self.unknown:
            return "<unknown>"
        mark = "?" if mode.generation() == 1 else "None"
        shown = [mark if n is None else str(n) for n in tuple.__iter__(self)]
        return f"({shown[0]},)" if len(shown) == 1 else f"({', '.join(shown)})"

    def __repr__(self) -> str:
        if self.unknown:
            return "TensorShape(None)"
        shown = [f"Dimension({n})" if mode.generation() == 1 else str(n) for n in tuple.__iter__(self)]
        return f"TensorShape([{', '.join(shown)}])"

    def __reduce__(self) -> tuple[Any, ...]:
        return TensorShape, (self.extents,)


#: Shapes by their extents: asking a tensor for its shape again and again makes one object.
_KNOWN: dict[tuple[Any, ...], TensorShape] = {}
_MOST_KNOWN = 10_000

_UNKNOWN_SHAPE = tuple.__new__(TensorShape, ())
_UNKNOWN_SHAPE.unknown = True


def extents_of(shape: Any) -> Shape | None:
    """A shape as people write it (list, tuple, TensorShape, int, ``None``) as a plain tuple, or ``None``."""
    return TensorShape(shape).extents


def unknown_shape(rank: int | None = None, ndims: int | None = None) -> TensorShape:
    """A shape of ``rank`` unknown extents, or of unknown rank."""
    known = rank if rank is not None else ndims
    return TensorShape(None if known is None else (None,) * known)


__all__ = ["Dimension", "TensorShape", "dimension_value", "extents_of", "unknown_shape"]
