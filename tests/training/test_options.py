"""Times, sizes and settings as written on the command line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomask.errors import UsageError
from audiomask.training.options import parse_batch_size, parse_overrides, parse_time


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("9m", 540), ("1.5h", 5400), ("1h30m", 5400), ("1D", 86400)],
)
def test_times(text, seconds):
    assert parse_time(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "0", "0m", "-5m", "9 minutes", "m9", "nan", "1e3"])
def test_what_is_no_time(text):
    with pytest.raises(UsageError, match="time"):
        parse_time(text)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(1, 59))
def test_parts_add_up(hours, minutes, seconds):
    assert parse_time(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


def test_overrides():
    assert parse_overrides(["layers=4", "name=a=b", " lr = 3e-4"]) == {
        "layers": "4",
        "name": "a=b",
        "lr": "3e-4",
    }


@pytest.mark.parametrize("pairs", [["layers"], ["=4"], ["a=1", "a=2"]])
def test_refused_overrides(pairs):
    with pytest.raises(UsageError, match="--set"):
        parse_overrides(pairs)


@pytest.mark.parametrize(("text", "size"), [("1", 1), ("64", 64), ("auto", "auto")])
def test_batch_sizes(text, size):
    assert parse_batch_size(text) == size


@pytest.mark.parametrize("text", ["0", "01", "-1", "1.5", "many", "", "AUTO", "٣", "9" * 5000])
def test_what_is_no_batch_size(text):
    with pytest.raises(UsageError, match="--batch-size"):
        parse_batch_size(text)
