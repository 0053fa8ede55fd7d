"""``Optimizer``: everything about an update that is not the formula.

A step takes the gradients through loss unscaling, accumulation and clipping; then each variable through its update op,
its constraint and its moving average.  What changes from step to step (rate, step number) enters the ops as 0-d
tensors, so that the same plan serves the whole run.
"""

from __future__ import annotations

import copy
import functools
import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.autodiff.tape import GradientTape, recording_tapes
from corenn.device import Device
from corenn.dtypes import DType
from corenn.errors import DTypeError, GraphError, UsageError
from corenn.graph.building import py_function
from corenn.graph.state import GraphVariable
from corenn.graph.tensors import GraphTensor
from corenn.ops.creation import full_like, tensor
from corenn.ops.dispatch import _interpreter, current
from corenn.ops.elementwise import where
from corenn.optimizers import averaging, in_graph, state
from corenn.optimizers.clipping import clip_by_global_norm, clip_by_norm, clip_by_value
from corenn.optimizers.loss_scaling import all_finite, unscaled
from corenn.optimizers.records import Record, StepCount, fitting, held
from corenn.optimizers.settings import Settings
from corenn.tensor import Tensor
from corenn.variable import Variable

Pairs = Iterable[tuple[Tensor | None, Any]]


class Optimizer(Settings):
    """Base of optimizers.

    A subclass names its ``slot_names`` and defines ``update``.  Arguments common to all:

    - ``learning_rate``: a float, or a schedule (or function) of ``iterations``; the property can be set;
    - ``weight_decay``: decoupled: each update first multiplies a variable by ``1 - rate * weight_decay``;
      ``exclude_from_weight_decay``: patterns (``re.search`` in names), variables or layers that are left alone;
    - ``clipnorm`` (each gradient's norm), ``clipvalue`` (each element) or ``global_clipnorm`` (all gradients together);
    - ``use_ema``: keep an exponential moving average of each variable, ``ema_momentum * average + (1 - ema_momentum) *
      variable``, starting at its value after the first update (see ``averaged``); every ``ema_overwrite_frequency``
      updates the variables are set to their averages;
    - ``loss_scale_factor``: gradients are divided by it (``scale_loss`` multiplies the loss); ``"dynamic"``, or a
      ``DynamicLossScale``, adapts it, and leaves out updates whose gradients are not finite;
    - ``gradient_accumulation_steps``: an update is made only on every n-th call, with the mean of n gradients;
    - ``lr_multipliers``: ``{pattern, variable or layer: factor}`` on the learning rate; the first that matches counts
      (``set_lr_multiplier`` changes one later).
    """

    #: Names of the tensors kept for each variable, in the order of ``update``; each starts at ``slot_start(name)``.
    slot_names: tuple[str, ...] = ()

    def _begin(self) -> None:
        """What is there before the first update."""
        self.iterations = 0
        self._micro_steps = 0
        self._records: dict[int, Record] = {}
        self._names: set[str] = set()
        self._numbers: dict[tuple[Hashable, DType, Device], Tensor] = {}
        self._warned = False
        self._swapped = self._ahead = False
        self.settings_version = 0
        #: What is kept in graphs of sessions, by the graph's identity, and of the one an update is being added to.
        self.graph_states: dict[int, in_graph.GraphState] = {}
        self.graph_state: in_graph.GraphState | None = None
        self._pending: Mapping[str, Any] | None = None

    def fresh(self) -> Optimizer:
        """One with the same settings that has made no update yet."""
        made = copy.copy(self)
        made.lr_multipliers = dict(self.lr_multipliers)
        made._begin()
        made.loss_scale_factor = self.loss_scale_factor
        return made

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
    def iterations(self) -> int:
        """The number of updates made; while a function is traced one that summaries ask anew in every run."""
        if _tracing() is not None:
            return StepCount.of(lambda: self._iterations)
        return self._iterations

    @iterations.setter
    def iterations(self, value: int) -> None:
        self._iterations = int(value)

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
            saved, self._pending = self._pending, None
            self.set_state(saved)

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

    @property
    def variables(self) -> list[Variable]:
        """The optimizer's own variables, named ``<variable>/<slot>``: slots, averages, accumulated gradients."""
        return [v for record in self._records.values() for v in record.held()]

    # ---- updating

    def scale_loss(self, loss: Tensor) -> Tensor:
        """The loss to differentiate: multiplied by ``loss_scale``.  ``apply_gradients`` divides the gradients by it."""
        if self._scaling is not None:
            scaling, graph = self._scaling, _tracing()
            dtype = loss.dtype if loss.dtype.itemsize >= 4 else dtypes.float32
            if graph is not None:
                scale: Tensor = graph.host_value(lambda: scaling.value, dtype)
            else:
                scale = tensor(scaling.value, dtype=dtype, device=loss.device)
            return loss * scale
        return loss * self._loss_scale_factor if self._loss_scale_factor is not None else loss

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
        if not self.traceable and _tracing() is not None:
            raise GraphError(
                self.name, "a traced function makes the same update in every run, and this optimizer does not",
                hint="call apply_gradients outside corenn.function, or leave gradient_accumulation_steps and "
                "ema_overwrite_frequency alone",
            )  # fmt: skip
        if any(id(v) not in self._records for _, v in present):
            self.build(v for _, v in present)
        gradients = [fitting(g, v) for g, v in present]
        records = [self._records[id(v)] for _, v in present]
        finite: Tensor | None = None
        self._numbers.clear()
        if self._scaling is not None:
            finite = all_finite(gradients)
            scaling = self._scaling
            name = ("inverse of the loss scale",)
            inverses = [self.number(lambda: 1.0 / scaling.value, r.variable, name) for r in records]
            gradients = [unscaled(g, i) for g, i in zip(gradients, inverses, strict=True)]
            if _tracing() is None:
                ok = bool(finite)
                scaling.note(ok)
                if not ok:
                    return
                finite = None
        elif self._loss_scale_factor is not None:
            gradients = [g * (1.0 / self.loss_scale) for g in gradients]
        if self.gradient_accumulation_steps is not None and self.gradient_accumulation_steps > 1:
            ready = self._accumulate(gradients, records)
            if ready is None:
                return
            gradients, records = ready
        self._step(self.clipped(gradients), records, finite)

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

    def _step(self, gradients: list[Tensor], records: list[Record], finite: Tensor | None = None) -> None:
        """One update; where ``finite`` (while a step is traced) is False, nothing comes of it."""
        self._numbers.clear()
        rates = [self._rate_of(record) for record in records]
        if finite is not None:
            self._step_where(finite, gradients, records, rates)
        else:
            graph = _tracing()
            if graph is None:
                self._advance()
            else:
                graph.host_effect(self._advance)
            for gradient, record, own_rate in zip(gradients, records, rates, strict=True):
                results = self._updated(record, gradient, own_rate)
                variable = record.variable
                variable.assign(results[0])
                for slot, value in zip(record.slots, results[1:], strict=True):
                    slot.assign(value)
                if variable.constraint is not None:
                    variable.assign(variable.constraint(variable.value()))
        if self.use_ema:
            averaging.average(self, records, finite)

    def _step_where(self, finite: Tensor, gradients: list[Tensor], records: list[Record], rates: list[Tensor]) -> None:
        """The updates of a traced step that may have to leave them out; all are computed before the first is kept."""
        self._ahead = True  # whether the update counts is known when the gradients are
        try:
            found = [self._updated(r, g, rate) for g, r, rate in zip(gradients, records, rates, strict=True)]
        finally:
            self._ahead = False
        for record, results in zip(records, found, strict=True):
            variable, new = record.variable, results[0]
            if variable.constraint is not None:
                new = variable.constraint(new)
            variable.assign(where(finite, new, variable))
            for slot, value in zip(record.slots, results[1:], strict=True):
                slot.assign(where(finite, value, slot))
        py_function(self._note, [finite], [])

    def _updated(self, record: Record, gradient: Tensor, rate: Tensor) -> tuple[Tensor, ...]:
        """The new values of a variable and its slots."""
        variable, slots = record.variable, record.slots
        if slots and slots[0].spec.device is not variable.spec.device:
            for own in record.held():  # the variable was moved
                own.move_to(variable.device)
        decay = self.weight_decay or 0.0
        return self.update(variable, gradient, slots, rate, decay if record.decays else 0.0)

    def _rate_of(self, record: Record) -> Tensor:
        return self.rate_for(record.variable, record.factor)

    def rate_for(self, variable: Variable, factor: float) -> Tensor:
        """The learning rate of the update being made, times ``factor``, 0-d."""
        return self.number(lambda: self.learning_rate * factor, variable, ("rate", factor))

    def _advance(self) -> None:
        self.iterations += 1

    def _note(self, finite: Any) -> list[Any]:
        """In a run of a traced step: adapt the loss scale, and count the update if it is made."""
        assert self._scaling is not None  # the step was traced with it
        self._scaling.note(bool(finite))
        if finite:
            self._advance()
        return []

    @property
    def traceable(self) -> bool:
        """Whether every update does the same, so that a traced step can repeat it."""
        return self.gradient_accumulation_steps in (None, 1) and self.ema_overwrite_frequency is None

    def _one_ahead(self, value: Callable[[], float]) -> float:
        """A number as it is when the update being made has been counted."""
        before = int(self.iterations)
        self.iterations = before + 1
        try:
            return value()
        finally:
            self.iterations = before

    def number(self, value: Callable[[], float], variable: Variable, name: tuple[Any, ...]) -> Tensor:
        """A 0-d tensor beside a variable (float32 beside one of 16 bits), made once per step for each ``name``.

        While a step is traced: a tensor that every run of it asks ``value`` for anew.
        """
        dtype = variable.spec.dtype
        if self._ahead and name[0] != "rate":
            value = functools.partial(self._one_ahead, value)
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
        graph = _tracing()
        if graph is not None:
            found = graph.host_value(value, dtype)
        else:
            found = tensor(np.asarray(number, dtype.numpy), device=variable.device)
        self._numbers[key] = found
        return found

    def step_number(self, variable: Variable) -> Tensor:
        """The number of the update being made, from 1, int64 and 0-d, on the variable's device."""
        if self.graph_state is not None:
            return in_graph.step_number(self.graph_state)
        return self.number(lambda: int(self.iterations), variable, ("step",))

    # ---- moving averages

    def swap_averages(self) -> None:
        """Exchange the variables' values and their moving averages; a second call undoes it."""
        averaging.swap(self)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """A block in which the variables hold their moving averages, for evaluation."""
        self.swap_averages()
        try:
            yield
        finally:
            self.swap_averages()

    # ---- state

    def get_state(self) -> dict[str, Any]:
        """What a run needs to continue to the same bits: nested dicts of numbers and NumPy arrays.

        ``{"iterations", "micro_steps", "swapped", "learning_rate", "lr_multipliers": {variable: factor}, "loss_scale",
        "slots": {variable: {slot: array}}}``; averages and accumulated gradients count as slots.  A schedule is part of
        the configuration: its rate is ``None`` here.
        """
        if self._pending is not None:
            return dict(self._pending)
        return state.state_of(self)

    def set_state(self, saved: Mapping[str, Any]) -> None:
        """Continue where the optimizer that gave ``saved`` stood; before ``build``, when it is built.

        Raises CheckpointError, and changes nothing, when the variables or the slots are not those of the state.
        """
        if not self._records and saved.get("slots"):
            self._pending = saved
            self.iterations = int(saved["iterations"])
            return
        state.restore(self, saved)


def _tracing() -> Any:
    """The graph of the function being traced, whose every run is to ask for numbers of the host anew; or ``None``."""
    found = current()
    return found if hasattr(found, "host_value") else None


__all__ = ["Optimizer"]
