"""Linear probes read what is linear, and do not overfit what is not there."""

import torch

from audiomask.evaluation.linear_probe import probe, standardize


def test_linear_classes_are_found_among_noise() -> None:
    torch.manual_seed(0)
    labels = torch.randint(3, (1_200,))
    features = torch.randn(1_200, 40)
    features[:, 5] += 3 * (labels == 1)
    features[:, 9] += 3 * (labels == 2)
    train, test = standardize(features[:900], features[900:])
    found = probe(train, labels[:900], test, 3)
    assert float((found == labels[900:]).float().mean()) > 0.85
    # as good as can be with fewer rows than features, too
    few = probe(train[:30], labels[:30], test, 3)
    assert float((few == labels[900:]).float().mean()) > 0.45


def test_it_is_ridge_regression_with_the_best_penalty() -> None:
    torch.manual_seed(1)
    rows, test = torch.randn(30, 4).double(), torch.randn(20, 4).double()
    labels = torch.randint(2, (30,))
    found = probe(rows, labels, test, 2)

    def fit(x: torch.Tensor, y: torch.Tensor, penalty: float) -> tuple[torch.Tensor, ...]:
        center, mean = x.mean(dim=0), y.mean(dim=0)
        gram = (x - center).T @ (x - center) + penalty * 30 * torch.eye(4)
        return center, mean, torch.linalg.solve(gram, (x - center).T @ (y - mean))

    targets = torch.nn.functional.one_hot(labels, 2).double()
    ranks = {}
    for power in range(-4, 4):
        hits, total = 0, 0.0
        for left_out in range(30):
            kept = torch.arange(30) != left_out
            center, mean, weights = fit(rows[kept], targets[kept], 10.0**power)
            predicted = (rows[left_out] - center) @ weights + mean
            hits += int((predicted - targets.mean(dim=0)).argmax() == labels[left_out])
            total += float((predicted - targets[left_out]).square().sum())
        ranks[power] = (hits, -total)
    best = max(ranks, key=lambda power: ranks[power])
    center, mean, weights = fit(rows, targets, 10.0**best)
    expected = ((test - center) @ weights).argmax(dim=1)
    assert torch.equal(found, expected)


def test_constant_features_and_one_class_do_no_harm() -> None:
    rows = torch.zeros(10, 3)
    train, test = standardize(rows, torch.ones(4, 3))
    assert probe(train, torch.full((10,), 2), test, 5).tolist() == [2] * 4


def test_standardized_by_the_first() -> None:
    torch.manual_seed(0)
    train, test = standardize(5 + 3 * torch.randn(500, 2), torch.full((3, 2), 5.0))
    assert torch.allclose(train.mean(dim=0), torch.zeros(2).double(), atol=1e-6)
    assert torch.allclose(train.std(dim=0, correction=0), torch.ones(2).double(), atol=1e-6)
    assert float(test.abs().max()) < 0.2
