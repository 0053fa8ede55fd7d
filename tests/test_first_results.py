"""What a person tries first, in a notebook, and gets: cells, and the value of their last expression.

What a cell may use is in ``conftest.py``; the mistakes are in ``test_first_steps.py``.
"""

from __future__ import annotations

import pytest

import corenn

RESULTS = [
    # tensors
    ("corenn.tensor([1, 2]).dtype", corenn.int32),
    ("corenn.tensor([1.0, 2]).dtype", corenn.float32),
    ("corenn.tensor(np.ones(2)).dtype", corenn.float64),
    ("x.shape, x.ndim, x.size, len(x), x.nbytes", ((2, 4), 2, 8, 2, 32)),
    ("[float(row.sum()) for row in x]", [6.0, 22.0]),
    ("x[:, 1:3].tolist()", [[1, 2], [5, 6]]),
    ("x[..., None].shape, x[None].shape, x[-1].shape, x[::-1].shape", ((2, 4, 1), (1, 2, 4), (4,), (2, 4))),
    ("x[x > 4].tolist()", [5, 6, 7]),
    ("x[[1, 0], [0, 3]].tolist()", [4, 3]),
    ("x[corenn.tensor(1)].tolist(), x[np.int64(0), 0].item()", ([4, 5, 6, 7], 0)),
    ("x[10:].shape", (0, 4)),
    ("y = x\ny += 1\nx.tolist()[0], y.tolist()[0]", ([0, 1, 2, 3], [1, 2, 3, 4])),
    ("corenn.index_update(corenn.zeros(3), 5.0, index=1).tolist()", [0, 5, 0]),
    ("float(corenn.tensor(3.5)), int(corenn.tensor(3.7)), bool(corenn.tensor(0))", (3.5, 3, False)),
    ("f'{corenn.tensor(3.14159):.2f}'", "3.14"),
    ("list(range(corenn.tensor(3)))", [0, 1, 2]),
    ("1.0 in x, 9.0 in x", (True, False)),
    ("sum([corenn.tensor(1), corenn.tensor(2)]).item()", 3),
    ("(corenn.tensor([7]) / 2).tolist(), (corenn.tensor([7]) // 2).tolist()", ([3.5], [3])),
    ("(corenn.tensor([1, 2]) == corenn.tensor([1, 3])).tolist(), x == None", ([True, False], False)),
    ("corenn.zeros((0, 3)).sum().item(), corenn.zeros((2, 0)).shape", (0.0, (2, 0))),
    ("corenn.arange(np.int64(3)).dtype, corenn.arange(3.0).dtype", (corenn.int32, corenn.float32)),
    # beside NumPy
    ("(np.ones(4, np.float32) + x).tolist()[0]", [1, 2, 3, 4]),
    ("type(np.float64(2) * x) is corenn.Tensor, (np.float64(2) * x).dtype", (True, corenn.float32)),
    ("np.sum(x).item(), np.mean(x, axis=0).tolist(), np.max(x).item()", (28.0, [2, 3, 4, 5], 7.0)),
    ("np.asarray(x).shape, np.array(x)[0, 1]", ((2, 4), 1.0)),
    ("np.zeros(2, x.dtype).dtype == np.float32, np.allclose(x, x.numpy())", (True, True)),
    ("a = x.numpy()\na[:] = 0\nx.sum().item()", 28.0),
    ("np.from_dlpack(x).tolist() == x.tolist(), corenn.from_dlpack(np.ones(2)).tolist()", (True, [1, 1])),
    # random numbers
    ("random.seed(1)\na = random.normal((3,))\nrandom.seed(1)\nbool((a == random.normal((3,))).all())", True),
    ("sorted(random.permutation(4).tolist()), random.integers(0, 10, (2,)).dtype", ([0, 1, 2, 3], corenn.int32)),
    # gradients
    ("corenn.grad(lambda v: v**2)(3.0).item(), corenn.grad(corenn.grad(corenn.sin))(0.0).item()", (6.0, 0.0)),
    ("""
     v = corenn.Variable(3.0)
     with corenn.GradientTape() as tape:
         y = v * v + np.float32(1)
     tape.gradient(y, v).item()
     """, 6.0),
    ("""
     def loss(v):
         return np.sum(v * v)  # NumPy's sum calls the tensor's
     corenn.grad(loss)(corenn.ones(2)).tolist()
     """, [2, 2]),
    ("with corenn.GradientTape() as tape:\n    y = x * x\ntape.gradient(y, x)", None),
    ("""
     v = corenn.Variable([1.0, 2.0])
     for _ in range(3):
         with corenn.GradientTape() as tape:
             loss = corenn.sum(v * v)
         v.assign_sub(0.25 * tape.gradient(loss, v))
     v.tolist()
     """, [0.125, 0.25]),
    # layers and models
    ("layers.Dense(3)(np.ones((2, 5))).dtype", corenn.float32),
    ("layers.Rescaling(1 / 255)(np.full((1, 2), 255, np.uint8)).tolist()", [[1, 1]]),
    ("i = layers.Input((5,))\nModel(i, corenn.sin(layers.Dense(3)(i)) + 1)(features).shape", (12, 3)),
    ("""
     class Mine(Model):
         def __init__(self):
             super().__init__()
             self.parts = [layers.Dense(4), layers.Dense(1)]
         def call(self, x):
             for part in self.parts:
                 x = part(x)
             return x
     mine = Mine()
     mine(features).shape, mine.count_params(), mine.weight_names()[0]
     """, ((12, 1), 29, "parts/0/kernel")),
    ("model(1, None, 'mse').fit(features, targets, verbose=0).history.keys()", {"loss"}),
    ("model(1, None, 'mse').fit(features.tolist(), targets.tolist(), verbose=0).history.keys()", {"loss"}),
    ("model(1, None, 'mse').fit(corenn.tensor(features), corenn.tensor(targets), verbose=0).history.keys()", {"loss"}),
    ("model().fit([(features[:6], classes[:6]), (features[6:], classes[6:])], verbose=0).history.keys()", {"loss"}),
    ("model().fit(features, classes[:, None], verbose=0).history.keys()", {"loss"}),
    ("model().fit(features, classes.astype(float), verbose=0).history.keys()", {"loss"}),
    ("model().fit(features, classes, validation_split=0.25, verbose=0).history.keys()", {"loss", "val_loss"}),
    ("model().fit(data.Dataset.from_tensor_slices((features, classes)).shuffle().batch(4), verbose=0).history.keys()",
     {"loss"}),
    ("""
     def batches():
         for i in range(0, 12, 4):
             yield features[i:i + 4], classes[i:i + 4]
     len(model().fit(batches, epochs=2, verbose=0).history["loss"])
     """, 2),
    ("""
     def error(y, p):
         return np.mean(np.abs(y.numpy() - p.numpy()))
     made = model(1, None)
     made.compile("adam", lambda y, p: (y - p) ** 2, metrics=[error])
     sorted(made.fit(features, targets[:, None], verbose=0).history)
     """, ["error", "loss"]),
    ("""
     class Mine(losses.Loss):
         def call(self, y, p):
             return corenn.abs(y - p)
     made = model(1, None)
     made.compile("adam", Mine())
     list(made.fit(features, targets[:, None], verbose=0).history)
     """, ["loss"]),
    ("""
     seen = []
     class Mine(callbacks.Callback):
         def on_epoch_end(self, epoch, logs=None):
             seen.append((epoch, sorted(logs)))
     model().fit(features, classes, epochs=2, verbose=0, callbacks=[Mine()])
     seen
     """, [(0, ["loss"]), (1, ["loss"])]),
    ("""
     made, other = model(), model()
     made(features), other(features)
     made.save_weights(folder / 'w.safetensors')
     other.load_weights(folder / 'w.safetensors')
     np.array_equal(made.predict(features), other.predict(features))
     """, True),
    ("made = model()\nmade(features)\nSequential.from_config(made.get_config())(features).shape", (12, 3)),
    ("metrics.Accuracy()([1, 2, 3, 4], [1, 2, 3, 5]).item()", 0.75),
    ("losses.MeanSquaredError()([[1.0, 2.0]], [[1.0, 4.0]]).item()", 2.0),
    # data
    ("[b.tolist() for b in data.Dataset.range(5).map(lambda i: i * 10).batch(2)]", [[0, 10], [20, 30], [40]]),
    ("data.Dataset.zip(data.Dataset.range(2), data.Dataset.range(2)).as_numpy()[1].tolist()", [0, 1]),
]  # fmt: skip


@pytest.mark.parametrize(("cell", "value"), RESULTS, ids=[r[0].strip()[:60] for r in RESULTS])
def test_what_works_gives(cell, value, notebook):
    found = notebook(cell)
    if isinstance(value, set):
        assert set(found) == value
    else:
        assert found == value
