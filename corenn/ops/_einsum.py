"""Reading einsum equations and choosing the order of pairwise contractions: plain Python, no arrays."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_FIRST_FREE = 0x3B1  # axes under "..." are named by Greek letters, which no equation of a user's holds


class Equation(NamedTuple):
    """An equation with one label per axis: ``inputs`` for each operand, and ``output``."""

    inputs: tuple[str, ...]
    output: str

    def __str__(self) -> str:
        return ",".join(self.inputs) + "->" + self.output


@functools.lru_cache(maxsize=512)
def parse_equation(text: str, ranks: tuple[int, ...]) -> Equation:
    """The equation for operands of these ranks, without ellipses and with its output; ValueError says what is wrong."""
    if not isinstance(text, str):
        raise ValueError("the equation must be a string, such as 'ij,jk->ik'")
    left, arrow, right = text.replace(" ", "").partition("->")
    terms = left.split(",")
    for term in (*terms, right):
        odd = [c for c in term.replace("...", "", 1) if c not in _LETTERS and ord(c) < _FIRST_FREE]
        if odd:
            raise ValueError(f"{odd[0]!r} does not belong in an equation of letters, ',', '...' and one '->'")
    if len(terms) != len(ranks):
        raise ValueError(f"the equation has {len(terms)} operands but {len(ranks)} were given")
    hidden = [_hidden(term, rank, i) for i, (term, rank) in enumerate(zip(terms, ranks, strict=True))]
    dots = "".join(chr(_FIRST_FREE + i) for i in range(max(hidden)))
    inputs = tuple(t.replace("...", dots[len(dots) - n :]) for t, n in zip(terms, hidden, strict=True))
    letters = "".join(inputs)
    if not arrow:
        once = (c for c in sorted(set(letters) - set(dots)) if letters.count(c) == 1)
        return Equation(inputs, dots + "".join(once))
    output = right.replace("...", dots)
    if dots and "..." not in right:
        raise ValueError("the operands have axes under '...', so the result must have '...' as well")
    for c in output:
        if c not in letters:
            raise ValueError(f"the index {c} of the result is in no operand")
        if output.count(c) > 1:
            raise ValueError(f"the index {c} occurs twice in the result")
    return Equation(inputs, output)


def _hidden(term: str, rank: int, position: int) -> int:
    """How many axes the ellipsis of a term stands for."""
    named = len(term.replace("...", "", 1))
    if "..." not in term and named != rank:
        raise ValueError(f"operand {position} has {rank} axes but {named} letters, {term!r}")
    if named > rank:
        raise ValueError(f"operand {position} has {rank} axes, fewer than the letters of {term!r}")
    return rank - named


def contraction_path(terms: Sequence[Collection[str]], output: str, extents: dict[str, int]) -> list[tuple[int, int]]:
    """Pairs ``(i, j)``, i < j, in the order to contract: the result replaces term i and term j disappears.

    Greedy: each time the pair that takes the least arithmetic, then the one with the smallest product, then the
    leftmost.  (Smith & Gray, "opt_einsum", JOSS 2018, compare such rules; for a few operands they find the optimum.)
    """
    remaining = [frozenset(t) for t in terms]
    path: list[tuple[int, int]] = []

    def size(labels: Collection[str]) -> int:
        return math.prod(extents[c] for c in labels)

    def cost(pair: tuple[int, int]) -> tuple[int, int, tuple[int, int]]:
        a, b = (remaining[i] for i in pair)
        return size(a | b), size(kept(pair)), pair

    def kept(pair: tuple[int, int]) -> frozenset[str]:
        others = frozenset(output).union(*(t for i, t in enumerate(remaining) if i not in pair))
        return (remaining[pair[0]] | remaining[pair[1]]) & others

    while len(remaining) > 1:
        count = len(remaining)
        best = min(((i, j) for i in range(count) for j in range(i + 1, count)), key=cost)
        remaining[best[0]] = kept(best)
        del remaining[best[1]]
        path.append(best)
    return path
