"""Rendering: both ways of placing notes agree, pitches and fades are as planned."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomask.data.bands import rendering
from audiomask.data.bands.dataset import BandDataset
from audiomask.data.bands.notes import NoteBank, find_libraries
from audiomask.data.bands.render_plan import RELEASE_SAMPLES, RenderPlan, join
from audiomask.data.bands.rendering import (
    add_notes,
    gather_notes,
    read_note,
    read_positions,
    render,
)
from audiomask.data.effects.params import LineEffects, stack_effects
from audiomask.data.effects.space import pan_gains
from audiomask.data.mastering import Master

SAMPLES = 22_050
UNMASTERED = Master(math.inf, 1.0, 0.0)


def planned(rows: list[tuple[int, int, int, int, int, float, float]], lines: int = 1) -> RenderPlan:
    """A plan of (start, line, onset, length, held, ratio, gain), without effects."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 7
    start, line, onset, length, held = (torch.tensor(c, dtype=torch.int64) for c in columns[:5])
    return RenderPlan(
        start, line, onset, length, held,
        torch.tensor(columns[5], dtype=torch.float64), torch.tensor(columns[6]).float(),
        torch.zeros(lines, dtype=torch.int64), torch.arange(lines), torch.ones(lines),
        stack_effects([LineEffects()] * lines, torch.zeros(1, 22_050)),
        torch.tensor([UNMASTERED]), torch.tensor([-20.0]),
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(bank: Path) -> BandDataset:
    return BandDataset(NoteBank(find_libraries(bank)), ("guitar", "drums"), SAMPLES, seed=1)


@pytest.mark.parametrize("chunk", [1 << 25, 30_000])
def test_gathered_notes_are_those_that_are_added(
    data: BandDataset, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rendering, "CHUNK", chunk)
    plan = join([data[index] for index in range(6)])
    added = add_notes(plan, data.bank.samples, SAMPLES)
    gathered = gather_notes(plan, torch.from_numpy(data.bank.samples), SAMPLES)
    assert np.abs(added).max() > 0.1
    np.testing.assert_allclose(gathered.numpy(), added, atol=1e-6)


@settings(max_examples=50)
@given(st.data())
def test_any_notes_are_placed_alike(data: st.DataObject) -> None:
    notes = np.random.default_rng(0).integers(-32_768, 32_767, 20_000).astype(np.int16)
    rows = []
    for _ in range(data.draw(st.integers(0, 6))):
        ratio = data.draw(st.sampled_from([0.5, 0.83, 1.0, 1.31, 2.0]))
        start = data.draw(st.integers(0, 19_000))
        reach = 20_000 - start
        most = reach if ratio == 1 else max(int((reach - 1) / ratio) - 1, 0)
        onset = data.draw(st.integers(-1_000, 1_999))
        length = min(data.draw(st.integers(0, most)), 2_000 - onset)
        held = data.draw(st.integers(max(length - RELEASE_SAMPLES, 0), length + 10))
        if onset + length > 0:
            line = data.draw(st.integers(0, 1))
            rows.append((start, line, onset, length, held, ratio, 0.5))
    plan = planned(sorted(rows, key=lambda row: row[1]), lines=2)
    added = add_notes(plan, notes, 2_000)
    gathered = gather_notes(plan, torch.from_numpy(notes), 2_000)
    np.testing.assert_allclose(gathered.numpy(), added, atol=1e-5)


def test_a_note_at_its_own_pitch_is_itself() -> None:
    notes = np.arange(-500, 500).astype(np.int16)
    out = add_notes(planned([(100, 0, 10, 50, 50, 1.0, 2.0)]), notes, 100)[0]
    np.testing.assert_allclose(out[10:60], 2 * notes[100:150] / 32_768, rtol=1e-6)
    assert not out[:10].any()
    assert not out[60:].any()


def test_reading_by_hand() -> None:
    notes = (np.arange(9) * 3276.8).astype(np.int16)
    read = {
        ratio: read_note(notes, 0, length, ratio, *read_positions(ratio, length))
        for ratio, length in ((1.0, 9), (2.0, 4), (0.5, 15))
    }
    np.testing.assert_allclose(read[1.0], np.arange(9) / 10, atol=1e-4)
    np.testing.assert_allclose(read[2.0], [0, 0.2, 0.4, 0.6], atol=1e-4)
    np.testing.assert_allclose(read[0.5], np.arange(15) / 20, atol=1e-4)
    assert len(read_note(notes, 3, 0, 1.5, *read_positions(1.5, 0))) == 0


def test_a_note_let_go_falls_to_nothing() -> None:
    notes = np.full(20_000, 16_384, np.int16)
    out = add_notes(
        planned([(0, 0, 100, 5_000 + RELEASE_SAMPLES, 5_000, 1.0, 1.0)]), notes, SAMPLES
    )[0]
    assert (out[100:5_100] == 0.5).all()
    falling = out[5_100 : 5_100 + RELEASE_SAMPLES]
    assert falling[0] == 0.5
    assert (np.diff(falling) < 0).all()
    assert falling[-1] < 1e-6
    assert not out[5_100 + RELEASE_SAMPLES :].any()
    # a note that has been let go before the excerpt goes on falling in it
    late = add_notes(
        planned([(0, 0, -6_000, 5_000 + RELEASE_SAMPLES, 5_000, 1.0, 1.0)]), notes, SAMPLES
    )[0]
    np.testing.assert_allclose(late[: RELEASE_SAMPLES - 1_000], falling[1_000:])


def test_levels_are_those_of_the_plan_whatever_the_notes() -> None:
    notes = np.concatenate([np.full(1_000, 3_000), np.full(1_000, 30)]).astype(np.int16)
    plan = planned([(0, 0, 0, 1_000, 1_000, 1.0, 1.0), (1_000, 1, 0, 1_000, 1_000, 1.0, 1.0)], 2)
    plan = plan._replace(level=torch.tensor([0.1, -0.05]), rms_db=torch.tensor([-26.0]))
    mixture, stems, has_stems = render(plan, torch.from_numpy(notes), 3, 1_000)
    assert has_stems.tolist() == [True]
    power = stems[0, :, 0].square().mean(dim=1).sqrt()
    assert float(power[0] / power[1]) == pytest.approx(2, rel=1e-4)
    assert stems[0, 0, 0, 5] > 0 > stems[0, 1, 0, 5]
    assert not stems[0, 2].any()
    assert float(20 * mixture.square().mean().sqrt().log10()) == pytest.approx(-26, abs=1e-3)


def test_silence_is_not_made_loud() -> None:
    plan = planned([(0, 0, 0, 500, 500, 1.0, 1.0)])
    assert not render(plan, torch.zeros(1_000, dtype=torch.int16), 2, 1_000).mixture.any()


def test_places_are_heard_and_levels_are_those_of_both_channels() -> None:
    notes = np.full(1_000, 3_000, np.int16)
    plan = planned([(0, 0, 0, 1_000, 1_000, 1.0, 1.0), (0, 1, 0, 1_000, 1_000, 1.0, 1.0)], 2)
    lines = [LineEffects(gain=pan_gains(pan)) for pan in (-1.0, 0.5)]
    plan = plan._replace(
        effects=stack_effects(lines, torch.zeros(2, 22_050)), level=torch.tensor([0.1, 0.1])
    )
    mixture, stems, _ = render(plan, torch.from_numpy(notes), 3, 1_000)
    assert mixture.shape == (1, 2, 1_000)
    assert stems.shape == (1, 3, 2, 1_000)
    assert torch.allclose(stems.sum(dim=1), mixture, atol=1e-6)
    left, right = stems[0, :2].square().mean(dim=2).sqrt().T
    assert right[0] < 1e-6 < left[0]
    assert right[1] > 2 * left[1]
    power = left.square() + right.square()
    assert float(power[0]) == pytest.approx(float(power[1]), rel=1e-4)


def test_a_mastered_mixture_is_still_the_sum() -> None:
    rng = np.random.default_rng(0)
    notes = (rng.standard_normal(8_000) * np.linspace(100, 6_000, 8_000)).astype(np.int16)
    rows = [(0, 0, 0, 8_000, 8_000, 1.0, 1.0), (1_000, 1, 500, 7_000, 7_000, 1.0, 1.0)]
    plan = planned(rows, 2)._replace(level=torch.tensor([0.1, 0.05]))
    plain = render(plan, torch.from_numpy(notes), 3, 8_000)
    plan = plan._replace(master=torch.tensor([Master(-6.0, 4.0, 6.0)]))
    mixture, stems, _ = render(plan, torch.from_numpy(notes), 3, 8_000)
    assert torch.allclose(stems.sum(dim=1), mixture, atol=1e-6)
    assert not torch.allclose(mixture, plain.mixture, atol=1e-2)
    assert float(20 * mixture.square().mean().sqrt().log10()) == pytest.approx(-20, abs=1e-3)
