"""``corenn tf-coverage``."""

from __future__ import annotations

import json

import pytest
from corenn_tensorflow import coverage, missing

from corenn.errors import DataError, UsageError

OLD = {"flags.DEFINE_string", "flags.DEFINE_nothing", "app.run", "gone", "gone.deep.inside", "gfile.GFile.read"}
NEW = {"gone", "gfile.GFile.read", "gfile.GFile.fly"}


@pytest.fixture
def lists(monkeypatch):
    found = {"1.15": frozenset(OLD), "2.x": frozenset(NEW)}
    monkeypatch.setattr(coverage, "api_names", found.get)
    return found


def test_what_is_there_and_what_is_not(lists):
    found = coverage.coverage()
    assert {n for n, there in found["1.15"].items() if there} == {"flags.DEFINE_string", "app.run", "gfile.GFile.read"}
    assert {n for n, there in found["2.x"].items() if there} == {"gfile.GFile.read"}
    assert coverage.namespaces(found["1.15"]) == {
        "(top)": (0, 1), "app": (1, 1), "flags": (1, 2), "gfile.GFile": (1, 1), "gone.deep": (0, 1)
    }  # fmt: skip
    assert coverage.coverage("tf.gfile")["2.x"] == {"gfile.GFile.fly": False, "gfile.GFile.read": True}
    with pytest.raises(UsageError, match=r"no name tf\.gfiel") as caught:
        coverage.coverage("gfiel")
    assert "gfile" in str(caught.value)
    lists.clear()
    with pytest.raises(DataError, match="lists of names"):
        coverage.coverage()


def test_listings(lists, capsys):
    coverage.tf_coverage()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["1.15", "2.x"] and lines[1].split() == ["(top)", "0/1", "0/1"]
    assert lines[-2:] == ["TensorFlow 1.15: 3 of 6 names (50 %)", "TensorFlow 2.x: 1 of 3 names (33 %)"]
    coverage.tf_coverage("flags")
    assert capsys.readouterr().out.splitlines() == [
        "no   tf.flags.DEFINE_nothing  (1.15)", "yes  tf.flags.DEFINE_string  (1.15)",
        "TensorFlow 1.15: 1 of 2 names (50 %)",
    ]  # fmt: skip
    coverage.tf_coverage(missing=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "no   tf.flags.DEFINE_nothing  (1.15)" and "no   tf.gone  (1.15, 2.x)" in lines
    assert not any(line.startswith("yes") for line in lines)
    coverage.tf_coverage(as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["1.15"]["have"], found["1.15"]["total"]) == (3, 6)
    assert found["2.x"]["missing"] == ["gfile.GFile.fly", "gone"] and "present" not in found["2.x"]
    assert found["1.15"]["namespaces"]["flags"] == {"have": 1, "total": 2}


def test_the_command(corenn):
    found = corenn("tf-coverage", "--json", "tf.app")
    if missing.api_names("1.15") is None and missing.api_names("2.x") is None:
        assert found.status == 1 and "the lists of names are not there" in found.err
    else:
        result = json.loads(found.out)
        assert result["1.15"]["have"] > 5 and "app.flags.DEFINE_string" in result["1.15"]["present"]
    assert "tf-coverage: " in corenn("info").out
