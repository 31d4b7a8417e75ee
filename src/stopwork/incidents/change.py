"""What differs between two runs of a workflow, most useful between the last good one and the first bad one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from stopwork.kernel.phrases import count_of
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.manifest.diff import Change, diff
from stopwork.manifest.model import Manifest

#: Two lengths of time are told apart when one is half as long again as the other, and by a second at least.
LENGTHS_ALIKE: Final = 1.5
LENGTHS_ALIKE_S: Final = 1.0
_TOOK: Final = "took, in seconds"


class Part(StrEnum):
    """What a difference is in: the run itself, what ran, or what it did."""

    RUN = "run"
    RUNTIME = "runtime"
    TOOLS = "tools"
    ARGUMENTS = "arguments"
    SOURCES = "sources"
    EFFECTS = "effects"
    COST = "cost"


class ToldRun(Struct, frozen=True, kw_only=True):
    """A run with its steps, calls and effects, and the manifest that it ran under."""

    run: r.Run
    steps: tuple[r.Step, ...]
    calls: tuple[r.Call, ...]
    manifest: Manifest
    effects: tuple[r.Effect, ...] = ()


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
        if not _alike(name, before.get(name), after.get(name)):
            yield RunDifference(part=part, name=name, before=before.get(name), after=after.get(name))


def _alike(name: str, before: Any, after: Any) -> bool:
    """Whether nothing is to be told: equal, or lengths of time that are never the same twice and close to each other."""
    if name != _TOOK or before is None or after is None:
        return bool(before == after)
    shorter, longer = sorted((before, after))
    return bool(longer - shorter < LENGTHS_ALIKE_S or longer < shorter * LENGTHS_ALIKE)


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
            **{f"{name} digest": digest for name, digest in run.digests.items()},
        },
        Part.RUNTIME: dict(_flat(run.runtime)),
        Part.TOOLS: _tools(told.calls),
        Part.ARGUMENTS: _shapes(told.calls),
        Part.SOURCES: _sources(told.steps, told.calls),
        Part.EFFECTS: _effects(told.effects),
        Part.COST: {
            "tokens": run.tokens,
            "cost_usd": run.cost_usd,
            "unpriced": run.unpriced,
            "calls": run.calls,
            "writes": run.writes,
            _TOOK: (run.finished_at - run.started_at).total_seconds() if run.finished_at else None,
        },
    }


def _flat(runtime: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Answer what ran by name; of a mapping (``tools``, ``connectors``) each name by itself."""
    for name, value in runtime.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", each) for inner, each in value.items())
        else:
            yield name, value


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


def _sources(steps: Sequence[r.Step], calls: Sequence[r.Call]) -> dict[str, Any]:
    """Answer how often each source was read from or named, and how old the oldest of it was by then."""
    found: dict[str, Any] = {}
    for source in (*(step.source for step in steps), *(call.source for call in calls)):
        if source is not None:
            found[source] = found.get(source, 0) + 1
    ages: dict[str, timedelta] = {}
    for step in steps:
        if step.source is not None and step.as_of is not None:
            ages[step.source] = max(step.at - step.as_of, ages.get(step.source, timedelta()))
    return found | {f"{source}, how old": _roughly(age) for source, age in ages.items()}


def _roughly(age: timedelta) -> str:
    """Answer an age in its largest unit: finer than that it differs in any two runs."""
    for unit, length in (("day", timedelta(days=1)), ("hour", timedelta(hours=1))):
        if age >= length:
            return count_of(age // length, unit)
    return "less than an hour"


def _effects(effects: Sequence[r.Effect]) -> dict[str, int]:
    """Answer how many objects of each type came, changed and went."""
    found: dict[str, int] = {}
    for effect in effects:
        name = f"{effect.object.system}/{effect.object.type} {effect.operation}"
        found[name] = found.get(name, 0) + 1
    return dict(sorted(found.items()))
