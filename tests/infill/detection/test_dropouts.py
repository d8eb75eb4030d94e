from __future__ import annotations

import numpy as np
import pytest
import torch
from signals import gaussian_noise

from audiomask.audio.source import MemorySource
from audiomask.infill.detection.dropouts import Dip, DipDetector, exact_edges

RATE = 44_100


def noise(frames: int, channels: int = 2, level: float = 0.1) -> np.ndarray:
    return (level * gaussian_noise(frames, channels)).astype(np.float32)


def dips(audio: np.ndarray, block: int = 10_000, longest: float = 1.0) -> list[Dip]:
    detector = DipDetector(RATE, audio.shape[1], longest)
    found = []
    for start in range(0, len(audio), block):
        found += detector.push(audio[start : start + block])
    return sorted([*found, *detector.finish()])


@pytest.mark.parametrize("block", [777, 30_000, 10**7])
def test_dips_are_the_same_in_blocks_of_any_size(block: int) -> None:
    audio = noise(60 * RATE)
    places = [(RATE, RATE + 300, -1), (20 * RATE, 22 * RATE, 0), (45 * RATE, 45 * RATE + 9000, 1)]
    for start, stop, channel in places:
        audio[start:stop, slice(None) if channel < 0 else channel] *= 1e-3
    found = dips(audio, block)
    # their levels are over an offset that is that of a batch
    assert [dip[:3] for dip in found] == [dip[:3] for dip in dips(audio)]
    joint = [dip for dip in found if dip.channel < 0]
    assert [abs(dip.start - RATE) < 100 for dip in joint] == [True]
    for start, stop, channel in places[1:]:
        (dip,) = (d for d in found if d.channel == channel and abs(d.start - start) < 100)
        assert abs(dip.stop - stop) < 100
        assert -82 < dip.level < -78


def test_what_fades_or_stays_is_no_dip() -> None:
    audio = noise(3 * RATE, 1)
    assert dips(audio) == []
    audio[RATE : RATE + 9000] = 0
    assert len(dips(audio)) == 1
    audio[RATE - 4000 : RATE] *= np.linspace(1, 0, 4000, dtype=np.float32)[:, None] ** 2
    assert dips(audio) == []
    audio = noise(3 * RATE, 1)
    audio[2 * RATE :] = 0
    assert dips(audio) == []


def test_an_offset_hides_nothing() -> None:
    for inside in (0.0, 0.2):
        audio = noise(3 * RATE, 1, 0.05) + np.float32(0.2)
        audio[RATE : RATE + 2000] = inside
        (dip,) = dips(audio)
        assert abs(dip.start - RATE) < 100


def test_edges_are_exact() -> None:
    audio = noise(RATE)
    audio[10_000:12_000, 1] *= 1e-3
    source = MemorySource(torch.from_numpy(audio.T.copy()), RATE)
    (dip,) = (dip for dip in dips(audio) if dip.channel == 1)
    edges = exact_edges(source, dip, [1])
    assert edges is not None
    # a sample that is small by chance is not missed
    assert 0 <= 10_000 - edges[0] < 8
    assert 0 <= edges[1] - 12_000 < 8
