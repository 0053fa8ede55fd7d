"""``corenn onnx``: look into ONNX files, run them, write them, and take the weights out of them."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from corenn.errors import DataError, MissingExtraError, UsageError, nearest

app = typer.Typer(no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="An ONNX file.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def _need_onnx() -> None:
    try:
        import onnx  # noqa: F401  # looked for, not used
    except ImportError:
        raise MissingExtraError("corenn onnx", "onnx", "onnx") from None


def _loaded(path: Path) -> Any:
    _need_onnx()
    from corenn_onnx.model import load

    return load(path)


@app.command("inspect")
def inspect(file: File, weights: Annotated[bool, typer.Option("--weights", help="List them.")] = False,
            as_json: Json = False) -> None:  # fmt: skip
    """Inputs, outputs, ops and weights of an ONNX file, and whether corenn can run it."""
    _need_onnx()
    from corenn_onnx.inspecting import described
    from corenn_onnx.model import read

    found = described(read(file)[0])
    if as_json:
        print(json.dumps(found, indent=2))
        return
    opsets = ", ".join(f"{domain} {version}" for domain, version in found["opsets"].items())
    print(f"{found['name']}: opset {opsets}, by {found['producer'] or 'unknown'}")
    for kind in ("inputs", "outputs"):
        for name, text in found[kind].items():
            print(f"  {kind[:-1]} {name}: {text}")
    print(f"  {sum(found['ops'].values())} nodes: " + ", ".join(f"{n} {op}" for op, n in found["ops"].items()))
    print(f"  {len(found['weights'])} weights and constants, {found['elements']:,} elements")
    if weights:
        for weight in found["weights"]:
            print(f"    {weight['name']}: {weight['type']}{weight['shape']}")
    for op, reason in found["unsupported"].items():
        print(f"  corenn cannot run {op}: {reason}")
    if not found["unsupported"]:
        print("  corenn can run all of its ops")


@app.command("run")
def run(
    file: File,
    inputs: Annotated[list[str], typer.Option("--input", help="NAME=FILE.npy, for each input.")],
    out: Annotated[Path, typer.Option(help="Where the outputs go, as one .npz file.")] = Path("outputs.npz"),
) -> None:
    """Run an ONNX file on arrays."""
    model = _loaded(file)
    given: dict[str, Any] = {}
    for item in inputs:
        name, equals, path = item.partition("=")
        if not equals:
            raise UsageError("--input", f"{item!r} is not of the form NAME=FILE.npy")
        try:
            given[name] = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as problem:
            raise DataError(path, f"cannot be read: {problem}", hint="numpy.save writes such files") from None
    results = model.run((), given)
    arrays = {n: np.asarray(v) for n, v in zip(model.outputs, results, strict=True)}
    np.savez(out, **arrays)  # type: ignore[arg-type]  # names are free but for those of its own parameters
    for name, array in arrays.items():
        print(f"{name}: {array.dtype}{list(array.shape)}")
    print(f"written to {out}")


@app.command("import")
def import_(
    file: File, out: Annotated[Path, typer.Argument(help="Where the weights go, as a .safetensors file.")]
) -> None:
    """Take the weights out of an ONNX file, under their names."""
    model = _loaded(file)
    from corenn.checkpoint import save_file

    arrays = {n: c.host for n, c in model.constants().items() if not c.foreign}
    save_file(out, arrays)
    print(f"{len(arrays)} arrays written to {out}")


@app.command("export")
def export(
    model: Annotated[str, typer.Argument(help="A registered model: see corenn models.")],
    file: Annotated[Path, typer.Argument(help="The ONNX file to write.")],
    input_shape: Annotated[str, typer.Option(help="Shape of an example: 28,28,1")],
    classes: Annotated[int, typer.Option(help="Number of classes.")] = 10,
    set_: Annotated[list[str] | None, typer.Option("--set", help="key=value: an option of the model.")] = None,
    weights: Annotated[Path | None, typer.Option(help="A checkpoint with the model's weights.")] = None,
    opset: Annotated[int, typer.Option(help="The opset to write.")] = 18,
) -> None:
    """Write a registered model as ONNX, with weights of a checkpoint."""
    _need_onnx()
    from corenn.plugin import registry
    from corenn.training.task import parse_assignments
    from corenn_onnx.exporting import export as write

    options = {key: _plain(text) for key, text in parse_assignments(set_ or []).items()}
    try:
        shape = tuple(int(n) for n in input_shape.split(","))
    except ValueError:
        raise UsageError("--input-shape", f"{input_shape!r} is no shape", hint="--input-shape 28,28,1") from None
    built = registry.get("model", model).load()(input_shape=shape, classes=classes, **options)
    if weights is not None:
        _fill(built, weights)
    proto = write(built, file, opset=opset)
    print(f"{len(proto.graph.node)} nodes, opset {opset}, written to {file}")


def _plain(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _fill(model: Any, path: Path) -> None:
    """Give a model's variables the arrays of a checkpoint, which has them under their names or below ``model/``."""
    from corenn.checkpoint import load_file

    arrays, _ = load_file(path)
    for name, variable in zip(model.weight_names(), model.weights, strict=True):
        found = next((arrays[key] for key in (name, f"model/{name}", f"model/weights/{name}") if key in arrays), None)
        if found is None:
            raise DataError(str(path), f"has no weight {name!r}", hint=nearest(name, arrays))
        variable.assign(found)
