"""Files of ``separate --report`` and ``--labels``: where each stem plays."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

from audiomask.audio.atomic import AtomicFile, write_error
from audiomask.cli.job_report import JobReport
from audiomask.cli.outputs import Job
from audiomask.separation.activity import StemSecond

#: decimals of the numbers in a report
_DECIMALS = {"start": 6, "end": 6, "activity": 3, "confidence": 3, "level_db": 1}


class StemReport(JobReport):
    """The report of ``separate``, with a line for each second of each stem."""

    command = "separate"
    keys = frozenset({"stem"})

    def add(self, job: Job, seconds: Iterable[StemSecond]) -> None:
        """Add the lines of a file, before its outputs are renamed to their names."""
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
    lines = [f"{start:.6f}\t{end:.6f}\t{stem}\n" for start, end, stem in _passages(seconds)]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with AtomicFile(path, overwrite=True) as temporary:
            temporary.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise write_error(path, error) from error


def _passages(seconds: Sequence[StemSecond]) -> list[tuple[float, float, str]]:
    """The passages in which stems play: start and end in seconds, and the stem."""
    found: list[tuple[float, float, str]] = []
    for second in seconds:
        if not second.plays:
            continue
        if found and found[-1][1:] == (second.start, second.stem):
            found[-1] = (found[-1][0], second.end, second.stem)
        else:
            found.append((second.start, second.end, second.stem))
    return found
