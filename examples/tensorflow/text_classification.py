"""TensorFlow 2: generated sentences classified by Embedding and a bidirectional LSTM with masking."""

import json

import numpy as np
import tensorflow as tf
from tensorflow.keras import layers

np.random.seed(0)
tf.random.set_seed(0)

positive = ["good", "great", "fine", "lovely"]
negative = ["bad", "awful", "poor", "dull"]
subjects = ["the film", "the book", "this song", "her play", "that story"]


def sentence():
    """A judgement, sometimes negated; the label follows the negation, so that words alone do not decide."""
    good = np.random.rand() < 0.5
    negated = np.random.rand() < 0.5
    word = np.random.choice(positive if good else negative)
    filler = " ".join(np.random.choice(["really", "very", "quite", "so"], np.random.randint(0, 4)))
    text = "{} was {} {} {}".format(np.random.choice(subjects), "not" if negated else "", filler, word)
    return text, int(good != negated)


texts, labels = zip(*[sentence() for _ in range(1200)])
labels = np.array(labels, dtype="float32")

tokenizer = tf.keras.preprocessing.text.Tokenizer()
tokenizer.fit_on_texts(texts)
data = tf.keras.preprocessing.sequence.pad_sequences(tokenizer.texts_to_sequences(texts), padding="post")
vocabulary = len(tokenizer.word_index) + 1

model = tf.keras.Sequential(
    [
        layers.Embedding(vocabulary, 16, mask_zero=True),
        layers.Bidirectional(layers.LSTM(16)),
        layers.Dense(16, activation="relu"),
        layers.Dense(1),
    ]
)
model.compile(
    loss=tf.keras.losses.BinaryCrossentropy(from_logits=True),
    optimizer=tf.keras.optimizers.Adam(0.01),
    metrics=["accuracy"],
)
model.fit(data[:1000], labels[:1000], epochs=6, batch_size=50, verbose=2)
logits = model.predict(data[1000:], verbose=0)[:, 0]
accuracy = np.mean((logits > 0) == (labels[1000:] > 0.5))

# padding is masked: longer rows of zeros change nothing
longer = np.pad(data[1000:1010], ((0, 0), (0, 5)))
masked = float(np.abs(model.predict(longer, verbose=0)[:, 0] - logits[:10]).max())

# a bag of words cannot know what is negated
bag = tf.keras.Sequential([layers.Embedding(vocabulary, 16), layers.GlobalAveragePooling1D(), layers.Dense(1)])
bag.compile(loss=tf.keras.losses.BinaryCrossentropy(from_logits=True), optimizer=tf.keras.optimizers.Adam(0.01))
bag.fit(data[:1000], labels[:1000], epochs=6, batch_size=50, verbose=0)
bag_accuracy = np.mean((bag.predict(data[1000:], verbose=0)[:, 0] > 0) == (labels[1000:] > 0.5))

print(
    "RESULT "
    + json.dumps(
        {
            "accuracy": float(accuracy),
            "bag_of_words_accuracy": float(bag_accuracy),
            "vocabulary": vocabulary,
            "change_by_padding": masked,
        }
    )
)
