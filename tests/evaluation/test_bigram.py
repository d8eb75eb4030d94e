"""Counting models of tokens: their probabilities by hand, and on chains that are known."""

import math

import pytest
import torch
from torch import Tensor

from audiomask.evaluation.bigram import UNIFORM, count, fit


def test_probabilities_by_hand() -> None:
    # 0 1 0 1 1: two zeros, three ones; 0 1 twice, 1 0 once, 1 1 once
    model = count([torch.tensor([0, 1, 0, 1, 1])], size=3, alpha=2.0, beta=1.0)
    assert model.unigram.tolist() == pytest.approx([3 / 8, 4 / 8, 1 / 8])
    bits = model.bigram_bits(torch.tensor([1, 0, 2]))
    assert bits.tolist() == pytest.approx(
        [
            -math.log2(4 / 8),  # the first by the unigram
            -math.log2((1 + 2 * 3 / 8) / (2 + 2)),
            -math.log2((0 + 2 * 1 / 8) / (2 + 2)),
        ]
    )
    assert model.unigram_bits(torch.tensor([2])).tolist() == pytest.approx([3])


def test_what_follows_anything_sums_to_one_and_clips_do_not_run_into_each_other() -> None:
    model = count([torch.tensor([0, 1]), torch.tensor([2, 0])], 4, alpha=0.5, beta=0.1)
    assert model.counts.sum() == 2
    assert model.counts[1, 2] == 0
    for before in range(4):
        pairs = [torch.tensor([before, after]) for after in range(4)]
        total = sum(2 ** -float(model.bigram_bits(pair)[1]) for pair in pairs)
        assert total == pytest.approx(1)


def chain(length: int, table: Tensor, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    codes = [0]
    for _ in range(length - 1):
        codes.append(int(torch.multinomial(table[codes[-1]], 1, generator=generator)))
    return torch.tensor(codes)


def test_a_chain_is_learned() -> None:
    table = torch.tensor([[0.05, 0.9, 0.05], [0.1, 0.0, 0.9], [0.8, 0.1, 0.1]])
    model = fit([[chain(2000, table, seed)] for seed in range(6)], 3)
    new = chain(2000, table, 99)
    truth = float(-table[new[:-1], new[1:]].log2().mean())
    assert float(model.bigram_bits(new)[1:].mean()) == pytest.approx(truth, abs=0.02)
    assert float(model.unigram_bits(new).mean()) > truth + 0.5


@pytest.mark.parametrize("number", [2, 3, 5, 11])
def test_any_number_of_songs_from_two_is_counted_in_the_end(number: int) -> None:
    songs = [[torch.tensor([0, 1, 1]), torch.tensor([1, 0])]] * number
    assert fit(songs, 2).counts.sum() == 3 * number


def test_smoothing_is_not_chosen_on_a_songs_other_channel() -> None:
    # both channels of a song are alike, and no two songs are: counts are little to be trusted
    songs = [[torch.full((200,), code)] * 2 for code in range(4)]
    assert fit(songs, 8).beta == max(UNIFORM)
    assert fit([[channel] for song in songs for channel in song], 8).beta == min(UNIFORM)
