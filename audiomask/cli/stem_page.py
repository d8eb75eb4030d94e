"""``separate --page``: a mixer of the stems in one HTML file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from audiomask.audio.source import AudioSource
from audiomask.cli.inputs import Input
from audiomask.cli.page_file import OpenPage, address, clock
from audiomask.cli.stem_plan import StemPlan
from audiomask.page.document import write_page
from audiomask.page.tracks import Player, Track, choose_ending
from audiomask.separation.activity import StemSecond
from audiomask.separation.stems import RESIDUAL, without

_ORIGINAL = "original"


class StemPage(OpenPage):
    """The page of one song, made while its stems are written. A context manager.

    Short songs are inside the page. The page of a long one plays the files beside it, so that it
    has no track of a stem without a file.

    Args:
        plan: what is written of every song.
        item: the song.
        source: its samples.
        overwrite: whether an existing page may be replaced.
    """

    def __init__(self, plan: StemPlan, item: Input, source: AudioSource, overwrite: bool) -> None:
        self._plan, self._item, self._source = plan, item, source
        super().__init__(plan.page_place(item), overwrite)
        self._tracks: dict[str, Track] = {}
        self._done = 0

    def __enter__(self) -> Self:
        super().__enter__()
        plan, source = self._plan, self._source
        places = {name: plan.place(self._item, name) for name in plan.names}
        if isinstance(self._item.source, Path):
            places[_ORIGINAL] = self._item.source
        names = [_ORIGINAL, *plan.separated, *[RESIDUAL] * plan.residual]
        names += [plan.without] * bool(plan.minus)
        seconds = len(names) * source.frames / source.sample_rate
        ending = choose_ending(seconds)
        if not ending:
            names = [name for name in names if name in places]
        for number, name in enumerate(names):
            self._tracks[name] = self.stack.enter_context(
                Track(
                    name,
                    source.frames,
                    source.sample_rate,
                    source.channels,
                    self.folder / f"{number}.{ending}" if ending else None,
                    "" if ending else address(places[name], self.path),
                    # with these in the mix, stems would sound twice
                    alone=name == _ORIGINAL or (name == plan.without and bool(plan.stems)),
                )
            )
        return self

    def write(self, blocks: Mapping[str, Any]) -> None:
        """Add the separated stems, and what they leave, of the next samples: tensors [C, n]."""
        stop = self._done + next(iter(blocks.values())).shape[-1]
        for name, track in self._tracks.items():
            if name == _ORIGINAL:
                track.write(self._source.read(self._done, stop))
            elif name in self._plan.separated:
                track.write(blocks[name])
            else:
                track.write(without(blocks, self._plan.removed(name)))
        self._done = stop

    def finish(self, seconds: Sequence[StemSecond], found: Mapping[str, bool]) -> None:
        """Write the page.

        Args:
            seconds: activity of the stems; empty where it is not known.
            found: whether the song has each stem.
        """
        duration = self._source.frames / self._source.sample_rate
        about = {"length": clock(duration)}
        for name, track in self._tracks.items():
            track.finish()
            if name != _ORIGINAL:
                about[name] = f"{track.level_db:.0f} dB".replace("-", "−")
            own = [second for second in seconds if second.stem == name]
            if own:
                track.lanes = {
                    "activity": [second.activity for second in own],
                    "confidence": [second.confidence for second in own],
                }
                played = sum(second.end - second.start for second in own if second.plays)
                track.remark = f"plays for {played:.0f} of {own[-1].end:.0f} s"
                about[name] += f", plays {played / own[-1].end:.0%}"
            if not found.get(name, True):
                track.remark = about[name] = "not found in this song"
        title = self._item.relative.stem
        player = Player("Stems", duration, list(self._tracks.values()))
        write_page(
            self.path,
            title,
            [player],
            sample_rate=self._source.sample_rate,
            overwrite=self.overwrite,
            about=about,
        )
