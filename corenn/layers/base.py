"""``Layer``: variables, and a computation that uses them; and the naming, tracking and building every layer shares.

A layer is built on its first call, when the shapes of its inputs are known.  Whatever a layer holds in attributes (or in
lists and dicts of them) is found by itself: variables, layers, metrics.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from corenn import dtypes, initializers, tree
from corenn.configurable import Configurable, Registry
from corenn.dtypes import DType, as_dtype
from corenn.errors import AttributeValueError, CorennError, ShapeError, UsageError
from corenn.layers.symbolic import Symbolic, is_symbolic, trace_layer
from corenn.ops.creation import tensor
from corenn.ops.dispatch import _interpreter
from corenn.spec import Spec
from corenn.tensor import Tensor
from corenn.variable import Variable

_counts: dict[str, int] = {}


def snake_case(name: str) -> str:
    """``Conv2DTranspose`` to ``conv2d_transpose``: how a layer is named after its class."""
    spaced = re.sub(r"([a-z0-9])([A-Z][a-z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name))
    return re.sub(r"_+", "_", spaced).lower().replace("_1_d", "1d").replace("_2_d", "2d").replace("_3_d", "3d")


def unique_name(base: str) -> str:
    """``base``, ``base_1``, ``base_2``, ... in order of asking, since the last ``reset_names``."""
    count = _counts.get(base, 0)
    _counts[base] = count + 1
    return base if count == 0 else f"{base}_{count}"


def reset_names() -> None:
    """Start naming layers from the beginning (a new model in the same process gets the same names)."""
    _counts.clear()


class Layer(Configurable):
    """Base of all layers.

    A subclass sets its configuration in ``__init__``, makes variables in ``build(*input_specs)`` with ``add_weight``,
    and computes in ``call(*inputs, **options)``; ``call`` receives ``training=`` if it names it.  Constructor arguments
    are kept in attributes of the same names, from which ``get_config`` makes an equal, unbuilt layer (see
    ``corenn.configurable``; decorate your own with ``corenn.layers.register()`` to save models that hold it).

    ``name``: unique in a model; by default the class's name in snake case, numbered.  ``trainable=False`` freezes all
    variables inside.  ``dtype``: of the variables; floating inputs of another precision are cast to it.
    """

    #: How many inputs ``call`` takes; ``None`` for any number, given as one list (Add, Concatenate, ...).
    takes_list: ClassVar[bool] = False

    def __init__(self, *, name: str | None = None, trainable: bool = True, dtype: object = None) -> None:
        self.name = name if name is not None else unique_name(snake_case(type(self).__name__))
        if "/" in self.name:
            raise AttributeValueError(self.name, "a layer's name may not contain '/'", hint="it separates the levels")
        self.trainable = trainable
        self.dtype: DType = dtypes.float32 if dtype is None else as_dtype(dtype)
        self.built = False
        self.input_specs: tuple[Spec, ...] | None = None
        self.output_specs: Any = None
        self._own_weights: list[Variable] = []
        self._regularized: list[tuple[Variable, Callable[[Tensor], Tensor]]] = []
        self._added_losses: list[Tensor] = []

    # ---- what subclasses write

    def build(self, *inputs: Any) -> None:
        """Make the variables, given the specs of the inputs (a list of specs where ``call`` takes a list)."""

    def call(self, *inputs: Any, **options: Any) -> Any:
        """Compute; tensors in, tensors out."""
        raise NotImplementedError(f"{type(self).__name__} does not define call()")

    # ---- variables

    def add_weight(
        self,
        name: str,
        shape: Sequence[int],
        initializer: Any = "glorot_uniform",
        *,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        dtype: object = None,
    ) -> Variable:
        """A new variable of this layer, called ``<layer>/<name>``, initialised from the default generator."""
        from corenn import constraints, regularizers

        chosen = initializers.get(initializer)
        kind = self.dtype if dtype is None else as_dtype(dtype)
        variable = Variable(
            chosen(tuple(int(n) for n in shape), dtype=kind),
            name=f"{self.name}/{name}",
            trainable=trainable,
            constraint=constraints.get(constraint),
        )
        self._own_weights.append(variable)
        penalty = regularizers.get(regularizer)
        if penalty is not None:
            self._regularized.append((variable, penalty))
        return variable

    def sublayers(self) -> list[Layer]:
        """The layers held in attributes, in the order they were set; each once."""
        found: dict[int, Layer] = {}
        for key, value in self.__dict__.items():
            if not key.startswith("__"):
                for item in _held(value):
                    found.setdefault(id(item), item)
        found.pop(id(self), None)
        return list(found.values())

    def walk(self) -> Iterator[Layer]:
        """This layer and all layers inside, each once, outer before inner."""
        seen: set[int] = set()
        stack: list[Layer] = [self]
        while stack:
            layer = stack.pop()
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            yield layer
            stack.extend(reversed(layer.sublayers()))

    @property
    def weights(self) -> list[Variable]:
        """All variables, trainable and not, of this layer and those inside, in order of creation by layer."""
        return [v for layer in self.walk() for v in layer._own_weights]

    @property
    def trainable_weights(self) -> list[Variable]:
        """The variables an optimizer updates: trainable, in layers that are not frozen."""
        found: list[Variable] = []
        _collect_trainable(self, found, set())
        return found

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The other variables: statistics, seeds, and those of frozen layers."""
        trained = {id(v) for v in self.trainable_weights}
        return [v for v in self.weights if id(v) not in trained]

    variables = weights
    trainable_variables = trainable_weights

    def weight_names(self) -> list[str]:
        """A unique path for every variable, in the order of ``weights``: the keys of a checkpoint."""
        names: list[str] = []
        taken: dict[str, int] = {}
        for variable in self.weights:
            count = taken.get(variable.name, 0)
            taken[variable.name] = count + 1
            names.append(variable.name if count == 0 else f"{variable.name}_{count}")
        return names

    def count_params(self) -> int:
        """Number of scalars in all variables."""
        return sum(v.size for v in self.weights)

    def get_weights(self) -> list[np.ndarray[Any, Any]]:
        """Copies of all variables on the host, in the order of ``weights``."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, values: Sequence[Any]) -> None:
        """Assign all variables, in the order of ``weights``; ShapeError names the first that does not fit."""
        weights = self.weights
        if len(values) != len(weights):
            hint = "the layer has not been called yet" if not self.built else None
            raise UsageError(self.name, f"{len(values)} arrays given for {len(weights)} weights", hint=hint)
        ready = [tensor(v, dtype=w.dtype, device=w.device) for v, w in zip(values, weights, strict=True)]
        for variable, value in zip(weights, ready, strict=True):
            if variable.shape != value.shape:
                raise ShapeError(self.name, f"weight {variable.name!r} does not fit",
                                 {"weight": variable.spec, "given": value.spec})  # fmt: skip
        for variable, value in zip(weights, ready, strict=True):
            variable.assign(value)

    # ---- losses

    def add_loss(self, value: Tensor) -> None:
        """Add a scalar to the model's loss, from inside ``call``; cleared at the start of each training step."""
        self._added_losses.append(value)

    @property
    def losses(self) -> list[Tensor]:
        """Regularisation penalties (computed now) and what ``add_loss`` has gathered, of all layers inside."""
        found: list[Tensor] = []
        for layer in self.walk():
            found += [penalty(variable) for variable, penalty in layer._regularized]
            found += layer._added_losses
        return found

    def clear_losses(self) -> None:
        """Forget what ``add_loss`` has gathered."""
        for layer in self.walk():
            layer._added_losses.clear()

    # ---- calling

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Build if needed, bring inputs to tensors of the layer's precision, and ``call``.

        Symbolic inputs (``corenn.layers.Input``) give symbolic outputs.  Errors raised inside carry the layer's name.
        """
        if is_symbolic(inputs):
            return trace_layer(self, inputs, options)
        try:
            ready = tuple(tree.tree_map(self._as_input, x) for x in inputs)
            if not self.built:
                self._build(ready)
            if "training" in options and not self._takes_training():
                options = {k: v for k, v in options.items() if k != "training"}
            result = self.call(*ready, **options)
            if self.output_specs is None:
                self.output_specs = tree.tree_map(lambda t: t.spec if isinstance(t, Tensor) else t, result)
            return result
        except CorennError as error:
            error.layer = error.layer or self.name
            raise

    def _as_input(self, value: Any) -> Any:
        if value is None:
            return None
        made = value if isinstance(value, Tensor) else tensor(value)
        if made.dtype.is_floating and made.dtype is not self.dtype:
            made = made.cast(self.dtype)
        return made

    def _build(self, inputs: tuple[Any, ...]) -> None:
        specs = tuple(tree.tree_map(lambda t: None if t is None else t.spec, x) for x in inputs)
        token = _interpreter.set(None)  # initial values are made now, whatever is recording or tracing the call
        try:
            self.build(*specs)
        finally:
            _interpreter.reset(token)
        self.input_specs = specs
        self.built = True

    def _takes_training(self) -> bool:
        known: bool | None = self.__dict__.get("__takes_training")
        if known is None:
            code = type(self).call.__code__
            names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            known = self.__dict__["__takes_training"] = "training" in names or bool(code.co_flags & 0x08)
        return known

    def compute_output_spec(self, *inputs: Spec) -> Any:
        """Spec of the output for inputs of these specs, without computing anything (the layer gets built)."""
        from corenn.layers.symbolic import abstract_call

        return abstract_call(self, inputs, {})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}{'' if self.built else ' (not built)'}>"


def _held(value: Any) -> Iterator[Layer]:
    if isinstance(value, Layer):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _held(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _held(item)


def _collect_trainable(layer: Layer, found: list[Variable], seen: set[int]) -> None:
    if id(layer) in seen or not layer.trainable:
        return
    seen.add(id(layer))
    found += [v for v in layer._own_weights if v.trainable]
    for inner in layer.sublayers():
        _collect_trainable(inner, found, seen)


_REGISTRY: Registry[Layer] = Registry("layer", Layer)
register = _REGISTRY.register
get = _REGISTRY.get

__all__ = ["Layer", "Symbolic", "get", "register", "reset_names", "snake_case", "unique_name"]
