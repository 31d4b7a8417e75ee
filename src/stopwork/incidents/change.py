"""What differs between two runs of a workflow, most useful between the last good one and the first bad one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

from msgspec import Struct

from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.manifest.diff import Change, diff
from stopwork.manifest.model import Manifest


class Part(StrEnum):
    """What a difference is in: the run itself, what ran, or what it did."""

    RUN = "run"
    RUNTIME = "runtime"
    TOOLS = "tools"
    ARGUMENTS = "arguments"
    SOURCES = "sources"
    COST = "cost"


class ToldRun(Struct, frozen=True, kw_only=True):
    """A run with its steps and calls, and the manifest that it ran under."""

    run: r.Run
    steps: tuple[r.Step, ...]
    calls: tuple[r.Call, ...]
    manifest: Manifest


class RunDifference(Struct, frozen=True, kw_only=True):
    """One thing that differs; ``None`` where a run has nothing of that name."""

    part: Part
    name: str
    before: Any
    after: Any


class RunComparison(Struct, frozen=True, kw_only=True):
    """How the run ``after`` differs from the run ``before``, and what changed in the manifest between them."""

    workflow: str
    before: r.Run
    after: r.Run
    differences: tuple[RunDifference, ...]
    manifest: tuple[Change, ...]


def compare(before: ToldRun, after: ToldRun) -> RunComparison:
    """Answer every difference, in the order of :class:`Part`; what is alike is left out."""
    told_before, told_after = _told(before), _told(after)
    return RunComparison(
        workflow=after.run.workflow,
        before=before.run,
        after=after.run,
        differences=tuple(
            difference
            for part in Part
            for difference in _differing(part, told_before[part], told_after[part])
        ),
        manifest=diff(before.manifest, after.manifest),
    )


def first_bad(runs: Iterable[r.Run]) -> r.Run | None:
    """Answer the run of an incident that began first."""
    return min(runs, key=lambda run: (run.started_at, run.id), default=None)


def last_good(runs: Iterable[r.Run], bad: r.Run, doubted: Collection[str]) -> r.Run | None:
    """Answer the newest run before ``bad`` that succeeded and that no incident or signal names."""
    good = (
        run
        for run in runs
        if run.started_at < bad.started_at
        and run.status is w.RunStatus.SUCCEEDED
        and run.id != bad.id
        and run.id not in doubted
    )
    return max(good, key=lambda run: (run.started_at, run.id), default=None)


def _differing(part: Part, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[RunDifference]:
    for name in dict.fromkeys((*before, *after)):
        if before.get(name) != after.get(name):
            yield RunDifference(part=part, name=name, before=before.get(name), after=after.get(name))


def _told(told: ToldRun) -> dict[Part, dict[str, Any]]:
    run = told.run
    return {
        Part.RUN: {
            "version": run.version,
            "mode": run.mode.value,
            "trigger": run.trigger,
            "attempt": run.attempt,
            "status": run.status.value,
            "error": run.error,
        },
        Part.RUNTIME: run.runtime,
        Part.TOOLS: _tools(told.calls),
        Part.ARGUMENTS: _shapes(told.calls),
        Part.SOURCES: _sources(told.steps, told.calls),
        Part.COST: {"tokens": run.tokens, "cost_usd": run.cost_usd, "unpriced": run.unpriced},
    }


def _tools(calls: Sequence[r.Call]) -> dict[str, Any]:
    """Answer for each tool how its calls were answered and ended: ``{"allow, succeeded": 2}``."""
    found: dict[str, dict[str, int]] = {}
    for call in calls:
        ended = f"{call.verdict}, {call.outcome}" if call.outcome else call.verdict.value
        counts = found.setdefault(call.tool, {})
        counts[ended] = counts.get(ended, 0) + 1
    return found


_JSON_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "number"),
    (float, "number"),
    (str, "text"),
    (list, "list"),
    (dict, "object"),
)


def _shapes(calls: Sequence[r.Call]) -> dict[str, str]:
    """Answer for each argument of each tool what kinds of value it had: shapes, since values differ in any two runs."""
    found: dict[str, set[str]] = {}
    for call in calls:
        for name, value in call.args.items():
            found.setdefault(f"{call.tool}.{name}", set()).add(_shape(value))
    return {name: " or ".join(sorted(shapes)) for name, shapes in sorted(found.items())}


def _shape(value: Any) -> str:
    return next((name for kind, name in _JSON_TYPES if isinstance(value, kind)), "nothing")


def _sources(steps: Sequence[r.Step], calls: Sequence[r.Call]) -> dict[str, int]:
    """Answer how often each source was read from or named."""
    found: dict[str, int] = {}
    for source in (*(step.source for step in steps), *(call.source for call in calls)):
        if source is not None:
            found[source] = found.get(source, 0) + 1
    return found
