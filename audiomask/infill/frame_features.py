"""Features of a recording's frames that passages are compared by, in memory of a fixed size."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.audio.spectra import frame_spectra, mel_filters
from audiomask.infill.gaps import Gap

#: sample rate at which the features are computed, window and hop in samples, and mel bands
RATE, _SIZE, HOP, BANDS = 44_100, 2048, 512, 40
#: weight of a band's rise, lower bound of a magnitude
_RISE, _FLOOR = 2.0, 1e-4
#: frames computed at once, and such blocks kept: more than a search of four minutes needs
_BLOCK, _KEPT = 1024, 160

Array = npt.NDArray[np.float32]


class FrameFeatures:
    """Log-mel magnitudes and their rises, frame by frame, of the mean of a recording's channels.

    Blocks of frames are computed when they are asked for; the ones used last are kept.

    Args:
        source: the recording, of any rate.
    """

    def __init__(self, source: AudioSource) -> None:
        self._audio = ResampledSource(source, RATE)
        self._blocks: OrderedDict[int, Array] = OrderedDict()
        self.frames = self._audio.frames // HOP

    def read(self, first: int, last: int) -> Array:
        """The features [last - first, 2 * BANDS] of frames [first, last); zeros outside."""
        made = np.zeros((last - first, 2 * BANDS), np.float32)
        low, high = max(first, 0), min(last, self.frames)
        for number in range(low // _BLOCK, -(-high // _BLOCK)) if low < high else ():
            start = number * _BLOCK
            begin, end = max(start, low), min(start + _BLOCK, high)
            made[begin - first : end - first] = self._block(number)[begin - start : end - start]
        return made

    def _block(self, number: int) -> Array:
        if number in self._blocks:
            self._blocks.move_to_end(number)
            return self._blocks[number]
        if len(self._blocks) >= _KEPT:
            self._blocks.popitem(last=False)
        # with the frame before, from which the first one rises
        start = (number * _BLOCK - 1) * HOP - (_SIZE - HOP) // 2
        audio = self._audio.read(start, start + _BLOCK * HOP + _SIZE).nan_to_num(0.0, 0.0, 0.0)
        magnitudes = frame_spectra(audio.mean(dim=0), _SIZE, HOP).abs()
        mel = magnitudes @ mel_filters(_SIZE, BANDS, RATE)
        logs: Array = mel.clamp_min(_FLOOR).log10().numpy()
        rises = _RISE * np.maximum(logs[1:] - logs[:-1], 0)
        made = np.concatenate((logs[1:], rises), axis=1)
        self._blocks[number] = made
        return made

    def known(self, first: int, last: int, gaps: Sequence[Gap], rate: int) -> npt.NDArray[np.bool_]:
        """Which frames of [first, last) lie inside the recording and touch no gap.

        Args:
            first, last: frames.
            gaps: gaps at the recording's rate.
            rate: that rate, in Hz.
        """
        at = np.arange(first, last)
        # a frame's rise needs the window of the frame before
        begin, end = at * HOP - (_SIZE - HOP) // 2 - HOP, at * HOP + (_SIZE + HOP) // 2
        known = (begin >= 0) & (end <= self._audio.frames)
        for gap in gaps:
            start, stop = gap.start * RATE / rate, gap.stop * RATE / rate
            known &= (end <= start) | (begin >= stop)
        return known
