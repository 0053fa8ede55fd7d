"""The benchmarks run and report what they promise; how fast anything is, no test asks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
SCRIPT = FOLDER / "eager.py"


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


# ---------------------------------------------------------------- compared with others

#: A script of peers: one that runs, one that is not installed, one that breaks.
PEERS = """
import time


def measure(step, budget_s=20.0, warmup=5, most=300):
    for _ in range(warmup + most):
        step()
    return dict(step_us=2e6 * budget_s, min_us=1.0, p90_us=3.0, steps=most)


def run(peer, name, threads):
    if peer == "jax":
        import a_library_that_nobody_has
    if peer == "tf":
        raise RuntimeError("out of luck\\nand of memory")
    return dict(peer=peer, workload=name, threads=threads, **measure(lambda: time.sleep(0.0001)))
"""
QUICK = ["--seconds", "0.5", "--steps", "5", "--threads", "1", "--rounds", "2", "--backend", "numpy"]
SPEED = ["--gflops", "100", "--gbytes", "10"]


def compare(folder, *arguments):
    command = [sys.executable, str(FOLDER / "compare.py"), *arguments, *QUICK]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


@pytest.mark.slow
def test_comparing_alternates_sums_up_and_reports_who_is_missing(tmp_path):
    (tmp_path / "peers.py").write_text(PEERS)
    peers = [item for name in ("torch", "jax", "tf") for item in ("--peer", name)]
    files = ["--json", "report.json", "--markdown", "report.md", "--python", f"torch={sys.executable}"]
    done = compare(tmp_path, "dqn", "logistic", "--peers-file", "peers.py", *peers, *files, *SPEED)
    assert done.returncode == 0, done.stderr
    document = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    order = [(r["round"], r["workload"], r["peer"]) for r in document["results"]]
    ours = "corenn-numpy"
    assert order == [
        *((0, w, p) for w in ("dqn", "logistic") for p in (ours, "torch", "jax", "tf")),
        *((1, w, p) for w in ("dqn", "logistic") for p in ("torch", "jax", "tf", ours)),
    ]
    row = document["table"]["dqn"]
    assert row["torch"]["step_us"] == 1e6 and row["torch"]["rounds"] == 2 and row["torch"]["peak_mb"] > 1
    assert row[ours]["ratios"] == {"torch": pytest.approx(row[ours]["step_us"] / 1e6)}
    assert row[ours]["best_us"] <= row[ours]["step_us"]
    assert row[ours]["to_floor"] == pytest.approx(row[ours]["step_us"] / row[ours]["floor_us"])
    seen = [r for r in document["results"] if (r["workload"], r["peer"]) == ("dqn", ours)]
    now = [r["step_us"] / 1e6 * r["flops_a_second"] / r["flops"] for r in seen]  # bound by operations
    assert row[ours]["to_floor_now"] == pytest.approx(sum(now) / 2)
    assert row[ours]["first_s"] > 0 and row[ours]["again_s"] > 0
    assert document["conditions"]["processors"] >= 1 and document["conditions"]["rounds"] == 2
    assert row["jax"] == {"missing": "ModuleNotFoundError: No module named 'a_library_that_nobody_has'"}
    assert row["tf"] == {"missing": "RuntimeError: out of luck"}
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert text == done.stdout
    assert "- speed: 100 GFLOP/s in matrix products, 10 GB/s" in text and "corenn 0." in text
    ours = "corenn-numpy | to the floor | of the moment"
    assert f"| workload | floor | {ours} | torch ms/ratio | jax ms/ratio | tf ms/ratio |" in text
    line = next(line for line in text.splitlines() if line.startswith("| dqn |"))
    assert line.count("|") == 9 and "| 1000 / **0.0" in line and line.endswith("| - | - |")
    assert "- not measured: tf: RuntimeError: out of luck (dqn, logistic)" in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dqm"], "there is no workload 'dqm'"),
        (["dqn", "--peers-file", "none.py"], "there is no file none.py"),
        (["dqn", "--python", "jax"], "PEER=PATH"),
    ],
)
def test_comparing_what_is_not_there_is_refused(arguments, said, tmp_path):
    done = compare(tmp_path, *arguments, *SPEED)
    assert done.returncode != 0 and said in done.stderr and "Traceback" not in done.stderr


@pytest.mark.slow
def test_scaling_measures_each_point(tmp_path):
    command = [sys.executable, str(FOLDER / "scaling.py"), "--axis", "batch", "--axis", "threads", "--backend", "numpy"]
    limits = ["--rounds", "1", "--seconds", "0", "--threads", "1", "--json", "report.json"]
    done = subprocess.run([*command, *limits], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [r["batch"] for r in results] == [1, 8, 32, 128, 512, 2048, 512]
    assert [r["axis"] for r in results] == ["batch"] * 6 + ["threads"]
    assert results[4]["flops"] == pytest.approx(4 * results[3]["flops"], rel=0.2)  # but for the update
    lines = done.stdout.splitlines()
    assert len(lines) == 2 + len(results) and lines[0].startswith("| backend | axis | value |")
    assert all(line.count("|") == 8 for line in lines)
