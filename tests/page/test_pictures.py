"""Waveforms and spectrograms, made block by block."""

import base64
import math

import numpy as np
import pytest
import torch

from audiomask.page.pictures import Peaks, Spectrogram, draw_spectrogram

RATE = 44100


def noise(frames, channels=2):
    made = torch.Generator().manual_seed(1)
    return torch.randn(channels, frames, generator=made) / 8


def blocks(audio, size):
    return audio.split(size, dim=1)


def peaks(audio, size):
    made = Peaks(audio.shape[1])
    for block in blocks(audio, size):
        made.add(block)
    both = np.frombuffer(base64.b64decode(made.packed()), np.int8)
    return both.reshape(2, -1)


def spectrum(audio, size, rate=RATE):
    made = Spectrogram(audio.shape[1], rate, audio.shape[0])
    for block in blocks(audio, size):
        made.add(block)
    return made.decibels()


def test_peaks_are_the_lowest_and_highest_samples():
    audio = torch.zeros(2, 12_000)
    audio[0, 5000] = 0.5
    audio[1, 5005] = -1.0
    low, high = peaks(audio, 777)
    assert high.tolist() == [64 if column == 500 else 0 for column in range(1200)]
    assert low.tolist() == [-127 if column == 500 else 0 for column in range(1200)]


def test_blocks_make_no_difference():
    audio = noise(100_000)
    assert np.array_equal(peaks(audio, 1000), peaks(audio, 100_000))
    torch.testing.assert_close(spectrum(audio, 1000), spectrum(audio, 100_000))


@pytest.mark.parametrize("frames", [1, 2, 100, 1201])
def test_the_shortest_recordings_have_a_picture(frames):
    audio = noise(frames)
    assert peaks(audio, 1000).shape == (2, min(frames, 1200))
    picture = spectrum(audio, 1000)
    assert picture.shape[1] == min(frames, 1200)
    assert picture.isfinite().all()


@pytest.mark.parametrize("rate", [8000, 44100, 192_000])
@pytest.mark.parametrize("hertz", [60, 440, 3000])
def test_a_tone_is_at_its_frequency_on_a_logarithmic_scale(hertz, rate):
    audio = torch.sin(2 * torch.pi * hertz * torch.arange(2 * rate) / rate)[None]
    loudest = spectrum(audio, 5000, rate).mean(dim=1).argmax()
    top = min(18_000, rate / 2)
    height = math.log(hertz / 40) / math.log(top / 40)
    assert 103 - int(loudest) == pytest.approx(height * 103, abs=2)


def test_a_click_is_at_its_time():
    audio = torch.zeros(1, 10 * RATE)
    audio[0, 5 * RATE] = 1.0
    columns = spectrum(audio, 4096).amax(dim=0)
    # a window is wider than a column
    assert int(columns.argmax()) == pytest.approx(600, abs=6)
    assert columns[:590].max() < -100


def test_an_hour_has_as_many_columns_as_a_minute():
    for seconds in (60, 3600):
        made = Spectrogram(seconds * RATE, RATE, 1)
        for _ in range(3):
            made.add(noise(RATE, 1))
        # what waits for the next window is less than one
        assert made._waiting.shape[1] < made._size
        assert made._power.shape == (1200, 104)


def test_the_picture_is_a_png_whose_scale_is_given():
    quiet, loud = torch.full((104, 50), -90.0), torch.full((104, 50), -10.0)
    pictures = [draw_spectrogram(decibels, -10.0) for decibels in (quiet, loud)]
    assert all(picture.startswith("data:image/png;base64,iVBOR") for picture in pictures)
    assert pictures[0] != pictures[1]
    assert draw_spectrogram(quiet, -90.0) == pictures[1]
