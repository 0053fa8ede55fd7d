"""``tf.contrib.learn.datasets``: CSV files and MNIST."""

from __future__ import annotations

import csv
import sys
from collections import namedtuple
from typing import Any

import numpy as np

from corenn_tensorflow import input_data as mnist
from corenn_tensorflow import missing

Dataset = namedtuple("Dataset", ["data", "target"])
Datasets = namedtuple("Datasets", ["train", "validation", "test"])


def load_csv_with_header(filename: Any, target_dtype: Any, features_dtype: Any, target_column: int = -1) -> Dataset:
    """The rows of a CSV file whose first line says how many rows and features there are."""
    with open(filename, newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        header = next(lines)
        rows = [row for row in lines if row]
    count, width = int(header[0]), int(header[1])
    target = np.array([row.pop(target_column) for row in rows], dtype=target_dtype)
    data = np.array(rows, dtype=features_dtype).reshape(len(rows), -1)
    if data.shape != (count, width):
        raise ValueError(f"{filename}: the header promises {count} rows of {width} features; there are {data.shape}")
    return Dataset(data=data, target=target)


def load_csv_without_header(filename: Any, target_dtype: Any, features_dtype: Any, target_column: int = -1) -> Dataset:
    """The rows of a CSV file."""
    with open(filename, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if row]
    target = np.array([row.pop(target_column) for row in rows], dtype=target_dtype)
    return Dataset(data=np.array(rows, dtype=features_dtype), target=target)


def load_dataset(name: str, size: str = "small", test_with_fake_data: bool = False) -> Any:
    """``"mnist"``; other sets are in ``corenn datasets``."""
    if name == "mnist":
        return mnist.read_data_sets("MNIST-data")
    raise ValueError(f"name of dataset is not found: {name}")


def shrink_csv(filename: Any, ratio: int) -> None:
    """Keep one of ``ratio`` lines of a file, in ``<name>_small<ext>``."""
    import os

    stem, ext = os.path.splitext(filename)
    with open(filename, encoding="utf-8") as source, open(f"{stem}_small{ext}", "w", encoding="utf-8") as out:
        out.writelines(line for i, line in enumerate(source) if i % ratio == 0)


#: Where scripts look for the functions above, too.
base = sys.modules[__name__]

__getattr__ = missing.guard(__name__)

__all__ = [
    "Dataset", "Datasets", "base", "load_csv_with_header", "load_csv_without_header", "load_dataset", "mnist",
    "shrink_csv",
]  # fmt: skip
