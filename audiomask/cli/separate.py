"""``audiomask separate``: the stems of a song."""

import logging
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from audiomask.audio.names import is_audio
from audiomask.cli.console import Meter
from audiomask.cli.inputs import Input, Inputs, collect_inputs, named_path, output_folder
from audiomask.cli.job_report import check_report
from audiomask.cli.jobs import run_jobs
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job, check_outputs, to_stdout
from audiomask.cli.paths import local_path
from audiomask.cli.sample_format import (
    Bitrate,
    bits_a_second,
    report_clipping,
    report_input,
    report_lost,
    report_nonfinite,
    subtype_name,
)
from audiomask.cli.template import DEFAULT_TEMPLATE, fill_template
from audiomask.errors import UsageError
from audiomask.separation.settings import Quality, SeparationMethod

_RESIDUAL = "residual"

logger = logging.getLogger(__name__)
#: the suffix of a file format, unlike the ends of 'take 1.2' and '{track}.{stem}'
_ENDING = re.compile(r"\.[a-z][a-z0-9]*")


class _AudioFormat(StrEnum):
    """File formats of stems."""

    wav = "wav"
    flac = "flac"
    mp3 = "mp3"
    ogg = "ogg"


def separate(
    common: Common,
    inputs: Annotated[
        list[str], typer.Argument(metavar="IN", help="Audio files, folders, or '-'.")
    ],
    stem: Annotated[
        list[str] | None,
        typer.Option("--stem", metavar="NAME", help="A stem, or 'all' (default); repeatable."),
    ] = None,
    residual: Annotated[
        bool, typer.Option("--residual", help="Also write the rest, without these stems.")
    ] = False,
    method: Annotated[
        SeparationMethod,
        typer.Option(
            "--method",
            help="Mask the recording's spectrum by the mask U-Net (mask) or by the stems' "
            "predicted tokens (wiener), or decode these tokens alone.",
        ),
    ] = SeparationMethod.mask,
    quality: Annotated[
        Quality,
        typer.Option(
            "--quality",
            help="Of the masks; best averages four passes, at about four times the cost.",
        ),
    ] = Quality.normal,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Write JSON lines: which stems play in every second, with confidence and level.",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            help="Write where one song's stems play, as Audacity labels.",
        ),
    ] = None,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="DIR", help="Folder, or '-' for one stem.")
    ] = "separated",
    template: Annotated[
        str, typer.Option("--template", help="Names below the folder.")
    ] = DEFAULT_TEMPLATE,
    format: Annotated[
        _AudioFormat | None, typer.Option("--format", help="Default: by the template, or wav.")
    ] = None,
    subtype: Annotated[
        str | None,
        typer.Option("--subtype", metavar="NAME", help="PCM_16, PCM_24, FLOAT ..."),
    ] = None,
    bitrate: Bitrate = None,
) -> int:
    """Separate a song into its instruments.

    song.wav becomes separated/song/guitar.wav and so on. For the song without its guitar, add
    --stem guitar --residual, which also writes separated/song/residual.wav.
    """
    wanted = subtype_name(subtype)
    ext = _choose_format(format, template).value
    coded = bits_a_second(bitrate, {ext})
    output = local_path(output)
    _check_folder(output, inputs)
    found = collect_inputs(inputs, is_audio, output_folder(output))
    _check_options(method, quality, report, labels, found)
    if stem and "all" not in stem:
        # wrong usage is reported before torch is loaded, except for stems, which the model decides
        check_outputs(_plan(found, [*stem, *[_RESIDUAL] * residual], output, template, ext), common)

    from audiomask.audio.files import AudioFile
    from audiomask.audio.formats import default_subtype
    from audiomask.audio.metadata.reading import read_metadata
    from audiomask.audio.metadata.stems import for_stem
    from audiomask.audio.writer import AudioWriter
    from audiomask.cli.stem_report import StemReport, save_stem_labels

    engine = common.open_engine()
    stems = _choose_stems(stem or ["all"], engine.stems(method))
    jobs = _plan(found, [*stems, *[_RESIDUAL] * residual], output, template, ext)
    check_outputs(jobs, common)
    check_report(report, jobs, common)
    check_report(labels, jobs, common, resumable=False, option="--labels")

    def work(job: Job, meter: Meter) -> None:
        with ExitStack() as stack:
            source = stack.enter_context(AudioFile(job.input.source))
            rate = source.sample_rate
            report_input(source)
            meter.start(job.input.label, source.frames / rate)
            kept = wanted or default_subtype(source.subtype, ext)
            metadata = read_metadata(source)
            writers = {
                name: stack.enter_context(
                    AudioWriter(
                        place,
                        rate,
                        source.channels,
                        kept,
                        format=ext,
                        overwrite=common.overwrite,
                        frames=source.frames,
                        metadata=for_stem(metadata, name, job.input.relative.stem),
                        bitrate=coded,
                    )
                )
                for name, place in job.outputs.items()
            }
            with_residual = _RESIDUAL in writers
            # the residual is without all requested stems, also those that exist and are skipped
            names = stems if with_residual else list(writers)
            log = engine.activity_log() if method is SeparationMethod.mask else None
            for blocks in engine.separate(
                source,
                names,
                with_residual,
                kept,
                method=method.value,
                quality=quality.value,
                log=log,
            ):
                for name, writer in writers.items():
                    writer.write(blocks[name])
                meter.advance(next(iter(blocks.values())).shape[-1] / rate)
            if log is not None:
                seconds = [
                    second for second in log.seconds(source.frames / rate) if second.stem in names
                ]
                if labels is not None:
                    save_stem_labels(labels, seconds)
                lines.add(job, seconds)
        report_nonfinite(source)
        report_lost(job.input.label, metadata.lost)
        for name, place in job.outputs.items():
            report_lost(place, writers[name].lost)
            report_clipping(place, writers[name].clipped)
        if log is not None:
            _report_absent(job.input.label, log.found(source.frames / rate), names)

    with StemReport(report, jobs, common) as lines:
        return run_jobs(jobs, common, work, lines.failed)


def _report_absent(label: str, found: Mapping[str, bool], requested: Sequence[str]) -> None:
    """Log which requested stems a song does not have."""
    absent = [stem for stem in requested if not found.get(stem, True)]
    if absent:
        logger.info("%s: %s: not found in this song", label, ", ".join(absent))


def _check_options(
    method: SeparationMethod,
    quality: Quality,
    report: Path | None,
    labels: Path | None,
    inputs: Inputs,
) -> None:
    """Raise UsageError for incompatible options."""
    if method is not SeparationMethod.mask:
        if quality is not Quality.normal:
            raise UsageError(f"--quality applies to masks only: remove --method {method.value}")
        if report is not None or labels is not None:
            name = "--labels" if report is None else "--report"
            raise UsageError(f"{name} needs the masks' activity: remove --method {method.value}")
    if labels is not None and inputs.several:
        raise UsageError("--labels takes one song: use --report for several")


def _choose_format(requested: _AudioFormat | None, template: str) -> _AudioFormat:
    """The requested format, else that of a template such as '{track}-{stem}.flac', else WAV.

    Raises:
        UsageError: the template has the suffix of another format.
    """
    suffix = Path(template).suffix.lower()
    ending = suffix[1:]
    named = _AudioFormat(ending) if ending in _AudioFormat.__members__ else _AudioFormat.wav
    chosen = requested or named
    if _ENDING.fullmatch(suffix) and ending != chosen.value:
        known = ", ".join(_AudioFormat.__members__)
        raise UsageError(
            f"--template '{template}' names {suffix} files, but the format is {chosen.value}: "
            f"end it with .{{ext}} and choose --format from {known}"
        )
    return chosen


def _check_folder(output: str, inputs: Sequence[str]) -> None:
    """Raise UsageError if ``-o`` is no folder, or is one of the inputs."""
    folder = Path(output)
    if not output:
        raise UsageError("-o is empty: name a folder")
    if output == "-":
        return
    if folder.is_dir():
        # stems have the suffixes of songs
        if any(place.is_dir() and folder.samefile(place) for place in map(named_path, inputs)):
            raise UsageError(
                f"-o {output}: the next run would separate these stems; choose another folder"
            )
        return
    if folder.exists() or folder.suffix.lower().lstrip(".") in _AudioFormat.__members__:
        raise UsageError(f"-o {output}: -o is the folder of the stems; --template names the files")


def _choose_stems(requested: Sequence[str], known: Sequence[str]) -> list[str]:
    """The requested stems, each once.

    Raises:
        UsageError: the model does not separate one.
    """
    for name in requested:
        if name not in (*known, "all"):
            raise UsageError(
                f"unknown stem '{name}': choose from {', '.join(known)}, or all; "
                "--residual writes the rest"
            )
    return list(known) if "all" in requested else list(dict.fromkeys(requested))


def _plan(inputs: Inputs, names: Sequence[str], output: str, template: str, ext: str) -> list[Job]:
    """The jobs, with an output for each stem of each input.

    Raises:
        UsageError: standard output would have to hold several stems.
    """
    names = list(dict.fromkeys(names))
    if output == "-":
        if inputs.several or len(names) > 1:
            raise UsageError("standard output ('-o -') takes one stem of one file: use --stem NAME")
        return [Job(item, {names[0]: to_stdout()}) for item in inputs.items]
    return [
        Job(item, {name: _stem_path(item, name, output, template, ext) for name in names})
        for item in inputs.items
    ]


def _stem_path(item: Input, stem: str, output: str, template: str, ext: str) -> Path:
    """The file of one stem of one input."""
    name = fill_template(template, item.relative.stem, stem, ext)
    return Path(output) / item.relative.parent / name
