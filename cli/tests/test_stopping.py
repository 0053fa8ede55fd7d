"""Stopping and continuing: Ctrl-C, SIGTERM, SIGKILL at any step, and ``--resume``."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from corenn.checkpoint import CheckpointManager

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")]

# The default model in small, with all that has a state: batch normalisation, dropout, augmentation, a schedule, Adam.
SMALL = ("--set", "model_options.filters=4,4", "--set", "model_options.dense=8", "--seed", "7", "--epochs", "3")
OFTEN = ("--set", "checkpoint_every=10")
STEPS = 135
PATIENCE = 1200  # seconds; only a hang reaches it

# The command, which sends itself a signal when it is about to do something with a file: python -c MOMENT 9 open config.
# So a test says at which moment a signal comes, however fast the machine is.
MOMENT = """
import os, sys
signum, event, part = int(sys.argv.pop(1)), sys.argv.pop(1), sys.argv.pop(1)

def look(found, args):
    global event
    if found != event or not isinstance(args[0], (str, os.PathLike)) or part not in os.fspath(args[0]):
        return
    if event == "open" and not args[2] & (os.O_WRONLY | os.O_RDWR):
        return
    event = None
    os.kill(os.getpid(), signum)

sys.addaudithook(look)
from corenn_cli.main import main
main()
"""


def signalled_at(signum: int, event: str, part: str) -> list[str]:
    """A command that gets a signal just before it opens for writing (``open``), or else, a file named like ``part``."""
    return [sys.executable, "-c", MOMENT, str(int(signum)), event, part]


def last_state(out: Path):
    return CheckpointManager(out / "checkpoints").load().tensors


def assert_same_end(one: Path, other: Path) -> None:
    """Weights, moving averages and the optimizer's state agree bit for bit, and so do the figures."""
    first, second = last_state(one), last_state(other)
    assert first.keys() == second.keys()
    assert sum("weights" in name for name in first) >= 12
    for name, value in first.items():
        assert value.tobytes() == second[name].tobytes(), name
    results = [json.loads((out / "result.json").read_text()) for out in (one, other)]
    assert results[0]["metrics"] == results[1]["metrics"]
    assert results[0]["steps"] == results[1]["steps"]
    lines = [[json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()] for out in (one, other)]
    for line in lines[0] + lines[1]:
        line.pop("seconds")
    assert lines[0] == lines[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A run that nobody stopped."""
    place = tmp_path_factory.mktemp("whole")
    command = [sys.executable, "-m", "corenn_cli.main", "run", *SMALL, "--out", "whole", "--quiet"]
    subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=PATIENCE)
    return place / "whole"


def wait_for(process, condition, what: str) -> None:
    """Until ``condition()``; fails if the process ends first."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, f"ended before {what}: {process.communicate()}"
        assert time.monotonic() < end, what
        time.sleep(0.002)


def checkpoints(out: Path) -> int:
    """Steps of the newest checkpoint, 0 without one."""
    return max((int(p.stem[5:]) for p in (out / "checkpoints").glob("step-*.safetensors")), default=0)


@pytest.mark.parametrize(
    ("event", "part", "reached", "how"),
    [
        ("open", "/events.out", 0, "path"),
        ("os.rename", "/.metrics.jsonl", 0, "auto"),
        ("os.rename", "/.step-00000010", 0, "path"),
        ("os.rename", "/.checkpoint.json", 10, "auto"),  # the pointer to the newest
        ("os.remove", "/step-00000010", 30, "path"),  # the oldest, which is no longer kept
        ("open", "/metrics.jsonl", 40, "auto"),  # at the end of the first epoch
        ("open", "/.step-00000050", 45, "path"),
        ("os.rename", "/.step-00000130", 120, "auto"),
        ("open", "/plots/", STEPS, "path"),
        ("os.rename", "/.result.json", STEPS, "auto"),
    ],
)
def test_a_killed_run_continues_to_the_same_weights(process, home, whole, event, part, reached, how):
    """Killed when some file is about to be written, put in place or removed."""
    if part == "/plots/":
        pytest.importorskip("matplotlib")
    out = home / "runs/one"
    killed = signalled_at(signal.SIGKILL, event, part)
    run = process("run", *SMALL, *OFTEN, "--out", "runs/one", "--quiet", command=killed)
    assert (run.status, run.out, run.err) == (-signal.SIGKILL, "", "")
    assert checkpoints(out) == reached and not (out / "result.json").exists()
    found = process("run", "--resume", "auto" if how == "auto" else "runs/one", "--quiet", "--json")
    assert found.status == 0, found.err
    assert json.loads(found.out)["steps"] == STEPS
    assert_same_end(whole, out)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_the_step_saves_and_says_how_to_continue(started, process, home, whole, signum, status):
    moment = signalled_at(signum, "open", "/.step-00000020")
    run = started("run", *SMALL, *OFTEN, "--out", "one", "--json", command=moment)
    out, err = run.communicate(timeout=PATIENCE)
    assert run.returncode == status
    assert out == ""
    assert "finishing this step and saving" in err and "Traceback" not in err
    assert err.splitlines()[-1].endswith("the state is saved; continue with: corenn run --resume one")
    assert not (home / "one/result.json").exists()
    found = process("run", "--resume", "one", "--json", "--quiet")
    assert found.status == 0, found.err
    assert_same_end(whole, home / "one")


SLOW = '''
"""A task whose second step never ends by itself."""
import sys, time
import numpy as np
from corenn import layers
from corenn.plugin import TaskRecord, hookimpl, registry
from corenn.training import LambdaCallback, Sequential
from corenn.training.task import Task


class Slow(Task):
    def run(self, run):
        model = Sequential([layers.Dense(1)])
        model.compile("sgd", loss="mse")

        def wait(batch, logs):
            if batch == 1:
                print("in step 2", file=sys.stderr, flush=True)
                for _ in range(6000):
                    time.sleep(0.1)

        run.fit(model, np.ones((40, 2), "float32"), np.ones((40, 1), "float32"), batch_size=4,
                callbacks=[LambdaCallback(on_train_batch_end=wait)])
        return {}


class Plugin:
    @hookimpl
    def corenn_tasks(self):
        return [TaskRecord("slow-test", "slow_script:Slow", "slow")]


sys.modules["slow_script"] = sys.modules[__name__]
registry.register(Plugin(), "slow-test")
from corenn_cli.main import main
main()
'''


@pytest.mark.parametrize(
    ("first", "second", "status"), [(signal.SIGINT, signal.SIGINT, 130), (signal.SIGINT, signal.SIGTERM, 143)]
)
def test_a_second_signal_ends_at_once(started, home, first, second, status):
    (home / "slow.py").write_text(SLOW)
    run = started("run", "slow-test", "--out", "one", command=[sys.executable, "slow.py"])
    read = []

    def until(text):
        for line in run.stderr:
            read.append(line)
            if text in line:
                return
        pytest.fail(f"ended without {text!r}: {''.join(read)}")

    until("in step 2")
    run.send_signal(first)
    until("finishing this step")
    assert run.poll() is None
    run.send_signal(second)
    rest = run.stderr.read()
    assert run.wait(PATIENCE) == status
    assert "Traceback" not in rest and "ended" in rest


def test_ctrl_c_elsewhere_ends_without_a_traceback(started, home):
    os.mkfifo(home / "pipe")
    run = started("conformance", "--backend", "numpy", "--expected-failures", "pipe")
    with open(home / "pipe", "wb"):  # waits until the other side reads
        run.send_signal(signal.SIGINT)
        _, err = run.communicate(timeout=PATIENCE)
    assert run.returncode == 130, err
    assert "Traceback" not in err


# ---- --resume


def test_resume_auto_begins_a_run_when_there_is_none(process, home):
    found = process("run", "--resume", "auto", "--out", "one", "--set", "model=mlp", "--steps", "2", "--json")
    assert found.status == 0
    assert "nothing to resume: starting a new run" in found.err
    assert json.loads(found.out)["out"] == "one"
    again = process("run", "--resume", "auto", "--out", "one", "--json")
    assert (again.status, again.out) == (0, found.out)
    assert again.err == "one is finished; its result:\n"


def test_a_finished_run_is_prolonged_by_more_epochs(here, home):
    here("run", "--set", "model=mlp", "--epochs", "1", "--out", "one", "--quiet")
    before = json.loads((home / "one/result.json").read_text())
    found = here("run", "--resume", "one", "--epochs", "2", "--json")
    assert found.status == 0
    assert [line.split("  ")[0] for line in found.err.splitlines()[1:]] == ["epoch 2/2"]
    result = json.loads(found.out)
    assert (before["steps"], result["steps"]) == (45, 90)
    assert json.loads((home / "one/config.json").read_text())["settings"]["epochs"] == 2


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        ("run --resume nowhere", 1, "nowhere holds no run"),
        ("run other --resume one", 2, "a run of 'digits', not of 'other'"),
        ("run --resume one --seed 2", 2, "has 1, not 2"),
        ("run --resume one --dataset mnist", 2, "has 'digits', not 'mnist'"),
        ("run --resume one --batch-size 7", 2, "has batch_size=32"),
        ("run --resume one --set model=cnn", 2, "has model=mlp"),
        ("run --resume one --set epohcs=3", 2, "did you mean 'epochs'"),
        ("run --resume one --out two", 2, "continues in one"),
        ("run --resume one --backend nunpy", 2, "no backend is called 'nunpy'"),
        ("run --out one", 2, "continue it with --resume one"),
    ],
)
def test_what_cannot_be_resumed_is_said_and_left_alone(here, home, args, status, said):
    if not (home / "one").exists():
        here("run", "--set", "model=mlp", "--steps", "1", "--seed", "1", "--out", "one", "--quiet")
    before = (home / "one/config.json").read_bytes()
    found = here(*args.split())
    assert (found.status, found.out) == (status, "")
    assert said in found.err and "Traceback" not in found.err
    assert (home / "one/config.json").read_bytes() == before
    assert [p.name for p in home.iterdir()] == ["one"]


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(process, home, whole):
    out = home / "one"
    process("run", *SMALL, *OFTEN, "--out", "one", "--steps", "60", "--quiet")
    newest = max((out / "checkpoints").glob("*.safetensors"))
    newest.write_bytes(newest.read_bytes()[:-100])
    found = process("run", "--resume", "one", "--steps", str(STEPS), "--json", "--quiet")
    assert found.status == 0, found.err
    assert newest.name in found.err
    first, second = last_state(whole), last_state(out)
    assert all(
        first[name].tobytes() == second[name].tobytes() for name in first if "/model/" in name or "weights" in name
    )


def test_two_processes_do_not_work_in_one_directory(started, process, home):
    run = started("run", *SMALL, *OFTEN, "--out", "runs/one", "--epochs", "50000")
    wait_for(run, lambda: checkpoints(home / "runs/one") > 0, "a checkpoint")
    found = process("run", "--resume", "runs/one")
    assert (found.status, found.out) == (2, "")
    assert "in use by another process" in found.err
    run.send_signal(signal.SIGTERM)
    assert run.wait(PATIENCE) == 143
