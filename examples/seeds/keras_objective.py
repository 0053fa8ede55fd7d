"""A custom objective in Keras: why the F1 score of scikit-learn cannot be one, and what can.

scikit-learn's f1_score needs arrays, and counts are not differentiable.  The program shows the error, then trains with
a smooth F1 written in backend operations, and measures accuracy as the answer does.  The last model is fitted from
generators with the argument names of Keras 1.

Environment: SEED_EPOCHS (default 20), SEED_BATCH (32), SEED_LOG_DIR.
"""

import json
import os

import numpy as np
import tensorflow as tf
from keras import backend as K
from keras.callbacks import ModelCheckpoint, ReduceLROnPlateau, TensorBoard
from keras.layers import Dense
from keras.models import Sequential

try:
    from sklearn.metrics import f1_score  # (the question writes sklearn.metric)
except ImportError:  # the same counts without scikit-learn, on arrays as well

    def f1_score(y_true, y_pred):
        y_true, y_pred = np.asarray(y_true) > 0.5, np.asarray(y_pred) > 0.5
        return 2.0 * np.sum(y_true & y_pred) / max(1, np.sum(y_true) + np.sum(y_pred))


nb_epoch = int(os.environ.get("SEED_EPOCHS", 20))
batch_size = int(os.environ.get("SEED_BATCH", 32))
LOG_DIR = os.environ.get("SEED_LOG_DIR", "./log") + "/keras_objective"
os.makedirs(LOG_DIR, exist_ok=True)

# imbalanced data: one example in seven is positive
np.random.seed(0)
X = np.random.randn(840, 6).astype("float32")
score = X[:, 0] + 0.5 * X[:, 1] * X[:, 2] + 0.3 * np.random.randn(840)
y = (score > np.percentile(score, 100 * 6 / 7)).astype("float32").reshape(-1, 1)
X_train, y_train, X_val, y_val = X[:640], y[:640], X[640:], y[640:]


def F1Loss(y_true, y_pred):
    return 1.0 - f1_score(y_true, y_pred)


def smooth_F1Loss(y_true, y_pred):
    """The F1 score of expected counts: probabilities in the place of decisions, so that it has a gradient."""
    hits = K.sum(y_true * y_pred)
    return 1.0 - 2.0 * hits / (K.sum(y_true) + K.sum(y_pred) + K.epsilon())


def decided_f1(model):
    """F1 on the validation part, every probability above one half being a positive."""
    return f1_score(y_val.ravel() > 0.5, model.predict(X_val).ravel() > 0.5)


def make_model(loss):
    model = Sequential()
    model.add(Dense(32, activation="relu", input_dim=6))
    model.add(Dense(1, activation="sigmoid"))
    model.compile(loss=loss, optimizer="adam", metrics=["accuracy"])
    return model


results = {"positives": float(y.mean())}

# the objective of the question: an array function is no function of symbolic tensors
try:
    make_model(F1Loss).fit(X_train, y_train, batch_size=batch_size, epochs=1, verbose=0)
    results["array_objective"] = "trained"
except Exception as error:  # which class it is differs between versions
    print("F1Loss cannot be trained: {}: {}".format(type(error).__name__, str(error).split("\n")[0]))
    results["array_objective"] = "refused"

# a smooth objective can be trained
model = make_model(smooth_F1Loss)
model.fit(X_train, y_train, batch_size=batch_size, epochs=nb_epoch, verbose=0)
results["smooth"] = {
    "loss": float(K.get_value(K.mean(smooth_F1Loss(K.constant(y_val), K.constant(model.predict(X_val)))))),
    "f1": float(decided_f1(model)),
}

# the answer: accuracy of predicted and actual one-hot tensors
predicted_tensor = K.constant(np.concatenate([1 - model.predict(X_val), model.predict(X_val)], axis=1))
actual_tensor = K.constant(np.concatenate([1 - y_val, y_val], axis=1))
correct_prediction = tf.equal(tf.argmax(actual_tensor, 1), tf.argmax(predicted_tensor, 1))
accuracy = tf.reduce_mean(tf.cast(correct_prediction, tf.float32))
results["smooth"]["accuracy"] = float(K.eval(accuracy))


# and Keras, which prints loss and accuracy while it trains from generators
def batches(X, y):
    while True:
        for start in range(0, len(X) - batch_size + 1, batch_size):
            yield X[start : start + batch_size], y[start : start + batch_size]


train_generator = batches(X_train, y_train)
val_generator = batches(X_val, y_val)
model_checkpoint = ModelCheckpoint(LOG_DIR + "/best.hdf5", monitor="val_loss", save_best_only=True)
reduce_lr = ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=5)
tb = TensorBoard(log_dir=LOG_DIR)

model = make_model("binary_crossentropy")
history = model.fit_generator(
    train_generator,
    validation_data=val_generator,
    nb_val_samples=X_val.shape[0],
    samples_per_epoch=X_train.shape[0],
    nb_epoch=nb_epoch,
    verbose=1,
    callbacks=[model_checkpoint, reduce_lr, tb],
    max_q_size=1000,
)
results["binary_crossentropy"] = {
    "loss": float(history.history["loss"][-1]),
    "val_loss": float(history.history["val_loss"][-1]),
    "f1": float(decided_f1(model)),
    "epochs": len(history.history["loss"]),
}

print("RESULT " + json.dumps(results))
