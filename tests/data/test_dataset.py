"""Every transformation, and random chains of them, against models on plain lists."""

from collections import namedtuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from corenn import dtypes, philox
from corenn.data import INFINITE, UNKNOWN, ArraySpec, Dataset
from corenn.ops import random

Pair = namedtuple("Pair", "x y")


class Model:
    """A dataset on plain lists: ``read(epoch)``, and whether its length is known without reading."""

    def __init__(self, read, known):
        self.read, self.known = read, known

    @property
    def known_empty(self):
        """Nothing can come of it, whatever is done to each element."""
        return self.known and not self.read(0)


def order(key, window, length):
    words = philox.words(key, window, 0, length).tolist()
    return sorted(range(length), key=lambda i: (words[i], i))


def shuffled(items, known, buffer, seed, epoch):
    """Windows of ``buffer``, the first shortened where the length is known and one window is not enough."""
    key = philox.derive(seed, "shuffle", epoch)
    if buffer is None or (known and len(items) <= buffer):
        windows = [items]
    else:
        first = buffer - ((philox.words(key, 2**64 - 1, 0, 1).tolist()[0] * buffer) >> 64 if known else 0)
        windows = [items[:first]] + [items[i : i + buffer] for i in range(first, len(items), buffer)]
    return [window[i] for number, window in enumerate(windows) for i in order(key, number, len(window))]


def chunks(items, n, drop=False):
    cut = [items[i : i + n] for i in range(0, len(items), n)]
    return cut[:-1] if drop and cut and len(cut[-1]) < n else cut


def interleaved(lists, cycle, block):
    """Slots in turn; one that is found empty gets the next list, one that runs out passes the turn on."""
    waiting, slots, out, turn = list(lists), [None] * cycle, [], 0
    while waiting or any(slot is not None for slot in slots):
        if slots[turn] is None and waiting:
            slots[turn] = list(waiting.pop(0))
        if slots[turn] is not None:
            out += slots[turn][:block]
            slots[turn] = slots[turn][block:] if len(slots[turn]) >= block else None
        turn = (turn + 1) % cycle
    return out


def endless(model, epoch, n):
    """The first ``n`` elements of repetition without end; a source found empty is an error, tested elsewhere."""
    epochs = [model.read((epoch << 32) + r) for r in range(n)]
    assume(model.known or all(epochs))
    return [x for items in epochs for x in items][:n]


# Each step: a strategy for its arguments, what it does to a dataset, what it does to a model.
small = st.integers(1, 5)
STEPS = {
    "map": (
        st.tuples(st.integers(-3, 3)),
        lambda d, a: d.map(lambda x: x * 2 + a),
        lambda m, a: Model(lambda e: [x * 2 + a for x in m.read(e)], m.known),
    ),
    "parallel map": (
        st.tuples(st.integers(-3, 3)),
        lambda d, a: d.map(lambda x: x * 2 + a, num_parallel=2),
        lambda m, a: Model(lambda e: [x * 2 + a for x in m.read(e)], m.known),
    ),
    "filter": (
        st.tuples(st.integers(1, 3)),
        lambda d, k: d.filter(lambda x: x % 3 != k),
        lambda m, k: Model(lambda e: [x for x in m.read(e) if x % 3 != k], m.known_empty),
    ),
    "take": (
        st.tuples(st.integers(0, 12)),
        lambda d, n: d.take(n),
        lambda m, n: Model(lambda e: m.read(e)[:n], m.known or n == 0),
    ),
    "skip": (
        st.tuples(st.integers(0, 12)),
        lambda d, n: d.skip(n),
        lambda m, n: Model(lambda e: m.read(e)[n:], m.known),
    ),
    "repeat": (
        st.tuples(st.integers(1, 3)),
        lambda d, n: d.repeat(n),
        lambda m, n: Model(lambda e: [x for r in range(n) for x in m.read(e * n + r)], m.known),
    ),
    "endless repeat": (
        st.tuples(st.integers(1, 9)),
        lambda d, n: d.repeat().take(n),
        lambda m, n: Model(lambda e: endless(m, e, n), True),
    ),
    "shuffle": (
        st.tuples(st.one_of(st.none(), st.integers(1, 8)), st.integers(0, 3), st.booleans()),
        lambda d, b, s, again: d.shuffle(b, s, again),
        lambda m, b, s, again: Model(lambda e: shuffled(m.read(e), m.known, b, s, e if again else 0), m.known),
    ),
    "batch and unbatch": (
        st.tuples(small, st.booleans()),
        lambda d, n, drop: d.batch(n, drop).unbatch(),
        lambda m, n, drop: Model(
            lambda e: [x for part in chunks(m.read(e), n, drop) for x in part],
            m.known and not chunks(m.read(0), n, drop),
        ),
    ),
    "batch and sum": (
        st.tuples(small, st.booleans()),
        lambda d, n, drop: d.batch(n, drop).map(lambda rows: rows.sum()),
        lambda m, n, drop: Model(lambda e: [sum(part) for part in chunks(m.read(e), n, drop)], m.known),
    ),
    "enumerate": (
        st.tuples(st.integers(-2, 2)),
        lambda d, s: d.enumerate(s).map(lambda i, x: i * 100 + x),
        lambda m, s: Model(lambda e: [i * 100 + x for i, x in enumerate(m.read(e), s)], m.known),
    ),
    "zip with itself": (
        st.tuples(st.integers(0, 4)),
        lambda d, k: Dataset.zip(d, d.skip(k)).map(lambda x, y: x - 3 * y),
        lambda m, k: Model(lambda e: [x - 3 * y for x, y in zip(m.read(e), m.read(e)[k:], strict=False)], m.known),
    ),
    "concatenate": (
        st.tuples(st.integers(0, 6)),
        lambda d, n: d.concatenate(Dataset.range(n), d),
        lambda m, n: Model(lambda e: [*m.read(e), *range(n), *m.read(e)], m.known),
    ),
    "interleave": (
        st.tuples(st.integers(1, 3), st.integers(1, 3)),
        lambda d, c, b: d.interleave(lambda x: Dataset.range(x, x + x % 4), c, b),
        lambda m, c, b: Model(lambda e: interleaved([range(x, x + x % 4) for x in m.read(e)], c, b), m.known_empty),
    ),
    "cache": (st.just(()), lambda d: d.cache(), lambda m: Model(lambda e: m.read(0), m.known)),
    "prefetch": (st.tuples(st.integers(1, 3)), lambda d, n: d.prefetch(n), lambda m, n: m),
}

SOURCES = {
    "slices": lambda n, opaque: Dataset.from_tensor_slices(np.arange(n) * 7),
    "opaque": lambda n, opaque: opaque(Dataset.from_tensor_slices(np.arange(n) * 7)),
    "generator": lambda n, opaque: Dataset.from_generator(lambda: (i * 7 for i in range(n))),
    "range": lambda n, opaque: Dataset.range(0, n * 7, 7),
    "shuffled": lambda n, opaque: Dataset.range(0, n * 7, 7).shuffle(seed=5),  # of another order in each epoch
    "shuffled opaque": lambda n, opaque: opaque(Dataset.range(0, n * 7, 7).shuffle(seed=5)),
}

one_step = st.sampled_from(sorted(STEPS)).flatmap(lambda name: st.tuples(st.just(name), STEPS[name][0]))
chains = st.lists(one_step, max_size=5)


def build(source, n, chain, opaque):
    dataset = SOURCES[source](n, opaque)
    model = Model(lambda e: [i * 7 for i in range(n)], source != "generator")
    if source.startswith("shuffled"):
        model = STEPS["shuffle"][2](model, None, 5, True)
    for name, arguments in chain:
        _, on_dataset, on_model = STEPS[name]
        dataset, model = on_dataset(dataset, *arguments), on_model(model, *arguments)
    return dataset, model


def check(dataset, model, plain):
    for epoch in range(3):
        expected = model.read(epoch)
        assert [plain(x) for x in dataset] == expected
        if model.known:
            assert dataset.cardinality() == len(expected) == len(dataset)
        elif expected:
            assert dataset.cardinality() == UNKNOWN


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("step", STEPS)
def test_one_transformation(step, source, opaque, plain):
    @settings(max_examples=15, deadline=None)
    @given(st.integers(0, 11), STEPS[step][0])
    def run(n, arguments):
        check(*build(source, n, [(step, arguments)], opaque), plain)

    run()


@settings(max_examples=300, deadline=None)
@given(source=st.sampled_from(sorted(SOURCES)), n=st.integers(0, 11), chain=chains)
def test_chains_of_transformations(opaque, plain, source, n, chain):
    check(*build(source, n, chain, opaque), plain)


@settings(max_examples=200, deadline=None)
@given(source=st.sampled_from(sorted(SOURCES)), n=st.integers(0, 11), chain=chains, batch=small)
def test_batches_and_as_numpy_of_chains(opaque, plain, source, n, chain, batch):
    dataset, model = build(source, n, chain, opaque)
    expected = model.read(0)
    assert [plain(x) for x in dataset.batch(batch)] == chunks(expected, batch)
    assert [plain(x) for x in dataset.padded_batch(batch)] == chunks(expected, batch)
    if expected:
        assert plain(dataset.as_numpy()) == expected


def test_interleave_as_in_the_documentation_of_tensorflow(plain):
    data = Dataset.range(1, 6).interleave(lambda x: Dataset.range(1).map(lambda _: x).repeat(6), 2, 4)
    ones = [1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 3, 3, 4, 4, 5, 5, 5, 5, 5, 5]
    assert [plain(x) for x in data] == ones


# ---- structures and dtypes


STRUCTURES = {
    "array": np.arange(12.0).reshape(6, 2),
    "tuple": (np.arange(6), np.arange(6.0, dtype=np.float32)),
    "dict": {"x": np.arange(6, dtype=np.uint8), "y": np.ones((6, 2, 3), np.float16)},
    "nested": ({"a": np.arange(6), "b": (np.arange(6) > 2, np.arange(6) * 1j)}, np.array(list("abcdef"))),
    "named tuple": Pair(np.arange(6), np.zeros((6, 1), np.int8)),
}


@pytest.mark.parametrize("path", ["slices", "opaque"])
@pytest.mark.parametrize("name", STRUCTURES)
def test_structures_and_dtypes_are_kept(name, path, opaque, plain):
    structure = STRUCTURES[name]
    dataset = Dataset.from_tensor_slices(structure)
    dataset = dataset if path == "slices" else opaque(dataset)
    one = next(iter(dataset))
    assert type(one) is (np.ndarray if name == "array" else type(structure))
    for stage in (dataset.batch(6), dataset.prefetch(1).batch(6), dataset.cache().batch(6), dataset.repeat(2).batch(6)):
        whole = next(iter(stage))
        assert plain(whole) == plain(structure)
        assert repr(stage.element_spec) == repr(spec_of(whole))
    assert repr(dataset.element_spec) == repr(spec_of(one))
    assert plain(dataset.as_numpy()) == plain(structure)


def spec_of(element):
    if isinstance(element, tuple):
        parts = [spec_of(part) for part in element]
        return type(element)(*parts) if hasattr(element, "_fields") else tuple(parts)
    if isinstance(element, dict):
        return {key: spec_of(value) for key, value in element.items()}
    return ArraySpec(element.shape, element.dtype)


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([1.5, 2.5], np.float32),
        ([[1, 2.5]], np.float32),
        ([1, 2], np.int64),
        ([True, False], np.bool_),
        ([1j], np.complex64),
        (np.array([1.5]), np.float64),
        ([np.float64(1.5)], np.float64),
        (np.array([1], np.int16), np.int16),
    ],
)
def test_python_numbers_take_default_dtypes_and_arrays_keep_theirs(value, dtype):
    assert Dataset.from_tensor_slices(value).element_spec.dtype == dtype


def test_anything_with_array_is_an_array(plain):
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            return np.arange(4, dtype=np.int16)

    assert plain(Dataset.from_tensor_slices(Tensor()).as_numpy()) == [0, 1, 2, 3]
    assert plain(Dataset.range(2).map(lambda _: Tensor()).as_numpy()) == [[0, 1, 2, 3]] * 2


def test_slices_are_read_only_and_batches_are_not():
    array = np.arange(6).reshape(3, 2)
    dataset = Dataset.from_tensor_slices(array)
    with pytest.raises(ValueError, match="read-only"):
        next(iter(dataset))[0] = 9
    for batched in (dataset.batch(2), dataset.shuffle(seed=0).batch(2), dataset.cache().batch(2)):
        next(iter(batched))[...] = 9
    assert array.tolist() == [[0, 1], [2, 3], [4, 5]]
    array[0] = 7  # the user's own array stays writable


SPECS = [
    (lambda d: d.batch(2), (2,)),
    (lambda d: d.batch(4), (None,)),
    (lambda d: d.batch(4, drop_remainder=True), (4,)),
    (lambda d: d.repeat().batch(4), (4,)),
    (lambda d: d.filter(lambda x: True).batch(2), (None,)),
    (lambda d: d.batch(2).padded_batch(2), (None, None)),
    (lambda d: d.batch(2).padded_batch(3, padded_shapes=(5,)), (3, 5)),
    (lambda d: d.batch(2).padded_batch(2, padded_shapes=(None,)), (None, None)),
    (lambda d: d.batch(2).unbatch(), ()),
    (lambda d: d.batch(2).concatenate(d.batch(3)), (None,)),
    (lambda d: d.batch(2).map(lambda x: x[:, None]), (2, 1)),
    (lambda d: d.batch(2).map(lambda x: x[:, None], num_parallel=2).shuffle().prefetch(1).take(3), (2, 1)),
    (lambda d: d.batch(2).shuffle().repeat(2).take(2).cache().prefetch(1).enumerate().map(lambda i, x: x), (2,)),
    (lambda d: d.batch(2).concatenate(d.batch(2)).map(lambda x: x), (2,)),
    (lambda d: d.interleave(lambda x: Dataset.from_tensor_slices(np.zeros((2, 3), np.int64))), (3,)),
]


@pytest.mark.parametrize(("make", "shape"), SPECS)
def test_element_spec(make, shape):
    dataset = make(Dataset.range(6))
    assert dataset.element_spec == ArraySpec(shape, np.int64)
    assert ArraySpec(shape, np.int64).admits(next(iter(dataset)).shape)


CARDINALITIES = [
    (lambda: Dataset.range(5).repeat(), INFINITE),
    (lambda: Dataset.range(0).repeat(), 0),
    (lambda: Dataset.range(5).repeat().take(7), 7),
    (lambda: Dataset.range(5).repeat().skip(7), INFINITE),
    (lambda: Dataset.range(5).repeat().batch(2), INFINITE),
    (lambda: Dataset.range(5).concatenate(Dataset.range(2).repeat()), INFINITE),
    (lambda: Dataset.zip(Dataset.range(5), Dataset.range(2).repeat()), 5),
    (lambda: Dataset.zip(Dataset.range(5), Dataset.range(0), Dataset.range(9).filter(bool)), 0),
    (lambda: Dataset.zip(Dataset.range(5).repeat(), Dataset.range(2).repeat()), INFINITE),
    (lambda: Dataset.range(9).filter(bool).take(0), 0),
    (lambda: Dataset.range(9).filter(bool).concatenate(Dataset.range(2)), UNKNOWN),
    (lambda: Dataset.range(0).filter(bool), 0),
    (lambda: Dataset.range(10, 0, -3), 4),
]


@pytest.mark.parametrize(("make", "expected"), CARDINALITIES)
def test_cardinality(make, expected):
    assert make().cardinality() == expected


def test_endless_datasets_have_random_access_too(plain):
    endless = Dataset.range(3).repeat()
    assert [plain(x) for x in endless.batch(2).take(4)] == [[0, 1], [2, 0], [1, 2], [0, 1]]
    mixed = Dataset.zip(endless, Dataset.range(2).concatenate(endless)).shuffle(4, seed=1).take(8)
    assert len({plain(x) for x in mixed}) > 1
    assert [plain(x) for x in endless.repeat().skip(1).take(3)] == [1, 2, 0]


@pytest.mark.parametrize(
    "make", [lambda d: d, lambda d: d.concatenate(d), lambda d: d.repeat(2), lambda d: d.shuffle()]
)
def test_as_numpy_of_nothing_has_the_right_shape(make):
    nothing = make(Dataset.from_tensor_slices(np.zeros((0, 3), np.float32))).as_numpy()
    assert (nothing.shape, nothing.dtype) == ((0, 3), np.float32)


def test_array_spec_takes_dtypes_by_any_name():
    assert ArraySpec((), "float32") == ArraySpec((), np.float32) == ArraySpec((), dtypes.float32)


# ---- order


def test_the_whole_shuffle_is_a_permutation_that_changes_with_the_epoch(plain):
    dataset = Dataset.range(50).shuffle(seed=3)
    first, second = ([plain(x) for x in dataset] for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(50))
    assert len({tuple(first), tuple(second), tuple(range(50))}) == 3
    assert [plain(x) for x in dataset.iterator(epoch=0)] == first
    assert dataset.epoch == 2
    dataset.epoch = 1
    assert [plain(x) for x in dataset] == second


@pytest.mark.parametrize("buffer", [None, 7])
@pytest.mark.parametrize(
    "make",
    [
        lambda d: d.concatenate(d.map(lambda x: -x), Dataset.range(5)),
        lambda d: d.repeat(3),
        lambda d: d.shuffle(5, seed=2).repeat(2),
        lambda d: Dataset.zip(d, d.skip(1)).map(lambda x, y: 100 * x + y),
        lambda d: d.batch(2),
        lambda d: d.cache().take(9),
    ],
)
def test_batches_gathered_by_index_are_those_read_in_order(make, buffer, opaque, plain):
    gathered = make(Dataset.range(10)).shuffle(buffer, seed=4).batch(4)
    read = opaque(make(Dataset.range(10))).shuffle(buffer, seed=4).batch(4)
    for _ in range(3):
        assert [plain(x) for x in gathered] == [plain(x) for x in read]


def test_a_window_moves_elements_less_than_its_size_and_boundaries_differ_by_epoch(plain):
    dataset = Dataset.range(100).shuffle(10, seed=3)
    for _ in range(4):
        assert max(abs(i - plain(x)) for i, x in enumerate(dataset)) < 10
    batched = dataset.batch(10)
    neighbours = [{frozenset(part.tolist()) for part in batched} for _ in range(2)]
    assert neighbours[0] != neighbours[1]


def test_unseeded_shuffles_differ_and_the_global_seed_fixes_them(plain):
    def two():
        return [tuple(map(plain, Dataset.range(30).shuffle())) for _ in range(2)]

    before = random.get_state()
    try:
        random.seed(5)
        seeded, further = two(), two()
        random.seed(5)
        assert two() == seeded
        assert len({*seeded, *further}) == 4
    finally:
        random.set_state(before)


def test_batches_behind_shuffle_compute_only_what_they_hold():
    called = []
    dataset = Dataset.range(1000).map(lambda x: (called.append(x), x)[1]).shuffle(seed=1).batch(4)
    next(iter(dataset))
    assert len(called) == 4


def test_shuffle_holds_no_more_than_its_buffer(opaque):
    read = []
    source = opaque(Dataset.range(1000)).map(lambda x: (read.append(x), x)[1])
    elements = iter(source.shuffle(10, seed=1))
    for taken in range(1, 200):
        next(elements)
        assert len(read) <= taken + 10


# ---- padded_batch


PADDED = [
    ({}, [[[1, 0, 0], [1, 2, 3]], [[1]]]),
    ({"padding_values": -1}, [[[1, -1, -1], [1, 2, 3]], [[1]]]),
    ({"padded_shapes": (4,)}, [[[1, 0, 0, 0], [1, 2, 3, 0]], [[1, 0, 0, 0]]]),
    ({"padded_shapes": [None], "drop_remainder": True}, [[[1, 0, 0], [1, 2, 3]]]),
]


@pytest.mark.parametrize("path", ["slices", "opaque"])
@pytest.mark.parametrize(("arguments", "expected"), PADDED)
def test_padded_batch(arguments, expected, path, opaque, plain):
    source = Dataset.from_tensor_slices(np.array([1, 3, 1]))
    ragged = (source if path == "slices" else opaque(source)).map(lambda n: np.arange(1, n + 1))
    assert [plain(x) for x in ragged.padded_batch(2, **arguments)] == expected


def test_padded_batch_of_structures(plain):
    ragged = Dataset.range(1, 3).map(lambda n: {"x": np.ones((n, 1), np.float16), "n": n, "s": np.array(["ab"] * n)})
    batched = ragged.padded_batch(
        2, padded_shapes={"x": (3, None), "n": (), "s": None}, padding_values={"x": 0.5, "n": 0, "s": "-"}
    )
    (batch,) = batched
    assert plain(batch) == {
        "x": [[[1], [0.5], [0.5]], [[1], [1], [0.5]]],
        "n": [1, 2],
        "s": [["ab", "-"], ["ab", "ab"]],
    }
    assert batch["x"].dtype == np.float16


# ---- generators


def test_generator_signature_gives_dtypes(plain):
    spec = (ArraySpec((None,), np.float32), ArraySpec((), np.uint8))
    dataset = Dataset.from_generator(lambda: [([1, 2], 3), ([4], 5)], spec)
    elements = list(dataset)
    assert [plain(x) for x in elements] == [([1.0, 2.0], 3), ([4.0], 5)]
    assert elements[0][0].dtype == np.float32
    assert elements[0][1].dtype == np.uint8
    assert dataset.element_spec == spec


def test_generator_is_closed_when_the_iterator_is():
    closed = []

    def numbers():
        try:
            yield from range(10)
        finally:
            closed.append(True)

    with iter(Dataset.from_generator(numbers).batch(2).map(lambda x: x).take(3)) as elements:
        next(elements)
    assert closed == [True]


def test_repr_names_the_pipeline():
    text = repr(Dataset.range(6).shuffle(seed=1).batch(4))
    assert text.startswith("<Dataset 2 elements: batch(4, drop_remainder=False) <- shuffle(None, seed=1")
    assert "endless" in repr(Dataset.range(2).repeat())
    assert "unknown length" in repr(Dataset.range(2).filter(bool))
    assert bool(Dataset.range(0))
