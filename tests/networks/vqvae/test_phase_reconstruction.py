"""Phases made up for magnitudes: partials run on, parts equal the whole, levels are kept."""

import math

import pytest
import torch
from signals import tone as sine
from torch import Tensor

from audiomask.audio.spectra import istft, stft
from audiomask.networks.vqvae import phase_reconstruction as phases
from audiomask.networks.vqvae.phase_reconstruction import (
    BLOCK,
    ITERATIONS,
    OVERLAP,
    frames_needed,
    griffin_lim,
    propagate,
    shared_phase,
)
from audiomask.networks.vqvae.spectrum import analyze

SIZE, HOP, RATE = 256, 64, 44_100


def tone(frames: int, *pitches: float) -> Tensor:
    """Steady partials [1, frames * HOP]."""
    return 0.1 * sine(pitches, frames * HOP).sum(dim=0, keepdim=True)


def described(audio: Tensor) -> tuple[Tensor, Tensor]:
    """Magnitudes [B, F, bins] and turns [2, B, F, bins] of audio."""
    spectrum = analyze(audio, SIZE, HOP, SIZE // 2 + 1)
    return spectrum.magnitude(), spectrum.phase_advance(SIZE, HOP)


# Running on


def test_phases_are_unit_phasors_and_the_same_every_time() -> None:
    magnitude, phase_advance = described(0.1 * torch.randn(2, 40 * HOP))
    ran = propagate(magnitude, phase_advance)
    assert ran.shape == (2, *magnitude.shape)
    assert torch.allclose(ran.square().sum(dim=0), torch.ones_like(magnitude), atol=1e-3)
    assert torch.equal(ran, propagate(magnitude, phase_advance))


def test_a_partial_turns_at_its_frequency_with_alternating_neighbours() -> None:
    pitch = 2500.0
    magnitude, phase_advance = described(tone(100, pitch))
    ran = torch.complex(*propagate(magnitude, phase_advance))
    peak = round(pitch * SIZE / RATE)
    assert int(magnitude[0, 50].argmax()) == peak
    settled = ran[0, 20:90]
    advance = (settled[1:, peak] * settled[:-1, peak].conj()).angle()
    expected = math.remainder(2 * math.pi * pitch * HOP / RATE, 2 * math.pi)
    assert torch.allclose(advance, torch.tensor(expected), atol=1e-2)
    for neighbour in (peak - 1, peak + 1):
        apart = (settled[:, neighbour] * settled[:, peak].conj()).angle().abs()
        assert (apart > math.pi - 0.1).all()


def test_a_steady_tone_comes_back_as_one() -> None:
    audio = tone(200, 1000.0, 3100.0)
    magnitude, phase_advance = described(audio)
    sound = griffin_lim(magnitude, propagate(magnitude, phase_advance), SIZE, HOP)
    kept = slice(20 * HOP, 100 * HOP)
    found = stft(sound[:, kept], SIZE, HOP)[0, :, 5:-5].abs()
    true = stft(audio[:, kept], SIZE, HOP)[0, :, 5:-5].abs()
    error = (found - true).square().sum() / true.square().sum()
    angle = 2 * math.pi * torch.rand_like(magnitude)
    random = torch.stack([angle.cos(), angle.sin()])
    noisy = griffin_lim(magnitude, random, SIZE, HOP)[:, kept]
    noise = stft(noisy, SIZE, HOP)[0, :, 5:-5].abs() - true
    assert float(error) < 0.01
    assert float(error) < 0.2 * float(noise.square().sum() / true.square().sum())


def test_blocks_turn_into_each_other_without_a_dip() -> None:
    frames = 2 * BLOCK
    audio = tone(frames, 1000.0)
    magnitude, phase_advance = described(audio)
    sound = griffin_lim(magnitude, propagate(magnitude, phase_advance), SIZE, HOP)[0]
    level = sound.view(-1, 4 * HOP).square().mean(dim=1).sqrt()[5:-5]
    assert float(level.min() / level.max()) > 0.9


# Parts


def test_the_frames_needed_for_some_by_hand() -> None:
    around = 3 * (ITERATIONS + 1)
    assert frames_needed(0, 10, 1000, 3) == (0, 10 + around)
    assert frames_needed(BLOCK + around, BLOCK + around + 1, 1000, 3)[0] == 0
    assert frames_needed(2 * BLOCK + around, 2 * BLOCK + around + 1, 1000, 3)[0] == BLOCK
    assert frames_needed(900, 1000, 1000, 3)[1] == 1000


@pytest.mark.parametrize(("start", "stop"), [(0, 30), (BLOCK + 3, 3 * BLOCK), (390, 400)])
def test_a_part_of_the_phases_equals_the_whole(start: int, stop: int) -> None:
    frames = 400
    magnitude, phase_advance = described(0.1 * torch.randn(1, frames * HOP))
    sound = griffin_lim(magnitude, propagate(magnitude, phase_advance), SIZE, HOP)
    first, last = frames_needed(start, stop, frames, SIZE // HOP - 1)
    part = slice(first, last)
    again = griffin_lim(
        magnitude[:, part], propagate(magnitude[:, part], phase_advance[:, :, part]), SIZE, HOP
    )[:, (start - first) * HOP : (stop - first) * HOP]
    assert torch.allclose(again, sound[:, start * HOP : stop * HOP], atol=1e-4)


def test_rounding_errors_stay_rounding_errors() -> None:
    magnitude, phase_advance = described(0.1 * torch.randn(1, 2 * BLOCK * HOP))
    moved = magnitude * (1 + 1e-6 * torch.randn_like(magnitude))
    sound, other = (
        griffin_lim(m, propagate(m, phase_advance), SIZE, HOP) for m in (magnitude, moved)
    )
    assert float((sound - other).abs().max()) < 1e-3 * float(sound.abs().max())


# Fitting neighbouring frames


def test_true_phases_are_left_as_they_are() -> None:
    audio = 0.1 * torch.randn(2, 30 * HOP)
    spectrum = stft(audio, SIZE, HOP).mT
    unit = spectrum / spectrum.abs()
    sound = griffin_lim(spectrum.abs(), torch.stack([unit.real, unit.imag]), SIZE, HOP)
    assert torch.allclose(sound, audio, atol=1e-4)


def test_each_iteration_comes_nearer() -> None:
    magnitude, phase_advance = described(0.1 * torch.randn(1, 100 * HOP))
    ran, errors = propagate(magnitude, phase_advance), []
    for iterations in (0, 1, 2, 8):
        found = stft(griffin_lim(magnitude, ran, SIZE, HOP, iterations), SIZE, HOP).abs().mT
        errors.append(float((found - magnitude).square().mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 0.6 * errors[0]


def test_the_overlap_is_shorter_than_a_block() -> None:
    assert 0 < OVERLAP < BLOCK


def test_silence_stays_silent() -> None:
    magnitude, phase_advance = described(torch.zeros(1, 20 * HOP))
    assert (
        not griffin_lim(magnitude, propagate(magnitude, phase_advance), SIZE, HOP)
        .abs()
        .gt(1e-6)
        .any()
    )
    assert istft(magnitude.mT.to(torch.complex64), SIZE, HOP).isfinite().all()


# Channels


def test_channels_share_the_turns_of_the_louder() -> None:
    magnitude = torch.tensor([3.0, 1.0]).view(2, 1, 1).expand(2, 5, 9)
    phase_advance = torch.tensor([[0.0, 0.0], [1.0, -1.0]]).view(2, 2, 1, 1).expand(2, 2, 5, 9)
    shared, turns = shared_phase(magnitude, phase_advance)
    assert torch.allclose(shared, torch.tensor(5**0.5).expand(1, 5, 9))
    assert torch.allclose(turns[0], torch.zeros(1, 5, 9))
    assert torch.allclose(turns[1], torch.tensor(0.8).expand(1, 5, 9))


# Between known frames


def test_a_tone_goes_through_a_gap_with_its_phase() -> None:
    audio = tone(80, 1000.0, 3100.0)
    magnitude, phase_advance = described(audio)
    spectrum = stft(audio, SIZE, HOP).mT
    phasors = torch.view_as_real(spectrum / (spectrum.abs() + 1e-9)).movedim(-1, 0)
    first, last = 30, 50
    found = phases.propagate_between(
        magnitude[:, first:last],
        phase_advance[:, :, first : last + 1],
        phasors[:, :, first - 1],
        phasors[:, :, last],
    )
    assert found.shape == (2, 1, last - first, SIZE // 2 + 1)
    assert torch.allclose(found.square().sum(dim=0), torch.ones(()), atol=1e-3)
    loud = magnitude[0, first:last] > 0.1 * magnitude.max()
    right = (found * phasors[:, :, first:last]).sum(dim=0)[0]  # cosine of the phases' difference
    assert float(right[loud].min()) > 0.9


@pytest.mark.parametrize("side", ["before", "after", "neither"])
def test_one_side_is_enough_for_phases(side: str) -> None:
    magnitude, phase_advance = described(tone(40, 2000.0))
    start = torch.stack([torch.ones(1, SIZE // 2 + 1), torch.zeros(1, SIZE // 2 + 1)])
    before, after = (start if side == name else None for name in ("before", "after"))
    found = phases.propagate_between(magnitude[:, :20], phase_advance[:, :, :21], before, after)
    assert found.isfinite().all()
    assert torch.allclose(found.square().sum(dim=0), torch.ones(()), atol=1e-3)


def test_sound_is_fitted_to_what_is_known() -> None:
    audio = tone(60, 1500.0, 2600.0)
    magnitude, _ = described(audio)
    torch.manual_seed(0)
    angle = 2 * math.pi * torch.rand(1, 60, SIZE // 2 + 1)
    wrong = torch.stack([angle.cos(), angle.sin()])
    weight = torch.ones(60 * HOP)
    weight[28 * HOP : 32 * HOP] = 0
    free = griffin_lim(magnitude, wrong, SIZE, HOP, 8)
    held = griffin_lim(magnitude, wrong, SIZE, HOP, 8, (audio, weight))

    def error(sound: Tensor) -> float:
        gap = slice(28 * HOP, 32 * HOP)
        return float((sound - audio)[:, gap].square().mean() / audio[:, gap].square().mean())

    assert error(held) < 0.5 * error(free)
