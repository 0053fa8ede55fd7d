"""Names that NumPy has dropped, in scripts."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

SCRIPT = """
import numpy as np
import tensorflow as tf
a = np.arange(6)
assert np.reshape(a, newshape=[2, -1]).shape == (2, 3) == np.reshape(a, (2, 3)).shape
assert np.reshape(a, newshape=(3, 2), order="F")[1, 0] == 1 and np.reshape(a, [3, 2])[1, 0] == 2
assert np.zeros(2, np.float).dtype == np.float_ == np.float64 and np.zeros(2, np.int).dtype.kind == "i"
assert np.array([1, "a"], np.object).dtype == object and isinstance("a", np.str)
assert np.isnan(np.NaN) and np.Inf == -np.NINF == float("inf") and 1 / np.float64(2) == 0.5
assert np.product([2, 3]) == 6 and np.alltrue([1, 1]) and not np.sometrue([0, 0]) and np.rank(np.eye(2)) == 2
assert np.asscalar(np.array([2.5])) == 2.5 and np.cast["int32"]([1.5]).dtype == np.int32
assert np.asfarray([1, 2]).dtype == np.float64 and list(np.in1d([1, 2], [2])) == [False, True]
assert np.msort(np.array([[2, 1], [1, 2]])).tolist() == [[1, 1], [2, 2]] and np.trapz([1, 1]) == 1
class Etree:
    ptp = 3
    def tostring(self, node): return node * 2
assert a.astype(np.uint8).tostring() == bytes(range(6)) and Etree().tostring(node="x") == "xx" and Etree.ptp == 3
a.itemset(1, 9)
assert a.tolist() == [0, 9, 2, 3, 4, 5] and a.ptp() == 9 and np.float32(1).tostring() == np.float32(1).tobytes()
assert a.astype("<i4").newbyteorder(">").dtype == np.dtype(">i4")
print("all there")
"""


def test_in_scripts(run):
    done = run(SCRIPT)
    assert done.status == 0, done.err
    assert done.out == "all there\n" and "Warning" not in done.err


def test_what_numpy_has_is_left_alone():
    code = (
        "import numpy as np; before = dict(vars(np)); from corenn_tensorflow import numpy_names as n; n.restore();"
        "kept = {k: v for k, v in vars(np).items() if k in before};"
        "print([k for k in before if before[k] is not kept[k]]);"
        "first = np.reshape; n.restore(); assert np.reshape is first"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() in ("['reshape']", "[]")
    assert "float" not in vars(np)  # importing corenn_tensorflow alone changes nothing
