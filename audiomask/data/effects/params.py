"""Parameters of effects."""

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

#: points of a curve, evenly spaced from 0 Hz to the Nyquist frequency
EQ_POINTS = 2049


class EffectParams(NamedTuple):
    """Parameters of the effects on L lines in R rooms, for C channels.

    The order is compressor, swept filter, modulated delay, amplifier, then the linear effects in
    one filter.

    Attributes:
        threshold: [L], of the compressor, in dB above the line's mean power; inf for none.
        ratio: [L], of the compressor.
        sweep_stages: [L], whole numbers, of the swept filter: 0 for none, ``sweeps.WAH`` for a wah.
        sweep_mix: [L], share of the filtered copy.
        sweep_low, sweep_high: [L], range of its frequency, in cycles a sample.
        sweep_rate: [L], in cycles a sample.
        sweep_phase: [L], in cycles.
        mod_mix: [L], share of the modulated delay: 0 for none, 1 for vibrato.
        mod_delay: [L], its shortest delay, in samples.
        mod_depth: [L], its range, in samples.
        mod_rate: [L], in cycles a sample.
        mod_phase: [L], in cycles.
        drive: [L], gain before the amplifier's soft clipping, in dB; negative for no amplifier.
        bias: [L], added before clipping, for even harmonics.
        tone: [L, EQ_POINTS], gain over frequency before clipping, as a factor.
        curve: [L, EQ_POINTS], gain over frequency of equalizer and cabinet, as a factor.
        echo_gain: [L], of each echo over the one before; 0 for none.
        echo_time: [L], between echoes, in samples.
        wet: [L], gain of the reverb; 0 for none.
        reverb: [R, C, N], impulse responses of the rooms, unit energy on each channel.
        room: int64 [L], the room of each line.
        gain: [L, C], of each channel.
        spread: [L], gain of a delayed copy that is added to the left and subtracted from the right
            channel, which widens a mono line; 0 for none.
        spread_time: [L], the copy's delay, in samples.
    """

    threshold: Tensor
    ratio: Tensor
    sweep_stages: Tensor
    sweep_mix: Tensor
    sweep_low: Tensor
    sweep_high: Tensor
    sweep_rate: Tensor
    sweep_phase: Tensor
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
    """A curve of gain 1."""
    return np.ones(EQ_POINTS, np.float32)


@dataclass
class LineEffects:
    """The parameters of one line, by default without effects; see ``EffectParams``."""

    threshold: float = math.inf
    ratio: float = 1.0
    sweep_stages: float = 0
    sweep_mix: float = 0.0
    sweep_low: float = 0.01
    sweep_high: float = 0.05
    sweep_rate: float = 0.0
    sweep_phase: float = 0.0
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
    """The parameters of lines in one room.

    Args:
        lines: each with C gains.
        reverb: impulse response of the room [C, N].
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
    """The concatenated parameters of several songs, with all their rooms."""
    joined = {
        name: torch.cat([getattr(part, name) for part in parts]) for name in EffectParams._fields
    }
    rooms, numbers = 0, []
    for part in parts:
        numbers.append(part.room + rooms)
        rooms += len(part.reverb)
    return EffectParams(**joined | {"room": torch.cat(numbers)})
