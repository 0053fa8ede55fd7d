"""Putting the offers of all plugins together under one rule: what a name means never depends on the order of the path.

Per kind, each name or alias goes to the first of these that claims it: a built-in plugin's name, a built-in's alias,
another plugin's name, another's alias.  Where two plugins that are not built in claim it with equal right, neither
gets it, and a look-up says whose they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from corenn.plugin.loader import FILTER_VARIABLE, Offer
from corenn.plugin.problems import THIS_PROCESS, PluginInfo, PluginProblem, origin
from corenn.plugin.records import RECORD_TYPES, Record

#: Names that the command line and the documentation promise to mean corenn's own thing.  A plugin from elsewhere never
#: gets them, not even where the built-in that has them failed to load: a run must not quietly use something else.
RESERVED: Mapping[str, frozenset[str]] = {
    "backend": frozenset({"numpy", "cupy", "cuda"}),
    "dataset": frozenset({"digits", "mnist", "fashion_mnist"}),
    "task": frozenset({"digits"}),
}


@dataclass(frozen=True)
class Catalogue:
    """Everything plugins offer: records by kind and name (sorted), aliases, and what was refused and why."""

    records: Mapping[str, Mapping[str, Record]]
    aliases: Mapping[str, Mapping[str, str]]
    refused: Mapping[tuple[str, str], PluginProblem]
    problems: tuple[PluginProblem, ...]
    plugins: tuple[PluginInfo, ...]


def merge(offers: Iterable[Offer], problems: Iterable[PluginProblem]) -> Catalogue:
    """The catalogue of all offers (built-in ones first); ``problems`` are further ones that belong to no plugin."""
    offers = list(offers)
    found = [*problems, *(problem for offer in offers for problem in offer.problems)]
    refused: dict[tuple[str, str], PluginProblem] = {}
    records: dict[str, dict[str, Record]] = {}
    aliases: dict[str, dict[str, str]] = {}
    for kind in RECORD_TYPES:
        claims = [_Claim(record.name, offer.info, record) for offer in offers for record in offer.records]
        records[kind], aliases[kind], lost = _settle(kind, [claim for claim in claims if claim.record.kind == kind])
        for name, problem in lost:
            refused.setdefault((kind, name), problem)
            found.append(problem)
    return Catalogue(records, aliases, refused, tuple(found), tuple(offer.info for offer in offers))


@dataclass(frozen=True, eq=False)
class _Claim:
    """A record's claim to ``label``, its name or one of its aliases."""

    label: str
    info: PluginInfo
    record: Record

    @property
    def rank(self) -> tuple[bool, bool]:
        return not self.info.builtin, self.label != self.record.name

    def aliases(self) -> list[_Claim]:
        return [_Claim(alias, self.info, self.record) for alias in self.record.aliases]

    @property
    def origin(self) -> str:
        return origin(self.info.name, self.info.distribution)


def _settle(
    kind: str, names: list[_Claim]
) -> tuple[dict[str, Record], dict[str, str], list[tuple[str, PluginProblem]]]:
    """Records by name, with the aliases each keeps; alias to name; and the names that somebody lost, with problems."""
    # Once without the aliases of strangers, to see which records stay: those that go must not hold on to an alias.
    builtin = [alias for claim in names if claim.info.builtin for alias in claim.aliases()]
    winners, _ = _award(kind, [*names, *builtin])
    staying = [claim for claim in names if winners[claim.label] is claim]
    winners, lost = _award(kind, [*names, *(alias for claim in staying for alias in claim.aliases())])
    records: dict[str, Record] = {}
    targets: dict[str, str] = {}
    for claim in sorted(staying, key=lambda claim: claim.label):
        mine = tuple(alias.label for alias in claim.aliases() if _holds(winners[alias.label], claim))
        targets.update(dict.fromkeys(mine, claim.label))
        records[claim.label] = replace(claim.record, aliases=mine)
    return records, targets, lost


def _holds(winner: _Claim | None, claim: _Claim) -> bool:
    return winner is not None and winner.record is claim.record


def _award(kind: str, claims: list[_Claim]) -> tuple[dict[str, _Claim | None], list[tuple[str, PluginProblem]]]:
    """Who gets each label (``None``: nobody), and a problem for each claim that fails."""
    by_label: dict[str, list[_Claim]] = defaultdict(list)
    for claim in claims:
        by_label[claim.label].append(claim)
    winners: dict[str, _Claim | None] = {}
    lost: list[tuple[str, PluginProblem]] = []
    for label, rivals in sorted(by_label.items()):
        best = min(claim.rank for claim in rivals)
        first, *equals = [claim for claim in rivals if claim.rank == best]
        reserved = label in RESERVED.get(kind, ()) and not first.info.builtin
        winners[label] = winner = first if first.info.builtin or not (equals or reserved) else None
        lost += [(label, _problem(kind, claim, rivals, winner)) for claim in rivals if claim is not winner]
    return winners, lost


def _problem(kind: str, claim: _Claim, rivals: list[_Claim], winner: _Claim | None) -> PluginProblem:
    info, label = claim.info, claim.label
    others = [other for other in rivals if other is not claim]
    hint = "ask its author to rename it" if info.distribution != THIS_PROCESS else "choose another name"
    if winner is not None:
        what = f"{kind} {label!r} of {claim.origin} is refused: {winner.origin} has that name"
    elif label in RESERVED.get(kind, ()):
        what = f"{kind} {label!r} of {claim.origin} is refused: the name is reserved for corenn's own"
    elif all(other.origin == claim.origin for other in others):
        what = f"{kind} {label!r} is offered twice by {claim.origin}, so it is not used"
    else:
        whose = " and by ".join(sorted({other.origin for other in others}))
        what = f"{kind} {label!r} is offered by {claim.origin} and by {whose}, so neither is used"
        if len({THIS_PROCESS, *(rival.info.distribution for rival in rivals)}) > 2:
            hint = f"uninstall one, or choose with {FILTER_VARIABLE}"
    return PluginProblem(info.name, info.distribution, "duplicate", what, hint=hint)
