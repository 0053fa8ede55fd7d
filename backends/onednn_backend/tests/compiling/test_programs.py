"""Whole programs as command lists: they compute what NumPy computes, and leave alone what is not theirs."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from corenn_onednn.compiling import pointwise
from corenn_onednn.compiling.executable import NativeExecutable
from corenn_onednn.compiling.native import Native
from corenn_onednn.kernels import openblas

import corenn
from corenn import graph as G
from corenn import layers
from corenn.device import Device


@pytest.fixture(scope="module")
def place(library):
    """A device of the backend, registered or not."""
    from corenn_onednn.backend import OneDnnBackend

    return Device(OneDnnBackend(), 0)


def executable_of(function, *args):
    """The executable that serves a traced function."""
    concrete = function.get_concrete_function(*args)
    concrete.program(*args)
    return concrete._runs.compiled(concrete.inputs, list(args), args[0].device).executable


def dense(units, activation):
    return lambda: [layers.Dense(u, activation=activation) for u in units] + [layers.Dense(3)]


MODELS = {
    "relu": (dense((7, 5), "relu"), (4,)),
    "sigmoid": (dense((7,), "sigmoid"), (4,)),
    "tanh": (dense((6,), "tanh"), (1,)),
    "gelu": (dense((6,), "gelu"), (3,)),
    "batch norm": (
        lambda: [layers.Dense(6), layers.BatchNormalization(), layers.Activation("relu"), layers.Dense(2)], (4,),
    ),
    "layer norm": (lambda: [layers.Dense(6), layers.LayerNormalization(), layers.Dense(2)], (4,)),
    "dropout": (
        lambda: [layers.Dropout(0.3), layers.Dense(16, activation="relu"), layers.Dropout(0.5), layers.Dense(2)], (8,),
    ),
    "convolutions": (lambda: [
        layers.Conv2D(4, 3, activation="relu", padding="same"), layers.MaxPooling2D(2, padding="same"),
        layers.Conv2D(3, 3, 2, padding="same"), layers.BatchNormalization(), layers.Activation("relu"),
        layers.Flatten(), layers.Dense(2),
    ], (7, 6, 2)),
    "average pooling": (lambda: [
        layers.Conv2D(4, 3), layers.AveragePooling2D(2), layers.GlobalAveragePooling2D(), layers.Dense(2),
    ], (8, 8, 1)),
    "one output": (lambda: [layers.Dense(6, activation="tanh"), layers.Dense(1)], (1,)),
    "pointwise": (lambda: [
        layers.Conv2D(4, 1, activation="relu"), layers.Conv2D(5, 1, 2), layers.BatchNormalization(),
        layers.GlobalAveragePooling2D(), layers.Dense(2),
    ], (7, 6, 3)),
    "tiles": (lambda: [
        layers.Conv2D(32, 1), layers.Conv2D(32, 3, padding="same", activation="relu"),
        layers.Conv2D(32, 3, padding="same"), layers.GlobalAveragePooling2D(), layers.Dense(2),
    ], (8, 9, 2)),
    "recurrent": (lambda: [layers.LSTM(5), layers.Dense(2)], (4, 3)),
    "embedding": (lambda: [layers.Embedding(9, 4), layers.Flatten(), layers.Dense(2)], (5,)),
}  # fmt: skip
OPTIMIZERS = ["sgd", "adam", "rmsprop"]


def trained(place, build, shape, optimizer, steps=4):
    """Losses and weights after some steps from the same start."""
    with place:
        corenn.random.seed(3)
        model = corenn.Sequential([layers.Input(shape), *build()])
        chosen = corenn.optimizers.get(optimizer)
        rng = np.random.default_rng(0)
        x = rng.integers(0, 9, (6, *shape)) if shape == (5,) else rng.standard_normal((6, *shape)).astype("float32")
        x = corenn.tensor(x.astype("float32"))
        y = corenn.tensor(rng.standard_normal(model(x).shape).astype("float32"))

        @corenn.function
        def step(x, y):
            with corenn.GradientTape() as tape:
                loss = corenn.mean(corenn.square(model(x, training=True) - y))
            weights = model.trainable_weights
            chosen.apply_gradients(zip(tape.gradient(loss, weights), weights, strict=True))
            return loss

        chosen.build(model.trainable_weights)
        losses = [float(step(x, y)) for _ in range(steps)]
        return losses, [np.array(w) for w in model.weights], executable_of(step, x, y)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", MODELS)
def test_training_equals_numpys(place, name, optimizer):
    build, shape = MODELS[name]
    losses, weights, executable = trained(place, build, shape, optimizer)
    expected, others, _ = trained(corenn.device("numpy"), build, shape, optimizer)
    assert isinstance(executable, NativeExecutable)
    np.testing.assert_allclose(losses, expected, rtol=2e-5, atol=1e-6)
    for ours, theirs in zip(weights, others, strict=True):
        # An update by the sign of a gradient that is nearly nothing amplifies its rounding.
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 if optimizer == "sgd" else 2e-3)


def counter():
    v = corenn.Variable(np.zeros(8, "float32"))

    @corenn.function
    def add(x):
        v.assign_add(x)
        return v * 2.0

    return v, add, corenn.tensor(np.ones(8, "float32"))


def test_variables_are_overwritten_in_place(place):
    with place:
        v, add, x = counter()
        add(x)
        before = id(v.data)
        add(x)
        assert id(v.data) == before
        np.testing.assert_array_equal(np.array(v), np.full(8, 2.0))


#: Python does a part of these, and may raise an error when some variables would have been written already.
PARTLY_PYTHON = {"average pooling", "embedding"}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", sorted(MODELS.keys() - PARTLY_PYTHON))
def test_all_weights_and_slots_are_overwritten_in_place(place, name, optimizer):
    # Of products biases are sums of columns in the group that reads them as columns.
    _, _, executable = trained(place, *MODELS[name], optimizer)
    assert executable.program.writes
    assert all(executable._overwritten[i] for i in written(executable.program))


def written(program):
    """The places of the variables that a program changes."""
    places = {id(cell): i for i, (cell, _) in enumerate(program.state)}
    return [places[id(cell)] for cell, _ in program.writes]


def test_what_somebody_holds_is_not_overwritten(place):
    with place:
        v, add, x = counter()
        held = []
        for count in range(1, 5):
            add(x)
            held.append((count, v.value(), v.numpy(), np.asarray(v.value())))
        for count, *values in held:
            for value in values:
                np.testing.assert_array_equal(np.array(value), np.full(8, float(count)))


def test_what_was_fed_is_not_overwritten(place):
    with place:
        v, add, x = counter()
        start = corenn.tensor(np.full(8, 5.0, "float32"))
        v.assign(start)
        add(x)
        add(v.value())
        np.testing.assert_array_equal(np.array(start), np.full(8, 5.0))
        np.testing.assert_array_equal(np.array(x), np.ones(8))
        np.testing.assert_array_equal(np.array(v), np.full(8, 12.0))


def test_two_variables_trade_places(place):
    with place:
        a, b = corenn.Variable(np.zeros(4, "float32")), corenn.Variable(np.ones(4, "float32"))

        @corenn.function
        def trade():
            first, second = a.value() * 1.0, b.value() * 1.0
            a.assign(second)
            b.assign(first)
            return a + b

        for turn in range(3):
            np.testing.assert_array_equal(np.array(trade()), np.ones(4))
            np.testing.assert_array_equal(np.array(a), np.full(4, 1.0 - turn % 2))


def test_results_stay_after_the_next_call(place):
    with place:
        double = corenn.function(lambda x: (x * 2.0, corenn.sum(x)))
        first = double(corenn.tensor(np.arange(6, dtype="float32")))
        double(corenn.tensor(np.zeros(6, "float32")))
        np.testing.assert_array_equal(np.array(first[0]), np.arange(6) * 2.0)
        assert float(first[1]) == 15.0


@pytest.mark.parametrize("array", [
    np.arange(12, dtype="float32").reshape(3, 4).T, np.arange(24, dtype="float32").reshape(4, 6)[:, ::2],
    np.broadcast_to(np.float32(2), (4, 3)),
], ids=["transposed", "every other", "broadcast"])  # fmt: skip
def test_arrays_that_do_not_lie_densely(place, array):
    with place:
        made = corenn.function(lambda x: x @ corenn.ones((3, 2)) + 1.0)(corenn.tensor(array))
        np.testing.assert_array_equal(np.array(made), array @ np.ones((3, 2)) + 1)


def test_a_session_compiles_its_runs(place):
    with place, G.Graph().as_default() as graph:
        x = G.placeholder("float32", (None, 3))
        w = G.variable(np.ones((3, 2), "float32"), name="w")
        y = corenn.nn.relu(x @ w)
        train = corenn.optimizers.SGD(0.5).minimize(corenn.mean(corenn.square(y)), [w])
        session = G.Session(graph)
        session.run(G.global_variables_initializer())
        for rows in (1, 4, 2):
            fed = {x: np.ones((rows, 3), "float32")}
            before = session.run(w)
            value, _ = session.run([y, train], fed)
            np.testing.assert_allclose(value, np.maximum(np.ones((rows, 3)) @ before, 0), rtol=1e-6)
            np.testing.assert_allclose(session.run(w), before - 0.5 * (value[0] * np.ones((3, 2))), rtol=1e-5)


def test_calls_from_several_threads(place):
    with place:
        scale = corenn.function(lambda x: corenn.tanh(x @ corenn.ones((64, 64))) * 2.0)
        inputs = [np.full((32, 64), i / 100, "float32") for i in range(8)]
        expected = [np.tanh(i @ np.ones((64, 64), "float32")) * 2 for i in inputs]
        wrong = []

        def work(i):
            for _ in range(20):
                with place:
                    found = np.array(scale(corenn.tensor(inputs[i])))
                if not np.allclose(found, expected[i], rtol=1e-5):
                    wrong.append(i)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


def test_the_plan_of_memory_shares_parts(place):
    with place:

        def deep(x):
            for _ in range(12):
                x = corenn.tanh(x @ corenn.ones((64, 64)))
            return x

        made = executable_of(corenn.function(deep), corenn.tensor(np.ones((64, 64), "float32")))
        assert made.memory.peak < made.memory.total / 3


def test_a_run_that_python_stops_changes_nothing(place):
    with place:
        v, stop = corenn.Variable(np.zeros(4, "float32")), []

        def check(array):
            if stop:
                raise ValueError("stopped")
            return array

        @corenn.function
        def step(x):
            v.assign_add(x)
            return G.py_function(check, [v * 1.0], "float32", shapes=(4,))

        x = corenn.tensor(np.ones(4, "float32"))
        step(x)
        stop.append(True)
        with pytest.raises(ValueError, match="stopped"):
            step(x)
        np.testing.assert_array_equal(np.array(v), np.ones(4))


def test_branches_run_kernel_by_kernel(place):
    with place:
        f = corenn.function(lambda x: corenn.cond(corenn.sum(x) > 0, lambda: x * 2.0, lambda: x - 1.0))
        for sign in (1, -1):
            x = np.full(3, sign, "float32")
            np.testing.assert_array_equal(np.array(f(corenn.tensor(x))), x * 2 if sign > 0 else x - 1)
        assert not isinstance(executable_of(f, corenn.tensor(x)), NativeExecutable)


def residual(x, parts, activation):
    convolution, norm, shortcut = parts
    return activation(norm(convolution(x), training=False) + shortcut(x))


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "gelu"])
def test_what_follows_a_convolution_is_done_with_it(place, activation):
    def outcome(where):
        with where:
            corenn.random.seed(1)
            parts = [
                layers.Conv2D(5, 3, padding="same"),
                layers.BatchNormalization(),
                layers.Conv2D(5, 1, use_bias=False),
            ]
            function = getattr(corenn.nn, activation, None) or getattr(corenn, activation)
            x = corenn.tensor(np.random.default_rng(0).standard_normal((2, 6, 7, 3)).astype("float32"))
            residual(x, parts, function)
            rng = np.random.default_rng(2)
            for weight in parts[1].weights:
                weight.assign(corenn.tensor(rng.uniform(0.5, 2.0, weight.shape).astype("float32")))
            run = corenn.function(lambda x: residual(x, parts, function))
            return np.array(run(x)), executable_of(run, x)

    (found, made), (expected, _) = outcome(place), outcome(corenn.device("numpy"))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    native = [i for i in made.compiled.instructions if isinstance(i, Native)]
    assert len(native) == 2
    if activation != "gelu":
        assert native[-1].calls[-1].name == activation


def test_a_value_that_is_needed_twice_is_not_absorbed(place):
    with place:
        w, b = corenn.ones((3, 2)), corenn.ones((2,))

        def both(x):
            y = x @ w
            return y, corenn.nn.relu(y - b)

        x = np.array([[-1, 0, 0.5], [1, 1, 1]], "float32")
        first, second = corenn.function(both)(corenn.tensor(x))
        np.testing.assert_allclose(np.array(first), x @ np.ones((3, 2)))
        np.testing.assert_allclose(np.array(second), np.maximum(x @ np.ones((3, 2)) - 1, 0))


def test_a_normalisation_does_its_relu_and_a_convolution_its_biass_gradient(place):
    build = lambda: [  # a model of one test
        layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(), layers.ReLU(),
        layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization(), layers.Flatten(), layers.Dense(2),
    ]  # fmt: skip
    losses, weights, made = trained(place, build, (6, 6, 2), "sgd")
    expected, others, _ = trained(corenn.device("numpy"), build, (6, 6, 2), "sgd")
    np.testing.assert_allclose(losses, expected, rtol=2e-5)
    for ours, theirs in zip(weights, others, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    put = {"+".join(c.name for c in i.calls) for i in made.compiled.instructions if isinstance(i, Native)}
    assert {"batch_norm_training+relu", "gate+batch_norm_grad", "conv_weight_grad+sum"} <= put


def test_a_result_that_is_a_constant(place):
    with place:
        ones = corenn.ones((2, 3))
        f = corenn.function(lambda x: (corenn.reshape(ones, shape=(6,)), ones, x * 2.0))
        flat, same, double = f(corenn.tensor(np.ones(3, "float32")))
        np.testing.assert_array_equal(np.array(flat), np.ones(6))
        np.testing.assert_array_equal(np.array(same), np.ones((2, 3)))
        np.testing.assert_array_equal(np.array(double), np.full(3, 2.0))


def test_two_products_that_meet_in_a_sum(place):
    with place:
        rng = np.random.default_rng(0)
        a, b, c = (rng.standard_normal((4, 4)).astype("float32") for _ in range(3))
        w, v = corenn.tensor(b), corenn.tensor(c)
        made = corenn.function(lambda x: corenn.nn.relu((x @ w) + (x @ v)))(corenn.tensor(a))
        np.testing.assert_allclose(np.array(made), np.maximum(a @ b + a @ c, 0), rtol=1e-5, atol=1e-5)


def test_nothing_is_computed_of_nothing(place):
    with place:
        f = corenn.function(
            lambda x: (corenn.nn.log_softmax(x), corenn.sum(x, axis=0), corenn.nn.relu(x @ corenn.ones((3, 2))))
        )
        found = f(corenn.tensor(np.zeros((0, 3), "float32")))
        assert [t.shape for t in found] == [(0, 3), (3,), (0, 2)]


THIN = [(m, k, n) for m in (1, 5) for k in (1, 6) for n in (1, 7) if 1 in (m, k, n)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("transposed", [(a, b) for a in (False, True) for b in (False, True)])
@pytest.mark.parametrize("extents", THIN)
def test_thin_products_are_part_of_loops(place, extents, transposed, dtype):
    m, k, n = extents
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((m, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)

    @corenn.function
    def product(a, b):
        return corenn.matmul(a, b, transpose_a=transposed[0], transpose_b=transposed[1]) + 1.0

    with place:
        given = [corenn.tensor(x.T.copy() if t else x) for x, t in zip((a, b), transposed, strict=True)]
        found = product(*given).numpy()
        executable = executable_of(product, *given)
    assert not any(isinstance(i, Native) for i in executable.compiled.instructions)
    np.testing.assert_allclose(
        found, a.astype("float64") @ b + 1.0, rtol=1e-6 if dtype == "float32" else 1e-14, atol=1e-6
    )


POINTWISE = [
    ((4, 5, 6, 3), (1, 1)),
    ((2, 7, 7, 8), (2, 2)),
    ((3, 5, 8, 2), (1, 2)),
    ((2, 9, 4), (3,)),
    ((2, 3, 4, 5, 6), (2, 1, 3)),
]


@pytest.mark.parametrize(("shape", "strides"), POINTWISE)
def test_weight_gradients_of_pointwise_convolutions_are_products(place, shape, strides):
    rng = np.random.default_rng(2)
    x = rng.standard_normal(shape).astype("float32")
    taken = x[(slice(None), *(slice(None, None, s) for s in strides))]
    g = rng.standard_normal((*taken.shape[:-1], 7)).astype("float32")
    rank = len(strides)

    @corenn.function
    def gradient(x, g):
        w = corenn.zeros((*(1,) * rank, shape[-1], 7))
        with corenn.GradientTape() as tape:
            tape.watch(w)
            y = corenn.nn.conv(x, w, strides=strides, padding="valid")
        return tape.gradient(y, w, output_gradients=g)

    with place:
        given = corenn.tensor(x), corenn.tensor(g)
        found = gradient(*given).numpy()
        names = [i.name for i in executable_of(gradient, *given).compiled.instructions]
    assert any(n.startswith(("conv_weight_grad by brg", "conv_weight_grad in 2 commands")) for n in names), names
    expected = taken.reshape(-1, shape[-1]).T.astype("float64") @ g.reshape(-1, 7)
    np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("few", [512, 0], ids=["products", "convolutions"])
@pytest.mark.parametrize(("shape", "strides"), POINTWISE)
def test_short_pointwise_convolutions_and_their_gradients_by_images(place, monkeypatch, shape, strides, few):
    monkeypatch.setattr(pointwise, "_FEW", few)
    rng = np.random.default_rng(3)
    steps = (slice(None), *(slice(None, None, s) for s in strides))
    x, w, b = (rng.standard_normal(s).astype("float32") for s in (shape, (*(1,) * len(strides), shape[-1], 7), (7,)))
    taken = x[steps]
    other = rng.standard_normal((*taken.shape[:-1], 7)).astype("float32")

    @corenn.function
    def run(x, w, b, other):
        with corenn.GradientTape() as tape:
            tape.watch(x)
            y = corenn.nn.relu(corenn.nn.conv(x, w, strides=strides, padding="valid") + b + other)
        return y, tape.gradient(y, x)

    with place:
        given = [corenn.tensor(a) for a in (x, w, b, other)]
        y, gradient = (t.numpy() for t in run(*given))
    matrix = w.reshape(w.shape[-2:]).astype("float64")
    expected = np.maximum(taken @ matrix + b + other, 0.0)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    spread = np.zeros(shape)
    spread[steps] = (expected > 0) @ matrix.T
    np.testing.assert_allclose(gradient, spread, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("size", "threads"), [(8, 1), (400, 2)])
def test_short_products_of_numpy_do_not_wait_for_threads_that_spin(place, monkeypatch, size, threads):
    found = openblas.controls()
    if found is None:
        pytest.skip("NumPy has no OpenBLAS of its own here")
    setter, getter = found
    before, seen = getter(), []
    kernel = np.matmul
    monkeypatch.setattr(np, "matmul", lambda *given, **more: (seen.append(getter()), kernel(*given, **more))[1])

    @corenn.function
    def product(x):
        return corenn.exp(x) @ x

    setter(2)
    try:
        with place:
            x = corenn.tensor(np.full((size, size), 0.5))
            np.testing.assert_allclose(product(x).numpy(), np.full((size, size), size * 0.5 * np.exp(0.5)))
        assert getter() == 2
    finally:
        setter(before)
    assert seen == [threads]


def test_calls_of_python_keep_their_order_where_they_have_effects(place):
    said = []

    @corenn.function
    def step(x):
        G.py_function(lambda a: said.append(float(a.sum())), [x + 1.0], [])
        return x * G.py_function(lambda: np.float32(len(said)), [], "float32", shapes=())

    with place:
        x = corenn.tensor(np.ones(3, "float32"))
        found = [step(x).numpy()[0] for _ in range(3)]
    assert found == [1.0, 2.0, 3.0]
    assert said == [6.0] * 3


def test_variables_are_updated_as_soon_as_they_can_be(place):
    _, _, executable = trained(place, MODELS["relu"][0], (4,), "adam")
    instructions = executable.compiled.instructions
    written = {symbol for _, symbol in executable.compiled.writes}
    maker = {o: n for n, i in enumerate(instructions) for o in i.outputs}
    updates = [n for n, i in enumerate(instructions) if set(i.outputs) <= written and i.outputs]
    products = [n for n, i in enumerate(instructions) if isinstance(i, Native)]
    assert len(updates) >= 3
    assert min(updates) < max(products)  # the last layer's, before the gradient of the first is known
    reading = {cell: symbol for cell, symbol in executable.compiled.state}
    for number in updates:
        for output in instructions[number].outputs:
            (cell,) = [c for c, s in executable.compiled.writes if s is output]
            others = [n for n, i in enumerate(instructions) if reading[cell] in i.inputs and n != number]
            assert max(others, default=-1) < number
        assert all(maker.get(i, -1) < number for i in instructions[number].inputs)
    assert all(executable._overwritten)
