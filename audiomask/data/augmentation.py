"""Augmentation: how much recorded tracks are varied from one visit to the next."""

from __future__ import annotations

from dataclasses import dataclass, fields

from audiomask.errors import ConfigError


@dataclass(frozen=True)
class Augmentation:
    """Settings of the excerpts taken from recorded stems; ``--set`` changes each by its name.

    Bands played from a note bank vary by themselves; ``mashup`` and ``incoherent`` alone are for
    them as well.

    Attributes:
        random_mixing: share of excerpts whose stems come from different songs.
        stem_dropout: chance that a stem is left out of an excerpt.
        gain: largest change of a stem's level, dB either way.
        polarity_prob: chance that a stem is inverted.
        pan_prob: chance that a stem is panned anew before the excerpt becomes mono.
        pitch_tempo_prob: share of excerpts whose pitch and tempo are changed.
        pitch: largest change of pitch, semitones either way.
        tempo: largest change of tempo, share of it either way. Half of the changes follow the
            pitch instead, as a faster tape does.
        effects_prob: chance that a stem gets another equalizer, amplifier and room.
        mashup: share of excerpts that are put together of two others, stem by stem: bands and
            recordings with each other.
        incoherent: share of bands whose lines are of different songs, keys and tempi.

    Raises:
        ConfigError: a chance is not between 0 and 1, or a change is too large or negative.
    """

    random_mixing: float = 0.5
    stem_dropout: float = 0.1
    gain: float = 6.0
    polarity_prob: float = 0.5
    pan_prob: float = 0.5
    pitch_tempo_prob: float = 0.25
    pitch: float = 2.0
    tempo: float = 0.12
    effects_prob: float = 0.3
    mashup: float = 0.0
    incoherent: float = 0.0

    def __post_init__(self) -> None:
        most = {"gain": 60.0, "pitch": 12.0, "tempo": 0.5}
        for field in fields(self):
            value, limit = getattr(self, field.name), most.get(field.name, 1.0)
            if not 0 <= value <= limit:
                raise ConfigError(f"{field.name} is {value:g}; it must be from 0 to {limit:g}")


#: settings that had another name once: what they are called now
RENAMED_SETTINGS = {
    "moved": "pitch_tempo_prob",
    "dropped": "stem_dropout",
    "panned": "pan_prob",
    "polarity": "polarity_prob",
    "coloured": "effects_prob",
    "optimiser": "optimizer",
    "only": "trainable_prefix",
}
#: everything as it was recorded, for validation and tests
NONE = Augmentation(*(0.0,) * 11)
