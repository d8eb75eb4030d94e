from __future__ import annotations

import numpy as np
import pytest
import torch
from signals import gaussian_noise, tone

from audiomask.infill.detection.clicks import LONGEST, ClickDetector

RATE = 44_100


def music(seconds: int) -> np.ndarray:
    tones = tone([220, 331, 1250], seconds * RATE, dtype=torch.float64).sum(dim=0).numpy()
    return (0.1 * tones + 0.003 * gaussian_noise(seconds * RATE)).astype(np.float32)


def clicks(audio: np.ndarray, block: int = 30_000) -> list[tuple[int, int]]:
    detector = ClickDetector(RATE)
    found = [detector.push(audio[at : at + block]) for at in range(0, len(audio), block)]
    return [tuple(span) for span in np.concatenate([*found, detector.finish()]).tolist()]


@pytest.mark.parametrize("block", [5000, 30_000, 10**7])
def test_clicks_are_found_wherever_the_blocks_end(block: int) -> None:
    audio, rng = music(25), np.random.default_rng(2)
    places = [(50_000, 1), (10 * RATE - 3, 20), (10 * RATE + 9000, 2), (24 * RATE, 50)]
    for start, length in places:
        audio[start : start + length] += 0.3 * np.sign(rng.normal(size=length))
    found = clicks(audio, block)
    assert len(found) == len(places)
    for (start, stop), (begin, length) in zip(found, places, strict=True):
        assert start <= begin < start + 8
        assert begin + length <= stop <= begin + length + 40
        assert stop - start <= LONGEST + 8


def test_sound_attacks_and_buzzes_are_none() -> None:
    audio = music(3)
    assert clicks(audio) == []
    assert clicks(np.zeros(RATE, np.float32)) == []
    assert clicks(audio[:100]) == []
    rng = np.random.default_rng(1)
    audio[RATE : RATE + 9000] += 0.4 * rng.normal(size=9000) * np.exp(-np.arange(9000) / 2000)
    assert clicks(audio.astype(np.float32)) == []
    audio = music(3)
    audio[::400] += 0.3  # a pulse in every period
    assert clicks(audio) == []
