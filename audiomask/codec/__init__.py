"""Recordings of any length to tokens and back, in chunks."""
