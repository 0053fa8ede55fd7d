"""Two backends for tests: ``strict`` (array-api-strict) and ``simulated`` (a device without the hardware).

They are not installed as plugins; ``register_doubles()`` registers them in this process.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from corenn.backend.contract import Backend
from corenn.errors import MissingExtraError
from corenn.testing.simulated import DeviceAccessError, DeviceArray, DeviceMemory, SimulatedDevice, TransferCounts

__all__ = [
    "DeviceAccessError",
    "DeviceArray",
    "DeviceMemory",
    "SimulatedDevice",
    "StrictBackend",
    "TransferCounts",
    "register_doubles",
]

_PLUGIN = "corenn-testing-doubles"


class StrictBackend(Backend):
    """The array API standard and nothing else: array-api-strict refuses what only NumPy allows.

    With no kernels of its own it also shows that the shared kernels and decompositions are enough for every op.
    Raises MissingExtraError where array-api-strict is not installed.
    """

    name = "strict"

    def __init__(self) -> None:
        try:
            import array_api_strict
        except ImportError:
            raise MissingExtraError("the strict backend", "array-api-strict", "testing") from None
        self.xp = array_api_strict

    def from_host(self, array: np.ndarray[Any, Any], index: int) -> Any:
        """A copy of the array."""
        return self.xp.asarray(array, copy=True)

    def to_host(self, array: Any) -> np.ndarray[Any, Any]:
        """The same memory, seen as a NumPy array."""
        return np.asarray(array)

    def device_handle(self, index: int) -> Any:
        """The library's CPU device."""
        return self.xp.__array_namespace_info__().default_device()

    def describe_device(self, index: int) -> str:
        """The library's version."""
        return f"array-api-strict {self.xp.__version__}"


class _Plugin:
    """What ``register_doubles`` registers: records, as any plugin's."""

    def corenn_backends(self) -> list[Any]:
        """The two doubles."""
        from corenn.plugin import BackendRecord

        return [
            BackendRecord(
                "strict", "corenn.testing.doubles:StrictBackend", "test double: the array API and nothing else",
                probe=lambda: None if find_spec("array_api_strict") else "array-api-strict is not installed",
                install_hint="pip install 'corenn[testing]'", priority=-2,
            ),
            BackendRecord(
                "simulated", "corenn.testing.doubles:SimulatedDevice",
                "test double: two devices with memories of their own, on the host", priority=-2,
            ),
        ]  # fmt: skip


def register_doubles() -> None:
    """Register the backends ``strict`` and ``simulated`` in this process; a second call changes nothing.

    ``corenn.device("strict")`` and ``corenn.device("simulated:1")`` then work, and ``run_conformance`` takes the names.
    """
    from corenn.plugin import hookimpl, registry

    if any(info.name == _PLUGIN for info in registry.plugins()):
        return
    plugin = type("Doubles", (_Plugin,), {"corenn_backends": hookimpl(_Plugin.corenn_backends)})()
    registry.register(plugin, _PLUGIN)
