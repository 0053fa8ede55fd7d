"""Affine and other changes of one image, an array of three axes."""

from __future__ import annotations

from typing import Any

import numpy as np


def flip_axis(x: Any, axis: int) -> Any:
    """Reversed along an axis."""
    return np.flip(x, axis)


def affine_matrix(theta: float, tx: float, ty: float, shear: float, zx: float, zy: float) -> Any:
    """The 3 by 3 matrix from places in the result to places in the image; angles in degrees."""
    matrix = np.eye(3)
    if theta:
        a = np.deg2rad(theta)
        matrix = matrix @ np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    if tx or ty:
        matrix = matrix @ np.array([[1, 0, tx], [0, 1, ty], [0, 0, 1]])
    if shear:
        a = np.deg2rad(shear)
        matrix = matrix @ np.array([[1, -np.sin(a), 0], [0, np.cos(a), 0], [0, 0, 1]])
    if zx != 1 or zy != 1:
        matrix = matrix @ np.array([[zx, 0, 0], [0, zy, 0], [0, 0, 1]])
    return matrix


def _folded(places: Any, extent: int, mode: str) -> tuple[Any, Any]:
    """Places inside the image for places anywhere, and where they lie outside for ``constant``."""
    outside = (places < 0) | (places > extent - 1)
    if mode == "wrap":
        return np.mod(places, extent), np.zeros_like(outside)
    if mode == "reflect":
        period = 2 * extent
        folded = np.mod(places + 0.5, period)
        folded = np.where(folded >= extent, period - folded, folded) - 0.5
        return np.clip(folded, 0, extent - 1), np.zeros_like(outside)
    return np.clip(places, 0, extent - 1), outside if mode == "constant" else np.zeros_like(outside)


def sampled(image: Any, rows: Any, cols: Any, mode: str, cval: float, order: int) -> Any:
    """An image [height, width, channels] at real places, by the nearest pixel (``order`` 0) or linearly."""
    height, width = image.shape[:2]
    r, out_r = _folded(rows, height, mode)
    c, out_c = _folded(cols, width, mode)
    if order == 0:
        found = image[np.clip(np.rint(r), 0, height - 1).astype(int), np.clip(np.rint(c), 0, width - 1).astype(int)]
    else:
        r0, c0 = np.floor(r).astype(int), np.floor(c).astype(int)
        r0, c0 = np.clip(r0, 0, height - 1), np.clip(c0, 0, width - 1)
        r1, c1 = np.minimum(r0 + 1, height - 1), np.minimum(c0 + 1, width - 1)
        fr, fc = (r - r0)[..., None], (c - c0)[..., None]
        top = image[r0, c0] * (1 - fc) + image[r0, c1] * fc
        low = image[r1, c0] * (1 - fc) + image[r1, c1] * fc
        found = top * (1 - fr) + low * fr
    return np.where((out_r | out_c)[..., None], cval, found)


def apply_affine_transform(
    x: Any, theta: float = 0, tx: float = 0, ty: float = 0, shear: float = 0, zx: float = 1, zy: float = 1,
    row_axis: int = 0, col_axis: int = 1, channel_axis: int = 2, fill_mode: str = "nearest", cval: float = 0.0,
    order: int = 1,
) -> Any:  # fmt: skip
    """Turned by ``theta`` degrees, shifted, sheared and zoomed about the centre."""
    matrix = affine_matrix(theta, tx, ty, shear, zx, zy)
    if np.array_equal(matrix, np.eye(3)):
        return x
    image = np.moveaxis(np.asarray(x), (row_axis, col_axis, channel_axis), (0, 1, 2))
    height, width = image.shape[:2]
    centre = np.array([height / 2.0 - 0.5, width / 2.0 - 0.5])
    rows, cols = np.meshgrid(np.arange(height) - centre[0], np.arange(width) - centre[1], indexing="ij")
    at_rows = matrix[0, 0] * rows + matrix[0, 1] * cols + matrix[0, 2] + centre[0]
    at_cols = matrix[1, 0] * rows + matrix[1, 1] * cols + matrix[1, 2] + centre[1]
    found = sampled(image.astype(np.float64), at_rows, at_cols, fill_mode, cval, order).astype(image.dtype)
    return np.moveaxis(found, (0, 1, 2), (row_axis, col_axis, channel_axis))


def apply_channel_shift(x: Any, intensity: float, channel_axis: int = 0) -> Any:
    """Every channel plus ``intensity``, within the image's range."""
    return np.clip(x + intensity, np.min(x), np.max(x)).astype(np.asarray(x).dtype)


def apply_brightness_shift(x: Any, brightness: float, scale: bool = True) -> Any:
    """Brighter or darker: the image, stretched to 0..255 if ``scale``, times ``brightness``, and back."""
    image = np.asarray(x, np.float64)
    low, high = image.min(), image.max()
    local = scale and (low < 0 or high > 255)
    shown = (image - low) / max(high - low, 1e-12) * 255 if local else image
    found = np.clip(np.floor(shown) * brightness, 0, 255)
    return (found / 255 * (high - low) + low if local else found).astype(np.asarray(x).dtype)


def _drawn(low: float, high: float) -> float:
    return float(np.random.uniform(low, high))  # the generator that np.random.seed seeds


def random_rotation(
    x: Any,
    rg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> Any:
    """Turned by up to ``rg`` degrees."""
    return apply_affine_transform(
        x,
        theta=_drawn(-rg, rg),
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=interpolation_order,
    )


def random_shift(
    x: Any,
    wrg: float,
    hrg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> Any:
    """Shifted by up to these fractions of width and height."""
    return apply_affine_transform(
        x, tx=_drawn(-hrg, hrg) * x.shape[row_axis], ty=_drawn(-wrg, wrg) * x.shape[col_axis], row_axis=row_axis,
        col_axis=col_axis, channel_axis=channel_axis, fill_mode=fill_mode, cval=cval, order=interpolation_order,
    )  # fmt: skip


def random_shear(
    x: Any,
    intensity: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> Any:
    """Sheared by up to ``intensity`` degrees."""
    return apply_affine_transform(
        x,
        shear=_drawn(-intensity, intensity),
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=interpolation_order,
    )


def random_zoom(
    x: Any,
    zoom_range: Any,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> Any:
    """Zoomed by factors from a range."""
    return apply_affine_transform(
        x, zx=_drawn(*zoom_range), zy=_drawn(*zoom_range), row_axis=row_axis, col_axis=col_axis,
        channel_axis=channel_axis, fill_mode=fill_mode, cval=cval, order=interpolation_order,
    )  # fmt: skip


def random_channel_shift(x: Any, intensity_range: float, channel_axis: int = 0) -> Any:
    """Every channel shifted by up to ``intensity_range``."""
    return apply_channel_shift(x, _drawn(-intensity_range, intensity_range), channel_axis)


def random_brightness(x: Any, brightness_range: Any, scale: bool = True) -> Any:
    """Brighter or darker by a factor from a range."""
    return apply_brightness_shift(x, _drawn(*brightness_range), scale)


__all__ = [
    "affine_matrix",
    "apply_affine_transform",
    "apply_brightness_shift",
    "apply_channel_shift",
    "flip_axis",
    "random_brightness",
    "random_channel_shift",
    "random_rotation",
    "random_shear",
    "random_shift",
    "random_zoom",
    "sampled",
]
