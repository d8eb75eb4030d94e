"""Runs: spans of samples for which a condition holds, found block by block."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]
#: spans of samples [start, stop), as an array [k, 2]
Spans = npt.NDArray[np.int64]


class Runs:
    """Runs of a condition.

    Args:
        shortest: samples of the shortest run; shorter ones are left out.
    """

    def __init__(self, shortest: int) -> None:
        self.shortest = shortest
        #: start of the run in which the last block ended
        self.begun: int | None = None

    def push(self, mask: Mask, at: int) -> Spans:
        """Add a block; returns the runs [start, stop) that have ended.

        Args:
            mask: where the condition holds in the block, [n].
            at: the block's first sample: the one after the last block.
        """
        edges: Spans = np.flatnonzero(np.diff(mask, prepend=self.begun is not None)) + at
        if self.begun is not None:
            edges = np.concatenate(([self.begun], edges))
        self.begun = int(edges[-1]) if len(edges) % 2 else None
        spans = edges[: len(edges) // 2 * 2].reshape(-1, 2)
        long: Spans = spans[spans[:, 1] - spans[:, 0] >= self.shortest]
        return long

    def finish(self, at: int) -> Spans:
        """The run that lasts until the end, which is sample ``at``."""
        return self.push(np.zeros(1, bool), at)


class AbruptRuns(Runs):
    """Runs of a condition that the recording jumps into or out of.

    Args:
        shortest: samples of the shortest run.
        jumps: whether the recording jumps to a sample; called for the newest block, the sample
            before it and the one after.
        lag: by how many samples a run begins before its condition holds: 0 or 1.
    """

    def __init__(self, shortest: int, jumps: Callable[[int], bool], lag: int = 0) -> None:
        super().__init__(shortest - lag)
        self.jumps, self.lag = jumps, lag
        self._jumped = False  # into the run that has begun

    def push(self, mask: Mask, at: int) -> Spans:
        """Add a block; returns the runs [start, stop) that have ended."""
        begun, jumped = self.begun, self._jumped
        spans = super().push(mask, at) - (self.lag, 0)
        broken = [
            (jumped if start + self.lag == begun else self.jumps(start)) or self.jumps(stop)
            for start, stop in spans.tolist()
        ]
        if self.begun is not None and self.begun != begun:
            self._jumped = self.jumps(self.begun - self.lag)
        abrupt: Spans = spans[np.array(broken, bool)]
        return abrupt


def join_spans(spans: Spans, distance: int) -> Spans:
    """Sort spans, and join those that overlap or have no more than ``distance`` between them."""
    if not len(spans):
        return spans
    starts, stops = spans[np.argsort(spans[:, 0], kind="stable")].T
    stops = np.maximum.accumulate(stops)
    apart = starts[1:] > stops[:-1] + distance
    first, last = np.append(True, apart), np.append(apart, True)
    return np.stack((starts[first], stops[last]), axis=1)
