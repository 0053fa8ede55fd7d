import hashlib
import io
import struct
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from corenn_datasets import cats_vs_dogs
from corenn_datasets.download import RemoteFile

from corenn.errors import DataError, MissingExtraError, UsageError

pillow = pytest.importorskip("PIL.Image")

CATS, DOGS = 12, 18
ARCHIVE = "kagglecatsanddogs_5340.zip"


def _colour(kind: str, number: int) -> tuple[int, int, int]:
    return (16 * number, 0, 200) if kind == "Cat" else (0, 8 * number, 100)


def _size(number: int) -> tuple[int, int]:
    return 20 + number, 40 - number  # height, width


def _jpeg(kind: str, number: int, mode: str = "RGB") -> bytes:
    out, (height, width) = io.BytesIO(), _size(number)
    colour = _colour(kind, number) if mode == "RGB" else 77
    pillow.new(mode, (width, height), colour).save(out, "JPEG", quality=95)
    return out.getvalue()


PICTURES = {f"PetImages/Cat/{k}.jpg": _jpeg("Cat", k) for k in range(CATS)} | {
    f"PetImages/Dog/{k}.jpg": _jpeg("Dog", k) for k in range(DOGS)
}
ELSE = {  # left out: no JFIF in the first ten bytes, or another name
    "PetImages/Cat/666.jpg": b"",
    "PetImages/Dog/11702.jpg": PICTURES["PetImages/Dog/1.jpg"].replace(b"JFIF", b"Exif", 1),
    "PetImages/Dog/11703.jpg": bytes(11) + b"JFIF",
    "PetImages/Cat/Thumbs.db": b"JFIF",
    "readme[1].txt": b"JFIF",
}


def _fill(folder: Path, pictures: dict[str, bytes] | None = None) -> Path:
    for name, body in (PICTURES | ELSE if pictures is None else pictures).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    return folder


def _zip(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in members.items():
            archive.writestr(name, body)
    return out.getvalue()


def _check(found: cats_vs_dogs.Pictures) -> None:
    assert sorted(found.names) == sorted(PICTURES)
    assert found.names == tuple(sorted(PICTURES, key=lambda name: hashlib.sha256(name.encode()).hexdigest()))
    for index, (name, label) in enumerate(zip(found.names, found.labels, strict=True)):
        _, kind, file = name.split("/")
        number = int(file.removesuffix(".jpg"))
        assert found[index].shape == (*_size(number), 3) and found[index].dtype == np.uint8
        assert np.abs(found[index].astype(int) - _colour(kind, number)).max() <= 3  # JPEG rounds
        assert label == (kind == "Dog")


def test_what_is_left_out_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cats_vs_dogs.pictures(_fill(tmp_path))
    left = sum(name.endswith(".jpg") for name in ELSE)
    assert f"{left} of {left + len(PICTURES)} pictures are left out" in caplog.text


@pytest.mark.parametrize("inside", ["", "cats_vs_dogs"])
def test_folder(tmp_path: Path, inside: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORENN_OFFLINE", "1")
    folder = _fill(tmp_path / inside)
    _check(cats_vs_dogs.pictures(tmp_path))
    _check(cats_vs_dogs.pictures(str(folder / "PetImages")))
    assert not cache.exists()


@pytest.mark.parametrize("inside", ["", "cats_vs_dogs"])
def test_archive(tmp_path: Path, inside: str) -> None:
    (tmp_path / inside).mkdir(exist_ok=True)
    (tmp_path / inside / ARCHIVE).write_bytes(_zip(PICTURES | ELSE))
    found = cats_vs_dogs.pictures(tmp_path)
    _check(found)
    part = found[3:9]
    assert len(part) == 6 and part.names == found.names[3:9]
    np.testing.assert_array_equal(part[0], found[3])
    assert repr(found) == "Pictures(30: 12 cats, 18 dogs)"


@pytest.mark.parametrize("inside", ["cats_vs_dogs", ""])
def test_common_folder(tmp_path: Path, inside: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CORENN_OFFLINE", "1")
    monkeypatch.setenv("CORENN_DATA_DIR", str(tmp_path))
    with pytest.raises(DataError, match="is not in the cache"):
        cats_vs_dogs.pictures()
    _fill(tmp_path / inside)
    _check(cats_vs_dogs.pictures())


def test_squares(tmp_path: Path) -> None:
    splits = cats_vs_dogs.load(_fill(tmp_path), size=8)
    assert (splits.train.x.shape, splits.test.x.shape) == ((27, 8, 8, 3), (3, 8, 8, 3))
    assert splits.classes == ("cat", "dog") and splits.train.y.dtype == np.int32
    found = cats_vs_dogs.pictures(tmp_path)
    np.testing.assert_array_equal(splits.test.y, found.labels[::10])
    expected = found[10].reshape(-1, 3).mean(0)  # of one colour, so its mean is the same at any size
    assert np.abs(splits.original("test").x[1].reshape(-1, 3).mean(0) - expected).max() <= 1
    with pytest.raises(UsageError, match="at least 1, not 0"):
        cats_vs_dogs.load(tmp_path, size=0)


def test_grey_pictures_get_three_channels(tmp_path: Path) -> None:
    _fill(tmp_path, PICTURES | {"PetImages/Cat/3.jpg": _jpeg("Cat", 3, "L")})
    found = cats_vs_dogs.pictures(tmp_path)
    assert np.abs(found[found.names.index("PetImages/Cat/3.jpg")].astype(int) - 77).max() <= 2


def _announcing(width: int, height: int) -> bytes:
    """A JPEG that says it has that many pixels, in its frame header (ITU T.81, B.2.2)."""
    body = PICTURES["PetImages/Cat/3.jpg"]
    at = body.index(b"\xff\xc0") + 5
    return body[:at] + struct.pack(">HH", height, width) + body[at + 4 :]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (PICTURES["PetImages/Cat/3.jpg"][:200], "is no JPEG that can be decoded"),
        (PICTURES["PetImages/Cat/3.jpg"][:10] + bytes(100), "is no JPEG that can be decoded"),
        (_announcing(60000, 900), "claims 60000x900 pixels"),
        (_announcing(65000, 65000), "is no JPEG that can be decoded"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_wrong_picture(tmp_path: Path, body: bytes, said: str, packed: bool) -> None:
    members = PICTURES | {"PetImages/Cat/3.jpg": body}
    if packed:
        (tmp_path / ARCHIVE).write_bytes(_zip(members))
    else:
        _fill(tmp_path, members)
    found = cats_vs_dogs.pictures(tmp_path)
    with pytest.raises(DataError, match=said) as caught:
        found[found.names.index("PetImages/Cat/3.jpg")]
    assert "Cat/3.jpg" in str(caught.value)
    with pytest.raises(DataError, match=said):
        cats_vs_dogs.load(tmp_path)


_GOOD = _zip(PICTURES)


def _encrypted() -> bytes:
    """The archive with the flag of encryption set on its members (APPNOTE 4.4.4), in both headers."""
    body = bytearray(_GOOD)
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = body.find(magic)
        while at >= 0:
            body[at + flags] |= 1
            at = body.find(magic, at + 4)
    return bytes(body)


def _damaged() -> bytes:
    body = bytearray(_GOOD)
    at = body.find(b"PetImages/Dog/7.jpg") + 60
    body[at : at + 40] = bytes(40)
    return bytes(body)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (_GOOD[: len(_GOOD) // 2], "is truncated or corrupt"),
        (b"no archive at all", "is truncated or corrupt"),
        (_zip({}), "has no usable pictures of both classes"),
        (_zip({f"../{name}": body for name, body in PICTURES.items()}), "has no usable pictures"),
        (_zip({name: body for name, body in PICTURES.items() if "Cat" in name}), "dogs: 0"),
        (_encrypted(), "is encrypted"),
    ],
    ids=["half", "text", "empty", "above", "one class", "encrypted"],
)
def test_wrong_archive(tmp_path: Path, body: bytes, said: str) -> None:
    path = tmp_path / "data" / ARCHIVE
    path.parent.mkdir()
    path.write_bytes(body)
    with pytest.raises(DataError, match=said) as caught:
        cats_vs_dogs.pictures(path.parent)
    assert str(path) in str(caught.value)
    assert list(tmp_path.rglob("*.jpg")) == []


def test_damaged_member(tmp_path: Path) -> None:
    (tmp_path / ARCHIVE).write_bytes(_damaged())
    with pytest.raises(DataError, match=r"PetImages/Dog/7\.jpg: is corrupt: it does not unpack"):
        cats_vs_dogs.pictures(tmp_path).resized(8)


def test_members_that_are_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cats_vs_dogs, "_LARGEST_FILE", 500)
    with pytest.raises(DataError, match=r"PetImages/Cat/\d+\.jpg: claims \d+ bytes, so it is no picture"):
        (tmp_path / ARCHIVE).write_bytes(_GOOD)
        cats_vs_dogs.pictures(tmp_path)


@pytest.mark.parametrize(
    ("prepare", "phrases"),
    [
        (lambda d: None, ["has no folder PetImages", "found there: nothing", ARCHIVE]),
        (lambda d: (d / "PetImages" / "Cat").mkdir(parents=True), ["has no folder PetImages with Cat and Dog"]),
        (lambda d: d.rmdir(), ["does not exist"]),
        (lambda d: (d.rmdir(), d.touch()), ["is not a folder"]),
    ],
)
def test_wrong_folder(tmp_path: Path, prepare: Callable[[Path], object], phrases: list[str]) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    prepare(folder)
    with pytest.raises(DataError) as caught:
        cats_vs_dogs.pictures(folder)
    for phrase in [*phrases, str(folder), "leave --data-dir"]:
        assert phrase in str(caught.value)


def test_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError) as caught:
        cats_vs_dogs.load(_fill(tmp_path))
    assert str(caught.value) == "cats_vs_dogs: needs pillow, which is not installed: pip install 'corenn[datasets]'"


def test_download(site, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site.serve(f"/mirror/cats_vs_dogs/{ARCHIVE}", _GOOD)
    monkeypatch.setenv("CORENN_MIRRORS", site.url + "/mirror")
    monkeypatch.setattr(cats_vs_dogs, "_ARCHIVE", RemoteFile(ARCHIVE, len(_GOOD), hashlib.sha256(_GOOD).hexdigest()))
    _check(cats_vs_dogs.pictures())
    monkeypatch.setenv("CORENN_OFFLINE", "1")
    _check(cats_vs_dogs.pictures())
    assert len(site.asked) == 1 and (cache / "cats_vs_dogs" / ARCHIVE).is_file()
