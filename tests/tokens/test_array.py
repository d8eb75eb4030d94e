"""Codes as a NumPy array."""

from io import BytesIO

import numpy as np
import pytest
import torch

from audiomask.tokens.array import write_array
from audiomask.tokens.content import Tokens


@pytest.mark.parametrize(
    ("size", "kind"),
    [(32_768, np.int16), (32_769, np.uint16), (65_536, np.uint16), (65_537, np.int32)],
)
def test_the_smallest_type_that_holds_every_code(size: int, kind: type) -> None:
    codes = torch.tensor([[[0, 7, size - 1]], [[1, 2, 3]]], dtype=torch.int32)
    if size <= 1 << 15:
        codes = codes.to(torch.int16)
    tokens = Tokens(codes, 44_100, 1500, 512, size, "0123", 44_100)
    data = b"".join(write_array(tokens))
    read = np.load(BytesIO(data), allow_pickle=False)
    assert read.dtype == kind
    assert np.array_equal(read, codes.numpy())
    out = BytesIO()
    np.save(out, codes.numpy().astype(kind))
    assert out.getvalue() == data
