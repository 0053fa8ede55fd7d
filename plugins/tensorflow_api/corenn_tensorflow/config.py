"""``tf.config``: the devices of this process, and settings of TensorFlow's runtime, which change nothing here."""

from __future__ import annotations

from collections import namedtuple
from types import SimpleNamespace
from typing import Any

from corenn.device import current_device
from corenn_tensorflow import missing

PhysicalDevice = namedtuple("PhysicalDevice", ["name", "device_type"])
LogicalDevice = namedtuple("LogicalDevice", ["name", "device_type"])


class LogicalDeviceConfiguration:
    """A part of a device; devices are used whole."""

    def __init__(self, memory_limit: Any = None, experimental_priority: Any = None, **options: Any) -> None:
        self.memory_limit = memory_limit


def _kinds() -> list[str]:
    return ["CPU", "GPU"] if current_device().name.startswith("cuda") else ["CPU"]


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The devices: the CPU, and the GPU if this process computes on one."""
    return [PhysicalDevice(f"/physical_device:{k}:0", k) for k in _kinds() if device_type in (None, k)]


def list_logical_devices(device_type: str | None = None) -> list[LogicalDevice]:
    """The devices as operations name them."""
    return [LogicalDevice(f"/device:{k}:0", k) for k in _kinds() if device_type in (None, k)]


def get_visible_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The devices."""
    return list_physical_devices(device_type)


def set_visible_devices(devices: Any, device_type: str | None = None) -> None:
    """Nothing: the device was chosen when the program began (``corenn run --backend``)."""


def set_logical_device_configuration(device: Any, logical_devices: Any) -> None:
    """Nothing: devices are used whole."""


def get_logical_device_configuration(device: Any) -> None:
    """``None``: devices are used whole."""


def run_functions_eagerly(run_eagerly: bool) -> None:
    """Whether ``tf.function`` runs its Python at every call."""
    from corenn_tensorflow.functions.differentiating import Function

    Function._untraceable = bool(run_eagerly)


def functions_run_eagerly() -> bool:
    """Whether ``tf.function`` runs its Python at every call."""
    from corenn_tensorflow.functions.differentiating import Function

    return Function._untraceable


experimental_run_functions_eagerly = run_functions_eagerly


def set_soft_device_placement(enabled: bool) -> None:
    """Nothing: all operations run on one device."""


def get_soft_device_placement() -> bool:
    """True: a device that is asked for need not be there."""
    return True


def experimental_list_devices() -> list[str]:
    """The names of the devices."""
    return [d.name for d in list_logical_devices()]


def session_devices(session: Any) -> list[Any]:
    """What ``Session.list_devices`` gives."""
    kind = "GPU" if session.device.name.startswith("cuda") else "CPU"
    name = f"/job:localhost/replica:0/task:0/device:{kind}:0"
    return [SimpleNamespace(name=name, device_type=kind, memory_limit_bytes=0)]


class _Settings(SimpleNamespace):
    """Functions of a group of settings."""


_threads = {"intra": 0, "inter": 0}


def _set_threads(which: str) -> Any:
    return lambda num_threads: _threads.update({which: int(num_threads)})


threading = _Settings(
    set_intra_op_parallelism_threads=_set_threads("intra"), set_inter_op_parallelism_threads=_set_threads("inter"),
    get_intra_op_parallelism_threads=lambda: _threads["intra"],
    get_inter_op_parallelism_threads=lambda: _threads["inter"],
)  # fmt: skip
optimizer = _Settings(
    set_jit=lambda enabled: None, get_jit=lambda: "", set_experimental_options=lambda options: None,
    get_experimental_options=dict,
)  # fmt: skip
experimental = _Settings(
    list_physical_devices=list_physical_devices, list_logical_devices=list_logical_devices,
    set_memory_growth=lambda device, enable: None, get_memory_growth=lambda device: True,
    set_visible_devices=set_visible_devices, get_visible_devices=get_visible_devices,
    set_virtual_device_configuration=set_logical_device_configuration,
    VirtualDeviceConfiguration=LogicalDeviceConfiguration, enable_op_determinism=lambda: None,
    get_device_details=lambda device: {},
)  # fmt: skip

__all__ = [
    "LogicalDevice", "LogicalDeviceConfiguration", "PhysicalDevice", "experimental", "experimental_list_devices",
    "experimental_run_functions_eagerly", "functions_run_eagerly", "get_logical_device_configuration",
    "get_soft_device_placement", "get_visible_devices", "list_logical_devices", "list_physical_devices", "optimizer",
    "run_functions_eagerly", "set_logical_device_configuration", "set_soft_device_placement", "set_visible_devices",
    "threading",
]  # fmt: skip

__getattr__ = missing.guard(__name__)
