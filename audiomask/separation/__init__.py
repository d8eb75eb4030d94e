"""Separation of recordings of any length into stems."""
