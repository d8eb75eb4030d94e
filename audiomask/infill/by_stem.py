"""Infill stem by stem: the drums go on while the piano holds.

The surroundings of a gap are separated, every stem that plays is filled by itself, by a passage of
its own or by tokens, and the fillings are added. How to separate is told by whoever knows it: this
package does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, MemorySource
from audiomask.infill.choice import Choice
from audiomask.infill.gaps import Gap
from audiomask.infill.infiller import Filling, Infiller, StemFilling
from audiomask.infill.leveling import limit_peaks, match_level, peak_ceiling, relative_level
from audiomask.infill.settings import BY_STEM
from audiomask.infill.views import ChannelView, read_known

#: separates a recording into stems [C, T] by name, which sum to it
_Split = Callable[[AudioSource], Mapping[str, Tensor]]

#: the name of stems that are filled together
_REST = "rest"
#: seconds on each side that are separated: passages are looked for in them
_REACH = 30.0
#: seconds on each side in which a stem must have this share of the power to be filled by itself
_NEAR, _LEAST_SHARE = 2.0, 1e-3


class StemInfiller(Infiller):
    """Fills gaps stem by stem, those excepted that something else fills better."""

    def __init__(self, infiller: Infiller, split: _Split) -> None:
        super().__init__(
            infiller.vqvae,
            infiller.mlm,
            infiller.device,
            infiller.settings,
            infiller.batches,
            infiller.spectrogram,
            infiller.ranking,
        )
        self.split = split

    def fill_gap(
        self,
        source: AudioSource,
        gap: Gap,
        gaps: Sequence[Gap],
        fades: tuple[int, int],
        choice: Choice,
    ) -> Filling:
        """The filling of one gap: see :meth:`audiomask.infill.infiller.Infiller.fill_gap`."""
        whole = super().fill_gap(source, gap, gaps, fades, choice)
        if not choice.goes_by_stem(self.settings):
            return whole
        here = ChannelView(source, gap.channels) if gap.channels else source
        there = [other for other in gaps if other.shares_channel(gap)]
        reach = round(_REACH * source.sample_rate)
        low, high = max(gap.start - reach, 0), min(gap.stop + reach, source.frames)
        near = here.read(low, high).nan_to_num(0.0, 0.0, 0.0).clone()
        # without a hole, whose edges the masks would take for onsets
        near[:, whole.start - low : whole.stop - low] = whole.samples
        inside = [
            Gap(max(one.start - low, 0), min(one.stop, high) - low)
            for one in there
            if one.start < high and one.stop > low
        ]
        hole = Gap(gap.start - low, gap.stop - low)
        start, stop = hole.start - fades[0], hole.stop + fades[1]
        total = near.new_zeros(len(near), stop - start)
        told = []
        first, last = hole.start, hole.stop
        for name, sound in self._playing(near, source.sample_rate, hole, inside):
            stem = MemorySource(sound, source.sample_rate)
            chosen = self.chooser(stem, inside).choose(hole)
            filling = super().fill_gap(stem, hole, inside, fades, chosen)
            part = sound[:, start:stop].clone()
            part[:, filling.start - start : filling.stop - start] = filling.samples
            total += part
            first, last = min(first, filling.start), max(last, filling.stop)
            passage = filling.passage
            if passage is not None:
                passage = replace(passage, start=passage.start + low)
            told.append(StemFilling(name, filling.method, passage))
        if not told:
            return whole
        total = total[:, first - start : last - start]
        total = match_level(total, Gap(first + low, last + low), here, gap, there)
        samples = limit_peaks(total, peak_ceiling(here, gap, there), source.sample_rate)
        middle = samples[:, hole.start - first :][:, : gap.length]
        return replace(
            whole,
            start=first + low,
            samples=samples,
            method=BY_STEM,
            passage=None,
            passages=(),
            stems=tuple(told),
            level=relative_level(middle, here, gap, there),
        )

    def _playing(
        self, near: Tensor, sample_rate: int, hole: Gap, gaps: Sequence[Gap]
    ) -> Iterator[tuple[str, Tensor]]:
        """The stems that play beside the gap, and the sum of all others."""
        rest = near.clone()
        reach = round(_NEAR * sample_rate)
        spans = ((hole.start - reach, hole.start), (hole.stop, hole.stop + reach))

        def power(sound: Tensor) -> float:
            source = MemorySource(sound, sample_rate)
            parts = [read_known(source, *span, gaps)[0] for span in spans]
            return float(torch.cat(parts, dim=1).double().square().sum())

        whole = power(near)
        for name, sound in self.split(MemorySource(near, sample_rate)).items():
            if name != "residual" and power(sound) > _LEAST_SHARE * whole:
                rest -= sound
                yield name, sound
        if power(rest) > 0:
            yield _REST, rest
