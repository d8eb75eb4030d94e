"""Training data of a few seconds: a bank of decaying tones, and songs in Slakh2100's layout."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from signals import note, uniform_noise

RATE = 44_100


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A note bank with one instrument a stem, two guitars, a choir and a flute."""
    folder = tmp_path_factory.mktemp("bank")
    pitched = {
        "guitar/nylon": range(40, 90, 6),
        "guitar/steel": range(42, 90, 8),
        "piano/upright": range(24, 108, 9),
        "bass/finger": range(28, 64, 6),
        "vocals/choir": range(45, 90, 9),
        "other/flute": range(48, 96, 9),
    }
    for library, pitches in pitched.items():
        (folder / library).mkdir(parents=True)
        for pitch in pitches:
            sound = 0.5 * note(pitch, round(0.6 * RATE))
            soundfile.write(folder / library / f"{pitch}_v100.wav", sound, RATE)
    kit = folder / "drums" / "kit"
    kit.mkdir(parents=True)
    noise = uniform_noise(8_000) * np.exp(-np.arange(8_000) / 1_000)
    for piece in ("kick_a", "snare_a", "snare_b", "hat_closed"):
        soundfile.write(kit / f"{piece}.wav", noise, RATE)
    return folder


@pytest.fixture
def sound() -> Callable[..., Path]:
    """``sound(folder / "a b.flac", seconds=2, channels=2)``: write a file of constants.

    Folders above it are made; its format is that of the suffix.
    """

    def write(
        path: Path, seconds: float = 0.1, rate: int = RATE, channels: int = 1, level: float = 0.1
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.full((round(seconds * rate), channels), level), rate)
        return path

    return write


@pytest.fixture
def slakh(tmp_path: Path) -> Callable[..., Path]:
    """``slakh({"S00": ("guitar", 25), "S01": ("drums", 128)})``: add a track to a folder.

    Every stem is a constant, by its number 0.1, 0.2 and so on: a sample tells what it is from.
    """

    def write(stems: dict[str, tuple[int, bool]], seconds: float = 1.0, rate: int = RATE) -> Path:
        folder = tmp_path / "slakh"
        track = folder / f"Track{len(list(folder.glob('*'))) + 1:05d}"
        (track / "stems").mkdir(parents=True)
        entries = {
            name: {"program_num": program, "is_drum": is_drum, "inst_class": "x"}
            for name, (program, is_drum) in stems.items()
        }
        (track / "metadata.yaml").write_text(yaml.safe_dump({"stems": entries, "UUID": "x"}))
        for number, name in enumerate(stems, start=1):
            level = np.full(round(seconds * rate), number / 10)
            soundfile.write(track / "stems" / f"{name}.flac", level, rate, subtype="PCM_24")
        return folder

    return write
