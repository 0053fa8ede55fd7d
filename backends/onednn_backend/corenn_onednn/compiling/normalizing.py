"""Batch normalisation of images, with the ReLU that follows it, and its gradient.

The primitive can set negative results to 0 and remember where: a pass over memory less on the way there, and on the
way back one less for the mask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from corenn import dtypes
from corenn.compiler.program import Call, Instruction, Symbol
from corenn.spec import Spec
from corenn_onednn.compiling.native import Native, Place
from corenn_onednn.dnnl import Descriptor, Primitive, UnimplementedError
from corenn_onednn.dnnl.primitives import normalization
from corenn_onednn.kernels._layouts import images

Uses = Mapping[Symbol, Sequence[Instruction | None]]


@dataclass(frozen=True, slots=True)
class Rectified:
    """A normalisation whose negative results are 0: for its gradient."""

    primitive: Primitive
    workspace: Place
    x: Symbol


class Normalizations:
    """The batch normalisations of one program.  ``made``: those with a ReLU, by its result."""

    def __init__(self, producers: Mapping[Symbol, Call], uses: Uses) -> None:
        self._producers, self._uses = producers, uses
        self.made: dict[Symbol, Rectified] = {}

    def forward(self, call: Call) -> tuple[Native, list[Call]]:
        """``batch_norm_training``, and the ReLU after it if there is one and nothing else needs what it takes."""
        x, gamma, beta = (*call.inputs, None, None)[:3]
        assert x is not None
        y, mean, variance = call.outputs
        source, channel = _layout(call, x)
        users = self._uses.get(y, [])
        relu = users[0] if len(users) == 1 else None
        if not isinstance(relu, Call) or relu.name != "relu":
            relu = None
        made = normalization.batch_forward(
            source, source, call.plan.attrs["epsilon"], training=True, scale=gamma is not None, shift=beta is not None,
            relu=relu is not None,
        )  # fmt: skip
        operands = {"src": Place(x, source)}
        operands |= {n: Place(s, channel) for n, s in (("scale", gamma), ("shift", beta)) if s is not None}
        result = y if relu is None else relu.outputs[0]
        results = {"dst": Place(result, source), "mean": Place(mean, channel), "variance": Place(variance, channel)}
        if made.workspace is not None:
            spec = Spec((made.workspace.bytes,), dtypes.uint8, y.spec.device)
            results["workspace"] = Place(Symbol(spec), made.workspace)
            self.made[result] = Rectified(made, results["workspace"], x)
        calls = [call] if relu is None else [call, relu]
        return Native(made, operands, results, call.where, calls), calls

    def backward(self, call: Call) -> tuple[Native, list[Call]]:
        """``batch_norm_grad``, and the mask of the ReLU before it if the forward has done that."""
        g, g_mean, g_variance, x, mean, variance, gamma = (*call.inputs, None)[:7]
        assert g is not None
        assert x is not None
        assert mean is not None
        assert variance is not None
        if not (_is_zero(call, g_mean) and _is_zero(call, g_variance)):
            raise UnimplementedError("batch_norm_grad", "gradients of the statistics are not served")
        source, channel = _layout(call, x)
        scale, epsilon = gamma is not None, call.plan.attrs["epsilon"]
        gate, forward = self._gate(g, x)
        if forward is not None and not _has(forward.primitive, scale):
            gate = forward = None
        if forward is not None:
            hint = forward.primitive
        else:
            hint = normalization.batch_forward(source, source, epsilon, training=True, scale=scale, shift=True)
        made = normalization.batch_backward(
            source, source, source, epsilon, forward=hint, scale=scale, shift=True, relu=forward is not None
        )
        before = gate.inputs[0] if gate is not None else g
        assert before is not None
        operands = {
            "src": Place(x, source), "diff_dst": Place(before, source), "mean": Place(mean, channel),
            "variance": Place(variance, channel),
        }  # fmt: skip
        if forward is not None:
            operands["workspace"] = forward.workspace
        dx, dgamma, dbeta = call.outputs
        results = {"diff_src": Place(dx, source), "diff_shift": Place(dbeta, channel)}
        if gamma is not None:
            operands["scale"] = Place(gamma, channel)
            results["diff_scale"] = Place(dgamma, channel)
        calls = [call] if gate is None else [gate, call]
        return Native(made, operands, results, call.where, calls), calls

    def _gate(self, g: Symbol, x: Symbol) -> tuple[Call | None, Rectified | None]:
        """The ReLU's own gradient, if ``g`` is that and nothing else, and the forward that it belongs to."""
        gate = self._producers.get(g)
        if gate is None or gate.name != "gate" or len(self._uses.get(g, ())) != 1:
            return None, None
        mask = gate.inputs[1]
        test = None if mask is None else self._producers.get(mask)
        if test is None or test.name != "greater" or not _is_zero(test, test.inputs[1]):
            return None, None
        result = test.inputs[0]
        forward = None if result is None else self.made.get(result)
        return (gate, forward) if forward is not None and forward.x is x else (None, None)


def _has(primitive: Primitive, scale: bool) -> bool:
    """Whether a forward primitive has a shift, and a scale just where its gradient wants one."""
    return ("scale" in primitive.descriptors) == scale and "shift" in primitive.descriptors


def _layout(call: Call, x: Symbol) -> tuple[Descriptor, Descriptor]:
    """How the images and a number for each channel lie."""
    rank, dtype = x.spec.ndim, x.spec.dtype.name
    axis = call.plan.attrs["axis"] % rank
    if axis not in (1, rank - 1):
        raise UnimplementedError(call.name, "channels in the middle are not served")
    return images(x.spec.static, axis, dtype), Descriptor((x.spec.static[axis],), dtype)


def _is_zero(call: Call, symbol: Symbol | None) -> bool:
    if symbol is None or not symbol.constant:
        return False
    return not np.any(call.plan.device.backend.to_host(symbol.array))


Builder = Callable[[Normalizations, Call], tuple[Native, list[Call]]]
BUILDERS: dict[str, Builder] = {
    "batch_norm_training": Normalizations.forward, "batch_norm_grad": Normalizations.backward,
}  # fmt: skip

__all__ = ["BUILDERS", "Normalizations"]
