"""Spectrogram pictures: an image of one passage, and a labeled sheet of many."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

import matplotlib
import numpy as np
import torch.nn.functional as F
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from audiomask.audio.spectra import mel_magnitudes

#: its lightness rises steadily, from black over purple and orange to pale yellow
COLORS = matplotlib.colormaps["magma"]
#: decibels from the lightest to the darkest color
_RANGE_DB = 70.0
#: shortest window; the next power of two of samples is used (4096 at 44.1 kHz)
_WINDOW_SECONDS = 0.08
#: most mel bands computed; higher images interpolate between them
_MEL_BANDS = 128
#: least magnitude: -160 dB
_FLOOR = 1e-8
#: least level of the lightest color, so that silence is dark
LOWEST_TOP_DB = -70.0
#: pixels of a cell of the sheet
_CELL_WIDTH = 240
_KILOHERTZ = (0.5, 1, 2, 4, 8, 16)


def mel_decibels(audio: Tensor, sample_rate: int, width: int, height: int) -> Tensor:
    """The mel spectrum of a passage over time, sampled as an image.

    Args:
        audio: [T], full scale at 1; at least one sample.
        sample_rate: samples a second; the highest band ends at half of it.
        width, height: size in pixels; power is averaged over each pixel.

    Returns:
        [height, width] in decibels, the highest frequency first.
    """
    if audio.dim() != 1 or not len(audio):
        raise ValueError(f"expected [T] with a sample at least, not {tuple(audio.shape)}")
    size = 2 ** (round(_WINDOW_SECONDS * sample_rate) - 1).bit_length()
    # about a whole number of frames a pixel, whose windows overlap
    pixels = max(1, -(-4 * len(audio) // (width * size)))
    hop = max(1, len(audio) // (width * pixels))
    bands = min(height, _MEL_BANDS)
    # mirrored at both ends, as a sound that ends within a window would look like a click
    beyond = min(size // 2, len(audio) - 1) // hop
    mirrored = F.pad(audio.detach().float().cpu()[None], (beyond * hop,) * 2, "reflect")[0]
    magnitudes = mel_magnitudes(mirrored, size, hop, bands, sample_rate)
    magnitudes = magnitudes[:, beyond : beyond + -(-len(audio) // hop)]
    power = F.adaptive_avg_pool1d(magnitudes.square(), width)
    decibels = 10 * power.clamp_min(_FLOOR**2).log10()
    if height != bands:
        decibels = F.interpolate(
            decibels[None, None], size=(height, width), mode="bilinear", align_corners=False
        )[0, 0]
    return decibels.flip(0)


def spectrogram_image(
    audio: Tensor,
    sample_rate: int,
    width: int,
    height: int,
    top_db: float | None = None,
    range_db: float = _RANGE_DB,
) -> NDArray[np.uint8]:
    """A picture [height, width, 3] of a passage: time to the right, mel frequency upwards.

    Args:
        audio: [T], full scale at 1.
        sample_rate: samples a second.
        width, height: size in pixels.
        top_db: level of the lightest color, see :func:`mel_decibels`; by default the highest of
            this passage. Use the same one to compare pictures.
        range_db: decibels from the lightest to the darkest color.
    """
    decibels = mel_decibels(audio, sample_rate, width, height)
    top = _loudest([decibels]) if top_db is None else top_db
    place = ((decibels - top) / range_db + 1).clamp(0, 1).numpy()
    picture: NDArray[np.uint8] = COLORS(place, bytes=True)[..., :3]
    return picture


def _loudest(pictures: Sequence[Tensor]) -> float:
    """The level of the lightest color of pictures [height, width] that share a scale."""
    return max([LOWEST_TOP_DB, *(float(decibels.max()) for decibels in pictures)])


def mel_place(hertz: float, sample_rate: int) -> float:
    """The position of a frequency in a picture: 0 at the lower edge, 1 at the upper."""
    return log10(1 + hertz / 700) / log10(1 + sample_rate / 2 / 700)


def draw_sheet(
    rows: Sequence[Sequence[Tensor | str]], columns: Sequence[str], sample_rate: int
) -> Figure:
    """A sheet of spectrograms on one scale, with labeled axes.

    Args:
        rows: for each column the passage [T], or text to write in its place. All passages have
            the same length. Rows are numbered from 1.
        columns: the columns' names.
        sample_rate: samples a second.
    """
    pictures = [
        [
            cell
            if isinstance(cell, str)
            else mel_decibels(cell, sample_rate, _CELL_WIDTH, _MEL_BANDS)
            for cell in row
        ]
        for row in rows
    ]
    top = _loudest([cell for row in pictures for cell in row if isinstance(cell, Tensor)])
    lengths = [len(cell) for row in rows for cell in row if isinstance(cell, Tensor)]
    seconds = max(lengths, default=0) / sample_rate
    scale = Normalize(top - _RANGE_DB, top)
    inches = (2.4 * len(columns) + 2, 1.6 * len(rows) + 0.8)
    figure = Figure(figsize=inches, dpi=100, layout="constrained")
    axes = figure.subplots(len(rows), len(columns), squeeze=False, sharex=True, sharey=True)
    ticks = [(mel_place(1000 * khz, sample_rate), f"{khz:g}") for khz in _KILOHERTZ]
    for number, (row, line) in enumerate(zip(pictures, axes, strict=True)):
        for name, cell, place in zip(columns, row, line, strict=True):
            if number == 0:
                place.set_title(name if len(name) <= 24 else f"{name[:23]}…", parse_math=False)
            if isinstance(cell, str):
                place.text(0.5, 0.5, cell, transform=place.transAxes, ha="center", color="dimgray")
            else:
                place.imshow(cell.numpy(), COLORS, scale, aspect="auto", extent=(0, seconds, 0, 1))
        line[0].set_yticks(*zip(*((at, text) for at, text in ticks if at < 1), strict=True))
        line[0].set_ylabel(f"{number + 1}", rotation=0, fontsize=16, labelpad=16)
    figure.supxlabel("seconds (upwards: kHz)", fontsize=10)
    figure.colorbar(ScalarMappable(scale, COLORS), ax=axes, label="dB", fraction=0.05)
    return figure
