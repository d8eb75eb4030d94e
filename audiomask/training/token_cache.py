"""Token cache: scenes coded once and kept on disk, so that steps do not pay for the encoder.

A folder ``tokens-<identity>`` holds ``manifest.json``, which says what the scenes were made of
(the VQ-VAE's fingerprint before all), and one safetensors file a scene. Anything else to make
them of is another identity, and so another folder: tokens of two VQ-VAEs never meet.
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

MANIFEST = "manifest.json"
#: how many scenes are coded at once while the cache is made
BATCH = 8


class AllStemsEncoder:
    """Makes scenes that tell every stem: ``stem`` is [B, S, levels, F].

    A cached scene is met many times, and tells another of its stems each time.
    """

    def __init__(self, encoder: BatchEncoder) -> None:
        self.encoder = encoder

    def draw(self, index: int) -> Tensor:
        """Nothing is drawn."""
        return torch.tensor(index)

    def __call__(self, excerpts: Excerpt, drawn: Tensor) -> MLMBatch:
        """BatchEncoder of excerpts [B, …] with all stems' codes."""
        mixtures, named = excerpts.mixture[:, 0], excerpts.stems[:, :-1, 0]
        vqvae, levels = self.encoder.vqvae, self.encoder.config.levels
        mixture = encode(vqvae, mixtures, levels)
        stems = encode(vqvae, named.flatten(0, 1), levels)
        stems = stems.view(*named.shape[:2], *stems.shape[1:])
        return MLMBatch(mixture, stems, drawn, self.encoder.powers(mixtures))


class TokenCache(Dataset[MLMBatch]):
    """Coded excerpts in a folder; a run that needs more goes through them again in another order.

    Args:
        folder: where tokens are kept; the scenes are in a folder below it.
        identity: what they are made of, as JSON can hold it: the ``vqvae``'s fingerprint, the
            data's signature, and every setting that matters.
        items: how many scenes are kept.
        encoder: makes them.
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
        stem_index = self.encoder.draw(index)
        return load_item(self.file(number), stem_index)

    def file(self, number: int) -> Path:
        """Where scene ``number`` is kept."""
        return self.folder / f"{number:06d}.safetensors"

    def missing(self) -> list[int]:
        """The scenes that are not there yet.

        Raises:
            DataError: the folder's manifest is of other data.
        """
        manifest = self.folder / MANIFEST
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
        """Make what is missing; yields the number of scenes there after every batch.

        A run that ends on the way leaves whole scenes, and the next one makes the rest.

        Args:
            dataset: the excerpts; scene ``n`` is of excerpt ``n``.
            device: where they are coded.
            workers: processes that make the excerpts.

        Raises:
            DataError: the folder cannot be written, or holds something else.
        """
        missing = self.missing()
        done = self.items - len(missing)
        yield done
        if not missing:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_json(self.folder / MANIFEST, self.identity)
            source = batch_source(dataset, AllStemsEncoder(self.encoder), device)
            loader: DataLoader[Any] = DataLoader(
                source.data,
                sampler=missing,
                batch_size=BATCH,
                collate_fn=source.collate,
                num_workers=workers,
                worker_init_fn=leave_signals,
            )
            for arrived in loader:
                batch = source.finish(to_device(arrived, device))
                for item in map(MLMBatch._make, zip(*batch, strict=True)):
                    save_item(item, self.file(int(item.stem_index)))
                    done += 1
                yield done
        except (OSError, AudiomaskError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"{self.folder}: cannot keep tokens there ({error})") from error

    def source(self) -> BatchSource:
        """What a training loop reads."""
        config = self.encoder.config
        rate = config.sample_rate
        seconds = config.window * config.hop_length / rate
        return BatchSource(self, seconds=seconds, sample_rate=rate)


def open_cache(
    setup: RunSetup, fingerprint: str, encoder: BatchEncoder, dataset: InterleavedDataset
) -> BatchSource:
    """A feed of excerpts that are coded once and kept; made here as far as they are missing.

    Args:
        setup: of the run; it has a ``cache`` and says how many items to ``keep_tokens`` of.
        fingerprint: of the VQ-VAE.
        encoder: makes the batches.
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
    """The order of the scenes in one pass over them."""
    return np.random.default_rng([seed, epoch, 3]).permutation(items)


def save_item(item: MLMBatch, file: Path) -> None:
    """Write a scene atomically: codes in full, powers with 8 significant bits.

    Raises:
        AudiomaskError: the file cannot be written.
    """
    tensors = {
        "mixture": item.mixture.to(torch.int32),
        "stems": item.stem.to(torch.int32),
        "mixture_power": item.mixture_power.to(torch.bfloat16),
    }
    write_tensors(file, {name: value.cpu().contiguous() for name, value in tensors.items()}, {})


def load_item(file: Path, stem_index: Tensor) -> MLMBatch:
    """Read a scene that tells the stem ``stem_index``.

    Raises:
        DataError: the file has gone or is damaged.
    """
    try:
        kept = load_file(file)
        return MLMBatch(
            kept["mixture"].long(),
            kept["stems"][int(stem_index)].long(),
            stem_index,
            kept["mixture_power"].float(),
        )
    except (OSError, SafetensorError, KeyError, IndexError) as error:
        raise DataError(f"{file}: not a readable excerpt ({error}); delete it") from error
