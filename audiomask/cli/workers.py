"""Workers: threads that do several files at once, and end together.

Threads, for the models are then in memory once, and torch lets other Python code run while it
computes: one file is decoded and written while another goes through the model.
"""

import ctypes
import logging
import threading
from collections.abc import Callable, Sequence
from time import monotonic, sleep
from typing import TypeVar

T = TypeVar("T")

#: seconds that workers have to end by themselves, after Ctrl-C or an error that ends all, before
#: they are interrupted; and until those that cannot be, as they wait for a pipe, are left behind
GRACE, PATIENCE = 1.0, 10.0
_POLL = 0.02

logger = logging.getLogger(__name__)


class Halted(BaseException):
    """Ends a worker's present file because all are to end: no failure of that file."""


class Workers:
    """So many threads that take items one after the other.

    Args:
        number: how many; a single one is the calling thread itself.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._halt = threading.Event()
        self._errors: list[BaseException] = []
        self._ended: set[threading.Thread] = set()

    def check(self) -> None:
        """Raise Halted where the work is to be left as it is; to be called often."""
        if self._halt.is_set():
            raise Halted

    def do(self, items: Sequence[T], work: Callable[[T], None], here: Callable[[T], bool]) -> None:
        """Do all items, begun in their order; what ``work`` raises ends all and is raised.

        Args:
            items: what is to be done.
            work: does one of them.
            here: which of them have to be done in the calling thread, the only one that signals
                reach while it waits.
        """
        if self.number < 2:
            for item in items:
                work(item)
            return
        from audiomask.runtime.device import as_many_threads

        begin = as_many_threads()
        mine = [item for item in items if here(item)]
        waiting = iter([item for item in items if not here(item)])
        lock = threading.Lock()

        def take() -> None:
            try:
                begin()
                while not self._halt.is_set():
                    with lock:
                        item = next(waiting, None)
                    if item is None:
                        return
                    work(item)
            except Halted:
                pass
            except BaseException as error:
                self._errors.append(error)
                self._halt.set()
            finally:
                self._ended.add(threading.current_thread())

        many = range(self.number)
        self._run([threading.Thread(target=take, daemon=True) for _ in many], mine, work)

    def _run(
        self, threads: Sequence[threading.Thread], mine: Sequence[T], work: Callable[[T], None]
    ) -> None:
        """Start the threads, do what is ``mine`` meanwhile, and wait for all to end."""
        later = 1 if mine else 0  # so many at once, this thread among them
        try:
            for thread in threads[later:]:
                thread.start()
            for item in mine:
                work(item)
            for thread in threads[:later]:
                thread.start()
            # polled: an exception that a signal raises in a join would take the thread for ended
            while len(self._ended) < len(threads) and not self._errors:
                sleep(_POLL)
        except Halted:
            pass
        finally:
            self._halt.set()
            self._wait({thread for thread in threads if thread.ident is not None})
        if self._errors:
            raise self._errors[0]

    def _wait(self, threads: set[threading.Thread]) -> None:
        """Wait for threads to end; what signals raise meanwhile changes nothing."""
        began = monotonic()
        reminded = began
        while True:
            try:
                while (left := threads - self._ended) and monotonic() < began + PATIENCE:
                    sleep(_POLL)
                    if monotonic() > reminded + GRACE:
                        reminded = monotonic()
                        for thread in left:
                            _interrupt(thread)
                break
            except (KeyboardInterrupt, SystemExit):
                continue
        if left:
            logger.warning("%d of the files under way could not be ended in time", len(left))


def _interrupt(thread: threading.Thread) -> None:
    """Raise Halted in a thread as soon as it runs Python code again."""
    number = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(Halted))
