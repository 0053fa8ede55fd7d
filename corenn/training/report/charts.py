"""Line charts as inline SVG, drawn from scratch: no script, no font, no network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 480, 294
_LEFT, _TOP, _BOTTOM = 58, 18, 40
_CHARACTER = 7.4  # pixels of a character of the labels at the ends of lines
_MOST_CHARACTERS = 18  # of such a label
_MOST_POINTS = 300  # of a line: more than there are pixels for
_MARKED = 40  # lines with fewer points have a dot for each, which tells its value when pointed at
_SCALE = 10  # figures that are positive and spread more widely than this are drawn on a logarithmic axis
_APART = 13  # between labels at the ends of lines
COLOURS = 8


@dataclass(frozen=True)
class Series:
    """A line: ``short`` stands at its end, ``label`` in its tooltip; ``colour`` in [0, COLOURS).

    ``dashed`` for training data that is shown beside held-out data.
    """

    label: str
    short: str
    colour: int
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False


def line_chart(
    name: str, x_name: str, series: Sequence[Series], identifier: str, *, may_be_logarithmic: bool = True
) -> str:
    """An SVG element with axes, lines and labels; ``identifier`` must be unique on the page."""
    values = [v for s in series for v in s.y if math.isfinite(v)]
    places = [p for s in series for p in s.x]
    if not values:
        return '<p class="empty">no finite figures</p>'
    logarithmic = may_be_logarithmic and min(values) > 0 and max(values) > _SCALE * min(values)
    vertical = _Axis(min(values), max(values), HEIGHT - _BOTTOM, _TOP, logarithmic)
    longest = max(min(len(s.short), _MOST_CHARACTERS) for s in _labelled(series))
    horizontal = _Axis(min(places), max(places), _LEFT, WIDTH - 14 - longest * _CHARACTER, margin=0.0)
    described = "; ".join(f"{s.label}: {_span(s)}" for s in series)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{identifier}-t {identifier}-d">',
        f'<title id="{identifier}-t">{escape(name)} by {escape(x_name)}</title>',
        f'<desc id="{identifier}-d">{escape(described)}</desc>',
        *_grid(vertical, horizontal, x_name, logarithmic),
        *(_line(s, horizontal, vertical) for s in sorted(series, key=lambda s: not s.dashed)),
        *_end_labels(series, horizontal, vertical),
        "</svg>",
    ]
    return "".join(parts)


class _Axis:
    """From values to pixels."""

    def __init__(
        self, low: float, high: float, start: float, end: float, logarithmic: bool = False, margin: float = 0.04
    ) -> None:
        self.logarithmic, self.start, self.end = logarithmic, start, end
        self.low, self.high = (math.log10(low), math.log10(high)) if logarithmic else (low, high)
        if self.high - self.low <= 1e-12 * max(1.0, abs(self.low)):
            around = 0.5 if logarithmic else max(abs(self.low) * 0.05, 1e-9 if self.low else 0.5)
            self.low, self.high = self.low - around, self.high + around
        room = (self.high - self.low) * margin
        self.low, self.high = self.low - room, self.high + room

    def at(self, value: float) -> float:
        """The pixel of a value."""
        place = math.log10(value) if self.logarithmic else value
        return self.start + (place - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self, whole: bool = False) -> list[float]:
        """From three to seven round numbers (whole ones if wanted) within."""
        if self.logarithmic:
            return self._logarithmic_ticks()
        raw = (self.high - self.low) / 7
        unit = 10.0 ** math.floor(math.log10(raw))
        step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= raw * 0.999)
        step = max(1.0, step) if whole else step
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [n * step for n in range(first, last + 1)]

    def _logarithmic_ticks(self) -> list[float]:
        decades = range(math.floor(self.low), math.ceil(self.high) + 1)
        every = max(1, round((self.high - self.low) / 6))
        for multiples in ((1,), (1, 3), (1, 2, 5)):
            found = [m * 10.0**d for d in decades if d % every == 0 for m in multiples]
            found = [v for v in found if self.low - 1e-9 <= math.log10(v) <= self.high + 1e-9]
            if len(found) >= 3:
                return found
        return found


def _grid(vertical: _Axis, horizontal: _Axis, x_name: str, logarithmic: bool) -> list[str]:
    parts = []
    right, bottom = round(horizontal.end), HEIGHT - _BOTTOM
    for value in vertical.ticks():
        y = f"{vertical.at(value):.1f}"
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 8}" y="{y}" dy=".32em" text-anchor="end">{_number(value)}</text>')
    for value in horizontal.ticks(whole=True):
        x = f"{horizontal.at(value):.1f}"
        parts.append(f'<line class="axis" x1="{x}" x2="{x}" y1="{bottom}" y2="{bottom + 4}"/>')
        parts.append(f'<text class="tick" x="{x}" y="{bottom + 17}" text-anchor="middle">{_number(value)}</text>')
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    middle = (_LEFT + right) / 2
    if logarithmic:
        parts.append(f'<text class="tick" x="{right}" y="{_TOP - 3}" text-anchor="end">logarithmic axis</text>')
    parts.append(f'<text class="tick" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_name)}</text>')
    return parts


def _line(series: Series, horizontal: _Axis, vertical: _Axis) -> str:
    points = thinned(series.x, series.y)
    path, pen = [], "M"
    for x, y in points:
        if not math.isfinite(y):
            pen = "M"
            continue
        path.append(f"{pen}{horizontal.at(x):.1f} {vertical.at(y):.1f}")
        pen = "L"
    kind = " dashed" if series.dashed else ""
    parts = [f'<g class="series c{series.colour}{kind}"><title>{escape(series.label)}: {_span(series)}</title>',
             f'<path d="{"".join(path)}"/>']  # fmt: skip
    if len(points) <= _MARKED:
        radius = 2 if series.dashed else 2.8
        parts += [
            f'<circle cx="{horizontal.at(x):.1f}" cy="{vertical.at(y):.1f}" r="{radius}">'
            f"<title>{escape(series.label)}, {_number(x)}: {figure(y)}</title></circle>"
            for x, y in points
            if math.isfinite(y)
        ]
    return "".join([*parts, "</g>"])


def _labelled(series: Sequence[Series]) -> list[Series]:
    """The lines with a name at their end: the solid ones, or all if there are only dashed ones."""
    return [s for s in series if not s.dashed] or list(series)


def _end_labels(series: Sequence[Series], horizontal: _Axis, vertical: _Axis) -> list[str]:
    """The short names at the ends of lines, moved down where one would cover another."""
    ends = []
    for s in _labelled(series):
        last = [(x, y) for x, y in zip(s.x, s.y, strict=True) if math.isfinite(y)][-1:]
        ends += [(vertical.at(y), horizontal.at(x) + 7, s) for x, y in last]
    parts: list[str] = []
    placed: list[tuple[float, float, float]] = []  # y, and where it begins and ends
    for wanted, x, s in sorted(ends, key=lambda end: end[0]):
        text = s.short if len(s.short) <= _MOST_CHARACTERS else f"{s.short[: _MOST_CHARACTERS - 1]}…"
        end = x + len(text) * _CHARACTER
        near = [y for y, first, last in placed if first < end and x < last]
        y = max([wanted, *(other + _APART for other in near if other + _APART > wanted)])
        placed.append((y, x, end))
        parts.append(
            f'<text class="end c{s.colour}" x="{x:.1f}" y="{y:.1f}" dy=".32em">'
            f"{f'<title>{escape(s.short)}</title>' if text != s.short else ''}{escape(text)}</text>"
        )
    return parts


def thinned(x: Sequence[float], y: Sequence[float], most: int = _MOST_POINTS) -> list[tuple[float, float]]:
    """The points; of long lines the least and the greatest of each stretch, so that no peak is lost."""
    points = list(zip(x, y, strict=True))
    if len(points) <= most:
        return points
    size = 2 * len(points) / (most - 2)
    found = [points[0]]
    start = 1
    while start < len(points) - 1:
        stop = min(len(points) - 1, max(start + 1, math.ceil(start + size)))
        finite = [i for i in range(start, stop) if math.isfinite(points[i][1])]
        if finite:
            kept = {min(finite, key=lambda i: points[i][1]), max(finite, key=lambda i: points[i][1])}
            found += [points[i] for i in sorted(kept)]
        else:
            found.append(points[start])
        start = stop
    return [*found, points[-1]]


def _span(series: Series) -> str:
    finite = [v for v in series.y if math.isfinite(v)]
    if not finite:
        return "no finite figures"
    return f"{figure(finite[-1])} at the end, between {figure(min(finite))} and {figure(max(finite))}"


def figure(value: float) -> str:
    """Four significant digits or so."""
    if not math.isfinite(value):
        return "–"
    size = abs(value)
    if value == int(value) and size < 1e6:
        return str(int(value))
    return f"{value:.3e}" if size < 1e-3 or size >= 1e5 else f"{value:.4g}" if size >= 10 else f"{value:.4f}"


def _number(value: float) -> str:
    """A round number on an axis."""
    size = abs(value)
    if value == 0:
        return "0"
    if size >= 1e5 or size < 1e-3:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"
    return f"{value:.6g}"


__all__ = ["COLOURS", "Series", "figure", "line_chart", "thinned"]
