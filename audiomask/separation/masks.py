"""Separation by the mask U-Net."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from audiomask.audio.source import AudioSource
from audiomask.networks.masks import MaskUNet
from audiomask.runtime.device import fast
from audiomask.separation.activity import SMOOTH_SECONDS, ActivityLog, gate, moving_average
from audiomask.separation.passes import OVERLAPS, PASSES, PassReader
from audiomask.separation.separator import SoftMaskSeparator
from audiomask.separation.settings import Quality


class MaskSeparator(SoftMaskSeparator):
    """Separates by the mask U-Net.

    The masks of several passes are averaged. A gate closes masks of inactive stems in favor of the
    residual.

    Args:
        masks: the network, in evaluation mode, on ``device``.
        device: of the network.
        quality: decides passes and overlap.
        log: records the stems' activity.
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
        # factor from the power of a band to the mean square of samples
        self._mean_square = 2 / config.stft_size

    def open(self, audio: AudioSource) -> Callable[[int, int], Tensor]:
        """A function from a window to masks [S + 1, C, bands, F]; C is 1 or 2."""
        bands, hop = self.masks.config.bands, self.hop_length
        readers = [PassReader(audio, version, hop, bands) for version in self.passes]
        smoothing = round(SMOOTH_SECONDS * self.sample_rate / hop)

        @torch.inference_mode()
        def masks_of(start: int, stop: int) -> Tensor:
            outputs = [self.predict(reader, start, stop) for reader in readers]
            shares = sum(shares for shares, _, _ in outputs) / len(outputs)
            activity = sum(activity for _, activity, _ in outputs) / len(outputs)
            assert isinstance(shares, Tensor)
            assert isinstance(activity, Tensor)
            activity = moving_average(activity, smoothing)
            gain = gate(activity)[:, None, None]
            residual = shares[-1:] + (shares[:-1] * (1 - gain)).sum(dim=0, keepdim=True)
            shares = torch.cat([shares[:-1] * gain, residual])
            if self.log is not None:
                self.log.add(start, activity, shares, outputs[0][2] * self._mean_square)
            return shares

        return masks_of

    def predict(self, reader: PassReader, start: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
        """The output of one pass for a window of frames [start, stop).

        Returns:
            Masks [S + 1, C, bands, F], activity as probabilities [S, F], and the power of the
            pass's version of the recording [C, bands, F'].
        """
        power, cross = self.power.stereo(reader.read(start, stop).to(self.device))
        with fast(self.device):
            masks = self.masks(power[None], cross[None])
        shares = reader.align_frames(reader.align_bands(masks.shares[0]), start, stop)
        activity = reader.align_frames(masks.activity[0].float().sigmoid(), start, stop)
        return shares, activity, power
