"""Files that PyTorch has written, loaded without it: the same input gives the same output.  Needs torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from corenn_models import mobile, plain, residual, weights

from corenn import layers as L
from corenn.checkpoint import save_file
from corenn.errors import CheckpointError
from corenn.training import Model, Sequential

torch = pytest.importorskip("torch", reason="torch writes the files of this test")
T = torch.nn

FORMATS = ["zip", "before 1.6", "safetensors"]


def written(state, folder, kind="zip", name="model"):
    path = str(folder / f"{name}.pth")
    if kind == "safetensors":
        path = str(folder / f"{name}.safetensors")
        save_tensors = pytest.importorskip("safetensors.torch").save_file
        save_tensors({k: v.contiguous() for k, v in state.items()}, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=kind == "zip")
    return path


def filled(module):
    """A module with other numbers in all its weights, so that no zero or one hides a mistake."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=generator) * 0.3
                value.copy_(noise.abs() + 0.5 if "running_var" in name else noise)
    return module.eval()


def first_axis(array):
    """[b, ..., c] to [b, c, ...]."""
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(array, -1, 1)))


def last_axis(tensor):
    array = tensor.detach().numpy()
    return np.moveaxis(array, 1, -1) if array.ndim > 2 else array


class Last(T.Module):
    """The last output of a recurrent module."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)[0][:, -1]


class BothEnds(Last):
    """The last output of each direction."""

    def forward(self, x):
        out = self.inner(x)[0]
        units = out.shape[-1] // 2
        return torch.cat([out[:, -1, :units], out[:, 0, units:]], -1)


class Itself(T.Module):
    """Attention of a sequence to itself."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x, x, x)[0]


def attention():
    x = L.Input((5, 6))
    return Model(x, L.MultiHeadAttention(2, 3)(x, x))


#: name -> shape of an example (channels last), PyTorch's modules, corenn's layers; "images" have channels to be moved.
IMAGES = {
    "conv2d": ((8, 9, 3), lambda: [T.Conv2d(3, 4, (3, 2), stride=2, padding=1)], lambda: [L.Conv2D(4, (3, 2), 2, 1)]),
    "conv2d without bias": ((8, 8, 3), lambda: [T.Conv2d(3, 4, 3, bias=False)],
                            lambda: [L.Conv2D(4, 3, use_bias=False)]),
    "groups": ((8, 8, 4), lambda: [T.Conv2d(4, 6, 3, groups=2)], lambda: [L.Conv2D(6, 3, groups=2)]),
    "conv1d": ((9, 3), lambda: [T.Conv1d(3, 4, 3)], lambda: [L.Conv1D(4, 3)]),
    "conv3d": ((5, 6, 7, 2), lambda: [T.Conv3d(2, 3, 2)], lambda: [L.Conv3D(3, 2)]),
    "depthwise": ((8, 8, 3), lambda: [T.Conv2d(3, 6, 3, groups=3)],
                  lambda: [L.DepthwiseConv2D(3, depth_multiplier=2)]),
    "transposed": ((5, 5, 3), lambda: [T.ConvTranspose2d(3, 4, 3, stride=2)], lambda: [L.Conv2DTranspose(4, 3, 2)]),
    "batch norm": ((6, 6, 3), lambda: [T.BatchNorm2d(3), T.Conv2d(3, 2, 1), T.BatchNorm2d(2, affine=False)],
                   lambda: [L.BatchNormalization(epsilon=1e-5), L.Conv2D(2, 1),
                            L.BatchNormalization(epsilon=1e-5, center=False, scale=False)]),
    "group norm": ((6, 6, 4), lambda: [T.GroupNorm(2, 4, eps=1e-3)], lambda: [L.GroupNormalization(2)]),
    "flattened": ((4, 3, 2), lambda: [T.Conv2d(2, 5, 2), T.ReLU(), T.Flatten(), T.BatchNorm1d(30, eps=1e-3),
                                      T.Dropout(), T.Linear(30, 3)],
                  lambda: [L.Conv2D(5, 2, activation="relu"), L.Flatten(), L.BatchNormalization(), L.Dropout(0.5),
                           L.Dense(3)]),
    "from features to images": (
        (4, 3, 2),
        lambda: [T.Flatten(), T.Linear(24, 30), T.BatchNorm1d(30, eps=1e-3), T.ReLU(), T.Unflatten(1, (5, 2, 3)),
                 T.ConvTranspose2d(5, 4, 2)],
        lambda: [L.Flatten(), L.Dense(30), L.BatchNormalization(), L.ReLU(), L.Reshape((2, 3, 5)),
                 L.Conv2DTranspose(4, 2)],
    ),
    "prelu": ((4, 3, 2), lambda: [T.PReLU(2)], lambda: [L.PReLU(shared_axes=[1, 2])]),
}  # fmt: skip
FEATURES = {
    "dense": ((5,), lambda: [T.Linear(5, 4), T.ReLU(), T.Linear(4, 3)],
              lambda: [L.Dense(4, activation="relu"), L.Dense(3)]),
    "layer norm": ((4, 6), lambda: [T.LayerNorm(6, eps=1e-3), T.Linear(6, 2)],
                   lambda: [L.LayerNormalization(), L.Dense(2)]),
    "lstm": ((7, 3), lambda: [Last(T.LSTM(3, 4, batch_first=True))], lambda: [L.LSTM(4)]),
    "lstm of two layers": ((7, 3), lambda: [Last(T.LSTM(3, 4, num_layers=2, batch_first=True))],
                           lambda: [L.LSTM(4, return_sequences=True), L.LSTM(4)]),
    "lstm both ways": ((7, 3), lambda: [BothEnds(T.LSTM(3, 4, batch_first=True, bidirectional=True))],
                       lambda: [L.Bidirectional(L.LSTM(4))]),
    "gru": ((7, 3), lambda: [Last(T.GRU(3, 4, batch_first=True))], lambda: [L.GRU(4)]),
    "gru without bias": ((7, 3), lambda: [Last(T.GRU(3, 4, batch_first=True, bias=False))],
                         lambda: [L.GRU(4, use_bias=False)]),
    "rnn": ((7, 3), lambda: [Last(T.RNN(3, 4, batch_first=True))], lambda: [L.SimpleRNN(4)]),
    "attention": ((5, 6), lambda: [Itself(T.MultiheadAttention(6, 2, batch_first=True))], attention),
}  # fmt: skip


def made(shape, layers):
    found = layers()
    return found if isinstance(found, Model) else Sequential([L.Input(shape), *found])


@pytest.mark.parametrize("kind", FORMATS[:2])
@pytest.mark.parametrize("name", [*IMAGES, *FEATURES])
def test_each_layout_computes_the_same(name, kind, tmp_path):
    images = name in IMAGES
    shape, modules, layers = IMAGES[name] if images else FEATURES[name]
    theirs, ours = filled(T.Sequential(*modules())), made(shape, layers)
    report = weights.load(ours, written(theirs.state_dict(), tmp_path, kind), by="order")
    assert report.complete and len(report.matches) == len(ours.weights)
    x = np.random.default_rng(0).standard_normal((3, *shape)).astype("float32")
    with torch.no_grad():
        wanted = last_axis(theirs(first_axis(x))) if images else theirs(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(ours.predict(x), wanted, atol=1e-4)


def test_embedding(tmp_path):
    theirs, ours = (
        filled(T.Sequential(T.Embedding(11, 4), T.Linear(4, 3))),
        Sequential([L.Embedding(11, 4), L.Dense(3)]),
    )
    ids = np.random.default_rng(0).integers(0, 11, (4, 6))
    ours(ids.astype("int32"))
    weights.load(ours, written(theirs.state_dict(), tmp_path), by="order")
    np.testing.assert_allclose(ours.predict(ids.astype("int32")), theirs(torch.from_numpy(ids)).detach(), atol=1e-4)


# ---------------------------------------------------------------- residual networks, with torchvision's names


class Block(T.Module):
    """A block as in torchvision, basic or with a bottleneck."""

    def __init__(self, channels, width, stride, bottleneck):
        super().__init__()
        out = width * (4 if bottleneck else 1)
        if bottleneck:
            self.conv1, self.bn1 = T.Conv2d(channels, width, 1, bias=False), T.BatchNorm2d(width)
            self.conv2, self.bn2 = T.Conv2d(width, width, 3, stride, 1, bias=False), T.BatchNorm2d(width)
            self.conv3, self.bn3 = T.Conv2d(width, out, 1, bias=False), T.BatchNorm2d(out)
        else:
            self.conv1, self.bn1 = T.Conv2d(channels, width, 3, stride, 1, bias=False), T.BatchNorm2d(width)
            self.conv2, self.bn2 = T.Conv2d(width, width, 3, 1, 1, bias=False), T.BatchNorm2d(width)
        self.bottleneck, self.downsample = bottleneck, None
        if stride > 1 or channels != out:
            self.downsample = T.Sequential(T.Conv2d(channels, out, 1, stride, bias=False), T.BatchNorm2d(out))

    def forward(self, x):
        beside = x if self.downsample is None else self.downsample(x)
        x = torch.relu(self.bn1(self.conv1(x)))
        x = self.bn2(self.conv2(x))
        if self.bottleneck:
            x = self.bn3(self.conv3(torch.relu(x)))
        return torch.relu(x + beside)


class ResNet(T.Module):
    """A residual network with the names of torchvision's."""

    def __init__(self, blocks, bottleneck, classes):
        super().__init__()
        self.conv1, self.bn1 = T.Conv2d(3, 64, 7, 2, 3, bias=False), T.BatchNorm2d(64)
        channels = 64
        for stage, (count, width) in enumerate(zip(blocks, (64, 128, 256, 512), strict=True)):
            listed = []
            for number in range(count):
                listed.append(Block(channels, width, 2 if stage and not number else 1, bottleneck))
                channels = width * (4 if bottleneck else 1)
            setattr(self, f"layer{stage + 1}", T.Sequential(*listed))
        self.fc = T.Linear(channels, classes)

    def forward(self, x):
        x = torch.max_pool2d(torch.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        for stage in range(4):
            x = getattr(self, f"layer{stage + 1}")(x)
        return self.fc(x.mean((2, 3)))


RESIDUAL = {
    "resnet18": ((2, 2, 2, 2), False, {}),
    "resnet34": ((3, 4, 6, 3), False, {}),
    "resnet50": ((3, 4, 6, 3), True, {"version": "v1.5"}),
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "by"), [("zip", "name"), ("zip", "order"), ("before 1.6", None), ("safetensors", None)]
)
@pytest.mark.parametrize("name", RESIDUAL)
def test_residual_networks(name, kind, by, tmp_path):
    blocks, bottleneck, options = RESIDUAL[name]
    torch.manual_seed(0)
    theirs = ResNet(blocks, bottleneck, 10).eval()
    with torch.no_grad():
        for key, value in theirs.state_dict().items():
            if "bn" in key or "downsample.1" in key:
                value.add_(torch.rand(value.shape).mul(0.2).to(value.dtype))
    ours = getattr(residual, name)((64, 64, 3), 10, None, **options)
    report = weights.load(ours, written(theirs.state_dict(), tmp_path, kind), by=by)
    assert report.complete and not report.unused
    x = np.random.default_rng(0).uniform(0, 1, (2, 64, 64, 3)).astype("float32")
    with torch.no_grad():
        wanted = theirs(first_axis(x)).numpy()
    assert wanted.std() > 1e-2
    np.testing.assert_allclose(ours.predict(x), wanted, rtol=1e-4, atol=1e-4)


def convolved(channels, out, kernel=3, stride=1, groups=1):
    return T.Sequential(T.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False),
                        T.BatchNorm2d(out), T.ReLU6())  # fmt: skip


class Inverted(T.Module):
    """A block of MobileNetV2 with the names of torchvision's."""

    def __init__(self, channels, out, stride, expansion):
        super().__init__()
        width = channels * expansion
        parts = [convolved(channels, width, 1)] if expansion > 1 else []
        parts += [convolved(width, width, 3, stride, width), T.Conv2d(width, out, 1, bias=False), T.BatchNorm2d(out)]
        self.conv, self.same = T.Sequential(*parts), stride == 1 and channels == out

    def forward(self, x):
        return x + self.conv(x) if self.same else self.conv(x)


class Classified(T.Module):
    """Features and a classifier, with the names of torchvision's."""

    def __init__(self, features, classifier, flat):
        super().__init__()
        self.features, self.classifier, self.flat = T.Sequential(*features), T.Sequential(*classifier), flat

    def forward(self, x):
        x = self.features(x)
        return self.classifier(torch.flatten(x, 1) if self.flat else x.mean((2, 3)))


def mobilenet():
    features, channels = [convolved(3, 32, 3, 2)], 32
    for expansion, out, count, stride in mobile.STAGES:
        for number in range(count):
            features.append(Inverted(channels, out, 1 if number else stride, expansion))
            channels = out
    return Classified([*features, convolved(320, 1280, 1)], [T.Dropout(), T.Linear(1280, 10)], False)


def vgg():
    features, channels = [], 3
    for out, count in plain.BLOCKS:
        for _ in range(count):
            features += [T.Conv2d(channels, out, 3, padding=1), T.ReLU()]
            channels = out
        features.append(T.MaxPool2d(2))
    classifier = [T.Linear(512 * 4, 4096), T.ReLU(), T.Dropout(), T.Linear(4096, 4096), T.ReLU(), T.Dropout(),
                  T.Linear(4096, 10)]  # fmt: skip
    return Classified(features, classifier, True)


@pytest.mark.slow
@pytest.mark.parametrize(("make", "build"), [(mobilenet, mobile.mobilenet_v2), (vgg, plain.vgg16)])
def test_other_networks(make, build, tmp_path):
    torch.manual_seed(0)
    theirs = make().eval()
    with torch.no_grad():
        for module in theirs.modules():
            if isinstance(module, T.BatchNorm2d):
                module.running_mean.uniform_(-0.1, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    path = written(theirs.state_dict(), tmp_path, "safetensors")
    ours = build((64, 64, 3), 10, None, version="torchvision", weights=path)
    x = np.random.default_rng(0).uniform(0, 1, (2, 64, 64, 3)).astype("float32")
    with torch.no_grad():
        wanted = theirs(first_axis(x)).numpy()
    assert wanted.std() > 1e-3
    np.testing.assert_allclose(ours.predict(x), wanted, rtol=1e-4, atol=1e-4)


# ---------------------------------------------------------------- what stands around the weights


@pytest.mark.parametrize("kind", FORMATS[:2])
@pytest.mark.parametrize(
    ("wrap", "key"),
    [
        (lambda s: {"state_dict": s, "epoch": 3, "best": 0.5, "optimizer": {"state": {0: {"step": 1}}}}, None),
        (lambda s: {"nets": {"small": s, "other": {"a.weight": torch.zeros(2)}}, "arch": "x"}, "nets/small"),
        (lambda s: {f"module.{k}": v for k, v in s.items()}, None),
        (lambda s: {k: T.Parameter(v) for k, v in s.items()}, None),
        (lambda s: dict(s), None),
    ],
)
def test_where_the_state_dict_is(wrap, key, kind, tmp_path):
    theirs, ours = filled(T.Sequential(T.Linear(5, 4), T.Linear(4, 3))), made((5,), FEATURES["dense"][2])
    path = written(wrap(theirs.state_dict()), tmp_path, kind)
    weights.load(ours, path, by="order", key=key)
    np.testing.assert_array_equal(ours.weights[0].numpy(), theirs[0].weight.detach().numpy().T)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(
    "tensor",
    [
        torch.arange(12.0).reshape(3, 4).T, torch.arange(24.0)[5:17].reshape(3, 4)[::2], torch.tensor(3.5),
        torch.zeros(0, 3), torch.arange(6).to(torch.int16), torch.tensor([True, False]), torch.arange(5).half(),
        torch.arange(5).bfloat16(), torch.arange(5, dtype=torch.float64),
    ],
    ids=str,
)  # fmt: skip
def test_views_and_element_types(tensor, protocol, tmp_path):
    path = str(tmp_path / "a.pth")
    torch.save({"m.weight": tensor, "m.again": tensor}, path, pickle_protocol=protocol)
    with weights.open_weights(path) as file:
        found = {stored.name: stored for stored in file.arrays()}
        assert list(found) == ["m.weight", "m.again"]
        for stored in found.values():
            np.testing.assert_array_equal(stored.read().astype("float64"), tensor.double().numpy())
            assert stored.shape == tuple(tensor.shape)


def test_torch_is_not_imported(tmp_path):
    path = written(filled(T.Linear(5, 4)).state_dict(), tmp_path)
    code = (
        "import sys\nfrom corenn_models import weights\n"
        f"with weights.open_weights({path!r}) as file:\n"
        "    print([(a.name, a.read().shape) for a in file.arrays()], 'torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split("\n")[0] == "[('weight', (4, 5)), ('bias', (4,))] False"


def test_names_of_the_other_library_are_recognised(tmp_path):
    ours = residual.resnet50((32, 32, 3), 10, None)
    path = str(tmp_path / "torchvision.safetensors")
    arrays = {"conv1.weight": np.zeros((64, 3, 7, 7), "f4"), "layer1.0.conv1.weight": np.zeros((64, 64, 1, 1), "f4")}
    save_file(path, arrays)
    with pytest.raises(CheckpointError, match=r"version='v1\.5'"):
        weights.load(ours, path)
