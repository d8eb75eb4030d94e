"""The paper preset: every loss term by hand, the shape rule, the gradient path, the windows."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from audiomask.errors import ConfigError
from audiomask.networks.vqvae.output import VQVAEOutput
from audiomask.networks.vqvae.paper import (
    PaperConfig,
    PaperVQVAE,
    codebook_loss,
    commitment_loss,
    nearest_code,
    reconstruction_loss,
    spectral_loss,
    straight_through,
)
from audiomask.networks.vqvae.usage import perplexity

TINY = PaperConfig(blocks=2, channels=8, codebook_size=16, code_dim=4, stft_size=32)


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def model(seed: None) -> PaperVQVAE:
    return PaperVQVAE(TINY)


def backpropagate(loss: Tensor, gradient: Tensor | None = None) -> None:
    torch.autograd.backward(loss, gradient)


def noisy_sines(batch: int, samples: int) -> Tensor:
    time = torch.arange(samples) / 44100
    pitch = torch.linspace(500, 2000, batch).unsqueeze(1)
    return 0.5 * torch.sin(2 * math.pi * pitch * time) + 0.05 * torch.randn(batch, samples)


# The configuration


def test_the_defaults_are_the_papers() -> None:
    config = PaperConfig()
    assert (config.blocks, config.codebook_size, config.code_dim) == (4, 512, 64)
    assert (config.sample_rate, config.commitment) == (44100, 0.25)
    assert (config.hop_length, config.levels) == (16, 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("blocks", 0),
        ("blocks", 17),
        ("codebook_size", 0),
        ("code_dim", 1 << 21),
        ("channels", True),
        ("stft_size", 30),
        ("stft_size", 32.0),
        ("sample_rate", 999),
        ("sample_rate", 8000.5),
        ("sample_rate", float("nan")),
        ("sample_rate", "8000"),
        ("commitment", -1),
        ("commitment", float("nan")),
        ("commitment", None),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field):
        replace(TINY, **{field: value})


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


# Shapes


@pytest.mark.parametrize("blocks", [1, 2, 4, 6])
@pytest.mark.parametrize("frames", [1, 5])
def test_a_frame_is_two_to_the_k_samples(blocks: int, frames: int) -> None:
    model = PaperVQVAE(replace(TINY, blocks=blocks))
    audio = torch.randn(3, frames * 2**blocks)
    codes = model.encode(audio)
    assert codes.shape == (3, 1, frames)
    assert codes.dtype == torch.int64
    assert model.decode(codes).shape == audio.shape
    output = model(audio)
    assert model.decode(output.codes).shape == audio.shape
    assert torch.equal(output.codes, model.encode(audio))
    assert output.perplexity.shape == (1,)
    assert output.perplexity.item() == pytest.approx(perplexity(output.codes, 16).item())


@pytest.mark.parametrize("shape", [(1, 7), (1, 0), (8,), (1, 1, 8)])
def test_other_audio_is_refused(model: PaperVQVAE, shape: tuple[int, ...]) -> None:
    for method in (model.encode, model):
        with pytest.raises(ValueError, match="multiple of 4"):
            method(torch.zeros(shape))


@pytest.mark.parametrize("codes", [torch.zeros(1, 3), torch.zeros(1, 2, 3), torch.zeros(1, 1, 0)])
def test_codes_of_another_shape_are_refused(model: PaperVQVAE, codes: Tensor) -> None:
    with pytest.raises(ValueError, match="shape"):
        model.decode(codes.long())


@pytest.mark.parametrize("code", [-1, 16])
def test_a_code_that_does_not_exist_is_refused(model: PaperVQVAE, code: int) -> None:
    with pytest.raises(ValueError, match="0 to 15"):
        model.decode(torch.tensor([[[0, code]]]))


def test_decode_of_encode_is_the_forward_pass(model: PaperVQVAE) -> None:
    audio = noisy_sines(2, 256)
    found = float(model(audio).losses["reconstruction"].detach())
    error = (model.decode(model.encode(audio)) - audio).square().mean()
    assert float(error.detach()) == pytest.approx(found, rel=1e-5)
    assert torch.equal(model.codebooks()[0], model.codebook)
    assert model.codebooks().shape == (1, 16, 4)
    assert not model.codebooks().requires_grad


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


def test_the_encoders_output_gets_the_decoders_gradient(model: PaperVQVAE) -> None:
    seen: dict[str, Tensor] = {}

    def keep(name: str, tensor: Tensor) -> None:
        tensor.retain_grad()
        seen[name] = tensor

    model.encoder.register_forward_hook(lambda module, inputs, output: keep("h", output))
    model.decoder.register_forward_pre_hook(lambda module, inputs: keep("e", inputs[0]))
    model.eval()  # no initialisation, which would run the encoder twice
    model.zero_grad()
    output = model(noisy_sines(2, 256))
    backpropagate(output.losses["reconstruction"] + output.losses["spectral"])
    assert seen["h"].grad is not None
    assert seen["h"].grad.abs().sum() > 0
    assert seen["e"].grad is not None
    assert torch.equal(seen["h"].grad, seen["e"].grad)
    assert model.codebook.grad is None  # the decoder's gradient passes the codebook by


def test_sg_stops_the_codebook_term_at_the_encoder(model: PaperVQVAE) -> None:
    backpropagate(model(noisy_sines(2, 256)).losses["codebook"])
    assert model.codebook.grad is not None
    assert model.codebook.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in model.encoder.parameters())
    assert all(weight.grad is None for weight in model.decoder.parameters())


def test_sg_stops_the_commitment_term_at_the_codebook(model: PaperVQVAE) -> None:
    backpropagate(model(noisy_sines(2, 256)).losses["commitment"])
    assert model.codebook.grad is None
    assert all(weight.grad is not None for weight in model.encoder.parameters())
    assert all(weight.grad is None for weight in model.decoder.parameters())


def test_the_codebook_terms_gradient_by_hand() -> None:
    latents = torch.tensor([[1.0, 0.0]], requires_grad=True)
    quantized = torch.tensor([[3.0, -1.0]], requires_grad=True)
    backpropagate(codebook_loss(latents, quantized))  # mean of (e - h)^2 over two elements
    assert quantized.grad is not None
    assert quantized.grad.tolist() == [[2.0, -1.0]]
    assert latents.grad is None


# The layers


def test_blocks_do_not_share_weights() -> None:
    model = PaperVQVAE(replace(TINY, blocks=3))
    for side, kind in [(model.encoder, nn.Conv1d), (model.decoder, nn.ConvTranspose1d)]:
        strided = [layer for layer in side.modules() if isinstance(layer, kind)]
        strided = [layer for layer in strided if layer.stride == (2,)]
        assert len(strided) == 3
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv1d | nn.ConvTranspose1d)]
    # Each side: a strided and two residual convolutions a block, and one to or from the codes.
    assert len({id(convolution.weight) for convolution in convolutions}) == 2 * (3 * 3 + 1)
    assert len({convolution.weight.data_ptr() for convolution in convolutions}) == 20
    same_shape = [c.weight for c in convolutions if c.weight.shape == (8, 8, 3)]
    assert len(same_shape) == 6
    for index, weight in enumerate(same_shape):
        assert not any(torch.equal(weight, other) for other in same_shape[index + 1 :])


@pytest.mark.parametrize("blocks", [1, 3])
def test_every_parameter_is_in_use_and_none_is_missing(blocks: int) -> None:
    torch.manual_seed(0)
    model = PaperVQVAE(replace(TINY, blocks=blocks))
    c, d, k = TINY.channels, TINY.code_dim, TINY.codebook_size
    unit = (3 * c * c + c) + (c * c + c)
    outer = (4 * c + c) + (4 * c + 1)  # the strided layers next to the audio
    inner = 2 * (blocks - 1) * (4 * c * c + c)
    codes = (c * d + d) + (d * c + c) + k * d
    expected = outer + inner + 2 * blocks * unit + codes
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
    backpropagate(model(noisy_sines(2, 256)).loss)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


# The codebook's start


def test_the_first_batch_standardises_the_latents_and_sets_the_codebook(model: PaperVQVAE) -> None:
    audio = noisy_sines(4, 1024)
    output = model(audio)
    assert model.initialised
    latents = model.encoder(audio.unsqueeze(1)).transpose(0, 1).flatten(1)
    assert torch.allclose(latents.mean(1), torch.zeros(4), atol=1e-4)
    assert torch.allclose(latents.std(1, unbiased=False), torch.ones(4), atol=1e-4)
    nearest = torch.cdist(model.codebook, latents.T).amin(1)
    assert nearest.max() < 0.1  # every code is a latent, but for the noise
    assert torch.unique(output.codes).numel() == 16
    codebook = model.codebook.clone()
    model(noisy_sines(4, 1024))
    assert torch.equal(model.codebook, codebook)  # only the first batch does so


def test_fewer_latents_than_codes_still_give_distinct_codes(model: PaperVQVAE) -> None:
    model(noisy_sines(1, 24))  # 6 latents for 16 codes
    assert model.initialised
    assert torch.unique(model.codebook.detach(), dim=0).shape[0] == 16


def test_silence_and_evaluation_do_not_start_the_codebook(model: PaperVQVAE) -> None:
    before = model.codebook.clone()
    assert model(torch.zeros(2, 256)).loss.isfinite()
    model.eval()
    model(noisy_sines(2, 256))
    assert not model.initialised
    assert torch.equal(model.codebook, before)


def test_a_loaded_model_keeps_its_codebook(model: PaperVQVAE) -> None:
    model(noisy_sines(2, 256))
    loaded = PaperVQVAE(TINY)
    loaded.load_state_dict(model.state_dict())
    loaded(noisy_sines(2, 512))
    assert torch.equal(loaded.codebook, model.codebook)


def test_the_same_seed_starts_the_same_model() -> None:
    def start() -> Tensor:
        torch.manual_seed(3)
        loss: Tensor = PaperVQVAE(TINY)(noisy_sines(2, 256)).loss
        return loss

    assert torch.equal(start(), start())


# Windows


@pytest.mark.parametrize("blocks", [1, 2, 4])
def test_windows_with_context_equal_one_pass(blocks: int) -> None:
    torch.manual_seed(blocks)
    model = PaperVQVAE(replace(TINY, blocks=blocks)).double()
    hop, context, frames, window = 2**blocks, model.config.context, 40, 7
    audio = torch.randn(2, frames * hop, dtype=torch.float64)
    model(audio)
    model.eval()
    whole_codes = model.encode(audio)
    whole_audio = model.decode(whole_codes)
    codes, decoded = [], []
    for start in range(0, frames, window):
        stop = min(start + window, frames)
        first, last = max(start - context, 0), min(stop + context, frames)
        inside = slice(start - first, stop - first)
        codes.append(model.encode(audio[:, first * hop : last * hop])[:, :, inside])
        part = model.decode(whole_codes[:, :, first:last])
        decoded.append(part[:, inside.start * hop : inside.stop * hop])
    assert torch.equal(torch.cat(codes, dim=2), whole_codes)
    assert torch.allclose(torch.cat(decoded, dim=1), whole_audio, rtol=0, atol=1e-12)


@pytest.mark.parametrize("blocks", [1, 2, 3, 5])
def test_context_is_the_reach_of_the_layers_and_no_more(blocks: int) -> None:
    model = PaperVQVAE(replace(TINY, blocks=blocks)).double()
    # Positive weights and input: no ReLU hides a path, so the gradient shows all that is heard.
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.1)
    hop, frames, middle = 2**blocks, 21, 10
    audio = torch.ones(1, 1, frames * hop, dtype=torch.float64, requires_grad=True)
    backpropagate(model.encoder(audio)[0, :, middle].sum())
    latents = torch.ones(1, TINY.code_dim, frames, dtype=torch.float64, requires_grad=True)
    backpropagate(model.decoder(latents)[0, 0, middle * hop : (middle + 1) * hop].sum())
    assert audio.grad is not None
    assert latents.grad is not None
    reach = 0
    for heard in (audio.grad[0].reshape(frames, hop), latents.grad[0].T):
        used = heard.abs().sum(1).nonzero().flatten()
        reach = max(reach, middle - int(used.min()), int(used.max()) - middle)
    assert model.config.context == reach


# Training


def test_a_few_dozen_steps_lower_the_loss_and_keep_codes_in_use() -> None:
    torch.manual_seed(0)
    model = PaperVQVAE(replace(TINY, channels=16, codebook_size=32, code_dim=8))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    batch = noisy_sines(8, 512)
    losses = []
    for _ in range(60):
        output = model(batch)
        optimizer.zero_grad()
        backpropagate(output.loss)
        optimizer.step()
        losses.append(output.loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert output.perplexity.item() > 4


def test_the_first_step_under_autocast_is_that_of_full_precision() -> None:
    def first_step(enabled: bool) -> tuple[PaperVQVAE, VQVAEOutput]:
        torch.manual_seed(0)
        model = PaperVQVAE(TINY)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            return model, model(noisy_sines(2, 256))

    model, output = first_step(True)
    assert output.loss.dtype == torch.float32
    for name, term in first_step(False)[1].losses.items():
        assert output.losses[name].item() == pytest.approx(term.item(), rel=0.05), name
    backpropagate(output.loss)
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
