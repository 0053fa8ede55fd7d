import dataclasses
import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from corenn_datasets import mnist
from corenn_datasets.download import RemoteFile
from corenn_datasets.idx import dump_idx, write_idx

from corenn.errors import DataError, UsageError

NAMES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
_random = np.random.default_rng(0)
ARRAYS = (
    _random.integers(0, 256, (30, 28, 28), np.uint8),
    np.arange(30, dtype=np.uint8) % 10,
    _random.integers(0, 256, (10, 28, 28), np.uint8),
    np.arange(10, dtype=np.uint8),
)
LOADERS = [mnist.load_mnist, mnist.load_fashion_mnist]


def _fill(folder: Path, spelling: str = "{}") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in zip(NAMES, ARRAYS, strict=True):
        write_idx(folder / spelling.format(name).replace("@", ".idx"), array)
    return folder


def _check(splits: object) -> None:
    assert isinstance(splits, mnist.DatasetSplits)
    for part, images, labels in (("train", ARRAYS[0], ARRAYS[1]), ("test", ARRAYS[2], ARRAYS[3])):
        x, y = getattr(splits, part)
        assert (x.dtype, y.dtype) == (np.float32, np.int32)
        np.testing.assert_array_equal(x[..., 0], (images / 255).astype(np.float32))
        np.testing.assert_array_equal(splits.original(part).x[..., 0], images)
        np.testing.assert_array_equal(y, labels)
    assert splits.image_shape == (28, 28, 1) and len(splits.classes) == 10


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("dotted", [False, True])
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_data_dir_spellings(tmp_path: Path, load: object, dotted: bool, suffix: str) -> None:
    for name, array in zip(NAMES, ARRAYS, strict=True):
        write_idx(tmp_path / ((name.replace("-idx", ".idx") if dotted else name) + suffix), array)
    _check(load(str(tmp_path)))  # type: ignore[operator]


@pytest.mark.parametrize(
    ("load", "inside"),
    [
        (mnist.load_mnist, "mnist"),
        (mnist.load_mnist, "MNIST/raw"),
        (mnist.load_fashion_mnist, "fashion_mnist"),
        (mnist.load_fashion_mnist, "FashionMNIST/raw"),
    ],
)
def test_data_dir_subfolders(tmp_path: Path, load: object, inside: str) -> None:
    _fill(tmp_path / inside)
    _check(load(tmp_path))  # type: ignore[operator]


def test_data_dir_uses_no_cache_and_no_network(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORENN_OFFLINE", "1")
    _check(mnist.load_mnist(_fill(tmp_path)))
    assert not cache.exists()


def test_data_dir_of_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    _fill(tmp_path / "data")
    _check(mnist.load_mnist("~/data"))


def test_common_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its subfolders are read; files in itself belong to no set in particular; without them the cache is used."""
    monkeypatch.setenv("CORENN_OFFLINE", "1")
    monkeypatch.setenv("CORENN_DATA_DIR", str(_fill(tmp_path / "all")))
    for load in LOADERS:
        with pytest.raises(DataError, match="is not in the cache, and CORENN_OFFLINE forbids"):
            load()
    _fill(tmp_path / "all" / "mnist")
    _check(mnist.load_mnist())
    with pytest.raises(DataError, match="is not in the cache"):
        mnist.load_fashion_mnist()
    (tmp_path / "all" / "mnist" / NAMES[1]).unlink()
    with pytest.raises(DataError, match="lacks some of the four IDX files"):
        mnist.load_mnist()
    (tmp_path / "file").touch()
    for wrong, said in (("nowhere", "does not exist"), ("file", "is not a folder")):
        monkeypatch.setenv("CORENN_DATA_DIR", str(tmp_path / wrong))
        with pytest.raises(UsageError, match=said):
            mnist.load_mnist()


def test_files_of_two_folders_are_not_mixed(tmp_path: Path) -> None:
    _fill(tmp_path / "mnist")
    (tmp_path / "mnist" / NAMES[3]).rename(tmp_path / NAMES[3])
    with pytest.raises(DataError, match="lacks some of the four IDX files") as caught:
        mnist.load_mnist(tmp_path)
    assert f"missing:     {NAMES[3]}\n" in str(caught.value)


@pytest.mark.parametrize(
    ("prepare", "phrases"),
    [
        (lambda d: None, ["has none of the four IDX files", "found there: nothing", *NAMES]),
        (lambda d: (d / "photo.jpg").touch(), ["found there: photo.jpg"]),
        (lambda d: [(d / f"{k:02}.png").touch() for k in range(20)], ["11.png, and 8 more"]),
        (lambda d: (d / "archive").mkdir(), ["found there: archive" + os.sep]),
        (lambda d: d.rmdir(), ["does not exist"]),
        (lambda d: (d.rmdir(), d.touch()), ["is not a folder"]),
    ],
)
def test_wrong_data_dir(tmp_path: Path, prepare: object, phrases: list[str]) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    prepare(folder)  # type: ignore[operator]
    with pytest.raises(DataError) as caught:
        mnist.load_mnist(folder)
    for phrase in [*phrases, str(folder), "leave --data-dir"]:
        assert phrase in str(caught.value)


@pytest.mark.parametrize(
    ("index", "array", "message"),
    [
        (0, ARRAYS[0][:29], "images and labels do not belong together"),
        (1, ARRAYS[1] + np.uint8(1), "label 10 at index 9"),
        (2, ARRAYS[2][:, :14], "holds images of 14x28 pixels, not 28x28"),
        (3, ARRAYS[2], "the two files may be swapped"),
    ],
)
def test_wrong_files(tmp_path: Path, index: int, array: np.ndarray, message: str) -> None:
    _fill(tmp_path)
    write_idx(tmp_path / NAMES[index], array)
    with pytest.raises(DataError, match=message) as caught:
        mnist.load_mnist(tmp_path)
    assert NAMES[index] in str(caught.value)


def test_truncated_file_in_data_dir(tmp_path: Path) -> None:
    path = _fill(tmp_path) / NAMES[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="is truncated"):
        mnist.load_mnist(tmp_path)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """MNIST and Fashion-MNIST made small: the same names, other bytes; returns MNIST's files."""
    bodies = {}
    for variable, level in (("_MNIST", 9), ("_FASHION", 1)):
        contents = {
            f"{name}.gz": gzip.compress(dump_idx(a), level, mtime=level) for name, a in zip(NAMES, ARRAYS, strict=True)
        }
        files = tuple(RemoteFile(n, len(b), hashlib.sha256(b).hexdigest()) for n, b in contents.items())
        monkeypatch.setattr(mnist, variable, dataclasses.replace(getattr(mnist, variable), files=files, bases=()))
        bodies[variable] = contents
    return bodies["_MNIST"]


def test_known_files_of_the_other_set_are_refused(tmp_path: Path, small: dict[str, bytes]) -> None:
    for name, body in small.items():
        (tmp_path / name).write_bytes(body)
    _check(mnist.load_mnist(tmp_path))
    with pytest.raises(DataError, match=r"is train-images-idx3-ubyte\.gz of mnist, not .* of fashion_mnist"):
        mnist.load_fashion_mnist(tmp_path)


def test_known_files_of_the_other_part_are_refused(tmp_path: Path, small: dict[str, bytes]) -> None:
    for name, body in small.items():
        (tmp_path / name.replace("t10k", "?").replace("train", "t10k").replace("?", "train")).write_bytes(body)
    with pytest.raises(DataError, match=r"is t10k-images-idx3-ubyte\.gz of mnist, not train-images"):
        mnist.load_mnist(tmp_path)


def test_download_then_cache(site, cache: Path, small: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, body in small.items():
        site.serve(f"/mirror/mnist/{name}", body)
    monkeypatch.setenv("CORENN_MIRRORS", site.url + "/mirror/")
    reports: dict[str, tuple[int, int]] = {}
    _check(mnist.load_mnist(progress=lambda name, done, total: reports.__setitem__(name, (done, total))))
    assert reports == {name: (len(body), len(body)) for name, body in small.items()}
    assert sorted(path.name for path in (cache / "mnist").iterdir()) == sorted(small)
    monkeypatch.setenv("CORENN_OFFLINE", "1")
    _check(mnist.load_mnist())
    assert len(site.asked) == 4
    with pytest.raises(DataError, match="fashion_mnist: is not in the cache, and CORENN_OFFLINE forbids"):
        mnist.load_fashion_mnist()


@pytest.mark.parametrize("collection", [mnist._MNIST, mnist._FASHION], ids=lambda c: c.name)
def test_addresses_and_hashes_are_well_formed(collection: object) -> None:
    assert [file.name for file in collection.files] == [f"{name}.gz" for name in NAMES]  # type: ignore[attr-defined]
    for file in collection.files:  # type: ignore[attr-defined]
        assert len(bytes.fromhex(file.sha256)) == 32 and file.size > 4000
    assert len(collection.bases) == 2  # type: ignore[attr-defined]
