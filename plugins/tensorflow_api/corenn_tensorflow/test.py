"""``tf.test``: test cases for programs, and questions about the devices."""

from __future__ import annotations

import contextlib
import os
import tempfile
import unittest
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np

from corenn.tensor import Tensor
from corenn_tensorflow import missing, mode
from corenn_tensorflow.config import list_physical_devices


def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: Any = None) -> bool:
    """Whether this process computes on a GPU."""
    return bool(list_physical_devices("GPU"))


def gpu_device_name() -> str:
    """``/device:GPU:0``, or nothing."""
    return "/device:GPU:0" if is_gpu_available() else ""


def is_built_with_cuda() -> bool:
    """Whether this process computes on a GPU."""
    return is_gpu_available()


is_built_with_gpu_support = is_built_with_cuda


def is_built_with_rocm() -> bool:
    """False."""
    return False


def get_temp_dir() -> str:
    """A directory for files of tests."""
    return tempfile.mkdtemp(prefix="tf_test_")


def test_src_dir_path(relative_path: str) -> str:
    """A path below the working directory."""
    return os.path.join(os.getcwd(), relative_path)


class TestCase(unittest.TestCase):
    """A test case that compares arrays and runs sessions."""

    def setUp(self) -> None:
        """A fresh default graph for every test."""
        super().setUp()
        if not mode._state.eager:
            mode.reset_default_graph()

    @contextlib.contextmanager
    def test_session(
        self, graph: Any = None, config: Any = None, use_gpu: bool = False, **options: Any
    ) -> Iterator[Any]:
        """A session of the default graph."""
        from corenn_tensorflow.session import Session

        if mode.executing_eagerly():
            yield None
            return
        with Session(graph=graph, config=config) as session:
            yield session

    session = cached_session = test_session

    def evaluate(self, tensors: Any) -> Any:
        """The values of tensors, eager or of a graph."""
        from corenn_tensorflow.session import get_default_session

        if isinstance(tensors, (list, tuple)):
            return type(tensors)(self.evaluate(t) for t in tensors)
        if mode.graph_for(tensors) is None:
            return tensors.numpy() if isinstance(tensors, Tensor) else tensors
        return get_default_session().run(tensors)

    def _array(self, value: Any) -> Any:
        return np.asarray(self.evaluate(value) if isinstance(value, Tensor) else value)

    def assertAllClose(self, a: Any, b: Any, rtol: float = 1e-6, atol: float = 1e-6, msg: str | None = None) -> None:
        """All elements are close."""
        np.testing.assert_allclose(self._array(a), self._array(b), rtol, atol, err_msg=msg or "")

    def assertAllEqual(self, a: Any, b: Any, msg: str | None = None) -> None:
        """All elements are equal."""
        np.testing.assert_array_equal(self._array(a), self._array(b), err_msg=msg or "")

    def assertNear(self, f1: float, f2: float, err: float, msg: str | None = None) -> None:
        """Two numbers differ by at most ``err``."""
        self.assertLessEqual(abs(f1 - f2), err, msg)

    def assertShapeEqual(self, np_array: Any, tf_tensor: Any, msg: str | None = None) -> None:
        """An array and a tensor have one shape."""
        self.assertEqual(tuple(np_array.shape), tuple(tf_tensor.get_shape().as_list()), msg)

    def get_temp_dir(self) -> str:
        """A directory for files of the test."""
        return get_temp_dir()


class Benchmark:
    """A benchmark."""


def main(argv: Any = None) -> None:
    """Run the tests of the program."""
    unittest.main(argv=argv)


__all__ = [
    "Benchmark", "TestCase", "get_temp_dir", "gpu_device_name", "is_built_with_cuda", "is_built_with_gpu_support",
    "is_built_with_rocm", "is_gpu_available", "main", "mock", "test_src_dir_path",
]  # fmt: skip

__getattr__ = missing.guard(__name__)
