"""Guitar parts: strummed and picked chords as held on six strings, power chords and leads."""

from random import Random

from audiomask.data.bands.phrases import play_chords, play_line, play_riff
from audiomask.data.bands.score import Bar, Chord, Event, into_range, lengths, rhythm

STRINGS = (40, 45, 50, 55, 59, 64)
# strokes at the steps of a bar: D down, U up, d and u softer, x muted, - none
_STRUMS: dict[str, tuple[str, ...]] = {
    "4/4": (
        "D-DU-UDU", "D-D-D-D-", "D-DUD-DU", "D---D-DU", "D-----DU", "DuDuDuDu", "-U-U-U-U",
        "D--U--D-", "D-xU-UxU", "D-d-D-uDxUd-DuxU", "D--D--D-DudUD-xu", "D-xxD-xUD-xxDuxU",
        "D---x---D-U-x-U-", "x-D-x-Dux-D-xUD-", "D-------",
    ),
    "3/4": ("D-D-D-", "D-DUDU", "D--UDU", "D-----", "D-xUxU"),
    "6/8": ("DuuDuu", "D--D-u", "D-uDuu", "D-----", "DxuDxu"),
}  # fmt: skip


def grip(chord: Chord, position: int, fullest: int = 6) -> list[int]:
    """Pitches of a chord near a fret, at most one a string, lowest string first."""
    classes = set(chord.classes)
    pitches: list[int] = []
    for string in STRINGS:
        frets = range(position, position + 4)
        found = next((string + f for f in frets if (string + f) % 12 in classes), None)
        if found is None and string % 12 in classes and position < 4:
            found = string
        if found is None or (not pitches and found % 12 != chord.root and string < 50):
            continue
        pitches.append(found)
    return pitches[-fullest:]


def _stroke(
    bar: Bar, at: float, beats: float, held: list[int], mark: str, rnd: Random
) -> list[Event]:
    """A down or up stroke over pitches ``held``, lowest first, one shortly after the other."""
    order = held if mark in "Dd" else held[::-1]
    if mark in "Uux":
        order = order[: rnd.choice((3, 4, 4))]
    accent = {"D": 0.7, "U": 0.5, "d": 0.35, "u": 0.3, "x": 0.2}[mark]
    gap = bar.seconds(rnd.uniform(0.004, 0.016 if beats > 0.5 else 0.009))
    length = 0.08 if mark == "x" else beats
    return [
        (at + i * gap, max(0.05, length - i * gap), p, bar.velocity(accent - 0.03 * i))
        for i, p in enumerate(order)
    ]


def _strummed(bars: list[Bar], rnd: Random) -> list[Event]:
    pattern = rnd.choice(_STRUMS[bars[0].time_signature])
    position, fullest = rnd.choice((0, 0, 0, 2, 3, 5, 7, 9)), rnd.choice((6, 6, 5, 4, 3))
    choke = rnd.choice((1.0, 1.0, 1.0, 0.6, 0.35))
    events: list[Event] = []
    for bar in bars:
        step = bar.beats / len(pattern)
        marks = [i for i, m in enumerate(pattern) if m != "-"]
        for index, after in zip(marks, [*marks[1:], len(pattern)], strict=True):
            if index and rnd.random() < 0.05:
                continue
            held = grip(bar.chord_at(index * step), position, fullest)
            beats = (after - index) * step * choke
            events += _stroke(bar, bar.start + index * step, beats, held, pattern[index], rnd)
    return events


def _picked(bars: list[Bar], rnd: Random) -> list[Event]:
    """Fingerpicked arpeggios that ring: bass notes on the beat, a repeating pattern between."""
    position = rnd.choice((0, 0, 0, 2, 5, 7))
    step = rnd.choice((0.5, 0.5, 0.25))
    order = [rnd.randrange(1, 6) for _ in range(rnd.choice((4, 6, 8)))]
    pinch = rnd.random() < 0.4
    events: list[Event] = []
    for bar in bars:
        for index in range(round(bar.beats / step)):
            offset = index * step
            held = grip(bar.chord_at(offset), position)
            if not held:
                continue
            thumb = offset % bar.pulse < 1e-6 and (offset == 0 or rnd.random() < 0.6)
            which = 0 if thumb else order[index % len(order)] % len(held)
            ring = min(bar.beats - offset, rnd.choice((1.0, 2.0, 2.0)))
            accent = 0.6 if thumb else 0.4
            events.append((bar.start + offset, ring, held[which], bar.velocity(accent)))
            if pinch and index == 0:
                events.append((bar.start, ring, held[-1], bar.velocity(0.45)))
    return events


def _power(bars: list[Bar], rnd: Random) -> list[Event]:
    """Power chords, held or palm-muted between accents."""
    density, muted = rnd.choice((0.35, 0.7, 1.2)), rnd.random() < 0.5
    shape = rnd.choice(((0, 7), (0, 7, 12), (0, 7, 12)))
    offsets = rhythm(rnd, bars[0], 0.5, density, rnd.random() < 0.4)
    events: list[Event] = []
    for bar in bars:
        for offset, beats in zip(offsets, lengths(offsets, bar.beats), strict=True):
            root = into_range(40 + (bar.chord_at(offset).root - 4) % 12, 40, 51)
            soft = muted and offset % 2.0 > 1e-6
            for interval in shape[:2] if soft else shape:
                length = min(beats, 0.22) if soft else beats * 0.95
                accent = 0.3 if soft else 0.8
                events.append((bar.start + offset, length, root + interval, bar.velocity(accent)))
    return events


def play_guitar(bars: list[Bar], rnd: Random) -> list[Event]:
    """The guitar of a section: strummed, picked, power chords, a riff, a lead or held chords."""
    style = rnd.choices(
        ("strum", "pick", "power", "riff", "lead", "held"), (6, 4.5, 2.5, 2.5, 2.5, 1)
    )[0]
    if style == "strum":
        return _strummed(bars, rnd)
    if style == "pick":
        return _picked(bars, rnd)
    if style == "power":
        return _power(bars, rnd)
    if style == "riff":
        return play_riff(bars, rnd, 40, 72)
    if style == "lead":
        return play_line(bars, rnd, 55, 86)
    return play_chords(bars, rnd, rnd.randint(52, 62), broken=True)
