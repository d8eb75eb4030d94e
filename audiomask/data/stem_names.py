"""Stem names: what people call the files and folders of stems, and the common name of each."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

#: common name -> what it is called too; plurals with an s are understood by themselves
ALIASES: dict[str, tuple[str, ...]] = {
    "guitar": ("gtr",),
    "piano": ("pno", "e piano"),
    "bass": ("basses", "bass guitar", "synth bass", "bass synth", "contrabass"),
    "drums": ("drum", "drum kit", "drumkit", "drum set", "drumset"),
    "vocals": ("vocal", "vox", "voice", "singer", "singing"),
    "other": ("others", "rest", "residual"),
    "accompaniment": ("instrumental", "karaoke", "backing", "no vocals", "novocals"),
    "keys": ("key", "keyboard"),
    "strings": ("string", "string section"),
    "synth": ("synthesizer", "synthesiser", "synth lead", "synth pad"),
    "percussion": ("perc",),
    "saxophone": ("sax", "saxes"),
    "brass": ("brass section", "horns"),
    "woodwinds": ("woodwind", "winds", "wind", "reeds"),
    "effects": ("fx", "sfx", "effect"),
    "kick": ("kick drum", "bass drum"),
    "hi-hat": ("hi hat", "hihat", "hat"),
    "overheads": ("overhead",),
    "toms": ("tom",),
    "cymbals": ("cymbal",),
}  # fmt: skip
#: names that have no other
PLAIN = (
    "accordion", "arpeggio", "banjo", "bells", "cello", "choir", "clarinet", "fiddle", "flute",
    "glockenspiel", "harmonica", "harp", "harpsichord", "horn", "mandolin", "marimba", "oboe",
    "organ", "pad", "rhodes", "snare", "trombone", "trumpet", "tuba", "ukulele", "vibraphone",
    "viola", "violin", "xylophone",
)  # fmt: skip
COMMON = {alias: name for name, aliases in ALIASES.items() for alias in (name, *aliases)}
COMMON |= dict(zip(PLAIN, PLAIN, strict=True))
#: what says which of several instruments it is, and tells none of them from the rest
QUALIFIERS = frozenset(
    ("acoustic", "backing", "background", "clean", "distorted", "distortion", "double", "electric",
     "female", "grand", "l", "lead", "left", "main", "male", "r", "rhythm", "right", "solo",
     "stem", "track", "upright")
)  # fmt: skip
MIXTURES = ("mixture", "mix", "master", "full mix", "fullmix", "original mix", "linear mixture")
#: the four stems of MUSDB18 and of most programs that separate
FOUR = frozenset({"drums", "bass", "other", "vocals"})


def words_of(name: str) -> str:
    """A name's words: small letters alone, numbers and signs left out."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(re.findall(r"[^\W\d_]+", text))


def common_name(name: str) -> str | None:
    """The common name of a stem; None for what is no word for one.

    Case, plurals, numbers, and words such as "electric", "lead" or "left" make no difference:
    ``Drum`` is drums, ``GTR_2`` and ``Acoustic Guitar (L)`` are guitar.
    """
    words = words_of(name)
    bare = " ".join(word for word in words.split() if word not in QUALIFIERS)
    for candidate in (words, bare):
        for form in (candidate, candidate.removesuffix("s")):
            if form in COMMON:
                return COMMON[form]
    return None


def stem_name(name: str) -> str:
    """The common name of a stem, or the name itself in small letters where there is none."""
    return common_name(name) or unicodedata.normalize("NFC", " ".join(name.split())).casefold()


def mixture_rank(name: str) -> int | None:
    """The place of a name among those of a whole song's file, best first; None for others."""
    words = words_of(name)
    for form in (words, words.removesuffix("es"), words.removesuffix("s")):
        if form in MIXTURES:
            return MIXTURES.index(form)
    return None


def is_complete(stems: Collection[str]) -> bool:
    """Whether an instrument that is none of a data set's stems is silent in it.

    Not where there is an accompaniment, and not with MUSDB18's four stems or fewer of them:
    their "other" is whatever else plays, guitars and pianos included.
    """
    return "accompaniment" not in stems and not ("other" in stems and FOUR.issuperset(stems))
