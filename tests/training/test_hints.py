"""What a type hint admits from TOML and from a text."""

from pathlib import Path
from typing import Any, Literal

import pytest

from audiomask.training.hints import convert, fit, hints_of, wanted
from audiomask.training.options import TrainOptions

Size = int | Literal["auto"] | None


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (3, int, 3),
        (3, float, 3.0),
        (0.5, float | None, 0.5),
        (True, bool, True),
        ("aligned", str, "aligned"),
        (["a", "b"], tuple[str, ...], ("a", "b")),
        (["a"], tuple[Path, ...], (Path("a"),)),
        ("a", Path | None, Path("a")),
        (4, Size, 4),
        ("auto", Size, "auto"),
    ],
)
def test_values_that_fit(value: Any, hint: Any, expected: Any) -> None:
    found = fit(value, hint)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("3", int),
        (3.0, int),
        (True, int),
        (False, float),
        ("0.5", float),
        (float("nan"), float),
        (float("inf"), float),
        (1, bool),
        ("true", bool),
        (3, str),
        ("a,b", tuple[str, ...]),
        ([1], tuple[str, ...]),
        ("", Path),
        ({"a": 1}, str),
        ("many", Size),
        (["auto"], Size),
    ],
)
def test_values_that_do_not(value: Any, hint: Any) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        fit(value, hint)


@pytest.mark.parametrize(
    ("text", "hint", "expected"),
    [
        ("3", int, 3),
        ("1e-3", float, 1e-3),
        ("3", float, 3.0),
        ("No", bool, False),
        ("true", bool, True),
        ("3", str, "3"),
        ("guitar, bass", tuple[str, ...], ("guitar", "bass")),
        ("auto", Size, "auto"),
        ("7", Size, 7),
    ],
)
def test_texts_that_fit(text: str, hint: Any, expected: Any) -> None:
    found = convert(text, hint)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("text", "hint"),
    [("two", int), ("1.5", int), ("x", float), ("nan", float), ("maybe", bool), ("many", Size)],
)
def test_texts_that_do_not(text: str, hint: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - with what Python says, or nothing
        convert(text, hint)


def test_what_is_wanted_in_words() -> None:
    words = {name: wanted(hint) for name, hint in hints_of(TrainOptions).items() if name in WORDS}
    assert words == WORDS


WORDS = {
    "data": "a list of folders",
    "preset": "a text",
    "precision": "auto, fp32, bf16 or fp16",
    "batch_size": "a whole number or auto",
    "shard": "true or false",
    "device": "a text",
}
