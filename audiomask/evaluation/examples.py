"""Examples of what is measured, to be listened to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from audiomask.evaluation.songs import Song


@dataclass(frozen=True)
class Example:
    """Sounds that were measured, to be listened to.

    Attributes:
        title: of the song, or of the place in it.
        sounds: [C, T] each, of the same length, by name.
        sample_rate: of them.
        remarks: what was measured of them, by their names.
        matched: names of those that are to be heard equally loud.
        gap: the first sample of what was filled, and the one after the last; None for no gap.
    """

    title: str
    sounds: Mapping[str, Tensor]
    sample_rate: int
    remarks: Mapping[str, str] = field(default_factory=dict)
    matched: Sequence[Sequence[str]] = ()
    gap: tuple[int, int] | None = None


def stems_example(
    song: Song, estimates: Mapping[str, Tensor], ratios: Mapping[str, float]
) -> Example:
    """A song to listen to: each stem as it was recorded, and as it was separated.

    Args:
        song: with its stems.
        estimates: the separated stems, [C, T] each.
        ratios: SI-SDR of those that have one, in decibels.
    """
    sounds, remarks, pairs = {"mixture": song.mixture}, {}, []
    for stem, estimate in estimates.items():
        recorded, separated = f"{stem}, recorded", f"{stem}, separated"
        if stem in song.stems:
            sounds[recorded] = song.stems[stem]
            pairs.append((recorded, separated))
        sounds[separated] = estimate
        if stem in ratios:
            remarks[separated] = f"SI-SDR {ratios[stem]:.1f} dB"
    return Example(song.name, sounds, song.sample_rate, remarks, pairs)
