"""The default VQ-VAE: shapes, windows, the loss, and that it learns."""

from dataclasses import replace

import pytest
import torch
from signals import tone
from torch import Tensor

from audiomask.errors import ConfigError
from audiomask.networks.vqvae import PaperVQVAE, build_vqvae
from audiomask.networks.vqvae.config import VQVAEConfig
from audiomask.networks.vqvae.model import VQVAE, fade_into_gap
from audiomask.networks.vqvae.phase_reconstruction import BLOCK


def chords(batch: int, samples: int) -> Tensor:
    pitches = [200 * 2 ** (number / 5) for number in range(3 * batch)]
    return 0.1 * tone(pitches, samples).view(batch, 3, samples).sum(dim=1)


# Shapes


def test_shapes_and_ranges(vqvae: VQVAE) -> None:
    codes = vqvae.encode(torch.randn(2, 10 * 64))
    assert codes.shape == (2, 3, 10)
    assert codes.dtype == torch.int64
    assert 0 <= int(codes.min()) <= int(codes.max()) < 16
    for levels in (1, 2, 3):
        assert vqvae.decode(codes[:, :levels]).shape == (2, 10 * 64)
    assert vqvae.codebooks().shape == (3, 16, 4)
    assert torch.equal(vqvae.codebooks()[1], vqvae.quantizer.codebooks[1].vectors)


def test_no_whole_frames_are_refused(vqvae: VQVAE) -> None:
    with pytest.raises(ValueError, match="whole number of frames"):
        vqvae.encode(torch.randn(1, 65))


def test_silence_and_loud_sound_are_finite(vqvae: VQVAE) -> None:
    for audio in (torch.zeros(1, 640), 100 * torch.randn(1, 640)):
        assert vqvae.decode(vqvae.encode(audio)).isfinite().all()


# Windows


def test_the_context_and_the_margin_by_hand() -> None:
    # half a window of 2048 is two hops of 512, and the advance looks one further back
    assert VQVAEConfig().margin == 3
    assert replace(VQVAEConfig(), hop_length=600).margin == 3
    assert VQVAEConfig().context == 3 * (1 + 5) + 3 + 1
    assert replace(VQVAEConfig(), encoder_blocks=12, hop_length=1024).context == 3 * 13 + 1 + 1
    assert VQVAEConfig().reach == 3 * (1 + 5)


@torch.no_grad()
def test_windows_with_context_agree_with_one_pass(vqvae: VQVAE) -> None:
    hop, context, frames, window = 64, vqvae.config.context, 90, 20
    audio = 0.1 * torch.randn(1, frames * hop)
    latents, codes = vqvae.latents(vqvae.analyze(audio)), vqvae.encode(audio)
    for start in range(0, frames, window):
        stop = min(start + window, frames)
        low, high = max(start - context, 0), min(stop + context, frames)
        part = audio[:, low * hop : high * hop]
        kept = slice(start - low, stop - low)
        found = vqvae.latents(vqvae.analyze(part))[:, kept]
        assert (found - latents[:, start:stop]).abs().max() < 1e-4
        assert (vqvae.encode(part)[..., kept] == codes[..., start:stop]).float().mean() > 0.99


@torch.no_grad()
def test_decoded_parts_agree_with_one_pass(vqvae: VQVAE) -> None:
    hop, frames = 64, 3 * BLOCK + 17
    codes = vqvae.encode(chords(2, frames * hop))
    sound = vqvae.decode(codes)
    assert sound.abs().mean() > 1e-3
    for start, stop in ((0, 50), (50, 51), (BLOCK - 1, BLOCK + 1), (100, frames)):
        part = vqvae.decode(codes, start, stop)
        assert part.shape == (2, (stop - start) * hop)
        assert (part - sound[:, start * hop : stop * hop]).abs().max() < 1e-4


@torch.no_grad()
def test_windows_without_context_do_not(vqvae: VQVAE) -> None:
    audio = 0.1 * torch.randn(1, 60 * 64)
    latents, codes = vqvae.latents(vqvae.analyze(audio)), vqvae.encode(audio)
    part = vqvae.latents(vqvae.analyze(audio[:, 20 * 64 : 40 * 64]))
    assert (part - latents[:, 20:40]).abs().max() > 1e-2
    sound = vqvae.decode(codes)
    cut = vqvae.decode(codes[..., 20:40])
    assert (cut - sound[:, 20 * 64 : 40 * 64]).abs().max() > 1e-3 * sound.abs().max()


# Training


def test_the_loss_is_the_weighted_sum_of_its_terms(vqvae: VQVAE) -> None:
    audio = chords(2, 64 * 64)
    output = vqvae(audio)
    terms = {name: float(value.detach()) for name, value in output.losses.items()}
    expected = 5 * terms["bins"] + 10 * terms["mel"] + terms["convergence"] + terms["advance"]
    expected += vqvae.config.commitment * terms["commitment"]
    assert float(output.loss.detach()) == pytest.approx(expected, rel=1e-5)
    assert torch.equal(output.codes, vqvae.encode(audio))
    assert output.perplexity.shape == (3,)


def test_evaluation_is_steady_and_training_drops_levels(vqvae: VQVAE) -> None:
    audio = chords(4, 64 * 64)
    state = {name: value.clone() for name, value in vqvae.state_dict().items()}
    assert torch.equal(vqvae(audio).loss, vqvae(audio).loss)
    assert all(torch.equal(value, state[name]) for name, value in vqvae.state_dict().items())
    terms = []
    for dropout in (0.0, 1.0):
        model = VQVAE(replace(vqvae.config, level_dropout=dropout)).train()
        model.load_state_dict(state)
        torch.manual_seed(1)
        terms.append(float(model(audio).losses["commitment"].detach()))
    model.load_state_dict(state)
    latents = model.latents(model.analyze(audio))
    assert terms[0] == pytest.approx(float(model.quantizer(latents, None)[2].detach()), rel=1e-4)
    assert terms[1] > 1.2 * terms[0]


@torch.no_grad()
def test_the_start_codes_by_principal_components() -> None:
    config = VQVAEConfig(
        hop_length=64, stft_size=256, encoder_dim=8, encoder_blocks=1, decoder_dim=8,
        decoder_blocks=1, levels=1, codebook_size=8, code_dim=6,
    )  # fmt: skip
    model = VQVAE(config)
    audio = chords(24, 64 * 64) * torch.logspace(-2, 0, 24)[:, None]
    before = [model.decode_spectrum(model.latents(s)).log_magnitude for s in [model.analyze(audio)]]
    model.init_from_pca(audio)
    true = model.analyze(audio)
    found = model.decode_spectrum(model.latents(true)).log_magnitude
    errors = [float((x - true.log_magnitude).square().mean()) for x in (before[0], found)]
    assert errors[1] < 0.2 * errors[0]
    # near the best that six numbers a frame can do
    data = (true.log_magnitude - model.centre).flatten(0, 1)
    sizes = torch.linalg.svdvals(data)
    best = float(sizes[6:].square().sum() / data.numel())
    assert errors[1] < 2 * best + 1e-3
    # and its latents differ less in size than the components do
    spread = model.latents(true).flatten(0, 1).std(dim=0)
    ratio = float(spread.max() / spread.min())
    assert ratio == pytest.approx(float(sizes[0] / sizes[5]) ** 0.5, rel=0.5)


@pytest.mark.slow
def test_the_loss_falls_and_every_part_learns(tiny: VQVAEConfig) -> None:
    audio = chords(4, 64 * 64)
    model = VQVAE(tiny)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for step in range(40):
        output = model(audio)
        optimizer.zero_grad()
        torch.autograd.backward(output.loss)
        if step == 1:
            for name, parameter in model.named_parameters():
                assert parameter.grad is not None, name
                assert parameter.grad.abs().sum() > 0, name
        optimizer.step()
        losses.append(float(output.losses["mel"].detach()))
    assert losses[-1] < 0.6 * losses[0]
    assert float(output.perplexity.mean()) > 2


def test_codes_do_not_depend_on_autocast(vqvae: VQVAE) -> None:
    # the quantizer runs in full precision: training in bfloat16 must not fail on it
    with torch.autocast("cpu", torch.bfloat16):
        output = vqvae.train()(chords(2, 64 * 64))
    assert output.loss.dtype == torch.float32
    assert output.codes.dtype == torch.int64


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
        ("stft_size", 512 * 17),
        ("sample_rate", 999),
        ("code_dim", 1026),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=field):
        build_vqvae("default", {field: value})


# Between known sound


def test_vectors_are_what_codes_stand_for(vqvae: VQVAE) -> None:
    codes = vqvae.encode(0.1 * torch.randn(2, 10 * 64))
    vectors = vqvae.vectors(codes.short())
    expected = sum(vqvae.codebooks()[level][codes[:, level]] for level in range(3))
    assert torch.allclose(vectors, expected, atol=1e-6)
    undone = vqvae.quantizer.running_norm.undo(vectors)
    assert torch.allclose(undone, vqvae.quantizer.decode(codes), atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize(("first", "last"), [(20, 30), (0, 10), (30, 40), (0, 40)])
def test_sound_between_known_sound(vqvae: VQVAE, first: int, last: int) -> None:
    audio = chords(2, 40 * 64)
    weight = torch.ones(40 * 64)
    weight[first * 64 : last * 64] = 0
    vectors = vqvae.vectors(vqvae.encode(audio))
    made = vqvae.inpaint(vectors, audio, weight, first, last)
    assert made.shape == audio.shape
    assert made.isfinite().all()
    # what the known sound holds where it is not heard, and some frames around, is not looked at
    other = audio.clone()
    other[:, (first + 4) * 64 : max(last - 4, first + 4) * 64] = 1.0
    assert torch.allclose(vqvae.inpaint(vectors, other, weight, first, last), made, atol=1e-5)
    # away from the gap it is what is known
    if first == 20:
        assert torch.allclose(made[:, : 10 * 64], audio[:, : 10 * 64], atol=1e-3)


@torch.no_grad()
def test_what_vectors_miss_beside_a_gap_they_miss_in_it(vqvae: VQVAE) -> None:
    missed = torch.zeros(1, 100, 5)
    missed[:, 20:40], missed[:, 40:60], missed[:, 60:] = 1.0, 99.0, -1.0
    spread = fade_into_gap(missed, 40, 60)
    assert not spread[:, :40].any()
    assert not spread[:, 60:].any()
    line = spread[0, 40:60, 0]
    assert (line.diff() < 0).all()
    assert float(line[0]) > 0.5
    assert torch.allclose(line, -line.flip(0), atol=1e-6)
    # with one side alone it fades, in a long gap to nothing
    line = fade_into_gap(missed, 40, 100)[0, 40:, 0]
    assert (line.diff() < 0).all()
    assert 0 < float(line[-1]) < 0.06
    assert not fade_into_gap(missed, 0, 100).any()
