"""``infill --page``: every gap before and after it was filled, in one HTML file."""

from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from audiomask.cli.gap_report import gap_entry
from audiomask.cli.gaps import FoundGap
from audiomask.cli.page_file import OpenPage, clock
from audiomask.infill.gaps import Gap
from audiomask.page.clips import Clip
from audiomask.page.document import write_page
from audiomask.page.tracks import Player, choose_ending

if TYPE_CHECKING:
    from audiomask.audio.files import AudioFile
    from audiomask.infill.infiller import Filling

#: seconds shown on each side of a gap
_AROUND = 2.0
#: most gaps shown, and seconds of them with their surroundings
MOST_GAPS, _MOST_SECONDS = 60, 900.0
#: most gaps told that were left alone
_MOST_LEFT = 20


class GapPage(OpenPage):
    """The page of one recording, made while its gaps are filled. A context manager.

    It holds the surroundings of each gap only, as a recording may have hours. Outside the gaps both
    are the same samples, so that they are heard at equal loudness.

    Args:
        path: of the page.
        title: its title.
        source: the recording.
        gaps: those to be filled.
        other: the other recording that passages may come from.
        overwrite: whether an existing page may be replaced.
    """

    def __init__(
        self,
        path: Path,
        title: str,
        source: "AudioFile",
        gaps: Collection[Gap],
        other: str,
        overwrite: bool,
    ) -> None:
        super().__init__(path, overwrite)
        self._title, self._source, self._other = title, source, other
        self._spans = self._choose(gaps)
        self._number = len(gaps)
        seconds = 2 * sum(stop - start for start, stop in self._spans.values()) / source.sample_rate
        self._ending = choose_ending(seconds)
        self._waiting = sorted(self._spans, key=lambda gap: self._spans[gap])
        self._open: dict[Gap, Clip] = {}
        self._found: dict[Gap, FoundGap] = {}
        self._players: dict[Gap, Player] = {}

    def _choose(self, gaps: Collection[Gap]) -> dict[Gap, tuple[int, int]]:
        """The gaps to show, the longest where they are many, and the samples to show of each."""
        around = round(_AROUND * self._source.sample_rate)
        spans: dict[Gap, tuple[int, int]] = {}
        left = round(_MOST_SECONDS * self._source.sample_rate)
        for gap in sorted(gaps, key=lambda gap: -gap.length)[:MOST_GAPS]:
            start, stop = max(gap.start - around, 0), min(gap.stop + around, self._source.frames)
            if stop - start <= left:
                spans[gap] = (start, stop)
                left -= stop - start
        return spans

    def add(self, filling: "Filling", found: FoundGap) -> None:
        """Add a filling; none that begins before it may follow.

        Args:
            filling: the new samples.
            found: the gap, as it was filled.
        """
        self._found[found.gap] = found
        self._finish_clips(filling.start)
        while self._waiting and self._spans[self._waiting[0]][0] < filling.stop:
            gap = self._waiting.pop(0)
            self._open[gap] = Clip(self._source, *self._spans[gap])
        channels = filling.channels or range(self._source.channels)
        for clip in self._open.values():
            clip.replace(filling.start, filling.samples, channels)

    def _finish_clips(self, before: int) -> None:
        """Encode the excerpts that end before a sample, and free their memory."""
        for gap, clip in list(self._open.items()):
            if clip.stop > before:
                continue
            del self._open[gap]
            rate = self._source.sample_rate
            base = self.folder / f"{len(self._players)}"
            self._players[gap] = Player(
                f"{clock(gap.start / rate, 3)} – {clock(gap.stop / rate, 3)}",
                (clip.stop - clip.start) / rate,
                clip.tracks(base, self._ending),
                clip.start / rate,
                [(gap.start / rate, gap.stop / rate)],
            )

    def finish(self, left: Iterable[FoundGap]) -> None:
        """Write the page.

        Args:
            left: gaps that were not filled.
        """
        self._finish_clips(self._source.frames)
        for gap, player in self._players.items():
            player.facts = _facts(self._found[gap], self._source, self._other)
        shown = len(self._players)
        notes = [
            "Before and after are the same samples outside the marked gap, equally loud."
            if shown
            else "No gaps were filled."
        ]
        if shown < self._number:
            notes.append(f"Shown are the {shown} longest of {self._number} gaps.")
        rate = self._source.sample_rate
        alone = [
            f"Left alone: {clock(one.gap.start / rate, 3)} – {clock(one.gap.stop / rate, 3)}, "
            f"{one.kind}: {one.left}"
            for one in left
        ]
        notes += alone[:_MOST_LEFT]
        if len(alone) > _MOST_LEFT:
            notes.append(f"and {len(alone) - _MOST_LEFT} more were left alone.")
        write_page(
            self.path,
            self._title,
            [self._players[gap] for gap in sorted(self._players)],
            notes,
            rate,
            self.overwrite,
            self._about(len(alone)),
        )

    def _about(self, left: int) -> dict[str, str]:
        """What is told of the recording in a list of several: its length, and its gaps."""
        rate = self._source.sample_rate
        methods = Counter(one.method for one in self._found.values())
        filled = sum(gap.length for gap in self._found)
        return {
            "length": clock(self._source.frames / rate),
            "gaps filled": str(len(self._found)),
            "seconds filled": f"{filled / rate:.3f}",
            "filled by": ", ".join(f"{name} {n}" for name, n in methods.most_common()),
            "left alone": str(left),
        }


def _facts(found: FoundGap, source: "AudioFile", other: str) -> list[tuple[str, str]]:
    """What is told of a gap: the line of the report, in words."""
    entry = gap_entry(found, source, other, 0)
    facts = [("length", f"{entry['seconds']:.3f} s"), ("kind", found.kind)]
    facts.append(("filled by", found.method))
    if "from" in entry:
        of = f" of {entry['from_file']}" if "from_file" in entry else ""
        facts.append(("passage from", f"{clock(float(str(entry['from'])), 3)}{of}"))
        facts += [(name, str(entry[name])) for name in ("distance", "correlation")]
    if found.stems:
        facts.append(("stems", ", ".join(f"{one.name} by {one.method}" for one in found.stems)))
    if "level" in entry:
        facts.append(
            ("level against its surroundings", f"{entry['level']:+.1f} dB".replace("-", "−"))
        )
    if found.gap.channels:
        facts.append(("channels", str(entry["channels"])))
    return facts
