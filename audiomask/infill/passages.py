"""Passages: the places of a recording whose surroundings match those of a gap.

Music repeats itself. The sound of a gap is looked for between surroundings that are like the gap's
own: by log-mel features over half a second and two seconds a side, in the minutes around the gap,
and by the correlation of the samples at both joins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft
from torch import Tensor

from audiomask.audio.source import AudioSource
from audiomask.infill.frame_features import HOP, RATE, Array, FrameFeatures
from audiomask.infill.gaps import Gap
from audiomask.infill.views import read_known

#: seconds around a gap that are searched: in the recording itself, and in another one
_RANGE, _FOREIGN_RANGE = 120.0, 600.0
#: seconds of surroundings on each side that are compared
_WINDOWS = (0.5, 2.0)
#: least median of the squared differences: in steady sound everything is alike
_MEDIAN_FLOOR = 1e-3
#: least share of a side's known frames that must be known beside a passage as well
_KNOWN_SHARE = 0.5
#: places whose samples are correlated, and frames between two of them
_PLACES, _APART = 8, 10
#: seconds a side that are correlated, hops by which a passage is shifted, weight of a correlation
_SIDE, _SHIFT, _WEIGHT = 0.15, 1.75, 0.1
#: fewest samples of a side for a correlation
_FEWEST = 64
#: root mean square of the half second on each side below which the surroundings are silent
SILENT, SILENT_SIDE = 1e-3, 0.5
#: a match is good below this distance plus so much of the correlation, and below the last one.
#: Speech and singing, where a passage brings other words, do not correlate: more is asked of them.
_GOOD, _GOOD_SLOPE, _USABLE = 0.1, 0.6, 0.6
#: seconds of known sound among which a distance says something
_LEAST_SOUND = 20.0
#: correlation from which another recording has the same sound, however short it is
_SAME_TAKE = 0.8

_Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Passage:
    """A place whose sound may fill a gap.

    Attributes:
        start: its first sample, at the rate of the recording with the gap.
        distance: of its surroundings from the gap's, over the median of all places: 0 for equal
            ones, about 1 for any.
        correlation: of the samples beside it with those beside the gap, the mean of both sides.
        foreign: whether it lies in the other recording.
        searched: seconds of known sound among which it was found.
    """

    start: int
    distance: float
    correlation: float
    foreign: bool
    searched: float

    @property
    def score(self) -> float:
        """What passages of one gap are ranked by; higher is better."""
        return -self.distance + 2 * _WEIGHT * self.correlation

    @property
    def matches(self) -> bool:
        """Whether it is better than a filling without it is likely to be."""
        most = min(_GOOD + _GOOD_SLOPE * max(self.correlation, 0), _USABLE)
        taken = self.foreign and self.correlation > _SAME_TAKE
        return self.distance < most and (taken or self.searched >= _LEAST_SOUND)


class PassageFinder:
    """Finds passages for the gaps of some channels of a recording.

    Args:
        source: those channels.
        gaps: the gaps in them, none of which is read as sound.
        other: another recording that passages may come from, with the same rate and channels.
    """

    def __init__(
        self, source: AudioSource, gaps: Sequence[Gap], other: AudioSource | None = None
    ) -> None:
        self.source, self.gaps, self.other = source, list(gaps), other
        self._own = FrameFeatures(source)
        self._foreign = None if other is None else FrameFeatures(other)

    def find(self, gap: Gap) -> list[Passage]:
        """The best passages for a gap, the best first; none for a gap between silences."""
        if self._is_silent(gap):
            return []
        scale = RATE / self.source.sample_rate
        first = round(gap.start * scale / HOP)
        length = -(-round(gap.length * scale) // HOP)
        width = round(max(_WINDOWS) * RATE / HOP)
        template = _Template(
            self._own.read(first - width, first + length + width),
            self._known(self._own, first - width, first + length + width, gap),
            length,
        )
        if not template.known.any():
            return []
        searched = [(self._own, _RANGE, False)]
        if self._foreign is not None:
            searched.append((self._foreign, _FOREIGN_RANGE, True))
        places, sound = [], 0
        for features, seconds, foreign in searched:
            reach = round(seconds * RATE / HOP)
            low = max(first - reach, 0)
            high = min(first + length + reach, features.frames)
            if high <= low:
                continue
            known = self._known(features, low, high, gap, foreign)
            sound += int(known.sum())
            distances, allowed = _distances(template, features.read(low, high), known)
            at = np.flatnonzero(allowed)
            places += [(distances[:, at], low + at, foreign)]
        if not any(len(at) for _, at, _ in places):
            return []
        together = np.concatenate([distances for distances, _, _ in places], axis=1)
        relative = (together / _median(together)).mean(axis=0)
        relative /= _median(relative[None], 1e-2)[0]
        frames = np.concatenate([at for _, at, _ in places])
        foreign_ones = np.concatenate([np.full(len(at), which) for _, at, which in places])
        beginning = gap.start - round(first * HOP / scale)  # of the gap, within its first frame
        seconds = sound * HOP / RATE
        found = []
        for number in _best_apart(relative, frames, foreign_ones):
            start = round(int(frames[number]) * HOP / scale) + beginning
            foreign = bool(foreign_ones[number])
            shift, correlation = self._align(gap, start, foreign)
            distance = max(float(relative[number]), 0.0)
            found.append(Passage(start + shift, distance, correlation, foreign, seconds))
        return sorted(found, key=lambda passage: -passage.score)

    def _known(
        self, features: FrameFeatures, low: int, high: int, gap: Gap, foreign: bool = False
    ) -> npt.NDArray[np.bool_]:
        gaps = [] if foreign else {*self.gaps, gap}
        return features.known(low, high, sorted(gaps), self.source.sample_rate)

    def _is_silent(self, gap: Gap) -> bool:
        """Whether the sound on both sides of a gap is silence."""
        reach = round(SILENT_SIDE * self.source.sample_rate)
        for span in ((gap.start - reach, gap.start), (gap.stop, gap.stop + reach)):
            audio, known = read_known(self.source, *span, self.gaps)
            if known.any() and float(audio[:, known].square().mean().sqrt()) >= SILENT:
                return False
        return True

    def _align(self, gap: Gap, start: int, foreign: bool) -> tuple[int, float]:
        """The shift of a passage in samples that correlates best at both joins, and how well."""
        rate = self.source.sample_rate
        side, most = round(_SIDE * rate), round(_SHIFT * HOP * rate / RATE)
        total, sides = np.zeros(2 * most + 1), 0
        for here, there in (
            (gap.start - side, start - side),
            (gap.stop, start + gap.length),
        ):
            audio, known = read_known(self.source, here, here + side, [*self.gaps, gap])
            if int(known.sum()) < _FEWEST:
                continue
            source, gaps = (self.other, []) if foreign else (self.source, [*self.gaps, gap])
            assert source is not None
            near, _ = read_known(source, there - most, there + side + most, gaps)
            total += correlations(audio, known, near)
            sides += 1
        if not sides:
            return 0, 0.0
        best = int(total.argmax())
        return best - most, float(total[best]) / sides


@dataclass(frozen=True)
class _Template:
    """The frames around a gap.

    Attributes:
        features: [frames, D], the gap's in the middle.
        known: which of them hold known sound alone.
        length: frames of the gap.
    """

    features: Array
    known: npt.NDArray[np.bool_]
    length: int


def _distances(
    template: _Template, features: Array, known: npt.NDArray[np.bool_]
) -> tuple[_Values, npt.NDArray[np.bool_]]:
    """Mean squared differences of a gap's surroundings from those of every frame as its first.

    Masked cross-correlations: only pairs of known frames count.

    Args:
        template: the gap's surroundings.
        features: frames to search, [F, D].
        known: which of them are known, [F].

    Returns:
        [windows, F], and which of the frames may be the first of a passage, [F].
    """
    total, width = len(template.features), (len(template.features) - template.length) // 2
    size = next_fast_len(len(known) + total, real=True)
    middle = features[known].mean(axis=0) if known.any() else np.zeros(features.shape[1])
    sound = np.where(known[:, None], features - middle, 0).astype(np.float32)
    theirs = rfft(sound, size, axis=0)
    mask = rfft(known.astype(np.float32), size)
    power = rfft(np.square(sound).sum(axis=1), size)
    at = (np.arange(len(known)) - width) % size

    def correlate(spectrum: npt.NDArray[np.complex64], weights: Array) -> _Values:
        made = irfft(spectrum * rfft(weights, size).conj(), size)
        return np.asarray(made[at], np.float64)

    # no passage holds an unknown frame, nor does one that is shifted
    inside = np.zeros(total, np.float32)
    inside[width - 2 : width + template.length + 2] = 1
    allowed = correlate(mask, inside) > inside.sum() - 0.5
    found = []
    for seconds in _WINDOWS:
        reach = min(round(seconds * RATE / HOP), width)
        near = np.zeros(total, np.float32)
        near[width - reach : width + template.length + reach] = 1
        near *= template.known
        ours = np.where(near[:, None] > 0, template.features - middle, 0).astype(np.float32)
        product = (theirs * rfft(ours, size, axis=0).conj()).sum(axis=1)
        cross = np.asarray(irfft(product, size)[at], np.float64)
        number = correlate(mask, near)
        squares = correlate(power, near) + correlate(mask, np.square(ours).sum(axis=1))
        mean = (squares - 2 * cross) / np.maximum(number, 0.5) / features.shape[1]
        found.append(np.maximum(mean, 0))
        for some in (slice(0, width), slice(width, None)):
            half = np.zeros(total, np.float32)
            half[some] = near[some]
            allowed &= correlate(mask, half) >= _KNOWN_SHARE * half.sum() - 0.1
        allowed &= number > 0.5
    return np.stack(found), allowed


def _median(values: _Values, floor: float = _MEDIAN_FLOOR) -> _Values:
    """The median of each row, at least ``floor``, as a column."""
    return np.maximum(np.median(values, axis=1, keepdims=True), floor)


def _best_apart(
    distances: _Values, frames: npt.NDArray[np.int64], foreign: npt.NDArray[np.bool_]
) -> list[int]:
    """The numbers of the smallest distances whose frames are apart."""
    left = distances.copy()
    found: list[int] = []
    while len(found) < _PLACES:
        best = int(left.argmin())
        if not np.isfinite(left[best]):
            break
        found.append(best)
        near = (np.abs(frames - frames[best]) < _APART) & (foreign == foreign[best])
        left[near] = np.inf
    return found


def correlations(audio: Tensor, known: Tensor, near: Tensor) -> _Values:
    """Normalized cross-correlation of audio with a longer piece at every shift.

    Args:
        audio: [C, T], zeros where it is not known.
        known: bool [T].
        near: [C, T + S].

    Returns:
        [S + 1], from -1 to 1; products are summed over the channels.
    """
    shifts = near.shape[1] - audio.shape[1] + 1
    size = next_fast_len(near.shape[1], real=True)
    long, short = near.double().numpy(), audio.double().numpy()
    product = (rfft(long, size, axis=1) * rfft(short, size, axis=1).conj()).sum(axis=0)
    mask = rfft(known.double().numpy(), size).conj()
    energy = irfft(rfft(np.square(long).sum(axis=0), size) * mask, size)[:shifts]
    least = 1e-9 * max(float(np.square(short).sum()), 1e-12)
    power = np.maximum(energy, least) * max(float(np.square(short).sum()), 1e-12)
    made: _Values = irfft(product, size)[:shifts] / np.sqrt(power)
    return made
