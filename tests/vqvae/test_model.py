"""The default VQ-VAE: shapes, windows, the loss, and that it learns."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from audiomask.errors import ConfigError
from audiomask.vqvae import PaperVQVAE, build_vqvae
from audiomask.vqvae.config import VQVAEConfig
from audiomask.vqvae.model import VQVAE


def chords(batch: int, samples: int) -> Tensor:
    time = torch.arange(samples) / 44_100
    pitch = 200 * 2 ** torch.arange(batch * 3).view(batch, 3, 1).div(5)
    return 0.1 * torch.sin(2 * math.pi * pitch * time).sum(dim=1)


# Shapes


def test_shapes_and_ranges(vqvae: VQVAE) -> None:
    codes = vqvae.encode(torch.randn(2, 10 * 64))
    assert codes.shape == (2, 3, 10)
    assert codes.dtype == torch.int64
    assert 0 <= int(codes.min()) <= int(codes.max()) < 16
    for levels in (1, 2, 3):
        assert vqvae.decode(codes[:, :levels]).shape == (2, 10 * 64)
    assert vqvae.codebooks().shape == (3, 16, 4)
    assert torch.equal(vqvae.codebooks()[1], vqvae.quantiser.codebooks[1].vectors)


def test_no_whole_frames_are_refused(vqvae: VQVAE) -> None:
    with pytest.raises(ValueError, match="whole number of frames"):
        vqvae.encode(torch.randn(1, 65))


def test_silence_and_loud_sound_are_finite(vqvae: VQVAE) -> None:
    for audio in (torch.zeros(1, 640), 100 * torch.randn(1, 640)):
        assert vqvae.decode(vqvae.encode(audio)).isfinite().all()


# Windows


def test_the_context_and_the_margin_by_hand() -> None:
    assert VQVAEConfig().margin == 2  # half a window of 2048 is two hops of 512
    assert replace(VQVAEConfig(), hop_length=600).margin == 2
    assert VQVAEConfig().context == 3 * (1 + 8) + 4
    assert replace(VQVAEConfig(), encoder_blocks=12, hop_length=1024).context == 3 * 13 + 2


@torch.no_grad()
def test_windows_with_context_agree_with_one_pass(vqvae: VQVAE) -> None:
    hop, context, frames, window = 64, vqvae.config.context, 90, 20
    audio = 0.1 * torch.randn(1, frames * hop)
    latents, codes = vqvae.latents(audio), vqvae.encode(audio)
    sound = vqvae.decode(codes)
    assert sound.abs().mean() > 1e-3
    for start in range(0, frames, window):
        stop = min(start + window, frames)
        low, high = max(start - context, 0), min(stop + context, frames)
        part = audio[:, low * hop : high * hop]
        kept = slice(start - low, stop - low)
        assert (vqvae.latents(part)[:, kept] - latents[:, start:stop]).abs().max() < 1e-4
        assert (vqvae.encode(part)[..., kept] == codes[..., start:stop]).float().mean() > 0.99
        decoded = vqvae.decode(codes[..., low:high])[:, kept.start * hop : kept.stop * hop]
        assert (decoded - sound[:, start * hop : stop * hop]).abs().max() < 1e-4


@torch.no_grad()
def test_windows_without_context_do_not(vqvae: VQVAE) -> None:
    audio = 0.1 * torch.randn(1, 60 * 64)
    latents, codes = vqvae.latents(audio), vqvae.encode(audio)
    part = vqvae.latents(audio[:, 20 * 64 : 40 * 64])
    assert (part - latents[:, 20:40]).abs().max() > 1e-2
    sound = vqvae.decode(codes)
    cut = vqvae.decode(codes[..., 20:40])
    assert (cut - sound[:, 20 * 64 : 40 * 64]).abs().max() > 1e-3 * sound.abs().max()


# Training


def test_the_loss_is_the_weighted_sum_of_its_terms(vqvae: VQVAE) -> None:
    audio = chords(2, 64 * 64)
    output = vqvae(audio)
    terms = {name: float(value.detach()) for name, value in output.losses.items()}
    expected = 10 * terms["mel"] + terms["convergence"] + 0.25 * terms["commitment"]
    assert float(output.loss.detach()) == pytest.approx(expected, rel=1e-5)
    assert torch.equal(output.codes, vqvae.encode(audio))
    assert torch.allclose(output.reconstruction, vqvae.decode(output.codes), atol=1e-5)
    assert output.perplexity.shape == (3,)


def test_evaluation_is_steady_and_training_drops_levels(vqvae: VQVAE) -> None:
    audio = chords(4, 64 * 64)
    state = {name: value.clone() for name, value in vqvae.state_dict().items()}
    assert torch.equal(vqvae(audio).reconstruction, vqvae(audio).reconstruction)
    assert all(torch.equal(value, state[name]) for name, value in vqvae.state_dict().items())
    whole = VQVAE(replace(vqvae.config, level_dropout=0.0)).train()
    dropping = VQVAE(replace(vqvae.config, level_dropout=1.0)).train()
    differences = []
    for model in (whole, dropping):
        model.load_state_dict(state)
        torch.manual_seed(1)
        output = model(audio)
        with torch.no_grad():
            model.load_state_dict(state)
            all_levels = model.synthesise(model.quantiser(model.latents(audio), None)[0])
        differences.append(float((output.reconstruction - all_levels).abs().max().detach()))
    assert differences[0] < 1e-6
    assert differences[1] > 1e-4


def test_the_loss_falls_and_every_part_learns(tiny: VQVAEConfig) -> None:
    audio = chords(4, 64 * 64)
    model = VQVAE(tiny)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for step in range(40):
        output = model(audio)
        optimiser.zero_grad()
        torch.autograd.backward(output.loss)
        if step == 1:
            for name, parameter in model.named_parameters():
                assert parameter.grad is not None, name
                assert parameter.grad.abs().sum() > 0, name
        optimiser.step()
        losses.append(float(output.losses["mel"].detach()))
    assert losses[-1] < 0.6 * losses[0]
    assert float(output.perplexity.mean()) > 3


def test_codes_do_not_depend_on_autocast(vqvae: VQVAE) -> None:
    # the quantiser runs in full precision: training in bfloat16 must not fail on it
    with torch.autocast("cpu", torch.bfloat16):
        output = vqvae.train()(chords(2, 64 * 64))
    assert output.loss.dtype == torch.float32
    assert output.reconstruction.dtype == torch.float32


# Builder


def test_presets_by_name() -> None:
    model = build_vqvae("default", {"encoder_blocks": 1, "decoder_blocks": 1, "encoder_dim": 8})
    assert isinstance(model, VQVAE)
    assert model.config.encoder_dim == 8
    assert (model.config.sample_rate, model.config.hop_length) == (44_100, 512)
    assert isinstance(build_vqvae("paper"), PaperVQVAE)


@pytest.mark.parametrize(
    ("preset", "settings", "reason"),
    [
        ("small", {}, "no VQ-VAE preset 'small'"),
        ("default", {"colour": 3}, "colour"),
        ("default", {"levels": "four"}, "levels"),
        ("paper", {"levels": 4}, "levels"),
    ],
)
def test_what_no_preset_has(preset: str, settings: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        build_vqvae(preset, settings)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("levels", 0),
        ("codebook_size", "many"),
        ("hop_length", 512.0),
        ("encoder_dim", True),
        ("decoder_dim", 1 << 40),
        ("level_dropout", 2),
        ("commitment", "much"),
        ("stft_size", 2047),
        ("stft_size", 256),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field):
        build_vqvae("default", {field: value})
