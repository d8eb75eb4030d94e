"""Windowed inference: the models run over recordings of any length, rate and channel count."""
