"""LSTM and GRU over sequences, against the cell equations in float64; gradients against central differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from corenn_onednn.dnnl import Descriptor, run
from corenn_onednn.dnnl.arrays import packed, unpacked
from corenn_onednn.dnnl.primitives import recurrent

from corenn.dtypes import as_dtype
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import GRADIENT, forward

pytestmark = pytest.mark.usefixtures("library")
STEPS, BATCH, INNER, UNITS = 5, 3, 6, 7
GATES = {"lstm": (4, 4), "gru": (3, 3), "gru_reset_after": (3, 4)}


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _network(cell, values, reverse):
    """Outputs [t, n, units] and the last states, of the operands by name."""
    h, c = values["src_iter"][0, 0], values["src_iter_c"][0, 0] if cell == "lstm" else None
    w, u, b = (values[name][0, 0] for name in ("weights_layer", "weights_iter", "bias"))
    x, outputs = values["src_layer"], np.zeros((STEPS, BATCH, UNITS))
    for t in reversed(range(STEPS)) if reverse else range(STEPS):
        of_x, of_h = np.einsum("nc,cgu->gnu", x[t], w), np.einsum("nc,cgu->gnu", h, u)
        if cell == "lstm":
            i, f, g, o = of_x + of_h + b[:, None]
            c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
            h = _sigmoid(o) * np.tanh(c)
        else:
            update, reset = (_sigmoid(of_x[k] + of_h[k] + b[k]) for k in range(2))
            if cell == "gru":
                candidate = np.tanh(of_x[2] + (reset * h) @ u[:, 2] + b[2])
            else:
                candidate = np.tanh(of_x[2] + b[2] + reset * (of_h[2] + b[3]))
            h = update * h + (1 - update) * candidate
        outputs[t] = h
    states = {"dst_iter": h[None, None]} | ({} if c is None else {"dst_iter_c": c[None, None]})
    return {"dst_layer": outputs} | states


def _operands(cell, draw):
    gates, biases = GATES[cell]
    state = (1, 1, BATCH, UNITS)
    shapes = {
        "src_layer": (STEPS, BATCH, INNER), "src_iter": state, "weights_layer": (1, 1, INNER, gates, UNITS),
        "weights_iter": (1, 1, UNITS, gates, UNITS), "bias": (1, 1, biases, UNITS),
    }  # fmt: skip
    results = {"dst_layer": (STEPS, BATCH, UNITS), "dst_iter": state}
    if cell == "lstm":
        shapes["src_iter_c"] = results["dst_iter_c"] = state
    return {name: 0.5 * draw(*shape) for name, shape in shapes.items()}, results


@pytest.mark.parametrize("layout", [None, "any"], ids=["given", "any"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("cell", GATES)
def test_networks_and_their_gradients(draw, cell, reverse, layout):
    values, results = _operands(cell, draw)
    expected = _network(cell, values, reverse)
    weights = ("weights_layer", "weights_iter")
    described = {n: Descriptor(v.shape, "float32", layout if n in weights else None) for n, v in values.items()}
    described |= {n: Descriptor(shape) for n, shape in results.items()}
    primitive = recurrent.forward(cell, described, reverse=reverse)
    chosen = primitive.descriptors
    single = {n: v.astype(np.float32) for n, v in values.items()}
    buffers = {n: packed(v, chosen[n]) for n, v in single.items()}
    out = {n: np.empty(shape, np.float32) for n, shape in results.items()}
    kept = {"workspace": np.zeros(chosen["workspace"].bytes, np.uint8)}
    run(primitive, buffers | out | kept)
    for name, found in out.items():
        assert_close(found, expected[name], forward(as_dtype("float32")).scaled(4), name)

    slopes = {n: draw(*shape) for n, shape in results.items()}
    every = described | {
        f"diff_{n}": Descriptor(d.shape, "float32", layout if n in weights else None) for n, d in described.items()
    }
    if layout is None:
        every |= {n: Descriptor.ordered(described[n].shape, "float32", (0, 1, 3, 4, 2)) for n in weights}
    back = recurrent.backward(cell, every, forward=primitive, reverse=reverse)
    chosen = back.descriptors
    buffers = {n: packed(v, chosen[n]) for n, v in single.items()} | out | kept
    buffers |= {f"diff_{n}": v.astype(np.float32) for n, v in slopes.items()}
    gradients = {n: np.zeros(chosen[f"diff_{n}"].bytes, np.uint8) for n in values}
    run(back, buffers | {f"diff_{n}": v for n, v in gradients.items()})

    def loss(**moved):
        return sum(np.sum(v * slopes[n]) for n, v in _network(cell, values | moved, reverse).items())

    step = 1e-5
    for name, memory in gradients.items():
        gradient = unpacked(memory, chosen[f"diff_{name}"])
        direction = draw(*values[name].shape)
        slope = (loss(**{name: values[name] + step * direction}) - loss(**{name: values[name] - step * direction})) / 2
        tolerance = GRADIENT[as_dtype("float32")].scaled(math.sqrt(STEPS))
        assert_close(np.sum(gradient * direction), slope / step, tolerance, f"by {name}")
