"""Renditions: arrangements rendered with SoundFonts, one program a stem, and mixed."""

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

#: MIDI ticks a beat; a tick is 1/1920 s at 120 beats a minute
TICKS = 960
#: seconds after a part for its release and reverb
_TAIL = 3.0
#: highest peak of mix and stems, in dB of full scale
PEAK_DB = -1.0
#: mean loudness of the stems, in LUFS
LOUDNESS = -20.0
_STEMS = ("guitar", "piano", "bass", "drums", "other")

_Audio = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Part:
    """One stem of a song and its program.

    Attributes:
        stem: its name.
        kind: Slakh2100's instrument class.
        program: General MIDI program, or drum kit.
        name: of the program.
        font: the SoundFont that has it.
        notes: of the stem.
    """

    stem: str
    kind: str
    program: int
    name: str
    font: SoundFont
    notes: list[Note]


def assign_programs(
    song: Arrangement, fonts: list[SoundFont], rng: np.random.Generator
) -> list[Part]:
    """Choose a SoundFont and a program for every stem of a song.

    Raises:
        DataError: no font has a program for a stem.
    """
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
    """The MIDI track of a part, delayed by ``offset`` seconds; drums are on channel 9."""
    channel = 9 if part.stem == "drums" else channel
    events = []
    for note in part.notes:
        begin = round((offset + note.onset) * 2 * TICKS)
        end = max(begin + 1, round((offset + note.onset + note.duration) * 2 * TICKS))
        # at the same tick, the end of a note comes before the next one's start
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
    """Render parts of one SoundFont, [T, 2] each, ``seconds`` long.

    One fluidsynth command renders all, one after the other: loading a font takes longer than
    playing it.
    """
    length = seconds + _TAIL
    midi = mido.MidiFile(ticks_per_beat=TICKS)
    for index, part in enumerate(parts):
        midi.tracks.append(score(part, index, index * length))
    audio = play_midi(midi, parts[0].font.path, DEFAULT_SAMPLE_RATE, effects)
    whole = np.zeros((round(len(parts) * length * DEFAULT_SAMPLE_RATE) + 1, 2), dtype=np.float32)
    audio = audio[: len(whole)]  # fluidsynth adds a tail
    whole[: len(audio)] = audio
    frames = round(seconds * DEFAULT_SAMPLE_RATE)
    fade = np.linspace(1.0, 0.0, min(frames, DEFAULT_SAMPLE_RATE // 50), dtype=np.float32)[:, None]
    stems = []
    for index in range(len(parts)):
        begin = round(index * length * DEFAULT_SAMPLE_RATE)
        stem = whole[begin : begin + frames].copy()
        stem[-len(fade) :] *= fade
        stems.append(stem)
    return stems


def loudness(audio: _Audio) -> float:
    """Integrated loudness of audio [T, C] in LUFS (ITU-R BS.1770); -inf for silence."""
    samples = torch.from_numpy(audio.T.copy())
    value = float(torchaudio_functional().loudness(samples, DEFAULT_SAMPLE_RATE))
    return value if np.isfinite(value) else -np.inf


def render_parts(
    parts: list[Part], seconds: float, stereo: bool, level_range: float, rng: np.random.Generator
) -> tuple[list[Part], list[npt.NDArray[np.int16]], float]:
    """Render parts and balance them.

    All are scaled so that the highest peak of stems and mix is at ``PEAK_DB``. The mix is the exact
    sum of the 16-bit stems.

    Args:
        parts: of the song.
        seconds: duration of the song.
        stereo: whether to pan them; mono otherwise.
        level_range: largest difference of a stem's level from ``LOUDNESS``, in LU.
        rng: random numbers.

    Returns:
        The parts that are not silent, their samples [T, C], and the gain of all.

    Raises:
        DataError: all are silent.
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
        measured = loudness(audio)
        if measured == -np.inf:
            continue
        audio = audio * np.float32(10 ** ((level - measured) / 20))
        if stereo:
            audio = audio * np.array([min(1.0, 1.0 - pan), min(1.0, 1.0 + pan)], dtype=np.float32)
        sounding.append(part)
        stems.append(audio)
    if not stems:
        raise DataError("every stem of the song is silent; use another SoundFont or seed")
    peak = max(float(np.abs(audio).max()) for audio in [*stems, np.sum(stems, axis=0)])
    gain = 10 ** (PEAK_DB / 20) / peak
    return sounding, [np.round(a * (gain * 32767)).astype(np.int16) for a in stems], gain
