import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from audiomask.audio.gaps import Gap, merge_gaps
from audiomask.audio.source import MemorySource
from audiomask.audio.splice import Patch
from audiomask.errors import AudiomaskError
from audiomask.inference.infill import FADE, Infiller, bridge
from audiomask.mlm import MaskedLM
from audiomask.vqvae import AnyVQVAE

CPU = torch.device("cpu")
RATE = 44100


def infiller(vqvae: AnyVQVAE, mlm: MaskedLM, **options: float) -> Infiller:
    chosen = {"steps": 2, "temperature": 1.0, "candidates": 1, "seed": 0} | options
    return Infiller(vqvae, mlm, CPU, **chosen)  # type: ignore[arg-type]


def fill(maker: Infiller, audio: Tensor, gaps: list[Gap], rate: int = RATE) -> list[Patch]:
    return list(maker.patches(MemorySource(audio, rate), gaps))


@settings(max_examples=15)
@given(st.data())
def test_patches_keep_to_the_gaps_and_their_crossfades(
    vqvae: AnyVQVAE, mlm: MaskedLM, data: st.DataObject
) -> None:
    length = data.draw(st.integers(2000, 30_000))
    spans = data.draw(
        st.lists(
            st.tuples(st.integers(0, length - 2), st.integers(1, 5000)), min_size=1, max_size=3
        )
    )
    gaps = merge_gaps([Gap(a, min(a + n, length)) for a, n in spans])
    if sum(gap.length for gap in gaps) >= length:
        return
    audio = 0.1 * torch.randn(1, length)
    fade = round(FADE * RATE)
    patches = fill(infiller(vqvae, mlm), audio, gaps)
    assert len(patches) == len(gaps)
    for patch, gap in zip(patches, gaps, strict=True):
        assert gap.start - fade <= patch.start <= gap.start
        assert gap.stop <= patch.stop <= min(gap.stop + fade, length)
        for other in gaps:
            if other is not gap:
                assert patch.stop <= other.start or patch.start >= other.stop
        assert patch.samples.isfinite().all()
        # the outermost samples are nearly the recording's own
        if patch.start < gap.start - 100:
            edge = (patch.samples[:, 0] - audio[:, patch.start]).abs()
            assert edge.max() < 0.05


def test_same_seed_same_filling_other_seed_another(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    audio, gaps = 0.1 * torch.randn(1, 40_000), [Gap(10_000, 25_000)]
    first, again, other = (
        fill(infiller(vqvae, mlm, seed=seed), audio, gaps)[0].samples for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_equal_channels_are_filled_equally(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    audio = 0.1 * torch.randn(1, 40_000).repeat(2, 1)
    patch = fill(infiller(vqvae, mlm, candidates=3), audio, [Gap(10_000, 20_000)])[0]
    assert torch.allclose(patch.samples[0], patch.samples[1], atol=1e-6)


@pytest.mark.parametrize(
    "gap", [Gap(0, 5000), Gap(35_000, 40_000)], ids=["at the start", "at the end"]
)
def test_gaps_at_the_ends(vqvae: AnyVQVAE, mlm: MaskedLM, gap: Gap) -> None:
    patch = fill(infiller(vqvae, mlm), 0.1 * torch.randn(1, 40_000), [gap])[0]
    assert patch.start <= gap.start
    assert patch.stop >= gap.stop
    assert patch.samples[:, 200:-200].abs().max() > 0


def test_a_gap_longer_than_the_window(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    window = mlm.config.window * 512
    audio = 0.1 * torch.randn(1, 3 * window)
    gap = Gap(window // 2, window // 2 + 2 * window)
    patch = fill(infiller(vqvae, mlm), audio, [gap])[0]
    inside = patch.samples[:, gap.start - patch.start :][:, : gap.length]
    for part in inside.split(8192, dim=1):
        assert part.abs().max() > 0


def test_what_the_gap_holds_does_not_matter(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    audio, gap = 0.1 * torch.randn(1, 40_000), Gap(10_000, 12_000)
    silent, broken = audio.clone(), audio.clone()
    silent[:, gap.start : gap.stop] = 0
    broken[:, gap.start : gap.stop] = torch.nan
    one, two = (fill(infiller(vqvae, mlm), a, [gap])[0].samples for a in (silent, broken))
    assert torch.equal(one, two)


@pytest.mark.parametrize("rate", [8000, 48000])
def test_other_rates(vqvae: AnyVQVAE, mlm: MaskedLM, rate: int) -> None:
    patch = fill(infiller(vqvae, mlm), 0.1 * torch.randn(2, rate), [Gap(2000, 4000)], rate)[0]
    assert patch.samples.shape[0] == 2
    assert patch.start <= 2000
    assert patch.stop >= 4000


def test_a_recording_that_is_all_gap(vqvae: AnyVQVAE, mlm: MaskedLM) -> None:
    with pytest.raises(AudiomaskError, match="whole recording"):
        fill(infiller(vqvae, mlm), torch.zeros(1, 1000), [Gap(0, 1000)])


def test_the_bridge_mirrors_both_sides() -> None:
    audio = torch.arange(1.0, 31.0)[None].clone()
    audio[:, 10:20] = 0
    bridge(audio, 10, 20)
    assert torch.equal(audio[:, :10], torch.arange(1.0, 11.0)[None])
    fade = torch.arange(1, 11) / 11
    expected = torch.arange(10.0, 0.0, -1) * (1 - fade) + torch.arange(30.0, 20.0, -1) * fade
    assert torch.allclose(audio[0, 10:20], expected)
