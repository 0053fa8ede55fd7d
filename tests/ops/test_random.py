"""Random draws: known answers, equal bits from every kernel, independence of tiling, distributions, and generators."""

from __future__ import annotations

import json
import threading

import array_api_strict
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

import corenn
from corenn import dtypes, philox, random
from corenn.backend import Backend
from corenn.device import device_of
from corenn.errors import AttributeValueError, DTypeError, ShapeError, UsageError
from corenn.graph import Graph, Session
from corenn.ops import _philox, draws
from corenn.ops import random as sources
from corenn.ops.noise import drop
from corenn.testing.compare import assert_close
from corenn.testing.tolerances import Tolerance

FLOATS = ["float16", "bfloat16", "float32", "float64"]


class Strict(Backend):
    """NumPy behind nothing but the array API, with no kernels of its own."""

    name = "strict"
    xp = array_api_strict

    def from_host(self, array, index):
        return array_api_strict.asarray(np.array(array))

    def to_host(self, array):
        return np.asarray(array._array)


STRICT = device_of(Strict())


# ---------------------------------------------------------------- bits

# Salmon et al., Random123, kat_vectors: philox4x64 with 10 rounds; counter, key, result.
KNOWN = [
    ((0, 0, 0, 0), (0, 0), (0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B)),
    (
        (2**64 - 1,) * 4,
        (2**64 - 1,) * 2,
        (0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0),
    ),
    (
        (0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89),
        (0x452821E638D01377, 0xBE5466CF34E90C6C),
        (0xA528F45403E61D95, 0x38C72DBD566E9788, 0xA5A1610E72FD18B5, 0x57BD43B5E52B7FE6),
    ),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
@pytest.mark.parametrize("xp", [np, array_api_strict], ids=["numpy", "strict"])
def test_known_answers(xp, counter, key, expected):
    def words(values):
        return tuple(xp.asarray(np.array([v], np.uint64)) for v in values)

    found = _philox.philox(words(counter), words(key))
    assert tuple(int(x[0]) for x in found) == expected


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))
def test_the_high_half_of_a_product(x, factor):
    found = _philox.multiply_high(np.array([x], np.uint64), factor)
    assert int(found[0]) == x * factor >> 64


KEYS = [(7, 3, 0), (7, 3, 1), (2**64 - 1, 2**63, 5), (0, 0, 2**40 + 7), (1, 2, 2**63 + 3)]


def _array_key(key):
    return np.array(key, np.uint64)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("count", [0, 1, 7, 64])
def test_the_shared_kernel_gives_the_words_of_the_host_definition(key, count):
    array = _array_key(key)
    found = _philox.words(np, array, array[2:3], count, None)
    assert found.dtype == np.uint64
    assert found.tolist() == philox.words(*key, count).tolist()


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_the_shared_kernels_give_the_numbers_of_the_host_definition(key, dtype):
    kind = dtypes.as_dtype(dtype).numpy
    uniform = _philox.uniform(np, _array_key(key), 33, kind, None)
    assert uniform.dtype == kind
    assert uniform.astype(np.float64).tolist() == philox.uniform(*key, 33, kind).astype(np.float64).tolist()
    normal = _philox.normal(np, _array_key(key), 33, kind, None)
    assert normal.dtype == kind
    wide = "float32" if kind.itemsize == 2 else dtype
    close = {"float32": Tolerance(4e-6, 1e-6), "float64": Tolerance(1e-13, 1e-15)}[wide]
    close = close if wide == dtype else Tolerance(2.0**-7, 1e-6)
    assert_close(normal.astype(np.float64), philox.normal(*key, 33, kind).astype(np.float64), close)


@pytest.mark.parametrize("dtype", [d.name for d in sorted(dtypes.INTEGER, key=lambda d: d.name)])
@pytest.mark.parametrize("key", KEYS[:3])
def test_the_shared_kernel_gives_the_integers_of_the_host_definition(key, dtype):
    limits = np.iinfo(dtype)
    for low, high in ((0, 10), (int(limits.min), int(limits.max) + 1), (int(limits.max) - 3, int(limits.max))):
        found = _philox.integers(np, _array_key(key), 21, low, high, np.dtype(dtype), None)
        assert found.dtype == dtype
        assert found.tolist() == philox.integers(*key, 21, low, high, dtype).tolist()


CALLS = {
    "words": lambda key: draws.random_words(key, count=37),
    "uniform": lambda key: draws.random_uniform(key, shape=(5, 7)),
    "uniform float64": lambda key: draws.random_uniform(key, shape=(35,), dtype="float64"),
    "integers": lambda key: draws.random_integers(key, shape=(5, 7), low=-9, high=1000),
    "permutation": lambda key: draws.random_permutation(key, n=35),
    "bernoulli": lambda key: draws.random_bernoulli(key, 0.3, shape=(5, 7)),
    "bernoulli never": lambda key: draws.random_bernoulli(key, 0.0, shape=(5, 7)),
    "bernoulli always": lambda key: draws.random_bernoulli(key, 1.0, shape=(5, 7)),
    "bernoulli more than always": lambda key: draws.random_bernoulli(key, 1.5, shape=(5, 7)),
    "bernoulli not a number": lambda key: draws.random_bernoulli(key, np.nan, shape=(5, 7)),
    "bernoulli below": lambda key: draws.random_bernoulli(key, -0.5, shape=(5, 7)),
    "bernoulli row": lambda key: draws.random_bernoulli(key, np.linspace(0, 1, 7, dtype="f4"), shape=(5, 7)),
    "dropout": lambda key: drop(np.linspace(1, 2, 35, dtype="f4").reshape(5, 7), key, rate=0.3),
    "dropout double": lambda key: drop(np.linspace(1, 2, 35).reshape(5, 7), key, rate=0.9),
    "dropout rows": lambda key: drop(
        np.linspace(1, 2, 35, dtype="f4").reshape(5, 7), key, rate=0.5, noise_shape=(5, 1)
    ),
}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
def test_a_backend_without_kernels_draws_the_same_bits(call, key):
    with STRICT:
        bare = call(corenn.tensor(_array_key(key)))
    assert bare.device is STRICT
    found = call(corenn.tensor(_array_key(key), device="numpy"))
    assert found.dtype is bare.dtype
    assert found.numpy().tolist() == bare.numpy().tolist()


@pytest.mark.parametrize("place", range(5))
def test_thresholds_are_exact(place):
    """Where the probability is a number that is drawn, the last bit decides."""
    numbers = random.uniform(40, seed=1).numpy()
    for p in (numbers[place], np.nextafter(numbers[place], np.float32(1)), np.nextafter(numbers[place], np.float32(0))):
        assert random.bernoulli(float(p), 40, seed=1).tolist() == (numbers < p).tolist()
        kept = random.dropout(np.ones(40, np.float32), float(p), seed=1).numpy() != 0
        assert kept.tolist() == (numbers >= p).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uniform_numbers_are_those_of_numpys_generator(dtype):
    bits = np.random.Philox(key=np.array([7, 3], np.uint64), counter=np.full(4, 2**64 - 1, np.uint64))
    generator = np.random.Generator(bits)
    expected = generator.random(1000, dtype)
    found = draws.random_uniform(random.key(7, 3), shape=(1000,), dtype=np.dtype(dtype).name)
    assert found.numpy().tolist() == expected.tolist()


TILED = {
    "words": lambda key, n: draws.random_words(key, count=n),
    "uniform": lambda key, n: draws.random_uniform(key, shape=(n,)),
    "uniform float64": lambda key, n: draws.random_uniform(key, shape=(n,), dtype="float64"),
    "uniform float16": lambda key, n: draws.random_uniform(key, shape=(n,), dtype="float16"),
    "normal": lambda key, n: draws.random_normal(key, shape=(n,)),
    "normal float64": lambda key, n: draws.random_normal(key, shape=(n,), dtype="float64"),
    "truncated": lambda key, n: draws.random_truncated_normal(key, shape=(n,)),
    "exponential": lambda key, n: draws.random_exponential(key, shape=(n,)),
    "integers": lambda key, n: draws.random_integers(key, shape=(n,), low=0, high=10),
    "bernoulli": lambda key, n: draws.random_bernoulli(key, 0.4, shape=(n,)),
    "gamma": lambda key, n: draws.random_gamma(key, 0.6, shape=(n,)),
}


@settings(max_examples=15, deadline=None)
@given(offset=st.integers(0, 2**50), first=st.integers(0, 40), rest=st.integers(0, 40))
@pytest.mark.parametrize("draw", TILED.values(), ids=TILED.keys())
def test_a_draw_in_two_pieces_is_the_draw(draw, offset, first, rest):
    whole = draw(random.key(11, 5, offset), first + rest).numpy()
    pieces = [draw(random.key(11, 5, offset), first), draw(random.key(11, 5, offset + first), rest)]
    joined = np.concatenate([p.numpy() for p in pieces])
    # equal but for vectorised functions that round the ends of an array in another way
    assert_close(joined, whole, Tolerance(0, 0) if whole.dtype.kind in "iub" else Tolerance(1e-6, 1e-7))


def test_the_shape_does_not_change_the_numbers():
    flat = random.uniform(24, seed=1).numpy()
    assert random.uniform((2, 3, 4), seed=1).numpy().ravel().tolist() == flat.tolist()


def test_streams_and_seeds_differ():
    drawn = [random.uniform(50, key=random.key(s, t)).numpy().tolist() for s in (0, 1, 2**63) for t in (0, 1, 2**63)]
    assert len({tuple(d) for d in drawn}) == 9


# ---------------------------------------------------------------- distributions

COUNT = 20_000
LAWS = scipy.stats
DISTRIBUTIONS = {
    "uniform": (lambda **kw: random.uniform(COUNT, **kw), LAWS.uniform()),
    "uniform between": (lambda **kw: random.uniform(COUNT, -2.0, 5.0, **kw), LAWS.uniform(-2, 7)),
    "normal": (lambda **kw: random.normal(COUNT, **kw), LAWS.norm()),
    "normal scaled": (lambda **kw: random.normal(COUNT, 3.0, 0.5, **kw), LAWS.norm(3, 0.5)),
    "truncated": (lambda **kw: random.truncated_normal(COUNT, **kw), LAWS.truncnorm(-2, 2)),
    "truncated scaled": (lambda **kw: random.truncated_normal(COUNT, 1.0, 3.0, **kw), LAWS.truncnorm(-2, 2, 1, 3)),
    "exponential": (lambda **kw: random.exponential(COUNT, 2.0, **kw), LAWS.expon(scale=2)),
    **{
        f"gamma {a}": (lambda a=a, **kw: random.gamma(COUNT, a, 2.0, **kw), LAWS.gamma(a, scale=0.5))
        for a in (0.05, 0.5, 1.0, 1.7, 10.0, 300.0)
    },
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("draw", "law"), DISTRIBUTIONS.values(), ids=DISTRIBUTIONS.keys())
def test_draws_follow_their_law(draw, law, dtype):
    drawn = draw(seed=3, dtype=dtype)
    assert drawn.dtype.name == dtype
    assert scipy.stats.kstest(drawn.numpy().astype(np.float64), law.cdf).pvalue > 1e-3


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ["uniform", "normal", "truncated_normal", "exponential"])
def test_half_precision_draws_have_the_moments(name, dtype):
    drawn = getattr(random, name)(COUNT, dtype=dtype, seed=4).numpy().astype(np.float64)
    mean, deviation = {
        "uniform": (0.5, 12**-0.5), "normal": (0, 1), "truncated_normal": (0, 0.87962566), "exponential": (1, 1),
    }[name]  # fmt: skip
    assert abs(drawn.mean() - mean) < 5 * deviation / COUNT**0.5 + 2.0**-8
    assert abs(drawn.std() - deviation) < 0.03


def test_neighbours_are_independent():
    for numbers in (
        random.normal(2 * COUNT, seed=5),
        random.uniform(2 * COUNT, seed=5),
        random.gamma(2 * COUNT, 2.0, seed=5),
    ):
        pairs = numbers.numpy().reshape(-1, 2)
        assert scipy.stats.spearmanr(pairs[:, 0], pairs[:, 1]).pvalue > 1e-3


def test_truncated_normals_stay_within_two_deviations():
    drawn = random.truncated_normal(200_000, seed=8).numpy()
    assert np.abs(drawn).max() <= 2.0
    assert np.abs(drawn).max() > 1.999


def test_uniform_numbers_are_below_one():
    lowest, highest = [], []
    for dtype in FLOATS:
        drawn = random.uniform(100_000, dtype=dtype, seed=2).numpy().astype(np.float64)
        lowest.append(drawn.min())
        highest.append(drawn.max())
    assert min(lowest) >= 0.0
    assert max(highest) < 1.0


def test_integers_are_uniform():
    drawn = random.integers(-3, 14, COUNT, seed=6).numpy()
    assert drawn.dtype == np.int32
    counts = np.bincount(drawn + 3, minlength=17)
    assert counts.size == 17
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("p", [0.0, 0.01, 0.5, 0.97, 1.0])
def test_bernoulli_has_its_probability(p):
    share = random.bernoulli(p, COUNT, seed=7).numpy().mean()
    assert abs(share - p) <= 5 * (p * (1 - p) / COUNT) ** 0.5


def test_bernoulli_takes_probabilities_of_its_own():
    p = np.linspace(0, 1, 5, dtype=np.float32)
    assert random.bernoulli(p, seed=1).shape == (5,)
    drawn = random.bernoulli(corenn.tensor(p), (2000, 5), "float32", seed=1)
    assert drawn.dtype is dtypes.float32
    assert_close(drawn.numpy().mean(0), p, Tolerance(0, 0.06))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_categorical_follows_its_logits(dtype):
    p = np.array([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]])
    with np.errstate(divide="ignore"):
        logits = corenn.tensor(np.log(p), dtype=dtype)
    drawn = random.categorical(logits, COUNT, seed=9).numpy()
    assert drawn.shape == (2, COUNT) and drawn.dtype == np.int64
    for row, chances in zip(drawn, p, strict=True):
        counts = np.bincount(row, minlength=3)
        assert counts[chances == 0].sum() == 0
        assert scipy.stats.chisquare(counts[chances > 0], chances[chances > 0] * COUNT).pvalue > 1e-3


def test_one_category_each():
    assert random.categorical(np.zeros((4, 2, 3)), seed=1).shape == (4, 2)
    assert random.categorical([0.0, 100.0]).item() == 1


def test_permutations_are_uniform():
    drawn = [tuple(random.permutation(3, key=random.key(1, stream)).tolist()) for stream in range(3000)]
    _, counts = np.unique(np.array(drawn), axis=0, return_counts=True)
    assert counts.size == 6
    assert scipy.stats.chisquare(counts).pvalue > 1e-3


def test_gamma_beyond_its_domain_is_nan():
    drawn = random.gamma((2, 3), corenn.tensor([0.0, -1.0, 2.0]), seed=1).numpy()
    assert np.isnan(drawn[:, :2]).all() and (drawn[:, 2] > 0).all()


def test_shuffle_keeps_the_rows_and_carries_gradients():
    x = corenn.tensor(np.arange(12.0).reshape(6, 2))
    weights = np.arange(12.0).reshape(6, 2)
    with corenn.GradientTape() as tape:
        tape.watch(x)
        y = random.shuffle(x, seed=3)
        total = corenn.sum(y * weights)
    order = random.permutation(6, seed=3).numpy()
    assert y.numpy().tolist() == x.numpy()[order].tolist() != x.numpy().tolist()
    expected = np.empty((6, 2))
    expected[order] = weights
    assert tape.gradient(total, x).numpy().tolist() == expected.tolist()
    assert random.shuffle(x, axis=-1, seed=3).shape == (6, 2)


def test_parameters_may_be_tensors_and_get_gradients():
    low, high, mean, deviation, scale, beta = (corenn.tensor([v, v]) for v in (0.5, 2.0, 1.0, 3.0, 2.0, 4.0))
    cases = [
        (lambda: random.uniform((3, 2), low, high, seed=1), {"low": low, "high": high}),
        (lambda: random.normal((3, 2), mean, deviation, seed=1), {"mean": mean, "deviation": deviation}),
        (lambda: random.exponential((3, 2), scale, seed=1), {"scale": scale}),
        (lambda: random.gamma((3, 2), 2.0, beta, seed=1), {"beta": beta}),
    ]
    for draw, parameters in cases:
        with corenn.GradientTape() as tape:
            tape.watch(list(parameters.values()))
            drawn = draw()
        assert all(
            g is not None and np.isfinite(g.numpy()).all() for g in tape.gradient(drawn, list(parameters.values()))
        )
    assert_close(random.uniform((3, 2), low, high, seed=1).numpy(), random.uniform((3, 2), 0.5, 2.0, seed=1).numpy(),
                 Tolerance(1e-6, 0))  # fmt: skip


def test_the_shape_parameter_of_gamma_has_no_gradient():
    alpha = corenn.tensor([2.0])
    with corenn.GradientTape() as tape:
        tape.watch(alpha)
        drawn = random.gamma(1, alpha, seed=1)
    assert tape.gradient(drawn, alpha) is None


# ---------------------------------------------------------------- dropout


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_its_share_and_the_mean(rate, dtype):
    x = corenn.ones((200, 300), dtype)
    y = random.dropout(x, rate, seed=3)
    values = y.numpy().astype(np.float64)
    scale = float(np.asarray(1 / (1 - rate), y.dtype.numpy))
    assert y.dtype.name == dtype
    assert set(np.unique(values)) == {0.0, scale}
    assert abs((values == 0).mean() - rate) < 5 * (rate * (1 - rate) / values.size) ** 0.5


def test_the_gradient_of_dropout_has_the_same_mask():
    x = corenn.tensor(np.random.default_rng(0).normal(size=(8, 9)))
    with corenn.GradientTape() as tape:
        tape.watch(x)
        y = random.dropout(x, 0.4)
    gradient = tape.gradient(y, x).numpy()
    assert_close(gradient * x.numpy(), y.numpy(), Tolerance(1e-12, 0))


def test_dropout_keeps_nothing_but_the_key():
    inputs, keeps_result = drop.op.kept(0b101)  # two operands, the first watched
    assert [drop.op.tensors[i] for i in inputs] == ["key"]
    assert not keeps_result


def test_dropout_drops_infinity():
    y = random.dropout(np.full(1000, np.inf), 0.5, seed=1).numpy()
    assert set(np.unique(y)) == {0.0, np.inf}


def test_a_noise_shape_shares_decisions():
    y = random.dropout(corenn.ones((40, 5, 6)), 0.5, noise_shape=(None, 1, 6), seed=2).numpy()
    assert (y == y[:, :1]).all()
    assert len(np.unique(y[:, 0, 0])) == 2


def test_rate_zero_gives_the_tensor_itself():
    x = corenn.ones(3)
    assert random.dropout(x, 0) is x


# ---------------------------------------------------------------- sources of numbers


@pytest.fixture(autouse=True)
def _default_generator_restored(monkeypatch):
    monkeypatch.setattr(sources, "_default", None)
    yield
    random.set_entropy(None)


def test_seed_starts_the_default_generator_anew():
    random.seed(5)
    first = [random.normal(3).tolist() for _ in range(3)]
    random.seed(5)
    assert [random.normal(3).tolist() for _ in range(3)] == first
    random.seed(6)
    assert random.normal(3).tolist() != first[0]
    assert first[0] != first[1]


def test_without_a_seed_the_operating_system_gives_one(monkeypatch):
    seeds = set()
    for _ in range(3):
        monkeypatch.setattr(sources, "_default", None)
        seeds.add(random.get_state()["seed"])
    assert len(seeds) == 3


def asked_for():
    """Fresh seeds as a program may ask for them, and what is drawn without a seed."""
    with Graph().as_default() as graph:
        drawn = random.normal(2)
    return (
        random.fresh_seed(), random.fresh_seed("weights"), random.fresh_seed("weights"), random.fresh_seed(),
        random.get_state()["seed"],
        *(Session(graph).run(drawn).tolist() for _ in range(2)),
    )  # fmt: skip


def test_fresh_seeds_follow_from_the_entropy_that_was_set(monkeypatch):
    found = []
    for entropy in (0, 0, 1, None, None):
        monkeypatch.setattr(sources, "_default", None)
        random.set_entropy(entropy)
        found.append(asked_for())
    assert found[0] == found[1]
    assert all(len({repr(seeds[i]) for seeds in found[1:]}) == 4 for i in range(7))
    assert all(len({repr(seed) for seed in seeds}) == 7 for seeds in found)


def test_a_seed_for_one_purpose_does_not_depend_on_others():
    random.set_entropy(1 << 64)  # modulo 2**64
    first = random.fresh_seed("a"), random.fresh_seed("a")
    random.set_entropy(0)
    assert [random.fresh_seed(purpose) for purpose in "baba"][1::2] == list(first)


def test_the_entropy_of_a_program_is_an_int():
    with pytest.raises(AttributeValueError, match="value must be an int"):
        random.set_entropy(0.5)


def test_the_state_of_the_default_generator_resumes():
    random.seed(1)
    random.uniform(4)
    state = json.loads(json.dumps(random.get_state()))
    following = [random.uniform(4).tolist(), random.permutation(4).tolist()]
    random.seed(99)
    random.set_state(state)
    assert [random.uniform(4).tolist(), random.permutation(4).tolist()] == following


def test_a_seed_an_equal_generator_and_an_equal_key_agree():
    drawn = [
        random.normal(5, seed=3),
        random.normal(5, generator=random.Generator(3)),
        random.normal(5, key=random.key(3)),
        random.normal(5, key=random.key(3 + 2**64)),
        random.normal(5, key=random.Generator(3).next_key()),
    ]
    assert len({tuple(d.tolist()) for d in drawn}) == 1


def test_a_generator_counts_its_streams():
    generator = random.Generator(-1)
    assert generator.seed == 2**64 - 1
    assert [generator.next_key().tolist() for _ in range(2)] == [[2**64 - 1, 0, 0], [2**64 - 1, 1, 0]]
    assert repr(generator) == f"corenn.random.Generator(seed={2**64 - 1}, draws=2)"
    other = random.Generator(0)
    other.set_state(json.loads(json.dumps(generator.state())))
    assert other.next_key().tolist() == [2**64 - 1, 2, 0]


def test_derived_generators_depend_on_seed_and_path_alone():
    generator = random.Generator(4)
    before = generator.derive("dropout", 3).seed
    generator.next_key()
    assert generator.derive("dropout", 3).seed == before
    assert len({generator.derive(*p).seed for p in (("dropout", 3), ("dropout", 4), ("dropout",), ("init",))}) == 4


def test_splitting_gives_new_generators_every_time():
    generator = random.Generator(4)
    children = [*generator.split(3), *generator.split(3)]
    assert len({c.seed for c in children} | {generator.seed}) == 7
    again = random.Generator(4)
    assert [c.seed for c in (*again.split(3), *again.split(3))] == [c.seed for c in children]


def test_threads_never_share_a_stream():
    generator, taken, lock = random.Generator(0), [], threading.Lock()

    def draw():
        mine = [int(generator.next_key().numpy()[1]) for _ in range(100)]
        with lock:
            taken.extend(mine)

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(400))


def test_draws_are_made_on_the_current_device():
    with STRICT:
        drawn = [random.uniform(3, seed=1), random.normal(3, seed=1), random.integers(5, shape=3, seed=1)]
    assert all(d.device is STRICT for d in drawn)
    assert drawn[0].numpy().tolist() == random.uniform(3, seed=1).tolist()


# ---------------------------------------------------------------- errors

REFUSED = [
    (lambda: random.uniform(3, seed=1, key=random.key(1)), UsageError, "one of seed, generator and key"),
    (lambda: random.uniform(3, dtype="int32"), AttributeValueError, "floating numbers"),
    (lambda: random.uniform(3, 2.0, 1.0), AttributeValueError, "low must not be above"),
    (lambda: random.uniform("3"), AttributeValueError, "int or ints"),
    (lambda: random.uniform((2, -1)), AttributeValueError, "negative"),
    (lambda: random.uniform(2.5), AttributeValueError, "int or ints"),
    (lambda: random.normal(3, stddev=-1.0), AttributeValueError, "stddev must not be negative"),
    (lambda: random.truncated_normal(3, stddev=-1.0), AttributeValueError, "stddev must not be negative"),
    (lambda: random.exponential(3, -1.0), AttributeValueError, "scale must not be negative"),
    (lambda: random.gamma(3, 0.0), AttributeValueError, "alpha must be positive"),
    (lambda: random.gamma(3, 1.0, -1), AttributeValueError, "beta must be positive"),
    (lambda: random.bernoulli(1.5), AttributeValueError, r"p must be in \[0, 1\]"),
    (lambda: random.bernoulli(np.ones(3, np.float32), (2, 2)), ShapeError, "does not broadcast"),
    (lambda: random.integers(3, 3), AttributeValueError, "below high"),
    (lambda: random.integers(0, 300, 2, "uint8"), AttributeValueError, "fit the dtype"),
    (lambda: random.integers(2, dtype="float32"), DTypeError, "draws integers"),
    (lambda: random.integers(0.5), AttributeValueError, "must be an int"),
    (lambda: random.permutation(corenn.ones(3)), UsageError, "number of elements"),
    (lambda: random.permutation(-1), AttributeValueError, "non-negative"),
    (lambda: random.shuffle(1.0), ShapeError, "no axis 0"),
    (lambda: random.seed("x"), AttributeValueError, "seed must be an int"),
    (lambda: random.key(1, stream=0.5), AttributeValueError, "stream must be an int"),
    (lambda: random.Generator(1).set_state({"seed": 1}), AttributeValueError, "not a state"),
    (lambda: random.dropout(corenn.ones(3), 1.0), AttributeValueError, r"range \[0, 1\), got 1"),
    (lambda: random.dropout(corenn.ones(3), "a"), AttributeValueError, r"got 'a'"),
]


@pytest.mark.parametrize(("call", "kind", "words"), REFUSED, ids=[str(i) for i in range(len(REFUSED))])
def test_what_is_refused(call, kind, words):
    with pytest.raises(kind, match=words):
        call()
