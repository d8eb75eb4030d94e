"""Groups: recordings whose gaps go through the model together, so that a GPU is kept busy."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from audiomask.audio.files import AudioFile
from audiomask.audio.gaps import Gap
from audiomask.cli.gaps import GapChoice
from audiomask.cli.inputs import Input
from audiomask.cli.outputs import Job
from audiomask.cli.progress import Meter
from audiomask.cli.report import ENDS_ALL
from audiomask.errors import AudioFileError, DeviceMemoryError

if TYPE_CHECKING:
    from audiomask.engine import Engine
    from audiomask.inference.infill import Filling
    from audiomask.inference.settings import InfillSettings


@dataclass(frozen=True)
class Recording:
    """An open recording, its gaps and their kinds, and what goes into them, in order."""

    source: AudioFile
    gaps: Mapping[Gap, str]
    fillings: "Iterable[Filling]"


class Groups:
    """The recordings of all jobs, cut into groups as large as the engine takes at once.

    What exists already takes part in its group all the same: numbers computed in another company
    may differ in their last bits, and a run that goes on after a kill shall end with the same
    bytes. Only a group that is asked for is computed. Use it as a context manager.

    Args:
        jobs: all of the run, in order.
        engine: fills the gaps.
        choice: finds them.
        settings: how they are filled.
    """

    def __init__(
        self, jobs: Sequence[Job], engine: "Engine", choice: GapChoice, settings: "InfillSettings"
    ) -> None:
        self._inputs = [job.input for job in jobs]
        self._engine, self._choice, self._settings = engine, choice, settings
        self._size: int = engine.infill_group
        self._files = ExitStack()
        self._members: dict[Input, Recording | Exception] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._files.close()

    @contextmanager
    def recording(self, item: Input, meter: Meter) -> Iterator[Recording]:
        """One input's recording, each once. Those of groups are asked for in order, one at a time;
        without groups any number may be open at once.

        Raises:
            AudiomaskError: it cannot be read, or a gap of it cannot be filled.
        """
        if self._size > 1:
            yield self._take(item, meter)
            return
        with AudioFile(item.source) as source:
            gaps = self._choice.find(source)
            # asked for one by one, fillings are made as they are needed
            yield Recording(source, gaps, self._alone(source, gaps))

    def _alone(self, source: AudioFile, gaps: Mapping[Gap, str]) -> "Iterable[Filling]":
        return self._engine.infill(source, list(gaps), self._settings)

    def _take(self, item: Input, meter: Meter) -> Recording:
        """One input's recording, open until the next group is; its fillings are made."""
        if item not in self._members:
            self._files.close()
            number = self._inputs.index(item) // self._size
            group = self._inputs[number * self._size : (number + 1) * self._size]
            self._members = self._open(group)
            self._fill(meter)
        taken = self._members.pop(item)  # its fillings need not be held any longer
        if isinstance(taken, Exception):
            raise taken
        return taken

    def _open(self, group: Sequence[Input]) -> dict[Input, Recording | Exception]:
        members: dict[Input, Recording | Exception] = {}
        for item in group:
            try:
                source = self._files.enter_context(AudioFile(item.source))
                gaps = self._choice.find(source)
                alone = self._alone(source, gaps)
                if sum(gap.length for gap in gaps) >= source.frames:
                    list(alone)  # says what is wrong with this one; a group would fail as a whole
                members[item] = Recording(source, gaps, alone)
            except Exception as error:
                members[item] = error
        return members

    def _fill(self, meter: Meter) -> None:
        """Fill the gaps of the present group; one whose file is damaged is left out of it."""
        while True:
            able = {i: made for i, made in self._members.items() if isinstance(made, Recording)}
            holed = {item: made for item, made in able.items() if made.gaps}
            if not holed:
                return
            first, *others = holed
            seconds = sum(made.source.frames / made.source.sample_rate for made in holed.values())
            meter.start(f"{first.label} and {len(others)} more", seconds)
            try:
                filled = self._engine.infill_together(
                    [(made.source, list(made.gaps)) for made in holed.values()], self._settings
                )
            except ENDS_ALL:
                raise
            except DeviceMemoryError:
                return  # each is filled alone when its turn comes: not all need be too large
            except Exception as error:
                culprits = [item for item in holed if _is_about(error, item)]
                self._members |= dict.fromkeys(culprits or holed, error)
                continue
            for (item, made), fillings in zip(holed.items(), filled, strict=True):
                self._members[item] = Recording(made.source, made.gaps, fillings)
            return


def _is_about(error: Exception, item: Input) -> bool:
    """Whether a file that cannot be read is that one."""
    return isinstance(error, AudioFileError) and str(error).startswith(f"{item.label}: ")
