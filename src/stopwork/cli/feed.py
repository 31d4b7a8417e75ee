"""Feeds: what a system of record tells of the changes in it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from stopwork.cli.invocation import Invocation, answers
from stopwork.kernel.errors import Conflict, Invalid
from stopwork.kernel.phrases import count_of

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper

BATCH = 200
MAX_LINE_BYTES = 1024 * 1024
MAX_NAMED = 10


def _show_fed(paper: Paper, found: Any) -> None:
    paper.line(f"{count_of(found['taken'], 'change')} taken, {found['known']} known already.")


@click.command()
@click.argument("system")
@click.argument("file", type=click.File("rb"))
@answers(_show_fed)
def feed(cli: Invocation, system: str, file: BinaryIO) -> Any:
    """Tell what changed in SYSTEM: FILE holds one change a line, as JSON; - reads them as they come.

    The same file again is taken once. A line is {"id": …, "at": …, "by": …, "object": {"type": …, "id": …}, "operation": …,
    "fields": {name: [before, after]}}.
    """
    taken, known = 0, 0
    differing: list[str] = []
    lines = _lines(file)
    while batch := list(islice(lines, BATCH)):
        found = cli.server.post("/v1/feeds/{system}/changes", {"changes": batch}, system=system)
        taken, known = taken + found["taken"], known + found["known"]
        differing += found["differing"]
    if differing:
        raise Conflict(
            f"{count_of(len(differing), 'change')} known already with another content: "
            + ", ".join(differing[:MAX_NAMED]),
            hint="A change never changes: give each an id of its own. All others are taken.",
            found=differing[:MAX_NAMED],
        )
    return {"taken": taken, "known": known}


def _lines(file: BinaryIO) -> Iterator[Any]:
    import msgspec

    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise Invalid(
                f"line {number} is longer than {MAX_LINE_BYTES} bytes", hint="Write one change a line."
            )
        if not line.strip():
            continue
        try:
            yield msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Invalid(
                f"line {number} is not JSON: {error}", hint="Write one change a line, as JSON in UTF-8."
            ) from error
