"""Activity of stems: the gate of their masks, and a log of activity by the second."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

#: seconds that activity is averaged over
SMOOTH_SECONDS = 1.0
#: activity up to which a mask's gate is closed, and from which it is open
CLOSED, OPEN = 0.1, 0.3
#: gain of a closed gate, -60 dB: inaudible, and no digital silence
CLOSED_GAIN = 1e-3
#: lowest mean square
_SILENT_POWER = 1e-12
#: seconds of activity from which a song has a stem
_FOUND_SECONDS = 1.0


@dataclass(frozen=True)
class StemSecond:
    """Activity of a stem in one second of a recording; the last may be shorter.

    Attributes:
        stem: its name.
        start, end: in seconds.
        plays: whether it is active.
        activity: probability that it is active.
        confidence: mean share of the bands, weighted by the power that the mask takes of each:
            1 where the mask takes bands entirely.
        level_db: root mean square of the stem, in dB of full scale.
    """

    stem: str
    start: float
    end: float
    plays: bool
    activity: float
    confidence: float
    level_db: float


class ActivityLog:
    """Log of the stems' activity, confidence and level while a recording is separated.

    Args:
        stems: their names.
        frame_seconds: hop of the frames.
    """

    def __init__(self, stems: Sequence[str], frame_seconds: float) -> None:
        self.stems, self._frame_seconds = tuple(stems), frame_seconds
        self._rows: list[Tensor] = []
        self._frames = 0

    def add(self, start: int, activity: Tensor, shares: Tensor, power: Tensor) -> None:
        """Add a window; it replaces frames of earlier windows.

        Args:
            start: its first frame.
            activity: probability that stems are active, [S, F].
            shares: masks of stems and residual, [S + 1, C, bands, F].
            power: mean square of the recording in every band, [C, bands, F].
        """
        stems = shares[:-1]
        masked = (stems.square() * power).sum(dim=2).mean(dim=1)
        weight = (stems * power).sum(dim=2).mean(dim=1)
        rows = torch.stack([activity, masked, weight]).cpu()
        overlap = self._frames - start
        if overlap > 0:
            last = self._rows.pop()
            self._rows.append(last[..., : last.shape[-1] - overlap])
        self._rows.append(rows)
        self._frames = start + rows.shape[-1]

    def found(self, duration: float) -> dict[str, bool]:
        """Whether a recording has each stem, by name.

        Args:
            duration: of the recording, in seconds.
        """
        seconds = dict.fromkeys(self.stems, 0.0)
        for second in self.seconds(duration):
            seconds[second.stem] += (second.end - second.start) * second.plays
        needed = min(_FOUND_SECONDS, duration / 2)
        return {stem: played > 0 and played >= needed for stem, played in seconds.items()}

    def seconds(self, duration: float) -> list[StemSecond]:
        """All seconds of each stem, in the order of the stems.

        Args:
            duration: of the recording, in seconds.
        """
        if not self._rows:
            return []
        rows = torch.cat(self._rows, dim=-1)
        found = []
        per_second = 1 / self._frame_seconds
        for number, stem in enumerate(self.stems):
            for second in range(math.ceil(duration)):
                first = round(second * per_second)
                part = rows[:, number, first : max(round((second + 1) * per_second), first + 1)]
                if not part.shape[-1]:
                    break
                activity, masked, weight = part.mean(dim=-1).tolist()
                found.append(
                    StemSecond(
                        stem,
                        float(second),
                        min(second + 1.0, duration),
                        activity >= OPEN,
                        activity,
                        min(masked / weight, 1.0) if weight > 0 else 0.0,
                        10 * math.log10(max(masked, _SILENT_POWER)),
                    )
                )
        return found


def gate(activity: Tensor) -> Tensor:
    """Gains of the masks, ``CLOSED_GAIN`` … 1, for activity [S, F]."""
    return ((activity - CLOSED) / (OPEN - CLOSED)).clamp(CLOSED_GAIN, 1)


def moving_average(activity: Tensor, frames: int) -> Tensor:
    """Means of activity [S, F] over ``frames`` (or one fewer, if even) around each frame."""
    width = min(frames, activity.shape[-1])
    width -= 1 - width % 2
    return F.avg_pool1d(activity[None], width, 1, width // 2, count_include_pad=False)[0]
