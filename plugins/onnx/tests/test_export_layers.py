"""Models of every family of layers: exported, run by onnxruntime for several batch sizes, and imported again."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

import corenn_onnx
import onnxruntime as ort

import corenn
from corenn import layers
from corenn.errors import UsageError
from corenn.graph import TensorSpec
from corenn.training import Model, Sequential

IMAGE, SERIES, VECTOR, VOLUME = (8, 8, 3), (6, 4), (5,), (4, 4, 4, 2)


def fresh_weights(model: Any) -> None:
    """Weights that differ from each other, positive ones among them, as those of training do."""
    generator = np.random.default_rng(3)
    for variable in model.weights:
        variable.assign(generator.uniform(0.1, 0.9, variable.shape).astype(variable.dtype.numpy) - 0.3)
        if "variance" in variable.name:
            variable.assign(generator.uniform(0.5, 2, variable.shape).astype(variable.dtype.numpy))


def values(shape: tuple[int, ...], batch: int, dtype: str = "float32") -> np.ndarray[Any, Any]:
    generator = np.random.default_rng(batch)
    if dtype == "int32":
        return generator.integers(0, 9, (batch, *shape)).astype(dtype)
    return generator.normal(size=(batch, *shape)).astype(dtype)


def run(proto: Any, *arrays: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(proto.SerializeToString(), options)
    return list(session.run(None, {i.name: a for i, a in zip(session.get_inputs(), arrays, strict=True)}))


def agree(model: Any, proto: Any, batches: tuple[int, ...], *shapes: tuple[tuple[int, ...], str]) -> None:
    """corenn, onnxruntime and the imported model give the same."""
    back = corenn_onnx.load(proto)
    for batch in batches:
        given = [values(shape, batch, dtype) for shape, dtype in shapes]
        found = model(*given)
        wanted = list(found) if isinstance(found, tuple | list) else [found]
        again = back(*given)
        again = again if isinstance(again, tuple) else (again,)
        for a, b, c in zip(wanted, run(proto, *given), again, strict=True):
            assert a.shape == b.shape == c.shape
            np.testing.assert_allclose(b, a.numpy(), rtol=1e-4, atol=1e-5)
            np.testing.assert_allclose(c.numpy(), a.numpy(), rtol=1e-4, atol=1e-5)


L = layers
#: Layers by name, the shape of an example, and the element type.
CASES: dict[str, tuple[tuple[int, ...], Callable[[], list[Any]]]] = {
    "dense": (VECTOR, lambda: [L.Dense(7, activation="relu"), L.Dense(3, activation="softmax")]),
    "dense on series": (SERIES, lambda: [L.Dense(7, activation="tanh")]),
    "conv1d": (SERIES, lambda: [L.Conv1D(5, 3, padding="same", dilation_rate=2)]),
    "conv1d causal": (SERIES, lambda: [L.Conv1D(5, 3, padding="causal")]),
    "conv2d": (IMAGE, lambda: [L.Conv2D(5, 3, strides=2, padding="same", activation="relu"), L.Flatten()]),
    "conv2d groups": ((8, 8, 4), lambda: [L.Conv2D(6, 3, groups=2, use_bias=False)]),
    "conv2d channels first": ((3, 8, 8), lambda: [L.Conv2D(5, 3, data_format="channels_first")]),
    "conv3d": (VOLUME, lambda: [L.Conv3D(3, 2, padding="same")]),
    "conv1d transpose": (SERIES, lambda: [L.Conv1DTranspose(5, 3, strides=2, padding="same")]),
    "conv2d transpose": (IMAGE, lambda: [L.Conv2DTranspose(5, 3, strides=2, padding="same"), L.ReLU()]),
    "conv2d transpose valid": (IMAGE, lambda: [L.Conv2DTranspose(5, 4, strides=3)]),
    "conv3d transpose": (VOLUME, lambda: [L.Conv3DTranspose(3, 2, strides=2)]),
    "depthwise": (IMAGE, lambda: [L.DepthwiseConv2D(3, depth_multiplier=2)]),
    "depthwise1d": (SERIES, lambda: [L.DepthwiseConv1D(3)]),
    "separable": (IMAGE, lambda: [L.SeparableConv2D(5, 3), L.SeparableConv2D(4, 2)]),
    "separable1d": (SERIES, lambda: [L.SeparableConv1D(5, 3)]),
    "max pooling": (IMAGE, lambda: [L.MaxPooling2D(3, strides=2, padding="same")]),
    "max pooling 1d, 3d": (SERIES, lambda: [L.MaxPooling1D(2)]),
    "max pooling 3d": (VOLUME, lambda: [L.MaxPooling3D(2)]),
    "average pooling": (IMAGE, lambda: [L.AveragePooling2D(3, strides=2, padding="same")]),
    "average pooling 1d": (SERIES, lambda: [L.AveragePooling1D(2)]),
    "average pooling 3d": (VOLUME, lambda: [L.AveragePooling3D(2)]),
    "global average": (IMAGE, lambda: [L.Conv2D(4, 3), L.GlobalAveragePooling2D(), L.Dense(2)]),
    "global max": (IMAGE, lambda: [L.GlobalMaxPooling2D()]),
    "global 1d": (SERIES, lambda: [L.GlobalMaxPooling1D()]),
    "global 3d": (VOLUME, lambda: [L.GlobalAveragePooling3D()]),
    "batch norm": (IMAGE, lambda: [L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU(), L.Conv2D(2, 1)]),
    "batch norm vector": (VECTOR, lambda: [L.Dense(6), L.BatchNormalization()]),
    "layer norm": (SERIES, lambda: [L.LayerNormalization()]),
    "group norm": ((8, 8, 4), lambda: [L.GroupNormalization(groups=2)]),
    "rms norm": (SERIES, lambda: [L.RMSNormalization()]),
    "unit norm": (SERIES, lambda: [L.UnitNormalization()]),
    "lstm": (SERIES, lambda: [L.LSTM(5, return_sequences=True), L.LSTM(3)]),
    "gru": (SERIES, lambda: [L.GRU(5, return_sequences=True), L.GRU(3, reset_after=False)]),
    "simple rnn": (SERIES, lambda: [L.SimpleRNN(5)]),
    "bidirectional": (SERIES, lambda: [L.Bidirectional(L.LSTM(4, return_sequences=True))]),
    "rnn of a cell": (SERIES, lambda: [L.RNN(L.LSTMCell(3))]),
    "go backwards": (SERIES, lambda: [L.GRU(3, go_backwards=True)]),
    "masking": (SERIES, lambda: [L.Masking(0.0), L.LSTM(3)]),
    "time distributed": (SERIES, lambda: [L.TimeDistributed(L.Dense(3))]),
    "dropout": (VECTOR, lambda: [L.Dropout(0.5), L.GaussianNoise(0.1), L.Dense(2)]),
    "reshaping": ((6, 4), lambda: [L.Reshape((4, 6)), L.Permute((2, 1)), L.Flatten(), L.RepeatVector(2)]),
    "padding": (IMAGE, lambda: [L.ZeroPadding2D(((1, 2), (0, 1))), L.Cropping2D(1), L.Conv2D(2, 3)]),
    "padding after conv": (IMAGE, lambda: [L.Conv2D(4, 3), L.ZeroPadding2D(1), L.Conv2D(2, 3)]),
    "up sampling": (IMAGE, lambda: [L.UpSampling2D(2), L.Conv2D(2, 3)]),
    "up sampling bilinear": (IMAGE, lambda: [L.UpSampling2D(2, interpolation="bilinear")]),
    "resizing": (IMAGE, lambda: [L.Rescaling(1 / 255), L.Resizing(5, 7)]),
    "softmax and others": (VECTOR, lambda: [L.ELU(), L.GELU(), L.LeakyReLU(), L.PReLU(), L.Softmax()]),
    "normalization": (VECTOR, lambda: [L.Normalization(mean=[1.0] * 5, variance=[2.0] * 5)]),
}
ACTIVATIONS = (
    "relu", "sigmoid", "tanh", "softmax", "elu", "selu", "gelu", "silu", "softplus", "softsign", "hard_sigmoid",
    "relu6", "mish", "exponential", "leaky_relu", "log_softmax", "hard_swish", "celu",
)  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_layers_agree_in_onnxruntime(name: str) -> None:
    shape, build = CASES[name]
    model = Sequential([L.Input(shape), *build()])
    fresh_weights(model)
    proto = corenn_onnx.export(model)
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    assert dims[0].dim_param == "batch"
    agree(model, proto, (1, 4), (shape, "float32"))


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("opset", [17, 20])
def test_activations(name: str, opset: int) -> None:
    model = Sequential([L.Input(VECTOR), L.Activation(name)])
    agree(model, corenn_onnx.export(model, opset=opset), (3,), (VECTOR, "float32"))


def test_embedding_and_attention() -> None:
    tokens = L.Input((7,), dtype="int32")
    x = L.Embedding(9, 8)(tokens)
    y = L.MultiHeadAttention(2, 4)(x, x)
    y = L.LayerNormalization()(L.Add()([x, y]))
    model = Model(tokens, L.Dense(9)(y))
    fresh_weights(model)
    agree(model, corenn_onnx.export(model), (1, 3), ((7,), "int32"))


def test_several_inputs_and_outputs() -> None:
    a, b = L.Input((4,), name="a"), L.Input((6,), name="b")
    x = L.Concatenate()([L.Dense(3)(a), L.Dense(3)(b)])
    model = Model([a, b], [L.Dense(2)(x), L.Multiply()([x, x])])
    fresh_weights(model)
    proto = corenn_onnx.export(model, output_names=["scores", "squares"])
    assert [i.name for i in proto.graph.input] == ["a", "b"]
    assert [o.name for o in proto.graph.output] == ["scores", "squares"]
    for batch in (2, 5):
        given = [values((4,), batch), values((6,), batch)]
        for wanted, found in zip(model(given), run(proto, *given), strict=True):
            np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-5)


class Subclassed(Model):
    """Layers, ops and a decision by shape."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = L.Dense(8, activation="relu"), L.Dense(8)

    def call(self, x: Any) -> Any:
        y = self.second(self.first(x))
        y = corenn.concat([y, x], axis=-1) if x.shape[-1] > 3 else y
        return y[:, ::-1] / (1 + corenn.abs(y)) + corenn.zeros((x.shape[0], 1))


def test_a_subclassed_model_by_tracing() -> None:
    model = Subclassed()
    model(values(VECTOR, 2))
    fresh_weights(model)
    with pytest.raises(UsageError, match="input_signature"):
        corenn_onnx.export(model)
    proto = corenn_onnx.export(model, input_signature=[TensorSpec((None, 5))])
    agree(model, proto, (1, 6), (VECTOR, "float32"))


def test_weights_are_initializers_under_their_names() -> None:
    model = Sequential([L.Input(IMAGE), L.Conv2D(4, 3), L.BatchNormalization(), L.Flatten(), L.Dense(2)])
    proto = corenn_onnx.export(model)
    names = {i.name for i in proto.graph.initializer}
    assert set(model.weight_names()) <= names
    convolutions = [n for n in proto.graph.node if n.op_type == "Conv"]
    assert len(convolutions[0].input) == 3  # the bias is the convolution's own
    assert sum(n.op_type == "Transpose" for n in proto.graph.node) <= 2


def test_automatic_names_of_inputs_are_counted_in_the_model() -> None:
    for _ in range(2):
        a, b, c = L.Input((4,)), L.Input((4,), name="mine"), L.Input((4,))
        proto = corenn_onnx.export(Model([a, b, c], L.Add()([a, b, c])))
        assert [i.name for i in proto.graph.input] == ["input", "mine", "input_1"]


def test_a_fixed_batch() -> None:
    model = Sequential([L.Input(VECTOR), L.Dense(2)])
    proto = corenn_onnx.export(model, batch=3)
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 3
    agree(model, proto, (3,), (VECTOR, "float32"))


@pytest.mark.parametrize("opset", [17, 18, 20, 21, 23])
def test_every_opset(opset: int, tmp_path: Any) -> None:
    head = [L.GlobalAveragePooling2D(), L.LayerNormalization(), L.Dense(3, activation="softmax")]
    body = [L.Conv2D(4, 3, activation="gelu"), L.BatchNormalization(), L.MaxPooling2D(2)]
    model = Sequential([L.Input(IMAGE), *body, *head])
    fresh_weights(model)
    path = tmp_path / "model.onnx"
    proto = corenn_onnx.export(model, path, opset=opset)
    assert proto.opset_import[0].version == opset
    given = values(IMAGE, 2)
    np.testing.assert_allclose(corenn_onnx.load(path)(given).numpy(), model(given).numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(run(proto, given)[0], model(given).numpy(), rtol=1e-4, atol=1e-5)


#: Registered models: options, shapes and dtypes of inputs, and whether they take them as one argument.
MODELS: dict[str, tuple[dict[str, Any], list[tuple[tuple[int, ...], str]], bool]] = {
    "cnn": ({"classes": 4}, [((16, 16, 1), "float32")], False),
    "gap": ({"classes": 4}, [((16, 16, 3), "float32")], False),
    "resnet18": ({"classes": 4}, [((32, 32, 3), "float32")], False),
    "mobilenet_v2": ({"classes": 4}, [((32, 32, 3), "float32")], False),
    "autoencoder": ({}, [((16, 16, 1), "float32")], False),
    "vae": ({}, [((16, 16, 1), "float32")], False),
    "transformer": ({"classes": 9}, [((6,), "int32")], False),
    "seq2seq": ({"classes": 9, "units": 8, "embedding": 4}, [((6,), "int32"), ((6,), "int32")], True),
}


@pytest.mark.parametrize("name", MODELS)
def test_registered_models(name: str) -> None:
    from corenn.plugin import registry

    options, inputs, together = MODELS[name]
    model = registry.get("model", name).load()(input_shape=inputs[0][0], **options)
    specs = [TensorSpec((None, *shape), dtype) for shape, dtype in inputs]
    if together:
        model([values(shape, 2, dtype) for shape, dtype in inputs])
    proto = corenn_onnx.export(model, input_signature=[specs] if together else specs)
    for batch in (1, 3):
        given = [values(shape, batch, dtype) for shape, dtype in inputs]
        found = model(given) if together else model(*given)
        wanted = list(found) if isinstance(found, tuple | list) else [found]
        for a, b in zip(wanted, run(proto, *given), strict=True):
            np.testing.assert_allclose(b, a.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_resnet50() -> None:
    from corenn.plugin import registry

    model = registry.get("model", "resnet50").load()(input_shape=(32, 32, 3), classes=10)
    generator = np.random.default_rng(0)
    for variable in model.weights:
        if "variance" in variable.name:
            variable.assign(generator.uniform(0.5, 2, variable.shape).astype("float32"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        proto = corenn_onnx.export(model)
    assert sum(n.op_type == "Conv" for n in proto.graph.node) == 53
    agree(model, proto, (1, 2), ((32, 32, 3), "float32"))
