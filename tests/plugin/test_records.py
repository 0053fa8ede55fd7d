from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from corenn.errors import MissingExtraError, PluginError
from corenn.plugin import CONTRACT_VERSION, OLDEST_CONTRACT, BackendRecord, DatasetRecord, Record, TaskRecord
from corenn.plugin.records import RECORD_TYPES


@pytest.mark.parametrize(
    ("factory", "good"),
    [
        ("package.module:Class", True),
        ("module:function", True),
        ("package.module:Class.from_nothing", True),
        ("package.module", False),
        ("package.module:", False),
        (":Class", False),
        ("package..module:Class", False),
        ("package.module:Class:more", False),
        ("package.module:Class()", False),
        ("package.class:Class", False),
        ("package/module.py:Class", False),
        (" package:Class", False),
        ("", False),
        (print, False),
        (None, False),
    ],
)
def test_factory_strings(factory: object, good: bool) -> None:
    if good:
        assert DatasetRecord("name", factory).factory == factory  # type: ignore[arg-type]
    else:
        with pytest.raises(PluginError, match=r"package\.module:attribute"):
            DatasetRecord("name", factory)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": ""}, "is not a name"),
        ({"name": "two words"}, "is not a name"),
        ({"name": "cuda:0"}, "is not a name"),
        ({"name": "-x"}, "is not a name"),
        ({"name": "größe"}, "is not a name"),
        ({"name": 3}, "is not a name"),
        ({"name": "auto"}, "best available"),
        ({"aliases": ("auto",)}, "best available"),
        ({"aliases": "cuda"}, "tuple of names"),
        ({"aliases": ["cuda"]}, "tuple of names"),
        ({"aliases": ("a b",)}, "tuple of names"),
        ({"aliases": ("x", "x")}, "repeat"),
        ({"aliases": ("mine",)}, "repeat"),
        ({"description": None}, "description must be a string"),
        ({"install_hint": 1}, "install_hint must be a string"),
        ({"probe": True}, "probe must be callable"),
        ({"contract": "1"}, "contract must be an integer"),
        ({"contract": True}, "contract must be an integer"),
        ({"priority": 1.5}, "priority must be an integer"),
    ],
)
def test_values_that_cannot_be_right_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(PluginError, match=message) as caught:
        BackendRecord(**({"name": "mine", "factory": "a.b:C"} | arguments))  # type: ignore[arg-type]
    assert caught.value.where.startswith("BackendRecord")


def test_names_that_are_fine() -> None:
    for name in ("numpy", "fashion_mnist", "fashion-mnist", "v1.2", "2d"):
        assert DatasetRecord(name, "a:b").name == name


def test_records_are_frozen_values_and_default_to_this_contract() -> None:
    record = TaskRecord("t", "a:b", default_dataset="digits")
    assert record == TaskRecord("t", "a:b", default_dataset="digits") != TaskRecord("t", "a:b")
    assert record == dataclasses.replace(record, distribution="x")  # where it comes from is not what it is
    assert hash(record) == hash(dataclasses.replace(record))
    with pytest.raises(dataclasses.FrozenInstanceError):
        record.name = "u"  # type: ignore[misc]
    assert record.contract == CONTRACT_VERSION >= OLDEST_CONTRACT


@pytest.mark.parametrize("kind", RECORD_TYPES)
def test_each_kind_has_its_record_type(kind: str) -> None:
    record_type = RECORD_TYPES[kind]
    assert record_type.kind == kind
    assert record_type("x", "a:b", "one line").description == "one line"


def test_the_backend_contract_is_the_same_one() -> None:
    from corenn.backend.contract import CONTRACT_VERSION as BACKEND_CONTRACT

    assert BACKEND_CONTRACT == CONTRACT_VERSION


def test_probe() -> None:
    def broken() -> str | None:
        raise OSError("no driver")

    def record(probe: object) -> Record:
        return BackendRecord("mine", "a:b", probe=probe)  # type: ignore[arg-type]

    assert BackendRecord("mine", "a:b").unavailable_reason() is None
    assert record(lambda: None).unavailable_reason() is None
    assert record(lambda: "no device").unavailable_reason() == "no device"
    assert record(broken).unavailable_reason() == "its probe raised OSError: no driver"
    assert "returned True" in (record(lambda: True).unavailable_reason() or "")


def test_load_returns_what_the_factory_names() -> None:
    assert DatasetRecord("x", "pathlib:Path").load() is Path
    assert DatasetRecord("x", "pathlib:Path.cwd").load() == Path.cwd


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("plugin_part", "plugin_other"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "importing 'plugin_part' failed: ModuleNotFoundError: No module named 'plugin_part'"),
        ("import minelib_that_is_missing", "No module named 'minelib_that_is_missing'"),
        ("from os import no_such_thing", "ImportError: cannot import name 'no_such_thing'"),
        ("raise OSError('libmine.so: cannot open shared object file')", "OSError: libmine.so"),
        ("Other = 1", "'plugin_part' has no attribute 'Thing.make'"),
        ("class Thing: pass", "'plugin_part' has no attribute 'Thing.make'"),
    ],
)
def test_a_failed_load_names_everything(folder: Path, source: str | None, message: str) -> None:
    if source is not None:
        (folder / "plugin_part.py").write_text(source)
    record = BackendRecord(
        "mine", "plugin_part:Thing.make", install_hint="pip install minelib", distribution="corenn-mine"
    )
    with pytest.raises(PluginError) as caught:
        record.load()
    text = str(caught.value)
    for part in (message, "backend 'mine'", "corenn-mine", "plugin_part:Thing.make", "hint: pip install minelib"):
        assert part in text
    assert isinstance(caught.value.__cause__, Exception)


def test_errors_of_corenn_pass_through_a_load(folder: Path) -> None:
    (folder / "plugin_other.py").write_text(
        "from corenn.errors import MissingExtraError\nraise MissingExtraError('plots', 'matplotlib', 'plots')\n"
    )
    with pytest.raises(MissingExtraError, match=r"pip install 'corenn\[plots\]'"):
        DatasetRecord("x", "plugin_other:thing", install_hint="not shown").load()
