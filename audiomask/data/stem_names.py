"""Stem names: the common name of a stem for the names of files and folders in use."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection

#: other names by common name; a plural's s is ignored
_ALIASES: dict[str, tuple[str, ...]] = {
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
#: common names without aliases
_PLAIN = (
    "accordion", "arpeggio", "banjo", "bells", "cello", "choir", "clarinet", "fiddle", "flute",
    "glockenspiel", "harmonica", "harp", "harpsichord", "horn", "mandolin", "marimba", "oboe",
    "organ", "pad", "rhodes", "snare", "trombone", "trumpet", "tuba", "ukulele", "vibraphone",
    "viola", "violin", "xylophone",
)  # fmt: skip
COMMON = {alias: name for name, aliases in _ALIASES.items() for alias in (name, *aliases)}
COMMON |= dict(zip(_PLAIN, _PLAIN, strict=True))
#: words that distinguish instruments of one stem, and are ignored
_QUALIFIERS = frozenset(
    ("acoustic", "backing", "background", "clean", "distorted", "distortion", "double", "electric",
     "female", "grand", "l", "lead", "left", "main", "male", "r", "rhythm", "right", "solo",
     "stem", "track", "upright")
)  # fmt: skip
_MIXTURES = ("mixture", "mix", "master", "full mix", "fullmix", "original mix", "linear mixture")
#: the four stems of MUSDB18 and of most separation programs
_FOUR = frozenset({"drums", "bass", "other", "vocals"})


def _words_of(name: str) -> str:
    """A name's words in lower case, without digits and punctuation."""
    text = unicodedata.normalize("NFKC", name).casefold()
    return " ".join(re.findall(r"[^\W\d_]+", text))


def common_name(name: str) -> str | None:
    """The common name of a stem; None for other names.

    Case, plurals, numbers, and words such as "electric", "lead" or "left" are ignored: ``Drum`` is
    drums, ``GTR_2`` and ``Acoustic Guitar (L)`` are guitar.
    """
    words = _words_of(name)
    bare = " ".join(word for word in words.split() if word not in _QUALIFIERS)
    for candidate in (words, bare):
        for form in (candidate, candidate.removesuffix("s")):
            if form in COMMON:
                return COMMON[form]
    return None


def stem_name(name: str) -> str:
    """The common name of a stem, or else the name itself in lower case."""
    return common_name(name) or unicodedata.normalize("NFC", " ".join(name.split())).casefold()


def mixture_rank(name: str) -> int | None:
    """Rank of a mixture's name, best first; None for other names."""
    words = _words_of(name)
    for form in (words, words.removesuffix("es"), words.removesuffix("s")):
        if form in _MIXTURES:
            return _MIXTURES.index(form)
    return None


def is_complete(stems: Collection[str]) -> bool:
    """Whether a stem that a data set does not have is silent in it.

    Not if there is an accompaniment, nor with MUSDB18's stems, or some of them: their "other"
    includes guitars and pianos.
    """
    return "accompaniment" not in stems and not ("other" in stems and _FOUR.issuperset(stems))
