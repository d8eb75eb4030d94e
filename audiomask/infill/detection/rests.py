"""Rests: silence that belongs to the music, told from dropouts by the sound on its sides.

A dropout breaks off at full swing, from one sample to the next, and ends so. A rest follows on a
decay or a fade, or ends in one, or in the attack of what comes next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from audiomask.audio.source import AudioSource

Audio = npt.NDArray[np.float64]

#: seconds of sound that is looked at on each side, and those nearest to the silence
SIDE, NEAR = 1.0, 0.3
#: seconds nearest to the edge, in which a fade has to be over, and of the sound that it fades
EDGE, STEADY = 0.0007, 0.02
#: seconds over which levels are taken
LEVEL = 0.01
#: decibels by which the last of the sound may be below what was just before it
FADE = 12.0
#: decibels by which it may be below the loudest that is near, and below that of the whole side:
#: more, and it has died away
DECAY, DEPTH = 18.0, 30.0
#: decibels by which the sound behind a dropout may differ from that before it, when it is dying
#: away, and by which it may grow just behind it
CONTINUOUS, ATTACK = 6.0, 8.0
#: decibels by which what is left in a dropout is below the sound on its sides, by which they
#: may differ, and by which they may be below the loudest of the whole side; of 82 pieces
#: of music, one (made of hard cuts) has any such place
BELOW, APART, HIDDEN = 28.0, 14.0, 27.0
#: decibels by which the sound beside a dropout may have died away, if it is not as loud behind it
DYING = 12.0
#: seconds of a dropout so short that the period of a bass may look like it, and by how many more
#: decibels it has to be below its sides
SHORT, MORE = 0.008, 8.0
#: Below this level, in dB of full scale, nothing is at full swing.
FAINT = -75.0


class Edge(NamedTuple):
    """How sound ends at the edge of a silence, in decibels.

    Attributes:
        level: of the last of it.
        fade: by how much its very last samples are below that.
        decay: by how much that is below the loudest that is near.
        depth: by how much it is below the loudest of the whole side.
        growth: by how much the loudest of the nearest 50 ms is above it.
    """

    level: float
    fade: float
    decay: float
    depth: float
    growth: float


def is_rest(source: AudioSource, start: int, stop: int, channels: Sequence[int]) -> bool:
    """Whether a silence is a rest and no dropout.

    Args:
        source: the recording.
        start, stop: the silence: exactly its samples.
        channels: numbers of the channels that it is in.
    """
    return are_rest_edges(*edges(source, start, stop, channels))


def is_dropout(
    source: AudioSource, start: int, stop: int, channels: Sequence[int], level: float
) -> bool:
    """Whether something quiet, into and out of which the level steps, is a dropout and no rest.

    Args:
        source: the recording.
        start, stop: the quiet.
        channels: numbers of the channels that it is in.
        level: of what is in it, in dB of full scale.
    """
    before, after = edges(source, start, stop, channels)
    apart = abs(before.level - after.level)
    below = BELOW + (MORE if stop - start < SHORT * source.sample_rate else 0)
    return (
        min(before.level, after.level) > max(FAINT, level + below)
        and max(before.fade, after.fade) < FADE
        and max(before.decay, after.decay) < (DECAY if apart < CONTINUOUS else DYING)
        and max(before.depth, after.depth) < HIDDEN
        and apart < APART
    )


def edges(source: AudioSource, start: int, stop: int, channels: Sequence[int]) -> tuple[Edge, Edge]:
    """How the sound ends before a silence, and how it does behind it, seen from there."""
    length = round(SIDE * source.sample_rate)
    rows = list(channels)
    before = source.read(max(start - length, 0), start)[rows]
    after = source.read(stop, min(stop + length, source.frames))[rows].flip(1)
    heard = [side.double().nan_to_num(0, 0, 0).numpy() for side in (before, after)]
    return edge(heard[0], source.sample_rate), edge(heard[1], source.sample_rate)


def are_rest_edges(before: Edge, after: Edge) -> bool:
    """Whether the edges of a silence are those of a rest."""
    if max(before.fade, after.fade) > FADE or min(before.level, after.level) < FAINT:
        return True
    if max(before.depth, after.depth) > DEPTH:
        return True
    # a note that dies away through a dropout goes on behind it as it was before it
    apart = abs(before.level - after.level) > CONTINUOUS or after.growth > ATTACK
    return max(before.decay, after.decay) > DECAY and apart


def edge(audio: Audio, sample_rate: int) -> Edge:
    """How the last of audio [C, T] sounds, which a silence follows."""
    if not audio.shape[1]:
        return Edge(-200.0, 0.0, 0.0, 0.0, 0.0)
    steady = round(STEADY * sample_rate)
    audio = audio - audio.mean(axis=1, keepdims=True)
    power = np.square(audio).mean(axis=0)
    # With its slope, the swing of a wave is seen wherever in it the sound breaks off.
    slope = np.square(np.diff(audio, axis=1, prepend=audio[:, :1]))
    share = power[-steady:].sum() / (slope.mean(axis=0)[-steady:].sum() + 1e-30)
    swing = power + share * slope.mean(axis=0)
    short = round(LEVEL * sample_rate)
    count = max(len(power) // short, 1)
    levels = power[-count * short :].reshape(count, -1).mean(axis=1)
    return Edge(
        _decibels(levels[-1]),
        _decibels(swing[-steady:].mean()) - _decibels(swing[-round(EDGE * sample_rate) :].mean()),
        _decibels(levels[-round(NEAR / LEVEL) :].max()) - _decibels(levels[-1]),
        _decibels(levels.max()) - _decibels(levels[-1]),
        _decibels(levels[-5:].max()) - _decibels(levels[-1]),
    )


def _decibels(power: float) -> float:
    return float(10 * np.log10(power + 1e-20))
