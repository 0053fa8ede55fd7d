"""Caches in memory and in files."""

import json
import subprocess
import sys
import threading
from collections import namedtuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corenn.data import Dataset
from corenn.errors import DataError

Pair = namedtuple("Pair", "x y")


@pytest.fixture(params=["memory", "files"])
def cached(request, tmp_path):
    """Cache a dataset in one of the two ways, each time in a place of its own."""
    made = []

    def cache(dataset):
        made.append(None)
        return dataset.cache() if request.param == "memory" else dataset.cache(tmp_path / f"cache{len(made)}")

    return cache


def counted(n):
    calls = []
    return calls, Dataset.range(n).map(lambda x: (calls.append(int(x)), x * 10)[1])


def test_each_element_is_computed_once(cached, plain):
    calls, dataset = counted(6)
    kept = cached(dataset)
    assert [plain(x) for x in kept] == [plain(x) for x in kept] == [0, 10, 20, 30, 40, 50]
    assert sorted(plain(x) for x in kept.shuffle(seed=1)) == plain(kept.as_numpy()) == [0, 10, 20, 30, 40, 50]
    assert calls == [0, 1, 2, 3, 4, 5]


def test_sequential_sources_are_read_once(cached, plain):
    runs = []

    def numbers():
        runs.append(True)
        yield from range(5)

    kept = cached(Dataset.from_generator(numbers))
    first, second = iter(kept), iter(kept)
    both = [plain(next(first)), plain(next(second)), plain(next(second)), plain(next(first))]
    assert both == [0, 0, 1, 1]
    assert [plain(x) for x in first] == [plain(x) for x in second] == [2, 3, 4]
    assert [plain(x) for x in kept.shuffle(3, seed=1).repeat(2)] != []
    assert len(runs) == 1


def test_memory_keeps_what_was_asked_for(plain):
    calls, dataset = counted(100)
    kept = dataset.cache()
    assert [plain(x) for x in kept.shuffle(seed=1).take(5)] == [plain(x) for x in kept.shuffle(seed=1).take(5)]
    assert len(calls) == 5


def test_the_order_of_a_cached_shuffle_is_that_of_epoch_0(cached, plain):
    shuffled = Dataset.range(20).shuffle(seed=1)
    kept = cached(shuffled)
    kept.epoch = 5
    assert [[plain(x) for x in kept] for _ in range(3)] == [[plain(x) for x in shuffled.iterator(epoch=0)]] * 3


ELEMENTS = {
    "numbers": [1, 2, 3],
    "no elements": [],
    "arrays": [np.arange(6.0).reshape(2, 3) + i for i in range(3)],
    "ragged": [np.arange(i) for i in range(4)],
    "empty arrays": [np.zeros((0, 2), np.float32)] * 2,
    "strings": [np.str_("a"), np.str_("longer"), np.str_("")],
    "equal strings": [np.str_("ab"), np.str_("cd")],
    "empty strings": [np.str_(""), np.str_("")],
    "bytes": [np.bytes_(b"a"), np.bytes_(b"\0b")],
    "string arrays": [np.array(["a", "bc"]), np.array(["def"])],
    "tuples": [(np.float16(i), np.arange(i)) for i in range(3)],
    "dicts": [{"x": np.arange(2) * i, "y": (np.bool_(i), np.complex64(i * 1j))} for i in range(3)],
    "dicts in another order": [{"a": 1, "b": 2.0}, {"b": 3.0, "a": 4}],
    "dates": [np.datetime64("2020-01-01"), np.datetime64("2021-05-05")],
    "big endian": [np.arange(3, dtype=">i4")],
    "fortran order": [np.asfortranarray(np.arange(6).reshape(2, 3)), np.arange(6).reshape(2, 3)],
}


@pytest.mark.parametrize("name", ELEMENTS)
def test_all_kinds_of_elements(name, cached, plain):
    dataset = Dataset.from_generator(lambda: ELEMENTS[name])
    kept = cached(dataset)
    for _ in range(2):
        assert [plain(x) for x in kept] == [plain(x) for x in dataset]
        assert [str(getattr(x, "dtype", "")) for x in kept] == [str(getattr(x, "dtype", "")) for x in dataset]


def test_bfloat16(cached):
    bfloat16 = np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    kept = cached(Dataset.from_tensor_slices(np.arange(6).astype(bfloat16).reshape(3, 2)))
    for _ in range(2):
        whole = kept.as_numpy()
        assert whole.dtype == bfloat16
        assert whole.astype(int).tolist() == [[0, 1], [2, 3], [4, 5]]


def test_bfloat16_in_a_process_that_has_not_loaded_it(tmp_path):
    bfloat16 = np.dtype(pytest.importorskip("ml_dtypes").bfloat16)
    list(Dataset.from_generator(lambda: np.arange(6).astype(bfloat16)).cache(tmp_path / "c"))
    program = """
import sys
from corenn.data import Dataset
element = list(Dataset.from_generator(list).cache(sys.argv[1]))[5]
print(element, element.dtype)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "c")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200, check=True)
    assert done.stdout == "5 bfloat16\n"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(-9, 9), max_size=3), max_size=6), st.lists(st.integers(0, 5), max_size=10))
def test_memory_in_any_order(plain, rows, wanted):
    """Kept in one array while the shapes are equal, and one by one from the first that differs."""
    whole = Dataset.range(len(rows)).map(lambda i: np.array(rows[i], np.int16)).cache()
    for i in (i for i in wanted if i < len(rows)):
        assert [plain(x) for x in whole.skip(i).take(1)] == [rows[i]]
    assert [plain(x) for x in whole] == rows


def test_batches_of_elements_that_differ(cached, plain):
    kept = cached(Dataset.from_tensor_slices([2, 2, 3, 3]).map(np.arange))
    for _ in range(2):
        assert [plain(x) for x in kept.batch(2)] == [[[0, 1], [0, 1]], [[0, 1, 2], [0, 1, 2]]]


def test_memory_keeps_even_elements_of_different_structure(plain):
    kept = Dataset.range(4).map(lambda x: {"x": x} if x == 2 else (x, x) if x else x).cache()
    assert [[plain(x) for x in kept] for _ in range(2)] == [[0, (1, 1), {"x": 2}, (3, 3)]] * 2


def test_named_tuples_stay_so_in_memory_and_are_refused_in_files(tmp_path):
    dataset = Dataset.from_tensor_slices(Pair(np.arange(3), np.arange(3)))
    assert type(next(iter(dataset.cache()))) is Pair
    with pytest.raises(DataError, match="use a dict"):
        iter(dataset.cache(tmp_path / "c"))
    assert list(tmp_path.iterdir()) == []


def test_cached_elements_cannot_be_changed(cached):
    kept = cached(Dataset.range(3).map(lambda x: np.array([x, x])))
    for _ in range(2):
        with pytest.raises(ValueError, match="read-only"):
            next(iter(kept))[0] = 9
    assert kept.as_numpy().tolist() == [[0, 0], [1, 1], [2, 2]]


def test_errors_while_filling_are_raised_and_the_rest_is_kept(cached, plain):
    bad = {2}

    def function(x):
        if int(x) in bad:
            raise OSError("disc")
        return x

    for source in (Dataset.range(4), Dataset.range(4).prefetch(1)):
        bad.add(2)
        kept = cached(source.map(function))
        with pytest.raises(OSError, match="disc"):
            list(kept)
        bad.clear()
        assert [plain(x) for x in kept] == [0, 1, 2, 3]


def test_two_threads_share_a_cache(cached):
    calls, dataset = counted(200)
    kept = cached(dataset)
    found = []
    threads = [threading.Thread(target=lambda: found.append([int(x) for x in kept])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[10 * i for i in range(200)]] * 4
    assert len(calls) == 200


# ---- files


def test_files_outlive_the_process_and_are_mapped(tmp_path, plain):
    _, dataset = counted(5)
    list(dataset.cache(tmp_path / "c"))
    calls, again = counted(5)
    kept = again.cache(tmp_path / "c")
    assert [plain(x) for x in kept.batch(2)] == [[0, 10], [20, 30], [40]]
    assert calls == []


def test_files_are_plain_npy(tmp_path):
    ragged = Dataset.range(3).map(lambda n: {"x": np.arange(n, dtype=np.int16), "y": np.float32(n)})
    list(ragged.cache(tmp_path / "c"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c"]
    files = {path.name: path for path in (tmp_path / "c").iterdir()}
    assert sorted(files) == ["leaf0.npy", "leaf0.shapes.npy", "leaf1.npy", "meta.json"]
    assert np.load(files["leaf0.npy"]).view(np.int16).tolist() == [0, 0, 1]
    assert np.load(files["leaf1.npy"]).view(np.float32).tolist() == [0, 1, 2]
    assert json.loads(files["meta.json"].read_text())["structure"] == {"x": None, "y": None}


def test_nothing_is_left_of_an_interrupted_write(tmp_path):
    def numbers():
        yield 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        iter(Dataset.from_generator(numbers).cache(tmp_path / "c"))
    assert list(tmp_path.iterdir()) == []


def test_an_empty_directory_is_filled(tmp_path, plain):
    (tmp_path / "c").mkdir()
    assert [plain(x) for x in Dataset.range(3).cache(tmp_path / "c")] == [0, 1, 2]


def test_a_directory_that_appears_meanwhile_is_used(tmp_path, plain):
    """Two processes may fill the same cache at once: the first to finish wins, the other takes its files."""
    other = Dataset.range(3).map(lambda x: x)

    def function(x):
        if x == 2:
            list(other.cache(tmp_path / "c"))
        return x

    assert [plain(x) for x in Dataset.range(3).map(function).cache(tmp_path / "c")] == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def spoil_size(path):
    data = (path / "leaf0.npy").read_bytes()
    (path / "leaf0.npy").write_bytes(data[:-8])


def spoil_length(path):
    np.save(path / "leaf0.npy", np.zeros(3, np.uint8))


def spoil_meta(path):
    (path / "meta.json").write_text((path / "meta.json").read_text()[:40])


def spoil_version(path):
    (path / "meta.json").write_text((path / "meta.json").read_text().replace('"version": 1', '"version": 9'))


def spoil_leaf(path):
    (path / "leaf0.npy").unlink()


def spoil_shapes(path):
    np.save(path / "leaf0.shapes.npy", np.ones((2, 2), np.int64))


@pytest.mark.parametrize("spoil", [spoil_size, spoil_length, spoil_meta, spoil_version, spoil_leaf, spoil_shapes])
def test_damaged_caches_are_named(spoil, tmp_path):
    ragged = Dataset.range(4).map(np.arange)
    list(ragged.cache(tmp_path / "c"))
    spoil(tmp_path / "c")
    with pytest.raises(DataError, match="delete the directory; it is written again") as caught:
        iter(ragged.cache(tmp_path / "c"))
    assert "cannot be read" in str(caught.value)


def test_a_cache_of_another_pipeline_is_refused(tmp_path):
    list(Dataset.range(3).cache(tmp_path / "c"))
    with pytest.raises(DataError, match="another pipeline") as caught:
        iter(Dataset.range(4).cache(tmp_path / "c"))
    assert "range(0, 3, 1)" in str(caught.value)


def test_a_directory_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="choose a directory that does not exist yet"):
        iter(Dataset.range(3).cache(tmp_path))
    with pytest.raises(DataError, match="is not a dataset cache"):
        iter(Dataset.range(3).cache(tmp_path / "letter.txt"))
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
    assert (tmp_path / "letter.txt").read_text() == "dear"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([np.int16(1), np.int32(1)], "convert in map"),
        ([np.zeros(1), np.zeros((1, 1))], "rank 2"),
        ([(1, 2), (1, 2.5)], r"component \[1\]"),
        ([{1: 2}], "strings as keys"),
        ([np.datetime64("2020"), np.int64(1)], "datetime64"),
    ],
)
def test_what_files_cannot_hold(values, words, tmp_path):
    dataset = Dataset.from_generator(lambda: values)
    with pytest.raises(DataError, match=words):
        iter(dataset.cache(tmp_path / "c"))
    assert list(tmp_path.iterdir()) == []
