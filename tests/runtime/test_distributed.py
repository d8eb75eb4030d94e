"""Parallel: in one process nothing happens; what many do is tested in tests/training."""

import torch

from audiomask.runtime import distributed

CPU = torch.device("cpu")


def test_one_process_is_the_world() -> None:
    values = torch.arange(6.0).view(3, 2)
    assert (distributed.world_size(), distributed.rank()) == (1, 0)
    for shared in (
        distributed.all_reduce_sum(values),
        distributed.all_reduce_mean(values),
        distributed.all_gather(values),
    ):
        assert torch.equal(shared, values)
    assert distributed.any_rank(True, CPU)
    assert not distributed.any_rank(False, CPU)
    assert distributed.all_reduce_min(3, CPU) == 3
    with distributed.main_process_first():
        pass


def test_numbers_are_those_of_torch() -> None:
    torch.manual_seed(3)
    drawn = distributed.rand(2, 5, device=CPU)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(2, 5))
    own = [
        distributed.rand(4, device=CPU, generator=torch.Generator().manual_seed(1))
        for _ in range(2)
    ]
    assert torch.equal(*own)
