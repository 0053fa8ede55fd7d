"""Random distortion of images: against scipy's interpolation, and what must always hold."""

from __future__ import annotations

import numpy as np
import pytest
from corenn_tasks.augmentation import distort, sample

import corenn

IMAGES = np.random.default_rng(0).random((6, 9, 7, 2), dtype=np.float32)


def test_sampling_agrees_with_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    generator = np.random.default_rng(1)
    rows = generator.uniform(-3, 11, (6, 5, 4)).astype(np.float32)
    columns = generator.uniform(-3, 9, (6, 5, 4)).astype(np.float32)
    found = sample(IMAGES, rows, columns)
    assert found.shape == (6, 5, 4, 2) and found.dtype == np.float32
    for n in range(6):
        for c in range(2):
            wanted = ndimage.map_coordinates(
                IMAGES[n, :, :, c].astype(float), [rows[n], columns[n]], order=1, mode="grid-constant"
            )
            np.testing.assert_allclose(found[n, :, :, c], wanted, atol=1e-5)


def test_sampling_at_the_pixels_gives_the_image():
    rows, columns = np.broadcast_arrays(np.arange(9.0)[None, :, None], np.arange(7.0)[None, None, :])
    where = [np.broadcast_to(part, (6, 9, 7)) for part in (rows, columns)]
    np.testing.assert_array_equal(sample(IMAGES, *where), IMAGES)


def test_a_distortion_is_one_map_of_the_plane_as_the_op_has_it():
    """A map is found from what becomes of an image of places; ``corenn.image.transform`` makes the same of another."""
    y, x = np.meshgrid(np.arange(30.0), np.arange(40.0), indexing="ij")
    places = np.repeat(np.stack([x, y], -1)[None], 5, 0)
    moved = distort(places, 7)
    inner = np.zeros((30, 40), bool)
    inner[8:22, 8:32] = True  # what comes from within the image
    design = np.stack([x[inner], y[inner], np.ones(inner.sum())], 1)
    maps = [np.linalg.lstsq(design, image[inner], rcond=None)[0].T.reshape(6) for image in moved]
    images = np.random.default_rng(2).random((5, 30, 40, 1))
    with corenn.device("numpy"):
        wanted = corenn.image.transform(images, np.stack(maps)).numpy()
    np.testing.assert_allclose(distort(images, 7), wanted, atol=1e-5)


def test_a_distortion_is_decided_by_its_seed():
    np.testing.assert_array_equal(distort(IMAGES, 3), distort(IMAGES, 3))
    assert not np.array_equal(distort(IMAGES, 3), distort(IMAGES, 4))


def test_every_image_is_distorted_differently():
    same = np.broadcast_to(IMAGES[:1], IMAGES.shape)
    found = distort(same, 3)
    assert len({image.tobytes() for image in found}) == len(found)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shape_and_dtype_stay(dtype):
    found = distort(IMAGES.astype(dtype), 3, 0.5)
    assert (found.shape, found.dtype) == (IMAGES.shape, dtype)
    assert found.min() >= 0 and found.max() <= IMAGES.max() + 1e-6


def test_strength_scales_the_distortion():
    changes = [np.abs(distort(IMAGES, 3, strength) - IMAGES).mean() for strength in (0, 0.1, 0.5, 1)]
    assert changes[0] < 1e-5
    assert changes == sorted(changes)


def test_a_spot_moves_by_at_most_the_limits():
    """The centre of mass of a spot in the middle of a large image moves by the shift alone."""
    spots = np.zeros((200, 81, 81, 1), np.float32)
    spots[:, 38:43, 38:43] = 1
    found = distort(spots, 5)[..., 0]
    mass = found.sum((1, 2))
    y = (found.sum(2) * np.arange(81)).sum(1) / mass - 40
    x = (found.sum(1) * np.arange(81)).sum(1) / mass - 40
    for moved in (y, x):
        assert np.abs(moved).max() < 0.0875 * 81 * 1.1
        assert np.abs(moved).max() > 0.0875 * 81 * 0.8
        assert abs(moved.mean()) < 1
