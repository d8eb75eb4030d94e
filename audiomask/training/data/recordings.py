"""Recordings: a folder of audio files whose parts are unknown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from audiomask.audio.files import AudioFile
from audiomask.audio.source import ResampledSource
from audiomask.training.data.excerpt import Excerpt

SAMPLE_RATE = 44100
SUFFIXES = {".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".opus", ".m4a"}


def find_recordings(folder: Path) -> list[Path]:
    """The audio files below a folder, sorted."""
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)


class RecordingDataset(Dataset[Excerpt]):
    """Excerpts of recordings, 44.1 kHz mono; one channel or the mean of all, at random.

    Args:
        files: what to read from.
        parts: how many stems an excerpt has room for, the rest included; all stay silent but
            the last.
        samples: length of an excerpt.
        seed: with the index, decides everything.
    """

    def __init__(self, files: Sequence[Path], parts: int, samples: int, seed: int) -> None:
        self.files, self.parts, self.samples, self.seed = list(files), parts, samples, seed

    def __len__(self) -> int:
        return 1 << 30

    def __getitem__(self, index: int) -> Excerpt:
        rng = np.random.default_rng([self.seed, index])
        file = self.files[rng.integers(len(self.files))]
        with AudioFile(file) as recording:
            audio = ResampledSource(recording, SAMPLE_RATE)
            start = int(rng.integers(max(audio.frames - self.samples, 0) + 1))
            excerpt = audio.read(start, start + self.samples)
        channel = int(rng.integers(len(excerpt) + 1))
        mixture = excerpt.mean(dim=0) if channel == len(excerpt) else excerpt[channel]
        stems = torch.zeros(self.parts, self.samples)
        stems[-1] = mixture
        return Excerpt(mixture.contiguous(), stems, torch.tensor(False))
