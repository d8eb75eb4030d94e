"""An engine without a model, which the command finds in place of the real one."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from audiomask.infill.gaps import Gap
from audiomask.infill.splice import Patch

RATE = 44100
STEMS = ("guitar", "piano", "bass", "drums")


@dataclass(frozen=True)
class FakeFilling(Patch):
    """What the engine says of a gap's new samples."""

    gap: Gap
    method: str
    passes: int = 1
    passage: object = None
    passages: tuple[object, ...] = ()
    level: float = float("nan")
    stems: tuple[object, ...] = ()


class FakeEngine:
    """An engine without a model: halves for stems, a constant in gaps."""

    gain = 0.5
    passes = 1
    device = "cpu"
    asked: ClassVar[list[tuple[object, ...]]] = []
    """What ``separate`` was asked for: stems, whether with what is left, and how."""
    qualities: ClassVar[list[str]] = []
    """How much it was to do."""
    playing: ClassVar[tuple[str, ...]] = STEMS
    """Stems that play in every song."""

    def __init__(self, model: object = None, device: str = "auto", threads: object = None) -> None:
        self.arguments = (model, device, threads)

    def stems(self, method="mask"):
        return STEMS

    def tokenize(self, source, levels=None, progress=None, stereo="separate"):
        from audiomask.tokens import Tokens

        progress(source.frames / source.sample_rate)
        frames = -(-source.frames // 512)
        codes = torch.zeros(source.channels, levels or 4, frames, dtype=torch.int16)
        return Tokens(
            codes=codes,
            sample_rate=source.sample_rate,
            num_samples=source.frames,
            hop_length=512,
            codebook_size=1024,
            fingerprint="0123456789abcdef",
            model_sample_rate=RATE,
            stereo=stereo if source.channels == 2 else "separate",
        )

    def detokenize(self, tokens):
        for start in range(0, tokens.num_samples, 1000):
            count = min(1000, tokens.num_samples - start)
            yield torch.full((tokens.channels, count), self.gain)

    def activity_log(self):
        from audiomask.separation.activity import ActivityLog

        return ActivityLog(STEMS, 0.1)

    def separate(
        self,
        source,
        stems,
        residual=False,
        subtype="FLOAT",
        method="mask",
        quality="normal",
        log=None,
    ):
        self.asked.append((tuple(stems), residual, method))
        self.qualities.append(quality)
        if log is not None:  # stems that play do so at half of full scale
            frames = -(-source.frames * 10 // source.sample_rate)
            plays = torch.tensor([float(stem in self.playing) for stem in STEMS])
            playing = 0.9 * plays[:, None].expand(-1, frames)
            shares = torch.zeros(len(STEMS) + 1, 1, 2, frames)
            shares[:-1] = 0.5 * plays[:, None, None, None]
            log.add(0, playing, shares, torch.ones(1, 2, frames) / 2)
        names = [*stems, *["residual"] * residual]
        for start in range(0, source.frames, 1000):
            block = source.read(start, min(start + 1000, source.frames))
            yield dict.fromkeys(names, block * self.gain)

    def infill(self, source, gaps, settings, other=None):
        from audiomask.errors import AudiomaskError

        if sum(gap.length for gap in gaps) == source.frames:
            raise AudiomaskError("the whole recording is one gap: there is no sound around it")
        for gap in gaps:
            there = gap.channel_numbers(source.channels)
            samples = torch.full((len(there), gap.length), 0.5)
            about = (gap, settings.method, self.passes)
            yield FakeFilling(gap.start, samples, *about, channels=gap.channels)

    def extend(self, source, extension, settings, other=None):
        from audiomask.infill.extension import ExtendedSource

        for room in ExtendedSource(source, extension).rooms:
            samples = torch.full((source.channels, room.length), 0.5)
            yield FakeFilling(room.start, samples, room, settings.method, self.passes)
