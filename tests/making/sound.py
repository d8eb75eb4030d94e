"""Sound to test with, and the tools of others to test against."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from signals import uniform_noise


@pytest.fixture
def noise() -> npt.NDArray[np.float64]:
    """A third of a second of stereo noise; an odd length, and no multiple of any block."""
    return uniform_noise(14_703, 2)


@pytest.fixture
def sound_file(tmp_path: Path, noise: npt.NDArray[np.float64]) -> Callable[..., Path]:
    """Write the noise with libsndfile, as any format and subtype."""

    def write(name: str, subtype: str | None = None, rate: int = 44_100, **more: object) -> Path:
        path = tmp_path / name
        soundfile.write(path, noise, rate, subtype=subtype, **more)
        return path

    return write


@pytest.fixture
def peer_output() -> Callable[..., bytes]:
    """Run sox or ffmpeg in a shell pipeline; gives what it wrote to standard output."""

    def run(command: str, stdin: bytes = b"") -> bytes:
        for tool in ("sox", "ffmpeg"):
            if tool in command.split() and shutil.which(tool) is None:
                pytest.skip(f"{tool} is not installed")
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command], input=stdin, capture_output=True
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run
