"""Pause: the smallest scope that removes the risk first, wider ones after it, and what each would stop.

For each risk :data:`FIRST` names the kinds of hold that fit it, in order; the first of which the incident
knows a name is the proposal. :data:`WIDER` follows, so that a person who is not sure can always take more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Final

from msgspec import Struct

from stopwork.control.holds import answer, covers
from stopwork.detect.detector import Finding
from stopwork.detect.missed_run import TRIGGER, occasions
from stopwork.kernel.phrases import listed
from stopwork.ledger.records import Call, Record, Scope, Signal
from stopwork.ledger.words import EffectKind, HoldMode, IncidentType, PauseRisk, ScopeKind, Verdict
from stopwork.manifest.model import Manifest, Trust

LOOK_BACK: Final = timedelta(days=7)
MOST_RUNS_DUE: Final = 10_000


RISK: Final = {
    IncidentType.MISSED_WORKFLOW: PauseRisk.BAD_SCHEDULED_RUN,
    IncidentType.DUPLICATE_WORK: PauseRisk.DUPLICATE_WORK,
    IncidentType.STALE_OR_WRONG_INPUT: PauseRisk.PROMPT_INJECTION,
    IncidentType.TOOL_MISUSE: PauseRisk.TOOL_MISUSE,
    IncidentType.APPROVAL_BYPASS: PauseRisk.TOOL_MISUSE,
    IncidentType.BAD_WRITEBACK: PauseRisk.BAD_WRITEBACK,
    IncidentType.EXTERNAL_SEND: PauseRisk.EXTERNAL_SEND,
    IncidentType.SENSITIVE_DATA_EXPOSURE: PauseRisk.SENSITIVE_DATA_EXPOSURE,
    IncidentType.COST_RUNAWAY: PauseRisk.COST_RUNAWAY,
    IncidentType.PROMPT_INJECTION: PauseRisk.PROMPT_INJECTION,
    IncidentType.POLICY_DRIFT: PauseRisk.BAD_SCHEDULED_RUN,
}
"""The risk behind each type of incident; bad input is stopped like an injection, at its source."""

# Where nothing names the tool, these are stopped at what carries things outside.
_OUTWARD: Final = frozenset(
    {PauseRisk.EXTERNAL_SEND, PauseRisk.SENSITIVE_DATA_EXPOSURE, PauseRisk.PROMPT_INJECTION}
)

Hold = tuple[ScopeKind, HoldMode]

FIRST: Final[dict[PauseRisk, tuple[Hold, ...]]] = {
    PauseRisk.BAD_SCHEDULED_RUN: ((ScopeKind.TRIGGER, HoldMode.BLOCK),),
    PauseRisk.BAD_WRITEBACK: (
        (ScopeKind.TOOL, HoldMode.BLOCK),
        (ScopeKind.PERMISSION, HoldMode.BLOCK),
        (ScopeKind.WORKFLOW, HoldMode.DRAFT_ONLY),
    ),
    PauseRisk.EXTERNAL_SEND: (
        (ScopeKind.DESTINATION, HoldMode.BLOCK),
        (ScopeKind.TOOL, HoldMode.APPROVAL_REQUIRED),
        (ScopeKind.TOOL, HoldMode.BLOCK),
    ),
    PauseRisk.PROMPT_INJECTION: (
        (ScopeKind.SOURCE, HoldMode.BLOCK),
        (ScopeKind.TOOL, HoldMode.BLOCK),
    ),
    PauseRisk.SENSITIVE_DATA_EXPOSURE: (
        (ScopeKind.SOURCE, HoldMode.BLOCK),
        (ScopeKind.TOOL, HoldMode.BLOCK),
    ),
    PauseRisk.DUPLICATE_WORK: (
        (ScopeKind.TOOL, HoldMode.BLOCK),
        (ScopeKind.TRIGGER, HoldMode.BLOCK),
    ),
    PauseRisk.BROWSER_ERROR: (
        (ScopeKind.TOOL, HoldMode.BLOCK),
        (ScopeKind.PERMISSION, HoldMode.BLOCK),
    ),
    PauseRisk.TOOL_MISUSE: (
        (ScopeKind.TOOL, HoldMode.BLOCK),
        (ScopeKind.PERMISSION, HoldMode.BLOCK),
    ),
    PauseRisk.COST_RUNAWAY: (
        (ScopeKind.TRIGGER, HoldMode.BLOCK),
        (ScopeKind.WORKFLOW, HoldMode.BLOCK),
    ),
}
"""The kinds of hold that remove each risk, smallest first."""

#: Where one item of a source carries the risk, it alone is put in quarantine.
_OF_ITEMS: Final = frozenset({PauseRisk.PROMPT_INJECTION, PauseRisk.SENSITIVE_DATA_EXPOSURE})
#: So many items that were read are offered where nothing says which of them it was.
MOST_ITEMS: Final = 5

WIDER: Final[tuple[Hold, ...]] = (
    (ScopeKind.DESTINATION, HoldMode.BLOCK),
    (ScopeKind.TOOL, HoldMode.BLOCK),
    (ScopeKind.PERMISSION, HoldMode.BLOCK),
    (ScopeKind.TRIGGER, HoldMode.BLOCK),
    (ScopeKind.WORKFLOW, HoldMode.READ_ONLY),
    (ScopeKind.WORKFLOW, HoldMode.BLOCK),
    (ScopeKind.EVERYTHING, HoldMode.BLOCK),
)


class Proposal(Struct, frozen=True, kw_only=True):
    """One hold that could be set, in words; the first of a list is the smallest that removes the risk."""

    scope: Scope
    mode: HoldMode
    stops: str
    keeps_running: str


class Impact(Struct, frozen=True, kw_only=True):
    """What a hold would have done to the calls of the last days (:data:`LOOK_BACK`), and will do to the runs due in the next.

    ``calls_since`` is where the calls begin that were looked at, when there are too many for the time that a person in need has.
    """

    calls_stopped: int
    calls_kept: int
    runs_stopped: int
    calls_since: datetime | None = None


class Alike(Record):
    """Calls between which a hold sees no difference, and how many they are; ``args`` matter only to a hold on an item."""

    workflow: str
    trigger: str
    tool: str
    effect: EffectKind
    permission: str | None = None
    source: str | None = None
    source_class: str | None = None
    destinations: tuple[str, ...] | None = ()
    args: dict[str, Any] = {}
    calls: int = 1


def proposals(
    incident_type: IncidentType,
    facts: Mapping[str, Any],
    manifest: Manifest,
    *,
    risk: PauseRisk | None = None,
    read: Iterable[Call] = (),
) -> tuple[Proposal, ...]:
    """Answer the holds to choose from, the one to take first; ``facts`` are those of the incident's findings.

    ``facts`` may name ``tool``, ``permission``, ``source`` with its ``item``, ``destination`` and ``trigger``; what they leave open the
    manifest fills in where only one answer is possible. ``read`` are calls of the incident: where its risk lies in one item that they
    read, but nothing says in which, each may be put in quarantine.
    """
    risk = risk or RISK[incident_type]
    chosen: dict[tuple[Scope, HoldMode], Proposal] = {}
    named = [(facts["source"], facts["item"])] if facts.get("source") and facts.get("item") else []
    suspects = named or list(_outside_items(read, manifest))
    quarantine = [
        Scope(kind=ScopeKind.SOURCE, name=source, item=item, workflow=manifest.workflow)
        for source, item in (suspects if risk in _OF_ITEMS else ())
    ]
    # Only one that can be told from the others is the first to take.
    if len(quarantine) == 1:
        chosen[quarantine[0], HoldMode.BLOCK] = _proposal(quarantine[0], HoldMode.BLOCK, manifest)
    for kind, mode in FIRST[risk]:
        _choose(chosen, kind, mode, facts, manifest, risk)
    for scope in quarantine:
        chosen.setdefault((scope, HoldMode.BLOCK), _proposal(scope, HoldMode.BLOCK, manifest))
    for kind, mode in WIDER:
        _choose(chosen, kind, mode, facts, manifest, risk)
    return tuple(chosen.values())


def _choose(
    chosen: dict[tuple[Scope, HoldMode], Proposal],
    kind: ScopeKind,
    mode: HoldMode,
    facts: Mapping[str, Any],
    manifest: Manifest,
    risk: PauseRisk,
) -> None:
    names = list(_names(kind, facts, manifest))
    if kind is ScopeKind.TOOL and risk in _OUTWARD:
        names = names or _outward_tools(manifest)
    for name in names:
        scope = Scope(kind=kind, name=name, workflow=_within(kind, manifest))
        chosen.setdefault((scope, mode), _proposal(scope, mode, manifest))


def _outside_items(calls: Iterable[Call], manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Answer the items of sources from outside that reads have named, each once, at most :data:`MOST_ITEMS`."""
    outside = {name for name, source in manifest.sources.items() if source.trust is not Trust.INTERNAL}
    found: dict[tuple[str, str], None] = {}
    for call in calls:
        if call.effect is EffectKind.READ and call.source in outside:
            for value in call.args.values():
                if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
                    found.setdefault((call.source, str(value)))
    yield from list(found)[:MOST_ITEMS]


def facts_of(signals: Iterable[Signal]) -> dict[str, Any]:
    """Answer the facts of several signals as one; what an earlier signal names stands."""
    merged: dict[str, Any] = {}
    for signal in signals:
        merged = signal.facts | merged
    return merged


def scope_asked_for(finding: Finding, manifest: Manifest) -> Scope | None:
    """Answer the scope that a finding's alert rule holds by itself; ``None`` when it asks for no hold.

    Where the finding names nothing of that kind, the workflow is held: a rule that asks for a pause gets one.
    """
    if finding.hold is None:
        return None
    name = next(_names(finding.hold, finding.facts, manifest), None)
    if name is None:
        return Scope(kind=ScopeKind.WORKFLOW, name=manifest.workflow)
    return Scope(kind=finding.hold, name=name, workflow=_within(finding.hold, manifest))


def impact(
    scope: Scope,
    mode: HoldMode,
    alike: Iterable[Alike],
    *,
    runs_due: int = 0,
) -> Impact:
    """Answer how many of these calls a hold would have stopped, and how many of the due runs it stops."""
    stopped = kept = 0
    for each in alike:
        if covers(scope, each) and answer(mode, each.effect) is not Verdict.ALLOW:
            stopped += each.calls
        else:
            kept += each.calls
    whole = mode is HoldMode.BLOCK and (
        scope.kind in (ScopeKind.EVERYTHING, ScopeKind.WORKFLOW)
        or (scope.kind is ScopeKind.TRIGGER and scope.name == TRIGGER)
    )
    return Impact(
        calls_stopped=stopped,
        calls_kept=kept,
        runs_stopped=runs_due if whole else 0,
    )


def runs_due(manifest: Manifest, now: datetime, *, within: timedelta = LOOK_BACK) -> int:
    """Answer how many runs the schedule makes due in the time to come."""
    if manifest.schedule is None:
        return 0
    due = takewhile(lambda at: at <= now + within, occasions(manifest.schedule, after=now))
    return sum(1 for _at, _number in zip(due, range(MOST_RUNS_DUE), strict=False))


def _within(kind: ScopeKind, manifest: Manifest) -> str | None:
    return None if kind in (ScopeKind.EVERYTHING, ScopeKind.WORKFLOW) else manifest.workflow


def _names(kind: ScopeKind, facts: Mapping[str, Any], manifest: Manifest) -> Iterator[str]:
    """Answer the names a hold of this kind could have here, the likeliest first."""
    match kind:
        case ScopeKind.EVERYTHING:
            yield ""
        case ScopeKind.WORKFLOW:
            yield manifest.workflow
        case ScopeKind.TOOL:
            if facts.get("tool") in manifest.tools:
                yield facts["tool"]
        case ScopeKind.PERMISSION:
            tool = manifest.tools.get(facts.get("tool") or "")
            permission = facts.get("permission") or (tool.permission if tool else None)
            if permission:
                yield permission
        case ScopeKind.TRIGGER:
            trigger = facts.get("trigger") or (TRIGGER if manifest.schedule else None)
            if trigger:
                yield trigger
        case ScopeKind.SOURCE:
            if facts.get("source"):
                yield facts["source"]
            else:
                yield from (n for n, source in manifest.sources.items() if source.trust is not Trust.INTERNAL)
        case ScopeKind.DESTINATION:
            if facts.get("destination"):
                yield facts["destination"]


def _outward_tools(manifest: Manifest) -> list[str]:
    return [name for name, tool in manifest.tools.items() if tool.effect is EffectKind.SEND or tool.external]


def _proposal(scope: Scope, mode: HoldMode, manifest: Manifest) -> Proposal:
    touched = [name for name, tool in manifest.tools.items() if _touches(scope, name, tool.permission)]
    others = [name for name in manifest.tools if name not in touched]
    reads = [name for name, tool in manifest.tools.items() if not tool.writes]
    name = scope.name if scope.item is None else f"{scope.item} of {scope.name}"
    what = _WHAT[scope.kind].format(name=name, tools=listed(touched))
    return Proposal(
        scope=scope,
        mode=mode,
        stops=_STOPS[mode].format(what=what),
        keeps_running=_keeps(scope, mode, others, reads),
    )


def _touches(scope: Scope, tool: str, permission: str | None) -> bool:
    match scope.kind:
        case ScopeKind.TOOL:
            return scope.name == tool
        case ScopeKind.PERMISSION:
            return scope.name == permission
        case _:
            return False


def _keeps(scope: Scope, mode: HoldMode, others: list[str], reads: list[str]) -> str:
    match scope.kind, mode:
        case ScopeKind.EVERYTHING, HoldMode.BLOCK:
            return "nothing"
        case ScopeKind.WORKFLOW, HoldMode.BLOCK:
            return "all other workflows"
        case ScopeKind.WORKFLOW | ScopeKind.EVERYTHING, _:
            return f"reading: {listed(reads)}" if reads else "nothing that this workflow does"
        case ScopeKind.TRIGGER, _:
            return "runs started in any other way"
        case ScopeKind.SOURCE, _:
            return "everything that does not read it"
        case ScopeKind.DESTINATION, _:
            return "everything that goes elsewhere"
        case _:
            return f"{listed(others)}" if others else "nothing that this workflow does"


_WHAT: Final = {
    ScopeKind.EVERYTHING: "every call of every workflow",
    ScopeKind.WORKFLOW: "every call of {name}",
    ScopeKind.TRIGGER: "every run started by {name}, and its calls",
    ScopeKind.TOOL: "every call of {name}",
    ScopeKind.PERMISSION: "every call that uses {name}: {tools}",
    ScopeKind.SOURCE: "every call that reads {name}",
    ScopeKind.DESTINATION: "every call that goes to {name}",
}
_STOPS: Final = {
    HoldMode.BLOCK: "{what}",
    HoldMode.READ_ONLY: "{what} that changes something",
    HoldMode.DRAFT_ONLY: "{what} that changes something, which is drafted instead",
    HoldMode.APPROVAL_REQUIRED: "{what} until a person approves it",
}
