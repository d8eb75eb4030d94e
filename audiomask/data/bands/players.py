"""Parts of piano, bass and other instruments, as events in beats.

Each ``play_*`` composes a part for the bars of one section, in a random style.
"""

from random import Random

from audiomask.data.bands.phrases import (
    play_arpeggio,
    play_chords,
    play_line,
    play_riff,
    voice,
)
from audiomask.data.bands.score import Bar, Event, lengths, nearest, rhythm


def _left(bars: list[Bar], rnd: Random) -> list[Event]:
    """The left hand of a piano part: held roots, octaves, fifths, rocking bass or stride."""
    style = rnd.choice(("root", "octave", "rock", "fifth", "stride", "none"))
    events: list[Event] = []
    for bar in bars:
        for offset, beats, chord in bar.chords:
            low, at = 36 + chord.bass, bar.start + offset
            loud = bar.velocity(0.45)
            fifth = low + (chord.intervals[2] if len(chord.intervals) > 2 else 7)
            if style in ("root", "octave"):
                events.append((at, beats, low, loud))
            if style == "octave":
                events.append((at, beats, low - 12, loud))
            if style in ("rock", "fifth", "stride"):
                count = max(1, round(beats / bar.pulse * (2 if style == "rock" else 1)))
                for i in range(count):
                    length = beats / count
                    cycle = {"rock": (low, fifth, low + 12, fifth), "fifth": (low, fifth),
                             "stride": (low - 12, low + 12)}[style]  # fmt: skip
                    events.append((at + i * length, length * 0.9, cycle[i % len(cycle)], loud))
    return events


def play_piano(bars: list[Bar], rnd: Random) -> list[Event]:
    """The piano of a section: chords, arpeggios, a melody or a riff, over a left hand."""
    style = rnd.choices(
        ("comp", "block", "arpeggio", "melody", "held", "riff"), (4, 3, 4, 2.5, 1.5, 1)
    )[0]
    center = rnd.choice((60, 62, 64, 67, 72))
    events = _left(bars, rnd)
    if style == "melody":
        return events + play_line(bars, rnd, 62, 93)
    if style == "riff":
        return events + play_riff(bars, rnd, 58, 90)
    if style == "held":
        return events + play_chords(bars, rnd, center, broken=rnd.random() < 0.3)
    if style == "arpeggio":
        return events + play_arpeggio(bars, rnd, center, 0.5 if rnd.random() < 0.6 else 0.25)
    offsets = [i * bars[0].pulse for i in range(round(bars[0].beats / bars[0].pulse))]
    if style == "comp":
        step = rnd.choice((0.5, 0.5, 0.25))
        offsets = rhythm(rnd, bars[0], step, rnd.uniform(0.35, 0.8), rnd.random() < 0.6)
    hold, doubled, voicing = rnd.choice((0.95, 0.95, 0.5, 0.25)), rnd.random() < 0.2, [center]
    for bar in bars:
        for offset, beats in zip(offsets, lengths(offsets, bar.beats), strict=True):
            voicing = voice(bar.chord_at(offset), voicing, center)
            accent = 0.55 if offset % bar.pulse < 1e-6 else 0.4
            for pitch in [*voicing, voicing[-1] - 12] if doubled else voicing:
                events.append((bar.start + offset, beats * hold, pitch, bar.velocity(accent)))
    return events


def play_bass(bars: list[Bar], rnd: Random) -> list[Event]:
    """The bass of a section: held, eighths, octaves, fifths, walking or syncopated."""
    style = rnd.choices(
        ("held", "drive", "octave", "fifth", "walk", "syncopated"), (2.5, 3, 2, 2.5, 2, 3.5)
    )[0]
    pulse = bars[0].pulse
    step = {
        "held": bars[0].beats,
        "drive": 0.5,
        "octave": 0.5,
        "fifth": pulse,
        "walk": 1.0,
        "syncopated": 0.25,
    }[style]
    floor, hold = rnd.choice((28, 28, 31, 33)), rnd.choice((0.97, 0.9, 0.6))
    grid = [i * step for i in range(max(1, round(bars[0].beats / step)))]
    if style == "syncopated":
        grid = rhythm(rnd, bars[0], rnd.choice((0.5, 0.25)), rnd.uniform(0.4, 0.8), True)
    events: list[Event] = []
    for number, bar in enumerate(bars):
        # every change of chord has a note
        offsets = sorted({*grid, *(offset for offset, _, _ in bar.chords)})
        coming = bars[(number + 1) % len(bars)].chords[0][2].bass
        for index, (offset, beats) in enumerate(
            zip(offsets, lengths(offsets, bar.beats), strict=True)
        ):
            chord = bar.chord_at(offset)
            root = floor + (chord.bass - floor) % 12
            pitch = root
            if style == "octave" and index % 2:
                pitch = root + 12
            elif style == "fifth" and index % 2:
                pitch = root + (7 if rnd.random() < 0.8 else 12)
            elif style == "walk" and index:
                pitch = root + rnd.choice(chord.intervals[:3])
                if index == len(offsets) - 1:
                    pitch = nearest(coming, root) + rnd.choice((-1, 1, 2, -2))
            elif style == "syncopated" and index and rnd.random() < 0.35:
                pitch = root + rnd.choice((7, 12, 10, -2, 5))
            accent = 0.75 if offset % pulse < 1e-6 else 0.5
            events.append((bar.start + offset, beats * hold, pitch, bar.velocity(accent)))
    return events


def play_other(bars: list[Bar], rnd: Random) -> list[Event]:
    """Another instrument of a section: a pad, a melody, both, or a sequenced arpeggio."""
    style = rnd.choice(("pad", "pad", "melody", "melody", "arpeggio", "both"))
    events: list[Event] = []
    if style in ("pad", "both"):
        events += play_chords(bars, rnd, rnd.choice((55, 60, 67)), broken=False)
    if style in ("melody", "both"):
        events += play_line(bars, rnd, 60, 90)
    if style == "arpeggio":
        events += play_arpeggio(bars, rnd, rnd.choice((60, 67, 74)), 0.25)
    return events
