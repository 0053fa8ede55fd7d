"""``Optimizer``: everything about an update that is not the formula.

A step takes the gradients through loss unscaling, accumulation and clipping; then each variable through its update op,
its constraint and its moving average.  What changes from step to step (rate, step number) enters the ops as 0-d
tensors, so that the same plan serves the whole run.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.autodiff.tape import GradientTape, recording_tapes
from corenn.configurable import Configurable
from corenn.device import Device
from corenn.dtypes import DType
from corenn.errors import AttributeValueError, CheckpointError, DTypeError, UsageError
from corenn.graph.state import GraphVariable
from corenn.graph.tensors import GraphTensor
from corenn.ops.creation import full_like, tensor
from corenn.ops.dispatch import _interpreter, current
from corenn.optimizers import in_graph
from corenn.optimizers.clipping import clip_by_global_norm, clip_by_norm, clip_by_value
from corenn.optimizers.records import Matcher, Record, fitting, held, matches, pattern
from corenn.schedules import Schedule
from corenn.schedules import get as get_schedule
from corenn.tensor import Tensor
from corenn.variable import Variable

Pairs = Iterable[tuple[Tensor | None, Any]]


class Optimizer(Configurable):
    """Base of optimizers.

    A subclass names its ``slot_names`` and defines ``update``.  Arguments common to all:

    - ``learning_rate``: a float, or a schedule (or function) of ``iterations``; the property can be set;
    - ``weight_decay``: decoupled: each update first multiplies a variable by ``1 - rate * weight_decay``;
      ``exclude_from_weight_decay``: variables, or patterns (``re.search`` in names), that are left alone;
    - ``clipnorm`` (each gradient's norm), ``clipvalue`` (each element) or ``global_clipnorm`` (all gradients together);
    - ``use_ema``: keep an exponential moving average of each variable, ``ema_momentum * average + (1 - ema_momentum) *
      variable``, starting at its value after the first update (see ``averaged``); every ``ema_overwrite_frequency``
      updates the variables are set to their averages;
    - ``loss_scale_factor``: gradients are divided by it (``scale_loss`` multiplies the loss);
    - ``gradient_accumulation_steps``: an update is made only on every n-th call, with the mean of n gradients;
    - ``lr_multipliers``: ``{pattern or variable: factor}`` on the learning rate; the first that matches counts.
    """

    #: Names of the tensors kept for each variable, in the order of ``update``; each starts at ``slot_start(name)``.
    slot_names: tuple[str, ...] = ()

    def __init__(
        self,
        learning_rate: float | Schedule | Callable[[int], float] = 0.001,
        *,
        weight_decay: float | None = None,
        exclude_from_weight_decay: Sequence[Matcher] = (),
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        lr_multipliers: Mapping[Matcher, float] | None = None,
        name: str | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            self.refuse_arguments(unknown)
        self.name = name if name is not None else type(self).__name__.lower()
        self.learning_rate = learning_rate
        self.weight_decay, self.exclude_from_weight_decay = weight_decay, tuple(exclude_from_weight_decay)
        self.clipnorm, self.clipvalue, self.global_clipnorm = clipnorm, clipvalue, global_clipnorm
        self.use_ema, self.ema_momentum, self.ema_overwrite_frequency = use_ema, ema_momentum, ema_overwrite_frequency
        self.loss_scale_factor, self.gradient_accumulation_steps = loss_scale_factor, gradient_accumulation_steps
        self.lr_multipliers = dict(lr_multipliers or {})
        self._check_arguments()
        self.iterations = 0
        self._micro_steps = 0
        self._records: dict[int, Record] = {}
        self._names: set[str] = set()
        self._numbers: dict[tuple[Hashable, DType, Device], Tensor] = {}
        self._warned = False
        self._swapped = False
        #: What is kept in graphs of sessions, by the graph's identity, and of the one an update is being added to.
        self.graph_states: dict[int, in_graph.GraphState] = {}
        self.graph_state: in_graph.GraphState | None = None
        self._pending: Mapping[str, Any] | None = None

    def _check_arguments(self) -> None:
        where = type(self).__name__
        limits = {"clipnorm": self.clipnorm, "clipvalue": self.clipvalue, "global_clipnorm": self.global_clipnorm}
        given = {name: limit for name, limit in limits.items() if limit is not None}
        if len(given) > 1:
            raise UsageError(where, f"give one of {', '.join(limits)}, not {' and '.join(given)}")
        positive = {
            **given,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
        }
        for name, value in positive.items():
            if value is not None and not value > 0:
                raise AttributeValueError(where, f"{name} must be positive", {name: value})
        if self.weight_decay is not None and not self.weight_decay >= 0:
            raise AttributeValueError(where, "weight_decay must be at least 0", {"weight_decay": self.weight_decay})
        if not 0 <= self.ema_momentum <= 1:
            raise AttributeValueError(where, "ema_momentum must lie in [0, 1]", {"ema_momentum": self.ema_momentum})

    # ---- what subclasses write

    def update(
        self, variable: Variable, gradient: Tensor, slots: tuple[Variable, ...], rate: Tensor, weight_decay: float
    ) -> tuple[Tensor, ...]:
        """The new values of the variable and of its slots; ``rate`` is 0-d, ``weight_decay`` 0 for none.

        ``self.step_number(variable)`` is the number of this update, from 1, as a 0-d tensor.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define update()")

    def slot_start(self, name: str) -> float:
        """What a slot is filled with before the first update."""
        return 0.0

    # ---- learning rate

    @property
    def learning_rate(self) -> float:
        """The rate of the next update; set it to a float, a schedule or a function of the step."""
        return self._rate if isinstance(self._rate, float) else self._rate(self.iterations)

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if isinstance(value, (int, float, np.generic)) or (isinstance(value, (Tensor, np.ndarray)) and value.size == 1):
            rate = float(value)
            if not rate >= 0:
                raise AttributeValueError(type(self).__name__, "the learning rate must be at least 0", {"given": rate})
            self._rate: float | Schedule = rate
        else:
            chosen = get_schedule(value)
            if chosen is None:
                raise UsageError(type(self).__name__, "the learning rate is None", hint="a float or a schedule")
            self._rate = chosen

    @property
    def schedule(self) -> Schedule | None:
        """The learning-rate schedule, if the rate is not a constant."""
        return None if isinstance(self._rate, float) else self._rate

    # ---- variables

    def build(self, variables: Iterable[Variable], names: Iterable[str] | None = None) -> None:
        """Make the slots of the variables that have none yet (``apply_gradients`` does it for those it meets).

        ``names``: what to call them in ``get_state``, by default the variables' own names.
        """
        listed = list(variables)
        for variable, name in zip(listed, [None] * len(listed) if names is None else names, strict=True):
            if id(variable) not in self._records:
                self._add(variable, name)
        if self._pending is not None and self._records:
            state, self._pending = self._pending, None
            self.set_state(state)

    @property
    def built(self) -> bool:
        """Whether any variable has its slots."""
        return bool(self._records)

    def _add(self, variable: Variable, name: str | None = None) -> Record:
        if not isinstance(variable, Variable):
            raise UsageError(self.name, f"{type(variable).__name__} is not a Variable", hint="layer.trainable_weights")
        if not variable.dtype.is_floating:
            raise DTypeError(self.name, f"cannot train {variable.name!r}", {variable.name: variable.spec})
        wanted = variable.name if name is None else name
        name, count = wanted, 0
        while name in self._names:
            count += 1
            name = f"{wanted}_{count}"
        self._names.add(name)
        slots = tuple(held(full_like(variable, self.slot_start(slot)), f"{name}/{slot}") for slot in self.slot_names)
        factor, decays = self.settings_of(variable)
        record = self._records[id(variable)] = Record(variable, name, slots, factor, decays)
        return record

    def settings_of(self, variable: Variable) -> tuple[float, bool]:
        """The factor on the learning rate, and whether weight decay applies, for one variable."""
        factor = next((f for key, f in self.lr_multipliers.items() if matches(key, variable)), 1.0)
        return float(factor), not any(matches(key, variable) for key in self.exclude_from_weight_decay)

    @property
    def variables(self) -> list[Variable]:
        """The optimizer's own variables, named ``<variable>/<slot>``: slots, averages, accumulated gradients."""
        return [v for record in self._records.values() for v in record.held()]

    # ---- updating

    def scale_loss(self, loss: Tensor) -> Tensor:
        """The loss to differentiate: multiplied by ``loss_scale_factor`` if there is one."""
        return loss * self.loss_scale_factor if self.loss_scale_factor is not None else loss

    def minimize(
        self,
        loss: Callable[[], Tensor] | Tensor,
        variables: Sequence[Any] | None = None,
        tape: GradientTape | None = None,
        *,
        global_step: Any = None,
        name: str | None = None,
    ) -> Any:
        """One update from a loss: a function without arguments, or a tensor computed under ``tape``; returns the loss.

        ``variables``: what to train; by default, the trainable variables the loss has read.  A loss in a session's
        graph (all its trainable variables by default) gives the operation that makes one update, adding 1 to the
        variable ``global_step`` if there is one.
        """
        if isinstance(loss, GraphTensor) and tape is None:
            pairs = self.compute_gradients(loss, variables)
            return self.apply_gradients(pairs, global_step=global_step, name=name)
        if callable(loss):
            with GradientTape() as tape:
                value = loss()
                target = self.scale_loss(value)
        elif tape is None:
            hint = "minimize(lambda: loss_function(...)), or pass the tape"
            raise UsageError("minimize", "the loss is a tensor, and no tape was given", hint=hint)
        else:
            value = target = loss
        chosen = list(tape.watched_variables() if variables is None else variables)
        if not chosen:
            raise UsageError("minimize", "No variables to optimize.", hint="does the loss read a trainable Variable?")
        gradients = tape.gradient(target, chosen)
        self.apply_gradients(zip(gradients, chosen, strict=True))
        return value

    def compute_gradients(self, loss: GraphTensor, variables: Sequence[Any] | None = None) -> list[in_graph.Pair]:
        """``(gradient, variable)`` for a loss in a session's graph; by default for all its trainable variables."""
        return in_graph.compute_gradients(loss, variables)

    def apply_gradients(self, grads_and_vars: Pairs, *, global_step: Any = None, name: str | None = None) -> Any:
        """One update of the variables from ``(gradient, variable)`` pairs; for variables of a graph, its operation.

        Variables whose gradient is ``None`` are left alone, with one warning that names them.  Raises UsageError when
        no variable has a gradient, ShapeError for a gradient of another shape than its variable's.
        """
        pairs = list(grads_and_vars)
        if pairs and isinstance(pairs[0][1], GraphVariable):
            return in_graph.apply_gradients(self, pairs, global_step, name)
        present = [(g, v) for g, v in pairs if g is not None]
        if len(present) != len(pairs):
            self._missing(pairs, bool(present))
        elif not pairs:
            raise UsageError(self.name, "No variables to optimize.")
        recording = bool(recording_tapes())
        token = _interpreter.set(None) if recording else None
        try:
            self._apply(present)
        finally:
            if token is not None:
                _interpreter.reset(token)
        return None

    def _missing(self, pairs: list[tuple[Tensor | None, Variable]], some: bool) -> None:
        names = [v.name for g, v in pairs if g is None]
        if not some:
            what = (
                "No gradients provided for any variable, check your graph for ops that do not support gradients, "
                f"between variables {names} and loss None."
            )
            raise UsageError(
                "apply_gradients", what, hint="compute the loss from the variables inside the tape's block"
            )
        if not self._warned:
            self._warned = True
            text = f"no gradient for {', '.join(names)}: the loss does not depend on them; they are not updated"
            warnings.warn(text, stacklevel=3)

    def _apply(self, present: list[tuple[Tensor, Variable]]) -> None:
        if self._swapped:
            raise UsageError(self.name, "the variables hold their averages", hint="swap_averages() before training")
        if any(id(v) not in self._records for _, v in present):
            self.build(v for _, v in present)
        gradients = [fitting(g, v) for g, v in present]
        records = [self._records[id(v)] for _, v in present]
        if self.loss_scale_factor is not None:
            gradients = [g * (1.0 / self.loss_scale_factor) for g in gradients]
        if self.gradient_accumulation_steps is not None and self.gradient_accumulation_steps > 1:
            ready = self._accumulate(gradients, records)
            if ready is None:
                return
            gradients, records = ready
        self._step(self.clipped(gradients), records)

    def _accumulate(self, gradients: list[Tensor], records: list[Record]) -> tuple[list[Tensor], list[Record]] | None:
        """Add the gradients to those of the calls before; on the last call of a round, their means."""
        count = self.gradient_accumulation_steps or 1
        for gradient, record in zip(gradients, records, strict=True):
            if record.accumulated is None:
                record.accumulated = held(gradient, f"{record.name}/accumulated")
            else:
                record.accumulated.assign(record.accumulated + gradient)
        self._micro_steps += 1
        if self._micro_steps < count:
            return None
        self._micro_steps = 0
        ready = [r for r in self._records.values() if r.accumulated is not None]
        means = [r.accumulated * (1.0 / count) for r in ready if r.accumulated is not None]
        for record in ready:
            record.accumulated = None
        return means, ready

    def clipped(self, gradients: list[Tensor]) -> list[Tensor]:
        """The gradients of one update, clipped as the settings say."""
        if self.clipnorm is not None:
            return [clip_by_norm(g, self.clipnorm) for g in gradients]
        if self.clipvalue is not None:
            return [clip_by_value(g, -self.clipvalue, self.clipvalue) for g in gradients]
        if self.global_clipnorm is not None:
            return [g for g in clip_by_global_norm(gradients, self.global_clipnorm)[0] if g is not None]
        return gradients

    def _step(self, gradients: list[Tensor], records: list[Record]) -> None:
        decay = self.weight_decay or 0.0
        self._numbers.clear()
        rates = [self._rate_of(record) for record in records]
        record_effect = getattr(current(), "host_effect", None)  # while a step is traced
        if record_effect is None:
            self._advance()
        else:
            record_effect(self._advance)
        for gradient, record, own_rate in zip(gradients, records, rates, strict=True):
            variable, slots = record.variable, record.slots
            if slots and slots[0].spec.device is not variable.spec.device:
                for own in record.held():  # the variable was moved
                    own.move_to(variable.device)
            results = self.update(variable, gradient, slots, own_rate, decay if record.decays else 0.0)
            variable.assign(results[0])
            for slot, value in zip(slots, results[1:], strict=True):
                slot.assign(value)
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.value()))
        if self.use_ema:
            self._average(records)

    def _rate_of(self, record: Record) -> Tensor:
        return self.rate_for(record.variable, record.factor)

    def rate_for(self, variable: Variable, factor: float) -> Tensor:
        """The learning rate of the update being made, times ``factor``, 0-d."""
        return self.number(lambda: self.learning_rate * factor, variable, ("rate", factor))

    def _advance(self) -> None:
        self.iterations += 1

    @property
    def traceable(self) -> bool:
        """Whether every update does the same, so that a traced step can repeat it."""
        return self.gradient_accumulation_steps in (None, 1) and self.ema_overwrite_frequency is None

    def number(self, value: Callable[[], float], variable: Variable, name: tuple[Any, ...]) -> Tensor:
        """A 0-d tensor beside a variable (float32 beside one of 16 bits), made once per step for each ``name``.

        While a step is traced: a tensor that every run of it asks ``value`` for anew.
        """
        dtype = variable.spec.dtype
        if self.graph_state is not None:
            of: Any = variable
            return in_graph.number(self, self.graph_state, value, of, 0 if name[0] == "rate" else 1)
        key = (name, dtype, variable.device)
        found = self._numbers.get(key)
        if found is not None:
            return found
        number = value()
        if isinstance(number, int):
            dtype = dtypes.int64
        elif dtype.itemsize < 4:
            dtype = dtypes.float32
        record_value = getattr(current(), "host_value", None)
        if record_value is not None:
            found = record_value(value, dtype)
        else:
            found = tensor(np.asarray(number, dtype.numpy), device=variable.device)
        self._numbers[key] = found
        return found

    def step_number(self, variable: Variable) -> Tensor:
        """The number of the update being made, from 1, int64 and 0-d, on the variable's device."""
        if self.graph_state is not None:
            return in_graph.step_number(self.graph_state)
        return self.number(lambda: self.iterations, variable, ("step",))

    # ---- moving averages

    def _average(self, records: list[Record]) -> None:
        every = self.ema_overwrite_frequency
        for record in records:
            if record.average is None:
                record.average = held(record.variable.value(), f"{record.name}/average")
            else:
                step = (record.variable - record.average) * (1.0 - self.ema_momentum)
                record.average.assign(record.average + step)
            if every is not None and self.iterations % every == 0:
                record.variable.assign(record.average.value())

    def swap_averages(self) -> None:
        """Exchange the variables' values and their moving averages; a second call undoes it."""
        if not self.use_ema:
            raise UsageError(self.name, "keeps no averages", hint=f"{type(self).__name__}(..., use_ema=True)")
        for record in self._records.values():
            if record.average is not None:
                value, average = record.variable.value(), record.average.value()
                record.variable.assign(average)
                record.average.assign(value)
        self._swapped = not self._swapped

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """A block in which the variables hold their moving averages, for evaluation."""
        self.swap_averages()
        try:
            yield
        finally:
            self.swap_averages()

    # ---- configuration and state

    def _argument(self, name: str) -> Any:
        if name == "learning_rate":
            return self._rate
        if name == "name":
            return None if self.name == type(self).__name__.lower() else self.name
        if name == "lr_multipliers":
            return {pattern(key): factor for key, factor in self.lr_multipliers.items()} or None
        if name == "exclude_from_weight_decay":
            return tuple(pattern(key) for key in self.exclude_from_weight_decay)
        return super()._argument(name)

    def get_state(self) -> dict[str, Any]:
        """What a run needs to continue to the same bits: nested dicts of numbers and NumPy arrays.

        ``{"iterations", "micro_steps", "swapped", "learning_rate", "slots": {variable: {slot: array}}}``; averages and
        accumulated gradients count as slots.  A schedule is part of the configuration: its rate is ``None`` here.
        """
        if self._pending is not None:
            return dict(self._pending)
        slots = {
            r.name: {v.name.removeprefix(f"{r.name}/"): v.numpy() for v in r.held()} for r in self._records.values()
        }
        rate = self._rate if isinstance(self._rate, float) else None
        counts = {"iterations": self.iterations, "micro_steps": self._micro_steps, "swapped": self._swapped}
        return {**counts, "learning_rate": rate, "slots": slots}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue where the optimizer that gave ``state`` stood; before ``build``, when it is built.

        Raises CheckpointError, and changes nothing, when the variables or the slots are not those of the state.
        """
        if not self._records and state.get("slots"):
            self._pending = state
            self.iterations = int(state["iterations"])
            return
        self._check_state(state)
        for record in self._records.values():
            arrays = dict(state["slots"][record.name])
            for slot, name in zip(record.slots, self.slot_names, strict=True):
                slot.assign(tensor(arrays.pop(name), dtype=slot.dtype, device=slot.device))
            for name in ("average", "accumulated"):
                array = arrays.pop(name, None)
                kept = None
                if array is not None:
                    like = record.variable
                    kept = held(tensor(array, dtype=like.dtype, device=like.device), f"{record.name}/{name}")
                setattr(record, name, kept)
        self.iterations, self._micro_steps = int(state["iterations"]), int(state.get("micro_steps", 0))
        self._swapped = bool(state.get("swapped", False))
        if state.get("learning_rate") is not None and isinstance(self._rate, float):
            self._rate = float(state["learning_rate"])

    def _check_state(self, state: Mapping[str, Any]) -> None:
        saved = state.get("slots", {})
        mine = {record.name: record for record in self._records.values()}
        for name in [*mine, *saved]:
            if (name in mine) != (name in saved):
                which = "the checkpoint has no state for" if name in mine else "the optimizer does not train"
                shown = {"checkpoint": f"{len(saved)} variables", "optimizer": f"{len(mine)} variables"}
                hint = "load it into the model it was saved from"
                raise CheckpointError(self.name, f"{which} the variable {name!r}", shown, hint=hint)
        for name, record in mine.items():
            have, want = set(saved[name]) - {"average", "accumulated"}, set(self.slot_names)
            if have != want:
                slots = {"checkpoint": sorted(have), "optimizer": sorted(want)}
                hint = "use the optimizer, with the options, that the checkpoint was made with"
                raise CheckpointError(self.name, f"the slots of {name!r} are others", slots, hint=hint)
            for slot, array in saved[name].items():
                if tuple(np.shape(array)) != record.variable.shape:
                    shapes = {"variable": record.variable.spec, "saved": np.shape(array)}
                    raise CheckpointError(self.name, f"the slot {slot!r} of {name!r} has another shape", shapes)


__all__ = ["Optimizer"]
