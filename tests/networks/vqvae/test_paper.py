"""The paper preset: settings, shapes, layers, the start of the codebook, windows, training."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from toy_paper import TINY, backpropagate, noisy_sines

from audiomask.errors import ConfigError
from audiomask.networks.vqvae.output import VQVAEOutput
from audiomask.networks.vqvae.paper import PaperConfig, PaperVQVAE
from audiomask.networks.vqvae.usage import perplexity

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
def test_other_audio_is_refused(paper: PaperVQVAE, shape: tuple[int, ...]) -> None:
    for method in (paper.encode, paper):
        with pytest.raises(ValueError, match="multiple of 4"):
            method(torch.zeros(shape))


@pytest.mark.parametrize("codes", [torch.zeros(1, 3), torch.zeros(1, 2, 3), torch.zeros(1, 1, 0)])
def test_codes_of_another_shape_are_refused(paper: PaperVQVAE, codes: Tensor) -> None:
    with pytest.raises(ValueError, match="shape"):
        paper.decode(codes.long())


@pytest.mark.parametrize("code", [-1, 16])
def test_a_code_that_does_not_exist_is_refused(paper: PaperVQVAE, code: int) -> None:
    with pytest.raises(ValueError, match="0 to 15"):
        paper.decode(torch.tensor([[[0, code]]]))


def test_decode_of_encode_is_the_forward_pass(paper: PaperVQVAE) -> None:
    audio = noisy_sines(2, 256)
    found = float(paper(audio).losses["reconstruction"].detach())
    error = (paper.decode(paper.encode(audio)) - audio).square().mean()
    assert float(error.detach()) == pytest.approx(found, rel=1e-5)
    assert torch.equal(paper.codebooks()[0], paper.codebook)
    assert paper.codebooks().shape == (1, 16, 4)
    assert not paper.codebooks().requires_grad


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


def test_the_first_batch_standardises_the_latents_and_sets_the_codebook(paper: PaperVQVAE) -> None:
    audio = noisy_sines(4, 1024)
    output = paper(audio)
    assert paper.initialised
    latents = paper.encoder(audio.unsqueeze(1)).transpose(0, 1).flatten(1)
    assert torch.allclose(latents.mean(1), torch.zeros(4), atol=1e-4)
    assert torch.allclose(latents.std(1, unbiased=False), torch.ones(4), atol=1e-4)
    nearest = torch.cdist(paper.codebook, latents.T).amin(1)
    assert nearest.max() < 0.1  # every code is a latent, but for the noise
    assert torch.unique(output.codes).numel() == 16
    codebook = paper.codebook.clone()
    paper(noisy_sines(4, 1024))
    assert torch.equal(paper.codebook, codebook)  # only the first batch does so


def test_fewer_latents_than_codes_still_give_distinct_codes(paper: PaperVQVAE) -> None:
    paper(noisy_sines(1, 24))  # 6 latents for 16 codes
    assert paper.initialised
    assert torch.unique(paper.codebook.detach(), dim=0).shape[0] == 16


def test_silence_and_evaluation_do_not_start_the_codebook(paper: PaperVQVAE) -> None:
    before = paper.codebook.clone()
    assert paper(torch.zeros(2, 256)).loss.isfinite()
    paper.eval()
    paper(noisy_sines(2, 256))
    assert not paper.initialised
    assert torch.equal(paper.codebook, before)


def test_a_loaded_model_keeps_its_codebook(paper: PaperVQVAE) -> None:
    paper(noisy_sines(2, 256))
    loaded = PaperVQVAE(TINY)
    loaded.load_state_dict(paper.state_dict())
    loaded(noisy_sines(2, 512))
    assert torch.equal(loaded.codebook, paper.codebook)


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


@pytest.mark.slow
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
