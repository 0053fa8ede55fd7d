"""What ``*_dataset_from_directory`` share: the files of each class below a folder, shuffled and divided."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from corenn_tensorflow import errors


def listed(
    directory: Any, suffixes: tuple[str, ...], labels: Any, class_names: Any, shuffle: bool, seed: int | None,
    validation_split: float | None, subset: str | None,
) -> tuple[list[str], Any, list[str]]:  # fmt: skip
    """Paths, numbers of classes (``None`` without labels), and names of classes.

    The order is that of a generator with ``seed``, so that the two subsets of a split do not overlap.
    """
    root = os.fspath(directory)
    if validation_split is not None and not 0 < validation_split < 1:
        raise ValueError(f"`validation_split` must be between 0 and 1, received: {validation_split}")
    if (validation_split is None) != (subset is None):
        raise ValueError("If `subset` is set, `validation_split` must be set between 0 and 1, and the other way round.")
    if validation_split is not None and shuffle and seed is None:
        raise ValueError("If using `validation_split` and shuffling the data, you must provide a `seed` argument, to "
                         "make sure that there is no overlap between the training and validation subset.")  # fmt: skip
    if not os.path.isdir(root):
        raise errors.NotFoundError(None, None, f"Could not find directory {root}")
    folders = sorted(d for d in os.listdir(root) if os.path.isdir(os.path.join(root, d)))
    names = list(class_names) if class_names else folders
    if labels == "inferred" and class_names and set(names) != set(folders):
        raise ValueError("The `class_names` passed did not match the names of the subdirectories of the target "
                         f"directory. Expected: {folders}, but received: {names}")  # fmt: skip
    paths: list[str] = []
    numbers: list[int] = []
    for start, number in (
        [(os.path.join(root, n), i) for i, n in enumerate(names)] if labels == "inferred" else [(root, 0)]
    ):
        for folder, inner, files in os.walk(start):
            inner.sort()
            found = [os.path.join(folder, f) for f in sorted(files) if f.lower().endswith(suffixes)]
            paths += found
            numbers += [number] * len(found)
    marks = numbers if labels == "inferred" else None if labels is None else [int(v) for v in labels]
    if marks is not None and len(marks) != len(paths):
        raise ValueError(f"Expected the lengths of `labels` to match the number of files in the target directory: "
                         f"{len(marks)} labels, {len(paths)} files in {root}")  # fmt: skip
    shown = f"Found {len(paths)} files" + (f" belonging to {len(names)} classes." if marks is not None else ".")
    print(shown)
    if shuffle:
        order = np.random.RandomState(np.random.randint(1_000_000) if seed is None else seed).permutation(len(paths))
        paths = [paths[i] for i in order]
        marks = None if marks is None else [marks[i] for i in order]
    if validation_split is not None:
        kept = len(paths) - int(validation_split * len(paths))
        chosen = slice(None, kept) if subset == "training" else slice(kept, None)
        paths, marks = paths[chosen], None if marks is None else marks[chosen]
        print(f"Using {len(paths)} files for {subset}.")
    if not paths:
        raise ValueError(f"No files found in directory {root}. Allowed formats: {suffixes}")
    return paths, marks, names


def dataset(
    examples: Any, paths: list[str], marks: Any, names: list[str], label_mode: str | None,
    batch_size: int | None, shuffle: bool, seed: int | None,
) -> Any:  # fmt: skip
    """Batches of ``examples(path)`` and labels, in a new order each time if shuffled."""
    from corenn_tensorflow.data import Dataset

    made = Dataset.from_tensor_slices(np.asarray([p.encode() for p in paths], object))
    if marks is not None and label_mode is not None:
        targets = {
            "int": lambda: np.asarray(marks, np.int32), "binary": lambda: np.asarray(marks, np.float32)[:, None],
            "categorical": lambda: np.eye(len(names), dtype=np.float32)[marks],
        }[label_mode]()  # fmt: skip
        made = Dataset.zip((made, Dataset.from_tensor_slices(targets)))
    if shuffle:
        made = made.shuffle((batch_size or 128) * 8, seed=seed)
    made = made.map(lambda path, *label: (examples(path), *label) if label else examples(path))
    made = made if batch_size is None else made.batch(batch_size)
    made.class_names, made.file_paths = names, paths
    return made


def text_dataset_from_directory(
    directory: Any, labels: Any = "inferred", label_mode: str | None = "int", class_names: Any = None,
    batch_size: int | None = 32, max_length: int | None = None, shuffle: bool = True, seed: int | None = None,
    validation_split: float | None = None, subset: str | None = None, follow_links: bool = False, **ignored: Any,
) -> Any:  # fmt: skip
    """A ``tf.data.Dataset`` of batches of the texts below a folder, and their classes."""
    import corenn_tensorflow as tf

    paths, marks, names = listed(
        directory, (".txt",), None if label_mode is None else labels, class_names, shuffle, seed, validation_split,
        subset,
    )  # fmt: skip

    def read(path: Any) -> Any:
        found = tf.io.read_file(path)
        return found if max_length is None else tf.strings.substr(found, 0, max_length)

    return dataset(read, paths, marks, names, label_mode, batch_size, shuffle, seed)


__all__ = ["dataset", "listed", "text_dataset_from_directory"]
