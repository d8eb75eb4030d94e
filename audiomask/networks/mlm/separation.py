"""Separation as the model sees it: sequences, and shares of the mixture's bands."""

from __future__ import annotations

import torch
from torch import Tensor

from audiomask.networks.mlm.model import MaskedLM
from audiomask.networks.mlm.vocabulary import Vocabulary


def separation_ids(mixture: Tensor, stem: Tensor, sep: int) -> Tensor:
    """The paper's sequence ``mixture SEP stem``.

    Args:
        mixture: codes [B, levels, F].
        stem: codes or MASK [B, levels, F].
        sep: the id of the stem's SEP token.

    Returns:
        [B, levels, 2 F + 1].
    """
    separator = torch.full_like(mixture[..., :1], sep)
    return torch.cat([mixture, separator, stem], dim=-1)


@torch.inference_mode()
def stem_codes(model: MaskedLM, mixture: Tensor, stem: int, bands: Tensor | None = None) -> Tensor:
    """The likeliest code at every position of a stem, all of it masked: [B, levels, F].

    Args:
        mixture: codes [B, levels, F].
        stem: number of the stem.
        bands: band features of the mixture [B, bands, F], for a model that was trained on them.
    """
    vocabulary: Vocabulary = model.vocabulary
    masked = torch.full_like(mixture, vocabulary.mask)
    if model.config.layout == "concatenated":
        sep = vocabulary.codebook_size + 2 + stem
        hidden = model.target(model.context(separation_ids(mixture, masked, sep)))
        hidden = hidden[:, mixture.shape[-1] + 1 :]
    else:
        stems = torch.full((len(mixture),), stem, device=mixture.device)
        hidden = model.target(model.context(mixture, bands), masked, stems)
    return model.logits(hidden).argmax(dim=-1)


def band_errors(
    shares: Tensor, mixture_power: Tensor, stem_power: Tensor, cross_power: Tensor
) -> Tensor:
    """Energy of ``stem - share * mixture`` in every band, from sums over the band's bins.

    With one real share M a band, Σ|S − M X|² = Σ|S|² − 2 M Σ Re(S X*) + M² Σ|X|²: the loss
    needs no spectrum, only these sums.

    Args:
        shares: [B, S, bands, F].
        mixture_power: Σ|X|² [B, bands, F].
        stem_power: Σ|S|² [B, S, bands, F].
        cross_power: Σ Re(S X*) [B, S, bands, F].

    Returns:
        [B, S, bands, F], never negative.
    """
    error = stem_power - 2 * shares * cross_power + shares.square() * mixture_power[:, None]
    return error.clamp_min(0)


def separation_loss(
    shares: Tensor, mixture_power: Tensor, stem_power: Tensor, cross_power: Tensor
) -> dict[str, Tensor]:
    """How far stems made of shares of the mixture are from the true ones.

    Arguments as in ``band_errors``.

    Returns:
        ``amplitude``: sum of the error's band amplitudes over the mixture's, so that quiet
        bands count; ``ratio``: the signal-to-distortion ratio in dB, negated and limited to
        30 dB, so that quiet stems count. Both are means over rows and stems.
    """
    error = band_errors(shares, mixture_power, stem_power, cross_power)
    total = mixture_power.sum(dim=(-1, -2))[:, None].clamp_min(1e-9)
    tiny = 1e-7 * total[..., None, None]
    amplitude = (error + tiny).sqrt().sum(dim=(-1, -2)) / (
        (mixture_power[:, None] + tiny).sqrt().sum(dim=(-1, -2))
    )
    wanted = stem_power.sum(dim=(-1, -2))
    # stems 30 dB under the mixture, or absent, ask only for silence
    floor = 1e-3 * total
    ratio = 10 * torch.log10((error.sum(dim=(-1, -2)) + floor) / (wanted + floor))
    return {"amplitude": amplitude.mean(), "ratio": ratio.mean()}
