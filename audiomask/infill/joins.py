"""Ranking of drawn fillings by their joins: how likely is the known sound beside them?

The raw-audio model tells how many bits the first samples after a filling cost, given all before
them, and, backwards in time, those of the last samples before it. These samples are the same for
all fillings of a gap, so the fewer bits, the likelier what is heard beside the filling.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.infill.detection.surprise import CONTEXT
from audiomask.infill.edges import neighbours
from audiomask.infill.gaps import Gap
from audiomask.infill.splice import Patch
from audiomask.infill.views import BridgedSource
from audiomask.networks.wave.model import WaveModel
from audiomask.networks.wave.mulaw import encode, full_scale

#: patches beside a join whose bits count: 64 ms
_BESIDE = 2


class JoinRanker:
    """Scores fillings of a gap by a raw-audio model.

    Args:
        model: in evaluation mode; it predicts every sample.
        device: where it is.
    """

    def __init__(self, model: WaveModel, device: torch.device) -> None:
        self.model, self.device = model, device
        self.rate, self.unit = model.config.sample_rate, model.config.patch

    def fits(self, source: AudioSource, gap: Gap, gaps: Sequence[Gap]) -> bool:
        """Whether enough is known on a side."""
        return any(self._sides(source, gap, gaps))

    def _sides(self, source: AudioSource, gap: Gap, gaps: Sequence[Gap]) -> tuple[bool, bool]:
        """Whether the samples that count are known on the left, and on the right."""
        low, high = neighbours(gap, gaps, source.frames)
        # a filling's crossfades may take some of them
        needed = 2 * _BESIDE * self.unit * source.sample_rate / self.rate
        return gap.start - low >= needed, high - gap.stop >= needed

    @torch.no_grad()
    def scores(
        self, source: AudioSource, gap: Gap, gaps: Sequence[Gap], fillings: Sequence[Patch]
    ) -> list[float]:
        """Of each filling, the bits of a sample beside its joins, less than nothing.

        The channels are heard as one. A side with too little sound does not count.

        Args:
            source: the recording, or some of its channels.
            gap: the gap.
            gaps: all gaps in these channels, none of which is read as sound.
            fillings: of the gap and its crossfades, all at the same place.

        Raises:
            ValueError: too little is known on both sides.
        """
        left, right = self._sides(source, gap, gaps)
        if not (left or right):
            raise ValueError("too little is known on both sides of the gap")
        scale, beside = self.rate / source.sample_rate, _BESIDE * self.unit
        heard = []
        for filling in fillings:
            place = Gap(filling.start, filling.stop)
            whole = BridgedSource(source, place, gaps, filling.samples)
            audio = ResampledSource(whole, self.rate)
            first, last = math.floor(place.start * scale), math.ceil(place.stop * scale)
            if right:
                end = last + beside
                heard.append(audio.read(end - CONTEXT - beside, end).mean(dim=0))
            if left:
                start = first - beside
                heard.append(audio.read(start, start + beside + CONTEXT).mean(dim=0).flip(0))
        bits = self._bits(torch.stack(heard)).view(len(fillings), -1)
        return [-float(one) for one in bits.mean(dim=1)]

    def _bits(self, audio: Tensor) -> Tensor:
        """The mean bits [B] of the last samples of sounds [B, T], one recording's."""
        unit = self.unit
        kept = audio[:, audio.shape[1] % unit :]
        levels = encode(kept / full_scale(kept.flatten())).to(self.device)
        first = levels.shape[1] // unit - _BESIDE
        begin = torch.full((len(levels), 1), first, device=self.device)
        found = self.model.bits(levels, begin, _BESIDE)
        return found.mean(dim=(1, 2)).cpu()
