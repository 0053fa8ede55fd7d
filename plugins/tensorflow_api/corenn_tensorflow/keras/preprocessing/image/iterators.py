"""Endless batches from arrays, folders and tables."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np

from corenn_tensorflow.keras.preprocessing.image.pictures import img_to_array, list_pictures, load_img, save_img
from corenn_tensorflow.keras.utils import Sequence


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
