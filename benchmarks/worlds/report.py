"""What the reports of all worlds have in common: the table of the audit, and what is behind each miss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks.worlds.score import OPERATIONS, Result, Tally, worst

AUDIT_HEAD: Final = (
    "suite", "manifest", "arm", "runs", "calls", "created", "modified", "deleted", "all", "laid to the right call",
)  # fmt: skip


def audited(row: Tally) -> list[str]:
    """Answer the columns of one row, after suite, manifest and arm."""
    each = [str(row.by_operation[name]) for name in OPERATIONS]
    return [str(row.runs), str(row.calls), *each, str(row.every), str(row.by_call)]


def disagreements(results: Sequence[Result]) -> Iterator[str]:
    """Yield what is behind each miss, the commonest first, for each suite and manifest."""
    found = worst(results)
    for suite, manifest in sorted({(result.suite, result.manifest) for result in results}):
        yield f"*{suite}, {manifest}*"
        yield ""
        for words, number, pair in found.get((suite, manifest), ()):
            yield f"- {number} times: {words}; for example {pair}"
        if (suite, manifest) not in found:
            yield "- nowhere"
        yield ""
