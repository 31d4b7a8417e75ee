"""Loading a manifest: from the bytes of a file to a checked record, or to the list of everything wrong with it.

Three steps, each of which reports all it finds before the next begins: the file is read (:mod:`.reader`), its shape and
its expressions are checked against the schema (:mod:`.shape`), and then whether its parts fit together
(:mod:`.sense`).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from stopwork.kernel.canonical import digest
from stopwork.manifest.duration import Duration
from stopwork.manifest.model import Manifest
from stopwork.manifest.problems import InvalidManifest, Problem
from stopwork.manifest.reader import read
from stopwork.manifest.sense import contradictions, doubts
from stopwork.manifest.shape import misshapen

DEFAULT_FILENAME = "stopwork.yaml"


class Loaded(Struct, frozen=True, kw_only=True):
    """A manifest that can be used, what its author should know about it, and the bytes it came from."""

    manifest: Manifest
    warnings: tuple[Problem, ...]
    source: bytes
    digest: str


def load(source: str | bytes, *, filename: str = DEFAULT_FILENAME) -> Loaded:
    """Answer the manifest that ``source`` holds, in YAML or JSON; raise ``InvalidManifest`` with every problem found."""
    original = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    document = read(original, file=filename)
    _stop_at(document.problems)
    _stop_at(misshapen(document))
    # The shape was checked against the schema of these very records, so this cannot fail.
    manifest = msgspec.convert(document.value, Manifest, dec_hook=_from_text)
    _stop_at(contradictions(manifest, document))
    return Loaded(
        manifest=manifest,
        warnings=tuple(_in_order(doubts(manifest, document))),
        source=original,
        digest=digest(original),
    )


@lru_cache(maxsize=256)
def manifest_in(source: str) -> Manifest:
    """Answer the manifest in a text that was checked when it was applied. To read and check one takes 50 ms, so each is read once."""
    return load(source).manifest


def _stop_at(problems: Iterable[Problem]) -> None:
    if found := _in_order(problems):
        raise InvalidManifest(found)


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Answer the problems from top to bottom, one for each field and message."""
    unique = {(problem.field, problem.line, problem.message): problem for problem in problems}
    return sorted(unique.values(), key=lambda problem: (problem.line, problem.column, problem.field))


def _from_text(kind: type, value: Any) -> Any:
    if kind is not Duration:
        raise TypeError(f"{kind} is not read from a manifest")
    return Duration.parse(value)
