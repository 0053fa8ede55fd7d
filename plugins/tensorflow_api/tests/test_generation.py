"""Which TensorFlow a script was written for."""

from __future__ import annotations

from textwrap import dedent

import pytest
from corenn_tensorflow.generation import generation_of

ONE = {
    "placeholder": "import tensorflow as tf\nx = tf.placeholder(tf.float32)",
    "session": "import tensorflow as tf\nwith tf.Session() as s: pass",
    "another name": "import tensorflow as flow\nflow.get_variable('x', [])",
    "no name": "import tensorflow\ntensorflow.placeholder('float')",
    "from import": "from tensorflow import placeholder as p\np('float')",
    "contrib module": "from tensorflow.contrib.layers.python.layers import initializers",
    "contrib attribute": "import tensorflow as tf\ntf.contrib.layers.xavier_initializer()",
    "optimizer": "import tensorflow as tf\ntf.train.AdamOptimizer()",
    "layers": "import tensorflow as tf\ntf.layers.dense(x, 3)",
    "flags": "import tensorflow as tf\ntf.app.run()",
    "tutorial": "from tensorflow.examples.tutorials.mnist import input_data",
    "old names": "import tensorflow as tf\ntf.random_normal([3])",
    "keras session": "from keras import backend as K\nK.set_session(None)",
    "keras gradients": "from keras import backend as K\nK.gradients(1, [2])",
    "tf.keras session": "import tensorflow as tf\ntf.keras.backend.get_session()",
    "eager in 1": "import tensorflow as tf\ntf.enable_eager_execution()\nw = tf.contrib.eager.Variable(3.0)",
    "tfe": "import tensorflow.contrib.eager as tfe\ntfe.enable_eager_execution()",
    "graph wins over tape": "import tensorflow as tf\ntf.Session()\ntf.GradientTape()",
    "inside a function": "def f():\n    import tensorflow as tf\n    return tf.placeholder('float')",
}

TWO = {
    "keras": "import tensorflow as tf\nm = tf.keras.Sequential([tf.keras.layers.Dense(1)])",
    "keras layers": "from tensorflow.keras import layers\nlayers.Dense(3)",
    "tape": "import tensorflow as tf\nwith tf.GradientTape() as t: pass",
    "function": "import tensorflow as tf\n@tf.function\ndef f(x): return tf.random_normal([3])",
    "the months between": "import tensorflow as tf\no = tf.keras.optimizers.Adam()\ntf.random_normal([3])",
    "compat": "import tensorflow.compat.v1 as tf\ntf.disable_v2_behavior()\ntf.placeholder('float')",
    "no tensorflow": "class tf:\n    placeholder = 3\ntf.placeholder",
    "a comment": "# tf.placeholder\nimport tensorflow as tf\nprint('tf.Session()')",
    "plain math": "import tensorflow as tf\ntf.reduce_mean(tf.matmul(a, b))",
    "losses of both": "import tensorflow as tf\ntf.losses.mean_squared_error(a, b)",
    "does not parse": "import tensorflow as tf\ntf.placeholder(",
    "empty": "",
}


@pytest.mark.parametrize("source", ONE.values(), ids=ONE)
def test_generation_1(source):
    verdict = generation_of(source)
    assert verdict.generation == 1 and verdict.because


@pytest.mark.parametrize("source", TWO.values(), ids=TWO)
def test_generation_2(source):
    assert generation_of(source).generation == 2


def test_modules_beside_the_script_count(tmp_path):
    (tmp_path / "net").mkdir()
    (tmp_path / "net/__init__.py").write_text("from net import inner\n")
    (tmp_path / "net/inner.py").write_text("import net, tensorflow as tf\nx = tf.placeholder('float')\n")
    (tmp_path / "other.py").write_text("import tensorflow as tf\nx = tf.placeholder('float')\n")
    script = dedent("""
        import os, tensorflow as tf
        from net import inner
    """)
    assert generation_of(script, tmp_path).because == ("placeholder",)
    assert generation_of("import tensorflow as tf\nimport os", tmp_path).generation == 2
    assert generation_of("import other", tmp_path).generation == 1
