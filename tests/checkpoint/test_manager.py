import json
import os
import warnings
from pathlib import Path

import numpy as np
import pytest

from corenn.checkpoint import CheckpointManager, CheckpointWarning, _atomic, load_file
from corenn.checkpoint import manager as manager_module
from corenn.errors import AttributeValueError, CheckpointError


def name(step: int) -> str:
    return f"step-{step:08d}.safetensors"


def fill(directory: Path, steps, keep=None) -> CheckpointManager:
    manager = CheckpointManager(directory, keep=keep)
    for step in steps:
        manager.save(step, {"w": np.full(4, step)}, {"epoch": step // 10})
    return manager


def found_steps(manager: CheckpointManager) -> list[int]:
    return [int(path.name[5:13]) for path in manager.all()]


def test_save_and_load(tmp_path):
    manager = fill(tmp_path / "made" / "here", [10, 42])
    assert manager.latest() == tmp_path / "made" / "here" / name(42)
    found = manager.load()
    assert found.path == manager.latest() and found.metadata == {"step": 42, "epoch": 4}
    assert np.array_equal(found.tensors["w"], np.full(4, 42))
    assert manager.load(manager.all()[0]).metadata["step"] == 10
    pointer = json.loads((manager.directory / "checkpoint.json").read_text())
    assert pointer == {"latest": name(42), "step": 42, "checkpoints": [name(10), name(42)]}


@pytest.mark.parametrize("keep", [1, 2, 5, 7, None])
def test_keeps_the_last(tmp_path, keep):
    manager = fill(tmp_path, range(6), keep)
    assert found_steps(manager) == list(range(6))[-(keep or 6) :]
    assert sorted(os.listdir(tmp_path)) == ["checkpoint.json", *(path.name for path in manager.all())]


def test_old_ones_go_only_when_the_new_one_is_durable(tmp_path, monkeypatch):
    manager = fill(tmp_path, [1, 2], keep=2)
    seen = []

    def watched(path, write):
        seen.append((path.name, found_steps(manager)))
        _atomic.write_atomically(path, write)

    monkeypatch.setattr(manager_module, "write_atomically", watched)
    manager.save(3, {})
    assert seen == [("checkpoint.json", [1, 2, 3])] and found_steps(manager) == [2, 3]


def test_nothing_is_removed_when_the_save_fails(tmp_path, monkeypatch):
    manager = fill(tmp_path, [1, 2], keep=2)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_atomic.os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        manager.save(3, {"w": np.zeros(4)})
    assert found_steps(manager) == [1, 2] and manager.load().metadata["step"] == 2


def test_going_back_to_an_earlier_step(tmp_path):
    manager = fill(tmp_path, [10, 20, 30, 15], keep=3)
    assert found_steps(manager) == [20, 30, 15]
    assert CheckpointManager(tmp_path).load().metadata["step"] == 15
    manager.save(20, {"w": np.zeros(1)})
    assert found_steps(manager) == [30, 15, 20] and np.array_equal(manager.load().tensors["w"], np.zeros(1))


def test_checkpoint_the_pointer_misses_is_the_newest(tmp_path, monkeypatch):
    manager = fill(tmp_path, [10, 20])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(manager, "_write_pointer", interrupt)
        manager.save(5, {})
    assert found_steps(CheckpointManager(tmp_path)) == [10, 20, 5]


def interrupt(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "{}", '{"checkpoints": 3}', '{"checkpoints": ["a", "a"]}', '{"checkpoints": [[]]}', "\xff"],
)
def test_damaged_pointer_is_reported_once_and_passed_over(tmp_path, content):
    fill(tmp_path, [10, 20])
    (tmp_path / "checkpoint.json").write_bytes(content.encode("latin-1"))
    manager = CheckpointManager(tmp_path)
    with pytest.warns(CheckpointWarning, match=r"checkpoint\.json: cannot be used") as caught:
        assert found_steps(manager) == found_steps(manager) == [10, 20]
    assert len(caught) == 1
    manager.save(30, {})
    assert found_steps(CheckpointManager(tmp_path)) == [10, 20, 30]


def test_without_pointer_steps_decide(tmp_path):
    fill(tmp_path, [20, 100_000_000, 3])
    (tmp_path / "checkpoint.json").unlink()
    assert found_steps(CheckpointManager(tmp_path))[:2] == [3, 20]
    assert CheckpointManager(tmp_path).load().metadata["step"] == 100_000_000


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"\x55")


@pytest.mark.parametrize("spoil", [truncate, flip])
def test_falls_back_to_the_one_before_and_says_so_once(tmp_path, spoil):
    manager = fill(tmp_path, [1, 2, 3])
    spoil(tmp_path / name(3))
    with pytest.warns(CheckpointWarning, match=rf"{name(3)}.*damaged") as caught:
        assert manager.load().metadata["step"] == 2
        assert manager.load().metadata["step"] == 2
    assert len(caught) == 1 and caught[0].filename == __file__


def test_latest_passes_over_truncated_files(tmp_path):
    manager = fill(tmp_path, [1, 2, 3])
    truncate(tmp_path / name(3))
    (tmp_path / name(2)).write_bytes(b"")
    with pytest.warns(CheckpointWarning) as caught:
        assert manager.latest() == manager.latest() == tmp_path / name(1)
    assert len(caught) == 2


def test_saving_again_repairs(tmp_path):
    manager = fill(tmp_path, [1, 2])
    flip(tmp_path / name(2))
    with pytest.warns(CheckpointWarning):
        manager.load()
    manager.save(2, {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert manager.load().metadata["step"] == 2
    flip(tmp_path / name(2))
    with pytest.warns(CheckpointWarning):
        manager.load()


def test_all_damaged(tmp_path):
    manager = fill(tmp_path, [1, 2])
    for step in (1, 2):
        truncate(tmp_path / name(step))
    with pytest.warns(CheckpointWarning), pytest.raises(CheckpointError, match="all 2 checkpoints are damaged"):
        manager.load()


def test_a_given_path_is_never_replaced_by_another(tmp_path):
    manager = fill(tmp_path, [1, 2, 3])
    for step in (1, 3):
        truncate(tmp_path / name(step))
    with pytest.raises(CheckpointError) as caught:
        manager.load(tmp_path / name(3))
    assert caught.value.hint == f"the previous checkpoint is {tmp_path / name(2)}"
    with pytest.raises(CheckpointError, match="damaged") as caught:
        manager.load(tmp_path / name(1))
    assert "previous" not in str(caught.value)
    with pytest.raises(CheckpointError, match="does not exist") as caught:
        manager.load(tmp_path / name(9))
    assert name(3) in str(caught.value)


def test_empty_directories(tmp_path):
    manager = CheckpointManager(tmp_path / "none")
    assert manager.latest() is None and manager.all() == [] and not (tmp_path / "none").exists()
    with pytest.raises(CheckpointError, match="has no checkpoints"):
        manager.load()


def test_directory_is_a_file(tmp_path):
    (tmp_path / "f").write_text("")
    manager = CheckpointManager(tmp_path / "f")
    assert manager.all() == []
    with pytest.raises(CheckpointError, match="cannot be written"):
        manager.save(1, {})


def test_strays_of_a_killed_save_are_removed_and_nothing_else(tmp_path):
    manager = fill(tmp_path, [1])
    strays = [f".{name(2)}.0123abcd.tmp", ".checkpoint.json.89abcdef.tmp"]
    others = [".notes.0123abcd.tmp", "x.tmp", f"{name(3)}.bak", "step-1.safetensors", "events.out.tfevents.1"]
    for item in strays + others:
        (tmp_path / item).write_bytes(b"part")
    assert found_steps(manager) == [1]
    manager.save(2, {})
    assert sorted(os.listdir(tmp_path)) == sorted([*others, "checkpoint.json", name(1), name(2)])


@pytest.mark.parametrize("keep", [0, -1, 1.5, "3"])
def test_keep_is_checked(tmp_path, keep):
    with pytest.raises(AttributeValueError, match="keep must be"):
        CheckpointManager(tmp_path, keep=keep)


@pytest.mark.parametrize("step", [-1, 1.0, True, "3", None])
def test_step_is_checked(tmp_path, step):
    with pytest.raises(AttributeValueError, match="step must be"):
        CheckpointManager(tmp_path).save(step, {})


def test_metadata_may_repeat_the_step_but_not_contradict_it(tmp_path):
    manager = CheckpointManager(tmp_path)
    path = manager.save(np.int64(3), {}, {"step": 3})
    assert load_file(path)[1] == {"step": 3}
    with pytest.raises(AttributeValueError, match="two different steps"):
        manager.save(3, {}, {"step": 4})
