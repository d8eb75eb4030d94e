"""Write a smaller copy of an MLM's checkpoint: its large matrices as 8-bit integers.

    python examples/shrink.py runs/mlm small/

The copy works wherever the checkpoint does. A VQ-VAE is left as it is: with the least change it
would give other tokens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from audiomask.checkpoint import load_checkpoint, save_checkpoint
from audiomask.errors import CheckpointError


def main(
    checkpoint: Annotated[Path, typer.Argument(help="An MLM's checkpoint.")],
    out: Annotated[Path, typer.Argument(help="The folder of the copy.")],
) -> None:
    """Write a smaller copy of an MLM's checkpoint."""
    try:
        found = load_checkpoint(checkpoint, "mlm")
        save_checkpoint(
            out, found.kind, found.preset, found.config, found.tensors, found.notes, eight_bit=True
        )
    except CheckpointError as error:
        typer.echo(f"shrink: error: {error}", err=True)
        raise typer.Exit(1) from error
    sizes = [(folder / "model.safetensors").stat().st_size / 1e6 for folder in (checkpoint, out)]
    typer.echo(f"{sizes[0]:.1f} MB became {sizes[1]:.1f} MB in {out}")


if __name__ == "__main__":
    typer.run(main)
