"""``Layer``: variables, and a computation that uses them; and the naming, tracking and building every layer shares.

A layer is built on its first call, when the shapes of its inputs are known.  Whatever a layer holds in attributes (or
in lists and dicts of them) is found by itself: layers with their variables, and metrics.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np

from corenn import constraints, initializers, mixed_precision, regularizers, tree
from corenn.advice import missing_in_layer
from corenn.configurable import Configurable, Registry
from corenn.dtypes import DType, as_dtype
from corenn.errors import AttributeValueError, CorennError, ShapeError, UsageError
from corenn.layers import naming
from corenn.layers.autocast import autocast, to_dtype
from corenn.layers.naming import reset_names, snake_case, unique_name
from corenn.layers.phase import CallSignature, _phase, call_signature, figures_count, structure_changed
from corenn.layers.symbolic import Symbolic, abstract_call, is_abstract, is_symbolic, trace_layer
from corenn.metrics.base import Mean, Sum
from corenn.mixed_precision import Policy
from corenn.ops.creation import tensor
from corenn.ops.dispatch import _interpreter
from corenn.spec import Spec
from corenn.tensor import Tensor
from corenn.variable import Variable

_PLAIN = (bool, int, float, str, type(None), Tensor)
#: Layers that hold added losses; few programs have any.
_with_losses: weakref.WeakValueDictionary[int, Layer] = weakref.WeakValueDictionary()


class Layer(Configurable):
    """Base of all layers.

    A subclass sets its configuration in ``__init__``, makes variables in ``build(*input_specs)`` with ``add_weight``,
    and computes in ``call(*inputs, **options)``.  ``call`` receives ``training=`` if it names it: what the caller said,
    or else what the surrounding layer's call was told.  Constructor arguments are kept in attributes of the same names,
    from which ``get_config`` makes an equal, unbuilt layer (see ``corenn.configurable``; decorate your own with
    ``corenn.layers.register()`` to save models that hold it).

    ``name``: by default the class's name in snake case, numbered.  ``trainable``: setting it freezes (or thaws) all
    layers inside too.  ``dtype``: of the variables; floating inputs of another precision are cast to it, integers and
    bools are not.  It may also be a policy, or its name (see ``corenn.mixed_precision``): inputs and trained weights
    are then cast to its ``compute_dtype``.  By default, the policy of the moment, which is float32 unless set.
    """

    #: Whether the output has the steps of the input, so that a mask of them still holds (see ``compute_mask``).
    keeps_mask: ClassVar[bool] = False
    #: Whether floating inputs are cast to the layer's precision; models leave that to the layers inside.
    casts_inputs: ClassVar[bool] = True
    #: Under a mixed policy: "compute" casts inputs and trained weights to its compute dtype, "inner" computes in the
    #: dtype of the variables and casts the result, "full" does not cast the result either.
    mixed_policy: ClassVar[Literal["compute", "inner", "full"]] = "compute"

    dtype: DType
    compute_dtype: DType
    dtype_policy: Policy

    def __init__(
        self, *, name: str | None = None, trainable: bool = True, dtype: object = None, **unknown: Any
    ) -> None:
        if unknown:
            self.refuse_arguments(unknown)
        self._own_weights: list[Variable] = []
        self._fixed: set[int] = set()  # ids of weights that are never trained
        self._regularized: list[tuple[Variable, Callable[[Tensor], Tensor]]] = []
        self._added_losses: list[Tensor] = []
        self._penalties: list[Callable[[], Any]] = []
        self._added_metrics: dict[str, Mean | Sum] = {}
        self.name = name if name is not None else unique_name(snake_case(type(self).__name__))
        if not isinstance(self.name, str) or not self.name or "/" in self.name:
            raise AttributeValueError(str(self.name), "a layer's name must be a string without '/'",
                                      hint="'/' separates the levels of a weight's name")  # fmt: skip
        self.set_policy(self._policy_of(dtype))
        self._trainable = trainable
        self.built = False
        self.input_specs: tuple[Any, ...] | None = None
        self.output_specs: Any = None

    def _policy_of(self, dtype: object) -> Policy:
        if dtype is None or isinstance(dtype, Policy) or (isinstance(dtype, str) and dtype.startswith("mixed")):
            return mixed_precision.policy(dtype)
        found = as_dtype(dtype)
        if not found.is_floating:
            raise AttributeValueError(self.name, f"a layer's dtype must be floating, not {found}",
                                      hint="it is the precision of the weights; inputs may be integers")  # fmt: skip
        return mixed_precision.policy(found)

    def set_policy(self, policy: Any) -> None:
        """Compute as a policy (or the one of that name) says; for a layer that is not built yet."""
        self.dtype_policy = mixed_precision.policy(policy)
        self.compute_dtype, self.dtype = self.dtype_policy.compute_dtype, self.dtype_policy.variable_dtype

    # ---- what subclasses write

    def build(self, *inputs: Any) -> None:
        """Make the variables, given the specs of the inputs (a list of specs where ``call`` takes a list)."""

    def call(self, *inputs: Any, **options: Any) -> Any:
        """Compute; tensors in, tensors out."""
        hint = "rename forward to call" if hasattr(type(self), "forward") else "def call(self, x): ..."
        raise UsageError(self.name, f"{type(self).__name__} does not define call()", hint=hint)

    def compute_mask(self, x: Any, mask: Tensor | None = None) -> Tensor | None:
        """Which steps of the output count, bools [batch, steps], given which of the input do; ``None`` for all.

        ``Sequential`` and functional models hand it on to layers whose ``call`` takes ``mask=``.
        """
        return mask if self.keeps_mask else None

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
        chosen = initializers.get(initializer)
        kind = self.dtype if dtype is None else as_dtype(dtype)
        variable = Variable(
            chosen(tuple(int(n) for n in shape), dtype=kind),
            name=f"{self.name}/{name}",
            trainable=trainable and self._trainable,
            constraint=constraints.get(constraint),
        )
        self._own_weights.append(variable)
        if not trainable:
            self._fixed.add(id(variable))
        penalty = regularizers.get(regularizer)
        if penalty is not None:
            self._regularized.append((variable, penalty))
        structure_changed()
        return variable

    @property
    def trainable(self) -> bool:
        """Whether the variables are trained; setting it sets all layers inside."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self.walk():
            layer._trainable = bool(value)
            for variable in layer._own_weights:
                variable.trainable = bool(value) and id(variable) not in layer._fixed
        structure_changed()

    def children(self) -> list[tuple[str, Layer]]:
        """The layers directly inside, each with its part of the names of weights: by default, the attribute's name."""
        found: list[tuple[str, Layer]] = []
        for key, value in self.__dict__.items():
            naming.collect(key, value, Layer, found)
        return found

    def sublayers(self) -> list[Layer]:
        """The layers directly inside, in the order they were set; each once."""
        found = {id(layer): layer for _, layer in self.children()}
        found.pop(id(self), None)
        return list(found.values())

    def _walk_paths(self) -> Iterator[tuple[str, Layer]]:
        seen: set[int] = set()
        stack: list[tuple[str, Layer]] = [("", self)]
        while stack:
            path, layer = stack.pop()
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            yield path, layer
            stack.extend((f"{path}{key}/", inner) for key, inner in reversed(layer.children()))

    def walk(self) -> Iterator[Layer]:
        """This layer and all layers inside, each once, outer before inner."""
        return (layer for _, layer in self._walk_paths())

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
        """The other variables: statistics, and those of frozen layers."""
        trained = {id(v) for v in self.trainable_weights}
        return [v for v in self.weights if id(v) not in trained]

    @property
    def variables(self) -> list[Variable]:
        """The same as ``weights``."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Variable]:
        """The same as ``trainable_weights``."""
        return self.trainable_weights

    def weight_names(self) -> list[str]:
        """A unique path for every variable, in the order of ``weights``: the keys of a checkpoint.

        It follows from how the model is put together (attributes of layers; names of layers in ``Sequential`` and
        functional models, with automatic ones counted anew in each), not from what else the process has made.
        """
        paths = [f"{path}{v.name.rpartition('/')[2]}" for path, layer in self._walk_paths() for v in layer._own_weights]
        return naming.numbered(paths)

    def count_params(self) -> int:
        """Number of scalars in all variables."""
        return sum(v.size for v in self.weights)

    def get_weights(self) -> list[np.ndarray[Any, Any]]:
        """Copies of all variables on the host, in the order of ``weights``."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, values: Sequence[Any]) -> None:
        """Assign all variables, in the order of ``weights``, or none: ShapeError names the first that does not fit."""
        weights = self.weights
        if len(values) != len(weights):
            hint = "the layer has not been called yet: call it on data first" if not weights else None
            raise UsageError(self.name, f"{len(values)} arrays given for {len(weights)} weights", hint=hint)
        ready = [tensor(v, dtype=w.dtype, device=w.device) for v, w in zip(values, weights, strict=True)]
        for variable, value in zip(weights, ready, strict=True):
            if variable.shape != value.shape:
                raise ShapeError(self.name, f"weight {variable.name!r} does not fit",
                                 {"weight": variable.spec, "given": value.spec})  # fmt: skip
        for variable, value in zip(weights, ready, strict=True):
            variable.assign(value)

    # ---- losses

    def add_loss(self, value: Tensor | float | Callable[[], Any]) -> None:
        """Add a scalar to the loss of the model that the layer is in.

        From inside ``call``: a 0-d tensor or a number, which is forgotten when the model is called again.  From
        ``build``, ``__init__`` or outside: a function without arguments, such as a penalty on weights, which is called
        for every loss.  ``Model.fit`` and ``evaluate`` add all of them to the compiled loss; in a loop of your own they
        are ``model.losses``.
        """
        if callable(value):
            if not self.built or _phase.get() is None:
                self._penalties.append(value)
                structure_changed()
                return
            value = value()  # inside call: of this call
        if figures_count() and not is_abstract():
            self._added_losses.append(as_number(value))
            _with_losses[id(self)] = self

    def add_metric(self, value: Any, name: str, aggregation: Literal["mean", "sum"] = "mean") -> None:
        """From inside ``call``: report the mean (or sum) over an epoch of ``value``, of any shape, as ``name``.

        It stands beside the compiled metrics in ``History``, logs and the results of ``evaluate``; ``predict`` does not
        count.  Two layers' metrics of one name are numbered.  AttributeValueError for another ``aggregation``.
        """
        metric = self._metric(name, aggregation)
        if figures_count() and not is_abstract():
            metric.update_state(value)

    def _metric(self, name: str, aggregation: str) -> Mean | Sum:
        """What gathers the values given to ``add_metric`` as ``name``, made if need be."""
        found = self._added_metrics.get(name)
        if found is None:
            if aggregation not in ("mean", "sum"):
                what = f"aggregation must be 'mean' or 'sum', not {aggregation!r}"
                raise AttributeValueError(self.name, what, {"metric": name})
            found = self._added_metrics[name] = Mean(name=name) if aggregation == "mean" else Sum(name=name)
            structure_changed()
        return found

    @property
    def losses(self) -> list[Tensor]:
        """Penalties on trained variables (computed now), and what ``add_loss`` gathered in the last call."""
        trained = {id(v) for v in self.trainable_weights}
        found: list[Tensor] = []
        for layer in self.walk():
            found += [penalty(variable) for variable, penalty in layer._regularized if id(variable) in trained]
            found += [as_number(penalty()) for penalty in layer._penalties]
            found += layer._added_losses
        return found

    def clear_losses(self) -> None:
        """Forget what ``add_loss`` has gathered."""
        for layer in self.walk():
            layer._added_losses.clear()
            _with_losses.pop(id(layer), None)

    # ---- calling

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Build if needed, bring inputs to tensors of the layer's precision, and ``call``.

        Symbolic inputs (``corenn.layers.Input``) give symbolic outputs.  Errors raised inside carry the layer's name.
        """
        signature = call_signature(type(self).call)
        if len(options) > ("training" in options):
            inputs, options = signature.arrange(inputs, options)
        dtype, ready = self._input_dtype, inputs
        for x in inputs:
            if x.__class__ is not Tensor or (
                x.spec.dtype is not dtype and x.spec.dtype.is_floating and self.casts_inputs
            ):
                if is_symbolic(inputs, options):
                    return trace_layer(self, inputs, options)
                ready = tuple([self._as_input(x) for x in inputs])
                break
        outside = _phase.get()
        training = options.get("training")
        if training is None:
            training = bool(outside)
        if signature.takes_training:
            options["training"] = training
        else:
            options.pop("training", None)
        token = None if outside is training else _phase.set(training)
        try:
            if outside is None and _with_losses:
                self.clear_losses()
            if not self.built:
                self._build(ready)
            if self.compute_dtype is self.dtype:
                result = signature.invoke(self.call, ready, options)
            else:
                result = self._call_mixed(signature, ready, options)
            if self.output_specs is None:
                self.output_specs = tree.tree_map(lambda t: t.spec if isinstance(t, Tensor) else t, result)
            return result
        except CorennError as error:
            error.layer = error.layer or self.name
            raise
        finally:
            if token is not None:
                _phase.reset(token)

    def _call_mixed(self, signature: CallSignature, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """``call`` under a mixed policy."""
        if self.mixed_policy == "compute":
            with autocast(self):
                return signature.invoke(self.call, inputs, options)
        result = signature.invoke(self.call, inputs, options)
        return to_dtype(result, self.compute_dtype) if self.mixed_policy == "inner" else result

    def _as_input(self, value: Any) -> Any:
        """A structure of arrays as tensors of the layer's precision; a list of numbers is one array."""
        if isinstance(value, (list, tuple, dict)):
            leaves = tree.leaves(value)
            if isinstance(value, dict) or not all(isinstance(v, (int, float)) for v in leaves):
                return tree.rebuild(value, map(self._as_input, leaves))
        if value is None:
            return None
        made = value if isinstance(value, Tensor) else tensor(value)
        if made.dtype is self._input_dtype or not made.dtype.is_floating or not self.casts_inputs:
            return made
        return made.cast(self._input_dtype)

    def _build(self, inputs: tuple[Any, ...]) -> None:
        if not inputs:
            raise UsageError(self.name, "was called on nothing", hint=f"{self.name}(x)")
        specs = tuple(tree.tree_map(lambda t: None if t is None else t.spec, list(inputs)))
        made, penalised = len(self._own_weights), len(self._regularized)
        token = _interpreter.set(None)  # initial values are made now, whatever is recording or tracing the call
        try:
            self.build(*specs)
        except BaseException:
            del self._own_weights[made:], self._regularized[penalised:]  # the next attempt starts afresh
            raise
        finally:
            _interpreter.reset(token)
        self.input_specs = specs
        self.built = True
        if not self._trainable:
            self.trainable = False  # layers that were put inside after it was frozen

    def compute_output_spec(self, *inputs: Any) -> Any:
        """Spec of the output for inputs of these specs, without computing anything (the layer gets built)."""
        return abstract_call(self, inputs, {})

    # ---- Python

    def _argument(self, name: str) -> Any:
        if name == "dtype":
            return self.dtype_policy.name if self.compute_dtype is not self.dtype else self.dtype
        return super()._argument(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not isinstance(value, _PLAIN):
            structure_changed()
            if name == "dtype":  # the last thing a policy sets; set by itself, it is that of all
                compute = self.dtype_policy.compute_dtype if self.dtype_policy.variable_dtype is value else value
                self.__dict__["compute_dtype"] = compute
                self.__dict__["_input_dtype"] = compute if self.mixed_policy == "compute" else value
        object.__setattr__(self, name, value)

    def __getattr__(self, name: str) -> Any:
        if name in ("_own_weights", "_trainable", "built", "dtype", "_input_dtype") and name not in self.__dict__:
            raise UsageError(type(self).__name__, "the layer is not initialised",
                             hint="call super().__init__() first in its __init__")  # fmt: skip
        raise AttributeError(missing_in_layer(type(self).__name__, name), name=name, obj=self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}{'' if self.built else ' (not built)'}>"


def as_number(value: Any) -> Tensor:
    """What a function given to ``add_loss`` returned, as a tensor."""
    return value if isinstance(value, Tensor) else tensor(float(value))


def holds_added_losses() -> bool:
    """Whether any layer has gathered losses with ``add_loss``."""
    return bool(_with_losses)


def _collect_trainable(layer: Layer, found: list[Variable], seen: set[int]) -> None:
    if id(layer) in seen or not layer.trainable:
        return
    seen.add(id(layer))
    found += [v for v in layer._own_weights if v.trainable]
    for inner in layer.sublayers():
        _collect_trainable(inner, found, seen)


_REGISTRY: Registry[Layer] = Registry("layer", Layer)
C = TypeVar("C", bound=type[Layer])


def register(*aliases: str) -> Callable[[C], C]:
    """A decorator that makes a layer class known by its name and ``aliases``, so that files can name it."""
    return lambda cls: _REGISTRY.register(*aliases, snake_case(cls.__name__))(cls)


get = _REGISTRY.get
names = _REGISTRY.names

__all__ = ["Layer", "Spec", "Symbolic", "get", "names", "register", "reset_names", "snake_case", "unique_name"]
