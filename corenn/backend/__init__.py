"""What a backend is (``Backend``, ``Kernel``) and how one is found (``get_backend``)."""

from corenn.backend.contract import CONTRACT_VERSION, Backend, Kernel
from corenn.backend.registry import best_available, get_backend, use_backend

__all__ = ["CONTRACT_VERSION", "Backend", "Kernel", "best_available", "get_backend", "use_backend"]
