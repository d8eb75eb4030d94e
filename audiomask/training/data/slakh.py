"""Slakh2100's layout: ``TrackNNNNN/{metadata.yaml, mix.flac, stems/SXX.flac}``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import torch
import yaml
from torch import Tensor
from torch.utils.data import Dataset

from audiomask.errors import DataError
from audiomask.training.data.excerpt import Excerpt, mix

SAMPLE_RATE = 44100
#: stem -> General MIDI programs
GROUPS = {"piano": range(0, 8), "guitar": range(24, 32), "bass": range(32, 40)}


@dataclass(frozen=True)
class Track:
    """One song: its stem files by group, and its length in samples."""

    folder: Path
    stems: dict[str, list[Path]]
    samples: int


def group_of(entry: dict[str, Any]) -> str:
    """The stem that a metadata entry belongs to; "other" when none of ours."""
    if entry.get("is_drum"):
        return "drums"
    program = int(entry.get("program_num", -1))
    return next((name for name, programs in GROUPS.items() if program in programs), "other")


def find_tracks(folder: Path) -> list[Track]:
    """All tracks below a folder, sorted by path; stems whose file is missing are left out.

    Raises:
        DataError: a track's metadata or stem cannot be read.
    """
    tracks = []
    for metadata in sorted(folder.rglob("metadata.yaml")):
        if "omitted" in metadata.relative_to(folder).parts:
            continue
        try:
            entries = yaml.safe_load(metadata.read_text(encoding="utf-8"))["stems"]
            stems: dict[str, list[Path]] = {}
            for number, entry in entries.items():
                file = metadata.parent / "stems" / f"{number}.flac"
                if file.is_file():
                    stems.setdefault(group_of(entry), []).append(file)
        except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataError(f"{metadata}: not Slakh2100's metadata ({error})") from error
        try:
            lengths = [sf.info(file).frames for files in stems.values() for file in files]
        except sf.LibsndfileError as error:
            raise DataError(f"{metadata.parent}: a stem is not readable ({error})") from error
        if lengths:
            tracks.append(Track(metadata.parent, stems, min(lengths)))
    return tracks


class SlakhDataset(Dataset[Excerpt]):
    """Excerpts of tracks: mixture and stems, 44.1 kHz mono; only what is needed is read.

    Half of the excerpts take every stem from another track (random mixing), which multiplies
    the few combinations there are.
    """

    def __init__(
        self, tracks: Sequence[Track], stems: Sequence[str], samples: int, seed: int
    ) -> None:
        self.tracks, self.stems, self.samples, self.seed = tracks, tuple(stems), samples, seed

    def __len__(self) -> int:
        return 1 << 30

    def __getitem__(self, index: int) -> Excerpt:
        rng = np.random.default_rng([self.seed, index])
        track = self.tracks[int(rng.integers(len(self.tracks)))]
        start = int(rng.integers(max(track.samples - self.samples, 0) + 1))
        shuffled = rng.random() < 0.5
        stems = torch.zeros(len(self.stems) + 1, self.samples)
        for slot in range(len(stems)):
            if shuffled:
                track = self.tracks[int(rng.integers(len(self.tracks)))]
                start = int(rng.integers(max(track.samples - self.samples, 0) + 1))
            gain = 10 ** (rng.uniform(-4, 4) / 20)
            # the last place is for all groups that are not asked for
            groups = self.stems[slot : slot + 1] or track.stems.keys() - set(self.stems)
            for group in sorted(groups):
                for file in track.stems.get(group, []):
                    stems[slot] += gain * read_excerpt(file, start, self.samples)
        return mix(stems, rng)


def read_excerpt(file: Path, start: int, samples: int) -> Tensor:
    """Mono [samples] of a file from ``start``; silence beyond its end.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        audio, rate = sf.read(file, samples, start, dtype="float32", always_2d=True, fill_value=0)
    except sf.LibsndfileError as error:
        raise DataError(f"{file}: not readable ({error})") from error
    if rate != SAMPLE_RATE:
        raise DataError(f"{file}: {rate} Hz, where Slakh2100 has {SAMPLE_RATE}")
    return torch.from_numpy(audio.mean(axis=1))
