"""Files of weights that are damaged, hostile, or do not fit: an error names the file, and the model is as it was."""

from __future__ import annotations

import json
import struct
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from corenn_models import weights

from corenn import layers as L
from corenn.checkpoint import save_file
from corenn.errors import CheckpointError, MissingExtraError, UsageError
from corenn.training import Sequential

PACKED = Path(__file__).parent / "written" / "files.zip"


def dense(units=4, name="m"):
    return Sequential([L.Input((5,)), L.Dense(units, name=name)])


def numbers(*shape):
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


# ---------------------------------------------------------------- any kind

FILES = ["zip.pth", "before_zip.pth", "model.h5", "model.weights.h5", "model.keras", "own.safetensors"]


def original(name, folder):
    if name == "own.safetensors":
        save_file(folder / name, {"m/kernel": numbers(5, 4), "m/bias": numbers(4)})
        return (folder / name).read_bytes()
    if not name.endswith(".pth"):
        pytest.importorskip("h5py", reason="reading Keras's files needs h5py")
    with zipfile.ZipFile(PACKED) as packed:
        return packed.read(name)


def read_all(path):
    """Everything of a file, or the CheckpointError that says why not."""
    with weights.open_weights(path) as file:
        for stored in file.arrays():
            assert stored.read().shape == stored.shape


@pytest.mark.parametrize("name", FILES)
def test_truncated_files(name, tmp_path):
    data = original(name, tmp_path)
    path = tmp_path / f"cut_{name}"
    for count in sorted({0, 1, 5, 8, 20, 100, len(data) // 3, len(data) // 2, len(data) - 1}):
        path.write_bytes(data[:count])
        with pytest.raises(CheckpointError) as refused:
            read_all(path)
        assert str(path) in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_changed_bytes_are_noticed_or_harmless(name, tmp_path):
    """No change of a byte ends in anything but a CheckpointError, or in arrays of the shapes that were announced."""
    data = original(name, tmp_path)
    rng = np.random.default_rng(0)
    path = tmp_path / f"changed_{name}"
    failed = 0
    for _ in range(100):
        changed = bytearray(data)
        for place in rng.integers(0, min(len(data), 6000), 3):
            changed[place] = rng.integers(0, 256)
        path.write_bytes(changed)
        try:
            read_all(path)
        except CheckpointError as error:
            failed += 1
            assert str(path) in str(error)
    assert failed > 10


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"", "its first bytes"),
        (b"hello, world, hello", "no weights corenn knows"),
        (b"[1, 2]" * 9, "no weights corenn knows"),
    ],
)
def test_files_of_another_kind(content, match, tmp_path):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(CheckpointError, match=match):
        weights.open_weights(tmp_path / "a.txt")
    with pytest.raises(CheckpointError, match="does not exist"):
        weights.open_weights(tmp_path / "b.pth")
    with pytest.raises(CheckpointError, match="cannot be read"):
        weights.open_weights(tmp_path)


# ---------------------------------------------------------------- HDF5


@pytest.fixture
def h5(tmp_path):
    h5py = pytest.importorskip("h5py", reason="reading Keras's files needs h5py")
    files = []

    def made(change=None, suffix=".h5"):
        path = str(tmp_path / f"{len(files)}{suffix}")
        files.append(path)
        with h5py.File(path, "w") as file:
            file.attrs["layer_names"] = [b"m"]
            group = file.create_group("m")
            group.attrs["weight_names"] = [b"m/kernel:0", b"m/bias:0"]
            group["m/kernel:0"], group["m/bias:0"] = numbers(5, 4), numbers(4)
            if change is not None:
                change(file, group)
        return path

    return made


def renamed(group, names):
    group.attrs["weight_names"] = names


def replaced(file, group, link):
    import h5py

    del group["m/bias:0"]
    group["m/bias:0"] = getattr(h5py, link)(*(["/m/m/kernel:0"] if link == "SoftLink" else ["other.h5", "/x"]))


def external(file, group):
    del group["m/bias:0"]
    group.create_dataset("m/bias:0", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def virtual(file, group):
    import h5py

    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(4,))
    del group["m/bias:0"]
    group.create_virtual_dataset("m/bias:0", layout)


def absurd(file, group, **options):
    del group["m/bias:0"]
    group.create_dataset("m/bias:0", (2**40,), "f4", chunks=(1024,), **options)


HOSTILE_HDF5 = {
    "a layer that is not there": (lambda f, g: f.attrs.__setitem__("layer_names", [b"m", b"n"]), "n is missing"),
    "an array that is not there": (lambda f, g: renamed(g, [b"m/kernel:0", b"m/gain:0"]), "gain:0 is missing"),
    "names that are numbers": (lambda f, g: renamed(g, [1, 2]), "are no names"),
    "one name twice": (lambda f, g: f.attrs.__setitem__("layer_names", [b"m", b"m"]), "one name"),
    "a link to another file": (lambda f, g: replaced(f, g, "ExternalLink"), "not followed"),
    "a link in the file": (lambda f, g: replaced(f, g, "SoftLink"), "not followed"),
    "values in another file": (external, "not followed"),
    "values of another file": (virtual, "not followed"),
    "an absurd size": (absurd, "which are not in the file"),
    "an absurd size, compressed": (lambda f, g: absurd(f, g, compression="gzip"), "which are not in the file"),
    "texts as weights": (lambda f, g: (g.create_dataset("t", data=[b"abc"]), renamed(g, [b"t"])), "element type"),
    "a group as an array": (lambda f, g: renamed(g, [b"m"]), "no array"),
    "nothing of Keras's": (lambda f, g: f.attrs.__delitem__("layer_names"), "not one of Keras's weights"),
}


@pytest.mark.parametrize("name", HOSTILE_HDF5)
def test_hostile_hdf5(name, h5):
    change, match = HOSTILE_HDF5[name]
    path = h5(change)
    with pytest.raises(CheckpointError, match=match) as refused:
        weights.load(dense(), path)
    assert path in str(refused.value)


def test_names_in_parts(h5):
    """Keras cuts long lists of names."""

    def cut(file, group):
        for place, attribute in ((file, "layer_names"), (group, "weight_names")):
            names = list(place.attrs[attribute])
            del place.attrs[attribute]
            for number, name in enumerate(names):
                place.attrs[f"{attribute}{number}"] = [name]

    model = dense()
    weights.load(model, h5(cut))
    np.testing.assert_array_equal(model.weights[0].numpy(), numbers(5, 4))


def test_groups_in_a_circle(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = str(tmp_path / "a.weights.h5")
    with h5py.File(path, "w") as file:
        group = file.create_group("layers/dense/vars")
        group["0"] = numbers(5, 4)
        group["again"] = file["layers/dense"]
    with pytest.raises(CheckpointError, match="circle"):
        weights.open_weights(path)


@pytest.mark.parametrize(
    ("config", "match"),
    [(b"{", "not JSON"), (b"[" * 100_000, "not JSON"), (b"[]", None), (b'{"config": {"layers": [3]}}', None)],
)
def test_archives_of_keras_with_another_configuration(config, match, h5, tmp_path):
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", config)
        file.writestr("model.weights.h5", Path(h5()).read_bytes())
    if match is None:
        weights.load(dense(), path)
        return
    with pytest.raises(CheckpointError, match=match):
        weights.open_weights(path)


def test_archives_that_would_fill_the_memory(tmp_path):
    path = tmp_path / "a.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("model.weights.h5", b"\0" * 30_000_000)
    with pytest.raises(CheckpointError, match="impossible size"):
        weights.open_weights(path)


def test_without_h5py(h5, monkeypatch):
    path = h5()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'corenn\[keras\]'"):
        weights.open_weights(path)
    with pytest.raises(MissingExtraError, match=r"pip install 'corenn\[keras\]'"):
        weights.save(dense(), f"{path}.new.h5")


# ---------------------------------------------------------------- safetensors


def test_several_files_with_an_index(tmp_path):
    save_file(tmp_path / "a.safetensors", {"m.weight": numbers(4, 5)})
    save_file(tmp_path / "b.safetensors", {"m.bias": numbers(4)})
    index = tmp_path / "model.safetensors.index.json"
    model = dense()
    index.write_text(json.dumps({"weight_map": {"m.weight": "a.safetensors", "m.bias": "b.safetensors"}}))
    weights.load(model, index)
    np.testing.assert_array_equal(model.weights[0].numpy(), numbers(4, 5).T)
    for table_, match in (
        ({"m.weight": "../a.safetensors"}, "not beside it"),
        ({"m.weight": "c.safetensors"}, "does not exist"),
        ({"m.gain": "a.safetensors"}, "in none of its files"),
        ("a", "no weight_map"),
    ):
        index.write_text(json.dumps({"weight_map": table_}))
        with pytest.raises(CheckpointError, match=match):
            weights.open_weights(index)


def test_the_order_of_safetensors_says_nothing(tmp_path):
    save_file(tmp_path / "a.safetensors", {"x.weight": numbers(4, 5), "x.bias": numbers(4)})
    with pytest.raises(CheckpointError, match="does not keep the order"):
        weights.load(dense(), tmp_path / "a.safetensors", by="order")


@pytest.mark.parametrize("first", [0x80, 0x4B50])
def test_a_length_that_looks_like_another_kind(first, tmp_path):
    """The first bytes of safetensors are a length: those of a pickle or an archive by chance."""
    entry = {"m.bias": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}
    header = json.dumps(entry).encode().ljust(first)
    (tmp_path / "a.safetensors").write_bytes(struct.pack("<Q", first) + header + b"\0" * 4)
    with weights.open_weights(tmp_path / "a.safetensors") as file:
        assert next(file.arrays()).read().shape == (1,)


def test_what_save_weights_writes_is_read_by_order(tmp_path):
    given, taking = dense(name="here"), dense(name="there")
    given.save_weights(tmp_path / "a.safetensors")
    assert weights.load(taking, tmp_path / "a.safetensors").by == "order"
    np.testing.assert_array_equal(taking.weights[0].numpy(), given.weights[0].numpy())


# ---------------------------------------------------------------- files that do not fit


def two():
    return Sequential([L.Input((5,)), L.Dense(4, name="a"), L.Dense(3, name="b")])


def state(tmp_path, **arrays):
    path = tmp_path / "state.safetensors"
    save_file(path, {k.replace("__", "."): v for k, v in arrays.items()})
    return path


GOOD = {"a__weight": numbers(4, 5), "a__bias": numbers(4), "b__weight": numbers(3, 4), "b__bias": numbers(3)}
MISFITS = {
    "a shape": (GOOD | {"b__weight": numbers(3, 5)}, r"b\.weight has the shape \(3, 5\), and should have \(3, 4\)"),
    "a missing array": ({k: v for k, v in GOOD.items() if k != "b__bias"}, "b has no bias, only weight"),
    "a missing layer": ({k: v for k, v in GOOD.items() if k[0] == "a"}, "its layer is not in the file"),
    "an array too many": (GOOD | {"b__gain": numbers(3)}, "b.gain is in the file, and the model's layer has nothing"),
    "an element type": (GOOD | {"b__bias": np.ones(3, bool)}, "element type bool"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_nothing_changes_when_something_does_not_fit(name, tmp_path):
    arrays, match = MISFITS[name]
    model = two()
    before = model.get_weights()
    path = state(tmp_path, **arrays)
    with pytest.raises(CheckpointError, match=match) as refused:
        weights.load(model, path)
    assert str(path) in str(refused.value) and "corenn weights inspect" in str(refused.value)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    report = weights.compare(model, path)
    assert not report.complete and len(report.problems) >= 1


def test_a_part_of_a_file_for_a_part_of_a_model(tmp_path):
    path = state(tmp_path, **{k: v for k, v in GOOD.items() if k[0] == "a"}, other__weight=numbers(2))
    model = two()
    last = model.weights[2].numpy()
    report = weights.load(model, path, partial=True)
    assert [m.weight for m in report.matched] == ["a/kernel", "a/bias"] and report.unused == ["other"]
    np.testing.assert_array_equal(model.weights[0].numpy(), numbers(4, 5).T)
    np.testing.assert_array_equal(model.weights[2].numpy(), last)
    with pytest.raises(CheckpointError, match="nothing in it fits"):
        weights.load(dense(name="z"), path, partial=True)


def test_values_are_rounded_to_the_model(tmp_path):
    model = Sequential([L.Input((5,), dtype="float16"), L.Dense(4, name="m", dtype="float16")])
    weights.load(model, state(tmp_path, m__weight=numbers(4, 5).astype("f8") / 3, m__bias=numbers(4)))
    assert model.weights[0].numpy().dtype == np.float16
    np.testing.assert_array_equal(model.weights[0].numpy(), (numbers(4, 5).T.astype("f8") / 3).astype("f2"))


def test_mistakes_in_the_call(tmp_path):
    path = state(tmp_path, **GOOD)
    with pytest.raises(UsageError, match="by='name'"):
        weights.load(two(), path, by="names")
    with pytest.raises(UsageError, match="has no weights yet"):
        weights.load(Sequential([L.Dense(3)]), path)
    with pytest.raises(UsageError, match="name of no kind"):
        weights.save(two(), tmp_path / "a.pth")


def test_layers_of_the_same_names_in_another_order(h5):
    def more(file, group):
        file.attrs["layer_names"] = [b"b", b"a"]
        for name in "ba":
            inner = file.create_group(name)
            inner.attrs["weight_names"] = [b"kernel:0", b"bias:0"]
            inner["kernel:0"], inner["bias:0"] = numbers(5, 5), numbers(5)

    model = Sequential([L.Input((5,)), L.Dense(5, name="a"), L.Dense(5, name="b")])
    path = h5(more)
    with pytest.raises(CheckpointError, match="in another order"):
        weights.load(model, path, by="order")
    assert weights.load(model, path).by == "name"


def test_the_first_resnet50_of_keras_is_told_apart(h5):
    def old(file, group):
        file.attrs["layer_names"] = [b"m", b"res2a_branch2a"]
        file.create_group("res2a_branch2a").attrs["weight_names"] = []

    with pytest.raises(CheckpointError, match="first ResNet50"):
        weights.load(dense(), h5(old))


def test_the_old_name_of_the_last_layer(h5):
    model = dense(name="predictions")

    def old(file, group):
        file.move("m", "probs")
        file.attrs["layer_names"] = [b"probs"]

    assert weights.load(model, h5(old), by="name").complete


def test_the_name_keras_2_gives_depthwise_kernels(h5):
    def old(file, group):
        group["depthwise_kernel:0"] = numbers(3, 3, 2, 1)
        renamed(group, [b"depthwise_kernel:0"])

    model = Sequential([L.Input((5, 5, 2)), L.DepthwiseConv2D(3, use_bias=False, name="m")])
    assert weights.load(model, h5(old), by="name").complete
    np.testing.assert_array_equal(model.weights[0].numpy(), numbers(3, 3, 2, 1))
