"""Gaps: spans of samples to fill, in all channels or in some, and how users name them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from audiomask.errors import UsageError

_NUMBER = r"(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)"
#: seconds, perhaps with an exponent
_SECONDS = re.compile(rf"[+-]?{_NUMBER}(?:[eE][+-]?[0-9]+)?")
#: minutes and seconds, or hours, minutes and seconds
_CLOCK = re.compile(rf"(?:([0-9]+):)?([0-9]+):({_NUMBER})")
_TIME = rf"(?:(?:[0-9]+:){{0,2}}{_NUMBER}(?:[eE][+-]?[0-9]+)?)"
_RANGE = re.compile(rf"\s*({_TIME})\s*-\s*({_TIME})\s*")
_LONGEST_TIME = 32
#: usual seconds of the shortest silence and of the longest gap that are found
MIN_GAP, MAX_GAP = 0.004, 1.0
#: seconds by which a gap may pass the ends of the file; it is then cut there
_OVERHANG = 0.01
_SIDES = ("left", "right")


@dataclass(frozen=True, order=True)
class Gap:
    """The span of samples [start, stop) of some channels.

    Attributes:
        start: the first sample.
        stop: the sample after the last.
        channels: sorted numbers of the channels that it is in, from 0; empty for all of them.

    Raises:
        ValueError: it is empty or begins before the file.
    """

    start: int
    stop: int
    channels: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise ValueError(f"not a span of samples: [{self.start}, {self.stop})")

    @property
    def length(self) -> int:
        """Samples in the gap."""
        return self.stop - self.start

    def channel_numbers(self, channels: int) -> tuple[int, ...]:
        """The numbers of its channels in a recording of so many."""
        return self.channels or tuple(range(channels))

    def shares_channel(self, other: Gap) -> bool:
        """Whether both are in some channel."""
        return not (self.channels and other.channels) or bool(
            set(self.channels) & set(other.channels)
        )

    def contains(self, other: Gap) -> bool:
        """Whether the other lies within it in time, and they share a channel."""
        inside = self.start <= other.start and other.stop <= self.stop
        return inside and self.shares_channel(other)


def parse_time(text: str, where: str) -> float:
    """Seconds from ``1.5``, ``1,5``, ``5e-05``, ``1:02.5`` (minutes) or ``1:01:02.5`` (hours).

    Raises:
        UsageError: it is no such time; ``where`` says whose.
    """
    text = text.strip()
    if len(text) <= _LONGEST_TIME:
        plain = text.replace(",", ".")
        if _SECONDS.fullmatch(text) and math.isfinite(float(plain)):
            return float(plain)
        if (clock := _CLOCK.fullmatch(plain)) is not None:
            hours, minutes, seconds = (float(part or 0) for part in clock.groups())
            if seconds < 60 and (minutes < 60 or clock[1] is None):
                return 3600 * hours + 60 * minutes + seconds
    raise UsageError(f"{where}: {text[:_LONGEST_TIME]!r} is not a time in seconds, m:s or h:m:s")


def parse_gap(text: str, sample_rate: int, frames: int) -> Gap:
    """A gap from ``START:END`` in seconds, or ``START-END`` in seconds, m:s or h:m:s.

    Args:
        text: what the user wrote, such as ``1.5:2.25`` or ``1:02.5-1:03``.
        sample_rate: samples a second of the file.
        frames: its samples per channel.

    Raises:
        UsageError: it is not of that form, empty, or outside the file.
    """
    where = f"gap {text!r}"
    if (both := _RANGE.fullmatch(text)) is not None:
        start, end = both.groups()
    else:
        start, colon, end = text.partition(":")
        if not colon or ":" in end:
            raise UsageError(
                f"{where}: write START:END in seconds, such as 1.5:2.25, "
                "or START-END with minutes, such as 1:02.5-1:03"
            )
    return gap_from_seconds(
        parse_time(start, where), parse_time(end, where), sample_rate, frames, where
    )


def gap_from_seconds(start: float, end: float, sample_rate: int, frames: int, where: str) -> Gap:
    """A gap between two times; what passes the ends of the file by up to 10 ms is cut there.

    Raises:
        UsageError: it is empty, or outside the file; ``where`` says whose it is.
    """
    if start < -_OVERHANG:
        raise UsageError(f"{where}: begins before the recording")
    length = f"the file lasts {frames / sample_rate:.3f} s"
    # times beyond this overflow when turned into samples
    start, end = (min(max(time, 0.0), 1e12) for time in (start, end))
    first, last = (math.floor(time * sample_rate + 0.5) for time in (start, end))
    if last > frames + _OVERHANG * sample_rate or first >= frames:
        raise UsageError(f"{where}: lies beyond the end; {length}")
    last = min(last, frames)
    if first >= last:
        raise UsageError(f"{where}: ends before it begins, or where it begins")
    return Gap(first, last)


def middle_gap(seconds: float, sample_rate: int, frames: int) -> Gap:
    """The central span of a file.

    Raises:
        UsageError: it is empty, or no sound would be left on its sides.
    """
    length = round(seconds * sample_rate) if math.isfinite(seconds) else 0
    if length < 1:
        raise UsageError(f"a middle of {seconds:g} s is not even one sample")
    if length > frames - 2:
        raise UsageError(
            f"a middle of {seconds:g} s leaves nothing of a file of {frames / sample_rate:.3f} s"
        )
    start = (frames - length) // 2
    return Gap(start, start + length)


def merge_gaps(gaps: Iterable[Gap], channels: int = 1) -> list[Gap]:
    """Sort gaps, and join those that touch or overlap in a channel.

    Gaps of several channels that begin and end at nearly the same time become one. Others may
    overlap in time, in different channels.

    Args:
        gaps: in any order.
        channels: how many the recording has.
    """
    found = list(gaps)
    while True:
        spans = [
            (*span, channel)
            for channel in range(channels)
            for span in _merge_spans(
                gap for gap in found if channel in gap.channel_numbers(channels)
            )
        ]
        merged = _group_channels(spans, channels)
        if merged == found:
            return merged
        found = merged


def merge_kinds(parts: Iterable[tuple[Gap, str]], channels: int = 1) -> list[tuple[Gap, set[str]]]:
    """Merge gaps as ``merge_gaps`` does, each with the kinds of the gaps it was made of.

    Args:
        parts: gaps and the kind of each, in any order.
        channels: how many the recording has.
    """
    waiting = sorted(parts)
    found, first = [], 0
    for whole in merge_gaps((gap for gap, _ in waiting), channels):
        while waiting[first][0].stop <= whole.start:
            first += 1
        kinds: set[str] = set()
        place = first
        while place < len(waiting) and waiting[place][0].start < whole.stop:
            gap, kind = waiting[place]
            kinds |= {kind} if whole.contains(gap) else set()
            place += 1
        found.append((whole, kinds))
    return found


def _merge_spans(gaps: Iterable[Gap]) -> list[tuple[int, int]]:
    """The spans of one channel's gaps, joined where they touch or overlap."""
    joined: list[tuple[int, int]] = []
    for gap in sorted(gaps):
        if joined and gap.start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], gap.stop))
        else:
            joined.append((gap.start, gap.stop))
    return joined


def _group_channels(spans: Iterable[tuple[int, int, int]], channels: int) -> list[Gap]:
    """Gaps from spans (start, stop, channel); spans of nearly the same time become one."""
    made: list[tuple[int, int, set[int]]] = []
    open_: list[int] = []  # indices in ``made`` of gaps that may still be joined
    for start, stop, channel in sorted(spans):
        open_ = [place for place in open_ if made[place][1] > start]
        for place in open_:
            first, last, there = made[place]
            slack = min(max((last - first) // 8, 2), 64)
            if channel not in there and start - first <= slack and abs(stop - last) <= slack:
                made[place] = (first, max(stop, last), there | {channel})
                break
        else:
            open_.append(len(made))
            made.append((start, stop, {channel}))
    gaps = []
    for start, stop, there in made:
        gaps.append(Gap(start, stop, () if len(there) == channels else tuple(sorted(there))))
    return sorted(gaps)


def name_channels(numbers: Sequence[int], channels: int) -> str:
    """A name for some of a recording's channels: ``left``, ``1+3``, or ``all``.

    Args:
        numbers: from 0; none for all.
        channels: how many there are.
    """
    if not numbers or len(numbers) == channels:
        return "all"
    if channels == 2:
        return _SIDES[numbers[0]]
    return "+".join(str(number + 1) for number in numbers)


def parse_channel(name: str, channels: int, where: str) -> int:
    """The number, from 0, of the channel called ``left``, ``right``, ``1``, ``2`` …

    Args:
        name: what the user wrote.
        channels: how many the recording has.
        where: the beginning of an error message.

    Raises:
        UsageError: there is no such channel.
    """
    plain = name.strip().lower()
    number = -1
    if plain in _SIDES and channels > 1:
        number = _SIDES.index(plain)
    elif plain.isascii() and plain.isdigit() and len(plain) < 6:
        number = int(plain) - 1
    if not 0 <= number < channels:
        there = "one channel" if channels == 1 else f"channels 1 to {channels}"
        raise UsageError(f"{where}: no channel {name!r}: this recording has {there}")
    return number
