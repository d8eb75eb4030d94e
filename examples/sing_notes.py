"""Render singing and speaking voices with espeak-ng and WORLD into a note bank.

    pip install pyworld 'setuptools<81'  # takes a C++ compiler; needs pkg_resources to run
    python examples/sing_notes.py notes/ --voices 12 --speakers 8

writes ``notes/other/voice<k>-<nnn>/<pitch>_v<velocity>.ogg`` and ``notes/other/speech<k>-<nnn>/…``,
mono 44.1 kHz. ``audiomask train --data notes/`` uses them in the stem ``other``. Three voices have
the same ``<k>``, and so do four speakers: each ``<k>`` is as likely as a SoundFont, and is in one
split.

Words of espeak-ng are analyzed by WORLD and resynthesized at the pitch of a note, with their vowels
held. (seed, number) decides a voice: its language, register, formants, portamento, vibrato, and
whether it is single, doubled or a choir. The velocities of a note are different words, of the same
loudness. Speech has no pitch; its names have notes so that there are samples near every note.

The same command gives the same sounds; existing libraries are kept, for any seed. It needs
audiomask's ``train`` extra, the espeak-ng command and pyworld.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr
import typer
from numpy.random import Generator, default_rng
from rich.console import Console
from rich.progress import track
from scipy.signal import butter, sosfilt

from audiomask.data import DEFAULT_SAMPLE_RATE as SAMPLE_RATE
from audiomask.errors import DataError

#: sample rate of espeak-ng and WORLD, in Hz
RATE = 22050
#: hop of WORLD's frames, in seconds
FRAME = 0.005
VELOCITIES = (16, 48, 80, 112)
#: by register: pitches to render, and variants of espeak-ng's voices
PITCHES = {"high": range(52, 79, 2), "low": range(40, 63, 2), "speech": range(48, 73, 2)}
VARIANTS = {"high": ("f1", "f2", "f3", "f4", "f5"), "low": ("m1", "m2", "m3", "m4", "m7", "klatt")}
#: by language: words to sing, with one vowel to hold, and phrases to speak
WORDS = {
    "en": "la oh hey you my sky no blue moon day stay fire gold sea whoa far low how rain dream",
    "it": "la si tu no mai più qui sol blu te lei noi va fa do re mi ma sa per",
    "de": "la du ja so wie nie wo nah weh tu Mai See neu froh da zu mein Lied nun Tau",
    "es": "la sol mar tú no voy luz yo fe ven hoy rey más bien va ti lo que sé ay",
}
PHRASES = {
    "en": "his old guitar is still under the bed|we missed the last bus and walked home",
    "it": "mio nonno suonava la fisarmonica|il gatto dorme sempre sopra il pianoforte",
    "de": "der alte Verstärker rauscht ein wenig|im Garten liegen noch die Blätter vom Herbst",
    "es": "mi vecina toca el violín cada tarde|nadie recuerda cómo empezaba la canción",
}

Array = npt.NDArray[np.float64]
Notes = Iterator[tuple[str, Array]]


class Word(NamedTuple):
    """WORLD's analysis of a word, in F frames.

    Attributes:
        pitch: [F], in Hz; 0 in unvoiced frames.
        spectrum: spectral envelope [F, K].
        aperiodicity: [F, K].
    """

    pitch: Array
    spectrum: Array
    aperiodicity: Array


class Singer(NamedTuple):
    """Parameters of a singing voice.

    Attributes:
        formant_scale: factor of the formants' frequencies.
        portamento: probability that a note slides up from a lower pitch.
        vibrato: depth, in cents.
    """

    formant_scale: float
    portamento: float
    vibrato: float


def sample_voice(number: int, rng: Generator) -> tuple[str, str]:
    """The name of an espeak-ng voice, and its register; both alternate with the number."""
    register = ("high", "low")[number % 2]
    return f"{list(WORDS)[number // 2 % len(WORDS)]}+{rng.choice(VARIANTS[register])}", register


def world() -> Any:
    """The pyworld module.

    Raises:
        DataError: it cannot be imported.
    """
    try:
        return import_module("pyworld")
    except ImportError as error:
        raise DataError(f"no pyworld ({error}): pip install pyworld 'setuptools<81'") from error


def speak(text: str, voice: str, speed: float, pitch: float) -> Array:
    """Speech of a text by espeak-ng, mono [T] at ``RATE``.

    Raises:
        DataError: it fails or is silent.
    """
    options = ["-v", voice, "-s", str(int(speed)), "-p", str(int(pitch)), "--stdout"]
    done = subprocess.run(["espeak-ng", *options, text], capture_output=True, check=False)
    if done.returncode == 0:
        audio, rate = sf.read(BytesIO(done.stdout))
        if audio.any():
            return trim(soxr.resample(audio, rate, RATE))
    reason = " ".join(done.stderr.decode(errors="replace").split()) or "no sound"
    raise DataError(f"espeak-ng cannot say {text!r} as {voice}: {reason}")


def trim(audio: Array) -> Array:
    """A sound [T] without its silent ends."""
    loud = np.flatnonzero(np.abs(audio) > 0.01 * np.abs(audio).max())
    return audio[max(0, loud[0] - 64) : loud[-1] + 1]


def analyze_words(voice: str, rng: Generator) -> list[Word]:
    """Up to eight words of a voice, without those of fewer than 15 voiced frames.

    Raises:
        DataError: no word is voiced, or espeak-ng fails.
    """
    words = []
    for text in rng.permutation(WORDS[voice[:2]].split())[:8]:
        audio = speak(str(text), voice, rng.uniform(80, 120), rng.uniform(35, 65))
        pitch, times = world().dio(audio, RATE, 60.0, 500.0, frame_period=1000 * FRAME)
        pitch = world().stonemask(audio, pitch, times, RATE)
        if np.count_nonzero(pitch) >= 15:
            spectrum = world().cheaptrick(audio, pitch, times, RATE)
            words.append(Word(pitch, spectrum, world().d4c(audio, pitch, times, RATE)))
    if not words:
        raise DataError(f"no pitch in what espeak-ng says as {voice}")
    return words


def hold_vowel(pitch: Array, seconds: float, rng: Generator) -> npt.NDArray[np.int64]:
    """Indices of a word's frames, with the middle of its voiced part stretched to a duration."""
    voiced = np.flatnonzero(pitch)
    start, stop = np.round(voiced[0] + np.array([0.35, 0.75]) * (voiced[-1] - voiced[0]))
    held = np.linspace(start, stop, int(stop - start) + max(0, int(seconds / FRAME) - len(pitch)))
    held += rng.normal(0.0, 0.6, len(held))  # repeated frames would buzz
    frames = np.concatenate([np.arange(start), held, np.arange(stop, len(pitch))])
    return np.clip(np.round(frames), 0, len(pitch) - 1).astype(np.int64)


def melody(voiced: npt.NDArray[np.bool_], singer: Singer, rng: Generator) -> Array:
    """Deviations from a note's pitch, in cents, for every frame: drift, portamento and vibrato."""
    time = FRAME * (np.arange(len(voiced)) - np.argmax(voiced))
    cents: Array = rng.normal(0.0, 8.0) + 0.35 * np.cumsum(rng.normal(0.0, 1.2, len(time)))
    if rng.random() < singer.portamento:
        cents -= rng.uniform(60, 220) * np.exp(-np.maximum(time, 0.0) / rng.uniform(0.03, 0.09))
    growth = np.clip((time - rng.uniform(0.1, 0.4)) / 0.35, 0.0, 1.0)
    swing = np.sin(2 * np.pi * rng.uniform(4.5, 6.5) * time + rng.uniform(0.0, 2 * np.pi))
    cents += singer.vibrato * rng.uniform(0.3, 1.3) * growth * swing
    return cents


def add_breath(audio: Array, rng: Generator) -> Array:
    """A sound at ``RATE``, resampled to 44.1 kHz, with noise of its envelope above."""
    audio = soxr.resample(audio, RATE, SAMPLE_RATE)
    power = sosfilt(butter(1, 20, fs=SAMPLE_RATE, output="sos"), audio**2)
    band = butter(2, [rng.uniform(2500, 6000), 15000], "bandpass", fs=SAMPLE_RATE, output="sos")
    breath = sosfilt(band, rng.normal(0.0, rng.uniform(0.02, 0.1), len(audio)))
    return np.asarray(audio + np.sqrt(np.maximum(power, 0.0)) * breath)


def sing(word: Word, note: int, seconds: float, singer: Singer, rng: Generator) -> Array:
    """A word sung at a MIDI pitch, mono [T] at 44.1 kHz."""
    frames = hold_vowel(word.pitch, seconds, rng)
    voiced = word.pitch[frames] > 0
    octaves = (note - 69 + melody(voiced, singer, rng) / 100) / 12
    pitch = np.where(voiced, 440 * 2**octaves, 0.0)
    bins = np.arange(word.spectrum.shape[1]) / (singer.formant_scale * rng.uniform(0.97, 1.03))
    spectrum = word.spectrum[frames].take(bins.round().astype(int), axis=1, mode="clip")
    audio = world().synthesize(pitch, spectrum, word.aperiodicity[frames], RATE, 1000 * FRAME)
    audio *= np.linspace(1.0, rng.uniform(0.3, 1.0), len(audio))
    return add_breath(audio, rng)


def sing_notes(number: int, seed: int) -> Notes:
    """Names and sounds of a singer's notes.

    Raises:
        DataError: espeak-ng fails.
    """
    rng = default_rng([seed, 0, number])
    voice, register = sample_voice(number, rng)
    singer = Singer(rng.uniform(0.93, 1.09), rng.choice([0, 0.4, 0.8]), rng.choice([0.0, 20, 50]))
    copies = int(rng.choice([1, 1, 1, 2, 4, 6]))
    words = analyze_words(voice, rng)
    for note in PITCHES[register]:
        for velocity, chosen in zip(VELOCITIES, rng.permutation(len(words)), strict=False):
            seconds = np.exp(rng.uniform(np.log(0.4), np.log(2.2)))
            parts = [  # of equal length, each delayed by up to 45 ms
                np.pad(sing(words[chosen], note, seconds, singer, rng), (late, 2000 - late))
                for late in rng.integers(2000, size=copies)
            ]
            yield f"{note:03d}_v{velocity:03d}", rng.uniform(0.6, 1.0, copies) @ np.array(parts)


def speak_notes(number: int, seed: int) -> Notes:
    """Names and sounds of a speaker's phrases, each from a random word on, of 3 s at most.

    Raises:
        DataError: espeak-ng fails.
    """
    rng = default_rng([seed, 1, number])
    voice, _ = sample_voice(number, rng)
    for note in PITCHES["speech"]:
        for velocity in VELOCITIES:
            words = str(rng.choice(PHRASES[voice[:2]].split("|"))).split()
            text = " ".join(words[rng.integers(len(words) - 2) :])
            audio = speak(text, voice, rng.uniform(130, 210), rng.uniform(25, 80))[: 3 * RATE]
            yield f"{note:03d}_v{velocity:03d}", add_breath(audio, rng)


def write_library(folder: Path, notes: Notes) -> int:
    """Write a library atomically and return the number of notes; 0 if it exists."""
    if folder.is_dir():
        return 0
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".sing-") as making:
        made = Path(making, folder.name)
        made.mkdir()
        for name, audio in notes:
            audio = trim(audio) * 0.5 / np.abs(audio).max()
            audio[-1500:] *= np.linspace(1.0, 0.0, 1500)
            sf.write(made / f"{name}.ogg", audio.astype(np.float32), SAMPLE_RATE)
        return len(list(made.rename(folder).iterdir()))


def main(
    out: Annotated[Path, typer.Argument(help="The note bank to write or add to.")],
    voices: Annotated[int, typer.Option(min=0, help="How many voices sing.")] = 12,
    speakers: Annotated[int, typer.Option(min=0, help="How many voices speak.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Other seed, other voices.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Voices rendered in parallel.")] = 2,
) -> None:
    """Render singing and speaking voices into a note bank."""
    console = Console(stderr=True, soft_wrap=True)
    other = out / "other"
    work = {other / f"voice{n // 3 + 1}-00{n % 3 + 1}": sing_notes(n, seed) for n in range(voices)}
    for n in range(speakers):
        work[other / f"speech{n // 4 + 1}-00{n % 4 + 1}"] = speak_notes(n, seed)
    pool = ThreadPoolExecutor(jobs)
    try:
        if shutil.which("espeak-ng") is None:
            raise DataError("the espeak-ng command is missing; install it (apt or brew: espeak-ng)")
        world()
        other.mkdir(parents=True, exist_ok=True)
        written = pool.map(write_library, work.keys(), work.values())
        counts = list(track(written, "singing", len(work), console=console))
    except (DataError, OSError) as error:
        console.print(f"sing_notes: error: {error}", markup=False)
        raise typer.Exit(1) from error
    finally:
        pool.shutdown(cancel_futures=True)
    console.print(f"{sum(counts)} notes in {out}; {counts.count(0)} voices existed already")


if __name__ == "__main__":
    typer.run(main)
