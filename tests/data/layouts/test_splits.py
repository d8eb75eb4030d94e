"""Splits: names stay in their split, whatever else there is."""

import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audiomask.data.layouts.splits import (
    SPLITS,
    assign,
    assign_libraries,
    assign_songs,
    folder_split,
    library_key,
    share_of,
    split_of,
)

NAMES = st.sets(st.text(min_size=1), min_size=10, max_size=40)
STEMS = ("guitar", "bass", "drums")
#: fonts of several programs, and libraries by themselves
LIBRARIES = st.lists(
    st.builds(
        lambda stem, name, program: Path(
            stem, name if program is None else f"{name}-{program:03d}"
        ),
        st.sampled_from(STEMS),
        st.text("abcdefgh", min_size=1, max_size=3),
        st.none() | st.integers(0, 127),
    ),
    unique=True,
    max_size=60,
)


@pytest.mark.parametrize(
    ("name", "split"),
    [("train", "train"), ("Train", "train"), ("VALID", "validation"), ("val", "validation"),
     ("dev", "validation"), ("validation", "validation"), ("Test", "test"), ("tests", None),
     ("training day", None), ("", None), ("guitar", None)],
)  # fmt: skip
def test_folders_named_after_splits(name: str, split: str | None) -> None:
    assert folder_split(name) == split


def test_a_hash_of_the_name_decides_for_good() -> None:
    # written down: whoever trained yesterday must not find tests among today's training songs
    known = {"song": "train", "Café/été": "validation", "Song 2": "validation", "emily": "test"}
    assert {name: split_of(name) for name in known} == known
    counts = Counter(split_of(f"song {number}") for number in range(10_000))
    assert {split: round(counts[split] / 1_000) for split in SPLITS} == {
        "train": 8, "validation": 1, "test": 1
    }  # fmt: skip


def test_both_spellings_of_an_accent_are_one_name() -> None:
    for word in ("Café", "für Élise", "señor"):
        assert share_of(unicodedata.normalize("NFD", word)) == share_of(word)
    assert 0 <= share_of(b"\xff.wav".decode(errors="surrogateescape")) < 1


@given(NAMES, NAMES)
def test_adding_a_name_moves_no_other(names: set[str], more: set[str]) -> None:
    before, after = assign(names), assign(names | more)
    assert set(after) == names | more
    assert before.items() <= after.items()


@given(st.sets(st.text(min_size=1), max_size=9))
def test_few_names_are_all_trained_on(names: set[str]) -> None:
    assert assign(names) == dict.fromkeys(names, "train")


def test_ten_names_are_hashed() -> None:
    names = [str(number) for number in range(10)]
    assert assign(names) == {name: split_of(name) for name in names}
    assert set(assign(names).values()) != {"train"}


def test_songs_below_a_split_are_in_it() -> None:
    names = [f"{n}" for n in range(20)]
    splits = assign_songs([*names, "Test/a", "valid/b/c", "train/test/d", "a/test/e", "test"])
    assert (splits["Test/a"], splits["valid/b/c"]) == ("test", "validation")
    assert splits["train/test/d"] == "train"  # the first folder decides
    assert splits["a/test/e"] == split_of("a/test/e")
    assert splits["test"] == split_of("test")  # a song, not a folder
    assert all(splits[name] == split_of(name) for name in names)
    few = assign_songs(["a", "b", *(f"test/{n}" for n in range(20))])
    assert (few["a"], few["b"]) == ("train", "train")  # two songs to hash, however many are placed


@pytest.mark.parametrize(
    ("library", "key"),
    [("guitar/fluid-024", "fluid"), ("drums/fluid-000", "fluid"), ("guitar/emily", "emily"),
     ("guitar/shiny-acoustic", "shiny-acoustic"), ("other/My Font-2-073", "My Font-2"),
     ("guitar/a-1234", "a-1234"), ("guitar/-024", "-024")],
)  # fmt: skip
def test_a_font_is_the_key_of_its_libraries(library: str, key: str) -> None:
    assert library_key(Path(library)) == key


@given(LIBRARIES)
def test_libraries_of_a_font_share_a_split_and_every_stem_is_trained_on(
    libraries: list[Path],
) -> None:
    splits = assign_libraries(libraries)
    assert set(splits) == set(libraries)
    by_key: dict[str, set[str]] = {}
    for library, split in splits.items():
        by_key.setdefault(library_key(library), set()).add(split)
    assert all(len(found) == 1 for found in by_key.values())
    for stem in {library.parent.name for library in libraries}:
        assert "train" in {splits[path] for path in libraries if path.parent.name == stem}
    if len(by_key) < 10:
        assert set(splits.values()) <= {"train"}
    assert assign_libraries(libraries[::-1]) == splits
    # only those are moved that a stem could not do without, and only to train
    moved = {library_key(p) for p in libraries if splits[p] != split_of(library_key(p))}
    assert len(by_key) < 10 or all(by_key[key] == {"train"} for key in moved)


@given(LIBRARIES, LIBRARIES)
def test_adding_libraries_moves_none_of_a_stem_that_had_some_to_train_on(
    libraries: list[Path], more: list[Path]
) -> None:
    # ten keys, most of them trained on, for each of the stems
    libraries += [Path(stem, f"base {n}") for stem in STEMS for n in range(10)]
    more = [path for path in more if path not in libraries]
    assert assign_libraries(libraries).items() <= assign_libraries(libraries + more).items()


def test_a_stem_without_any_gets_the_library_of_the_lowest_hash() -> None:
    names = [f"lib{n}" for n in range(200)]
    kept = [name for name in names if split_of(name) != "train"][1:5]
    trained = [name for name in names if split_of(name) == "train"][:10]
    lowest = min(kept, key=share_of)
    assert lowest not in (kept[0], min(kept))  # not merely the first
    libraries = [Path("bass", name) for name in trained]
    libraries += [Path("banjo", f"{name}-105") for name in kept]
    libraries += [Path("bass", f"{name}-033") for name in kept]
    splits = assign_libraries(libraries)
    moved = [str(path) for path in libraries if splits[path] != split_of(library_key(path))]
    assert moved == [f"banjo/{lowest}-105", f"bass/{lowest}-033"]  # the whole font
