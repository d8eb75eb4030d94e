"""Continuations of songs: do they keep the key and the tempo, and the level, of what came before?

A song's first seconds, its prompt, are continued as ``infill --after`` does it, with a plan and
without. How well a continuation agrees with its own prompt says little alone: all pop is somewhat
alike. So it is compared with every other song's prompt too. Below stands the prompt's last bar,
over and over, which never leaves the key; above, how the song really goes on.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from audiomask.audio.source import MemorySource
from audiomask.engine import Engine
from audiomask.evaluation.bootstrap import interval
from audiomask.evaluation.key_and_tempo import (
    agreement,
    beat_seconds,
    key_strengths,
    tempo_strengths,
)
from audiomask.evaluation.metrics import SILENCE, level
from audiomask.evaluation.onsets import clipped_samples
from audiomask.evaluation.report import Table, summarize
from audiomask.evaluation.songs import Song
from audiomask.infill.extension import Extension
from audiomask.infill.settings import InfillMethod, InfillSettings, usual_temperature

#: most and fewest seconds of a prompt, and seconds of a continuation
PROMPT, LEAST, AFTER = 15.0, 4.0, 8.0
#: decibels within which a continuation is as loud as its prompt
_AS_LOUD = 3.0
#: names of what continues a song
WITH_PLAN, WITHOUT_PLAN = "with a plan", "without a plan"
LAST_BAR, TRUE = "last bar repeated", "true continuation"
#: what the tables' headings mean
_LEGEND = (
    "ahead: agrees more with its own prompt than with another song's, 50 % by chance; clipped: "
    "samples of all songs; fade: the last second against the first; dB are medians"
)


class _Traits(NamedTuple):
    """What is compared of two sounds: strengths of keys [24] and of lags [lags]."""

    key: Tensor
    tempo: Tensor

    @classmethod
    def of(cls, audio: Tensor, sample_rate: int) -> _Traits:
        """Those of audio [C, T]."""
        return cls(key_strengths(audio, sample_rate), tempo_strengths(audio, sample_rate))


class _Loudness(NamedTuple):
    """A continuation's level less its prompt's, its samples of full scale, and its fade, in dB."""

    level: float
    clipped: int
    fade: float

    @classmethod
    def of(cls, made: Tensor, prompt: Tensor, sample_rate: int) -> _Loudness:
        """Those of a continuation [C, n] of a prompt [C, T].

        The fade is the level of the last second less that of the first: below 0 it dies away.
        """
        second = min(sample_rate, made.shape[1])
        return cls(
            _decibels(made, prompt),
            clipped_samples(made, prompt, (0, made.shape[1])),
            _decibels(made[:, -second:], made[:, :second]),
        )


def _decibels(one: Tensor, other: Tensor) -> float:
    """The level of one sound less another's, in dB; what is below -100 dBFS counts as that."""
    return max(level(one), -100.0) - max(level(other), -100.0)


class _Continued(NamedTuple):
    """A song: the traits of its prompt, and traits and loudness of what continues it, by system."""

    song: str
    prompt: _Traits
    made: dict[str, tuple[_Traits, _Loudness]]


class Continuations:
    """Continues songs and compares what is made with their prompts.

    Args:
        engine: has the models.
        number: of songs at most, those that come first.
        seed: of what is drawn.

    Raises:
        CheckpointError: a stage that continuing takes is missing.
    """

    def __init__(self, engine: Engine, number: int, seed: int = 0) -> None:
        self.engine, self.number = engine, number
        self.songs: list[_Continued] = []
        plans = {WITH_PLAN: {"lm-semantic", "lm-coarse"}, WITHOUT_PLAN: {"lm-acoustic"}}
        method, warm = InfillMethod.lm, usual_temperature(InfillMethod.lm)
        self.systems = {
            name: InfillSettings(method, temperature=warm, seed=seed, plan=name == WITH_PLAN)
            for name, stages in plans.items()
            if stages <= set(engine.kinds)
        }
        # without any, the error names what is missing
        for settings in self.systems.values() or (InfillSettings(method),):
            engine.open_infiller(settings)

    def add(self, song: Song) -> None:
        """Continue a song, where there is room for one more and it is long enough, and sounds."""
        rate = song.sample_rate
        after = round(AFTER * rate)
        length = min(round(PROMPT * rate), song.mixture.shape[1] - after)
        if len(self.songs) == self.number or length < round(LEAST * rate):
            return
        prompt, true = song.mixture[:, :length], song.mixture[:, length : length + after]
        if min(level(prompt), level(true)) < SILENCE:
            return
        made = {name: self._continue(prompt, rate, one) for name, one in self.systems.items()}
        made |= {LAST_BAR: repeat_bar(prompt, rate, after), TRUE: true}
        found = {
            name: (_Traits.of(audio, rate), _Loudness.of(audio, prompt, rate))
            for name, audio in made.items()
        }
        self.songs.append(_Continued(song.name, _Traits.of(prompt, rate), found))

    def _continue(self, prompt: Tensor, rate: int, settings: InfillSettings) -> Tensor:
        """What the models make after a prompt [C, T]: [C, n]."""
        extension = Extension(after=round(AFTER * rate))
        fillings = self.engine.extend(MemorySource(prompt, rate), extension, settings)
        return torch.cat([filling.samples for filling in fillings], dim=1)

    def measured(self) -> dict[str, Any]:
        """All that is measured, by system, and song by song."""
        rows = [
            {name: self._compare(number, name) for name in song.made}
            for number, song in enumerate(self.songs)
        ]
        systems = {name: _summary([row[name] for row in rows]) for name in rows[0]}
        changes = {
            trait: [row[WITH_PLAN][trait] - row[WITHOUT_PLAN][trait] for row in rows]
            for trait in _Traits._fields
            if {WITH_PLAN, WITHOUT_PLAN} <= set(systems)
        }
        return {
            "seconds": AFTER,
            "songs": [song.song for song in self.songs],
            "systems": systems,
            "change": {
                trait: {"mean": float(np.mean(change)), "interval": interval(change)}
                for trait, change in changes.items()
            },
            "rows": rows,
        }

    def _compare(self, number: int, system: str) -> dict[str, float]:
        """A song's continuation by a system: agreement with its prompt and others, loudness."""
        traits, loudness = self.songs[number].made[system]
        found: dict[str, float] = {}
        for trait in _Traits._fields:
            agreements = [
                agreement(getattr(traits, trait), getattr(song.prompt, trait))
                for song in self.songs
            ]
            own = agreements.pop(number)
            found[trait] = own
            if agreements:
                found[f"{trait} others"] = float(np.mean(agreements))
                ahead = [0.5 if own == other else float(own > other) for other in agreements]
                found[f"{trait} ahead"] = float(np.mean(ahead))
        return found | loudness._asdict() | {"as loud": float(abs(loudness.level) <= _AS_LOUD)}


def repeat_bar(prompt: Tensor, sample_rate: int, length: int) -> Tensor:
    """A prompt's last four beats, over and over.

    Args:
        prompt: [C, T].
        sample_rate: samples a second.
        length: samples.

    Returns:
        [C, length].
    """
    bar = prompt[:, -round(4 * beat_seconds(prompt, sample_rate) * sample_rate) :]
    return bar.repeat(1, -(-length // bar.shape[1]))[:, :length]


def _summary(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Summaries of a system's measurements, one row a song, and intervals of what is ahead."""
    found: dict[str, Any] = {name: summarize([row[name] for row in rows]) for name in rows[0]}
    for name in [name for name in found if name.endswith("ahead")]:
        found[f"{name} interval"] = interval([row[name] for row in rows])
    return found


def remarks(measured: dict[str, Any]) -> list[str]:
    """What a plan changes, where it can be told, and what the headings of the tables mean."""
    changes = []
    for trait, change in measured["change"].items():
        lower, upper = change["interval"]
        changes.append(f"{trait} {change['mean']:+.2f} ({lower:+.2f} … {upper:+.2f})")
    found = [f"with a plan less without, song by song (95 %): {', '.join(changes)}"]
    return [*(found if changes else []), _LEGEND]


def tables(measured: dict[str, Any]) -> list[Table]:
    """Tables of what ``Continuations.measured`` gives: agreement, and loudness."""
    agreeing, loud = [], []
    for name, entry in measured["systems"].items():
        cells = [name]
        for trait in _Traits._fields:
            cells.append(f"{entry[trait].mean:.2f}")
            if f"{trait} ahead" not in entry:  # there is one song
                cells += ["", ""]
                continue
            lower, upper = entry[f"{trait} ahead interval"]
            ahead = f"{entry[f'{trait} ahead'].mean:.0%} ({lower:.0%} … {upper:.0%})"
            cells += [f"{entry[f'{trait} others'].mean:.2f}", ahead]
        agreeing.append(cells)
        clipped = entry["clipped"].mean * entry["clipped"].number
        loud.append(
            [
                name,
                f"{entry['as loud'].mean:.0%}",
                f"{entry['level'].median:+.1f}",
                f"{clipped:.0f}",
                f"{entry['fade'].median:+.1f}",
            ]
        )
    headings = ["continued", "key", "others'", "ahead (95 %)", "tempo", "others'", "ahead (95 %)"]
    span = f"{measured['seconds']:g} s after the prompts of {len(measured['songs'])} songs"
    by_level = ("continued", f"within {_AS_LOUD:g} dB", "level in dB", "clipped", "fade in dB")
    return [
        Table(f"{span}: agreement with the prompt's key and tempo", headings, agreeing),
        Table(f"{span}: level against the prompt's", by_level, loud),
    ]
