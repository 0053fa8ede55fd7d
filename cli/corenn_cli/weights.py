"""``corenn weights``: what is in files of weights, what of it fits a model, and conversion."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Look into files of weights, of corenn, PyTorch and Keras, and convert them.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ModelName = Annotated[str | None, typer.Option(help="A name from corenn models: match the file with this network.")]
Options = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="An option of the model, such as version=v1.5; may repeat."),
]
By = Annotated[str | None, typer.Option(metavar="name|order", help="How to pair layers. Default: what fits the file.")]
Key = Annotated[
    str | None, typer.Option(help="Where in a file of PyTorch the state dict is, such as ema, or nets/small.")
]


@app.command()
def inspect(
    file: Annotated[str, typer.Argument(help="A .safetensors, .pth, .h5, .weights.h5 or .keras file.")],
    model: ModelName = None,
    set_: Options = None,
    by: By = None,
    key: Key = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the arrays of a file, or show what of it fits a model.

    With --model the exit status is 1 when the file cannot be loaded into the model as a whole.
    """
    if model is None:
        _require_model(set_, by)
        print(_listing(file, key, as_json))
        return
    from corenn_models import weights

    report = weights.compare(_built(model, set_), file, _way(by), key=key)
    print(json.dumps(report.as_dict(), indent=2) if as_json else report.as_text())
    if not report.complete:
        raise typer.Exit(1)


@app.command()
def convert(
    file: Annotated[str, typer.Argument(help="A .safetensors, .pth, .h5, .weights.h5 or .keras file.")],
    out: Annotated[str, typer.Argument(help="A .safetensors file, or with --model also an .h5 file for Keras.")],
    model: ModelName = None,
    set_: Options = None,
    by: By = None,
    key: Key = None,
) -> None:
    """Write the weights of a file into another.

    Without --model the arrays keep their names and layouts. With it, they are loaded into the model and written as
    corenn has them (or, to .h5, as Keras reads them).
    """
    from corenn_models import weights

    if model is None:
        _require_model(set_, by)
        count, size = weights.repack(file, out, key=key)
        print(f"{out}: {count} arrays, {size:,} numbers")
        return
    network = _built(model, set_)
    report = weights.load(network, file, _way(by), key=key)
    weights.save(network, out)
    print(f"{out}: {len(report.matches)} weights of {report.model}, {network.count_params():,} numbers")
    if report.unused:
        print(f"not used: {', '.join(report.unused)}")


def _require_model(options: list[str] | None, by: str | None) -> None:
    from corenn.errors import UsageError

    given = [name for name, value in (("--set", options), ("--by", by)) if value]
    if given:
        raise UsageError("weights", f"{given[0]} needs a model to match the file with", hint="--model NAME")


def _way(by: str | None) -> Any:
    from corenn.errors import UsageError

    if by not in (None, "name", "order"):
        raise UsageError("weights", f"--by {by!r} is not a way to pair layers", hint="--by name, or --by order")
    return by


def _built(name: str, assignments: list[str] | None) -> Any:
    """A registered model; what its options are not told is 1000 classes of 224 x 224 images."""
    import ast
    import inspect as signatures

    from corenn.errors import CorennError, UsageError, nearest
    from corenn.training.run import registered_model
    from corenn.training.task import parse_assignments

    build = registered_model(name)
    known = signatures.signature(build).parameters
    options: dict[str, Any] = {}
    for key, value in dict(parse_assignments(assignments or [])).items():
        if key not in known:
            raise UsageError(f"model {name!r}", f"takes no {key!r}", hint=nearest(key, known))
        try:
            options[key] = ast.literal_eval(value) if isinstance(value, str) else value
        except (ValueError, SyntaxError):
            options[key] = {"none": None, "true": True, "false": False}.get(value.lower(), value)
    missing = [k for k, p in known.items() if p.default is p.empty and k not in options]
    if missing:
        hint = " ".join(f"--set {k}={'28,28,1' if k == 'input_shape' else '10'}" for k in missing)
        raise UsageError(f"model {name!r}", f"needs {' and '.join(missing)}", hint=hint)
    try:
        return build(**options)
    except (TypeError, ValueError) as error:
        if isinstance(error, CorennError):
            raise
        raise UsageError(f"model {name!r}", f"cannot be built with these options: {error}") from error


def _listing(path: str, key: str | None, as_json: bool) -> str:
    from corenn_models import weights

    with weights.open_weights(path, key) as file:
        rows = [
            {"layer": layer.name, "array": stored.name, "shape": list(stored.shape), "dtype": stored.dtype}
            for layer in file.layers
            for stored in layer.arrays.values()
        ]
        total = sum(stored.size for stored in file.arrays())
        if as_json:
            facts = {"file": path, "kind": file.kind, "layout": file.layout, "notes": file.notes}
            return json.dumps({**facts, "numbers": total, "arrays": rows}, indent=2)
        layers = sum(bool(layer.arrays) for layer in file.layers)
        lines = [f"{path}: {file.kind}", *file.notes]
        lines.append(f"{total:,} numbers in {len(rows)} arrays of {layers} layers")
        width = max((len(str(row["array"])) for row in rows), default=0)
        lines += [f"  {row['array']!s:<{width}}  {row['dtype']}{row['shape']}" for row in rows]
        return "\n".join(lines)
