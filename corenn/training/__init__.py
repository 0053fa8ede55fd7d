"""Models and their training."""

from corenn.training.callbacks import (
    BackupAndRestore,
    Callback,
    CheckpointStore,
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
from corenn.training.learning_rates import LearningRates, find_learning_rate
from corenn.training.loop import TrainingWarning
from corenn.training.model import Model, register
from corenn.training.sequential import Sequential

__all__ = [
    "BackupAndRestore", "CSVLogger", "Callback", "CheckpointStore", "EarlyStopping", "Functional", "History",
    "JSONLinesLogger", "LambdaCallback", "LearningRateScheduler", "LearningRates", "Model", "ModelCheckpoint",
    "Progress", "ReduceLROnPlateau", "Sequential", "StopOnRequest", "TensorBoard", "TerminateOnNaN", "TrainingWarning",
    "find_learning_rate", "register",
]  # fmt: skip
