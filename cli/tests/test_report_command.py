"""``corenn report``: the file it writes, and what it says of directories that are no runs."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def runs(home):
    """Two runs in ``runs``."""
    for number, name in enumerate(("a", "b")):
        (home / "runs" / name).mkdir(parents=True)
        config = {
            "task": "digits",
            "backend": "numpy",
            "seed": number,
            "dataset": None,
            "data_dir": None,
            "settings": {},
        }
        (home / "runs" / name / "config.json").write_text(json.dumps(config))
    return home


def test_it_writes_one_file_and_prints_its_path(here, runs):
    found = here("report", "runs/a", "runs/b")
    assert (found.status, found.out, found.err) == (0, "report.html\n", "")
    assert "2 runs of digits" in (runs / "report.html").read_text()
    found = here("report", "runs/a", "--out", "pages/one.html")
    assert (found.status, found.out.strip().replace("\\", "/")) == (0, "pages/one.html")


@pytest.mark.parametrize(
    ("arguments", "status", "what"),
    [
        ((), 2, "RUN..."),
        (("gone",), 1, "there is no directory gone"),
        (("runs",), 1, "it holds the runs a, b: corenn report runs/*"),
        (("runs/a", "--out", "mine.txt"), 2, "mine.txt exists, and is no report"),
    ],
)
def test_what_it_refuses(here, runs, arguments, status, what):
    (runs / "mine.txt").write_text("mine")
    found = here("report", *arguments)
    assert found.status == status and found.out == ""
    assert what in found.err and "Traceback" not in found.err
    assert not (runs / "report.html").exists() and (runs / "mine.txt").read_text() == "mine"


@pytest.mark.slow
def test_a_report_on_a_real_run(process, home):
    run = ("run", "digits", "--set", "model=mlp", "--epochs", "2", "--steps", "60", "--seed", "1", "--quiet")
    assert process(*run, "--out", "one").status == 0
    assert process("report", "one").status == 0
    page = (home / "report.html").read_text()
    for part in ("digits: one", "of 360 right", "data:image/png;base64,", "val accuracy", "<svg"):
        assert (part in page) == (part != "val accuracy"), part
    assert page.count("data:image/png") == 2  # the matrix is drawn from its numbers
