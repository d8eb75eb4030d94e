"""The default preset's losses, by hand."""

import pytest
import torch

from audiomask.audio.spectra import mel_filters, stft
from audiomask.vqvae.losses import FLOOR, MEL_SCALES, spectral_loss


def test_nothing_is_lost_of_the_same_sound() -> None:
    audio = torch.randn(2, 8192)
    losses = spectral_loss(audio, audio, 44_100)
    assert losses.keys() == {"mel", "convergence"}
    assert float(losses["mel"]) == pytest.approx(0, abs=1e-5)
    assert float(losses["convergence"]) == pytest.approx(0, abs=1e-5)
    # the phase is not heard
    assert float(spectral_loss(audio, -audio, 44_100)["mel"]) == pytest.approx(0, abs=1e-5)


def test_a_gain_by_hand() -> None:
    # ten times as loud is one in log10 everywhere, and nine times the target too much
    audio = 100 * torch.randn(2, 8192)
    losses = spectral_loss(audio, 10 * audio, 44_100)
    assert float(losses["mel"]) == pytest.approx(1, abs=1e-4)
    assert float(losses["convergence"]) == pytest.approx(9, rel=1e-3)


def test_silence_against_sound_by_brute_force() -> None:
    audio = torch.randn(1, 8192)
    losses = spectral_loss(audio, 0 * audio, 44_100)
    mel, convergence = 0.0, 0.0
    for size, bands in MEL_SCALES.items():
        magnitude = stft(audio, size, size // 2).abs()
        found = torch.einsum("bkf,km->bmf", magnitude, mel_filters(size, bands, 44_100))
        mel += float((found.clamp_min(FLOOR) / FLOOR).log10().mean()) / len(MEL_SCALES)
        mean = float(magnitude.mean())
        convergence += mean / (mean + 1e-3) / len(MEL_SCALES)
    assert float(losses["mel"]) == pytest.approx(mel, rel=1e-4)
    assert float(losses["convergence"]) == pytest.approx(convergence, rel=1e-4)


def test_silence_has_a_finite_gradient() -> None:
    silence = torch.zeros(1, 8192, requires_grad=True)
    losses = spectral_loss(torch.zeros(1, 8192), silence, 44_100)
    torch.autograd.backward(losses["mel"] + losses["convergence"])
    assert silence.grad is not None
    assert silence.grad.isfinite().all()


def test_a_length_of_no_whole_frames_is_fine() -> None:
    audio = torch.randn(1, 33_280 + 17)
    assert spectral_loss(audio, 2 * audio, 44_100)["mel"].isfinite()
