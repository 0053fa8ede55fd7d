"""Functions on images against NumPy, colorsys and scipy, on every backend that runs here."""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

import corenn
from corenn import image
from corenn.autodiff import check_gradients
from corenn.device import device
from corenn.dtypes import as_dtype
from corenn.errors import AttributeValueError, BackendError, DTypeError, ShapeError
from corenn.graph import Graph, Session, placeholder
from corenn.layers import Input
from corenn.testing import register_doubles
from corenn.testing.compare import assert_close, difference
from corenn.testing.tolerances import EXACT, TRAINING, forward
from corenn.training import Functional

RNG = np.random.default_rng(3)
BATCH = RNG.random((3, 6, 8, 3))
EACH = np.array([0.4, 1.0, 1.7])


def spread(values: Any) -> Any:
    """A number for each image, beside pixels."""
    return np.asarray(values).reshape(-1, 1, 1, 1)


def in_hsv(x: Any, change: Callable[..., tuple[float, float, float]], by: Any) -> Any:
    out = np.empty_like(x)
    for at in np.ndindex(x.shape[:-1]):
        hsv = colorsys.rgb_to_hsv(*x[at])
        out[at] = colorsys.hsv_to_rgb(*change(hsv, float(np.broadcast_to(by, len(x))[at[0]])))
    return out


def turned(hsv: Any, by: float) -> tuple[float, float, float]:
    return (hsv[0] + by) % 1, hsv[1], hsv[2]


def saturated(hsv: Any, by: float) -> tuple[float, float, float]:
    return hsv[0], min(max(hsv[1] * by, 0), 1), hsv[2]


def contrasted(x: Any, by: Any) -> Any:
    middle = x.mean((1, 2), keepdims=True)
    return (x - middle) * by + middle


def standardized(x: Any) -> Any:
    axes = (1, 2, 3)
    return (x - x.mean(axes, keepdims=True)) / np.maximum(x.std(axes, keepdims=True), (6 * 8 * 3) ** -0.5)


# name, arguments, options, what NumPy gives in float64; for arguments of one number each image alone must give the same
CASES: list[tuple[str, tuple[Any, ...], dict[str, Any], Callable[[Any], Any]]] = [
    ("crop", (), {"offset": (1, 2), "size": (3, 4)}, lambda x: x[:, 1:4, 2:6]),
    ("crop", (), {"size": 5}, lambda x: x[:, :5, :5]),
    ("center_crop", (), {"size": (3, 5)}, lambda x: x[:, 1:4, 1:6]),
    ("central_crop", (0.5,), {}, lambda x: x[:, 1:5, 2:6]),
    ("central_crop", (0.7,), {}, lambda x: x[:, 0:6, 1:7]),
    ("central_crop", (1.0,), {}, lambda x: x),
    ("pad", (1,), {}, lambda x: np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))),
    ("pad", ((1, 2),), {"mode": "reflect"}, lambda x: np.pad(x, ((0, 0), (1, 1), (2, 2), (0, 0)), "reflect")),
    ("pad", (((0, 1), (2, 3)),), {"value": 0.5},
     lambda x: np.pad(x, ((0, 0), (0, 1), (2, 3), (0, 0)), constant_values=0.5)),
    ("resize_with_crop_or_pad", (), {"size": (3, 11)},
     lambda x: np.pad(x[:, 1:4], ((0, 0), (0, 0), (1, 2), (0, 0)))),
    ("resize_with_crop_or_pad", (), {"size": (6, 5)}, lambda x: x[:, :, 1:6]),
    ("flip_left_right", (), {}, lambda x: x[:, :, ::-1]),
    ("flip_up_down", (), {}, lambda x: x[:, ::-1]),
    *[("rotate90", (k,), {}, lambda x, k=k: np.rot90(x, k, (1, 2))) for k in (-1, 0, 1, 2, 3, 5)],
    ("adjust_brightness", (0.25,), {}, lambda x: x + 0.25),
    ("adjust_brightness", (EACH,), {}, lambda x: x + spread(EACH)),
    ("adjust_contrast", (2.0,), {}, lambda x: contrasted(x, 2.0)),
    ("adjust_contrast", (EACH,), {}, lambda x: contrasted(x, spread(EACH))),
    ("adjust_gamma", (2.2, 0.5), {}, lambda x: 0.5 * x**2.2),
    ("adjust_gamma", (EACH,), {}, lambda x: x ** spread(EACH)),
    *[("adjust_hue", (d,), {}, lambda x, d=d: in_hsv(x, turned, d)) for d in (-1.0, -0.3, 0.0, 0.21, 1.0)],
    ("adjust_hue", (EACH / 2,), {}, lambda x: in_hsv(x, turned, EACH / 2)),
    *[("adjust_saturation", (f,), {}, lambda x, f=f: in_hsv(x, saturated, f)) for f in (0.0, 0.5, 3.0)],
    ("adjust_saturation", (EACH,), {}, lambda x: in_hsv(x, saturated, EACH)),
    ("rgb_to_grayscale", (), {}, lambda x: (x @ np.array([0.2989, 0.587, 0.114]))[..., None]),
    ("standardize", (), {}, standardized),
]  # fmt: skip
IDS = [f"{n}{'[n]' if np.ndim(a[0] if a else 0) else a or o}" for n, a, o, _ in CASES]
every = pytest.mark.parametrize(("name", "args", "options", "oracle"), CASES, ids=IDS)


@pytest.fixture(params=["numpy", "strict", "simulated:1", "onednn"])
def place(request: pytest.FixtureRequest) -> Any:
    register_doubles()
    try:
        return device(request.param)
    except BackendError:
        pytest.skip(f"{request.param} is not available")


@every
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_values(name: str, args: Any, options: Any, oracle: Any, dtype: str) -> None:
    x = BATCH.astype(dtype)
    found = getattr(image, name)(x, *args, **options)
    assert found.dtype.name == dtype
    tolerance = forward(as_dtype(dtype)).scaled(8)
    assert_close(found.numpy(), oracle(x.astype(np.float64)), tolerance)
    if np.ndim(args[0] if args else 0) == 0 or isinstance(args[0], tuple):
        for one, whole in zip(x, found.numpy(), strict=True):
            assert_close(getattr(image, name)(one, *args, **options).numpy(), whole, tolerance)


@every
def test_the_same_on_every_backend(place: Any, name: str, args: Any, options: Any, oracle: Any) -> None:
    x = BATCH.astype(np.float32)
    with place:
        found = getattr(image, name)(corenn.tensor(x), *args, **options)
        assert found.device is place
        assert_close(found.numpy(), oracle(x.astype(np.float64)), forward(as_dtype("float32")).scaled(8))


@pytest.mark.parametrize("name", [c[0] for c in CASES if c[0].startswith(("adjust", "rgb", "stand"))])
def test_gradients(name: str) -> None:
    """By central differences; factors of their own get gradients, too."""
    levels = np.array([0.2, 0.5, 0.8]) + RNG.uniform(-0.1, 0.1, (2, 3, 4, 3))
    x = RNG.permuted(levels, axis=-1)
    function = getattr(image, name)
    if name in ("rgb_to_grayscale", "standardize"):
        check_gradients(function, x)
    else:
        check_gradients(function, x, np.array([0.1, 0.7]))


# ---------------------------------------------------------------- integers


@pytest.mark.parametrize(("dtype", "high"), [("uint8", 255), ("int8", 127), ("uint16", 65535), ("int16", 32767)])
def test_integers_are_scaled_changed_and_limited(dtype: str, high: int) -> None:
    x = np.linspace(0, high, 60).astype(dtype).reshape(1, 4, 5, 3)
    scaled = x / high
    for name, by in (("adjust_brightness", 0.3), ("adjust_brightness", -0.3), ("adjust_contrast", 1.9)):
        found = getattr(image, name)(x, by)
        wanted = np.clip((scaled + by if name == "adjust_brightness" else contrasted(scaled, by)) * high, 0, high)
        low = np.iinfo(dtype).min
        if low < 0:
            wanted = np.clip((scaled + by if name == "adjust_brightness" else contrasted(scaled, by)) * high, low, high)
        assert found.dtype.name == dtype
        assert np.abs(found.numpy().astype(float) - wanted).max() <= 1.01, name
    np.testing.assert_array_equal(image.adjust_brightness(x, 0.0).numpy(), x)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16"])
@pytest.mark.parametrize("real", ["float32", "float64"])
def test_every_integer_comes_back_from_floats(dtype: str, real: str) -> None:
    info = np.iinfo(dtype)
    x = np.arange(max(info.min, 0), info.max + 1).astype(dtype).reshape(1, -1, 1)
    scaled = image.convert_dtype(x, real)
    assert float(scaled.numpy().max()) == 1.0
    np.testing.assert_array_equal(image.convert_dtype(scaled, dtype).numpy(), x)


@pytest.mark.parametrize(
    ("x", "dtype", "wanted"),
    [
        (np.array([-0.5, 0.0, 0.5, 1.0, 7.0]), "uint8", [0, 0, 127, 255, 255]),
        (np.array([0, 127, 128, 255], np.uint8), "uint16", [0, 127 * 256, 128 * 256, 255 * 256]),
        (np.array([0, 256, 65535], np.uint16), "uint8", [0, 1, 255]),
        (np.array([0, 2, 255], np.uint8), "int8", [0, 1, 127]),
        (np.array([0, 255], np.uint8), "float32", [0, 1]),
        (np.array([0.25, 0.5]), "float32", [0.25, 0.5]),
    ],
)
def test_conversion(x: Any, dtype: str, wanted: Any) -> None:
    found = image.convert_dtype(x.reshape(1, -1, 1), dtype)
    assert found.dtype.name == dtype
    assert found.numpy().ravel().tolist() == wanted


# ---------------------------------------------------------------- places

#: Names of modes here and in scipy.
MODES = {"constant": "grid-constant", "nearest": "nearest", "reflect": "reflect"}


def resampled(x: Any, matrix: Any, offset: Any, fill_mode: str, order: int = 1, fill: float = 0.0) -> Any:
    """scipy's affine map (rows before columns) of one image, channel by channel."""
    planes = [
        ndimage.affine_transform(x[..., c], matrix, offset, order=order, mode=MODES[fill_mode], cval=fill)
        for c in range(x.shape[-1])
    ]
    return np.stack(planes, -1)


def about_the_middle(shape: Any, matrix: Any) -> Any:
    middle = (np.array(shape[:2]) - 1) / 2
    return middle - matrix @ middle


def rotation(angle: float) -> Any:
    return np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])


@pytest.mark.parametrize("fill_mode", MODES)
@pytest.mark.parametrize("angles", [0.3, -2.0, [0.1, 1.4, -0.8]], ids=str)
def test_rotation_agrees_with_scipy(angles: Any, fill_mode: str) -> None:
    found = image.rotate(BATCH, angles, fill_mode=fill_mode, fill_value=0.5).numpy()
    for x, angle, y in zip(BATCH, np.broadcast_to(angles, 3), found, strict=True):
        matrix = rotation(angle)
        wanted = resampled(x, matrix, about_the_middle(x.shape, matrix), fill_mode, fill=0.5)
        # a list of angles is float32 where nothing says otherwise
        assert_close(y, wanted, forward(as_dtype("float64" if np.ndim(angles) == 0 else "float32")).scaled(4))


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_right_angles_are_those_of_rotate90(k: int, interpolation: str) -> None:
    square = np.random.default_rng(0).random((7, 7, 2))
    found = image.rotate(square, k * math.pi / 2, interpolation=interpolation, fill_mode="nearest")
    assert_close(found.numpy(), image.rotate90(square, k).numpy(), forward(as_dtype("float64")))


@pytest.mark.parametrize("fill_mode", MODES)
@pytest.mark.parametrize("offset", [(1, -2), (0.25, 3.5), [[1.0, 2.0], [-0.5, 0.0], [2.25, -7.0]]], ids=str)
def test_translation_agrees_with_scipy(offset: Any, fill_mode: str) -> None:
    given = offset if isinstance(offset, tuple) else np.array(offset)
    found = image.translate(BATCH, given, fill_mode=fill_mode).numpy()
    for x, by, y in zip(BATCH, np.broadcast_to(given, (3, 2)), found, strict=True):
        assert_close(y, resampled(x, np.eye(2), -by, fill_mode), forward(as_dtype("float64")).scaled(4))


@pytest.mark.parametrize("fill_mode", MODES)
@pytest.mark.parametrize("factor", [2.0, 0.6, (1.5, 0.75), EACH, np.stack([EACH, EACH[::-1]], 1)], ids=str)
def test_zoom_agrees_with_scipy(factor: Any, fill_mode: str) -> None:
    found = image.zoom(BATCH, factor, fill_mode=fill_mode).numpy()
    each = np.asarray(factor)[:, None] if np.ndim(factor) == 1 and len(factor) == 3 else factor
    for x, by, y in zip(BATCH, np.broadcast_to(each, (3, 2)), found, strict=True):
        matrix = np.diag(1 / by)
        wanted = resampled(x, matrix, about_the_middle(x.shape, matrix), fill_mode)
        assert_close(y, wanted, forward(as_dtype("float64")).scaled(8))


def test_whole_numbers_of_pixels_move_any_dtype() -> None:
    x = np.arange(24, dtype=np.int32).reshape(1, 4, 6, 1)
    found = image.translate(x, (1, -2), interpolation="nearest", fill_value=-1)
    wanted = np.full_like(x, -1)
    wanted[:, 1:, :-2] = x[:, :-1, 2:]
    assert_close(found.numpy(), wanted, EXACT)


def test_moving_is_the_same_on_every_backend(place: Any) -> None:
    x = BATCH.astype(np.float32)
    wanted = [image.rotate(x, 0.4), image.zoom(x, EACH), image.translate(x, (1.5, 2), fill_mode="reflect")]
    with place:
        t = corenn.tensor(x)
        found = [image.rotate(t, 0.4), image.zoom(t, EACH), image.translate(t, (1.5, 2), fill_mode="reflect")]
        for a, b in zip(found, wanted, strict=True):
            assert_close(a.numpy(), b.numpy(), forward(as_dtype("float32")).scaled(8))


def test_gradients_reach_images_and_what_moves_them() -> None:
    x = RNG.random((2, 4, 5, 1))
    check_gradients(lambda x, a: image.rotate(x, a), x, np.array([0.31, -0.2]))
    check_gradients(lambda x, a: image.translate(x, a, fill_mode="nearest"), x, np.array([[0.31, -0.2], [1.6, 0.4]]))
    check_gradients(lambda x, a: image.zoom(x, a, fill_mode="nearest"), x, np.array([1.31, 0.77]))


# ---------------------------------------------------------------- by chance

CHANCES: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("random_flip_left_right", (), {}),
    ("random_flip_up_down", (), {}),
    ("random_crop", (), {"size": (4, 5)}),
    ("random_rotate", (0.5,), {}),
    ("random_translate", ((2.5, 3),), {"fill_mode": "reflect"}),
    ("random_zoom", (0.5, 2.0), {"fill_mode": "nearest"}),
    ("random_brightness", (0.5,), {}),
    ("random_contrast", (0.2, 1.8), {}),
    ("random_hue", (0.5,), {}),
    ("random_saturation", (0.0, 2.0), {}),
]
chances = pytest.mark.parametrize(("name", "args", "options"), CHANCES, ids=[c[0] for c in CHANCES])


@chances
def test_chance_is_decided_by_seed_key_and_place_in_the_batch(name: str, args: Any, options: Any) -> None:
    x = np.random.default_rng(1).random((16, 6, 8, 3), np.float32)
    change = getattr(image, name)

    def of(x: Any, **source: Any) -> Any:
        return change(x, *args, **options, **source).numpy()

    first = of(x, seed=5)
    np.testing.assert_array_equal(first, of(x, seed=5))
    np.testing.assert_array_equal(first, of(x, key=corenn.random.key(5)))
    np.testing.assert_array_equal(first[:3], of(x[:3], seed=5))
    np.testing.assert_array_equal(first[0], of(x[0], seed=5))
    assert not np.array_equal(first, of(x, seed=6))
    generator = corenn.random.Generator(5)
    state = generator.state()
    one, two = of(x, generator=generator), of(x, generator=generator)
    assert not np.array_equal(one, two)
    generator.set_state(state)
    np.testing.assert_array_equal(one, of(x, generator=generator))
    corenn.random.seed(8)
    free = of(x)
    corenn.random.seed(8)
    np.testing.assert_array_equal(free, of(x))


@chances
def test_every_image_is_changed_by_itself(name: str, args: Any, options: Any) -> None:
    same = np.broadcast_to(BATCH[:1].astype(np.float32), (24, 6, 8, 3))
    found = getattr(image, name)(same, *args, **options, seed=1).numpy()
    kinds = len({one.tobytes() for one in found})
    assert kinds == 2 if "flip" in name else kinds > 5


@chances
def test_chance_is_the_same_on_every_backend(place: Any, name: str, args: Any, options: Any) -> None:
    x = np.random.default_rng(1).random((5, 6, 8, 3), np.float32)
    wanted = getattr(image, name)(x, *args, **options, seed=5).numpy()
    with place:
        found = getattr(image, name)(corenn.tensor(x), *args, **options, seed=5)
        assert_close(found.numpy(), wanted, forward(as_dtype("float32")).scaled(8))


@chances
def test_a_traced_function_changes_images_anew(name: str, args: Any, options: Any) -> None:
    x = np.random.default_rng(1).random((5, 6, 8, 3), np.float32)
    change = corenn.function(lambda x: getattr(image, name)(x, *args, **options))
    corenn.random.seed(3)
    found = [change(x).numpy() for _ in range(3)]
    corenn.random.seed(3)
    for traced in found:
        eager = getattr(image, name)(x, *args, **options).numpy()
        assert difference(traced, eager, TRAINING) is None
    assert not np.array_equal(found[0], found[1])


def test_crops_are_parts_from_everywhere() -> None:
    x = np.arange(20, dtype=np.uint8).reshape(4, 5, 1)
    found = image.random_crop(np.broadcast_to(x, (400, 4, 5, 1)), size=(3, 2), seed=0).numpy()
    corners = found[:, 0, 0, 0]
    assert sorted(set(corners.tolist())) == [0, 1, 2, 3, 5, 6, 7, 8]
    assert np.bincount(corners, minlength=9)[[0, 1, 2, 3, 5, 6, 7, 8]].min() > 25  # of 50 on average
    for part, corner in zip(found, corners, strict=True):
        row, column = divmod(int(corner), 5)
        np.testing.assert_array_equal(part, x[row : row + 3, column : column + 2])


def test_numbers_are_spread_over_what_was_asked_for() -> None:
    grey = np.full((2000, 1, 1, 1), 0.5, np.float32)
    moved = image.random_brightness(grey, 0.3, seed=2).numpy().ravel() - 0.5
    assert -0.3 <= moved.min() < -0.29 and 0.29 < moved.max() <= 0.3
    assert abs(moved.mean()) < 0.3 / 3**0.5 / 2000**0.5 * 4
    same = np.broadcast_to(np.array([0.0, 1.0], np.float32).reshape(1, 1, 2, 1), (2000, 1, 2, 1))
    turns = image.random_flip_left_right(same, seed=2).numpy()[:, 0, 0, 0]
    assert abs(turns.mean() - 0.5) < 4 * 0.5 / 2000**0.5


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "exception", "message"),
    [
        (lambda: image.crop(BATCH, offset=(4, 0), size=3), ShapeError, "does not lie inside"),
        (lambda: image.crop(BATCH, size=0), AttributeValueError, "size must be an int of at least 1"),
        (lambda: image.center_crop(BATCH, size=7), ShapeError, "does not lie inside"),
        (lambda: image.central_crop(BATCH, 0), AttributeValueError, "fraction must lie in"),
        (lambda: image.pad(BATCH, (1, 2, 3)), AttributeValueError, "padding is an int"),
        (lambda: image.rotate90(BATCH, 0.5), AttributeValueError, "counts right angles"),
        (lambda: image.grayscale_to_rgb(BATCH), ShapeError, "one channel"),
        (lambda: image.rgb_to_grayscale(BATCH[..., :1]), ShapeError, "grayscale_to_rgb"),
        (lambda: image.adjust_hue(BATCH, 1.5), AttributeValueError, r"in \[-1, 1\]"),
        (lambda: image.adjust_brightness(BATCH, [0.1, 0.2]), ShapeError, "one for each image"),
        (lambda: image.adjust_brightness(BATCH[0, 0, 0], 0.1), ShapeError, r"takes an image \[height"),
        (lambda: image.adjust_contrast(BATCH.astype(np.int64), 2), DTypeError, "small integers"),
        (lambda: image.adjust_gamma(BATCH, -1), AttributeValueError, "gamma must not be negative"),
        (lambda: image.convert_dtype(BATCH, "int32"), DTypeError, "uint8"),
        (lambda: image.rotate(BATCH.astype(np.uint8), 0.1), DTypeError, "interpolation='nearest'"),
        (lambda: image.rotate(BATCH, 0.1, fill_mode="mirror"), AttributeValueError, "fill_mode"),
        (lambda: image.zoom(BATCH, 0), AttributeValueError, "factor must be positive"),
        (lambda: image.translate(BATCH, [[1, 2, 3]]), ShapeError, "offset is a number"),
        (lambda: image.random_crop(BATCH, size=7), ShapeError, "smaller than"),
        (lambda: image.random_hue(BATCH, 0.6), AttributeValueError, "half a turn"),
        (lambda: image.random_contrast(BATCH, 1.2, 0.8), AttributeValueError, "lower <= upper"),
        (lambda: image.random_zoom(BATCH, 0, 2), AttributeValueError, "0 < lower"),
        (lambda: image.random_rotate(BATCH, -1), AttributeValueError, "not negative"),
        (lambda: image.random_translate(BATCH, (1, 2, 3)), AttributeValueError, "a number, or"),
    ],
)
def test_errors(call: Any, exception: type[Exception], message: str) -> None:
    with pytest.raises(exception, match=message):
        call()


# ---------------------------------------------------------------- graphs and functional models


def test_graphs_with_a_batch_of_unknown_size() -> None:
    x = BATCH.astype(np.float32)
    calls: list[Callable[[Any], Any]] = [
        lambda t: image.random_flip_left_right(t, key=corenn.random.key(1)),
        lambda t: image.random_crop(t, size=(3, 4), key=corenn.random.key(2)),
        lambda t: image.random_contrast(t, 0.5, 1.5, key=corenn.random.key(3)),
        lambda t: image.rotate(t, 0.3),
        lambda t: image.central_crop(t, 0.5),
        lambda t: image.adjust_hue(t, 0.1),
        image.standardize,
    ]
    wanted = [call(x).numpy() for call in calls]
    with Graph().as_default() as graph:
        given = placeholder("float32", (None, 6, 8, 3))
        made = [call(given) for call in calls]
        assert all(t.shape[0] is None for t in made)
        with Session(graph=graph) as session:
            found = session.run(made, {given: x})
    for a, b in zip(found, wanted, strict=True):
        assert_close(a, b, forward(as_dtype("float32")).scaled(8))


def test_functional_models_take_them() -> None:
    x = Input((6, 8, 3))
    model = Functional(x, image.adjust_contrast(image.zoom(image.flip_left_right(x), 1.5), 1.5))
    given = BATCH.astype(np.float32)
    wanted = image.adjust_contrast(image.zoom(image.flip_left_right(given), 1.5), 1.5)
    assert_close(model(given).numpy(), wanted.numpy(), forward(as_dtype("float32")))
