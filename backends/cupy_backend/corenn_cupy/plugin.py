"""What this distribution registers with corenn, and whether it can be used here: asked of the driver, not of CuPy."""

from __future__ import annotations

import ctypes
import importlib.util
import sys

from corenn.plugin import BackendRecord, hookimpl

INSTALL = "pip install 'corenn[cuda13]' (CUDA 13) or pip install 'corenn[cuda12]' (CUDA 12)"


def unavailable() -> str | None:
    """``None`` if CuPy is installed and the driver has a device; else the reason why the backend cannot be used.

    Takes microseconds and imports neither CuPy nor array-api-compat, so that backends can be listed anywhere.
    """
    for package in ("cupy", "array_api_compat"):
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed"
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return "there is no NVIDIA driver (libcuda was not found)"
    count = ctypes.c_int(0)
    status = driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count))
    if status:
        return f"the NVIDIA driver answers with error {status}"
    return None if count.value else "the NVIDIA driver sees no device"


@hookimpl
def corenn_backends() -> list[BackendRecord]:
    """The CUDA backend."""
    return [
        BackendRecord(
            name="cuda",
            aliases=("cupy",),
            factory="corenn_cupy.backend:CupyBackend",
            description="NVIDIA GPUs through CuPy",
            probe=unavailable,
            install_hint=INSTALL,
            priority=100,
        )
    ]
