"""An evaluation, from options to a report."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import audiomask
from audiomask.data.layouts import recognize
from audiomask.data.layouts.splits import TRAIN
from audiomask.data.sources import Source
from audiomask.engine import Engine
from audiomask.errors import DataError, UsageError
from audiomask.evaluation.evaluator import Evaluator
from audiomask.evaluation.options import EvaluateOptions, evaluator_of
from audiomask.evaluation.report import Report
from audiomask.evaluation.separation import check_stems
from audiomask.evaluation.songs import ALL, DRAWN_SECONDS, Choice, RecordedSong, SongRef, find_songs

#: most songs that baselines are fitted to, and most seconds of each
_FIT_SONGS, _FIT_SECONDS = 60, 60.0

logger = logging.getLogger("audiomask")


class Evaluation:
    """An evaluation: ``measure`` is called for each song of ``refs``, then ``report``.

    Args:
        options: the job and the data.
        engine: has the models.

    Raises:
        DataError: there are no such songs.
        DependencyError: a required package is not installed.
        CheckpointError: the engine lacks a required checkpoint.
        UsageError: the options do not fit the data or the checkpoint.
    """

    def __init__(self, options: EvaluateOptions, engine: Engine) -> None:
        self.options, self.engine = options, engine
        evaluator: type[Evaluator] = evaluator_of(options.job)
        sources = _open_sources(options.data)
        choice = Choice(
            split=options.split.value,
            limit=options.limit,
            seconds=options.seconds,
            drawn_seconds=options.seconds or DRAWN_SECONDS,
            mono=options.mono,
            stems=evaluator.stems(engine, options),
            seed=options.seed,
            cache=options.cache,
        )
        if choice.stems and all(source.knows_stems for source in sources):
            known = sorted({stem for source in sources for stem in source.stems})
            if known:
                check_stems(known, choice.stems, _names_of(sources))
        if evaluator.fits:
            self.refs, fit, origin = choose_songs(sources, choice, _open_sources(options.fit))
        else:
            self.refs = find_songs(sources, choice)
        self.evaluator = evaluator.open(engine, options)
        if evaluator.fits:
            self.evaluator.fit(fit, origin)
        self.measured: list[str] = []
        self.left_out: dict[str, str] = {}

    def measure(self, ref: SongRef) -> str | None:
        """Read and measure one song.

        Returns:
            Why it was left out, or None if it was measured.

        Raises:
            AudiomaskError: it cannot be read or measured.
        """
        reason = self.evaluator.add(ref.read())
        if reason is None:
            self.measured.append(ref.name)
        else:
            self.left_out[ref.name] = reason
        return reason

    def report(self) -> Report:
        """The report of all songs, with everything that is needed to repeat it.

        Raises:
            DataError: none was measured.
        """
        if not self.measured:
            why = "; ".join(dict.fromkeys(self.left_out.values())) or "none could be read"
            names = ", ".join(str(folder) for folder in self.options.data)
            raise DataError(f"{names}: no song was measured: {why}")
        known = {*self.measured, *self.left_out}
        failed = [ref.name for ref in self.refs if ref.name not in known]
        options = self.options
        head: dict[str, Any] = {
            "job": options.job,
            "audiomask": audiomask.__version__,
            "checkpoints": self.engine.fingerprints,
            "device": str(self.engine.device),
            "data": [str(folder) for folder in options.data],
            "split": options.split.value,
            "limit": options.limit,
            "seconds": options.seconds,
            "mono": options.mono,
            "seed": options.seed,
            "songs": self.measured,
            "left_out": self.left_out,
            "failed": failed,
        }
        made = self.evaluator.finish()
        where = f"{_names_of(options.data)}, split {options.split.value}"
        notes = [f"{len(self.measured)} songs of {where}", *made.notes]
        if self.left_out or failed:
            notes.append(f"left out: {len(self.left_out)}; failed: {len(failed)}")
        return dataclasses.replace(made, data=head | made.data, notes=notes)


def _open_sources(folders: Sequence[Path]) -> list[Source]:
    """The data in folders, with warnings about what is left out.

    Raises:
        DataError: one is of no known layout.
    """
    sources = []
    for folder in folders:
        source = recognize(folder)
        for problem in source.problems:
            logger.warning("%s: %s", folder, problem)
        sources.append(source)
    return sources


def _names_of(places: Sequence[Source | Path]) -> str:
    """Folders as text."""
    return ", ".join(str(p.folder if isinstance(p, Source) else p) for p in places)


def choose_songs(
    sources: Sequence[Source], choice: Choice, others: Sequence[Source]
) -> tuple[list[SongRef], list[SongRef], str]:
    """Songs to measure, songs to fit baselines to, and a description of the latter.

    No song is among both. Baselines are fitted to ``others`` if given, else to the train split of
    the data. If that is to be measured, or is empty, they are fitted to every second song, and
    the others are measured.

    Args:
        sources: the data.
        choice: of the songs to measure.
        others: further data, of which all splits are used.

    Raises:
        DataError: there are no songs.
        UsageError: a song to measure is also in ``others``.
    """
    counting = dataclasses.replace(choice, limit=None, seconds=_FIT_SECONDS, split=ALL)
    counting = dataclasses.replace(counting, seed=choice.seed + 1)  # other bands
    if others:
        refs = find_songs(sources, choice)
        fit = find_songs(others, counting)
        twice = _files_of(refs) & _files_of(fit)
        if twice:
            raise UsageError(f"--fit: {min(twice)} is measured as well; count on other songs")
        return refs, evenly(fit, _FIT_SONGS), f"all of {_names_of(others)}"
    if choice.split not in (TRAIN, ALL):
        refs = find_songs(sources, choice)
        try:
            fit = find_songs(sources, dataclasses.replace(counting, split=TRAIN))
        except DataError:
            fit = []
        if fit:
            return refs, evenly(fit, _FIT_SONGS), "the train split"
    doubled = None if choice.limit is None else 2 * choice.limit
    everything = find_songs(sources, dataclasses.replace(choice, limit=doubled))
    fit = evenly(everything[1::2], _FIT_SONGS)
    return everything[::2], fit, "every second song, which is not measured"


def evenly(refs: Sequence[SongRef], number: int) -> list[SongRef]:
    """At most ``number`` of the songs, evenly spaced."""
    number = min(number, len(refs))
    return [refs[index * len(refs) // number] for index in range(number)]


def _files_of(refs: Sequence[SongRef]) -> set[Path]:
    """The files of recorded songs."""
    tracks = [ref.track for ref in refs if isinstance(ref, RecordedSong)]
    files = {file.resolve() for track in tracks for group in track.stems.values() for file in group}
    return files | {track.mixture.resolve() for track in tracks if track.mixture is not None}
