"""Hidden frames filled by tokens: what the masked language model makes of the same windows."""

from __future__ import annotations

import torch
from torch import Tensor

from audiomask.engine import Engine
from audiomask.infill.context import envelope
from audiomask.infill.infiller import FADE
from audiomask.networks.mlm.decoding import PerRecordingNoise, iterative_decode
from audiomask.networks.spectrogram.config import SpectrogramConfig

#: known frames a side that are decoded with a span, to propagate phases from
_NEAR = 8


class TokenFilling:
    """Fills hidden frames with sound, by the expected tokens of a masked language model.

    Tokens whose frames lie in a hidden span are masked, all of a window at once; the windows of
    those beside it reach into it, as those of the spectrum's known frames do.

    Args:
        engine: has both models.
        config: of the spectrogram model, whose frames are hidden.
    """

    def __init__(self, engine: Engine, config: SpectrogramConfig) -> None:
        self.vqvae, self.mlm, self.device = engine.vqvae, engine.mlm, engine.device
        self.hop = self.vqvae.config.hop_length
        self.frames = config.hop_length // self.hop

    @staticmethod
    def fits(engine: Engine, config: SpectrogramConfig) -> bool:
        """Whether the engine has both models, on a grid that frames of the spectrum are made of."""
        if not {"vqvae", "mlm"} <= set(engine.kinds):
            return False
        own = engine.vqvae.config
        return own.sample_rate == config.sample_rate and not config.hop_length % own.hop_length

    @torch.inference_mode()
    def fill(self, audio: Tensor, hidden: Tensor) -> Tensor:
        """A window with other sound in its hidden frames.

        Args:
            audio: [T].
            hidden: bool [F], frames of the spectrum.

        Returns:
            [T].
        """
        unknown = hidden.repeat_interleave(self.frames).to(self.device)
        known = audio[None].to(self.device)
        codes = self.vqvae.encode(known)
        vectors = self.vqvae.vectors(codes).clone()
        ids = codes[:, : self.mlm.config.levels].long()
        window = self.mlm.config.window
        for start in range(0, len(unknown), window):
            part = slice(start, start + window)
            expected = iterative_decode(
                self.mlm,
                ids[..., part],
                unknown[None, part],
                steps=1,
                temperature=0.0,
                noise=PerRecordingNoise([]),
                sampled_levels=0,
            )
            where = unknown[part, None]
            vectors[0, part] = torch.where(where, expected.vectors[0], vectors[0, part])
        made = known.clone()
        fade, total = round(FADE * self.vqvae.config.sample_rate), known.shape[1]
        reach = self.vqvae.config.reach + _NEAR
        for first, last in _spans(unknown):
            low, high = max(first - reach, 0), min(last + reach, len(unknown))
            near = slice(low * self.hop, high * self.hop)
            start, stop = first * self.hop, last * self.hop
            left, right = min(fade, start - near.start), min(fade, near.stop - stop)
            share = torch.ones(total)
            share[start - left : stop + right] = envelope(stop + right - start + left, left, right)
            share = share[near].to(self.device)
            filled = self.vqvae.inpaint(
                vectors[:, low:high], known[:, near], share, first - low, last - low
            )
            # noise on both sides is uncorrelated
            made[:, near] = share * made[:, near] + (1 - share.square()).sqrt() * filled
        return made[0].cpu()


def _spans(hidden: Tensor) -> list[tuple[int, int]]:
    """The runs [first, last) of true frames of bool [F]."""
    edges = torch.nn.functional.pad(hidden.int(), (1, 1)).diff().nonzero().flatten().tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))
