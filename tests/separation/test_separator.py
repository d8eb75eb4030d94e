import copy

import pytest
import torch
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.networks.mlm import MaskedLM, build_mlm
from audiomask.networks.mlm.model import band_features
from audiomask.networks.vqvae import AnyVQVAE, build_vqvae
from audiomask.separation import separator as separation
from audiomask.separation.separator import BAND_HOP, Separator
from audiomask.separation.settings import SeparationMethod

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def separator(vqvae: AnyVQVAE, mlm: MaskedLM) -> Separator:
    return Separator(vqvae, mlm, CPU)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("rate", [44100, 48000, 16000])
def test_stems_and_residual_give_the_mixture_back(
    separator: Separator, rate: int, subtype: str
) -> None:
    torch.manual_seed(0)
    audio = (0.2 * torch.randn(2, 2 * rate + 5) * 32768).round().clamp(-32768, 32767) / 32768
    blocks = list(separator.blocks(MemorySource(audio, rate), [0, 1, 2, 3], True, subtype))
    parts = [torch.cat(part, dim=1) for part in zip(*blocks, strict=True)]
    assert all(part.shape == audio.shape for part in parts)
    assert torch.allclose(torch.stack(parts).sum(dim=0), audio, atol=1e-6)
    if subtype == "PCM_16":
        assert torch.equal((parts[0] * 32768).round() / 32768, parts[0])


@pytest.mark.parametrize("rate", [44100, 48000])
def test_stems_of_tokens_alone(separator: Separator, rate: int) -> None:
    torch.manual_seed(0)
    audio = 0.1 * torch.randn(2, 4 * rate + 77)
    source = MemorySource(audio, rate)
    blocks = list(separator.blocks(source, [1, 3], True, "FLOAT", SeparationMethod.tokens))
    one, other, rest = (torch.cat(part, dim=1) for part in zip(*blocks, strict=True))
    assert one.shape == audio.shape
    assert (one - other).abs().max() > 1e-6
    # sound of their own: the residual alone knows the recording
    assert torch.allclose(rest, audio - one - other, atol=1e-6)


def test_windows_of_tokens_meet_without_a_gap(separator: Separator) -> None:
    """Every window's tokens are told apart by its number: each frame is taken once, in order."""
    seen: list[tuple[int, int]] = []
    length = (3 * separator.window + 5) * separator.hop

    class Sound(MemorySource):
        def read(self, start: int, stop: int) -> Tensor:
            seen.append((start // separator.hop, stop // separator.hop))
            return super().read(start, stop)

    per_frame = separator.hop // separator.vqvae.config.hop_length
    taken: list[Tensor] = []

    def predict(audio: Tensor, stems: list[int]) -> Tensor:
        start, stop = seen[-1]
        frames = torch.arange(start * per_frame, stop * per_frame) % 32
        return frames.expand(1, 1, 2, -1)

    def decoded(vqvae: AnyVQVAE, codes: Tensor, batches: object) -> MemorySource:
        taken.append(codes)
        return MemorySource(torch.zeros(1, length), 44100)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(separator, "predict", predict)
        patch.setattr(separation, "DecodedSource", decoded)
        list(separator.resynthesised(Sound(torch.zeros(1, length), 44100), [0]))
    assert len(seen) > 3
    frames = torch.arange(length // separator.hop * per_frame) % 32
    assert torch.equal(taken[0], frames.expand(1, 2, -1))


def test_what_is_beyond_full_scale_is_left_to_the_writer(separator: Separator) -> None:
    torch.manual_seed(0)
    audio = torch.randn(1, 30_000).clamp(-1, 1)
    blocks = list(separator.blocks(MemorySource(40 * audio, 44100), [0], True, "PCM_16"))
    stem, rest = (torch.cat(part, dim=1) for part in zip(*blocks, strict=True))
    over = stem.abs() > 1
    assert over.any()
    clipped = torch.where(over, stem.clamp(-1, 32767 / 32768), stem)
    assert torch.allclose(clipped + rest, 40 * audio, atol=1e-5)


def test_shares_sum_to_one_over_stems_and_rest(separator: Separator) -> None:
    shares = separator.shares(0.1 * torch.randn(2, 40 * BAND_HOP))
    assert shares.shape == (5, 64, 40)
    assert torch.allclose(shares.sum(dim=0), torch.ones(64, 40), atol=1e-5)


def test_one_stem_alone_is_the_same_as_among_all(separator: Separator) -> None:
    source = MemorySource(0.1 * torch.randn(1, 50_000), 44100)
    alone = torch.cat([b[0] for b in separator.blocks(source, [2], False, "FLOAT")], dim=1)
    among = torch.cat([b[2] for b in separator.blocks(source, [0, 1, 2, 3], False, "FLOAT")], dim=1)
    assert torch.equal(alone, among)


def test_channels_out_of_phase_are_not_folded_away(
    separator: Separator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model must see the spectrum of anti-phase stereo as it sees that in phase."""
    seen: list[Tensor] = []

    def features(power: Tensor) -> Tensor:
        seen.append(power)
        return band_features(power)

    monkeypatch.setattr(separation, "band_features", features)
    sound = 0.1 * torch.randn(1, 40 * BAND_HOP)
    separator.shares(torch.cat([sound, sound]))
    separator.shares(torch.cat([sound, -sound]))
    assert seen[0].mean() > 0
    assert torch.allclose(seen[0], seen[1])


def test_tokens_that_guide_nothing_are_not_asked_for(
    vqvae: AnyVQVAE, mlm: MaskedLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    unguided = copy.deepcopy(mlm)
    assert unguided.refiner.guide is not None
    torch.nn.init.zeros_(unguided.refiner.guide.weight)
    audio = 0.1 * torch.randn(2, 40 * BAND_HOP)
    alone = Separator(vqvae, unguided, CPU)
    alone.guided = True
    expected = alone.shares(audio)
    asked: list[Tensor] = []
    monkeypatch.setattr(vqvae, "encode", lambda audio, levels: asked.append(audio))
    assert torch.allclose(Separator(vqvae, unguided, CPU).shares(audio), expected, atol=1e-5)
    assert not asked


@pytest.mark.parametrize("samples", [1, 100, 513])
def test_the_shortest_recordings(separator: Separator, samples: int) -> None:
    source = MemorySource(torch.rand(1, samples), 44100)
    blocks = list(separator.blocks(source, [0], True, "FLOAT"))
    assert sum(block[0].shape[1] for block in blocks) == samples


def test_the_papers_layout_separates_by_its_tokens() -> None:
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
    separator = Separator(vqvae, mlm, CPU)
    audio = 0.1 * torch.randn(1, 20 * BAND_HOP)
    predicted = separator.predict(audio, [1])
    assert predicted.shape == (1, 1, 1, 20 * BAND_HOP // 16)
    assert predicted.max() < 16
    blocks = list(separator.blocks(MemorySource(audio, 44100), [0, 1, 2, 3], True, "FLOAT"))
    parts = [torch.cat(part, dim=1) for part in zip(*blocks, strict=True)]
    assert torch.allclose(torch.stack(parts).sum(dim=0), audio, atol=1e-6)


@pytest.mark.parametrize("method", list(SeparationMethod))
def test_with_little_memory_fewer_channels_are_coded_at_once(
    vqvae: AnyVQVAE, mlm: MaskedLM, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    source = MemorySource(0.1 * torch.randn(5, 30_000), 44100)
    separator = Separator(vqvae, mlm, CPU)
    whole = list(separator.blocks(source, [0, 1], False, "FLOAT", method))
    sizes: list[int] = []
    real = vqvae.encode

    def encoded(samples: Tensor, levels: int) -> Tensor:
        sizes.append(len(samples))
        if len(samples) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(samples, levels)

    monkeypatch.setattr(vqvae, "encode", encoded)
    parts = list(separator.blocks(source, [0, 1], False, "FLOAT", method))
    assert sizes == [5, 2, 2, 1]
    for block, other in zip(whole, parts, strict=True):
        for stem, same in zip(block, other, strict=True):
            assert torch.allclose(stem, same, atol=1e-4)
