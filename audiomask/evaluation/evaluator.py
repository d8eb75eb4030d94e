"""Evaluators: what measuring a kind of model and measuring a task have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self

from audiomask.engine import Engine
from audiomask.evaluation.options import EvaluateOptions
from audiomask.evaluation.report import Report
from audiomask.evaluation.songs import Song, SongRef

#: a reason to leave a song out
SILENT = "silent"


class Evaluator(ABC):
    """Measures one thing: songs go in one by one, a report comes out."""

    #: options of ``EvaluateOptions`` that are for this evaluator alone, or for a few
    options: ClassVar[tuple[str, ...]] = ()
    #: whether baselines are counted on other songs first, see ``fit``
    fits: ClassVar[bool] = False

    @classmethod
    @abstractmethod
    def open(cls, engine: Engine, options: EvaluateOptions) -> Self:
        """The evaluator that the options ask for.

        Raises:
            CheckpointError: the engine lacks a checkpoint that is needed.
            DataError: what measures with is not installed.
            UsageError: the options do not fit the checkpoint.
        """

    @classmethod
    def stems(cls, engine: Engine, options: EvaluateOptions) -> tuple[str, ...]:
        """The stems that songs must have; none where recordings do."""
        return ()

    def fit(self, refs: Sequence[SongRef], origin: str) -> None:
        """Count baselines on songs.

        Args:
            refs: none of which will be measured.
            origin: where they are from, in words.
        """
        raise AssertionError("asked only of evaluators that fit")

    @abstractmethod
    def add(self, song: Song) -> str | None:
        """Measure a song.

        Returns:
            why it was left out, or None when it was not.

        Raises:
            AudiomaskError: it cannot be measured, though it should be.
        """

    @abstractmethod
    def finish(self) -> Report:
        """What all songs amount to; there is one at least that was not left out."""
