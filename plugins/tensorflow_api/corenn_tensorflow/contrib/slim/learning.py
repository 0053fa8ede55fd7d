"""``slim.learning``: a training operation that gives the loss, and a loop that runs it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from typing import Any

from corenn.ops.elementwise import identity
from corenn_tensorflow.framework import GraphKeys
from corenn_tensorflow.mode import default_graph
from corenn_tensorflow.variables import global_variables_initializer, local_variables_initializer

_log = logging.getLogger("tensorflow")
_USE_GLOBAL_STEP = 0


def clip_gradient_norms(gradients_to_variables: Any, max_norm: float) -> list[Any]:
    """Each gradient scaled down to a norm of at most ``max_norm``."""
    from corenn_tensorflow.functions.differentiating import clip_by_norm

    return [(g if g is None else clip_by_norm(g, max_norm), v) for g, v in gradients_to_variables]


def multiply_gradients(grads_and_vars: Any, gradient_multipliers: dict[Any, float]) -> list[Any]:
    """Each gradient times the number given for its variable (by the variable or its name)."""
    return [(g * gradient_multipliers.get(v, gradient_multipliers.get(v.op.name, 1.0)), v) for g, v in grads_and_vars]


def create_train_op(
    total_loss: Any, optimizer: Any, global_step: Any = _USE_GLOBAL_STEP, update_ops: Any = None,
    variables_to_train: Any = None, transform_grads_fn: Callable[[Any], Any] | None = None,
    summarize_gradients: bool = False, gate_gradients: Any = None, aggregation_method: Any = None,
    colocate_gradients_with_ops: bool = False, check_numerics: bool = True, clip_gradient_norm: float = 0,
    gradient_multipliers: dict[Any, float] | None = None,
) -> Any:  # fmt: skip
    """An operation that updates the variables and gives the loss; it waits for the collected updates."""
    from corenn_tensorflow import train

    graph = default_graph()
    step = train.get_or_create_global_step() if isinstance(global_step, int) else global_step
    updates = graph.get_collection(GraphKeys.UPDATE_OPS) if update_ops is None else list(update_ops)
    with graph.as_default():
        if updates:
            with graph.control_dependencies(updates):
                total_loss = identity(total_loss)
        pairs = optimizer.compute_gradients(total_loss, variables_to_train)
        pairs = [(g, v) for g, v in pairs if g is not None]
        if gradient_multipliers:
            pairs = multiply_gradients(pairs, gradient_multipliers)
        if clip_gradient_norm > 0:
            pairs = clip_gradient_norms(pairs, clip_gradient_norm)
        if transform_grads_fn is not None:
            pairs = transform_grads_fn(pairs)
        update = optimizer.apply_gradients(pairs, global_step=step)
        with graph.control_dependencies([update]):
            made = identity(total_loss)
    graph.add_to_collection(GraphKeys.TRAIN_OP, made)
    return made


def train_step(sess: Any, train_op: Any, global_step: Any, train_step_kwargs: Any) -> tuple[Any, bool]:
    """One step: the loss, and whether to stop."""
    start = time.time()
    loss = sess.run(train_op)
    number = sess.run(global_step)  # apart, so that it counts this step
    limit = (train_step_kwargs or {}).get("number_of_steps")
    every = (train_step_kwargs or {}).get("log_every_n_steps") or 0
    if every and number % every == 0:
        _log.info("global step %d: loss = %.4f (%.3f sec/step)", number, loss, time.time() - start)
    return loss, limit is not None and number >= limit


def train(
    train_op: Any, logdir: str | None, train_step_fn: Callable[..., Any] = train_step, train_step_kwargs: Any = None,
    log_every_n_steps: int = 1, graph: Any = None, master: str = "", is_chief: bool = True, global_step: Any = None,
    number_of_steps: int | None = None, init_op: Any = None, init_feed_dict: Any = None, local_init_op: Any = None,
    init_fn: Callable[[Any], Any] | None = None, ready_op: Any = None, summary_op: Any = None,
    save_summaries_secs: int = 600, summary_writer: Any = None, startup_delay_steps: int = 0, saver: Any = None,
    save_interval_secs: int = 600, **other: Any,
) -> Any:  # fmt: skip
    """Run ``train_op`` until ``number_of_steps``; the last loss.  Continues from the last checkpoint in ``logdir``."""
    from corenn_tensorflow import train as training
    from corenn_tensorflow.session import Session

    home = graph or default_graph()
    with home.as_default():
        step = global_step if global_step is not None else training.get_or_create_global_step()
        begin = init_op if init_op is not None else global_variables_initializer()
        begin_local = local_init_op if local_init_op is not None else local_variables_initializer()
        keeper = saver if saver is not None else training.Saver()
        settings = {
            "number_of_steps": number_of_steps,
            "log_every_n_steps": log_every_n_steps,
            **(train_step_kwargs or {}),
        }
        path = os.path.join(logdir, "model.ckpt") if logdir else None
        with Session(graph=home) as session:
            session.run(begin, feed_dict=init_feed_dict)
            session.run(begin_local)
            latest = training.latest_checkpoint(logdir) if logdir else None
            if latest is not None:
                keeper.restore(session, latest)
            elif init_fn is not None:
                init_fn(session)
            coordinator = training.Coordinator()
            threads = training.start_queue_runners(sess=session, coord=coordinator)
            loss, stop, saved = None, False, time.time()
            while not stop:
                loss, stop = train_step_fn(session, train_op, step, settings)
                if path and time.time() - saved > save_interval_secs:
                    keeper.save(session, path, global_step=step)
                    saved = time.time()
            if path:
                os.makedirs(logdir or ".", exist_ok=True)
                keeper.save(session, path, global_step=step)
            coordinator.request_stop()
            coordinator.join(threads)
            return loss


__all__ = ["clip_gradient_norms", "create_train_op", "multiply_gradients", "train", "train_step"]
