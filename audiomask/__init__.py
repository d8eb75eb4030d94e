"""audiomask: music as tokens, gaps filled, instruments separated.

The names below are imported on first use (PEP 562), so that ``import audiomask`` and
``audiomask --help`` do not pay for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from audiomask.version import __version__

if TYPE_CHECKING:
    from audiomask.api import Stems, Waveform, detokenize, infill, separate, tokenize
    from audiomask.audio.files import AudioFile, read_audio, write_audio
    from audiomask.audio.source import MemorySource
    from audiomask.engine import Engine
    from audiomask.infill.gaps import Gap
    from audiomask.infill.settings import InfillSettings
    from audiomask.tokens import TokenDataset, Tokens

__all__ = [
    "AudioFile",
    "Engine",
    "Gap",
    "InfillSettings",
    "MemorySource",
    "Stems",
    "TokenDataset",
    "Tokens",
    "Waveform",
    "__version__",
    "detokenize",
    "infill",
    "read_audio",
    "separate",
    "tokenize",
    "write_audio",
]

_HOMES = {
    "AudioFile": "audiomask.audio.files",
    "Engine": "audiomask.engine",
    "Gap": "audiomask.infill.gaps",
    "InfillSettings": "audiomask.infill.settings",
    "MemorySource": "audiomask.audio.source",
    "Stems": "audiomask.api",
    "TokenDataset": "audiomask.tokens",
    "Tokens": "audiomask.tokens",
    "Waveform": "audiomask.api",
    "detokenize": "audiomask.api",
    "infill": "audiomask.api",
    "read_audio": "audiomask.audio.files",
    "separate": "audiomask.api",
    "tokenize": "audiomask.api",
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
