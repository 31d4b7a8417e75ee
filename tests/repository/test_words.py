"""Contract: no file names a package registry, a path of someone's machine or a secret, or leaves work undone.

The patterns below spell one letter as a class, so that this file does not match itself.
"""

import re

import pytest

from tests.repository.tree import text_files

EVERYWHERE = {
    "a package registry's host": r"python[h]osted|pypi\.org/[s]imple|registry\.n[p]mjs|deb\.debia[n]|file:///[o]pt",
    "a path of a machine": r"(?<![\w.])/(?:home|root|Users|work|farm)/\w",
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE [K]EY-----",
    "a token of a known kind": r"\b(?:AKI[A][0-9A-Z]{16}|gh[p]_[A-Za-z0-9]{36}|xox[b]-[0-9A-Za-z-]{20,})\b",
}
IN_CODE = {
    "work left undone": r"\b(?:T[O]DO|FI[X]ME|XX[X])\b|raise NotImplemented[E]rror|pragma: no [c]over",
    "a test that is skipped": r"pytest\.(?:mark\.)?(?:[s]kip|xfai[l])|unittest\.[s]kip",
    "a patch instead of a fake": r"mock\.[p]atch|Magic[M]ock|AsyncMoc[k]|monkeypatch\.seta[t]tr|from unittest import [m]ock",
}
CODE_FOLDERS = (
    "src/",
    "tests/",
    "benchmarks/",
    "scripts/",
    "examples/",
    "hatch_build.py",
    "Makefile",
    ".ci/",
)


@pytest.mark.parametrize("what", EVERYWHERE)
def test_no_file_contains(what: str) -> None:
    assert _places(EVERYWHERE[what], "") == []


@pytest.mark.parametrize("what", IN_CODE)
def test_no_code_contains(what: str) -> None:
    assert _places(IN_CODE[what], CODE_FOLDERS) == []


def _places(pattern: str, under: str | tuple[str, ...]) -> list[str]:
    return [
        f"{name}:{number}: {line.strip()[:120]}"
        for name, text in text_files().items()
        if name.startswith(under)
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(pattern, line)
    ]
