"""How the gaps of ``infill`` are filled, and ``--dry-run``, which only tells it."""

import os
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from audiomask.cli.console import Meter
from audiomask.cli.gap_report import GapReport, save_labels
from audiomask.cli.gaps import FoundGap, GapOptions, GapTable, Seek
from audiomask.cli.inputs import Input
from audiomask.cli.job_report import check_report
from audiomask.cli.jobs import run_jobs
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job
from audiomask.cli.sample_format import report_input
from audiomask.errors import CheckpointError, UsageError
from audiomask.infill.settings import BY_STEM, InfillMethod, InfillSettings

if TYPE_CHECKING:
    from audiomask.audio.files import AudioFile
    from audiomask.infill.choice import Choice


class FillPlan(NamedTuple):
    """Which gaps are filled, and plan.

    Attributes:
        options: that give the gaps.
        settings: how they are filled.
        other: another recording that passages may come from.
        wave: folder of the raw-audio model that finds surprises; that of ``--model`` when None.
    """

    options: GapOptions
    settings: InfillSettings
    other: Path | None
    wave: Path | None = None

    def check(self, inputs: Sequence[Input]) -> None:
        """Raise UsageError for options that the method does not use, or another recording amiss."""
        settings, other = self.settings, self.other
        draws = settings.method == InfillMethod.wave
        if self.wave is not None and not (self.options.seeks_surprises or draws):
            raise UsageError("--wave is for --detect-kind surprise and --method wave: add one")
        if settings.candidates > 1 and settings.temperature == 0 and not settings.seeks_passages:
            raise UsageError(
                "--candidates chooses from drawn fillings: add a --temperature above 0"
            )
        for option, given in (("--from", other is not None), ("--choice", settings.choice > 1)):
            if given and not settings.seeks_passages:
                raise UsageError(
                    f"{option} is about passages, and --method {settings.method} uses none: "
                    "add --method passage"
                )
        if other is None:
            return
        if settings.by_stem:
            raise UsageError(
                f"--from {other}: --by-stem takes passages of the recording's own stems"
            )
        if not other.is_file():
            raise UsageError(f"--from {other}: there is no such file")
        same = os.path.realpath(other)
        if any(one.source != "-" and os.path.realpath(one.source) == same for one in inputs):
            raise UsageError(f"--from {other}: it is an input, whose own passages are taken anyway")

    def open_seek(self, common: Common) -> "Seek | None":
        """What finds surprises, if they are looked for.

        Raises:
            CheckpointError: there is no raw-audio model, or it is the paper's.
        """
        if not self.options.seeks_surprises:
            return None
        from audiomask.infill.opening import sample_model

        engine = replace(common, model=self.wave or common.model).open_engine()
        sample_model(engine, "--detect-kind surprise")
        return engine.find_surprises

    @staticmethod
    def has_spectrogram(common: Common) -> bool:
        """Whether there is a spectrogram model. A dry run needs none, nor any other model."""
        from audiomask.checkpoint import CheckpointLibrary, bundled_folder

        with suppress(CheckpointError):
            return "spectrogram" in CheckpointLibrary(common.model or bundled_folder()).kinds
        return False

    def open_other(self, stack: ExitStack, meter: Meter) -> "AudioFile | None":
        """The other recording, open as long as the stack."""
        from audiomask.audio.files import AudioFile

        if self.other is None:
            return None
        return stack.enter_context(AudioFile(self.other, meter.check))


def show_gaps(
    jobs: Sequence[Job],
    common: Common,
    plan: FillPlan,
    report: Path | None,
    labels: Path | None,
) -> int:
    """Tell where gaps are and how they would be filled; returns the exit status."""
    from audiomask.audio.files import AudioFile
    from audiomask.infill.choice import MethodChooser

    if labels is not None and len(jobs) > 1:
        raise UsageError(f"--labels {labels}: a label track is about one recording: name one")
    check_report(report, jobs, common, resumable=False)
    check_report(labels, jobs, common, resumable=False, option="--labels")
    seek = plan.open_seek(common)
    spectrogram = plan.has_spectrogram(common)
    table = GapTable([job.input.label for job in jobs], str(plan.other))

    def work(job: Job, meter: Meter) -> None:
        with ExitStack() as stack:
            source = stack.enter_context(AudioFile(job.input.source, meter.check))
            seconds = source.frames / source.sample_rate
            report_input(source)
            meter.start(job.input.label, seconds)
            found = plan.options.find(source, seek)
            other = plan.open_other(stack, meter)
            gaps = [one.gap for one in found if not one.left]
            chooser = MethodChooser(source, gaps, plan.settings, other, spectrogram)
            found = [
                one if one.left else _told(one, chooser.choose(one.gap), plan.settings)
                for one in found
            ]
            meter.advance(seconds)
            table.add(job.input.label, source, found)
            if labels is not None:
                save_labels(labels, source, found)
            lines.add(job, source, found)

    with GapReport(report, jobs, common, resumable=False) as lines:
        lines.other = str(plan.other)
        status = run_jobs(jobs, common, work, lines.failed)
    table.show()
    return status


def _told(found: FoundGap, choice: "Choice", settings: InfillSettings) -> FoundGap:
    """A gap with how it would be filled; which stems play is not known before they are made."""
    if choice.goes_by_stem(settings):
        return found._replace(method=BY_STEM)
    return found._replace(
        method=str(choice.method), passage=choice.passage, passages=choice.passages
    )
