"""What all optimizers share: rates, clipping, accumulation, averages, errors, state."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

import corenn
from corenn import constraints, optimizers, schedules
from corenn.checkpoint import pack_state, unpack_state
from corenn.errors import AttributeValueError, CheckpointError, DTypeError, GraphError, ShapeError, UsageError
from corenn.ops.table import TABLE

ALL = ["sgd", "rmsprop", "adam", "adamw", "nadam", "adamax", "adagrad", "adadelta", "ftrl", "lion"]
VARIANTS = [
    *[{"class_name": name, "config": {}} for name in ALL],
    {"class_name": "sgd", "config": {"momentum": 0.9, "nesterov": True}},
    {"class_name": "rmsprop", "config": {"momentum": 0.9, "centered": True}},
    {"class_name": "adam", "config": {"amsgrad": True, "use_ema": True, "gradient_accumulation_steps": 3}},
]


def variables(dtype="float32"):
    rng = np.random.default_rng(1)
    shapes = {"dense/kernel": (3, 2), "dense/bias": (2,), "head/kernel": (2, 1)}
    return [corenn.Variable(rng.normal(size=shape), name=name, dtype=dtype) for name, shape in shapes.items()]


def gradients(step, dtype="float32"):
    rng = np.random.default_rng(100 + step)
    return [corenn.tensor(rng.normal(size=v.shape), dtype=dtype) for v in variables()]


def step(optimizer, weights, count, first=0):
    for i in range(first, first + count):
        optimizer.apply_gradients(zip(gradients(i), weights, strict=True))


# ---------------------------------------------------------------- learning rates


def test_schedules_are_called_with_the_updates_made_so_far():
    asked = []
    optimizer = optimizers.SGD(lambda s: asked.append(s) or 0.5 ** (s + 1))
    w = corenn.Variable([0.0], name="w")
    for _ in range(3):
        optimizer.apply_gradients([(corenn.tensor([1.0]), w)])
    assert asked == [0, 1, 2]
    np.testing.assert_allclose(w.numpy(), [-(0.5 + 0.25 + 0.125)])
    assert optimizer.learning_rate == 0.0625
    assert optimizer.schedule is not None


def test_the_learning_rate_can_be_set():
    optimizer = optimizers.SGD(0.5)
    w = corenn.Variable([0.0], name="w")
    optimizer.apply_gradients([(corenn.tensor([1.0]), w)])
    optimizer.learning_rate = np.float32(0.25)
    assert optimizer.learning_rate == 0.25
    optimizer.apply_gradients([(corenn.tensor([1.0]), w)])
    optimizer.learning_rate = schedules.ExponentialDecay(1.0, 1, 0.5)
    optimizer.apply_gradients([(corenn.tensor([1.0]), w)])
    np.testing.assert_allclose(w.numpy(), [-(0.5 + 0.25 + 0.25)])
    with pytest.raises(AttributeValueError, match="at least 0"):
        optimizer.learning_rate = -1.0
    with pytest.raises(UsageError, match="learning rate is None"):
        optimizer.learning_rate = None


def test_multipliers_by_pattern_and_by_variable():
    weights = variables()
    before = [w.numpy() for w in weights]
    optimizer = optimizers.SGD(1.0, lr_multipliers={weights[1]: 0.5, "^head/": 3.0, "kernel": 0.0})
    grads = gradients(0)
    optimizer.apply_gradients(zip(grads, weights, strict=True))
    for w, b, g, factor in zip(weights, before, grads, [0.0, 0.5, 3.0], strict=True):
        np.testing.assert_allclose(w.numpy(), b - factor * g.numpy(), rtol=1e-6)
    assert optimizer.get_config()["lr_multipliers"] == {"^dense/bias$": 0.5, "^head/": 3.0, "kernel": 0.0}


def test_a_changing_rate_makes_no_new_plans():
    optimizer = optimizers.Adam(schedules.ExponentialDecay(0.1, 1, 0.9))
    weights = variables()
    step(optimizer, weights, 2)
    plans = len(TABLE["adam_update"].plans)
    step(optimizer, weights, 5)
    assert len(TABLE["adam_update"].plans) == plans


# ---------------------------------------------------------------- weight decay, clipping, scaling, constraints


def test_weight_decay_leaves_excluded_variables_alone():
    weights = variables()
    before = [w.numpy() for w in weights]
    optimizer = optimizers.SGD(0.5, weight_decay=0.1, exclude_from_weight_decay=["bias$", weights[2]])
    optimizer.apply_gradients((corenn.zeros_like(w), w) for w in weights)
    for w, b, factor in zip(weights, before, [0.95, 1.0, 1.0], strict=True):
        np.testing.assert_allclose(w.numpy(), b * factor, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "clip"),
    [
        ({"clipvalue": 0.3}, lambda gs: [np.clip(g, -0.3, 0.3) for g in gs]),
        ({"clipnorm": 0.3}, lambda gs: [g * 0.3 / max(np.linalg.norm(g), 0.3) for g in gs]),
        (
            {"global_clipnorm": 0.3},
            lambda gs: [g * 0.3 / max(np.sqrt(sum((h**2).sum() for h in gs)), 0.3) for g in gs],
        ),
        ({"loss_scale_factor": 8.0}, lambda gs: [g / 8 for g in gs]),
        ({"loss_scale_factor": 8.0, "clipvalue": 0.1}, lambda gs: [np.clip(g / 8, -0.1, 0.1) for g in gs]),
    ],
)
def test_gradients_are_scaled_and_clipped(options, clip):
    weights = variables()
    before = [w.numpy() for w in weights]
    grads = gradients(0)
    optimizers.SGD(1.0, **options).apply_gradients(zip(grads, weights, strict=True))
    for w, b, g in zip(weights, before, clip([g.numpy() for g in grads]), strict=True):
        np.testing.assert_allclose(w.numpy(), b - g, rtol=1e-5, atol=1e-6)


def test_loss_scaling_cancels():
    plain, scaled = corenn.Variable([3.0], name="a"), corenn.Variable([3.0], name="b")
    optimizers.SGD(0.1).minimize(lambda: corenn.sum(plain * plain), [plain])
    optimizer = optimizers.SGD(0.1, loss_scale_factor=1024.0)
    value = optimizer.minimize(lambda: corenn.sum(scaled * scaled), [scaled])
    assert value.item() == 9.0
    np.testing.assert_array_equal(plain.numpy(), scaled.numpy())


def test_constraints_are_applied_after_the_update():
    w = corenn.Variable([[3.0], [4.0]], name="w", constraint=constraints.MaxNorm(1.0))
    optimizers.SGD(1.0).apply_gradients([(corenn.zeros((2, 1)), w)])
    np.testing.assert_allclose(w.numpy(), [[0.6], [0.8]], rtol=1e-6)


# ---------------------------------------------------------------- accumulation and averages


def test_accumulation_is_one_step_with_the_mean():
    together, one_by_one = variables(), variables()
    mean = [sum(g[1:], g[0]) * (1 / 4) for g in zip(*[gradients(i) for i in range(4)], strict=True)]
    optimizers.Adam(0.1).apply_gradients(zip(mean, together, strict=True))
    optimizer = optimizers.Adam(0.1, gradient_accumulation_steps=4)
    start = one_by_one[0].numpy()
    step(optimizer, one_by_one, 3)
    assert optimizer.iterations == 0
    np.testing.assert_array_equal(one_by_one[0].numpy(), start)
    step(optimizer, one_by_one, 1, first=3)
    assert optimizer.iterations == 1
    for a, b in zip(together, one_by_one, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6)
    assert not [v for v in optimizer.variables if v.name.endswith("accumulated")]


@pytest.mark.parametrize(
    "options", [{"gradient_accumulation_steps": 2}, {"use_ema": True, "ema_overwrite_frequency": 2}], ids=str
)
def test_what_differs_from_call_to_call_is_not_traced(options):
    w = corenn.Variable([1.0], name="w")
    optimizer = optimizers.SGD(0.5, **options)
    with pytest.raises(GraphError, match=r"the same update in every run"):
        corenn.function(lambda g: optimizer.apply_gradients([(g, w)]))(corenn.tensor([1.0]))


def test_averages():
    w = corenn.Variable([0.0], name="w")
    optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
    for _ in range(3):
        optimizer.apply_gradients([(corenn.tensor([-1.0]), w)])  # w is 1, 2, 3; the average 1, 1.5, 2.25
    np.testing.assert_array_equal(w.numpy(), [3.0])
    with optimizer.averaged():
        np.testing.assert_array_equal(w.numpy(), [2.25])
        with pytest.raises(UsageError, match="hold their averages"):
            optimizer.apply_gradients([(corenn.tensor([-1.0]), w)])
    np.testing.assert_array_equal(w.numpy(), [3.0])
    assert [v.name for v in optimizer.variables] == ["w/average"]
    with pytest.raises(UsageError, match="keeps no averages"):
        optimizers.SGD().swap_averages()


def test_averages_overwrite_the_variables_from_time_to_time():
    w = corenn.Variable([0.0], name="w")
    optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)
    seen = []
    for _ in range(4):
        optimizer.apply_gradients([(corenn.tensor([-1.0]), w)])
        seen.append(w.numpy()[0])
    assert seen == [1.0, 1.5, 2.5, 2.75]


# ---------------------------------------------------------------- minimize, missing gradients, mistakes


def test_minimize_takes_a_function_or_a_tape():
    w = corenn.Variable([3.0], name="w")
    optimizer = optimizers.SGD(0.25)
    assert optimizer.minimize(lambda: corenn.sum(w * w)).item() == 9.0
    np.testing.assert_array_equal(w.numpy(), [1.5])
    with corenn.GradientTape() as tape:
        loss = corenn.sum(w * w)
    optimizer.minimize(loss, [w], tape)
    np.testing.assert_array_equal(w.numpy(), [0.75])
    with pytest.raises(UsageError, match="no tape was given"):
        optimizer.minimize(loss)
    with pytest.raises(UsageError, match="No variables to optimize"):
        optimizer.minimize(lambda: corenn.ones(()))


def test_updates_inside_a_tape_are_not_recorded():
    w = corenn.Variable([3.0], name="w")
    optimizer = optimizers.Adam(0.1)
    with corenn.GradientTape(persistent=True) as tape:
        loss = corenn.sum(w * w)
        entries = len(tape.entries)
        optimizer.apply_gradients([(corenn.tensor([1.0]), w)])
        assert len(tape.entries) == entries
    np.testing.assert_allclose(tape.gradient(loss, w).numpy(), [6.0])


def test_missing_gradients_are_named_once():
    weights = variables()
    before = weights[1].numpy()
    optimizer = optimizers.Adam()
    grads = gradients(0)
    grads[1] = None
    with pytest.warns(UserWarning, match="no gradient for dense/bias"):
        optimizer.apply_gradients(zip(grads, weights, strict=True))
    np.testing.assert_array_equal(weights[1].numpy(), before)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.apply_gradients(zip(grads, weights, strict=True))
    with pytest.raises(ValueError, match=r"No gradients provided for any variable, .* between variables \['w'\]"):
        optimizer.apply_gradients([(None, corenn.Variable([1.0], name="w"))])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: optimizers.SGD(-0.1), AttributeValueError, "learning rate must be at least 0"),
        (lambda: optimizers.SGD(momentum=1.5), AttributeValueError, "momentum must lie in"),
        (lambda: optimizers.SGD(nesterov=True), UsageError, "needs a momentum"),
        (lambda: optimizers.Adam(beta_1=1.0), AttributeValueError, "beta_1 must be at least 0 and below 1"),
        (lambda: optimizers.RMSprop(rho=-0.1), AttributeValueError, "rho must be at least 0"),
        (lambda: optimizers.Adagrad(initial_accumulator_value=-1), AttributeValueError, "initial_accumulator_value"),
        (lambda: optimizers.Ftrl(learning_rate_power=0.5), AttributeValueError, "at most 0"),
        (lambda: optimizers.Ftrl(l1_regularization_strength=-1), AttributeValueError, "l1_regularization_strength"),
        (lambda: optimizers.SGD(clipnorm=1.0, clipvalue=1.0), UsageError, "give one of clipnorm"),
        (lambda: optimizers.SGD(clipnorm=0.0), AttributeValueError, "clipnorm must be positive"),
        (lambda: optimizers.SGD(weight_decay=-1.0), AttributeValueError, "weight_decay must be at least 0"),
        (lambda: optimizers.SGD(ema_momentum=2.0), AttributeValueError, "ema_momentum must lie in"),
        (lambda: optimizers.SGD(gradient_accumulation_steps=0), AttributeValueError, "must be positive"),
        (lambda: optimizers.SGD().apply_gradients([]), UsageError, "No variables to optimize"),
        (lambda: optimizers.SGD().build([corenn.tensor([1.0])]), UsageError, "is not a Variable"),
        (lambda: optimizers.SGD().build([corenn.Variable([1], name="n")]), DTypeError, "cannot train 'n'"),
        (
            lambda: optimizers.SGD().apply_gradients([(corenn.ones((3,)), corenn.Variable([1.0], name="w"))]),
            ShapeError,
            "the gradient of 'w' has another shape",
        ),
    ],
)
def test_mistakes(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_gradients_of_another_dtype_or_kind_are_converted():
    w = corenn.Variable([1.0, 2.0], name="w")
    optimizers.SGD(1.0).apply_gradients([(corenn.tensor([0.5, 0.5], dtype="float64"), w)])
    optimizers.SGD(1.0).apply_gradients([(np.array([0.25, 0.25]), w)])
    assert w.dtype == "float32"
    np.testing.assert_array_equal(w.numpy(), [0.25, 1.25])


# ---------------------------------------------------------------- slots and state


def test_slots_are_named_after_their_variables():
    twins = [corenn.Variable([1.0], name="w"), corenn.Variable([2.0], name="w")]
    optimizer = optimizers.Adam()
    optimizer.build(twins)
    assert [v.name for v in optimizer.variables] == ["w/momentum", "w/velocity", "w_1/momentum", "w_1/velocity"]
    assert not any(v.trainable for v in optimizer.variables)


@pytest.mark.parametrize("build_first", [True, False])
@pytest.mark.parametrize("spec", VARIANTS, ids=lambda s: f"{s['class_name']}{len(s['config'])}")
def test_a_run_resumes_to_the_same_bits(spec, build_first):
    """Seven updates in one go, or four, a checkpoint, and three by another optimizer object."""
    whole, first = variables(), variables()
    step(optimizers.get(spec), whole, 7)

    optimizer = optimizers.get(spec)
    step(optimizer, first, 4)
    tensors, metadata = pack_state(optimizer.get_state())
    state = unpack_state(tensors, json.loads(json.dumps(metadata)))

    resumed = [corenn.Variable(v.numpy(), name=v.name) for v in first]
    again = optimizers.get(spec)
    if build_first:
        again.build(resumed)
    again.set_state(state)
    step(again, resumed, 3, first=4)
    assert again.iterations == (7 if "gradient_accumulation_steps" not in spec["config"] else 2)
    for a, b in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_the_state_keeps_a_rate_that_was_set():
    weights = variables()
    optimizer = optimizers.SGD(0.5)
    step(optimizer, weights, 1)
    optimizer.learning_rate = 0.125
    other = optimizers.SGD(0.5)
    other.build(weights)
    other.set_state(optimizer.get_state())
    assert other.learning_rate == 0.125


def test_states_that_do_not_fit_are_refused_and_change_nothing():
    weights = variables()
    optimizer = optimizers.Adam()
    step(optimizer, weights, 2)
    state = optimizer.get_state()

    fewer = optimizers.Adam()
    fewer.build(weights[:2])
    with pytest.raises(CheckpointError, match="does not train the variable 'head/kernel'"):
        fewer.set_state(state)
    more = optimizers.Adam()
    more.build([*weights, corenn.Variable([1.0], name="extra")])
    with pytest.raises(CheckpointError, match="no state for the variable 'extra'"):
        more.set_state(state)
    other = optimizers.SGD(momentum=0.9)
    other.build(weights)
    with pytest.raises(CheckpointError, match="the slots of 'dense/kernel' are others"):
        other.set_state(state)
    reshaped = optimizers.Adam()
    reshaped.build([corenn.Variable(np.zeros((5, 5)), name="dense/kernel"), *weights[1:]])
    with pytest.raises(CheckpointError, match="another shape"):
        reshaped.set_state(state)
    assert reshaped.iterations == other.iterations == more.iterations == 0


def test_a_variable_met_later_gets_its_slots():
    weights = variables()
    optimizer = optimizers.Adam()
    optimizer.apply_gradients(zip(gradients(0)[:1], weights[:1], strict=True))
    step(optimizer, weights, 1, first=1)
    assert len(optimizer.variables) == 6


def test_a_custom_optimizer_writes_one_method():
    class SignDescent(optimizers.Optimizer):
        slot_names = ("count",)

        def update(self, variable, gradient, slots, rate, weight_decay):
            return variable - rate * corenn.sign(gradient), slots[0] + 1.0

    w = corenn.Variable([1.0, -1.0], name="w")
    optimizer = SignDescent(0.5)
    optimizer.apply_gradients([(corenn.tensor([2.0, -3.0]), w)])
    np.testing.assert_array_equal(w.numpy(), [0.5, -0.5])
    np.testing.assert_array_equal(optimizer.variables[0].numpy(), [1.0, 1.0])
