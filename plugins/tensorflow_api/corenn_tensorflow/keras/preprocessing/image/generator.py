"""Random changes of images: ``ImageDataGenerator``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from corenn_tensorflow.keras.layers.adapting import image_data_format
from corenn_tensorflow.keras.preprocessing.image.iterators import (
    DataFrameIterator,
    DirectoryIterator,
    NumpyArrayIterator,
)
from corenn_tensorflow.keras.preprocessing.transforms import (
    apply_affine_transform,
    apply_brightness_shift,
    apply_channel_shift,
    flip_axis,
)


class ImageDataGenerator:
    """Random changes of images: shifts, turns, zooms, flips, brightness; and their standardisation."""

    def __init__(
        self, featurewise_center: bool = False, samplewise_center: bool = False,
        featurewise_std_normalization: bool = False, samplewise_std_normalization: bool = False,
        zca_whitening: bool = False, zca_epsilon: float = 1e-6, rotation_range: float = 0, width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0, brightness_range: Any = None, shear_range: float = 0.0, zoom_range: Any = 0.0,
        channel_shift_range: float = 0.0, fill_mode: str = "nearest", cval: float = 0.0, horizontal_flip: bool = False,
        vertical_flip: bool = False, rescale: float | None = None, preprocessing_function: Any = None,
        data_format: Any = None, validation_split: float = 0.0, dtype: Any = "float32", interpolation_order: int = 1,
        dim_ordering: Any = None,
    ) -> None:  # fmt: skip
        self.featurewise_center, self.samplewise_center = featurewise_center or zca_whitening, samplewise_center
        self.featurewise_std_normalization = featurewise_std_normalization
        self.samplewise_std_normalization, self.zca_whitening, self.zca_epsilon = (
            samplewise_std_normalization,
            zca_whitening,
            zca_epsilon,
        )
        self.rotation_range, self.width_shift_range, self.height_shift_range = (
            rotation_range,
            width_shift_range,
            height_shift_range,
        )
        self.brightness_range, self.shear_range, self.channel_shift_range = (
            brightness_range,
            shear_range,
            channel_shift_range,
        )
        self.fill_mode, self.cval, self.horizontal_flip, self.vertical_flip = (
            fill_mode,
            cval,
            horizontal_flip,
            vertical_flip,
        )
        self.rescale, self.preprocessing_function, self.interpolation_order = (
            rescale,
            preprocessing_function,
            interpolation_order,
        )
        old = {"th": "channels_first", "tf": "channels_last"}.get(dim_ordering, dim_ordering)
        self.data_format = data_format or old or image_data_format()
        if self.data_format not in ("channels_last", "channels_first"):
            raise ValueError(f"`data_format` should be `channels_last` or `channels_first`. Received: {data_format}")
        self.channel_axis, self.row_axis, self.col_axis = (
            (1, 2, 3) if self.data_format == "channels_first" else (3, 1, 2)
        )
        if validation_split and not 0 < validation_split < 1:
            raise ValueError(f"`validation_split` must be strictly between 0 and 1. Received: {validation_split}")
        self._validation_split, self.dtype = validation_split, dtype
        self.zoom_range = (1 - zoom_range, 1 + zoom_range) if np.isscalar(zoom_range) else tuple(zoom_range)
        self.mean: Any = None
        self.std: Any = None
        self.principal_components: Any = None

    # ---- where images come from

    def flow(
        self, x: Any, y: Any = None, batch_size: int = 32, shuffle: bool = True, sample_weight: Any = None,
        seed: int | None = None, save_to_dir: Any = None, save_prefix: str = "", save_format: str = "png",
        subset: Any = None,
    ) -> NumpyArrayIterator:  # fmt: skip
        """Batches from arrays."""
        return NumpyArrayIterator(x, y, self, batch_size, shuffle, sample_weight, seed, self.data_format, save_to_dir,
                                  save_prefix, save_format, subset, self.dtype)  # fmt: skip

    def flow_from_directory(self, directory: Any, *args: Any, **options: Any) -> DirectoryIterator:
        """Batches from files: ``directory/class/image``."""
        return DirectoryIterator(directory, self, *args, **options)

    def flow_from_dataframe(
        self, dataframe: Any, directory: Any = None, *args: Any, **options: Any
    ) -> DataFrameIterator:
        """Batches from files that a frame names."""
        return DataFrameIterator(dataframe, directory, self, *args, **options)

    # ---- the same for every image

    def fit(self, x: Any, augment: bool = False, rounds: int = 1, seed: int | None = None) -> None:
        """Learn means, deviations and principal components."""
        data = np.asarray(x, dtype="float64")
        if data.ndim != 4:
            raise ValueError(f"Input to `.fit()` should have rank 4. Got array with shape: {data.shape}")
        if augment:
            if seed is not None:
                np.random.seed(seed)
            data = np.stack([self.random_transform(image) for _ in range(rounds) for image in data])
        spread = [1, 1, 1]
        spread[self.channel_axis - 1] = data.shape[self.channel_axis]
        axes = (0, self.row_axis, self.col_axis)
        if self.featurewise_center:
            self.mean = data.mean(axis=axes).reshape(spread)
            data = data - self.mean
        if self.featurewise_std_normalization:
            self.std = data.std(axis=axes).reshape(spread)
            data = data / (self.std + 1e-6)
        if self.zca_whitening:
            flat = data.reshape(len(data), -1)
            u, s, _ = np.linalg.svd(flat.T @ flat / len(flat))
            self.principal_components = (u * (1.0 / np.sqrt(s + self.zca_epsilon))) @ u.T

    def standardize(self, x: Any) -> Any:
        """One image (or batch) rescaled and normalised."""
        x = np.array(x, dtype=self.dtype)
        if self.preprocessing_function is not None:
            x = self.preprocessing_function(x)
        if self.rescale:
            x = x * np.asarray(self.rescale, x.dtype)
        if self.samplewise_center:
            x = x - x.mean(keepdims=True)
        if self.samplewise_std_normalization:
            x = x / (x.std(keepdims=True) + 1e-6)
        for needed, learnt in (("featurewise_center", self.mean), ("featurewise_std_normalization", self.std),
                               ("zca_whitening", self.principal_components)):  # fmt: skip
            if getattr(self, needed) and learnt is None:
                print(f"This ImageDataGenerator specifies `{needed}`, but it hasn't been fit on any training data. "
                      "Fit it first by calling `.fit(numpy_data)`.")  # fmt: skip
        if self.featurewise_center and self.mean is not None:
            x = x - self.mean
        if self.featurewise_std_normalization and self.std is not None:
            x = x / (self.std + 1e-6)
        if self.zca_whitening and self.principal_components is not None:
            x = (x.reshape(1, -1) @ self.principal_components).reshape(x.shape)
        return np.asarray(x, self.dtype)

    # ---- another for every image

    def get_random_transform(self, img_shape: Any, seed: int | None = None) -> dict[str, Any]:
        """The settings of one change."""
        if seed is not None:
            np.random.seed(seed)
        draw: Callable[[float, float], float] = np.random.uniform

        def shift(limit: Any, extent: int) -> float:
            if not np.isscalar(limit):
                return float(np.random.choice(limit) * np.random.choice([-1, 1]))
            if not limit:
                return 0.0
            if isinstance(limit, (int, np.integer)):
                return float(np.random.randint(-limit, limit + 1))
            return draw(-limit, limit) * (extent if limit < 1 else 1)

        low, high = self.zoom_range
        zoom = (1.0, 1.0) if low == 1 and high == 1 else tuple(np.random.uniform(low, high, 2))
        return {
            "theta": draw(-self.rotation_range, self.rotation_range) if self.rotation_range else 0.0,
            "tx": shift(self.height_shift_range, img_shape[self.row_axis - 1]),
            "ty": shift(self.width_shift_range, img_shape[self.col_axis - 1]),
            "shear": draw(-self.shear_range, self.shear_range) if self.shear_range else 0.0,
            "zx": zoom[0],
            "zy": zoom[1],
            "flip_horizontal": bool(np.random.random() < 0.5) and self.horizontal_flip,
            "flip_vertical": bool(np.random.random() < 0.5) and self.vertical_flip,
            "channel_shift_intensity": draw(-self.channel_shift_range, self.channel_shift_range)
            if self.channel_shift_range
            else None,
            "brightness": draw(*self.brightness_range) if self.brightness_range is not None else None,
        }

    def apply_transform(self, x: Any, transform_parameters: dict[str, Any]) -> Any:
        """One change."""
        given = transform_parameters.get
        rows, cols, channels = self.row_axis - 1, self.col_axis - 1, self.channel_axis - 1
        x = apply_affine_transform(
            x,
            given("theta", 0),
            given("tx", 0),
            given("ty", 0),
            given("shear", 0),
            given("zx", 1),
            given("zy", 1),
            rows,
            cols,
            channels,
            self.fill_mode,
            self.cval,
            self.interpolation_order,
        )
        if given("channel_shift_intensity") is not None:
            x = apply_channel_shift(x, given("channel_shift_intensity"), channels)
        if given("flip_horizontal", False):
            x = flip_axis(x, cols)
        if given("flip_vertical", False):
            x = flip_axis(x, rows)
        if given("brightness") is not None:
            x = apply_brightness_shift(x, given("brightness"))
        return x

    def random_transform(self, x: Any, seed: int | None = None) -> Any:
        """One random change."""
        return self.apply_transform(x, self.get_random_transform(x.shape, seed))
