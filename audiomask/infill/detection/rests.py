"""Rests: silence that belongs to the music, distinguished from dropouts by the sound beside it.

A dropout begins and ends at full level, from one sample to the next. A rest follows a decay or a
fade, or ends with a fade or an attack.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from audiomask.audio.source import AudioSource

_Audio = npt.NDArray[np.float64]

# All levels and differences are in decibels.

#: seconds of sound examined on each side, and of its part near the silence
_SIDE, _NEAR = 1.0, 0.3
#: seconds at the very edge, within which a fade ends, and of the steady sound before it
_EDGE, _STEADY = 0.0007, 0.02
#: seconds over which levels are measured
_LEVEL = 0.01
#: a rest: the very edge is at least so far below the steady sound
_FADE = 12.0
#: a rest: the last of the sound is so far below the loudest nearby, and of the whole side
_DECAY, _DEPTH = 18.0, 30.0
#: a decay continues through a dropout if the levels of both sides differ by no more than this, and
#: the sound after it grows by no more than this
_CONTINUOUS, _ATTACK = 6.0, 8.0
#: a quiet dropout: how far it is below its sides, how far these may differ, and how far they may be
#: below the loudest of the whole side
_BELOW, _APART, _HIDDEN = 28.0, 14.0, 27.0
#: the same: the decay beside it if the levels of both sides differ by more than CONTINUOUS
_DYING = 12.0
#: seconds of a dropout that a bass's period may resemble, and how much farther it has to be below
_SHORT, _MORE = 0.008, 8.0
#: lowest level of the sound beside a dropout, in dB of full scale
_FAINT = -75.0


class _Edge(NamedTuple):
    """How sound ends at the edge of a silence, in decibels.

    Attributes:
        level: of its last 10 ms.
        fade: how far its very last samples are below the last 20 ms.
        decay: how far ``level`` is below the loudest of the nearest 0.3 s.
        depth: how far it is below the loudest of the whole side.
        growth: how far it is below the loudest of the nearest 50 ms.
    """

    level: float
    fade: float
    decay: float
    depth: float
    growth: float


def is_rest(source: AudioSource, start: int, stop: int, channels: Sequence[int]) -> bool:
    """Whether a silence is a rest rather than a dropout.

    Args:
        source: the recording.
        start, stop: the silence's samples, exactly.
        channels: numbers of its channels.
    """
    return _are_rest_edges(*_edges(source, start, stop, channels))


def is_dropout(
    source: AudioSource, start: int, stop: int, channels: Sequence[int], level: float
) -> bool:
    """Whether a dip of the level is a dropout rather than a rest.

    Args:
        source: the recording.
        start, stop: the dip's samples.
        channels: numbers of its channels.
        level: within it, in dB of full scale.
    """
    before, after = _edges(source, start, stop, channels)
    apart = abs(before.level - after.level)
    below = _BELOW + (_MORE if stop - start < _SHORT * source.sample_rate else 0)
    return (
        min(before.level, after.level) > max(_FAINT, level + below)
        and max(before.fade, after.fade) < _FADE
        and max(before.decay, after.decay) < (_DECAY if apart < _CONTINUOUS else _DYING)
        and max(before.depth, after.depth) < _HIDDEN
        and apart < _APART
    )


def _edges(
    source: AudioSource, start: int, stop: int, channels: Sequence[int]
) -> tuple[_Edge, _Edge]:
    """The edges of the sound before a silence and, reversed in time, after it."""
    length = round(_SIDE * source.sample_rate)
    rows = list(channels)
    before = source.read(max(start - length, 0), start)[rows]
    after = source.read(stop, min(stop + length, source.frames))[rows].flip(1)
    first, second = (side.double().nan_to_num(0, 0, 0).numpy() for side in (before, after))
    return edge(first, source.sample_rate), edge(second, source.sample_rate)


def _are_rest_edges(before: _Edge, after: _Edge) -> bool:
    """Whether the edges of a silence are those of a rest."""
    if max(before.fade, after.fade) > _FADE or min(before.level, after.level) < _FAINT:
        return True
    if max(before.depth, after.depth) > _DEPTH:
        return True
    # a decaying note continues after a dropout as it was before it
    apart = abs(before.level - after.level) > _CONTINUOUS or after.growth > _ATTACK
    return max(before.decay, after.decay) > _DECAY and apart


def edge(audio: _Audio, sample_rate: int) -> _Edge:
    """The edge at the end of audio [C, T]."""
    if not audio.shape[1]:
        return _Edge(-200.0, 0.0, 0.0, 0.0, 0.0)
    steady = round(_STEADY * sample_rate)
    audio = audio - audio.mean(axis=1, keepdims=True)
    power = np.square(audio).mean(axis=0)
    # With the slope's power, the level does not depend on where in a period the sound ends.
    slope = np.square(np.diff(audio, axis=1, prepend=audio[:, :1]))
    share = power[-steady:].sum() / (slope.mean(axis=0)[-steady:].sum() + 1e-30)
    swing = power + share * slope.mean(axis=0)
    short = round(_LEVEL * sample_rate)
    count = max(len(power) // short, 1)
    levels = power[-count * short :].reshape(count, -1).mean(axis=1)
    return _Edge(
        _decibels(levels[-1]),
        _decibels(swing[-steady:].mean()) - _decibels(swing[-round(_EDGE * sample_rate) :].mean()),
        _decibels(levels[-round(_NEAR / _LEVEL) :].max()) - _decibels(levels[-1]),
        _decibels(levels.max()) - _decibels(levels[-1]),
        _decibels(levels[-5:].max()) - _decibels(levels[-1]),
    )


def _decibels(power: float) -> float:
    return float(10 * np.log10(power + 1e-20))
