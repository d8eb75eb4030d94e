"""Songs of a second or two on disk: decaying tones, so that there is something in every band."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
import torch

from audiomask.engine import Engine

RATE = 44_100
PITCHES = {"guitar": 330.0, "bass": 82.0, "drums": 1900.0, "piano": 523.0}


def sound_of(name: str, seconds: float, seed: int = 0) -> npt.NDArray[np.float64]:
    """Some notes of a stem, [n]."""
    time = np.arange(round(seconds * RATE)) / RATE
    envelope = np.exp(-6 * (time % 0.25))
    hiss = np.random.default_rng(seed).standard_normal(len(time))
    pitch = PITCHES.get(name, 700.0) * 2 ** (seed / 12)
    return 0.2 * envelope * (np.sin(2 * np.pi * pitch * time) + 0.05 * hiss)


@pytest.fixture
def song(tmp_path: Path) -> Callable[..., Path]:
    """``song("data/test/one", guitar=1, bass=1, seconds=2)``: a folder of stems, each a seed."""

    def write(
        folder: str, seconds: float = 1.5, channels: int = 1, rate: int = RATE, **stems: int
    ) -> Path:
        path = tmp_path / folder
        path.mkdir(parents=True)
        for name, seed in stems.items():
            audio = np.repeat(sound_of(name, seconds, seed)[:, None], channels, axis=1)
            soundfile.write(path / f"{name}.wav", audio, rate, "FLOAT")
        return path

    return write


@pytest.fixture
def recording(tmp_path: Path) -> Callable[..., Path]:
    """``recording("data/test/one.wav", seconds=2, channels=2)``: a file of some notes."""

    def write(file: str, seconds: float = 1.5, channels: int = 1, seed: int = 0) -> Path:
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        audio = sound_of("guitar", seconds, seed) + sound_of("bass", seconds, seed + 1)
        both = np.stack([audio, 0.5 * audio[::-1]], axis=1)[:, :channels]
        soundfile.write(path, both, RATE, "FLOAT")
        return path

    return write


@pytest.fixture
def engine(tiny: Path) -> Engine:
    """An engine of tiny models that know nothing."""
    torch.manual_seed(0)
    return Engine(tiny, "cpu")
