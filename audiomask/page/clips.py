"""Excerpts of a recording before and after parts of it were replaced."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from audiomask.audio.source import AudioSource
from audiomask.page.tracks import Track


class Clip:
    """An excerpt as it was and as it becomes, in memory until its tracks are made.

    Args:
        source: the recording.
        start, stop: samples of it.
    """

    def __init__(self, source: AudioSource, start: int, stop: int) -> None:
        self.start, self.stop = start, stop
        self._rate = source.sample_rate
        self._before = source.read(start, stop)
        self._after = self._before.clone()

    def replace(self, start: int, samples: Tensor, channels: Sequence[int]) -> None:
        """Replace samples of the recording, as far as they are in the excerpt.

        Args:
            start: the first sample to replace.
            samples: [number of channels, n].
            channels: their numbers.
        """
        first, last = max(start, self.start), min(start + samples.shape[1], self.stop)
        if first < last:
            part = samples[:, first - start : last - start].float()
            self._after[list(channels), first - self.start : last - self.start] = part

    def tracks(self, base: Path, ending: str) -> list[Track]:
        """The tracks "before" and "after", to be heard in turn.

        Args:
            base: the encoded files' path, to which their ends are added.
            ending: their format.
        """
        made = []
        for name, audio in (("before", self._before), ("after", self._after)):
            encoded = base.with_name(f"{base.name}-{name}.{ending}")
            channels, frames = audio.shape
            with Track(name, frames, self._rate, channels, encoded, alone=True) as track:
                track.write(audio)
                track.finish()
            made.append(track)
        return made
