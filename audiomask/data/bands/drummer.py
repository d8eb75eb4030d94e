"""Drum parts: grooves, fills, ghost notes and hand percussion, as events in beats."""

from random import Random

from audiomask.data.bands.score import Bar, Event

_KICK, _STICK, _SNARE, _CLAP, _SNARE2 = 36, 37, 38, 39, 40
_CLOSED, _PEDAL, _OPEN, _CRASH, _RIDE, _BELL, _CRASH2 = 42, 44, 46, 49, 51, 53, 57
_TOMS = (50, 48, 47, 45, 43, 41)

# a bar in sixteenths, 16 for 4/4 and 12 for 3/4 and 6/8: X accent, x plain, o ghost note, - rest
_KICKS: dict[str, tuple[str, ...]] = {
    "4/4": (
        "X-------X-------", "X-----x-X-------", "X---X---X---X---", "X--x----x-x-----",
        "X-x---x---X--x--", "X------xX-x-----", "X-----X---X-----", "X--x--X---x-X---",
        "X-------------x-", "X--X--X-X--X--X-",
    ),
    "3/4": ("X-----------", "X-------x---", "X-----x-----", "X---x---x---", "X-x---------"),
    "6/8": ("X-----------", "X---x-------", "X---x-X-----", "X-------x---", "X--------xx-"),
}  # fmt: skip
_SNARES: dict[str, tuple[str, ...]] = {
    "4/4": (
        "----X-------X---", "----X-------X---", "----X--o-o--X---", "--------X-------",
        "----X--o----X--o", "----X---X---X---", "---x--x---x--x--", "X--x--x---x-x---",
        "x-x-x-x-x-x-x-xX",
    ),
    "3/4": ("----X---X---", "--------X---", "----X--oX---", "----x---x-o-"),
    "6/8": ("------X-----", "------X---o-", "---o--X--o--"),
}  # fmt: skip
_CYMBALS: dict[str, tuple[str, ...]] = {
    "4/4": (
        "X-x-X-x-X-x-X-x-",
        "X---X---X---X---",
        "XxxxXxxxXxxxXxxx",
        "--X---X---X---X-",
        "X---X-x-X---X-x-",
        "x-oxx-oxx-oxx-ox",
        "X-------X-------",
        "X--xX--xX--xX--x",
    ),
    "3/4": ("X-x-X-x-X-x-", "X---X---X---", "----X---X---", "XoxoXoxoXoxo"),
    "6/8": ("X-x-x-X-x-x-", "X-----X-----", "XoxoxoXoxoxo", "X---x-X---x-"),
}
_ACCENTS = {"X": 1.0, "x": 0.6, "o": 0.05}
_HANDS = ((54, 0.5), (70, 0.25), (69, 0.5), (56, 1.0), (62, 0.5), (64, 0.5), (75, 1.0))


def play_drums(bars: list[Bar], rnd: Random) -> list[Event]:
    """The drums of a section: a groove with small variations, and a fill at the end."""
    if not bars:
        return []
    time_signature = bars[0].time_signature
    kick = rnd.choice(_KICKS[time_signature])
    snare = rnd.choice(_SNARES[time_signature])
    cymbal = rnd.choice(_CYMBALS[time_signature])
    beater = rnd.choices((_SNARE, _SNARE2, _STICK, _CLAP), (6, 3, 2, 0.6))[0]
    metal = rnd.choices((_CLOSED, _RIDE, _PEDAL, _OPEN, _BELL), (7, 3, 1, 0.7, 0.4))[0]
    opens = rnd.random() < 0.4
    ghosts = rnd.random() * 0.25 if rnd.random() < 0.5 else 0.0
    hand = rnd.choice(_HANDS) if rnd.random() < 0.3 else None
    sparse = rnd.random() < 0.1
    events: list[Event] = []
    for bar in bars:
        step = 0.25
        steps = round(bar.beats / step)
        filled = steps
        if bar.closing and rnd.random() < 0.75:
            filled -= min(steps - 2, rnd.choice((2, 4, 4, 8, 12)))
        elif rnd.random() < 0.06:
            filled -= 2
        if bar.opening and rnd.random() < 0.7:
            events.append((bar.start, 2.0, rnd.choice((_CRASH, _CRASH2)), bar.velocity(0.9)))
        for index in range(filled):
            at = bar.start + index * step
            for pitch, pattern in ((_KICK, kick), (beater, snare), (metal, cymbal)):
                mark = pattern[index % len(pattern)]
                if mark != "-" and not (sparse and pitch == beater):
                    key, beats = pitch, step
                    if pitch == _CLOSED and opens and index % 8 == 6 and rnd.random() < 0.4:
                        key, beats = _OPEN, 0.5
                    events.append((at, beats, key, bar.velocity(_ACCENTS[mark])))
            if ghosts and snare[index % len(snare)] == "-" and rnd.random() < ghosts:
                events.append((at, step, _SNARE, bar.velocity(-0.2)))
            if kick[index % len(kick)] == "-" and index % 2 == 0 and rnd.random() < 0.03:
                events.append((at, step, _KICK, bar.velocity(0.5)))
            if hand is not None and (index * step) % hand[1] < 1e-6:
                accent = 0.5 if index % 4 == 2 else 0.15
                events.append((at, step, hand[0], bar.velocity(accent)))
        events.extend(_fill(bar, filled, steps, rnd))
    return events


def _fill(bar: Bar, begin: int, steps: int, rnd: Random) -> list[Event]:
    """A fill over the sixteenths [begin, steps) of a bar, often down the toms."""
    if begin >= steps:
        return []
    events: list[Event] = []
    drums = rnd.choice(((_SNARE,), _TOMS, _TOMS, (_SNARE, *_TOMS), (_TOMS[0], _SNARE, _TOMS[4])))
    density = rnd.uniform(0.6, 1.0)
    for index in range(begin, steps):
        if rnd.random() > density:
            continue
        done = (index - begin) / max(1, steps - begin)
        at = bar.start + index * 0.25
        drum = drums[int(done * len(drums))]
        events.append((at, 0.25, drum, bar.velocity(0.5 + 0.5 * done)))
        if rnd.random() < 0.3:
            events.append((at, 0.25, _KICK, bar.velocity(0.6)))
    return events
