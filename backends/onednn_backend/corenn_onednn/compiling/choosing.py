"""Which calls become primitives, and what follows a product or convolution and is done with it.

A bias, an activation, a scale for each channel or a residual that is added right after a product or convolution costs
a pass over memory; as a post-operation of the primitive it costs next to nothing.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from corenn import dtypes
from corenn.compiler.cost import flops_of
from corenn.compiler.program import Block, Call, Instruction, Program, Symbol
from corenn.ops.dispatch import make_plan
from corenn.ops.table import TABLE
from corenn.ops.windows import channel_axis
from corenn.spec import Spec
from corenn_onednn.compiling import normalizing, pointwise, winograd
from corenn_onednn.compiling.forwards import Forwards, pool_key
from corenn_onednn.compiling.native import Native, Place
from corenn_onednn.compiling.recurrent import SERIES, WHOLE
from corenn_onednn.dnnl import Attributes, Binary, Descriptor, Eltwise, UnimplementedError, load
from corenn_onednn.dnnl.primitives import convolution, pooling
from corenn_onednn.dnnl.primitives.matmul import matmul
from corenn_onednn.kernels import pooling as pool_kernels
from corenn_onednn.kernels._layouts import images
from corenn_onednn.kernels._serving import serves
from corenn_onednn.kernels.convolution import Geometry, geometry
from corenn_onednn.loops.decompositions import is_thin

#: Primitives of fewer operations run in one thread: a team costs some 3 us.
_ALONE = 500_000
#: Activations that can follow a primitive: op name to the library's name and its parameter.
_ACTIVATIONS = {"relu": ("relu", 0.0), "sigmoid": ("sigmoid", 0.0), "tanh": ("tanh", 0.0)}
_BINARY = {"add": "add", "multiply": "multiply", "subtract": "subtract"}


class Chain:
    """A product or convolution and what follows it: its call, the calls absorbed, and its post-operations."""

    def __init__(self, call: Call) -> None:
        self.call, self.absorbed = call, [call]
        self.bias: Symbol | None = None
        self.post: list[Eltwise | Binary] = []
        self.operands: dict[str, Place] = {}
        self.before: list[Call] = []
        self.bias_gradient: Call | None = None

    def shift(self, name: str, other: Symbol) -> bool:
        """Add or subtract a number for each channel: one bias for all such, put together beforehand."""
        if self.bias is None:
            self.bias = other if name == "add" else self._made("negative", other)
        else:
            self.bias = self._made(name, self.bias, other)
        return True

    def _made(self, name: str, *operands: Symbol) -> Symbol:
        """The result of a further call, made before the primitive."""
        plan = make_plan(TABLE[name], tuple(o.spec for o in operands), {}, self.call.plan.device)
        call = Call(plan, operands, [Symbol(plan.specs[0])], self.call.where)
        self.before.append(call)
        return call.outputs[0]

    @property
    def result(self) -> Symbol:
        """What comes out at the end."""
        return self.absorbed[-1].outputs[0]


def choose(program: Program) -> Program:
    """The program with primitives in place of the calls they serve."""
    uses = _uses(program)
    instructions = program.instructions
    position = {symbol: -1 for symbol in (*program.inputs, *[s for _, s in program.state])}
    for number, instruction in enumerate(instructions):
        position.update(dict.fromkeys(instruction.outputs, number))
    placed: dict[int, list[Instruction]] = {}
    gone: set[int] = set()
    producers = {o: i for i in instructions if isinstance(i, Call) for o in i.outputs}
    norms = normalizing.Normalizations(producers, uses)
    forwards = Forwards(program)
    for number, instruction in enumerate(instructions):
        if number in gone or not isinstance(instruction, Call) or not _is_served(instruction):
            continue
        name = instruction.plan.op.name
        if name in SERIES:
            with contextlib.suppress(UnimplementedError):
                placed[number] = [SERIES[name](instruction, forwards)]
            continue
        if name in normalizing.BUILDERS:
            with contextlib.suppress(UnimplementedError):
                made, calls = normalizing.BUILDERS[name](norms, instruction)
                placed[number] = [made]
                gone.update(position[call.outputs[0]] for call in calls)
            continue
        builder = _BUILDERS.get(name)
        if builder is None:
            continue
        chain = Chain(instruction)
        taken = {id(instructions[n]) for n in gone}
        if name == "conv_weight_grad" and not (pointwise.is_pointwise(instruction) or winograd.filtering(instruction)):
            chain.bias_gradient = _bias_gradient(instruction, uses, producers, taken)
        if name in ("matmul", "conv"):
            chain = _chained(instruction, uses, taken)
        with load().limited(1 if flops_of(instruction.plan) < _ALONE else 0):
            try:
                native = builder(chain, forwards)
            except UnimplementedError:
                if len(chain.absorbed) == 1 and chain.bias_gradient is None:
                    continue
                chain = Chain(instruction)
                try:
                    native = builder(chain, forwards)
                except UnimplementedError:
                    continue
        places = [position[call.outputs[0]] for call in chain.absorbed]
        gone.update(places)
        # What follows a primitive comes with it where its operands are there; gradients come as early as they can.
        placed[min(places) if chain.bias_gradient else max(places)] = [*chain.before, native]
    kept: list[Instruction] = []
    for number, instruction in enumerate(instructions):
        kept += placed.get(number, [] if number in gone else [instruction])
    block = Block(kept, program.block.results)
    return Program(program.device, program.inputs, program.state, block, program.results, program.writes)


def _uses(program: Program) -> dict[Symbol, list[Instruction | None]]:
    """Who reads each symbol; ``None`` stands for the program's results and writes."""
    found: dict[Symbol, list[Instruction | None]] = {}
    for instruction in program.instructions:
        for symbol in instruction.inputs:
            if symbol is not None:
                found.setdefault(symbol, []).append(instruction)
    for symbol in program.block.results:
        found.setdefault(symbol, []).append(None)
    return found


def _bias_gradient(
    call: Call, uses: Mapping[Symbol, Sequence[Instruction | None]], producers: Mapping[Symbol, Call], taken: set[int]
) -> Call | None:
    """The sum of a convolution's gradient over everything but the channels, if a primitive made that gradient.

    The gradient by the weights reads it anyway.  (Where loops make it, they sum it on the way.)
    """
    g = call.inputs[1]
    maker = None if g is None else producers.get(g)
    if g is None or maker is None or not is_native(maker):
        return None
    channels = channel_axis(call.plan.attrs["layout"])
    others = tuple(a for a in range(g.spec.ndim) if a != channels)
    for user in uses.get(g, ()):
        if isinstance(user, Call) and user.name == "sum" and id(user) not in taken:
            axis = user.plan.attrs["axis"]
            if not user.plan.attrs["keepdims"] and tuple(sorted(a % g.spec.ndim for a in axis)) == others:
                return user
    return None


def _is_served(call: Call) -> bool:
    specs = [i.spec for i in call.inputs if i is not None]
    return bool(specs) and serves(*specs) and all(serves(o.spec) for o in call.outputs)


def is_native(call: Call) -> bool:
    """Whether a call is of an op that has a primitive, or is better off whole, so that it is not to be taken apart."""
    name = call.plan.op.name
    if name in WHOLE:
        return True
    if name.startswith("batch_norm") and call.outputs[0].spec.ndim < 3:
        return False  # a table's columns: loops do it in fewer passes
    if is_thin(call):
        return False
    return (name in _BUILDERS or name in normalizing.BUILDERS) and _is_served(call)


# ---------------------------------------------------------------- what follows


def _chained(call: Call, uses: Mapping[Symbol, Sequence[Instruction | None]], taken: set[int]) -> Chain:
    """The call with the bias, scales, residual and activation after it, as far as nothing else needs the steps.

    ``taken``: the identities of calls that other chains have absorbed (a sum of two products goes to one of them).
    """
    chain = Chain(call)
    channels = _channel_place(call)
    while True:
        result = chain.result
        users = uses.get(result, [])
        follower = users[0] if len(users) == 1 else None
        if not isinstance(follower, Call) or len(follower.outputs) != 1 or id(follower) in taken:
            return chain
        if follower.outputs[0].spec.shape != result.spec.shape or follower.outputs[0].spec.dtype != result.spec.dtype:
            return chain
        if not _absorb(chain, follower, channels):
            return chain
        chain.absorbed.append(follower)


def _channel_place(call: Call) -> int:
    """The axis of the result that has the columns of a product, the channels of a convolution."""
    rank = call.outputs[0].spec.ndim
    if call.plan.op.name == "conv":
        return channel_axis(call.plan.attrs["layout"])
    return rank - 1


def _absorb(chain: Chain, call: Call, channels: int) -> bool:
    name, result = call.plan.op.name, chain.result
    if name in _ACTIVATIONS and not call.plan.attrs:
        chosen, alpha = _ACTIVATIONS[name]
        chain.post.append(Eltwise(chosen, alpha, 0.0))
        return True
    if name not in _BINARY:
        return False
    first, second = call.inputs
    if first is result and second is not None and second is not result:
        other = second
    elif second is result and first is not None and first is not result and name != "subtract":
        other = first
    else:
        return False
    if other.spec.dtype != result.spec.dtype:
        return False
    whole = result.spec.static
    per_channel = _per_channel(other.spec.static, whole, channels)
    if per_channel and name in ("add", "subtract") and not chain.post:
        return chain.shift(name, other)
    if not per_channel and other.spec.static != whole:
        return False
    descriptor = _binary_descriptor(chain.call, other.spec.static if not per_channel else None, whole, channels)
    chain.operands[f"post_op_{len(chain.post)}"] = Place(other, descriptor)
    chain.post.append(Binary(_BINARY[name], descriptor))
    return True


def _per_channel(shape: tuple[int, ...], whole: tuple[int, ...], channels: int) -> bool:
    """Whether a shape, aligned to the right, has the extent of the channels there and 1 elsewhere."""
    padded = (1,) * (len(whole) - len(shape)) + shape
    return len(shape) <= len(whole) and all(n == (whole[i] if i == channels else 1) for i, n in enumerate(padded))


def _binary_descriptor(call: Call, full: tuple[int, ...] | None, whole: tuple[int, ...], channels: int) -> Descriptor:
    dtype, rank = call.outputs[0].spec.dtype.name, len(whole)
    short = pointwise.is_short(call)
    if short or call.plan.op.name == "matmul":
        rows = (math.prod(whole[:-1]), whole[-1]) if short or _is_folded(call) else whole
        return Descriptor(rows if full else (1,) * (len(rows) - 1) + (whole[-1],), dtype)
    if not full:
        return Descriptor((1, whole[channels]) + (1,) * (rank - 2), dtype)
    return images(whole, channels, dtype)


# ---------------------------------------------------------------- builders


def _dtype(call: Call) -> str:
    return call.outputs[0].spec.dtype.name


def _is_folded(call: Call) -> bool:
    a, b = call.inputs
    assert a is not None  # the operands of a product are there
    assert b is not None
    return a.spec.ndim > 2 and b.spec.ndim == 2 and not call.plan.attrs["transpose_a"]


def _matmul(chain: Chain, forwards: Forwards) -> Native:
    call = chain.call
    a, b = call.inputs
    assert a is not None
    assert b is not None
    if min(a.spec.ndim, b.spec.ndim) < 2:
        raise UnimplementedError("matmul", "a vector is not served")
    out, attrs, dtype = call.outputs[0].spec.static, call.plan.attrs, _dtype(call)
    left, right, result = a.spec.static, b.spec.static, out
    if _is_folded(call):
        left, result = (math.prod(left[:-1]), left[-1]), (math.prod(out[:-1]), out[-1])
    rank = len(result)
    source = _matrix(left, attrs["transpose_a"], rank, dtype)
    weights = _matrix(right, attrs["transpose_b"], rank, dtype)
    target = Descriptor(result, dtype)
    return _product(chain, source, weights, target)


def _product(chain: Chain, source: Descriptor, weights: Descriptor, target: Descriptor) -> Native:
    """The product of a call's operands, which lie like that, and what follows it."""
    a, b = chain.call.inputs
    assert a is not None
    assert b is not None
    operands = {"src": Place(a, source), "weights": Place(b, weights)}
    bias = None
    if chain.bias is not None:
        bias = Descriptor((*(1 for _ in target.shape[1:]), target.shape[-1]), _dtype(chain.call))
        operands["bias"] = Place(chain.bias, bias)
    if chain.call.plan.attrs.get("transpose_a") and not chain.post and bias is None:
        made = pointwise.product_of_transposed(source, weights, target, flops_of(chain.call.plan))
    else:
        made = matmul(source, weights, target, bias=bias, attributes=Attributes(tuple(chain.post)))
    return _native(chain, made, {**operands, **chain.operands}, {"dst": Place(chain.result, target)})


def _matrix(shape: tuple[int, ...], transposed: bool, rank: int, dtype: str) -> Descriptor:
    padded = [1] * (rank - len(shape)) + list(shape)
    strides = [math.prod(padded[i + 1 :]) for i in range(rank)]
    if transposed:
        padded[-2:], strides[-2:] = padded[-2:][::-1], strides[-2:][::-1]
    return Descriptor(padded, dtype, strides)


def _conv(chain: Chain, forwards: Forwards) -> Instruction:
    call = chain.call
    way = winograd.filtering(call)
    if way is not None:
        return winograd.convolution(way, call, chain.absorbed)
    x, w = call.inputs
    assert x is not None
    assert w is not None
    if pointwise.is_short(call):
        rows = pointwise.rows
        return _product(chain, rows(x.spec.static), pointwise.filters(w, False), rows(chain.result.spec.static))
    shapes = _shapes(call)
    given = dict(shapes.given)
    operands = {"src": Place(x, given["src"]), "weights": Place(w, given["weights"])}
    bias = None
    if chain.bias is not None:
        bias = Descriptor((shapes.w[-1],), _dtype(call))
        operands["bias"] = Place(chain.bias, bias)
    attributes = Attributes(tuple(chain.post))
    made = shapes.choose(
        lambda s, k, d: convolution.forward(s, k, d, training=False, bias=bias, attributes=attributes, **shapes.windows)
    )
    return _native(chain, made, {**operands, **chain.operands}, {"dst": Place(chain.result, given["dst"])})


def _shapes(call: Call) -> Geometry:
    attrs = call.plan.attrs
    if any(p < 0 for pair in attrs["padding"] for p in pair):
        raise UnimplementedError(call.name, "windows that reach beyond their padding are not served")
    return geometry(call.name, [i.spec for i in call.inputs if i is not None], attrs, _dtype(call))


def _conv_input_grad(chain: Chain, forwards: Forwards) -> Instruction:
    call = chain.call
    way = winograd.filtering(call)
    if way is not None:
        return winograd.convolution(way, call, chain.absorbed)
    if pointwise.is_short(call):
        return pointwise.input_gradient(call)
    g, w = call.inputs
    assert g is not None
    assert w is not None
    shapes = _shapes(call)
    made = shapes.choose(lambda s, k, d: convolution.backward_data(s, k, d, **shapes.windows))
    operands = {"diff_dst": Place(g, shapes.given["dst"]), "weights": Place(w, shapes.given["weights"])}
    return _native(chain, made, operands, {"diff_src": Place(chain.result, shapes.given["src"])})


def _conv_weight_grad(chain: Chain, forwards: Forwards) -> Instruction:
    call = chain.call
    if pointwise.is_pointwise(call):
        return pointwise.weight_gradient(call)
    way = winograd.filtering(call)
    if way is not None:
        return winograd.weight_gradient(way, call)
    x, g = call.inputs
    assert x is not None
    assert g is not None
    shapes = _shapes(call)
    bias = None if chain.bias_gradient is None else Descriptor((shapes.w[-1],), _dtype(call))
    made = shapes.choose(lambda s, k, d: convolution.backward_weights(s, k, d, diff_bias=bias, **shapes.windows))
    operands = {"src": Place(x, shapes.given["src"]), "diff_dst": Place(g, shapes.given["dst"])}
    results = {"diff_weights": Place(chain.result, shapes.given["weights"])}
    if bias is not None and chain.bias_gradient is not None:
        results["diff_bias"] = Place(chain.bias_gradient.outputs[0], bias)
        chain.absorbed.append(chain.bias_gradient)
    return _native(chain, made, operands, results)


def _max_pool(chain: Chain, forwards: Forwards) -> Native:
    call = chain.call
    (x,) = call.inputs
    assert x is not None
    attrs, dtype = call.plan.attrs, _dtype(call)
    if not pool_kernels.when([x.spec], attrs):
        raise UnimplementedError("max_pool", "padding as wide as a window is not served")
    source = images(x.spec.static, channel_axis(attrs["layout"]), dtype)
    target = images(chain.result.spec.static, channel_axis(attrs["layout"]), dtype)
    kept = pool_key(call) in forwards.wanted
    windows = {n: attrs[n] for n in ("window", "strides", "padding")}
    made = pooling.forward("max", source, target, training=kept, **windows)
    results = {"dst": Place(chain.result, target)}
    workspace = None
    if made.workspace is not None:
        spec = Spec((made.workspace.bytes,), dtypes.uint8, chain.result.spec.device)
        workspace = results["workspace"] = Place(Symbol(spec), made.workspace)
    native = _native(chain, made, {"src": Place(x, source)}, results)
    forwards.made[pool_key(call)] = native, workspace
    return native


def _max_pool_grad(chain: Chain, forwards: Forwards) -> Native:
    call = chain.call
    x, g = call.inputs
    assert x is not None
    assert g is not None
    forward, workspace = forwards.made.get(pool_key(call), (None, None))
    if forward is None or workspace is None:
        raise UnimplementedError("max_pool_grad", "the pooling itself is not part of the program")
    attrs, dtype = call.plan.attrs, _dtype(call)
    windows = {n: attrs[n] for n in ("window", "strides", "padding")}
    source, target = forward.operands["src"].descriptor, images(g.spec.static, channel_axis(attrs["layout"]), dtype)
    made = pooling.backward("max", source, target, forward=forward.primitive, **windows)
    operands = {"diff_dst": Place(g, target), "workspace": workspace}
    return _native(chain, made, operands, {"diff_src": Place(chain.result, source)})


def _native(chain: Chain, made: Any, operands: dict[str, Place], results: dict[str, Place]) -> Native:
    return Native(made, operands, results, chain.call.where, chain.absorbed)


Builder = Callable[[Chain, Forwards], Instruction]
_BUILDERS: dict[str, Builder] = {
    "matmul": _matmul, "conv": _conv, "conv_input_grad": _conv_input_grad, "conv_weight_grad": _conv_weight_grad,
    "max_pool": _max_pool, "max_pool_grad": _max_pool_grad,
}  # fmt: skip

__all__ = ["choose", "is_native"]
