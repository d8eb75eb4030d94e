"""K-means finds the clusters that are there."""

import torch

from audiomask.networks.spectrogram import kmeans as module
from audiomask.networks.spectrogram.kmeans import Clusters, kmeans, nearest


def clouds() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    true = torch.tensor([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0], [9.0, 9.0], [30.0, 30.0]])
    label = torch.randint(5, (2_000,))
    return true, true[label] + 0.3 * torch.randn(2_000, 2)


def test_separate_clouds_have_a_center_each() -> None:
    true, rows = clouds()
    for seed in range(4):
        found = kmeans(rows, 5, seed)
        distance = torch.cdist(true, found).min(dim=1).values
        assert float(distance.max()) < 0.1, seed


def test_the_seed_decides() -> None:
    rows = clouds()[1]
    assert torch.equal(kmeans(rows, 9, 1), kmeans(rows, 9, 1))
    assert not torch.equal(kmeans(rows, 9, 1), kmeans(rows, 9, 2))


def test_the_nearest_is_the_nearest_whatever_the_blocks(monkeypatch: object) -> None:
    rows, centers = torch.randn(3, 50, 4), torch.randn(7, 4)
    expected = torch.cdist(rows, centers).argmin(dim=-1)
    assert torch.equal(nearest(rows, centers), expected)
    monkeypatch.setattr(module, "ROWS", 16)  # type: ignore[attr-defined]
    assert torch.equal(nearest(rows, centers), expected)


def test_fewer_rows_than_clusters() -> None:
    rows = torch.tensor([[0.0], [1.0]]).repeat(3, 1)
    found = kmeans(rows, 5)
    assert found.shape == (5, 1)
    assert set(found.flatten().tolist()) == {0.0, 1.0}


def test_clusters_are_of_standardized_features() -> None:
    # four groups that differ only in a feature of tiny scale, beside one that is the same in all
    clusters, group = Clusters(4, 3), torch.arange(400) % 4
    features = torch.ones(400, 3)
    features[:, 0] = 1e-3 * group
    assert not clusters.found
    clusters.find(features)
    assert clusters.found
    labels = clusters(features)
    assert len({int(labels[group == n][0]) for n in range(4)}) == 4
    assert all(labels[group == n].unique().numel() == 1 for n in range(4))
    assert torch.equal(clusters(features.view(4, 100, 3)), labels.view(4, 100))
