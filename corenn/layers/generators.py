"""The random generators of layers: those that were given a seed have one of their own, which a checkpoint must hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corenn.layers.base import Layer
from corenn.ops.random import Generator


def generators(layer: Layer) -> dict[str, Generator]:
    """The generators of a layer and of those inside, by the layers' paths: attributes called ``generator``."""
    held = ((path, inner.__dict__.get("generator")) for path, inner in layer._walk_paths())
    return {path: generator for path, generator in held if isinstance(generator, Generator)}


def get_generator_state(layer: Layer) -> dict[str, dict[str, int]]:
    """Where the generators stand, by path."""
    return {path: generator.state() for path, generator in generators(layer).items()}


def set_generator_state(layer: Layer, state: Mapping[str, Any]) -> None:
    """Let the generators continue where those of ``state`` stood; one that ``state`` does not know stays as it is."""
    for path, generator in generators(layer).items():
        if path in state:
            generator.set_state(state[path])


__all__ = ["generators", "get_generator_state", "set_generator_state"]
