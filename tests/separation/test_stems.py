"""Stems: names that a configuration may give them."""

from pathlib import Path

import pytest

from audiomask.errors import CheckpointError
from audiomask.separation.stems import stem_names

FOLDER = Path("models/masks")


def test_stems_are_names_of_files() -> None:
    for stems in (["guitar", "bass"], ["Gitarre (1)", "бас"], ["..x", "x.."], []):
        assert stem_names(FOLDER, {"stems": stems}) == tuple(stems)


@pytest.mark.parametrize(
    "config", [{}, *({"stems": s} for s in ("a", 3, None, {"a": 1}, ["a", 3]))]
)
def test_what_is_no_list_of_names_is_refused(config: dict[str, object]) -> None:
    with pytest.raises(CheckpointError) as caught:
        stem_names(FOLDER, config)
    assert str(caught.value) == f"{FOLDER}: 'stems' is no list of names"


@pytest.mark.parametrize(
    "stem", ["", ".", "..", "all", "residual", "a/b", "a\\b", "c:", "a\nb", "\0"]
)
def test_a_stem_that_cannot_name_a_file_is_refused(stem: str) -> None:
    with pytest.raises(CheckpointError, match=r"stem .* cannot name a file") as caught:
        stem_names(FOLDER, {"stems": ["guitar", stem]})
    assert "\n" not in str(caught.value)
