"""Hidden spans of frames, and the simplest filling."""

from __future__ import annotations

import torch
from torch import Tensor

#: lengths of spans, in frames
SPANS = (4, 8, 16, 32)
#: frames from one span to the next: at least so many, and so many times a span
_APART, _SPAN_SHARE = 48, 4


def sample_spans(frames: int, length: int, draw: torch.Generator) -> Tensor:
    """Hidden spans of a window, one in each of equally long parts, at a random place.

    Args:
        frames: of the window; ``length + 2`` at least.
        length: of the spans, in frames.
        draw: decides the places.

    Returns:
        bool [frames]; the frames on either side of a span are never hidden.
    """
    number = max(1, frames // max(_APART, _SPAN_SHARE * length))
    part = frames // number
    hidden = torch.zeros(frames, dtype=torch.bool)
    for index in range(number):
        place = int(torch.randint(part - length - 1, (1,), generator=draw)) + 1
        hidden[index * part + place : index * part + place + length] = True
    return hidden


def hold(features: Tensor, hidden: Tensor) -> Tensor:
    """Hidden frames as the last one before them.

    Args:
        features: [F, bands].
        hidden: bool [F], false at the first frame.
    """
    place = torch.arange(len(hidden))
    return features[torch.where(hidden, 0, place).cummax(dim=0).values]
