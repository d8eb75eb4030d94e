"""Bands: songs arranged, played from single notes and rendered while training."""
