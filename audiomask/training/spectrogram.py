"""Spectrogram pictures: one passage of sound as an image, and a labelled sheet of many."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from math import log10

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from audiomask.audio.spectra import mel_magnitudes

#: decibels from the lightest to the darkest colour
RANGE_DB = 70.0
#: how long a window is, at least; the next power of two is taken (4096 at 44.1 kHz)
WINDOW_SECONDS = 0.08
#: the most mel bands that are computed; a higher image interpolates between them
MEL_BANDS = 128
#: magnitudes below this count as this: -160 dB
FLOOR = 1e-8
#: the lightest colour never stands for less: silence stays dark
LOWEST_TOP_DB = -70.0

#: a colour map whose lightness rises steadily, from black over purple and orange to pale yellow
ANCHORS = (
    (0, 0, 4),
    (28, 16, 68),
    (79, 18, 123),
    (129, 37, 129),
    (181, 54, 122),
    (229, 80, 100),
    (251, 135, 97),
    (254, 194, 135),
    (252, 253, 191),
)

# The sheet, in pixels.
_SHEET_WIDTH = 1600
_CELL_HEIGHT, _NARROWEST = 150, 140
_LEFT, _TOP, _RIGHT, _BOTTOM = 92, 48, 84, 58
_GAP = 10
_BAR_WIDTH = 14
_NEEDED_BY_TIME = 42
_KILOHERTZ = (0.5, 1, 2, 4, 8, 16)
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
_PAPER, _EMPTY, _LINE = (255, 255, 255), (245, 245, 248), (205, 205, 214)
_INK, _FAINT = (34, 34, 44), (110, 110, 124)


def mel_decibels(audio: Tensor, sample_rate: int, width: int, height: int) -> Tensor:
    """The mel spectrum of a passage over time, sampled as an image.

    Args:
        audio: [T], full scale at 1; at least one sample.
        sample_rate: samples a second; the highest band ends at half of it.
        width, height: size in pixels; what falls into one pixel is averaged as power.

    Returns:
        [height, width] in decibels, the highest frequency first.
    """
    if audio.dim() != 1 or not len(audio):
        raise ValueError(f"expected [T] with a sample at least, not {tuple(audio.shape)}")
    size = 2 ** (round(WINDOW_SECONDS * sample_rate) - 1).bit_length()
    # a whole number of frames a pixel (but for rounding), close enough that none misses a sample
    pixels = max(1, -(-4 * len(audio) // (width * size)))
    hop = max(1, len(audio) // (width * pixels))
    bands = min(height, MEL_BANDS)
    # mirrored at both ends: a sound that stops in the middle of a window seems to click
    beyond = min(size // 2, len(audio) - 1) // hop
    mirrored = F.pad(audio.detach().float().cpu()[None], (beyond * hop,) * 2, "reflect")[0]
    magnitudes = mel_magnitudes(mirrored, size, hop, bands, sample_rate)
    magnitudes = magnitudes[:, beyond : beyond + -(-len(audio) // hop)]
    power = F.adaptive_avg_pool1d(magnitudes.square(), width)
    decibels = 10 * power.clamp_min(FLOOR**2).log10()
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
    range_db: float = RANGE_DB,
) -> Image.Image:
    """A picture of a passage: time to the right, mel frequency upwards, level as colour.

    Args:
        audio: [T], full scale at 1.
        sample_rate: samples a second.
        width, height: size in pixels.
        top_db: what is drawn in the lightest colour, see :func:`mel_decibels`; by default the
            loudest place of this passage. Give the same one to compare pictures.
        range_db: what lies this far below is drawn in the darkest colour.
    """
    decibels = mel_decibels(audio, sample_rate, width, height)
    return paint(decibels, loudest([decibels]) if top_db is None else top_db, range_db)


def loudest(pictures: Sequence[Tensor]) -> float:
    """The level that the lightest colour stands for when these share a scale."""
    return max([LOWEST_TOP_DB, *(float(decibels.max()) for decibels in pictures)])


def paint(decibels: Tensor, top_db: float, range_db: float = RANGE_DB) -> Image.Image:
    """Levels [height, width] in decibels as colours, from ``top_db`` to ``range_db`` below."""
    place = ((decibels - top_db) / range_db + 1).clamp(0, 1).numpy()
    steps = np.linspace(0, 1, len(ANCHORS))
    colours = [np.interp(place, steps, channel) for channel in zip(*ANCHORS, strict=True)]
    return Image.fromarray(np.stack(colours, axis=-1).round().astype(np.uint8))


def mel_place(hertz: float, sample_rate: int) -> float:
    """How high a frequency stands in a picture: 0 at the lower edge, 1 at the upper."""
    return log10(1 + hertz / 700) / log10(1 + sample_rate / 2 / 700)


def draw_sheet(
    rows: Sequence[Sequence[Tensor | str]], columns: Sequence[str], sample_rate: int
) -> Image.Image:
    """A sheet of spectrograms on one scale, with everything labelled.

    The sheet is 1600 pixels wide, or wider where there are many columns.

    Args:
        rows: for each column the passage [T], or the word to say instead of it. All passages
            are of one length. Rows are numbered from 1.
        columns: the columns' names.
        sample_rate: samples a second.
    """
    count = len(columns)
    room = _SHEET_WIDTH - _LEFT - _RIGHT + _GAP
    width = max(room // count - _GAP, _NARROWEST)
    found = [
        [
            cell if isinstance(cell, str) else mel_decibels(cell, sample_rate, width, _CELL_HEIGHT)
            for cell in row
        ]
        for row in rows
    ]
    passages = [cell for row in rows for cell in row if isinstance(cell, Tensor)]
    top = loudest([cell for row in found for cell in row if isinstance(cell, Tensor)])
    across = [_LEFT + number * (width + _GAP) for number in range(count)]
    down = [_TOP + number * (_CELL_HEIGHT + _GAP) for number in range(len(rows))]
    right, bottom = across[-1] + width, down[-1] + _CELL_HEIGHT

    sheet = Image.new("RGB", (right + _RIGHT, bottom + _BOTTOM), _PAPER)
    draw = ImageDraw.Draw(sheet)
    title, big, small = (ImageFont.load_default(size) for size in (19, 24, 13))
    for x, name in zip(across, columns, strict=True):
        text = shorten(name, title, width)
        draw.text((x + width / 2, _TOP - 14), text, _INK, title, anchor="ms")
    for number, (y, row) in enumerate(zip(down, found, strict=True), start=1):
        draw.text((14, y + _CELL_HEIGHT / 2), str(number), _INK, big, anchor="lm")
        _draw_pitches(draw, _LEFT, y, sample_rate, small)
        for x, cell in zip(across, row, strict=True):
            if isinstance(cell, Tensor):
                sheet.paste(paint(cell, top), (x, y))
                continue
            edges = (x, y, x + width - 1, y + _CELL_HEIGHT - 1)
            draw.rectangle(edges, _EMPTY, _LINE)
            draw.text((x + width / 2, y + _CELL_HEIGHT / 2), cell, _FAINT, title, anchor="mm")
    draw.text((_LEFT - 10, _TOP - 14), "kHz", _FAINT, small, anchor="rs")
    if passages:
        seconds = len(passages[0]) / sample_rate
        for x in across:
            _draw_times(draw, x, bottom, width, seconds, small)
        draw.text(((_LEFT + right) / 2, bottom + 48), "seconds", _FAINT, small, anchor="ms")
    _draw_scale(sheet, right + 20, _TOP, bottom, small)
    return sheet


def shorten(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: float) -> str:
    """A text that is at most ``width`` pixels wide, with its end left out if need be.

    Pillow's own font has hardly more than ASCII: accents go, and other letters become "?".
    """
    letters = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    text = "".join(letters).encode("ascii", "replace").decode()
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text}…"


def _draw_pitches(
    draw: ImageDraw.ImageDraw,
    x: int,
    y: int,
    sample_rate: int,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    """Kilohertz to the left of a row."""
    for kilohertz in _KILOHERTZ:
        place = mel_place(1000 * kilohertz, sample_rate)
        if place < 0.97:
            tick = y + round((1 - place) * _CELL_HEIGHT)
            draw.line((x - 6, tick, x - 2, tick), _FAINT)
            draw.text((x - 10, tick), f"{kilohertz:g}", _FAINT, font, anchor="rm")


def _draw_times(
    draw: ImageDraw.ImageDraw,
    x: int,
    y: int,
    width: int,
    seconds: float,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    """Seconds below a column, as many as there is room for."""
    fits = (step for step in _STEPS if step / seconds * width >= _NEEDED_BY_TIME)
    step = next(fits, seconds)
    for number in range(int(seconds / step + 1e-6) + 1):
        tick = x + min(round(number * step / seconds * width), width - 1)
        draw.line((tick, y + 2, tick, y + 6), _FAINT)
        draw.text((tick, y + 22), f"{number * step:g}", _FAINT, font, anchor="ms")


def _draw_scale(
    sheet: Image.Image,
    x: int,
    top: int,
    bottom: int,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> None:
    """The colours and what they mean, to the right of the rows."""
    draw = ImageDraw.Draw(sheet)
    height = bottom - top
    levels = torch.linspace(0, -RANGE_DB, height)[:, None].expand(height, _BAR_WIDTH)
    sheet.paste(paint(levels, 0.0), (x, top))
    for level in range(0, int(RANGE_DB) + 1, 10):
        tick = top + round(level / RANGE_DB * (height - 1))
        draw.line((x + _BAR_WIDTH + 1, tick, x + _BAR_WIDTH + 5, tick), _FAINT)
        draw.text((x + _BAR_WIDTH + 9, tick), f"{-level}", _FAINT, font, anchor="lm")
    draw.text((x, top - 14), "dB", _FAINT, font, anchor="ls")
