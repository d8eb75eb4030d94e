"""Ranking of drawn fillings: which goes on from what was before, and leads to what follows?

Several models may tell; their orders are added up.

The spectrogram model was trained to tell whether the second half of a window is the continuation of
its first, from which it is divided by a separator and hidden frames. Its windows are laid so that
the hidden frames are known ones just beside the gap, and the filling is heard whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource, ResampledSource
from audiomask.infill.edges import neighbours
from audiomask.infill.gaps import Gap
from audiomask.infill.splice import Patch
from audiomask.infill.views import BridgedSource
from audiomask.networks.spectrogram.continuation import join, pair_inputs
from audiomask.networks.spectrogram.features import BandSpectrum
from audiomask.networks.spectrogram.model import SpectrogramModel


class Ranker(Protocol):
    """Scores fillings of a gap."""

    def fits(self, source: AudioSource, gap: Gap, gaps: Sequence[Gap]) -> bool:
        """Whether it can tell fillings of a gap apart."""

    def scores(
        self, source: AudioSource, gap: Gap, gaps: Sequence[Gap], fillings: Sequence[Patch]
    ) -> list[float]:
        """Of each filling, the greater the better; see ``ContinuationRanker.scores``."""


class RankSum:
    """Scores fillings by the sum of their places in the orders of several rankers.

    Args:
        rankers: one at least.
    """

    def __init__(self, rankers: Sequence[Ranker]) -> None:
        self.rankers = list(rankers)

    def fits(self, source: AudioSource, gap: Gap, gaps: Sequence[Gap]) -> bool:
        """Whether any ranker can tell."""
        return any(ranker.fits(source, gap, gaps) for ranker in self.rankers)

    def scores(
        self, source: AudioSource, gap: Gap, gaps: Sequence[Gap], fillings: Sequence[Patch]
    ) -> list[float]:
        """How many fillings each is better than, in all rankers that can tell together.

        Of fillings that would be equal, the first ranker's better one has a little more.
        """
        total = [0.0] * len(fillings)
        weight = 1.0 + 1.0 / (len(self.rankers) * len(fillings) + 1)
        for ranker in self.rankers:
            if ranker.fits(source, gap, gaps):
                scores = ranker.scores(source, gap, gaps, fillings)
                for number, score in enumerate(scores):
                    total[number] += weight * sum(other < score for other in scores)
                weight = 1.0
        return total


class ContinuationRanker:
    """Scores fillings of a gap by a spectrogram model.

    Args:
        model: in evaluation mode, with a head for continuations.
        device: where it is.
    """

    def __init__(self, model: SpectrogramModel, device: torch.device) -> None:
        self.model, self.device, self.config = model, device, model.config
        self.spectrum = BandSpectrum(model.config)

    def fits(self, source: AudioSource, gap: Gap, gaps: Sequence[Gap]) -> bool:
        """Whether enough is known on a side: a quarter of a window, and the hidden frames."""
        return bool(self._windows(source, gap, gaps))

    @torch.no_grad()
    def scores(
        self, source: AudioSource, gap: Gap, gaps: Sequence[Gap], fillings: Sequence[Patch]
    ) -> list[float]:
        """The mean log-odds of "is the continuation" of each filling, at both joins.

        The channels are heard as one. A side with too little sound does not count.

        Args:
            source: the recording, or some of its channels.
            gap: the gap.
            gaps: all gaps in these channels, none of which is read as sound.
            fillings: of the gap and its crossfades.

        Raises:
            ValueError: too little is known on both sides.
        """
        windows = self._windows(source, gap, gaps)
        if not windows:
            raise ValueError("too little is known on both sides of the gap")
        found = []
        for filling in fillings:
            place = Gap(filling.start, filling.stop)
            whole = BridgedSource(source, place, gaps, filling.samples)
            power = torch.stack([self._power(whole, frames) for frames in windows])
            inputs = pair_inputs(power, self.config).to(self.device)
            logits = self.model.predict_continuation(self.model.hidden(inputs))
            found.append(float(logits.mean()))
        return found

    def _windows(self, source: AudioSource, gap: Gap, gaps: Sequence[Gap]) -> list[Tensor]:
        """The frames [window] of each pair of halves, at the model's rate.

        A half that is known in part is mirrored at its end. There is no pair at a join where less
        than half of a half is known.
        """
        config, scale = self.config, self.config.sample_rate / source.sample_rate
        hop, half = config.hop_length, config.window // 2
        hidden = config.separator // 2 + config.blank
        low, high = neighbours(gap, gaps, source.frames)
        first, last = math.ceil(low * scale / hop), int(high * scale / hop)
        joints = (
            int(gap.start * scale / hop) - hidden,
            math.ceil(gap.stop * scale / hop) + hidden,
        )
        found = []
        for joint in joints:
            if 2 * min(joint - first, last - joint) < half:
                continue
            frames = torch.arange(joint - half, joint + half)
            frames = torch.where(frames < first, 2 * first - 1 - frames, frames)
            frames = torch.where(frames >= last, 2 * last - 1 - frames, frames)
            found.append(frames)
        return found

    def _power(self, source: AudioSource, frames: Tensor) -> Tensor:
        """The power [window, bands] of a window of halves, the second matched to the first."""
        hop, half = self.config.hop_length, self.config.window // 2
        # windows of the spectrum reach beyond their frame
        beyond = self.config.stft_size // hop
        low, high = int(frames.min()) - beyond, int(frames.max()) + 1 + beyond
        audio = ResampledSource(source, self.config.sample_rate).read(low * hop, high * hop)
        power = self.spectrum(audio.mean(dim=0))[frames - low]
        return join(power[:half], power[half:])
