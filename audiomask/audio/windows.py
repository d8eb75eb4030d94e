"""Windows: covering a long sequence of frames with overlapping windows, and blending them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor


def plan_windows(frames: int, window: int, overlap: int) -> list[tuple[int, int]]:
    """Windows [start, stop) over all ``frames``, each overlapping the next by ``overlap`` at least.

    All are ``window`` long when there are that many frames: the last one moves back to end with
    them.

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
    """Results of overlapping windows as one stream, each fading into the next.

    Args:
        windows: as ``plan_windows`` gives them.
        overlap: frames of the fade, the last ones of the earlier window.
        compute: the result [..., stop - start] of window (start, stop).

    Yields:
        Consecutive pieces [..., n] that cover every frame once; one window is held at a time.
    """
    pending: Tensor | None = None  # what of the last window is not yet settled
    position = 0  # its first frame
    for number, (start, stop) in enumerate(windows):
        values = compute(start, stop)
        if pending is not None:
            # `pending` is exactly the tail that fades out
            fade = torch.arange(1, pending.shape[-1] + 1, device=values.device) / (
                pending.shape[-1] + 1
            )
            fresh = values[..., position - start : position - start + pending.shape[-1]]
            yield torch.lerp(pending, fresh, fade.to(values.dtype))
            position += pending.shape[-1]
        last = number == len(windows) - 1
        settled = stop if last else stop - overlap
        yield values[..., position - start : settled - start]
        position = settled
        pending = None if last else values[..., settled - start :]
