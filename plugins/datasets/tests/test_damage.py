"""Every loader with bad data: whatever a file holds, the error is one of corenn's, and names the file and the fix."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import struct
import sys
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corenn_datasets import cats_vs_dogs, cifar10, cifar100, housing, mnist, text
from corenn_datasets.download import RemoteFile
from corenn_datasets.idx import dump_idx
from corenn_datasets.npz import read_arrays

from corenn.errors import CorennError, DataError, MissingExtraError, UsageError

_random = np.random.default_rng(0)
PIXELS = _random.integers(0, 256, (6, 28, 28), np.uint8)
LABELS = np.array([0, 1, 2, 3, 8, 9], np.uint8)
COLOURS = _random.integers(0, 256, (2, 32, 32, 3), np.uint8)


def _npz(compressed: bool = False, **arrays: Any) -> bytes:
    out = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(out, **arrays)
    return out.getvalue()


def _tar(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "made here"}) as made:
        for name, body in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            made.addfile(info, io.BytesIO(body))
    return out.getvalue()


def _zip(members: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", kind) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return out.getvalue()


def _jpeg(level: int) -> bytes:
    image = pytest.importorskip("PIL.Image")
    out = io.BytesIO()
    image.new("RGB", (9, 7), (level, 20, 30)).save(out, "JPEG")
    return out.getvalue()


def _pictures() -> dict[str, bytes]:
    return {f"PetImages/{kind}/{k}.jpg": _jpeg(40 * k) for kind in ("Cat", "Dog") for k in range(2)}


def _cifar() -> bytes:
    record = cifar10.dump_records(COLOURS, np.array([1, 2], np.uint8))
    names = (*cifar10.TRAIN_FILES, cifar10.TEST_FILE)
    return _tar({f"{cifar10.FOLDER}/{name}": record for name in names})


def _mnist_files() -> dict[str, bytes]:
    packed = {"images-idx3": gzip.compress(dump_idx(PIXELS), mtime=0), "labels-idx1": dump_idx(LABELS)}
    return {f"{part}-{name}-ubyte": body for part in ("train", "t10k") for name, body in packed.items()}


@dataclasses.dataclass(frozen=True)
class Case:
    """A loader, the files it reads, which of them is damaged, and what is done to the damaged bytes before writing."""

    load: Callable[[Path], Any]
    files: Callable[[], dict[str, bytes]]
    damaged: str
    packed: Callable[[bytes], bytes] = bytes
    dense: int = 200  # the first so many bytes are damaged one by one


_KERAS = {"x_train": PIXELS, "y_train": LABELS, "x_test": PIXELS, "y_test": LABELS}
_HOUSES = {"x": _random.random((9, 8)), "y": _random.random(9)}
CASES = {
    "mnist images": Case(mnist.load_mnist, _mnist_files, "train-images-idx3-ubyte"),
    "mnist labels": Case(mnist.load_fashion_mnist, _mnist_files, "t10k-labels-idx1-ubyte"),
    "mnist.npz": Case(mnist.load_mnist, lambda: {"mnist.npz": _npz(**_KERAS)}, "mnist.npz"),
    "mnist.npz packed": Case(mnist.load_mnist, lambda: {"mnist.npz": _npz(True, **_KERAS)}, "mnist.npz"),
    "housing": Case(
        housing.load_california, lambda: {"california_housing.npz": _npz(**_HOUSES)}, "california_housing.npz"
    ),
    "cifar10": Case(
        cifar10.load,
        lambda: {"cifar-10-binary.tar.gz": _cifar()},
        "cifar-10-binary.tar.gz",
        lambda body: gzip.compress(body, 1, mtime=0),
        1600,
    ),
    "cats_vs_dogs": Case(
        lambda folder: cats_vs_dogs.load(folder, size=4),
        lambda: {"kagglecatsanddogs_5340.zip": _zip(_pictures(), zipfile.ZIP_STORED)},
        "kagglecatsanddogs_5340.zip",
    ),
    "one picture": Case(lambda folder: cats_vs_dogs.load(folder, size=4), _pictures, "PetImages/Cat/1.jpg"),
    "text": Case(
        lambda folder: text.load(folder, length=4), lambda: {"own.txt": "Grüße aus Köln.".encode() * 9}, "own.txt"
    ),
}


def _damages(body: bytes, dense: int) -> Iterator[bytes]:
    """The body with single bytes changed, at the beginning, the end and in between, and cut off."""
    step = max(1, len(body) // 60)
    places = sorted(
        {*range(min(dense, len(body))), *range(0, len(body), step), *range(max(0, len(body) - 300), len(body))}
    )
    for place in places:
        changed = bytearray(body)
        changed[place] = (changed[place] ^ (0xFF, 0x80, 0x01, 0x10)[place % 4]) & 0xFF
        yield bytes(changed)
    for cut in range(0, len(body), max(1, len(body) // 40)):
        yield body[:cut]
    yield body + b"\0"


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_damage_is_noticed_or_harmless(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORENN_OFFLINE", "1")
    files = case.files()
    for name, body in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(case.packed(body) if name == case.damaged else body)
    case.load(tmp_path)
    refused, path = 0, tmp_path / case.damaged
    for body in _damages(files[case.damaged], case.dense):
        path.write_bytes(case.packed(body))
        try:
            case.load(tmp_path)
        except CorennError as error:
            refused += 1
            assert str(tmp_path) in str(error) and case.damaged.split("/")[-1] in str(error), error
            assert error.hint
    assert refused > 20


# ---------------------------------------------------------------- what a header claims


@contextmanager
def _little_memory() -> Iterator[None]:
    """Fails when the block holds more than 64 MiB at once."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 64 << 20


def _npy(shape: tuple[int, ...], descr: str = "<f8", body: bytes = bytes(64), version: bytes = b"\x01\x00") -> bytes:
    """An array in the ``.npy`` format (NEP 1) whose header says ``shape``, whatever follows."""
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + body


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (_npy((10**6, 8)), "its header and its elements do not agree"),
        (_npy((10**12, 8)), "its header and its elements do not agree"),
        (_npy((10**30, 8)), "its header and its elements do not agree"),
        (_npy((-8, -1)), "its header and its elements do not agree"),
        (_npy((0, 2**62, 2**62), body=b""), "no array that NumPy can hold"),
        (_npy((3,), "<U0", b""), "no array that NumPy can hold"),
        (_npy((8,), "|O"), "pickles, which corenn does not read"),
        (_npy((8,), version=b"\x09\x00"), "does not begin as an array"),
        (b"<html>", "does not begin as an array"),
        (b"", "does not begin as an array"),
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_headers_of_arrays_are_not_believed(tmp_path: Path, member: bytes, said: str, kind: int) -> None:
    path = tmp_path / "california_housing.npz"
    path.write_bytes(_zip({"x.npy": member, "y.npy": _npy((8,))}, kind))
    with _little_memory(), pytest.raises(DataError, match=said) as caught:
        housing.load_california(tmp_path)
    assert f"{path}: x" in str(caught.value) and caught.value.hint


def test_pickles_in_arrays_are_not_run(tmp_path: Path) -> None:
    class Marker:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    array = np.empty(1, object)
    array[0] = Marker()
    path = tmp_path / "array.npz"
    path.write_bytes(_npz(x=array))
    with pytest.raises(DataError, match="pickles, which corenn does not read"):
        read_arrays(path, ["x"], 1 << 20)
    assert not (tmp_path / "ran").exists()
    with np.load(path, allow_pickle=True) as whole:
        whole["x"]
    assert (tmp_path / "ran").exists()  # so the file was one that does


def test_arrays_in_either_order_come_back(tmp_path: Path) -> None:
    wanted = {
        "a": _random.random((3, 4)),
        "b": np.asfortranarray(_random.random((3, 4))),
        "c": np.arange(3, dtype=">i2"),
    }
    (tmp_path / "array.npz").write_bytes(_npz(**wanted))
    found = read_arrays(tmp_path / "array.npz", list(wanted), 1 << 20)
    for array, other in zip(found, wanted.values(), strict=True):
        np.testing.assert_array_equal(array, other)


def test_images_that_unpack_to_too_much(tmp_path: Path) -> None:
    """A file of 60 KB that says it holds 64 MB of images, and does: more than belongs to the set is not unpacked."""
    for name, body in _mnist_files().items():
        (tmp_path / name).write_bytes(body)
    claims = struct.pack(">HBB3I", 0, 8, 3, 2**20, 28, 28)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(claims + bytes(1 << 26), 9))
    with _little_memory(), pytest.raises(DataError, match="claims 822083584 bytes of elements") as caught:
        mnist.load_mnist(tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda info: setattr(info, "size", 8 << 40), "is not the file of a CIFAR-10 archive"),
        (lambda info: setattr(info, "size", -512), "CIFAR-10 archive|does not unpack"),
        (
            lambda info: setattr(info, "pax_headers", {"size": "-1"}),
            "is not the file of a CIFAR-10|does not unpack|holds",
        ),
        (lambda info: setattr(info, "pax_headers", {"size": str(8 << 40)}), "is not the file of a CIFAR-10 archive"),
    ],
)
def test_headers_of_archives_are_not_believed(tmp_path: Path, change: Callable[[Any], object], said: str) -> None:
    info = tarfile.TarInfo(f"{cifar10.FOLDER}/{cifar10.TRAIN_FILES[0]}")
    info.size = 3073
    change(info)
    head = info.tobuf(tarfile.PAX_FORMAT if info.pax_headers else tarfile.GNU_FORMAT)
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(gzip.compress(head + bytes(10240), mtime=0))
    with _little_memory(), pytest.raises(DataError, match=said) as caught:
        cifar10.load(tmp_path)
    assert str(path) in str(caught.value)


def test_archives_of_too_many_members(tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(gzip.compress(_tar({f"{k}": b"" for k in range(200)}), mtime=0))
    with pytest.raises(DataError, match=r"cifar-10-binary\.tar\.gz: has more than 100 members"):
        cifar10.load(tmp_path)
    path = tmp_path / "california_housing.npz"
    path.write_bytes(_zip({f"{k}": b"" for k in range(1001)}))
    with pytest.raises(DataError, match=r"california_housing\.npz: lists 1001 members, and no more than 1000"):
        housing.load_california(tmp_path)


def test_photographs_of_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kagglecatsanddogs_5340.zip").write_bytes(_zip(_pictures()))
    monkeypatch.setattr(cats_vs_dogs, "_MOST", 3)
    with pytest.raises(DataError, match=r"kagglecatsanddogs_5340\.zip: lists 4 members"):
        cats_vs_dogs.pictures(tmp_path)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damaged_members_of_other_packings(tmp_path: Path, kind: int) -> None:
    body = bytearray(_zip({"x.npy": _npy((8,), body=bytes(64)), "y.npy": _npy((8,))}, kind))
    at = body.index(b"x.npy") + 20
    body[at : at + 12] = bytes(12)
    (tmp_path / "california_housing.npz").write_bytes(body)
    with pytest.raises(DataError, match=r"california_housing\.npz: x: (is trunc|cannot be read)"):
        housing.load_california(tmp_path)


def test_a_class_without_pictures(tmp_path: Path) -> None:
    for name, body in _pictures().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        if "Cat" in name:
            (tmp_path / name).write_bytes(body)
    with pytest.raises(DataError, match="has no usable pictures of both classes") as caught:
        cats_vs_dogs.load(tmp_path)
    assert "cats: 2" in str(caught.value) and "dogs: 0" in str(caught.value) and str(tmp_path) in str(caught.value)


# ---------------------------------------------------------------- where the files are said to be

LOADERS = {
    "mnist": mnist.load_mnist,
    "fashion_mnist": mnist.load_fashion_mnist,
    "cifar10": cifar10.load,
    "cifar100": cifar100.load,
    "cats_vs_dogs": cats_vs_dogs.load,
    "boston_housing": housing.load_boston,
    "california_housing": housing.load_california,
    "text": text.load,
}


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
def test_a_folder_that_cannot_be_looked_into(
    load: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", forbidden)
    with pytest.raises(DataError, match="cannot be looked at: Permission denied") as caught:
        load(tmp_path / "private")
    assert "private" in str(caught.value) and caught.value.hint


@pytest.mark.parametrize("load", LOADERS.values(), ids=LOADERS)
@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ("~nobody-of-this-name/data", UsageError, "has no home to begin from"),
        ("x" * 5000, DataError, "cannot be looked at"),
        ("a\0b", DataError, "cannot be looked at"),
        ("nowhere", DataError, "does not exist"),
    ],
    ids=["home", "long", "NUL", "missing"],
)
def test_a_data_dir_that_cannot_be(
    load: Callable[[str], Any], given: str, error: type[CorennError], said: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=said) as caught:
        load(given)
    assert caught.value.hint


@pytest.mark.parametrize("variable", ["CORENN_DATA_DIR", "CORENN_HOME"])
def test_a_variable_that_names_no_home(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "~nobody-of-this-name/data")
    with pytest.raises(UsageError, match=f"{variable}: .* has no home to begin from"):
        mnist.load_mnist()


# ---------------------------------------------------------------- without pooch


@pytest.fixture
def no_pooch(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pooch", "requests", "corenn_datasets.fetching"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_what_lies_here_loads_without_pooch(
    case: Case, no_pooch: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, body in case.files().items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(case.packed(body) if name == case.damaged else body)
    assert case.load(tmp_path).train.x.size


def test_what_is_in_the_cache_loads_without_pooch(no_pooch: None, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    body = gzip.compress(_cifar(), mtime=0)
    archive = RemoteFile("cifar-10-binary.tar.gz", len(body), hashlib.sha256(body).hexdigest())
    monkeypatch.setattr(cifar10, "_SET", dataclasses.replace(cifar10._SET, archive=archive))
    (cache / "cifar10").mkdir(parents=True)
    (cache / "cifar10" / archive.name).write_bytes(body)
    assert len(cifar10.load().train.x) == 10


@pytest.mark.parametrize("name", [n for n in LOADERS if n not in ("text", "cats_vs_dogs")])
def test_a_download_names_the_extra(name: str, no_pooch: None) -> None:
    with pytest.raises(MissingExtraError) as caught:
        LOADERS[name]()
    assert (
        str(caught.value) == f"downloading {name}: needs pooch, which is not installed: pip install 'corenn[datasets]'"
    )
