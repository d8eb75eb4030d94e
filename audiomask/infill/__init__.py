"""Infill: finding the gaps of recordings, filling them and splicing the fillings in."""
