"""The page of a report: everything in one file, which needs neither a network nor a script."""

from __future__ import annotations

import base64
import json
import math
import os
import string
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from corenn.errors import UsageError
from corenn.training.callbacks.monitor import Monitor
from corenn.training.callbacks.progress import duration
from corenn.training.report.charts import COLOURS, Series, figure, line_chart, thinned
from corenn.training.report.reading import Confusions, Curve, RunRecord
from corenn.training.report.style import style_sheet

_GENERATOR = '<meta name="generator" content="corenn report">'
_WIDE = 10  # facts about a run that have room beside each other
_ROWS = 60  # of the table below a chart: longer ones are thinned out
_LETTERS = string.ascii_uppercase


def write_report(runs: Sequence[RunRecord], out: str | os.PathLike[str]) -> Path:
    """Write the page that compares ``runs`` to ``out``, and return its path.

    UsageError when it cannot be written, or when ``out`` exists and is no report.
    """
    path = Path(out)
    page = report_page(runs)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.exists() and _GENERATOR not in path.read_text(encoding="utf-8", errors="replace")[:500]:
            raise UsageError("--out", f"{path} exists, and is no report", hint="choose another file")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(page, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise UsageError("--out", f"cannot write to {path}: {error.strerror}", hint="choose another file") from None
    return path


def report_page(runs: Sequence[RunRecord]) -> str:
    """The page as text."""
    return _Page(runs).text()


class _Page:
    def __init__(self, runs: Sequence[RunRecord]) -> None:
        self.runs = list(runs)
        self.several = len(self.runs) > 1
        # A colour for each run; in a single one for each of its parts.
        parts = list(dict.fromkeys(curve.part for curve in self.runs[0].curves)) if len(self.runs) == 1 else []
        self._colour_of_part = {part: i % COLOURS for i, part in enumerate(parts)}
        self._charts = 0

    def text(self) -> str:
        tasks = list(dict.fromkeys(str(run.config["task"]) for run in self.runs))
        title = f"{len(self.runs)} runs of {', '.join(tasks)}" if self.several else f"{tasks[0]}: {self.runs[0].label}"
        body = [self._figures(), self._curves(), self._settings(), self._matrices(), self._pictures(), self._origins()]
        return (
            f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{_GENERATOR}\n'
            '<meta name="viewport" content="width=device-width,initial-scale=1">\n'
            f"<title>{escape(title)}</title>\n<style>{style_sheet()}</style>\n</head>\n<body>\n"
            '<a class="skip" href="#curves">To the curves</a>\n'
            f"<main>\n<h1>{escape(title)}</h1>\n{''.join(part for part in body if part)}</main>\n</body>\n</html>\n"
        )

    def _badge(self, number: int) -> str:
        return f'<span class="badge c{number % COLOURS}">{_letter(number)}</span>' if self.several else ""

    def _heads(self) -> str:
        """A column head for each run."""
        return "".join(f'<th scope="col">{self._badge(i)}{escape(r.label)}</th>' for i, r in enumerate(self.runs))

    # ---- what came out

    def _figures(self) -> str:
        names = list(dict.fromkeys(name for run in self.runs for name in run.figures))
        best = {name: _best(name, [run.figures.get(name) for run in self.runs]) for name in names}
        chosen = [*(["task"] if len({r.config["task"] for r in self.runs}) > 1 else []), "backend", "seed"]
        facts = [(name, [f"<td>{escape(str(run.config[name]))}</td>" for run in self.runs]) for name in chosen]
        facts += [("steps", [_steps_cell(run) for run in self.runs]), ("time", [_time_cell(run) for run in self.runs])]
        facts += [(name, [_figure_cell(run.figures.get(name), best[name]) for run in self.runs]) for name in names]
        marked = self.several and any(value is not None for value in best.values())
        note = '<p class="soft">In bold: the best of the runs.</p>' if marked else ""
        problems = "".join(f'<p class="problem">{self._badge(i)}{escape(problem)}</p>'
                           for i, run in enumerate(self.runs) for problem in run.problems)  # fmt: skip
        table = self._figures_table(facts, len(chosen))
        return _section("figures", "Results", f'<div class="scroll" tabindex="0">{table}</div>{note}{problems}')

    def _figures_table(self, facts: list[tuple[str, list[str]]], texts: int) -> str:
        """A row a run, or a column a run if that makes it less wide; the first ``texts`` facts are no numbers."""
        if len(facts) > _WIDE and len(self.runs) < len(facts):
            rows = "".join(f'<tr><th scope="row">{escape(_readable(name))}</th>{"".join(cells)}</tr>'
                           for name, cells in facts)  # fmt: skip
            return (
                f'<table class="upright"><thead><tr><th scope="col">run</th>{self._heads()}</tr></thead>'
                f"<tbody>{rows}</tbody></table>"
            )
        kinds = ["", *[""] * texts, *[' class="number"'] * (len(facts) - texts)]
        names = ["run", *(_readable(name) for name, _ in facts)]
        head = "".join(f'<th scope="col"{kind}>{escape(n)}</th>' for n, kind in zip(names, kinds, strict=True))
        rows = "".join(
            f'<tr><th scope="row">{self._badge(i)}{escape(run.label)}</th>'
            f"{''.join(cells[i] for _, cells in facts)}</tr>"
            for i, run in enumerate(self.runs)
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"

    # ---- curves

    def _curves(self) -> str:
        groups: dict[tuple[str, str], list[tuple[int, Curve]]] = {}
        for number, run in enumerate(self.runs):
            for curve in run.curves:
                groups.setdefault((curve.name.removeprefix("val_"), curve.by), []).append((number, curve))
        if not groups:
            return _section("curves", "Curves", '<p class="empty">There are no figures yet.</p>')
        charts = [chart for (name, by), curves in groups.items() for chart in self._split(name, by, curves)]
        held = any(c.name.startswith("val_") for run in self.runs for c in run.curves)
        return _section("curves", "Curves", f'{self._legend(held)}<div class="grid-of-charts">{"".join(charts)}</div>')

    def _split(self, name: str, by: str, curves: list[tuple[int, Curve]]) -> Iterable[str]:
        """One chart, or one a part where there would be too many lines."""
        parts = list(dict.fromkeys(curve.part for _, curve in curves))
        lines = {(number, curve.part) for number, curve in curves}
        if self.several and len(parts) > 1 and len(lines) > 6:
            found = {part: [c for c in curves if c[1].part == part] for part in parts}
            return [self._chart(f"{name}, {part}" if part else name, by, of, False) for part, of in found.items()]
        alone = parts[0] is not None and len(parts) == 1 and len({c.part for r in self.runs for c in r.curves}) > 1
        return [self._chart(f"{name}, {parts[0]}" if alone else name, by, curves, len(parts) > 1)]

    def _chart(self, name: str, by: str, curves: list[tuple[int, Curve]], parts: bool) -> str:
        held = any(curve.name.startswith("val_") for _, curve in curves)
        shared = _shared([curve.part or "" for _, curve in curves]) if parts else 0
        series = [self._series(number, curve, held, parts, shared) for number, curve in curves]
        self._charts += 1
        # Losses may fall by powers of ten; what rises, such as an accuracy, seldom does so.
        wide = not _rises(curves[0][1].name)
        drawn = line_chart(_readable(name), by, series, f"chart{self._charts}", may_be_logarithmic=wide)
        return (
            f'<figure class="card"><h3>{escape(_readable(name))}</h3>{drawn}'
            f"<details><summary>As a table</summary>{_data_table(name, by, series)}</details></figure>"
        )

    def _series(self, number: int, curve: Curve, held: bool, parts: bool, shared: int) -> Series:
        """The line of a curve; its name without the ``shared`` first characters of all parts."""
        training = held and not curve.name.startswith("val_")
        short = " ".join(
            filter(None, (_letter(number) if self.several else "", (curve.part or "")[shared:] if parts else ""))
        )
        label = " ".join(filter(None, (short, f"({'training' if training else 'held-out'})" if held else "")))
        last = next((v for v in reversed(curve.y) if math.isfinite(v)), math.nan)
        colour = number % COLOURS if self.several else self._colour_of_part[curve.part]
        return Series(label or _readable(curve.name), short or figure(last), colour, curve.x, curve.y, training)

    def _legend(self, held: bool) -> str:
        items = []
        if self.several:
            items += [f"<li>{self._badge(i)}{escape(run.label)}</li>" for i, run in enumerate(self.runs)]
        elif len(self._colour_of_part) > 1:
            items += [f'<li><span class="swatch c{colour}"></span>{escape(part or "the run itself")}</li>'
                      for part, colour in self._colour_of_part.items()]  # fmt: skip
        if held:
            items += ['<li><span class="swatch"></span>held-out data</li>',
                      '<li><span class="swatch dashed"></span>training data</li>']  # fmt: skip
        return f'<ul class="legend">{"".join(items)}</ul>' if items else ""

    # ---- settings

    def _settings(self) -> str:
        columns = [_described(run.config) for run in self.runs]
        names = list(dict.fromkeys(name for column in columns for name in column))
        rows = {name: [column.get(name) for column in columns] for name in names}
        different = [n for n in names if any(value != rows[n][0] for value in rows[n])]
        same = [n for n in names if n not in different]
        if not self.several:
            return _section("settings", "Settings", self._settings_table(rows, same, "", "Settings of the run"))
        parts = ['<p class="empty">All settings are the same.</p>']
        if different:
            parts = [self._settings_table(rows, different, "differs", "Settings in which the runs differ")]
        listed = self._settings_table({n: rows[n] for n in same}, same, "", "Settings that are the same in all runs")
        parts.append(f"<details><summary>{len(same)} that are the same in all runs</summary>{listed}</details>")
        return _section("settings", "Settings", "".join(parts))

    def _settings_table(self, rows: dict[str, list[Any]], names: list[str], kind: str, caption: str) -> str:
        shared = self.several and not kind
        heads = '<th scope="col">all runs</th>' if shared else self._heads()
        lines = "".join(
            f'<tr class="{kind}"><th scope="row">{"≠&nbsp;" if kind else ""}{escape(name)}</th>'
            + "".join(f"<td><code>{escape(_shown(value))}</code></td>" for value in rows[name][: 1 if shared else None])
            + "</tr>"
            for name in names
        )
        head = f'<thead><tr><th scope="col">setting</th>{heads}</tr></thead>'
        table = f"<table><caption>{caption}</caption>{head}<tbody>{lines}</tbody></table>"
        return f'<div class="scroll" tabindex="0">{table}</div>'

    # ---- pictures

    def _matrices(self) -> str:
        found = [(i, run, matrix) for i, run in enumerate(self.runs) for matrix in run.matrices]
        figures = "".join(self._matrix(i, run, matrix) for i, run, matrix in found)
        note = '<p class="soft">Rows: the true class; columns: what it was taken for.</p>'
        return (
            _section("matrices", "Confusion matrices", f'{note}<div class="pictures">{figures}</div>') if found else ""
        )

    def _matrix(self, number: int, run: RunRecord, matrix: Confusions) -> str:
        right = sum(row[i] for i, row in enumerate(matrix.counts))
        total = sum(map(sum, matrix.counts))
        other = "" if matrix.name == "confusion_matrix" else f", {_readable(matrix.name)}"
        heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in matrix.classes)
        rows = "".join(_matrix_row(matrix, i) for i in range(len(matrix.classes)))
        return (
            f'<figure class="card"><figcaption>{self._badge(number)}{escape(run.label + other)}: '
            f"{right} of {total} right</figcaption>"
            f'<div class="scroll" tabindex="0"><table class="matrix"><thead><tr><td></td>{heads}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div></figure>"
        )

    def _pictures(self) -> str:
        names = list(dict.fromkeys(name for run in self.runs for name in run.pictures))
        parts = []
        for name in names:
            shown = [(i, run) for i, run in enumerate(self.runs) if name in run.pictures]
            figures = "".join(self._picture(i, run, name) for i, run in shown)
            many = " many" if self.several else ""
            parts.append(f'<h3>{escape(_readable(name))}</h3><div class="pictures{many}">{figures}</div>')
        return _section("pictures", "Pictures", "".join(parts)) if parts else ""

    def _picture(self, number: int, run: RunRecord, name: str) -> str:
        data = base64.b64encode(run.pictures[name]).decode("ascii")
        caption = f"<figcaption>{self._badge(number)}{escape(run.label)}</figcaption>" if self.several else ""
        described = escape(f"{_readable(name)} of {run.label}", quote=True)
        return f'<figure class="card">{caption}<img src="data:image/png;base64,{data}" alt="{described}"></figure>'

    def _origins(self) -> str:
        rows = "".join(
            f'<tr><th scope="row">{self._badge(i)}{escape(run.label)}</th><td>{escape(_times(run.config))}</td>'
            f"<td><code>{escape(str(run.config.get('command', '')))}</code></td></tr>"
            for i, run in enumerate(self.runs)
        )
        return _section("origins", "Where they come from" if self.several else "Where it comes from", (
            '<div class="scroll" tabindex="0"><table><thead><tr><th scope="col">run</th><th scope="col">started</th>'
            f'<th scope="col">command</th></tr></thead><tbody>{rows}</tbody></table></div>'
        ))  # fmt: skip


def _section(identifier: str, title: str, content: str) -> str:
    head = f'<h2 id="{identifier}-h">{title}</h2>'
    return f'<section id="{identifier}" aria-labelledby="{identifier}-h">{head}{content}</section>\n'


def _steps_cell(run: RunRecord) -> str:
    if run.result is None:
        done = max((int(c.x[-1]) for c in run.curves if c.by == "step" and c.x), default=None)
        return f'<td class="number empty">not finished{"" if done is None else f", at step {done}"}</td>'
    return f'<td class="number">{escape(str(run.result.get("steps", "–")))}</td>'


def _time_cell(run: RunRecord) -> str:
    seconds = (run.result or {}).get("seconds")
    return f'<td class="number">{duration(float(seconds)) if isinstance(seconds, (int, float)) else "–"}</td>'


def _figure_cell(value: float | None, best: float | None) -> str:
    mark = " best" if value is not None and value == best else ""
    return f'<td class="number{mark}">{"–" if value is None else figure(value)}</td>'


def _shared(names: Sequence[str]) -> int:
    """How many first characters, up to a separator, all names have in common."""
    first, last = min(names), max(names)
    count = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return 1 + max(first.rfind(separator, 0, count) for separator in "_-.")


def _letter(number: int) -> str:
    """A, B, ... Z, AA, AB, ..."""
    head, tail = divmod(number, len(_LETTERS))
    return (_letter(head - 1) if head else "") + _LETTERS[tail]


def _readable(name: str) -> str:
    return name.replace("_", " ")


def _best(name: str, values: Sequence[float | None]) -> float | None:
    """The best of several figures, if the name tells which way is better and they differ."""
    finite = [v for v in values if v is not None and math.isfinite(v)]
    if len(set(finite)) < 2:
        return None
    rises = _rises(name)
    return None if rises is None else max(finite) if rises else min(finite)


def _rises(name: str) -> bool | None:
    """Whether more of a figure is better, ``None`` if its name does not tell."""
    try:
        return Monitor("report", name).rising
    except UsageError:
        return None


def _described(config: dict[str, Any]) -> dict[str, Any]:
    """What decided a run: its settings, and what was chosen beside them."""
    found = {name: config.get(name) for name in ("task", "dataset", "data_dir", "backend", "seed")}
    for name, value in config["settings"].items():
        found |= {f"{name}.{k}": v for k, v in value.items()} if isinstance(value, dict) else {name: value}
    versions = config.get("versions")
    return found | {f"{k} version": v for k, v in (versions.items() if isinstance(versions, dict) else ())}


def _shown(value: Any) -> str:
    return "–" if value is None else value if isinstance(value, str) else json.dumps(value)


def _times(config: dict[str, Any]) -> str:
    again = config.get("resumed", [])
    times = [str(config.get("started", "unknown"))]
    times += [f"resumed {item.get('started', '')}" for item in again if isinstance(item, dict)]
    return ", ".join(times).replace("T", " ")


def _data_table(name: str, by: str, series: Sequence[Series]) -> str:
    points = [dict(thinned(s.x, s.y, _ROWS)) for s in series]
    places = sorted({x for found in points for x in found})
    if len(places) > _ROWS:
        every = math.ceil(len(places) / _ROWS)
        places = sorted({*places[::every], places[-1]})
    full = [dict(zip(s.x, s.y, strict=True)) for s in series]
    heads = "".join(f'<th scope="col" class="number">{escape(s.label)}</th>' for s in series)
    rows = "".join(
        f'<tr><th scope="row" class="number">{figure(x)}</th>'
        + "".join(f'<td class="number">{figure(found[x]) if x in found else ""}</td>' for found in full)
        + "</tr>"
        for x in places
    )
    thin = " (some rows)" if len(places) < len({x for found in full for x in found}) else ""
    return (
        f'<div class="scroll" tabindex="0"><table><caption>{escape(_readable(name))} by {escape(by)}{thin}</caption>'
        f'<thead><tr><th scope="col" class="number">{escape(by)}</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _matrix_row(matrix: Confusions, row: int) -> str:
    counts, classes = matrix.counts[row], matrix.classes
    total = max(1, sum(counts))
    cells = []
    for column, count in enumerate(counts):
        share = count / total if row == column else min(1.0, 2 * count / total)  # a mistake is rarer, and matters more
        kind = "right" if row == column else "wrong"
        strong = " strong" if share > 0.5 else ""
        what = escape(f"{classes[row]} taken for {classes[column]}: {count} of {sum(counts)}", quote=True)
        inside = f'class="{kind}{strong}" style="--share:{share:.2f}"' if count else ""
        cells.append(f'<td {inside} title="{what}">{count if count else ""}</td>')
    return f'<tr><th scope="row">{escape(classes[row])}</th>{"".join(cells)}</tr>'


__all__ = ["report_page", "write_report"]
