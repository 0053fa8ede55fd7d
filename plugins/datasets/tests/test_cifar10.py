import dataclasses
import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corenn_datasets import cifar10
from corenn_datasets.download import RemoteFile

from corenn.errors import DataError

NAMES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
COUNTS = (3, 1, 2, 4, 1, 5)
_random = np.random.default_rng(0)
IMAGES = [_random.integers(0, 256, (count, 32, 32, 3), np.uint8) for count in COUNTS]
LABELS = [(np.arange(count) % 10).astype(np.uint8) for count in COUNTS]
FOLDER = "cifar-10-batches-bin"


def _body(images: np.ndarray, labels: np.ndarray) -> bytes:
    """The format by its description, one pixel at a time: label, then red, green and blue, each row by row."""
    body = bytearray()
    for image, label in zip(images, labels, strict=True):
        body.append(label)
        for channel in range(3):
            for row in range(32):
                body += bytes(image[row, :, channel].tolist())
    return bytes(body)


BODIES = {f"{name}.bin": _body(x, y) for name, x, y in zip(NAMES, IMAGES, LABELS, strict=True)}


def _fill(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, body in BODIES.items():
        (folder / name).write_bytes(body)
    return folder


def _tar(members: dict[str, bytes], *, kind: bytes = tarfile.REGTYPE) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.type = len(body) * (kind == tarfile.REGTYPE), kind
            info.linkname = "/etc/hostname" if kind != tarfile.REGTYPE else ""
            archive.addfile(info, io.BytesIO(body))
    return out.getvalue()


def _whole(**changes: bytes) -> dict[str, bytes]:
    return {f"{FOLDER}/{name}": body for name, body in {**BODIES, **changes}.items()}


def _check(splits: object) -> None:
    assert isinstance(splits, cifar10.DatasetSplits)
    train = (np.concatenate(IMAGES[:5]), np.concatenate(LABELS[:5]))
    for part, (images, labels) in (("train", train), ("test", (IMAGES[5], LABELS[5]))):
        x, y = getattr(splits, part)
        assert (x.dtype, y.dtype) == (np.float32, np.int32)
        np.testing.assert_array_equal(x, (images / 255).astype(np.float32))
        np.testing.assert_array_equal(splits.original(part).x, images)
        np.testing.assert_array_equal(y, labels)
    assert splits.image_shape == (32, 32, 3) and splits.classes[3] == "cat" and len(splits.classes) == 10


@pytest.mark.parametrize("inside", ["", FOLDER, "cifar10", f"cifar10/{FOLDER}"])
def test_folder(tmp_path: Path, inside: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORENN_OFFLINE", "1")
    _fill(tmp_path / inside)
    _check(cifar10.load(str(tmp_path)))
    assert not cache.exists()


@pytest.mark.parametrize("inside", ["", "cifar10"])
@pytest.mark.parametrize("prefix", ["", "./"])
def test_archive(tmp_path: Path, inside: str, prefix: str) -> None:
    folder = tmp_path / inside
    folder.mkdir(exist_ok=True)
    members = {prefix + name: body for name, body in {**_whole(), f"{FOLDER}/readme.html": b"<html>"}.items()}
    (folder / "cifar-10-binary.tar.gz").write_bytes(_tar(members))
    _check(cifar10.load(tmp_path))


@pytest.mark.parametrize("inside", [FOLDER, "cifar10"])
def test_common_folder(tmp_path: Path, inside: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORENN_OFFLINE", "1")
    monkeypatch.setenv("CORENN_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match="is not in the cache"):
        cifar10.load()
    _fill(tmp_path / inside)
    _check(cifar10.load())
    (tmp_path / inside / "test_batch.bin").unlink()
    with pytest.raises(DataError, match="lacks some of the six files"):
        cifar10.load()


def test_records_come_back() -> None:
    assert cifar10.dump_records(IMAGES[0], LABELS[0]) == BODIES["data_batch_1.bin"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (BODIES["data_batch_3.bin"][:-1], "is truncated or not a CIFAR-10 file: its 6145 bytes"),
        (b"", "holds no images"),
        (b"\x0a" + BODIES["data_batch_3.bin"][1:], "label 10 of image 0 is not below 10"),
        (b"\x80\x02}q\x01(U\x0b", "is a pickle"),
        (b"<!DOCTYPE html>", "web page"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_wrong_file(tmp_path: Path, body: bytes, said: str, packed: bool) -> None:
    if packed:
        (tmp_path / "cifar-10-binary.tar.gz").write_bytes(_tar(_whole(**{"data_batch_3.bin": body})))
    else:
        (_fill(tmp_path) / "data_batch_3.bin").write_bytes(body)
    with pytest.raises(DataError, match=said) as caught:
        cifar10.load(tmp_path)
    assert "data_batch_3.bin" in str(caught.value) and str(tmp_path) in str(caught.value)


def test_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "_SET", dataclasses.replace(cifar10._SET, largest_file=3 * 3073))
    with pytest.raises(DataError, match=r"data_batch_4\.bin: is larger than the 9219 bytes"):
        cifar10.load(_fill(tmp_path))


@pytest.mark.parametrize(
    ("prepare", "phrases"),
    [
        (lambda d: None, ["has none of the six files", "found there: nothing", *BODIES]),
        (lambda d: (d / "data_batch_1").touch(), ["as pickles for Python", "get the binary version"]),
        (lambda d: _fill(d / "cifar10").joinpath("data_batch_2.bin").unlink(), ["lacks some", "data_batch_2.bin (or"]),
        (lambda d: d.rmdir(), ["does not exist"]),
        (lambda d: (d.rmdir(), d.touch()), ["is not a folder"]),
    ],
)
def test_wrong_folder(tmp_path: Path, prepare: Callable[[Path], object], phrases: list[str]) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    prepare(folder)
    with pytest.raises(DataError) as caught:
        cifar10.load(folder)
    for phrase in [*phrases, str(folder), "leave --data-dir"]:
        assert phrase in str(caught.value)


_GOOD = _tar(_whole())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (_GOOD[: len(_GOOD) // 2], "is truncated or corrupt"),
        (_GOOD[:-8] + bytes(8), "is truncated or corrupt"),
        (b"no archive at all", "is truncated or corrupt"),
        (gzip.compress(b"no tar in here" * 100), "is truncated or corrupt"),
        (_tar({}), "has no cifar-10-batches-bin/data_batch_1.bin"),
        (_tar({f"../{name}": body for name, body in _whole().items()}), "has no cifar-10-batches-bin/data_batch_1.bin"),
        (_tar({f"/{name}": body for name, body in _whole().items()}), "has no cifar-10-batches-bin/data_batch_1.bin"),
        (_tar(_whole(), kind=tarfile.SYMTYPE), "is not the file of a CIFAR-10 archive"),
        (_tar(_whole(), kind=tarfile.LNKTYPE), "is not the file of a CIFAR-10 archive"),
        (_tar({f"{FOLDER}/test_batch.bin": BODIES["test_batch.bin"]}), "missing: data_batch_1.bin, data_batch_2.bin"),
    ],
    ids=["half", "sum", "text", "gzip", "empty", "above", "absolute", "symlink", "hardlink", "partial"],
)
def test_wrong_archive(tmp_path: Path, body: bytes, said: str) -> None:
    path = tmp_path / "data" / "cifar-10-binary.tar.gz"
    path.parent.mkdir()
    path.write_bytes(body)
    with pytest.raises(DataError, match=said) as caught:
        cifar10.load(path.parent)
    assert str(path) in str(caught.value)
    assert list(tmp_path.rglob("*.bin")) == []


@pytest.mark.parametrize(
    ("limit", "value", "said"),
    [("largest_file", 3073, "is not the file of"), ("largest_archive", 20000, "unpacks to more than 20000 bytes")],
)
def test_archives_that_unpack_to_too_much(
    tmp_path: Path, limit: str, value: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: dict[str, Any] = {limit: value}
    monkeypatch.setattr(cifar10, "_SET", dataclasses.replace(cifar10._SET, **limits))
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(_GOOD)
    with pytest.raises(DataError, match=said):
        cifar10.load(tmp_path)


def test_download(site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.serve("/mirror/cifar10/cifar-10-binary.tar.gz", _GOOD)
    monkeypatch.setenv("CORENN_MIRRORS", site.url + "/mirror")
    small = RemoteFile("cifar-10-binary.tar.gz", len(_GOOD), hashlib.sha256(_GOOD).hexdigest())
    monkeypatch.setattr(cifar10, "_SET", dataclasses.replace(cifar10._SET, archive=small))
    _check(cifar10.load())
    monkeypatch.setenv("CORENN_OFFLINE", "1")
    _check(cifar10.load())
    assert len(site.asked) == 1 and (cache / "cifar10" / small.name).is_file()
    other = dataclasses.replace(small, sha256="0" * 64)
    monkeypatch.setattr(cifar10, "_SET", dataclasses.replace(cifar10._SET, archive=other))
    with pytest.raises(DataError, match="is not in the cache"):
        cifar10.load()
