"""The parts of a recording's extension, and how each is filled.

The room for what is new is a gap with sound on one side, or on both sides of a loop's seam. It is
filled in parts, from the recording outwards. A passage that begins where its surroundings are like
those of the end plays on, up to the end itself, and from there the same passage follows again.
Where none matches, parts are generated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from audiomask.audio.source import AudioSource
from audiomask.infill.choice import Choice, MethodChooser
from audiomask.infill.extension import ExtendedSource, Extension
from audiomask.infill.gaps import Gap
from audiomask.infill.infiller import Filling, Infiller
from audiomask.infill.settings import InfillMethod, InfillSettings
from audiomask.infill.views import like

#: seconds of sound that a passage must hold at least, its largest share of the recording, and the
#: seconds that are asked for of a short recording too
_LEAST_PASSAGE, _PASSAGE_SHARE, _SHORTEST_PASSAGE = 10.0, 0.25, 0.2
#: seconds of the longest part: of passages, of what is generated, and of what is continued
_PASSAGE_PART, _GENERATED_PART, CONTINUED_PART = 60.0, 10.0, 30.0


@dataclass(frozen=True)
class Part:
    """A part of an extension.

    Attributes:
        gap: where it is, in the view of the recording.
        choice: how it is filled.
        gaps: what is not known beside it.
    """

    gap: Gap
    choice: Choice
    gaps: tuple[Gap, ...]


def plan_extension(
    view: ExtendedSource,
    settings: InfillSettings,
    other: AudioSource | None = None,
    spectrogram: bool = False,
) -> Iterator[Part]:
    """The parts of an extension, in the order in which they are made. No model is needed.

    Args:
        view: the recording and the room.
        settings: how the room is filled.
        other: another recording that passages may come from.
        spectrogram: whether there is a spectrogram model that "auto" may choose.

    Yields:
        Those before the recording from right to left, then those after it from left to right.

    Raises:
        AudiomaskError: the recording is too short.
    """
    view.extension.check(view.source)
    other = None if other is None else like(other, view.source)
    if view.extension.loop:
        chooser = MethodChooser(view, view.rooms, settings, other, spectrogram)
        for gap in view.rooms:
            yield Part(gap, _within_once(chooser.choose(gap), view), tuple(view.rooms))
        return
    for room in view.rooms:
        others = [one for one in view.rooms if one != room]
        yield from _plan_room(room, _Ends(view, room, others, settings, other, spectrogram))


def _within_once(choice: Choice, view: ExtendedSource) -> Choice:
    """A choice whose passages lie in the recording, not in its beginning that comes again."""

    def moved(start: int) -> int:
        return start - view.length if start >= view.length else start

    if choice.passage is None:
        return choice
    passages = tuple(
        one if one.foreign else replace(one, start=moved(one.start)) for one in choice.passages
    )
    chosen = passages[choice.passages.index(choice.passage)]
    return replace(choice, passages=passages, passage=chosen)


def _plan_room(room: Gap, ends: _Ends) -> Iterator[Part]:
    """The parts of the room on one side, from the recording outwards."""
    rate, others = ends.view.sample_rate, ends.others
    start, made, used = ends.choose(foreign=False), 0, 0
    while made < room.length:
        length = room.length - made
        if start.choice.passage is not None:
            if used == start.playable:
                start, used = ends.choose(start.choice.passage.foreign), 0
                continue
            length = min(length, start.playable - used, round(_PASSAGE_PART * rate))
        elif start.choice.method != InfillMethod.ar:
            continued = start.choice.method == InfillMethod.lm
            length = min(length, round((CONTINUED_PART if continued else _GENERATED_PART) * rate))
        if ends.after:
            gap = Gap(room.start + made, room.start + made + length)
            rest = (gap.stop, room.stop)
        else:
            gap = Gap(room.stop - made - length, room.stop - made)
            rest = (room.start, gap.start)
        unknown = [*others, gap, *([Gap(*rest)] if rest[0] < rest[1] else [])]
        yield Part(gap, start.part(used, length, ends.after), tuple(sorted(unknown)))
        made, used = made + length, used + length


@dataclass(frozen=True)
class _Start:
    """How a recording goes on at an end of its own.

    Attributes:
        choice: the method, and the passage if it is that.
        anchor: the passage's first sample, or the one after its last where it leads in.
        playable: its samples up to the end of the recording that it is in.
    """

    choice: Choice
    anchor: int = 0
    playable: int = 0

    def part(self, used: int, length: int, after: bool) -> Choice:
        """The choice for ``length`` samples, after ``used`` of the passage."""
        passage = self.choice.passage
        if passage is None:
            return self.choice
        start = self.anchor + used if after else self.anchor - used - length
        passages = (
            tuple(
                replace(one, start=one.start + start - passage.start)
                for one in self.choice.passages
            )
            if not used
            else ()
        )
        return replace(self.choice, passages=passages, passage=replace(passage, start=start))


class _Ends:
    """What follows the end (or precedes the beginning) of a recording, and of another one.

    Args:
        view: the recording with its room.
        room: the room.
        others: the room on the other side, if any.
        settings: how it is filled.
        other: another recording.
        spectrogram: whether there is a spectrogram model.
    """

    def __init__(
        self,
        view: ExtendedSource,
        room: Gap,
        others: Sequence[Gap],
        settings: InfillSettings,
        other: AudioSource | None,
        spectrogram: bool,
    ) -> None:
        self.view, self.room, self.others = view, room, others
        self.settings, self.other, self.spectrogram = settings, other, spectrogram
        self.after = room.start > 0
        self._found: dict[bool, _Start] = {}

    def choose(self, foreign: bool) -> _Start:
        """How the recording, or the other one, goes on."""
        if foreign not in self._found:
            self._found[foreign] = self._of_other() if foreign else self._of_own()
        return self._found[foreign]

    def _of_own(self) -> _Start:
        gap = self._gap(self.room, self.view.source.frames)
        unknown = sorted([*self.others, self.room])
        choice = self._choose(self.view, unknown, gap, self.room, self.other)
        passage = choice.passage
        if passage is None:
            return _Start(choice)
        first = 0 if passage.foreign else self.view.extension.before
        source = self.other if passage.foreign else self.view.source
        assert source is not None
        return self._start(choice, passage.start, gap.length, first, first + source.frames)

    def _of_other(self) -> _Start:
        assert self.other is not None
        length = self.room.length
        room = Extension(after=length) if self.after else Extension(before=length)
        view = ExtendedSource(self.other, room)
        gap = self._gap(view.rooms[0], self.other.frames)
        choice = self._choose(view, view.rooms, gap, view.rooms[0])
        if choice.passage is None:
            return _Start(choice)
        start = choice.passage.start - room.before
        passage = replace(choice.passage, start=start, foreign=True)
        choice = Choice(choice.method, (passage,), passage, self.other)
        return self._start(choice, start, gap.length, 0, self.other.frames)

    def _choose(
        self,
        view: ExtendedSource,
        unknown: Sequence[Gap],
        gap: Gap,
        room: Gap,
        other: AudioSource | None = None,
    ) -> Choice:
        """How the first part of a room in a view is filled."""
        chooser = MethodChooser(view, unknown, self.settings, other, self.spectrogram)
        return chooser.choose(gap, room)

    def _gap(self, room: Gap, frames: int) -> Gap:
        """The part of a room that a passage must fill at least."""
        rate = self.view.sample_rate
        most = min(round(_LEAST_PASSAGE * rate), int(_PASSAGE_SHARE * frames))
        length = min(room.length, max(most, round(_SHORTEST_PASSAGE * rate)))
        start = room.start if self.after else room.stop - length
        return Gap(start, start + length)

    def _start(self, choice: Choice, start: int, length: int, first: int, end: int) -> _Start:
        """The start of a passage of ``length`` samples in a recording at [first, end)."""
        anchor = start if self.after else start + length
        return _Start(choice, anchor, end - anchor if self.after else anchor - first)


def fill_extension(
    infiller: Infiller, view: ExtendedSource, other: AudioSource | None = None
) -> Iterator[Filling]:
    """The fillings of an extension, in the order of their first samples.

    Parts after the recording are computed when they are asked for; those before it all at once, as
    each needs the one that follows it.

    Args:
        infiller: fills them.
        view: the recording and the room.
        other: another recording that passages may come from.

    Raises:
        AudiomaskError: the recording is too short.
    """
    before: list[Filling] = []
    there = infiller.spectrogram is not None
    for part in plan_extension(view, infiller.settings, other, there):
        leads_in = part.gap.stop <= view.extension.before
        if not leads_in:
            yield from reversed(before)
            before.clear()
        # no samples of the recording for a crossfade
        filling = infiller.fill_gap(view, part.gap, part.gaps, (0, 0), part.choice)
        view.add(filling)
        if leads_in:
            before.append(filling)
        else:
            yield filling
    yield from reversed(before)
