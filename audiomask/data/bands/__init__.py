"""Bands: synthetic songs, arranged and rendered from single notes during training."""
