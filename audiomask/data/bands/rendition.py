"""Renditions: arrangements played with SoundFonts, one sound a stem, balanced into a mix."""

from __future__ import annotations

from dataclasses import dataclass

import mido
import numpy as np
import numpy.typing as npt
import torch

from audiomask.data import DEFAULT_SAMPLE_RATE
from audiomask.data.bands.arrangement import Arrangement, Note
from audiomask.data.bands.soundfont import SoundFont, play_midi, programs_for
from audiomask.errors import DataError
from audiomask.runtime.dependencies import torchaudio_functional

TICKS = 960  # a MIDI tick is 1/1920 s at the files' 120 beats a minute
_TAIL = 3.0  # seconds for one stem's sound to die before the next stem is played
PEAK_DB = -1.0  # full scale, of the loudest of mix and stems
LOUDNESS = -20.0  # LUFS, about which the stems' levels are drawn
_STEMS = ("guitar", "piano", "bass", "drums", "other")

_Audio = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """One stem of a song: who plays it, on which program of which font, its notes."""

    stem: str
    kind: str
    program: int
    name: str
    font: SoundFont
    notes: list[Note]


def assign_programs(
    song: Arrangement, fonts: list[SoundFont], rng: np.random.Generator
) -> list[Part]:
    """Give every stem of a song a font and a program; DataError when no font has one for it."""
    parts = []
    for stem in [s for s in _STEMS if s in song]:
        choices = [font for font in fonts if programs_for(stem, font)]
        if not choices:
            names = ", ".join(font.path.name for font in fonts)
            raise DataError(f"no {stem} in {names}; add a General MIDI SoundFont")
        font = choices[rng.integers(len(choices))]
        group = programs_for(stem, font)
        program, kind, name = group[rng.integers(len(group))]
        parts.append(Part(stem, kind, program, name, font, song[stem]))
    return parts


def score(part: Part, channel: int, offset: float = 0.0) -> mido.MidiTrack:
    """A MIDI track of the part, ``offset`` seconds late, channel 9 for drums."""
    channel = 9 if part.stem == "drums" else channel
    events = []
    for note in part.notes:
        begin = round((offset + note.onset) * 2 * TICKS)
        end = max(begin + 1, round((offset + note.onset + note.duration) * 2 * TICKS))
        # at one tick a key comes up before it goes down again
        events.append((begin, 1, note.pitch, note.velocity))
        events.append((end, 0, note.pitch, 0))
    made = mido.MidiTrack()
    made.append(mido.MetaMessage("track_name", name=part.name))
    start = round(offset * 2 * TICKS)
    made.append(mido.Message("program_change", program=part.program, channel=channel, time=start))
    now = start
    for tick, down, pitch, velocity in sorted(events):
        kind = "note_on" if down else "note_off"
        made.append(
            mido.Message(kind, note=pitch, velocity=velocity, channel=channel, time=tick - now)
        )
        now = tick
    return made


def _play(parts: list[Part], seconds: float, effects: list[str]) -> list[_Audio]:
    """Play parts of one font: [samples, 2] each, ``seconds`` long.

    They are played one after the other in a single call: loading a font costs more than playing.
    """
    length = seconds + _TAIL
    midi = mido.MidiFile(ticks_per_beat=TICKS)
    for index, part in enumerate(parts):
        midi.tracks.append(score(part, index, index * length))
    audio = play_midi(midi, parts[0].font.path, DEFAULT_SAMPLE_RATE, effects)
    whole = np.zeros((round(len(parts) * length * DEFAULT_SAMPLE_RATE) + 1, 2), dtype=np.float32)
    audio = audio[: len(whole)]  # fluidsynth goes on for a while after the last note
    whole[: len(audio)] = audio
    frames = round(seconds * DEFAULT_SAMPLE_RATE)
    fade = np.linspace(1.0, 0.0, min(frames, DEFAULT_SAMPLE_RATE // 50), dtype=np.float32)[:, None]
    stems = []
    for index in range(len(parts)):
        begin = round(index * length * DEFAULT_SAMPLE_RATE)
        stem = whole[begin : begin + frames].copy()
        stem[-len(fade) :] *= fade  # notes that still ring are not cut off with a click
        stems.append(stem)
    return stems


def loudness(audio: _Audio) -> float:
    """Integrated loudness (LUFS, ITU-R BS.1770) of audio [samples, channels]; -inf for silence."""
    samples = torch.from_numpy(audio.T.copy())
    value = float(torchaudio_functional().loudness(samples, DEFAULT_SAMPLE_RATE))
    return value if np.isfinite(value) else -np.inf


def render_parts(
    parts: list[Part], seconds: float, stereo: bool, level_range: float, rng: np.random.Generator
) -> tuple[list[Part], list[npt.NDArray[np.int16]], float]:
    """Render and balance parts: those that sound, their samples [n, C], the gain of them all.

    Levels are drawn from +-``spread`` LU about ``LOUDNESS``, then everything is scaled so that
    the loudest of the stems and their sum peaks at ``PEAK_DB``. The sum of the 16-bit stems
    is the mix, exactly, and does not clip. Raises DataError when nothing sounds.
    """
    reverb = ["-R", "0"]
    if rng.random() < 0.5:
        room, level = rng.uniform(0.1, 0.8), rng.uniform(0.1, 0.7)
        reverb = ["-R", "1", "-o", f"synth.reverb.room-size={room:.3f}"]
        reverb += ["-o", f"synth.reverb.level={level:.3f}"]
    effects = [*reverb, "-C", str(int(rng.random() < 0.25))]
    raw: dict[int, _Audio] = {}
    for path in dict.fromkeys(part.font.path for part in parts):
        places = [i for i, part in enumerate(parts) if part.font.path == path]
        raw.update(zip(places, _play([parts[i] for i in places], seconds, effects), strict=True))
    sounding, stems = [], []
    for index, part in enumerate(parts):
        audio = raw[index] if stereo else raw[index].mean(axis=1, keepdims=True)
        level = LOUDNESS + float(rng.uniform(-level_range, level_range))
        middle = part.stem in ("bass", "drums")
        side = float(rng.choice([-1.0, 1.0]))
        pan = side * float(rng.uniform(0.0, 0.1) if middle else rng.uniform(0.2, 0.5))
        heard = loudness(audio)
        if heard == -np.inf:
            continue
        audio = audio * np.float32(10 ** ((level - heard) / 20))
        if stereo:
            audio = audio * np.array([min(1.0, 1.0 - pan), min(1.0, 1.0 + pan)], dtype=np.float32)
        sounding.append(part)
        stems.append(audio)
    if not stems:
        raise DataError("every stem of the song is silent; use another SoundFont or seed")
    peak = max(float(np.abs(audio).max()) for audio in [*stems, np.sum(stems, axis=0)])
    gain = 10 ** (PEAK_DB / 20) / peak
    return sounding, [np.round(a * (gain * 32767)).astype(np.int16) for a in stems], gain
