"""Contract: what the code calls a thing is a word of the glossary, and the glossary says it once."""

import re

from stopwork.ledger import records, words
from tests.repository.tree import ROOT

ENTRIES = re.findall(r"^\| \*\*(.+?)\*\* \|", (ROOT / "docs/glossary.md").read_text("utf-8"), re.MULTILINE)
IN_OTHER_WORDS = {
    "captured": "image",  # an object with its image
    "detected": "detector",
    "observed": "effect",  # an effect before it is recorded
    "point": "enforcement point",
    "reenable": "re-enable",
    "follow": "follow-up",
}


def test_records_and_enumerations_use_the_glossary() -> None:
    named = {name: _first_word(name) for module in (records, words) for name in _classes(module)}
    unknown = {name for name, word in named.items() if IN_OTHER_WORDS.get(word, word) not in ENTRIES}
    assert unknown == set()


def test_each_word_stands_once_in_order() -> None:
    assert sorted(set(ENTRIES), key=_without_hyphens) == ENTRIES


def _classes(module: object) -> list[str]:
    here = getattr(module, "__name__", "")
    return [
        name for name, thing in vars(module).items() if isinstance(thing, type) and thing.__module__ == here
    ]


def _first_word(name: str) -> str:
    return re.split(r"(?<=[a-z])(?=[A-Z])", name)[0].lower()


def _without_hyphens(word: str) -> str:
    return word.replace("-", "")
