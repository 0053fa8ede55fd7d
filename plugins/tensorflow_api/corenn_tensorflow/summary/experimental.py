"""``tf.summary.experimental``: the default step, and names in scopes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from corenn.summary import get_step, set_step
from corenn_tensorflow import missing
from corenn_tensorflow.summary.eager import _prefixed, write_raw_pb


@contextmanager
def summary_scope(
    name: str, default_name: str = "summary", values: Sequence[Any] | None = None
) -> Iterator[tuple[str, str]]:
    """The tag and the scope of a summary called ``name``."""
    tag = _prefixed(name or default_name)
    yield tag, tag + "/"


__getattr__ = missing.guard(__name__)

__all__ = ["get_step", "set_step", "summary_scope", "write_raw_pb"]
