"""Parameters of effects: all that decides what is done to the lines of a song."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Curve = npt.NDArray[np.float32]

#: points of an equalizer's curve, evenly from 0 Hz to Nyquist
EQ_POINTS = 2049


class EffectParams(NamedTuple):
    """Parameters of the effects on L lines that play in R rooms, heard on C channels.

    They are applied in this order: compressor, modulated delay, amplifier, then all that is linear.

    Attributes:
        threshold: [L] dB over the line's mean power where the compressor sets in; inf for none.
        ratio: [L] of the compressor.
        mod_mix: [L] share of the modulated delay; 0 for none, 1 is vibrato, in between chorus.
        mod_delay: [L] its shortest delay, in samples.
        mod_depth: [L] by how many samples the delay grows.
        mod_rate: [L] cycles a sample.
        mod_phase: [L] in cycles.
        drive: [L] gain into the amplifier's soft clipper in dB; below 0 for a clean line.
        bias: [L] added before the clipper: even harmonics.
        tone: [L, EQ_POINTS] gain over frequency before the clipper, as a factor.
        curve: [L, EQ_POINTS] the gain over frequency of equalizer and cabinet, as a factor.
        echo_gain: [L] of each echo by the one before; 0 for none.
        echo_time: [L] between echoes, in samples.
        wet: [L] how much of its room is added.
        reverb: [R, C, N] the rooms' tails, unit energy on each channel.
        room: [L] int64, the room that a line plays in.
        gain: [L, C] of a line on each channel.
        spread: [L] of a mono line between the channels: a delayed copy is added to one and
            subtracted from the other.
        spread_time: [L] the copy's delay, in samples.
    """

    threshold: Tensor
    ratio: Tensor
    mod_mix: Tensor
    mod_delay: Tensor
    mod_depth: Tensor
    mod_rate: Tensor
    mod_phase: Tensor
    drive: Tensor
    bias: Tensor
    tone: Tensor
    curve: Tensor
    echo_gain: Tensor
    echo_time: Tensor
    wet: Tensor
    reverb: Tensor
    room: Tensor
    gain: Tensor
    spread: Tensor
    spread_time: Tensor


def flat() -> Curve:
    """A curve that changes nothing."""
    return np.ones(EQ_POINTS, np.float32)


@dataclass
class LineEffects:
    """The parameters of one line; the defaults leave it as it is. See ``EffectParams``."""

    threshold: float = math.inf
    ratio: float = 1.0
    mod_mix: float = 0.0
    mod_delay: float = 0.0
    mod_depth: float = 0.0
    mod_rate: float = 0.0
    mod_phase: float = 0.0
    drive: float = -1.0
    bias: float = 0.0
    tone: Curve = field(default_factory=flat)
    curve: Curve = field(default_factory=flat)
    echo_gain: float = 0.0
    echo_time: float = 0.0
    wet: float = 0.0
    gain: tuple[float, ...] = (1.0,)
    spread: float = 0.0
    spread_time: float = 0.0


def stack_effects(lines: Sequence[LineEffects], reverb: Tensor) -> EffectParams:
    """The parameters of lines that all play in one room.

    Args:
        lines: each with a gain for every channel of the room.
        reverb: the room's tails [C, N].
    """
    widths = {"tone": EQ_POINTS, "curve": EQ_POINTS, "gain": len(reverb)}
    columns = {}
    for name in (column.name for column in fields(LineEffects)):
        values = np.array([getattr(line, name) for line in lines], dtype=np.float32)
        shape = (len(lines), widths[name]) if name in widths else (len(lines),)
        columns[name] = torch.from_numpy(values.reshape(shape))
    room = torch.zeros(len(lines), dtype=torch.int64)
    return EffectParams(**columns, reverb=reverb[None], room=room)


def join_effects(parts: Sequence[EffectParams]) -> EffectParams:
    """The parameters of several songs as one song's, in order; each keeps its rooms."""
    joined = {
        name: torch.cat([getattr(part, name) for part in parts]) for name in EffectParams._fields
    }
    rooms, own = 0, []
    for part in parts:
        own.append(part.room + rooms)
        rooms += len(part.reverb)
    return EffectParams(**joined | {"room": torch.cat(own)})
