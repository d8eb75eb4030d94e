"""Mu-law levels: the published curve, silence, and cells that share out the line."""

import torch
import torchaudio.functional as published

from audiomask.networks.wave.mulaw import LEVELS, SILENCE, cells, decode, encode


def test_levels_are_those_of_the_published_curve() -> None:
    audio = torch.linspace(-1, 1, 10_001)
    assert torch.equal(encode(audio), published.mu_law_encoding(audio, LEVELS))
    levels = torch.arange(LEVELS)
    assert torch.allclose(decode(levels), published.mu_law_decoding(levels, LEVELS), atol=1e-6)
    assert torch.equal(encode(decode(levels)), levels)


def test_silence_and_the_peak_have_their_levels() -> None:
    assert encode(torch.tensor([0.0, 1.0, -1.0, 3.0, -3.0])).tolist() == [SILENCE, 255, 0, 255, 0]
    assert abs(float(decode(torch.tensor(SILENCE)))) < 1e-4


def test_every_sample_lies_in_the_cell_of_its_level() -> None:
    audio = torch.rand(5_000, generator=torch.Generator().manual_seed(0)) * 2 - 1
    lower, upper = cells(encode(audio))
    assert bool((lower <= audio + 1e-6).all())
    assert bool((audio <= upper + 1e-6).all())
    lower, upper = cells(torch.arange(LEVELS))
    assert torch.equal(lower[1:], upper[:-1])
    assert float(lower[0]) < -100
    assert float(upper[-1]) > 100
