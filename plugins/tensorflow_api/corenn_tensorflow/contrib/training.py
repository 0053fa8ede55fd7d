"""``tf.contrib.training``: hyperparameters, a training loop, evaluation, buckets of checkpoints."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from corenn.graph import state
from corenn_tensorflow import missing
from corenn_tensorflow.train.checkpoints import checkpoints_iterator
from corenn_tensorflow.train.global_step import get_or_create_global_step
from corenn_tensorflow.train.monitored import ChiefSessionCreator, MonitoredSession, MonitoredTrainingSession
from corenn_tensorflow.train.small_hooks import FinalOpsHook


class HParams:
    """Hyperparameters as attributes, with a type each: ``HParams(learning_rate=0.1, layers=[10, 20])``."""

    def __init__(self, hparam_def: Any = None, model_structure: Any = None, **kwargs: Any) -> None:
        self.__dict__["_types"] = {}
        self.__dict__["_model_structure"] = model_structure
        for name, value in kwargs.items():
            self.add_hparam(name, value)

    def add_hparam(self, name: str, value: Any) -> None:
        """Add one; its type is that of the value."""
        if getattr(self, name, None) is not None:
            raise ValueError(f"Hyperparameter name is reserved: {name}")
        if isinstance(value, (list, tuple)):
            if not value:
                raise ValueError(f"Multi-valued hyperparameters cannot be empty: {name}")
            self._types[name] = (type(value[0]), True)
        else:
            self._types[name] = (type(value), False)
        self.__dict__[name] = list(value) if isinstance(value, tuple) else value

    def set_hparam(self, name: str, value: Any) -> None:
        """Replace one by a value of its type."""
        kind, many = self._types[name]
        if isinstance(value, (list, tuple)) != many:
            raise ValueError(
                f"Must {'pass a list' if many else 'not pass a list'} for hyperparameter {name}: {value!r}"
            )
        self.__dict__[name] = [_cast(name, kind, v) for v in value] if many else _cast(name, kind, value)

    __setattr__ = set_hparam

    def del_hparam(self, name: str) -> None:
        """Remove one."""
        if name in self._types:
            del self._types[name], self.__dict__[name]

    def parse(self, values: str) -> HParams:
        """Set from text: ``"learning_rate=0.2,layers=[5,6]"``."""
        pattern = re.compile(r"(\w+)(?:\[(\d+)\])?\s*=\s*(?:\[([^\]]*)\]|([^,\[]*))\s*(?:,|$)")
        at = 0
        while at < len(values.rstrip()):
            found = pattern.match(values, at)
            if not found:
                raise ValueError(f"Malformed hyperparameter value: {values[at:]}")
            name, place, listed, one = found.groups()
            if name not in self._types:
                raise ValueError(f"Unknown hyperparameter type for {name}")
            kind, many = self._types[name]
            if place is not None:
                current = list(self.__dict__[name])
                current[int(place)] = _cast(name, kind, one)
                self.__dict__[name] = current
            elif many:
                texts = [t for t in (listed if listed is not None else one or "").split(",") if t.strip()]
                self.__dict__[name] = [_cast(name, kind, t.strip()) for t in texts]
            else:
                self.__dict__[name] = _cast(name, kind, (one or "").strip())
            at = found.end()
        return self

    def override_from_dict(self, values_dict: dict[str, Any]) -> HParams:
        """Set several."""
        for name, value in values_dict.items():
            self.set_hparam(name, value)
        return self

    set_from_map = override_from_dict

    def parse_json(self, values_json: str) -> HParams:
        """Set from JSON."""
        return self.override_from_dict(json.loads(values_json))

    def values(self) -> dict[str, Any]:
        """All, by name."""
        return {name: self.__dict__[name] for name in self._types}

    def to_json(self, indent: Any = None, separators: Any = None, sort_keys: bool = False) -> str:
        """All, in JSON."""
        plain = {k: v for k, v in self.values().items() if not callable(v)}
        return json.dumps(plain, indent=indent, separators=separators, sort_keys=sort_keys)

    def get(self, key: str, default: Any = None) -> Any:
        """One, or a default."""
        return self.__dict__[key] if key in self._types else default

    def __contains__(self, key: object) -> bool:
        return key in self._types

    def __str__(self) -> str:
        return str(sorted(self.values().items()))

    __repr__ = __str__


def _cast(name: str, kind: type, value: Any) -> Any:
    if value is None or kind is type(None):
        return value
    try:
        if kind is bool:
            text = str(value).lower()
            if text not in ("true", "false", "1", "0", "1.0", "0.0"):
                raise ValueError
            return text in ("true", "1", "1.0")
        if kind is int and (isinstance(value, bool) or (isinstance(value, float) and value != int(value))):
            raise ValueError
        if kind is str and not isinstance(value, str):
            raise ValueError
        return value if isinstance(value, kind) else kind(value)
    except (TypeError, ValueError):
        raise ValueError(f"Could not cast hyperparameter '{name}' of type '{kind}' from value {value!r}") from None


def create_train_op(
    total_loss: Any, optimizer: Any, global_step: Any = "default", update_ops: Any = None,
    variables_to_train: Any = None, transform_grads_fn: Any = None, summarize_gradients: bool = False,
    **others: Any,
) -> Any:  # fmt: skip
    """A tensor that, when run, updates the variables and gives the loss."""
    import corenn

    graph = total_loss.graph
    step = get_or_create_global_step(graph) if global_step == "default" else global_step
    pending = graph.get_collection("update_ops") if update_ops is None else list(update_ops)
    with graph.as_default(), graph.control_dependencies(pending):
        loss = corenn.identity(total_loss) if pending else total_loss
    pairs = optimizer.compute_gradients(loss, variables_to_train)
    if transform_grads_fn is not None:
        pairs = transform_grads_fn(pairs)
    update = optimizer.apply_gradients(pairs, global_step=step)
    with graph.as_default(), graph.name_scope("train_op"), graph.control_dependencies([update]):
        made = corenn.identity(loss)
    graph.add_to_collection("train_op", made)
    return made


def add_gradients_summaries(grads_and_vars: Iterable[Any]) -> list[Any]:
    """Histograms of gradients."""
    from corenn_tensorflow.summary import graph_mode

    return [graph_mode.histogram(f"{v.operation.name}_gradient", g) for g, v in grads_and_vars if g is not None]


def train(
    train_op: Any, logdir: Any, master: str = "", is_chief: bool = True, scaffold: Any = None, hooks: Any = None,
    chief_only_hooks: Any = None, save_checkpoint_secs: float = 600, save_summaries_steps: int = 100,
    config: Any = None, max_wait_secs: float = 7200, run_metadata: Any = None,
) -> Any:  # fmt: skip
    """Run ``train_op`` until a hook stops it; the last loss."""
    loss = None
    with MonitoredTrainingSession(
        master, is_chief, checkpoint_dir=logdir, scaffold=scaffold, hooks=hooks, chief_only_hooks=chief_only_hooks,
        save_checkpoint_secs=save_checkpoint_secs, save_summaries_steps=save_summaries_steps, config=config,
    ) as session:  # fmt: skip
        while not session.should_stop():
            loss = session.run(train_op)
    return loss


def evaluate_once(
    checkpoint_path: Any, master: str = "", scaffold: Any = None, eval_ops: Any = None, feed_dict: Any = None,
    final_ops: Any = None, final_ops_feed_dict: Any = None, hooks: Sequence[Any] | None = None, config: Any = None,
) -> Any:  # fmt: skip
    """Run ``eval_ops`` on a checkpoint until the input ends or a hook stops it; the values of ``final_ops``."""
    final = FinalOpsHook(final_ops, final_ops_feed_dict)
    creator = ChiefSessionCreator(scaffold, master, config, checkpoint_filename_with_path=checkpoint_path)
    with MonitoredSession(creator, [*(hooks or ()), final]) as session:
        if eval_ops is not None:
            while not session.should_stop():
                session.run(eval_ops, feed_dict)
    return final.final_ops_values


def get_or_create_eval_step() -> Any:
    """The number of evaluated batches: a local variable."""
    import numpy as np

    from corenn_tensorflow import mode
    from corenn_tensorflow.train.optimizer import graph_variable_class

    graph = mode.default_graph()
    found = graph.get_collection("eval_step")
    if found:
        return found[0]
    return state.variable(graph, np.zeros((), np.int64), full_name="eval_step", trainable=False,
                          collections=[state.LOCAL, "eval_step"], cls=graph_variable_class())  # fmt: skip


__getattr__ = missing.guard(__name__)

__all__ = [
    "HParams", "add_gradients_summaries", "checkpoints_iterator", "create_train_op", "evaluate_once",
    "get_or_create_eval_step", "train",
]  # fmt: skip
