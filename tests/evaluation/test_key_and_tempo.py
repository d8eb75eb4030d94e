"""Key and tempo of sounds in which they are known: phrases and click tracks."""

import pytest
import torch
from music import RATE, clicks, phrase
from signals import noise

from audiomask.evaluation.key_and_tempo import (
    agreement,
    beat_seconds,
    chroma,
    key_strengths,
    tempo_strengths,
)

C, F_SHARP, A_MINOR = 0, 6, 12 + 9


@pytest.mark.parametrize("tonic", [C, F_SHARP])
@pytest.mark.parametrize("rate", [RATE, 16_000])
def test_a_phrase_fits_its_own_key_best(tonic: int, rate: int) -> None:
    found = key_strengths(phrase(tonic, rate=rate), rate)
    assert found.shape == (24,)
    assert int(found.argmax()) == tonic


def test_a_pitch_is_in_its_class_in_every_octave() -> None:
    time = torch.arange(2 * RATE) / RATE
    for octave in (0.5, 1.0, 2.0, 4.0):
        tone = torch.sin(2 * torch.pi * 440 * octave * time)[None]
        found = chroma(tone, RATE)
        assert int(found.argmax()) == 9
        assert float(found[9]) > 0.8 * float(found.sum())


def test_phrases_agree_in_their_key_and_with_no_far_one() -> None:
    one, other, far, minor = (
        key_strengths(sound, RATE)
        for sound in (phrase(C), phrase(C, seed=1), phrase(F_SHARP), phrase(C, order=(9, 0, 4, 9)))
    )
    assert agreement(one, other) > 0.9
    assert agreement(one, far) < -0.5
    assert int(minor.argmax()) == A_MINOR
    assert agreement(one, far) < agreement(one, minor) < agreement(one, other)


@pytest.mark.parametrize("tempo", [80, 100, 120, 140])
def test_beats_of_a_click_track(tempo: int) -> None:
    assert 60 / beat_seconds(clicks(tempo), RATE) == pytest.approx(tempo, rel=0.01)


def test_click_tracks_agree_in_their_tempo_alone() -> None:
    slow, later, slower_rate, fast = (
        tempo_strengths(sound, rate)
        for sound, rate in (
            (clicks(100), RATE),
            (clicks(100, seconds=12.0, first=0.4), RATE),
            (clicks(100, rate=16_000), 16_000),
            (clicks(140), RATE),
        )
    )
    assert agreement(slow, later) > 0.95
    assert agreement(slow, slower_rate) > 0.9
    assert agreement(slow, fast) < 0.2


def test_noise_and_silence_have_neither() -> None:
    first, second = noise(1, 4 * RATE), noise(1, 4 * RATE, seed=1)
    beats = [tempo_strengths(sound, RATE) for sound in (first, second)]
    assert abs(agreement(*beats)) < 0.5
    silence = torch.zeros(2, RATE)
    for strengths in (key_strengths, tempo_strengths):
        found = strengths(silence, RATE)
        assert not found.any()
        assert agreement(found, found) == 0


def test_agreement_is_a_correlation() -> None:
    row = torch.tensor([1.0, 2.0, 4.0, 3.0])
    assert agreement(row, 3 * row + 7) == pytest.approx(1)
    assert agreement(row, -row) == pytest.approx(-1)
    assert agreement(row, torch.ones(4)) == 0
