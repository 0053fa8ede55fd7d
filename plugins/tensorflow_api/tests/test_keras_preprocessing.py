"""``keras.preprocessing`` and ``keras.utils``: values known from Keras's documentation, and what must hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[0, 1, 2], [3, 4, 5], [0, 0, 6]]),
        ({"padding": "post"}, [[1, 2, 0], [3, 4, 5], [6, 0, 0]]),
        ({"maxlen": 2}, [[1, 2], [4, 5], [0, 6]]),
        ({"maxlen": 2, "truncating": "post"}, [[1, 2], [3, 4], [0, 6]]),
        ({"value": -1}, [[-1, 1, 2], [3, 4, 5], [-1, -1, 6]]),
    ],
)
def test_pad_sequences(tf2: Any, options: dict[str, Any], expected: list[list[int]]) -> None:
    pad = tf2.keras.preprocessing.sequence.pad_sequences
    assert pad([[1, 2], [3, 4, 5], [6]], **options).tolist() == expected


def test_tokenizer_numbers_words_by_frequency(tf2: Any) -> None:
    text = tf2.keras.preprocessing.text
    tokenizer = text.Tokenizer(num_words=4, oov_token="?")  # a word, not a secret
    tokenizer.fit_on_texts(["the cat and the dog", "The dog!"])
    assert tokenizer.word_index == {"?": 1, "the": 2, "dog": 3, "cat": 4, "and": 5}
    assert tokenizer.texts_to_sequences(["the cat barks"]) == [[2, 1, 1]]
    assert tokenizer.texts_to_matrix(["the the dog"], "count").tolist() == [[0, 0, 2, 1]]
    again = text.tokenizer_from_json(tokenizer.to_json())
    assert again.texts_to_sequences(["dog the"]) == [[3, 2]]


def test_timeseries_windows(tf2: Any) -> None:
    series = np.arange(10)
    windows = tf2.keras.preprocessing.sequence.TimeseriesGenerator(series, series, length=3, batch_size=2)
    x, y = windows[0]
    assert (x.tolist(), y.tolist(), len(windows)) == ([[0, 1, 2], [1, 2, 3]], [3, 4], 4)


def test_generators_rescale_flip_and_split(tf2: Any) -> None:
    images = np.arange(4 * 3 * 3, dtype="float32").reshape(4, 3, 3, 1)
    make = tf2.keras.preprocessing.image.ImageDataGenerator(rescale=0.5, validation_split=0.25)
    x, y = next(make.flow(images, np.arange(4), batch_size=3, shuffle=False, subset="training"))
    np.testing.assert_allclose(x, images[1:] * 0.5)
    assert y.tolist() == [1, 2, 3]


@pytest.mark.parametrize(("theta", "expected"), [(90, np.rot90), (180, lambda a: np.rot90(a, 2))])
def test_turns_by_right_angles_are_exact(tf2: Any, theta: float, expected: Any) -> None:
    image = np.arange(16.0).reshape(4, 4, 1)
    turned = tf2.keras.preprocessing.image.apply_affine_transform(image, theta=theta)
    options = [expected(image), np.rot90(image, 3)]
    assert any(np.allclose(turned, o, atol=1e-6) for o in options)


def test_to_categorical(tf2: Any) -> None:
    found = tf2.keras.utils.to_categorical([[2], [0]], 3)
    assert found.tolist() == [[0, 0, 1], [1, 0, 0]]


def test_pickles_with_code_are_refused(tf2: Any, tmp_path: Any) -> None:
    from corenn_tensorflow.keras.datasets import lists

    from corenn.errors import DataError

    rows = np.empty(2, object)
    rows[:] = [[1, 2], [3]]
    np.savez(tmp_path / "good.npz", x=rows, y=np.arange(2))
    found = lists.read(str(tmp_path / "good.npz"))
    assert [list(r) for r in found["x"]] == [[1, 2], [3]] and found["y"].tolist() == [0, 1]
    bad = np.empty(1, object)
    bad[0] = print
    np.savez(tmp_path / "bad.npz", x=bad)
    with pytest.raises(DataError):
        lists.read(str(tmp_path / "bad.npz"))


def test_missing_files_are_named(tf2: Any, home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from corenn.errors import DataError

    monkeypatch.setenv("KERAS_HOME", str(home))
    with pytest.raises(DataError, match=r"boston_housing\.npz"):
        tf2.keras.datasets.boston_housing.load_data()
