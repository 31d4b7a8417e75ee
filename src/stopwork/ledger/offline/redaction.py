"""What was withheld from a bundle before it was passed on.

Anyone who has a bundle can withhold entries and files of it, without a key: of an entry its leaf stays, of a file its digest in the signed
manifest, so all that is left is proven as before. ``redaction.json`` names what is withheld and nothing else, in one spelling, so that it can
say neither more nor less than what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from stopwork.ledger.offline.bag import JOURNAL, PROOFS
from stopwork.ledger.offline.broken import Broken

REDACTION = "redaction.json"


class Redaction(NamedTuple):
    """The names of the files and the indexes of the entries that are withheld."""

    files: frozenset[str]
    entries: frozenset[int]

    @property
    def spelled(self) -> bytes:
        content = {"entries": sorted(self.entries), "files": sorted(self.files)}
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode() + b"\n"


NOTHING_WITHHELD = Redaction(frozenset(), frozenset())


def parse_redaction(data: bytes) -> Redaction:
    """Answer what is withheld; ``Broken`` for any other spelling, and when it is nothing, or what must not be."""
    try:
        content = json.loads(data)
        found = Redaction(_all(content["files"], str), _all(content["entries"], int))
    except (ValueError, LookupError, TypeError, RecursionError):
        raise Broken(f"{REDACTION} does not say what is withheld", REDACTION) from None
    if found == NOTHING_WITHHELD or found.spelled != data:
        raise Broken(f"{REDACTION} is not in its one spelling", REDACTION)
    for name in found.files:
        if not name.startswith("data/") or name in (JOURNAL, PROOFS):
            raise Broken(f"{name:.100} cannot be withheld", REDACTION)
    return found


def stands_for(leaf: bytes) -> bytes:
    """Answer the line that stands where an entry is withheld."""
    return b'{"withheld":"' + leaf.hex().encode() + b'"}'


def _all(items: Iterable[object], kind: type) -> frozenset[Any]:
    found = list(items)
    if any(type(item) is not kind for item in found):
        raise TypeError
    return frozenset(found)
