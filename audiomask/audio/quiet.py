"""Quiet: what decoders print on standard error by themselves is kept from the terminal."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_kept: int | None = None


@contextmanager
def quiet_decoders() -> Iterator[None]:
    """Send the process's file number 2 nowhere for a while; any number of threads may ask for it.

    libsndfile's MP3 decoder writes its warnings there whatever the caller wants. The command line
    writes its own messages through another number (see ``cli.exits.separate_stderr``): they come
    through all the while.
    """
    global _inside, _kept
    with _lock:
        if _inside == 0:
            _kept = _turn_off()
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _kept is not None:
                os.dup2(_kept, 2)
                os.close(_kept)
                _kept = None


def _turn_off() -> int | None:
    """Point file number 2 nowhere; returns a copy of what it was, None where it was closed."""
    try:
        kept = os.dup(2)
    except OSError:
        return None
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return kept
