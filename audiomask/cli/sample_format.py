"""Sample formats and bitrates of outputs, and messages about inputs and damaged samples."""

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated

import typer

from audiomask.cli.inputs import Location
from audiomask.errors import UsageError

if TYPE_CHECKING:
    from audiomask.audio.files import AudioFile

_SUBTYPES = (
    *("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"),
    *("VORBIS", "OPUS", "MPEG_LAYER_III", "AAC"),
)

_LOSSY_ENDINGS = ("mp3", "ogg", "oga", "opus", "m4a")

Bitrate = Annotated[
    str | None,
    typer.Option("--bitrate", metavar="RATE", help="Of lossy formats, such as 192k or 320."),
]

logger = logging.getLogger(__name__)


def bits_a_second(bitrate: str | None, endings: Collection[str]) -> int | None:
    """The bitrate in bits a second; raises UsageError if it is invalid, or a format is lossless."""
    if bitrate is None:
        return None
    from audiomask.audio.bitrate import parse_bitrate

    for ending in endings:
        if ending.lower() not in _LOSSY_ENDINGS:
            raise UsageError(
                f"--bitrate is for {', '.join(_LOSSY_ENDINGS)}: {ending} loses nothing"
            )
    return parse_bitrate(bitrate)


def subtype_name(name: str | None) -> str | None:
    """A subtype's name as libsndfile has it; raises UsageError for an unknown one."""
    if name is None:
        return None
    if name.upper() not in _SUBTYPES:
        raise UsageError(f"unknown --subtype '{name}': choose one of {', '.join(_SUBTYPES)}")
    return name.upper()


def report_input(source: "AudioFile") -> None:
    """Log how an input is read, and warnings about it."""
    for note in source.notes:
        logger.info("%s: %s", source.name, note)
    for warning in source.warnings:
        logger.warning("%s: %s", source.name, warning)


def report_nonfinite(source: "AudioFile") -> None:
    """Warn about samples of an input that are NaN or infinite; they are read as 0."""
    if source.nonfinite:
        logger.warning("%s: holds samples that are not finite numbers, read as 0", source.name)


def report_lost(place: Location | str, lost: str) -> None:
    """Warn about metadata of a recording that could not be read or kept."""
    if lost:
        name = "standard output" if place == "-" else str(place)
        logger.warning("%s: %s", name, lost)


def report_clipping(place: Location, clipped: int) -> None:
    """Warn about samples beyond the range of the output's subtype."""
    if clipped:
        name = "standard output" if place == "-" else str(place)
        logger.warning(
            "%s: %d %s clipped; a FLOAT subtype keeps them",
            name,
            clipped,
            "sample was" if clipped == 1 else "samples were",
        )
