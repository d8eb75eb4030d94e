"""Phrases of pitched instruments: riffs, melodies, chords and arpeggios, as events in beats."""

from random import Random

from audiomask.data.bands.score import (
    Bar,
    Chord,
    Event,
    into_range,
    lengths,
    nearest,
    rhythm,
)


def play_riff(bars: list[Bar], rnd: Random, low: int, high: int) -> list[Event]:
    """A riff of one bar, transposed to the chords, around pitches of [low, high]."""
    step = rnd.choice((0.5, 0.25, 0.5))
    offsets = rhythm(rnd, bars[0], step, rnd.uniform(0.5, 1.1), rnd.random() < 0.6)
    steps = [rnd.choice((0, 0, 1, 2, 2, 3, 4)) for _ in offsets]
    center = rnd.randint(low + 6, max(low + 6, high - 12))
    events: list[Event] = []
    for bar in bars:
        for offset, beats, degree in zip(offsets, lengths(offsets, bar.beats), steps, strict=True):
            chord = bar.chord_at(offset)
            classes = chord.classes
            pitch = nearest(chord.root, center) + 12 * (degree // len(classes))
            pitch += (classes[degree % len(classes)] - chord.root) % 12
            accent = 0.7 if offset % bar.pulse < 1e-6 else 0.45
            note = (bar.start + offset, min(beats, 1.5) * 0.95, pitch, bar.velocity(accent))
            events.append(note)
    return events


def play_line(bars: list[Bar], rnd: Random, low: int, high: int) -> list[Event]:
    """A melody in [low, high] of two rhythmic motifs, with chord tones on strong beats."""
    step = rnd.choice((0.5, 0.5, 0.25))
    density, syncopated = rnd.uniform(0.4, 0.95), rnd.random() < 0.4
    motifs = [rhythm(rnd, bars[0], step, density, syncopated) for _ in range(2)]
    pauses = rnd.choice((0.0, 0.1, 0.25))
    pitch = rnd.randint(low + 4, high - 4)
    events: list[Event] = []
    for index, bar in enumerate(bars):
        if rnd.random() < pauses:
            continue
        motif = motifs[(0, 0, 1, 0)[index % 4]]
        offsets = [o for o in motif if o == 0 or rnd.random() > 0.08]
        for offset, beats in zip(offsets, lengths(offsets, bar.beats), strict=True):
            strong = offset % bar.pulse < 1e-6
            classes = bar.chord_at(offset).classes if strong else bar.scale
            target = pitch + rnd.choice((-4, -3, -2, -2, -1, 1, 2, 2, 3, 4))
            pitch = into_range(min((nearest(c, target) for c in classes),
                                   key=lambda p: abs(p - target)), low, high)  # fmt: skip
            accent = 0.75 if strong else 0.5
            events.append((bar.start + offset, beats * 0.95, pitch, bar.velocity(accent)))
            if rnd.random() < 0.04 and beats >= 0.5:
                events.append((bar.start + offset - 0.1, 0.1, pitch - 2, bar.velocity(0.2)))
    return events


def play_chords(bars: list[Bar], rnd: Random, center: int, broken: bool) -> list[Event]:
    """Held chords near a pitch, with smooth voice leading; rolled if ``broken``."""
    events: list[Event] = []
    voicing = [center]
    for bar in bars:
        for offset, beats, chord in bar.chords:
            voicing = voice(chord, voicing, center)
            roll = bar.seconds(rnd.uniform(0.02, 0.08)) if broken else 0.0
            for i, pitch in enumerate(voicing):
                at = bar.start + offset + i * roll
                events.append((at, max(0.1, beats - i * roll), pitch, bar.velocity(0.4)))
    return events


def voice(chord: Chord, last: list[int], center: int) -> list[int]:
    """A close voicing of a chord near pitch ``center`` and the previous voicing ``last``."""
    anchor = round((sum(last) / len(last) + center) / 2)
    return sorted({nearest(c, anchor) for c in chord.classes})


def play_arpeggio(bars: list[Bar], rnd: Random, center: int, step: float) -> list[Event]:
    """Arpeggios near a pitch, in notes of ``step`` beats: up, down, alternating or Alberti."""
    order = rnd.choice(((0, 1, 2, 3), (3, 2, 1, 0), (0, 2, 1, 2), (0, 1, 2, 3, 2, 1), (0, 2, 3, 1)))
    ring = rnd.choice((1.0, 2.0, 4.0))
    events: list[Event] = []
    voicing = [center]
    for bar in bars:
        for index in range(round(bar.beats / step)):
            offset = index * step
            voicing = voice(bar.chord_at(offset), voicing, center)
            tones = [*voicing, voicing[0] + 12]
            pitch = tones[order[index % len(order)] % len(tones)]
            accent = 0.55 if offset % bar.pulse < 1e-6 else 0.35
            length = min(step * ring, bar.beats - offset)
            events.append((bar.start + offset, length, pitch, bar.velocity(accent)))
    return events
