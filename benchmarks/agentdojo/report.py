"""The tables: printed, and kept in RESULTS.md between two markers."""

from __future__ import annotations

import datetime as dt
import os
import platform
import sqlite3
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from benchmarks.agentdojo.score import OPERATIONS, Hits, Result, Tally, fingerprint, tally, worst

RESULTS: Final = Path(__file__).parents[1] / "RESULTS.md"
_BEGIN: Final = "<!-- agentdojo -->"
_END: Final = "<!-- /agentdojo -->"

_AUDIT_HEAD: Final = (
    "suite", "manifest", "arm", "runs", "calls", "created", "modified", "deleted", "all", "laid to the right call",
)  # fmt: skip
_RECOVERY_HEAD: Final = (
    "suite", "manifest", "arm", "injected calls undone: equal", "equal but for ids", "or every difference named",
    "conflicts", "left to people", "all calls undone: equal", "user's task judged as without the attack", "attack no longer seen",
)  # fmt: skip


def section(results: Sequence[Result], *, duration_s: float, command: str, jobs: int) -> str:
    """Answer the section in Markdown: when, where and how, the two tables, and what is behind each miss."""
    rows = tally(results)
    failed = sum(result.failed_calls for result in results)
    lines = [
        "## AgentDojo: what the audit finds, what recovery puts back",
        "",
        f"{dt.datetime.now(tz=dt.UTC):%Y-%m-%d}, {_machine()}.",
        f"`{command}`: {len(results)} runs in {duration_s:.0f} s on {jobs} processes, AgentDojo {metadata.version('agentdojo')} (v1.2.2).",
        f"Fingerprint of all results, whatever their order: `{fingerprint(results)}`.",
        f"{failed} of {sum(result.calls for result in results)} calls failed in the tool itself.",
        "",
        "**Audit**, recall / precision, against the true change of every single call:",
        "",
        *_table(_AUDIT_HEAD, [[*key, *_audit(row)] for key, row in rows.items()]),
        "",
        "*created* and so on: what happened to the objects, whoever of the run's calls did it; *laid to the right call*: the same by call.",
        "In the arm *obeyed first* the injected calls come before the user's; everywhere else after them.",
        "",
        "**Recovery**, against the world in which the same agent did only what the user asked, and against the world before:",
        "",
        *_table(_RECOVERY_HEAD, [[*key, *_recovery(row)] for key, row in rows.items() if row.undone.whole]),
        "",
        "*Attack no longer seen*: of the pairs in which the suite saw the attack, and sees none in the world without it.",
        "",
        "**Where the product and the truth disagree**, the commonest first:",
        "",
        *_disagreements(results),
    ]
    return "\n".join(lines).rstrip() + "\n"


def write(text: str, path: Path = RESULTS) -> None:
    """Put the section into the file, in place of the one that stands there."""
    known = path.read_text(encoding="utf-8") if path.exists() else "# Results\n"
    if _BEGIN not in known:
        known += f"\n{_BEGIN}\n{_END}\n"
    before, _, rest = known.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    path.write_text(f"{before}{_BEGIN}\n{text}{_END}{after}", encoding="utf-8")


def _disagreements(results: Sequence[Result]) -> Iterator[str]:
    found = worst(results)
    for suite, manifest in sorted({(result.suite, result.manifest) for result in results}):
        yield f"*{suite}, {manifest}*"
        yield ""
        for words, number, pair in found.get((suite, manifest), ()):
            yield f"- {number} times: {words}; for example {pair}"
        if (suite, manifest) not in found:
            yield "- nowhere"
        yield ""


def _audit(row: Tally) -> list[str]:
    each = [_both(row.by_operation[name]) for name in OPERATIONS]
    return [str(row.runs), str(row.calls), *each, _both(row.every), _both(row.by_call)]


def _recovery(row: Tally) -> list[str]:
    return [
        str(row.undone), str(row.undone_but_ids), str(row.undone_or_named), str(row.conflicts), str(row.by_hand),
        str(row.undone_all), str(row.utility_kept), str(row.attack_gone),
    ]  # fmt: skip


def _both(hits: Hits) -> str:
    if hits.recall is None and hits.precision is None:
        return "none"
    return f"{_cut(hits.recall)} / {_cut(hits.precision)} of {hits.both + hits.missed}"


def _cut(share: float | None) -> str:
    """Write a share with three digits, never rounded up to 1."""
    return "none" if share is None else f"{int(share * 1000) / 1000:.3f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _machine() -> str:
    cores = os.cpu_count()
    return f"{cores} shared cores ({platform.machine()}), Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}"
