"""The mask U-Net applied to recordings."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource
from audiomask.networks.masks import MaskUNet
from audiomask.runtime.device import fast
from audiomask.separation.activity import SMOOTH_SECONDS, ActivityLog, gate, smooth
from audiomask.separation.passes import OVERLAPS, PASSES, PassReader
from audiomask.separation.separator import ShareSeparator
from audiomask.separation.settings import Quality


class MaskSeparator(ShareSeparator):
    """The mask U-Net applied to recordings.

    Where a stem is unlikely to play, its mask closes, and its share is the rest's.

    Args:
        masks: the network, in evaluation mode, on ``device``.
        device: where it is.
        quality: how much is done.
        log: told what plays where.
    """

    def __init__(
        self,
        masks: MaskUNet,
        device: torch.device,
        quality: Quality = Quality.normal,
        log: ActivityLog | None = None,
    ) -> None:
        config = masks.config
        super().__init__(
            config.sample_rate,
            config.bands,
            config.stft_size,
            config.hop_length,
            config.window,
            device,
        )
        self.masks, self.names, self.log = masks, config.stems, log
        self.passes, self.overlap = PASSES[quality], OVERLAPS[quality]
        #: power of a band to the mean square of the samples
        self._mean_square = 2 / config.stft_size

    def open(self, audio: AudioSource) -> Callable[[int, int], Tensor]:
        """What finds shares [S + 1, sides, bands, F] of a recording's windows."""
        bands, hop = self.masks.config.bands, self.hop_length
        readers = [PassReader(audio, one, hop, bands) for one in self.passes]
        smoothing = round(SMOOTH_SECONDS * self.sample_rate / hop)

        @torch.inference_mode()
        def find(start: int, stop: int) -> Tensor:
            found = [self.look(reader, start, stop) for reader in readers]
            shares = sum(shares for shares, _, _ in found) / len(found)
            activity = sum(likely for _, likely, _ in found) / len(found)
            assert isinstance(shares, Tensor)
            assert isinstance(activity, Tensor)
            likely = smooth(activity, smoothing)
            opened = gate(likely)[:, None, None]
            rest = shares[-1:] + (shares[:-1] * (1 - opened)).sum(dim=0, keepdim=True)
            shares = torch.cat([shares[:-1] * opened, rest])
            if self.log is not None:
                self.log.add(start, likely, shares, found[0][2] * self._mean_square)
            return shares

        return find

    def look(self, reader: PassReader, start: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
        """What one pass finds in a window.

        Returns:
            Shares [S + 1, sides, bands, F], likelihoods that stems play [S, F], and the
            recording's power as the pass sees it [sides, bands, F'].
        """
        power, cross = self.power.sides(reader.read(start, stop).to(self.device))
        with fast(self.device):
            masks = self.masks(power[None], cross[None])
        shares = reader.align_frames(reader.align_bands(masks.shares[0]), start, stop)
        likely = reader.align_frames(masks.activity[0].float().sigmoid(), start, stop)
        return shares, likely, power
