"""Learning rates of single layers and variables: the factor is the same however the update is made."""

from __future__ import annotations

import numpy as np
import pytest

import corenn
from corenn import graph as g
from corenn import layers as L
from corenn import optimizers
from corenn.errors import AttributeValueError
from corenn.training import BackupAndRestore, Callback, Sequential

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4)).astype(np.float32)
Y = RNG.normal(size=(12, 1)).astype(np.float32)


def model(depth: int = 2) -> Sequential:
    corenn.random.seed(0)
    corenn.layers.reset_names()
    return Sequential([corenn.layers.Input((4,)), *[L.Dense(4) for _ in range(depth)], L.Dense(1, name="head")])


def moved(net: Sequential, optimizer: optimizers.Optimizer, eager: bool = True, steps: int = 1) -> list[np.ndarray]:
    """How far each weight goes."""
    net.compile(optimizer, "mse", run_eagerly=eager)
    before = net.get_weights()
    net.fit(X, Y, batch_size=12, epochs=steps, shuffle=False, verbose=0)
    return [a - b for a, b in zip(net.get_weights(), before, strict=True)]


def by_hand(factors: list[float], steps: int, rate: float = 0.1) -> list[np.ndarray]:
    """Gradient descent on the linear network in float64, each weight with its own factor."""
    weights = [w.astype(np.float64) for w in model().get_weights()]
    start = [w.copy() for w in weights]
    for _ in range(steps):
        inputs = [X.astype(np.float64)]
        for kernel, bias in zip(weights[::2], weights[1::2], strict=True):
            inputs.append(inputs[-1] @ kernel + bias)
        upward = 2 * (inputs[-1] - Y) / len(X)
        grads: list[np.ndarray] = []
        for kernel, x in zip(weights[::2][::-1], inputs[:-1][::-1], strict=True):
            grads[:0] = [x.T @ upward, upward.sum(0)]
            upward = upward @ kernel.T
        weights = [w - rate * f * g for w, f, g in zip(weights, factors, grads, strict=True)]
    return [a - b for a, b in zip(weights, start, strict=True)]


KEYS = {
    "layers": lambda net: {net.layers[0]: 0.5, net.layers[2]: 3.0},
    "a composite layer": lambda net: {net.layers[2]: 3.0, Sequential([net.layers[0]]): 0.5},
    "variables": lambda net: {net.weights[0]: 0.5, net.weights[1]: 0.5, net.weights[4]: 3.0, net.weights[5]: 3.0},
    "patterns": lambda net: {f"^{net.layers[0].name}/": 0.5, "^head/": 3.0},
    "the first counts": lambda net: {net.layers[0]: 0.5, "^head/": 3.0, "^head": 7.0, net.layers[0].kernel: 9.0},
}


@pytest.mark.parametrize("how", ["eager", "traced", "set later", "from the configuration"])
@pytest.mark.parametrize("keys", KEYS)
def test_every_key_and_every_way(keys: str, how: str) -> None:
    net = model()
    factors = KEYS[keys](net)
    if how == "set later":
        optimizer = optimizers.SGD(0.1)
        for key, factor in reversed(factors.items()):
            optimizer.set_lr_multiplier(key, factor)
    else:
        optimizer = optimizers.SGD(0.1, lr_multipliers=factors)
    if how == "from the configuration":
        optimizer = optimizers.SGD.from_config(optimizer.get_config())
    found = moved(net, optimizer, eager=how == "eager", steps=4)
    for a, b in zip(found, by_hand([0.5, 0.5, 1.0, 1.0, 3.0, 3.0], 4), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("make", [optimizers.Adam, lambda **o: optimizers.SGD(0.05, momentum=0.9, **o)])
def test_joined_updates_keep_them_apart(make) -> None:
    """Many small variables are updated by one joined call: only those of one rate."""
    results = []
    for eager in (False, True):
        net = model(depth=8)
        optimizer = make(lr_multipliers={net.layers[i]: 0.25 for i in (1, 3, 5, 7)} | {net.layers[0]: 0.0})
        results.append(moved(net, optimizer, eager, steps=5))
        assert not results[-1][0].any()
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_in_a_sessions_graph() -> None:
    graph = g.Graph()
    with graph.as_default():
        a, b = (g.variable(np.ones(2, np.float32), name=name) for name in ("slow", "fast"))
        optimizer = optimizers.SGD(0.1, lr_multipliers={"slow": 0.5})
        optimizer.set_lr_multiplier(b, 2.0)
        train = optimizer.minimize(corenn.sum(a * a + b * b))
        init = g.global_variables_initializer()
    with g.Session(graph) as session:
        session.run(init)
        session.run(train)
        np.testing.assert_allclose(session.run([a, b]), [[0.9, 0.9], [0.6, 0.6]], rtol=1e-6)


def test_a_change_reaches_traced_steps_and_checkpoints(tmp_path) -> None:
    class Thaw(Callback):
        def on_epoch_begin(self, epoch: int) -> None:
            self.model.optimizer.set_lr_multiplier(self.model.layers[0], 0.0 if epoch < 2 else 0.5)

    def fit(net: Sequential, *callbacks: Callback, epochs: int = 4) -> list[np.ndarray]:
        net.compile(optimizers.Adam(0.01), "mse")
        net.fit(X, Y, batch_size=4, epochs=epochs, shuffle=False, verbose=0, callbacks=callbacks)
        return net.get_weights()

    start = model().get_weights()
    np.testing.assert_array_equal(fit(model(), Thaw(), epochs=2)[0], start[0])
    whole = fit(model(), Thaw())
    assert (whole[0] != start[0]).any()
    fit(model(), Thaw(), BackupAndRestore(str(tmp_path), delete_checkpoint=False), epochs=3)
    resumed = model()
    for a, b in zip(fit(resumed, BackupAndRestore(str(tmp_path))), whole, strict=True):
        np.testing.assert_array_equal(a, b)  # the factor comes from the checkpoint, though nobody sets it here
    config = resumed.optimizer.get_config()["lr_multipliers"]
    assert set(config.values()) == {0.5}
    resumed.optimizer.set_lr_multiplier("^head/", 2.0)
    state = resumed.optimizer.get_state()["lr_multipliers"]
    assert state == {"dense/kernel": 0.5, "dense/bias": 0.5, "head/kernel": 2.0, "head/bias": 2.0}


def test_mistakes() -> None:
    optimizer = optimizers.SGD()
    for key, factor, text in (
        (3, 1.0, "does not name variables"),
        ("(", 1.0, "no regular expression"),
        ("a", -1.0, "at least 0"),
        ("a", "fast", "at least 0"),
    ):
        with pytest.raises(AttributeValueError, match=text):
            optimizer.set_lr_multiplier(key, factor)  # type: ignore[arg-type]
        with pytest.raises(AttributeValueError, match=text):
            optimizers.SGD(lr_multipliers={key: factor})  # type: ignore[dict-item]
    assert optimizer.lr_multipliers == {}
