"""Linear probes of the spectrogram model: pitch, instrument family and chord of held-out sounds.

Sounds of a second are made from a note bank: single notes, and triads on one instrument. A linear
map is fitted to sounds of some libraries, with 0.1 to 100 % of their labels, and measured on sounds
of others. Features are means over frames: of a hidden layer of the model, of the same layer of the
same model with random weights, of magnitudes in mel-spaced bands, of MFCC, and of the VQ-VAE's code
vectors where there is a VQ-VAE.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from audiomask.engine import Engine
from audiomask.evaluation.linear_probe import probe, standardize
from audiomask.evaluation.note_examples import (
    CHORDS,
    HIGHEST,
    LOWEST,
    TASKS,
    LabelledSound,
    NoteExamples,
    split_libraries,
)
from audiomask.evaluation.report import Table
from audiomask.networks.spectrogram import build_spectrogram
from audiomask.networks.spectrogram.features import BandSpectrum, compress, mfcc, reference
from audiomask.networks.spectrogram.model import SpectrogramModel
from audiomask.runtime.console import track

#: sounds to learn from and to measure on, of notes and of chords each
LEARNED, MEASURED = 4000, 1000
#: shares of labels, with the number of random choices of them that results are means of
_SHARES = {0.001: 10, 0.01: 10, 0.1: 3, 1.0: 1}
#: sounds at once
_BATCH = 50

#: mean features by system, and labels by task
_Set = tuple[dict[str, Tensor], dict[str, Tensor]]


class Probes:
    """Accuracies of linear probes.

    Args:
        engine: has the model, and perhaps a VQ-VAE.
        model: the spectrogram model.
        seed: decides sounds, labels and random weights.
        shown: whether to show progress.
    """

    def __init__(self, engine: Engine, model: SpectrogramModel, seed: int, shown: bool) -> None:
        self.engine, self.model, self.seed, self.shown = engine, model, seed, shown
        self.config = config = model.config
        self.spectrum = BandSpectrum(config)
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            random = build_spectrogram("default", asdict(config))
        self.random = random.eval().to(engine.device)
        self.samples = round(config.sample_rate / config.hop_length) * config.hop_length
        self.vqvae = None
        if "vqvae" in engine.kinds and engine.vqvae.config.sample_rate == config.sample_rate:
            self.vqvae = engine.vqvae

    def measure(self, folder: Path, cache: Path | None = None) -> dict[str, Any]:
        """Accuracies by task, system and share of labels, and by layer.

        Args:
            folder: of the note bank.
            cache: folder of decoded notes.

        Raises:
            DataError: the bank cannot be used.
        """
        learned, held_out = (
            NoteExamples(libraries, self.config.sample_rate, self.samples, cache)
            for libraries in split_libraries(folder)
        )
        families = learned.families
        sets: dict[str, tuple[_Set, _Set]] = {}
        for kind in ("notes", "chords"):
            pair = []
            for number, (bank, count) in enumerate(((learned, LEARNED), (held_out, MEASURED))):
                seed = 2 * self.seed + number
                sounds = (
                    bank.notes(count, families, seed)
                    if kind == "notes"
                    else bank.chords(count, seed)
                )
                pair.append(self.features(track(sounds, f"hearing {kind}", self.shown)))
            sets[kind] = (pair[0], pair[1])
        classes = {
            "pitch": HIGHEST + 1 - LOWEST,
            "family": len(families),
            "chord": 12 * len(CHORDS),
        }
        found: dict[str, Any] = {"notes": str(folder), "families": families, "classes": classes}
        found["accuracy"] = {}
        for task in TASKS:
            train, test = sets["chords" if task == "chord" else "notes"]
            found["accuracy"][task] = {
                system: self.accuracies(train, test, system, task, classes[task])
                for system in train[0]
            }
        return found

    @torch.no_grad()
    def features(self, sounds: Iterable[LabelledSound]) -> _Set:
        """Mean features of sounds by system, and labels by task."""
        pooled: dict[str, list[Tensor]] = {}
        labels: dict[str, list[int]] = {}
        batch: list[Tensor] = []
        for sound in sounds:
            for task, label in sound.labels.items():
                labels.setdefault(task, []).append(label)
            batch.append(sound.audio)
            if len(batch) == _BATCH:
                self._hear(torch.stack(batch), pooled)
                batch = []
        if batch:
            self._hear(torch.stack(batch), pooled)
        return (
            {name: torch.cat(parts) for name, parts in pooled.items()},
            {task: torch.tensor(values) for task, values in labels.items()},
        )

    def _hear(self, audio: Tensor, pooled: dict[str, list[Tensor]]) -> None:
        """Append the mean features of audio [B, T]."""
        for name, values in self.outputs(audio).items():
            pooled.setdefault(name, []).append(values.mean(dim=1).float().cpu())

    @torch.no_grad()
    def outputs(self, audio: Tensor) -> dict[str, Tensor]:
        """Features [B, F, D] of audio [B, T] by system; F is not the same for all."""
        power = torch.stack([self.spectrum(one) for one in audio])
        magnitudes = compress(power, reference(power), self.config.exponent)
        given = magnitudes.to(self.engine.device)
        found = {"mel": magnitudes, "MFCC": mfcc(magnitudes)}
        if self.vqvae is not None:
            on_device = audio.to(self.engine.device)
            found["VQ-VAE"] = self.vqvae.vectors(self.vqvae.encode(on_device))
        found["random weights"] = self.random.hidden(given, self.config.target_layer)
        for layer, values in enumerate(self.model.layer_outputs(given), start=1):
            found[f"layer {layer}"] = values
        return found

    def accuracies(
        self, train: _Set, test: _Set, system: str, task: str, classes: int
    ) -> dict[str, float]:
        """Accuracy by share of labels, as text."""
        rows, others = standardize(train[0][system], test[0][system])
        labels, truth = train[1][task], test[1][task]
        draw = torch.Generator().manual_seed(self.seed)
        found = {}
        for share, choices in _SHARES.items():
            number = max(2, round(share * len(rows)))
            hits = []
            for _ in range(choices):
                some = torch.randperm(len(rows), generator=draw)[:number]
                guessed = probe(rows[some], labels[some], others, classes)
                hits.append(float((guessed == truth).float().mean()))
            found[f"{share:.1%}"] = sum(hits) / len(hits)
        return found

    def tables(self, found: dict[str, Any]) -> list[Table]:
        """A table for each task."""
        made = []
        for task, systems in found["accuracy"].items():
            shares = list(next(iter(systems.values())))
            lines = [
                [system, *(f"{row[share]:.1%}" for share in shares)]
                for system, row in systems.items()
            ]
            title = f"Linear probe, {task} of {found['classes'][task]}: accuracy by share of labels"
            made.append(Table(title, ("", *shares), lines))
        return made
