"""Infill of recordings: a gap's tokens are decoded iteratively and its sound spliced in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from audiomask.audio.gaps import Gap
from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.audio.splice import Patch, crossfade_bounds
from audiomask.errors import AudiomaskError
from audiomask.inference.codec import DecodedSource
from audiomask.mlm.decoding import fill
from audiomask.mlm.model import MaskedLM
from audiomask.vqvae import AnyVQVAE

#: seconds of crossfade a side
FADE = 0.01
#: seconds of sound a side that the level of a filling is matched to
LEVEL_REACH = 0.1
#: a filling is never made louder or softer than this to match, in dB
LEVEL_LIMIT = 6.0


class Infiller:
    """Fills gaps of recordings.

    Args:
        vqvae, mlm: in evaluation mode, on ``device``.
        device: where they are.
        steps: passes over the first level's tokens.
        temperature: of the sampling.
        candidates: fillings drawn, of which the likeliest is kept.
        seed: with a gap's place, decides its filling.
    """

    def __init__(
        self,
        vqvae: AnyVQVAE,
        mlm: MaskedLM,
        device: torch.device,
        steps: int,
        temperature: float,
        candidates: int,
        seed: int,
    ) -> None:
        self.vqvae, self.mlm, self.device = vqvae, mlm, device
        self.steps, self.temperature = steps, temperature
        self.candidates, self.seed = candidates, seed
        self.rate, self.hop = vqvae.config.sample_rate, vqvae.config.hop_length

    def patches(self, source: AudioSource, gaps: Sequence[Gap]) -> Iterator[Patch]:
        """New samples for every gap and its crossfades, in order.

        Args:
            gaps: sorted and apart, as ``merge_gaps`` gives them.

        Raises:
            AudiomaskError: the gaps leave nothing of the recording.
        """
        if sum(gap.length for gap in gaps) >= source.frames:
            raise AudiomaskError("the whole recording is one gap: there is nothing to go by")
        fades = crossfade_bounds(gaps, source.frames, round(FADE * source.sample_rate))
        for gap, (left, right) in zip(gaps, fades, strict=True):
            start, stop = gap.start - left, gap.stop + right
            filled = self.fill_gap(source, gap, gaps, start, stop)
            there = source.read(start, stop)
            weight = torch.ones(stop - start)
            weight[:left] = ramp(left)
            weight[len(weight) - right :] = ramp(right).flip(0)
            # 0 * NaN is NaN: what the gap holds must not be multiplied
            there[:, left : left + gap.length] = 0
            yield Patch(start, torch.lerp(there, filled, weight))

    def fill_gap(
        self, source: AudioSource, gap: Gap, gaps: Sequence[Gap], start: int, stop: int
    ) -> Tensor:
        """Samples [start, stop) of a recording with one gap filled, [C, stop - start].

        Args:
            gaps: all the recording's, so that no other is taken for sound.
        """
        audio = ResampledSource(source, self.rate)
        scale = self.rate / source.sample_rate
        frames = -(-audio.frames // self.hop)
        # frames whose analysis window reaches into a gap are unknown as well
        first, last = self.touched(gap, scale, frames)
        reach = max(self.mlm.config.window // 2, 2 * self.vqvae.config.context)
        low, high = max(first - reach, 0), min(last + reach, frames)
        unknown = torch.zeros(high - low, dtype=torch.bool)
        samples = audio.read(low * self.hop, high * self.hop).nan_to_num()
        for other in gaps:
            begin, end = self.touched(other, scale, frames)
            if end <= low or begin >= high:
                continue
            unknown[max(begin - low, 0) : max(end - low, 0)] = True
            bridge(
                samples,
                round(other.start * scale) - low * self.hop,
                round(other.stop * scale) - low * self.hop,
            )
        wanted = torch.zeros_like(unknown)
        wanted[first - low : last - low] = True
        generator = torch.Generator().manual_seed((self.seed << 20) ^ gap.start)
        with torch.inference_mode():
            codes = self.vqvae.encode(samples.to(self.device), self.mlm.config.levels)
            codes = self.fill_codes(codes, unknown, wanted, generator)
        decoded = DecodedSource(self.vqvae, codes)
        gain = self.match(decoded, samples, unknown)
        shifted = Shifted(decoded, low * self.hop, audio.frames, gain)
        return ResampledSource(shifted, source.sample_rate).read(start, stop)

    def touched(self, gap: Gap, scale: float, frames: int) -> tuple[int, int]:
        """Frames [first, last) whose tokens a gap spoils."""
        margin = self.vqvae.config.margin
        first = int(gap.start * scale) // self.hop - margin
        last = -(-int(-(-gap.stop * scale // 1)) // self.hop) + margin
        return max(first, 0), min(last, frames)

    def fill_codes(
        self, codes: Tensor, unknown: Tensor, wanted: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Codes [C, levels, F] with the ``wanted`` frames [F] filled.

        A gap of more than half the model's window is filled in passes from left to right.
        Other unknown frames are masked while that happens.
        """
        window, channels = self.mlm.config.window, codes.shape[0]
        places = wanted.nonzero().flatten()
        unknown = unknown.to(codes.device)
        for portion in torch.split(places, max(window // 2, 1)):
            first, last = int(portion[0]), int(portion[-1]) + 1
            low = max(min(first - (window - (last - first)) // 2, len(unknown) - window), 0)
            view = slice(low, low + window)
            inside = torch.zeros_like(unknown[view])
            inside[first - low : last - low] = True
            hidden = unknown[view][None, None]
            ids = torch.where(hidden, self.mlm.vocabulary.mask, codes[..., view])
            rows = ids.repeat(self.candidates, 1, 1)
            filled, score = fill(
                self.mlm,
                rows,
                inside.expand(len(rows), -1),
                self.steps,
                self.temperature,
                generator,
                channels,
            )
            best = int(score.view(self.candidates, channels).mean(dim=1).argmax())
            kept = filled[best * channels : (best + 1) * channels]
            codes[..., view] = torch.where(inside, kept, codes[..., view])
            unknown[first:last] = False
        return codes

    def match(self, decoded: DecodedSource, samples: Tensor, unknown: Tensor) -> Tensor:
        """Gain [C, 1] that brings decoded sound to the recording's level beside the gap."""
        known = ~unknown.repeat_interleave(self.hop)
        edges = (unknown[1:] != unknown[:-1]).nonzero().flatten() + 1
        near = torch.zeros_like(known)
        reach = round(LEVEL_REACH * self.rate)
        for edge in (edges * self.hop).tolist():
            near[max(edge - reach, 0) : edge + reach] = True
        near &= known
        if not near.any():
            return torch.ones(len(samples), 1)
        sound = decoded.read(0, decoded.frames)
        have, want = (x[:, near].square().mean(dim=1).sqrt() for x in (sound, samples))
        limit = 10 ** (LEVEL_LIMIT / 20)
        return ((want + 1e-6) / (have + 1e-6)).clamp(1 / limit, limit)[:, None]


class Shifted:
    """Decoded sound in its place in the recording, at the recording's level."""

    def __init__(self, decoded: DecodedSource, offset: int, frames: int, gain: Tensor) -> None:
        self.decoded, self.offset, self.gain = decoded, offset, gain
        self.sample_rate, self.channels = decoded.sample_rate, decoded.channels
        self.frames = frames

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop) of the recording."""
        return self.gain * self.decoded.read(start - self.offset, stop - self.offset)


def bridge(audio: Tensor, start: int, stop: int) -> None:
    """Put mirror images of both sides into a gap of audio [C, T], fading into each other.

    The encoder hears some frames around those it codes; silence there would spoil the known
    tokens beside the gap.
    """
    start, stop = max(start, 0), min(stop, audio.shape[1])
    length = stop - start
    if length <= 0:
        return
    before = audio[:, max(start - length, 0) : start].flip(1)
    after = audio[:, stop : stop + length].flip(1)
    fade = ramp(length)
    audio[:, start:stop] = 0
    audio[:, start : start + before.shape[1]] += before * (1 - fade[: before.shape[1]])
    audio[:, stop - after.shape[1] : stop] += after * fade[length - after.shape[1] :]


def ramp(length: int) -> Tensor:
    """Weights [length] that rise from just above 0 to just under 1."""
    return torch.arange(1, length + 1) / (length + 1)
