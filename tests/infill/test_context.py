"""Scenes: what the model hears around a gap."""

import pytest
import torch

from audiomask.audio.source import MemorySource
from audiomask.infill.context import GapContext, OffsetSource, envelope, fill_with_mirror
from audiomask.infill.gaps import Gap
from audiomask.networks.vqvae import AnyVQVAE

RATE, HOP = 44100, 512


def context(
    vqvae: AnyVQVAE, gap: Gap, others: tuple[Gap, ...] = (), rate: int = RATE
) -> GapContext:
    audio = torch.arange(1.0, 4 * rate + 1)[None]
    gaps = sorted((gap, *others))
    for one in gaps:
        audio[:, one.start : one.stop] = torch.nan
    return GapContext.around(MemorySource(audio, rate), gap, gaps, vqvae.config, 128)


def test_frames_that_hear_into_the_gap_are_unknown(vqvae: AnyVQVAE) -> None:
    gap = Gap(100 * HOP + 5, 110 * HOP)
    found = context(vqvae, gap)
    first, last = (n + found.offset // HOP for n in (found.first, found.last))
    margin = vqvae.config.margin
    assert (first, last) == (100 - margin, 110 + margin)
    # a window is centred on its frame's samples: the frame before hears none of the gap
    assert (first - 1) * HOP + HOP // 2 + 1024 <= gap.start
    assert last * HOP + HOP // 2 - 1024 >= gap.stop
    assert found.unknown.nonzero().flatten().tolist() == list(range(found.first, found.last))
    assert found.samples.isfinite().all()
    assert found.samples.shape[1] == len(found.unknown) * HOP
    outside = torch.arange(found.offset + 1.0, gap.start + 1)
    assert torch.equal(found.samples[0, : len(outside)], outside)


def test_other_gaps_are_unknown_too(vqvae: AnyVQVAE) -> None:
    alone = context(vqvae, Gap(100 * HOP, 110 * HOP))
    both = context(vqvae, Gap(100 * HOP, 110 * HOP), (Gap(130 * HOP, 131 * HOP), Gap(4, 9)))
    assert (both.first, both.last, both.offset) == (alone.first, alone.last, alone.offset)
    more = (both.unknown & ~alone.unknown).nonzero().flatten() + both.offset // HOP
    margin = vqvae.config.margin
    assert more.tolist() == list(range(130 - margin, 131 + margin))
    assert both.samples.isfinite().all()


@pytest.mark.parametrize("gap", [Gap(0, 3000), Gap(4 * RATE - 3000, 4 * RATE)])
def test_gaps_at_the_ends(vqvae: AnyVQVAE, gap: Gap) -> None:
    found = context(vqvae, gap)
    assert 0 <= found.first < found.last <= len(found.unknown)
    assert found.near(10).start >= 0
    assert found.near(10).stop <= len(found.unknown)


@pytest.mark.parametrize("rate", [RATE, 22_050])
def test_the_weight_is_one_but_for_the_gap_and_its_crossfades(vqvae: AnyVQVAE, rate: int) -> None:
    gap = Gap(40_000, 44_000)
    found = context(vqvae, gap, rate=rate)
    scale = RATE // rate
    weight = found.weight(gap, (200, 100))
    at = [scale * n - found.offset for n in (39_800, 40_000, 44_000, 44_100)]
    assert (weight[: at[0]] == 1).all()
    assert (weight[at[0] : at[1]].diff() < 0).all()
    assert (weight[at[1] : at[2]] == 0).all()
    assert (weight[at[2] : at[3]].diff() > 0).all()
    assert (weight[at[3] :] == 1).all()


def test_an_envelope_by_hand() -> None:
    assert torch.allclose(envelope(5, 2, 1), torch.tensor([2 / 3, 1 / 3, 0, 0, 1 / 2]))
    assert torch.equal(envelope(3, 0, 0), torch.zeros(3))


def test_sound_in_its_place() -> None:
    placed = OffsetSource(torch.ones(2, 10), RATE, 5)
    assert placed.frames == 15
    read = placed.read(0, 20)
    assert read.shape == (2, 20)
    assert torch.equal(read[0], torch.tensor([0.0] * 5 + [1.0] * 10 + [0.0] * 5))


def test_the_bridge_mirrors_both_sides() -> None:
    audio = torch.arange(1.0, 31.0)[None].clone()
    audio[:, 10:20] = 0
    fill_with_mirror(audio, 10, 20)
    assert torch.equal(audio[:, :10], torch.arange(1.0, 11.0)[None])
    fade = torch.arange(1, 11) / 11
    expected = torch.arange(10.0, 0.0, -1) * (1 - fade) + torch.arange(30.0, 20.0, -1) * fade
    assert torch.allclose(audio[0, 10:20], expected)
