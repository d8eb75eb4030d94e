"""DivergenceGuard: runs hostile input through a surface, and says what it must not have done.

An input may be refused by an AudiomaskError, or accepted. It may not end in any other error, take
memory or time that its size does not justify, say what a terminal would obey, print on standard
output, where data go, read or write a file outside its folder, start a program or unpickle
anything.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import audiomask
from audiomask.cli.exits import describe
from audiomask.errors import AudiomaskError

#: seconds of the processor that an input may take
SECONDS = 10.0
#: bytes that an input may take, and as many more for each of its own
ROOM, SHARE = 96 << 20, 512
#: address space that is left when a replay or fuzz run starts: what is promised cannot be taken
SPACE = 2 << 30

_PACKAGE = Path(audiomask.__file__).parent
#: where Python, its packages and the bundled checkpoints are read from, whatever the input
_OWN = tuple(
    os.path.realpath(place)
    for place in (
        *sysconfig.get_paths().values(),
        sys.prefix,
        sys.base_prefix,
        _PACKAGE,
        _PACKAGE.parent / "models",
        Path(__file__).parent,
        "/proc",
        "/sys",
        "/dev/null",
        "/etc/localtime",
        "/usr/share/zoneinfo",
        "/usr/lib",
        "/lib",
    )
)
_CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink")
_NEVER = (
    "subprocess.Popen",
    "os.system",
    "os.posix_spawn",
    "os.exec",
    "socket.connect",
    "pickle.find_class",
)

#: what a terminal would obey
_STEERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Defect(Exception):
    """What an input made the program do that it must not do."""


class DivergenceGuard:
    """Runs inputs, each of which may touch nothing but one folder.

    Attributes:
        folder: made anew, and the temporary folder of everything that runs.
        accepted: inputs that were not refused.
        out: standard output, which is taken from everything that runs.
    """

    def __init__(self) -> None:
        self.folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="audiomask-fuzz-")))
        tempfile.tempdir = str(self.folder)
        self.accepted = 0
        self.out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        self._said = (self.folder / "stdout").open("wb+")
        os.dup2(self._said.fileno(), 1)
        self._library = ctypes.CDLL(None)
        self._active = False
        self._touched = ""
        sys.addaudithook(self._audit)

    def run(self, attempt: Callable[[bytes], None], data: bytes) -> None:
        """Run one input; raise Defect for what it must not do, and what else it ended in."""
        self._touched = ""
        memory, began = _most_memory(), time.process_time()
        try:
            with self._watching():
                attempt(data)
            self.accepted += 1
        except AudiomaskError as error:
            line = describe(error)
            if _STEERS.search(line) or len(line) > 2000 + 8 * len(data):
                raise Defect(f"says {line[:200]!r} of {len(line)} characters") from error
        if self._touched:
            raise Defect(self._touched)
        if said := self._printed():
            raise Defect(f"printed {said[:100]!r}")
        took, grown = time.process_time() - began, _most_memory() - memory
        if took > SECONDS:
            raise Defect(f"{took:.1f} s for {len(data)} bytes")
        if grown > ROOM + SHARE * len(data):
            raise Defect(f"{grown >> 20} MiB for {len(data)} bytes")

    def _printed(self) -> bytes:
        """What came on standard output, from Python or from any library."""
        sys.stdout.flush()
        self._library.fflush(None)
        if not os.fstat(self._said.fileno()).st_size:
            return b""
        self._said.seek(0)
        said = self._said.read()
        self._said.seek(0)
        self._said.truncate()
        os.lseek(1, 0, os.SEEK_SET)
        return said

    @contextmanager
    def _watching(self) -> Iterator[None]:
        self._active = True
        try:
            yield
        finally:
            self._active = False

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Python's audit hook: raises where an input reaches beyond its folder."""
        if not self._active:
            return
        found = ""
        if event in _NEVER:
            found = f"{event} {arguments!r:.200}"
        elif event == "open" and not isinstance(arguments[0], int):
            path, mode, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) or set(mode or "") & set("wax+")
            if not self._may(path, bool(writes)):
                found = f"opened {path!r} ({mode})"
        elif event in _CHANGES and not all(
            self._may(path, True) for path in arguments if isinstance(path, str | bytes | Path)
        ):
            found = f"{event} {arguments!r:.200}"
        if found:
            self._touched = found
            raise Defect(found)

    def _may(self, path: str | bytes | Path, writes: bool) -> bool:
        try:
            place = os.path.realpath(os.fsdecode(path))
        except ValueError:  # no name of a file at all
            return True
        if _inside(place, str(self.folder)) or place == os.devnull:
            return True
        return not writes and any(_inside(place, own) for own in _OWN)


def limit_space(more: int = SPACE) -> None:
    """Leave this process so much more address space than it has now."""
    with open("/proc/self/statm", encoding="ascii") as status:
        pages = int(status.read().split()[0])
    taken = pages * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + more, hard))


def _inside(place: str, folder: str) -> bool:
    return place == folder or place.startswith(folder.rstrip(os.sep) + os.sep)


def _most_memory() -> int:
    """The most bytes of memory that this process has held."""
    # not getrusage: what it tells begins with the most that the starting process has held
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))
