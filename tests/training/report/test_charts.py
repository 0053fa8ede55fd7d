"""The line charts of reports: axes, thinning, labels."""

from __future__ import annotations

import itertools
import math
import re
from xml.etree import ElementTree

import pytest

from corenn.training.report.charts import HEIGHT, WIDTH, Series, figure, line_chart, thinned


def drawn(*series, x_name="epoch"):
    """The chart, as an XML tree."""
    return ElementTree.fromstring(line_chart("loss", x_name, series, "chart1"))


def texts(chart, kind):
    return ["".join(t.itertext()) for t in chart.iter("text") if kind in t.get("class", "")]


def line(y, label="A", short="A", colour=0, dashed=False):
    return Series(label, short, colour, list(range(1, len(y) + 1)), y, dashed)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0.0, 1.0], ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ([0.9, 0.93, 0.97], ["0.9", "0.92", "0.94", "0.96"]),
        ([-3.0, 4.0], ["-2", "0", "2", "4"]),
        ([1000.0, 7000.0], ["1000", "2000", "3000", "4000", "5000", "6000", "7000"]),
        ([1.0, 0.01], ["0.01", "0.1", "1"]),
        ([2.0, 0.1], ["0.1", "0.3", "1"]),
        ([1e-9, 1.0], ["1e-8", "1e-6", "1e-4", "0.01", "1"]),
        ([5.0, 5.0], None),
        ([0.0], None),
        ([1e-30, 2e-30], None),
    ],
)
def test_the_axis_has_round_numbers(values, ticks):
    chart = drawn(line(values))
    found = texts(chart, "tick")
    shown = [t for t in found if t not in ("epoch", "logarithmic axis")]
    below = len(values) if len(values) > 1 else 1
    marks = shown[: len(shown) - below] if ticks is None else shown[: len(ticks)]
    assert ticks is None or marks == ticks
    assert 2 <= len(marks) <= 9, marks
    assert ("logarithmic axis" in found) == (min(values) > 0 and max(values) > 10 * min(values))


def test_everything_lies_within_the_picture():
    chart = drawn(*(line([n * 0.01, 5.0 - n * 0.001], f"run {n}", f"run number {n}", n) for n in range(8)))
    for element in chart.iter():
        for name, most in (("x", WIDTH), ("cx", WIDTH), ("x1", WIDTH), ("y", HEIGHT), ("cy", HEIGHT)):
            assert 0 <= float(element.get(name, 0)) <= most, ElementTree.tostring(element)
    ends = [t for t in chart.iter("text") if "end" in t.get("class").split()]
    assert all(float(t.get("x")) + 7.4 * len(t.text) < WIDTH for t in ends)
    places = sorted(float(t.get("y")) for t in ends)
    assert all(b - a >= 12 for a, b in itertools.pairwise(places))


def test_lines_are_drawn_where_there_are_numbers():
    chart = drawn(line([1.0, math.nan, 3.0, 4.0]))
    (path,) = chart.iter("path")
    assert re.findall("[ML]", path.get("d")) == ["M", "M", "L"]
    assert len(list(chart.iter("circle"))) == 3
    assert "no finite figures" in line_chart("loss", "epoch", [line([math.nan, math.inf])], "c")


def test_points_and_lines_say_what_they_are():
    chart = drawn(line([1.0, 0.5], "A (held-out)"), line([2.0, 1.5], "A (training)", dashed=True))
    titles = ["".join(t.itertext()) for t in chart.iter("title")]
    assert titles[0] == "loss by epoch"
    assert "A (held-out): 0.5000 at the end, between 0.5000 and 1" in titles
    assert "A (training), 2: 1.5000" in titles
    assert texts(chart, "end") == ["A"]  # the dashed line of the same run has no label of its own
    assert chart.get("role") == "img"
    named = {element.get("id") for element in chart.iter() if element.get("id")}
    assert set(chart.get("aria-labelledby").split()) == named


def test_names_are_escaped_and_long_ones_cut():
    chart = drawn(line([1.0, 2.0], "<a> & 'b'", "a-very-long-name-of-a-part & more"))
    (end,) = [t for t in chart.iter("text") if "end" in t.get("class").split()]
    assert end.find("title").text.endswith("& more")
    assert "".join(end.itertext()).endswith("a-very-long-name-…")


def test_long_lines_keep_their_peaks():
    y = [0.0] * 10_000
    y[1234], y[7777], y[5000] = 9.0, -4.0, math.nan
    points = thinned(range(10_000), y)
    assert len(points) <= 300
    assert {(1234, 9.0), (7777, -4.0), (0, 0.0), (9999, 0.0)} <= set(points)
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert thinned([1, 2], [3.0, 4.0]) == [(1, 3.0), (2, 4.0)]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.97251, "0.9725"), (3.0, "3"), (1e-5, "1.000e-05"), (123.456, "123.5"), (2.5e7, "2.500e+07"), (math.nan, "–"),
     (-0.25, "-0.2500"), (250000.0, "250000")],
)  # fmt: skip
def test_figures(value, text):
    assert figure(value) == text
