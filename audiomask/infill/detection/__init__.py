"""Detectors of damage: digital silence, stuck samples, NaN, clipping, dropouts, clicks."""
