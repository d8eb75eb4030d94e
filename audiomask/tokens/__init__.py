"""Tokens: what a VQ-VAE makes of sound, and the two file formats that hold them."""

from audiomask.tokens.content import MID_SIDE, SEPARATE, Tokens
from audiomask.tokens.store import Format, load_tokens, save_tokens

__all__ = ["MID_SIDE", "SEPARATE", "Format", "Tokens", "load_tokens", "save_tokens"]
