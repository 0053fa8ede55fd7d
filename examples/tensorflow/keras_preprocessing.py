"""tf.keras.preprocessing: Tokenizer, pad_sequences, one-hot text, skip-grams, timeseries generator, to_categorical."""

import json

import numpy as np
import tensorflow as tf
from tensorflow.keras.preprocessing.sequence import TimeseriesGenerator, pad_sequences, skipgrams
from tensorflow.keras.preprocessing.text import Tokenizer, text_to_word_sequence
from tensorflow.keras.utils import to_categorical

texts = ["The cat sat on the mat.", "The dog ate my homework!", "A cat and a dog, on a mat"]

tokenizer = Tokenizer(num_words=100, oov_token="<oov>")
tokenizer.fit_on_texts(texts)
sequences = tokenizer.texts_to_sequences(texts + ["the zebra sat"])
padded = pad_sequences(sequences, maxlen=6)
post = pad_sequences(sequences, maxlen=6, padding="post", truncating="post", value=-1)
counts = tokenizer.texts_to_matrix(texts, mode="count")
print(tokenizer.word_index)
print(padded)

series = np.arange(20.0)
generator = TimeseriesGenerator(series, series, length=4, batch_size=8)
batch_x, batch_y = generator[0]

np.random.seed(0)
couples, labels = skipgrams(sequences[0], vocabulary_size=20, window_size=1, negative_samples=0.0, shuffle=False)

# a model that forecasts the series from the generator
model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=(4,))])
model.compile(tf.keras.optimizers.Adam(0.05), "mse")
scaled = series / 20.0
data = TimeseriesGenerator(scaled, scaled, length=4, batch_size=8)
history = model.fit(data, epochs=40, verbose=0)

print(
    "RESULT "
    + json.dumps(
        {
            "words": text_to_word_sequence(texts[1]),
            "most_frequent": [word for word, i in sorted(tokenizer.word_index.items(), key=lambda item: item[1])[:4]],
            "vocabulary": len(tokenizer.word_index),
            "unknown": sequences[3][1],
            "back": tokenizer.sequences_to_texts(sequences[:1])[0],
            "padded": padded[0].tolist(),
            "post": post[2].tolist(),
            "counts": float(counts.sum()),
            "one_hot": to_categorical([0, 2, 1], 3).astype(int).tolist(),
            "windows": [list(batch_x.shape), batch_y[:2].tolist(), len(generator)],
            "couples": len(couples),
            "couples_labelled": int(np.sum(labels)),
            "first_loss": float(history.history["loss"][0]),
            "loss": float(history.history["loss"][-1]),
        }
    )
)
