"""CIFAR-100: what it has that CIFAR-10 has not; the reading of files and archives is tested with that."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corenn_datasets import cifar100
from corenn_datasets.cifar_binary import dump_records
from corenn_datasets.download import RemoteFile

from corenn.errors import DataError, UsageError

FOLDER = "cifar-100-binary"
_random = np.random.default_rng(0)
IMAGES = {part: _random.integers(0, 256, (count, 32, 32, 3), np.uint8) for part, count in (("train", 7), ("test", 3))}
LABELS = {
    part: np.stack([_random.integers(0, 20, len(x)), _random.integers(0, 100, len(x))], 1).astype(np.uint8)
    for part, x in IMAGES.items()
}


def body(part: str) -> bytes:
    """The format by its description: superclass, class, then the three planes."""
    out = bytearray()
    for image, (coarse, fine) in zip(IMAGES[part], LABELS[part].tolist(), strict=True):
        out += bytes([coarse, fine])
        for channel in range(3):
            out += image[:, :, channel].tobytes()
    return bytes(out)


BODIES = {f"{part}.bin": body(part) for part in ("train", "test")}


def fill(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in BODIES.items():
        (folder / name).write_bytes(data)
    return folder


def packed() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in {**BODIES, "fine_label_names.txt": b"apple\n"}.items():
            info = tarfile.TarInfo(f"{FOLDER}/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def check(splits: Any, column: int = 1) -> None:
    for part in ("train", "test"):
        x, y = splits.original(part)
        np.testing.assert_array_equal(x, IMAGES[part])
        np.testing.assert_array_equal(y, LABELS[part][:, column])
        assert y.dtype == np.int32


@pytest.mark.parametrize("inside", ["", FOLDER, "cifar100", f"cifar100/{FOLDER}"])
def test_folder(tmp_path: Path, inside: str) -> None:
    fill(tmp_path / inside)
    check(cifar100.load(tmp_path))


def test_superclasses(tmp_path: Path) -> None:
    found = cifar100.load(fill(tmp_path), labels="coarse")
    check(found, 0)
    assert found.classes == cifar100.COARSE and "20 classes" in found.description
    wrong: Any = "middling"
    with pytest.raises(UsageError, match="'fine' or 'coarse'"):
        cifar100.load(tmp_path, labels=wrong)


def test_names_are_those_of_the_publisher() -> None:
    """In alphabetical order, as the label files have them; a few by number."""
    assert len(set(cifar100.FINE)) == 100 and list(cifar100.FINE) == sorted(cifar100.FINE)
    assert len(set(cifar100.COARSE)) == 20
    assert [cifar100.FINE[i] for i in (0, 19, 49, 51, 99)] == ["apple", "cattle", "mountain", "mushroom", "worm"]
    assert [cifar100.COARSE[i] for i in (0, 11, 19)] == [
        "aquatic_mammals", "large_omnivores_and_herbivores", "vehicles_2",
    ]  # fmt: skip


def test_records_come_back() -> None:
    assert dump_records(IMAGES["train"], LABELS["train"]) == BODIES["train.bin"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (BODIES["train.bin"][:-1], "are no multiple of 3074"),
        (BODIES["train.bin"][:3074][:1] + b"\x64" + BODIES["train.bin"][2:], "label 100 of image 0 is not below 100"),
        (b"\x14" + BODIES["train.bin"][1:], "label 20 of image 0 is not below 20"),
        (BODIES["train.bin"][: 3073 * 2], "3073 bytes in CIFAR-10"),
        (b"", "holds no images"),
    ],
)
def test_wrong_file(tmp_path: Path, data: bytes, said: str) -> None:
    (fill(tmp_path) / "train.bin").write_bytes(data)
    with pytest.raises(DataError, match=said) as caught:
        cifar100.load(tmp_path)
    assert str(tmp_path / "train.bin") in str(caught.value)


def test_wrong_folder(tmp_path: Path) -> None:
    (tmp_path / "cifar-100-python").mkdir()
    (tmp_path / "cifar-100-python" / "train").touch()
    with pytest.raises(DataError, match="as pickles for Python"):
        cifar100.load(tmp_path)
    fill(tmp_path)
    (tmp_path / "test.bin").unlink()
    (tmp_path / "cifar-100-python" / "train").unlink()
    with pytest.raises(DataError, match="lacks some of the two files"):
        cifar100.load(tmp_path)


def test_download(site: Any, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = packed()
    site.serve("/mirror/cifar100/cifar-100-binary.tar.gz", good)
    monkeypatch.setenv("CORENN_MIRRORS", site.url + "/mirror")
    small = RemoteFile("cifar-100-binary.tar.gz", len(good), hashlib.sha256(good).hexdigest())
    monkeypatch.setattr(cifar100, "_SET", dataclasses.replace(cifar100._SET, archive=small))
    check(cifar100.load())
    monkeypatch.setenv("CORENN_OFFLINE", "1")
    check(cifar100.load())
    assert len(site.asked) == 1
