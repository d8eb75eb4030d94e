"""``separate --report`` and ``--labels``: where each stem plays, in files."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from audiomask.audio.atomic import AtomicFile, write_error
from audiomask.cli.job_report import JobReport
from audiomask.cli.outputs import Job
from audiomask.separation.activity import StemSecond

#: decimals of what a report says of a second
_DECIMALS = {"start": 6, "end": 6, "activity": 3, "confidence": 3, "level_db": 1}


class StemReport(JobReport):
    """A report of ``separate``: a line for each second of each stem, and each file that failed."""

    command = "separate"
    keys = frozenset({"stem"})

    def add(self, job: Job, seconds: Iterable[StemSecond]) -> None:
        """Add lines about a file whose outputs are complete but for their names."""
        entries = []
        for second in seconds:
            entry = dataclasses.asdict(second)
            entries.append(
                {key: round(value, _DECIMALS[key]) if key in _DECIMALS else value
                 for key, value in entry.items()}
            )  # fmt: skip
        self._add_entries(job, entries)


def save_stem_labels(path: Path, seconds: Sequence[StemSecond]) -> None:
    """Write the passages where stems play as a label track of Audacity.

    Raises:
        AudioFileError: it cannot be written.
    """
    lines = [f"{start:.6f}\t{end:.6f}\t{stem}\n" for stem, start, end in _passages(seconds)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with AtomicFile(path, overwrite=True) as temporary:
            temporary.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise write_error(path, error) from error


def _passages(seconds: Sequence[StemSecond]) -> list[tuple[str, float, float]]:
    """Stems with the times from which on and until when they play, stem by stem."""
    found: list[tuple[str, float, float]] = []
    for second in seconds:
        if not second.plays:
            continue
        if found and found[-1][0] == second.stem and found[-1][2] == second.start:
            found[-1] = (second.stem, found[-1][1], second.end)
        else:
            found.append((second.stem, second.start, second.end))
    return found
