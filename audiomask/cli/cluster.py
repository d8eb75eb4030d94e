"""``--ray``: jobs are done by workers on the nodes of a Ray cluster.

The command runs as with ``--jobs``, in a thread for each worker. A thread hands its job to a worker
that is free, and applies what the worker tells meanwhile: progress, messages, lines of reports. A
job whose worker dies is handed to another one.
"""

import logging
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Self

import audiomask
from audiomask.cli.addresses import address_of, stand_in_folder
from audiomask.cli.cluster_connection import connect, reason_of
from audiomask.cli.cluster_worker import Event, Worker
from audiomask.cli.console import Meter
from audiomask.cli.gathering import receive
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job, check_existing
from audiomask.cli.task import Task
from audiomask.errors import AudiomaskError, ClusterError, UsageError
from audiomask.runtime.dependencies import optional

logger = logging.getLogger(__name__)

_DIED = "%s: its worker on %s died; another does it"
#: times that a job is begun at most
_ATTEMPTS = 3
#: times that Ray starts a worker again whose process ended while its node lives
_RESTARTS = 8
#: seconds after which a thread that waits looks whether all is to end
_POLL = 0.2
#: seconds that a worker has to end its job in; less than threads have (workers.PATIENCE)
_PATIENCE = 3.0
#: seconds until a message says that no worker has begun
_SLOW = 30.0


@dataclass(eq=False)
class _Actor:
    """A worker of the cluster.

    Attributes:
        handle: Ray's.
        node: the name of its node.
        serial: the number of its last job.
        ready: a reference to the answer that it can begin.
    """

    handle: Any
    node: str
    serial: int = -1
    ready: Any = None


class Cluster:
    """Workers on the nodes of a Ray cluster; a context manager.

    A node with GPUs has a worker for each, another ``common.jobs`` workers.

    Args:
        task: what workers do with each job.
        common: ``ray`` is the cluster's address, ``jobs`` the number of workers a node.
        jobs: all of the run.

    Raises:
        UsageError: a job reads standard input or writes standard output.
        DependencyError: (on entering) Ray is not installed.
        ClusterError: (on entering) there is no cluster at the address, or it has no node to use.
    """

    def __init__(self, task: Task, common: Common, jobs: Sequence[Job]) -> None:
        self._task, self._common = task, common
        places = [place for job in jobs for place in (job.input.source, *job.outputs.values())]
        if "-" in places:
            raise UsageError("--ray hands files to other machines: name files in place of '-'")
        paths = [Path(place) for place in places]
        self._away = any(address_of(path) is not None for path in paths)
        self._absolute = all(path.is_absolute() for path in paths)
        self._lock = threading.Lock()
        self._starting: list[_Actor] = []
        self._free: list[_Actor] = []
        self._busy = 0
        self._lost = ""
        self._patient_until: float | None = monotonic() + _SLOW

    def __enter__(self) -> Self:
        assert self._common.ray is not None
        with ExitStack() as stack:
            # no data goes there, and Ray writes its nodes' ends to it
            stack.enter_context(redirect_stdout(stack.enter_context(open(os.devnull, "w"))))
            self._ray = connect(self._common.ray)
            stack.callback(self._leave)
            self._begin_workers()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def _leave(self) -> None:
        """Leave the cluster, which ends the workers."""
        until = monotonic() + _PATIENCE
        while True:  # a signal is raised again every second
            try:
                if leaving := [actor.handle.leave.remote() for actor in self._free]:
                    left = max(until - monotonic(), 0)
                    self._ray.wait(leaving, num_returns=len(leaving), timeout=left)
                self._ray.shutdown()
                return
            except (KeyboardInterrupt, SystemExit):
                continue

    @property
    def size(self) -> int:
        """The number of workers, some of which may not have begun."""
        return len(self._starting) + len(self._free) + self._busy

    def perform(self, job: Job, meter: Meter) -> Job | None:
        """Have a worker do a job.

        Args:
            job: to be done.
            meter: advanced as the work does; its check may raise, which ends the work.

        Returns:
            The job with the outputs that were made; None where another process works on it.

        Raises:
            ClusterError: no worker is left.
            AudiomaskError: the work failed, or every worker died that had this job.
        """
        if not self._common.skip_existing:
            check_existing(job, self._common)  # what exists later is of this job
        again = False
        for _ in range(_ATTEMPTS):
            actor = self._take(meter.check)
            logger.debug("%s: handed to %s", job.input.label, actor.node)
            try:
                done = self._hand(actor, job, again, meter)
            except _WorkerDiedError:
                again = True
                meter.stop()
                logger.warning(_DIED, job.input.label, actor.node)
                self._release(actor, died=True)
            except BaseException:
                self._release(actor)
                raise
            else:
                self._release(actor)
                return job if again and done is not None else done
        raise AudiomaskError(
            f"{job.input.label}: {_ATTEMPTS} workers died of it: has a node too little memory?"
        )

    def _begin_workers(self) -> None:
        """Ask Ray for the workers of all nodes."""
        affinity = optional("ray.util.scheduling_strategies", "ray", "--ray")
        kind = self._ray.remote(Worker)
        nodes = [node for node in self._ray.nodes() if node["Alive"]]
        for node in nodes:
            cpus = node["Resources"].get("CPU", 0)
            gpus = 0 if self._common.device == "cpu" else int(node["Resources"].get("GPU", 0))
            count = gpus or self._common.jobs
            if not cpus:  # a head that only manages
                continue
            share = cpus / count
            made = kind.options(
                num_cpus=int(share) if share > 1 else share,
                num_gpus=1 if gpus else 0,
                max_restarts=_RESTARTS,
                max_concurrency=4,  # do, listen, stop, and one to spare
                scheduling_strategy=affinity.NodeAffinitySchedulingStrategy(node["NodeID"], False),
            )
            name = f"{node['NodeManagerHostname']} ({node['NodeID'][:8]})"
            self._starting += [_Actor(made.remote(), name) for _ in range(count)]
        if not self._starting:
            raise ClusterError(f"--ray {self._common.ray}: no node of the cluster has a processor")
        used = len({actor.node for actor in self._starting})
        logger.info("--ray: %d workers on %d nodes", len(self._starting), used)
        self._sent = self._ray.put(self._task)
        for actor in self._starting:
            self._prepare(actor)

    def _prepare(self, actor: _Actor) -> None:
        actor.ready = actor.handle.ready.remote(
            audiomask.__version__,
            self._sent,
            os.getcwd(),
            not self._absolute,
            stand_in_folder() if self._away else None,
            logging.getLogger("audiomask").level,
        )

    def _take(self, check: Callable[[], None]) -> _Actor:
        """A worker that is free; waits for one."""
        while True:
            check()
            with self._lock:
                self._welcome()
                if self._free:
                    self._busy += 1
                    return self._free.pop()
                if not self._starting and not self._busy:
                    raise ClusterError(
                        f"--ray {self._common.ray}: no worker is left{self._lost}; "
                        "--skip-existing goes on with what is missing"
                    )
                if self._patient_until is not None and monotonic() > self._patient_until:
                    self._patient_until = None
                    if not self._busy:
                        logger.warning("--ray: no worker has begun yet: is the cluster busy?")
            sleep(_POLL)

    def _welcome(self) -> None:
        """Move workers that have begun to the free ones."""
        if not self._starting:
            return
        refs = [actor.ready for actor in self._starting]
        begun = self._ray.wait(refs, num_returns=len(refs), timeout=0)[0]
        for actor in [actor for actor in self._starting if actor.ready in begun]:
            self._starting.remove(actor)
            try:
                self._ray.get(actor.ready)
                self._free.append(actor)
            except self._ray.exceptions.ActorUnavailableError:  # Ray is starting it again
                self._prepare(actor)
                self._starting.append(actor)
            except self._ray.exceptions.RayError as error:
                gone = isinstance(error, self._ray.exceptions.ActorUnschedulableError)
                reason = "the node is gone" if gone else reason_of(error)
                self._lost = f" ({actor.node}: {reason})"
                logger.warning("--ray: no worker on %s: %s", actor.node, reason)

    def _release(self, actor: _Actor, died: bool = False) -> None:
        with self._lock:
            self._busy -= 1
            if died:  # Ray starts it again, unless its node is gone
                self._prepare(actor)
                self._starting.append(actor)
            else:
                self._free.append(actor)

    def _hand(self, actor: _Actor, job: Job, again: bool, meter: Meter) -> Job | None:
        """Have this worker do a job, and apply what it tells."""
        ray = self._ray
        actor.serial += 1
        try:
            result = actor.handle.do.remote(actor.serial, job, again)
            going = True
            try:
                while going:
                    heard = actor.handle.listen.remote(actor.serial)
                    while not ray.wait([heard], timeout=_POLL)[0]:
                        meter.check()
                    events, going = ray.get(heard)
                    for event in events:
                        apply_event(event, meter)
                    meter.check()
            except ray.exceptions.RayError:
                raise
            except BaseException:
                actor.handle.stop.remote(actor.serial)
                ray.wait([result], timeout=_PATIENCE)
                raise
            done: Job | None = ray.get(result)
            return done
        except ray.exceptions.RayTaskError as error:
            raise error.cause from error
        except ray.exceptions.RayError as error:  # of the worker, its node, or what they held
            raise _WorkerDiedError from error


class _WorkerDiedError(Exception):
    """A worker has died that had a job."""


def apply_event(event: Event, meter: Meter) -> None:
    """Do here what a worker tells."""
    kind, *what = event
    if kind == "start":
        meter.start(*what)
    elif kind == "advance":
        meter.advance(*what)
    elif kind == "log":
        name, level, message = what
        logging.getLogger(name).log(level, "%s", message)
    else:
        receive(*what)
