"""Measurement: what the four jobs have in common."""

from __future__ import annotations

from typing import Protocol

from audiomask.evaluation.report import Report
from audiomask.evaluation.songs import Song

#: a reason to leave a song out
SILENT = "silent"


class Measurement(Protocol):
    """One job's measurement: songs go in one by one, a report comes out."""

    def add(self, song: Song) -> str | None:
        """Measure a song.

        Returns:
            why it was left out, or None when it was not.

        Raises:
            AudiomaskError: it cannot be measured, though it should be.
        """

    def finish(self) -> Report:
        """What all songs amount to; there is one at least that was not left out."""
