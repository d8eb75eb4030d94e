"""Parallel: in one process nothing happens; what many do is tested in tests/training."""

import torch

from audiomask import parallel

CPU = torch.device("cpu")


def test_one_process_is_the_world() -> None:
    values = torch.arange(6.0).view(3, 2)
    assert (parallel.world(), parallel.rank()) == (1, 0)
    for shared in (parallel.total(values), parallel.mean(values), parallel.gather(values)):
        assert torch.equal(shared, values)
    assert parallel.any_of(True, CPU)
    assert not parallel.any_of(False, CPU)
    assert parallel.least(3, CPU) == 3
    with parallel.first_alone():
        pass


def test_numbers_are_those_of_torch() -> None:
    torch.manual_seed(3)
    drawn = parallel.rand(2, 5, device=CPU)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(2, 5))
    own = [
        parallel.rand(4, device=CPU, generator=torch.Generator().manual_seed(1)) for _ in range(2)
    ]
    assert torch.equal(*own)
