"""Infill: gaps of recordings, how they are found, filled and spliced in."""
