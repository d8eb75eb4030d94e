"""The model: embeddings, both layouts, stems, presets."""

import pytest
import torch

from audiomask.errors import ConfigError
from audiomask.networks.mlm import build_mlm
from audiomask.networks.stems import STEMS

VQVAE = {
    "levels": 4,
    "codebook_size": 1024,
    "code_dim": 12,
    "hop_length": 512,
    "sample_rate": 44_100,
}


def ids_of(*shape: int) -> torch.Tensor:
    return torch.randint(12, shape)


# Embeddings


@torch.no_grad()
def test_embeddings_are_the_sum_over_levels(make) -> None:
    model = make()
    ids = ids_of(3, 2, 9)
    ids[0, 0, 4], ids[1, 1, 2] = model.vocabulary.mask, model.vocabulary.sep("drums")
    found = model.embed(ids)

    def one(level: int, token: int) -> torch.Tensor:
        if token < 12:  # unit vectors of 4 entries, scaled to entries of about one
            return model.code_projections[level](2 * model.codebooks[level, token])
        return model.special_embeddings[level, token - 12]

    for row in range(3):
        for frame in range(9):
            expected = sum(one(level, int(ids[row, level, frame])) for level in range(2))
            assert torch.allclose(found[row, frame], expected, atol=1e-5)


@torch.no_grad()
def test_channels_give_the_mean_of_their_embeddings(make) -> None:
    model, ids = make(), ids_of(3, 2, 2, 9)
    expected = (model.embed(ids[:, 0]) + model.embed(ids[:, 1])) / 2
    assert torch.allclose(model.embed(ids), expected, atol=1e-6)
    assert torch.allclose(model.context(ids[:, :1]), model.context(ids[:, 0]), atol=1e-5)


def test_codebooks_are_stored_and_not_trained(make) -> None:
    model = make()
    assert "codebooks" in model.state_dict()
    assert "codebooks" not in dict(model.named_parameters())
    assert model.codebooks.abs().sum() > 0


# Distributions


@torch.no_grad()
def test_logits_hear_both_ends(make) -> None:
    model, ids = make(), ids_of(1, 2, 40)
    logits = model.logits(model.target(model.context(ids)))
    assert logits.shape == (1, 2, 40, 12)
    for changed, looked_at in ((-1, 0), (0, -1)):
        other = ids.clone()
        other[:, :, changed] = (ids[:, :, changed] + 1) % 12
        moved = model.logits(model.target(model.context(other)))
        assert (moved - logits)[:, :, looked_at].abs().max() > 1e-6


@torch.no_grad()
def test_padding_does_not_move_the_others(make) -> None:
    model = make()
    ids, bands = ids_of(1, 2, 30), torch.randn(1, 8, 30)
    padded, heard = ids.clone(), bands.clone()
    padded[..., 22:], heard[..., 22:] = model.vocabulary.pad, 9.0
    attention_mask = (torch.arange(30) < 22)[None]
    context = model.context(padded, heard, attention_mask)
    short = model.context(ids[..., :22], bands[..., :22])
    assert torch.allclose(context[:, :22], short, atol=1e-5)
    stem, masked = torch.tensor([1]), torch.full((1, 2, 30), model.vocabulary.mask)
    hidden = model.target(context, masked, stem, attention_mask)
    alone = model.target(short, masked[..., :22], stem)
    assert torch.allclose(hidden[:, :22], alone, atol=1e-5)


@torch.no_grad()
def test_bands_are_heard_when_given(make) -> None:
    model, ids = make(), ids_of(1, 2, 20)
    model.no_band_embedding.normal_()
    without = model.context(ids)
    bands = torch.randn(1, 8, 20)
    assert (model.context(ids, bands) - without).abs().max() > 1e-3
    # what stands for none is learned, not the zero
    assert (model.context(ids, 0 * bands) - without).abs().max() > 1e-3


@torch.no_grad()
def test_every_stem_is_another_and_its_tokens_are_read(make) -> None:
    model = make()
    context = model.context(ids_of(2, 2, 20))
    masked = torch.full((2, 2, 20), model.vocabulary.mask)
    first, second = (model.target(context, masked, torch.tensor([n, n])) for n in (0, 1))
    assert first.shape == (2, 20, 16)
    assert (first - second).abs().max() > 1e-3
    shown = model.target(context, ids_of(2, 2, 20), torch.tensor([0, 0]))
    assert (shown - first).abs().max() > 1e-3


@torch.no_grad()
def test_a_draft_is_read_where_there_is_one(make) -> None:
    model = make(draft=True)
    context, stem = model.context(ids_of(2, 2, 20)), torch.tensor([0, 0])
    masked = torch.full((2, 2, 20), model.vocabulary.mask)
    draft = ids_of(2, 2, 20)
    draft[1] = model.vocabulary.mask
    without = model.target(context, masked, stem)
    drafted = model.target(context, masked, stem, draft=draft)
    assert (drafted[0] - without[0]).abs().max() > 1e-3
    assert torch.allclose(drafted[1], without[1], atol=1e-6)
    # a draft is no token of the stem
    assert (drafted[0] - model.target(context, draft, stem)[0]).abs().max() > 1e-3
    plain = make(draft=False)
    context = plain.context(ids_of(2, 2, 20))
    assert torch.equal(
        plain.target(context, masked, stem, draft=draft), plain.target(context, masked, stem)
    )


def test_only_the_aligned_layout_reads_a_draft(make) -> None:
    with pytest.raises(ConfigError, match="only the aligned layout reads a draft"):
        make("paper", draft=True)


@torch.no_grad()
def test_bands_are_heard_at_their_frames(make) -> None:
    model = make().eval()
    ids, features = ids_of(1, 2, 20), torch.zeros(1, 8, 10)
    heard = model.embed_bands(features, 20)
    features[..., 3] = 1.0
    changed = (model.embed_bands(features, 20) - heard).abs().sum(dim=-1)[0].nonzero()[:, 0]
    assert changed.tolist() == [6, 7]
    # an odd number of frames ends within a frame of bands
    assert model.context(ids[..., :19], features).shape == (1, 19, 16)


# Presets


def test_the_papers_preset() -> None:
    config = build_mlm("paper", VQVAE | {"levels": 1, "layers": 1}).config
    assert config.window == 512
    assert config.layout == "concatenated"
    assert (config.kernel, config.stem_layers, config.bands) == (0, 0, 0)


def test_the_default_window_is_of_six_seconds_at_least() -> None:
    config = build_mlm("default", VQVAE | {"layers": 1}).config
    assert config.window * config.hop_length / config.sample_rate >= 6
    assert config.layout == "aligned"
    assert config.stems == STEMS == ("guitar", "piano", "bass", "drums", "vocals")


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_each_preset_answers_at_every_level(make, preset: str) -> None:
    model = make(preset)
    assert model.logits(model.target(model.context(ids_of(1, 2, 25)))).shape == (1, 2, 25, 12)


def test_stems_may_be_a_list_as_json_has_them() -> None:
    config = build_mlm("default", VQVAE | {"stems": ["a", "b"], "layers": 1}).config
    assert config.stems == ("a", "b")


@pytest.mark.parametrize(
    ("preset", "settings", "reason"),
    [
        ("small", VQVAE, "no MLM preset 'small'"),
        ("one-level", VQVAE, "no MLM preset 'one-level'"),
        ("default", VQVAE | {"colour": 1}, "colour"),
        ("default", {}, "levels"),
    ],
)
def test_what_no_preset_has(preset: str, settings: dict[str, int], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        build_mlm(preset, settings)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("levels", 0),
        ("window", "long"),
        ("hop_length", 512.0),
        ("bands", -1),
        ("band_frames", 5),
        ("band_frames", 0),
        ("separated", 1.5),
        ("layers", 1 << 40),
        ("layout", "stacked"),
        ("stems", [1, 2]),
        ("kernel", 4),
        ("heads", 3),
        ("dim", 4),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match="dim" if field == "heads" else field):
        build_mlm("default", VQVAE | {field: value})
