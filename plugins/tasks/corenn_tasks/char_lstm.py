"""``char-lstm``: an LSTM learns a text character by character, and writes some of its own."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

import corenn
from corenn import layers, philox
from corenn.data import Dataset
from corenn.errors import DataError, UsageError
from corenn.losses import SparseCategoricalCrossentropy
from corenn.nn import log_softmax
from corenn.optimizers import Adam
from corenn.plugin import registry
from corenn.schedules import CosineDecay
from corenn.tensor import Tensor
from corenn.training import Callback, Model
from corenn.training.run import Run
from corenn.training.task import Settings, Task
from corenn_tasks.classifying import least, share

_COLOURED = 360  # characters of the picture of surprises


@dataclasses.dataclass
class CharSettings(Settings):
    """How to train and what to write.

    ``characters``: of the text that is made where none is given with ``--data-dir``.  ``length``: of the sequences
    that are learnt.  ``embedding`` and ``units``: sizes of the layers; ``dropout``: the part of the LSTM's output left
    out.  ``learning_rate``: of Adam; it stays, or falls to zero along a cosine (``schedule``).  ``sample``: how many
    characters to write, at ``temperature`` (below 1: the likelier ones more often).
    """

    epochs: int = 40
    batch_size: int = 32
    characters: int = 80_000
    length: int = 64
    embedding: int = 24
    units: int = 128
    dropout: float = 0.1
    learning_rate: float = 0.005
    schedule: Literal["constant", "cosine"] = "cosine"
    sample: int = 400
    temperature: float = 0.8

    def check(self) -> None:
        """Values that make sense."""
        super().check()
        least(self, 1, "characters", "length", "embedding", "units", "sample")
        share(self, "dropout")
        if self.learning_rate <= 0 or self.temperature <= 0:
            raise UsageError("settings", "learning_rate and temperature must be positive")


class Network(Model):
    """Characters [batch, time] in, logits [batch, time, alphabet] of the next ones out."""

    def __init__(self, alphabet: int, embedding: int, units: int, dropout: float) -> None:
        super().__init__(name="network")
        self.embedding = layers.Embedding(alphabet, embedding)
        self.lstm = layers.LSTM(units, return_sequences=True, return_state=True)
        self.dropout = layers.Dropout(dropout)
        self.output = layers.Dense(alphabet)

    def call(self, x: Any) -> Tensor:
        """From the beginning of each window."""
        logits: Tensor = self.output(self.dropout(self.lstm(self.embedding(x))[0]))
        return logits

    def step(self, x: Any, hidden: Any, cell: Any) -> tuple[Tensor, Any, Any]:
        """Logits after more characters, and the states."""
        outputs, hidden, cell = self.lstm(self.embedding(x), initial_state=(hidden, cell))
        return self.output(outputs), hidden, cell


class Writer:
    """Writes text with a network: a character at a time, each drawn from the probabilities after the ones before."""

    def __init__(self, network: Network, alphabet: Sequence[str]) -> None:
        self._alphabet, self._units = list(alphabet), network.lstm.units
        self._step = corenn.function(lambda x, hidden, cell: network.step(x, hidden, cell))

    def write(self, count: int, temperature: float, seed: int) -> str:
        """``count`` characters after a line break (or the first character there is)."""
        alphabet = self._alphabet
        last = alphabet.index("\n") if "\n" in alphabet else 0
        draws = philox.uniform(seed, 0, 0, count)
        hidden = cell = corenn.zeros((1, self._units))
        written: list[str] = []
        for draw in draws:
            logits, hidden, cell = self._step(corenn.tensor(np.array([[last]], np.int32)), hidden, cell)
            scores = logits.numpy()[0, -1].astype(np.float64) / temperature
            shares = np.cumsum(np.exp(scores - scores.max()))
            last = min(len(alphabet) - 1, int(np.searchsorted(shares, float(draw) * shares[-1], side="right")))
            written.append(alphabet[last])
        return "".join(written)


class Samples(Callback):
    """A few lines written after some of the epochs, as text for TensorBoard."""

    def __init__(self, run: Run, writer: Writer) -> None:
        self.run, self.writer = run, writer

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Write; the draws are of their own, so that training does not depend on them."""
        chosen: Any = self.run.settings
        seed = philox.derive(self.run.seed, "sample", epoch)
        text = self.writer.write(min(120, chosen.sample), chosen.temperature, seed)
        self.run.writer.text("sample", _quoted(text), self.loop.total_steps)


class CharLstm(Task):
    """Learns to continue a text, and writes some."""

    Settings: ClassVar[type[Settings]] = CharSettings
    summary: ClassVar[str] = "learn a text character by character with an LSTM, and write some"
    default_dataset: ClassVar[str | None] = "text"

    def run(self, run: Run) -> dict[str, float]:
        """Train, test, write."""
        chosen: Any = run.settings
        data = read_text(run)
        x, y = data.train
        run.say(f"{data.description}: {x.size} to learn, {data.test.x.size} to test, on {run.device.name}")
        network = Network(len(data.classes), chosen.embedding, chosen.units, chosen.dropout)
        network(corenn.tensor(x[:1]))
        train = Dataset.from_tensor_slices((x, y)).shuffle(seed=run.seed).batch(chosen.batch_size)
        test = Dataset.from_tensor_slices((data.test.x, data.test.y)).batch(chosen.batch_size)
        rate: Any = chosen.learning_rate
        if chosen.schedule == "cosine":
            rate = CosineDecay(rate, decay_steps=len(train) * chosen.epochs)
        network.compile(Adam(rate), loss=SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
        author = Writer(network, data.classes)
        history = run.fit(network, train, validation_data=test, callbacks=[Samples(run, author)])
        bits = {name: np.asarray(history.history[name]) / math.log(2) for name in ("loss", "val_loss")}
        held = network.evaluate(test)
        written = author.write(chosen.sample, chosen.temperature, philox.derive(run.seed, "sample"))
        (run.out / "sample.txt").write_text(written, encoding="utf-8")
        run.writer.text("sample", _quoted(written), run.steps)
        run.say(f"what it writes:\n{written}")
        plots = run.figures()
        if plots is not None:
            draw(plots, bits)
            draw_surprises(plots, network, data)
        return {"test_bits_per_character": held["loss"] / math.log(2), "test_accuracy": held["accuracy"],
                "known_words": known_words(written, read(data, x.ravel()))}  # fmt: skip


# ---------------------------------------------------------------- text


def read_text(run: Run) -> Any:
    """The data set of the run: numbers of characters x and y, int32[n, length], and the characters as ``classes``.

    Raises UsageError for one that is no text, DataError for one character repeated, and what its loader raises.
    """
    chosen: Any = run.settings
    name = run.config["dataset"]
    options = {"length": chosen.length, "characters": chosen.characters}
    taken = inspect.signature(registry.get("dataset", name).load()).parameters
    if not options.keys() <= taken.keys():
        raise UsageError("char-lstm", f"the data set {name!r} is no text", hint="--dataset text --data-dir FILE.txt")
    data = run.dataset(**options)
    if len(data.classes) < 2:
        where = run.config["data_dir"] or name
        raise DataError(str(where), f"is one character, {data.classes[0]!r}, again and again",
                        hint="give a text with something to learn")  # fmt: skip
    return data


def read(data: Any, numbers: npt.NDArray[Any]) -> str:
    """The text that numbers stand for."""
    return "".join(data.classes[int(n)] for n in numbers)


def known_words(written: str, text: str) -> float:
    """The share of the written words that occur in the text; the last, which may be cut off, does not count."""
    known = set(_words(text))
    found = _words(written)[:-1]
    return sum(word in known for word in found) / max(1, len(found))


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c == "'" else " " for c in text.lower()).split()


def _quoted(text: str) -> str:
    """Text as a block of Markdown."""
    return "".join(f"    {line}\n" for line in text.splitlines())


# ---------------------------------------------------------------- pictures


def draw(plots: Any, bits: dict[str, npt.NDArray[Any]]) -> None:
    """Bits per character by epoch."""
    from corenn_tasks import pictures

    pictures.curves(
        plots, "learning_curves", np.arange(1, len(bits["loss"]) + 1),
        {"training": bits["loss"], "test": bits["val_loss"]}, xlabel="epoch", ylabel="bits per character",
    )  # fmt: skip


def draw_surprises(plots: Any, network: Network, data: Any) -> None:
    """The beginning of the test text, each character in the colour of the bits it told the network."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    x, y = (part.ravel()[:_COLOURED] for part in data.test)
    logits = network(corenn.tensor(x[None]), training=False)
    told = -log_softmax(logits, axis=-1).numpy()[0][np.arange(len(y)), y] / math.log(2)
    scale = Normalize(0, 6)
    columns, colours = 60, colormaps["Reds"]
    lines = -(-len(told) // columns)
    figure = Figure(figsize=(0.14 * columns + 1.0, 0.3 * lines + 0.7), layout="constrained")
    axes = figure.subplots()
    axes.set_axis_off()
    for place, (number, value) in enumerate(zip(y, told, strict=True)):
        character = data.classes[int(number)]
        character = {"\n": "¶", " ": "·"}.get(character, character)
        axes.text(place % columns, -(place // columns), character, family="monospace", fontsize=9, ha="center",
                  va="center", parse_math=False, color="white" if value > 3.5 else "black",
                  bbox={"facecolor": colours(scale(float(value)) * 0.85), "edgecolor": "none", "pad": 1.2})  # fmt: skip
    axes.set_xlim(-1, columns)
    axes.set_ylim(-lines + 0.4, 0.6)
    axes.set_title("test text: how many bits each character told", fontsize=10)
    figure.colorbar(ScalarMappable(scale, colours), ax=axes, label="bits", shrink=0.9, pad=0.01)
    plots.save(figure, "surprises")


__all__ = ["CharLstm", "CharSettings", "Network", "Writer", "known_words", "read_text"]
