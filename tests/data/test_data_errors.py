"""Every mistake gives an error of the right class that says where and what to do."""

import numpy as np
import pytest

from corenn.data import ArraySpec, Dataset, UnknownLengthError
from corenn.errors import DataError, DTypeError, ShapeError, UsageError

three = Dataset.range(3)
slices = Dataset.from_tensor_slices
VECTOR = ArraySpec((2,), "float32")


def generate(values, signature=None):
    return Dataset.from_generator(lambda: iter(values), signature)


TABLE = [
    # from_tensor_slices
    (lambda: slices((np.zeros((4, 2)), {"y": np.zeros(5)})), ShapeError, ["[1]['y']: float64[5]   5 elements"]),
    (lambda: slices((np.zeros(3), np.float32(1))), ShapeError, ["scalar", "[1]: float32[]"]),
    (lambda: slices(()), UsageError, ["no arrays"]),
    (lambda: slices([[1, 2], [3]]), ShapeError, ["not an array", "inhomogeneous"]),
    (lambda: slices((np.zeros(1), [None])), DTypeError, ["Python objects", "component [1]"]),
    # from_generator
    (lambda: Dataset.from_generator(x for x in range(3)), UsageError, ["without calling it", "generator"]),
    (lambda: Dataset.from_generator(lambda: 3).as_numpy(), UsageError, ["cannot be iterated", "int"]),
    (lambda: Dataset.from_generator(list, (VECTOR, (3,))), UsageError, ["ArraySpec at each leaf"]),
    (lambda: list(generate([1, (1, 2)])), DataError, ["structures differ", "elements of one structure"]),
    (lambda: list(generate([(1, 2), (1, 2, 3)])), DataError, ["structures differ"]),
    (lambda: list(generate([{"a": 1}, {"b": 1}])), DataError, ["'a'", "'b'"]),
    (lambda: list(generate([{"a": (1, 2)}, {"a": (1, None)}])), DTypeError, ["component ['a'][1]"]),
    (lambda: list(generate([None])), DTypeError, ["value: None"]),
    (lambda: list(generate([1], (VECTOR, VECTOR))), DataError, ["the signature is (float32[2], float32[2])"]),
    (lambda: list(generate([[1, 2, 3]], VECTOR)), ShapeError, ["yielded:   (3,)", "signature: (2,)"]),
    (lambda: list(generate([np.zeros(2)], VECTOR)), DTypeError, ["yielded:   float64", "signature: float32"]),
    (lambda: list(generate([1.5], ArraySpec((), "int64"))), DTypeError, ["float32", "int64"]),
    (lambda: list(generate([-1], ArraySpec((), "uint8"))), DTypeError, ["uint8"]),
    (lambda: generate([]).element_spec, DataError, ["from_generator takes a signature"]),
    # functions
    (lambda: three.map(3), UsageError, ["Dataset.map: a function is needed"]),
    (lambda: three.filter("x"), UsageError, ["Dataset.filter: a function is needed"]),
    (lambda: list(three.map(lambda x: None)), DTypeError, ["return the element itself", "None"]),
    (lambda: list(three.map(lambda x: ({"a": x}, None))), DTypeError, ["component [1]"]),
    (lambda: list(three.map(lambda x: [[1], [1, 2]])), ShapeError, ["Dataset.map: not an array"]),
    (lambda: list(three.filter(lambda x: np.array([True, False]))), ShapeError, ["one truth value", "bool[2]"]),
    (lambda: list(three.interleave(lambda x: x)), UsageError, ["must return a Dataset", "int64[]"]),
    # batches
    (lambda: list(three.map(np.zeros).batch(2)), ShapeError, ["padded_batch", "element 0: (0,)", "element 1: (1,)"]),
    (lambda: list(generate([np.zeros(1), np.zeros(2)]).batch(2)), ShapeError, ["Dataset.batch", "padded_batch"]),
    (lambda: list(generate([1, 2.5]).batch(2)), DTypeError, ["int64", "float32", "astype"]),
    (
        lambda: list(Dataset.zip(three, {"a": three.map(np.zeros)}).batch(2)),
        ShapeError,
        ["in component [1]['a']"],
    ),
    (lambda: list(three.map(lambda x: (x,) * int(x)).batch(2)), DataError, ["structures differ", "the same tuples"]),
    (lambda: list(slices(np.zeros((2, 1))).concatenate(slices(np.zeros((2, 2)))).batch(3)), ShapeError, ["(2,)"]),
    (lambda: list(three.map(np.zeros).padded_batch(3, padded_shapes=(1,))), ShapeError, ["longer than padded_shapes"]),
    (lambda: list(three.padded_batch(3, padded_shapes=(1,))), ShapeError, ["another rank", "None pads an axis"]),
    (lambda: list(generate([np.zeros(1), np.zeros((1, 1))]).padded_batch(2)), ShapeError, ["ranks differ"]),
    (lambda: list(three.map(lambda x: np.ones(x, np.uint8)).padded_batch(2, None, -1)), DTypeError, ["-1", "uint8"]),
    (lambda: list(three.padded_batch(2, padded_shapes=((), ()))), ShapeError, ["another rank"]),
    (lambda: list(Dataset.zip(three, three).padded_batch(2, (None,))), DataError, ["structures differ"]),
    (lambda: Dataset.zip(three, three).padded_batch(2, (None,)).element_spec, DataError, ["structures differ"]),
    (
        lambda: list(three.map(lambda x: (x,) if x else x).padded_batch(2)),
        DataError,
        ["structures differ", "(int64[],)"],
    ),
    (lambda: list(three.unbatch()), ShapeError, ["what batch put together"]),
    (lambda: list(three.map(lambda x: (np.zeros(1), np.zeros(2))).unbatch()), ShapeError, ["same length"]),
    # sizes
    *[
        (lambda make=make: make(three), UsageError, [name, "must be an integer of at least"])
        for name, make in {
            "batch_size": lambda d: d.batch(0),
            "batch_size:": lambda d: d.padded_batch(-1),
            "buffer_size": lambda d: d.shuffle(0),
            "count": lambda d: d.repeat(0),
            "count:": lambda d: d.take(-1),
            "count: ": lambda d: d.skip(1.5),
            "num_parallel": lambda d: d.map(abs, num_parallel=0),
            "cycle_length": lambda d: d.interleave(lambda x: three, 0),
            "block_length": lambda d: d.interleave(lambda x: three, 1, True),
            "count:  ": lambda d: d.prefetch(0),
        }.items()
    ],
    (lambda: Dataset.range(0, 5, 0), UsageError, ["step must not be zero"]),
    # several datasets
    (lambda: Dataset.zip(three, np.zeros(3)), UsageError, ["datasets are needed", "ndarray"]),
    (lambda: Dataset.zip(), UsageError, ["nothing"]),
    (lambda: three.concatenate([1]), UsageError, ["list"]),
    (lambda: three.concatenate(slices(np.zeros(2))).element_spec, DataError, ["float64[]", "int64[]"]),
    (lambda: three.concatenate(Dataset.zip(three, three)).element_spec, DataError, ["same structure"]),
    # endless and unknown
    (lambda: len(three.repeat()), UnknownLengthError, ["never ends", "cardinality()"]),
    (lambda: len(three.filter(bool)), UnknownLengthError, ["only when it is read"]),
    (lambda: three.repeat().shuffle(), DataError, ["shuffle before repeat()", "buffer_size"]),
    (lambda: three.repeat().cache(), DataError, ["cache before repeat()"]),
    (lambda: three.repeat().cache("somewhere"), DataError, ["cache before repeat()"]),
    (lambda: three.repeat().as_numpy(), DataError, ["take(n) first"]),
    (lambda: next(iter(generate([]).repeat())), DataError, ["has no elements", "lets some through"]),
    (lambda: generate([]).as_numpy(), DataError, ["no elements to stack"]),
    (lambda: three.map(np.zeros).as_numpy(), ShapeError, ["element by element"]),
]


@pytest.mark.parametrize(("call", "error", "words"), TABLE)
def test_mistakes(call, error, words):
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word.strip(": ") in str(caught.value)


def test_errors_while_reading_point_to_the_line_that_built_the_stage():
    def build(source):
        return source.map(np.zeros).batch(2)  # the line

    line = build.__code__.co_firstlineno + 1
    for dataset in (build(three), build(three).prefetch(1)):
        with pytest.raises(ShapeError) as caught:
            list(dataset)
        assert caught.value.site == f"test_data_errors.py:{line}"


def test_unknown_length_is_no_obstacle_to_list():
    assert [int(x) for x in list(three.filter(bool))] == [1, 2]
    with pytest.raises(TypeError):
        len(three.filter(bool))
