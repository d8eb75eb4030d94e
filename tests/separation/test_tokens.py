"""Separation by tokens: shares by the power of the stems' tokens, and these tokens decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, MemorySource
from audiomask.networks.layers.band_features import band_features
from audiomask.networks.mlm import MaskedLM, build_mlm
from audiomask.networks.mlm.separation import stem_codes
from audiomask.networks.vqvae import AnyVQVAE, build_vqvae
from audiomask.runtime.memory import AdaptiveBatches
from audiomask.separation import tokens as module
from audiomask.separation.separator import Separator
from audiomask.separation.tokens import TokenSeparator, WienerSeparator

CPU = torch.device("cpu")
#: of the tiny language model's bands
HOP = 1024


@pytest.fixture(scope="module")
def wiener(vqvae: AnyVQVAE, mlm: MaskedLM) -> WienerSeparator:
    return WienerSeparator(vqvae, mlm, CPU, AdaptiveBatches(CPU))


@pytest.fixture(scope="module")
def tokens(vqvae: AnyVQVAE, mlm: MaskedLM) -> TokenSeparator:
    return TokenSeparator(vqvae, mlm, CPU, AdaptiveBatches(CPU))


@pytest.fixture(scope="module")
def paper() -> tuple[AnyVQVAE, MaskedLM]:
    """A tiny pair of the paper's presets, which reads no bands."""
    torch.manual_seed(0)
    vqvae = build_vqvae("paper", {"channels": 8, "codebook_size": 16, "code_dim": 4}).eval()
    settings = {
        "levels": 1,
        "codebook_size": 16,
        "code_dim": 4,
        "hop_length": 16,
        "sample_rate": 44100,
        "dim": 16,
        "heads": 2,
        "layers": 1,
    }
    mlm = build_mlm("paper", settings, vqvae.codebooks()).eval()
    assert mlm.config.window == 512
    return vqvae, mlm


# Shares


@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
@pytest.mark.parametrize("rate", [44100, 16000])
def test_shared_out_stems_and_residual_give_the_mixture_back(
    wiener: WienerSeparator, separated: Callable[..., list[Tensor]], rate: int, subtype: str
) -> None:
    torch.manual_seed(0)
    audio = (0.2 * torch.randn(2, 2 * rate + 5) * 32768).round().clamp(-32768, 32767) / 32768
    parts = separated(wiener, audio, range(4), True, subtype, rate)
    assert all(part.shape == audio.shape for part in parts)
    assert torch.allclose(torch.stack(parts).sum(dim=0), audio, atol=1e-6)


def test_shares_sum_to_one_over_stems_and_rest(wiener: WienerSeparator) -> None:
    shares = wiener.shares(0.1 * torch.randn(2, 40 * HOP))
    assert shares.shape == (5, 1, 64, 40)
    assert torch.allclose(shares.sum(dim=0), torch.ones(1, 64, 40), atol=1e-5)
    source = MemorySource(0.1 * torch.randn(2, 40 * HOP), 44_100)
    assert torch.equal(wiener.open(source)(5, 15), wiener.shares(source.read(5 * HOP, 15 * HOP)))


def test_shares_are_as_the_powers_of_what_the_tokens_decode_to(
    wiener: WienerSeparator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stems that decode to the mixture at known levels get their part; the rest gets what is left.

    The first is a quarter of the mixture's power, the second half of it, the others silent.
    """
    gains = {0: 0.5, 1: 0.5**0.5, 2: 0.0, 3: 0.0}
    audio = 0.1 * torch.randn(1, 40 * HOP)

    def decoded(vqvae: AnyVQVAE, codes: Tensor, batches: AdaptiveBatches) -> MemorySource:
        return MemorySource(gains[int(codes[0, 0, 0])] * audio, 44_100)

    def predict(audio: Tensor, stems: range) -> Tensor:
        return torch.tensor(list(stems))[:, None, None, None].expand(-1, 1, 2, 80)

    monkeypatch.setattr(module, "DecodedSource", decoded)
    monkeypatch.setattr(wiener, "predict", predict)
    shares = wiener.shares(audio)
    expected = torch.tensor([0.25, 0.5, 0.0, 0.0, 0.25])[:, None, None, None]
    assert torch.allclose(shares, expected.expand(5, 1, 64, 40), atol=1e-4)


def test_tokens_louder_than_the_mixture_leave_nothing_to_the_rest(
    wiener: WienerSeparator, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio = 0.1 * torch.randn(1, 40 * HOP)
    louder = MemorySource(3 * audio, 44_100)
    monkeypatch.setattr(module, "DecodedSource", lambda vqvae, codes, batches: louder)
    shares = wiener.shares(audio)
    assert torch.allclose(shares[:4], torch.full((4, 1, 64, 40), 0.25), atol=1e-4)
    assert shares[4].max() < 1e-4


@pytest.mark.parametrize("made", [WienerSeparator, TokenSeparator])
def test_one_stem_alone_is_the_same_as_among_all(
    vqvae: AnyVQVAE,
    mlm: MaskedLM,
    separated: Callable[..., list[Tensor]],
    made: type[WienerSeparator],
) -> None:
    separator, audio = made(vqvae, mlm, CPU, AdaptiveBatches(CPU)), 0.1 * torch.randn(1, 50_000)
    (alone,) = separated(separator, audio, [2])
    assert torch.equal(alone, separated(separator, audio, range(4))[2])


@pytest.mark.parametrize("made", [WienerSeparator, TokenSeparator])
@pytest.mark.parametrize("samples", [1, 100, 513])
def test_the_shortest_recordings(
    vqvae: AnyVQVAE, mlm: MaskedLM, made: type[WienerSeparator], samples: int
) -> None:
    source = MemorySource(torch.rand(1, samples), 44100)
    blocks = list(made(vqvae, mlm, CPU, AdaptiveBatches(CPU)).blocks(source, [0], True, "FLOAT"))
    assert sum(block[0].shape[1] for block in blocks) == samples


# Tokens


def test_channels_out_of_phase_are_not_folded_away(
    wiener: WienerSeparator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model must see the spectrum of anti-phase stereo as it sees that in phase."""
    seen: list[Tensor] = []

    def features(power: Tensor) -> Tensor:
        seen.append(power)
        return band_features(power)

    monkeypatch.setattr(module, "band_features", features)
    sound = 0.1 * torch.randn(1, 40 * HOP)
    wiener.predict(torch.cat([sound, sound]), [0])
    wiener.predict(torch.cat([sound, -sound]), [0])
    assert seen[0].mean() > 0
    assert torch.allclose(seen[0], seen[1])


def test_tokens_are_the_likeliest_of_every_channel_and_stem(
    wiener: WienerSeparator, vqvae: AnyVQVAE, mlm: MaskedLM
) -> None:
    audio = 0.1 * torch.randn(2, 40 * HOP)
    found = wiener.predict(audio, [3, 1])
    assert found.shape == (2, 2, 2, 80)
    bands = band_features(wiener.power(audio)[None])
    for channel in range(2):
        with torch.inference_mode():
            mixture = vqvae.encode(audio[channel : channel + 1])
        expected = stem_codes(mlm, mixture, [3, 1], bands)
        assert torch.equal(found[:, channel : channel + 1], expected)


class Halved(Separator):
    """Takes a half of the mixture for the drums, and knows nothing else."""

    names = ("drums",)

    def stems(self, source: AudioSource, stems: Sequence[int]) -> Iterator[Tensor]:
        assert list(stems) == [0]
        yield 0.5 * source.read(0, source.frames)[None]


def test_drafts_are_tokens_of_what_another_separator_finds(
    vqvae: AnyVQVAE, mlm: MaskedLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    reading = build_mlm("default", asdict(replace(mlm.config, draft=True)), vqvae.codebooks())
    separator = TokenSeparator(vqvae, reading.eval(), CPU, AdaptiveBatches(CPU), Halved())
    audio, seen = 0.1 * torch.randn(2, 40 * HOP), []

    def codes(*given: Any) -> Tensor:
        seen.append(given[-1])
        return stem_codes(*given)

    monkeypatch.setattr(module, "stem_codes", codes)
    separator.predict(audio, [3, 1])
    with torch.inference_mode():
        assert torch.equal(seen[0][0], vqvae.encode(0.5 * audio))
    assert (seen[0][1] == reading.vocabulary.mask).all()
    # a language model that reads none gets none
    TokenSeparator(vqvae, mlm, CPU, AdaptiveBatches(CPU), Halved()).predict(audio, [3, 1])
    assert seen[1] is None


@pytest.mark.parametrize("rate", [44100, 48000])
def test_stems_of_tokens_alone(
    tokens: TokenSeparator, separated: Callable[..., list[Tensor]], rate: int
) -> None:
    torch.manual_seed(0)
    audio = 0.1 * torch.randn(2, 4 * rate + 77)
    one, other, rest = separated(tokens, audio, [1, 3], True, rate=rate)
    assert one.shape == audio.shape
    assert (one - other).abs().max() > 1e-6
    # sound of their own: the residual alone knows the recording
    assert torch.allclose(rest, audio - one - other, atol=1e-6)


def test_windows_of_tokens_meet_without_a_gap(tokens: TokenSeparator) -> None:
    """Every window's tokens are told apart by its number: each frame is taken once, in order."""
    seen: list[tuple[int, int]] = []
    hop = tokens.hop_length
    length = (3 * tokens.window + 5) * hop

    class Sound(MemorySource):
        def read(self, start: int, stop: int) -> Tensor:
            seen.append((start // hop, stop // hop))
            return super().read(start, stop)

    per_frame = hop // tokens.vqvae.config.hop_length
    taken: list[Tensor] = []

    def predict(audio: Tensor, stems: list[int]) -> Tensor:
        start, stop = seen[-1]
        frames = torch.arange(start * per_frame, stop * per_frame) % 32
        return frames.expand(1, 1, 2, -1)

    def decoded(vqvae: AnyVQVAE, codes: Tensor, batches: object) -> MemorySource:
        taken.append(codes)
        return MemorySource(torch.zeros(1, length), 44100)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "predict", predict)
        patch.setattr(module, "DecodedSource", decoded)
        list(tokens.stems(Sound(torch.zeros(1, length), 44100), [0]))
    assert len(seen) > 3
    frames = torch.arange(length // hop * per_frame) % 32
    assert torch.equal(taken[0], frames.expand(1, 2, -1))


# Models that read no bands


@pytest.mark.parametrize("made", [WienerSeparator, TokenSeparator])
def test_the_papers_layout_separates_by_its_tokens(
    paper: tuple[AnyVQVAE, MaskedLM],
    separated: Callable[..., list[Tensor]],
    made: type[WienerSeparator],
) -> None:
    separator = made(*paper, CPU, AdaptiveBatches(CPU))
    assert (separator.hop_length, separator.window) == (module.HOP_LENGTH, module.WINDOW)
    audio = 0.1 * torch.randn(1, 20 * HOP)
    predicted = separator.predict(audio, [1])
    assert predicted.shape == (1, 1, 1, 20 * HOP // 16)
    assert predicted.max() < 16
    parts = separated(separator, audio, [0, 1, 2, 3], True)
    assert torch.allclose(torch.stack(parts).sum(dim=0), audio, atol=1e-6)


def test_mixture_and_stem_share_the_papers_window(
    paper: tuple[AnyVQVAE, MaskedLM], monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []

    def codes(model: MaskedLM, mixture: Tensor, stems: Sequence[int]) -> Tensor:
        lengths.append(mixture.shape[-1])
        return stem_codes(model, mixture, stems)

    monkeypatch.setattr(module, "stem_codes", codes)
    separator = WienerSeparator(*paper, CPU, AdaptiveBatches(CPU))
    separator.predict(0.1 * torch.randn(1, 600 * 16), [0])
    assert lengths == [255, 255, 90]


# AdaptiveBatches


@pytest.mark.parametrize("made", [WienerSeparator, TokenSeparator])
def test_with_little_memory_fewer_channels_are_coded_at_once(
    vqvae: AnyVQVAE,
    mlm: MaskedLM,
    separated: Callable[..., list[Tensor]],
    monkeypatch: pytest.MonkeyPatch,
    made: type[WienerSeparator],
) -> None:
    audio, separator = 0.1 * torch.randn(5, 30_000), made(vqvae, mlm, CPU, AdaptiveBatches(CPU))
    whole = separated(separator, audio, [0, 1])
    sizes: list[int] = []
    real = vqvae.encode

    def encoded(samples: Tensor, levels: int) -> Tensor:
        sizes.append(len(samples))
        if len(samples) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(samples, levels)

    monkeypatch.setattr(vqvae, "encode", encoded)
    parts = separated(separator, audio, [0, 1])
    assert sizes == [5, 2, 2, 1]
    for stem, same in zip(whole, parts, strict=True):
        assert torch.allclose(stem, same, atol=1e-4)
