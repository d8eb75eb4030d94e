"""Changes of pitch and tempo: the pitch, the tempo and the level of what comes out."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from signals import noise, tone

from audiomask.data.time_stretch import change_pitch_and_tempo, samples_needed

RATE = 44_100
SAMPLES = 3 * RATE
MOVES = [(2.0, 1.0), (-2.0, 1.0), (0.0, 1.12), (0.0, 0.88), (2.0, 0.88), (-2.0, 1.12),
         (1.3, 2 ** (1.3 / 12)), (-0.4, 0.97)]  # fmt: skip


def hertz(audio: torch.Tensor) -> float:
    """The strongest frequency, between bins by the parabola through three of them."""
    spectrum = torch.fft.rfft(audio * torch.hann_window(len(audio))).abs().log()
    place = int(spectrum.argmax())
    low, peak, high = spectrum[place - 1 : place + 2].tolist()
    return (place + (low - high) / 2 / (low - 2 * peak + high)) * RATE / len(audio)


def decibels(audio: torch.Tensor) -> float:
    return 10 * math.log10(float(audio.square().mean()))


@pytest.mark.parametrize(("pitch", "tempo"), MOVES)
def test_a_sine_is_at_the_new_pitch_as_long_and_as_loud(pitch: float, tempo: float) -> None:
    moved = change_pitch_and_tempo(
        0.3 * tone(440, samples_needed(SAMPLES, pitch, tempo))[None], pitch, tempo, SAMPLES
    )
    assert moved.shape == (1, SAMPLES)
    assert hertz(moved[0]) == pytest.approx(440 * 2 ** (pitch / 12), rel=2e-4)
    level = decibels(0.3 * tone(440, SAMPLES))
    for piece in moved[0].split(4_096):  # everywhere, the ends included
        assert decibels(piece) == pytest.approx(level, abs=1)


def test_two_semitones_up_is_494_hertz() -> None:
    moved = change_pitch_and_tempo(
        0.3 * tone(440, samples_needed(SAMPLES, 2, 1))[None], 2, 1, SAMPLES
    )
    assert hertz(moved[0]) == pytest.approx(493.9, abs=0.1)


@pytest.mark.parametrize(("pitch", "tempo"), MOVES)
def test_clicks_come_at_the_new_tempo(pitch: float, tempo: float) -> None:
    clicks = torch.zeros(1, samples_needed(SAMPLES, pitch, tempo))
    clicks[0, 11_025::11_025] = 1
    moved = change_pitch_and_tempo(clicks, pitch, tempo, SAMPLES)[0].abs()
    spacing = 11_025 / tempo
    for number in range(1, int(SAMPLES / spacing)):
        begin, end = round((number - 0.5) * spacing), round((number + 0.5) * spacing)
        # within 3 ms of where it belongs, and still a click
        assert abs(begin + int(moved[begin:end].argmax()) - number * spacing) < 0.003 * RATE
        near = moved[round(number * spacing) - 400 : round(number * spacing) + 400]
        assert near.square().sum() > 0.8 * moved[begin:end].square().sum()


@pytest.mark.parametrize(("pitch", "tempo"), MOVES)
def test_chords_and_noise_keep_their_level(pitch: float, tempo: float) -> None:
    samples = samples_needed(SAMPLES, pitch, tempo)
    chord = 0.3 * tone([440 * 2 ** (step / 12) for step in (0, 4, 7, 12)], samples).sum(dim=0)
    rough = noise(samples + 15)
    lines = torch.stack([chord, rough.unfold(0, 16, 1).mean(dim=1)])
    moved = change_pitch_and_tempo(lines, pitch, tempo, SAMPLES)
    for line, before in zip(moved, lines, strict=True):
        assert decibels(line) == pytest.approx(decibels(before), abs=1.5)


def test_lines_are_moved_apart_from_each_other() -> None:
    lines = torch.stack(
        [
            0.3 * tone(440, samples_needed(SAMPLES, 1, 0.95)),
            torch.zeros(samples_needed(SAMPLES, 1, 0.95)),
        ]
    )
    moved = change_pitch_and_tempo(lines, 1, 0.95, SAMPLES)
    assert torch.allclose(moved[:1], change_pitch_and_tempo(lines[:1], 1, 0.95, SAMPLES), atol=1e-6)
    assert not moved[1].any()


@given(samples=st.integers(1, 3_000))
def test_no_move_gives_the_very_samples(samples: int) -> None:
    lines = noise(2, samples, seed=samples)
    assert samples_needed(samples, 0, 1) == samples
    assert torch.equal(change_pitch_and_tempo(lines, 0, 1, samples), lines)


@given(
    samples=st.integers(1, 20_000),
    pitch=st.just(0.0) | st.floats(-12, 12),
    tempo=st.just(1.0) | st.floats(0.5, 2),
)
def test_what_is_needed_is_enough(samples: int, pitch: float, tempo: float) -> None:
    count = samples_needed(samples, pitch, tempo)
    line = noise(1, count + 5_000, seed=samples)
    moved = change_pitch_and_tempo(line[:, :count], pitch, tempo, samples)
    assert moved.shape == (1, samples)
    # more changes nothing, so no silence has come in at the end
    assert torch.allclose(moved, change_pitch_and_tempo(line, pitch, tempo, samples), atol=1e-3)
