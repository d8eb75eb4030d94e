"""Effects that make one instrument sound like many: amplifiers, pedals, rooms and places.

A *line* is what one player plays. What happens to it is drawn beforehand, by numbers that travel
with it, so that the same few tensor operations serve a loader's worker and a GPU.
"""

from audiomask.data.effects.apply import apply_effects
from audiomask.data.effects.params import EQ_POINTS, EffectParams
from audiomask.data.effects.sampling import sample_effects

__all__ = ["EQ_POINTS", "EffectParams", "apply_effects", "sample_effects"]
