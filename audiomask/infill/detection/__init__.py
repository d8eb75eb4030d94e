"""Detectors of damage: digital silence, repeated samples, NaN, clipping, dropouts, clicks."""
