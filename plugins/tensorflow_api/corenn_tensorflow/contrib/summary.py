"""``tf.contrib.summary``: the summaries of eager programs of TensorFlow 1, whose step is the global step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from corenn_tensorflow import missing
from corenn_tensorflow.summary import eager
from corenn_tensorflow.summary.eager import (
    SummaryWriter,
    create_file_writer,
    flush,
    record_if,
    should_record_summaries,
)
from corenn_tensorflow.train.global_step import get_or_create_global_step


def always_record_summaries() -> contextlib.AbstractContextManager[None]:
    """Every summary of the block is written."""
    return record_if(True)


def never_record_summaries() -> contextlib.AbstractContextManager[None]:
    """No summary of the block is written."""
    return record_if(False)


@contextlib.contextmanager
def record_summaries_every_n_global_steps(n: int, global_step: Any = None) -> Iterator[None]:
    """The summaries of the block are written where the step is a multiple of ``n``."""
    step = get_or_create_global_step() if global_step is None else global_step

    def due() -> Any:
        number = step % n
        return number == 0 if not hasattr(number, "graph") else _equal(number)

    with record_if(due):
        yield


def _equal(number: Any) -> Any:
    from corenn_tensorflow.functions.arithmetic import equal

    return equal(number, 0)


def _written(write: Callable[..., Any], name: str, family: str | None, tensor: Any, step: Any, **options: Any) -> Any:
    tag = f"{family}/{name}" if family else name
    return write(tag, tensor, get_or_create_global_step() if step is None else step, **options)


def scalar(name: str, tensor: Any, family: str | None = None, step: Any = None) -> Any:
    """Write a number."""
    return _written(eager.scalar, name, family, tensor, step)


def histogram(name: str, tensor: Any, family: str | None = None, step: Any = None) -> Any:
    """Write how values are distributed."""
    return _written(eager.histogram, name, family, tensor, step)


def image(
    name: str, tensor: Any, bad_color: Any = None, max_images: int = 3, family: str | None = None, step: Any = None
) -> Any:
    """Write images [n, height, width, channels]."""
    return _written(eager.image, name, family, tensor, step, max_outputs=max_images)


def audio(
    name: str, tensor: Any, sample_rate: int, max_outputs: int, family: str | None = None, step: Any = None
) -> Any:
    """Write sounds [n, samples, channels]."""
    array = tensor if np.ndim(tensor) == 3 else tensor[..., None]
    return _written(eager.audio, name, family, array, step, sample_rate=sample_rate, max_outputs=max_outputs)


__getattr__ = missing.guard(__name__)

__all__ = [
    "SummaryWriter", "always_record_summaries", "audio", "create_file_writer", "flush", "histogram", "image",
    "never_record_summaries", "record_if", "record_summaries_every_n_global_steps", "scalar", "should_record_summaries",
]  # fmt: skip
