"""The one spelling in which texts are compared, and what a text says once its disguises are taken off.

A value may stand in a text in other letters than in a call: in look-alike characters of another alphabet, with invisible characters
or blanks between its letters, in base64, in hexadecimal, in percent or HTML notation, backwards. Each of these is undone here, a
bounded number of times. Nothing is understood: that is left to whoever compares.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple
from urllib.parse import unquote

#: So much of one text is looked at; what stands behind it is not.
MAX_TEXT_CHARS: Final = 32_768
#: So many disguised passages are taken out of one text, and so often one disguise out of another.
MAX_DISGUISED: Final = 16
MAX_DEPTH: Final = 2
#: A value as short as this is not looked for in other spellings: it would be found by chance.
MIN_SQUEEZED_CHARS: Final = 8
#: The parts of a value that was taken to pieces stand no further apart than this.
PIECES_WITHIN_CHARS: Final = 240
MIN_PIECE_CHARS: Final = 4


class Disguise(StrEnum):
    """How a text was hidden within another one."""

    NONE = ""
    BASE64 = "base64"
    HEX = "hexadecimal"
    PERCENT = "percent notation"
    HTML = "HTML notation"
    COMMENT = "a comment that is not shown"
    INVISIBLE = "invisible characters"
    SPACED = "letters set apart"
    REVERSED = "written backwards"
    ROTATED = "rotated letters"
    PIECES = "taken to pieces"


class Text(NamedTuple):
    """One text: as it can be shown, in the spelling that is compared, that in one line, and its letters and digits alone.

    All but the last are of one length, so that a place in one is the same place in the others.
    """

    shown: str
    plain: str
    flat: str
    squeezed: str
    disguise: Disguise = Disguise.NONE


class Place(NamedTuple):
    """Where a value stands in a text."""

    start: int
    end: int
    disguise: Disguise = Disguise.NONE


# By what they look like: letters of other alphabets, and the marks that stand for one of ASCII.
_LOOK_ALIKES: Final = {
    "A": "\u0410\u0391", "B": "\u0412\u0392", "C": "\u0421", "E": "\u0415\u0395", "H": "\u041d\u0397", "I": "\u0406\u0399\u0130",
    "J": "\u0408", "K": "\u041a\u039a", "M": "\u041c\u039c", "N": "\u039d", "O": "\u041e\u039f", "P": "\u0420\u03a1",
    "S": "\u0405", "T": "\u0422\u03a4", "X": "\u0425\u03a7", "Y": "\u0423\u03a5", "Z": "\u0396",
    "a": "\u0430\u03b1", "b": "\u044c", "c": "\u0441", "d": "\u0501", "e": "\u0435\u03b5", "h": "\u04bb", "i": "\u0456\u03b9\u0131",
    "j": "\u0458", "k": "\u043a\u03ba", "o": "\u043e\u03bf", "p": "\u0440\u03c1", "q": "\u051b", "s": "\u0455\u017f",
    "t": "\u0442\u03c4", "u": "\u03c5", "v": "\u03bd", "w": "\u051d", "x": "\u0445\u03c7", "y": "\u0443",
    "'": "\u2018\u2019\u201b", '"': "\u201c\u201d\u201e", "-": "\u2010\u2011\u2012\u2013\u2014\u2212", "/": "\u2044\u2215", ".": "\u2024",
}  # fmt: skip
_LOOK_ALIKE: Final = str.maketrans({other: char for char, others in _LOOK_ALIKES.items() for other in others})
# Characters that print nothing: zero width, direction marks, soft hyphen, variation selectors.
_INVISIBLE: Final = re.compile("[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffb]")  # fmt: skip
# Characters that print nothing and spell ASCII all the same.
_TAGS: Final = re.compile("[\U000e0020-\U000e007e]{4,}")
_BLANKS: Final = re.compile(r"[^\S\n]+")
_LINES: Final = re.compile(r" ?\n[ \n]*")
_BETWEEN: Final = re.compile(r"[\W_]+")
_COMMENT: Final = re.compile(r"<!--(.{4,4000}?)-->", re.DOTALL)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2}[ :,]?|\\x[0-9A-Fa-f]{2}){12,}")
_PERCENT: Final = re.compile(r"(?:%[0-9A-Fa-f]{2}){2}")
_ENTITY: Final = re.compile(r"&(?:#\d+|#x[0-9A-Fa-f]+|[a-z]+);")
_SPACED: Final = re.compile(r"(?:(?<!\w)\w[ .\-_*|/]{1,2}){6,}\w(?!\w)")
_SAID_AT: Final = re.compile(r"\s*[\[({<]\s*at\s*[\])}>]\s*|\s+at\s+(?=\S+\s*(?:[\[({<]\s*dot|\s+dot\s))")
_SAID_DOT: Final = re.compile(r"\s*[\[({<]\s*dot\s*[\])}>]\s*|\s+dot\s+(?=\w)")
_WORDS: Final = re.compile(r"[\w']+")
_READABLE: Final = 0.9


@lru_cache(maxsize=512)
def spelled(text: str) -> tuple[Text, ...]:
    """Answer the text in the spelling that is compared, and after it every text that is hidden in it."""
    text = text[:MAX_TEXT_CHARS]
    first = _text(text, Disguise.INVISIBLE if len(_INVISIBLE.findall(text)) > 2 else Disguise.NONE)
    return first, *(_text(hidden, how) for hidden, how in islice(_unhidden(text, 0), MAX_DISGUISED))


def find(value: str, text: Text, *, whole_word: bool = False, pieces: bool = False) -> Place | None:
    """Answer where the value stands in the text, in whatever spelling; ``None`` where it does not.

    With ``pieces`` it may also have been taken to pieces, which stand near each other.
    """
    wanted, squeezed, rotated = _needle(value)
    if not wanted:
        return None
    flat = text.flat
    start = flat.find(wanted)
    while start >= 0:
        end = start + len(wanted)
        if not whole_word or not (_is_word(flat, start - 1) or _is_word(flat, end)):
            return Place(start, end, text.disguise)
        start = flat.find(wanted, start + 1)
    if len(squeezed) < MIN_SQUEEZED_CHARS:
        return None
    for needle, how in (
        (squeezed, text.disguise or Disguise.SPACED),
        (squeezed[::-1], Disguise.REVERSED),
        (rotated, Disguise.ROTATED),
    ):
        # What is told by its digits alone reads the same in rotated letters.
        if needle in text.squeezed and (how is not Disguise.ROTATED or needle != squeezed):
            place = _unsqueezed(text.plain, text.squeezed.index(needle), len(needle), how)
            # A text whose lines are broken elsewhere is not disguised, nor is an account number in groups of four.
            broken = how is Disguise.SPACED and (" " in wanted or " " in text.plain[place.start : place.end])
            return place._replace(disguise=text.disguise) if broken else place
    return _in_pieces(wanted, flat) if pieces else None


def plain(text: str) -> str:
    """Answer the text in the spelling that is compared."""
    return _shown(text).lower()


def squeezed(text: str) -> str:
    """Answer the letters and digits of a text alone."""
    return _BETWEEN.sub("", plain(text))


@lru_cache(maxsize=1_024)
def _needle(value: str) -> tuple[str, str, str]:
    """Answer what is looked for in a text: the value in one line, its letters and digits alone, and these rotated."""
    wanted = plain(value).replace("\n", " ").strip()
    letters = _BETWEEN.sub("", wanted)
    return wanted, letters, codecs.encode(letters, "rot13")


def _text(text: str, disguise: Disguise) -> Text:
    shown = _shown(text)
    lowered = shown.lower()
    return Text(shown, lowered, lowered.replace("\n", " "), _BETWEEN.sub("", lowered), disguise)


def _shown(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text)).translate(_LOOK_ALIKE)
    if "at" in text and "dot" in text:
        text = _SAID_DOT.sub(".", _SAID_AT.sub("@", text))
    return _LINES.sub("\n", _BLANKS.sub(" ", text))


def _is_word(text: str, at: int) -> bool:
    return 0 <= at < len(text) and (text[at].isalnum() or text[at] == "_")


def _unsqueezed(text: str, start: int, length: int, how: Disguise) -> Place:
    """Answer the place in the text of so many letters and digits from there."""
    kept = [at for at, char in enumerate(text) if char.isalnum()]
    if start + length > len(kept):
        return Place(0, len(text), how)
    return Place(kept[start], kept[start + length - 1] + 1, how)


def _in_pieces(wanted: str, flat: str) -> Place | None:
    pieces = [piece for piece in _BETWEEN.split(wanted) if len(piece) >= MIN_PIECE_CHARS]
    if len(pieces) < 3:  # two ordinary words stand beside each other in many texts
        return None
    places = [flat.find(piece) for piece in pieces]
    if min(places) < 0 or max(places) - min(places) > PIECES_WITHIN_CHARS:
        return None
    return Place(min(places), max(places) + len(pieces[-1]), Disguise.PIECES)


def _unhidden(text: str, depth: int) -> Iterator[tuple[str, Disguise]]:
    """Yield what is hidden in the text, and what is hidden in that."""
    for hidden, how in _found(text):
        yield hidden, how
        if depth + 1 < MAX_DEPTH:
            yield from _unhidden(hidden, depth + 1)


def _found(text: str) -> Iterator[tuple[str, Disguise]]:
    if "<!--" in text:
        yield from ((each, Disguise.COMMENT) for each in _COMMENT.findall(text))
    if "%" in text and _PERCENT.search(text):
        yield unquote(text), Disguise.PERCENT
    if "&" in text and len(_ENTITY.findall(text)) > 2:  # one ampersand hides nothing
        yield html.unescape(text), Disguise.HTML
    if not text.isascii():
        for tags in _TAGS.findall(text):
            yield "".join(chr(ord(char) - 0xE0000) for char in tags), Disguise.INVISIBLE
    for match in _BASE64.finditer(text):
        if decoded := _from_base64(match[0]):
            yield decoded, Disguise.BASE64
    for match in _HEX.finditer(text):
        if decoded := _readable(bytes.fromhex(re.sub(r"[ :,]|\\x", "", match[0]))):
            yield decoded, Disguise.HEX
    for match in _SPACED.finditer(text):
        yield re.sub(r"(?<=\w)[ .\-_*|/](?=\w)", "", match[0]), Disguise.SPACED
    turned = text[::-1]
    if _reads_as_words(turned) and not _reads_as_words(text):
        yield turned, Disguise.REVERSED
    rotated = codecs.encode(text, "rot13")
    if _reads_as_words(rotated) and not _reads_as_words(text):
        yield rotated, Disguise.ROTATED


def _from_base64(found: str) -> str | None:
    letters = found.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _readable(base64.b64decode(letters + "=" * (-len(letters) % 4), validate=True))
    except (binascii.Error, ValueError):
        return None


def _readable(raw: bytes) -> str | None:
    """Answer the bytes as text, if they are one."""
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return None
    printable = sum(char.isprintable() or char in "\n\t\r" for char in text)
    return text if text and printable >= _READABLE * len(text) else None


_COMMON: Final = "the of to and in is for you your that it this with please on are be not"


def _reads_as_words(text: str) -> bool:
    """Answer whether the text holds some of the words that no English text is without."""
    return len(set(_COMMON.split()) & set(_WORDS.findall(text[:2_000].lower()))) > 2
