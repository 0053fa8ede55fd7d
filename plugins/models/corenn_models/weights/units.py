"""What the weights of a model are called in each layout of files, and how arrays of a file become them.

A *unit* is what a file keeps together: a layer of a Keras model, a module of PyTorch's.  It has *targets*, the weights
of the model; each says which arrays of the unit it is made of, what shapes they must have, and how it is made of them.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from corenn import layers as L
from corenn.layers.activation import Elementwise
from corenn.layers.base import Layer
from corenn.layers.cells import GateWeights, GRUWeights
from corenn.layers.convolutional import Convolution, DepthwiseConvolution, SeparableConvolution, TransposedConvolution
from corenn.layers.recurrent import Recurrent
from corenn.training import Model, Sequential
from corenn.training.functional import Functional
from corenn.variable import Variable
from corenn_models.weights.keras_files import numbered, snake_case
from corenn_models.weights.source import Array, Layout

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Target:
    """A weight of the model.  ``sources``: the arrays it is made of, with their shapes; ``make`` takes them all."""

    name: str
    variable: Variable
    sources: tuple[tuple[str, Shape], ...]
    make: Callable[..., Array] = lambda array: array


@dataclasses.dataclass(frozen=True)
class Unit:
    """A layer of the model as a file of the layout has it.  ``place``: as ``SavedLayer.place``."""

    name: str
    kind: str
    targets: list[Target]
    place: str | None = None


def units(model: Layer, layout: Layout) -> list[Unit]:
    """The units of a model that have weights, in the order in which a file of the layout has them."""
    names = {id(v): n for v, n in zip(model.weights, model.weight_names(), strict=True)}
    if layout == "corenn":
        return _own(model, names)
    if layout == "torch":
        return _modules(model, names)
    return _keras(model, names) if layout == "keras" else _objects(model, names)


# ---------------------------------------------------------------- corenn's own


def _own(model: Layer, names: dict[int, str]) -> list[Unit]:
    grouped: dict[str, list[Target]] = {}
    for variable in model.weights:
        layer, _, role = names[id(variable)].partition("/")
        grouped.setdefault(layer, []).append(Target(names[id(variable)], variable, ((role, variable.shape),)))
    return [Unit(layer, "", targets) for layer, targets in grouped.items()]


# ---------------------------------------------------------------- Keras


def in_keras_order(model: Layer) -> list[Layer]:
    """The layers of a model in Keras's order: those of a functional one by their distance from the outputs.

    Of layers at one distance the one that is met first, walking from the outputs to the inputs, comes first.  A layer
    whose class says ``files_from_last`` is walked through from its last input.
    """
    if isinstance(model, Sequential):
        return list(model.layers)
    if not isinstance(model, Functional):
        return model.sublayers()
    made_by = {id(symbol): step for step in model._steps for symbol in step.results}
    origins = dict(zip(map(id, model._steps), model._calls, strict=True))
    found: dict[int, int] = {}  # the order of meeting
    outputs = [s for s in _symbols(model.outputs) if id(s) in made_by]
    stack = [made_by[id(s)] for s in reversed(outputs)]
    while stack:
        step = stack.pop()
        if id(step) not in found:
            found[id(step)] = len(found)
            parents = [made_by[id(p)] for p in origins[id(step)].parents() if id(p) in made_by]
            stack += parents if getattr(step.callee, "files_from_last", False) else reversed(parents)
    depth: dict[int, int] = {}
    for step in reversed(model._steps):  # what a call needs comes before it
        own = depth.setdefault(id(step), 0)
        for parent in origins[id(step)].parents():
            if id(parent) in made_by:
                inner = id(made_by[id(parent)])
                depth[inner] = max(depth.get(inner, 0), own + 1)
    layers: dict[int, tuple[int, int, Layer]] = {}
    for step in model._steps:
        if isinstance(step.callee, Layer):
            before = layers.get(id(step.callee), (0, len(found), step.callee))
            deepest = max(-before[0], depth[id(step)])
            layers[id(step.callee)] = (-deepest, min(before[1], found[id(step)]), step.callee)
    return [layer for _, _, layer in sorted(layers.values(), key=lambda entry: entry[:2])]


def _symbols(tree: Any) -> list[Any]:
    from corenn.tree import leaves

    return list(leaves(tree))


def _keras_weights(layer: Layer) -> list[tuple[str, Variable]]:
    """The weights of one layer of a model with their kinds, in Keras's order (statistics stay where they are)."""
    if isinstance(layer, (Functional, Sequential)):
        return [pair for inner in in_keras_order(layer) for pair in _keras_weights(inner)]
    found = [(v.name.rpartition("/")[2], v) for v in layer._own_weights]
    if isinstance(layer, L.MultiHeadAttention):
        found = [(role.rpartition("_")[2], v) for role, v in found]
    elif isinstance(layer, DepthwiseConvolution) and not isinstance(layer, SeparableConvolution):
        found = [(role.removeprefix("depthwise_"), v) for role, v in found]
    return found + [pair for inner in layer.sublayers() for pair in _keras_weights(inner)]


def _keras(model: Layer, names: dict[int, str]) -> list[Unit]:
    """Layers; a weight is the n-th of its kind in its layer, whatever the layer has inside."""
    found = []
    for layer in in_keras_order(model):
        counts: dict[str, int] = {}
        targets = []
        for role, variable in _keras_weights(layer):
            place = counts[role] = counts.get(role, -1) + 1
            targets.append(Target(names[id(variable)], variable, ((f"{role}#{place}", variable.shape),)))
        if targets:
            found.append(Unit(layer.name, type(layer).__name__, targets))
    return found


#: Where Keras keeps weights of layers whose parts are objects there.
_HEADS = ("query_dense", "key_dense", "value_dense", "output_dense")
_STATE = re.compile(r"state_\d+")  # what a stateful recurrent layer keeps


def _object_paths(layer: Layer, path: str = "") -> Iterator[tuple[str, Variable]]:
    """The weights of a layer, each with the path that Keras 3 gives it."""
    if isinstance(layer, L.MultiHeadAttention):
        step = len(layer._own_weights) // len(_HEADS)
        for position, variable in enumerate(layer._own_weights):
            yield f"{path}{_HEADS[position // step]}/vars/{position % step}", variable
        return
    own = [v for v in layer._own_weights if not _STATE.fullmatch(v.name.rpartition("/")[2])]
    inside = "cell/" if isinstance(layer, GateWeights) and isinstance(layer, Recurrent) else ""
    for position, variable in enumerate(own):
        yield f"{path}{inside}vars/{position}", variable
    for place, inner in _places(layer):
        yield from _object_paths(inner, f"{path}{place}/")


def _places(layer: Layer) -> list[tuple[str, Layer]]:
    """The layers directly inside, each with its part of the path.

    A sequential or functional model has them in ``layers`` by their classes, numbered.  Any other object is searched in
    the order of its attributes' names, and what has been found is not looked at again.  A subclassed model has an
    attribute ``layers`` too: what is kept under a name that comes after it is found there first.
    """
    counts: dict[str, int] = {}
    if isinstance(layer, (Functional, Sequential)):
        return [(f"layers/{numbered(snake_case(type(x).__name__), counts)}", x) for x in in_keras_order(layer)]
    names = {"layer": "forward_layer"} if isinstance(layer, L.Bidirectional) else {}
    found, listed = [], dict[str, dict[str, int]]()
    for key, inner in layer.children():
        attribute, _, position = key.partition("/")
        kind = snake_case(type(inner).__name__)
        among = numbered(kind, counts)  # the place in ``layers``
        if isinstance(layer, Model) and attribute > "layers":
            found.append((f"layers/{among}", inner))
        elif position:
            found.append((f"{attribute}/{numbered(kind, listed.setdefault(attribute, {}))}", inner))
        else:
            found.append((names.get(attribute, attribute), inner))
    return found


def _objects(model: Layer, names: dict[int, str]) -> list[Unit]:
    """The layers directly inside a model, and weights of its own (in the place ``""``)."""
    inside = dict(_places(model))
    grouped: dict[str, list[Target]] = {}
    for path, variable in _object_paths(model):
        place = next((p for p in inside if path.startswith(f"{p}/")), "")
        role = path.removeprefix(f"{place}/")
        grouped.setdefault(place, []).append(Target(names[id(variable)], variable, ((role, variable.shape),)))
    return [
        Unit(inside[place].name if place else "", type(inside[place]).__name__ if place else "", targets, place)
        for place, targets in grouped.items()
    ]


# ---------------------------------------------------------------- PyTorch


def _modules(model: Layer, names: dict[int, str]) -> list[Unit]:
    """The layers with weights, wherever they are; both ways of a bidirectional one are one module."""
    pixels = features_of_images(model)
    found: list[Unit] = []
    seen: set[int] = set()
    for path, layer in model._walk_paths():
        if id(layer) in seen:
            continue
        direct = path.count("/") < 2 and isinstance(model, (Functional, Sequential))
        name = layer.name if direct else path.strip("/").replace("/", ".")
        targets: list[Target] = []
        if isinstance(layer, L.Bidirectional) and isinstance(layer.layer, GateWeights):
            for part, end in ((layer.layer, ""), (layer.backward_layer, "_reverse")):
                seen.add(id(part))
                targets += _torch_targets(part, names, Pixels(), end)
        elif layer._own_weights:
            targets = _torch_targets(layer, names, pixels)
        if targets:
            found.append(Unit(name, type(layer).__name__, targets))
    return found


def _torch_targets(layer: Layer, names: dict[int, str], pixels: Pixels, end: str = "") -> list[Target]:
    own = {v.name.rpartition("/")[2]: v for v in layer._own_weights}
    own = {role: v for role, v in own.items() if not _STATE.fullmatch(role)}

    def target(role: str, sources: Any, make: Callable[..., Array]) -> Target:
        return Target(names[id(own[role])], own[role], tuple(sources), make)

    if isinstance(layer, GateWeights):
        return [target(role, *_gates(layer, role, v.shape, end)) for role, v in own.items()]
    if isinstance(layer, L.MultiHeadAttention):
        return [target(role, *_heads(layer, role, v.shape, own)) for role, v in own.items()]
    return [
        target(role, *_plain(layer, role, v.shape, pixels.taken.get(id(layer)), pixels.given.get(id(layer))))
        for role, v in own.items()
    ]


_SAME_NAMES = {
    "gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var",
    "embeddings": "weight", "bias": "bias", "alpha": "weight",
}  # fmt: skip
Rule = tuple[list[tuple[str, Shape]], Callable[..., Array]]


def _plain(layer: Layer, role: str, shape: Shape, taken: Shape | None, given: Shape | None) -> Rule:
    """The array and the change of its axes for a weight of a layer that is no recurrence and no attention.

    ``taken`` and ``given``: (h, w, c) where the layer's features are pixels: PyTorch has them in the order c, h, w.
    """
    if isinstance(layer, L.Dense) and role == "kernel":
        return [("weight", shape[::-1])], functools.partial(_dense, taken=taken, given=given)
    if isinstance(layer, (L.Dense, L.BatchNormalization)):
        image = given if isinstance(layer, L.Dense) else taken or given
        return [(_SAME_NAMES[role], shape)], functools.partial(_channels_last, image=image)
    if isinstance(layer, SeparableConvolution):
        return [(role, shape)], np.asarray  # PyTorch has two modules in its place: the shapes will not be found
    if isinstance(layer, DepthwiseConvolution) and role == "depthwise_kernel":
        *window, channels, multiplier = shape
        source = (channels * multiplier, 1, *window)
        return [("weight", source)], functools.partial(_depthwise, channels=channels, multiplier=multiplier)
    if isinstance(layer, (Convolution, TransposedConvolution)) and role == "kernel":
        *window, rows, columns = shape
        axes = (*range(2, len(shape)), 1, 0)
        return [("weight", (columns, rows, *window))], functools.partial(np.transpose, axes=axes)
    if role == "alpha":
        return [("weight", (int(np.prod(shape)),))], functools.partial(np.reshape, shape=shape)
    return [(_SAME_NAMES.get(role, role), shape)], np.asarray


def _dense(weight: Array, taken: Shape | None, given: Shape | None) -> Array:
    """[out, in] to [in, out]."""
    return _channels_last(_channels_last(weight, given).T, taken)


def _channels_last(rows: Array, image: Shape | None) -> Array:
    """Rows for the pixels of an image, from the order c, h, w to h, w, c."""
    if image is None:
        return rows
    height, width, channels = image
    return np.moveaxis(rows.reshape(channels, height, width, -1), 0, 2).reshape(rows.shape)


def _depthwise(weight: Array, channels: int, multiplier: int) -> Array:
    split = weight.reshape(channels, multiplier, *weight.shape[2:])
    return split.transpose(*range(2, split.ndim), 0, 1)


def _gates(layer: GateWeights, role: str, shape: Shape, end: str) -> Rule:
    """LSTM gates are i, f, c, o in both; a GRU's are r, z, n there and z, r, h here."""
    swap = isinstance(layer, GRUWeights)
    if role == "bias":
        width = shape[-1]
        sources: list[tuple[str, Shape]] = [(f"bias_ih{end}", (width,)), (f"bias_hh{end}", (width,))]
        if swap and len(shape) == 1:  # without reset_after there is no bias for the state
            return [("bias_of_reset_before", shape)], np.asarray
        if swap:
            return sources, lambda inner, state: np.stack([_z_first(inner), _z_first(state)])
        return sources, lambda inner, state: inner + state
    name = "weight_ih" if role == "kernel" else "weight_hh"
    return [(f"{name}{end}", shape[::-1])], (lambda w: _z_first(w).T) if swap else np.transpose


def _z_first(rows: Array) -> Array:
    reset, update, new = np.split(rows, 3)
    return np.concatenate([update, reset, new])


def _heads(layer: L.MultiHeadAttention, role: str, shape: Shape, own: dict[str, Variable]) -> Rule:
    """``in_proj_weight`` has the rows of query, key and value one below the other."""
    part, _, kind = role.partition("_")
    if part == "output":
        if kind == "bias":
            return [("out_proj.bias", shape)], np.asarray
        heads, size, width = shape
        return [("out_proj.weight", (width, heads * size))], lambda w: w.T.reshape(shape)
    place = ("query", "key", "value").index(part)
    if kind == "bias":
        count = shape[0] * shape[1]
        return [("in_proj_bias", (3 * count,))], lambda b: np.split(b, 3)[place].reshape(shape)
    features, heads, size = shape
    return [("in_proj_weight", (3 * heads * size, features))], lambda w: np.split(w, 3)[place].T.reshape(shape)


#: Layers after which the features of an image are where they were.
_KEEPING = (L.Dropout, L.Activation, L.Identity, L.GaussianNoise, Elementwise)


@dataclasses.dataclass
class Pixels:
    """Layers whose features are the pixels of an image (h, w, c), by identity: those they take, those they give."""

    taken: dict[int, Shape] = dataclasses.field(default_factory=dict)
    given: dict[int, Shape] = dataclasses.field(default_factory=dict)


#: An image whose pixels are the features of an output, and the layers that only changed features in their places since.
Trail = tuple[Shape | None, tuple[Layer, ...]]
_NOTHING: Trail = (None, ())


def features_of_images(model: Layer) -> Pixels:
    """Where images become vectors of features and features become images.

    It is seen where ``Flatten`` or ``Reshape`` and the layer are in one sequential or functional model.
    """
    found = Pixels()
    for inner in model.walk():
        if any(getattr(layer, "data_format", None) == "channels_first" for layer in inner.sublayers()):
            continue  # the pixels have PyTorch's order
        if isinstance(inner, Sequential):
            trail = _NOTHING
            for layer in inner.layers:
                trail = _follow(layer, trail, found)
        elif isinstance(inner, Functional):
            trails: dict[int, Trail] = {}
            for step, origin in zip(inner._steps, inner._calls, strict=True):
                before = [trails.get(id(p), _NOTHING) for p in origin.parents()]
                known = before[0] if len(before) == 1 else _NOTHING
                after = _follow(step.callee, known, found) if isinstance(step.callee, Layer) else _NOTHING
                trails |= {id(symbol): after for symbol in step.results}
    return found


def _follow(layer: Layer, trail: Trail, found: Pixels) -> Trail:
    """What is known of the features after a layer; notes the layers whose features are pixels."""
    grid, before = trail
    if isinstance(layer, L.Flatten):
        return (_image(layer.input_specs[0]) if layer.input_specs else None), ()
    if isinstance(layer, L.Reshape):
        image = _image(layer.output_specs)
        if image is not None and layer.input_specs and layer.input_specs[0].ndim == 2:
            found.given.update({id(other): image for other in before})
        return _NOTHING
    if isinstance(layer, (L.Dense, L.BatchNormalization)):
        if grid is not None:
            found.taken[id(layer)] = grid
        return (None, (layer,)) if isinstance(layer, L.Dense) else (grid, (*before, layer))
    return trail if isinstance(layer, _KEEPING) else _NOTHING


def _image(spec: Any) -> Shape | None:
    """(h, w, c) of a batch of images of which the order of pixels matters."""
    shape: Shape = () if spec is None else tuple(spec.shape[1:])
    return shape if len(shape) == 3 and shape[2] > 1 and shape[0] * shape[1] > 1 else None


__all__ = ["Target", "Unit", "features_of_images", "in_keras_order", "units"]
