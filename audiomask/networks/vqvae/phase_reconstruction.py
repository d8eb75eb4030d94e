"""Phases for a spectrogram that has none: partials run on, noise stays noise.

A partial spreads over some neighbouring bins. These must turn together, by the frequency of the
partial and with alternating signs, or it beats and dies (phase locking: Laroche & Dolson 1999,
section 4; single-pass inversion: Beauregard et al. 2015). Here neighbours pull each other by
smooth weights instead of following the peaks that somebody picked, so that rounding errors stay
rounding errors. Iterations of Griffin and Lim then fit neighbouring frames to each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from audiomask.audio.spectra import (
    at_once,
    centered,
    frame_spectra,
    overlap_add,
    room_for,
    settle,
    synthesis_window,
)
from audiomask.networks.vqvae.spectrum import length

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


@torch.no_grad()
def propagate(magnitude: Tensor, phase_advance: Tensor) -> Tensor:
    """Unit phasors that turn from frame to frame.

    Args:
        magnitude: [B, F, bins]; the first frame begins a block.
        phase_advance: by how much every bin turns from the frame before it, [2, B, F, bins]
            (real and imaginary part); its length says how sure that is.

    Returns:
        [2, B, F, bins], of length one.
    """
    _, batch, frames, bins = phase_advance.shape
    blocks = -(-frames // BLOCK)
    # bins of one partial have phases of alternating sign; here they are all turned alike
    signs = torch.ones(bins, device=phase_advance.device)
    signs[1::2] = -1
    noise = _noise(bins, phase_advance.device) * signs
    starts = BLOCK * torch.arange(blocks, device=phase_advance.device)
    ran = phase_advance.new_empty(2, batch, blocks, BLOCK, bins)
    tails = phase_advance.new_empty(2, batch, blocks, OVERLAP, bins)
    phase = noise[-1, :, None].expand(2, batch * blocks, bins)
    for number in range(BLOCK + OVERLAP):
        # this step's frame of every block; beyond the last one it goes on as there
        places = (starts + number).clamp_max(frames - 1)
        turns = phase_advance.index_select(2, places).flatten(1, 2)
        loud = magnitude.index_select(1, places).flatten(0, 1)
        phase = _step(phase, turns, loud, noise[number, :, None])
        out = ran[:, :, :, number] if number < BLOCK else tails[:, :, :, number - BLOCK]
        torch.mul(phase.view(2, batch, blocks, bins), signs, out=out)
    ramp = (torch.arange(OVERLAP, device=phase_advance.device) + 0.5)[:, None] / OVERLAP
    heads = ran[:, :, 1:, :OVERLAP]
    heads.copy_(_unit(torch.lerp(tails[:, :, :-1], heads, ramp)))
    return ran.flatten(2, 3)[:, :, :frames]


def _step(phase: Tensor, phase_advance: Tensor, magnitude: Tensor, noise: Tensor) -> Tensor:
    """The phasors after others [2, N, bins]: turned, pulled by neighbours, noise where unsure.

    Args:
        phase_advance: [2, N, bins], overwritten.
        magnitude: [N, bins], overwritten.
        noise: phasors [2, 1 or N, bins].
    """
    certain = length(phase_advance).clamp_max_(1)
    phase_advance *= magnitude.add_(1e-5).mul_(1 / 1e-2).pow_(PULL)
    (x, y), (a, b) = phase, phase_advance
    # a bin more on either side, which pulls nothing
    pulled = phase_advance.new_zeros(*phase_advance.shape[:2], phase_advance.shape[2] + 2)
    real, imaginary = pulled[..., 1:-1]
    torch.mul(x, a, out=real).addcmul_(y, b, value=-1)
    torch.mul(x, b, out=imaginary).addcmul_(y, a)
    together = pulled[..., :-2] + pulled[..., 2:]
    together += pulled[..., 1:-1]
    weight = _inverse_length(together).mul_(certain)
    mixed = torch.addcmul((1 - certain) * noise, together, weight)
    return mixed.mul_(_inverse_length(mixed))


def shared_phase(magnitude: Tensor, phase_advance: Tensor) -> tuple[Tensor, Tensor]:
    """One spectrogram for all channels: the louder ones' turns.

    Args:
        magnitude: [C, F, bins].
        phase_advance: [2, C, F, bins].

    Returns:
        [1, F, bins] and [2, 1, F, bins].
    """
    power = magnitude.square()
    total = power.mean(dim=0, keepdim=True)
    shared = (power * phase_advance).mean(dim=1, keepdim=True) / (total + 1e-20)
    return total.sqrt(), shared


def _unit(z: Tensor) -> Tensor:
    """Complex numbers of length one and the angles of ``z`` [2, …]."""
    return z * _inverse_length(z)


def _inverse_length(z: Tensor, least: float = 1e-30) -> Tensor:
    """One through the length of complex numbers [2, …], whose squares are ``least`` at least."""
    real, imaginary = z
    return torch.addcmul(real.square().add_(least), imaginary, imaginary).rsqrt_()


@lru_cache(maxsize=8)
def _noise(bins: int, device: torch.device) -> Tensor:
    """Random phasors [BLOCK + OVERLAP, 2, bins], the same on every machine and in every block."""
    with torch.inference_mode(False):
        generator = torch.Generator().manual_seed(0)
        angle = 2 * math.pi * torch.rand(BLOCK + OVERLAP, bins, generator=generator)
        return torch.stack([angle.cos(), angle.sin()], dim=1).to(device)


def between(
    magnitude: Tensor, phase_advance: Tensor, before: Tensor | None, after: Tensor | None
) -> Tensor:
    """Unit phasors of frames between known ones: run on from both sides, met in the middle.

    Args:
        magnitude: [B, F, bins], of the frames between.
        phase_advance: by how much each bin turns from the frame before,
            [2, B or 1, F + 1, bins]; the last is the turn into the first known frame after them.
        before: phasors of the known frame before, [2, B, bins], or None if there is none.
        after: likewise of the one after.

    Returns:
        [2, B, F, bins], of length one.
    """
    frames = magnitude.shape[1]
    forwards = _run(magnitude, phase_advance[:, :, :frames], before)
    if after is None:
        return forwards
    # backwards a bin turns the other way, by the turn of the frame after
    other = phase_advance[:, :, 1:].flip(2) * phase_advance.new_tensor([1.0, -1.0]).view(2, 1, 1, 1)
    backwards = _run(magnitude.flip(1), other, after).flip(2)
    if before is None:
        return backwards
    place = (torch.arange(frames, device=phase_advance.device) + 0.5)[:, None] - frames / 2
    ramp = (place / min(frames, OVERLAP) + 0.5).clamp(0, 1)
    return _unit(torch.lerp(forwards, backwards, ramp))


def _run(magnitude: Tensor, phase_advance: Tensor, start: Tensor | None) -> Tensor:
    """Phasors [2, B, F, bins] that turn frame by frame from ``start`` [2, B, bins]."""
    bins = magnitude.shape[-1]
    signs = torch.ones(bins, device=phase_advance.device)
    signs[1::2] = -1
    noise = _noise(bins, phase_advance.device) * signs
    phase = noise[-1, :, None] if start is None else start * signs
    found = []
    for number in range(magnitude.shape[1]):
        loud = magnitude[:, number].clone()
        turns = phase_advance[:, :, number].expand(2, *loud.shape).clone()
        phase = _step(phase, turns, loud, noise[number % len(noise), :, None])
        found.append(phase)
    return torch.stack(found, dim=2) * signs


@torch.no_grad()
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

    batch, frames, _ = magnitude.shape
    window = synthesis_window(size, hop, magnitude.device)
    step = at_once(magnitude.device, batch)
    before = torch.empty_like(magnitude.expand(2, -1, -1, -1)) if iterations > 1 else None

    def sound(parts: Callable[[slice], Tensor]) -> Tensor:
        """The sound of spectra, given as real and imaginary parts [2, B, n, bins] of some frames.

        They are few enough to stay in a processor's caches from one step to the next.
        """
        total = room_for((batch,), frames, size, hop, magnitude.device)
        for begin in range(0, frames, step):
            end = min(begin + step, frames)
            made = torch.fft.irfft(torch.complex(*parts(slice(begin, end))), n=size)
            overlap_add(total[:, begin : end - frames + total.shape[1]], made, window)
        return settle(total, size, hop)

    audio = sound(lambda some: magnitude[:, some] * phases[:, :, some])
    for number in range(iterations):
        heard = centered(audio if known is None else torch.lerp(audio, *known), size, hop)

        def refitted(some: slice, heard: Tensor = heard, first: bool = number == 0) -> Tensor:
            around = heard[:, some.start * hop : (some.stop - 1) * hop + size]
            spectrum = torch.view_as_real(frame_spectra(around, size, hop))
            ahead = found = spectrum.movedim(-1, 0).contiguous()
            if before is not None:
                if not first:
                    ahead = torch.lerp(before[:, :, some], found, 1 + MOMENTUM)
                before[:, :, some] = found
            return ahead * _inverse_length(ahead, 1e-16).mul_(magnitude[:, some])

        audio = sound(refitted)
    return audio
