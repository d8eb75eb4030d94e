"""What all tests share: quiet, steady property tests and a way to ask for optional peers."""

import shutil
from collections.abc import Callable

import pytest
from hypothesis import settings

# No deadline: a machine that trains or renders meanwhile is slow, not wrong.
settings.register_profile("audiomask", deadline=None, max_examples=50, print_blob=True)
settings.load_profile("audiomask")


@pytest.fixture
def peer() -> Callable[[str], str]:
    """``peer("ffmpeg")`` is the path of a program, or the test is skipped for want of it."""

    def find(program: str) -> str:
        path = shutil.which(program)
        if path is None:
            pytest.skip(f"{program} is not installed")
        return path

    return find
