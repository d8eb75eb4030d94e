"""``infill --report`` and ``--labels``: the gaps found and filled, in files."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from audiomask.audio.atomic import write_error
from audiomask.cli.gaps import FoundGap
from audiomask.cli.job_report import JobReport, Value
from audiomask.cli.outputs import Job
from audiomask.infill.gaps import name_channels

if TYPE_CHECKING:
    from audiomask.audio.files import AudioFile
    from audiomask.infill.passages import Passage


def save_labels(path: Path, source: "AudioFile", found: Iterable[FoundGap]) -> None:
    """Write the gaps of a recording that are to be filled as a label track.

    Raises:
        AudioFileError: it cannot be written.
    """
    from audiomask.infill.labels import write_labels

    spans = [(one.gap, one.kind) for one in found if not one.left]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_labels(path, spans, source.sample_rate, source.channels)
    except OSError as error:
        raise write_error(path, error) from error


class GapReport(JobReport):
    """A report of ``infill``: a line for each gap and for each file that failed."""

    command = "infill"
    keys = frozenset({"output", "filled"})
    carried = ("other",)
    #: the other recording that passages may come from
    other = ""

    def add(
        self, job: Job, source: "AudioFile", found: Iterable[FoundGap], before: int = 0
    ) -> None:
        """Add a line for each gap of a file, before its output is renamed to its name.

        Args:
            job: the file's.
            source: the recording.
            found: its gaps.
            before: samples before its beginning from which on they count.
        """
        place = {"output": str(job.output)} if "" in job.outputs else {}
        ordered = sorted(found, key=lambda one: one.gap)
        self._add_entries(
            job, [place | gap_entry(one, source, self.other, before) for one in ordered]
        )


def gap_entry(found: FoundGap, source: "AudioFile", other: str, before: int) -> dict[str, Value]:
    """The line of a gap, with times to the microsecond, which is less than a sample."""
    gap, rate = found.gap, source.sample_rate
    entry: dict[str, Value] = {
        "start": round((gap.start - before) / rate, 6),
        "end": round((gap.stop - before) / rate, 6),
        "seconds": round(gap.length / rate, 6),
        "kind": found.kind,
    }
    if found.method:
        entry["method"] = found.method
    if found.passage is not None:
        entry |= _match(found.passage, rate, other, before)
    if len(found.passages) > 1:
        entry["passages"] = [_match(passage, rate, other, before) for passage in found.passages]
    if found.stems:
        entry["stems"] = [
            {"stem": one.name, "method": one.method}
            | ({} if one.passage is None else _match(one.passage, rate, other, before))
            for one in found.stems
        ]
    if not math.isnan(found.level):
        entry["level"] = round(found.level, 2)
    if not math.isnan(found.bits):
        entry["bits"] = round(found.bits, 2)
    entry["channels"] = name_channels(gap.channels, source.channels)
    entry["filled"] = found.filled
    if found.left:
        entry["left"] = found.left
    return entry


def _match(passage: "Passage", rate: int, other: str, before: int) -> dict[str, Value]:
    """Where a passage comes from, and how well its surroundings match."""
    start = passage.start if passage.foreign else passage.start - before
    place: dict[str, Value] = {"from": round(start / rate, 6)}
    if passage.foreign:
        place["from_file"] = other
    place["distance"] = round(passage.distance, 4)
    place["correlation"] = round(passage.correlation, 4)
    return place
