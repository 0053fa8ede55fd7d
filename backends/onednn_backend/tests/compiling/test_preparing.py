"""What is laid out anew of variables that a program only reads is so once, and again when they change."""

from __future__ import annotations

import numpy as np
import pytest
from corenn_onednn.compiling import compiler
from corenn_onednn.compiling.executable import NativeExecutable

import corenn
from corenn import layers
from corenn.device import Device

RNG = np.random.default_rng(8)
X = RNG.standard_normal((12, 14, 14, 32)).astype("float32")


@pytest.fixture(scope="module")
def place(library):
    """A device of the backend, registered or not."""
    from corenn_onednn.backend import OneDnnBackend

    return Device(OneDnnBackend(), 0)


class Net:
    """A network of one kind of convolution, its inference and its training step; ``prepared`` counts."""

    def __init__(self, filters: int, size: int, strides: int) -> None:
        corenn.random.seed(5)
        conv = layers.Conv2D(filters, size, strides, padding="same", activation="relu")
        self.model = corenn.Sequential([layers.Input(X.shape[1:]), conv, layers.GlobalAveragePooling2D()])
        self.kernel = self.model.weights[0]
        self.infer = corenn.function(lambda x: self.model(x, training=False))
        optimizer = corenn.optimizers.SGD(0.1)
        optimizer.build(self.model.trainable_weights)

        @corenn.function
        def train(x):
            with corenn.GradientTape() as tape:
                loss = corenn.mean(corenn.square(self.model(x, training=True) - 1.0))
            weights = self.model.trainable_weights
            optimizer.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
            return loss

        self.train = train
        self.prepared = 0

    def executable(self, function, x) -> NativeExecutable:
        concrete = function.get_concrete_function(x)
        concrete.program(x)
        found = concrete._runs.compiled(concrete.inputs, [x], x.device).executable
        assert isinstance(found, NativeExecutable)
        return found

    def watched(self, x) -> None:
        """Count how often the inference prepares from now on."""
        executable = self.executable(self.infer, x)
        original = executable._prepare
        assert original is not None

        def counted() -> None:
            self.prepared += 1
            original()

        executable._prepare = counted

    def expected(self):
        """What NumPy makes of the weights as they are."""
        weights = [w.numpy() for w in self.model.weights]
        with corenn.device("numpy"):
            layer = self.model.layers[0]
            y = corenn.nn.conv(corenn.tensor(X), corenn.tensor(weights[0]), strides=layer.strides, padding="SAME")
            return corenn.mean(corenn.nn.relu(y + corenn.tensor(weights[1])), axis=(1, 2)).numpy()


NETS = {"filtered": (48, 3, 1), "strided": (64, 5, 2), "pointwise": (64, 1, 1)}


@pytest.mark.parametrize("name", NETS)
def test_once_and_again_when_variables_change(place, name):
    with place:
        net, x = Net(*NETS[name]), corenn.tensor(X)
        net.watched(x)

        def check(prepared):
            np.testing.assert_allclose(net.infer(x).numpy(), net.expected(), rtol=1e-4, atol=1e-5)
            assert net.prepared == prepared

        check(1)
        check(1)
        net.kernel.assign(net.kernel * 2.0)
        check(2)
        for count in (3, 4):
            for _ in range(3):
                net.train(x)
            check(count)
        net.kernel.assign_add(np.ones(net.kernel.shape, "float32"))
        check(5)
        check(5)


@pytest.mark.parametrize("name", NETS)
def test_what_a_program_changes_is_not_prepared(place, name):
    with place:
        net, x = Net(*NETS[name]), corenn.tensor(X)
        net.train(x)
        assert net.executable(net.train, x)._prepare is None


def test_another_size_of_batch_prepares_for_itself(place):
    with place:
        net, x = Net(*NETS["filtered"]), corenn.tensor(X)
        first = net.infer(x).numpy()
        np.testing.assert_allclose(net.infer(corenn.tensor(X[:6])).numpy(), first[:6], rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(net.infer(x).numpy(), first)


@pytest.mark.parametrize("allowed", [0, 1_000_000])
def test_no_more_is_kept_than_is_allowed(place, monkeypatch, allowed):
    kept = []
    original = compiler._Compilation.lasting

    def lasting(self, symbol, count):
        found = original(self, symbol, count)
        kept.append((count, found is not None))
        return found

    monkeypatch.setattr(compiler, "_ALLOWED", allowed)
    monkeypatch.setattr(compiler._Compilation, "lasting", lasting)
    with place:
        convolutions = [layers.Conv2D(32, 3, padding="same") for _ in range(8)]
        model = corenn.Sequential([layers.Input(X.shape[1:]), *convolutions])
        x = corenn.tensor(X)
        made = corenn.function(lambda x: model(x))(x).numpy()
        total = sum(w.spec.nbytes for w in model.weights)
        assert 0 < sum(count for count, yes in kept if yes) <= total + allowed
        assert all(yes for _, yes in kept) == (allowed > 0)
        want = model(x).numpy()
    np.testing.assert_allclose(made, want, rtol=1e-3, atol=1e-3 * np.abs(want).max())
