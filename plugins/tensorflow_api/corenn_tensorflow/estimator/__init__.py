"""``tf.estimator``: model functions trained, evaluated and asked for predictions; canned models."""

from corenn_tensorflow import missing
from corenn_tensorflow.estimator import canned as _canned
from corenn_tensorflow.estimator import export, inputs
from corenn_tensorflow.estimator.canned import *  # noqa: F403
from corenn_tensorflow.estimator.core import Estimator
from corenn_tensorflow.estimator.export import BestExporter, Exporter, FinalExporter, LatestExporter
from corenn_tensorflow.estimator.running import train_and_evaluate
from corenn_tensorflow.estimator.specs import (
    EstimatorSpec,
    EvalSpec,
    ModeKeys,
    RunConfig,
    TrainSpec,
    WarmStartSettings,
)
from corenn_tensorflow.train.hooks import (
    CheckpointSaverHook,
    CheckpointSaverListener,
    LoggingTensorHook,
    NanLossDuringTrainingError,
    NanTensorHook,
    SecondOrStepTimer,
    SessionRunArgs,
    SessionRunContext,
    SessionRunHook,
    SessionRunValues,
    StepCounterHook,
    StopAtStepHook,
    SummarySaverHook,
)
from corenn_tensorflow.train.small_hooks import FeedFnHook, FinalOpsHook, GlobalStepWaiterHook, ProfilerHook

__getattr__ = missing.guard(__name__)

__all__ = [
    "BestExporter", "CheckpointSaverHook", "CheckpointSaverListener", "Estimator", "EstimatorSpec", "EvalSpec",
    "Exporter", "FeedFnHook", "FinalExporter", "FinalOpsHook", "GlobalStepWaiterHook", "LatestExporter",
    "LoggingTensorHook", "ModeKeys", "NanLossDuringTrainingError", "NanTensorHook", "ProfilerHook", "RunConfig",
    "SecondOrStepTimer", "SessionRunArgs", "SessionRunContext", "SessionRunHook", "SessionRunValues",
    "StepCounterHook", "StopAtStepHook", "SummarySaverHook", "TrainSpec", "WarmStartSettings", "export", "inputs",
    "train_and_evaluate", *_canned.__all__,
]  # fmt: skip
