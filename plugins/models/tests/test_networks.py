"""The networks: published numbers of parameters, shapes of what they give, freezing, and that each of them learns."""

from __future__ import annotations

import math

import numpy as np
import pytest
from corenn_models.autoencoders import Sampling, kl_to_standard_normal
from corenn_models.preprocessing import preprocess

import corenn
from corenn import layers as L
from corenn import random
from corenn.checkpoint import load_file, pack_state, save_file, unpack_state
from corenn.errors import CorennError, UsageError
from corenn.optimizers import Adam
from corenn.plugin import registry
from corenn.training import Sequential


@pytest.fixture(autouse=True)
def seeded():
    state = random.get_state()
    random.seed(0)
    yield
    random.set_state(state)


def build(name, **options):
    return registry.get("model", name).load()(**options)


def trained(model):
    return sum(v.size for v in model.trainable_weights)


# Trained and fixed numbers as keras.applications and torchvision count them.
PUBLISHED = [
    ("resnet50", {}, 25_636_712, 25_583_592),
    ("resnet50", {"include_top": False}, 23_587_712, 23_534_592),
    ("resnet50", {"version": "v1.5"}, 25_557_032 + 53_120, 25_557_032),
    ("resnet101", {}, 44_707_176, 44_601_832),
    ("resnet101", {"version": "v1.5"}, 44_549_160 + 105_344, 44_549_160),
    ("resnet18", {}, 11_689_512 + 9_600, 11_689_512),
    ("resnet34", {}, 21_797_672 + 17_024, 21_797_672),
    ("mobilenet_v2", {}, 3_538_984, 3_504_872),
    ("mobilenet_v2", {"include_top": False}, 2_257_984, 2_223_872),
    ("mobilenet_v2", {"alpha": 0.5}, 1_987_224, 1_968_680),
    ("mobilenet_v2", {"version": "torchvision"}, 3_538_984, 3_504_872),
    ("vgg16", {"include_top": False}, 14_714_688, 14_714_688),
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options", "all_", "of_them_trained"), PUBLISHED)
def test_published_numbers_of_parameters(name, options, all_, of_them_trained):
    model = build(name, **options)
    assert (model.count_params(), trained(model)) == (all_, of_them_trained)


def test_the_top_of_vgg16():
    """138,357,544 parameters at 224 x 224, of which the top has those of 25,088-4096-4096-1000; here at 32 x 32."""
    model = build("vgg16", input_shape=(32, 32, 3), classes=10)
    assert model.count_params() == 14_714_688 + (512 * 4096 + 4096) + (4096 * 4096 + 4096) + (4096 * 10 + 10)
    assert 14_714_688 + (25_088 * 4096 + 4096) + (4096 * 4096 + 4096) + (4096 * 1000 + 1000) == 138_357_544


def test_transfer_learning_trains_one_unit():
    """The document's network: everything of ResNet50 frozen, one sigmoid unit on its pooled features."""
    base = build("resnet50", input_shape=(100, 100, 3), include_top=False, pooling="avg")
    base.trainable = False
    model = Sequential([L.Input((100, 100, 3)), base, L.Dense(1, activation="sigmoid")])
    assert (model.count_params(), trained(model)) == (23_589_761, 2_049)


def test_frozen_networks_do_not_change():
    base = build("resnet18", input_shape=(32, 32, 3), include_top=False, pooling="avg")
    base.trainable = False
    model = Sequential([L.Input((32, 32, 3)), base, L.Dense(1, activation="sigmoid")])
    model.compile("adam", loss="binary_crossentropy")
    before = base.get_weights()
    x = np.random.default_rng(0).uniform(0, 1, (4, 32, 32, 3)).astype("float32")
    model.fit(x, np.array([[0.0], [1.0], [0.0], [1.0]], "float32"), epochs=2, verbose=0)
    for old, new in zip(before, base.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


IMAGE_NETWORKS = ["resnet18", "resnet50", "vgg16", "mobilenet_v2", "gap"]


@pytest.mark.parametrize("name", IMAGE_NETWORKS)
def test_probabilities_and_features(name):
    images = np.random.default_rng(0).uniform(0, 1, (2, 33, 40, 3)).astype("float32")
    probabilities = build(name, input_shape=(33, 40, 3), classes=7).predict(images)
    assert probabilities.shape == (2, 7)
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-5)
    if name != "gap":
        shapes = {p: build(name, input_shape=(33, 40, 3), include_top=False, pooling=p).predict(images).shape
                  for p in (None, "avg", "max")}  # fmt: skip
        assert shapes["avg"] == shapes["max"] == (2, shapes[None][-1])
        assert len(shapes[None]) == 4
    with pytest.raises(UsageError, match=r"takes images"):
        build(name, input_shape=(32, 32), classes=2)
    if name != "gap":
        with pytest.raises(CorennError, match="'median'"):
            build(name, input_shape=(33, 40, 3), classes=7, include_top=False, pooling="median")
    if name in ("resnet50", "vgg16", "mobilenet_v2"):
        with pytest.raises(CorennError, match="version must be one of"):
            build(name, input_shape=(33, 40, 3), classes=7, version="v7")


def test_names_say_whose_weights_fit():
    names = {v: [layer.name for layer in build("resnet50", input_shape=(32, 32, 3), version=v).layers if layer.weights]
             for v in ("v1", "v1.5")}  # fmt: skip
    assert names["v1"][:2] == ["conv1_conv", "conv1_bn"] and names["v1"][-1] == "predictions"
    assert {"conv2_block1_0_conv", "conv5_block3_3_bn"} <= set(names["v1"])
    assert names["v1.5"][:4] == ["conv1", "bn1", "layer1.0.conv1", "layer1.0.bn1"] and names["v1.5"][-1] == "fc"
    assert {"layer1.0.downsample.0", "layer4.2.bn3"} <= set(names["v1.5"])
    assert len(names["v1"]) == len(names["v1.5"]) == 107


# ---------------------------------------------------------------- networks that make images


def stripes(count, side=8):
    """Images bright above or below, or left or right, of 0 to 1."""
    x = np.zeros((count, side, side, 1), np.float32)
    for i in range(count):
        rows, half = i % 2, slice(0, side // 2) if i // 2 % 2 else slice(side // 2, None)
        x[(i, half) if rows else (i, slice(None), half)] = 1
    return x


def test_an_autoencoder_learns_its_images():
    model, x = build("autoencoder", input_shape=(8, 8, 1), code=4, filters=(8, 16)), stripes(32)
    model.compile(Adam(0.01), loss="mse")
    first = model.evaluate(x, x)["loss"]
    model.fit(x, x, epochs=40, batch_size=8, verbose=0)
    assert model.evaluate(x, x)["loss"] < 0.1 * first
    assert model.get_layer("encoder").predict(x).shape == (32, 4)


@pytest.mark.parametrize("name", ["autoencoder", "vae"])
@pytest.mark.parametrize("shape", [(28, 28, 1), (7, 5, 3), (33, 20, 2)])
def test_images_of_any_size_come_back_in_it(name, shape):
    model = build(name, input_shape=shape, filters=(3, 4))
    assert model.predict(np.zeros((2, *shape), np.float32)).shape == (2, *shape)
    assert model.get_layer("decoder").predict(np.zeros((2, 32 if name == "autoencoder" else 2), "f4")).shape == (
        2,
        *shape,
    )


def test_the_divergence_is_that_of_the_formula():
    """Against numbers from integrating the densities."""
    mean, log_variance = np.array([[0.3, -1.0]]), np.array([[0.4, -0.7]])
    z = np.linspace(-12, 12, 200_001)
    wanted = 0.0
    for m, s in zip(mean[0], np.exp(log_variance[0] / 2), strict=True):
        p = np.exp(-((z - m) ** 2) / (2 * s**2)) / (s * math.sqrt(2 * math.pi))
        log_q = -(z**2) / 2 - 0.5 * math.log(2 * math.pi)
        with np.errstate(divide="ignore", invalid="ignore"):
            wanted += np.trapezoid(np.where(p > 0, p * (np.log(p) - log_q), 0), z)
    found = kl_to_standard_normal(corenn.tensor(mean.astype("f4")), corenn.tensor(log_variance.astype("f4")))
    np.testing.assert_allclose(float(found), wanted, rtol=1e-5)
    assert float(kl_to_standard_normal(corenn.tensor([[0.0]]), corenn.tensor([[0.0]]))) == 0


def test_draws_have_the_given_moments_and_carry_gradients():
    layer = Sampling(kl_weight=0.0, seed=3)
    mean = corenn.Variable(np.full((20_000, 1), 2.0, "f4"))
    log_variance = corenn.Variable(np.full((20_000, 1), math.log(0.25), "f4"))
    with corenn.GradientTape() as tape:
        drawn = layer(mean, log_variance, training=True)
    assert abs(drawn.numpy().mean() - 2) < 0.02 and abs(drawn.numpy().std() - 0.5) < 0.02
    to_mean, to_spread = tape.gradient(drawn, [mean, log_variance])
    np.testing.assert_allclose(to_mean.numpy(), 1)
    np.testing.assert_allclose(to_spread.numpy(), (drawn.numpy() - 2) / 2, atol=1e-5)
    np.testing.assert_array_equal(layer(mean, log_variance).numpy(), mean.numpy())


@pytest.mark.parametrize("run_eagerly", [True, False])
def test_a_vae_learns_and_its_loss_is_the_bound(run_eagerly):
    model, x = build("vae", input_shape=(8, 8, 1), latent=2, filters=(8, 16)), stripes(64)
    model.compile(Adam(0.01), loss="binary_crossentropy", run_eagerly=run_eagerly)
    moments = [m.numpy() for m in model.get_layer("encoder")(x)]
    divergence = 0.5 * (np.exp(moments[1]) + moments[0] ** 2 - 1 - moments[1]).sum(-1).mean() / 64
    pixels = model.predict(x)
    entropy = -(x * np.log(pixels) + (1 - x) * np.log(1 - pixels)).mean()
    first = model.evaluate(x, x, batch_size=64)["loss"]
    np.testing.assert_allclose(first, entropy + divergence, rtol=1e-4)
    model.fit(x, x, epochs=30, batch_size=16, verbose=0)
    assert model.evaluate(x, x)["loss"] < 0.7 * first


def test_both_sides_of_a_dcgan_learn():
    """After some steps the images that are made have about the brightness of the real ones."""
    model = build("dcgan", input_shape=(8, 8, 1), latent=4, filters=(8, 16))
    model.compile(Adam(0.002, beta_1=0.5), Adam(0.002, beta_1=0.5))
    x = np.full((64, 8, 8, 1), 0.8, "f4")
    before = [v.numpy() for v in model.weights]
    history = model.fit(x, epochs=25, batch_size=16, verbose=0).history
    assert {"loss", "generator_loss", "discriminator_loss"} <= set(history)
    np.testing.assert_allclose(history["loss"][-1], history["generator_loss"][-1] + history["discriminator_loss"][-1],
                               rtol=1e-4)  # fmt: skip
    assert all((old != new.numpy()).any() for old, new in zip(before, model.weights, strict=True))
    images = model.generate(16)
    assert images.shape == (16, 8, 8, 1) and abs(images.mean() - 0.8) < 0.3


@pytest.mark.parametrize("shape", [(28, 28, 1), (9, 12, 3)])
def test_dcgan_makes_images_of_any_size(shape):
    model = build("dcgan", input_shape=shape, latent=3, filters=(4, 6))
    images = model.generate(2)
    assert images.shape == (2, *shape) and np.abs(images).max() <= 1
    assert model.discriminator.predict(images).shape == (2, 1)


def test_a_dcgan_continues_where_it_was(tmp_path):
    """Steps, a checkpoint, steps again: as without the checkpoint, both optimizers included."""
    x = np.random.default_rng(0).uniform(-1, 1, (8, 8, 8, 1)).astype("f4")

    def fresh():
        random.seed(1)
        model = build("dcgan", input_shape=(8, 8, 1), latent=4, filters=(4, 6))
        model.compile()
        return model

    whole, first, second = fresh(), fresh(), fresh()
    random.seed(5)
    for _ in range(4):
        whole.train_on_batch(x)
    random.seed(5)
    for _ in range(2):
        first.train_on_batch(x)
    save_file(tmp_path / "a.safetensors", *pack_state({"model": first.state_dict()}))
    second.load_state_dict(unpack_state(*load_file(tmp_path / "a.safetensors"))["model"])
    for _ in range(2):
        second.train_on_batch(x)
    for a, b in zip(whole.weights, second.weights, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


# ---------------------------------------------------------------- sequences


def test_seq2seq_learns_to_turn_sequences_round():
    rng = np.random.default_rng(0)
    source = rng.integers(2, 6, (256, 4)).astype("int32")
    target = source[:, ::-1]
    given = np.concatenate([np.ones((256, 1), "int32"), target[:, :-1]], 1)
    model = build("seq2seq", input_shape=(4,), classes=6, units=48, embedding=12)
    model.compile(Adam(0.02), loss="sparse_categorical_crossentropy")
    model.fit((source, given), target, epochs=25, batch_size=64, verbose=0)
    assert (model.translate(source[:64], start=1, most_steps=4) == target[:64]).mean() > 0.95


def test_seq2seq_options_and_padding():
    model = build("seq2seq", input_shape=(5, 3), classes=4, units=6, layers=2, activation=None)
    numbers = np.random.default_rng(0).standard_normal((2, 7, 3)).astype("f4")
    assert model((numbers, np.zeros((2, 3), "int32"))).shape == (2, 3, 4)
    ids = build("seq2seq", input_shape=(5,), classes=4, vocabulary=9, units=6)
    short, long = np.array([[3, 8]], "int32"), np.array([[3, 8, 0, 0, 0]], "int32")
    start = np.ones((1, 2), "int32")
    np.testing.assert_allclose(ids((short, start)).numpy(), ids((long, start)).numpy(), atol=1e-6)
    written = ids.translate(np.array([[3, 8], [1, 1]], "int32"), start=1, end=2, most_steps=5)
    assert written.dtype == np.int32 and written.shape[0] == 2 and written.shape[1] <= 5
    with pytest.raises(UsageError, match="takes sequences"):
        build("seq2seq", input_shape=(5, 3, 1), classes=4)


def test_a_transformer_finds_what_is_in_a_sequence():
    """Class 1 where an id of 3 occurs anywhere."""
    rng = np.random.default_rng(0)
    x = rng.integers(4, 9, (256, 10)).astype("int32")
    y = (np.arange(256) % 2).astype("int32")
    x[np.arange(256), rng.integers(0, 10, 256)] = np.where(y, 3, 5)
    model = build("transformer", input_shape=(10,), classes=2, vocabulary=9, width=16, heads=2, blocks=1, dropout=0.0)
    model.compile(Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=15, batch_size=32, verbose=0)
    assert model.evaluate(x, y)["accuracy"] > 0.98


def test_a_causal_transformer_does_not_look_ahead():
    options = {"input_shape": (6,), "classes": 5, "width": 8, "heads": 2, "pooling": None}
    x = np.array([[1, 2, 3, 4, 1, 2]], "int32")
    changed = np.array([[1, 2, 3, 0, 0, 0]], "int32")
    for causal in (True, False):
        model = build("transformer", causal=causal, **options)
        same = np.isclose(model.predict(x), model.predict(changed), atol=1e-6).all(-1)[0]
        assert same.tolist() == [causal] * 3 + [False] * 3
    model = build("transformer", input_shape=(6, 3), classes=5, include_top=False, width=8, heads=2)
    assert model.predict(np.zeros((2, 6, 3), "f4")).shape == (2, 8)


@pytest.mark.parametrize("name", ["autoencoder", "vae", "transformer", "gap"])
def test_architectures_can_be_saved(name):
    options = {"input_shape": (6,)} if name == "transformer" else {"input_shape": (8, 8, 1)}
    model = build(name, **options, **({"classes": 3} if name in ("transformer", "gap") else {}))
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    x = np.ones((2, 6), "int32") if name == "transformer" else np.ones((2, 8, 8, 1), "f4")
    np.testing.assert_allclose(again.predict(x), model.predict(x), atol=1e-6)


# ---------------------------------------------------------------- on other backends

BACKENDS = [r.name for r in registry.backends().values() if r.name != "numpy" and r.unavailable_reason() is None]
SMALL = {
    "gap": ({"input_shape": (9, 8, 2), "classes": 3}, None),
    "resnet18": ({"input_shape": (32, 32, 3), "classes": 3}, None),
    "mobilenet_v2": ({"input_shape": (32, 32, 3), "classes": 3}, None),
    "autoencoder": ({"input_shape": (9, 8, 2), "filters": (3, 4)}, None),
    "vae": ({"input_shape": (9, 8, 2), "filters": (3, 4)}, None),
    "dcgan": ({"input_shape": (9, 8, 2), "latent": 5, "filters": (3, 4)}, (5,)),
    "transformer": ({"input_shape": (6, 3), "classes": 4, "width": 8, "heads": 2}, None),
}


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", SMALL)
def test_backends_agree(name, backend):
    options, shape = SMALL[name]
    model = build(name, **options)
    x = np.random.default_rng(0).standard_normal((2, *(shape or options["input_shape"]))).astype("f4")
    wanted = model.predict(x)
    with corenn.device(backend):
        other = build(name, **options)
        other.set_weights(model.get_weights())
        np.testing.assert_allclose(other.predict(x), wanted, rtol=1e-3, atol=1e-4)


# ---------------------------------------------------------------- images as networks take them

PIXEL = np.array([[[255.0, 128.0, 0.0]]], "f4")  # red, green, blue
PREPROCESSED = {
    "caffe": [0 - 103.939, 128 - 116.779, 255 - 123.68],
    "tf": [1.0, 128 / 127.5 - 1, -1.0],
    "torch": [(1 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, -0.406 / 0.225],
}


@pytest.mark.parametrize("mode", PREPROCESSED)
def test_preprocessing(mode):
    for given in (PIXEL, PIXEL.astype("uint8"), PIXEL[None].astype("float64")):
        found = preprocess(given, mode)
        np.testing.assert_allclose(found.reshape(-1), PREPROCESSED[mode], rtol=1e-5, atol=1e-6)
        assert found.dtype == ("float64" if given.dtype == np.float64 else "float32")
    found = preprocess(corenn.tensor(PIXEL), mode)
    np.testing.assert_allclose(found.numpy().reshape(-1), PREPROCESSED[mode], rtol=1e-5, atol=1e-6)
    for wrong, options in ((PIXEL[..., :1], {}), (PIXEL > 0, {}), (PIXEL, {"mode": "keras"})):
        with pytest.raises(CorennError):
            preprocess(wrong, **{"mode": mode, **options})
