"""What the tests of corenn.data share."""

import threading
import time

import numpy as np
import pytest

from corenn.data import Dataset
from corenn.data.protocol import Cursor, Node


class OpaqueCursor(Cursor):
    def __init__(self, access):
        self.access, self.position = access, 0

    def next(self):
        if self.position == self.access.size:
            raise StopIteration
        self.position += 1
        return self.access.get(self.position - 1)

    def save(self):
        return {"at": self.position}

    def restore(self, state):
        self.position = state["at"]


class Opaque(Node):
    """Hides the random access of a node, so that everything behind it takes the sequential path."""

    name = "opaque"

    def sequential(self, epoch):
        return OpaqueCursor(self.inputs[0].access(epoch))

    def cardinality(self):
        return self.inputs[0].cardinality()

    def spec(self):
        return self.inputs[0].spec()


@pytest.fixture(scope="session")
def opaque():
    return lambda dataset: Dataset(Opaque(dataset._node))


def to_plain(element):
    if isinstance(element, tuple):
        return tuple(map(to_plain, element))
    if isinstance(element, dict):
        return {key: to_plain(value) for key, value in element.items()}
    assert isinstance(element, np.ndarray | np.generic), type(element)
    assert not (isinstance(element, np.ndarray) and element.ndim == 0)
    return element.tolist()


@pytest.fixture(scope="session")
def plain():
    """Elements as Python numbers, lists, tuples and dicts."""
    return to_plain


@pytest.fixture(scope="session")
def settle():
    """Wait until a condition holds; False if it does not within a generous time."""

    def wait(condition, seconds=600.0):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(0.002)
        return True

    return wait


def corenn_threads():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("corenn-")]


@pytest.fixture
def no_leaked_threads(settle):
    """The test must leave no thread of a pipeline behind."""
    yield corenn_threads
    assert settle(lambda: not corenn_threads()), corenn_threads()
