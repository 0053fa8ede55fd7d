"""Processes killed with SIGKILL at random moments of a loop of saves never cost a checkpoint."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import corenn
from corenn.checkpoint import CheckpointManager, unpack_state

# Each checkpoint's content follows from its step, so that a mixture of two would be seen.
SAVER = """
import sys
import numpy as np
from corenn.checkpoint import CheckpointManager, pack_state
manager = CheckpointManager(sys.argv[1], keep=3)
step = int(sys.argv[2])
while True:
    step += 1
    state = {"w": np.full(50_000, step), "slots": [np.full(7, -step, np.int32)], "rng": 2**80 + step}
    manager.save(step, *pack_state(state))
    print(step, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_killed_savers(tmp_path):
    randomness = random.Random(7)
    environment = {**os.environ, "PYTHONPATH": str(Path(corenn.__file__).parent.parent)}
    step = 0
    for _ in range(12):
        command = [sys.executable, "-c", SAVER, str(tmp_path), str(step)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as saver:
            assert saver.stdout is not None
            said = int(saver.stdout.readline())
            time.sleep(randomness.uniform(0, 0.05))
            saver.kill()
            said = int((saver.stdout.read().split() or [said])[-1])
        manager = CheckpointManager(tmp_path, keep=3)
        assert manager.latest() == manager.all()[-1]
        found = manager.load()
        state = unpack_state(found.tensors, {"state": found.metadata["state"]})
        step = found.metadata["step"]
        assert said <= step <= said + 1  # what was reported is there; one more may have been finished
        assert np.array_equal(state["w"], np.full(50_000, step))
        assert np.array_equal(state["slots"][0], np.full(7, -step)) and state["rng"] == 2**80 + step
        assert len(manager.all()) <= 4  # killed before the pruning, at most one too many
        assert len([name for name in os.listdir(tmp_path) if name.endswith(".tmp")]) <= 1
    manager.save(step + 1, {})
    left = [name for name in os.listdir(tmp_path) if not re.fullmatch(r"step-\d{8}\.safetensors", name)]
    assert left == ["checkpoint.json"] and len(manager.all()) == 3
