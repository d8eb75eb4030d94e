"""Tokens: what a VQ-VAE makes of sound, and the two file formats that hold them."""

from audiomask.tokens.content import Tokens
from audiomask.tokens.store import Format, load_tokens, save_tokens

__all__ = ["Format", "Tokens", "load_tokens", "save_tokens"]
