"""``slim.evaluation``: a checkpoint evaluated once, or each new one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from corenn.graph.state import group
from corenn_tensorflow import logging, missing, mode
from corenn_tensorflow.functions.flow import no_op
from corenn_tensorflow.session import Session
from corenn_tensorflow.train.coordinator import Coordinator
from corenn_tensorflow.train.global_step import get_global_step
from corenn_tensorflow.train.queues import start_queue_runners
from corenn_tensorflow.train.saver import Saver
from corenn_tensorflow.variables import global_variables_initializer, local_variables_initializer

_DEFAULT: Any = object()


def evaluate_once(
    master: str, checkpoint_path: Any, logdir: Any, num_evals: int = 1, initial_op: Any = None,
    initial_op_feed_dict: Any = None, eval_op: Any = None, eval_op_feed_dict: Any = None, final_op: Any = None,
    final_op_feed_dict: Any = None, summary_op: Any = _DEFAULT, summary_op_feed_dict: Any = None,
    variables_to_restore: Any = None, session_config: Any = None, hooks: Any = None,
) -> Any:  # fmt: skip
    """Restore a checkpoint, run ``eval_op`` ``num_evals`` times, write summaries; the value of ``final_op``."""
    from corenn_tensorflow.functions.running import tables_initializer
    from corenn_tensorflow.summary import FileWriter, merge_all

    graph = mode.default_graph()
    if summary_op is _DEFAULT:
        summary_op = merge_all()
    prepared = [global_variables_initializer(), local_variables_initializer()]
    saver = Saver(variables_to_restore)
    with graph.as_default():
        tables = tables_initializer() if graph.get_collection("table_initializer") else no_op()
        begin = group(graph, *[i for i in _listed(initial_op)]) if initial_op is not None else None
    with Session(graph=graph, config=session_config) as sess:
        sess.run(prepared)
        sess.run(tables)
        saver.restore(sess, checkpoint_path)
        coordinator = Coordinator()
        threads = start_queue_runners(sess, coordinator)
        if begin is not None:
            sess.run(begin, initial_op_feed_dict)
        if eval_op is not None:
            for i in range(int(num_evals)):
                logging.info("Evaluation [%d/%d]", i + 1, num_evals)
                sess.run(eval_op, eval_op_feed_dict)
        if summary_op is not None:
            step = get_global_step(graph)
            writer = FileWriter(logdir, graph)
            writer.add_summary(sess.run(summary_op, summary_op_feed_dict), None if step is None else sess.run(step))
            writer.close()
        found = sess.run(final_op, final_op_feed_dict) if final_op is not None else None
        coordinator.request_stop()
        coordinator.join(threads)
    return found


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def evaluation_loop(
    master: str, checkpoint_dir: Any, logdir: Any, num_evals: int = 1, initial_op: Any = None,
    initial_op_feed_dict: Any = None, init_fn: Callable[..., Any] | None = None, eval_op: Any = None,
    eval_op_feed_dict: Any = None, final_op: Any = None, final_op_feed_dict: Any = None, summary_op: Any = _DEFAULT,
    summary_op_feed_dict: Any = None, variables_to_restore: Any = None, eval_interval_secs: float = 60,
    max_number_of_evaluations: int | None = None, session_config: Any = None, timeout: float | None = None,
    timeout_fn: Any = None, hooks: Any = None,
) -> Any:  # fmt: skip
    """``evaluate_once`` for each new checkpoint of a directory; the last value of ``final_op``."""
    from corenn_tensorflow.train.checkpoints import checkpoints_iterator

    found = None
    if max_number_of_evaluations == 0:
        return None
    for count, path in enumerate(checkpoints_iterator(checkpoint_dir, eval_interval_secs, timeout), 1):
        found = evaluate_once(
            master, path, logdir, num_evals, initial_op, initial_op_feed_dict, eval_op, eval_op_feed_dict, final_op,
            final_op_feed_dict, summary_op, summary_op_feed_dict, variables_to_restore, session_config, hooks,
        )  # fmt: skip
        if max_number_of_evaluations is not None and count >= max_number_of_evaluations:
            break
    return found


__getattr__ = missing.guard(__name__)

__all__ = ["evaluate_once", "evaluation_loop"]
