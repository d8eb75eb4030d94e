"""``evaluate --page``: the tables, and some of what was measured to listen to."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audiomask.cli.page_file import OpenPage
from audiomask.evaluation.examples import Example
from audiomask.evaluation.report import Report
from audiomask.page.document import Part, write_page
from audiomask.page.parts import Table
from audiomask.page.tracks import LOSSLESS_SECONDS, Player, Track, match_loudness

#: most examples, seconds of the middle of each song, and seconds on each side of a gap
_MOST, _SECONDS, _AROUND = 12, 10.0, 2.0
#: what the report tells of the run itself
_ABOUT = ("job", "audiomask", "checkpoints", "device", "data", "split", "limit", "seconds", "seed")


class EvaluationPage(OpenPage):
    """The page of an evaluation. A context manager.

    Its examples are without loss, as many of the first as fit.

    Args:
        path: of the page.
        overwrite: whether an existing page may be replaced.
    """

    def __init__(self, path: Path, overwrite: bool) -> None:
        super().__init__(path, overwrite)
        self._players: list[Player] = []
        self._left = LOSSLESS_SECONDS
        self._rate = 44100

    def add(self, example: Example) -> None:
        """Add an example, if there is room for it."""
        rate = example.sample_rate
        total = min(sound.shape[-1] for sound in example.sounds.values())
        if example.gap is None:
            length = min(round(_SECONDS * rate), total)
            start = (total - length) // 2
            stop = start + length
        else:
            around = round(_AROUND * rate)
            start, stop = max(example.gap[0] - around, 0), min(example.gap[1] + around, total)
        needed = len(example.sounds) * (stop - start) / rate
        if len(self._players) == _MOST or needed > self._left:
            return
        self._left -= needed
        self._rate = rate
        tracks: dict[str, Track] = {}
        for name, sound in example.sounds.items():
            encoded = self.folder / f"{len(self._players)}-{len(tracks)}.flac"
            channels = sound.shape[0]
            with Track(name, stop - start, rate, channels, encoded, alone=True) as track:
                track.write(sound[:, start:stop])
                track.finish()
            track.remark = example.remarks.get(name, "")
            tracks[name] = track
        for names in example.matched:
            match_loudness([tracks[name] for name in names])
        gap = [] if example.gap is None else [(example.gap[0] / rate, example.gap[1] / rate)]
        seconds = (stop - start) / rate
        self._players.append(
            Player(example.title, seconds, list(tracks.values()), start / rate, gap)
        )

    def finish(self, report: Report) -> None:
        """Write the page.

        Args:
            report: of all songs.
        """
        notes = list(report.notes)
        if self._players:
            notes.append(
                f"Examples to listen to: {len(self._players)}, the first that were measured. "
                "What is compared is played equally loud."
            )
        tables = [Table(one.title, one.headings, one.rows) for one in report.tables]
        about = [(name, _text(report.data[name])) for name in _ABOUT if report.data.get(name)]
        details = [Table("How it was measured", ("", ""), about, folded=True)]
        if rows := [_flat(row) for row in report.data.get("rows", ())]:
            headings = list(dict.fromkeys(name for row in rows for name in row))
            cells = [[row.get(name, "") for name in headings] for row in rows]
            details.insert(0, Table(f"Song by song ({len(rows)} rows)", headings, cells, True))
        parts: list[Part] = [*tables, *self._players, *details]
        title = f"audiomask evaluate {report.data['job']}"
        write_page(self.path, title, parts, notes, self._rate, self.overwrite)


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A row of measurements as text; those inside others have both names."""
    cells: dict[str, str] = {}
    for name, value in row.items():
        title = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            cells |= _flat(value, f"{title} ")
        else:
            cells[title] = _text(value)
    return cells


def _text(value: Any) -> str:
    """A value as text."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}".replace("-", "−").replace("inf", "∞").replace("nan", "–")
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return str(value)
