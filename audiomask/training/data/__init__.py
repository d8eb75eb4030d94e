"""Training data: one file per layout, and the place that tells which one a folder has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from audiomask.errors import DataError
from audiomask.training.data.bands import BandDataset
from audiomask.training.data.excerpt import Excerpt
from audiomask.training.data.notes import NoteBank, find_libraries
from audiomask.training.data.recordings import RecordingDataset, find_recordings
from audiomask.training.data.slakh import SlakhDataset, find_tracks


class Blend(Dataset[Excerpt]):
    """Several data sets as one: every index belongs to one of them at random, always the same."""

    def __init__(self, parts: Sequence[Dataset[Excerpt]], seed: int) -> None:
        self.parts, self.seed = parts, seed

    def __getitem__(self, index: int) -> Excerpt:
        rng = np.random.default_rng([self.seed, index, 1])
        return self.parts[int(rng.integers(len(self.parts)))][index]


def open_data(
    folders: Sequence[Path],
    stems: Sequence[str],
    samples: int,
    seed: int,
    *,
    need_stems: bool = False,
) -> Blend:
    """The excerpts of all folders, each of a layout this recognises.

    Note banks (``<stem>/<library>/<midi>_v<velocity>.ogg``) become bands, played after the MIDI
    songs (``*.mid``) of the other folders and the project's own patterns; Slakh2100's layout
    gives excerpts of its tracks; any other folder is searched for recordings.

    Args:
        folders: where the data is.
        stems: the stems to tell apart.
        samples: length of an excerpt at 44.1 kHz.
        seed: decides everything, together with the index of an excerpt.
        need_stems: refuse recordings whose parts are unknown.

    Raises:
        DataError: a folder is missing, of no known layout, or lacks what is needed.
    """
    banks, tracks, songs, recordings = [], [], [], []
    for folder in folders:
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder")
        if find_libraries(folder):
            banks.append(folder)
        elif any(folder.glob("*.mid")):
            songs.append(folder)
        elif found := find_tracks(folder):
            tracks += found
        elif files := find_recordings(folder):
            if need_stems:
                raise DataError(
                    f"{folder}: recordings alone, but the MLM learns to separate as well; give "
                    "it stems (Slakh2100's layout) or a note bank"
                )
            recordings += files
        else:
            raise DataError(
                f"{folder}: no note bank, no Slakh2100 tracks, no MIDI files and no recordings"
            )
    parts: list[Dataset[Excerpt]] = []
    if banks:
        midi = [song for folder in songs for song in sorted(folder.glob("*.mid"))]
        parts.append(BandDataset(NoteBank(banks), stems, samples, seed, midi))
    elif songs:
        raise DataError(f"{songs[0]}: MIDI files need a note bank to play them (--data NOTES)")
    if tracks:
        parts.append(SlakhDataset(tracks, stems, samples, seed))
    if recordings:
        parts.append(RecordingDataset(recordings, len(stems) + 1, samples, seed))
    return Blend(parts, seed)
