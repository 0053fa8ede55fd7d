"""Outputs and gradients of layers with weights against PyTorch's, with the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import corenn
from corenn import layers as L
from corenn.layers.base import Layer

torch = pytest.importorskip("torch")
Array = np.ndarray[Any, Any]
F = torch.nn.functional


def last_to_first(x: Any) -> Any:
    """Channels last to channels first."""
    return torch.movedim(x, -1, 1)


def first_to_last(x: Any) -> Any:
    return torch.movedim(x, 1, -1)


def kernel(k: Any) -> Any:
    """[*window, in, out] to [out, in, *window]."""
    return torch.movedim(k, (-1, -2), (0, 1))


def conv(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    return lambda x, k, b: first_to_last(function(last_to_first(x), kernel(k), b, **options))


def depthwise(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    def run(x: Any, k: Any, b: Any) -> Any:
        merged = torch.reshape(k, (*k.shape[:-2], 1, k.shape[-2] * k.shape[-1]))
        return first_to_last(function(last_to_first(x), kernel(merged), b, groups=x.shape[-1], **options))

    return run


def separable(x: Any, d: Any, p: Any, b: Any) -> Any:
    spread = depthwise(F.conv2d)(x, d, None)
    return first_to_last(F.conv2d(last_to_first(spread), kernel(p), b))


def transposed(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    # corenn's kernel is [*window, out, in]; torch's [in, out, *window]
    return lambda x, k, b: first_to_last(function(last_to_first(x), torch.movedim(k, (-1, -2), (0, 1)), b, **options))


def recurrent(name: str, pick: int | None = None, **options: Any) -> Callable[..., Any]:
    """torch.nn.RNN, LSTM or GRU with weights in Keras's layout."""

    def run(x: Any, k: Any, r: Any, b: Any) -> Any:
        units = r.shape[0]
        order = {"RNN": [0], "LSTM": [0, 1, 2, 3], "GRU": [1, 0, 2]}[name]  # Keras has z, r, h, torch r, z, n

        def arranged(w: Any) -> Any:
            parts = torch.split(w, units, dim=-1)
            return torch.cat([parts[i] for i in order], dim=-1)

        b_in, b_out = (b[0], b[1]) if name == "GRU" else (b, torch.zeros_like(b))
        module = getattr(torch.nn, name)(x.shape[-1], units, batch_first=True, **options).double()
        names = {"weight_ih_l0": arranged(k).T, "weight_hh_l0": arranged(r).T, "bias_ih_l0": arranged(b_in),
                 "bias_hh_l0": arranged(b_out)}  # fmt: skip
        out, _ = torch.func.functional_call(module, names, (x,))
        return out if pick is None else out[:, pick]

    return run


def attention(x: Any, qk: Any, qb: Any, kk: Any, kb: Any, vk: Any, vb: Any, ok: Any, ob: Any) -> Any:
    features, heads, size = qk.shape
    flat = torch.cat([w.reshape(features, -1) for w in (qk, kk, vk)], dim=1).T
    bias = torch.cat([b.reshape(-1) for b in (qb, kb, vb)])
    turned = x.transpose(0, 1)
    out, _ = F.multi_head_attention_forward(
        turned, turned, turned, features, heads, flat, bias, None, None, False, 0.0,
        ok.reshape(heads * size, -1).T, ob, need_weights=False,
    )  # fmt: skip
    return out.transpose(0, 1)


# name: (layer, shape of its input, what torch computes of the input and the weights)
CASES: dict[str, tuple[Callable[[], Layer], tuple[int, ...], Callable[..., Any]]] = {
    "dense": (lambda: L.Dense(4), (3, 5), lambda x, k, b: x @ k + b),
    "dense, activated": (lambda: L.Dense(4, "gelu"), (3, 2, 5), lambda x, k, b: F.gelu(x @ k + b)),
    "conv1d": (lambda: L.Conv1D(4, 3, strides=2), (2, 9, 3), conv(F.conv1d, stride=2)),
    "conv1d, dilated": (lambda: L.Conv1D(4, 3, padding="same", dilation_rate=2), (2, 9, 3),
                        conv(F.conv1d, padding="same", dilation=2)),
    "conv1d, causal": (lambda: L.Conv1D(4, 3, padding="causal", dilation_rate=2), (2, 9, 3),
                       lambda x, k, b: conv(F.conv1d, dilation=2)(F.pad(x, (0, 0, 4, 0)), k, b)),
    "conv2d": (lambda: L.Conv2D(4, (3, 2)), (2, 7, 6, 3), conv(F.conv2d)),
    "conv2d, same": (lambda: L.Conv2D(4, 3, padding="same"), (2, 7, 6, 3), conv(F.conv2d, padding=1)),
    "conv2d, groups": (lambda: L.Conv2D(6, 3, groups=3), (2, 7, 6, 3), conv(F.conv2d, groups=3)),
    "conv2d, channels first": (lambda: L.Conv2D(4, 3, strides=2, data_format="channels_first"), (2, 3, 7, 6),
                               lambda x, k, b: F.conv2d(x, kernel(k), b, stride=2)),
    "conv3d": (lambda: L.Conv3D(3, 2), (2, 4, 5, 3, 2), conv(F.conv3d)),
    "conv1d transpose": (lambda: L.Conv1DTranspose(4, 3, strides=2), (2, 5, 3),
                         transposed(F.conv_transpose1d, stride=2)),
    "conv2d transpose": (lambda: L.Conv2DTranspose(4, 3, strides=2), (2, 4, 5, 3),
                         transposed(F.conv_transpose2d, stride=2)),
    "conv3d transpose": (lambda: L.Conv3DTranspose(2, 2, strides=2), (1, 2, 3, 2, 2),
                         transposed(F.conv_transpose3d, stride=2)),
    "depthwise conv1d": (lambda: L.DepthwiseConv1D(3, depth_multiplier=2), (2, 7, 3), depthwise(F.conv1d)),
    "depthwise conv2d": (lambda: L.DepthwiseConv2D(3, depth_multiplier=2, strides=2), (2, 7, 6, 3),
                         depthwise(F.conv2d, stride=2)),
    "separable conv2d": (lambda: L.SeparableConv2D(4, 3), (2, 7, 6, 3), separable),
    "max pooling": (lambda: L.MaxPooling2D(3, strides=2), (2, 7, 6, 3),
                    lambda x: first_to_last(F.max_pool2d(last_to_first(x), 3, 2))),
    "average pooling": (lambda: L.AveragePooling2D(2), (2, 7, 6, 3),
                        lambda x: first_to_last(F.avg_pool2d(last_to_first(x), 2))),
    "layer normalization": (lambda: L.LayerNormalization(epsilon=1e-5), (3, 4, 5),
                            lambda x, g, b: F.layer_norm(x, (5,), g, b)),
    "group normalization": (lambda: L.GroupNormalization(2, epsilon=1e-5), (3, 5, 4),
                            lambda x, g, b: first_to_last(F.group_norm(last_to_first(x), 2, g, b))),
    "instance normalization": (lambda: L.GroupNormalization(-1, epsilon=1e-5), (3, 5, 4),
                               lambda x, g, b: first_to_last(F.instance_norm(last_to_first(x), None, None, g, b))),
    "rms normalization": (lambda: L.RMSNormalization(1e-5), (3, 5), lambda x, g: F.rms_norm(x, (5,), g, 1e-5)),
    "prelu": (lambda: L.PReLU("ones", shared_axes=[1]), (3, 4, 5), lambda x, a: torch.where(x > 0, x, a * x)),
    "simple rnn": (lambda: L.SimpleRNN(4, return_sequences=True), (2, 5, 3), recurrent("RNN")),
    "simple rnn, relu": (lambda: L.SimpleRNN(4, "relu", return_sequences=True), (2, 5, 3),
                         recurrent("RNN", nonlinearity="relu")),
    "lstm": (lambda: L.LSTM(4, return_sequences=True), (2, 5, 3), recurrent("LSTM")),
    "lstm, last": (lambda: L.LSTM(4), (2, 5, 3), recurrent("LSTM", pick=-1)),
    "gru": (lambda: L.GRU(4, return_sequences=True), (2, 5, 3), recurrent("GRU")),
    "lstm by its cell": (lambda: L.RNN(L.LSTMCell(4), return_sequences=True), (2, 5, 3), recurrent("LSTM")),
    "gru by its cell": (lambda: L.RNN(L.GRUCell(4), return_sequences=True), (2, 5, 3), recurrent("GRU")),
    "rnn by its cell": (lambda: L.RNN(L.SimpleRNNCell(4)), (2, 5, 3), recurrent("RNN", pick=-1)),
    "attention": (lambda: L.MultiHeadAttention(2, 3), (2, 5, 6), attention),
}  # fmt: skip


def set_randomly(layer: Layer, rng: np.random.Generator) -> None:
    """Weights away from zeros and ones, so that mistakes show."""
    layer.set_weights([rng.normal(0.0, 0.5, w.shape) for w in layer.weights])


@pytest.mark.parametrize("case", CASES)
def test_output_and_gradients(case: str) -> None:
    make, shape, reference = CASES[case]
    rng = np.random.default_rng(1)
    layer = make()
    config = {**layer.get_config(), "dtype": "float64"}
    if isinstance(layer, L.RNN):
        config["cell"]["config"]["dtype"] = "float64"
    layer = type(layer).from_config(config)
    x = rng.normal(size=shape)
    inputs = [x, x] if isinstance(layer, L.MultiHeadAttention) else [x]
    layer(*inputs)
    set_randomly(layer, rng)

    theirs = [torch.tensor(a, requires_grad=True) for a in (x, *layer.get_weights())]
    expected = reference(*theirs)
    slope = rng.normal(size=tuple(expected.shape))
    (expected * torch.tensor(slope)).sum().backward()

    mine = corenn.tensor(x)
    with corenn.GradientTape() as tape:
        tape.watch(mine)
        out = layer(*[mine for _ in inputs])
        loss = corenn.sum(out * slope)
    found = tape.gradient(loss, [mine, *layer.weights])
    np.testing.assert_allclose(out.numpy(), expected.detach().numpy(), rtol=1e-9, atol=1e-9)
    for name, gradient, parameter in zip(["x", *layer.weight_names()], found, theirs, strict=True):
        assert gradient is not None, name
        np.testing.assert_allclose(gradient.numpy(), parameter.grad.numpy(), rtol=1e-8, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
def test_sequences_of_different_lengths(name: str, reverse: bool) -> None:
    """Against torch's packed sequences; ``lengths``, an equal ``mask``, and the cell agree."""
    rng = np.random.default_rng(2)
    x, lengths = rng.normal(size=(3, 6, 2)), np.array([6, 2, 4])
    layer = getattr(L, name)(3, return_sequences=True, return_state=True, go_backwards=reverse, dtype="float64")
    layer(x)
    set_randomly(layer, rng)
    mask = np.arange(6) < lengths[:, None]
    outputs, *states = (t.numpy() for t in layer(x, lengths=lengths))
    by_mask = [t.numpy() for t in layer(x, mask=mask)]
    for a, b in zip([outputs, *states], by_mask, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    for n, length in enumerate(lengths):
        alone, *last = (t.numpy()[0] for t in layer(x[n : n + 1, :length]))
        counted = outputs[n, 6 - length :] if reverse else outputs[n, :length]
        padding = outputs[n, : 6 - length] if reverse else outputs[n, length:]
        np.testing.assert_allclose(counted, alone, rtol=1e-12, atol=1e-12)
        assert (padding == 0).all()
        for state, wanted in zip(states, last, strict=True):
            np.testing.assert_allclose(state[n], wanted, rtol=1e-12, atol=1e-12)


def test_bidirectional_lstm() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(2, 5, 3))
    layer = L.Bidirectional(L.LSTM(4, return_sequences=True, dtype="float64"), dtype="float64")
    layer(x)
    set_randomly(layer, rng)
    module = torch.nn.LSTM(3, 4, batch_first=True, bidirectional=True).double()
    parts = [torch.tensor(w) for w in layer.get_weights()]
    with torch.no_grad():
        for suffix, (k, r, b) in (("", parts[:3]), ("_reverse", parts[3:])):
            getattr(module, f"weight_ih_l0{suffix}").copy_(k.T)
            getattr(module, f"weight_hh_l0{suffix}").copy_(r.T)
            getattr(module, f"bias_ih_l0{suffix}").copy_(b)
            getattr(module, f"bias_hh_l0{suffix}").zero_()
        expected = module(torch.tensor(x))[0].numpy()
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-9, atol=1e-9)


def test_batch_normalization_in_training_and_after() -> None:
    rng = np.random.default_rng(4)
    layer = L.BatchNormalization(momentum=0.9, epsilon=1e-5, dtype="float64")
    theirs = torch.nn.BatchNorm2d(3, eps=1e-5, momentum=0.1).double()
    for _ in range(3):
        x = rng.normal(2.0, 3.0, size=(4, 5, 6, 3))
        expected = first_to_last(theirs(last_to_first(torch.tensor(x)))).detach().numpy()
        np.testing.assert_allclose(layer(x, training=True).numpy(), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(layer.moving_mean.numpy(), theirs.running_mean.numpy(), rtol=1e-12)
    # torch's running variance is the unbiased one; ours, as in Keras 3, the biased
    assert (layer.moving_variance.numpy() < theirs.running_var.numpy()).all()
    with torch.no_grad():
        theirs.running_var.copy_(torch.tensor(layer.moving_variance.numpy()))
    theirs.eval()
    expected = first_to_last(theirs(last_to_first(torch.tensor(x)))).detach().numpy()
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_masks_and_scores(causal: bool, masked: bool) -> None:
    rng = np.random.default_rng(5)
    layer = L.MultiHeadAttention(2, 3, value_dim=4, output_size=5, dtype="float64")
    q, v = rng.normal(size=(2, 4, 6)), rng.normal(size=(2, 4, 7))
    layer(q, v)
    set_randomly(layer, rng)
    mask = rng.random((2, 4, 4)) < 0.6
    mask[:, :, 0] = True
    options = {"attention_mask": mask} if masked else {}
    out, scores = layer(q, v, use_causal_mask=causal, return_attention_scores=True, **options)
    np.testing.assert_allclose(out.numpy(), layer(q, v, use_causal_mask=causal, **options).numpy(), rtol=1e-10)
    allowed = (
        np.ones((2, 4, 4), bool) & (mask if masked else True) & (np.tril(np.ones((4, 4), bool)) if causal else True)
    )
    assert (scores.numpy()[np.broadcast_to(~allowed[:, None], scores.shape)] == 0).all()
    np.testing.assert_allclose(scores.numpy().sum(-1), 1.0)
    qk, qb, kk, kb, vk, vb, ok, ob = (torch.tensor(w) for w in layer.get_weights())
    heads = [torch.einsum("btf,fhd->bhtd", torch.tensor(a), k) + b[:, None]
             for a, k, b in ((q, qk, qb), (v, kk, kb), (v, vk, vb))]  # fmt: skip
    found = F.scaled_dot_product_attention(*heads, attn_mask=torch.tensor(allowed[:, None]))
    expected = torch.einsum("bhtd,hdo->bto", found, ok) + ob
    np.testing.assert_allclose(out.numpy(), expected.numpy(), rtol=1e-9, atol=1e-9)
