"""What is done to the lines of a song, drawn at random by what plays them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from audiomask.data.effects.curves import cabinet, equalizer, input_tone
from audiomask.data.effects.params import EffectParams, LineEffects, flat, stack_effects
from audiomask.data.effects.space import pan_gains, reverb_tail


@dataclass(frozen=True)
class _Habits:
    """How likely each effect is on an instrument's line, and how strong it may be.

    Attributes:
        drive: chance of an amplifier that clips.
        drive_db: range of the gain into it.
        cabinet: chance that a line is heard through a loudspeaker; a driven one nearly always is.
        compress: chance of a compressor.
        modulate: chance of chorus, flanger or vibrato.
        echo: chance of echoes.
        wet: how much of the room there may be.
        pan: how far from the middle a line may be, 0 … 1.
        spread: chance that a line is spread between left and right.
    """

    drive: float = 0.08
    drive_db: tuple[float, float] = (0.0, 25.0)
    cabinet: float = 0.05
    compress: float = 0.25
    modulate: float = 0.1
    echo: float = 0.12
    wet: float = 0.5
    pan: float = 0.7
    spread: float = 0.35


_HABITS = {
    "guitar": _Habits(0.5, (0.0, 45.0), 0.3, 0.35, 0.2, 0.25, 0.5, 1.0, 0.15),
    "piano": _Habits(0.1, (0.0, 20.0), 0.1, 0.2, 0.12, 0.1, 0.5, 0.5, 0.6),
    "bass": _Habits(0.3, (0.0, 35.0), 0.3, 0.5, 0.08, 0.0, 0.15, 0.15, 0.08),
    "drums": _Habits(0.1, (0.0, 20.0), 0.02, 0.5, 0.0, 0.03, 0.4, 0.15, 0.6),
    "vocals": _Habits(0.05, (0.0, 20.0), 0.03, 0.6, 0.1, 0.3, 0.5, 0.3, 0.1),
}
_USUAL = _Habits()


def sample_effects(
    stems: Sequence[str],
    rng: np.random.Generator,
    reverberation: float,
    sample_rate: int,
    chance: float = 1.0,
    pans: Sequence[float | None] | None = None,
) -> EffectParams:
    """Random effects on the lines of one song, which share one room.

    Args:
        stems: what each line is: its habits follow from it.
        rng: decides everything.
        reverberation: seconds until the room has lost 60 dB.
        sample_rate: of the lines.
        chance: how likely it is that a line is treated at all.
        pans: places of the lines on two channels, None where one is to be drawn; without it there
            is one channel.
    """
    lines = []
    for number, stem in enumerate(stems):
        habits = _HABITS.get(stem, _USUAL)
        line = LineEffects()
        if rng.random() < chance:
            _treat(line, habits, rng, sample_rate)
        if pans is not None:
            _place(line, habits, pans[number], rng, sample_rate)
        lines.append(line)
    channels = 1 if pans is None else 2
    tails = [reverb_tail(reverberation, rng, sample_rate) for _ in range(channels)]
    return stack_effects(lines, torch.from_numpy(np.stack(tails)))


def _treat(line: LineEffects, habits: _Habits, rng: np.random.Generator, sample_rate: int) -> None:
    """Give a line its compressor, pedals, amplifier, equalizer, echo and share of the room."""
    if rng.random() < habits.compress:
        line.threshold, line.ratio = float(rng.uniform(-15, 6)), float(rng.uniform(1.5, 10))
    if rng.random() < habits.modulate:
        kind = rng.choice(3)
        # chorus, flanger, vibrato: share of the copy, its delay and depth in ms, Hz
        mix, delay, depth, rate = (
            (rng.uniform(0.3, 0.6), rng.uniform(8, 25), rng.uniform(0.5, 5), rng.uniform(0.2, 2.5)),
            (rng.uniform(0.3, 0.6), rng.uniform(0.3, 2), rng.uniform(0.5, 5), rng.uniform(0.05, 1)),
            (1.0, 0.0, rng.uniform(0.1, 1.0), rng.uniform(3, 7)),
        )[kind]
        line.mod_mix, line.mod_phase = float(mix), float(rng.random())
        line.mod_delay, line.mod_depth = delay * sample_rate / 1000, depth * sample_rate / 1000
        line.mod_rate = rate / sample_rate
    driven = rng.random() < habits.drive
    if driven:
        line.drive = float(rng.uniform(*habits.drive_db))
        line.bias = float(rng.uniform(0, 0.5)) if rng.random() < 0.5 else 0.0
        line.tone = input_tone(rng, sample_rate)
    curve = flat()
    if rng.random() < (0.85 if driven else habits.cabinet):
        curve *= cabinet(rng, sample_rate)
    if rng.random() < 0.7:
        curve *= equalizer(rng, sample_rate)
    line.curve = curve
    if rng.random() < habits.echo:
        line.echo_gain = float(rng.uniform(0.1, 0.6))
        line.echo_time = float(rng.uniform(0.06, 0.6)) * sample_rate
    if rng.random() < 0.5:
        line.wet = float(rng.uniform(0.02, habits.wet))


def _place(
    line: LineEffects,
    habits: _Habits,
    pan: float | None,
    rng: np.random.Generator,
    sample_rate: int,
) -> None:
    """Give a line its place between left and right."""
    if pan is None:
        wide = rng.random() < 0.5
        pan = float(rng.uniform(-habits.pan, habits.pan)) if wide else float(rng.normal(0, 0.05))
        if rng.random() < habits.spread:
            line.spread = float(rng.uniform(0.2, 1.0))
            line.spread_time = float(rng.uniform(0.002, 0.02)) * sample_rate
    line.gain = pan_gains(min(max(pan, -1.0), 1.0))
