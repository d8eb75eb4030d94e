"""The work of ``infill`` on one file: its gaps are found and filled."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
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
from audiomask.cli.page_file import PAGE
from audiomask.cli.sample_format import report_clipping, report_input, report_lost

if TYPE_CHECKING:
    from audiomask.audio.files import AudioFile
    from audiomask.audio.metadata.model import Metadata
    from audiomask.cli.gap_page import GapPage
    from audiomask.infill.gaps import Gap
    from audiomask.infill.infiller import Filling
    from audiomask.infill.splice import RawSource

logger = logging.getLogger(__name__)


def fill_gaps(
    jobs: Sequence[Job], common: Common, plan: FillPlan, report: Path | None, bitrate: int | None
) -> int:
    """Fill the gaps of the jobs' inputs; returns the exit status."""
    from audiomask.audio.copying import copy_file, is_same_format
    from audiomask.audio.files import AudioFile
    from audiomask.audio.metadata.reading import read_metadata

    engine = common.open_engine()
    seek = plan.open_seek(common)
    table = GapTable([job.input.label for job in jobs], str(plan.other))

    def work(job: Job, meter: Meter) -> None:
        label = job.input.label
        with ExitStack() as stack:
            source = stack.enter_context(AudioFile(job.input.source, meter.check))
            rate = source.sample_rate
            report_input(source)
            meter.start(label, source.frames / rate)
            found = plan.options.find(source, seek)
            gaps = {one.gap: one for one in found if not one.left}
            known = [one for one in found if one.left]
            shown = None
            if PAGE in job.outputs:
                shown = stack.enter_context(_open_page(job, source, gaps, common, plan))
            if not gaps and "" in job.outputs:
                copied = is_same_format(source, output_ending(job.output))
                way = "copied as it is" if copied else "only converted"
                meter.note(f"{label}: no gaps found, {way}")
                if copied:
                    lines.add(job, source, known)
                    if shown is not None:
                        shown.finish(known)
                    copy_file(source, job.output, common.overwrite)
                    meter.advance(source.frames / rate)
                    table.add(label, source, known)
                    return
            other = plan.open_other(stack, meter)
            fillings = engine.infill(source, list(gaps), plan.settings, other)
            patches = _log_fillings(fillings, gaps, source, label, known, shown)
            left = list(known)

            def finish() -> None:
                lines.add(job, source, known)
                if shown is not None:
                    shown.finish(left)

            if "" in job.outputs:
                metadata = read_metadata(source)
                write_patched(
                    job, source, source, patches, metadata, common, bitrate, meter, finish
                )
            else:  # the recording exists, its page is missing
                for _ in patches:
                    meter.check()
                meter.advance(source.frames / rate)
                finish()
            table.add(label, source, known)

    with GapReport(report, jobs, common) as lines:
        lines.other = str(plan.other)
        status = run_jobs(jobs, common, work, lines.failed)
    if common.verbose:
        table.show()
    return status


def _open_page(
    job: Job,
    source: "AudioFile",
    gaps: "Collection[Gap]",
    common: Common,
    plan: FillPlan,
) -> "GapPage":
    """The page of a recording; what draws is loaded only where one is wanted."""
    from audiomask.cli.gap_page import GapPage

    title = job.input.relative.name
    place = Path(job.outputs[PAGE])
    return GapPage(place, title, source, gaps, str(plan.other), common.overwrite)


def write_patched(
    job: Job,
    source: "AudioFile",
    raw: "RawSource",
    patches: "Iterator[Filling]",
    metadata: "Metadata",
    common: Common,
    bitrate: int | None,
    meter: Meter,
    finish: Callable[[], None],
) -> None:
    """Write a recording with its fillings.

    Args:
        job: whose output it is.
        source: the recording.
        raw: the samples to copy: the recording's, or more.
        patches: new samples in place of some of them.
        metadata: to be stored.
        common: the shared options.
        bitrate: of lossy formats.
        meter: advanced by the seconds of the recording in all.
        finish: called before the output gets its name.
    """
    from audiomask.audio.formats import default_subtype
    from audiomask.audio.writer import AudioWriter
    from audiomask.infill.splice import copy_with_patches

    with AudioWriter(
        job.output,
        source.sample_rate,
        source.channels,
        default_subtype(source.subtype, output_ending(job.output)),
        overwrite=common.overwrite,
        frames=raw.frames,
        metadata=metadata,
        bitrate=bitrate,
    ) as writer:
        done, seconds = 0, source.frames / source.sample_rate
        for position in copy_with_patches(raw, patches, writer):
            meter.advance((position - done) / raw.frames * seconds)
            done = position
        finish()
    report_lost(job.input.label, metadata.lost)
    report_lost(job.output, writer.lost)
    report_clipping(job.output, writer.clipped)


def _log_fillings(
    fillings: "Iterator[Filling]",
    gaps: "Mapping[Gap, FoundGap]",
    source: "AudioFile",
    label: str,
    known: list[FoundGap],
    shown: "GapPage | None",
) -> "Iterator[Filling]":
    """Yield the fillings; add the gap and method of each to ``known``, and its sound to a page."""
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
        filled = gaps[gap].filled_by(filling)
        if shown is not None:
            shown.add(filling, filled)
        yield filling
        known.append(filled)


def output_ending(place: Location) -> str:
    """The format of an output by its name; WAV for standard output and devices."""
    return "wav" if place == "-" else place.suffix[1:] or "wav"
