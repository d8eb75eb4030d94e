"""``--page`` of several files: a page with a row for each, which leads to their pages."""

import os
from collections.abc import Sequence
from pathlib import Path

from audiomask.cli.inputs import Inputs, named_path
from audiomask.cli.options import Common
from audiomask.cli.outputs import Job
from audiomask.cli.page_file import PAGE, address
from audiomask.errors import UsageError

_NAME = "index.html"
#: what a list of pages tells about itself, by which a later run knows it
_OWN = {"list": "of pages"}


class PageIndex:
    """The list of the pages of a run.

    It is made of the pages that are there when the run ends, also of those that earlier runs or
    others beside it have made.

    Args:
        command: whose pages they are.
        inputs: of the run; a single file has no list.
        output: the folder of the outputs; None where they go beside the inputs.
        jobs: of the run.
        common: the shared options.

    Raises:
        UsageError: a file of its name is there and may not be replaced, or it has no folder.
    """

    def __init__(
        self,
        command: str,
        inputs: Inputs,
        output: str | None,
        jobs: Sequence[Job],
        common: Common,
    ) -> None:
        self._command, self._jobs = command, [job for job in jobs if PAGE in job.outputs]
        self._path: Path | None = None
        if not (common.page and inputs.several and self._jobs):
            return
        pages = [Path(job.outputs[PAGE]) for job in self._jobs]
        if output is not None:
            folder = named_path(output)
        else:
            folder = Path(os.path.commonpath([os.path.abspath(page.parent) for page in pages]))
            if folder == folder.parent:
                raise UsageError("the files share no folder for their list: name one with -o")
        self._path = folder / _NAME
        self._check(common)

    def _check(self, common: Common) -> None:
        from audiomask.page.document import read_about

        path = self._path
        assert path is not None
        real = os.path.realpath(path)
        for job in self._jobs:
            if real in {os.path.realpath(place) for place in job.outputs.values()}:
                raise UsageError(
                    f"the list of pages and a result of {job.input.label} would both be written to "
                    f"{path}: choose another --template"
                )
        if not os.path.lexists(path) or common.overwrite:
            return
        if not common.skip_existing:
            raise UsageError(f"{path} exists: add --overwrite or --skip-existing, or choose -o")
        if read_about(path) != _OWN:
            raise UsageError(
                f"{path} is no list of pages: add --overwrite to replace it, or choose -o"
            )

    def write(self) -> None:
        """Write the list, if there is to be one.

        Raises:
            AudioFileError: it cannot be written.
        """
        if self._path is None:
            return
        from audiomask.page.document import read_about, write_page
        from audiomask.page.parts import Link, Table

        told = [read_about(Path(job.outputs[PAGE])) for job in self._jobs]
        headings = list(dict.fromkeys(name for about in told for name in about or {}))
        rows: list[list[str | Link]] = []
        for job, about in zip(self._jobs, told, strict=True):
            name = job.input.relative.as_posix()
            if about is None:
                rows.append([name, "not done", *[""] * (len(headings) - 1)])
            else:
                link = Link(name, address(Path(job.outputs[PAGE]), self._path))
                rows.append([link, *(about.get(heading, "") for heading in headings)])
        done = sum(about is not None for about in told)
        write_page(
            self._path,
            f"audiomask {self._command}",
            [Table("Files", ["file", *(headings or ["state"])], rows)],
            [f"{done} of {len(told)} files done. Each has a page to listen to."],
            overwrite=True,
            about=_OWN,
        )
