"""Training data: one file per layout, and the place that makes one data set of several folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.utils.data import Dataset

from audiomask.data.augmentation import Augmentation
from audiomask.data.bands.dataset import BandDataset
from audiomask.data.bands.fonts import render_fonts
from audiomask.data.bands.notes import NoteBank
from audiomask.data.bands.render_plan import RenderPlan
from audiomask.data.excerpt import Excerpt
from audiomask.data.interleave import InterleavedDataset
from audiomask.data.shards.dataset import ShardDataset
from audiomask.data.songs import TrackDataset
from audiomask.data.tracks import Source
from audiomask.errors import DataError

__all__ = ["Augmentation", "InterleavedDataset", "open_data"]


def open_data(
    sources: Sequence[Source],
    stems: Sequence[str],
    samples: int,
    seed: int,
    *,
    split: str = "train",
    augmentation: Augmentation | None = None,
    cache: Path | None = None,
    need_stems: bool = False,
) -> InterleavedDataset:
    """The excerpts of one split of all sources.

    A note bank becomes bands, which play the MIDI songs of the other sources and the project's
    own patterns. Tracks, on disk or packed into shards, give excerpts of themselves. Each source
    is drawn from as often as any other.

    Args:
        sources: what ``layouts.recognize`` found.
        stems: the stems to tell apart.
        samples: length of an excerpt at 44.1 kHz.
        seed: decides everything, together with the index of an excerpt.
        split: ``train``, ``validation`` or ``test``.
        augmentation: of recorded tracks; the usual one by default.
        cache: where decoded notes, the notes of SoundFonts, and for a while shards that come as
            streams, are kept.
        need_stems: refuse recordings whose parts are unknown, and sources that hide a stem.

    Raises:
        DataError: there is nothing of this split, or it lacks what is needed.
    """
    if need_stems:
        check_stems(sources, stems)
    parts: list[Dataset[RenderPlan] | Dataset[Excerpt]] = []
    libraries = [path for source in sources for path, of in source.libraries if of == split]
    fonts = [path for source in sources for path, of in source.fonts if of == split]
    songs = [path for source in sources for path, of in source.songs if of == split]
    if fonts:
        libraries += render_fonts(fonts, cache)
    notes = None
    if libraries:
        bank = NoteBank(libraries, cache)
        notes = torch.from_numpy(bank.samples)
        parts.append(BandDataset(bank, stems, samples, seed, songs))
    elif songs and not any(source.libraries or source.fonts for source in sources):
        raise DataError(f"{songs[0]}: MIDI files need a note bank to play them (--data NOTES)")
    chosen = Augmentation() if augmentation is None else augmentation
    for source in sources:
        tracks = [track for track in source.tracks if track.split == split]
        if tracks:
            parts.append(TrackDataset(tracks, stems, samples, seed, chosen))
        if source.shards is not None and source.shards.manifest.of(split):
            packed = source.shards
            parts.append(ShardDataset(packed, split, stems, samples, seed, chosen, cache=cache))
    for part in parts:
        if isinstance(part, ShardDataset):
            part.every = len(parts)
    if not parts:
        names = ", ".join(source.where for source in sources)
        raise DataError(f"{names}: nothing in the split '{split}'; put some below {split}/")
    return InterleavedDataset(parts, seed, stems, samples, notes)


def check_stems(sources: Sequence[Source], stems: Sequence[str]) -> None:
    """Refuse sources from which these stems cannot be learned.

    Raises:
        DataError: recordings alone, a stem that no source has, or one that a source hides.
    """
    for source in sources:
        songs = source.tracks or source.shards
        if songs and not source.stems:
            raise DataError(
                f"{source.where}: recordings alone, but the MLM learns to separate as well; give "
                "it songs with stems or a note bank"
            )
        hidden = [stem for stem in stems if stem not in source.stems]
        if songs and not source.complete and hidden:
            raise DataError(
                f"{source.where}: {source.layout} does not tell {hidden[0]} from the rest; add "
                f"--set stems={','.join(source.stems)}"
            )
    known = {stem for source in sources for stem in source.stems}
    missing = [stem for stem in stems if stem not in known]
    # what SoundFonts hold is seen when they are rendered
    if known and missing and not any(source.fonts for source in sources):
        raise DataError(
            f"no {missing[0]} in the data, which has {', '.join(sorted(known))}; add --set stems="
            f"{','.join(sorted(known - {'other'}))}"
        )
