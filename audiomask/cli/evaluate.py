"""``audiomask evaluate``: measure a checkpoint on data that it was not trained on."""

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from audiomask.cli.console import Meter
from audiomask.cli.inputs import Input
from audiomask.cli.jobs import run_jobs
from audiomask.cli.options import Common, takes
from audiomask.cli.outputs import Job as Task
from audiomask.cli.outputs import check_outputs
from audiomask.cli.page_file import PAGE
from audiomask.errors import UsageError
from audiomask.evaluation.options import EvaluateOptions, jobs

logger = logging.getLogger(__name__)


@takes(EvaluateOptions)
def evaluate(
    common: Common,
    asked: dict[str, Any],
    job: Annotated[str, typer.Argument(metavar="|".join(jobs()), help="What to measure.")],
    json: Annotated[
        bool, typer.Option("--json", help="Everything measured as JSON, not as tables.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder of --page (default: evaluated/JOB)."
        ),
    ] = None,
) -> int:
    """Measure a checkpoint on data that it was not trained on.

    --data takes every layout that 'audiomask train' takes; from single notes bands are arranged.
    Baselines stand beside every figure. Tables, or with --json one object, go to stdout; --page
    writes them into evaluated/JOB/index.html, with examples to listen to.
    """
    if job not in jobs():
        raise UsageError(f"no '{job}' to measure (there are: {', '.join(jobs())})")
    options = EvaluateOptions(job, **asked, quiet=common.quiet)
    options.check()
    place = _page_place(job, output, common)

    from audiomask.evaluation.report import as_json
    from audiomask.evaluation.run import Evaluation

    evaluation = Evaluation(options, common.open_engine())
    songs = {song.place: song for song in evaluation.refs}

    def work(task: Task, meter: Meter) -> None:
        song = songs[Path(task.input.source)]
        meter.start(song.name, song.seconds)
        reason = evaluation.measure(song)
        if reason is not None:
            meter.note(f"{song.name}: left out: {reason}")
        meter.advance(song.seconds)

    tasks = [Task(Input(place, Path(song.name))) for place, song in songs.items()]
    with ExitStack() as stack:
        page = None
        if place is not None:
            from audiomask.cli.evaluation_page import EvaluationPage  # which loads what draws

            page = stack.enter_context(EvaluationPage(place, common.overwrite))
            evaluation.evaluator.hear = page.add
        status = run_jobs(tasks, common, work)
        report = evaluation.report()
        if page is not None:
            page.finish(report)
            logger.info("%s", place)
    if json:
        typer.echo(as_json(report.data))
    else:
        report.show()
    return status


def _page_place(job: str, output: Path | None, common: Common) -> Path | None:
    """Where the page goes; None for no page.

    Raises:
        UsageError: a page is there already, or only its folder was given.
    """
    if not common.page:
        if output is not None:
            raise UsageError("-o is the folder of --page: add --page")
        return None
    place = (output or Path("evaluated", job)) / "index.html"
    check_outputs([Task(Input("-", Path(job)), {PAGE: place})], common)
    return place
