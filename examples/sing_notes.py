"""Let espeak-ng sing and speak into a note bank: the voices that songs have beside the band.

    pip install pyworld 'setuptools<81'
    python examples/sing_notes.py notes/ --voices 12 --speakers 8

writes ``notes/other/voice<k>-<nnn>/<pitch>_v<velocity>.ogg`` and ``notes/other/speech<k>-<nnn>/…``,
mono 44.1 kHz. ``audiomask train --data notes/`` plays them as ``other``, a stem nobody asks for, so
that separation learns to leave voices out. Three voices share a ``<k>``, and so do four speakers:
the loader draws as often from each ``<k>`` as from a SoundFont, and keeps it in one split.

A voice is drawn from (seed, its number): accent, register, size of throat, vibrato, slides into
notes, breath, and whether it is alone, doubled or a choir. WORLD takes some of espeak-ng's words
apart and puts them together again at the pitch of a note, their vowels held. A note's velocities
are different words, not different loudness. Speech has no pitch: it is named after notes only so
that the loader finds some for each.

The same command makes the same sounds; libraries that are there are kept, whatever the seed.
It needs audiomask's ``train`` extra, the espeak-ng command and pyworld, which nothing else here
uses (installing that takes a C++ compiler, and it wants a setuptools that has pkg_resources).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Annotated

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr
import typer
from rich.console import Console
from rich.progress import track
from scipy.signal import butter, sosfilt

from audiomask.errors import DataError
from audiomask.training.data.sounds.notes import SAMPLE_RATE

RATE = 22050  # espeak-ng's, and so WORLD's
FRAME = 0.005  # seconds from one of WORLD's frames to the next
VELOCITIES = (16, 48, 80, 112)
#: register -> the pitches to render
PITCHES = {"high": range(52, 79, 2), "low": range(40, 63, 2), "speech": range(48, 73, 2)}
#: register -> espeak-ng's variants of a voice
VARIANTS = {"high": ("f1", "f2", "f3", "f4", "f5"), "low": ("m1", "m2", "m3", "m4", "m7", "klatt")}
ACCENTS = ("en-us", "it", "de", "en-gb", "es")
#: language -> what is sung: words with one vowel to hold
WORDS = {
    "en": "la oh hey you my sky no blue moon day stay fire gold sea whoa far low how rain dream",
    "it": "la si tu no mai più qui sol blu te lei noi va fa do re mi ma sa per",
    "de": "la du ja so wie nie wo nah weh tu Mai See neu froh da zu mein Lied nun Tau",
    "es": "la sol mar tú no voy luz yo fe ven hoy rey más bien va ti lo que sé ay",
}
#: language -> what is spoken
PHRASES = {
    "en": "my brother keeps his old guitar under the bed|we missed the last bus and walked home"
    "|somebody left a red umbrella in the kitchen|turn left where the road meets the river",
    "it": "mio nonno suonava la fisarmonica la domenica|abbiamo perso la chiave del cortile"
    "|stasera preparo una zuppa di verdure|il gatto dorme sempre sopra il pianoforte",
    "de": "meine Schwester probt am Abend im Keller|der alte Verstärker rauscht ein wenig"
    "|im Garten liegen noch die Blätter vom Herbst|wer von euch hat den Schlüssel gesehen",
    "es": "mi vecina toca el violín cada tarde|dejamos las bicicletas detrás de la casa"
    "|la sopa todavía está demasiado caliente|nadie recuerda cómo empezaba la canción",
}

Array = npt.NDArray[np.float64]
Notes = Iterator[tuple[str, Array]]


@dataclass(frozen=True)
class Word:
    """What WORLD makes of a word: pitch in hertz or 0 [frames], spectrum and noise [frames, K]."""

    pitch: Array
    spectrum: Array
    noise: Array


@dataclass(frozen=True)
class Singer:
    """How a voice sings: the chances of a slide and of vibrato are a note's, of 1."""

    voice: str  # espeak-ng's name
    register: str
    copies: int  # 1 is alone, 2 is doubled, more are a choir
    throat: float  # what the formants' frequencies are multiplied by
    slides: float
    vibratos: float
    rate: float  # of the vibrato, in hertz
    depth: float  # of the vibrato, in cents
    breath: float  # how loud its noise is beside it


def draw_voice(number: int, rng: np.random.Generator) -> tuple[str, str]:
    """The name of an espeak-ng voice, and its register; accents and registers take turns."""
    register = ("high", "low")[number % 2]
    return f"{ACCENTS[number % len(ACCENTS)]}+{rng.choice(VARIANTS[register])}", register


def world() -> ModuleType:
    """The pyworld module; raises DataError when it cannot be imported."""
    try:
        return import_module("pyworld")
    except ImportError as error:
        raise DataError(f"no pyworld ({error}): pip install pyworld 'setuptools<81'") from error


def speak(text: str, voice: str, speed: float, pitch: float) -> Array:
    """Let espeak-ng say something: mono [samples] at ``RATE``; raises DataError when it cannot."""
    options = ["-v", voice, "-s", str(int(speed)), "-p", str(int(pitch)), "--stdout"]
    done = subprocess.run(["espeak-ng", *options, text], capture_output=True, check=False)
    if done.returncode:
        reason = " ".join(done.stderr.decode(errors="replace").split())
        raise DataError(f"espeak-ng cannot say {text!r} as {voice}: {reason}")
    audio, rate = sf.read(BytesIO(done.stdout))
    return trim(soxr.resample(audio, rate, RATE))


def trim(audio: Array) -> Array:
    """Cut the silent ends off a sound."""
    loud = np.flatnonzero(np.abs(audio) > 0.01 * np.abs(audio).max())
    return audio[max(0, loud[0] - 64) : loud[-1] + 1]


def learn_words(voice: str, rng: np.random.Generator) -> list[Word]:
    """Eight of a voice's words, taken apart; fewer when some have hardly any pitch."""
    words = []
    for text in rng.permutation(WORDS[voice[:2]].split())[:8]:
        audio = speak(str(text), voice, rng.uniform(80, 120), rng.uniform(35, 65))
        pitch, times = world().dio(audio, RATE, 60.0, 500.0, frame_period=1000 * FRAME)
        pitch = world().stonemask(audio, pitch, times, RATE)
        if np.count_nonzero(pitch) >= 15:
            spectrum = world().cheaptrick(audio, pitch, times, RATE)
            words.append(Word(pitch, spectrum, world().d4c(audio, pitch, times, RATE)))
    return words


def hold_vowel(pitch: Array, seconds: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """The frames of a word, in order, the middle of its voiced part drawn out to the seconds."""
    voiced = np.flatnonzero(pitch)
    start, stop = np.round(voiced[0] + np.array([0.35, 0.75]) * (voiced[-1] - voiced[0]))
    held = np.linspace(start, stop, int(stop - start) + max(0, int(seconds / FRAME) - len(pitch)))
    held += rng.normal(0.0, 0.6, len(held))  # a frame that repeats itself buzzes
    frames = np.concatenate([np.arange(start), held, np.arange(stop, len(pitch))])
    return np.clip(np.round(frames), 0, len(pitch) - 1).astype(np.int64)


def melody(time: Array, singer: Singer, rng: np.random.Generator) -> Array:
    """How many cents off a note is sung, at seconds from where its voice sets in."""
    cents: Array = rng.normal(0.0, 6.0) + 0.35 * np.cumsum(rng.normal(0.0, 1.2, len(time)))
    if rng.random() < singer.slides:
        cents -= rng.uniform(60, 220) * np.exp(-np.maximum(time, 0.0) / rng.uniform(0.03, 0.09))
    if rng.random() < singer.vibratos:
        growth = np.clip((time - rng.uniform(0.1, 0.4)) / 0.35, 0.0, 1.0)
        phase = 2 * np.pi * singer.rate * rng.uniform(0.94, 1.06) * time + rng.uniform(0.0, 6.0)
        cents += growth * singer.depth * rng.uniform(0.7, 1.3) * np.sin(phase)
    if rng.random() < 0.2:  # the end drops
        cents -= rng.uniform(30, 150) * np.clip((time - time[-1]) / 0.15 + 1.0, 0.0, 1.0)
    return cents


def add_breath(audio: Array, level: float, rng: np.random.Generator) -> Array:
    """Bring a sound at ``RATE`` to 44.1 kHz; noise that follows it fills the octave it lacks."""
    audio = soxr.resample(audio, RATE, SAMPLE_RATE)
    slow = butter(1, 20, fs=SAMPLE_RATE, output="sos")
    loudness = np.sqrt(np.maximum(sosfilt(slow, audio**2), 0.0))
    band = butter(2, [rng.uniform(2500, 6000), 15000], "bandpass", fs=SAMPLE_RATE, output="sos")
    return np.asarray(audio + level * loudness * sosfilt(band, rng.normal(size=len(audio))))


def sing(
    word: Word, note: float, seconds: float, singer: Singer, rng: np.random.Generator
) -> Array:
    """Sing a word at a MIDI pitch: mono [samples] at 44.1 kHz."""
    frames = hold_vowel(word.pitch, seconds, rng)
    voiced = word.pitch[frames] > 0
    cents = melody((np.arange(len(frames)) - np.argmax(voiced)) * FRAME, singer, rng)
    pitch = np.where(voiced, 440 * 2 ** ((note - 69 + cents / 100) / 12), 0.0)
    bins = np.arange(word.spectrum.shape[1])
    moved = np.minimum(np.round(bins / singer.throat), bins[-1]).astype(int)
    spectrum = np.ascontiguousarray(word.spectrum[frames][:, moved])
    audio = world().synthesize(pitch, spectrum, word.noise[frames], RATE, 1000 * FRAME)
    swell = [1.0, rng.uniform(0.6, 1.05), rng.uniform(0.3, 0.8)]
    audio *= np.interp(np.linspace(0.0, 1.0, len(audio)), [0.0, 0.7, 1.0], swell)
    return add_breath(audio, singer.breath, rng)


def sing_notes(number: int, seed: int) -> Notes:
    """The names and sounds of a singer's notes; raises DataError when espeak-ng fails."""
    rng = np.random.default_rng([seed, 0, number])
    singer = Singer(
        *draw_voice(number, rng),
        copies=int(rng.choice([1, 1, 1, 2, 4, 6])),
        throat=rng.uniform(0.93, 1.09),
        slides=rng.choice([0.0, 0.4, 0.8]),
        vibratos=rng.choice([0.0, 0.5, 1.0]),
        rate=rng.uniform(4.0, 7.0),
        depth=rng.uniform(10.0, 60.0),
        breath=rng.choice([0.02, 0.05, 0.12]),
    )
    words = learn_words(singer.voice, rng)
    for note in PITCHES[singer.register]:
        for velocity, chosen in zip(VELOCITIES, rng.permutation(len(words)), strict=False):
            seconds = np.exp(rng.uniform(np.log(0.4), np.log(2.2)))
            parts = [sing(words[chosen], note, seconds, singer, rng)]
            for _ in range(singer.copies - 1):
                other = replace(singer, throat=singer.throat * rng.uniform(0.97, 1.03))
                copy = sing(words[chosen], note + rng.normal(0.0, 0.1), seconds, other, rng)
                late = int(rng.uniform(0.004, 0.045) * SAMPLE_RATE)
                parts.append(np.pad(rng.uniform(0.6, 1.0) * copy, (late, 0)))
            longest = max(map(len, parts))
            yield (
                f"{note:03d}_v{velocity:03d}",
                np.sum([np.pad(part, (0, longest - len(part))) for part in parts], axis=0),
            )


def speak_notes(number: int, seed: int) -> Notes:
    """The names and sounds of a speaker's phrases, from any of their words on, 3 s at most."""
    rng = np.random.default_rng([seed, 1, number])
    voice, _ = draw_voice(number, rng)
    for note in PITCHES["speech"]:
        for velocity in VELOCITIES:
            words = str(rng.choice(PHRASES[voice[:2]].split("|"))).split()
            text = " ".join(words[rng.integers(len(words) - 2) :])
            audio = speak(text, voice, rng.uniform(130, 210), rng.uniform(25, 80))[: 3 * RATE]
            yield f"{note:03d}_v{velocity:03d}", add_breath(audio, 0.04, rng)


def write_library(folder: Path, notes: Callable[[], Notes]) -> int:
    """Write a library, all of it or nothing; the number of notes, 0 when it is there already."""
    if folder.is_dir():
        return 0
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".sing-") as making:
        made = Path(making, folder.name)
        made.mkdir()
        for name, audio in notes():
            audio = trim(audio)
            fade = min(len(audio) // 4, 1500)
            audio[len(audio) - fade :] *= np.linspace(1.0, 0.0, fade)
            audio *= 0.5 / np.abs(audio).max()
            sf.write(made / f"{name}.ogg", audio.astype(np.float32), SAMPLE_RATE)
        count = len(list(made.iterdir()))
        os.replace(made, folder)
    return count


def main(
    out: Annotated[Path, typer.Argument(help="The note bank to write or add to.")],
    voices: Annotated[int, typer.Option(min=0, help="How many voices sing.")] = 12,
    speakers: Annotated[int, typer.Option(min=0, help="How many voices speak.")] = 8,
    seed: Annotated[int, typer.Option(min=0, help="Other seed, other voices.")] = 0,
    jobs: Annotated[int, typer.Option(min=1, help="Voices rendered side by side.")] = 2,
) -> None:
    """Let espeak-ng sing and speak into a note bank."""
    console = Console(stderr=True, soft_wrap=True)
    folder = out / "other"
    work = {folder / f"voice{n // 3 + 1}-{n % 3 + 1:03d}": (sing_notes, n) for n in range(voices)}
    for n in range(speakers):
        work[folder / f"speech{n // 4 + 1}-{n % 4 + 1:03d}"] = (speak_notes, n)
    pool = ThreadPoolExecutor(jobs)
    try:
        if shutil.which("espeak-ng") is None:
            raise DataError("the espeak-ng command is missing; install it (apt or brew: espeak-ng)")
        world()
        folder.mkdir(parents=True, exist_ok=True)
        written = [
            pool.submit(write_library, library, partial(notes, number, seed))
            for library, (notes, number) in work.items()
        ]
        counts = [done.result() for done in track(written, "singing", console=console)]
    except (DataError, OSError) as error:
        console.print(f"sing_notes: error: {error}", markup=False)
        raise typer.Exit(1) from error
    finally:
        pool.shutdown(cancel_futures=True)
    kept = counts.count(0)
    console.print(f"{sum(counts)} notes of {len(counts) - kept} voices in {out}, {kept} kept")


if __name__ == "__main__":
    typer.run(main)
