"""The workloads of ``corenn bench`` are the networks they say they are: parameter counts, and PyTorch's losses."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from corenn_tasks.workloads import WORKLOADS, Prepared, batch, get

import corenn
from corenn.errors import UsageError
from corenn.plugin import registry

# Name: batch, shape of an example, optimizer, and trained parameters.  Those of dense layers are counted by hand
# ((inputs + 1) * outputs), with two for each feature that is normalised; ResNet50's number is the published one.
EXPECTED = {
    "sine_mlp": (256, (1,), "adam", 2 * 64 + 65 * 64 + 65),
    "sine_mlp_bn": (8192, (1,), "adam", 2 * 64 + 65 * 64 + 65 + 2 * (1 + 64 + 64 + 1)),
    "logistic": (200, (784,), "sgd", 785 * 10),
    "mnist_mlp": (50, (784,), "sgd", 785 * 620 + 621 * 10),
    "mnist_modern": (100, (784,), "rmsprop", 785 * 625 + 626 * 625 + 626 * 10),
    "wide_mlp": (512, (1024,), "adam", 1025 * 4096 + 4097 * 4096 + 4097 * 1000),
    "dqn": (50, (2,), "adam", 3 * 50 + 51 * 50 + 51 * 3),
    "mnist_cnn": (50, (28, 28, 1), "rmsprop",
                  10 * 32 + (9 * 32 + 1) * 64 + (9 * 64 + 1) * 128 + (4 * 4 * 128 + 1) * 625 + 626 * 10),
    "cifar_cnn": (128, (24, 24, 3), "adam",
                  28 * 96 + (9 * 96 + 1) * 96 + (9 * 96 + 1) * 192 + (9 * 192 + 1) * 192
                  + (6 * 6 * 192 + 1) * 256 + 257 * 10),
    "lstm": (100, (28, 28), "adam", 4 * 128 * (28 + 128 + 1) + 129 * 10),
    "resnet50_infer": (16, (100, 100, 3), None, 25_583_592),
    "resnet50_train": (16, (100, 100, 3), "sgd", 25_583_592),
}  # fmt: skip


@pytest.fixture(autouse=True)
def seeded():
    state = corenn.random.get_state()
    yield
    corenn.random.set_state(state)


def test_there_are_these_workloads_and_no_others():
    assert list(WORKLOADS) == list(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_batch_optimizer_and_parameters(name):
    workload = get(name)
    model = workload.build(workload.example, True)
    parameters = sum(v.size for v in model.trainable_weights)
    assert (workload.batch, workload.example, workload.optimizer, parameters) == EXPECTED[name]


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("mnist_modern", [0.3, 0.6]),
        ("mnist_cnn", [0.2, 0.2, 0.2, 0.5]),
        ("cifar_cnn", [0.5]),
        ("sine_mlp", []),
        ("lstm", []),
    ],
)
def test_dropout_is_where_it_belongs_and_can_be_left_out(name, rates):
    workload = get(name)

    def found(drop):
        layers = workload.build(workload.example, drop).layers
        return [layer.rate for layer in layers if isinstance(layer, corenn.layers.Dropout)]

    assert found(True) == rates and found(False) == []


def test_data_is_of_one_seed_and_of_the_batch():
    workload = get("logistic")
    (x, y), (again, _), (other, _) = batch(workload), batch(workload), batch(workload, 1)
    assert x.shape == (200, 784) and x.dtype == np.float32
    assert y.shape == (200,) and y.min() >= 0 and y.max() < 10
    np.testing.assert_array_equal(x, again)
    assert not np.array_equal(x, other)
    assert batch(get("dqn"))[1].shape == (50, 3)


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(UsageError, match="no workload 'lstn'") as refused:
        get("lstn")
    assert "'lstm'" in str(refused.value)


@pytest.mark.parametrize("name", ["dqn", "logistic"])
def test_steps_train_through_one_trace(name):
    prepared = Prepared(get(name))
    first = float(prepared.step())
    for _ in range(100):
        last = float(prepared.step())
    assert last < 0.95 * first
    assert len(prepared.function.traces) == 1


def test_resnet50_is_a_model_tasks_can_name():
    model = registry.get("model", "resnet50").load()(input_shape=(32, 32, 3), classes=7)
    images = np.random.default_rng(0).standard_normal((2, 32, 32, 3), np.float32)
    probabilities = model.predict(images)
    assert probabilities.shape == (2, 7)
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)
    with pytest.raises(UsageError, match=r"takes images"):
        registry.get("model", "resnet50").load()(input_shape=(32, 32), classes=7)


# ---------------------------------------------------------------- on other backends

BACKENDS = [r.name for r in registry.backends().values() if r.name != "numpy" and r.unavailable_reason() is None]


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("name", "steps"),
    [("dqn", 200), ("sine_mlp", 200), ("logistic", 200), ("mnist_mlp", 200), ("mnist_modern", 50), ("sine_mlp_bn", 20),
     ("mnist_cnn", 10), ("lstm", 20)],
)  # fmt: skip
def test_losses_are_those_of_numpy_dropout_and_all(name, steps, backend):
    def losses(where):
        with corenn.device(where):
            prepared = Prepared(get(name))
            return [float(prepared.step()) for _ in range(steps)]

    np.testing.assert_allclose(losses(backend), losses("numpy"), rtol=1e-3)


# ---------------------------------------------------------------- against PyTorch


def twin(torch: Any, name: str) -> Any:
    """The network in PyTorch, on inputs [batch, channels, height, width] where they are images; without dropout."""
    nn = torch.nn
    if name in ("sine_mlp", "sine_mlp_bn", "logistic", "mnist_mlp", "mnist_modern", "wide_mlp", "dqn"):
        sizes = {"sine_mlp": (1, 64, 64, 1), "sine_mlp_bn": (1, 64, 64, 1), "logistic": (784, 10),
                 "mnist_mlp": (784, 620, 10), "mnist_modern": (784, 625, 625, 10), "wide_mlp": (1024, 4096, 4096, 1000),
                 "dqn": (2, 50, 50, 3)}[name]  # fmt: skip
        normal = [nn.BatchNorm1d(n, eps=1e-3) for n in sizes] if name == "sine_mlp_bn" else [nn.Identity()] * 4
        parts = [normal[0]]
        for i, (a, b) in enumerate(itertools.pairwise(sizes), 1):
            parts += [nn.Linear(a, b), normal[i], nn.Sigmoid() if name == "mnist_mlp" else nn.ReLU()]
        return nn.Sequential(*parts[:-1])
    if name.endswith("_cnn"):
        blocks, extent, dense = {
            "mnist_cnn": ([(1, 32, 1, 2), (32, 64, 1, 2), (64, 128, 1, 2)], 4, 625),
            "cifar_cnn": ([(3, 96, 1, 1), (96, 96, 2, 1), (96, 192, 1, 1), (192, 192, 2, 1)], 6, 256),
        }[name]
        parts = []
        for a, b, stride, pool in blocks:
            parts += [nn.Conv2d(a, b, 3, stride, 1), nn.ReLU(), nn.MaxPool2d(pool, ceil_mode=True)]
        hidden = extent**2 * blocks[-1][1]
        return nn.Sequential(*parts, nn.Flatten(), nn.Linear(hidden, dense), nn.ReLU(), nn.Linear(dense, 10))
    return Sequences(torch) if name == "lstm" else Residual(torch)


def Sequences(torch: Any) -> Any:
    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.out = torch.nn.LSTM(28, 128, batch_first=True), torch.nn.Linear(128, 10)
            with torch.no_grad():
                self.rnn.bias_hh_l0.zero_()  # a second bias, which adds to the first: ours has one
            self.rnn.bias_hh_l0.requires_grad_(False)

        def forward(self, x):
            return self.out(self.rnn(x)[0][:, -1])

    return Network()


def Residual(torch: Any) -> Any:
    nn = torch.nn

    class Block(nn.Module):
        def __init__(self, before, width, stride):
            super().__init__()

            def convolved(a, b, size, step):
                return nn.Sequential(nn.Conv2d(a, b, size, step, size // 2), nn.BatchNorm2d(b))

            inner = convolved(before, width, 1, stride), convolved(width, width, 3, 1)
            self.inner = nn.Sequential(inner[0], nn.ReLU(), inner[1], nn.ReLU(), convolved(width, 4 * width, 1, 1))
            changes = stride > 1 or before != 4 * width
            self.around = convolved(before, 4 * width, 1, stride) if changes else nn.Identity()

        def forward(self, x):
            return torch.relu(self.inner(x) + self.around(x))

    parts = [nn.Conv2d(3, 64, 7, 2, 3), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for number in range(count):
            parts.append(Block(channels, width, 1 if number else stride))
            channels = 4 * width
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000))


def as_ours(weight: Any, shape: tuple[int, ...], images: tuple[int, int] | None) -> np.ndarray:
    """A parameter of PyTorch as a weight of ``shape``; ``images``: extents behind which it was flattened."""
    array = weight.detach().numpy()
    if array.ndim == 4:
        return array.transpose(2, 3, 1, 0)
    if array.ndim == 2 and images is not None:
        outputs, inputs = array.shape
        array = array.reshape(outputs, inputs // (images[0] * images[1]), *images).transpose(0, 2, 3, 1)
        array = array.reshape(outputs, inputs)
    return array.T


def copy_weights(network: Any, model: Any, name: str) -> None:
    """PyTorch's weights into ours, which has them in the same order."""
    flattened = {"mnist_cnn": (4, 4), "cifar_cnn": (6, 6)}.get(name)
    given = [p for p in network.parameters() if p.requires_grad]
    assert len(given) == len(model.trainable_weights)
    for ours, theirs in zip(model.trainable_weights, given, strict=True):
        behind = theirs.ndim == 2 and flattened is not None
        ours.assign(np.ascontiguousarray(as_ours(theirs, ours.shape, flattened if behind else None)))
        if behind:
            flattened = None  # only the first dense layer is


class Update:
    """The optimizers' formulas, in PyTorch: those of Keras, which its own differ from in where epsilon stands."""

    def __init__(self, torch: Any, kind: str, parameters: list[Any]) -> None:
        self.torch, self.kind, self.parameters, self.count = torch, kind, parameters, 0
        self.m = [torch.zeros_like(p) for p in parameters]
        self.v = [torch.zeros_like(p) for p in parameters]

    def __call__(self, gradients: list[Any]) -> None:
        self.count += 1
        with self.torch.no_grad():
            for p, g, m, v in zip(self.parameters, gradients, self.m, self.v, strict=True):
                if self.kind == "sgd":
                    p -= 0.01 * g
                elif self.kind == "rmsprop":
                    v.mul_(0.9).add_(0.1 * g * g)
                    p -= 1e-3 * g / (v + 1e-7).sqrt()
                else:
                    m.mul_(0.9).add_(0.1 * g)
                    v.mul_(0.999).add_(0.001 * g * g)
                    rate = 1e-3 * (1 - 0.999**self.count) ** 0.5 / (1 - 0.9**self.count)
                    p -= rate * m / (v.sqrt() + 1e-7)


# The large ones with fewer examples: the networks are what is compared.
FEWER = {"resnet50_train": 4, "resnet50_infer": 4, "cifar_cnn": 16, "wide_mlp": 64}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPECTED)
def test_losses_are_those_of_the_same_network_in_pytorch(name):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    workload = get(name)
    workload = dataclasses.replace(workload, batch=FEWER.get(name, workload.batch))
    prepared, network = Prepared(workload, dropout=False), twin(torch, name)
    parameters = [p for p in network.parameters() if p.requires_grad]
    assert sum(p.numel() for p in parameters) == EXPECTED[name][3]
    copy_weights(network, prepared.model, name)
    inputs, targets = batch(workload)
    x, y = torch.from_numpy(inputs), torch.from_numpy(targets)
    x = x.permute(0, 3, 1, 2) if x.ndim == 4 else x
    if not workload.trains:
        with torch.no_grad():
            wanted = network.eval()(x).numpy()
        np.testing.assert_allclose(prepared.step(), wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())
        return
    functional = torch.nn.functional
    criterion = functional.mse_loss if workload.loss == "mse" else functional.cross_entropy
    update = Update(torch, workload.optimizer, parameters)
    ours, theirs = [], []
    for _ in range(3):
        loss = criterion(network(x), y)
        update(torch.autograd.grad(loss, parameters))
        theirs.append(loss.item())
        ours.append(float(prepared.step()))
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)
    # 53 normalisations of few examples amplify rounding: PyTorch's own gradients in float32 are 2 to 4 % from float64.
    np.testing.assert_allclose(ours, theirs, rtol=5e-2 if name.startswith("resnet50") else 1e-4)
