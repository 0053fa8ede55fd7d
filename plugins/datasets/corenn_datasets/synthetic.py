"""Small data sets made on the spot, for tests and demonstrations; the same arguments give the same data everywhere.

The numbers come from corenn's Philox 4x64-10 (:mod:`corenn.philox`): stream 0 places the examples, stream 1 is noise.
Everything is computed in float64 and rounded once to float32.  The last fifth of the examples is the test set; labels
go round the classes, so both parts are balanced.  ``progress`` is taken as by every data set, and never called.
"""

from __future__ import annotations

import math

import numpy as np

from corenn import philox
from corenn.errors import AttributeValueError
from corenn_datasets.splits import Array, Arrays, DatasetSplits, PathLike, Progress, refuse_data_dir

_PLACES, _NOISE = 0, 1


def blobs(
    data_dir: PathLike | None = None,
    *,
    samples: int = 1000,
    classes: int = 3,
    features: int = 2,
    spread: float = 0.5,
    seed: int = 0,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Gaussian clouds around the corners of a regular polygon of radius 3: x float32[N, features], y int32[N].

    ``spread`` is the standard deviation along every feature; features after the second are noise alone.
    Raises ``AttributeValueError`` for fewer than 5 samples, 2 classes or 2 features, or a negative spread.
    """
    refuse_data_dir("blobs", data_dir)
    _check("blobs", samples=(samples, 5), classes=(classes, 2), features=(features, 2), spread=(spread, 0))
    labels = np.arange(samples) % classes
    x = spread * _normal(seed, samples * features).reshape(samples, features)
    angle = 2 * math.pi * labels / classes
    x[:, 0] += 3 * np.cos(angle)
    x[:, 1] += 3 * np.sin(angle)
    return _classification("blobs", x, labels, classes, f"{classes} Gaussian clouds in {features} dimensions")


def spiral(
    data_dir: PathLike | None = None,
    *,
    samples: int = 1000,
    classes: int = 2,
    turns: float = 1.0,
    noise: float = 0.1,
    seed: int = 0,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Interleaved spiral arms, one per class, from the origin to radius 1: x float32[N, 2], y int32[N].

    An arm winds ``turns`` times; ``noise`` is the standard deviation of the angle in radians.
    Raises ``AttributeValueError`` for fewer than 5 samples or 2 classes, or a negative ``turns`` or ``noise``.
    """
    refuse_data_dir("spiral", data_dir)
    _check("spiral", samples=(samples, 5), classes=(classes, 2), turns=(turns, 0), noise=(noise, 0))
    labels = np.arange(samples) % classes
    # The square root spreads the examples evenly over the disc rather than crowding its centre.
    radius = np.sqrt(philox.uniform(seed, _PLACES, 0, samples, np.float64))
    angle = 2 * math.pi * (turns * radius + labels / classes) + noise * _normal(seed, samples)
    x = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return _classification("spiral", x, labels, classes, f"{classes} spiral arms in the plane")


def sine(
    data_dir: PathLike | None = None,
    *,
    samples: int = 1000,
    noise: float = 0.1,
    seed: int = 0,
    progress: Progress | None = None,
) -> DatasetSplits:
    """A noisy sine to fit: x float32[N, 1] uniform in [-pi, pi), y float32[N, 1] = sin(x) + noise.

    ``noise`` is a standard deviation.  Raises ``AttributeValueError`` for fewer than 5 samples or a negative noise.
    """
    refuse_data_dir("sine", data_dir)
    _check("sine", samples=(samples, 5), noise=(noise, 0))
    x = math.pi * (2 * philox.uniform(seed, _PLACES, 0, samples, np.float64) - 1)
    y = np.sin(x) + noise * _normal(seed, samples)
    return _splits("sine", x[:, np.newaxis], y[:, np.newaxis].astype(np.float32), (), "One noisy period of the sine")


def _normal(seed: int, count: int) -> Array:
    return philox.normal(seed, _NOISE, 0, count, np.float64)


def _check(where: str, **values: tuple[float, float]) -> None:
    """Raise for the first argument below its least value, or not finite."""
    for name, (value, least) in values.items():
        if not least <= value < math.inf:
            raise AttributeValueError(where, f"{name} must be finite and at least {least}", {name: value})


def _classification(name: str, x: Array, labels: Array, classes: int, description: str) -> DatasetSplits:
    return _splits(name, x, labels.astype(np.int32), tuple(str(k) for k in range(classes)), description)


def _splits(name: str, x: Array, y: Array, classes: tuple[str, ...], description: str) -> DatasetSplits:
    x = x.astype(np.float32)
    cut = len(x) - len(x) // 5
    return DatasetSplits(
        name=name,
        train=Arrays(x[:cut], y[:cut]),
        test=Arrays(x[cut:], y[cut:]),
        classes=classes,
        image_shape=None,
        description=description,
        source="made by corenn from its seed",
        licence="none needed",
    )
