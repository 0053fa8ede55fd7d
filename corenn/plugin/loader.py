"""Finding plugins and loading each on its own guard, so that a broken one is reported and the rest work.

Pluggy's ``load_setuptools_entrypoints`` is not used: there one failing import aborts the whole load, and of two entry
points of one name the later on the path is silently ignored.  Each plugin gets a plugin manager of its own, which is
thrown away afterwards: nothing can stay half registered, and no plugin can wrap or reorder another's hooks.
"""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from corenn.errors import nearest
from corenn.plugin.problems import THIS_PROCESS, PluginInfo, PluginProblem, PluginRefusedError, ProblemKind, raised
from corenn.plugin.records import CONTRACT_VERSION, OLDEST_CONTRACT, RECORD_TYPES, Record

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    import pluggy

GROUP = "corenn"  # the entry-point group
BUILTIN_DISTRIBUTION = "corenn"  # its plugins are the built-in ones
FILTER_VARIABLE = "CORENN_PLUGINS"

RECORD_TYPE_OF_HOOK = {f"corenn_{kind}s": record_type for kind, record_type in RECORD_TYPES.items()}


@dataclass(frozen=True)
class Candidate:
    """A plugin that was found but not imported; ``load`` imports it and returns the module or object."""

    info: PluginInfo
    load: Callable[[], object]


@dataclass(frozen=True)
class Offer:
    """What one plugin turned out to offer: its records in its own order, and its problems."""

    info: PluginInfo
    records: tuple[Record, ...] = ()
    problems: tuple[PluginProblem, ...] = ()


@dataclass(frozen=True)
class Discovery:
    """All plugins that were found through entry points, loaded, and the problems that belong to no single plugin."""

    offers: tuple[Offer, ...] = ()
    problems: tuple[PluginProblem, ...] = ()


def discover() -> Discovery:
    """Find the plugins of the installed distributions, leave out what ``CORENN_PLUGINS`` says, and load the rest."""
    problems: list[PluginProblem] = []
    candidates = _find(problems)
    if not any(candidate.info.builtin for candidate in candidates):
        problems.append(_not_installed())
    chosen, off = _choose(candidates, os.environ.get(FILTER_VARIABLE, ""), problems)
    offers = [Offer(replace(candidate.info, status="off")) for candidate in off]
    for group in _by_name(chosen):
        # a built-in plugin keeps its name; two strangers of one name cancel out, or the order of the path would decide
        kept = 1 if len(group) == 1 or group[0].info.builtin else 0
        offers += [load_plugin(candidate) for candidate in group[:kept]]
        offers += [_refuse_clash(candidate, group) for candidate in group[kept:]]
    offers.sort(key=lambda offer: _rank(offer.info))
    return Discovery(tuple(offers), tuple(problems))


def _rank(info: PluginInfo) -> tuple[bool, str, str]:
    """Built-in plugins first, then by name, whatever the order of the path."""
    return not info.builtin, info.name, info.distribution


# ---- finding


def _find(problems: list[PluginProblem]) -> list[Candidate]:
    """Every entry point of the group, in the order of ``_rank``."""
    found: dict[tuple[PluginInfo, str], Candidate] = {}
    for point in _entry_points(problems):
        info = _info(point)
        found[info, point.value] = Candidate(info, point.load)
    return sorted(found.values(), key=lambda candidate: _rank(candidate.info))


def _entry_points(problems: list[PluginProblem]) -> list[EntryPoint]:
    from importlib import metadata

    with contextlib.suppress(Exception):
        return list(metadata.entry_points(group=GROUP))
    # One distribution with damaged metadata spoils that call for all, so ask them one by one.  Of two copies of a
    # distribution the first on the path is the one that is imported.
    found: dict[str, list[EntryPoint]] = {}
    for distribution in metadata.distributions():
        name = "an unknown distribution"
        try:
            name = distribution.name or name
            if _canonical(name) not in found:
                found[_canonical(name)] = []
                found[_canonical(name)] = list(distribution.entry_points.select(group=GROUP))
        except Exception as error:
            problems.append(raised(PluginInfo("", name), "entry point", "its entry points could not be read", error))
    return [point for points in found.values() for point in points]


def _info(point: EntryPoint) -> PluginInfo:
    distribution, name, version = point.dist, None, None
    if distribution is not None:
        with contextlib.suppress(Exception):  # an installation whose metadata is damaged can still hold a good plugin
            name, version = distribution.name, distribution.version
    name = name or "an unknown distribution"
    return PluginInfo(point.name, name, version or "", _canonical(name) == BUILTIN_DISTRIBUTION)


def _canonical(distribution: str) -> str:
    return distribution.lower().replace("_", "-").replace(".", "-")


def _not_installed() -> PluginProblem:
    """corenn is imported from a folder that pip does not know, so not even its own plugins can be found."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    if os.path.exists(os.path.join(root, "pyproject.toml")):
        hint = f"in {root} run: pip install -e ."
    else:
        hint = f"pip install --force-reinstall {BUILTIN_DISTRIBUTION}"
    what = "corenn is not installed: its entry points are missing, so its own backends, data sets and tasks are too"
    return PluginProblem("", BUILTIN_DISTRIBUTION, "installation", what, hint=hint)


# ---- choosing


def _choose(
    candidates: list[Candidate], setting: str, problems: list[PluginProblem]
) -> tuple[list[Candidate], list[Candidate]]:
    """Split into those to load and those that ``CORENN_PLUGINS`` leaves out; built-in plugins always load.

    ``setting`` is empty (all), ``off`` (none), or a comma-separated list of plugins or distributions.
    """
    wanted = {_canonical(part.strip()) for part in setting.split(",") if part.strip()}
    if not wanted:
        return candidates, []
    if wanted == {"off"}:
        return [c for c in candidates if c.info.builtin], [c for c in candidates if not c.info.builtin]
    chosen: list[Candidate] = []
    off: list[Candidate] = []
    unknown = set(wanted)
    for candidate in candidates:
        names = {_canonical(candidate.info.name), _canonical(candidate.info.distribution)}
        (chosen if candidate.info.builtin or names & wanted else off).append(candidate)
        unknown -= names
    for name in sorted(unknown):
        hint = nearest(name, [candidate.info.name for candidate in candidates])
        what = f"no plugin or distribution {name!r} is installed"
        problems.append(PluginProblem("", FILTER_VARIABLE, "setting", what, hint=hint))
    return chosen, off


def _by_name(candidates: Iterable[Candidate]) -> Iterator[list[Candidate]]:
    """Candidates grouped by plugin name."""
    groups = defaultdict(list)
    for candidate in candidates:
        groups[candidate.info.name].append(candidate)
    yield from groups.values()


def _refuse_clash(candidate: Candidate, group: list[Candidate]) -> Offer:
    info = candidate.info
    others = sorted({other.info.distribution for other in group if other is not candidate})
    what = f"{' and '.join(others)} registers a plugin of the same name {info.name!r}"
    if group[0].info.builtin:
        what += ", which is built in and keeps it"
        hint = f"pip uninstall {info.distribution}, or ask its author to rename the entry point"
    else:
        what += ", so neither is loaded"
        hint = f"uninstall one, or choose with {FILTER_VARIABLE}={info.distribution}"
    return failed(info, "duplicate", what, hint=hint)


# ---- loading one


def load_plugin(candidate: Candidate) -> Offer:
    """Import one plugin, validate its hooks and collect its records; whatever goes wrong becomes a problem.

    A plugin that fails to import, misspells a hook or raises in one is refused whole.  A record that is of the wrong
    type or wants another contract is left out, and the plugin's other records stay.
    """
    info = candidate.info
    try:
        plugin = _import(candidate)
        manager = _register(info, plugin)
        problems: list[PluginProblem] = []
        records = [record for hook in _hooks_of(info, plugin, manager) for record in _call(info, hook, problems)]
    except PluginRefusedError as refused:
        return Offer(replace(info, status="failed"), problems=(refused.problem,))
    return Offer(info, tuple(records), tuple(problems))


def failed(info: PluginInfo, kind: ProblemKind, what: str, *, hint: str = "") -> Offer:
    """The offer of a plugin that could not be loaded."""
    problem = PluginProblem(info.name, info.distribution, kind, what, hint=hint)
    return Offer(replace(info, status="failed"), problems=(problem,))


def _import(candidate: Candidate) -> object:
    try:
        return candidate.load()
    except (Exception, SystemExit) as error:  # a script without a __main__ guard exits when it is imported
        raise PluginRefusedError(raised(candidate.info, "import", "it could not be imported", error)) from None


def _register(info: PluginInfo, plugin: object) -> pluggy.PluginManager:
    import pluggy

    from corenn.plugin import hookspecs

    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, info.name)
    except pluggy.PluginValidationError as error:  # its last line holds the reason, those before it the signature
        reason = str(error).strip().split("\n")[-1]
        raise _refused(info, f"a hook has the wrong signature: {reason}", "hooks take no arguments") from None
    except Exception as error:  # pluggy looks at every attribute of a plugin, and looking may run the plugin's code
        raise PluginRefusedError(raised(info, "hook", "its hooks could not be read", error)) from None
    return manager


def _refused(info: PluginInfo, what: str, hint: str = "") -> PluginRefusedError:
    return PluginRefusedError(PluginProblem(info.name, info.distribution, "hook", what, hint=hint))


def _hooks_of(info: PluginInfo, plugin: object, manager: pluggy.PluginManager) -> list[pluggy.HookCaller]:
    """The hooks a plugin implements; refuses one that implements an unknown hook, forgets the marker or has none."""
    hooks = manager.get_hookcallers(plugin) or []
    for hook in hooks:
        if not hook.has_spec() and not all(impl.optionalhook for impl in hook.get_hookimpls()):
            raise _refused(info, f"{hook.name!r} is not a hook of corenn", nearest(hook.name, RECORD_TYPE_OF_HOOK))
    known = [hook for hook in hooks if hook.has_spec()]
    for name in _functions_like_hooks(plugin):
        if manager.parse_hookimpl_opts(plugin, name) is not None:
            continue
        if name in RECORD_TYPE_OF_HOOK:
            raise _refused(info, f"{name!r} is not marked as a hook", "put @corenn.plugin.hookimpl above it")
        hint = nearest(name, RECORD_TYPE_OF_HOOK) + " (start helpers with an underscore)"
        raise _refused(info, f"{name!r} is named like a hook, but corenn has none of that name", hint)
    if not known and not hooks:
        raise _refused(info, "it implements no hook", "its entry point must name the module or object that has them")
    return known


def _functions_like_hooks(plugin: object) -> list[str]:
    """Names of functions called ``corenn_...``, without helpers that a module imported from elsewhere."""
    import inspect

    found = []
    home = plugin.__name__ if inspect.ismodule(plugin) else None
    for name in dir(plugin):
        if name.startswith("corenn_"):
            value = inspect.getattr_static(plugin, name, None)
            value = getattr(value, "__func__", value)  # static and class methods
            here = home is None or name in RECORD_TYPE_OF_HOOK or getattr(value, "__module__", home) == home
            if inspect.isfunction(value) and here:
                found.append(name)
    return found


def _call(info: PluginInfo, hook: pluggy.HookCaller, problems: list[PluginProblem]) -> list[Record]:
    """Call one hook and check what it returns; unusable records go to ``problems``."""
    expected = RECORD_TYPE_OF_HOOK[hook.name]
    advice = f"return a list of {expected.__name__}"
    records: list[Record] = []
    try:
        results: list[Any] = hook()
        if len(results) != len(hook.get_hookimpls()):  # pluggy drops results that are None
            raise _refused(info, f"{hook.name} returned None", advice)
        for result in results:
            if isinstance(result, Record):
                raise _refused(info, f"{hook.name} returned a single {type(result).__name__}", advice)
            records += _check(info, hook.name, expected, result, problems)
    except PluginRefusedError:
        raise
    except (Exception, SystemExit) as error:
        raise PluginRefusedError(raised(info, "hook", f"{hook.name} failed", error)) from None
    return records


def _check(
    info: PluginInfo, hook: str, expected: type[Record], result: Iterable[object], problems: list[PluginProblem]
) -> Iterator[Record]:
    for record in result:
        if not isinstance(record, expected):
            what = f"{hook} returned {_brief(record)} where a {expected.__name__} belongs"
            problems.append(PluginProblem(info.name, info.distribution, "record", what))
        elif not OLDEST_CONTRACT <= record.contract <= CONTRACT_VERSION:
            problems.append(_wrong_contract(info, record))
        else:
            yield replace(record, distribution=info.distribution)


def _brief(value: object) -> str:
    if isinstance(value, Record):
        return f"{type(value).__name__} {value.name!r}"
    text = repr(value)
    return text if len(text) <= 60 else f"an object of type {type(value).__name__}"


def _wrong_contract(info: PluginInfo, record: Record) -> PluginProblem:
    supported = f"{OLDEST_CONTRACT}" if OLDEST_CONTRACT == CONTRACT_VERSION else f"{OLDEST_CONTRACT}-{CONTRACT_VERSION}"
    what = (
        f"{record.kind} {record.name!r} was written for plugin contract {record.contract}; this corenn has {supported}"
    )
    package = BUILTIN_DISTRIBUTION if record.contract > CONTRACT_VERSION else info.distribution
    hint = "" if package == THIS_PROCESS else f"pip install --upgrade {package}"
    return PluginProblem(info.name, info.distribution, "contract", what, hint=hint)
