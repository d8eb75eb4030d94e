"""Phases for a spectrogram that has none: partials run on, noise stays noise.

A partial spreads over some neighbouring bins. These must turn together, by the frequency of the
partial and with alternating signs, or it beats and dies (phase locking: Laroche & Dolson 1999,
section 4; single-pass inversion: Beauregard et al. 2015). Here neighbours pull each other by
smooth weights instead of following the peaks that somebody picked, so that rounding errors stay
rounding errors. Iterations of Griffin and Lim then fit neighbouring frames to each other.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from audiomask.audio.spectra import istft, stft

#: frames through which phases run on from a fixed start: a frame's phases depend on its block and
#: the one before, on nothing earlier
BLOCK = 128
#: frames over which one block's phases turn into those of the next
OVERLAP = 16
#: exponent of the magnitude with which a bin pulls its neighbours
PULL = 3.0
#: Griffin-Lim iterations, and how much of the last step the next one adds
ITERATIONS = 2
MOMENTUM = 0.99


def span(start: int, stop: int, total: int, overlap: int) -> tuple[int, int]:
    """The frames that decide the sound of frames [start, stop) of ``total``.

    Args:
        overlap: frames a side whose windows overlap with a frame's.

    Returns:
        [first, last), the first of which begins a block.
    """
    around = overlap * (ITERATIONS + 1)
    first = max((start - around) // BLOCK - 1, 0) * BLOCK
    return first, min(stop + around, total)


def run_on(magnitude: Tensor, turn: Tensor) -> Tensor:
    """Unit phasors that turn from frame to frame.

    Args:
        magnitude: [B, F, bins]; the first frame begins a block.
        turn: by how much every bin turns from the frame before it, [2, B, F, bins] (real and
            imaginary part); its length says how sure that is.

    Returns:
        [2, B, F, bins], of length one.
    """
    _, batch, frames, bins = turn.shape
    blocks = -(-frames // BLOCK)
    sure = turn.square().sum(dim=0).sqrt().clamp_max(1)
    # bins of one partial have phases of alternating sign; here they are all turned alike
    signs = torch.ones(bins, device=turn.device)
    signs[1::2] = -1
    pull = ((magnitude + 1e-5) / 1e-2).pow(PULL)
    turns = _by_block(turn * pull, blocks)
    random = _noise(bins, turn.device) * signs
    phase = random[-1, :, None].expand(2, batch * blocks, bins)
    certain = _by_block(sure[None], blocks)
    random = (1 - certain) * random[:, :, None]
    phases = torch.empty_like(random)
    for number in range(BLOCK + OVERLAP):
        (x, y), (a, b) = phase, turns[number]
        pulled = torch.stack([x * a - y * b, x * b + y * a])
        together = pulled.clone()
        together[..., 1:] += pulled[..., :-1]
        together[..., :-1] += pulled[..., 1:]
        phase = _unit(certain[number] * _unit(together) + random[number])
        phases[number] = phase
    ran = phases.view(BLOCK + OVERLAP, 2, batch, blocks, bins).permute(1, 2, 3, 0, 4)
    return _join(ran)[:, :, :frames] * signs


def joint(magnitude: Tensor, turn: Tensor) -> tuple[Tensor, Tensor]:
    """One spectrogram for all channels: the louder ones' turns.

    Args:
        magnitude: [C, F, bins].
        turn: [2, C, F, bins].

    Returns:
        [1, F, bins] and [2, 1, F, bins].
    """
    power = magnitude.square()
    total = power.mean(dim=0, keepdim=True)
    shared = (power * turn).mean(dim=1, keepdim=True) / (total + 1e-20)
    return total.sqrt(), shared


def _by_block(x: Tensor, blocks: int) -> Tensor:
    """Frames [P, B, F, bins] as overlapping blocks [BLOCK + OVERLAP, P, B * blocks, bins]."""
    missing = blocks * BLOCK + OVERLAP - x.shape[2]
    longer = torch.cat([x, x[:, :, -1:].expand(-1, -1, missing, -1)], dim=2)
    parts = longer.unfold(2, BLOCK + OVERLAP, BLOCK).flatten(1, 2)
    # a step's bins beside each other, for speed
    return parts.permute(3, 0, 1, 2).contiguous()


def _join(blocks: Tensor) -> Tensor:
    """Blocks [2, B, blocks, BLOCK + OVERLAP, bins] as frames [2, B, blocks * BLOCK, bins]."""
    ramp = (torch.arange(OVERLAP, device=blocks.device) + 0.5)[:, None] / OVERLAP
    body, tail = blocks[:, :, :, :BLOCK].clone(), blocks[:, :, :-1, BLOCK:]
    body[:, :, 1:, :OVERLAP] = _unit(torch.lerp(tail, body[:, :, 1:, :OVERLAP], ramp))
    return body.flatten(2, 3)


def _unit(z: Tensor) -> Tensor:
    """Complex numbers of length one and the angles of ``z`` [2, …]."""
    return z * (z.square().sum(dim=0) + 1e-30).rsqrt()


@lru_cache(maxsize=8)
def _noise(bins: int, device: torch.device) -> Tensor:
    """Random phasors [BLOCK + OVERLAP, 2, bins], the same on every machine and in every block."""
    with torch.inference_mode(False):
        generator = torch.Generator().manual_seed(0)
        angle = 2 * math.pi * torch.rand(BLOCK + OVERLAP, bins, generator=generator)
        return torch.stack([angle.cos(), angle.sin()], dim=1).to(device)


def between(magnitude: Tensor, turn: Tensor, before: Tensor | None, after: Tensor | None) -> Tensor:
    """Unit phasors of frames between known ones: run on from both sides, met in the middle.

    Args:
        magnitude: [B, F, bins], of the frames between.
        turn: by how much each bin turns from the frame before, [2, B or 1, F + 1, bins]; the
            last is the turn into the first known frame after them.
        before: phasors of the known frame before, [2, B, bins], or None if there is none.
        after: likewise of the one after.

    Returns:
        [2, B, F, bins], of length one.
    """
    frames = magnitude.shape[1]
    forwards = _run(magnitude, turn[:, :, :frames], before)
    if after is None:
        return forwards
    # backwards a bin turns the other way, by the turn of the frame after
    other = turn[:, :, 1:].flip(2) * turn.new_tensor([1.0, -1.0]).view(2, 1, 1, 1)
    backwards = _run(magnitude.flip(1), other, after).flip(2)
    if before is None:
        return backwards
    place = (torch.arange(frames, device=turn.device) + 0.5)[:, None] - frames / 2
    ramp = (place / min(frames, OVERLAP) + 0.5).clamp(0, 1)
    return _unit(torch.lerp(forwards, backwards, ramp))


def _run(magnitude: Tensor, turn: Tensor, start: Tensor | None) -> Tensor:
    """Phasors [2, B, F, bins] that turn frame by frame from ``start`` [2, B, bins]."""
    bins = magnitude.shape[-1]
    signs = torch.ones(bins, device=turn.device)
    signs[1::2] = -1
    sure = turn.square().sum(dim=0).sqrt().clamp_max(1)
    pull = ((magnitude + 1e-5) / 1e-2).pow(PULL)
    noise = _noise(bins, turn.device)
    phase = noise[-1, :, None] if start is None else start * signs
    found = []
    for number in range(magnitude.shape[1]):
        (x, y), (a, b) = phase, turn[:, :, number] * pull[:, number]
        pulled = torch.stack([x * a - y * b, x * b + y * a])
        together = pulled.clone()
        together[..., 1:] += pulled[..., :-1]
        together[..., :-1] += pulled[..., 1:]
        certain = sure[:, number]
        random = (1 - certain) * noise[number % len(noise), :, None] * signs
        phase = _unit(certain * _unit(together) + random)
        found.append(phase)
    return torch.stack(found, dim=2) * signs


def griffin_lim(
    magnitude: Tensor,
    phases: Tensor,
    size: int,
    hop: int,
    iterations: int = ITERATIONS,
    known: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Audio [B, F * hop] of magnitudes [B, F, bins] and first phases [2, B or 1, F, bins].

    The fast variant of Perraudin et al. (2013, eq. 4), in a frequency-last layout.

    Args:
        known: sound that phases have to fit [B, F * hop], and how far [F * hop]: 1 where it will
            stand as it is.
    """

    def fitted(audio: Tensor) -> Tensor:
        return audio if known is None else torch.lerp(audio, *known)

    spectrum = torch.complex(*(magnitude * phases))
    before = None
    for _ in range(iterations):
        found = torch.view_as_real(stft(fitted(istft(spectrum.mT, size, hop)), size, hop).mT)
        ahead = found if before is None else found + MOMENTUM * (found - before)
        before = found
        gain = magnitude * (ahead.square().sum(dim=-1) + 1e-16).rsqrt()
        spectrum = torch.view_as_complex(ahead * gain[..., None])
    return istft(spectrum.mT, size, hop)
