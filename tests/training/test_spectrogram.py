"""Spectrogram pictures: pitch upwards, time to the right, level as lightness."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from signals import tone

from audiomask.training.spectrogram import (
    COLORS,
    LOWEST_TOP_DB,
    draw_sheet,
    mel_decibels,
    mel_place,
    spectrogram_image,
)

RATE = 44_100


def sine(hertz: float, seconds: float = 1.0, rate: int = RATE, level: float = 0.5) -> torch.Tensor:
    return level * tone(hertz, round(seconds * rate), rate)


#: the darkest colour and the lightest
DARK, LIGHT = (COLORS(end, bytes=True)[:3] for end in (0.0, 1.0))


def lightness(picture: np.ndarray) -> np.ndarray:
    return picture @ np.array([0.299, 0.587, 0.114])


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
    assert picture.shape == (size[1], size[0], 3)
    assert picture.dtype == np.uint8
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
    own = spectrogram_image(audio, RATE, 20, 64)
    assert (own == LIGHT).all(axis=-1).any()
    assert (own == DARK).all(axis=-1).any()
    below = spectrogram_image(audio, RATE, 20, 64, top_db=top + 70.1, range_db=70)
    assert (below == DARK).all()
    half = spectrogram_image(audio, RATE, 20, 64, top_db=top + 20, range_db=40)
    assert lightness(half).max() <= lightness(COLORS([[0.51]], bytes=True)[..., :3]).max()
    greys = lightness(COLORS(np.linspace(0, 1, 9), bytes=True)[:, :3])
    assert (np.diff(greys) > 5).all()  # louder is lighter all the way


def test_silence_is_dark() -> None:
    assert (spectrogram_image(torch.zeros(RATE), RATE, 20, 20) == DARK).all()
    assert mel_decibels(torch.zeros(RATE), RATE, 20, 20).max() < LOWEST_TOP_DB - 70


def test_nothing_has_no_picture() -> None:
    with pytest.raises(ValueError, match=r"\[T\]"):
        mel_decibels(torch.zeros(0), RATE, 20, 20)
    with pytest.raises(ValueError, match=r"\[T\]"):
        spectrogram_image(torch.zeros(2, 100), RATE, 20, 20)


def drawn(figure: Figure) -> list[list[np.ndarray]]:
    """The colours of each cell of a sheet that has a picture, by row."""
    places = [place for place in figure.axes if place.get_label() != "<colorbar>"]
    return [[image.get_array() for image in place.images] for place in places]


def test_a_sheet_has_all_on_one_scale(tmp_path: Path) -> None:
    loud, soft, high = sine(300), sine(300, level=0.05), sine(6_000)
    sheet = draw_sheet([[loud, soft, "silent"], [high, "not known", soft]], "abc", RATE)
    cells = drawn(sheet)
    assert [len(cell) for cell in cells] == [1, 1, 0, 1, 0, 1]
    limits = {image.get_clim() for place in sheet.axes for image in place.images}
    assert len(limits) == 1
    assert float(cells[0][0].max() - cells[1][0].max()) == pytest.approx(20, abs=0.01)
    assert max(limits)[1] == pytest.approx(max(float(cell[0].max()) for cell in cells if cell))
    words = [text.get_text() for place in sheet.axes for text in place.texts]
    assert words == ["silent", "not known"]
    sheet.savefig(tmp_path / "sheet.png", format="png")
    assert (tmp_path / "sheet.png").stat().st_size > 10_000


def test_a_sheet_grows_with_its_columns_and_rows() -> None:
    few = draw_sheet([[sine(440, 0.1)] * 2], ["a", "b"], RATE)
    many = draw_sheet([[sine(440, 0.1)] * 20] * 2, ["x" * 99] * 20, RATE)
    assert all(
        more > less
        for more, less in zip(many.get_size_inches(), few.get_size_inches(), strict=True)
    )
    assert many.axes[0].get_title() == "x" * 23 + "…"


def test_a_sheet_of_words_alone() -> None:
    sheet = draw_sheet([["silent"]], ["mixture"], RATE)
    assert drawn(sheet)[0] == []
