from collections.abc import Callable

import numpy as np
import pytest
from corenn_datasets.splits import DatasetSplits
from corenn_datasets.synthetic import blobs, sine, spiral

from corenn.errors import AttributeValueError, UsageError

SETS = [blobs, spiral, sine]
Maker = Callable[..., DatasetSplits]


@pytest.mark.parametrize("make", SETS)
def test_shapes_and_determinism(make: Maker) -> None:
    a, b, other = make(samples=103, seed=7), make(samples=103, seed=7), make(samples=103, seed=8)
    assert (len(a.train.x), len(a.test.x)) == (83, 20)
    for part in ("train", "test"):
        x, y = getattr(a, part)
        assert x.dtype == np.float32 and y.dtype == (np.int32 if a.classes else np.float32)
        assert x.tobytes() == getattr(b, part).x.tobytes() and y.tobytes() == getattr(b, part).y.tobytes()
        assert not np.array_equal(x, getattr(other, part).x)


@pytest.mark.parametrize("make", SETS)
def test_a_larger_set_begins_with_the_smaller(make: Maker) -> None:
    small, large = make(samples=50), make(samples=500)
    np.testing.assert_array_equal(small.train.x, large.train.x[:40])


def test_blobs_are_where_they_should_be() -> None:
    x, y = blobs(samples=30_000, classes=5, features=3, spread=0.25).train
    angle = 2 * np.pi * np.arange(5) / 5
    centres = np.stack([3 * np.cos(angle), 3 * np.sin(angle), 0 * angle], axis=1)
    for k in range(5):
        np.testing.assert_allclose(x[y == k].mean(0), centres[k], atol=0.02)
        np.testing.assert_allclose(x[y == k].std(0), 0.25, atol=0.02)


def test_spiral_arms_lie_on_their_curve() -> None:
    x, y = spiral(samples=2000, classes=3, turns=1.5, noise=0).train
    radius = np.hypot(x[:, 0], x[:, 1])
    expected = 2 * np.pi * (1.5 * radius + y / 3)
    np.testing.assert_allclose(x[:, 0], radius * np.cos(expected), atol=1e-5)
    np.testing.assert_allclose(x[:, 1], radius * np.sin(expected), atol=1e-5)
    assert radius.max() <= 1 and abs(np.mean(radius < 0.5) - 0.25) < 0.03  # even over the disc


def test_sine_is_a_noisy_sine() -> None:
    exact = sine(samples=5000, noise=0).train
    np.testing.assert_allclose(exact.y, np.sin(exact.x), atol=1e-6)
    noisy = sine(samples=5000, noise=0.2).train
    assert abs(np.std(noisy.y - np.sin(noisy.x)) - 0.2) < 0.01
    assert noisy.x.shape == noisy.y.shape == (4000, 1)
    assert -np.pi <= noisy.x.min() < -3.1 and 3.1 < noisy.x.max() <= np.float32(np.pi)


def test_labels_are_balanced_in_both_parts() -> None:
    splits = spiral(samples=600, classes=4)
    assert np.bincount(splits.train.y).tolist() == [120] * 4
    assert np.bincount(splits.test.y).tolist() == [30] * 4


@pytest.mark.parametrize(
    ("make", "wrong"),
    [
        (blobs, {"samples": 4}),
        (blobs, {"classes": 1}),
        (blobs, {"features": 1}),
        (blobs, {"spread": -1.0}),
        (spiral, {"classes": 0}),
        (spiral, {"noise": float("nan")}),
        (spiral, {"turns": float("inf")}),
        (sine, {"noise": -0.1}),
    ],
)
def test_wrong_arguments(make: Maker, wrong: dict[str, float]) -> None:
    with pytest.raises(AttributeValueError, match=next(iter(wrong))):
        make(**wrong)


@pytest.mark.parametrize("make", SETS)
def test_a_data_directory_is_not_ignored(make: Maker) -> None:
    with pytest.raises(UsageError, match="takes no data directory"):
        make("somewhere")


def test_not_made_of_pixels() -> None:
    with pytest.raises(UsageError, match="not made of integer pixels"):
        blobs().original("train")


def test_places_are_those_of_numpys_philox() -> None:
    # NumPy steps the counter before it computes a block, so all ones give block 0 first.
    words = np.random.Philox(key=[3, 0], counter=2**256 - 1).random_raw(100)
    expected = np.pi * (2 * ((words >> np.uint64(11)) * 2.0**-53) - 1)
    splits = sine(samples=100, seed=3)
    np.testing.assert_array_equal(np.concatenate([splits.train.x, splits.test.x])[:, 0], expected.astype(np.float32))
