"""Separation: the paper's sequence and the stems' codes."""

import pytest
import torch

from audiomask.networks.mlm.separation import separation_ids, stem_codes


def test_the_papers_sequence() -> None:
    mixture, stem = torch.randint(12, (2, 3, 5)), torch.randint(12, (2, 3, 5))
    ids = separation_ids(mixture, stem, 15)
    assert ids.shape == (2, 3, 11)
    assert torch.equal(ids[..., :5], mixture)
    assert (ids[..., 5] == 15).all()
    assert torch.equal(ids[..., 6:], stem)


@torch.no_grad()
@pytest.mark.parametrize("preset", ["default", "paper"])
def test_a_stems_codes_are_the_likeliest_with_all_of_it_masked(make, preset: str) -> None:
    model = make(preset)
    mixture = torch.randint(12, (2, 2, 12))
    masked = torch.full_like(mixture, model.vocabulary.mask)
    found = stem_codes(model, mixture, range(len(model.config.stems)))
    for stem, name in enumerate(model.config.stems):
        if preset == "paper":
            ids = separation_ids(mixture, masked, model.vocabulary.sep(name))
            hidden = model.target(model.context(ids))[:, 13:]
        else:
            hidden = model.target(model.context(mixture), masked, torch.tensor([stem, stem]))
        assert torch.equal(found[stem], model.logits(hidden).argmax(dim=-1))
        assert found[stem].shape == mixture.shape
    # (of the paper's sequence, one SEP says little to a model that is not trained)
    assert preset == "paper" or not torch.equal(found[0], found[1])
