"""Edges of gaps: sound carried on from both sides, as far as there is sound."""

import torch
from signals import tone
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.infill.edges import EXTENSION_SECONDS, EdgeExtendedSource, neighbours
from audiomask.infill.gaps import Gap

RATE = 44100


def sine(length: int) -> Tensor:
    return 0.1 * tone(441, length)[None]


def extended(audio: Tensor, gap: Gap, *others: Gap) -> EdgeExtendedSource:
    holed = audio.clone()
    for one in (gap, *others):
        holed[:, one.start : one.stop] = torch.nan
    return EdgeExtendedSource(MemorySource(holed, RATE), gap, sorted((gap, *others)))


def test_a_tone_goes_on_into_the_gap() -> None:
    audio, gap = sine(60_000), Gap(20_000, 40_000)
    found = extended(audio, gap)
    length = round(EXTENSION_SECONDS * RATE)
    assert found.inner == Gap(gap.start + length, gap.stop - length)
    assert found.uncertain_span == Gap(gap.start + length // 2, gap.stop - length // 2)
    read = found.read(gap.start - 100, gap.stop + 100)
    assert torch.equal(read[:, :100], audio[:, gap.start - 100 : gap.start])
    for part in (slice(0, 100 + length), slice(-100 - length, None)):
        true = audio[:, gap.start - 100 : gap.stop + 100][:, part]
        error = (read[:, part] - true).square().mean() / true.square().mean()
        assert float(error) < 0.05
    assert read[:, 100 + length : -100 - length].isnan().all()
    # any part is the same as of the whole
    assert torch.equal(found.read(gap.start + 7, gap.start + 50), read[:, 107:150])
    assert torch.equal(found.read(0, 50), audio[:, :50])


def test_a_short_gap_has_short_edges() -> None:
    found = extended(sine(30_000), Gap(10_000, 10_300))
    assert found.before.shape == found.after.shape == (1, 100)


def test_no_sound_no_edge() -> None:
    assert extended(sine(30_000), Gap(0, 10_000)).before.shape == (1, 0)
    assert extended(sine(30_000), Gap(20_000, 30_000)).after.shape == (1, 0)
    # nor from a sliver between two gaps
    found = extended(sine(60_000), Gap(20_000, 40_000), Gap(40_050, 45_000))
    assert found.after.shape == (1, 0)
    assert found.before.shape[1] > 0


def test_what_lies_between_the_neighbours() -> None:
    gaps = [Gap(10, 20), Gap(30, 40), Gap(50, 60)]
    assert [neighbours(gap, gaps, 100) for gap in gaps] == [(0, 30), (20, 50), (40, 100)]
