"""Monitored sessions, hooks, coordinators, supervisors, clusters."""

from __future__ import annotations

import logging
import threading

import numpy as np
import pytest


@pytest.fixture
def closed():
    """Event files that hooks share are closed at the end."""
    yield
    from corenn_tensorflow.summary import FileWriterCache

    FileWriterCache.clear()


def network(tf):
    w = tf.get_variable("w", initializer=[1.0, -1.0])
    loss = tf.reduce_sum(tf.square(w), name="loss")
    tf.summary.scalar("loss", loss)
    step = tf.train.get_or_create_global_step()
    return loss, step, tf.train.GradientDescentOptimizer(0.01).minimize(loss, global_step=step)


class Recorder:
    """Remembers what a hook is called for."""

    def __new__(cls, tf, fetches=None, feed=None):
        class Hook(tf.train.SessionRunHook):
            def __init__(self):
                self.calls, self.results = [], []

            def begin(self):
                self.calls.append("begin")

            def after_create_session(self, session, coord):
                self.calls.append("created")

            def before_run(self, run_context):
                return None if fetches is None else tf.train.SessionRunArgs(fetches, feed)

            def after_run(self, run_context, run_values):
                self.calls.append("run")
                self.results.append(run_values.results)

            def end(self, session):
                self.calls.append("end")

        return Hook()


def test_training_goes_on_where_it_stopped(tf1, tmp_path, closed):
    steps = []
    for last in (30, 50):
        with tf1.Graph().as_default():
            loss, _step, train = network(tf1)
            hooks = [tf1.train.StopAtStepHook(last_step=last), tf1.train.NanTensorHook(loss)]
            with tf1.train.MonitoredTrainingSession(
                checkpoint_dir=str(tmp_path), hooks=hooks, save_checkpoint_secs=None, save_checkpoint_steps=20,
                save_summaries_steps=10, log_step_count_steps=10,
            ) as session:  # fmt: skip
                count = 0
                while not session.should_stop():
                    session.run(train)
                    count += 1
            steps.append(count)
    assert steps == [30, 20]
    assert tf1.train.latest_checkpoint(str(tmp_path)).endswith("model.ckpt-50")
    tags = {}
    for path in tmp_path.glob("events*"):
        for event in tf1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                tags.setdefault(value.tag, []).append(event.step)
    assert set(tags) == {"loss_1", "global_step/sec"}
    assert sorted(tags["loss_1"]) == [1, 11, 21, 31, 41]


def test_what_a_hook_sees(tf1):
    loss, step, train = network(tf1)
    hook = Recorder(tf1, {"loss": loss, "step": step})
    with tf1.train.SingularMonitoredSession(hooks=[hook]) as session:
        session.run(train)
        assert session.run({"again": loss})["again"] < 2.0
        assert session.raw_session().graph is tf1.get_default_graph()
    assert hook.calls == ["begin", "created", "run", "run", "end"]
    assert hook.results[0]["loss"] == 2.0 and hook.results[1]["step"] == 1
    assert session.should_stop()


def test_a_hook_may_feed(tf1):
    x = tf1.placeholder(tf1.float32, [])
    y = x * 2.0
    with tf1.train.MonitoredSession(hooks=[tf1.train.FeedFnHook(lambda: {x: 3.0})]) as session:
        assert session.run(y) == 6.0
        with pytest.raises(RuntimeError, match="fed by a SessionRunHook and user"):
            session.run(y, {x: 1.0})


def test_the_graph_is_closed(tf1):
    network(tf1)
    with tf1.train.MonitoredSession(), pytest.raises(RuntimeError, match="finalized"):
        tf1.constant(1.0)


def test_the_end_of_the_input_ends_the_loop(tf1):
    with tf1.train.MonitoredSession() as session:
        raise tf1.errors.OutOfRangeError(None, None, "End of sequence")
    assert session.should_stop()
    hook = Recorder(tf1)
    tf1.reset_default_graph()
    with pytest.raises(ZeroDivisionError), tf1.train.MonitoredSession(hooks=[hook]):
        raise ZeroDivisionError
    assert hook.calls == ["begin", "created"]  # no end after an error


def test_stopping(tf1):
    _, _, train = network(tf1)
    with tf1.train.MonitoredSession(hooks=[tf1.train.StopAtStepHook(num_steps=2)]) as session:
        session.run(train)
        session.run(train)
        assert session.should_stop()
        with pytest.raises(RuntimeError, match="Run called even after should_stop requested"):
            session.run(train)


@pytest.mark.parametrize("fails", [True, False])
def test_nan(tf1, fails):
    x = tf1.placeholder(tf1.float32, [])
    with tf1.train.MonitoredSession(hooks=[tf1.train.NanTensorHook(x, fail_on_nan_loss=fails)]) as session:
        session.run(x, {x: 1.0})
        if fails:
            with pytest.raises(tf1.train.NanLossDuringTrainingError, match="NaN loss during training"):
                session.run(x, {x: np.nan})
        else:
            session.run(x, {x: np.nan})
            assert session.should_stop()


def test_logging(tf1, caplog, monkeypatch):
    logger = logging.getLogger("tensorflow")
    monkeypatch.setattr(logger, "propagate", True)
    caplog.set_level(logging.INFO, logger="tensorflow")
    loss, step, train = network(tf1)
    hook = tf1.train.LoggingTensorHook({"loss": loss, "step": step}, every_n_iter=2, at_end=True)
    with tf1.train.MonitoredSession(hooks=[hook]) as session:
        for _ in range(4):
            session.run(train)
    lines = [r.getMessage() for r in caplog.records if "loss" in r.getMessage()]
    assert len(lines) == 3 and lines[0] == "loss = 2.0, step = 0" and "step = 4" in lines[2]


def test_final_values_and_local_variables(tf1):
    _loss, _, train = network(tf1)
    seen = tf1.Variable(0, collections=[tf1.GraphKeys.LOCAL_VARIABLES], trainable=False)
    count = seen.assign_add(1)
    final = tf1.train.FinalOpsHook({"seen": seen.value()})
    with tf1.train.MonitoredSession(hooks=[final]) as session:
        for _ in range(3):
            session.run([train, count])
    assert final.final_ops_values == {"seen": 3}


def test_step_functions(tf1):
    loss, _, train = network(tf1)

    def step_fn(step_context):
        step_context.session.run(train)
        if step_context.run_with_hooks(loss) < 1.9:
            step_context.request_stop()

    with tf1.train.MonitoredSession() as session:
        count = 0
        while not session.should_stop():
            session.run_step_fn(step_fn)
            count += 1
    assert count == 2


def test_an_uninitialised_model_is_named(tf1):
    v = tf1.Variable(1.0, name="alone")
    scaffold = tf1.train.Scaffold(init_op=tf1.no_op())
    with pytest.raises(RuntimeError, match="Variables not initialized: alone"):
        tf1.train.MonitoredSession(tf1.train.ChiefSessionCreator(scaffold))
    assert v is not None


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "One of num_steps or last_step"),
        ({"num_steps": 1, "last_step": 1}, "Only one of num_steps or last_step"),
    ],
)
def test_arguments(tf1, options, text):
    with pytest.raises(ValueError, match=text):
        tf1.train.StopAtStepHook(**options)


def test_timer(tf1):
    timer = tf1.train.SecondOrStepTimer(every_steps=3)
    found = []
    for step in range(1, 9):
        if timer.should_trigger_for_step(step):
            timer.update_last_triggered_step(step)
            found.append(step)
    assert found == [1, 4, 7] and timer.last_triggered_step() == 7


def test_coordinator_raises_what_a_thread_raised(tf1):
    coord = tf1.train.Coordinator()

    def work():
        with coord.stop_on_exception():
            raise KeyError("inside")

    thread = threading.Thread(target=work)
    thread.start()
    with pytest.raises(KeyError, match="inside"):
        coord.join([thread])
    assert coord.should_stop()


def test_looper(tf1):
    coord, calls = tf1.train.Coordinator(), []

    def work():
        calls.append(1)
        if len(calls) == 3:
            coord.request_stop()

    tf1.train.LooperThread.loop(coord, 0.001, work)
    coord.join()
    assert len(calls) == 3


def test_supervisor(tf1, tmp_path):
    _, _step, train = network(tf1)
    supervisor = tf1.train.Supervisor(logdir=str(tmp_path))
    with supervisor.managed_session() as session:
        for _ in range(3):
            session.run(train)
        assert not supervisor.should_stop()
    assert tf1.train.latest_checkpoint(str(tmp_path)).endswith("model.ckpt-3")


def test_clusters(tf1):
    spec = tf1.train.ClusterSpec({"worker": ["a:1", "b:1"], "ps": ["c:1"]})
    assert (
        spec.num_tasks("worker") == 2 and spec.task_address("ps", 0) == "c:1" and sorted(spec.jobs) == ["ps", "worker"]
    )
    assert tf1.train.replica_device_setter() is None
    server = tf1.train.Server.create_local_server()
    v = tf1.Variable(2.0)
    with tf1.Session(server.target) as session:
        session.run(v.initializer)
        assert session.run(v) == 2.0
    with pytest.raises(ValueError, match="3 tasks, and corenn runs in one process"):
        tf1.train.Server(spec, job_name="worker", task_index=0)


def test_global_step(tf1):
    assert tf1.train.get_global_step() is None
    step = tf1.train.create_global_step()
    assert step is tf1.train.get_or_create_global_step() is tf1.train.get_global_step()
    assert step.op.name == "global_step" and step.dtype == tf1.int64
    with pytest.raises(ValueError, match='"global_step" already exists'):
        tf1.train.create_global_step()
