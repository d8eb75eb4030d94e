"""Run: one evaluation, from options to the songs it takes in and the report it gives."""

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
from audiomask.evaluation.evaluator import Measurement
from audiomask.evaluation.infill import InfillMeasurement, Settings
from audiomask.evaluation.mlm import MLMMeasurement
from audiomask.evaluation.options import GAP_LENGTHS, EvaluateOptions, Job
from audiomask.evaluation.report import Report
from audiomask.evaluation.separation import SeparationMeasurement, check_stems
from audiomask.evaluation.songs import ALL, DRAWN_SECONDS, Choice, Piece, Recorded, find_pieces
from audiomask.evaluation.vqvae import VQVAEMeasurement
from audiomask.infill.settings import InfillSettings

#: the most songs that baselines are counted on, and the most seconds of each
FIT_SONGS, FIT_SECONDS = 60, 60.0

logger = logging.getLogger("audiomask")


class Evaluation:
    """One evaluation: its songs wait in ``pieces``, to be given to ``measure`` one by one.

    Args:
        options: what to measure, on what.
        engine: the models.

    Raises:
        DataError: there are no such songs, or what measures with is not installed.
        CheckpointError: the job needs another checkpoint.
        UsageError: the options do not fit the data or the checkpoint.
    """

    def __init__(self, options: EvaluateOptions, engine: Engine) -> None:
        self.options, self.engine = options, engine
        sources = open_sources(options.data)
        choice = Choice(
            split=options.split.value,
            limit=options.limit,
            seconds=options.seconds,
            drawn_seconds=options.seconds or DRAWN_SECONDS,
            mono=options.mono,
            stems=engine.stems if options.job is Job.separate else (),
            seed=options.seed,
            cache=options.cache,
        )
        if choice.stems and all(source.knows_stems for source in sources):
            known = sorted({stem for source in sources for stem in source.stems})
            if known:
                check_stems(known, choice.stems, names_of(sources))
        if options.job is Job.mlm:
            self.pieces, fit, origin = apart(sources, choice, open_sources(options.fit))
        else:
            self.pieces = find_pieces(sources, choice)
        self.measurement = self._open()
        if isinstance(self.measurement, MLMMeasurement):
            self.measurement.fit(fit, origin)
        self.measured: list[str] = []
        self.left_out: dict[str, str] = {}

    def _open(self) -> Measurement:
        """The measurement of the job."""
        options, engine = self.options, self.engine
        if options.job is Job.vqvae:
            return VQVAEMeasurement(engine, options.levels, options.opinion)
        if options.job is Job.mlm:
            rounds = given(rounds=options.rounds)
            return MLMMeasurement(engine, **rounds, seed=options.seed, shown=not options.quiet)
        if options.job is Job.separate:
            return SeparationMeasurement(engine, **given(method=options.method))
        filling = given(
            method=options.method,
            steps=options.steps,
            temperature=options.temperature,
            candidates=options.candidates,
        )
        lengths = tuple(dict.fromkeys(options.gap_length)) or GAP_LENGTHS
        number = given(number=options.gaps_per_file)
        filled = InfillSettings(seed=options.seed, **filling)
        return InfillMeasurement(
            engine, Settings(sorted(lengths), seed=options.seed, filling=filled, **number)
        )

    def measure(self, piece: Piece) -> str | None:
        """Read and measure one song.

        Returns:
            why it was left out, or None when it was not.

        Raises:
            AudiomaskError: it cannot be read or measured.
        """
        reason = self.measurement.add(piece.read())
        if reason is None:
            self.measured.append(piece.name)
        else:
            self.left_out[piece.name] = reason
        return reason

    def report(self) -> Report:
        """What all songs amount to, with what it takes to measure the same again.

        Raises:
            DataError: none was measured.
        """
        if not self.measured:
            why = "; ".join(dict.fromkeys(self.left_out.values())) or "none could be read"
            names = ", ".join(str(folder) for folder in self.options.data)
            raise DataError(f"{names}: no song was measured: {why}")
        known = {*self.measured, *self.left_out}
        failed = [piece.name for piece in self.pieces if piece.name not in known]
        options = self.options
        head: dict[str, Any] = {
            "job": options.job.value,
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
        made = self.measurement.finish()
        where = f"{names_of(options.data)}, split {options.split.value}"
        notes = [f"{len(self.measured)} songs of {where}", *made.notes]
        if self.left_out or failed:
            notes.append(f"left out: {len(self.left_out)}; failed: {len(failed)}")
        return dataclasses.replace(made, data=head | made.data, notes=notes)


def given(**options: Any) -> dict[str, Any]:
    """The options that were given: those that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def open_sources(folders: Sequence[Path]) -> list[Source]:
    """What is in folders of data; what had to be left out of them is told.

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


def names_of(places: Sequence[Source | Path]) -> str:
    """Folders in words."""
    return ", ".join(str(p.folder if isinstance(p, Source) else p) for p in places)


def apart(
    sources: Sequence[Source], choice: Choice, others: Sequence[Source]
) -> tuple[list[Piece], list[Piece], str]:
    """Songs to measure on, songs to count baselines on, none of them both, and where from.

    Baselines are counted on ``others`` if there are any, else on the train split of the data. If
    that is measured itself, or empty, every second song is counted and the others are measured.

    Args:
        sources: the data.
        choice: what of it is to be measured.
        others: further data, all of whose splits count.

    Raises:
        DataError: there are no songs.
        UsageError: a song to measure is also in ``others``.
    """
    counting = dataclasses.replace(choice, limit=None, seconds=FIT_SECONDS, split=ALL)
    counting = dataclasses.replace(counting, seed=choice.seed + 1)  # other bands
    if others:
        pieces = find_pieces(sources, choice)
        fit = find_pieces(others, counting)
        twice = files_of(pieces) & files_of(fit)
        if twice:
            raise UsageError(f"--fit: {min(twice)} is measured as well; count on other songs")
        return pieces, spread(fit, FIT_SONGS), f"all of {names_of(others)}"
    if choice.split not in (TRAIN, ALL):
        pieces = find_pieces(sources, choice)
        try:
            fit = find_pieces(sources, dataclasses.replace(counting, split=TRAIN))
        except DataError:
            fit = []
        if fit:
            return pieces, spread(fit, FIT_SONGS), "the train split"
    doubled = None if choice.limit is None else 2 * choice.limit
    everything = find_pieces(sources, dataclasses.replace(choice, limit=doubled))
    fit = spread(everything[1::2], FIT_SONGS)
    return everything[::2], fit, "every second song, which is not measured"


def spread(pieces: Sequence[Piece], number: int) -> list[Piece]:
    """So many pieces at most, evenly out of all."""
    number = min(number, len(pieces))
    return [pieces[index * len(pieces) // number] for index in range(number)]


def files_of(pieces: Sequence[Piece]) -> set[Path]:
    """The files of recorded songs."""
    tracks = [piece.track for piece in pieces if isinstance(piece, Recorded)]
    files = {file.resolve() for track in tracks for group in track.stems.values() for file in group}
    return files | {track.mixture.resolve() for track in tracks if track.mixture is not None}
