"""``infill --after``, ``--before`` and ``--loop``: recordings extended, or only what would be."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from audiomask.cli.console import Meter
from audiomask.cli.fill_job import output_ending, write_patched
from audiomask.cli.fill_plan import FillPlan
from audiomask.cli.gap_report import GapReport
from audiomask.cli.gaps import FoundGap, GapTable
from audiomask.cli.job_report import check_report
from audiomask.cli.jobs import run_jobs
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job
from audiomask.cli.sample_format import report_input
from audiomask.errors import UsageError
from audiomask.infill.settings import FORWARDS_ALONE

if TYPE_CHECKING:
    from audiomask.audio.files import AudioFile
    from audiomask.infill.extension import ExtendedSource, Extension
    from audiomask.infill.extension_plan import Part
    from audiomask.infill.infiller import Filling

logger = logging.getLogger(__name__)

#: why a loop's seam is left
_RUNS_ON = "the end runs into the beginning as it is"


class ExtendOptions(NamedTuple):
    """The options of infill that extend recordings.

    Attributes:
        before, after: seconds, if given.
        loop: whether the end is to run into the beginning.
    """

    before: float | None
    after: float | None
    loop: bool

    @property
    def given(self) -> bool:
        """Whether any is."""
        return self.loop or self.before is not None or self.after is not None

    def check(self, gap_options: Iterable[str]) -> None:
        """Raise UsageError for what makes no sense.

        Args:
            gap_options: the names of options about gaps that are given.
        """
        from audiomask.infill.extension import LONGEST, LONGEST_BRIDGE

        for option in gap_options:
            raise UsageError(
                f"{option} is about gaps, which --after, --before and --loop do not fill: "
                "fill them first"
            )
        most = LONGEST_BRIDGE if self.loop else LONGEST
        for name, seconds in (("--before", self.before), ("--after", self.after)):
            if seconds is not None and not 0 < seconds <= most:
                with_loop = " with --loop" if self.loop else ""
                raise UsageError(
                    f"{name} takes more than 0 and at most {most:g} seconds{with_loop}"
                )
        if self.loop and self.before is not None:
            raise UsageError("--loop takes no --before: --after adds a bridge to the beginning")

    def check_continued(self) -> None:
        """Raise UsageError for what a language model does not do."""
        if self.after is None:
            raise UsageError("--method lm continues recordings: add --after SECONDS")
        if self.before is not None or self.loop:
            raise UsageError(FORWARDS_ALONE)

    def extension(self, source: "AudioFile") -> "Extension":
        """The extension of a recording.

        Raises:
            AudiomaskError: the recording is too short.
        """
        from audiomask.infill.extension import Extension

        before, after = (
            0 if seconds is None else max(round(seconds * source.sample_rate), 1)
            for seconds in (self.before, self.after)
        )
        made = Extension(before, after, self.loop)
        made.check(source)
        return made


def extend_files(
    jobs: Sequence[Job],
    common: Common,
    plan: FillPlan,
    options: ExtendOptions,
    report: Path | None,
    bitrate: int | None,
) -> int:
    """Extend the jobs' inputs; returns the exit status."""
    from audiomask.audio.copying import copy_file, is_same_format
    from audiomask.audio.files import AudioFile
    from audiomask.audio.metadata.extending import for_extended
    from audiomask.audio.metadata.reading import read_metadata
    from audiomask.infill.extension import ExtendedSource, PaddedFile

    engine = common.open_engine()
    table = GapTable([job.input.label for job in jobs], str(plan.other))

    def work(job: Job, meter: Meter) -> None:
        label = job.input.label
        with ExitStack() as stack:
            source = stack.enter_context(AudioFile(job.input.source, meter.check))
            rate = source.sample_rate
            report_input(source)
            meter.start(label, source.frames / rate)
            extension = options.extension(source)
            view = ExtendedSource(source, extension)
            known = _left(view)
            _warn_of_silence(label, view)
            if known and is_same_format(source, output_ending(job.output)):
                meter.note(f"{label}: {_RUNS_ON}, copied as it is")
                lines.add(job, source, known)
                copy_file(source, job.output, common.overwrite)
                meter.advance(source.frames / rate)
                table.add(label, source, known)
                return
            metadata = for_extended(read_metadata(source), extension.before, extension.after)
            other = plan.open_other(stack, meter)
            fillings = engine.extend(source, extension, plan.settings, other)
            patches = _log_fillings(iter(()) if known else fillings, view, known)
            write_patched(
                job,
                source,
                PaddedFile(source, extension),
                patches,
                metadata,
                common,
                bitrate,
                meter,
                lambda: lines.add(job, source, known, extension.before),
            )
            table.add(label, source, known, extension.before)

    with GapReport(report, jobs, common) as lines:
        lines.other = str(plan.other)
        status = run_jobs(jobs, common, work, lines.failed)
    if common.verbose:
        table.show()
    return status


def show_extensions(
    jobs: Sequence[Job],
    common: Common,
    plan: FillPlan,
    options: ExtendOptions,
    report: Path | None,
) -> int:
    """Tell how recordings would be extended; returns the exit status."""
    from audiomask.audio.files import AudioFile
    from audiomask.infill.extension import ExtendedSource
    from audiomask.infill.extension_plan import plan_extension

    check_report(report, jobs, common, resumable=False)
    spectrogram = plan.has_spectrogram(common)
    table = GapTable([job.input.label for job in jobs], str(plan.other))

    def work(job: Job, meter: Meter) -> None:
        with ExitStack() as stack:
            source = stack.enter_context(AudioFile(job.input.source, meter.check))
            seconds = source.frames / source.sample_rate
            report_input(source)
            meter.start(job.input.label, seconds)
            view = ExtendedSource(source, options.extension(source))
            before = view.extension.before
            found = _left(view)
            _warn_of_silence(job.input.label, view)
            if not found:
                other = plan.open_other(stack, meter)
                parts = plan_extension(view, plan.settings, other, spectrogram)
                found = [_told(part, view) for part in parts]
            meter.advance(seconds)
            table.add(job.input.label, source, found, before)
            lines.add(job, source, found, before)

    with GapReport(report, jobs, common, resumable=False) as lines:
        lines.other = str(plan.other)
        status = run_jobs(jobs, common, work, lines.failed)
    table.show()
    return status


def _left(view: "ExtendedSource") -> list[FoundGap]:
    """The seam of a loop that runs on as it is, which is not to be filled; else nothing."""
    from audiomask.infill.extension import runs_on

    if view.extension.loop and not view.extension.after and runs_on(view.source):
        return [FoundGap(view.rooms[0], "loop", _RUNS_ON)]
    return []


def _kind(start: int, view: "ExtendedSource") -> str:
    if view.extension.loop:
        return "loop"
    return "before" if start < view.extension.before else "after"


def _told(part: "Part", view: "ExtendedSource") -> FoundGap:
    """A part of an extension, and how it would be made."""
    choice = part.choice
    return FoundGap(part.gap, _kind(part.gap.start, view))._replace(
        method=str(choice.method), passage=choice.passage, passages=choice.passages
    )


def _log_fillings(
    fillings: "Iterator[Filling]", view: "ExtendedSource", known: list[FoundGap]
) -> "Iterator[Filling]":
    """Yield the fillings; add the place and method of each to ``known``, without its samples."""
    for filling in fillings:
        yield filling
        one = FoundGap(filling.gap, _kind(filling.gap.start, view))
        known.append(one.filled_by(filling))


def _warn_of_silence(label: str, view: "ExtendedSource") -> None:
    from audiomask.infill.extension import is_silent_at

    extension = view.extension
    if extension.after and not extension.loop and is_silent_at(view.source, end=True):
        logger.warning("%s: ends in silence, which --after goes on with: cut it off first", label)
    if extension.before and is_silent_at(view.source, end=False):
        logger.warning("%s: begins with silence, as will what leads in: cut it off first", label)
