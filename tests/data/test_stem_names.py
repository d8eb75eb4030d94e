"""Stem names: what is one, and which are the same."""

import pytest

from audiomask.data.stem_names import (
    COMMON,
    common_name,
    is_complete,
    mixture_rank,
    stem_name,
)


@pytest.mark.parametrize(
    ("name", "common"),
    [("guitar", "guitar"), ("Guitars", "guitar"), ("GTR_2", "guitar"), ("guitar01", "guitar"),
     ("Acoustic Guitar (L)", "guitar"), ("electric_guitar", "guitar"), ("drum", "drums"),
     ("Drums", "drums"), ("drum-kit", "drums"), ("01 drums", "drums"), ("vocal", "vocals"),
     ("Lead Vocals", "vocals"), ("backing-vox", "vocals"), ("bass", "bass"),
     ("bass guitar", "bass"), ("Double Bass", "bass"), ("synth bass", "bass"),
     ("bass drum", "kick"), ("grand piano", "piano"), ("Keyboards", "keys"), ("keys", "keys"),
     ("violins", "violin"), ("strings", "strings"), ("Synths", "synth"), ("rest", "other"),
     ("others", "other"), ("no_vocals", "accompaniment"), ("Hi-Hat", "hi-hat"),
     ("saxes", "saxophone"), ("Effects", "effects")],
)  # fmt: skip
def test_common_names(name: str, common: str) -> None:
    assert common_name(name) == common
    assert stem_name(name) == common


@pytest.mark.parametrize("name", ["S01", "lead", "Drummer", "guitar solo blues", "", "2", "mix"])
def test_other_names_stay_as_they_are(name: str) -> None:
    assert common_name(name) is None
    assert stem_name(f" {name} ") == name.casefold()


def test_a_common_name_is_its_own() -> None:
    assert all(common_name(name) == name for name in COMMON.values())


def test_mixtures() -> None:
    assert all(mixture_rank(n) is not None for n in ("Mix", "mixture", "MASTER", "mixes", "mix_2"))
    assert mixture_rank("guitar") is None
    assert mixture_rank("remix") is None
    ranks = [mixture_rank(name) for name in ("mixture", "mix", "master")]
    assert ranks == [0, 1, 2]


def test_a_rest_hides_instruments_where_nobody_told_them_apart() -> None:
    assert is_complete({"guitar", "drums"})
    assert is_complete({"guitar", "drums", "bass", "other", "vocals"})
    assert is_complete({"drums", "bass", "vocals"})
    assert not is_complete({"drums", "bass", "other", "vocals"})
    assert not is_complete({"vocals", "other"})
    assert not is_complete({"vocals", "accompaniment"})
