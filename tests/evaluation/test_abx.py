"""ABX scores: by hand, with features that tell everything or nothing."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from audiomask.evaluation.abx import ABX
from audiomask.evaluation.note_examples import Triple


def triples(number: int) -> Iterator[Triple]:
    """Sounds whose first sample is their class, and the second a nuisance that misleads."""
    for n in range(number):
        own, other = float(n % 3), float((n + 1) % 3)
        yield Triple(*(torch.tensor(pair) for pair in ((own, 0.0), (other, 1.0), (own, 1.0))))


def heard(features: Any) -> ABX:
    """A test of one system, which hears audio [B, 2] as ``features``, [B, F, D]."""
    model = SimpleNamespace(semantic_clusters=SimpleNamespace(found=False))
    engine = SimpleNamespace(device=torch.device("cpu"))
    probes: Any = SimpleNamespace(
        model=model, engine=engine, vqvae=None, outputs=lambda audio: {"it": features(audio)}
    )
    return ABX(probes)


def one_hot(audio: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(audio[:, :1].long(), 3).float()


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (one_hot, 1.0),
        (lambda audio: 2 * audio[:, 1:, None] - 1, 0.0),
        (lambda audio: torch.ones(len(audio), 4, 2), 0.5),
    ],
)
def test_the_nearer_one_is_the_answer(features: Any, expected: float) -> None:
    assert heard(features).scores(triples(50)) == {"it": expected}


def test_tokens_are_compared_as_histograms(monkeypatch: pytest.MonkeyPatch) -> None:
    test = heard(one_hot)
    # the same tokens in another order
    codes = torch.tensor([[0, 1, 2, 2], [3, 3, 3, 3], [2, 2, 0, 1]])
    monkeypatch.setattr(test, "tokens", lambda audio: {"tokens": codes})
    assert test.scores(triples(1)) == {"it": 1.0, "tokens": 1.0}
