import numpy as np
import pytest
from corenn_datasets.splits import Arrays, DatasetSplits, images_and_labels

from corenn.errors import DataError, UsageError


def _splits(**changes: object) -> DatasetSplits:
    pixels = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    part = images_and_labels(pixels, np.array([0, 1, 2, 1], np.uint8), 255)
    fields: dict[str, object] = {
        "name": "sample",
        "train": part,
        "test": part,
        "classes": ("a", "b", "c"),
        "image_shape": (8, 8, 1),
        "description": "",
        "source": "",
        "licence": "",
        "levels": 255,
    }
    return DatasetSplits(**(fields | changes))  # type: ignore[arg-type]


def test_every_byte_comes_back() -> None:
    original = _splits().original("train")
    assert original.x.dtype == np.uint8 and original.x.shape == (4, 8, 8, 1)
    assert original.x.ravel().tolist() == list(range(256))


def test_pixels_are_correctly_rounded_quotients() -> None:
    x = _splits().train.x
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x.ravel(), np.array([k / 255 for k in range(256)], np.float32))


def test_unknown_part() -> None:
    with pytest.raises(UsageError, match="'train' and 'test'"):
        _splits().original("validation")  # type: ignore[arg-type]


SHORT = Arrays(np.zeros((2, 8, 8, 1), np.float32), np.zeros(3, np.int32))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": SHORT}, "test has 2 examples but 3 targets"),
        ({"image_shape": (8, 4, 1)}, "train images have shape"),
        ({"classes": ("a", "b")}, "labels run from 0 to 2, but there are 2 classes"),
    ],
)
def test_arrays_that_contradict_each_other(changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        _splits(**changes)


def test_repr_says_what_it_is_without_the_arrays() -> None:
    part = "(float32[4, 8, 8, 1], int32[4])"
    assert repr(_splits()) == f"DatasetSplits('sample', train={part}, test={part}, 3 classes)"
