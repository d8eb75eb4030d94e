"""The paper preset: every loss term by hand, the nearest codes, the gradient path."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from toy_paper import TINY, backpropagate, noisy_sines

from audiomask.networks.vqvae.paper import (
    PaperVQVAE,
    codebook_loss,
    commitment_loss,
    nearest_code,
    reconstruction_loss,
    spectral_loss,
    straight_through,
)

# The loss, each term by hand


def test_reconstruction_loss_by_hand() -> None:
    audio = torch.tensor([[1.0, 2.0], [0.0, -1.0]])
    other = torch.tensor([[0.0, 2.0], [2.0, -4.0]])
    assert reconstruction_loss(audio, other).item() == (1 + 0 + 4 + 9) / 4


@pytest.mark.parametrize("term", [codebook_loss, commitment_loss])
def test_codebook_and_commitment_loss_by_hand(term: Callable[[Tensor, Tensor], Tensor]) -> None:
    latents = torch.tensor([[[1.0, 0.0], [2.0, 2.0]]])
    quantized = torch.tensor([[[0.0, 0.0], [0.0, 5.0]]])
    assert term(latents, quantized).item() == (1 + 0 + 4 + 9) / 4


def test_spectral_loss_of_a_click_by_hand() -> None:
    # Window 4, hop 1: the Hann window is 0, 1/2, 1, 1/2. A click of height a is in four of the 9
    # frames, there weighted by one value of the window, so |STFT| is a times that in all 3 bins.
    click = F.one_hot(torch.tensor([4]), 8).float()
    expected = 3 * (0.5**2 + 1**2 + 0.5**2) / (9 * 3)
    assert spectral_loss(3 * click, 2 * click, 4).item() == pytest.approx(expected)


def test_spectral_loss_of_a_constant_by_hand() -> None:
    # A frame of ones has the window's transform: 2, 1, 0 in its 3 bins. At the ends zeros cut the
    # window (0, 1/2, 1, 1/2) to 1, 1/2 in the first frame, 1/2, 1 in the last but one and 1/2 in
    # the last; in the second they fall on the window's 0.
    length = 64
    cut = [1.5, math.hypot(1, 0.5), 0.5]
    ends: list[list[float]] = [cut, [2, 1, 0], cut, [0.5, 0.5, 0.5]]
    total = (length + 1 - 4) * (2**2 + 1**2) + sum(value**2 for frame in ends for value in frame)
    ones = torch.ones(1, length)
    expected = total / ((length + 1) * 3)
    assert spectral_loss(ones, 0 * ones, 4).item() == pytest.approx(expected)


def test_spectral_loss_ignores_the_phase_and_short_audio_is_fine() -> None:
    audio = torch.randn(2, 16)
    assert spectral_loss(audio, -audio, 1024).item() == 0
    assert spectral_loss(audio, 2 * audio, 1024).item() > 0


def test_spectral_loss_of_silence_has_a_finite_gradient() -> None:
    silence = torch.zeros(1, 64, requires_grad=True)
    backpropagate(spectral_loss(torch.randn(1, 64), silence, 16))
    assert silence.grad is not None
    assert silence.grad.isfinite().all()


def test_the_loss_is_the_weighted_sum_of_the_four_terms() -> None:
    model = PaperVQVAE(replace(TINY, commitment=0.3))
    audio = noisy_sines(2, 256)
    output = model(audio)
    assert set(output.losses) == {"reconstruction", "codebook", "commitment", "spectral"}
    assert all(term.shape == () and term.item() > 0 for term in output.losses.values())
    expected = sum(
        output.losses[name].item() * weight
        for name, weight in [
            ("reconstruction", 1),
            ("codebook", 1),
            ("commitment", 0.3),
            ("spectral", 1),
        ]
    )
    assert output.loss.item() == pytest.approx(expected, rel=1e-6)
    assert output.losses["reconstruction"].item() == pytest.approx(
        (audio - model.decode(model.encode(audio))).square().mean().item()
    )
    assert output.losses["spectral"].item() == pytest.approx(
        spectral_loss(audio, model.decode(model.encode(audio)), 32).item()
    )


# Codes


def test_nearest_code_by_hand() -> None:
    codebook = torch.tensor([[0.0, 0.0], [10.0, 0.0], [4.0, 3.0]])
    latents = torch.tensor([[[1.0, 1.0], [7.1, 0.0]], [[4.0, 9.0], [3.0, 1.0]]])
    assert nearest_code(latents, codebook).tolist() == [[0, 1], [2, 2]]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), offset=st.sampled_from([0.0, 1.0, 1000.0]))
def test_nearest_code_is_brute_force(seed: int, offset: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    codebook = torch.randn(37, 5, generator=generator) + offset
    latents = torch.randn(3, 11, 5, generator=generator) + offset
    difference = latents.double()[:, :, None] - codebook.double()
    distances = difference.square().sum(-1)
    chosen = distances.gather(-1, nearest_code(latents, codebook)[..., None]).squeeze(-1)
    # The distance, not the index, is compared: float32 may tell no difference between two.
    assert torch.allclose(chosen, distances.amin(-1), atol=1e-5)


def test_nearest_code_keeps_full_precision_under_autocast() -> None:
    codebook = 1 + 1e-4 * torch.arange(8.0).unsqueeze(1)  # all alike in bfloat16
    with torch.autocast("cpu", torch.bfloat16):
        assert nearest_code(codebook, codebook).tolist() == list(range(8))


# The gradient path


def test_straight_through_hands_the_gradient_on_and_has_the_quantised_value() -> None:
    latents = torch.randn(2, 3, 4, requires_grad=True)
    quantized = torch.randn(2, 3, 4, requires_grad=True)
    joined = straight_through(latents, quantized)
    assert torch.allclose(joined, quantized)
    gradient = torch.randn(2, 3, 4)
    backpropagate(joined, gradient)
    assert latents.grad is not None
    assert torch.equal(latents.grad, gradient)
    assert quantized.grad is None


def test_the_encoders_output_gets_the_decoders_gradient(paper: PaperVQVAE) -> None:
    seen: dict[str, Tensor] = {}

    def keep(name: str, tensor: Tensor) -> None:
        tensor.retain_grad()
        seen[name] = tensor

    paper.encoder.register_forward_hook(lambda module, inputs, output: keep("h", output))
    paper.decoder.register_forward_pre_hook(lambda module, inputs: keep("e", inputs[0]))
    paper.eval()  # no initialisation, which would run the encoder twice
    paper.zero_grad()
    output = paper(noisy_sines(2, 256))
    backpropagate(output.losses["reconstruction"] + output.losses["spectral"])
    assert seen["h"].grad is not None
    assert seen["h"].grad.abs().sum() > 0
    assert seen["e"].grad is not None
    assert torch.equal(seen["h"].grad, seen["e"].grad)
    assert paper.codebook.grad is None  # the decoder's gradient passes the codebook by


def test_sg_stops_the_codebook_term_at_the_encoder(paper: PaperVQVAE) -> None:
    backpropagate(paper(noisy_sines(2, 256)).losses["codebook"])
    assert paper.codebook.grad is not None
    assert paper.codebook.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in paper.encoder.parameters())
    assert all(weight.grad is None for weight in paper.decoder.parameters())


def test_sg_stops_the_commitment_term_at_the_codebook(paper: PaperVQVAE) -> None:
    backpropagate(paper(noisy_sines(2, 256)).losses["commitment"])
    assert paper.codebook.grad is None
    assert all(weight.grad is not None for weight in paper.encoder.parameters())
    assert all(weight.grad is None for weight in paper.decoder.parameters())


def test_the_codebook_terms_gradient_by_hand() -> None:
    latents = torch.tensor([[1.0, 0.0]], requires_grad=True)
    quantized = torch.tensor([[3.0, -1.0]], requires_grad=True)
    backpropagate(codebook_loss(latents, quantized))  # mean of (e - h)^2 over two elements
    assert quantized.grad is not None
    assert quantized.grad.tolist() == [[2.0, -1.0]]
    assert latents.grad is None
