"""Whole recordings in one call: paths, arrays or tensors in, tensors out.

:func:`separate`, :func:`infill`, :func:`tokenize` and :func:`detokenize` do in memory what the
subcommands do with files. For recordings of hours use :class:`audiomask.Engine`, which works in
blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from audiomask.audio.files import AudioFile, write_audio
from audiomask.audio.source import AudioSource, MemorySource
from audiomask.engine import Engine
from audiomask.errors import UsageError
from audiomask.infill.detection.detect import DEFAULT_KINDS, detect_faults
from audiomask.infill.gaps import MAX_GAP, MIN_GAP, Gap, gap_from_seconds, merge_gaps
from audiomask.infill.settings import InfillSettings
from audiomask.separation.settings import Quality, SeparationMethod
from audiomask.separation.stems import RESIDUAL, without
from audiomask.tokens import Tokens

#: a file, or samples [T] or [C, T]: floats from -1 to 1, or integers at full scale
_Audio = str | PathLike[str] | Tensor | npt.NDArray[Any]
#: seconds of its start and end, or a :class:`audiomask.Gap` of samples
_Span = tuple[float, float] | Gap


class Waveform(NamedTuple):
    """Samples and their rate, as ``torchaudio.load`` gives them.

    Attributes:
        samples: float32 Tensor [C, T], or [T] where the input was so.
        sample_rate: samples a second.
    """

    samples: Tensor
    sample_rate: int

    def save(self, path: str | PathLike[str], subtype: str | None = None) -> None:
        """Write a file, in the format that its name ends with; an existing one is replaced."""
        write_audio(Path(path), _rows(self.samples), self.sample_rate, subtype)


class Stems(dict[str, Tensor]):
    """Stems by name, float32 Tensors shaped like the recording.

    Attributes:
        sample_rate: samples a second.
    """

    def __init__(self, stems: Mapping[str, Tensor], sample_rate: int) -> None:
        super().__init__(stems)
        self.sample_rate = sample_rate

    def save(self, folder: str | PathLike[str], format: str = "wav") -> None:
        """Write each stem as ``folder/<stem>.<format>``; existing files are replaced."""
        for name, samples in self.items():
            Waveform(samples, self.sample_rate).save(Path(folder, f"{name}.{format}"))


def separate(
    audio: _Audio,
    stems: str | Sequence[str] = "all",
    *,
    sample_rate: int | None = None,
    residual: bool = False,
    minus: str | Sequence[str] = (),
    method: str = SeparationMethod.mask,
    quality: str = Quality.normal,
    engine: Engine | None = None,
) -> Stems:
    """The stems of a song.

    Args:
        audio: the song.
        stems: a name or several; "all" for all that the model knows.
        sample_rate: of samples; a file has its own.
        residual: also return "residual", the song without these stems.
        minus: stems that the song is returned without, as "no guitar".
        method: see :class:`audiomask.separation.settings.SeparationMethod`.
        quality: see :class:`audiomask.separation.settings.Quality`.
        engine: with the models; one with the bundled models by default.

    Raises:
        UsageError: the model does not know a stem, or samples come without their rate.
        AudioFileError: a file cannot be read.
    """
    engine = engine or _default_engine()
    removed = _names(minus)
    wanted = engine.stems(method) if stems == "all" else _names(stems)
    every = tuple(dict.fromkeys([*wanted, *removed]))
    with _open(audio, sample_rate) as (source, flat):
        blocks = engine.separate(source, every, bool(residual or removed), "FLOAT", method, quality)
        found: dict[str, list[Tensor]] = {}
        for block in blocks:
            out = {name: block[name] for name in wanted}
            if residual:
                out[RESIDUAL] = without(block, wanted)
            if removed:
                out[f"no {', '.join(removed)}"] = without(block, removed)
            for name, samples in out.items():
                found.setdefault(name, []).append(samples)
        joined = {name: _shaped(torch.cat(parts, dim=1), flat) for name, parts in found.items()}
        return Stems(joined, source.sample_rate)


def infill(
    audio: _Audio,
    gaps: Iterable[_Span] | None = None,
    *,
    sample_rate: int | None = None,
    engine: Engine | None = None,
    **settings: Any,
) -> Waveform:
    """A recording with its gaps filled. Outside of them and their crossfades it stays as it is.

    Args:
        audio: the recording.
        gaps: (start, end) in seconds, or :class:`audiomask.Gap`. None for the damage found, as the
            subcommand finds it, in a file.
        sample_rate: of samples; a file has its own.
        engine: with the models; one with the bundled models by default.
        settings: of :class:`audiomask.InfillSettings`, such as ``method="passage"``.

    Raises:
        UsageError: a gap lies outside the recording, a setting is out of range, or samples come
            without their rate or without gaps.
        AudioFileError: a file cannot be read.
    """
    engine = engine or _default_engine()
    chosen = InfillSettings(**settings)
    with _open(audio, sample_rate) as (source, flat):
        spans = _detected(source) if gaps is None else [_gap(span, source) for span in gaps]
        samples = source.read(0, source.frames).clone()
        for filling in engine.infill(source, merge_gaps(spans, source.channels), chosen):
            place = slice(filling.start, filling.stop)
            channels = list(filling.gap.channel_numbers(source.channels))
            samples[channels, place] = filling.samples
        return Waveform(_shaped(samples, flat), source.sample_rate)


def tokenize(
    audio: _Audio,
    *,
    sample_rate: int | None = None,
    levels: int | None = None,
    engine: Engine | None = None,
) -> Tokens:
    """The tokens of a recording.

    Args:
        audio: the recording.
        sample_rate: of samples; a file has its own.
        levels: how many of the first levels to keep; all when None.
        engine: with the models; one with the bundled models by default.

    Raises:
        UsageError: the model has fewer levels, or samples come without their rate.
        AudioFileError: a file cannot be read.
    """
    engine = engine or _default_engine()
    with _open(audio, sample_rate) as (source, _):
        return engine.tokenize(source, levels)


def detokenize(tokens: Tokens | str | PathLike[str], *, engine: Engine | None = None) -> Waveform:
    """The sound of tokens.

    Args:
        tokens: tokens, or their file.
        engine: with the models; one with the bundled models by default.

    Raises:
        TokensError: another VQ-VAE made them, or the file is malformed.
    """
    engine = engine or _default_engine()
    if not isinstance(tokens, Tokens):
        tokens = Tokens.load(tokens)
    return Waveform(torch.cat(list(engine.detokenize(tokens)), dim=1), tokens.sample_rate)


@lru_cache(maxsize=1)
def _default_engine() -> Engine:
    """An engine with the bundled models, on the first CUDA device or the CPU."""
    return Engine()


@contextmanager
def _open(audio: _Audio, sample_rate: int | None) -> Iterator[tuple[AudioSource, bool]]:
    """A source of the audio, and whether it was [T]."""
    if isinstance(audio, (str, PathLike)):
        if sample_rate is not None:
            raise UsageError("sample_rate is for samples: a file has its own")
        with AudioFile(Path(audio)) as file:
            yield file, False
        return
    if sample_rate is None:
        raise UsageError("samples need their sample_rate")
    samples = _floats(torch.as_tensor(audio))
    if samples.dim() not in (1, 2) or not samples.numel():
        shape = list(samples.shape)
        raise UsageError(f"samples are [T] or [channels, T], and some: these are {shape}")
    if samples.dim() == 2 and samples.shape[0] > samples.shape[1]:
        raise UsageError(
            f"samples are [channels, T], not [T, channels]: these are {list(samples.shape)}"
        )
    yield MemorySource(_rows(samples), sample_rate), samples.dim() == 1


def _floats(samples: Tensor) -> Tensor:
    """Samples as float32 from -1 to 1, on the CPU and without their graph."""
    samples = samples.detach().cpu()
    if samples.dtype in (torch.int16, torch.int32):
        return samples.float() / -float(np.iinfo(str(samples.dtype)[6:]).min)
    if not samples.is_floating_point():
        raise UsageError(f"samples are floats, int16 or int32, not {samples.dtype}")
    return samples.float()


def _rows(samples: Tensor) -> Tensor:
    """Samples [C, T] of [C, T] or [T]."""
    return samples if samples.dim() == 2 else samples[None]


def _shaped(samples: Tensor, flat: bool) -> Tensor:
    """Samples [C, T], or [T] if the input was so."""
    return samples[0] if flat else samples


def _names(given: str | Sequence[str]) -> tuple[str, ...]:
    """One name or several, each once."""
    return (given,) if isinstance(given, str) else tuple(dict.fromkeys(given))


def _gap(span: _Span, source: AudioSource) -> Gap:
    """A gap of samples."""
    if isinstance(span, Gap):
        if span.stop > source.frames or max(span.channels, default=0) >= source.channels:
            raise UsageError(f"{span}: lies outside the recording")
        return span
    start, end = span
    return gap_from_seconds(start, end, source.sample_rate, source.frames, f"gap {start}:{end}")


def _detected(source: AudioSource) -> list[Gap]:
    """The damage found in a file."""
    if not isinstance(source, AudioFile):
        raise UsageError("name the gaps of samples: damage is found in files only")
    found = detect_faults(source, MIN_GAP, DEFAULT_KINDS, MAX_GAP, ())
    return [fault.gap for fault in found if not fault.left]
