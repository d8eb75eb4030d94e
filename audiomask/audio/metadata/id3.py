"""ID3 tags of MP3, WAV and AIFF. Reads 1, 2.2, 2.3 and 2.4; writes 2.4.

Only 2.4 has date frames, several values of a tag, and UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterator

from audiomask.audio.metadata.model import Cursor, Picture, Tags

_FRAMES = {
    **{"TIT2": "TITLE", "TPE1": "ARTIST", "TALB": "ALBUM", "TPE2": "ALBUMARTIST", "TDRC": "DATE"},
    **{"TRCK": "TRACKNUMBER", "TPOS": "DISCNUMBER", "TCON": "GENRE", "TCOM": "COMPOSER"},
    **{"TCOP": "COPYRIGHT", "TSRC": "ISRC", "TBPM": "BPM", "TPUB": "ORGANIZATION"},
    **{"TLAN": "LANGUAGE", "TENC": "ENCODED_BY", "TSSE": "ENCODER", "TIT1": "GROUPING"},
    **{"TIT3": "SUBTITLE", "TPE3": "CONDUCTOR", "TPE4": "REMIXER", "TEXT": "LYRICIST"},
    **{"TKEY": "INITIALKEY", "TMED": "MEDIA", "TMOO": "MOOD", "TDOR": "ORIGINALDATE"},
    **{"TSOP": "ARTISTSORT", "TSOT": "TITLESORT", "TSOA": "ALBUMSORT", "TSO2": "ALBUMARTISTSORT"},
    **{"TLEN": "LENGTH", "TCMP": "COMPILATION"},
}
_NAMES = {name: frame for frame, name in _FRAMES.items()}
_OLD = {
    **{"TT2": "TIT2", "TP1": "TPE1", "TAL": "TALB", "TP2": "TPE2", "TYE": "TYER", "TRK": "TRCK"},
    **{"TPA": "TPOS", "TCO": "TCON", "TCM": "TCOM", "TCR": "TCOP", "TRC": "TSRC", "TBP": "TBPM"},
    **{"TPB": "TPUB", "TLA": "TLAN", "TEN": "TENC", "TSS": "TSSE", "TT1": "TIT1", "TT3": "TIT3"},
    **{"TP3": "TPE3", "TP4": "TPE4", "TXT": "TEXT", "TKE": "TKEY", "TLE": "TLEN", "TXX": "TXXX"},
    **{"COM": "COMM", "ULT": "USLT", "PIC": "APIC", "TDA": "TDAT", "TCP": "TCMP"},
}
# ID3v1's genres, by number
_GENRE_NAMES = (
    "Blues|Classic Rock|Country|Dance|Disco|Funk|Grunge|Hip-Hop|Jazz|Metal|New Age|Oldies|"
    "Other|Pop|R&B|Rap|Reggae|Rock|Techno|Industrial|Alternative|Ska|Death Metal|Pranks|"
    "Soundtrack|Euro-Techno|Ambient|Trip-Hop|Vocal|Jazz+Funk|Fusion|Trance|Classical|"
    "Instrumental|Acid|House|Game|Sound Clip|Gospel|Noise|AlternRock|Bass|Soul|Punk|Space|"
    "Meditative|Instrumental Pop|Instrumental Rock|Ethnic|Gothic|Darkwave|Techno-Industrial|"
    "Electronic|Pop-Folk|Eurodance|Dream|Southern Rock|Comedy|Cult|Gangsta|Top 40|"
    "Christian Rap|Pop/Funk|Jungle|Native American|Cabaret|New Wave|Psychadelic|Rave|Showtunes|"
    "Trailer|Lo-Fi|Tribal|Acid Punk|Acid Jazz|Polka|Retro|Musical|Rock & Roll|Hard Rock"
)
_GENRES = tuple(_GENRE_NAMES.split("|"))
_ENCODINGS = ("latin-1", "utf-16", "utf-16-be", "utf-8")
_UTF8 = b"\3"


def tag_size(head: bytes) -> int:
    """Size in bytes of the ID3v2 tag that begins with these ten; 0 when none does."""
    if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 127:
        return 0
    return 10 + _synchsafe(head[6:10]) + (10 if head[5] & 0x10 else 0)


def read_id3(data: bytes) -> tuple[Tags, tuple[Picture, ...]]:
    """Tags and pictures of an ID3v2 tag, without malformed, compressed or encrypted frames."""
    if not tag_size(data[:10]):
        return (), ()
    tags: list[tuple[str, str]] = []
    pictures: list[Picture] = []
    dates: dict[str, str] = {}
    for frame, content in _frames(data[3], data[5], data[10 : tag_size(data[:10])]):
        if not content:
            continue
        if frame == "APIC":
            picture = _read_picture(content, data[3] == 2)
            pictures += [picture] if picture is not None else []
            continue
        encoding, cursor = content[0], Cursor(content[1:])
        if frame in ("COMM", "USLT"):
            cursor.at = min(3, len(cursor.data))  # the language
            description, _, text = _cut(cursor.rest(), encoding)
            name = "COMMENT" if frame == "COMM" else "LYRICS"
            tags.append((description.upper() or name, _decode(text, encoding).rstrip("\0")))
        elif frame == "TXXX":
            description, _, text = _cut(cursor.rest(), encoding)
            tags += [(description.upper(), value) for value in _values(text, encoding)]
        elif frame in ("TYER", "TDAT"):
            dates[frame] = "".join(_values(cursor.rest(), encoding)[:1])
        elif frame in _FRAMES:
            values = _values(cursor.rest(), encoding)
            values = [genre(value) for value in values] if frame == "TCON" else values
            tags += [(_FRAMES[frame], value) for value in values]
    if dates.get("TYER") and not any(name == "DATE" for name, _ in tags):
        day = dates.get("TDAT", "")
        rest = f"-{day[2:]}-{day[:2]}" if len(day) == 4 and day.isdecimal() else ""
        tags.append(("DATE", dates["TYER"] + rest))
    return tuple(tag for tag in tags if all(tag)), tuple(pictures)


def write_id3(tags: Tags, pictures: tuple[Picture, ...]) -> bytes:
    """An ID3v2.4 tag; ``b""`` when there is nothing to store."""
    body = b""
    for name in dict.fromkeys(name for name, _ in tags):
        values = [value.replace("\0", " ") for key, value in tags if key == name]
        text = "\0".join(values).encode("utf-8", "replace")
        if name in _NAMES:
            body += _frame(_NAMES[name], _UTF8 + text)
        elif name in ("COMMENT", "LYRICS"):
            body += _frame("COMM" if name == "COMMENT" else "USLT", _UTF8 + b"XXX\0" + text)
        else:
            body += _frame("TXXX", _UTF8 + name.encode("utf-8", "replace") + b"\0" + text)
    for picture in pictures:
        mime = picture.mime.encode("latin-1", "replace") + b"\0" + bytes([picture.kind & 255])
        about = picture.description.replace("\0", " ").encode("utf-8", "replace") + b"\0"
        body += _frame("APIC", _UTF8 + mime + about + picture.data)
    if not body or len(body) >= 1 << 28:
        return b""
    return b"ID3\4\0\0" + _to_synchsafe(len(body)) + body


def read_id3v1(data: bytes) -> Tags:
    """Tags of the 128 bytes at the end of old MP3 files."""
    if len(data) != 128 or data[:3] != b"TAG":
        return ()
    fields = (("TITLE", 3, 33), ("ARTIST", 33, 63), ("ALBUM", 63, 93), ("DATE", 93, 97))
    tags = [(name, _latin(data[start:stop])) for name, start, stop in fields]
    numbered = data[125] == 0 and data[126] > 0
    tags.append(("COMMENT", _latin(data[97 : 125 if numbered else 127])))
    if numbered:
        tags.append(("TRACKNUMBER", str(data[126])))
    if data[127] < len(_GENRES):
        tags.append(("GENRE", _GENRES[data[127]]))
    return tuple(tag for tag in tags if tag[1])


def _frames(version: int, flags: int, body: bytes) -> Iterator[tuple[str, bytes]]:
    """Names (as of ID3v2.3 and later) and contents of all readable frames."""
    if flags & 0x80 and version < 4:
        body = body.replace(b"\xff\0", b"\xff")
    cursor = Cursor(body, "big")
    width = 3 if version == 2 else 4
    try:
        if flags & 0x40 and version == 3:
            cursor.take(cursor.number())
        elif flags & 0x40 and version == 4:
            cursor.take(max(_synchsafe(cursor.take(4)) - 4, 0))
        while len(body) - cursor.at > 2 * width:
            name = cursor.take(width)
            if not name.isalnum():
                return  # padding
            raw = cursor.take(width)
            plain = version < 4 or max(raw) > 127
            size = int.from_bytes(raw, "big") if plain else _synchsafe(raw)
            marks = cursor.take(2)[1] if version > 2 else 0
            content = cursor.take(size)
            if version == 3 and marks & 0x20:
                content = content[1:]  # a group's number
            if version == 4:
                content = content[bool(marks & 0x40) + 4 * bool(marks & 0x01) :]
                content = content.replace(b"\xff\0", b"\xff") if marks & 0x02 else content
            if marks & (0xC0 if version == 3 else 0x0C):
                continue  # compressed or encrypted
            known = name.decode("ascii")
            yield _OLD.get(known, known), content
    except ValueError:
        return


def _read_picture(content: bytes, old: bool) -> Picture | None:
    encoding, rest = content[0], content[1:]
    if old:
        mime, rest = "image/" + {b"JPG": "jpeg"}.get(rest[:3], rest[:3].decode("latin-1")), rest[3:]
    else:
        start, end, rest = rest.partition(b"\0")
        mime = start.decode("latin-1")
        if not end:
            return None
    if not rest:
        return None
    description, found, image = _cut(rest[1:], encoding)
    if not found or not image:
        return None
    return Picture(image, mime.lower(), rest[0], description)


def _cut(data: bytes, encoding: int) -> tuple[str, bool, bytes]:
    """Text up to its terminator, whether there is one, and the bytes after it."""
    wide = encoding in (1, 2)
    at = 0
    while True:
        at = data.find(b"\0\0" if wide else b"\0", at)
        if at < 0:
            return "", False, data
        if not wide or at % 2 == 0:
            return _decode(data[:at], encoding), True, data[at + (2 if wide else 1) :]
        at += 1


def _values(data: bytes, encoding: int) -> list[str]:
    return [value.lstrip("\ufeff") for value in _decode(data, encoding).split("\0") if value]


def _decode(data: bytes, encoding: int) -> str:
    name = _ENCODINGS[encoding] if encoding < len(_ENCODINGS) else "latin-1"
    return data.decode(name, "replace")


def genre(value: str) -> str:
    """A genre's name for ``17``, ``(17)`` and ``(17)Rock``."""
    number, _, rest = value.removeprefix("(").partition(")")
    if number.isdecimal() and len(number) < 4 and int(number) < len(_GENRES):
        return rest or _GENRES[int(number)]
    return value


def _frame(name: str, content: bytes) -> bytes:
    return name.encode() + _to_synchsafe(len(content)) + b"\0\0" + content


def _synchsafe(data: bytes) -> int:
    number = 0
    for byte in data:
        number = number << 7 | byte & 127
    return number


def _to_synchsafe(number: int) -> bytes:
    return bytes(number >> shift & 127 for shift in (21, 14, 7, 0))


def _latin(data: bytes) -> str:
    return data.split(b"\0")[0].decode("cp1252", "replace").strip()
