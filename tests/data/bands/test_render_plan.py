"""Plans: several joined are the same songs, in order."""

from pathlib import Path

import pytest
import torch

from audiomask.data.bands.dataset import BandDataset
from audiomask.data.bands.notes import NoteBank, find_libraries
from audiomask.data.bands.render_plan import join
from audiomask.data.bands.rendering import render


@pytest.fixture(scope="module", params=[1, 2])
def data(bank: Path, request: pytest.FixtureRequest) -> BandDataset:
    notes = NoteBank(find_libraries(bank))
    return BandDataset(notes, ("guitar", "drums"), 22_050, seed=1, channels=request.param)


def test_joined_plans_are_the_same_songs(data: BandDataset) -> None:
    plans = [data[index] for index in range(4)]
    notes = torch.from_numpy(data.bank.samples)
    whole = render(join(plans), notes, 3, 22_050)
    assert whole.mixture.shape == (4, data.channels, 22_050)
    assert whole.stems.shape == (4, 3, data.channels, 22_050)
    # an amplifier raises the rounding of filters, some 1e-7, by up to 45 dB
    for index, plan in enumerate(plans):
        alone = render(plan, notes, 3, 22_050)
        assert torch.allclose(whole.mixture[index], alone.mixture[0], atol=2e-5)
        assert torch.allclose(whole.stems[index], alone.stems[0], atol=2e-5)


def test_joining_counts_on(data: BandDataset) -> None:
    plans = [data[index] for index in range(3)]
    joined = join(plans)
    assert joined.items == 3
    assert joined.lines == sum(plan.lines for plan in plans)
    assert joined.line.tolist() == sorted(joined.line.tolist())
    assert joined.item.tolist() == [n for n, plan in enumerate(plans) for _ in range(plan.lines)]
    assert torch.equal(joined.effects.room, joined.item)
    assert int(joined.line.max()) < joined.lines
    one = join(plans[:1])
    assert all(
        torch.equal(a, b) for a, b in zip(one, plans[0], strict=True) if isinstance(a, torch.Tensor)
    )
