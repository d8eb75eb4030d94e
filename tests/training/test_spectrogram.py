"""Spectrogram pictures: pitch upwards, time to the right, level as lightness."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFont

from audiomask.training.spectrogram import (
    ANCHORS,
    LOWEST_TOP_DB,
    draw_sheet,
    mel_decibels,
    mel_place,
    shorten,
    spectrogram_image,
)

RATE = 44_100


def sine(hertz: float, seconds: float = 1.0, rate: int = RATE, level: float = 0.5) -> torch.Tensor:
    return level * torch.sin(2 * math.pi * hertz * torch.arange(round(seconds * rate)) / rate)


def lightness(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("L"), dtype=float)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 96_000])
@pytest.mark.parametrize("hertz", [220, 880, 3_000])
def test_a_tone_is_a_line_at_its_frequency(hertz: float, rate: int) -> None:
    picture = mel_decibels(sine(hertz, rate=rate), rate, 60, 200)
    assert picture.shape == (200, 60)
    rows = picture.argmax(dim=0)
    assert int(rows.max() - rows.min()) <= 2  # to the very ends
    assert 1 - float(rows.float().mean()) / 200 == pytest.approx(mel_place(hertz, rate), abs=0.015)


def test_frequencies_stand_where_the_mel_scale_has_them() -> None:
    assert mel_place(0, RATE) == 0
    assert mel_place(RATE / 2, RATE) == pytest.approx(1)
    mels = 2595 * math.log10(1 + 1000 / 700)
    assert mel_place(1000, RATE) == pytest.approx(mels / (2595 * math.log10(1 + 22050 / 700)))


def test_time_goes_to_the_right() -> None:
    audio = torch.cat([torch.zeros(RATE), sine(440), torch.zeros(2 * RATE)])
    columns = mel_decibels(audio, RATE, 80, 50).amax(dim=0)
    loud = (columns > columns.max() - 20).nonzero().flatten()
    assert int(loud.min()) == pytest.approx(20, abs=1)
    assert int(loud.max()) == pytest.approx(39, abs=1)


def test_levels_are_decibels() -> None:
    loud, soft = (mel_decibels(sine(440, level=level), RATE, 30, 64) for level in (0.5, 0.05))
    assert float(loud.max() - soft.max()) == pytest.approx(20, abs=0.01)


@pytest.mark.parametrize("samples", [1, 2, 100, 4_096, 44_101, 2_000_003])
@pytest.mark.parametrize("size", [(1, 1), (7, 300), (480, 160)])
def test_any_length_fills_any_size(samples: int, size: tuple[int, int]) -> None:
    picture = spectrogram_image(torch.rand(samples) - 0.5, RATE, *size)
    assert picture.size == size
    assert picture.mode == "RGB"
    assert lightness(picture).max() > 200  # its own loudest place is light


def test_a_click_is_seen_however_long_the_passage() -> None:
    audio = torch.zeros(60 * RATE)
    audio[round(41.7 * RATE)] = 1  # in no pixel's middle
    columns = mel_decibels(audio, RATE, 30, 32).amax(dim=0)
    assert int(columns.argmax()) == 20


def test_the_ends_of_a_passage_do_not_click() -> None:
    # cut in the middle of a period, 20 kHz would light up if silence were thought to follow
    picture = mel_decibels(sine(100.3, seconds=0.7321), RATE, 100, 100)
    assert float((picture.max() - picture[:20]).min()) > 50


def test_the_scale_runs_from_black_to_pale() -> None:
    audio = sine(1000)
    top = float(mel_decibels(audio, RATE, 20, 64).max())
    own = np.asarray(spectrogram_image(audio, RATE, 20, 64))
    assert (own == ANCHORS[-1]).all(axis=-1).any()
    assert (own == ANCHORS[0]).all(axis=-1).any()
    below = np.asarray(spectrogram_image(audio, RATE, 20, 64, top_db=top + 70.1, range_db=70))
    assert (below == ANCHORS[0]).all()
    half = np.asarray(spectrogram_image(audio, RATE, 20, 64, top_db=top + 20, range_db=40))
    assert half[lightness(Image.fromarray(half)) > 0].max() <= max(map(max, ANCHORS[:5]))
    greys = lightness(Image.fromarray(np.array([ANCHORS], dtype=np.uint8)))[0]
    assert (np.diff(greys) > 5).all()  # louder is lighter all the way


def test_silence_is_dark() -> None:
    assert (np.asarray(spectrogram_image(torch.zeros(RATE), RATE, 20, 20)) == ANCHORS[0]).all()
    assert mel_decibels(torch.zeros(RATE), RATE, 20, 20).max() < LOWEST_TOP_DB - 70


def test_nothing_has_no_picture() -> None:
    with pytest.raises(ValueError, match=r"\[T\]"):
        mel_decibels(torch.zeros(0), RATE, 20, 20)
    with pytest.raises(ValueError, match=r"\[T\]"):
        spectrogram_image(torch.zeros(2, 100), RATE, 20, 20)


def column(sheet: Image.Image, number: int, of: int, row: int = 0) -> Image.Image:
    """The inside of a cell of a sheet, by where the sheet's own layout puts it."""
    left, top, right, gap, height = 92, 48, 84, 10, 150
    width = (sheet.width - left - right + gap) // of - gap
    x, y = left + number * (width + gap), top + row * (height + gap)
    return sheet.crop((x + 1, y + 1, x + width - 1, y + height - 1))


def test_a_sheet_has_all_on_one_scale(tmp_path: Path) -> None:
    loud, soft, high = sine(300), sine(300, level=0.05), sine(6_000)
    sheet = draw_sheet([[loud, soft, "silent"], [high, "not known", soft]], "abc", RATE)
    sheet.save(tmp_path / "sheet.png")
    sheet = Image.open(tmp_path / "sheet.png")
    assert 1580 <= sheet.width <= 1600
    cells = [[column(sheet, number, 3, row) for number in range(3)] for row in range(2)]
    assert lightness(cells[0][0]).max() > lightness(cells[0][1]).max() + 20
    assert lightness(cells[0][1]).max() == pytest.approx(lightness(cells[1][2]).max(), abs=1)
    rows = [int(lightness(cell).mean(axis=1).argmax()) for cell in (cells[0][0], cells[1][0])]
    assert rows[0] > rows[1] + 60  # low, then high
    for empty in (cells[0][2], cells[1][1]):
        grey = lightness(empty)
        assert np.median(grey) > 230  # paper, not the black of a soft sound
        assert grey.min() < 140  # but with a word on it
    assert not np.array_equal(np.asarray(cells[0][2]), np.asarray(cells[1][1]))


def test_a_sheet_grows_with_its_columns_and_rows() -> None:
    few = draw_sheet([[sine(440, 0.1)] * 2], ["a", "b"], RATE)
    many = draw_sheet([[sine(440, 0.1)] * 20] * 2, ["x" * 99] * 20, RATE)
    assert many.width > 20 * 140 > few.width
    assert many.height == few.height + 160


def test_a_sheet_of_words_alone() -> None:
    sheet = draw_sheet([["silent"]], ["mixture"], RATE)
    assert np.median(lightness(column(sheet, 0, 1))) > 230


def test_long_and_foreign_names_are_written_as_far_as_they_can_be() -> None:
    font = ImageFont.load_default(19)
    assert shorten("guitar", font, 200) == "guitar"
    assert shorten("batería", font, 200) == "bateria"
    assert shorten("ギター", font, 200) == "???"
    short = shorten("a very long name of a stem", font, 100)
    assert short.startswith("a ver")
    assert short.endswith("…")
    assert font.getlength(short) <= 100
