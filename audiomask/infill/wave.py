"""Gaps filled, and recordings continued, by the raw-audio model: samples drawn one by one.

The model goes on from the sound on the left, and from that on the right backwards in time; where
both are there, the two meet in a crossfade. It knows mono sound at 16 kHz: stereo is drawn as mid
and side, and above 8 kHz nothing is made but what linear prediction carries over the edges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.infill.context import OffsetSource, envelope
from audiomask.infill.edges import EdgeExtendedSource, neighbours
from audiomask.infill.gaps import Gap
from audiomask.infill.views import read_known
from audiomask.networks.wave.generation import generate
from audiomask.networks.wave.model import WaveModel
from audiomask.networks.wave.mulaw import full_scale

#: samples at the model's rate that are drawn beyond a gap, so that resampling has both sides
_BEYOND = 64
#: seconds of the crossfade from the edges, and of the one where both directions meet; the largest
#: share of the gap that the latter takes
_EDGE, _MEETING, _MEETING_SHARE = 0.01, 0.1, 1 / 4
#: seconds of sound that are enough to go on from
_ENOUGH = 0.05


class WaveFiller:
    """Fills gaps with a raw-audio model.

    Args:
        model: in evaluation mode; it predicts every sample.
        device: where it is.
        temperature: of the draws.
        seed: with the gap's place, decides them.
    """

    def __init__(
        self, model: WaveModel, device: torch.device, temperature: float, seed: int
    ) -> None:
        self.model, self.device = model, device
        self.temperature, self.seed = temperature, seed
        self.rate = model.config.sample_rate

    def fill(
        self, source: AudioSource, gap: Gap, gaps: Sequence[Gap], candidate: int = 0
    ) -> Tensor:
        """Samples [C, gap.length] for a gap.

        A side with less than 50 ms of sound is gone on from only where the other has no more.

        Args:
            source: the recording; the gap's samples are ignored.
            gap: the gap.
            gaps: all gaps of the recording, none of which is read as sound.
            candidate: number of the filling, of several with the same seed.
        """
        draw = torch.Generator().manual_seed((1009 * self.seed + candidate << 20) ^ gap.start)
        edged = EdgeExtendedSource(source, gap, gaps)
        known = _Known(edged, [other for other in gaps if other != gap])
        low, high = neighbours(gap, gaps, source.frames)
        left, right = gap.start - low, high - gap.stop
        enough = min(round(_ENOUGH * source.sample_rate), max(left, right))
        made = []
        if left >= enough:
            made.append(self._continue(known, gap, low, draw))
        if right >= enough:
            view = _Reversed(known)
            mirrored = Gap(view.frames - gap.stop, view.frames - gap.start)
            made.append(self._continue(view, mirrored, view.frames - high, draw).flip(1))
        filled = made[0] if len(made) == 1 else _meet(made[0], made[1], source.sample_rate)
        # linear prediction is full-band, and fits where both sides end
        edge = round(_EDGE * source.sample_rate)
        edges = [min(edge, part.shape[1]) for part in (edged.before, edged.after)]
        share = 1 - envelope(gap.length, *edges)
        # what the gap itself holds may be no number
        there = torch.where(share < 1, edged.read(gap.start, gap.stop), 0.0)
        return (1 - share.square()).sqrt() * there + share * filled

    def _continue(self, source: AudioSource, gap: Gap, low: int, draw: torch.Generator) -> Tensor:
        """Samples [C, gap.length] that go on from the sound in [low, gap.start)."""
        scale = self.rate / source.sample_rate
        audio = ResampledSource(source, self.rate)
        at, end = math.floor(gap.start * scale), math.ceil(gap.stop * scale) + _BEYOND
        # a sample at the least, whatever is known
        first = min(max(at - self.model.config.window, math.ceil(low * scale)), at - 1)
        past = _to_mid_and_side(audio.read(first, at))
        # a recording's peak is 1 for the model; the side's is its own
        peak = full_scale(past)
        scaled = (past / peak).to(self.device)
        drawn = generate(self.model, scaled, end - at, self.temperature, draw).cpu() * peak
        sound = _to_mid_and_side(torch.cat([past, drawn], dim=1))
        placed = OffsetSource(sound, self.rate, first)
        return ResampledSource(placed, source.sample_rate).read(gap.start, gap.stop)


class _Known:
    """A recording with silence in some gaps."""

    def __init__(self, source: AudioSource, gaps: Sequence[Gap]) -> None:
        self.source, self.gaps = source, list(gaps)
        self.sample_rate, self.channels = source.sample_rate, source.channels
        self.frames = source.frames

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop), [C, stop - start]."""
        return read_known(self.source, start, stop, self.gaps)[0]


class _Reversed:
    """A recording backwards in time."""

    def __init__(self, source: AudioSource) -> None:
        self.source = source
        self.sample_rate, self.channels = source.sample_rate, source.channels
        self.frames = source.frames

    def read(self, start: int, stop: int) -> Tensor:
        """Samples [start, stop), [C, stop - start]."""
        return self.source.read(self.frames - stop, self.frames - start).flip(1)


def _to_mid_and_side(audio: Tensor) -> Tensor:
    """Mid and side of left and right, and the reverse, [2, T]; other sounds as they are."""
    if len(audio) != 2:
        return audio
    return torch.stack([audio[0] + audio[1], audio[0] - audio[1]]) / math.sqrt(2)


def _meet(left: Tensor, right: Tensor, sample_rate: int) -> Tensor:
    """An equal-power crossfade of two fillings [C, T] in the middle."""
    length = left.shape[1]
    fade = min(round(_MEETING * sample_rate), round(_MEETING_SHARE * length))
    time = torch.arange(length) - (length - fade) / 2
    angle = (time / max(fade, 1)).clamp(0, 1) * (math.pi / 2)
    return angle.cos() * left + angle.sin() * right
