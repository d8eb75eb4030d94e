"""Mutation: inputs changed at random, the same for the same seed, where no atheris guides them."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Sequence

_NUMBER = re.compile(rb"[0-9]+")
_EDGES = (0, 1, 2, 127, 128, 255, 256, 32_767, 65_535, 1 << 20, 1 << 24, (1 << 31) - 1, 1 << 31)
_LARGE = ((1 << 32) - 1, 1 << 40, 1 << 53, (1 << 63) - 1, (1 << 64) - 1, 10**40)


def mutate(sources: Sequence[bytes], words: Sequence[bytes], chance: random.Random) -> bytes:
    """One of the sources with a few changes; its first byte mostly stays.

    Args:
        sources: sound inputs.
        words: pieces that inputs are made of.
        chance: decides everything.
    """
    data = bytearray(chance.choice(sources))
    for _ in range(chance.choice((1, 1, 2, 4))):
        chance.choice(_WAYS)(data, sources, words, chance)
    return bytes(data)


def _place(data: bytearray, chance: random.Random) -> int:
    """Somewhere in the input, near its beginning as often as not."""
    end = max(len(data), 2)
    return chance.randrange(1, min(end, 64) if chance.random() < 0.5 else end)


def _flip(data: bytearray, _: object, __: object, chance: random.Random) -> None:
    place = _place(data, chance)
    data[place : place + 1] = bytes([chance.randrange(256)])


def _cut(data: bytearray, _: object, __: object, chance: random.Random) -> None:
    place = _place(data, chance)
    del data[place : place + chance.choice((1, 2, 4, 16, 1 << 20))]


def _repeat(data: bytearray, _: object, __: object, chance: random.Random) -> None:
    place = _place(data, chance)
    data[place:place] = data[place : place + chance.randint(1, 40)] * chance.randint(1, 3)


def _word(data: bytearray, _: object, words: Sequence[bytes], chance: random.Random) -> None:
    place, word = _place(data, chance), chance.choice(words)
    data[place : place + chance.choice((0, len(word)))] = word


def _number(data: bytearray, _: object, __: object, chance: random.Random) -> None:
    """Another number where one is written."""
    found = list(_NUMBER.finditer(data, 1))
    if found:
        span = chance.choice(found).span()
        data[slice(*span)] = str(chance.choice(_EDGES + _LARGE)).encode()


def _binary(data: bytearray, _: object, __: object, chance: random.Random) -> None:
    """Another number where one may be stored."""
    place, kind = _place(data, chance), chance.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
    most = (1 << 8 * struct.calcsize(kind)) - 1
    stored = struct.pack(kind, min(chance.choice(_EDGES + _LARGE), most))
    data[place : place + len(stored)] = stored


def _splice(data: bytearray, sources: Sequence[bytes], _: object, chance: random.Random) -> None:
    """The end of another input."""
    other = chance.choice(sources)
    data[_place(data, chance) :] = other[chance.randrange(len(other)) :]


_WAYS = (_flip, _cut, _repeat, _word, _number, _binary, _splice)
