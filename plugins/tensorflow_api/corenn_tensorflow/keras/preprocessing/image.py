"""``keras.preprocessing.image``: reading images, and random changes of them, in NumPy."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn.errors import MissingExtraError
from corenn_tensorflow.keras.layers.adapting import image_data_format
from corenn_tensorflow.keras.preprocessing import transforms
from corenn_tensorflow.keras.preprocessing.transforms import (
    apply_affine_transform,
    apply_brightness_shift,
    apply_channel_shift,
    flip_axis,
    random_brightness,
    random_channel_shift,
    random_rotation,
    random_shear,
    random_shift,
    random_zoom,
)
from corenn_tensorflow.keras.utils import Sequence
from corenn_tensorflow.missing import guard

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff", ".gif")


def _pillow(where: str) -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise MissingExtraError(where, "reading images needs pillow", hint="pip install pillow") from None
    return Image


def img_to_array(img: Any, data_format: Any = None, dtype: Any = "float32") -> Any:
    """An image of PIL as an array [height, width, channels]."""
    x = np.asarray(img, dtype=dtype)
    if x.ndim == 2:
        x = x[..., None]
    if x.ndim != 3:
        raise ValueError(f"Unsupported image shape: {x.shape}")
    return x.transpose(2, 0, 1) if (data_format or image_data_format()) == "channels_first" else x


def array_to_img(x: Any, data_format: Any = None, scale: bool = True, dtype: Any = "float32") -> Any:
    """An array as an image of PIL, stretched to 0..255 if ``scale``."""
    image = _pillow("array_to_img")
    array = np.asarray(x, dtype=dtype)
    if array.ndim != 3:
        raise ValueError(f"Expected image array to have rank 3 (single image). Got array with shape: {array.shape}")
    if (data_format or image_data_format()) == "channels_first":
        array = array.transpose(1, 2, 0)
    if scale:
        array = array - array.min()
        top = array.max()
        array = array / top * 255 if top else array
    modes = {1: "L", 3: "RGB", 4: "RGBA"}
    if array.shape[2] not in modes:
        raise ValueError(f"Unsupported channel number: {array.shape[2]}")
    plain = array.astype("uint8")
    return image.fromarray(plain[:, :, 0] if array.shape[2] == 1 else plain, modes[array.shape[2]])


def save_img(
    path: Any, x: Any, data_format: Any = None, file_format: Any = None, scale: bool = True, **options: Any
) -> None:
    """Write an array as an image file."""
    array_to_img(x, data_format, scale).save(path, format=file_format, **options)


def load_img(
    path: Any,
    grayscale: bool = False,
    color_mode: str = "rgb",
    target_size: Any = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """An image file as an image of PIL."""
    image = _pillow("load_img")
    mode = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}["grayscale" if grayscale else color_mode]
    with image.open(path) as opened:
        found = opened.convert(mode)
    if target_size is not None and found.size != (target_size[1], target_size[0]):
        ways = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}
        found = found.resize((int(target_size[1]), int(target_size[0])), ways[interpolation])
    return found


def list_pictures(directory: Any, ext: Any = _SUFFIXES) -> list[str]:
    """The image files below a folder."""
    return [
        os.path.join(root, f)
        for root, _, files in os.walk(directory)
        for f in sorted(files)
        if f.lower().endswith(tuple(ext))
    ]


class Iterator(Sequence):
    """Batches without end, in passes over ``n`` examples."""

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None) -> None:
        self.n, self.batch_size, self.shuffle, self.seed = n, batch_size, shuffle, seed
        self.batch_index, self.total_batches_seen = 0, 0
        self._order = np.arange(n)
        self._lock = threading.Lock()
        self._reorder()

    def _reorder(self) -> None:
        if self.shuffle:
            generator = np.random if self.seed is None else np.random.RandomState(self.seed + self.total_batches_seen)
            self._order = generator.permutation(self.n)

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __getitem__(self, index: int) -> Any:
        if index >= len(self):
            raise ValueError(f"Asked to retrieve element {index}, but the Sequence has length {len(self)}")
        self.total_batches_seen += 1
        return self._batch(self._order[index * self.batch_size : (index + 1) * self.batch_size])

    def on_epoch_end(self) -> None:
        """A new order."""
        self._reorder()

    def reset(self) -> None:
        """Begin a pass again."""
        self.batch_index = 0

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        with self._lock:
            if self.batch_index >= len(self):
                self.batch_index = 0
                self._reorder()
            index, self.batch_index = self.batch_index, self.batch_index + 1
        return self[index]

    next = __next__

    def _batch(self, chosen: Any) -> Any:
        raise NotImplementedError(type(self).__name__)


class NumpyArrayIterator(Iterator):
    """Batches of changed images from arrays."""

    def __init__(
        self, x: Any, y: Any, image_data_generator: Any, batch_size: int = 32, shuffle: bool = False,
        sample_weight: Any = None, seed: int | None = None, data_format: Any = None, save_to_dir: Any = None,
        save_prefix: str = "", save_format: str = "png", subset: Any = None, dtype: Any = "float32",
    ) -> None:  # fmt: skip
        extra = [np.asarray(a) for a in x[1]] if isinstance(x, (list, tuple)) else []
        images = np.asarray(x[0] if isinstance(x, (list, tuple)) else x, dtype=dtype)
        if images.ndim != 4:
            raise ValueError(
                f"Input data in `NumpyArrayIterator` should have rank 4. You passed an array with shape {images.shape}"
            )
        labels = None if y is None else np.asarray(y)
        weights = None if sample_weight is None else np.asarray(sample_weight)
        if labels is not None and len(labels) != len(images):
            raise ValueError(
                "`x` (images tensor) and `y` (labels) should have the same length. "
                f"Found: x.shape = {images.shape}, y.shape = {labels.shape}"
            )
        if subset is not None:
            cut = int(len(images) * image_data_generator._validation_split)
            part = slice(None, cut) if subset == "validation" else slice(cut, None)
            images, extra = images[part], [a[part] for a in extra]
            labels, weights = (None if a is None else a[part] for a in (labels, weights))
        self.x, self.y, self.sample_weight, self.extra = images, labels, weights, extra
        self.image_data_generator, self.save_to_dir = image_data_generator, save_to_dir
        self.save_prefix, self.save_format, self.data_format = save_prefix, save_format, data_format
        super().__init__(len(images), batch_size, shuffle, seed)

    def _batch(self, chosen: Any) -> Any:
        make = self.image_data_generator
        batch = np.stack(
            [
                make.standardize(make.apply_transform(self.x[i], make.get_random_transform(self.x.shape[1:])))
                for i in chosen
            ]
        )
        _save(self, batch, chosen)
        inputs = [batch, *[a[chosen] for a in self.extra]] if self.extra else batch
        parts = [inputs] + [a[chosen] for a in (self.y, self.sample_weight) if a is not None]
        return parts[0] if len(parts) == 1 else tuple(parts)


def _save(iterator: Any, batch: Any, chosen: Any) -> None:
    if iterator.save_to_dir:
        for image, i in zip(batch, chosen, strict=True):
            name = f"{iterator.save_prefix}_{i}_{np.random.randint(10**7)}.{iterator.save_format}"
            save_img(os.path.join(iterator.save_to_dir, name), image)


class _FileIterator(Iterator):
    """Batches of changed images from files."""

    def _setup(
        self,
        make: Any,
        paths: list[str],
        labels: Any,
        target_size: Any,
        color_mode: str,
        class_mode: Any,
        interpolation: str,
    ) -> None:
        self.image_data_generator, self.filepaths, self.target_size = make, paths, tuple(target_size)
        self.color_mode, self.class_mode, self.interpolation = color_mode, class_mode, interpolation
        self._labels = labels
        channels = {"grayscale": 1, "rgb": 3, "rgba": 4}[color_mode]
        self.image_shape = (*self.target_size, channels)

    def _batch(self, chosen: Any) -> Any:
        make, batch = self.image_data_generator, []
        for i in chosen:
            loaded = load_img(self.filepaths[i], color_mode=self.color_mode, target_size=self.target_size,
                              interpolation=self.interpolation)  # fmt: skip
            x = img_to_array(loaded)
            batch.append(make.standardize(make.apply_transform(x, make.get_random_transform(x.shape))))
        images = np.stack(batch)
        _save(self, images, chosen)
        if self.class_mode is None:
            return images
        if self.class_mode == "input":
            return images, images.copy()
        labels = np.asarray(self._labels)[chosen]
        if self.class_mode == "categorical":
            rows = np.zeros((len(chosen), self.num_classes), "float32")
            rows[np.arange(len(chosen)), labels] = 1
            return images, rows
        return images, labels.astype("float32") if self.class_mode in ("binary", "sparse") else labels


class DirectoryIterator(_FileIterator):
    """Images in one folder for each class."""

    def __init__(
        self, directory: Any, image_data_generator: Any, target_size: Any = (256, 256), color_mode: str = "rgb",
        classes: Any = None, class_mode: Any = "categorical", batch_size: int = 32, shuffle: bool = True,
        seed: int | None = None, data_format: Any = None, save_to_dir: Any = None, save_prefix: str = "",
        save_format: str = "png", follow_links: bool = False, subset: Any = None, interpolation: str = "nearest",
        dtype: Any = "float32",
    ) -> None:  # fmt: skip
        self.directory, self.save_to_dir, self.save_prefix, self.save_format = (
            directory,
            save_to_dir,
            save_prefix,
            save_format,
        )
        found = classes or sorted(d for d in os.listdir(directory) if os.path.isdir(os.path.join(directory, d)))
        self.class_indices = {name: i for i, name in enumerate(found)}
        self.num_classes = len(found)
        paths, labels = [], []
        for name, number in self.class_indices.items():
            listed = sorted(list_pictures(os.path.join(directory, name)))
            if subset is not None:
                cut = int(len(listed) * image_data_generator._validation_split)
                listed = listed[:cut] if subset == "validation" else listed[cut:]
            paths += listed
            labels += [number] * len(listed)
        self.classes = np.asarray(labels, "int32")
        self.filenames = [os.path.relpath(p, directory) for p in paths]
        self.samples = len(paths)
        print(f"Found {self.samples} images belonging to {self.num_classes} classes.")
        self._setup(image_data_generator, paths, self.classes, target_size, color_mode, class_mode, interpolation)
        super().__init__(self.samples, batch_size, shuffle, seed)

    @property
    def labels(self) -> Any:
        """The class of each file."""
        return self.classes


class DataFrameIterator(_FileIterator):
    """Images named by a column of a frame, with labels from others."""

    def __init__(
        self, dataframe: Any, directory: Any = None, image_data_generator: Any = None, x_col: str = "filename",
        y_col: Any = "class", target_size: Any = (256, 256), color_mode: str = "rgb", classes: Any = None,
        class_mode: Any = "categorical", batch_size: int = 32, shuffle: bool = True, seed: int | None = None,
        save_to_dir: Any = None, save_prefix: str = "", save_format: str = "png", subset: Any = None,
        interpolation: str = "nearest", **ignored: Any,
    ) -> None:  # fmt: skip
        self.save_to_dir, self.save_prefix, self.save_format = save_to_dir, save_prefix, save_format
        frame = dataframe
        if subset is not None:
            cut = int(len(frame) * image_data_generator._validation_split)
            frame = frame.iloc[:cut] if subset == "validation" else frame.iloc[cut:]
        paths = [os.path.join(directory or "", str(p)) for p in frame[x_col]]
        labels: Any = None
        self.class_indices, self.num_classes = {}, 0
        if class_mode in ("categorical", "binary", "sparse"):
            names = classes or sorted(set(dataframe[y_col]))
            self.class_indices = {n: i for i, n in enumerate(names)}
            self.num_classes = len(names)
            labels = np.asarray([self.class_indices[v] for v in frame[y_col]], "int32")
        elif class_mode not in (None, "input"):
            labels = np.asarray(frame[y_col])
        self.classes, self.samples, self.filenames = labels, len(paths), [str(p) for p in frame[x_col]]
        print(f"Found {self.samples} validated image filenames belonging to {self.num_classes} classes.")
        self._setup(image_data_generator, paths, labels, target_size, color_mode, class_mode, interpolation)
        super().__init__(self.samples, batch_size, shuffle, seed)


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


def image_dataset_from_directory(
    directory: Any, labels: Any = "inferred", label_mode: str | None = "int", class_names: Any = None,
    color_mode: str = "rgb", batch_size: int = 32, image_size: Any = (256, 256), shuffle: bool = True,
    seed: int | None = None, validation_split: float | None = None, subset: str | None = None,
    interpolation: str = "bilinear", follow_links: bool = False, **ignored: Any,
) -> Any:  # fmt: skip
    """A ``tf.data.Dataset`` of batches of the images below a folder, and their classes."""
    from corenn_tensorflow.data import Dataset

    names = class_names or sorted(d for d in os.listdir(directory) if os.path.isdir(os.path.join(directory, d)))
    pairs = [(p, i) for i, n in enumerate(names) for p in sorted(list_pictures(os.path.join(directory, n)))]
    if shuffle:
        np.random.RandomState(123 if seed is None else seed).shuffle(pairs)
    if validation_split:
        cut = int(len(pairs) * (1 - validation_split))
        pairs = pairs[:cut] if subset == "training" else pairs[cut:]
    print(f"Found {len(pairs)} files belonging to {len(names)} classes.")
    channels = {"grayscale": 1, "rgb": 3, "rgba": 4}[color_mode]

    def examples() -> Any:
        for path, number in pairs:
            image = img_to_array(
                load_img(path, color_mode=color_mode, target_size=image_size, interpolation=interpolation)
            )
            if label_mode is None:
                yield image
            elif label_mode == "categorical":
                yield image, np.eye(len(names), dtype="float32")[number]
            else:
                yield image, np.float32([number]) if label_mode == "binary" else np.int32(number)

    shape = (*image_size, channels)
    kinds = {None: None, "int": ("int32", ()), "binary": ("float32", (1,)), "categorical": ("float32", (len(names),))}[
        label_mode
    ]
    types, shapes = ("float32", shape) if kinds is None else (("float32", kinds[0]), (shape, kinds[1]))
    made = Dataset.from_generator(examples, types, shapes).batch(batch_size)
    made.class_names = names
    return made


__all__ = [
    "DataFrameIterator",
    "DirectoryIterator",
    "ImageDataGenerator",
    "Iterator",
    "NumpyArrayIterator",
    "apply_affine_transform",
    "apply_brightness_shift",
    "apply_channel_shift",
    "array_to_img",
    "image_dataset_from_directory",
    "img_to_array",
    "list_pictures",
    "load_img",
    "random_brightness",
    "random_channel_shift",
    "random_rotation",
    "random_shear",
    "random_shift",
    "random_zoom",
    "save_img",
    "transforms",
]
__getattr__ = guard(__name__)
