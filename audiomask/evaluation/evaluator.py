"""The interface of evaluators, of kinds of models and of tasks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Self

from audiomask.engine import Engine
from audiomask.evaluation.examples import Example
from audiomask.evaluation.options import EvaluateOptions
from audiomask.evaluation.report import Report
from audiomask.evaluation.songs import Song, SongRef

#: why a song is left out
SILENT = "silent"


class Evaluator(ABC):
    """Measures a kind of model or a task: ``add`` measures each song, ``finish`` reports them."""

    #: options of ``EvaluateOptions`` that not all evaluators take, and this one does
    options: ClassVar[tuple[str, ...]] = ()
    #: whether baselines are fitted to other songs first, see ``fit``
    fits: ClassVar[bool] = False
    #: called with examples of what is measured, where somebody wants to listen
    hear: Callable[[Example], None] | None = None

    @classmethod
    @abstractmethod
    def open(cls, engine: Engine, options: EvaluateOptions) -> Self:
        """The evaluator that the options ask for.

        Raises:
            CheckpointError: the engine lacks a required checkpoint.
            DependencyError: a required package is not installed.
            UsageError: the options do not fit the checkpoint.
        """

    @classmethod
    def stems(cls, engine: Engine, options: EvaluateOptions) -> tuple[str, ...]:
        """The stems that songs must have; empty if recordings without stems are enough."""
        return ()

    def fit(self, refs: Sequence[SongRef], origin: str) -> None:
        """Fit baselines to songs.

        Args:
            refs: none of them is measured.
            origin: a description of them.
        """
        raise AssertionError("asked only of evaluators that fit")

    @abstractmethod
    def add(self, song: Song) -> str | None:
        """Measure a song.

        Returns:
            Why it was left out, or None if it was measured.

        Raises:
            AudiomaskError: measuring failed.
        """

    @abstractmethod
    def finish(self) -> Report:
        """The report of all songs, of which at least one was measured."""
