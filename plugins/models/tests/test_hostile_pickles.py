"""PyTorch's files put together by hand: read as data, and refused where they ask for anything else or make no sense."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from corenn_models import weights

from corenn import layers as L
from corenn.errors import CheckpointError
from corenn.training import Sequential


def dense():
    return Sequential([L.Input((5,)), L.Dense(4, name="m")])


def numbers(*shape):
    return np.arange(np.prod(shape), dtype="float32").reshape(shape)


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def integer(value):
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def named(full):
    module, _, name = full.rpartition(".")
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def listed(items):
    return b"(" + b"".join(items) + b"t"


def tensor(
    key, shape, strides=None, offset=0, count=None, kind="torch.FloatStorage", maker="torch._utils._rebuild_tensor_v2"
):
    strides = [int(np.prod(shape[i + 1 :])) for i in range(len(shape))] if strides is None else strides
    count = int(np.prod(shape)) if count is None else count
    storage = listed([text("storage"), named(kind), text(key), text("cpu"), integer(count)]) + b"Q"
    hooks = named("collections.OrderedDict") + b")R"
    given = [storage, integer(offset), listed(map(integer, shape)), listed(map(integer, strides)), b"\x89", hooks]
    return named(maker) + listed(given) + b"R"


def table(**items):
    return b"}(" + b"".join(text(k.replace("__", ".")) + v for k, v in items.items()) + b"u"


def archive(path, program, storages, method=zipfile.ZIP_STORED, extra=()):
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("x/data.pkl", b"\x80\x02" + program + b".")
        for key, values in storages.items():
            file.writestr(f"x/data/{key}", np.asarray(values).tobytes())
        for name in extra:
            file.writestr(name, b"1")
    return str(path)


def test_a_file_put_together_by_hand_is_read(tmp_path):
    program = table(m__weight=tensor("0", (4, 5)), m__bias=tensor("0", (4,), count=20, offset=3))
    model = dense()
    weights.load(model, archive(tmp_path / "a.pth", program, {"0": numbers(20)}))
    np.testing.assert_array_equal(model.weights[0].numpy(), numbers(4, 5).T)
    np.testing.assert_array_equal(model.weights[1].numpy(), [3, 4, 5, 6])


def test_big_endian_files(tmp_path):
    program = table(m__weight=tensor("0", (4, 5)), m__bias=tensor("1", (4,)))
    path = archive(tmp_path / "a.pth", program, {"0": numbers(20).astype(">f4"), "1": numbers(4).astype(">f4")})
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("x/byteorder", b"big")
    model = dense()
    weights.load(model, path)
    np.testing.assert_array_equal(model.weights[0].numpy(), numbers(4, 5).T)


class Shell:
    def __reduce__(self):
        return (print, ("this must not be printed",))


REFUSED = [
    "os.system", "builtins.eval", "builtins.getattr", "torch.load", "numpy.core.multiarray._reconstruct",
    "torch.nn.modules.linear.Linear", "collections.deque", "torch._utils._rebuild_sparse_tensor",
    "corenn_models.weights.pickles.Name", "torch.FloatStorage.__init__",
]  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_names_outside_the_table_are_refused(name, tmp_path, capfd):
    program = table(m__weight=named(name) + listed([text("true")]) + b"R")
    path = archive(tmp_path / "a.pth", program, {})
    with pytest.raises(CheckpointError, match=r"refers to .* refused") as refused:
        weights.open_weights(path)
    assert name in str(refused.value) and path in str(refused.value) and "safetensors" in str(refused.value)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("protocol", range(6))
def test_programs_in_pickles_do_not_run(protocol, tmp_path, capfd):
    inner = pickle.dumps({"a.weight": Shell()}, protocol=protocol)
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x/data.pkl", inner)
    for place in (path, tmp_path / "b.pth"):
        (tmp_path / "b.pth").write_bytes(inner)
        with pytest.raises(CheckpointError) as refused:
            weights.open_weights(place)
        assert str(place) in str(refused.value)
    assert capfd.readouterr().out == ""


WEIGHT = {"0": numbers(20)}
HOSTILE = {
    "a view beyond its storage": (table(w=tensor("0", (4, 6), count=20)), WEIGHT, "does not lie in"),
    "an offset beyond": (table(w=tensor("0", (4, 5), count=20, offset=1)), WEIGHT, "does not lie in"),
    "an absurd size of one element": (
        table(w=tensor("0", (2**40,), strides=(0,), count=20)),
        WEIGHT,
        "does not lie in",
    ),
    "an absurd storage": (table(w=tensor("0", (2**40,))), WEIGHT, "has 80 bytes for"),
    "a negative stride": (table(w=tensor("0", (20,), strides=(-1,))), WEIGHT, "makes no sense"),
    "a negative extent": (table(w=tensor("0", (-1,), count=20)), WEIGHT, "makes no sense"),
    "too few strides": (table(w=tensor("0", (4, 5), strides=(1,), count=20)), WEIGHT, "makes no sense"),
    "a missing storage": (table(w=tensor("7", (20,))), WEIGHT, "missing from the archive"),
    "a storage of another kind": (table(w=tensor("0", (20,), kind="torch.Size")), WEIGHT, "elements of"),
    "no table": (tensor("0", (20,)), WEIGHT, "holds a tensor, not a state dict"),
    "nothing": (b"}", {}, "no state dict at its top"),
    "several": (table(a=table(w=tensor("0", (20,))), b=table(w=tensor("0", (20,)))), WEIGHT, "say where it is"),
    "another instruction": (b"}]\x90", WEIGHT, "no weights need"),
    "an absurd length": (b"\x8d" + struct.pack("<Q", 2**60), WEIGHT, "ends too early"),
    "an absurd number in the memo": (b"}r\xff\xff\xff\xffj\xfe\xff\xff\xff", WEIGHT, "makes no sense"),
    "an empty stack": (b"R", {}, "makes no sense"),
    "a call of a text": (text("a") + b")R", {}, "makes no sense"),
    "items for a list in a dict": (b"](" + text("a") + b"K\x01u", {}, "makes no sense"),
    "a mark as a value": (b"(.", {}, "makes no sense"),
    "an id that is no storage": (text("a") + b"Q", {}, "not a storage"),
    "a key that cannot be one": (b"}(]K\x01u", {}, "makes no sense"),
    "a new protocol": (b"\x80\x63", {}, "protocol 99"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles(name, tmp_path):
    program, storages, match = HOSTILE[name]
    path = archive(tmp_path / "a.pth", program, storages)
    with pytest.raises(CheckpointError, match=match) as refused:
        weights.load(dense(), path)
    assert path in str(refused.value)


def test_a_table_in_itself_is_no_endless_loop(tmp_path):
    program = b"}q\x00(" + text("a") + b"h\x00" + text("w") + tensor("0", (20,)) + b"u"
    with weights.open_weights(archive(tmp_path / "a.pth", program, WEIGHT)) as file:
        assert [stored.name for stored in file.arrays()] == ["w"]


def test_archives_that_are_not_as_pytorch_writes_them(tmp_path):
    program = table(w=tensor("0", (2000,)))
    for path, match in (
        (archive(tmp_path / "a.pth", program, {"0": numbers(2000)}, zipfile.ZIP_DEFLATED), "compressed"),
        (archive(tmp_path / "b.pth", program, {"0": numbers(2000)}, extra=["x/constants.pkl"]), "TorchScript"),
    ):
        with pytest.raises(CheckpointError, match=match):
            weights.open_weights(path)
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as file:
        file.writestr("readme.txt", "hello")
    with pytest.raises(CheckpointError, match="neither PyTorch's nor Keras's"):
        weights.open_weights(tmp_path / "c.zip")


def test_nothing_changes_when_the_last_array_cannot_be_read(tmp_path):
    program = table(
        a__weight=tensor("0", (4, 5)),
        a__bias=tensor("1", (4,)),
        b__weight=tensor("2", (3, 4)),
        b__bias=tensor("3", (3,)),
    )
    path = archive(
        tmp_path / "a.pth", program, {"0": numbers(20), "1": numbers(4), "2": numbers(12), "3": numbers(3) + 77}
    )
    data = Path(path).read_bytes()
    last = data.index((numbers(3) + 77).tobytes())
    Path(path).write_bytes(data[:last] + b"\1" + data[last + 1 :])
    model = Sequential([L.Input((5,)), L.Dense(4, name="a"), L.Dense(3, name="b")])
    before = model.get_weights()
    with pytest.raises(CheckpointError, match="x/data/3 cannot be read"):
        weights.load(model, path)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
