"""The commands of ``corenn``.

Nothing of corenn is imported before a command needs it: help and shell completion must not wait for NumPy.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Annotated, Any

import typer

from corenn_cli import weights

app = typer.Typer(
    name="corenn",
    help="A deep-learning framework whose core knows no array library.",
    epilog="Plugins may add commands; corenn info lists them.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.add_typer(weights.app, name="weights")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_FIGURES_IN_A_LINE = 4  # of a run's result; more stand below one another

#: Options that several commands have.
BackendName = Annotated[
    str | None,
    typer.Option(help="auto, or a name from corenn backends. Default: what CORENN_BACKEND names, else auto."),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, envvar="CORENN_THREADS", help="Threads of computations on the CPU. Default: all there are."),
]


@app.command()
def run(
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="TASK|SCRIPT",
            help="A task, see corenn tasks (default: digits); or a TensorFlow script or notebook.",
        ),
    ] = None,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(metavar="ARGS", help="After --: what the script finds in sys.argv.", show_default=False),
    ] = None,
    backend: BackendName = None,
    dataset: Annotated[str | None, typer.Option(help="A name from corenn datasets.")] = None,
    data_dir: Annotated[str | None, typer.Option(help="Directory that holds the data set's files.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the training data.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="End after so many steps in all.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Examples in a step.")] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=2**64 - 1,
            help="Seed of everything random; in a script, of whatever the script itself does not seed.",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting, see corenn tasks TASK; may repeat."),
    ] = None,
    out: Annotated[str | None, typer.Option(help="Directory of the run. Default: runs/TASK-TIME.")] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            metavar="auto|PATH",
            help="Continue the run in a directory; auto: that of --out, or the newest unfinished one in runs, "
            "or else a new run. More epochs or steps prolong it.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="A table of the figures that grows; lines where stderr is no terminal.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one last line of JSON.")] = False,
    threads: Annotated[
        int | None,
        typer.Option(min=1, envvar="CORENN_THREADS", help="Threads of computations on the CPU. Default: 1."),
    ] = None,
    tf: Annotated[
        str | None, typer.Option(metavar="auto|1|2", help="Scripts: the TensorFlow it was written for. Default: auto.")
    ] = None,
    facade_over_tensorflow: Annotated[
        bool,
        typer.Option("--facade-over-tensorflow", help="Scripts: use corenn although a real TensorFlow is installed."),
    ] = False,
) -> None:
    """Train and test a task, or run a TensorFlow script.

    A task writes config, metrics, checkpoints, event files and plots into a directory.

    A script (SCRIPT.py, or a notebook, SCRIPT.ipynb) runs as python SCRIPT.py would, with tensorflow, keras,
    tensorflow_datasets and gym answered by corenn; its own options come after --.

    Ctrl-C (or SIGTERM) finishes the step, saves, and exits with status 130 (143); --resume continues to the same
    weights that the uninterrupted run would have reached.
    """
    if threads is not None:
        from corenn_cli.threads import settings

        os.environ.update(settings(threads))  # the libraries read it when they are loaded, so before NumPy is
    from corenn_cli.scripts import ScriptExit, is_script, refuse_script_options, run_program

    if task is not None and is_script(task):
        only_tasks = {"--dataset": dataset, "--data-dir": data_dir, "--epochs": epochs, "--steps": steps,
                      "--batch-size": batch_size, "--set": set_, "--out": out, "--resume": resume,
                      "--quiet": quiet, "--watch": watch, "--json": as_json}  # fmt: skip
        raise ScriptExit(run_program(task, arguments or [], backend, tf, facade_over_tensorflow, seed, only_tasks))
    refuse_script_options(arguments, {"--tf": tf, "--facade-over-tensorflow": facade_over_tensorflow})
    from corenn.errors import UsageError
    from corenn.training.run import Interrupted, Run
    from corenn.training.task import parse_assignments

    if watch and quiet:
        raise UsageError("--watch", "shows what --quiet hides", hint="leave one of them out")
    changes: dict[str, Any] = dict(parse_assignments(set_ or []))
    given = {"epochs": epochs, "steps": steps, "batch_size": batch_size}
    changes.update({k: v for k, v in given.items() if v is not None})
    options: dict[str, Any] = {"backend": backend, "dataset": dataset, "data_dir": data_dir, "changes": changes}
    options |= {"seed": seed, "out": out, "quiet": quiet}
    found = None if resume is None else Run.resume(resume, task, **options)
    if found is None:
        if resume is not None and not quiet:
            print("nothing to resume: starting a new run", file=sys.stderr)
        found = Run.start(task or "digits", **options)
    elif found.finished:
        found.say(f"{found.out} is finished; its result:")
    try:
        with _shown(found, watch):
            result = found.execute()
    except Interrupted as stopped:
        print(f"{stopped}; continue with: corenn run --resume {stopped.out}", file=sys.stderr)
        raise typer.Exit(128 + stopped.signum) from None
    except KeyboardInterrupt:
        print(f"ended; the last checkpoint is in {found.out}", file=sys.stderr)
        raise typer.Exit(128 + (found.signum or signal.SIGINT)) from None
    if as_json:
        print(json.dumps(result))
    else:
        print(*closing_lines(result), sep="\n")


@app.command()
def report(
    runs: Annotated[list[str], typer.Argument(metavar="RUN...", help="Directories of runs.", show_default=False)],
    out: Annotated[str, typer.Option(metavar="FILE.html", help="The file to write.")] = "report.html",
) -> None:
    """Write an HTML page that compares runs.

    Results, curves, settings with the differences marked, confusion matrices and pictures, in one file that needs no
    network.
    """
    from corenn.training.report import read_runs, write_report

    print(write_report(read_runs(runs), out))


def closing_lines(result: dict[str, Any]) -> list[str]:
    """The figures of a run in one line, or if they are many in a line each; the last says where the run is."""
    metrics: dict[str, float] = result["metrics"]
    end = f"({result['steps']} steps, {result['seconds']:.1f} s)  {result['out']}"
    if len(metrics) <= _FIGURES_IN_A_LINE:
        return ["  ".join([*(f"{name} {value:.4f}" for name, value in metrics.items()), end])]
    width = max(map(len, metrics))
    return [*(f"{name:<{width}}  {value:.4f}" for name, value in metrics.items()), end]


def _shown(found: Any, watch: bool) -> Any:
    """Shows a run in a table while it goes on, if that is wished and can be seen."""
    from contextlib import nullcontext

    from corenn.training.callbacks.progress import is_terminal

    if not watch or found.finished or not is_terminal(sys.stderr):
        return nullcontext()
    from corenn_cli.watch import WatchTable

    return WatchTable(found)


@app.command()
def tasks(
    name: Annotated[str | None, typer.Argument(help="Show the settings of this task, for --set.")] = None,
    as_json: Json = False,
) -> None:
    """What corenn run can run, and with what settings."""
    from corenn_cli.listing import records, settings, show

    show(records("task", "default_dataset") if name is None else settings(name), as_json)


@app.command()
def datasets(as_json: Json = False) -> None:
    """Data sets."""
    from corenn_cli.listing import records, show

    show(records("dataset", "offline", "size", "licence"), as_json)


@app.command()
def models(as_json: Json = False) -> None:
    """Models that tasks build by name."""
    from corenn_cli.listing import records, show

    show(records("model"), as_json)


@app.command()
def backends(as_json: Json = False) -> None:
    """Backends, and why some cannot be used here."""
    from corenn_cli.listing import backend_rows, show

    show(backend_rows(), as_json)


@app.command()
def info(
    as_json: Json = False, markdown: Annotated[bool, typer.Option("--markdown", help="For a bug report.")] = False
) -> None:
    """Versions, devices and plugin problems."""
    from corenn_cli.info import as_text, gather

    found = gather()
    print(json.dumps(found, indent=2) if as_json else as_text(found, markdown))


@app.command()
def ops(
    name: Annotated[str | None, typer.Argument(help="Show one op.")] = None,
    as_json: Json = False,
) -> None:
    """The op table, or all about one op."""
    from corenn_cli.listing import show
    from corenn_cli.table import describe, listing

    if name is None:
        show(listing(), as_json)
    else:
        print(describe(name, as_json))


@app.command()
def conformance(
    backend: Annotated[str, typer.Option(help="Name of the backend to check.")],
    level: Annotated[list[str] | None, typer.Option(help="Only this level, 0 to 7; may repeat.")] = None,
    pattern: Annotated[str | None, typer.Option(help="Only cases whose id matches this glob.")] = None,
    expected_failures: Annotated[
        str | None, typer.Option(help="TOML file of cases known to fail, with reasons.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON.")] = False,
) -> None:
    """Check a backend op by op.

    Values, dtypes, gradients, random bits, a training run.  Exit status 1 when something failed.
    """
    from corenn_cli.conformance import check

    raise typer.Exit(check(backend, level, pattern, expected_failures, as_json))


@app.command()
def bench(
    workloads: Annotated[
        list[str] | None,
        typer.Argument(metavar="WORKLOAD", help="Names from --list. Default: all.", show_default=False),
    ] = None,
    backend: BackendName = None,
    threads: Threads = None,
    seconds: Annotated[float, typer.Option(min=0, help="About how long a workload is timed, after a warm-up.")] = 20.0,
    steps: Annotated[int, typer.Option(min=1, help="At most so many timed steps.")] = 300,
    listed: Annotated[bool, typer.Option("--list", help="Only list the workloads.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each workload.")] = False,
    here: Annotated[bool, typer.Option("--here", hidden=True)] = False,
) -> None:
    """Time training steps of well-known networks.

    Each workload runs in a process of its own, on random data that is in memory.  Reported are the median, the
    shortest and the 90th percentile of a step, the time to the first finished step (tracing and compiling included),
    and the most memory the process had resident.
    """
    from corenn_cli import bench as command

    if listed:
        command.list_workloads(as_json)
    elif here:
        print(json.dumps(command.measure_here(command.check_child(workloads or []), backend, threads, seconds, steps)))
    else:
        raise typer.Exit(command.bench(workloads or [], backend, threads, seconds, steps, as_json))


@app.command()
def explain(
    name: Annotated[
        str, typer.Argument(metavar="WORKLOAD|TASK", help="A name from corenn bench --list, or from corenn tasks.")
    ],
    backend: BackendName = None,
    threads: Threads = None,
    source: Annotated[bool, typer.Option("--source", help="Show the generated code as well.")] = False,
    brief: Annotated[bool, typer.Option("--brief", help="Leave the instructions out.")] = False,
    gflops: Annotated[
        float | None, typer.Option(min=0.001, help="The machine's GFLOP/s in float32. Default: measured.")
    ] = None,
    gbytes: Annotated[
        float | None, typer.Option(min=0.001, help="The machine's memory traffic in GB/s. Default: measured.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="A setting of the task, see corenn tasks TASK; may repeat."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one line of JSON.")] = False,
) -> None:
    """Show what becomes of a training step.

    The program before and after the passes, fused groups, memory, floating-point operations and bytes, and the
    shortest time that this machine could take.
    """
    from corenn_cli.threads import available, settings

    os.environ.update(settings(threads or available()))  # before NumPy is loaded
    from corenn_cli.explain import explain_step

    print(
        explain_step(name, backend, set_ or [], gflops, gbytes, instructions=not brief, source=source, as_json=as_json)
    )


def run_app(args: list[str]) -> int:
    """Run a command line; the exit status.  Errors of corenn are printed without a traceback."""
    from contextlib import suppress

    try:
        _add_plugin_command(args)
        try:
            app(args, prog_name="corenn")
        except SystemExit as left:
            if type(left) is SystemExit and left.code == 2 and args[:1] == ["run"]:
                from corenn_cli.scripts import after_the_script

                print(after_the_script(args[1:]), end="", file=sys.stderr)
            return left.code if isinstance(left.code, int) else 0 if left.code is None else 1
    except BrokenPipeError:
        raise
    except Exception as error:
        with suppress(ImportError):
            from corenn_cli.failures import explain

            status = explain(error)
            if status is not None:
                return status
        raise
    return 0


def _add_plugin_command(args: list[str]) -> None:
    """A command of a plugin, looked for only when the one asked for is not ours."""
    own = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback is not None}
    own |= {group.name for group in app.registered_groups if group.name}
    if not args or args[0].startswith("-") or args[0] in own:
        return
    from corenn.errors import UsageError, nearest
    from corenn.plugin import registry

    asked, found = args[0], registry.commands()
    if asked not in found:
        raise UsageError("corenn", f"there is no command {asked!r}", hint=nearest(asked, [*own, *found]))
    loaded = found[asked].load()
    if isinstance(loaded, typer.Typer):
        app.add_typer(loaded, name=asked, help=found[asked].description)
    else:
        app.command(name=asked, help=found[asked].description)(loaded)
