"""Control flow in the graph: while_loop, cond, case, scan, map_fn, foldl, TensorArray, gradients through a loop."""

import json

import numpy as np
import tensorflow as tf

results = {}
n = tf.placeholder(tf.int32, [], name="n")

# while_loop: Fibonacci numbers, then a square root by Newton's method until it is good enough
_, fib, _ = tf.while_loop(
    lambda i, a, b: i < n,
    lambda i, a, b: (i + 1, b, a + b),
    [tf.constant(0), tf.constant(0, tf.int64), tf.constant(1, tf.int64)],
)
target = tf.constant(2.0, tf.float64)
root, rounds = tf.while_loop(
    lambda r, i: tf.abs(r * r - target) > 1e-12,
    lambda r, i: [0.5 * (r + target / r), i + 1],
    [tf.constant(1.0, tf.float64), tf.constant(0)],
)

# a loop whose tensor grows: its shape invariant says so
_, grown = tf.while_loop(
    lambda i, v: i < n,
    lambda i, v: (i + 1, tf.concat([v, [tf.to_float(i * i)]], 0)),
    [tf.constant(0), tf.zeros([0])],
    shape_invariants=[tf.TensorShape([]), tf.TensorShape([None])],
)

# cond runs one branch only: the other one's assignment does not happen
counter = tf.Variable(0, name="counter")
x = tf.placeholder(tf.float32, [])
branch = tf.cond(x < 0, lambda: tf.identity(-x), lambda: tf.identity(2 * x + tf.to_float(tf.assign_add(counter, 1))))
chosen = tf.case(
    [(x < -1, lambda: tf.constant("low")), (x > 1, lambda: tf.constant("high"))],
    default=lambda: tf.constant("middle"),
    exclusive=True,
)

# higher-order functions
elems = tf.constant([1.0, 2.0, 3.0, 4.0, 5.0])
running = tf.scan(lambda a, v: a + v, elems)
discounted = tf.scan(lambda a, v: 0.5 * a + v, elems, initializer=0.0, reverse=True)
squares = tf.map_fn(lambda v: v * v, elems)
pairs = tf.map_fn(lambda ab: ab[0] * ab[1], (elems, tf.reverse(elems, [0])), dtype=tf.float32)
folded = tf.foldl(lambda a, v: a * v, elems)
folded_right = tf.foldr(lambda a, v: a - v, elems)

# a TensorArray filled in a loop: powers of a matrix
matrix = tf.constant([[0.5, 0.2], [0.1, 0.7]])
array = tf.TensorArray(tf.float32, size=4)
_, array, _ = tf.while_loop(
    lambda i, ta, m: i < 4,
    lambda i, ta, m: (i + 1, ta.write(i, tf.trace(m)), tf.matmul(m, matrix)),
    [tf.constant(0), array, matrix],
)
traces = array.stack()

# the gradient of x^(2^3), computed by squaring in a loop; of a scan; of a cond
base = tf.constant(1.1)
_, power = tf.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, v * v), [tf.constant(0), base])
loop_gradient = tf.gradients(power, base)[0]
scan_gradient = tf.gradients(discounted[0], elems)[0]
cond_gradient = tf.gradients(tf.cond(base > 1, lambda: base**3, lambda: base), base)[0]

# control dependencies order what does not depend by data
step = tf.Variable(1.0)
double = tf.assign(step, step * 2)
with tf.control_dependencies([double]):
    after = step.read_value() + 0.0
guarded = tf.group(double)

with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    results["fibonacci"] = [int(sess.run(fib, {n: k})) for k in range(10)]
    results["root"], results["rounds"] = float(sess.run(root)), int(sess.run(rounds))
    results["grown"] = sess.run(grown, {n: 5}).tolist()
    results["branches"] = [float(sess.run(branch, {x: v})) for v in (-3.0, 3.0, 3.0)]
    results["counter"] = int(sess.run(counter))
    results["cases"] = [sess.run(chosen, {x: v}).decode() for v in (-2.0, 0.0, 2.0)]
    for name, value in [
        ("running", running),
        ("discounted", discounted),
        ("squares", squares),
        ("pairs", pairs),
        ("folded", folded),
        ("folded_right", folded_right),
        ("traces", traces),
        ("loop_gradient", loop_gradient),
        ("scan_gradient", scan_gradient),
        ("cond_gradient", cond_gradient),
    ]:
        results[name] = np.round(np.asarray(sess.run(value), dtype=np.float64), 5).tolist()
    results["after_assignment"] = float(sess.run(after))
    sess.run(guarded)
    results["after_group"] = float(sess.run(step))

print("RESULT " + json.dumps(results))
