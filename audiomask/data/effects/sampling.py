"""Random parameters of effects, with probabilities and ranges by stem."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from audiomask.data.effects.curves import cabinet, equalizer, input_tone
from audiomask.data.effects.params import EffectParams, LineEffects, flat, stack_effects
from audiomask.data.effects.space import pan_gains, reverb_tail
from audiomask.data.effects.sweeps import WAH


@dataclass(frozen=True)
class _EffectRanges:
    """Probabilities and ranges of the effects on an instrument's lines.

    Attributes:
        drive: probability of a clipping amplifier.
        drive_db: range of the gain before clipping, in dB.
        cabinet: probability of a cabinet without an amplifier.
        compress: probability of a compressor.
        modulate: probability of chorus, flanger or vibrato.
        sweep: probability of a wah or phaser.
        echo: probability of echoes.
        wet: largest gain of the reverb.
        pan: largest distance from the center, 0 … 1.
        spread: probability of a spread between left and right.
    """

    drive: float = 0.08
    drive_db: tuple[float, float] = (0.0, 25.0)
    cabinet: float = 0.05
    compress: float = 0.25
    modulate: float = 0.1
    sweep: float = 0.04
    echo: float = 0.12
    wet: float = 0.5
    pan: float = 0.7
    spread: float = 0.35


_RANGES = {
    "guitar": _EffectRanges(0.5, (0.0, 45.0), 0.3, 0.35, 0.2, 0.15, 0.25, 0.5, 1.0, 0.15),
    "piano": _EffectRanges(0.1, (0.0, 20.0), 0.1, 0.2, 0.12, 0.1, 0.1, 0.5, 0.5, 0.6),
    "bass": _EffectRanges(0.3, (0.0, 35.0), 0.3, 0.5, 0.08, 0.05, 0.0, 0.15, 0.15, 0.08),
    "drums": _EffectRanges(0.1, (0.0, 20.0), 0.02, 0.5, 0.0, 0.0, 0.03, 0.4, 0.15, 0.6),
    "vocals": _EffectRanges(0.05, (0.0, 20.0), 0.03, 0.6, 0.1, 0.0, 0.3, 0.5, 0.3, 0.1),
}
_DEFAULT_RANGES = _EffectRanges()


def sample_effects(
    stems: Sequence[str],
    rng: np.random.Generator,
    reverb_time: float,
    sample_rate: int,
    prob: float = 1.0,
    pans: Sequence[float | None] | None = None,
) -> EffectParams:
    """Random effects on the lines of one song, all in one room.

    Args:
        stems: the stem of each line.
        rng: random numbers.
        reverb_time: RT60 of the room, in seconds.
        sample_rate: of the lines, in Hz.
        prob: probability that a line has effects other than panning.
        pans: of the lines, -1 … 1, None for a random one; without pans, lines are mono.
    """
    lines = []
    for number, stem in enumerate(stems):
        ranges = _RANGES.get(stem, _DEFAULT_RANGES)
        line = LineEffects()
        if rng.random() < prob:
            _sample_tone(line, ranges, rng, sample_rate)
        if pans is not None:
            _sample_pan(line, ranges, pans[number], rng, sample_rate)
        lines.append(line)
    channels = 1 if pans is None else 2
    tails = [reverb_tail(reverb_time, rng, sample_rate) for _ in range(channels)]
    return stack_effects(lines, torch.from_numpy(np.stack(tails)))


def _sample_tone(
    line: LineEffects, ranges: _EffectRanges, rng: np.random.Generator, sample_rate: int
) -> None:
    """Sample the parameters of one line except for its pan and spread."""
    if rng.random() < ranges.compress:
        line.threshold, line.ratio = float(rng.uniform(-15, 6)), float(rng.uniform(1.5, 10))
    if rng.random() < ranges.sweep:
        _sample_sweep(line, rng, sample_rate)
    if rng.random() < ranges.modulate:
        kind = rng.choice(3)
        # chorus, flanger, vibrato: mix, delay and depth in ms, rate in Hz
        mix, delay, depth, rate = (
            (rng.uniform(0.3, 0.6), rng.uniform(8, 25), rng.uniform(0.5, 5), rng.uniform(0.2, 2.5)),
            (rng.uniform(0.3, 0.6), rng.uniform(0.3, 2), rng.uniform(0.5, 5), rng.uniform(0.05, 1)),
            (1.0, 0.0, rng.uniform(0.1, 1.0), rng.uniform(3, 7)),
        )[kind]
        line.mod_mix, line.mod_phase = float(mix), float(rng.random())
        line.mod_delay, line.mod_depth = delay * sample_rate / 1000, depth * sample_rate / 1000
        line.mod_rate = rate / sample_rate
    driven = rng.random() < ranges.drive
    if driven:
        line.drive = float(rng.uniform(*ranges.drive_db))
        line.bias = float(rng.uniform(0, 0.5)) if rng.random() < 0.5 else 0.0
        line.tone = input_tone(rng, sample_rate)
    curve = flat()
    if rng.random() < (0.85 if driven else ranges.cabinet):
        curve *= cabinet(rng, sample_rate)
    if rng.random() < 0.7:
        curve *= equalizer(rng, sample_rate)
    line.curve = curve
    if rng.random() < ranges.echo:
        line.echo_gain = float(rng.uniform(0.1, 0.6))
        line.echo_time = float(rng.uniform(0.06, 0.6)) * sample_rate
    if rng.random() < 0.5:
        line.wet = float(rng.uniform(0.02, ranges.wet))


def _sample_sweep(line: LineEffects, rng: np.random.Generator, sample_rate: int) -> None:
    """Sample a wah, which moves fast and mostly has its own sound, or a phaser."""
    wah = rng.random() < 0.5
    line.sweep_stages = WAH if wah else int(rng.choice([2, 4, 4, 6, 8]))
    line.sweep_mix = float(rng.uniform(0.8, 1.0) if wah else rng.uniform(0.3, 0.6))
    low, high = ((350, 500), (1400, 2400)) if wah else ((100, 400), (800, 3000))
    line.sweep_low = float(rng.uniform(*low)) / sample_rate
    line.sweep_high = float(rng.uniform(*high)) / sample_rate
    line.sweep_rate = float(rng.uniform(0.3, 4) if wah else rng.uniform(0.05, 1.5)) / sample_rate
    line.sweep_phase = float(rng.random())


def _sample_pan(
    line: LineEffects,
    ranges: _EffectRanges,
    pan: float | None,
    rng: np.random.Generator,
    sample_rate: int,
) -> None:
    """Sample the gains of left and right and the spread of one line."""
    if pan is None:
        wide = rng.random() < 0.5
        pan = float(rng.uniform(-ranges.pan, ranges.pan)) if wide else float(rng.normal(0, 0.05))
        if rng.random() < ranges.spread:
            line.spread = float(rng.uniform(0.2, 1.0))
            line.spread_time = float(rng.uniform(0.002, 0.02)) * sample_rate
    line.gain = pan_gains(min(max(pan, -1.0), 1.0))
