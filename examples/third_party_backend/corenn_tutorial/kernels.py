"""A kernel of our own: squared differences with one temporary array instead of two."""

import numpy as np

from corenn import dtypes


def serves_single_precision(specs, attributes):
    """Whether the kernel serves a call: asked once for each combination of shapes, dtypes and attributes."""
    return specs[0].dtype is dtypes.float32


def euclidean(x, y):
    """``(x - y) ** 2``, squared in place.  ``np.asarray``, because NumPy's difference of two 0-d arrays is a scalar."""
    difference = np.asarray(np.subtract(x, y))
    return np.multiply(difference, difference, out=difference)
