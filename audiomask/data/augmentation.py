"""Augmentation of recorded tracks."""

from __future__ import annotations

from dataclasses import dataclass, fields

from audiomask.errors import ConfigError


@dataclass(frozen=True)
class Augmentation:
    """Settings of excerpts from recorded stems, each an option of ``--set``.

    Bands rendered from a note bank have their own variation; only ``mashup`` and ``incoherent``
    apply to them.

    Attributes:
        random_mixing: probability that an excerpt's stems come from different songs.
        stem_dropout: probability that a stem is left out.
        gain: largest change of a stem's level, in dB up or down.
        polarity_prob: probability that a stem is inverted.
        pan_prob: probability that a stem is panned anew before the mix to mono.
        pitch_tempo_prob: probability that an excerpt's pitch and tempo are changed.
        pitch: largest change of pitch, in semitones up or down.
        tempo: largest relative change of tempo. Half of the changes are varispeed instead, with
            the tempo following the pitch.
        effects_prob: probability that a stem gets an equalizer, amplifier and reverb.
        mashup: share of excerpts that combine two others, stem by stem, bands and recordings.
        incoherent: share of bands whose lines are of different songs, keys and tempi.

    Raises:
        ConfigError: a probability is not between 0 and 1, or a change is too large or negative.
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


#: today's names of settings, by their former names
RENAMED_SETTINGS = {
    "moved": "pitch_tempo_prob",
    "dropped": "stem_dropout",
    "panned": "pan_prob",
    "polarity": "polarity_prob",
    "coloured": "effects_prob",
    "optimiser": "optimizer",
    "only": "trainable_prefix",
}
#: no augmentation, for validation and tests
NONE = Augmentation(*(0.0,) * 11)
