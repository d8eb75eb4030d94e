"""What the search for faults finds, in short."""

from __future__ import annotations

import torch

from audiomask.audio.source import MemorySource
from audiomask.infill.detection.detect import Fault, detect_faults
from audiomask.infill.detection.exact import EXACT

#: faults as told() tells them
Found = list[tuple[int | str, ...]]
#: the sample rate of what is searched, Hz
RATE = 10_000


def told(faults: list[Fault]) -> Found:
    """Spans, kinds, why they are left alone if they are, and channels unless it is all of them."""
    return [
        (f.gap.start, f.gap.stop, f.kind, *[f.left] * bool(f.left), *f.gap.channels) for f in faults
    ]


def find(audio: torch.Tensor, min_gap: float = 0.01, kinds: tuple[str, ...] = EXACT) -> Found:
    """What is wrong with a recording of RATE, [C, T]."""
    return told(detect_faults(MemorySource(audio, RATE), min_gap, kinds))
