"""The work of ``infill`` on one file: its gaps are found and filled."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from audiomask.cli.console import Meter
from audiomask.cli.fill_plan import FillPlan
from audiomask.cli.gap_report import GapReport
from audiomask.cli.gaps import FoundGap, GapTable
from audiomask.cli.inputs import Location
from audiomask.cli.jobs import run_jobs
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job
from audiomask.cli.sample_format import report_clipping, report_input, report_lost

if TYPE_CHECKING:
    from audiomask.audio.files import AudioFile
    from audiomask.infill.gaps import Gap
    from audiomask.infill.infiller import Filling

logger = logging.getLogger(__name__)


def fill_gaps(
    jobs: Sequence[Job], common: Common, plan: FillPlan, report: Path | None, bitrate: int | None
) -> int:
    """Fill the gaps of the jobs' inputs; returns the exit status."""
    from audiomask.audio.copying import copy_file, is_same_format
    from audiomask.audio.files import AudioFile
    from audiomask.audio.formats import default_subtype
    from audiomask.audio.metadata.reading import read_metadata
    from audiomask.audio.writer import AudioWriter
    from audiomask.infill.splice import copy_with_patches

    engine = common.open_engine()
    table = GapTable([job.input.label for job in jobs], str(plan.other))

    def work(job: Job, meter: Meter) -> None:
        label = job.input.label
        with ExitStack() as stack:
            source = stack.enter_context(AudioFile(job.input.source, meter.check))
            rate = source.sample_rate
            report_input(source)
            meter.start(label, source.frames / rate)
            found = plan.options.find(source)
            gaps = {one.gap: one for one in found if not one.left}
            known = [one for one in found if one.left]
            if not gaps:
                copied = is_same_format(source, output_ending(job.output))
                way = "copied as it is" if copied else "only converted"
                meter.note(f"{label}: no gaps found, {way}")
                if copied:
                    lines.add(job, source, known)
                    copy_file(source, job.output, common.overwrite)
                    meter.advance(source.frames / rate)
                    table.add(label, source, known)
                    return
            metadata = read_metadata(source)
            with AudioWriter(
                job.output,
                rate,
                source.channels,
                default_subtype(source.subtype, output_ending(job.output)),
                overwrite=common.overwrite,
                frames=source.frames,
                metadata=metadata,
                bitrate=bitrate,
            ) as writer:
                done = 0
                other = plan.open_other(stack, meter)
                fillings = engine.infill(source, list(gaps), plan.settings, other)
                patches = _log_fillings(fillings, gaps, source, label, known)
                for position in copy_with_patches(source, patches, writer):
                    meter.advance((position - done) / rate)
                    done = position
                lines.add(job, source, known)
            table.add(label, source, known)
        report_lost(label, metadata.lost)
        report_lost(job.output, writer.lost)
        report_clipping(job.output, writer.clipped)

    with GapReport(report, jobs, common) as lines:
        lines.other = str(plan.other)
        status = run_jobs(jobs, common, work, lines.failed)
    if common.verbose:
        table.show()
    return status


def _log_fillings(
    fillings: "Iterator[Filling]",
    gaps: "Mapping[Gap, FoundGap]",
    source: "AudioFile",
    label: str,
    known: list[FoundGap],
) -> "Iterator[Filling]":
    """Yield the fillings; add the gap and method of each to ``known``, without its samples."""
    rate = source.sample_rate
    for filling in fillings:
        gap = filling.gap
        if filling.passes > 1:
            logger.info(
                "%s: the gap from %.3f to %.3f s is too long to be filled at once: %d passes",
                label,
                gap.start / rate,
                gap.stop / rate,
                filling.passes,
            )
        yield filling
        known.append(gaps[gap].filled_by(filling))


def output_ending(place: Location) -> str:
    """The format of an output by its name; WAV for standard output and devices."""
    return "wav" if place == "-" else place.suffix[1:] or "wav"
