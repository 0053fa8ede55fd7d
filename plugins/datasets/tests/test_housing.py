"""House prices from ``.npz`` files, and MNIST from Keras' one."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corenn_datasets import housing, mnist
from corenn_datasets.download import RemoteFile

from corenn.errors import DataError

X = np.random.default_rng(0).random((50, 8))
Y = np.random.default_rng(1).random(50) * 1e5


def npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


GOOD = npz(x=X, y=Y)


def check(splits: Any) -> None:
    order = np.arange(50)
    np.random.RandomState(113).shuffle(order)  # the split of Keras
    for part, rows in ((splits.train, order[:40]), (splits.test, order[40:])):
        assert part.x.dtype == part.y.dtype == np.float32
        np.testing.assert_array_equal(part.x, X[rows].astype(np.float32))
        np.testing.assert_array_equal(part.y, Y[rows].astype(np.float32))
    assert splits.classes == () and splits.image_shape is None


@pytest.mark.parametrize("place", ["california_housing.npz", "california_housing/california_housing.npz"])
def test_folder_and_file(tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_bytes(GOOD)
    check(housing.load_california(tmp_path))
    check(housing.load_california(tmp_path / place))
    monkeypatch.setenv("CORENN_DATA_DIR", str(tmp_path))
    check(housing.load_california())


def test_boston_has_thirteen_features(tmp_path: Path) -> None:
    (tmp_path / "boston_housing.npz").write_bytes(npz(x=np.ones((10, 13)), y=np.ones(10)))
    assert housing.load_boston(tmp_path).train.x.shape == (8, 13)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (GOOD[: len(GOOD) // 2], "truncated or corrupt"),
        (b"<html>", "truncated or corrupt"),
        (npz(x=X), "has no array 'y'"),
        (npz(x=X[:, :5], y=Y), "is not california_housing"),
        (npz(x=X, y=Y[:-1]), "is not california_housing"),
        (npz(x=X[:4], y=Y[:4]), "needs at least 5 rows"),
        (npz(x=np.where(X > 0.5, np.nan, X), y=Y), "not finite"),
        (npz(x=np.where(X > 0.5, 1e300, X), y=Y), "too large for float32"),
        (npz(x=X, y=Y.astype("U8")), "is not california_housing"),
        (npz(x=X * 1j, y=Y), "is not california_housing"),
        (npz(x=np.array([[1], None], object), y=Y), "pickles, which corenn does not read"),
    ],
)
def test_wrong_file(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "california_housing.npz"
    path.write_bytes(data)
    with pytest.raises(DataError, match=said) as caught:
        housing.load_california(tmp_path)
    assert str(path) in str(caught.value)


def test_a_file_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housing, "_LARGEST", 100)
    (tmp_path / "california_housing.npz").write_bytes(GOOD)
    with pytest.raises(DataError, match="claims more than 100 bytes"):
        housing.load_california(tmp_path)


def test_wrong_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no california_housing\.npz"):
        housing.load_california(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        housing.load_california(tmp_path / "nowhere")


def test_download(site: Any, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.serve("/mirror/california_housing/california_housing.npz", GOOD)
    monkeypatch.setenv("CORENN_MIRRORS", site.url + "/mirror")
    small = RemoteFile("california_housing.npz", len(GOOD), hashlib.sha256(GOOD).hexdigest())
    monkeypatch.setattr(housing, "_CALIFORNIA", dataclasses.replace(housing._CALIFORNIA, file=small))
    check(housing.load_california())
    monkeypatch.setenv("CORENN_OFFLINE", "1")
    check(housing.load_california())
    assert len(site.asked) == 1


# ---------------------------------------------------------------- MNIST as Keras keeps it

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)
MARKS = (np.arange(12) % 10).astype(np.uint8)
WHOLE = {"x_train": PIXELS, "y_train": MARKS, "x_test": PIXELS[:4], "y_test": MARKS[:4]}


@pytest.mark.parametrize("named", [lambda d: d, lambda d: d / "mnist.npz"])
def test_mnist(tmp_path: Path, named: Callable[[Path], Path]) -> None:
    (tmp_path / "mnist.npz").write_bytes(npz(**WHOLE))
    found = mnist.load_mnist(named(tmp_path))
    np.testing.assert_array_equal(found.original("train").x[..., 0], PIXELS)
    np.testing.assert_array_equal(found.test.y, MARKS[:4])


def test_mnist_in_the_common_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mnist").mkdir()
    (tmp_path / "mnist" / "mnist.npz").write_bytes(npz(**WHOLE))
    monkeypatch.setenv("CORENN_DATA_DIR", str(tmp_path))
    assert len(mnist.load_mnist().train.x) == 12


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"x_train": PIXELS[:, :27]}, r"are not uint8\[N, 28, 28\] images"),
        ({"y_train": MARKS[:-1]}, "and N labels"),
        ({"y_test": MARKS[:4] + 8}, "from 0 to 9"),
        ({"x_test": PIXELS[:0], "y_test": MARKS[:0]}, "hold no images"),
        ({"x_train": PIXELS.astype(np.float32)}, "are not uint8"),
    ],
)
def test_wrong_mnist(tmp_path: Path, changes: Any, said: str) -> None:
    (tmp_path / "mnist.npz").write_bytes(npz(**{**WHOLE, **changes}))
    with pytest.raises(DataError, match=said) as caught:
        mnist.load_mnist(tmp_path)
    assert "mnist.npz" in str(caught.value)


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mnist.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in WHOLE.items():
            archive.writestr(f"{name}.npy", npz(a=array)[:40])
    with pytest.raises(DataError, match=r"mnist\.npz: x_train: is corrupt: it does not begin as an array"):
        mnist.load_mnist(tmp_path)
