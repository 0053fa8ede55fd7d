"""Levels 1 to 3: every op of the table on its samples; values, gradients, and the sources that can serve a call."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from corenn import dtypes
from corenn.backend.contract import Backend
from corenn.backend.registry import get_backend
from corenn.device import Device, device_of
from corenn.dtypes import DType
from corenn.ops.sampling import Sample
from corenn.ops.table import Op
from corenn.testing import checks
from corenn.testing.cases import Case
from corenn.testing.trial import is_free

#: The dtypes in which the dearer variants run (strided operands, repeats, other devices), where the op takes them.
_FIRST_CHOICES = (dtypes.float32, dtypes.int32, dtypes.bool_)


def _samples(op: Op) -> Iterator[tuple[str, Sample, list[DType]]]:
    """Samples of an op: the part of an id, the sample, the dtypes it is tried in."""
    for number, sample in enumerate(op.sample_list):
        yield f"{op.name}/{number}", sample, checks.accepted_dtypes(op, sample)


def _named(dtype: DType, sample: Sample) -> str:
    return dtype.name if is_free(sample) else "fixed"


def _first_choice(accepted: list[DType]) -> list[DType]:
    """One dtype to run a dear variant in; none for an op that takes no dtype at all."""
    return [d for d in _FIRST_CHOICES if d in accepted][:1] or accepted[:1]


def value_cases(backend: Backend) -> Iterator[Case]:
    """L1: values by dtype; then, in one dtype, on strided views, twice over, and on the last device."""
    devices = [device_of(backend, i) for i in range(backend.device_count())]
    home, other = devices[0], devices[-1]
    for op in checks.all_ops():
        for name, sample, accepted in _samples(op):
            for dtype in accepted:
                check = functools.partial(checks.check_forward, op, sample, dtype, home)
                yield Case(f"L1/{name}/{_named(dtype, sample)}", check)
            for dtype in _first_choice(accepted):
                given = (op, sample, dtype)
                stem = f"L1/{name}/{_named(dtype, sample)}"
                if sample.args:
                    yield Case(f"{stem}/strided", functools.partial(checks.check_forward, *given, home, views=True))
                yield Case(f"{stem}/repeat", functools.partial(checks.check_repeat, *given, home))
                if other is not home and sample.args:
                    yield Case(f"{stem}/device", functools.partial(checks.check_placed, *given, other, home))
        yield from _elementwise_cases(op, home)
        for number, refused in enumerate(op.error_list):
            yield Case(f"L1/{op.name}/error{number}", functools.partial(checks.check_error, op, refused, home))


def _elementwise_cases(op: Op, home: Device) -> Iterator[Case]:
    """What elementwise ops are tried on beyond their samples: NaN, infinities and signed zeros; other sizes."""
    special, basic = checks.special_sample(op), checks.resizable_sample(op)
    if special is not None:
        for dtype in (d for d in checks.accepted_dtypes(op, special) if d in (dtypes.float32, dtypes.float64)):
            check = functools.partial(checks.check_special, op, special, dtype, home)
            yield Case(f"L1/{op.name}/special/{dtype}", check)
    if basic is not None:
        for dtype in _first_choice(checks.accepted_dtypes(op, basic)):
            for size, shape in checks.RESIZED.items():
                check = functools.partial(checks.check_resized, op, basic, dtype, home, shape)
                yield Case(f"L1/{op.name}/{size}/{dtype}", check)


def gradient_cases(backend: Backend) -> Iterator[Case]:
    """L2: in float64 by differences, in float32 against float64; first and second order.

    A backend without float64 is held against the NumPy backend's float64.
    """
    home = device_of(backend, 0)
    double = dtypes.float64 in backend.offered
    exact = home if double else device_of(get_backend("numpy"))
    for op in checks.all_ops():
        for name, sample, accepted in _samples(op):
            if not checks.has_gradient(op, sample):
                continue
            if double and dtypes.float64 in accepted:
                yield Case(f"L2/{name}/float64", functools.partial(checks.check_gradient, op, sample, home))
            if dtypes.float32 in accepted:
                check = functools.partial(checks.check_gradient_values, op, sample, home, exact)
                yield Case(f"L2/{name}/float32", check)


def source_cases(backend: Backend) -> Iterator[Case]:
    """L3: where several sources can serve an op, each of them by dtype."""
    home = device_of(backend, 0)
    for op in checks.all_ops():
        known = len(backend.kernels_for(op.name)) + (op.kernel_function is not None) + (op.decomposition is not None)
        if known < 2:
            continue
        for name, sample, accepted in _samples(op):
            for dtype in accepted:
                check = functools.partial(checks.check_sources, op, sample, dtype, home)
                yield Case(f"L3/{name}/{_named(dtype, sample)}", check)
