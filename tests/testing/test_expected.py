"""The file of expected failures: what it may hold, and what its entries match."""

from __future__ import annotations

import pytest

from corenn.errors import DataError
from corenn.testing.expected import Expectation, ExpectedFailures, load_expected_failures

GOOD = """
[[xfail]]
id = "L1/svd/*/float32"
reason = "ascending order"

[[xfail]]
id = "L2/qr/0/float64"
reason = "no gradient for wide matrices"
"""


def test_load(tmp_path):
    path = tmp_path / "xfails.toml"
    path.write_text(GOOD)
    expected = load_expected_failures(path)
    assert [e.id for e in expected.entries] == ["L1/svd/*/float32", "L2/qr/0/float64"]
    assert expected.source == "xfails.toml"
    assert expected.find("L1/svd/3/float32").reason == "ascending order"
    assert expected.find("L1/svd/3/float64") is None
    assert [e.id for e in expected.unmatched(["L1/svd/0/float32", "L1/add/0/float32"])] == ["L2/qr/0/float64"]


def test_an_empty_file_expects_nothing(tmp_path):
    path = tmp_path / "xfails.toml"
    path.write_text("# nothing fails\n")
    assert load_expected_failures(path).entries == ()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("xfail = 3", "[[xfail]] tables and nothing else"),
        ("[[xfails]]\nid = 'a'\nreason = 'b'", "[[xfail]] tables and nothing else"),
        ("[[xfail]]\nid = 'L1/a'", "entry 1 (L1/a) has no reason"),
        ("[[xfail]]\nid = 'L1/a'\nreason = '  '", "entry 1 (L1/a) has no reason"),
        ("[[xfail]]\nid = 'L1/a'\nreason = 3", "entry 1 (L1/a) has no reason"),
        ("[[xfail]]\nreason = 'b'", "entry 1 (without id) has no id"),
        ("[[xfail]]\nid = 'L1/a'\nreason = 'b'\ndtype = 'float32'", "entry 1 (L1/a) has unknown keys"),
        ("[[xfail", "is not TOML"),
    ],
)
def test_refused(tmp_path, text, part):
    path = tmp_path / "xfails.toml"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        load_expected_failures(path)
    assert part in str(caught.value)
    assert "xfails.toml" in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.toml: cannot be read"):
        load_expected_failures(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("pattern", "case", "matches"),
    [
        ("L1/conv/0/float32", "L1/conv/0/float32", True),
        ("L1/conv/0/float32", "L1/conv/0/float32/strided", False),
        ("L1/conv/*", "L1/conv/0/float32/strided", True),
        ("L1/conv/*", "L1/conv_transpose/0/float32", False),
        ("*/float16", "L1/conv/0/float16", True),
        ("L1/conv/[01]/float32", "L1/conv/1/float32", True),
        ("l1/conv/*", "L1/conv/0/float32", False),
    ],
)
def test_globs(pattern, case, matches):
    assert Expectation(pattern, "why").matches(case) is matches
    assert (ExpectedFailures((Expectation(pattern, "why"),)).find(case) is not None) is matches
