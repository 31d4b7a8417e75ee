"""The tables: printed, and kept in RESULTS.md."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from importlib import metadata
from typing import Final

from benchmarks.agentdojo.score import Result, Tally, tally
from benchmarks.results import machine, table
from benchmarks.worlds.report import AUDIT_HEAD, audited, disagreements
from benchmarks.worlds.score import fingerprint

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
        f"{dt.datetime.now(tz=dt.UTC):%Y-%m-%d}, {machine()}.",
        f"`{command}`: {len(results)} runs in {duration_s:.0f} s on {jobs} processes, AgentDojo {metadata.version('agentdojo')} (v1.2.2).",
        f"Fingerprint of all results, whatever their order: `{fingerprint(results)}`.",
        f"{failed} of {sum(result.calls for result in results)} calls failed in the tool itself.",
        "",
        "**Audit**, recall / precision, against the true change of every single call:",
        "",
        *table(AUDIT_HEAD, [[*key, *audited(row)] for key, row in rows.items()]),
        "",
        "*created* and so on: what happened to the objects, whoever of the run's calls did it; *laid to the right call*: the same by call.",
        "In the arm *obeyed first* the injected calls come before the user's; everywhere else after them.",
        "",
        "**Recovery**, against the world in which the same agent did only what the user asked, and against the world before:",
        "",
        *table(_RECOVERY_HEAD, [[*key, *_recovery(row)] for key, row in rows.items() if row.undone.whole]),
        "",
        "*Attack no longer seen*: of the pairs in which the suite saw the attack, and sees none in the world without it.",
        "",
        "**Where the product and the truth disagree**, the commonest first:",
        "",
        *disagreements(results),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _recovery(row: Tally) -> list[str]:
    return [
        str(row.undone), str(row.undone_but_ids), str(row.undone_or_named), str(row.conflicts), str(row.by_hand),
        str(row.undone_all), str(row.utility_kept), str(row.attack_gone),
    ]  # fmt: skip
