"""A pool of threads that does several files at once, and an event that ends them all.

Threads share the models in memory, and torch lets other Python code run while it computes: one
file is decoded and written while another goes through the model.
"""

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from time import monotonic
from typing import Any, TypeVar

_T = TypeVar("_T")

#: seconds that workers have to end their files in after Ctrl-C or a fatal error. Those that do not
#: check in time, as they wait for a pipe, are left behind. A signal is raised again every second:
#: half a second keeps the warning about them apart from that
PATIENCE = 4.5
#: seconds after which a wait is interrupted to handle signals, which Windows needs
_POLL = 0.1

logger = logging.getLogger(__name__)

_left_behind: list[Future[None]] = []


class Stopped(BaseException):
    """Ends the work on a file because the whole command ends; the file has not failed."""


class StopEvent(threading.Event):
    """An event that is set when all work is to end."""

    def check(self) -> None:
        """Raise Stopped if it is set; to be called between blocks of work."""
        if self.is_set():
            raise Stopped


def run_all(
    items: Sequence[_T],
    work: Callable[[_T], None],
    number: int,
    here: Collection[_T],
    stop: StopEvent,
) -> None:
    """Do ``work`` on all items, begun in their order. An exception stops all and is raised.

    Args:
        items: to be done.
        work: does one of them.
        number: of threads.
        here: the items that the calling thread does itself, as only that thread is interrupted by
            signals while it waits.
        stop: set when the work is to end early.
    """
    from audiomask.runtime.device import thread_count_initializer

    def run(item: _T) -> None:
        stop.check()
        try:
            work(item)
        except BaseException:
            stop.set()  # before this thread begins another item
            raise

    threads = number - 1 if here else number
    pool = ThreadPoolExecutor(threads, "audiomask", initializer=thread_count_initializer())
    futures: list[Future[None]] = []
    try:
        for item in items:
            if item not in here:
                futures.append(pool.submit(run, item))
        for item in here:
            work(item)
        pending = set(futures)
        while pending and not stop.is_set():
            pending = wait(pending, _POLL, FIRST_EXCEPTION).not_done
    except Stopped:
        pass
    finally:
        _end(pool, futures, stop)
    for future in futures:
        error = future.exception() if future.done() and not future.cancelled() else None
        if error is not None and not isinstance(error, Stopped):
            raise error


def any_left_behind() -> bool:
    """Whether a worker is still busy though the command has ended; Python would wait for it."""
    return any(not future.done() for future in _left_behind)


def _end(pool: ThreadPoolExecutor, futures: Sequence[Future[Any]], stop: StopEvent) -> None:
    """Stop the pool and wait for its threads, whatever signals raise meanwhile."""
    until = monotonic() + PATIENCE
    while True:
        try:
            if any(not future.done() for future in futures):
                stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            begun = [future for future in futures if not future.cancelled()]
            late = wait(begun, max(until - monotonic(), 0)).not_done
            break
        except (KeyboardInterrupt, SystemExit):
            continue
    _left_behind[:] = late
    if late:
        logger.warning("%d of the files under way could not be ended in time", len(late))
