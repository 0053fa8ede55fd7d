"""Text to predict character by character: sentences made by a small grammar, or a file of the user's own.

The made text is English of a small world: people with names, pronouns and trades do things with things at places and
times, and now and then say so.  What there is to learn, roughly in this order: letters and spaces, words, full stops
and capitals, quotation marks that are closed, verbs that agree with their subjects, pronouns that agree with the names
before them, prices that are what the number of things says.  It is made from a seed by corenn's Philox, so the same
arguments give the same text everywhere.
"""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from corenn import philox
from corenn.errors import AttributeValueError, DataError
from corenn_datasets.folders import exists, expanded, is_file, is_folder, listing
from corenn_datasets.splits import Array, Arrays, DatasetSplits, PathLike, Progress

CHARACTERS = 80_000  # of the made text
_LARGEST = 256 << 20  # bytes of a file of the user's own
_TEST_PART = 10  # the last tenth is the test set

_PEOPLE = (
    ("Anna", "she", "her"), ("Ben", "he", "his"), ("Clara", "she", "her"), ("David", "he", "his"),
    ("Ella", "she", "her"), ("Frank", "he", "his"), ("Grace", "she", "her"), ("Henry", "he", "his"),
)  # fmt: skip
_TRADES = ("baker", "gardener", "teacher", "sailor", "doctor", "painter", "farmer", "miller")
_PLACES = ("in the garden", "by the river", "at the market", "under the old bridge", "near the harbour", "on the hill")
_TIMES = ("In the morning", "At noon", "In the evening", "On Sunday", "After the rain", "Before winter")
_THINGS = (
    ("apple", 2), ("candle", 3), ("basket", 5), ("lantern", 9), ("loaf", 4), ("book", 7), ("blanket", 8), ("rope", 6),
)  # fmt: skip
_PLURALS = {"loaf": "loaves"}
_COUNTS = ("one", "two", "three", "four", "five", "six")
_NUMBERS = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty",
)  # fmt: skip
_TENS = {2: "twenty", 3: "thirty", 4: "forty", 5: "fifty"}
_ADJECTIVES = ("small", "red", "heavy", "beautiful", "old", "strange", "warm", "quiet")
_VERBS = (
    ("carry", "carries"), ("find", "finds"), ("paint", "paints"), ("wash", "washes"), ("forget", "forgets"),
    ("look for", "looks for"),
)  # fmt: skip
_WEATHER = ("It rains", "The wind blows", "The sun shines", "It snows", "The fog rises", "The moon is up")
_MOODS = ("tired", "happy", "hungry", "curious", "late", "proud")


class _Choices:
    """Draws from a seed, one after the other."""

    def __init__(self, seed: int) -> None:
        self._seed, self._next = seed, 0
        self._drawn: Array = np.empty(0)

    def below(self, count: int) -> int:
        """A number in [0, count)."""
        if self._next % 4096 == 0:
            self._drawn = philox.uniform(self._seed, 0, self._next, 4096, np.float64)
        self._next += 1
        return int(self._drawn[(self._next - 1) % 4096] * count)

    def of(self, options: Sequence[str]) -> str:
        """One of the options."""
        return options[self.below(len(options))]


def made(characters: int = CHARACTERS, seed: int = 0) -> str:
    """The made text, ``characters`` long; a longer one begins with a shorter one of the same seed."""
    choose, paragraphs, length = _Choices(seed), [], 0
    while length <= characters:
        paragraph = _paragraph(choose)
        paragraphs.append(paragraph)
        length += len(paragraph) + 2
    return "\n\n".join(paragraphs)[:characters]


def _paragraph(choose: _Choices) -> str:
    """A few sentences about one person, then perhaps about two."""
    number = choose.below(len(_PEOPLE))
    name, pronoun, possessive = _PEOPLE[number]
    other = _PEOPLE[(number + 1 + choose.below(len(_PEOPLE) - 1)) % len(_PEOPLE)][0]
    trade = choose.of(_TRADES)
    article = "a" if trade[0] not in "aeiou" else "an"
    first, count = f"{name} is {article} {trade}.", 2 + choose.below(4)
    return " ".join([first, *(_sentence(choose, name, pronoun, possessive, other) for _ in range(count))])


def _sentence(choose: _Choices, name: str, pronoun: str, possessive: str, other: str) -> str:
    kind, subject = choose.below(6), (name, pronoun.capitalize())[choose.below(2)]
    if kind == 0:
        return f"{choose.of(_TIMES)} {subject if subject == name else pronoun} {_deed(choose, 1, possessive)}."
    if kind == 1:
        return f"{subject} {_deed(choose, 1, possessive)} {choose.of(_PLACES)}."
    if kind == 2:
        return f"{name} and {other} {_deed(choose, 0, 'their')} {choose.of(_PLACES)}."
    if kind == 3:
        return f'"I am {choose.of(_MOODS)}," says {name}, "and {other} is {choose.of(_MOODS)}."'
    if kind == 4:
        return f"{choose.of(_WEATHER)}, and {pronoun} is {choose.of(_MOODS)}."
    return _purchase(choose, subject)


def _deed(choose: _Choices, form: int, possessive: str) -> str:
    """A verb in the plural (0) or the singular (1), and what it is done to."""
    verb, (thing, _) = _VERBS[choose.below(len(_VERBS))][form], _THINGS[choose.below(len(_THINGS))]
    return f"{verb} {(possessive, 'the')[choose.below(2)]} {choose.of(_ADJECTIVES)} {thing}"


def _purchase(choose: _Choices, subject: str) -> str:
    """So many things, at the price of so many."""
    (thing, price), count = _THINGS[choose.below(len(_THINGS))], choose.below(len(_COUNTS))
    things = thing if count == 0 else _PLURALS.get(thing, thing + "s")
    cost = (count + 1) * price
    coins = "coin" if cost == 1 else "coins"
    return f"{subject} buys {_COUNTS[count]} {things} for {_spelt(cost)} {coins}."


def _spelt(number: int) -> str:
    if number <= len(_NUMBERS):
        return _NUMBERS[number - 1]
    tens, rest = divmod(number, 10)
    return _TENS[tens] + (f"-{_NUMBERS[rest - 1]}" if rest else "")


def read(data_dir: PathLike) -> str:
    """The text of a UTF-8 file, or of the one ``.txt`` file of a folder; line ends are ``\\n``.

    Raises ``DataError`` naming the file for what is missing, empty, larger than 256 MiB, or no UTF-8 text.
    """
    path = _file(expanded(data_dir))
    where = str(path)
    try:
        if path.stat().st_size > _LARGEST:
            raise DataError(where, f"is larger than {_LARGEST} bytes", hint="cut out a part of it")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            where, f"cannot be read: {error.strerror or error}", hint="give a file that can be read"
        ) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"is not UTF-8 text: byte {data[error.start]:#04x} at {error.start} does not fit"
        coding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "latin1"
        raise DataError(where, what, hint=f"save it as UTF-8, for example with: iconv -f {coding} -t utf-8") from error
    if "\0" in text:
        raise DataError(where, "is not UTF-8 text: it holds NUL bytes", hint="give a plain text file in UTF-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _file(path: Path) -> Path:
    if is_file(path):
        return path
    if not is_folder(path):
        what = "is neither a file nor a folder" if exists(path) else "does not exist"
        raise DataError(str(path), what, hint="give a text file with --data-dir (data_dir)")
    try:
        found = sorted(entry for entry in path.iterdir() if entry.suffix.lower() == ".txt" and entry.is_file())
    except OSError as error:
        raise DataError(str(path), f"cannot be read: {error.strerror or error}", hint="name the file itself") from error
    if len(found) != 1:
        what = "has no .txt file" if not found else f"has {len(found)} .txt files"
        raise DataError(
            str(path), what, {"found there": listing(path)}, hint="name the file itself: --data-dir FOLDER/FILE.txt"
        )
    return found[0]


def load(
    data_dir: PathLike | None = None,
    *,
    length: int = 64,
    characters: int = CHARACTERS,
    seed: int = 0,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Sequences of characters and of those that follow: x and y int32[N, length], y one character further than x.

    The text is that of :func:`read` for ``data_dir``, a file (or a folder with one ``.txt`` file); without it that of
    :func:`made` for ``characters`` and ``seed``.  ``classes`` are the characters that occur, in order of their code;
    the numbers in x and y count them.  Sequences do not overlap; the last tenth of the text is the test set.

    Raises ``DataError`` for a text too short for a training and a test sequence, ``AttributeValueError`` for a
    ``length`` or ``characters`` below 1.
    """
    for name, value in (("length", length), ("characters", characters)):
        if value < 1:
            raise AttributeValueError("text", f"{name} must be at least 1", {name: value})
    text = made(characters, seed) if data_dir is None else read(data_dir)
    where = "text" if data_dir is None else str(_file(expanded(data_dir)))
    cut = len(text) - max(len(text) // _TEST_PART, length + 1)
    if cut <= length:
        least = 2 * (length + 1)
        raise DataError(
            where,
            f"is too small: {len(text)} characters, and sequences of {length} need at least {least}",
            hint="give a longer text, or choose a smaller length",
        )
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    known, numbers = np.unique(points, return_inverse=True)
    ids = numbers.astype(np.int32)
    return DatasetSplits(
        name="text",
        train=_sequences(ids[:cut], length),
        test=_sequences(ids[cut:], length),
        classes=tuple(map(chr, known.tolist())),
        image_shape=None,
        description=f"{len(text):,} characters of {len(known)} kinds, in sequences of {length}",
        source="made by corenn from its seed" if data_dir is None else where,
        licence="none needed" if data_dir is None else "that of the file",
    )


def _sequences(ids: Array, length: int) -> Arrays:
    count = (len(ids) - 1) // length
    return Arrays(ids[: count * length].reshape(count, length), ids[1 : count * length + 1].reshape(count, length))


__all__ = ["CHARACTERS", "load", "made", "read"]
