"""What the kit cannot know: that the kernel is used, and that operands cannot be written to."""

import numpy as np
import pytest

import corenn
from corenn.backend import get_backend


def test_an_op_runs_on_the_backend():
    with corenn.device("tutorial"):
        x = corenn.tensor([[1.0, 2.0], [3.0, 4.0]])
        with corenn.GradientTape() as tape:
            tape.watch(x)
            loss = corenn.sum(corenn.squared_difference(x @ x, 1.0))
        gradient = tape.gradient(loss, x)
    assert x.device.backend is get_backend("tutorial")
    assert float(loss) == 36.0 + 81.0 + 196.0 + 441.0
    np.testing.assert_array_equal(gradient.numpy(), [[144.0, 252.0], [248.0, 456.0]])


def test_the_kernel_writes_to_no_operand():
    x = corenn.tensor([1.0, 2.0], device="tutorial")
    with pytest.raises(ValueError, match="read-only"):
        x.data[0] = 5.0
    corenn.squared_difference(x, x)
    assert x.tolist() == [1.0, 2.0]
