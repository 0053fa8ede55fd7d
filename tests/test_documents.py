"""The documents: examples run, commands and settings exist, pictures and links are there, the site builds."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.util
import itertools
import os
import re
import shlex
import subprocess
import sys
import textwrap
import tomllib
import types
from pathlib import Path

import pytest
import typer
from corenn_cli.app import app

import corenn
from corenn.errors import ShapeError
from corenn.ops.table import TABLE
from corenn.plugin import registry
from corenn.training.run import _load_task

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md"))


def blocks(document, language):
    """``(marker, code)`` of a document's code blocks; the marker is an HTML comment in the line above, or ''."""
    found, lines, above = [], iter((ROOT / document).read_text(encoding="utf-8").splitlines()), ""
    for line in lines:
        if line.startswith("```"):
            code = "".join(f"{inside}\n" for inside in itertools.takewhile(lambda one: one != "```", lines))
            if line == f"```{language}":
                comment = re.fullmatch(r"<!-- (.*) -->", above)
                found.append((comment.group(1) if comment else "", code))
        above = line
    return found


# ---------------------------------------------------------------- examples

EXAMPLES = [
    (document, marker, code)
    for document in ("README.md", "CONTRIBUTING.md", "corenn/plugin/README.md")
    for marker, code in blocks(document, "python")
]
READMES = [str(path.relative_to(ROOT)) for path in (*sorted(ROOT.glob("plugins/*/README.md")), ROOT / "cli/README.md")]
SITE = [page for page in (*PAGES, *READMES) if blocks(page, "python")]


def run_python(code, folder):
    """Run it in a process of its own, where warnings are errors."""
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("document", "marker", "code"), EXAMPLES, ids=[e[0] for e in EXAMPLES])
def test_an_example_runs(document, marker, code, tmp_path):
    """Blocks under ``<!-- fragment -->`` stand for part of a file and need not run by themselves."""
    compile(code, document, "exec")
    if not marker.startswith("fragment"):
        run_python(code, tmp_path)


@pytest.mark.parametrize("page", SITE)
def test_the_examples_of_a_page_run_one_after_the_other(page, tmp_path):
    """In one namespace, as a reader would type them; ``<!-- needs NAME -->`` marks those that need a package."""
    whole = []
    for marker, code in blocks(page, "python"):
        compile(code, page, "exec")
        if marker.startswith("needs"):
            pytest.importorskip(marker.split()[1])
        if not marker.startswith("fragment"):
            whole.append(code)
    if whole:
        run_python("\n".join(whole), tmp_path)


def test_there_are_examples_to_run():
    assert sum(not marker.startswith("fragment") for _, marker, _ in EXAMPLES) >= 1
    assert len(SITE) >= 15


def test_the_op_that_contributing_declares_is_one(monkeypatch):
    """The declaration in CONTRIBUTING.md, run where it belongs, in place of the op that is there."""
    code = next(code for _, code in blocks("CONTRIBUTING.md", "python") if "@op(" in code)
    name = re.search(r"^def (\w+)\(", code, re.MULTILINE).group(1)
    home = sys.modules[TABLE[name].declaration.__module__]
    before = TABLE[name]
    monkeypatch.delitem(TABLE, name)
    names = dict(vars(home))
    exec(code, names)
    monkeypatch.delitem(TABLE, name)
    monkeypatch.setitem(TABLE, name, before)
    x = corenn.tensor([0.5, -1.0])
    assert names[name](x).tolist() == getattr(corenn, name)(x).tolist()
    assert corenn.grad(lambda v: corenn.sum(names[name](v)))(x).tolist() == corenn.cosh(x).tolist()


def test_the_error_that_the_readme_shows_is_the_one_raised():
    shown = next(code for _, code in blocks("README.md", "") if code.startswith("ShapeError"))
    cell = "\n" * 40 + "corenn.layers.Lambda(lambda a: a @ b, name='dense')(a)"
    names = {"corenn": corenn, "a": corenn.zeros((32, 784)), "b": corenn.zeros((100, 10))}
    with pytest.raises(ShapeError) as caught:
        exec(compile(cell, "train.py", "exec"), names)
    assert f"ShapeError: {caught.value}" == shown.rstrip()


@pytest.fixture(scope="module")
def reference():
    return script_of("make_reference")


def script_of(name):
    """A script of ``docs`` as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------- names

#: What the pages call modules besides ``corenn``, as their examples import them.
SHORT = {name: f"corenn.{name}" for name in ("data", "graph", "layers", "nn", "schedules")}
NAME = re.compile(
    r"(?<![\w./-])((?:corenn(?:_datasets|_models|_onnx)?|data|graph|layers|nn|schedules)(?:\.[A-Za-z_]\w*)+)"
)


def mentioned(page):
    """The dotted names in the inline code of a page."""
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    return sorted({name for span in re.findall(r"`([^`\n]+)`", text) for name in NAME.findall(span)})


@pytest.mark.parametrize("page", [page for page in PAGES if mentioned(page)])
def test_the_names_that_a_page_mentions_exist(page):
    for name in mentioned(page):
        first, *rest = name.split(".")
        found = importlib.import_module(SHORT.get(first, first))
        for part in rest:
            if isinstance(found, types.ModuleType) and not hasattr(found, part):
                found = importlib.import_module(f"{found.__name__}.{part}")
            else:
                found = getattr(found, part)


# ---------------------------------------------------------------- commands

COMMANDS = [
    (page, marker, line)
    for page in PAGES
    for marker, code in blocks(page, "bash")
    for line in code.replace("\\\n", " ").splitlines()
    if line.startswith("corenn ")
]


def test_every_flag_of_the_readme_exists():
    """The README's synopsis of ``corenn run`` names the options that the command has."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    synopsis = text[text.index("corenn run [TASK]") : text.index("corenn tasks")]
    done = subprocess.run(
        [sys.executable, "-m", "corenn_cli.main", "run", "--help"], capture_output=True, text=True, check=False,
        env={"COLUMNS": "200", "TERM": "dumb", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for flag in set(re.findall(r"--[a-z-]+", synopsis)):
        assert flag in done.stdout


def options_of(words, command):
    """The options among the words of a command line, after finding the command they belong to."""
    rest = list(words)
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    given = itertools.takewhile(lambda word: word != "--", rest)
    return command, [word for word in given if word.startswith("--")], known | {"--help"}


@pytest.mark.parametrize(("page", "marker", "line"), COMMANDS, ids=[f"{page}-{line}" for page, _, line in COMMANDS])
def test_a_command_of_the_site_exists(page, marker, line, reference, tmp_path, monkeypatch):
    """Its options are those of the command; a task is registered and has the settings that ``--set`` names."""
    if marker.startswith("needs"):
        pytest.importorskip(marker.split()[1])
    words = shlex.split(line, comments=True)[1:]
    of_plugins = registry.commands()
    if words[0] in of_plugins:
        command, given, known = options_of(words[1:], reference.of_plugin(of_plugins[words[0]]))
    else:
        command, given, known = options_of(words, typer.main.get_command(app))
    assert not getattr(command, "commands", None), f"{words[0]} is no command"
    assert not {option.partition("=")[0] for option in given} - known
    if words[0] == "run" and words[1] in registry.tasks():
        changes = dict(item.split("=", 1) for flag, item in itertools.pairwise(words) if flag == "--set")
        monkeypatch.chdir(tmp_path)
        if "weights" in changes:
            Path(changes["weights"]).touch()  # a setting that names a file checks that it is there
        _load_task(words[1]).Settings().change(changes)


# ---------------------------------------------------------------- the site


def test_every_task_has_a_tutorial_with_a_picture():
    for name, record in registry.tasks().items():
        if str(record.factory).startswith("corenn_tasks."):
            page = ROOT / "docs" / "tutorials" / f"{name}.md"
            assert page.is_file(), f"{name} has no tutorial"
            text = page.read_text(encoding="utf-8")
            assert f"corenn run {name}" in text
            assert re.search(r"!\[.+\]\(\.\./images/.+\.png\)", text), f"{page.name} shows no picture"


def test_the_extras_of_the_page_to_begin_with_are_those_of_the_package():
    text = (ROOT / "docs" / "getting-started.md").read_text(encoding="utf-8")
    table = text[text.index("| extra | adds |") : text.index("`corenn info`")]
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    first_cells = [line.split(" | ")[0] for line in table.splitlines()]
    assert {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)} == set(declared)


def test_pictures_are_small_and_all_are_shown():
    text = "".join((ROOT / page).read_text(encoding="utf-8") for page in [*PAGES, "README.md"])
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture.stat().st_size <= 150_000, picture.name
        assert picture.name in text, f"no page shows {picture.name}"


def test_each_picture_of_a_how_to_page_has_its_script():
    pytest.importorskip("nbclient")
    pytest.importorskip("matplotlib")
    script = script_of("make_howto_pictures")
    made = {*script.NAMES, *(f"tensorboard-{tab}" for tab in script.TABS)} - {"tensorboard"}
    text = "".join((ROOT / page).read_text(encoding="utf-8") for page in PAGES if "how-to" in page)
    assert set(re.findall(r"images/([\w-]+)\.png", text)) == made


def test_the_reference_has_every_public_name(reference):
    tree = ast.parse((ROOT / "tests" / "test_public_api.py").read_text(encoding="utf-8"))
    modules = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "PUBLIC"
    )
    for module in modules:
        page = reference.page(module)
        for name in importlib.import_module(module).__all__:
            leads_to_a_page = f"{module}.{name}" in reference.modules()
            assert f"## {name} {{#{name}}}" in page or leads_to_a_page or name.startswith("__"), f"{module}.{name}"


@pytest.mark.parametrize("kind", ["datasets", "models"])
def test_the_reference_has_what_the_plugins_register(reference, kind):
    for name, record in getattr(registry, kind)().items():
        module, _, factory = str(record.factory).partition(":")
        if module.startswith(f"corenn_{kind}."):
            assert module in reference.modules(), f"{name}: no page of {module}"
            assert factory in reference.entries.names_of(module), f"{name}: {module} does not show {factory}"


@pytest.mark.parametrize("package", ["datasets", "models", "onnx"])
def test_the_reference_shows_no_private_name(reference, package):
    for module in reference.modules():
        if module.startswith(f"corenn_{package}"):
            assert not [name for name in reference.entries.names_of(module) if name.startswith("_")]


def test_every_command_and_task_is_in_the_reference(reference):
    commands, tasks = reference.command_page(), reference.tasks_page()
    for name in [*typer.main.get_command(app).commands, *registry.commands()]:
        assert re.search(rf"^## corenn {name}\b", commands, re.MULTILINE), name
    for name, record in registry.tasks().items():
        if str(record.factory).startswith("corenn_tasks."):
            assert f"## {name} {{#{name}}}" in tasks
            assert all(f"| `{field.name}` |" in tasks for field in dataclasses.fields(_load_task(name).Settings))


SIGNATURES = [
    ("def f(): ...", "f()"),
    ("def f(x, /, *, axis: int = 0) -> Tensor: ...", "f(x, /, *, axis: int = 0) -> Tensor"),
    (
        "def f(*parts: str, key='a', **options: object) -> None: ...",
        "f(*parts: str, key='a', **options: object) -> None",
    ),
    ("def f(a: collections.abc.Sequence[np.ndarray], b=len): ...", "f(a: Sequence[ndarray], b=len)"),
]


@pytest.mark.parametrize(("code", "shown"), SIGNATURES)
def test_a_signature_is_shown_as_it_is_written(reference, code, shown):
    names = {}
    exec(f"from __future__ import annotations\n{code}", names)
    assert sys.modules["reference_entries"].signature_of("f", names["f"]) == shown


LINKS = [
    ("Dense", ("units",), "#Dense"),
    ("Dense(10)", (), "#Dense"),
    ("corenn.relu", (), None),
    ("nn.relu", (), "corenn.nn.md#relu"),
    ("corenn.nn", (), "corenn.nn.md"),
    ("Variable", (), "corenn.md#Variable"),
    ("units", ("units",), None),
    ("shape", (), None),  # an argument, more often than the op
    ("reset_names", (), "#reset_names"),
    ("ValueError", (), None),
]


@pytest.mark.parametrize(("code", "parameters", "address"), LINKS)
def test_names_in_docstrings_lead_to_their_entries(reference, code, parameters, address):
    assert reference.entries.address("corenn.layers", parameters, code) == address


def test_a_docstring_becomes_markdown(reference):
    text = "Sum of ``x`` * y < 2.\n\nUse::\n\n    x = 1\n\n- first\n- second"
    shown = sys.modules["reference_entries"].markdown_of(text)
    assert shown == "Sum of `x` \\* y &lt; 2.\n\nUse:\n\n```python\nx = 1\n```\n\n- first\n- second"


def test_the_list_of_how_to_pages_is_whole():
    text = (ROOT / "docs" / "how-to" / "index.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", text))
    assert linked == {Path(page).name for page in PAGES if "how-to" in page} - {"index.md"}


def clicks(site):
    """How many clicks lead from the first page of a built site to each page."""
    found, now = {"": 0}, [""]
    for count in itertools.count(1):
        links = set()
        for page in now:
            html = (site / page / "index.html").read_text(encoding="utf-8")
            for link in re.findall(r'<a [^>]*href="?([^"> #]*)', html):
                target = os.path.normpath(os.path.join("/", page, link)).lstrip("/")
                if "://" not in link and (site / target / "index.html").is_file():
                    links.add(target)
        now = sorted(links - found.keys())
        if not now:
            return found
        found.update(dict.fromkeys(now, count))


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_everything_is_near(tmp_path):
    pytest.importorskip("mkdocs")
    pytest.importorskip("material")
    site = tmp_path / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(site)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, textwrap.indent(done.stdout + done.stderr, "  ")
    found = clicks(site)
    built = {str(page.parent.relative_to(site)).removeprefix(".") for page in site.rglob("index.html")}
    assert "reference/corenn.layers" in built
    assert built == found.keys()
    assert {page: count for page, count in found.items() if count > 2} == {}
