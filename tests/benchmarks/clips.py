"""Clips to measure on: songs with their true stems, and plain audio files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from audiomask.audio.files import AudioFile
from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.errors import DataError
from audiomask.training.data.layouts import recognise, slakh
from audiomask.training.data.layouts.headers import is_audio
from audiomask.training.data.layouts.walk import walk_files
from audiomask.training.data.tracks import Track

#: root mean square below which a signal counts as silent, in dBFS
SILENCE = -60.0


@dataclass(frozen=True)
class Song:
    """A mixture and what it is the sum of.

    Attributes:
        name: the track's, its path below the folder of songs.
        mixture: Tensor [C, T].
        stems: Tensor [C, T] each, by name; those that the track lacks are not there.
        sample_rate: samples a second.
    """

    name: str
    mixture: Tensor
    stems: dict[str, Tensor]
    sample_rate: int


def level(audio: Tensor) -> float:
    """Root mean square in dBFS; -inf for digital silence."""
    return float(20 * audio.square().mean().sqrt().log10())


def songs_in(data: Path, limit: int | None) -> list[Track]:
    """The first ``limit`` tracks of a folder whose stems are known; DataError without any."""
    tracks = [track for track in recognise(data).tracks if track.stems]
    if not tracks:
        raise DataError(f"{data}: no songs with stems, such as Slakh2100's TrackNNNNN/stems/")
    return tracks[:limit]


def read_song(track: Track, seconds: float | None) -> Song:
    """The middle ``seconds`` of a track (all of it when None), the files of a stem summed.

    The mixture is the track's own, or the sum of all stems where there is none.
    """
    files = [file for group in track.stems.values() for file in group]
    with AudioFile(files[0]) as first:
        rate, channels = first.sample_rate, first.channels
    samples = round(track.seconds * rate)
    length = samples if seconds is None else min(samples, round(seconds * rate))
    start = (samples - length) // 2

    def read(path: Path) -> Tensor:
        with AudioFile(path) as file:
            if (file.sample_rate, file.channels) != (rate, channels):
                raise DataError(f"{path}: differs from {files[0]} in sample rate or channels")
            return file.read(start, start + length)

    stems = {
        name: torch.stack([read(file) for file in group]).sum(dim=0)
        for name, group in track.stems.items()
    }
    summed = torch.stack(list(stems.values())).sum(dim=0)
    mixture = summed if track.mixture is None else read(track.mixture)
    return Song(track.name, mixture, stems, rate)


def audio_in(data: Path, limit: int | None) -> list[Path]:
    """Audio files below a folder; of one in Slakh2100's layout, the mixes only.

    Raises:
        DataError: there are none.
    """
    songs = slakh.find(data)
    if songs is None:
        files = walk_files(data, is_audio)
    else:
        files = [track.mixture for track in songs.tracks if track.mixture is not None]
    if not files:
        raise DataError(f"{data}: no audio files")
    return files[:limit]


def read_mono(path: Path, sample_rate: int, seconds: float) -> Tensor:
    """The first ``seconds`` of a file, mixed down and resampled: [T]."""
    with AudioFile(path) as file:
        source: AudioSource = ResampledSource(file, sample_rate)
        return source.read(0, min(source.frames, round(seconds * sample_rate))).mean(dim=0)
