"""Audio effects on lines: compressor, modulation, amplifier, equalizer, echo, reverb and panning.

A *line* is one take of one instrument. Parameters are sampled with the excerpt and applied as
tensors, in a loader's worker or on a GPU.
"""

from audiomask.data.effects.apply import apply_effects
from audiomask.data.effects.params import EQ_POINTS, EffectParams
from audiomask.data.effects.sampling import sample_effects

__all__ = ["EQ_POINTS", "EffectParams", "apply_effects", "sample_effects"]
