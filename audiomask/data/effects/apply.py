"""Applying effects: from dry lines to lines in a room, on one channel or two."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor

from audiomask.data.effects.dynamics import amplify, compress
from audiomask.data.effects.modulation import modulate
from audiomask.data.effects.params import EffectParams


def apply_effects(lines: Tensor, effects: EffectParams) -> Tensor:
    """Compress, modulate, amplify, equalize and place lines.

    Args:
        lines: [L, 1, T], or [L, C, T] of lines that have their channels already; rows that
            nothing happens to come back as they are.
        effects: what happens to them, on C channels.

    Returns:
        [L, C, T]
    """
    out = lines.clone()
    squeezed = effects.threshold.isfinite()
    if squeezed.any():
        out[squeezed] = compress(
            out[squeezed], effects.threshold[squeezed], effects.ratio[squeezed]
        )
    moved = effects.mod_mix > 0
    if moved.any():
        out[moved] = modulate(
            out[moved],
            effects.mod_mix[moved],
            effects.mod_delay[moved],
            effects.mod_depth[moved],
            effects.mod_rate[moved],
            effects.mod_phase[moved],
        )
    driven = effects.drive >= 0
    if driven.any():
        toned = _shape(out[driven], effects.tone[driven])
        out[driven] = amplify(toned, effects.drive[driven], effects.bias[driven])
    placed = out * effects.gain[..., None]
    filtered = (
        (effects.wet > 0)
        | (effects.curve != 1).any(dim=1)
        | (effects.echo_gain > 0)
        | (effects.spread > 0)
    )
    if filtered.any():
        placed[filtered] = _filter_lines(out[filtered], _select(effects, filtered))
    return placed


def _select(effects: EffectParams, rows: Tensor) -> EffectParams:
    """The parameters of some lines, a bool [L]; all rooms stay."""
    chosen = {
        name: value if name == "reverb" else value[rows]
        for name, value in effects._asdict().items()
    }
    return EffectParams(**chosen)


def _shape(lines: Tensor, curve: Tensor) -> Tensor:
    """Lines [L, C, T] with a gain over frequency [L, EQ_POINTS], of no phase."""
    length = lines.shape[-1]
    size = next_fast_len(length, real=True)
    spectrum = torch.fft.rfft(lines, n=size)
    spectrum *= _resample_curve(curve, spectrum.shape[-1])[:, None]
    shaped: Tensor = torch.fft.irfft(spectrum, n=size)[..., :length]
    return shaped


def _resample_curve(curve: Tensor, bins: int) -> Tensor:
    """A gain over frequency [L, EQ_POINTS] at so many frequencies, [L, bins]."""
    return F.interpolate(curve[:, None], bins, mode="linear", align_corners=True)[:, 0]


def _filter_lines(lines: Tensor, effects: EffectParams) -> Tensor:
    """All that is linear, in one product of spectra: [L, 1 or C, T] to [L, C, T].

    Echoes that reach beyond the end are heard at the beginning, as those of what came before it.
    """
    length = lines.shape[-1]
    size = next_fast_len(length + effects.reverb.shape[-1], real=True)
    spectrum = torch.fft.rfft(lines, n=size)
    bins = spectrum.shape[-1]
    common = _resample_curve(effects.curve, bins).to(spectrum.dtype)
    echoing = effects.echo_gain > 0
    if echoing.any():
        repeat = effects.echo_gain[echoing, None] * _turn(effects.echo_time[echoing], bins, size)
        common[echoing] /= 1 - repeat
    response = effects.gain[..., None].to(spectrum.dtype).expand(-1, -1, bins).clone()
    spread = effects.spread > 0
    if spread.any() and response.shape[1] == 2:
        copy = effects.spread[spread, None] * _turn(effects.spread_time[spread], bins, size)
        response[spread] *= torch.stack([1 + copy, 1 - copy], dim=1)
    wet = effects.wet > 0
    if wet.any():
        reverb = torch.fft.rfft(effects.reverb, n=size)[effects.room[wet]]
        response[wet] += effects.wet[wet, None, None] * reverb
    response *= common[:, None]
    placed: Tensor = torch.fft.irfft(spectrum * response, n=size)[..., :length]
    return placed


def _turn(delay: Tensor, bins: int, size: int) -> Tensor:
    """The phases [L, bins] that delays [L] in samples give to a spectrum of ``size`` samples."""
    cycles = delay[:, None].double() * torch.arange(bins, device=delay.device) / size
    angle = -2 * torch.pi * cycles.frac().float()
    return torch.polar(torch.ones_like(angle), angle)
