"""What ``separate`` writes for every song, where, and in which format."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from audiomask.cli.addresses import address_of
from audiomask.cli.inputs import Input, Inputs, Location, named_path
from audiomask.cli.outputs import Job, to_stdout
from audiomask.cli.page_file import PAGE, sounds
from audiomask.cli.template import DEFAULT_TEMPLATE, MINUS_TEMPLATE, fill_template
from audiomask.errors import UsageError
from audiomask.separation.stems import RESIDUAL

#: the suffix of a file format, unlike the ends of 'take 1.2' and '{track}.{stem}'
_ENDING = re.compile(r"\.[a-z][a-z0-9]*")


class AudioFormat(StrEnum):
    """File formats of stems."""

    wav = "wav"
    flac = "flac"
    mp3 = "mp3"
    ogg = "ogg"
    opus = "opus"
    m4a = "m4a"


@dataclass(frozen=True)
class StemPlan:
    """The outputs of every song.

    Attributes:
        stems: the stems to write.
        residual: whether to write the song without these.
        minus: the stems that the song is to be written without; empty for no such output.
        output: the folder, or "-" for standard output.
        template: of the names below the folder; None for the usual ones.
        format: of all files. None for the template's, else WAV; and for the song without some
            stems its own, where that can be written.
        subtype: the requested one, if any.
        page: whether to write a page to listen to as well.

    Raises:
        UsageError: the template has the suffix of another format.
    """

    stems: tuple[str, ...]
    residual: bool
    minus: tuple[str, ...]
    output: str
    template: str | None
    format: AudioFormat | None
    subtype: str | None
    page: bool = False

    def __post_init__(self) -> None:
        suffix = self._suffix
        if _ENDING.fullmatch(suffix) and suffix[1:] != self._usual:
            known = ", ".join(AudioFormat.__members__)
            raise UsageError(
                f"--template '{self.template}' names {suffix} files, but the format is "
                f"{self._usual}: end it with .{{ext}} and choose --format from {known}"
            )

    @property
    def _suffix(self) -> str:
        """The suffix that the template ends with, in lower case."""
        return Path(self.template or DEFAULT_TEMPLATE).suffix.lower()

    @property
    def _usual(self) -> str:
        """The ending of stems."""
        named = self._suffix[1:] if self._suffix[1:] in AudioFormat.__members__ else "wav"
        return self.format.value if self.format is not None else named

    @property
    def without(self) -> str:
        """The name of the song without some stems: ``no guitar, vocals``; ``""`` if not wanted."""
        return f"no {', '.join(self.minus)}" if self.minus else ""

    @property
    def separated(self) -> tuple[str, ...]:
        """The stems that have to be separated, each once."""
        return tuple(dict.fromkeys([*self.stems, *self.minus]))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the recordings to write."""
        names = [*self.stems, *[RESIDUAL] * self.residual, *[self.without] * bool(self.minus)]
        return tuple(dict.fromkeys(names))

    def ending(self, item: Input, name: str) -> str:
        """The ending of one output of a song, without a dot."""
        own = item.relative.suffix[1:].lower()
        kept = (
            name == self.without
            and self.format is None
            and self.subtype is None
            and self.output != "-"
            and self._usual == "wav"
            and not _ENDING.fullmatch(self._suffix)
        )
        return own if kept and own in AudioFormat.__members__ else self._usual

    def endings(self, jobs: Sequence[Job]) -> set[str]:
        """The endings of all outputs."""
        return {self.ending(job.input, name) for job in jobs for name in sounds(job)}

    def jobs(self, inputs: Inputs) -> list[Job]:
        """The jobs, with all outputs of every song.

        Raises:
            UsageError: standard output would have to hold several.
        """
        if self.output == "-":
            if inputs.several or len(self.names) > 1:
                raise UsageError(
                    "standard output ('-o -') takes one stem of one file: use --stem NAME"
                )
            return [Job(item, {self.names[0]: to_stdout()}) for item in inputs.items]
        return [Job(item, self._places(item)) for item in inputs.items]

    def _places(self, item: Input) -> dict[str, Location]:
        """Where each output of a song goes."""
        places: dict[str, Location] = {name: self.place(item, name) for name in self.names}
        return places | ({PAGE: self.page_place(item)} if self.page else {})

    def page_place(self, item: Input) -> Path:
        """Where the page of a song goes: beside its stems, ``index.html``."""
        named = fill_template(
            self.template or DEFAULT_TEMPLATE, item.relative.stem, "index", "html"
        )
        return Path(self.output) / item.relative.parent / named.with_suffix(".html")

    def place(self, item: Input, name: str) -> Path:
        """Where an output of a song goes."""
        usual = MINUS_TEMPLATE if name == self.without else DEFAULT_TEMPLATE
        template = self.template or usual
        filled = fill_template(template, item.relative.stem, name, self.ending(item, name))
        return Path(self.output) / item.relative.parent / filled

    def removed(self, name: str) -> tuple[str, ...]:
        """The stems that the residual or the song without some stems lacks."""
        return self.minus if name == self.without else self.stems


def check_folder(output: str, inputs: Sequence[str]) -> None:
    """Raise UsageError if ``-o`` is no folder, or is one of the inputs."""
    folder = Path(output)
    if not output:
        raise UsageError("-o is empty: name a folder")
    if output == "-":
        return
    if address_of(folder) is not None:
        if folder in map(named_path, inputs):
            raise UsageError(
                f"-o {output}: the next run would separate these stems; choose another folder"
            )
        return
    if folder.is_dir():
        # stems have the suffixes of songs
        if any(place.is_dir() and folder.samefile(place) for place in map(named_path, inputs)):
            raise UsageError(
                f"-o {output}: the next run would separate these stems; choose another folder"
            )
        return
    if folder.exists() or folder.suffix.lower().lstrip(".") in AudioFormat.__members__:
        raise UsageError(f"-o {output}: -o is the folder of the stems; --template names the files")


def choose_stems(requested: Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The requested stems, each once; ``all`` stands for all.

    Raises:
        UsageError: the model does not separate one.
    """
    for name in requested:
        if name not in (*known, "all"):
            raise UsageError(
                f"unknown stem '{name}': choose from {', '.join(known)}, or all; "
                "--residual writes the rest"
            )
    return tuple(known) if "all" in requested else tuple(dict.fromkeys(requested))
