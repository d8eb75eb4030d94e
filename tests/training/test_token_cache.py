"""Token cache: what is kept is what would be made, once, for one VQ-VAE and one set of data."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from audiomask.data.excerpt import Excerpt
from audiomask.data.interleave import InterleavedDataset
from audiomask.errors import DataError
from audiomask.networks.mlm import build_mlm
from audiomask.training import token_cache as module
from audiomask.training.stem_tokens import StemTokenEncoder
from audiomask.training.tasks.mlm import BatchEncoder
from audiomask.training.token_cache import TokenCache

HOP, FRAMES = 64, 20
CPU = torch.device("cpu")


class Songs:
    """Excerpt i holds three stems of noise."""

    def __init__(self) -> None:
        self.made: Counter[int] = Counter()

    def __getitem__(self, index: int) -> Excerpt:
        self.made[index] += 1
        random = torch.Generator().manual_seed(index)
        levels = torch.tensor([0.1, 0.5, 1.0])[:, None, None]
        stems = levels * torch.rand(3, 1, FRAMES * HOP, generator=random)
        return Excerpt(stems.sum(dim=0), stems, torch.tensor(True))


class Means(nn.Module):
    """Stands for a VQ-VAE: a code is a frame's mean, in hundredths."""

    def encode(self, audio: Tensor, levels: int | None = None) -> Tensor:
        return (audio.unfold(-1, HOP, HOP).mean(dim=-1) * 100).long()[:, None]


def encoder(bands: int = 8, seed: int = 0) -> StemTokenEncoder:
    settings: dict[str, Any] = {"levels": 1, "codebook_size": 256, "code_dim": 4, "hop_length": HOP}
    settings["sample_rate"] = 8_000
    settings |= {"stems": ["low", "high"], "dim": 8, "heads": 2, "layers": 1, "window": FRAMES}
    settings |= {"bands": bands, "band_stft": 128}
    model = build_mlm("default", settings)
    return StemTokenEncoder(BatchEncoder(model.config, Means(), seed))  # type: ignore[arg-type]


def cache(folder: Path, items: int = 5, vqvae: str = "a", **more: Any) -> TokenCache:
    return TokenCache(folder, {"vqvae": vqvae, "stems": ("low", "high")}, items, encoder(**more))


def fill(kept: TokenCache, songs: Songs) -> list[int]:
    return list(kept.fill(InterleavedDataset([songs], 0, ("low", "high"), FRAMES * HOP), CPU, 0))  # type: ignore[list-item]


def test_kept_excerpts_are_those_that_would_be_made(tmp_path: Path) -> None:
    kept, songs, builder = cache(tmp_path), Songs(), encoder().encoder
    assert fill(kept, songs) == [0, 5]
    assert set(songs.made.values()) == {1}
    for index in range(12):
        found = kept[index]
        number = int(module.order(0, index // 5, 5)[index % 5])
        excerpt = Excerpt(*(part[None] for part in songs[number]))
        made = builder(excerpt, builder.sample(index)[None])
        for name in ("mixture", "stem", "stem_index"):
            assert torch.equal(getattr(found, name), getattr(made, name)[0])
        power = made.mixture_power[0]
        torch.testing.assert_close(found.mixture_power, power, rtol=1e-2, atol=1e-3)


def test_every_pass_has_every_excerpt_in_another_order_and_other_stems(tmp_path: Path) -> None:
    kept = cache(tmp_path, items=16)
    fill(kept, Songs())
    orders, told = [], []
    for epoch in range(3):
        found = [kept[16 * epoch + place] for place in range(16)]
        orders.append([int(item.mixture.sum()) for item in found])
        told.append([int(item.stem_index) for item in found])
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(orders[2])
    assert orders[0] != orders[1]
    assert {number for numbers in told for number in numbers} == {0, 1}


def test_nothing_is_coded_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    songs = Songs()
    fill(cache(tmp_path), songs)
    monkeypatch.setattr(Means, "encode", lambda *_: pytest.fail("coded again"))
    again = cache(tmp_path)
    assert fill(again, songs) == [5]
    again[3]
    assert sum(songs.made.values()) == 5


def test_a_cache_cut_short_is_completed(tmp_path: Path) -> None:
    songs = Songs()
    fill(cache(tmp_path), songs)
    kept = cache(tmp_path, items=7)
    kept.file(2).unlink()
    assert fill(kept, songs) == [4, 7]
    assert songs.made == Counter({0: 1, 1: 1, 2: 2, 3: 1, 4: 1, 5: 1, 6: 1})


def test_another_vqvae_makes_its_own(tmp_path: Path) -> None:
    songs = Songs()
    first, second = cache(tmp_path), cache(tmp_path, vqvae="b")
    fill(first, songs)
    assert fill(second, songs) == [0, 5]
    assert first.folder != second.folder
    manifests = [json.loads((one.folder / "manifest.json").read_text()) for one in (first, second)]
    assert [manifest["vqvae"] for manifest in manifests] == ["a", "b"]


def test_a_manifest_of_other_tokens_is_refused(tmp_path: Path) -> None:
    kept = cache(tmp_path)
    fill(kept, Songs())
    manifest = kept.folder / "manifest.json"
    manifest.write_text(json.dumps(kept.identity | {"vqvae": "b"}))
    with pytest.raises(DataError, match="describes other tokens; delete"):
        fill(cache(tmp_path), Songs())
    manifest.write_text("{")
    with pytest.raises(DataError, match="not readable; delete"):
        fill(cache(tmp_path), Songs())


def test_a_damaged_excerpt_is_named(tmp_path: Path) -> None:
    kept = cache(tmp_path, items=1)
    fill(kept, Songs())
    kept.file(0).write_bytes(kept.file(0).read_bytes()[:100])
    with pytest.raises(DataError, match=r"000000\.safetensors: not a readable excerpt"):
        kept[0]


def test_what_an_excerpt_lacks_is_told(tmp_path: Path) -> None:
    kept = cache(tmp_path, items=1)
    fill(kept, Songs())
    save_file({"mixture": torch.zeros(1, FRAMES)}, kept.file(0))
    with pytest.raises(DataError, match=r"not a readable excerpt \('drafts'\); delete it"):
        kept[0]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match="cannot keep tokens"):
        fill(cache(tmp_path / "cache"), Songs())


def test_a_model_without_bands_keeps_tokens_alone(tmp_path: Path) -> None:
    kept = cache(tmp_path, bands=0)
    fill(kept, Songs())
    assert kept[0].mixture_power.numel() == 0
    assert kept.file(0).stat().st_size < 2_000
