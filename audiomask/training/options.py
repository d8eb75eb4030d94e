"""What a training run is asked to do, free of torch so that the command line starts fast."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from audiomask.errors import UsageError

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)")


@dataclass(frozen=True)
class TrainOptions:
    """One training run: ``audiomask train`` fills this in, ``training.run`` carries it out.

    ``None`` leaves a choice to the preset. ``steps`` counts the optimiser's steps since the
    run began, over all its resumptions; ``max_time`` is in seconds and counts this call only.
    ``keep_tokens`` is how many excerpts are coded once and kept in ``cache``. ``dry_run`` shows
    what would be trained on, below ``out``, and trains nothing.
    """

    data: tuple[Path, ...]
    out: Path
    preset: str = "default"
    steps: int | None = None
    max_time: float | None = None
    resume: bool = False
    precision: str = "auto"
    workers: int = 0
    batch_size: int | None = None
    seed: int = 0
    save_every: int | None = None
    init: Path | None = None
    vqvae: Path | None = None
    cache: Path | None = None
    keep_tokens: int | None = None
    dry_run: bool = False
    overrides: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"
    threads: int | None = None
    quiet: bool = False


def parse_time(text: str) -> float:
    """``90``, ``90s``, ``9m``, ``1.5h`` or ``1h30m`` in seconds.

    Raises UsageError for anything else, and for a time of zero.
    """
    compact = text.strip().lower().replace(" ", "")
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise UsageError(f"not a time: '{text}' (write 90s, 9m, 1.5h or 1h30m)")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds <= 0:
        raise UsageError(f"a time must be more than zero: '{text}'")
    return seconds


def parse_overrides(pairs: list[str]) -> dict[str, str]:
    """``["layers=4", "lr=3e-4"]`` as a mapping; raises UsageError for what is no ``key=value``."""
    overrides: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set takes key=value, not '{pair}'")
        if key.strip() in overrides:
            raise UsageError(f"--set {key.strip()} is given twice")
        overrides[key.strip()] = value.strip()
    return overrides
