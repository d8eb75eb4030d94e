"""Suppression of messages that decoders print on standard error."""

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
    """Redirect file descriptor 2 to the null device; may be nested and used by several threads.

    libsndfile's MP3 decoder always prints warnings there. The command line's own messages use
    another descriptor (see ``cli.exits.separate_stderr``).
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
    """Redirect descriptor 2; returns a copy of the old one, None where it was closed."""
    try:
        kept = os.dup(2)
    except OSError:
        return None
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return kept
