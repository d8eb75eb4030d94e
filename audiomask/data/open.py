"""One data set of all sources."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch.utils.data import Dataset

from audiomask.data import DEFAULT_SAMPLE_RATE
from audiomask.data.augmentation import Augmentation
from audiomask.data.bands.dataset import BandDataset
from audiomask.data.bands.fonts import render_fonts
from audiomask.data.bands.notes import NoteBank
from audiomask.data.bands.render_plan import RenderPlan
from audiomask.data.excerpt import Elsewhere, Excerpt
from audiomask.data.interleave import InterleavedDataset
from audiomask.data.sources import ExcerptConfig, Source
from audiomask.errors import DataError


def open_data(
    sources: Sequence[Source],
    stems: Sequence[str],
    samples: int,
    seed: int,
    *,
    sample_rate: int = DEFAULT_SAMPLE_RATE,
    split: str = "train",
    augmentation: Augmentation | None = None,
    cache: Path | None = None,
    need_stems: bool = False,
    recordings: bool = False,
    channels: int = 1,
    elsewhere: Elsewhere | None = None,
) -> InterleavedDataset:
    """The excerpts of one split of all sources.

    Band material becomes one data set: the instruments of all sources play the MIDI songs of all
    sources and the project's own patterns. The songs of each source, on disk or in shards, become
    one data set each. All data sets are drawn from equally often.

    Args:
        sources: as ``layouts.recognize`` returns them.
        stems: the stems to distinguish.
        samples: length of an excerpt.
        seed: of the excerpts; an excerpt is decided by (seed, index).
        sample_rate: of the excerpts, in Hz.
        split: ``train``, ``validation`` or ``test``.
        augmentation: of recorded tracks; ``Augmentation()`` when None.
        cache: folder of decoded notes, rendered SoundFonts and, temporarily, streamed shards.
        need_stems: refuse sources that do not separate the stems.
        recordings: with ``need_stems``: allow recordings beside songs with stems or a note bank.
        channels: of the excerpts, 1 or 2.
        elsewhere: a second passage of the same recording at their end, within ``samples``; None
            for none.

    Raises:
        DataError: the split is empty, or lacks what is needed.
    """
    if need_stems:
        _check_stems(sources, stems, recordings)
    chosen = Augmentation() if augmentation is None else augmentation
    datasets: list[Dataset[RenderPlan] | Dataset[Excerpt]] = []
    notes = None
    bank = _open_bank(sources, split, cache, sample_rate)
    if bank is not None:
        notes = torch.from_numpy(bank.samples)
        songs = [song for source in sources for song in source.band(split).songs]
        incoherent = chosen.incoherent
        datasets.append(
            BandDataset(bank, stems, samples, seed, songs, channels=channels, incoherent=incoherent)
        )
    with_songs = [source for source in sources if source.has_excerpts(split)]
    every = len(datasets) + len(with_songs)
    config = ExcerptConfig(
        stems, samples, seed, chosen, sample_rate, cache, every, channels, elsewhere
    )
    datasets += [source.open(split, config) for source in with_songs]
    if not datasets:
        names = ", ".join(source.where for source in sources)
        raise DataError(f"{names}: nothing in the split '{split}'; put some below {split}/")
    return InterleavedDataset(
        datasets, seed, stems, samples, notes, sample_rate, channels, chosen.mashup
    )


def _open_bank(
    sources: Sequence[Source], split: str, cache: Path | None, sample_rate: int
) -> NoteBank | None:
    """The instruments of a split of all sources; None when there are none.

    Raises:
        DataError: there are MIDI songs and nothing to play them, a note cannot be read, or a
            SoundFont cannot be rendered.
    """
    material = [source.band(split) for source in sources]
    libraries = [library for found in material for library in found.libraries]
    fonts = [font for found in material for font in found.fonts]
    if fonts:
        libraries += render_fonts(fonts, cache)
    if libraries:
        return NoteBank(libraries, cache, sample_rate)
    songs = [song for found in material for song in found.songs]
    if songs and not any(source.has_instruments for source in sources):
        raise DataError(f"{songs[0]}: MIDI files need a note bank to play them (--data NOTES)")
    return None


def _check_stems(sources: Sequence[Source], stems: Sequence[str], recordings: bool) -> None:
    """Refuse sources from which these stems cannot be learned.

    Raises:
        DataError: a source has no stems, or mixes one with others; or no source has a stem.
    """
    separated = [source for source in sources if source.stems]
    for source in separated if recordings and separated else sources:
        source.check_stems(stems)
    known = {stem for source in sources for stem in source.stems}
    missing = [stem for stem in stems if stem not in known]
    if known and missing and all(source.knows_stems for source in sources):
        raise DataError(
            f"no {missing[0]} in the data, which has {', '.join(sorted(known))}; add --set stems="
            f"{','.join(sorted(known - {'other'}))}"
        )
