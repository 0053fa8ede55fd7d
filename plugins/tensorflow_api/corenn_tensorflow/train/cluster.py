"""Clusters of one process: ``ClusterSpec``, ``Server``, ``replica_device_setter``.

corenn runs in one process.  Programs written for a cluster of one task run as they are; what needs a second task raises
and says what serves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from corenn.errors import UsageError


class ClusterSpec:
    """Jobs and the addresses of their tasks."""

    def __init__(self, cluster: Any) -> None:
        if isinstance(cluster, ClusterSpec):
            cluster = cluster._spec
        if not isinstance(cluster, Mapping):
            raise TypeError(
                "`cluster` must be a dictionary mapping one or more job names to lists of network addresses"
            )
        self._spec: dict[str, dict[int, str]] = {}
        for job, tasks in cluster.items():
            if isinstance(tasks, (list, tuple)):
                self._spec[job] = {i: str(address) for i, address in enumerate(tasks)}
            elif isinstance(tasks, Mapping):
                self._spec[job] = {int(i): str(address) for i, address in tasks.items()}
            elif isinstance(tasks, int):
                self._spec[job] = {i: "" for i in range(tasks)}
            else:
                raise TypeError(f"The tasks for job {job!r} must be a list or a dictionary from integers to strings.")

    @property
    def jobs(self) -> list[str]:
        """The names of the jobs."""
        return list(self._spec)

    def num_tasks(self, job_name: str) -> int:
        """How many tasks a job has."""
        return len(self._job(job_name))

    def task_indices(self, job_name: str) -> list[int]:
        """Their indices."""
        return sorted(self._job(job_name))

    def task_address(self, job_name: str, task_index: int) -> str:
        """The address of one."""
        tasks = self._job(job_name)
        if task_index not in tasks:
            raise ValueError(f"No task with index {task_index!r} in job {job_name!r}")
        return tasks[task_index]

    def job_tasks(self, job_name: str) -> list[str | None]:
        """The addresses of a job's tasks."""
        tasks = self._job(job_name)
        return [tasks.get(i) for i in range(max(tasks, default=-1) + 1)]

    def as_dict(self) -> dict[str, Any]:
        """Jobs to lists of addresses."""
        return {
            job: [tasks[i] for i in range(len(tasks))] if sorted(tasks) == list(range(len(tasks))) else dict(tasks)
            for job, tasks in self._spec.items()
        }

    def _job(self, name: str) -> dict[int, str]:
        if name not in self._spec:
            raise ValueError(f"No such job in cluster: {name!r}")
        return self._spec[name]

    def __bool__(self) -> bool:
        return bool(self._spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ClusterSpec) and self._spec == other._spec

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"ClusterSpec({self.as_dict()!r})"


class Server:
    """This process as a task: sessions with its ``target`` run here."""

    def __init__(
        self, server_or_cluster_def: Any, job_name: str | None = None, task_index: int | None = None,
        protocol: str | None = None, config: Any = None, start: bool = True,
    ) -> None:  # fmt: skip
        self.cluster = ClusterSpec(server_or_cluster_def)
        self.job_name, self.task_index = job_name or next(iter(self.cluster.jobs), "local"), task_index or 0
        tasks = sum(self.cluster.num_tasks(job) for job in self.cluster.jobs)
        if tasks > 1:
            raise UsageError(
                "tf.train.Server", f"the cluster has {tasks} tasks, and corenn runs in one process",
                {"cluster": self.cluster.as_dict()},
                hint="run the training without a cluster; average gradients of several towers in one graph",
            )  # fmt: skip

    @staticmethod
    def create_local_server(config: Any = None, start: bool = True) -> Server:
        """A server with one task."""
        return Server({"local": ["localhost:0"]}, protocol="grpc", config=config, start=start)

    @property
    def target(self) -> str:
        """What sessions connect to: this process."""
        return ""

    @property
    def server_def(self) -> Any:
        """Cluster, job and task."""
        return self

    def start(self) -> None:
        """Nothing: it runs."""

    def join(self) -> None:
        """UsageError: no other process would ever ask anything of this one."""
        raise UsageError("tf.train.Server.join", "would wait for ever: there are no other tasks", hint="drop the call")


class ClusterResolver:
    """Base of objects that find a cluster."""

    def cluster_spec(self) -> ClusterSpec:
        """The cluster: none."""
        return ClusterSpec({})


def replica_device_setter(
    ps_tasks: int = 0, ps_device: str = "/job:ps", worker_device: str = "/job:worker", merge_devices: bool = True,
    cluster: Any = None, ps_ops: Any = None, ps_strategy: Any = None,
) -> Callable[[Any], str] | None:  # fmt: skip
    """A function that says where an operation belongs; ``None`` without parameter servers."""
    if cluster is not None:
        spec = ClusterSpec(cluster).as_dict()
        job = ps_device.partition("job:")[2].partition("/")[0]
        ps_tasks = len(spec.get(job, ()))
    if not ps_tasks:
        return None
    kinds = ps_ops or ("Variable", "VariableV2", "VarHandleOp")
    turn = [0]

    def place(operation: Any) -> str:
        if getattr(operation, "type", "") not in kinds:
            return worker_device
        task, turn[0] = turn[0] % ps_tasks, turn[0] + 1
        return f"{ps_device}/task:{task}"

    return place


__all__ = ["ClusterResolver", "ClusterSpec", "Server", "replica_device_setter"]
