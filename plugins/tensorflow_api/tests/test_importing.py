"""The import hook: which modules answer, that they are the same objects, and when it refuses."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.machinery import ModuleSpec

import corenn_tensorflow
import pytest
from corenn_tensorflow import importing
from corenn_tensorflow.importing import RealTensorFlowError, View, install, installed, uninstall
from corenn_tensorflow.missing import MissingModuleError, MissingNameError

TABLE = importing._Rules(
    exact={"tensorflow.insides.files": ("gfile",), "tensorflow.insides.both": ("nowhere", "gfile", "flags"),
           "tensorflow.insides.gone": ("nowhere",), "tensorflow.gfile.inner": ("flags",)},
    below={"tensorflow.insides.many": ("flags",)},
    renames={"keras": "tensorflow.gfile", "tensorflow.old": "tensorflow",
             "tensorflow.python.keras": "tensorflow.gfile"},
    packages=frozenset({"tensorflow", "tensorflow.insides", "tensorflow.insides.many", "tensorflow.python"}),
)  # fmt: skip


@pytest.fixture
def table(monkeypatch, hook):
    monkeypatch.setattr(importing, "rules", lambda: TABLE)


def names(statement: str) -> dict[str, object]:
    found: dict[str, object] = {}
    exec(statement, found)
    return found


@pytest.mark.parametrize(
    ("statement", "name", "place"),
    [
        ("import tensorflow as tf", "tf", ""),
        ("import tensorflow", "tensorflow", ""),
        ("import tensorflow.gfile", "tensorflow", ""),
        ("import tensorflow.gfile as g", "g", "gfile"),
        ("from tensorflow import gfile", "gfile", "gfile"),
        ("from tensorflow.gfile import Exists", "Exists", "gfile.Exists"),
        ("from tensorflow.insides.files import Exists", "Exists", "gfile.Exists"),
        ("from tensorflow.insides import files; x = files.Exists", "x", "gfile.Exists"),
        ("import tensorflow.insides.files as files; x = files.Exists", "x", "gfile.Exists"),
        ("from tensorflow.insides.both import Exists as x", "x", "gfile.Exists"),
        ("from tensorflow.insides.both import FLAGS as x", "x", "flags.FLAGS"),
        ("from tensorflow.insides.many.whatever import FLAGS as x", "x", "flags.FLAGS"),
        ("import keras", "keras", "gfile"),
        ("from keras import Exists", "Exists", "gfile.Exists"),
        ("import tensorflow.python.keras as k", "k", "gfile"),
        ("from tensorflow.python import keras as k", "k", "gfile"),
        ("import tensorflow.old as tf", "tf", ""),
        ("import tensorflow.old.gfile as g", "g", "gfile"),
        ("from tensorflow.gfile import inner; x = inner.FLAGS", "x", "flags.FLAGS"),
        ("from keras import inner; x = inner.FLAGS", "x", "flags.FLAGS"),
        ("from keras.inner import FLAGS as x", "x", "flags.FLAGS"),
        ("from tensorflow.gfile import *; x = Exists", "x", "gfile.Exists"),
        ("from tensorflow.insides.both import *; x = FLAGS", "x", "flags.FLAGS"),
    ],
)
def test_every_spelling_gives_the_same_object(table, statement, name, place):
    expected: object = corenn_tensorflow
    for part in filter(None, place.split(".")):
        expected = getattr(expected, part)
    assert names(statement)[name] is expected


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("import tensorflow.nowhere", "tf.nowhere"),
        ("import tensorflow.nowhere.at.all", "tf.nowhere"),
        ("from tensorflow import nowhere", "tf.nowhere"),
        ("from tensorflow.gfile import Exist", "did you mean 'tf.gfile.Exists'"),
        ("from tensorflow.insides.files import Exist", "did you mean 'tf.insides.files.Exists'"),
        ("import tensorflow.insides.gone", "tf.insides.gone"),
        ("import tensorflow.importing", "tf.importing"),
        ("from tensorflow.insides import nothing", "tf.insides.nothing"),
        ("import keras.nothing", "tf.gfile.nothing"),
    ],
)
def test_a_module_that_is_not_there_is_a_named_import_error(table, statement, said):
    with pytest.raises(MissingModuleError) as caught:
        names(statement)
    assert isinstance(caught.value, ModuleNotFoundError) and said in str(caught.value)
    assert "is not in corenn" in str(caught.value) or "is in neither" in str(caught.value)
    # Named where it was asked for: exec's own source.
    assert caught.value.site == "<string>:1"


def test_a_name_that_a_view_does_not_have(table):
    files = importlib.import_module("tensorflow.insides.both")
    with pytest.raises(MissingNameError, match=r"tf\.insides\.both\.Exist: "):
        files.Exist
    assert not hasattr(files, "Exist") and not hasattr(files, "__wrapped__")
    assert "Exists" in dir(files) and "FLAGS" in dir(files)


def test_the_facades_modules_keep_their_identity(table):
    before = corenn_tensorflow.gfile.__spec__
    assert isinstance(before, ModuleSpec)
    names("import tensorflow.gfile, keras")
    assert corenn_tensorflow.gfile.__name__ == "corenn_tensorflow.gfile"
    assert corenn_tensorflow.gfile.__spec__ is before
    assert sys.modules["tensorflow.gfile"] is sys.modules["keras"] is corenn_tensorflow.gfile


def test_other_imports_are_left_alone(table):
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("tensorflowx")
    assert caught.value.name == "tensorflowx" and not isinstance(caught.value, MissingModuleError)


def test_the_real_table_is_well_formed():
    table = importing.rules()
    assert table.exact and table.below and table.renames
    for name in (*table.exact, *table.below, *table.renames):
        assert name.partition(".")[0] in importing.ROOTS
        assert all(part.isidentifier() for part in name.split("."))
    for places in (*table.exact.values(), *table.below.values()):
        assert places and all(p == "." or all(part.isidentifier() for part in p.split(".")) for p in places)
    assert not set(table.exact) & set(table.renames)


@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("from tensorflow.python.platform import flags; x = flags.FLAGS", "flags.FLAGS"),
        ("from tensorflow.python.platform import gfile; x = gfile.GFile", "gfile.GFile"),
        ("from tensorflow.python.platform import tf_logging; x = tf_logging.info", "logging.info"),
        ("from tensorflow.python.platform.app import run as x", "app.run"),
        ("from tensorflow.examples.tutorials.mnist import input_data as m; x = m.read_data_sets",
         "input_data.read_data_sets"),
        ("from tensorflow.contrib.learn.python.learn.datasets.mnist import DataSet as x", "input_data.DataSet"),
        ("import tensorflow.compat.v1 as tf; x = tf.flags", "flags"),
        ("from tensorflow.compat.v1 import logging as x", "logging"),
        ("from tensorflow.python.framework import ops; x = ops.gfile", "gfile"),
        ("import tensorflow_datasets as x", "datasets_shim"),
        ("from tensorflow_datasets import load as x", "datasets_shim.load"),
    ],
)  # fmt: skip
def test_real_spellings(hook, statement, place):
    expected = importlib.import_module("corenn_tensorflow")
    for part in place.split("."):
        if not hasattr(expected, part):
            importlib.import_module(f"{expected.__name__}.{part}")
        expected = getattr(expected, part)
    assert names(statement)["x"] is expected


def test_install_and_uninstall_leave_nothing(monkeypatch):
    monkeypatch.setattr(importing, "rules", lambda: TABLE)
    before, finders = set(sys.modules), list(sys.meta_path)
    paths = hasattr(corenn_tensorflow.gfile, "__path__")
    install(over_real=True)
    install(over_real=True)  # a second time changes nothing
    assert installed() and len(sys.meta_path) == len(finders) + 2
    names("import tensorflow.insides.files, tensorflow.gfile.inner; from tensorflow.gfile import inner")
    uninstall()
    uninstall()
    assert not installed() and sys.meta_path == finders
    assert {n for n in set(sys.modules) - before if n.startswith(("tensorflow", "keras"))} == set()
    assert hasattr(corenn_tensorflow.gfile, "__path__") == paths
    assert not any(isinstance(v, View) for v in vars(corenn_tensorflow.gfile).values())
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("tensorflow.insides.files")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Put a package of a given name on ``sys.path``: ``package("tensorflow")``."""

    def make(name: str, init: bool = True) -> str:
        folder = tmp_path / "site" / name
        folder.mkdir(parents=True)
        (folder / ("__init__.py" if init else "notes.py")).write_text("real = True\n")
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        return str(folder / "__init__.py")

    yield make
    uninstall()
    for name in [n for n in sys.modules if n.partition(".")[0] in importing.ROOTS]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["tensorflow", "keras", "tensorflow_datasets"])
def test_it_does_not_take_the_place_of_a_real_package(package, name):
    where = package(name)
    with pytest.raises(RealTensorFlowError) as caught:
        install()
    assert not installed()
    text = str(caught.value)
    assert f"the real {name} is installed" in text and where in text and "--facade-over-tensorflow" in text
    assert name not in sys.modules
    install(over_real=True)
    if name == "tensorflow":
        assert importlib.import_module("tensorflow") is corenn_tensorflow


def test_never_beside_one_that_is_imported_already(package):
    package("tensorflow")
    assert importlib.import_module("tensorflow").real
    with pytest.raises(RealTensorFlowError, match="has been imported already"):
        install(over_real=True)


def test_a_folder_of_notes_called_tensorflow_is_no_package(package):
    package("tensorflow", init=False)
    assert importing.real_package("tensorflow") is None


@pytest.mark.parametrize("name", ["gym", "six"])
def test_one_that_needs_no_tensorflow_goes_on_answering(package, name):
    package(name)
    install(over_real=True)
    assert importlib.import_module(name).real


def test_importing_the_facade_installs_nothing():
    code = "import sys, corenn_tensorflow; print('tensorflow' in sys.modules, len(sys.meta_path))"
    bare = "import sys, corenn; print('tensorflow' in sys.modules, len(sys.meta_path))"
    found = [
        subprocess.run([sys.executable, "-c", c], capture_output=True, text=True, check=True) for c in (code, bare)
    ]
    assert found[0].stdout == found[1].stdout


@pytest.mark.parametrize("first", ["keras", "layers", "losses", "framework"])
def test_any_namespace_can_be_the_first_import_of_a_process(first):
    code = f"import corenn_tensorflow.{first}, corenn; print(hasattr(corenn.Tensor, 'get_shape'))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "True"
