"""Shapes that are only partly known: what can be said of an op's results before the unknown extents are.

The op table infers from known extents; nothing in it is written twice for unknown ones.  Instead an op's rule is run
with many choices of numbers for what is unknown, each chosen by what the rule compared in the runs before (see
``corenn.graph.extents``).  What all successful runs agree on is known, the rest is not.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from corenn.errors import AttributeValueError, CorennError, ShapeError
from corenn.graph.extents import explore
from corenn.graph.operations import Deferred, Known
from corenn.ops.dispatch import infer
from corenn.ops.table import Op
from corenn.spec import Shape, Spec

#: Numbers tried for an unknown extent of a function's operands: rich in divisors, and unlikely to stand in a program.
_TRIALS = (5040, 55440)
_MOST_TRIALS = 400
#: Successful trials after which the shapes of a whole function's results are believed.
_ENOUGH = 5
#: Ranks tried for an operand of unknown rank, and lengths for an attribute of unknown length.
_RANKS = (2, 3, 1, 4, 0, 5)
_LENGTHS = (1, 2, 3, 4)
#: Operands of unknown rank for which all combinations of ranks are tried; for more, some.
_MOST_UNRANKED, _MOST_RANKS = 3, 512
#: Attributes, unlike extents, may be negative.
_LOWEST_ATTRIBUTE = -8

Operand = Known | None


def infer_partial(op: Op, operands: Sequence[Operand], attrs: dict[str, Any]) -> list[Known]:
    """What is known of the results of ``op`` on operands and attributes of which only this is known.

    Raises what ``infer`` raises when no completion of the unknown parts would do.
    """
    deferred = {name for name, value in attrs.items() if _deferred(value)}
    if not deferred and all(o is None or (o[0] is not None and None not in o[0]) for o in operands):
        return [(s.shape, s.dtype) for s in infer(op, _specs(operands), dict(attrs))]
    names = op.operand_names(len(operands))
    results: list[Known] | None = None
    refusal: Exception | None = None
    for ranked, given in itertools.product(_ranked(operands), _sized(attrs)):
        for found in _explored(op, ranked, given):
            if isinstance(found, Exception):
                if refusal is None or (isinstance(found, ShapeError) and not isinstance(refusal, ShapeError)):
                    refusal = found
                continue
            if results is not None and len(found) != len(results):
                what = "how many results it has depends on an extent that is not known before it runs"
                raise ShapeError(op.name, what, {n: s for n, s in zip(names, _specs(operands), strict=True) if s})
            results = _merged(results, found)
        if results is not None and all(shape is None for shape, _ in results):
            break  # nothing less can be known
    if results is None:
        raise _refused(op, operands, attrs, deferred, refusal)
    return results


def _refused(op: Op, operands: Sequence[Operand], attrs: dict[str, Any], deferred: set[str], trial: Any) -> Exception:
    """The error to show: the rule's own words with ``?`` for what is unknown, where it has them."""
    if deferred and not isinstance(trial, CorennError):
        return AttributeValueError(
            op.name, "its results cannot be inferred from attributes that are only known when the graph runs",
            {name: "a graph tensor" for name in deferred}, hint="give a Python number where one is known",
        )  # fmt: skip
    if not deferred and all(o is None or o[0] is not None for o in operands):
        try:
            infer(op, _specs(operands), dict(attrs))
        except CorennError as error:
            return error
        except Exception:  # None took part in arithmetic
            pass
    if sum(o is not None and o[0] is None for o in operands) > _MOST_UNRANKED:
        return ShapeError(
            op.name, "the ranks of too many operands are not known", hint="call set_shape((None, 10)) on the tensors"
        )
    if isinstance(trial, CorennError):
        return trial
    return ShapeError(op.name, "no shapes of the operands that are possible would do")


def _specs(operands: Sequence[Operand]) -> tuple[Spec | None, ...]:
    return tuple(None if o is None else Spec(o[0] or (), o[1]) for o in operands)


def _deferred(value: Any) -> bool:
    return isinstance(value, Deferred) or (isinstance(value, (tuple, list)) and any(_deferred(v) for v in value))


def _ranked(operands: Sequence[Operand]) -> Iterator[list[Operand]]:
    """The operands with each possible rank where it is unknown."""
    unranked = [i for i, o in enumerate(operands) if o is not None and o[0] is None]
    for ranks in itertools.islice(_ranks(len(unranked)), _MOST_RANKS):
        chosen = list(operands)
        for place, rank in zip(unranked, ranks, strict=True):
            chosen[place] = ((None,) * rank, chosen[place][1])  # type: ignore[index]  # unranked ones are present
        yield chosen


def _ranks(count: int) -> Iterator[tuple[int, ...]]:
    """Ranks for so many operands: all combinations, or where those are too many, those of one or two ranks."""
    if count <= _MOST_UNRANKED:
        yield from itertools.product(_RANKS, repeat=count)
        return
    yield from ((rank,) * count for rank in _RANKS)
    for pair in ((2, 0), (1, 0), (2, 1), *itertools.combinations(_RANKS, 2)):
        yield from itertools.product(pair, repeat=count)


def _sized(attrs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The attributes with ``None`` for each number that is unknown, for each possible length of unknown sequences."""
    if not any(_deferred(value) for value in attrs.values()):
        yield attrs
        return
    before: list[dict[str, Any]] = []
    for length in _LENGTHS:
        made = {name: _opened(value, length) if _deferred(value) else value for name, value in attrs.items()}
        if made not in before:
            before.append(made)
            yield made


class _Unknown:
    """The place of an unknown number in an attribute."""


_UNKNOWN = _Unknown()


def _opened(value: Any, length: int) -> Any:
    if isinstance(value, Deferred):
        return (_UNKNOWN,) * length if value.known is Ellipsis else _opened(value.known, length)
    if isinstance(value, (tuple, list)):
        return tuple(_UNKNOWN if v is None else _opened(v, length) for v in value)
    return _UNKNOWN if value is None else value


def _explored(op: Op, operands: Sequence[Operand], attrs: dict[str, Any]) -> Iterator[list[Known] | Exception]:
    """Results of the op with numbers for unknown extents (``None``) and attributes (``_UNKNOWN``)."""
    extents, numbers = _unknown_extents(operands), sum(map(_count, attrs.values()))

    def run(values: Sequence[int]) -> list[Known]:
        source = iter(values)
        specs = _completed(operands, source)
        given = {name: _with_numbers(value, source) for name, value in attrs.items()} if numbers else dict(attrs)
        return [(tuple(None if n is None else int(n) for n in s.shape), s.dtype) for s in infer(op, specs, given)]

    yield from explore(run, extents + numbers, [0] * extents + [_LOWEST_ATTRIBUTE] * numbers)


def _unknown_extents(operands: Sequence[Operand]) -> int:
    return sum(o[0].count(None) for o in operands if o is not None and o[0] is not None)


def _completed(operands: Sequence[Operand], numbers: Iterator[int]) -> tuple[Spec | None, ...]:
    """Specs of operands of known rank, with the next of ``numbers`` for each unknown extent."""
    return tuple(
        None if o is None else Spec(tuple(next(numbers) if n is None else n for n in o[0] or ()), o[1])
        for o in operands
    )


def _count(value: Any) -> int:
    return sum(map(_count, value)) if isinstance(value, tuple) else int(value is _UNKNOWN)


def _with_numbers(value: Any, source: Iterator[int]) -> Any:
    if isinstance(value, tuple):
        return tuple(_with_numbers(v, source) for v in value)
    return next(source) if value is _UNKNOWN else value


def _merged(results: list[Known] | None, found: list[Known]) -> list[Known]:
    """What both say."""
    if results is None:
        return found
    return [(common(a, b), dtype) for (a, dtype), (b, _) in zip(results, found, strict=True)]


def common(a: Shape | None, b: Shape | None) -> Shape | None:
    """What two shapes have in common."""
    if a is None or b is None or len(a) != len(b):
        return None
    return tuple(x if x == y else None for x, y in zip(a, b, strict=True))


def generalize(specs: Sequence[Spec]) -> Known:
    """What all specs have in common."""
    shapes: list[Shape | None] = [s.shape for s in specs]
    return functools.reduce(common, shapes), specs[0].dtype


def _completions(operands: Sequence[Known]) -> Iterator[tuple[Spec | None, ...]]:
    """Operands with numbers in place of what is unknown."""
    beside = sorted({n for o in operands for n in o[0] or () if n is not None})
    choices = (*_TRIALS, *[n for n in beside if n not in _TRIALS], *([] if 1 in beside else [1]))
    unranked = any(o[0] is None for o in operands)
    for ranked in _ranked(operands):
        count = _unknown_extents(ranked)
        # Unknown extents are mostly one and the same batch: equal numbers first, then every combination.
        equal = ((n,) * count for n in choices)
        combined = itertools.product(choices, repeat=count)
        most = 1 if not count else len(choices) if unranked else _MOST_TRIALS
        for numbers in itertools.islice(itertools.chain(equal, combined), most):
            yield _completed(ranked, iter(numbers))


def compatible(known: Shape | None, shape: Sequence[int]) -> bool:
    """Whether an array of ``shape`` can stand where ``known`` is what is known of the shape."""
    return known is None or (
        len(known) == len(shape) and all(a is None or a == b for a, b in zip(known, shape, strict=True))
    )


def infer_call(function: Callable[..., Any], operands: Sequence[Known]) -> list[Known]:
    """What is known of what ``function``, Python written in ops, returns for operands of which only this is known.

    ``function`` is traced as a whole, so it is tried on few numbers: a search such as ``explore`` takes ten times as
    many runs, and a trace makes constants of extents, which do not note what they are compared with.  Raises what the
    first trial raised when none succeeds.
    """
    from corenn.compiler.tracing import outline

    found: list[list[Spec]] = []
    refusal: Exception | None = None
    ranked = all(o[0] is not None for o in operands)
    for number, completed in enumerate(_completions(operands)):
        if ranked and number == len(found) == len(_TRIALS):
            break
        try:
            found.append(outline(function, [s for s in completed if s is not None]))
        except (CorennError, TypeError, ValueError, IndexError, ZeroDivisionError) as error:
            refusal = refusal or error
        if ranked and len(found) >= _ENOUGH:
            break
    if not found:
        assert refusal is not None  # there is at least one trial
        raise refusal
    return [generalize([results[i] for results in found]) for i in range(len(found[0]))]


__all__ = ["common", "compatible", "generalize", "infer_call", "infer_partial"]
