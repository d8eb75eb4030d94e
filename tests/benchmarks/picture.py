"""Draw spectrograms of recordings in one figure, on one scale, as in the README.

    python tests/benchmarks/picture.py docs/separation.png \
        "the song=examples/song.wav" "found=separated/song/guitar.wav" "played=guitar.flac"

It needs matplotlib, which nothing else here does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import matplotlib.pyplot as plt
import torch
import typer

from audiomask import read_audio
from audiomask.audio.spectra import mel_magnitudes

BANDS, SIZE, HOP = 160, 4096, 512
#: dynamic range below the loudest point of all spectrograms, in dB
RANGE = 70


def main(
    out: Annotated[Path, typer.Argument(help="The PNG to write.")],
    panels: Annotated[list[str], typer.Argument(metavar="TITLE=FILE...")],
) -> None:
    """Draw mel spectrograms of several recordings."""
    titles, spectra = [], []
    for panel in panels:
        title, _, file = panel.partition("=")
        audio, rate = read_audio(file)
        power = mel_magnitudes(audio, SIZE, HOP, BANDS, rate).square().mean(dim=0)
        titles.append(title)
        spectra.append((10 * torch.log10(power + 1e-12), audio.shape[1] / rate))
    top = max(float(levels.max()) for levels, _ in spectra)
    figure, axes = plt.subplots(len(spectra), 1, sharex=True, figsize=(9, 2 * len(spectra)))
    for axis, title, (levels, seconds) in zip(
        [axes] if len(spectra) == 1 else list(axes), titles, spectra, strict=True
    ):
        axis.imshow(
            levels.numpy(),
            origin="lower",
            aspect="auto",
            extent=(0, seconds, 0, BANDS),
            vmin=top - RANGE,
            vmax=top,
            cmap="magma",
        )
        axis.set_yticks([])
        axis.set_title(title, loc="left", fontsize=10)
    axis.set_xlabel("seconds")
    figure.tight_layout()
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    typer.run(main)
