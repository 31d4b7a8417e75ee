"""Contract: a module fits in a head, and its name is a word of the field; a migration does the same for ever."""

import re
from pathlib import PurePosixPath

from tests.repository.tree import modules

MAX_LINES = 500
SAYS_NOTHING = {
    "utils",
    "util",
    "common",
    "helpers",
    "helper",
    "services",
    "service",
    "managers",
    "manager",
    "misc",
}


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    too_long = {name: lines for name, text in modules("").items() if (lines := text.count("\n")) > MAX_LINES}
    assert too_long == {}


def test_no_module_is_named_after_nothing() -> None:
    assert [
        name for name in modules("") if SAYS_NOTHING & {part.removesuffix(".py") for part in _parts(name)}
    ] == []


def test_a_migration_does_not_change_with_what_the_records_become() -> None:
    imported = {
        name: re.findall(r"^(?:from|import) (stopwork\S*)", text, re.MULTILINE)
        for name, text in modules("src/stopwork/storage/migrations/versions/").items()
    }
    assert imported
    assert {each for names in imported.values() for each in names} <= {"stopwork.kernel.errors"}


def _parts(name: str) -> tuple[str, ...]:
    return PurePosixPath(name).parts
