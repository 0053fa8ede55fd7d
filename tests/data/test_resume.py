"""A saved position continues exactly as the uninterrupted run, at every position, in a freshly built pipeline."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corenn.data import Dataset
from corenn.errors import CheckpointError, DataError

X, Y = np.arange(23) * 3, np.arange(46.0).reshape(23, 2)


def arrays():
    return Dataset.from_tensor_slices((X, Y))


def generated():
    return Dataset.from_generator(lambda: ((X[i], Y[i]) for i in range(23)))


def double(x, y):
    return x * 2, y + 1


PIPELINES = {
    "batch": lambda d: d.batch(4),
    "drop remainder": lambda d: d.batch(4, drop_remainder=True),
    "shuffle, batch": lambda d: d.shuffle(seed=1).batch(4),
    "shuffle, repeat, batch": lambda d: d.shuffle(seed=1).repeat(3).batch(4),
    "buffered shuffle": lambda d: d.shuffle(5, seed=1),
    "buffered shuffle of map": lambda d: d.map(double).shuffle(6, seed=2).batch(3),
    "shuffle of shuffle": lambda d: d.shuffle(5, seed=1).shuffle(9, seed=2).repeat(2),
    "parallel map": lambda d: d.shuffle(7, seed=1).map(double, num_parallel=2).batch(3),
    "parallel map, shuffle": lambda d: d.map(double, num_parallel=2).shuffle(5, seed=3),
    "prefetch": lambda d: d.shuffle(seed=1).map(double).batch(4).prefetch(2),
    "prefetch, repeat": lambda d: d.shuffle(seed=1).prefetch(3).repeat(2).batch(5),
    "prefetch twice": lambda d: d.prefetch(2).map(double, num_parallel=2).batch(2).prefetch(1),
    "filter": lambda d: d.filter(lambda x, y: x % 2 == 0).batch(2),
    "unbatch": lambda d: d.batch(4).unbatch(),
    "unbatch, prefetch": lambda d: d.shuffle(seed=4).batch(4).unbatch().prefetch(2).repeat(2),
    "take, skip": lambda d: d.skip(3).take(15).shuffle(4, seed=5).skip(2),
    "concatenate": lambda d: d.take(5).concatenate(d.shuffle(seed=6), d.skip(20)).batch(3),
    "zip": lambda d: Dataset.zip({"a": d, "b": d.shuffle(3, seed=8)}).batch(2),
    "enumerate": lambda d: d.shuffle(seed=9).enumerate(),
    "interleave": lambda d: d.interleave(
        lambda x, y: Dataset.from_tensor_slices(y).enumerate(x).shuffle(seed=7), cycle_length=3, block_length=2
    ),
    "interleave, prefetch": lambda d: d.shuffle(seed=1).interleave(lambda x, y: Dataset.range(x % 5), 2).prefetch(2),
    "cache": lambda d: d.map(double).cache().shuffle(seed=1).batch(4),
    "cache, repeat": lambda d: d.cache().shuffle(4, seed=1).repeat(2),
    "padded batch": lambda d: d.map(lambda x, y: np.full(x % 4, x)).padded_batch(3),
    "endless": lambda d: d.shuffle(seed=1).repeat().batch(6).take(12),
    "endless, buffered": lambda d: d.repeat().shuffle(7, seed=1).take(40),
}


def continue_after(make, position, epoch):
    """What a new pipeline gives after the state, by way of JSON, that an old one had at ``position``."""
    old = iter(make().iterator(epoch))
    for _ in range(position):
        next(old)
    state = json.loads(json.dumps(old.state_dict()))
    old.close()
    new = make().iterator(epoch=99)
    new.load_state_dict(state)
    return list(new), new


@pytest.mark.parametrize("source", [arrays, generated], ids=["arrays", "generator"])
@pytest.mark.parametrize("name", PIPELINES)
def test_every_position(name, source, plain, no_leaked_threads):
    def make():
        return PIPELINES[name](source())

    epoch = 2
    expected = [plain(x) for x in make().iterator(epoch)]
    assert len(expected) > 4
    for position in range(len(expected) + 1):
        rest, iterator = continue_after(make, position, epoch)
        assert [plain(x) for x in rest] == expected[position:]
        assert iterator.epoch == epoch


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(sorted(PIPELINES)),
    st.sampled_from(sorted(PIPELINES)),
    st.booleans(),
    st.integers(0, 3),
    st.integers(0, 40),
)
def test_restored_twice_on_the_way(plain, name, then, index_based, epoch, at):
    """Save, restore, read on, save again: states of restored iterators are as good as those of fresh ones."""
    source = arrays if index_based else generated

    def make():
        dataset = PIPELINES[name](source())
        return dataset.prefetch(1) if then == "prefetch" else dataset

    expected = [plain(x) for x in make().iterator(epoch)]
    at %= len(expected)
    further = (len(expected) + at) // 2
    first = make().iterator(epoch)
    for _ in range(at):
        next(first)
    second = make().iterator(0)
    second.load_state_dict(first.state_dict())
    assert second.state_dict() == first.state_dict()
    for i in range(at, further):
        assert plain(next(second)) == expected[i]
    third = make().iterator(0)
    third.load_state_dict(second.state_dict())
    assert [plain(x) for x in third] == expected[further:]
    first.close()
    second.close()


@pytest.mark.parametrize("name", ["shuffle, repeat, batch", "cache", "take, skip", "zip", "endless", "padded batch"])
def test_array_pipelines_restore_without_reading(name):
    """Constant time: nothing before the position is computed again."""
    touched = []

    def make():
        watched = Dataset.from_tensor_slices((X, Y)).map(lambda x, y: (touched.append(int(x)), (x, y))[1])
        return PIPELINES[name](watched)

    old = iter(make())
    for _ in range(4):
        next(old)
    state = old.state_dict()
    touched.clear()
    new = iter(make())
    new.load_state_dict(state)
    assert not touched
    next(new)
    assert len(touched) <= 12


def test_the_state_is_small_and_readable():
    elements = iter(arrays().shuffle(seed=1).repeat().batch(4))
    for _ in range(100):
        next(elements)
    assert elements.state_dict()["position"] == {"i": 100}


def test_epochs_after_a_restored_one_are_the_same_too(plain):
    """An unseeded shuffle and the epoch counter come back with the position."""
    first = arrays().shuffle().batch(4)
    next(iter(first))  # so that the interrupted epoch is not epoch 0
    elements = iter(first)
    next(elements)
    state = json.loads(json.dumps(elements.state_dict()))
    expected = [[plain(x) for x in elements], [plain(x) for x in first]]

    second = arrays().shuffle().batch(4)
    elements = iter(second)
    elements.load_state_dict(state)
    assert [[plain(x) for x in elements], [plain(x) for x in second]] == expected


def test_an_exhausted_iterator_stays_exhausted(plain):
    elements = iter(generated().prefetch(1))
    list(elements)
    again = iter(generated().prefetch(1))
    again.load_state_dict(elements.state_dict())
    assert list(again) == []
    again.load_state_dict(iter(generated().prefetch(1)).state_dict())  # and can go back
    assert len(list(again)) == 23


# ---- what cannot be restored


def numbers_from(box):
    return Dataset.from_generator(lambda: iter(box))


def saved(dataset, position):
    elements = iter(dataset)
    for _ in range(position):
        next(elements)
    return elements, elements.state_dict()


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [([1, 2, 3, 4], [1, 2], "it ended after 2 elements"), ([1, 2, 3, 4], [1, 2, 9, 4], "the last of them differs")],
)
def test_a_generator_that_changes_is_noticed(before, after, reason):
    _, state = saved(numbers_from(before), 3)
    elements = iter(numbers_from(after))
    with pytest.raises(DataError, match=reason) as caught:
        elements.load_state_dict(state)
    assert "seed it, sort file lists" in str(caught.value)
    assert list(elements) == []


def test_unordered_map_has_no_position(no_leaked_threads):
    elements = iter(arrays().map(double, num_parallel=2, deterministic=False).batch(2).prefetch(1))
    next(elements)
    with pytest.raises(DataError, match=r"deterministic=True\), the default, to resume"):
        elements.state_dict()
    assert len(list(elements)) == 11  # and reads on
    elements.close()


def test_unseeded_shuffle_inside_interleave_has_no_position():
    elements = iter(Dataset.range(3).interleave(lambda x: Dataset.range(4).shuffle()))
    next(elements)
    with pytest.raises(DataError, match="give that shuffle a seed"):
        elements.state_dict()
    assert len(list(elements)) == 11


def test_a_failed_or_closed_iterator_has_no_position():
    elements = iter(Dataset.range(3).map(lambda x: 1 // (int(x) - 1)))
    next(elements)
    with pytest.raises(ZeroDivisionError):
        next(elements)
    closed = iter(Dataset.range(3))
    closed.close()
    for ended in (elements, closed):
        assert list(ended) == []
        with pytest.raises(DataError, match="save the position before"):
            ended.state_dict()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda d: d.shuffle(seed=1).batch(5), "the same transformations, sizes and seeds"),
        (lambda d: d.shuffle(seed=2).batch(4), "seed=2"),
        (lambda d: d.take(22).shuffle(seed=1).batch(4), r"take\(22\)"),
    ],
)
def test_a_position_in_another_pipeline_is_refused(make, words):
    _, state = saved(arrays().shuffle(seed=1).batch(4), 2)
    elements = iter(make(arrays()))
    with pytest.raises(CheckpointError, match=words):
        elements.load_state_dict(state)
    assert len(list(elements)) > 4  # untouched


@pytest.mark.parametrize("state", [{}, {"version": 1}, {"version": 2, "position": None}])
def test_something_else_is_refused(state):
    with pytest.raises(CheckpointError, match=r"pass what state_dict\(\) gave"):
        iter(arrays()).load_state_dict(state)
