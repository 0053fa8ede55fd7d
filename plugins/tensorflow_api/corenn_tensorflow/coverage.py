"""``corenn tf-coverage``: which public names of TensorFlow the facade has."""

from __future__ import annotations

import importlib
import json
from typing import Annotated, Any

import typer

from corenn.errors import DataError, UsageError, nearest
from corenn_tensorflow.missing import API_LISTS, api_names

_PACKAGE = __name__.rpartition(".")[0]
_TOP = "(top)"


def has(name: str) -> bool:
    """Whether the facade has ``tf.`` + ``name``: every part is an attribute of the one before."""
    found: Any = importlib.import_module(_PACKAGE)
    path = _PACKAGE
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            try:
                found = importlib.import_module(f"{path}.{part}")
            except ModuleNotFoundError:
                return False
        path = f"{path}.{part}"
    return True


def coverage(prefix: str = "") -> dict[str, dict[str, bool]]:
    """For each version of TensorFlow, its public names (those below ``prefix``) and whether the facade has them.

    Raises ``DataError`` when the lists are not there, ``UsageError`` when no name lies below ``prefix``.
    """
    prefix = prefix.removeprefix("tensorflow.").removeprefix("tf.").strip(".")
    lists = {version: names for version in API_LISTS if (names := api_names(version)) is not None}
    if not lists:
        raise DataError("tf-coverage", "the lists of names are not there", {"files": ", ".join(API_LISTS.values())},
                        hint="install corenn again")  # fmt: skip
    known: dict[str, bool] = {}
    found: dict[str, dict[str, bool]] = {}
    for version, names in lists.items():
        chosen = sorted(n for n in names if not prefix or n == prefix or n.startswith(prefix + "."))
        for name in chosen:
            if name not in known:
                known[name] = has(name)
        found[version] = {name: known[name] for name in chosen}
    if not known:
        spaces = {n.rpartition(".")[0] for names in lists.values() for n in names}
        raise UsageError("tf-coverage", f"TensorFlow has no name tf.{prefix}", hint=nearest(prefix, spaces - {""}))
    return found


def namespaces(names: dict[str, bool]) -> dict[str, tuple[int, int]]:
    """For each namespace, how many of its names are there, and how many there are."""
    counts: dict[str, tuple[int, int]] = {}
    for name, there in names.items():
        space = name.rpartition(".")[0] or _TOP
        have, total = counts.get(space, (0, 0))
        counts[space] = (have + there, total + 1)
    return dict(sorted(counts.items()))


def tf_coverage(
    prefix: Annotated[str, typer.Argument(help="Only names below this, such as tf.nn; they are listed.")] = "",
    missing: Annotated[bool, typer.Option("--missing", help="List the names that corenn does not have.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Names of the TensorFlow 1.15 and 2.x API that corenn has, and those it does not have.

    Counts for each namespace; with PREFIX or --missing the names themselves.
    """
    found = coverage(prefix)
    if as_json:
        print(json.dumps({version: _summary(names, bool(prefix)) for version, names in found.items()}, indent=2))
        return
    if missing or prefix:
        _show_names(found, only_missing=missing)
    else:
        _show_counts(found)
    for version, names in found.items():
        if names:
            have = sum(names.values())
            print(f"TensorFlow {version}: {have} of {len(names)} names ({100 * have / len(names):.0f} %)")


def _summary(names: dict[str, bool], with_names: bool) -> dict[str, Any]:
    result: dict[str, Any] = {
        "have": sum(names.values()),
        "total": len(names),
        "namespaces": {space: {"have": h, "total": t} for space, (h, t) in namespaces(names).items()},
        "missing": [name for name, there in names.items() if not there],
    }
    if with_names:
        result["present"] = [name for name, there in names.items() if there]
    return result


def _show_names(found: dict[str, dict[str, bool]], only_missing: bool) -> None:
    """A line for each name: whether it is there, and which versions of TensorFlow have it."""
    for name in sorted({name for names in found.values() for name in names}):
        versions = [version for version, names in found.items() if name in names]
        there = found[versions[0]][name]
        if not (only_missing and there):
            print(f"{'yes' if there else 'no ':<3}  tf.{name}  ({', '.join(versions)})")


def _show_counts(found: dict[str, dict[str, bool]]) -> None:
    counted = {version: namespaces(names) for version, names in found.items()}
    spaces = sorted({space for counts in counted.values() for space in counts})
    width = max(len(space) for space in spaces) + 3
    print(" " * width + "".join(f"{version:>12}" for version in counted))
    for space in spaces:
        cells = [counts.get(space) for counts in counted.values()]
        shown = "".join(f"{f'{c[0]}/{c[1]}' if c else '-':>12}" for c in cells)
        print(f"{space if space == _TOP else 'tf.' + space:<{width}}{shown}")
