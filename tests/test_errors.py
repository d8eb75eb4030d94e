"""Reasons of errors: the system's, or whatever there is."""

import errno
import os

import pytest

from audiomask.errors import why


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.wav"), os.strerror(errno.ENOSPC)),
        (OSError("8 requested and 2 written"), "8 requested and 2 written"),
        (ValueError("embedded null byte"), "embedded null byte"),
        (OSError(), "OSError"),
    ],
)
def test_every_error_has_a_reason(error: Exception, reason: str) -> None:
    assert why(error) == reason
