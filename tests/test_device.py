"""Which device, and in which precision."""

import pytest
import torch

from audiomask.device import choose_device, fast, has_bfloat16
from audiomask.errors import UsageError


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "meta", "mps"])
def test_a_device_that_is_not_here(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        choose_device(name)


@pytest.mark.parametrize("able", [False, True])
def test_heavy_products_are_short_where_that_is_fast(
    able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: able)
    device = torch.device("cpu")
    assert has_bfloat16(device) == able
    with fast(device):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.bfloat16 if able else torch.float32)
