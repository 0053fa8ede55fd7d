"""``tf.version``: the version of TensorFlow's API that the program's generation stands for."""

from __future__ import annotations

from typing import Any

from corenn_tensorflow import mode

#: The last release of each generation whose API the facade follows.
VERSIONS = {1: "1.15.5", 2: "2.15.0"}

GRAPH_DEF_VERSION = 1482
GRAPH_DEF_VERSION_MIN_CONSUMER = GRAPH_DEF_VERSION_MIN_PRODUCER = 0
COMPILER_VERSION = "none: corenn runs the program"
GIT_VERSION = "corenn"


def of_generation() -> str:
    """The version of the present generation."""
    return VERSIONS[mode.generation()]


def __getattr__(name: str) -> Any:
    if name == "VERSION":
        return of_generation()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "COMPILER_VERSION", "GIT_VERSION", "GRAPH_DEF_VERSION", "GRAPH_DEF_VERSION_MIN_CONSUMER",
    "GRAPH_DEF_VERSION_MIN_PRODUCER", "VERSION",  # noqa: F822  # VERSION follows the generation
]  # fmt: skip
