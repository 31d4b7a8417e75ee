"""Whether a passage is in one of the seven languages in which orders are known.

The commonest words of a language make up a good part of whatever is said in it. A passage without them says something that cannot be told here.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from stopwork.control.steering.spelling import Place, Text

_COMMONEST_WORDS: Final = (
    # English
    "the and for you that with this from have are not was but all can your will one has would there their what about out who "
    "which when make like time just him know take into year some could them than then now only its over also after use how our "
    "well even new want because any these give most please his her she they been more were had did does off each other here let "
    # German
    "der die das und den von mit sich des auf für ist dem nicht ein eine als auch nach wie aus bei einer einem einen hat dass sie "
    "wird sind noch oder über zum zur kann haben werden mich mir dir dich ihr ihre ihren ihnen euch uns wir bitte alle dann diese "
    "diesen dieser dieses ich nur mein meine meinen dein deine deinen "
    # French
    "les des une est pour que qui dans par sur avec pas plus vous nous mon mes vos votre notre son ses leur leurs cette ces tout "
    "tous toutes être fait ils elle elles mais comme aux sans merci ainsi puis "
    # Spanish
    "los las una por con para como pero sus más este esta está todo todos todas son muy sin sobre también hasta hay donde quien "
    "desde cuando entre ese esa esto mis tus nos favor "
    # Italian
    "che del della dei delle degli gli per con una non sono più come alla dal dalla nel nella anche tutto tutti tutte questo questa "
    "questi suo sua suoi mio mia miei tuo tua tuoi "
    # Portuguese
    "dos das uma não mais foi pelo pela aos seu sua seus suas meu minha meus minhas você isso isto quando muito também já está "
    "todos todas "
    # Dutch
    "het een van voor met zijn aan niet ook maar door wordt naar deze dit dat heeft hebben kunnen mijn jouw uw onze alle alstublieft"
)
_COMMONEST: Final = frozenset(_COMMONEST_WORDS.split())
#: The commonest words make up less than this of a passage in another language, and more of one in their own.
_SHARE: Final = 0.15
#: Fewer letters, or words, tell no language.
_MIN_LETTERS: Final = 12
_MIN_WORDS: Final = 3
_MIN_WORD_LETTERS: Final = 3
_MOST_CHARS: Final = 240
_WORDS: Final = re.compile(r"[^\W\d_]+")
_QUOTED: Final = re.compile(r"'[^'\n]{1,200}'(?!\w)|\"[^\"\n]{1,200}\"|\S*[@/\\]\S*|[^\s.,;]{25,}")
_ENDS: Final = (". ", "! ", "? ", "\n")


def is_readable(text: Text, place: Place) -> bool:
    """Answer whether what is said around the place, in the same sentence, is in a language known here; names and numbers are in any."""
    shown = text.shown
    start = max((at + len(end) for end in _ENDS if (at := shown.rfind(end, 0, place.start)) >= 0), default=0)
    stop = min((at for end in _ENDS if (at := shown.find(end, place.end)) >= 0), default=len(shown))
    before = shown[max(start, place.start - _MOST_CHARS) : place.start]
    return _is_readable(f"{before} {shown[place.end : min(stop, place.end + _MOST_CHARS)]}")


@lru_cache(maxsize=512)
def _is_readable(sentence: str) -> bool:
    # What is quoted may be in any language, names begin with capitals where there are any, and what is as long as no word is encoded.
    words = [
        word
        for word in _WORDS.findall(_QUOTED.sub(" ", sentence))
        if len(word) >= _MIN_WORD_LETTERS and not word[0].isupper()
    ]
    if len(words) < _MIN_WORDS or sum(map(len, words)) < _MIN_LETTERS:
        return True
    return sum(word in _COMMONEST for word in words) >= _SHARE * len(words)
