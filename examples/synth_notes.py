"""Synthesize the single notes of analog-style bass synthesizers into a note bank.

    python examples/synth_notes.py notes/ --basses 16

writes ``notes/bass/synth<k>/<pitch>_v<velocity>.ogg``, mono 44.1 kHz. Sampled basses are mostly
fingers and strings; the basses of electronic music are oscillators through a filter, with clicks
at their beginning and no two alike. (seed, number) decides a synthesizer: its oscillators and
their detuning, sub-oscillator, frequency modulation, filter and its envelope, drive, decay.

The same command gives the same sounds; existing libraries are kept, for any seed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile as sf
import typer
from numpy.random import Generator, default_rng
from rich.console import Console
from rich.progress import track
from scipy.signal import sosfilt

from audiomask.data import DEFAULT_SAMPLE_RATE as SAMPLE_RATE

PITCHES = range(24, 61, 3)
VELOCITIES = (40, 84, 120)
#: samples of a note, its release included
LENGTH = int(2.2 * SAMPLE_RATE)
RELEASE = int(0.08 * SAMPLE_RATE)
#: samples between two settings of the filter
BLOCK = 64

Floats = npt.NDArray[np.float64]


class Synth(NamedTuple):
    """The settings of one synthesizer."""

    shape: str
    voices: int
    detune: float  # cents
    sub: float
    modulation: float
    ratio: float
    cutoff: float  # of the fundamental
    sweep: float  # octaves
    sweep_decay: float  # seconds
    resonance: float
    decay: float  # seconds; of the loudness
    drive: float
    click: float


def draw(rng: Generator) -> Synth:
    """Draw a synthesizer."""
    shape = str(rng.choice(["saw", "pulse", "triangle", "sine"], p=[0.35, 0.3, 0.15, 0.2]))
    modulated = shape == "sine" or rng.random() < 0.15
    return Synth(
        shape=shape,
        voices=int(rng.choice([1, 2, 3, 5], p=[0.4, 0.3, 0.2, 0.1])),
        detune=float(rng.uniform(3, 25)),
        sub=float(rng.choice([0.0, rng.uniform(0.3, 1.2)])),
        modulation=float(rng.uniform(0.5, 5)) if modulated else 0.0,
        ratio=float(rng.choice([0.5, 1, 1, 2, 3])),
        cutoff=float(rng.uniform(1.5, 10)),
        sweep=float(rng.uniform(0, 5)),
        sweep_decay=float(np.exp(rng.uniform(np.log(0.03), np.log(0.8)))),
        resonance=float(rng.uniform(0.6, 6)),
        decay=float(rng.choice([rng.uniform(0.12, 0.5), rng.uniform(0.8, 3), 30.0])),
        drive=float(rng.choice([0.0, rng.uniform(0.5, 6)])),
        click=float(rng.choice([0.0, rng.uniform(0.02, 0.3)])),
    )


def oscillate(synth: Synth, frequency: float, rng: Generator) -> Floats:
    """The sum of a note's oscillators, bandlimited by adding harmonics; [LENGTH]."""
    time = np.arange(LENGTH) / SAMPLE_RATE
    out = np.zeros(LENGTH)
    width = rng.uniform(0.2, 0.5)
    for voice in range(synth.voices):
        cents = synth.detune * (voice - (synth.voices - 1) / 2)
        pitch = frequency * 2 ** (cents / 1200)
        phase = 2 * np.pi * (pitch * time + rng.random())
        if synth.modulation:
            index = synth.modulation * np.exp(-time / max(synth.sweep_decay, 0.1))
            phase = phase + index * np.sin(2 * np.pi * pitch * synth.ratio * time)
        count = 1 if synth.shape == "sine" else min(60, int(16000 / pitch))
        for k in range(1, count + 1):
            gain = {
                "sine": 1.0,
                "saw": 1 / k,
                "pulse": np.sin(np.pi * k * width) / k,
                "triangle": (k % 2) * (-1) ** (k // 2) / k**2,
            }[synth.shape]
            if abs(gain) > 1e-3:
                out += gain * np.sin(k * phase)
    return out / synth.voices + synth.sub * np.sin(np.pi * frequency * time)


def lowpass(x: Floats, cutoffs: Floats, resonance: float) -> Floats:
    """A two-pole low-pass whose cutoff (Hz, one for each BLOCK of samples) moves; [T]."""
    out = np.empty_like(x)
    state = np.zeros((1, 2))
    for i, cutoff in enumerate(cutoffs):
        omega = 2 * np.pi * min(cutoff, 0.45 * SAMPLE_RATE) / SAMPLE_RATE
        alpha = np.sin(omega) / (2 * resonance)
        b = (1 - np.cos(omega)) / 2
        row = np.array([b, 2 * b, b, 1 + alpha, -2 * np.cos(omega), 1 - alpha])
        span = slice(i * BLOCK, (i + 1) * BLOCK)
        out[span], state = sosfilt(row[None] / row[3], x[span], zi=state)
    return out


def render(synth: Synth, pitch: int, velocity: int, rng: Generator) -> Floats:
    """One note at its loudness; [LENGTH], peak below 1."""
    time = np.arange(LENGTH) / SAMPLE_RATE
    frequency = 440 * 2 ** ((pitch - 69) / 12)
    hard = velocity / 127
    sound = oscillate(synth, frequency, rng)
    at = time[::BLOCK]
    octaves = synth.sweep * (0.4 + 0.6 * hard) * np.exp(-at / synth.sweep_decay)
    sound = lowpass(sound, frequency * synth.cutoff * 2**octaves, synth.resonance)
    sound += synth.click * rng.standard_normal(LENGTH) * np.exp(-time / 0.004)
    sound *= np.exp(-time / synth.decay) * np.minimum(1, time / 0.002)
    sound /= np.abs(sound).max()
    if synth.drive:
        sound = np.tanh(synth.drive * sound) / np.tanh(synth.drive)
    sound[-RELEASE:] *= np.linspace(1, 0, RELEASE) ** 2
    return 0.8 * hard**0.7 * sound


def main(
    out: Annotated[Path, typer.Argument(help="The note bank to write or add to.")],
    basses: Annotated[int, typer.Option(help="How many basses to make.")] = 16,
    seed: Annotated[int, typer.Option(help="With the number, decides a bass.")] = 0,
) -> None:
    """Synthesize the single notes of bass synthesizers into a note bank."""
    for number in track(range(basses), "rendering", console=Console(stderr=True)):
        folder = out / "bass" / f"synth{number}"
        if folder.exists():
            continue
        rng = default_rng((seed, number))
        synth = draw(rng)
        folder.mkdir(parents=True)
        for pitch in PITCHES:
            for velocity in VELOCITIES:
                note = render(synth, pitch, velocity, rng)
                sf.write(folder / f"{pitch}_v{velocity}.ogg", note, SAMPLE_RATE)


if __name__ == "__main__":
    typer.run(main)
