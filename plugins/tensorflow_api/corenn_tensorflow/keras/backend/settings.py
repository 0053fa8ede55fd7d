"""Settings of Keras: dtype, epsilon, data format, names, the session."""

from __future__ import annotations

from typing import Any

from corenn.layers.naming import reset_names, unique_name
from corenn_tensorflow import mode
from corenn_tensorflow.keras import session, world
from corenn_tensorflow.keras.layers.adapting import _settings, image_data_format

learning_phase, set_learning_phase = world.learning_phase, world.set_learning_phase
get_session, set_session = session.get_session, session.set_session
_values: dict[str, Any] = {"epsilon": 1e-7, "floatx": "float32"}

# ---- settings


def backend() -> str:
    """``tensorflow``: whose functions these are."""
    return "tensorflow"


def epsilon() -> float:
    """The small number that keeps divisions safe."""
    return float(_values["epsilon"])


def set_epsilon(value: float) -> None:
    """Set it."""
    _values["epsilon"] = float(value)


def floatx() -> str:
    """The dtype of weights and inputs."""
    return str(_values["floatx"])


def set_floatx(value: str) -> None:
    """Set it."""
    if value not in ("float16", "float32", "float64"):
        raise ValueError(f"Unknown floatx type: {value}")
    _values["floatx"] = value


def set_image_data_format(data_format: str) -> None:
    """``channels_last`` or ``channels_first``."""
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(f"Unknown data_format: {data_format}")
    _settings["image_data_format"] = data_format


def image_dim_ordering() -> str:
    """Keras 1's name: ``tf`` or ``th``."""
    return "th" if image_data_format() == "channels_first" else "tf"


def set_image_dim_ordering(dim_ordering: str) -> None:
    """Keras 1's name."""
    set_image_data_format({"th": "channels_first", "tf": "channels_last"}[dim_ordering])


def clear_session() -> None:
    """Start again: names, the graph, the session, the learning phase."""
    reset_names()
    from corenn_tensorflow.keras.engine import symbolic

    symbolic.core_name_started.clear()
    world.clear()
    session.forget()
    if not mode._state.eager:
        mode.reset_default_graph()


reset_uids = reset_names


def get_uid(prefix: str = "") -> int:
    """1, 2, ... for each prefix."""
    found = unique_name(f"uid_{prefix}")
    return 1 if found == f"uid_{prefix}" else int(found.rpartition("_")[2]) + 1


def manual_variable_initialization(value: bool) -> None:
    """Nothing: weights have values from the beginning."""
