"""The page of a report: what stands where, and that it needs nothing else."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from corenn.errors import UsageError
from corenn.training.report import read_runs, report_page, write_report

VOID = {"meta", "img", "br"}


class Tree(HTMLParser):
    """Checks that elements close as they open, and keeps them with their text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[tuple[str, dict]] = []
        self.found: list[tuple[str, dict, list[str]]] = []
        self.texts: list[list[str]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        text: list[str] = []
        self.found.append((tag, dict(attributes), text))
        if tag not in VOID:
            self.open.append((tag, dict(attributes)))
            self.texts.append(text)

    def handle_startendtag(self, tag, attributes):
        self.found.append((tag, dict(attributes), []))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag
        self.texts.pop()

    def handle_data(self, data):
        for text in self.texts:
            text.append(data)

    def all(self, tag, kind=None):
        return ["".join(text) for name, at, text in self.found
                if name == tag and (kind is None or kind in (at.get("class") or "").split())]  # fmt: skip


@pytest.fixture
def two(make_run):
    """Two runs that differ in a setting and in what came out."""
    matrix = make_run.matrix(["cat", "dog"], [[8, 2], [0, 10]])
    curves = {"loss": lambda n: 1 / (n + 1), "val_loss": lambda n: 0.5, "accuracy": lambda n: 0.1 * n}
    one = make_run("one", make_run.epochs(4, **curves), {"test_accuracy": 0.9, "test_loss": 0.5, "odd": 1.0},
                   {"confusion_matrix.png": matrix, "samples.png": make_run.png()})  # fmt: skip
    other = make_run("<b>{two", make_run.epochs(4, **curves), {"test_accuracy": 0.8, "test_loss": 0.4},
                     {"samples.png": make_run.png()},
                     settings={"epochs": 2, "learning_rate": 0.02, "options": {"width": 3}})  # fmt: skip
    return read_runs([one, other])


def test_the_page_is_whole_and_needs_nothing_else(two):
    page = report_page(two)
    tree = Tree(page)
    assert page.startswith("<!DOCTYPE html>")
    assert not {"script", "link", "iframe"} & {tag for tag, _, _ in tree.found}
    for _, attributes, _ in tree.found:
        for name in ("src", "href", "data", "action", "srcset"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))
    assert not re.search(r"https?:|url\(|@import", page)
    assert "prefers-color-scheme:dark" in page
    identifiers = [at["id"] for _, at, _ in tree.found if "id" in at]
    assert len(identifiers) == len(set(identifiers))
    for tag, at, _ in tree.found:
        assert tag != "img" or at.get("alt")
        assert tag != "svg" or set(at["aria-labelledby"].split()) <= set(identifiers)
    assert len(set(tree.all("h1"))) == 1


def test_names_are_escaped(two):
    page = report_page(two)
    assert "<b>" not in page
    assert "&lt;b&gt;{two" in page


def test_results_and_the_best_of_them(two):
    tree = Tree(report_page(two))
    assert tree.all("td", "best") == ["0.9000", "0.4000"]
    assert tree.all("h1") == ["2 runs of digits"]
    assert "75s" in "".join(tree.all("td", "number"))


def test_curves_have_their_legend_and_table(two):
    tree = Tree(report_page(two))
    assert tree.all("h3")[:2] == ["loss", "accuracy"]
    lines = [(at["class"], "".join(text)) for tag, at, text in tree.found if tag == "g"]
    assert sorted(kind for kind, _ in lines) == sorted(
        ["series c0", "series c0 dashed", "series c1", "series c1 dashed", "series c0", "series c1"]
    )  # accuracy has no held-out line, so its lines are whole
    assert any(text.startswith("A (held-out): 0.5000") for _, text in lines)
    assert len([t for t in tree.all("summary") if t == "As a table"]) == 2
    assert any(caption == "loss by epoch" for caption in tree.all("caption"))
    assert "held-out data" in "".join(tree.all("ul", "legend"))


def test_settings_that_differ_are_marked(two):
    tree = Tree(report_page(two))
    assert tree.all("tr", "differs") == ["≠\u00a0learning_rate0.010.02"]
    same = [row for row in tree.all("tr") if row.startswith("options.width")]
    assert same == ["options.width3"]
    single = Tree(report_page(two[:1]))
    assert single.all("tr", "differs") == []
    assert "learning_rate0.01" in single.all("tr")


def test_confusion_matrices_and_pictures(two):
    tree = Tree(report_page(two))
    cells = [(at["class"].split()[0], at["style"], at["title"], "".join(text)) for tag, at, text in tree.found
             if tag == "td" and "style" in at]  # fmt: skip
    assert cells == [
        ("right", "--share:0.80", "cat taken for cat: 8 of 10", "8"),
        ("wrong", "--share:0.40", "cat taken for dog: 2 of 10", "2"),
        ("right", "--share:1.00", "dog taken for dog: 10 of 10", "10"),
    ]
    assert any("18 of 20 right" in caption for caption in tree.all("figcaption"))
    assert [at["alt"] for tag, at, _ in tree.found if tag == "img"] == ["samples of one", "samples of <b>{two"]


def test_parts_of_one_run_share_a_chart_and_have_colours(make_run):
    lines = [line for part in ("head", "all", "last") for line in make_run.epochs(3, part=part, loss=lambda n: 1.0 + n)]
    lines += [{"kind": "step", "part": "last", "step": n, "loss": 0.5} for n in range(5)]
    tree = Tree(report_page(read_runs([make_run("one", lines)])))
    assert tree.all("h3") == ["loss", "loss, last"]
    assert [at["class"] for tag, at, _ in tree.found if tag == "g"] == [
        "series c0",
        "series c1",
        "series c2",
        "series c2",
    ]
    assert tree.all("text", "end") == ["head", "all", "last", "0.5000"]
    assert "head" in "".join(tree.all("ul", "legend"))
    assert tree.all("p", "empty") == [] and "not finished, at step 4" in "".join(tree.all("td", "empty"))


def test_what_names_of_parts_share_is_left_out_at_the_lines(make_run):
    parts = ("full_train_normal", "full_train_normal_relu", "full_train_he")
    lines = [line for part in parts for line in make_run.epochs(3, part=part, accuracy=lambda n: 0.01 + 0.4 * n)]
    tree = Tree(report_page(read_runs([make_run("one", lines)])))
    assert tree.all("text", "end") == ["normal", "normal_relu", "he"]
    assert "logarithmic axis" not in tree.all("text")
    assert "full_train_he" in "".join(tree.all("ul", "legend"))


def test_many_figures_stand_below_each_other(make_run):
    figures = {f"figure_{n}": float(n) for n in range(12)}
    runs = read_runs([make_run(name, metrics=figures) for name in ("a", "{b")])
    tables = Tree(report_page(runs)).all("table")
    assert tables[0].startswith("runAaB{bbackendnumpynumpyseed11steps2020")
    assert "figure 111111" in tables[0]


def test_many_runs_of_many_parts_get_a_chart_a_part(make_run):
    lines = [line for part in ("head", "all") for line in make_run.epochs(3, part=part, loss=lambda n: 1.0 + n)]
    tree = Tree(report_page(read_runs([make_run(f"run{n}", lines) for n in range(30)])))
    assert tree.all("h3") == ["loss, head", "loss, all"]
    assert tree.all("span", "badge")[25:28] == ["Z", "AA", "AB"]


def test_runs_without_figures_and_with_problems(make_run):
    out = make_run("one")
    (out / "result.json").write_text("[")
    tree = Tree(report_page(read_runs([out])))
    assert tree.all("p", "empty") == ["There are no figures yet."]
    assert tree.all("p", "problem") == ["result.json is damaged"]


def test_long_runs_make_short_tables(make_run):
    lines = [{"kind": "step", "step": n, "loss": 1.0 + n} for n in range(5000)]
    page = report_page(read_runs([make_run("one", lines)]))
    assert len(page) < 60_000
    assert "loss by step (some rows)" in Tree(page).all("caption")


def test_a_report_takes_the_place_of_a_report_only(two, tmp_path):
    path = write_report(two, tmp_path / "new" / "report.html")
    first = path.read_text()
    assert write_report(two[:1], path).read_text() != first
    (tmp_path / "mine.html").write_text("<p>mine")
    with pytest.raises(UsageError, match="is no report"):
        write_report(two, tmp_path / "mine.html")
    assert (tmp_path / "mine.html").read_text() == "<p>mine"
    with pytest.raises(UsageError, match="cannot write"):
        write_report(two, tmp_path / "mine.html" / "report.html")
    with pytest.raises(UsageError, match="cannot write"):
        write_report(two, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["mine.html"]
