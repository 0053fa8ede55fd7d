"""``tf.train``: optimizers, schedules, checkpoints, sessions with hooks, examples, input queues of TensorFlow 1."""

from corenn_tensorflow import missing
from corenn_tensorflow.records.examples import (
    BytesList,
    Example,
    Feature,
    FeatureList,
    FeatureLists,
    Features,
    FloatList,
    Int64List,
    SequenceExample,
)
from corenn_tensorflow.summary.writers import FileWriter as SummaryWriter
from corenn_tensorflow.summary.writers import FileWriterCache as SummaryWriterCache
from corenn_tensorflow.summary.writers import summary_iterator
from corenn_tensorflow.train import (
    checkpoints,
    cluster,
    coordinator,
    hooks,
    monitored,
    optimizers,
    queues,
    schedules,
)
from corenn_tensorflow.train import files as _files
from corenn_tensorflow.train import (
    global_step as _step,
)
from corenn_tensorflow.train.checkpoints import *  # noqa: F403
from corenn_tensorflow.train.cluster import *  # noqa: F403
from corenn_tensorflow.train.coordinator import *  # noqa: F403
from corenn_tensorflow.train.files import *  # noqa: F403
from corenn_tensorflow.train.global_step import *  # noqa: F403
from corenn_tensorflow.train.hooks import *  # noqa: F403
from corenn_tensorflow.train.meta_graph import export_meta_graph, import_meta_graph
from corenn_tensorflow.train.monitored import *  # noqa: F403
from corenn_tensorflow.train.moving_averages import ExponentialMovingAverage
from corenn_tensorflow.train.optimizer import Optimizer
from corenn_tensorflow.train.optimizers import *  # noqa: F403
from corenn_tensorflow.train.queues import *  # noqa: F403
from corenn_tensorflow.train.saver import Saver, SaverDef
from corenn_tensorflow.train.schedules import *  # noqa: F403
from corenn_tensorflow.train.small_hooks import FeedFnHook, FinalOpsHook, GlobalStepWaiterHook, ProfilerHook
from corenn_tensorflow.train.supervisor import Supervisor
from corenn_tensorflow.train.tracking import Checkpoint, CheckpointManager, CheckpointOptions

__getattr__ = missing.guard(__name__)

__all__ = [
    "FeedFnHook",
    "FinalOpsHook",
    "GlobalStepWaiterHook",
    "ProfilerHook",
    "BytesList", "Checkpoint", "CheckpointManager", "CheckpointOptions", "Example", "ExponentialMovingAverage",
    "Feature", "FeatureList", "FeatureLists", "Features", "FloatList", "Int64List", "Optimizer", "Saver", "SaverDef",
    "SequenceExample", "SummaryWriter", "SummaryWriterCache", "Supervisor", "export_meta_graph", "import_meta_graph",
    "summary_iterator",
    *(
        name
        for part in (
            checkpoints, cluster, coordinator, _files, _step, hooks, monitored, optimizers, queues, schedules,
        )
        for name in part.__all__
        if name != "safetensors_path"
    ),
]  # fmt: skip
