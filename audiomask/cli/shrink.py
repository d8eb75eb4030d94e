"""``audiomask shrink``: copies of checkpoints with 8-bit matrices."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from audiomask.cli.options import Common
from audiomask.errors import UsageError

logger = logging.getLogger(__name__)


def shrink(
    common: Common,
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="A checkpoint, or a folder with vqvae and mlm."),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="Folder of the smaller copy.")
    ],
) -> int:
    """Write a copy of checkpoints with 8-bit matrices, half as large.

    The copy is a --model like the original. Tokens of the original VQ-VAE do not fit the copy.
    """
    model, output = model.expanduser(), output.expanduser()
    if output.exists() and model.exists() and output.samefile(model):
        raise UsageError(f"-o {output}: is the original; name another folder")
    if not common.overwrite and any(output.glob("**/config.json")):
        raise UsageError(f"{output}: holds a checkpoint: add --overwrite, or choose another -o")

    from audiomask.checkpoint.shrink import shrink as write_copies

    for copy in write_copies(model, output):
        logger.info("%s: %.1f MB, was %.1f MB", copy.folder, copy.after / 1e6, copy.before / 1e6)
    return 0
