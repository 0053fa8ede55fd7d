"""Which weight of a model gets which array of a file, said as a report, and done only when all of it can be."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from corenn.errors import CheckpointError, UsageError
from corenn.layers.base import Layer
from corenn.ops.creation import tensor
from corenn_models.weights import names
from corenn_models.weights.keras_files import snake_case
from corenn_models.weights.source import SavedLayer, WeightFile
from corenn_models.weights.units import Target, Unit, units

By = Literal["name", "order"]
_SHOWN = 8


@dataclasses.dataclass(frozen=True)
class Match:
    """What a weight of the model gets.

    ``weight`` and ``shape``: the model's.  ``source``: the file's names of the arrays it is made of, with their shapes;
    ``problem``: why it cannot be had, ``None`` if it can.
    """

    weight: str
    shape: tuple[int, ...]
    source: str
    problem: str | None = None


@dataclasses.dataclass
class Report:
    """What of a file fits what of a model.

    ``by``: how layers were paired.  ``matches``: one for each weight of the model.  ``unused``: layers of the file that
    the model does not have.  ``extra``: arrays of paired layers that the model's layers do not have.
    """

    path: str
    kind: str
    model: str
    by: By
    matches: list[Match]
    unused: list[str]
    extra: list[str]
    notes: list[str]

    @property
    def matched(self) -> list[Match]:
        """The weights that are in the file and fit."""
        return [m for m in self.matches if m.problem is None]

    @property
    def problems(self) -> list[str]:
        """What keeps the file from being loaded, a line each."""
        found = [f"{m.weight}: {m.problem}" for m in self.matches if m.problem is not None]
        found += [f"{name} is in the file, and the model's layer has nothing like it" for name in self.extra]
        left = self.unused if self.by == "order" else []
        return found + [f"{name} is in the file, and the model has no such layer" for name in left]

    @property
    def complete(self) -> bool:
        """Whether every weight of the model is in the file and fits."""
        return not self.problems

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        found = dataclasses.asdict(self)
        return {**found, "complete": self.complete, "matched": len(self.matched), "weights": len(self.matches)}

    def as_text(self, every: bool = True) -> str:
        """The report for a person; ``every``: also the weights that fit."""
        lines = [f"{self.path}: {self.kind}", *self.notes]
        lines.append(f"{len(self.matched)} of {len(self.matches)} weights of {self.model} matched, by {self.by}")
        rows = [m for m in self.matches if every or m.problem is not None]
        width = max((len(m.weight) for m in rows), default=0)
        lines += [f"  {m.weight:<{width}}  {m.problem or m.source}" for m in rows]
        lines += [f"  {name}: the model's layer has nothing like it" for name in self.extra]
        if self.unused:
            lines.append(f"not used: {', '.join(self.unused[:40])}" + (", ..." if len(self.unused) > 40 else ""))
        return "\n".join(lines)


class Plan:
    """A report with what is needed to act on it."""

    def __init__(self, report: Report, ready: list[tuple[Target, SavedLayer]]) -> None:
        self.report, self._ready = report, ready

    def apply(self, partial: bool) -> None:
        """Assign all that matched, or nothing: CheckpointError when something does not fit, unless ``partial``."""
        report = self.report
        if not report.complete and not partial:
            shown = {str(i): p for i, p in enumerate(report.problems[:_SHOWN], 1)}
            what = f"{len(report.problems)} things do not fit {report.model}, matched by {report.by}"
            raise CheckpointError(report.path, what, shown, hint=names.advice(report.model, report.unused))
        if not self._ready:
            raise CheckpointError(report.path, f"nothing in it fits {report.model}",
                                  {"it has": ", ".join(report.unused[:_SHOWN])},
                                  hint=names.advice(report.model, report.unused))  # fmt: skip
        made = [(target.variable, self._value(target, saved)) for target, saved in self._ready]
        for variable, value in made:
            variable.assign(value)

    def _value(self, target: Target, saved: SavedLayer) -> Any:
        arrays = [saved.arrays[key].read() for key, _ in target.sources]
        for array, (key, shape) in zip(arrays, target.sources, strict=True):
            if array.shape != shape:
                raise CheckpointError(self.report.path, f"{saved.name}/{key} changed its shape while it was read")
        value = np.ascontiguousarray(target.make(*arrays))
        kind = target.variable.dtype
        return tensor(value.astype(kind.numpy, copy=False), dtype=kind, device=target.variable.device)


def plan(model: Layer, file: WeightFile, by: By | None = None) -> Plan:
    """What can be loaded from a file, without reading its arrays.

    ``by``: see ``load``.  Raises CheckpointError where layers cannot be paired at all.
    """
    if by not in ("name", "order", None):
        raise UsageError("weights", f"by={by!r} is not a way to match", hint="by='name' or by='order'")
    found = units(model, file.layout)
    if not found:
        raise UsageError(model.name, "the model has no weights yet", hint="call it on one batch first, then load")
    names.check_age(file.path, [layer.name for layer in file.layers], [unit.name for unit in found])
    saved = [layer for layer in file.layers if layer.arrays]
    by_name = _named(found, saved)
    by = by or _chosen(file, found, by_name, saved)
    return _compare(model, file, by, found, by_name if by == "name" else _ordered(file, found, saved), saved)


def _chosen(file: WeightFile, found: Sequence[Unit], by_name: Sequence[Any], saved: Sequence[SavedLayer]) -> By:
    """Names where people gave them; automatic ones depend on what else a process has made, so order comes first."""
    if not (file.ordered or file.layout == "keras3"):
        return "name"
    named = all(layer is not None for layer in by_name)
    if not named and len(saved) != len(found) and any(layer is not None for layer in by_name):
        return "name"  # some of it can only be said by name
    automatic = any(unit.kind and re.fullmatch(rf"{snake_case(unit.kind)}(_\d+)?", unit.name) for unit in found)
    return "name" if named and not (automatic and len(saved) == len(found)) else "order"


def _named(found: Sequence[Unit], saved: Sequence[SavedLayer]) -> list[SavedLayer | None]:
    known = {layer.name: layer for layer in saved}
    chosen = []
    for unit in found:
        name = next((n for n in (unit.name, *names.other_names(unit.name)) if n in known), None)
        chosen.append(None if name is None else known[name])
    return chosen


def _ordered(file: WeightFile, found: Sequence[Unit], saved: Sequence[SavedLayer]) -> list[SavedLayer | None]:
    if file.layout == "keras3":
        places = {layer.place: layer for layer in saved}
        return [places.get(unit.place) for unit in found]
    if not file.ordered:
        raise CheckpointError(file.path, "does not keep the order of the model's layers", hint="match by='name'")
    if len(saved) != len(found):
        raise CheckpointError(
            file.path, f"Layer count mismatch when loading weights from file. Model expected {len(found)} layers, "
            f"found {len(saved)} saved layers.", _sides(found, saved), hint="match by='name'",
        )  # fmt: skip
    theirs, ours = [layer.name for layer in saved], [unit.name for unit in found]
    if theirs != ours and sorted(theirs) == sorted(ours):
        first = next((a, b) for a, b in zip(ours, theirs, strict=True) if a != b)
        raise CheckpointError(file.path, "has layers of the model's names in another order",
                              {"model": first[0], "file": first[1]}, hint="match by='name'")  # fmt: skip
    return list(saved)


def _sides(found: Sequence[Unit], saved: Sequence[SavedLayer]) -> dict[str, str]:
    def shown(listed: list[str]) -> str:
        return ", ".join(listed[:_SHOWN]) + (", ..." if len(listed) > _SHOWN else "")

    return {"model": shown([u.name for u in found]), "file": shown([s.name for s in saved])}


def _compare(
    model: Layer, file: WeightFile, by: By, found: Sequence[Unit], pairs: Sequence[SavedLayer | None],
    saved: Sequence[SavedLayer],
) -> Plan:  # fmt: skip
    matches, ready, extra = [], [], []
    for unit, layer in zip(found, pairs, strict=True):
        for target in unit.targets:
            source, problem = _fit(target, layer)
            matches.append(Match(target.name, target.variable.shape, source, problem))
            if problem is None and layer is not None:
                ready.append((target, layer))
        if layer is not None:
            used = {key for target in unit.targets for key, _ in target.sources}
            extra += [stored.name for key, stored in layer.arrays.items() if key not in used]
    taken = {id(layer) for layer in pairs}
    unused = [layer.name or "(the model itself)" for layer in saved if id(layer) not in taken]
    notes = list(file.notes)
    report = Report(file.path, file.kind, model.name, by, matches, unused, extra, notes)
    return Plan(report, ready)


def _fit(target: Target, layer: SavedLayer | None) -> tuple[str, str | None]:
    """The names and shapes of what a weight is made of, and what is wrong with them."""
    if layer is None:
        return "", "its layer is not in the file"
    texts = []
    for key, shape in target.sources:
        stored = layer.arrays.get(key)
        if stored is None:
            return "", f"{layer.name or 'the file'} has no {key}, only {', '.join(layer.arrays)}"
        if stored.shape != shape:
            return "", f"{stored.name} has the shape {stored.shape}, and should have {shape}"
        if stored.dtype.startswith("complex") or stored.dtype == "bool":
            return "", f"{stored.name} has the element type {stored.dtype}"
        texts.append(f"{stored.name} {stored.dtype}{list(stored.shape)}")
    return " + ".join(texts), None


__all__ = ["By", "Match", "Plan", "Report", "plan"]
