"""What a new user gets wrong first: each mistake is an error that says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from corenn import layers as L
from corenn.data import Dataset
from corenn.errors import CorennError, DataError, DTypeError, ShapeError, UsageError
from corenn.layers import Input
from corenn.training import EarlyStopping, History, Model, Sequential

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 4)).astype(np.float32)
Y = np.arange(20) % 3
BATCHES = Dataset.from_tensor_slices((X, Y)).batch(4)
IMAGES = np.zeros((8, 6, 6), np.float32)


def net(*layers: Any, **compiling: Any) -> Sequential:
    model = Sequential(list(layers) or [L.Dense(8, "relu"), L.Dense(3, "softmax")])
    given = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **compiling}
    model.compile(**given)
    return model


def fit(*args: Any, model: Any = None, **options: Any) -> Any:
    return (model or net()).fit(*args, verbose=0, **options)


def refit(x: Any) -> None:
    model = net()
    fit(X, Y, model=model)
    model.predict(x)


def two_outputs(loss: Any) -> Model:
    x = Input((4,))
    model = Model(x, [L.Dense(1)(x), L.Dense(1)(x)])
    model.compile("sgd", loss)
    return model


# name: (what is done, the error, parts of its text)
MISTAKES: dict[str, tuple[Callable[[], Any], type[CorennError], list[str]]] = {
    "not compiled": (lambda: Sequential([L.Dense(2)]).fit(X, Y), UsageError,
                     ["not compiled", "model.compile(optimizer="]),
    "evaluate before compile": (lambda: Sequential([L.Dense(2)]).evaluate(X, Y), UsageError,
                                ["evaluate", "not compiled"]),
    "no y": (lambda: fit(X), UsageError, ["y is missing", "fit(x, y)"]),
    "no y for metrics": (lambda: fit(X, model=net(L.Dense(1), L.ActivityRegularization(1.0), loss=None)), UsageError,
                         ["the metric 'accuracy' needs targets"]),
    "unequal lengths": (lambda: fit(X, Y[:10]), ShapeError, ["different numbers of examples", "x: [20, 4]", "y: [10]"]),
    "unequal weights": (lambda: fit(X, Y, sample_weight=np.ones(3)), ShapeError, ["sample_weight: [3]"]),
    "unequal inputs": (lambda: fit((X, X[:5]), Y), ShapeError, ["[20, 4] and [5, 4]"]),
    "other features later": (lambda: refit(X[:, :3]), ShapeError, ["built for inputs of 4 features", "last axis is 3"]),
    "labels out of range": (lambda: fit(X, Y + 1), ShapeError, ["class number 3", "has 3 classes", "from 0 to 2"]),
    "one-hot labels": (lambda: fit(X, np.eye(3)[Y]), ShapeError, ["look one-hot"]),
    "numbers for one-hot": (lambda: fit(X, Y, model=net(loss="categorical_crossentropy")), ShapeError, ["sparse"]),
    "text labels": (lambda: fit(X, ["cat"] * 20), DTypeError, ["y holds text", "np.unique(y, return_inverse=True)[1]"]),
    "objects": (lambda: fit(np.array([[1, "a"]], object), [0]), DTypeError, ["x holds Python objects"]),
    "ragged lists": (lambda: fit([[1, 2], [3]], [0, 1]), ShapeError, ["lists of x are ragged"]),
    "integers": (lambda: fit((X * 9).astype(np.uint8), Y), DTypeError, ["not uint8", "astype('float32')", "Rescaling"]),
    "a file name": (lambda: fit("data.csv"), UsageError, ["text: 'data.csv'", "np.loadtxt"]),
    "no data": (lambda: fit(None), UsageError, ["there is no data", "pass arrays"]),
    "no data to predict": (lambda: net().predict(None), UsageError, ["predict: there is no data"]),
    "a number": (lambda: fit(3.0), ShapeError, ["needs a batch axis"]),
    "empty": (lambda: fit(X[:0], Y[:0]), DataError, ["no examples"]),
    "flat x": (lambda: fit(X[:, 0], Y), ShapeError, ["at least 2 axes", "x[:, None]"]),
    "no channels": (lambda: fit(IMAGES, np.zeros(8), model=net(L.Conv2D(2, 3), L.Flatten(), L.Dense(3))), ShapeError,
                    ["batch, height, width, channels", "x[..., None]"]),
    "images too small": (lambda: Sequential([Input((4, 4, 1)), L.Conv2D(2, 3), L.MaxPooling2D(3)]), ShapeError,
                         ["in layer 'max_pooling2d", "window"]),
    "single examples": (lambda: fit(Dataset.from_tensor_slices((X, Y))), ShapeError, ["dataset.batch(32)"]),
    "y beside a dataset": (lambda: fit(BATCHES, Y), UsageError, ["beside a Dataset", "yield (x, y)"]),
    "batch size of a dataset": (lambda: fit(BATCHES, batch_size=3), UsageError,
                                ["batch_size cannot", "dataset.batch(32)"]),
    "an endless dataset": (lambda: fit(BATCHES.repeat()), DataError, ["never ends", "steps_per_epoch"]),
    "a generator read twice": (lambda: fit((b for b in [(X, Y)]), epochs=2), DataError,
                               ["no batches in epoch 2", "pass the function that makes it"]),
    "a generator too short": (lambda: fit((b for b in [(X, Y)]), epochs=2, steps_per_epoch=1), DataError,
                              ["ended after 1 steps", "repeat()"]),
    "an empty generator": (lambda: fit(b for b in ()), DataError, ["the data gave no batches", "read once"]),
    "an empty evaluation": (lambda: net().evaluate(b for b in ()), UsageError, ["evaluate: the data gave no batches"]),
    "an empty prediction": (lambda: net().predict(b for b in ()), UsageError, ["predict: the data gave no batches"]),
    "a batch of four": (lambda: fit(b for b in [(X, Y, Y, Y)]), DataError, ["4 parts", "yield x, (x, y)"]),
    "a dict for one input": (lambda: fit({"a": X}, Y), UsageError, ["takes one tensor, not a dict"]),
    "outputs and y": (lambda: fit(X, (Y, Y), model=net(metrics=None)), UsageError, ["outputs: one", "y: "]),
    "losses and outputs": (lambda: fit(X, (Y, Y), model=two_outputs(["mse"] * 3)), UsageError,
                           ["3 losses for 2 outputs"]),
    "losses by name": (lambda: fit(X, (Y, Y), model=two_outputs({"a": "mse"})), UsageError,
                       ["losses name the output 'a'"]),
    "loss name": (lambda: net(loss="sparse_crossentropy"), UsageError,
                  ["did you mean", "'sparse_categorical_crossentropy'"]),
    "metric name": (lambda: net(metrics=["acuracy"]), UsageError, ["did you mean 'accuracy'"]),
    "metric name among lists": (lambda: net(metrics=[["mae"], ["acuracy"]]), UsageError, ["did you mean 'accuracy'"]),
    "optimizer name": (lambda: net(optimizer="adm"), UsageError, ["did you mean 'adam'"]),
    "no optimizer": (lambda: net(optimizer=None), UsageError, ["no optimizer", "'adam'"]),
    "no loss": (lambda: fit(X, Y, model=net(loss=None)), UsageError, ["no loss", "compile(loss=...)"]),
    "no layers": (lambda: fit(X, X, model=net(L.ReLU(), loss="mse")), UsageError, ["nothing to train"]),
    "all frozen": (lambda: fit(X, X, model=net(L.Dense(4, trainable=False), loss="mse")), UsageError, ["thaw"]),
    "validation split": (lambda: fit(X, Y, validation_split=1.5), UsageError, ["between 0 and 1, not 1.5"]),
    "nothing left": (lambda: fit(X, Y, validation_split=0.99), DataError, ["leaves nothing on one side"]),
    "split of a dataset": (lambda: fit(BATCHES, validation_split=0.5), UsageError, ["validation_data instead"]),
    "split and data": (lambda: fit(X, Y, validation_split=0.5, validation_data=(X, Y)), UsageError, ["not both"]),
    "validation without y": (lambda: fit(X, Y, validation_data=X), UsageError, ["validation_data=(x, y)"]),
    "validation lengths": (lambda: fit(X, Y, validation_data=(X, Y[:3])), ShapeError,
                           ["fit, validation_data", "y: [3]"]),
    "validation parts": (lambda: fit(X, Y, validation_data=(X,)), UsageError, ["1 parts", "(x, y)"]),
    "validation frequency": (lambda: fit(X, Y, validation_data=(X, Y), validation_freq=0), UsageError, ["at least 1"]),
    "class without a weight": (lambda: fit(X, Y, class_weight={0: 1.0}), UsageError,
                               ["no weight for the classes 1, 2"]),
    "class weights of vectors": (lambda: fit(X, X[:, :, None], class_weight={0: 1.0}), ShapeError, ["one class"]),
    "weights without y": (lambda: fit(X, sample_weight=np.ones(20)), UsageError, ["sample_weight needs y"]),
    "weights of another shape": (lambda: fit(X, Y, sample_weight=np.ones((20, 5))), ShapeError,
                                 ["one weight per sample"]),
    "epochs": (lambda: fit(X, Y, epochs=1.5), UsageError, ["epochs must be an integer of at least 0, not 1.5"]),
    "batch size": (lambda: fit(X, Y, batch_size=0), UsageError, ["batch_size must be an integer of at least 1"]),
    "callback class": (lambda: fit(X, Y, callbacks=[History]), UsageError, ["is not a callback", "History(...)"]),
}  # fmt: skip


@pytest.mark.parametrize("case", MISTAKES)
def test_mistake(case: str) -> None:
    act, kind, parts = MISTAKES[case]
    with pytest.raises(CorennError) as caught:
        act()
    text = re.sub(r" +", " ", str(caught.value))
    assert isinstance(caught.value, kind), text
    for part in parts:
        assert part in text, text
    assert "test_first_mistakes.py:" in text, "the line of the user, not of the library"


def test_a_single_callback_need_not_be_in_a_list() -> None:
    early = EarlyStopping("loss")
    fit(X, Y, callbacks=early)
    assert early.best_epoch == 0


def test_a_weight_the_loss_does_not_reach_is_warned_about_once() -> None:
    class Idle(L.Dense):
        def call(self, x: Any) -> Any:
            return x

    model = net(Idle(4), L.Dense(3, "softmax"))
    with pytest.warns(UserWarning, match="no gradient for") as caught:
        fit(X, Y, epochs=2, model=model)
    assert len(caught) == 1
