"""Shapes that are only partly known: what can be said of an op's results before the unknown extents are.

The op table infers from known extents; nothing in it is written twice for unknown ones.  Instead, an op is inferred
*natively* where its rule copes with ``None`` (broadcasting, reductions), and else *by trial*: with several choices of
numbers for the unknown extents.  Extents of a result on which all successful trials agree are known, others are not.
Trials use numbers with many divisors (so that reshapes work out), 1, and the extents that occur beside the unknown
ones (so that a product of ``[?, ?]`` and ``[784, 10]`` finds the 784 it needs).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from corenn.errors import AttributeValueError, CorennError, ShapeError
from corenn.graph.operations import Deferred, Known
from corenn.ops.dispatch import infer
from corenn.ops.table import Op
from corenn.spec import Shape, Spec

#: Numbers tried for an unknown extent: rich in divisors, and unlikely to stand in a program.
_TRIALS = (5040, 55440)
_MOST_TRIALS = 400
#: Successful trials after which the shapes of a whole function's results are believed.
_ENOUGH = 5
#: Ranks tried for an operand of unknown rank.
_RANKS = (0, 1, 2, 3, 4, 5)

Operand = Known | None


def infer_partial(op: Op, operands: Sequence[Operand], attrs: dict[str, Any]) -> list[Known]:
    """What is known of the results of ``op`` on operands of which only this is known.

    Raises what ``infer`` raises when no completion of the unknown parts would do.
    """
    if not any(_deferred(value) for value in attrs.values()):
        if all(o is None or (o[0] is not None and None not in o[0]) for o in operands):
            specs = tuple(None if o is None else Spec(o[0] or (), o[1]) for o in operands)
            return [(s.shape, s.dtype) for s in infer(op, specs, dict(attrs))]
        return _from_trials(op, operands, attrs)
    return _without_values(op, operands, attrs)


def _deferred(value: Any) -> bool:
    return isinstance(value, Deferred) or (isinstance(value, (tuple, list)) and any(_deferred(v) for v in value))


def _from_trials(op: Op, operands: Sequence[Operand], attrs: dict[str, Any]) -> list[Known]:
    ranked = all(o is None or o[0] is not None for o in operands)
    refusal: CorennError | None = None
    if ranked:
        try:
            specs = tuple(None if o is None else Spec(o[0] or (), o[1]) for o in operands)
            return [(s.shape, s.dtype) for s in infer(op, specs, dict(attrs))]
        except (TypeError, ValueError) as error:  # None took part in arithmetic, or in a comparison that failed
            refusal = error if isinstance(error, CorennError) else None
    found: list[tuple[Spec, ...]] = []
    for number, completed in enumerate(_completions(operands)):
        if ranked and number == len(found) == len(_TRIALS):
            break  # every unknown extent took two values, so what did not change does not depend on them
        try:
            found.append(infer(op, completed, dict(attrs)))
        except CorennError as error:
            if refusal is None or (isinstance(error, ShapeError) and not isinstance(refusal, ShapeError)):
                refusal = error
        except (TypeError, ValueError, IndexError, ZeroDivisionError):
            continue
    if not found:
        if refusal is None:
            raise ShapeError(op.name, "no shapes of the operands that are possible would do")
        raise refusal
    return [generalize([results[i] for results in found]) for i in range(len(found[0]))]


def generalize(specs: Sequence[Spec]) -> Known:
    """What all specs have in common."""
    dtype = specs[0].dtype
    ranks = {len(s.shape) for s in specs}
    if len(ranks) > 1:
        return None, dtype
    columns = zip(*[s.shape for s in specs], strict=True)
    return tuple(column[0] if len(set(column)) == 1 else None for column in columns), dtype


def _completions(operands: Sequence[Operand]) -> Iterator[tuple[Spec | None, ...]]:
    """Operands with numbers in place of what is unknown."""
    beside = sorted({n for o in operands if o is not None for n in o[0] or () if n is not None})
    choices = (*_TRIALS, *[n for n in beside if n not in _TRIALS], *([] if 1 in beside else [1]))
    unranked = [i for i, o in enumerate(operands) if o is not None and o[0] is None]
    for ranks in itertools.product(_RANKS, repeat=len(unranked)):
        shapes: list[Shape | None] = [None if o is None else o[0] for o in operands]
        for place, rank in zip(unranked, ranks, strict=True):
            shapes[place] = (None,) * rank
        places = [(i, axis) for i, s in enumerate(shapes) if s is not None for axis, n in enumerate(s) if n is None]
        # Unknown extents are mostly one and the same batch: equal numbers first, then every combination.
        equal = ((n,) * len(places) for n in choices)
        combined = itertools.product(choices, repeat=len(places))
        most = 1 if not places else len(choices) if unranked else _MOST_TRIALS
        for numbers in itertools.islice(itertools.chain(equal, combined), most):
            chosen = dict(zip(places, numbers, strict=True))
            yield tuple(
                None if o is None else Spec(tuple(chosen.get((i, a), n) for a, n in enumerate(shapes[i] or ())), o[1])
                for i, o in enumerate(operands)
            )


def _without_values(op: Op, operands: Sequence[Operand], attrs: dict[str, Any]) -> list[Known]:
    """Results of a call whose attributes hold values known only at run time: their dtypes, and ranks where possible."""
    found: list[list[Known]] = []
    for guess in _guesses(attrs):
        try:
            found.append(infer_partial(op, operands, guess))
        except (CorennError, TypeError, ValueError, IndexError):
            continue
    if not found:
        raise AttributeValueError(
            op.name, "its results cannot be inferred from attributes that are only known when the graph runs",
            {name: "a graph tensor" for name, value in attrs.items() if _deferred(value)},
            hint="give a Python number where one is known",
        )  # fmt: skip
    results: list[Known] = []
    for i in range(len(found[0])):
        known = [one[i] for one in found]
        if any(shape is None for shape, _ in known):
            results.append((None, known[0][1]))
        else:
            results.append(generalize([Spec(shape or (), dtype) for shape, dtype in known]))
    return results


def _guesses(attrs: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The attributes with numbers in place of deferred values."""
    for number, length in itertools.product((*_TRIALS, 1, 2, 3, 0), (1, 2, 3, 4)):
        yield {name: _filled(value, number, length) for name, value in attrs.items()}


def _filled(value: Any, number: int, length: int) -> Any:
    if isinstance(value, Deferred):
        if value.known is Ellipsis:
            return (number,) * length
        return _filled(value.known, number, length) if value.known is not None else number
    if isinstance(value, (tuple, list)):
        return tuple(number if v is None else _filled(v, number, length) for v in value)
    return value


def compatible(known: Shape | None, shape: Sequence[int]) -> bool:
    """Whether an array of ``shape`` can stand where ``known`` is what is known of the shape."""
    return known is None or (
        len(known) == len(shape) and all(a is None or a == b for a, b in zip(known, shape, strict=True))
    )


def infer_call(function: Callable[..., Any], operands: Sequence[Known]) -> list[Known]:
    """What is known of what ``function``, Python written in ops, returns for operands of which only this is known."""
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


__all__ = ["compatible", "generalize", "infer_call", "infer_partial"]
