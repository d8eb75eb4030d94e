"""audiomask: music as tokens, gaps filled, instruments separated.

The names below are imported on first use (PEP 562), so that ``import audiomask`` and
``audiomask --help`` do not pay for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from audiomask.version import __version__

if TYPE_CHECKING:
    from audiomask.audio.files import read_audio, write_audio
    from audiomask.engine import Engine
    from audiomask.infill.settings import InfillSettings
    from audiomask.tokens import Tokens

__all__ = ["Engine", "InfillSettings", "Tokens", "read_audio", "write_audio", "__version__"]

_HOMES = {
    "Engine": "audiomask.engine",
    "InfillSettings": "audiomask.infill.settings",
    "Tokens": "audiomask.tokens",
    "read_audio": "audiomask.audio.files",
    "write_audio": "audiomask.audio.files",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
