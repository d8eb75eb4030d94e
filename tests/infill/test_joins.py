"""Ranking by joins: what goes on in the sound beside a gap is likelier than what does not."""

from collections.abc import Sequence

import pytest
import torch
from signals import noise, tone
from tiny_wave import SMALL
from torch import Tensor

from audiomask.audio.source import AudioSource, MemorySource
from audiomask.infill.gaps import Gap
from audiomask.infill.infiller import Infiller
from audiomask.infill.joins import JoinRanker
from audiomask.infill.ranking import RankSum
from audiomask.infill.settings import InfillSettings
from audiomask.infill.splice import Patch
from audiomask.infill.wave import WaveFiller
from audiomask.networks.wave import build_wave
from audiomask.networks.wave.model import WaveModel

RATE = 22_050
CPU = torch.device("cpu")
GAP = Gap(RATE // 2, RATE // 2 + RATE // 5)


def model() -> WaveModel:
    torch.manual_seed(0)
    made = build_wave("default", SMALL).eval()
    assert isinstance(made, WaveModel)
    return made


def sound() -> Tensor:
    return 0.2 * tone([330, 1250], RATE).sum(dim=0, keepdim=True) + 0.001 * noise(1, RATE)


@pytest.mark.parametrize("gap", [GAP, Gap(RATE // 2, RATE), Gap(0, RATE // 2)])
def test_true_sound_is_likelier_than_another(gap: Gap) -> None:
    audio = sound()
    holed = audio.clone()
    holed[:, gap.start : gap.stop] = torch.nan
    fillings = [
        Patch(gap.start, 0.2 * noise(1, gap.length, seed=3)),
        Patch(gap.start, audio[:, gap.start : gap.stop].clone()),
        Patch(gap.start, -audio[:, gap.start : gap.stop]),
        Patch(gap.start, torch.zeros(1, gap.length)),
    ]
    ranker = JoinRanker(model(), CPU)
    source = MemorySource(holed, RATE)
    assert ranker.fits(source, gap, [gap])
    scores = ranker.scores(source, gap, [gap], fillings)
    assert scores.index(max(scores)) == 1
    assert all(score < 0 for score in scores)


def test_sides_with_little_sound_do_not_count() -> None:
    source, ranker = MemorySource(sound(), RATE), JoinRanker(model(), CPU)
    near = [Gap(0, GAP.start - 1000), GAP]
    assert ranker.fits(source, GAP, near)
    nearer = [*near, Gap(GAP.stop + 1000, RATE)]
    assert not ranker.fits(source, GAP, nearer)
    with pytest.raises(ValueError, match="too little is known"):
        ranker.scores(source, GAP, nearer, [Patch(GAP.start, torch.zeros(1, GAP.length))])


class Fixed:
    """Gives some scores, or cannot tell."""

    def __init__(self, *scores: float) -> None:
        self.given = list(scores)

    def fits(self, source: AudioSource, gap: Gap, gaps: Sequence[Gap]) -> bool:
        return bool(self.given)

    def scores(
        self, source: AudioSource, gap: Gap, gaps: Sequence[Gap], fillings: Sequence[Patch]
    ) -> list[float]:
        return self.given


def test_orders_are_added_up_and_the_first_decides_ties() -> None:
    source = MemorySource(sound(), RATE)
    three = [Patch(0, torch.zeros(1, 1))] * 3

    def best(*rankers: Fixed) -> int:
        scores = RankSum(rankers).scores(source, GAP, [GAP], three)
        return scores.index(max(scores))

    assert best(Fixed(0.1, 0.3, 0.2), Fixed()) == 1
    # places 2, 1, 0 and 0, 1, 2 are equal in sum
    assert best(Fixed(9, 5, 1), Fixed(1, 2, 3)) == 0
    assert best(Fixed(1, 2, 3), Fixed(9, 5, 1)) == 2
    # second in one order and first in the other beats first and last
    assert best(Fixed(9, 5, 1), Fixed(1, 3, 2)) == 1
    assert RankSum([Fixed(), Fixed(1)]).fits(source, GAP, [GAP])
    assert not RankSum([Fixed()]).fits(source, GAP, [GAP])


def test_the_best_drawn_filling_is_taken() -> None:
    gap = Gap(RATE // 2, RATE // 2 + 400)
    source = MemorySource(sound(), RATE)
    made = []
    for scores in ((1.0, 0.0), (0.0, 1.0)):
        settings = InfillSettings("wave", temperature=1.0, candidates=2)
        filler = WaveFiller(model(), CPU, 1.0, 0)
        maker = Infiller(None, None, CPU, settings, ranking=Fixed(*scores), wave=filler)
        made += list(maker.fill(source, [gap]))
    assert not torch.equal(made[0].samples, made[1].samples)
