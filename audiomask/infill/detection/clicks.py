"""Clicks: single impulses and short bursts of damage.

The error of a linear predictor is small in music and large in a click. An attack is told apart by
its error staying large, a buzz by its error being as large in every period.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.fft import next_fast_len

from audiomask.infill.detection.runs import Spans

_Audio = npt.NDArray[np.float32]

#: order of the predictors, and seconds of sound for which each is estimated
_ORDER, _FRAME = 24, 0.04
#: the error in a click and at its edges, in multiples of its usual size
_PEAK, _EDGE = 16.0, 4.0
#: samples of the longest click, with the predictor's response, and of the sound between two that
#: are joined
LONGEST, _JOIN = 90, 12
#: samples added at both edges: the predictor is late, and tails are quiet
_MARGIN = 2
#: seconds on both sides without another click, and the largest error there as a share of the peak
_ISOLATION, _ISOLATION_RATIO = 0.02, 0.35
#: seconds of sound searched at once
_BATCH = 10.0
#: power of the noise assumed in every recording: that of 16 bits
_FLOOR = 1e-9


class ClickDetector:
    """Finds clicks in the blocks of one channel.

    Args:
        sample_rate: samples a second.
    """

    def __init__(self, sample_rate: int) -> None:
        self.frame = max(round(_FRAME * sample_rate), 8 * _ORDER)
        self.side = round(_ISOLATION * sample_rate)
        self.batch = round(_BATCH * sample_rate)
        self.audio = np.zeros(0, np.float32)
        self.first = 0  # its first sample's number in the recording
        self.done = 0  # clicks that begin before this sample have been returned

    def push(self, samples: _Audio) -> Spans:
        """Add the next block [n]; returns the clicks [start, stop) that are known by now."""
        self.audio = np.concatenate((self.audio, samples))
        if len(self.audio) < self.batch:
            return np.zeros((0, 2), np.int64)
        return self._search(self.first + len(self.audio) - 2 * self.side)

    def finish(self) -> Spans:
        """The remaining clicks, at the recording's end."""
        return self._search(self.first + len(self.audio))

    def _search(self, until: int) -> Spans:
        spans = _clicks(self.audio, self.frame, self.side) + self.first
        found: Spans = spans[(spans[:, 0] >= self.done) & (spans[:, 0] < until)]
        keep = max(until - self.first - 2 * self.side - self.frame, 0)
        self.audio, self.first, self.done = self.audio[keep:], self.first + keep, until
        return found


def _clicks(audio: _Audio, frame: int, side: int) -> Spans:
    """The clicks [start, stop) in audio [T].

    Args:
        frame: samples for which a predictor is estimated.
        side: samples on both sides without another click.
    """
    nothing: Spans = np.zeros((0, 2), np.int64)
    if len(audio) < 2 * frame:
        return nothing
    ratio = _relative_error(audio, frame)
    high = np.flatnonzero(ratio > _PEAK)
    if not len(high):
        return nothing
    # samples above the edges' threshold that nearly touch are one click
    over = np.flatnonzero(ratio > _EDGE)
    groups = np.split(over, np.flatnonzero(np.diff(over) > _JOIN) + 1)
    found = []
    for group in groups:
        start, stop = int(group[0]), int(group[-1]) + 1
        peak = float(ratio[start:stop].max())
        if peak <= _PEAK or stop - start > LONGEST:
            continue
        near = (ratio[max(start - side, 0) : start], ratio[stop : stop + side])
        if all(not len(part) or part.max() < _ISOLATION_RATIO * peak for part in near):
            found.append((max(start - _MARGIN, 0), min(stop + _MARGIN, len(audio))))
    return np.array(found, np.int64).reshape(-1, 2)


def _relative_error(audio: _Audio, frame: int) -> _Audio:
    """A predictor's error as a multiple of its median size, for audio [T].

    Every frame has its own predictor, estimated from it and half of the frame on each side.
    """
    count = -(-len(audio) // frame)
    padded = np.pad(audio, (frame // 2 + _ORDER, (count + 1) * frame - len(audio)))
    windows = np.lib.stride_tricks.sliding_window_view(padded[_ORDER:], 2 * frame)[::frame][:count]
    window = np.hanning(2 * frame).astype(np.float32)
    size = next_fast_len(2 * frame + _ORDER, real=True)
    spectrum = np.fft.rfft(windows * window, size)
    lags = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[:, : _ORDER + 1]
    lags[:, 0] += lags[:, 0] * 1e-7 + _FLOOR * frame
    distance = np.abs(np.subtract.outer(np.arange(_ORDER), np.arange(_ORDER)))
    weights = np.linalg.solve(lags[:, :_ORDER][:, distance], lags[:, 1:, None])[..., 0]
    body = padded[frame // 2 :]
    error = np.zeros((count, frame), np.float32)
    for lag in range(_ORDER + 1):
        part = body[_ORDER - lag :][: count * frame].reshape(count, frame)
        error += part if lag == 0 else -weights[:, lag - 1 : lag].astype(np.float32) * part
    magnitude = np.abs(error)
    usual = 1.4826 * np.median(magnitude, axis=1, keepdims=True) + _FLOOR**0.5
    ratio: _Audio = (magnitude / usual).reshape(-1)[: len(audio)]
    return ratio
