"""Activity: whether a stem plays, second by second, and how sure its mask is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

#: seconds over which the network's word on a frame is smoothed
SMOOTH_SECONDS = 1.0
#: likelihoods of playing up to which a mask is closed, and from which on it is open
CLOSED, OPEN = 0.1, 0.3
#: a mean square under which nothing is told apart from silence
_SILENT_POWER = 1e-12
#: a stem is in a song when it is likely to play in so many seconds of it
_FOUND_SECONDS = 1.0


@dataclass(frozen=True)
class StemSecond:
    """What is known of a stem in one second of a recording; the last may be shorter.

    Attributes:
        stem: its name.
        start, end: in seconds.
        plays: whether it plays.
        activity: how likely that is, 0 … 1.
        confidence: how sure the mask is of what it takes, 0 … 1: the mean share of a band, where
            each counts by the power that is taken from it.
        level_db: root mean square of what is taken, dB of full scale.
    """

    stem: str
    start: float
    end: float
    plays: bool
    activity: float
    confidence: float
    level_db: float


class ActivityLog:
    """Collects what the masks say of a recording's stems while it is separated.

    Args:
        stems: names of the stems.
        frame_seconds: from one frame to the next.
    """

    def __init__(self, stems: Sequence[str], frame_seconds: float) -> None:
        self.stems, self._frame_seconds = tuple(stems), frame_seconds
        self._rows: list[Tensor] = []
        self._frames = 0

    def add(self, start: int, activity: Tensor, shares: Tensor, power: Tensor) -> None:
        """Note a window; of frames that an earlier one had as well, the later one counts.

        Args:
            start: its first frame.
            activity: likelihood that stems play [S, F].
            shares: of the stems and the rest [S + 1, sides, bands, F].
            power: mean square of the recording's samples in every band [sides, bands, F].
        """
        stems = shares[:-1]
        taken = (stems.square() * power).sum(dim=2).mean(dim=1)
        weighed = (stems * power).sum(dim=2).mean(dim=1)
        rows = torch.stack([activity, taken, weighed]).cpu()
        kept = self._frames - start  # frames that are there already
        if kept > 0:
            last = self._rows.pop()
            self._rows.append(last[..., : last.shape[-1] - kept])
        self._rows.append(rows)
        self._frames = start + rows.shape[-1]

    def found(self, duration: float) -> dict[str, bool]:
        """Whether each stem plays anywhere in a recording of a duration."""
        seconds = dict.fromkeys(self.stems, 0.0)
        for second in self.seconds(duration):
            seconds[second.stem] += (second.end - second.start) * second.plays
        needed = min(_FOUND_SECONDS, duration / 2)
        return {stem: played > 0 and played >= needed for stem, played in seconds.items()}

    def seconds(self, duration: float) -> list[StemSecond]:
        """What is known, stem by stem and second by second, of a recording of a duration."""
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
                activity, taken, weighed = part.mean(dim=-1).tolist()
                found.append(
                    StemSecond(
                        stem,
                        float(second),
                        min(second + 1.0, duration),
                        activity >= OPEN,
                        activity,
                        min(taken / weighed, 1.0) if weighed > 0 else 0.0,
                        10 * math.log10(max(taken, _SILENT_POWER)),
                    )
                )
        return found


def gate(activity: Tensor) -> Tensor:
    """How far masks are open, 0 … 1, by the likelihood that their stems play [S, F]."""
    return ((activity - CLOSED) / (OPEN - CLOSED)).clamp(0, 1)


def smooth(activity: Tensor, frames: int) -> Tensor:
    """Means over so many frames around each, of [S, F]."""
    width = min(frames, activity.shape[-1])
    width -= 1 - width % 2
    return F.avg_pool1d(activity[None], width, 1, width // 2, count_include_pad=False)[0]
