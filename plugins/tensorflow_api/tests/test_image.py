"""``tf.image``, checked by what must hold and by NumPy."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import pytest

IMAGE = np.random.default_rng(3).random((6, 8, 3), np.float32)


def plain(value: Any) -> Any:
    """The values of an eager tensor."""
    return np.asarray(value.numpy())


CASES = [
    ("flip_left_right", (), IMAGE[:, ::-1]),
    ("flip_up_down", (), IMAGE[::-1]),
    ("transpose", (), IMAGE.transpose(1, 0, 2)),
    ("rot90", (1,), np.rot90(IMAGE)),
    ("rot90", (3,), np.rot90(IMAGE, 3)),
    ("crop_to_bounding_box", (1, 2, 3, 4), IMAGE[1:4, 2:6]),
    ("pad_to_bounding_box", (1, 2, 9, 12), np.pad(IMAGE, ((1, 2), (2, 2), (0, 0)))),
    ("resize_with_crop_or_pad", (4, 10), np.pad(IMAGE[1:5], ((0, 0), (1, 1), (0, 0)))),
    ("rgb_to_grayscale", (), (IMAGE @ np.array([0.2989, 0.587, 0.114], np.float32))[..., None]),
    ("adjust_contrast", (2.0,), (IMAGE - IMAGE.mean((0, 1))) * 2 + IMAGE.mean((0, 1))),
    ("per_image_standardization", (), (IMAGE - IMAGE.mean()) / IMAGE.std()),
    ("rgb_to_hsv", (), np.array([[colorsys.rgb_to_hsv(*p) for p in row] for row in IMAGE])),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "expected"), CASES, ids=[f"{c[0]}{c[1]}" for c in CASES])
def test_values(tf2: Any, name: str, args: tuple[Any, ...], expected: Any) -> None:
    np.testing.assert_allclose(plain(getattr(tf2.image, name)(IMAGE, *args)), expected, atol=2e-5)


@pytest.mark.parametrize(("name", "args"), [(c[0], c[1]) for c in CASES])
def test_graphs_of_unknown_size_give_the_same(tf1: Any, name: str, args: tuple[Any, ...]) -> None:
    image = tf1.placeholder(tf1.float32, [None, None, 3])
    made = getattr(tf1.image, name)(image, *args)
    expected = next(c[2] for c in CASES if c[:2] == (name, args))
    with tf1.Session() as session:
        np.testing.assert_allclose(session.run(made, {image: IMAGE}), expected, atol=2e-5)


@pytest.mark.parametrize("method", ["bilinear", "nearest", "bicubic", "area"])
def test_resizing_keeps_what_is_constant(tf2: Any, method: str) -> None:
    np.testing.assert_allclose(
        plain(tf2.image.resize(np.full((4, 5, 2), 3.0, np.float32), [7, 9], method)), 3.0, rtol=1e-5
    )


@pytest.mark.parametrize(
    ("method", "filter_"), [("bilinear", "BILINEAR"), ("bicubic", "BICUBIC"), ("lanczos3", "LANCZOS")]
)
def test_antialias_smooths_as_pillow_does(tf2: Any, method: str, filter_: str) -> None:
    pillow = pytest.importorskip("PIL.Image")
    drawn = pillow.fromarray(IMAGE[..., 0]).resize((3, 4), pillow.Resampling[filter_])
    found = plain(tf2.image.resize(IMAGE, [4, 3], method, antialias=True))[..., 0]
    np.testing.assert_allclose(found, np.asarray(drawn), atol=1e-5)
    assert not np.allclose(plain(tf2.image.resize(IMAGE, [4, 3], method))[..., 0], found, atol=1e-3)


def test_methods_that_are_not_there_are_named(tf2: Any) -> None:
    with pytest.raises(NotImplementedError, match="lanczos3"):
        tf2.image.resize(IMAGE, [4, 3], "mitchellcubic")
    with pytest.raises(NotImplementedError, match="lanczos3"):
        tf2.compat.v1.image.resize(IMAGE, [4, 3], "lanczos3")


def test_bilinear_places_pixels_as_areas_or_as_corners(tf2: Any) -> None:
    row = np.array([[[0.0], [1.0]]], np.float32)
    np.testing.assert_allclose(plain(tf2.image.resize(row, [1, 4]))[0, :, 0], [0, 0.25, 0.75, 1])
    old = tf2.compat.v1.image.resize_bilinear(row[None], [1, 4])
    np.testing.assert_allclose(plain(old)[0, 0, :, 0], [0, 0.5, 1, 1])


def test_hue_and_back(tf2: Any) -> None:
    np.testing.assert_allclose(plain(tf2.image.hsv_to_rgb(tf2.image.rgb_to_hsv(IMAGE))), IMAGE, atol=1e-5)
    np.testing.assert_allclose(plain(tf2.image.adjust_hue(tf2.image.adjust_hue(IMAGE, 0.3), -0.3)), IMAGE, atol=1e-5)


def test_random_crops_are_parts(tf2: Any) -> None:
    part = plain(tf2.image.random_crop(IMAGE, [2, 3, 3]))
    windows = [IMAGE[i : i + 2, j : j + 3] for i in range(5) for j in range(6)]
    assert any(np.array_equal(part, w) for w in windows)


def test_files_are_read_and_written(tf2: Any) -> None:
    pytest.importorskip("PIL")
    whole = (IMAGE * 255).astype(np.uint8)
    np.testing.assert_array_equal(plain(tf2.image.decode_png(tf2.image.encode_png(whole))), whole)
