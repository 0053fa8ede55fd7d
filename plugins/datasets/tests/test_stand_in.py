"""Images of a wanted shape: the set that was asked for, or the digits in its place."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corenn_datasets import cifar10, digits, mnist, stand_in
from corenn_datasets.download import RemoteFile, UnavailableError
from corenn_datasets.idx import write_idx
from corenn_datasets.splits import DatasetSplits

from corenn.errors import DataError, MissingExtraError, UsageError
from corenn.plugin import registry

SHAPES = [(28, 28, 1), (8, 8, 1), (32, 32, 3), (8, 8, 3), (5, 11, 1), (40, 24, 3)]


class Watched:
    """As much of a run as ``image_set`` uses."""

    def __init__(self, dataset: str = "mnist", data_dir: Path | None = None) -> None:
        self.config = {"dataset": dataset, "data_dir": data_dir and str(data_dir)}
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def dataset(self, named: str | None = None, /, **options: Any) -> DatasetSplits:
        if self.config["data_dir"] is not None:
            options["data_dir"] = self.config["data_dir"]
        return registry.get("dataset", named or self.config["dataset"]).load()(**options)


def write_mnist(folder: Path, count: int = 20, kinds: int = 10) -> np.ndarray:
    folder.mkdir(exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 28, 28), np.uint8)
    for part in ("train", "t10k"):
        write_idx(folder / f"{part}-images-idx3-ubyte", pixels)
        write_idx(folder / f"{part}-labels-idx1-ubyte", np.arange(count).astype(np.uint8) % kinds)
    return pixels


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORENN_OFFLINE", "1")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "cats_vs_dogs"])
def test_digits_stand_in_offline(offline: None, name: str, shape: tuple[int, int, int]) -> None:
    run: Any = Watched()
    found, plain = stand_in.image_set(run, name, shape), digits.load()
    assert found.name == "digits" and found.image_shape == shape
    for part, original in ((found.train, plain.train), (found.test, plain.test)):
        assert part.x.shape == (len(original.x), *shape) and part.x.dtype == np.float32
        assert part.x.min() >= 0 and part.x.max() <= 1
        np.testing.assert_array_equal(part.y, original.y)
        assert (part.x == part.x[..., :1]).all()
    (line,) = run.said
    assert line.startswith(f"{name}: is not in the cache") and "the embedded digits" in line and "--data-dir" in line


def test_digits_stand_in_where_nothing_can_be_downloaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without pooch, that is; another library that is missing is needed for files that are here."""
    monkeypatch.setitem(sys.modules, "pooch", None)
    run: Any = Watched()
    assert stand_in.image_set(run, "mnist", (28, 28, 1)).name == "digits"
    (line,) = run.said
    assert line.startswith(
        "downloading mnist needs pooch, which is not installed: pip install 'corenn[datasets]'.  In its"
    )
    monkeypatch.setitem(sys.modules, "PIL", None)
    for kind in ("Cat", "Dog"):
        (tmp_path / "PetImages" / kind).mkdir(parents=True)
    for given in ({"data_dir": tmp_path}, {}):
        monkeypatch.setenv("CORENN_DATA_DIR", str(tmp_path))
        with pytest.raises(MissingExtraError, match="needs pillow"):
            stand_in.image_set(Watched("cats_vs_dogs", **given), None, (28, 28, 3))  # type: ignore[arg-type]


def test_resized_digits_are_those_of_pillow(offline: None) -> None:
    image = pytest.importorskip("PIL.Image")
    run: Any = Watched()
    for shape in [(28, 28, 1), (5, 6, 1)]:
        found = stand_in.image_set(run, "mnist", shape)
        for n in range(5):
            drawn = image.fromarray(digits.load().test.x[n, :, :, 0], mode=None)
            wanted = np.asarray(drawn.resize(shape[1::-1], image.Resampling.BICUBIC)).clip(0, 1)
            np.testing.assert_allclose(found.test.x[n, :, :, 0], wanted, atol=2e-6)


def test_resized_digits_can_still_be_told_apart(offline: None) -> None:
    run: Any = Watched()
    found = stand_in.image_set(run, "mnist", (28, 28, 1))
    train, test = (part.x.reshape(len(part.x), -1) for part in (found.train, found.test))
    distance = (test**2).sum(1)[:, None] - 2 * test @ train.T + (train**2).sum(1)
    assert np.mean(found.train.y[distance.argmin(1)] == found.test.y) > 0.97


@pytest.mark.parametrize(
    ("classes", "names"), [(2, stand_in.PARITY), (("round", "straight"), ("round", "straight"))], ids=str
)
def test_two_classes_are_even_and_odd(offline: None, classes: Any, names: tuple[str, str]) -> None:
    run: Any = Watched()
    found = stand_in.image_set(run, "cats_vs_dogs", (16, 16, 3), classes)
    assert found.classes == names
    np.testing.assert_array_equal(found.train.y, digits.load().train.y % 2)
    assert found.train.y.dtype == np.int32


def test_the_set_itself_is_used_when_it_is_there(tmp_path: Path) -> None:
    pixels = write_mnist(tmp_path / "own")
    run: Any = Watched("mnist", tmp_path / "own")
    found = stand_in.image_set(run, None, (28, 28, 1))
    assert found.name == "mnist" and run.said == [] and found.levels == 255
    np.testing.assert_array_equal(found.original("train").x[..., 0], pixels)


def test_real_images_are_resized_and_coloured(tmp_path: Path) -> None:
    write_mnist(tmp_path)
    run: Any = Watched("mnist", tmp_path)
    found = stand_in.image_set(run, "mnist", (14, 14, 3), 10)
    assert found.train.x.shape == (20, 14, 14, 3) and "14x14x3" in found.description
    with pytest.raises(UsageError, match="not made of integer pixels"):
        found.original("train")


def test_colour_becomes_grey(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), np.uint8)
    for file in (*cifar10.TRAIN_FILES, cifar10.TEST_FILE):
        (tmp_path / file).write_bytes(cifar10.dump_records(pixels, np.arange(10, dtype=np.uint8)))
    run: Any = Watched("cifar10", tmp_path)
    found = stand_in.image_set(run, None, (32, 32, 1))
    wanted = pixels @ np.array([0.2989, 0.587, 0.114]) / 255
    np.testing.assert_allclose(found.test.x[..., 0], wanted, atol=1e-6)


def test_embedded_digits_are_no_stand_in(offline: None) -> None:
    run: Any = Watched("digits")
    assert stand_in.image_set(run, None, (12, 12, 1)).image_shape == (12, 12, 1)
    assert run.said == []


def test_a_directory_without_the_files_is_an_error(offline: None, tmp_path: Path) -> None:
    run: Any = Watched("mnist", tmp_path)
    with pytest.raises(DataError, match="has none of the four IDX files"):
        stand_in.image_set(run, "mnist", (28, 28, 1))
    assert run.said == []


def test_damaged_files_are_an_error(offline: None, tmp_path: Path) -> None:
    write_mnist(tmp_path)
    file = tmp_path / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-5])
    run: Any = Watched("mnist", tmp_path)
    with pytest.raises(DataError, match="train-images-idx3-ubyte"):
        stand_in.image_set(run, "mnist", (28, 28, 1))


@pytest.mark.parametrize(
    ("count", "kinds", "said"), [(9, 9, "is too small: 9 training and 9 test images of 10"), (20, 1, "one class only")]
)
def test_what_nothing_can_be_learnt_from_is_an_error(tmp_path: Path, count: int, kinds: int, said: str) -> None:
    write_mnist(tmp_path, count, kinds)
    run: Any = Watched("mnist", tmp_path)
    with pytest.raises(DataError, match=said) as caught:
        stand_in.image_set(run, "mnist", (28, 28, 1))
    assert str(tmp_path) in str(caught.value)


def test_a_mirror_with_another_file_is_an_error(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No address answers: digits.  One answers with what is not MNIST: an error."""
    files = tuple(RemoteFile(file.name, 4, "0" * 64) for file in mnist._MNIST.files)
    monkeypatch.setattr(mnist, "_MNIST", dataclasses.replace(mnist._MNIST, files=files, bases=(site.url,)))
    run: Any = Watched()
    assert stand_in.image_set(run, "mnist", (28, 28, 1)).name == "digits"
    assert "could not be downloaded" in run.said[0]
    site.serve(f"/{files[0].name}", b"four")
    with pytest.raises(DataError, match="another file") as problem:
        stand_in.image_set(run, "mnist", (28, 28, 1))
    assert not isinstance(problem.value, UnavailableError)


@pytest.mark.parametrize(
    ("name", "shape", "classes", "match"),
    [
        ("blobs", (8, 8, 1), None, "labelled images"),
        ("digits", (8, 8, 2), None, "1 or 3"),
        ("digits", (0, 8, 1), None, "height, width"),
        ("digits", (8, 8, 1), 7, "has 10 classes"),
    ],
)
def test_what_cannot_be_had(name: str, shape: Any, classes: Any, match: str) -> None:
    run: Any = Watched(name)
    with pytest.raises(UsageError, match=match):
        stand_in.image_set(run, None, shape, classes)
