"""Runs the command: as installed, in a process to be ended, or in this one over a fake engine."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
import soundfile
from fake_engine import RATE, FakeEngine


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: int
    out: bytes
    err: str

    def error_line(self) -> str:
        """The one line on stderr that a refused command leaves."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("audiomask: error: "), self.err
        return lines[0]


@pytest.fixture
def script() -> str:
    """The installed console script."""
    path = Path(sysconfig.get_path("scripts"), "audiomask")
    assert path.exists(), "audiomask is not installed: pip install '.[test]'"
    return str(path)


@pytest.fixture
def run(script: str, tmp_path: Path) -> Callable[..., Outcome]:
    """``run("separate", "song.wav", stdin=b"")``: the installed command, in tmp_path."""

    def start(*arguments: object, stdin: bytes = b"") -> Outcome:
        done = subprocess.run(
            [script, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            cwd=tmp_path,
            timeout=300,
        )
        return Outcome(done.returncode, done.stdout, done.stderr.decode())

    return start


# Loads everything once and then makes a process for every command: a second's importing is spared.
WARM = """
import faulthandler, gc, json, os, signal, sys
from audiomask.cli import main
from audiomask import engine
from audiomask.audio import files, writer
from audiomask.infill import splice
signal.signal(signal.SIGINT, signal.SIG_DFL)  # until the command listens
gc.freeze()  # Python looks through all of it otherwise, when it ends
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if child == 0:
        faulthandler.dump_traceback_later(240, exit=True)  # none may hang
        os.chdir(order["where"])
        for name, value in order["engine"].items():
            setattr(engine.Engine, name, value)
        os.environ["TMPDIR"] = order["where"] + "/tmp"
        for number, name in enumerate(order["streams"]):
            if name is None:
                os.close(number)
                setattr(sys, ("stdin", "stdout", "stderr")[number], None)
            else:
                os.dup2(os.open(name, os.O_WRONLY if number else os.O_RDONLY), number)
        main(order["arguments"])
    print(child, flush=True)
    sys.stdin.readline()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Process:
    """A command under way in ``where``, with temporary files in its ``tmp``."""

    def __init__(self, warm: subprocess.Popen[str], where: Path, order: str) -> None:
        self._warm, self._where = warm, where
        self.pid = int(self._say(order))

    def send(self, number: int) -> None:
        """Send a signal; nobody else can have the number before ``wait`` was called."""
        os.kill(self.pid, number)

    def wait(self) -> Outcome:
        """Wait for its end; the status is negative where a signal ended it."""
        status = int(self._say(""))
        out, err = ((self._where / name).read_bytes() for name in ("out.log", "err.log"))
        return Outcome(status, out, err.decode())

    def _say(self, line: str) -> str:
        assert self._warm.stdin is not None
        assert self._warm.stdout is not None
        print(line, file=self._warm.stdin, flush=True)
        return self._warm.stdout.readline()


@pytest.fixture(scope="session")
def begin() -> Iterator[Callable[..., Process]]:
    """``begin(where, "tokenize", "in")``: the command in a process of its own, one at a time.

    ``engine`` sets attributes of the engine's class. ``out`` and ``err`` name what the command
    writes to, None closes it.
    """
    if not hasattr(os, "fork"):
        pytest.skip("no fork here")
    warm = subprocess.Popen(
        [sys.executable, "-c", WARM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def start(
        where: Path,
        *arguments: object,
        engine: Mapping[str, object] | None = None,
        out: str | None = "out.log",
        err: str | None = "err.log",
    ) -> Process:
        (where / "tmp").mkdir(parents=True, exist_ok=True)
        for name in ("out.log", "err.log"):
            (where / name).write_bytes(b"")
        words = [str(argument) for argument in arguments]
        order = {"where": str(where), "arguments": words, "engine": dict(engine or {})}
        return Process(warm, where, json.dumps(order | {"streams": [os.devnull, out, err]}))

    yield start
    assert warm.stdin is not None
    warm.stdin.close()
    warm.wait(timeout=60)


@pytest.fixture
def wav(tmp_path: Path) -> Callable[..., Path]:
    """``wav("a/song.wav", seconds=0.5)``: a recording of noise below tmp_path."""

    def write(
        name: str, seconds: float = 0.25, rate: int = RATE, channels: int = 2, level: float = 0.25
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(len(name)).uniform(-level, level, (int(seconds * rate), 2))
        noise[np.abs(noise) < 1e-3] = 1e-3  # no digital silence unless a test cuts some
        soundfile.write(path, noise[:, :channels], rate)
        return path

    return write


@pytest.fixture
def folder(wav: Callable[..., Path]) -> Callable[..., None]:
    """``folder("a", "b")``: recordings of those names in the folder ``in``."""

    def fill(*names: str, seconds: float = 0.25) -> None:
        for name in names:
            wav(f"in/{name}.wav", seconds=seconds)

    return fill


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> type[FakeEngine]:
    """The engine that ``invoke`` finds; set its ``gain`` to make it loud …"""

    class Engine(FakeEngine):
        asked: ClassVar[list[tuple[object, ...]]] = []
        qualities: ClassVar[list[str]] = []

    module = ModuleType("audiomask.engine")
    module.Engine = Engine  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "audiomask.engine", module)
    return Engine


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> Iterator[Callable[..., Outcome]]:
    """``call("separate", "song.wav")``: the command in this process, in tmp_path."""
    import logging
    import warnings

    from audiomask.cli import main

    monkeypatch.chdir(tmp_path)
    handlers = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)}

    def start(*arguments: object) -> Outcome:
        capfdbinary.readouterr()
        with warnings.catch_warnings(), pytest.raises(SystemExit) as ending:
            main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return Outcome(int(ending.value.code or 0), out, err.decode())

    yield start
    for number, handler in handlers.items():
        signal.signal(number, handler)
    logger = logging.getLogger("audiomask")
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


@pytest.fixture
def invoke(engine: type[FakeEngine], call: Callable[..., Outcome]) -> Callable[..., Outcome]:
    """``invoke("separate", "song.wav")``: the same, over the fake engine."""
    return call


def names(folder: Path) -> Sequence[str]:
    """The files below a folder, as sorted relative names."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.fixture
def listing(tmp_path: Path) -> Callable[[], Sequence[str]]:
    """``listing()``: every file below tmp_path."""
    return lambda: names(tmp_path)


@pytest.fixture
def contents() -> Callable[[Path], dict[str, bytes]]:
    """``contents(folder)``: what is in every file below it, save hidden ones."""

    def read(folder: Path) -> dict[str, bytes]:
        return {
            name: (folder / name).read_bytes() for name in names(folder) if "/." not in f"/{name}"
        }

    return read


@pytest.fixture
def runs(monkeypatch):
    """The runs asked for, as (kind, options)."""
    asked = []
    module = ModuleType("audiomask.training.run")
    module.train_kind = lambda *run: asked.append(run)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "audiomask.training.run", module)
    return asked


@pytest.fixture
def folders(tmp_path):
    """Folders d, e and v below the current one."""
    for name in ("d", "e", "v"):
        (tmp_path / name).mkdir()
    return tmp_path
