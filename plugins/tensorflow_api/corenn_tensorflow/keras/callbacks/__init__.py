"""``keras.callbacks``."""

from corenn_tensorflow.keras.callbacks.base import (
    BaseLogger,
    Callback,
    CallbackList,
    History,
    LambdaCallback,
    ProgbarLogger,
    TerminateOnNaN,
)
from corenn_tensorflow.keras.callbacks.recording import BackupAndRestore, CSVLogger, RemoteMonitor, TensorBoard
from corenn_tensorflow.keras.callbacks.watching import (
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
)
from corenn_tensorflow.missing import guard

__all__ = [
    "BackupAndRestore", "BaseLogger", "CSVLogger", "Callback", "CallbackList", "EarlyStopping", "History",
    "LambdaCallback", "LearningRateScheduler", "ModelCheckpoint", "ProgbarLogger", "ReduceLROnPlateau", "RemoteMonitor",
    "TensorBoard", "TerminateOnNaN",
]  # fmt: skip
__getattr__ = guard(__name__)
