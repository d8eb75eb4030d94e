"""Token cache: excerpts encoded once and kept on disk, so that steps need no encoder.

A folder ``tokens-<hash>`` has ``manifest.json``, with everything that decides the tokens (such as
the VQ-VAE's fingerprint), and one safetensors file for each excerpt. ``<hash>`` is that of the
manifest: tokens of other data, settings or VQ-VAEs are in other folders.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from audiomask.checkpoint.store import write_json, write_tensors
from audiomask.data.excerpt import Excerpt
from audiomask.data.interleave import InterleavedDataset
from audiomask.data.sources import signature
from audiomask.errors import AudiomaskError, DataError
from audiomask.runtime import distributed
from audiomask.runtime.console import progress_bars
from audiomask.training.batches import BatchSource, batch_source, to_device
from audiomask.training.run_setup import RunSetup
from audiomask.training.signals import leave_signals
from audiomask.training.tasks.mlm import BatchEncoder, MLMBatch, encode

_MANIFEST = "manifest.json"
#: excerpts encoded at once
_BATCH = 8


class _AllStemsEncoder:
    """Encodes excerpts with all their stems: ``stem`` is [B, S, levels, F].

    A cached excerpt is used many times, with a random one of its stems each time.

    Args:
        encoder: encodes excerpts with one stem each.
    """

    def __init__(self, encoder: BatchEncoder) -> None:
        self.encoder = encoder

    def sample(self, index: int) -> Tensor:
        """The index, in place of random numbers."""
        return torch.tensor(index)

    def __call__(self, excerpts: Excerpt, sampled: Tensor) -> MLMBatch:
        """Codes of excerpts [B, …] and of all their stems; ``stem_index`` is ``sampled`` [B]."""
        mixtures, named = excerpts.mixture[:, 0], excerpts.stems[:, :-1, 0]
        vqvae, levels = self.encoder.vqvae, self.encoder.config.levels
        mixture = encode(vqvae, mixtures, levels)
        stems = encode(vqvae, named.flatten(0, 1), levels)
        stems = stems.view(*named.shape[:2], *stems.shape[1:])
        number = named.shape[1]
        seeds = sampled.repeat_interleave(number) * number
        seeds = seeds + torch.arange(number, device=seeds.device).repeat(len(named))
        whole = mixtures.repeat_interleave(number, dim=0)
        rough = self.encoder.drafts(whole, named.flatten(0, 1), seeds)
        drafts = encode(vqvae, rough, levels).view(stems.shape) if len(rough) else stems[:, :0]
        powers = self.encoder.powers(mixtures)
        return MLMBatch(mixture, stems, sampled, powers, drafts, excerpts.has_stems)


class TokenCache(Dataset[MLMBatch]):
    """Encoded excerpts in a folder. Each pass over them has another random order.

    Args:
        folder: of all caches; this one is a folder below it.
        identity: everything that decides the tokens, for JSON: the ``vqvae``'s fingerprint, the
            data's signature, and settings.
        items: number of excerpts.
        encoder: encodes them.
    """

    def __init__(
        self, folder: Path, identity: Mapping[str, Any], items: int, encoder: BatchEncoder
    ) -> None:
        known = json.dumps(identity, sort_keys=True)
        self.identity, self.items, self.encoder = json.loads(known), items, encoder
        self.folder = folder / f"tokens-{hashlib.sha256(known.encode()).hexdigest()[:16]}"

    def __getitem__(self, index: int) -> MLMBatch:
        epoch, place = divmod(index, self.items)
        number = int(order(self.encoder.seed, epoch, self.items)[place])
        stem_index = self.encoder.sample(index)[0]
        return _load_item(self.file(number), stem_index)

    def file(self, number: int) -> Path:
        """The file of an excerpt."""
        return self.folder / f"{number:06d}.safetensors"

    def missing(self) -> list[int]:
        """The numbers of the excerpts that are not in the folder yet.

        Raises:
            DataError: the folder's manifest is damaged or of other tokens.
        """
        manifest = self.folder / _MANIFEST
        if not manifest.is_file():
            return list(range(self.items))
        try:
            found = json.loads(manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{manifest}: not readable; delete {self.folder}") from error
        if found != self.identity:
            raise DataError(f"{manifest}: describes other tokens; delete {self.folder}")
        return [number for number in range(self.items) if not self.file(number).is_file()]

    def fill(
        self, dataset: InterleavedDataset, device: torch.device, workers: int
    ) -> Iterator[int]:
        """Encode the missing excerpts; yields the number of files after each batch.

        If it is interrupted, the files written are complete, and the next call makes the rest.

        Args:
            dataset: the excerpts; file ``n`` is of excerpt ``n``.
            device: of the VQ-VAE.
            workers: processes that make the excerpts.

        Raises:
            DataError: an excerpt cannot be made, or the folder cannot be written.
        """
        missing = self.missing()
        done = self.items - len(missing)
        yield done
        if not missing:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / _MANIFEST, self.identity)
            source = batch_source(dataset, _AllStemsEncoder(self.encoder), device)
            loader: DataLoader[Any] = DataLoader(
                source.data,
                sampler=missing,
                batch_size=_BATCH,
                collate_fn=source.collate,
                num_workers=workers,
                worker_init_fn=leave_signals,
            )
            for arrived in loader:
                batch = source.finish(to_device(arrived, device))
                for item in map(MLMBatch._make, zip(*batch, strict=True)):
                    _save_item(item, self.file(int(item.stem_index)))
                    done += 1
                yield done
        except (OSError, AudiomaskError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{self.folder}: cannot keep tokens there ({error})") from error

    def source(self) -> BatchSource:
        """The batches for the training loop."""
        config = self.encoder.config
        rate = config.sample_rate
        seconds = config.window * config.hop_length / rate
        return BatchSource(self, seconds=seconds, sample_rate=rate)


def open_cache(
    setup: RunSetup, fingerprint: str, encoder: BatchEncoder, dataset: InterleavedDataset
) -> BatchSource:
    """Batches of excerpts whose tokens are kept on disk; missing ones are encoded first.

    Args:
        setup: of the run; its options have ``cache`` and ``keep_tokens``.
        fingerprint: of the VQ-VAE.
        encoder: encodes excerpts.
        dataset: the excerpts.

    Raises:
        DataError: the folder cannot be used.
    """
    options, config = setup.options, encoder.config
    assert options.cache is not None
    assert options.keep_tokens is not None
    identity = {
        "vqvae": fingerprint,
        "data": signature(setup.sources),
        "seed": options.seed,
        "stems": list(config.stems),
        "levels": config.levels,
        "window": config.window,
        "bands": config.bands,
        "band_stft": config.band_stft,
        "band_frames": config.band_frames,
        "draft": config.draft,
        "augmentation": dataclasses.asdict(setup.augmentation),
    }
    cache = TokenCache(options.cache, identity, options.keep_tokens, encoder)
    shown = not options.quiet and distributed.rank() == 0
    with distributed.main_process_first(), progress_bars(shown=shown) as bar:
        line = bar.add_task("tokens", total=cache.items)
        for done in cache.fill(dataset, setup.device, options.workers):
            bar.update(line, completed=done)
    return cache.source()


@lru_cache(maxsize=2)
def order(seed: int, epoch: int, items: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The order of excerpts in one pass over the cache, int64 [items]."""
    return np.random.default_rng([seed, epoch, 3]).permutation(items)


def _save_item(item: MLMBatch, file: Path) -> None:
    """Write an excerpt atomically: codes as int32, powers as bfloat16.

    Raises:
        AudiomaskError: the file cannot be written.
    """
    tensors = {
        "mixture": item.mixture.to(torch.int32),
        "stems": item.stem.to(torch.int32),
        "mixture_power": item.mixture_power.to(torch.bfloat16),
        "drafts": item.draft.to(torch.int32),
        "has_stems": item.has_stem,
    }
    write_tensors(file, {name: value.cpu().contiguous() for name, value in tensors.items()}, {})


def _load_item(file: Path, stem_index: Tensor) -> MLMBatch:
    """Read an excerpt with the stem of a number [].

    Raises:
        DataError: the file is missing or damaged.
    """
    try:
        kept = load_file(file)
        return MLMBatch(
            kept["mixture"].long(),
            kept["stems"][int(stem_index)].long(),
            stem_index,
            kept["mixture_power"].float(),
            drafts[int(stem_index)].long() if len(drafts := kept["drafts"]) else drafts.long(),
            kept["has_stems"],
        )
    except (OSError, SafetensorError, KeyError, IndexError) as error:
        raise DataError(f"{file}: not a readable excerpt ({error}); delete it") from error
