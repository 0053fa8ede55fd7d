"""Models and their training."""

from corenn.training.callbacks import (
    BackupAndRestore,
    Callback,
    CSVLogger,
    EarlyStopping,
    History,
    JSONLinesLogger,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    Progress,
    ReduceLROnPlateau,
    StopOnRequest,
    TensorBoard,
    TerminateOnNaN,
)
from corenn.training.functional import Functional
from corenn.training.loop import TrainingWarning
from corenn.training.model import Model, register
from corenn.training.sequential import Sequential

__all__ = [
    "BackupAndRestore", "CSVLogger", "Callback", "EarlyStopping", "Functional", "History",
    "JSONLinesLogger", "LambdaCallback",
    "LearningRateScheduler", "Model", "ModelCheckpoint", "Progress", "ReduceLROnPlateau", "Sequential", "StopOnRequest",
    "TensorBoard", "TerminateOnNaN", "TrainingWarning", "register",
]  # fmt: skip
