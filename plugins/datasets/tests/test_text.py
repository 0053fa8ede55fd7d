"""Text to predict: the made sentences, and files of the user's own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corenn_datasets import text

from corenn.errors import AttributeValueError, DataError


def whole(splits: Any) -> list[str]:
    """The texts that training and test sequences were made of, as far as they go."""
    numbers = [np.concatenate([part.x.ravel(), part.y[-1:, -1]]) for part in (splits.train, splits.test)]
    return ["".join(splits.classes[i] for i in ids) for ids in numbers]


def test_the_same_seed_makes_the_same_text() -> None:
    assert text.made(5000, 3) == text.made(5000, 3) == text.made(9000, 3)[:5000]
    assert text.made(5000, 3) != text.made(5000, 4)
    assert len(text.made(12345)) == 12345


def test_the_made_text_keeps_its_rules() -> None:
    """Those its documentation names: closed quotations, agreement, capitals, prices."""
    made = text.made(60_000, 1)
    prices = dict(text._THINGS)
    singular = {plural: one for one, plural in text._PLURALS.items()}
    bought = re.findall(r"buys (\w+) (\w+) for ([\w-]+) coins?\.", made)
    assert len(bought) > 100
    for count, things, cost in bought:
        number = text._COUNTS.index(count) + 1
        thing = things if number == 1 else singular.get(things, things.removesuffix("s"))
        assert cost == text._spelt(number * prices[thing])
    paragraphs = made.split("\n\n")[:-1]
    assert len(paragraphs) > 200
    for paragraph in paragraphs:
        assert paragraph.count('"') % 2 == 0
        assert all(s[:1].isupper() or s[:1] == '"' for s in re.split(r"(?<=\.) ", paragraph))
        _, pronoun, _ = next(p for p in text._PEOPLE if paragraph.startswith(f"{p[0]} is a"))
        wrong = {"she": "he", "he": "she"}[pronoun]
        assert not re.search(rf"\b{wrong}\b", paragraph, re.IGNORECASE), paragraph


def test_numbers_are_spelt() -> None:
    assert [text._spelt(n) for n in (1, 20, 21, 54, 30)] == ["one", "twenty", "twenty-one", "fifty-four", "thirty"]


def test_sequences_are_the_text_and_what_follows() -> None:
    found = text.load(length=50, characters=3000)
    assert found.train.x.shape == found.train.y.shape == (53, 50)
    assert found.train.x.dtype == found.train.y.dtype == np.int32
    np.testing.assert_array_equal(found.train.x[:, 1:], found.train.y[:, :-1])
    np.testing.assert_array_equal(found.train.x[1:, 0], found.train.y[:-1, -1])
    train, test = whole(found)
    made = text.made(3000)
    assert made.startswith(train) and made[2700:].startswith(test)
    assert found.classes == tuple(sorted(set(made)))


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    line = "Gr\u00fc\u00dfe, \U0001f600!"
    path.write_bytes(b"\xef\xbb\xbf" + f"{line}\r\n{line}\r".encode() * 25)
    assert text.read(path) == f"{line}\n" * 50
    found = text.load(path, length=10)
    assert {"\u00fc", "\U0001f600", "\n"} <= set(found.classes) and "\r" not in found.classes
    assert found.source == str(path)
    assert text.load(tmp_path, length=10).classes == found.classes


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda d: d / "nothing.txt", "does not exist"),
        (lambda d: d, r"has no \.txt file"),
        (lambda d: [(d / n).write_text("x" * 500) for n in ("a.txt", "b.txt")] and d, r"has 2 \.txt files"),
        (lambda d: (d / "a.txt").write_bytes(b"caf\xe9 " * 99) and d, "is not UTF-8 text: byte 0xe9 at 3"),
        (lambda d: (d / "a.txt").write_bytes("Köln".encode("utf-16") * 99) and d, "iconv -f utf-16"),
        (lambda d: (d / "a.txt").write_bytes(b"abc\0" * 99) and d, "NUL bytes"),
        pytest.param(
            lambda d: os.mkfifo(d / "a.txt") or d / "a.txt",
            "is neither a file nor a folder",
            marks=pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes"),
        ),
        (lambda d: (d / "a.txt").write_text("too short") and d, "is too small: 9 characters"),
        (lambda d: (d / "a.txt").write_text("") or d, "is too small: 0 characters"),
    ],
)
def test_wrong_file(tmp_path: Path, prepare: Callable[[Path], Path], said: str) -> None:
    with pytest.raises(DataError, match=said) as caught:
        text.load(prepare(tmp_path))
    assert str(tmp_path) in str(caught.value)


def test_large_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_LARGEST", 10)
    (tmp_path / "a.txt").write_text("x" * 11)
    with pytest.raises(DataError, match="is larger than 10 bytes"):
        text.load(tmp_path)


@pytest.mark.parametrize("options", [{"length": 0}, {"characters": -5}])
def test_arguments(options: Any) -> None:
    with pytest.raises(AttributeValueError, match="must be at least 1"):
        text.load(**options)


def test_as_short_as_it_may_be() -> None:
    found = text.load(length=20, characters=42)
    assert found.train.x.shape == found.test.x.shape == (1, 20)
    with pytest.raises(DataError, match="need at least 42"):
        text.load(length=20, characters=41)
