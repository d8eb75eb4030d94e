"""What the commands on audio share: the sample type, and words on damaged samples."""

import logging
from typing import TYPE_CHECKING

from audiomask.cli.inputs import Location
from audiomask.errors import UsageError

if TYPE_CHECKING:
    from audiomask.audio.files import AudioFile

SUBTYPES = (
    *("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"),
    *("VORBIS", "OPUS", "MPEG_LAYER_III"),
)

logger = logging.getLogger(__name__)


def subtype_name(name: str | None) -> str | None:
    """The subtype as the audio room names it; raises UsageError for an unknown one."""
    if name is None:
        return None
    if name.upper() not in SUBTYPES:
        raise UsageError(f"unknown --subtype '{name}': choose one of {', '.join(SUBTYPES)}")
    return name.upper()


def report_input(source: "AudioFile") -> None:
    """Tell what there is to know about how an input is read, and warn of what is wrong with it."""
    for note in source.notes:
        logger.info("%s: %s", source.name, note)
    for warning in source.warnings:
        logger.warning("%s: %s", source.name, warning)


def report_nonfinite(source: "AudioFile") -> None:
    """Warn when the input held samples that are no numbers; they were read as silence."""
    if source.nonfinite:
        logger.warning("%s: holds samples that are not finite numbers, read as 0", source.name)


def report_clipping(place: Location, clipped: int) -> None:
    """Warn when samples were beyond what the output's subtype can hold."""
    if clipped:
        name = "standard output" if place == "-" else str(place)
        logger.warning(
            "%s: %d %s clipped; a FLOAT subtype keeps them",
            name,
            clipped,
            "sample was" if clipped == 1 else "samples were",
        )
