"""Tokens of recordings, and their files: safetensors, text and NumPy arrays."""

from audiomask.tokens.content import MID_SIDE, SEMANTIC, SEPARATE, Tokens
from audiomask.tokens.dataset import TokenDataset
from audiomask.tokens.store import Format, load_tokens, save_tokens

__all__ = [
    "MID_SIDE",
    "SEMANTIC",
    "SEPARATE",
    "Format",
    "TokenDataset",
    "Tokens",
    "load_tokens",
    "save_tokens",
]
