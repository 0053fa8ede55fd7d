"""The benchmarks run and report what they promise; how fast anything is, no test asks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "eager.py"


@pytest.mark.parametrize(
    ("name", "cases"),
    [
        ("add", {"numpy", "corenn.add(x, y)", "corenn x + y"}),
        ("gradient", {"numpy, by hand", "corenn"}),
        ("cnn_step", {"corenn"}),
        ("import", {"corenn", "corenn, layers and training"}),
        ("size", {"corenn's own files", "dependencies but numpy", "numpy"}),
    ],
)
def test_a_measurement_reports_its_cases(name, cases, tmp_path):
    report = tmp_path / "report.json"
    command = [sys.executable, str(SCRIPT), "--only", name, "--repeats", "1", "--seconds", "0.001"]
    done = subprocess.run([*command, "--json", str(report)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(report.read_text(encoding="utf-8"))
    figures = document["results"][name]
    assert cases <= set(figures)
    assert all(0 < f["minimum"] <= f["median"] for f in figures.values())
    assert {"date", "python", "processors", "threads", "numpy"} <= set(document["conditions"])
    table = done.stdout.splitlines()
    assert table[0].startswith("| measurement | case |") and len(table) == 2 + len(figures)
