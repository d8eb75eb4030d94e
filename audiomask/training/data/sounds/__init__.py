"""Sounds: single notes of instruments, and the SoundFonts that they may come from."""
