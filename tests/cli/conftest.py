"""Runs the command: as installed, through subprocess, or in this process over a fake engine."""

import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import numpy as np
import pytest
import soundfile
import torch

from audiomask.audio.gaps import Gap
from audiomask.audio.splice import Patch

RATE = 44100
STEMS = ("guitar", "piano", "bass", "drums")


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


@dataclass(frozen=True)
class FakeFilling(Patch):
    """What the engine says of a gap's new samples."""

    gap: Gap
    method: str
    passes: int = 1


class FakeEngine:
    """An engine without a model: halves for stems, a constant in gaps."""

    gain = 0.5
    infill_group = 1
    passes = 1
    stems = STEMS
    device = "cpu"
    asked: ClassVar[list[tuple[object, ...]]] = []
    """What ``separate`` was asked for: stems, whether with what is left, and how."""

    def __init__(self, model: object = None, device: str = "auto", threads: object = None) -> None:
        self.arguments = (model, device, threads)

    def tokenize(self, source, levels=None, progress=None, stereo="separate"):
        from audiomask.tokens import Tokens

        progress(source.frames / source.sample_rate)
        frames = -(-source.frames // 512)
        codes = torch.zeros(source.channels, levels or 4, frames, dtype=torch.int16)
        return Tokens(
            codes=codes,
            sample_rate=source.sample_rate,
            num_samples=source.frames,
            hop_length=512,
            codebook_size=1024,
            fingerprint="0123456789abcdef",
            model_sample_rate=RATE,
            stereo=stereo if source.channels == 2 else "separate",
        )

    def detokenize(self, tokens):
        for start in range(0, tokens.num_samples, 1000):
            count = min(1000, tokens.num_samples - start)
            yield torch.full((tokens.channels, count), self.gain)

    def separate(self, source, stems, residual=False, subtype="FLOAT", method="mask"):
        self.asked.append((tuple(stems), residual, method))
        names = [*stems, *["residual"] * residual]
        for start in range(0, source.frames, 1000):
            block = source.read(start, min(start + 1000, source.frames))
            yield dict.fromkeys(names, block * self.gain)

    def infill(self, source, gaps, settings):
        from audiomask.errors import AudiomaskError

        if sum(gap.length for gap in gaps) == source.frames:
            raise AudiomaskError("the whole recording is one gap: there is nothing to go by")
        for gap in gaps:
            samples = torch.full((source.channels, gap.length), 0.5)
            yield FakeFilling(gap.start, samples, gap, settings.method, self.passes)

    def infill_together(self, recordings, settings):
        return [list(self.infill(source, gaps, settings)) for source, gaps in recordings]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> type[FakeEngine]:
    """The engine that ``invoke`` finds; set its ``gain`` to make it loud, ``infill_group`` …"""

    class Engine(FakeEngine):
        asked: ClassVar[list[tuple[object, ...]]] = []

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
    import signal
    import warnings

    from audiomask.cli import main

    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)

    def start(*arguments: object) -> Outcome:
        capfdbinary.readouterr()
        with warnings.catch_warnings(), pytest.raises(SystemExit) as ending:
            main([str(argument) for argument in arguments])
        out, err = capfdbinary.readouterr()
        return Outcome(int(ending.value.code or 0), out, err.decode())

    yield start
    signal.signal(signal.SIGTERM, handler)
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
