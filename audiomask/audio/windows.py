"""Overlapping windows over a long sequence of frames, and their cross-fading."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def plan_windows(frames: int, window: int, overlap: int) -> list[tuple[int, int]]:
    """Windows [start, stop) over all ``frames``, each overlapping the next by ``overlap`` or more.

    All are ``window`` long if there are that many frames; the last one ends with them.

    Raises:
        ValueError: the overlap is more than half a window, so that three would meet.
    """
    if not 0 <= 2 * overlap <= window:
        raise ValueError(f"an overlap of {overlap} does not fit a window of {window}")
    if frames <= window:
        return [(0, frames)] if frames else []
    starts = list(range(0, frames - window, window - overlap))
    return [(start, start + window) for start in [*starts, frames - window]]


def blend_windows(
    windows: list[tuple[int, int]], overlap: int, compute: Callable[[int, int], Tensor]
) -> Iterator[Tensor]:
    """Results of overlapping windows as one stream, each cross-faded with the next.

    Args:
        windows: as ``plan_windows`` gives them.
        overlap: frames of the crossfade, the last ones of the earlier window.
        compute: the result [..., stop - start] of window (start, stop).

    Yields:
        Consecutive parts [..., n] that cover every frame once, one window in memory at a time.
    """
    pending: Tensor | None = None  # the tail of the last window, which fades out
    position = 0  # its first frame
    for number, (start, stop) in enumerate(windows):
        values = compute(start, stop)
        if pending is not None:
            fade = torch.arange(1, pending.shape[-1] + 1, device=values.device) / (
                pending.shape[-1] + 1
            )
            fresh = values[..., position - start : position - start + pending.shape[-1]]
            yield torch.lerp(pending, fresh, fade.to(values.dtype))
            position += pending.shape[-1]
        last = number == len(windows) - 1
        final = stop if last else stop - overlap
        yield values[..., position - start : final - start]
        position = final
        pending = None if last else values[..., final - start :]
