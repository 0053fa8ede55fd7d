"""Threads: order, errors, shutdown, context."""

import contextvars
import gc
import subprocess
import sys
import threading

import numpy as np
import pytest

from corenn.data import Dataset


def fail_at(bad):
    def function(x):
        if x == bad:
            raise KeyError("no such picture")
        return x

    return function


def endless():
    i = 0
    while True:
        yield i
        i += 1


STAGES = {
    "prefetch": lambda d: d.prefetch(3),
    "parallel map": lambda d: d.map(lambda x: x, num_parallel=3),
    "both": lambda d: d.map(lambda x: x, num_parallel=3).prefetch(2),
    "prefetch in the middle": lambda d: d.prefetch(2).batch(2).unbatch(),
    "prefetch under cache": lambda d: d.prefetch(2).take(1000).cache(),
    "inside interleave": lambda d: Dataset.range(2).interleave(lambda x: d.prefetch(2)),
    "inside zip": lambda d: Dataset.zip(d.prefetch(2), d.prefetch(2)).map(lambda x, y: x),
    "inside concatenate": lambda d: d.take(3).prefetch(1).concatenate(d.prefetch(1)),
    "inside repeat": lambda d: d.take(3).prefetch(1).repeat(),
    "shuffled": lambda d: d.prefetch(2).shuffle(4, seed=1),
}


@pytest.mark.parametrize("stage", STAGES)
def test_close_ends_the_threads(stage, no_leaked_threads):
    dataset = STAGES[stage](Dataset.from_generator(endless))
    with iter(dataset) as elements:
        for _ in range(5):
            next(elements)
        assert no_leaked_threads()
    elements.close()
    if stage == "prefetch under cache":  # the cache keeps its reader, to read on later
        del dataset, elements
        gc.collect()


@pytest.mark.parametrize("stage", STAGES)
def test_a_forgotten_iterator_ends_its_threads(stage, no_leaked_threads):
    dataset = STAGES[stage](Dataset.from_generator(endless))
    elements = iter(dataset)
    next(elements)
    assert no_leaked_threads()
    del elements, dataset
    gc.collect()


@pytest.mark.parametrize("stage", STAGES)
def test_exhaustion_ends_the_threads(stage, no_leaked_threads):
    if stage != "inside repeat":
        list(STAGES[stage](Dataset.range(20)))


@pytest.mark.parametrize("stage", STAGES)
def test_the_error_of_a_stage_before_comes_through(stage, no_leaked_threads):
    source = Dataset.range(10).map(fail_at(2))
    elements = iter(STAGES[stage](source))
    with pytest.raises(KeyError, match="no such picture") as caught:
        list(elements)
    assert "in the function given to Dataset.map at test_parallel.py" in caught.value.__notes__[0]
    assert list(elements) == []


def test_the_error_of_a_parallel_function_comes_at_its_element(no_leaked_threads):
    elements = iter(Dataset.range(50).map(fail_at(7), num_parallel=4))
    assert [int(next(elements)) for _ in range(7)] == list(range(7))
    with pytest.raises(KeyError):
        next(elements)


@pytest.mark.parametrize("stage", [lambda d: d, lambda d: d.prefetch(1)])
def test_an_error_while_closing_is_not_lost(stage, no_leaked_threads):
    def numbers():
        try:
            yield from range(10)
        finally:
            raise OSError("cannot close")

    elements = iter(stage(Dataset.from_generator(numbers)))
    next(elements)
    with pytest.raises(OSError, match="cannot close"):
        elements.close()
    elements.close()


def test_an_error_in_the_consumer_leaves_no_thread(no_leaked_threads):
    with pytest.raises(RuntimeError):
        for x in Dataset.from_generator(endless).prefetch(2):
            if x == 3:
                raise RuntimeError
    gc.collect()


def test_parallel_map_keeps_the_order_and_works_in_threads():
    gate = threading.Barrier(3, timeout=600)
    names = set()

    def function(x):
        if x < 3:
            gate.wait()  # passes only if three calls are under way at once
        names.add(threading.current_thread().name)
        return x * x

    dataset = Dataset.range(30).map(function, num_parallel=3)
    assert dataset.as_numpy().tolist() == [x * x for x in range(30)]
    assert len(names) == 3


def test_unordered_map_delivers_what_is_ready():
    late = threading.Event()

    def function(x):
        if x == 0:
            assert late.wait(600)
        return x

    elements = iter(Dataset.range(6).map(function, num_parallel=2, deterministic=False))
    first = [int(next(elements)) for _ in range(3)]
    assert 0 not in first
    late.set()
    assert sorted(first + [int(x) for x in elements]) == list(range(6))


def test_prefetch_reads_ahead_but_no_further(settle):
    read = []
    source = Dataset.range(100).map(lambda x: (read.append(int(x)), x)[1])
    elements = iter(source.prefetch(4))
    assert not read
    next(elements)
    assert settle(lambda: len(read) == 5)
    next(elements)
    assert settle(lambda: len(read) == 6)
    elements.close()


def test_functions_see_the_context_of_the_reader():
    current = contextvars.ContextVar("current", default="none")
    source = Dataset.range(4).map(lambda x: np.array([current.get()]))
    threaded = Dataset.range(4).map(lambda x: np.array([current.get()]), num_parallel=2)
    current.set("here")
    for dataset in (source.prefetch(2), threaded, threaded.prefetch(1)):
        assert {str(x[0]) for x in dataset} == {"here"}


def test_a_program_that_ends_in_the_middle_exits_cleanly():
    program = """
import itertools
from corenn.data import Dataset
numbers = Dataset.from_generator(itertools.count)
kept = [iter(numbers.prefetch(2)), iter(numbers.map(lambda x: x, num_parallel=2).prefetch(2))]
print([int(next(it)) for it in kept])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=1200)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0, 0]\n", "")
