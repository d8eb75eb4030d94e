"""ABX tests of tokens and features: is X nearer to A, which it is like, than to B?

Schatz et al. (2013), "Evaluating speech features with the minimal-pair ABX task", for instruments
and chords of held-out libraries. In triples of families all notes have one pitch, so that timbre
decides; in triples of chords A and B are of one instrument and X of another, so that timbre
misleads. Nothing is fitted.

Features, standardized, are compared frame by frame, by the cosine; the sounds begin together.
Tokens are compared as histograms of a sound. A tie counts half.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from audiomask.evaluation.linear_probe import standardize
from audiomask.evaluation.note_examples import NoteExamples, Triple, split_libraries
from audiomask.evaluation.probes import Probes
from audiomask.evaluation.report import Table
from audiomask.networks.spectrogram.features import compress, reference
from audiomask.networks.spectrogram.model import SEMANTIC_FRAMES
from audiomask.runtime.console import track

#: triples of each kind; triples at once
TRIPLES, _BATCH = 1000, 20


class ABX:
    """ABX scores of the systems of linear probes, and of tokens.

    Args:
        probes: has the models.
    """

    def __init__(self, probes: Probes) -> None:
        self.probes, self.model = probes, probes.model

    def measure(self, folder: Path, cache: Path | None = None) -> dict[str, dict[str, float]]:
        """Share of right answers by task and system.

        Args:
            folder: of the note bank, of whose held-out libraries sounds are made.
            cache: folder of decoded notes.

        Raises:
            DataError: the bank cannot be used.
        """
        probes = self.probes
        _, held_out = split_libraries(folder)
        bank = NoteExamples(held_out, probes.config.sample_rate, probes.samples, cache)
        made = {
            "family": bank.family_triples(TRIPLES, probes.seed),
            "chord": bank.chord_triples(TRIPLES, probes.seed),
        }
        return {
            task: self.scores(track(triples, f"comparing {task}", probes.shown))
            for task, triples in made.items()
        }

    def scores(self, triples: Iterable[Triple]) -> dict[str, float]:
        """Share of right answers by system."""
        right: dict[str, list[Tensor]] = {}
        rest = iter(triples)
        while some := list(islice(rest, _BATCH)):
            sounds = torch.cat([torch.stack(part) for part in zip(*some, strict=True)])
            for name, values in self.probes.outputs(sounds).items():
                rows = values.float().cpu()
                flat = rows.flatten(0, 1)
                standard = standardize(flat, flat)[0].view_as(rows)
                right.setdefault(name, []).append(_judge(standard, _angle))
            for name, codes in self.tokens(sounds).items():
                counts = F.one_hot(codes).float().mean(dim=1)
                right.setdefault(name, []).append(_judge(counts, _overlap))
        return {name: float(torch.cat(parts).mean()) for name, parts in right.items()}

    @torch.no_grad()
    def tokens(self, audio: Tensor) -> dict[str, Tensor]:
        """Tokens int64 [B, F] of audio [B, T] by system."""
        found = {}
        given = audio.to(self.probes.engine.device)
        if self.probes.vqvae is not None:
            found["VQ-VAE, tokens of level 1"] = self.probes.vqvae.encode(given)[:, 0].long().cpu()
        if self.model.semantic_clusters.found:
            power = torch.stack([self.probes.spectrum(one) for one in given])
            power = power[:, : power.shape[1] // SEMANTIC_FRAMES * SEMANTIC_FRAMES]
            features = compress(power, reference(power), self.model.config.exponent)
            codes = self.model.semantic_clusters(self.model.semantic_features(features))
            found["semantic tokens"] = codes.cpu()
        return found

    def table(self, found: dict[str, dict[str, float]]) -> Table:
        """The scores as a table."""
        lines = [
            [system, *(f"{scores[system]:.1%}" for scores in found.values())]
            for system in next(iter(found.values()))
        ]
        return Table("ABX of held-out libraries: right answers (chance 50 %)", ("", *found), lines)


def _judge(values: Tensor, distance: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Whether x is nearer to a than to b, [B]; 0.5 where it is as near to both.

    Args:
        values: all a, then all b, then all x, [3 B, ...].
        distance: of two such tensors, [B].
    """
    a, b, x = values.chunk(3)
    near, far = distance(a, x), distance(b, x)
    right: Tensor = (near < far).float() + 0.5 * (near == far).float()
    return right


def _angle(one: Tensor, other: Tensor) -> Tensor:
    """One minus the cosine of features [B, F, D], mean over frames, [B]."""
    return 1 - F.cosine_similarity(one, other, dim=-1).mean(dim=1)


def _overlap(one: Tensor, other: Tensor) -> Tensor:
    """The L1 distance of histograms [B, K], [B]."""
    return (one - other).abs().sum(dim=1)
