"""Callbacks: what happens around the steps of training."""

from typing import Any

from corenn.configurable import Registry
from corenn.training.callbacks.base import Callback, CallbackList
from corenn.training.callbacks.checkpoints import BackupAndRestore, CheckpointStore, ModelCheckpoint
from corenn.training.callbacks.control import (
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ReduceLROnPlateau,
    StopOnRequest,
    TerminateOnNaN,
)
from corenn.training.callbacks.logging import CSVLogger, History, JSONLinesLogger, TensorBoard
from corenn.training.callbacks.progress import Progress

_REGISTRY: Registry[Any] = Registry("callback", Callback)
for _class in (
    BackupAndRestore, CheckpointStore, CSVLogger, EarlyStopping, History, JSONLinesLogger, LambdaCallback,
    LearningRateScheduler, ModelCheckpoint, Progress, ReduceLROnPlateau, TensorBoard, TerminateOnNaN,
):  # fmt: skip
    _REGISTRY.register()(_class)

__all__ = [
    "BackupAndRestore", "CSVLogger", "Callback", "CallbackList", "CheckpointStore", "EarlyStopping", "History",
    "JSONLinesLogger", "LambdaCallback", "LearningRateScheduler", "ModelCheckpoint", "Progress", "ReduceLROnPlateau",
    "StopOnRequest", "TensorBoard", "TerminateOnNaN",
]  # fmt: skip
