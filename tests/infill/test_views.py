"""Views: some channels of a recording, and a recording without its constant offset."""

import torch
from signals import noise, tone

from audiomask.audio.source import MemorySource
from audiomask.infill.gaps import Gap
from audiomask.infill.views import ChannelView, dc_offset, without_dc

RATE = 8000


def test_some_channels() -> None:
    audio = 0.05 * noise(4, 100)
    view = ChannelView(MemorySource(audio, RATE), (1, 3))
    assert (view.channels, view.frames, view.sample_rate) == (2, 100, RATE)
    assert torch.equal(view.read(10, 20), audio[[1, 3], 10:20])
    assert torch.equal(view.read(-5, 5)[:, 5:], audio[[1, 3], :5])


def test_sound_without_an_offset_is_left_as_it_is() -> None:
    audio = 0.05 * noise(2, 5 * RATE)
    for sound in (audio, audio + 0.5 * tone(31, 5 * RATE, RATE), torch.zeros(1, 5 * RATE)):
        assert without_dc(MemorySource(sound, RATE), Gap(20_000, 21_000), []) is None


def test_an_offset_is_found_beside_gaps_and_bass() -> None:
    audio = 0.05 * noise(2, 5 * RATE) + 0.3 * tone(45, 5 * RATE, RATE)
    audio[1] += 0.03
    gaps = [Gap(17_000, 18_000), Gap(20_000, 21_000), Gap(22_000, 22_500)]
    for gap in gaps:
        audio[:, gap.start : gap.stop] = 0.9
    source = MemorySource(audio, RATE)
    for edge, direction in ((20_000, -1), (21_000, 1)):
        found = dc_offset(source, edge, direction, gaps)
        assert found is not None
        assert found[0] == 0
        assert abs(float(found[1]) - 0.03) < 0.005


def test_an_offset_that_changes_is_a_line_in_the_gap() -> None:
    audio = 0.05 * noise(1, 4 * RATE)
    gap = Gap(15_000, 16_000)
    audio[:, : gap.start] += 0.1
    audio[:, gap.start :] += 0.3
    view = without_dc(MemorySource(audio, RATE), gap, [gap])
    assert view is not None
    line = view.offset(gap.start - 2, gap.stop + 2)[0]
    assert torch.allclose(line[[0, 1, -1, -2]], torch.tensor([0.1, 0.1, 0.3, 0.3]), atol=0.01)
    assert (line.diff() >= 0).all()
    assert not view.read(gap.start, gap.stop).any()
    assert abs(float(view.read(0, gap.start).mean())) < 0.01
    # nothing is added outside the recording
    assert not view.read(-100, 0).any()
    assert not view.read(4 * RATE, 4 * RATE + 100).any()


def test_a_side_too_short_to_tell_goes_on_as_the_other() -> None:
    audio = 0.05 * noise(1, 3 * RATE) + 0.1
    view = without_dc(MemorySource(audio, RATE), Gap(100, 900), [])
    assert view is not None
    assert abs(float(view.left) - 0.1) < 0.01
    assert without_dc(MemorySource(audio[:, :1000], RATE), Gap(100, 900), []) is None
