"""A process that trains is killed with SIGKILL at some step, again and again; the last one ends with the same bits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = """
import sys
import numpy as np
import corenn
from corenn import layers as L
from corenn.training import BackupAndRestore, CSVLogger, LambdaCallback, Sequential

where, result = sys.argv[1:]
rng = np.random.default_rng(0)
x, y = rng.normal(size=(48, 6, 6, 1)).astype("float32"), rng.integers(0, 3, 48)
corenn.random.seed(7)
head = [L.Flatten(), L.Dense(3, "softmax")]
model = Sequential([L.Conv2D(3, 3), L.BatchNormalization(), L.ReLU(), L.Dropout(0.3), *head])
model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])

def report(batch):
    print(say.loop.total_steps, flush=True)
    sys.stdin.readline()  # go on when told to

say = LambdaCallback(on_batch_saved=report)
backup = BackupAndRestore(where + "/run", save_freq=1, delete_checkpoint=False)
history = model.fit(x, y, batch_size=8, epochs=4, verbose=0, validation_split=0.25,
                    callbacks=[CSVLogger(where + "/log.csv"), backup, say])
np.savez(result, *model.get_weights(), *(np.array(v) for v in history.history.values()))
"""


def train(script: Path, where: Path, result: Path, kill_at: int | None = None) -> list[int]:
    """The steps a process reports until it ends, or is killed after one of them."""
    command = [sys.executable, str(script), str(where), str(result)]
    seen: list[int] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            seen.append(int(line))
            if kill_at is not None and seen[-1] >= kill_at:
                process.kill()
                break
            process.stdin.write("\n")
            process.stdin.flush()
    assert (process.returncode == 0) == (kill_at is None)
    return seen


@pytest.mark.slow
def test_killed_at_several_steps(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    whole, killed = tmp_path / "whole.npz", tmp_path / "killed.npz"
    assert train(script, tmp_path / "a", whole) == list(range(1, 21))
    # 5, 10 and 15 end epochs: the state after them is saved when the epoch has ended
    assert train(script, tmp_path / "b", killed, kill_at=3) == [1, 2, 3]
    assert train(script, tmp_path / "b", killed, kill_at=10) == [4, 5, 6, 7, 8, 9, 10]
    assert train(script, tmp_path / "b", killed, kill_at=14) == [10, 11, 12, 13, 14]
    assert not killed.exists()
    assert train(script, tmp_path / "b", killed) == [15, 16, 17, 18, 19, 20]
    with np.load(whole) as expected, np.load(killed) as found:
        assert expected.files == found.files
        for name in expected.files:
            np.testing.assert_array_equal(found[name], expected[name])
    assert (tmp_path / "b" / "log.csv").read_text() == (tmp_path / "a" / "log.csv").read_text()
