"""Indexing, scattering, sorting and segments."""

from __future__ import annotations

from collections.abc import Sequence

from corenn.backend import Kernel

KERNELS: dict[str, Kernel | Sequence[Kernel]] = {}
