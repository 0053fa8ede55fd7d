"""``corenn bench`` and ``corenn explain``: what they print, and what they refuse."""

from __future__ import annotations

import json
import os

import pytest

QUICK = ("--seconds", "0", "--steps", "7", "--threads", "1", "--backend", "numpy")
KEYS = {
    "peer",
    "workload",
    "threads",
    "step_us",
    "min_us",
    "p90_us",
    "steps",
    "compile_s",
    "peak_mb",
    "flops",
    "bytes",
    "flops_a_second",
}
SPEED = ("--gflops", "100", "--gbytes", "10", "--backend", "numpy")


def test_a_line_of_json_for_each_workload(here):
    found = here("bench", "dqn", "logistic", "--json", *QUICK)
    assert (found.status, found.err) == (0, "")
    results = [json.loads(line) for line in found.out.splitlines()]
    assert [r["workload"] for r in results] == ["dqn", "logistic"]
    for result in results:
        assert set(result) == KEYS
        assert (result["peer"], result["threads"], result["steps"]) == ("corenn-numpy", 1, 5)
        assert 0 < result["min_us"] <= result["step_us"] <= result["p90_us"]
        assert result["compile_s"] > 0 and 10 < result["peak_mb"] < 4000
    assert results[1]["flops"] >= 2 * 2 * 200 * 784 * 10  # forward, and the gradient of the weights


def test_a_table_for_people(here):
    found = here("bench", "dqn", *QUICK)
    assert found.status == 0
    head, titles, row = found.out.splitlines()
    assert "numpy" in head and "1 thread;" in head
    assert titles.split()[:4] == ["WORKLOAD", "MEDIAN", "MINIMUM", "P90"]
    assert row.split()[0] == "dqn" and row.split()[-1] == "MB"


def test_children_get_the_threads_before_numpy_is_loaded(here, monkeypatch):
    import subprocess

    seen = {}

    def run(command, env, **options):
        seen.update(command=command, env=env)
        return subprocess.CompletedProcess(command, 0, json.dumps({"workload": "dqn"}), "")

    monkeypatch.setattr("corenn_cli.bench.subprocess.run", run)
    monkeypatch.setenv("CORENN_THREADS", "3")
    assert here("bench", "dqn", "--json", "--backend", "numpy").status == 0
    threads = [seen["env"][n] for n in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "CORENN_THREADS")]
    assert threads == ["3"] * 4 and seen["command"][-5] == "3"
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"  # the command itself changes nothing here


def test_threads_of_a_run_come_from_the_environment_too(process, home, monkeypatch):
    (home / "script.py").write_text("import os; print(os.environ['OMP_NUM_THREADS'], os.environ['CORENN_THREADS'])")
    monkeypatch.setenv("CORENN_THREADS", "3")
    assert process("run", "script.py").out.split() == ["3", "3"]
    assert process("run", "script.py", "--threads", "2").out.split() == ["2", "2"]


def test_a_workload_that_fails_is_said_and_the_others_go_on(here, monkeypatch):
    monkeypatch.setattr("corenn_cli.bench.sys.executable", "false")
    found = here("bench", "dqn", "logistic", *QUICK)
    assert found.status == 1
    assert [line.split(":")[0].split() for line in found.out.splitlines()[2:]] == [
        ["dqn", "failed"],
        ["logistic", "failed"],
    ]
    found = here("bench", "dqn", "--json", *QUICK)
    assert found.status == 1
    assert json.loads(found.out)["failed"] == "ended with status 1"


def test_workloads_are_listed(here):
    rows = json.loads(here("bench", "--list", "--json").out)
    assert {"name", "batch", "optimizer", "description"} == set(rows[0])
    assert {"dqn", "lstm", "resnet50_train"} <= {row["name"] for row in rows}
    assert "resnet50_infer" in here("bench", "--list").out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("bench dqm", ["no workload 'dqm'", "did you mean 'dqn'"]),
        ("bench dqn lstn", ["no workload 'lstn'", "did you mean 'lstm'"]),
        ("bench dqn --backend nunpy", ["no backend is called 'nunpy'"]),
        ("bench dqn --threads 0", ["--threads"]),
        ("bench dqn --steps 0", ["--steps"]),
        ("bench --here", ["measures one workload, not 0"]),
        ("explain dqm", ["no workload and no task 'dqm'", "did you mean 'dqn'"]),
        ("explain digts", ["no workload and no task 'digts'", "did you mean 'digits'"]),
        ("explain dqn --set epochs=1", ["--set is an option of tasks"]),
        ("explain dqn --gflops 0", ["--gflops"]),
        ("explain digits --set epoch=1", ["no setting 'epoch'", "did you mean 'epochs'"]),
        ("explain", ["WORKLOAD|TASK"]),
    ],
)
def test_wrong_usage_is_status_2(here, args, said):
    found = here(*args.split())
    assert (found.status, found.out) == (2, "")
    for words in said:
        assert words in found.err
    assert "Traceback" not in found.err


def test_a_workload_is_explained(here):
    found = here("explain", "dqn", *SPEED, "--source")
    assert (found.status, found.err) == (0, "")
    assert found.out.startswith("program on numpy: ")
    assert "v20 f32[50,50] = matmul(f0, s0)" in found.out
    assert "machine  100 GFLOP/s, 10.0 GB/s" in found.out and "GENERATED CODE" in found.out


def test_a_task_is_explained_by_its_training_step_and_leaves_nothing(here, home):
    found = here("explain", "digits", *SPEED, "--json", "--set", "model=mlp")
    assert found.status == 0
    figures = json.loads(found.out)
    assert figures["name"] == "digits" and figures["backend"] == "numpy"
    assert figures["writes"] > 18 and figures["flops"] > 2 * 3 * 32 * 64 * 128
    assert figures["floor_s"] == pytest.approx(max(figures["flops"] / 100e9, figures["least_bytes"] / 10e9))
    assert list(home.iterdir()) == []
