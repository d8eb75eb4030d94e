"""Which filling is taken, and at which level: passages, levels, candidates."""

from collections.abc import Sequence

import pytest
import torch
from signals import noise
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.infill import gap_tokens
from audiomask.infill.gaps import Gap
from audiomask.infill.infiller import AR_AND_TOKENS, Filling, Infiller
from audiomask.infill.settings import InfillMethod, InfillSettings
from audiomask.networks.mlm import MaskedLM
from audiomask.networks.mlm.decoding import Decoded
from audiomask.networks.vqvae import AnyVQVAE

CPU = torch.device("cpu")
RATE = 44100


def infiller(vqvae: AnyVQVAE, mlm: MaskedLM, **options: object) -> Infiller:
    chosen = InfillSettings(**({"steps": 2} | options))  # type: ignore[arg-type]
    return Infiller(vqvae, mlm, CPU, chosen)


def fill(maker: Infiller, audio: Tensor, gaps: Sequence[Gap], rate: int = RATE) -> list[Filling]:
    return list(maker.fill(MemorySource(audio, rate), gaps))


@pytest.mark.parametrize("channels", [(), (1,)])
def test_what_the_song_repeats_comes_back(
    vqvae: AnyVQVAE, mlm: MaskedLM, channels: tuple[int, ...]
) -> None:
    audio = 0.1 * noise(2, 25 * RATE)
    # a rhythm, so that places differ
    audio *= (
        0.2 + torch.rand(1, 250, generator=torch.Generator().manual_seed(1))
    ).repeat_interleave(RATE // 10, dim=1)
    audio[:, 15 * RATE :] = audio[:, 2 * RATE : 12 * RATE]
    gap = Gap(6 * RATE, 7 * RATE, channels)
    rows = list(channels) or [0, 1]
    holed = audio.clone()
    holed[rows, gap.start : gap.stop] = 0
    (made,) = fill(infiller(vqvae, mlm, candidates=2), holed, [gap])
    assert (made.method, made.channels) == (InfillMethod.passage, channels)
    assert made.passage is not None
    assert made.passage.start == gap.start + 13 * RATE
    assert made.passages[0] == made.passage
    true = audio[rows, gap.start : gap.stop]
    error = (made.samples - true).square().mean()
    assert float(error / true.square().mean()) < 1e-4
    assert abs(made.level) < 3
    # not where it is forbidden, nor where nothing matches
    assert fill(infiller(vqvae, mlm, method="tokens"), holed, [gap])[0].passage is None
    other = fill(infiller(vqvae, mlm), holed[:, : 14 * RATE], [gap])[0]
    assert other.method == AR_AND_TOKENS


@pytest.mark.parametrize("temperature", [0.0, 1.0, 3.0])
def test_no_filling_clips_or_is_far_from_its_surroundings(
    vqvae: AnyVQVAE, mlm: MaskedLM, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    audio, gap = 0.05 * noise(1, 120_000), Gap(40_000, 80_000)
    real = vqvae.inpaint
    # a decoder that explodes
    monkeypatch.setattr(vqvae, "inpaint", lambda *arguments: 10 * noise(*real(*arguments).shape))
    (made,) = fill(infiller(vqvae, mlm, temperature=temperature), audio, [gap])
    assert made.samples.abs().max() < 1
    assert abs(made.level) < 3


def test_the_likeliest_candidate_is_kept(
    vqvae: AnyVQVAE, mlm: MaskedLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Decoded] = []
    used: list[Tensor] = []
    real, between = gap_tokens.iterative_decode, vqvae.inpaint

    def filled_too(*arguments: object) -> Decoded:
        seen.append(real(*arguments))  # type: ignore[arg-type]
        return seen[-1]

    def between_too(vectors: Tensor, *rest: object) -> Tensor:
        used.append(vectors)
        return between(vectors, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(gap_tokens, "iterative_decode", filled_too)
    monkeypatch.setattr(vqvae, "inpaint", between_too)
    options = {"method": InfillMethod.tokens, "temperature": 1.0, "candidates": 4}
    fill(infiller(vqvae, mlm, **options), 0.1 * noise(2, 40_000), [Gap(10_000, 20_000)])
    (filled,), (vectors,) = seen, used
    scores = filled.score.view(4, 2).mean(dim=1)
    assert len(set(scores.tolist())) > 1
    best = int(scores.argmax())
    # of the candidate's frames, one in the middle of the gap is among those that are heard
    frame = round(15_000 / 512)
    kept = filled.vectors[2 * best : 2 * best + 2, frame]
    assert (vectors - kept[:, None]).abs().amax(dim=(0, 2)).min() == 0
