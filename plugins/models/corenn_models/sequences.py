"""Networks over sequences: encoder and decoder of LSTMs (Sutskever, Vinyals and Le 2014), and a transformer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from corenn.errors import UsageError
from corenn.layers import (
    LSTM,
    Activation,
    Add,
    Dense,
    Dropout,
    Embedding,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    Input,
    Layer,
    LayerNormalization,
    MultiHeadAttention,
    register,
)
from corenn.layers.core import positive
from corenn.ops.creation import tensor
from corenn.ops.elementwise import add
from corenn.spec import Spec
from corenn.tensor import Tensor
from corenn.training import Model
from corenn_models.heads import Weights, choice, loaded


def seq2seq(
    input_shape: tuple[int, ...],
    classes: int,
    vocabulary: int | None = None,
    units: int = 256,
    embedding: int = 128,
    layers: int = 1,
    dropout: float = 0.0,
    activation: str | None = "softmax",
    *,
    weights: Weights = None,
) -> Seq2Seq:
    """A sequence to another: LSTMs read the first, and others write the second from the states where those ended.

    ``input_shape``: (steps,) of ids below ``vocabulary`` (by default ``classes``), or (steps, features) of numbers.
    ``classes``: how many ids there are in the output.  The model takes ``(source, target)``, the target being what was
    written before each step (the right answer moved by one: teacher forcing), and gives [batch, steps, classes].
    Steps of any number may be given later.  Ids of 0 in a source are padding.
    """
    model = Seq2Seq(input_shape, classes, vocabulary, units, embedding, layers, dropout, activation, name="seq2seq")
    return loaded(model, weights)


class Seq2Seq(Model):
    """The model of ``seq2seq``; ``translate`` writes sequences for new sources."""

    def __init__(
        self, input_shape: tuple[int, ...], classes: int, vocabulary: int | None, units: int, embedding: int,
        layers: int, dropout: float, activation: str | None, **base: Any,
    ) -> None:  # fmt: skip
        super().__init__(**base)
        if len(input_shape) not in (1, 2):
            raise UsageError(self.name, f"takes sequences (steps,) or (steps, features), not {tuple(input_shape)}")
        self.classes, self.units = positive(self.name, "classes", classes), positive(self.name, "units", units)
        ids = len(input_shape) == 1
        self.reading = Embedding(vocabulary or classes, embedding, mask_zero=True, name="reading") if ids else None
        self.writing = Embedding(classes, embedding, name="writing")
        count = positive(self.name, "layers", layers)
        self.encoder = [self._lstm(f"encoder_{i}", dropout) for i in range(count)]
        self.decoder = [self._lstm(f"decoder_{i}", dropout) for i in range(count)]
        self.output = Dense(classes, activation=activation, name="output")
        source = np.zeros((1, *input_shape), np.int32 if ids else np.float32)
        self((source, np.zeros((1, 1), np.int32)))  # so that the weights are there

    def _lstm(self, name: str, dropout: float) -> LSTM:
        return LSTM(self.units, return_sequences=True, return_state=True, dropout=dropout, name=name)

    def call(self, inputs: Any) -> Tensor:
        """``(source, target)`` to [batch, steps, classes]."""
        source, target = inputs
        return self.decode(target, self.encode(source))[0]

    def encode(self, source: Any) -> list[tuple[Tensor, Tensor]]:
        """The states of each LSTM after the last step of the source that counts."""
        x, mask = source, None
        if self.reading is not None:
            mask = self.reading.compute_mask(source)
            x = self.reading(source)
        states = []
        for layer in self.encoder:
            x, h, c = layer(x, mask=mask)
            states.append((h, c))
        return states

    def decode(self, target: Any, states: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Scores [batch, steps, classes] of what follows each step of ``target``, and the states afterwards."""
        x, after = self.writing(target), []
        for layer, state in zip(self.decoder, states, strict=True):
            x, h, c = layer(x, initial_state=state)
            after.append((h, c))
        return self.output(x), after

    def translate(self, source: Any, start: int, end: int | None = None, most_steps: int = 100) -> Any:
        """The likeliest id at each step, int array [batch, steps], beginning after ``start``.

        It stops when all sequences have had ``end`` (what comes after it in one of them is ``end``), or after
        ``most_steps``.
        """
        given = source if isinstance(source, Tensor) else np.asarray(source)
        states = self.encode(tensor(given) if not isinstance(given, Tensor) else given)
        last = np.full((int(given.shape[0]), 1), start, np.int32)
        over, written = np.zeros(len(last), bool), []
        for _ in range(most_steps):
            scores, states = self.decode(tensor(last), states)
            last = scores.numpy()[:, -1].argmax(-1).astype(np.int32)[:, None]
            if end is not None:
                last[over] = end
                over |= last[:, 0] == end
            written.append(last)
            if over.all():
                break
        return np.concatenate(written, axis=1) if written else np.zeros((len(last), 0), np.int32)


def transformer(
    input_shape: tuple[int, ...],
    classes: int,
    vocabulary: int | None = None,
    width: int = 64,
    heads: int = 4,
    blocks: int = 2,
    feed_forward: int | None = None,
    dropout: float = 0.1,
    causal: bool = False,
    activation: str | None = "softmax",
    *,
    include_top: bool = True,
    pooling: str | None = "avg",
    weights: Weights = None,
) -> Model:
    """A small transformer (Vaswani et al. 2017) with normalisation before each part (Xiong et al. 2020).

    ``input_shape``: (steps,) of ids below ``vocabulary`` (by default ``classes``), or (steps, features) of numbers.
    ``width``: of each step inside, in ``heads`` heads; ``feed_forward``: of the dense layers, by default 4 times that.
    ``causal``: no step sees later ones.  ``pooling``: "avg" or "max" over the steps gives [batch, classes]; ``None``
    gives scores of each step, [batch, steps, classes], which with ``causal`` is a model of language.
    """
    if len(input_shape) not in (1, 2):
        raise UsageError("transformer", f"takes sequences (steps,) or (steps, features), not {tuple(input_shape)}")
    choice("transformer", "pooling", pooling, (None, "avg", "max"))
    if width % heads:
        raise UsageError("transformer", f"a width of {width} does not divide into {heads} heads")
    ids = len(input_shape) == 1
    inputs = Input(input_shape, dtype="int32" if ids else "float32")
    x: Any = Embedding(vocabulary or classes, width)(inputs) if ids else Dense(width)(inputs)
    x = Positions()(x)
    x = Dropout(dropout)(x) if dropout else x
    for _ in range(blocks):
        seen = LayerNormalization(epsilon=1e-5)(x)
        seen = MultiHeadAttention(heads, width // heads, dropout=dropout)(seen, seen, use_causal_mask=causal)
        x = Add()([x, Dropout(dropout)(seen) if dropout else seen])
        inner = Dense(feed_forward or 4 * width)(LayerNormalization(epsilon=1e-5)(x))
        inner = Dense(width)(Activation("gelu")(inner))
        x = Add()([x, Dropout(dropout)(inner) if dropout else inner])
    x = LayerNormalization(epsilon=1e-5)(x)
    if pooling is not None:
        x = (GlobalAveragePooling1D if pooling == "avg" else GlobalMaxPooling1D)()(x)
    if include_top:
        x = Dense(classes, activation=activation, name="predictions")(x)
    return loaded(Model(inputs, x, name="transformer"), weights)


@register("corenn_models_positions")
class Positions(Layer):
    """Adds a trained vector for each place in a sequence: [batch, steps, features] of the steps it was built for."""

    keeps_mask = True

    def build(self, x: Spec) -> None:
        """Make the vectors [steps, features]."""
        steps, features = x.static[1:]
        self.positions = self.add_weight("positions", (steps, features), _sinusoids)

    def call(self, x: Tensor) -> Tensor:
        """Add them."""
        return add(x, self.positions)


def _sinusoids(shape: tuple[int, ...], dtype: Any) -> Tensor:
    """Sines and cosines of geometrically growing periods (section 3.5 of the paper), with which training begins."""
    steps, features = shape
    angles = np.arange(steps)[:, None] * np.exp(-math.log(10_000) * (np.arange(features) // 2 * 2 / features))
    values = np.where(np.arange(features) % 2, np.cos(angles), np.sin(angles))
    return tensor((0.02 * values).astype(np.float32), dtype=dtype)


__all__ = ["Positions", "Seq2Seq", "seq2seq", "transformer"]
