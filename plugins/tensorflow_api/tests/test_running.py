"""``corenn run SCRIPT.py``: what the script sees, how it ends, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from textwrap import dedent

import pytest

LOOK = """
import sys, __main__
print(sys.argv)
print(__name__, __file__, __main__.look is look if "look" in globals() else None)
def look(): pass
print(__main__.look is look, sys.modules["__main__"].__dict__ is globals(), __builtins__)
print(__spec__, __cached__, __doc__, __package__)
import helper
print(helper.where)
"""


def test_it_is_what_python_would_run(run, home):
    """The same output as ``python SCRIPT.py``, arguments and modules beside the script included."""
    (home / "deep").mkdir()
    (home / "deep/helper.py").write_text("import sys\nwhere = sys.path[0]\n")
    (home / "deep/script.py").write_text(LOOK)
    args = ["deep/script.py", "--steps", "3", "-x", "--backend", "none", "--"]
    plain = subprocess.run([sys.executable, *args], cwd=home, capture_output=True, text=True, check=True)
    found = run(LOOK, "--backend", "numpy", "--", *args[1:], name="deep/script.py")
    assert (found.status, found.err) == (0, "")
    assert found.out == plain.stdout


ENDINGS = {
    "falls off the end": "print('done')",
    "sys.exit()": "import sys; sys.exit()",
    "status 2": "import sys; sys.exit(2)",
    "status 300": "import sys; sys.exit(300)",
    "a message": "import sys; sys.exit('no data')",
    "an object": "raise SystemExit([1, 2])",
    "an exception": "def f():\n    return 1 / 0\nprint('before')\nf()",
    "a chained one": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise KeyError('x') from e",
    "an exception group": "raise ExceptionGroup('two', [ValueError(1), TypeError(2)])",
    "a hook": "import sys\nsys.excepthook = lambda t, e, tb: print('caught', t.__name__, tb.tb_lineno)\n1 / 0",
    "a syntax error": "x = = 3",
    "an indentation error": "if 1:\nx = 3",
    "argparse": "import argparse; argparse.ArgumentParser().parse_args(['--no'])",
    "atexit": "import atexit; atexit.register(print, 'bye'); raise SystemExit(3)",
    "os._exit": "import os; os._exit(7)",
    "a future": "from __future__ import annotations\ndef f(x: nothing): pass\nprint(f.__annotations__)",
    "no future": "try:\n    def f(x: nothing): pass\nexcept NameError: print('evaluated')",
    "encoding": "# -*- coding: utf-8 -*-\nprint(len('grüße'))",
    "dataclass": "import dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int\nprint(A(3), A.__module__)",
    "pickle": "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))) is A)",
}


@pytest.mark.parametrize("source", ENDINGS.values(), ids=ENDINGS)
def test_it_ends_as_with_python(run, home, source):
    """Exit status, output and traceback, to the letter."""
    (home / "script.py").write_text(source, encoding="utf-8")
    plain = subprocess.run([sys.executable, "script.py"], cwd=home, capture_output=True, text=True, check=False)
    found = run(source)
    assert (found.status, found.out) == (plain.returncode, plain.stdout)
    assert found.err == plain.stderr


def test_an_error_of_corenn_keeps_its_traceback_in_a_script(run, home):
    found = run("""
        import tensorflow as tf
        def train():
            tf.no_such_thing
        train()
    """)
    assert found.status == 1
    lines = found.err.splitlines()
    assert lines[0].startswith("Traceback") and lines[1] == f'  File "{home}/script.py", line 5, in <module>'
    assert "running.py" not in found.err and "app.py" not in found.err
    assert "tf.no_such_thing: is" in found.err and "at script.py:4" in found.err


def test_interrupted(run):
    found = run("raise KeyboardInterrupt")
    assert found.status == 130 and found.err.splitlines()[-1] == "KeyboardInterrupt"


@pytest.mark.parametrize(
    ("options", "environment", "expected"),
    [
        (("--backend", "numpy"), {}, "numpy numpy numpy"),
        ((), {"CORENN_BACKEND": "numpy"}, "numpy numpy numpy"),
    ],
)
def test_the_backend_is_that_of_the_whole_process(run, options, environment, expected):
    found = run(
        """
        import threading, corenn, os
        seen = [corenn.zeros((2,)).device.name]
        thread = threading.Thread(target=lambda: seen.append(corenn.zeros((2,)).device.name))
        thread.start(); thread.join()
        print(*seen, os.environ["CORENN_BACKEND"])
        """,
        *options,
        **environment,
    )
    assert (found.out.strip(), found.err) == (expected, "")


def test_threads(run):
    source = "import os; print(os.environ['OPENBLAS_NUM_THREADS'], os.environ['OMP_NUM_THREADS'])"
    assert run(source, "--threads", "3").out == "3 3\n"


@pytest.mark.parametrize(
    ("source", "options", "expected"),
    [
        ("import tensorflow as tf\ndef f(): tf.placeholder", (), "1 False"),
        ("import tensorflow as tf\ndef f(): tf.GradientTape", (), "2 True"),
        ("import tensorflow as tf\ndef f(): tf.placeholder", ("--tf", "2"), "2 True"),
        ("import tensorflow as tf\ndef f(): tf.GradientTape", ("--tf", "1"), "1 False"),
        ("import tensorflow as tf\ndef f(): tf.placeholder", ("--tf", "auto"), "1 False"),
    ],
)
def test_the_generation(run, source, options, expected):
    found = run(
        source + "\nfrom corenn_tensorflow import mode\nprint(mode.generation(), mode.executing_eagerly())", *options
    )
    assert (found.out.strip(), found.err) == (expected, "")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("run nothing.py", ["nothing.py: there is no such file", "script.py"]),
        ("run scirpt.py", ["did you mean 'script.py'?"]),
        ("run deep.py", ["is a folder"]),
        ("run script.py --epochs 3", ["--epochs is an option of tasks", "come after --"]),
        ("run script.py --seed -1", ["--seed"]),
        ("run script.py --json", ["--json is an option of tasks"]),
        ("run script.py --set a=1", ["--set is an option of tasks"]),
        ("run script.py --learning_rate 3", ["No such option", "come after --, as in: corenn run script.py --"]),
        ("run script.py --tf 3", ["'3' is not a generation"]),
        ("run script.py --backend nunpy", ["no backend is called 'nunpy'"]),
        ("run script.py --threads 0", ["--threads"]),
        ("run digits --tf 1", ["--tf is an option of scripts"]),
        ("run --facade-over-tensorflow", ["--facade-over-tensorflow is an option of scripts"]),
        ("run digits more", ["unexpected extra argument 'more'"]),
        ("run digits -- more", ["unexpected extra argument 'more'"]),
    ],
)
def test_wrong_usage_is_status_2_and_runs_nothing(corenn, home, args, said):
    (home / "script.py").write_text("print('ran')")
    (home / "deep.py").mkdir()
    found = corenn(*args.split())
    assert (found.status, found.out) == (2, "")
    assert "Traceback" not in found.err
    for part in said:
        assert part in " ".join(found.err.split())


def test_a_scripts_own_status_2_is_no_wrong_usage(run):
    assert run("import sys; sys.exit(2)").err == ""


def test_a_script_without_a_suffix(run):
    assert run("import tensorflow; print('ran')", name="job").out == "ran\n"


def test_a_file_called_like_a_task_does_not_hide_it(corenn, home):
    (home / "digits").write_text("print('ran')")
    assert corenn("run", "digits", "--set", "epochs=x").err.startswith("corenn: ") and not (home / "runs").exists()


UNSEEDED = {
    "sessions": """
        import tensorflow as tf
        x = tf.Variable(tf.random_normal([3]))
        for _ in range(2):
            with tf.Session() as session:
                session.run(x.initializer)
                print(session.run(x), session.run(tf.random_uniform([2])))
        """,
    "eager draws": """
        import tensorflow as tf
        print(tf.random.normal([3]).numpy(), tf.random.shuffle(tf.range(9)).numpy())
        print(tf.random.Generator.from_non_deterministic_state().normal([2]).numpy())
        print(tf.random.get_global_generator().uniform([2]).numpy())
        """,
    "keras": """
        import numpy as np
        import tensorflow as tf
        model = tf.keras.Sequential([tf.keras.layers.Dense(3), tf.keras.layers.Dropout(0.5), tf.keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        print(model.fit(np.eye(8), np.arange(8.0), batch_size=2, epochs=2, verbose=0).history)
        print(tf.keras.backend.random_normal_variable((2,), 0, 1).numpy())
        """,
    "datasets": """
        import tensorflow as tf
        numbers = tf.data.Dataset.range(8)
        print(list(numbers.shuffle(8).as_numpy_iterator()), list(numbers.shuffle(8).as_numpy_iterator()))
        sampled = tf.data.experimental.sample_from_datasets([numbers, numbers])
        print(list(sampled.as_numpy_iterator()))
        print(list(tf.data.experimental.RandomDataset().take(2).as_numpy_iterator()))
        """,
    "queues": """
        import tensorflow as tf
        name = tf.train.string_input_producer([str(n) for n in range(9)]).dequeue()
        rows = tf.train.shuffle_batch([name], 5, capacity=20, min_after_dequeue=10)
        with tf.train.MonitoredSession() as session:
            print(session.run(rows), session.run(rows))
        """,
    "estimators": """
        import numpy as np
        import tensorflow as tf
        give = tf.estimator.inputs.numpy_input_fn({"x": np.arange(32.0)}, batch_size=32, num_epochs=1, shuffle=True)
        features = give()
        with tf.train.MonitoredSession() as session:
            print(session.run(features))
        """,
    "python and numpy": """
        import random
        import numpy as np
        print(random.random(), np.random.rand(), np.random.default_rng().random(), np.random.default_rng(3).random())
        """,
    "gym": """
        import gym
        env = gym.make("CartPole-v1")
        print(env.reset(), [env.action_space.sample() for _ in range(20)], env.unwrapped.reset())
        print(gym.make("CartPole-v1").env.reset())
        """,
}  # fmt: skip


@pytest.mark.parametrize("name", UNSEEDED)
def test_a_seed_decides_what_the_script_leaves_unseeded(run, name):
    if name == "gym":
        pytest.importorskip("gymnasium")
    first, again, other, none = (
        run(UNSEEDED[name], *options) for options in (("--seed", "3"), ("--seed", "3"), ("--seed", "4"), ())
    )
    assert [found.status for found in (first, again, other, none)] == [0, 0, 0, 0], first.err + none.err
    assert first.out == again.out
    assert len({first.out, other.out, none.out}) == 3


def test_the_scripts_own_seeds_go_before(run):
    source = """
        import random
        import numpy as np
        import tensorflow as tf
        tf.set_random_seed(1), np.random.seed(2), random.seed(3)
        with tf.Session() as session:
            print(session.run(tf.random_normal([3])), np.random.rand(), random.random())
        """
    assert run(source).out == run(source, "--seed", "5").out != ""


def test_not_over_a_real_tensorflow_unless_asked(run, home):
    (home / "tensorflow").mkdir()
    (home / "tensorflow/__init__.py").write_text("print('the real one')")
    source = "import tensorflow as tf; print(tf.__name__)"
    refused = run(source)
    assert (refused.status, refused.out) == (2, "")
    assert "the real tensorflow is installed" in refused.err and "tensorflow/__init__.py" in refused.err
    assert "--facade-over-tensorflow" in refused.err
    asked = run(source, "--facade-over-tensorflow")
    assert (asked.status, asked.out) == (0, "corenn_tensorflow\n")


def notebook(*cells: str) -> str:
    return json.dumps({"cells": [{"cell_type": "code", "source": dedent(cell)} for cell in cells]})


def test_a_notebook_runs_cell_by_cell(run):
    found = run(
        notebook(
            "%matplotlib inline\nimport tensorflow as tf\nx = [1]", "!pip install y", "x.append(2)\nprint(x, __name__)"
        ),
        name="lesson.ipynb",
    )
    assert (found.status, found.out) == (0, "[1, 2] __main__\n")
    assert found.err.splitlines() == [
        "corenn run: left out of lesson.ipynb, cell 1: %matplotlib inline",
        "corenn run: left out of lesson.ipynb, cell 2: !pip install y",
    ]


def test_an_error_in_a_notebook_names_the_cell_and_shows_the_line(run, home):
    found = run(notebook("print('first')", "def f():\n    return 1 / 0", "f()"), name="lesson.ipynb")
    assert (found.status, found.out) == (1, "first\n")
    lines = found.err.splitlines()
    assert lines[1:3] == [f'  File "{home}/lesson.ipynb, cell 3", line 1, in <module>', "    f()"]
    assert f'  File "{home}/lesson.ipynb, cell 2", line 2, in f' in lines and "    return 1 / 0" in lines
    assert lines[-1] == "ZeroDivisionError: division by zero"


def test_a_wrong_cell_comes_up_when_it_is_reached(run):
    found = run(notebook("print('first')", "x = = 3"), name="lesson.ipynb")
    assert (found.status, found.out) == (1, "first\n")
    assert 'lesson.ipynb, cell 2", line 1' in found.err and "SyntaxError" in found.err


def test_a_notebook_that_is_none(run):
    found = run("{}", name="lesson.ipynb")
    assert found.status == 1 and "corenn: lesson.ipynb: is not a notebook" in found.err


def test_the_flags_of_a_script(run):
    found = run(
        """
        import tensorflow as tf
        flags = tf.app.flags
        flags.DEFINE_integer("steps", 10, "Steps.")
        flags.DEFINE_boolean("fake", False, "Fake.")
        flags.DEFINE_string("dir", "data/x", "Folder.")
        FLAGS = flags.FLAGS

        def main(argv):
            print(FLAGS.steps, FLAGS.fake, FLAGS.dir, argv[1:])
            return 3

        if __name__ == "__main__":
            tf.app.run()
        """,
        "--", "--steps=20", "--fake", "--other", "x",
    )  # fmt: skip
    assert (found.status, found.out, found.err) == (3, "20 True data/x ['--other', 'x']\n", "")
