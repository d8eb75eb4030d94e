"""Names of files as libsndfile's binding takes them."""

from __future__ import annotations

import os
from pathlib import Path


def sound_name(path: Path) -> str | bytes:
    """A path for ``soundfile``, which refuses names that are no UTF-8 unless they are bytes.

    Such names come from disks written long ago, in Latin-1 for instance.
    """
    return str(path) if os.name == "nt" else os.fsencode(path)
