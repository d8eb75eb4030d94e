"""Baselines: an oracle that is right where it can be, and fillings sample by sample."""

import pytest
import torch
from torch import Tensor

from audiomask.evaluation import baselines
from audiomask.evaluation.baselines import autoregressive, lowpass, ratio_mask, repeat, silence
from audiomask.evaluation.metrics import si_sdr, snr
from audiomask.infill.gaps import Gap

RATE = 44_100


def sine(hz: float, seconds: float = 1.0, channels: int = 1) -> Tensor:
    time = torch.arange(round(seconds * RATE)) / RATE
    return torch.sin(2 * torch.pi * hz * time).expand(channels, -1) * 0.3


def test_ratio_mask_parts_what_lies_apart() -> None:
    stems = {"low": sine(200, channels=2), "high": sine(5000, channels=2)}
    rest = sine(12_000, channels=2)
    mixture = stems["low"] + stems["high"] + rest
    found = ratio_mask(mixture, stems)
    assert list(found) == ["low", "high"]
    for name, audio in found.items():
        assert audio.shape == mixture.shape
        assert si_sdr(mixture, stems[name]) < 0
        assert si_sdr(audio, stems[name]) > 20
    # of a mixture that is one stem alone, all is its
    alone = ratio_mask(rest, {"only": rest})["only"]
    assert torch.allclose(alone, rest, atol=1e-4)


def test_ratio_mask_is_the_same_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    stems = {name: torch.randn(1, 50_001, generator=generator) for name in ("a", "b")}
    mixture = stems["a"] + stems["b"] + torch.randn(1, 50_001, generator=generator)
    whole = ratio_mask(mixture, stems)
    monkeypatch.setattr(baselines, "BLOCK", 20)
    for name, audio in ratio_mask(mixture, stems).items():
        assert torch.allclose(audio, whole[name], atol=1e-5)


def test_lowpass_keeps_what_is_low_and_where_it_is() -> None:
    low, high = sine(80, channels=2), sine(1000, channels=2)
    found = lowpass(low + high, RATE)
    assert found.shape == low.shape
    assert found.dtype == low.dtype
    # nothing is delayed, away from the ends
    inside = slice(RATE // 10, -RATE // 10)
    assert torch.allclose(found[:, inside], low[:, inside], atol=2e-3)
    # run twice, it has 6 dB less where it has half the power once
    edge = lowpass(sine(200), RATE)[:, inside]
    assert float(edge.square().mean() / sine(200)[:, inside].square().mean()) == pytest.approx(
        0.25, rel=0.01
    )


@pytest.mark.parametrize("samples", [1, 10, 16])
def test_lowpass_of_the_shortest_sounds(samples: int) -> None:
    assert lowpass(torch.ones(2, samples), 8000).shape == (2, samples)


def test_repeat_sample_by_sample() -> None:
    audio = torch.arange(40.0)[None].clone()
    gap = Gap(20, 25)
    audio[:, 20:25] = 0
    patch = repeat(audio, gap, fade=2)
    assert (patch.start, patch.stop) == (18, 27)
    # the nine samples before 18, each cross-faded by thirds where the gap's sides are
    expected = [
        *(18 * 2 / 3 + 9 * 1 / 3, 19 * 1 / 3 + 10 * 2 / 3),
        *(11, 12, 13, 14, 15),
        *(25 * 1 / 3 + 16 * 2 / 3, 26 * 2 / 3 + 17 * 1 / 3),
    ]
    assert patch.samples[0].tolist() == pytest.approx(expected)


def test_silence() -> None:
    patch = silence(torch.ones(2, 10), Gap(3, 7))
    assert patch.start == 3
    assert torch.equal(patch.samples, torch.zeros(2, 4))


def test_autoregressive_goes_on_with_a_tone() -> None:
    audio = sine(440, channels=2) + 0.5 * sine(1234.5, channels=2)
    gap = Gap(20_000, 20_400)
    holed = audio.clone()
    holed[:, gap.start : gap.stop] = 0
    patch = autoregressive(holed, gap, RATE)
    assert (patch.start, patch.stop) == (gap.start, gap.stop)
    assert snr(patch.samples, audio[:, gap.start : gap.stop]) > 50
