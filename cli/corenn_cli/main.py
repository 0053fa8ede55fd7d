"""``corenn``: run tasks, list what is installed, check backends.

Exit status: 0 done; 1 failed; 2 wrong usage; 130 and 143 stopped by SIGINT and SIGTERM after saving.
"""

from __future__ import annotations

import json
import signal
import sys
from typing import Annotated, Any

import typer

from corenn.errors import CorennError, PluginError, UsageError, nearest

app = typer.Typer(
    name="corenn",
    help="A deep-learning framework whose core knows no array library.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def run(
    task: Annotated[str | None, typer.Argument(help="What to run; see `corenn tasks`. Default: digits.")] = None,
    backend: Annotated[str, typer.Option(help="auto, or a name from `corenn backends`.")] = "auto",
    dataset: Annotated[str | None, typer.Option(help="A name from `corenn datasets`.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Directory that holds the data set's files.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the training data.")] = None,
    steps: Annotated[int | None, typer.Option(help="End after so many steps in all.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Examples in a step.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    set_: Annotated[list[str] | None, typer.Option("--set", help="A setting of the task, key=value; may repeat.")] = None,
    out: Annotated[str | None, typer.Option(help="Directory of the run. Default: runs/TASK-TIME.")] = None,
    resume: Annotated[str | None, typer.Option(help="auto, or the directory of a run to continue.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one last line of JSON.")] = False,
) -> None:
    """Train and test something; writes config, metrics, checkpoints, event files and plots into a directory."""
    from corenn.training.run import Interrupted, Run
    from corenn.training.task import parse_assignments

    changes: dict[str, Any] = dict(parse_assignments(set_ or []))
    given = {"epochs": epochs, "steps": steps, "batch_size": batch_size}
    changes.update({k: v for k, v in given.items() if v is not None})
    found = None
    if resume is not None:
        found = Run.resume(resume, task, out=out, changes=changes, quiet=quiet)
        if found is None and not quiet:
            print("nothing to resume: starting a new run", file=sys.stderr)
    if found is None:
        found = Run.start(
            task or "digits", backend=backend, dataset=dataset, data_dir=data_dir, changes=changes, seed=seed, out=out,
            quiet=quiet,
        )  # fmt: skip
    try:
        result = found.execute()
    except Interrupted as stopped:
        print(f"{stopped}; continue with: corenn run --resume {stopped.out}", file=sys.stderr)
        raise typer.Exit(128 + stopped.signum) from None
    if as_json:
        print(json.dumps(result))
    else:
        figures = "  ".join(f"{k} {v:.4f}" for k, v in result["metrics"].items())
        print(f"{figures}  ({result['steps']} steps, {result['seconds']:.1f} s)  {result['out']}")


def _rows(records: dict[str, Any], columns: list[str]) -> list[dict[str, Any]]:
    return [{c: getattr(r, c) for c in columns} for r in records.values()]


def _table(rows: list[dict[str, Any]], as_json: bool) -> None:
    """Rows as JSON, or as aligned columns."""
    if as_json:
        print(json.dumps(rows, indent=2, default=str))
        return
    if not rows:
        print("none")
        return
    columns = list(rows[0])
    text = [[_cell(row[c]) for c in columns] for row in rows]
    widths = [max(len(c), *(len(line[i]) for line in text)) for i, c in enumerate(columns)]
    for line in [[c.upper() for c in columns], *text]:
        print("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip())


def _cell(value: Any) -> str:
    return {True: "yes", False: "no", None: ""}.get(value, str(value)) if isinstance(value, (bool, type(None))) else str(value)


@app.command()
def tasks(as_json: Json = False) -> None:
    """What `corenn run` can run."""
    from corenn.plugin import registry

    _table(_rows(registry.tasks(), ["name", "default_dataset", "description"]), as_json)


@app.command()
def datasets(as_json: Json = False) -> None:
    """Data sets."""
    from corenn.plugin import registry

    _table(_rows(registry.datasets(), ["name", "offline", "size", "licence", "description"]), as_json)


@app.command()
def models(as_json: Json = False) -> None:
    """Models that tasks build by name."""
    from corenn.plugin import registry

    _table(_rows(registry.models(), ["name", "description"]), as_json)


@app.command()
def backends(as_json: Json = False) -> None:
    """Backends: which can be used here, and why not the others."""
    from corenn.backend import best_available
    from corenn.plugin import registry

    chosen = best_available()
    rows = []
    for record in registry.backends().values():
        reason = record.unavailable_reason()
        status = "available" if reason is None else "unavailable"
        rows.append(
            {
                "name": record.name,
                "status": status + (" (auto)" if record.name == chosen and not as_json else ""),
                "distribution": record.distribution,
                "description": record.description,
                "reason": reason or "",
                "install": "" if reason is None else record.install_hint,
            }
        )
        if as_json:
            rows[-1]["auto"] = record.name == chosen
    _table(rows, as_json)


@app.command()
def info(as_json: Json = False, markdown: Annotated[bool, typer.Option(help="For a bug report.")] = False) -> None:
    """Versions, devices and plugin problems: what a bug report needs."""
    from corenn_cli.info import gather, show

    found = gather()
    print(json.dumps(found, indent=2) if as_json else show(found, markdown))


@app.command()
def ops(
    name: Annotated[str | None, typer.Argument(help="Show one op.")] = None,
    as_json: Json = False,
) -> None:
    """The op table: every op, or all about one."""
    from corenn_cli.table import describe, listing

    if name is None:
        _table(listing(), as_json)
    else:
        print(describe(name, as_json))


@app.command()
def conformance(
    backend: Annotated[str, typer.Option(help="Name of the backend to check.")],
    level: Annotated[list[str] | None, typer.Option(help="Only these levels (L0 to L5); may repeat.")] = None,
    pattern: Annotated[str | None, typer.Option(help="Only cases whose id matches this glob.")] = None,
    expected_failures: Annotated[str | None, typer.Option(help="TOML file of cases known to fail, with reasons.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON.")] = False,
) -> None:
    """Check a backend op by op: values, dtypes, gradients, random bits, a training run."""
    from corenn_cli.conformance import check

    raise typer.Exit(check(backend, level, pattern, expected_failures, as_json))


def main() -> None:
    """Run the command line; errors of corenn are printed without a traceback."""
    try:
        _add_plugin_commands()
        app()
    except UsageError as error:
        _fail(error, 2)
    except CorennError as error:
        usage = isinstance(error, PluginError) or getattr(error, "where", "") in ("backend", "device")
        _fail(error, 2 if usage else 1)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


def _fail(error: CorennError, status: int) -> None:
    error.site = None  # the line is corenn's own, not the user's
    print(f"corenn: {error}", file=sys.stderr)
    sys.exit(status)


def _add_plugin_commands() -> None:
    """Commands from plugins, looked for only when the command asked for is not one of ours."""
    own = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback is not None}
    asked = next((a for a in sys.argv[1:] if not a.startswith("-")), None)
    if asked is None or asked in own:
        return
    from corenn.plugin import registry

    found = registry.commands()
    if asked not in found:
        raise UsageError("corenn", f"there is no command {asked!r}", hint=nearest(asked, [*own, *found]))
    loaded = found[asked].load()
    if isinstance(loaded, typer.Typer):
        app.add_typer(loaded, name=asked, help=found[asked].description)
    else:
        app.command(name=asked, help=found[asked].description)(loaded)


if __name__ == "__main__":
    main()
