"""Music to test with whose key or tempo is known: phrases in a major key, and click tracks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from signals import RATE, noise
from torch import Tensor

#: semitones of a major scale, and of its triad with the octave
_SCALE, _TRIAD = (0, 2, 4, 5, 7, 9, 11, 12), (0, 4, 7, 12)
#: seconds of a note
_NOTE = 0.25


def phrase(
    tonic: int,
    seconds: float = 6.0,
    rate: int = RATE,
    seed: int = 0,
    order: Sequence[int] = _TRIAD,
) -> Tensor:
    """Plucked notes [1, T]: a broken chord, then four notes of the scale, and so on.

    Args:
        tonic: semitones above C.
        seconds: the length.
        rate: samples a second.
        seed: decides the notes of the scale.
        order: the chord, four semitones above the tonic.
    """
    number, length = round(seconds / _NOTE), round(_NOTE * rate)
    drawn = torch.randint(8, (number,), generator=torch.Generator().manual_seed(seed)).tolist()
    time = torch.arange(length) / rate
    notes = []
    for place, degree in enumerate(drawn):
        step = order[place % 4] if place % 8 < 4 else _SCALE[degree]
        hertz = 261.63 * 2 ** ((tonic + step) / 12)
        partials = [torch.sin(2 * math.pi * hertz * k * time) / k for k in (1, 2, 3)]
        notes.append(0.2 * torch.stack(partials).sum(dim=0) * torch.exp(-6 * time))
    return torch.cat(notes)[None]


def clicks(tempo: float, seconds: float = 8.0, rate: int = RATE, first: float = 0.1) -> Tensor:
    """Clicks over soft noise, [1, T].

    Args:
        tempo: clicks a minute.
        seconds: the length.
        rate: samples a second.
        first: seconds before the first click.
    """
    made = 1e-4 * noise(1, round(seconds * rate))
    fall = torch.exp(-torch.arange(rate // 20) / (0.015 * rate))
    click = 0.3 * noise(1, len(fall), seed=1) * fall
    for number in range(int((seconds - first) * tempo / 60)):
        at = round((first + 60 / tempo * number) * rate)
        made[:, at : at + len(fall)] += click[:, : made.shape[1] - at]
    return made
