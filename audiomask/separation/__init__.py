"""Separation of recordings of any length into stems, by masks or by tokens."""
