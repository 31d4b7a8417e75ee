"""Contain: what must be made safe besides the pause, from what the incident touched, each with its reason.

An area in which nothing was touched is not proposed; a list that asks for everything is not read at three in
the morning. An item is done only when somebody, or a record, says how it was verified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Final, NamedTuple

from stopwork.control.holds import answer, covers
from stopwork.incidents.case import Case
from stopwork.kernel.errors import Invalid
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger.records import Call, ContainmentItem, Hold
from stopwork.ledger.words import (
    ApprovalState,
    ContainmentArea,
    ContainmentState,
    EffectKind,
    IncidentType,
    RunStatus,
    Verdict,
)
from stopwork.manifest.model import Trust

MOST_ITEMS_PER_AREA: Final = 20
ENDED: Final = frozenset({ContainmentState.DONE, ContainmentState.NOT_APPLICABLE})

# In these the agent, or someone through it, may hold a credential for too much.
_CREDENTIAL_RISK: Final = frozenset(
    {
        IncidentType.TOOL_MISUSE,
        IncidentType.APPROVAL_BYPASS,
        IncidentType.PROMPT_INJECTION,
        IncidentType.SENSITIVE_DATA_EXPOSURE,
    }
)
# In these what the agent read is itself suspect.
_INPUT_RISK: Final = frozenset(
    {
        IncidentType.STALE_OR_WRONG_INPUT,
        IncidentType.PROMPT_INJECTION,
        IncidentType.SENSITIVE_DATA_EXPOSURE,
    }
)
_BY_PEOPLE: Final = frozenset({"schedule", "manual"})


class _Draft(NamedTuple):
    what: str
    why: str
    verified_how: str = ""


_LOOK: Final = _Draft(
    what="Look whether anything of this incident is still going on",
    why="the records show nothing else that could",
)


def propose(case: Case) -> tuple[ContainmentItem, ...]:
    """Answer the checklist of an incident. What an active hold makes safe is done, and says by which."""
    items = []
    for area, drafts in _AREAS.items():
        numbered = enumerate(islice(drafts(case), MOST_ITEMS_PER_AREA), start=1)
        items += [_item(case, area, number, draft) for number, draft in numbered]
    if all(item.state is ContainmentState.DONE for item in items):
        # Records alone never end this phase: a person has to have looked.
        last = sum(item.area is ContainmentArea.QUEUES for item in items) + 1
        items.append(_item(case, ContainmentArea.QUEUES, last, _LOOK))
    return tuple(items)


def check_ending(item: ContainmentItem, state: ContainmentState, verified_how: str) -> None:
    """Raise ``Invalid`` unless the item may be recorded so: every ending says how one knows."""
    if state is ContainmentState.PROPOSED:
        raise Invalid(
            f"{item.id} does not go back to proposed",
            hint="Record it as done, not_applicable or failed.",
            field="state",
        )
    if not verified_how.strip():
        raise Invalid(
            f"say how {item.id} was verified",
            hint="One sentence: what was looked at, and what was seen.",
            field="verified_how",
        )


def complete(items: tuple[ContainmentItem, ...]) -> bool:
    """Answer whether every item has come to a good end; a list without items is not complete."""
    return bool(items) and all(item.state in ENDED for item in items)


def _item(case: Case, area: ContainmentArea, number: int, draft: _Draft) -> ContainmentItem:
    done = bool(draft.verified_how)
    return ContainmentItem(
        id=f"{case.incident.id}/{area}/{number}",
        incident=case.incident.id,
        area=area,
        what=draft.what,
        why=draft.why,
        state=ContainmentState.DONE if done else ContainmentState.PROPOSED,
        automatic=done,
        verified_how=draft.verified_how,
    )


def _calls_by_tool(case: Case) -> dict[str, list[Call]]:
    grouped: dict[str, list[Call]] = {}
    for call in case.writes:
        grouped.setdefault(call.tool, []).append(call)
    return grouped


def _hold_on(case: Case, call: Call) -> Hold | None:
    """Answer the active hold under which this call would not run again."""
    return next(
        (
            hold
            for hold in case.holds
            if hold.active
            and covers(hold.scope, call)
            and answer(hold.mode, call.effect) is not Verdict.ALLOW
        ),
        None,
    )


def _write_tools(case: Case) -> Iterator[_Draft]:
    for tool, calls in _calls_by_tool(case).items():
        hold = _hold_on(case, calls[-1])
        in_flight = [call for call in calls if call.in_flight]
        why = f"{count_of(len(calls), 'call')} of it wrote or may have written"
        held = hold is not None and not in_flight
        yield _Draft(
            what=f"Keep {tool} from writing until its records are audited",
            why=why,
            verified_how=f"Hold {hold.id} on {hold.scope} refuses it; no call is in flight."
            if hold and held
            else "",
        )


def _oauth_grants(case: Case) -> Iterator[_Draft]:
    used: dict[str, list[str]] = {}
    for call in case.writes:
        if call.permission and call.tool not in used.setdefault(call.permission, []):
            used[call.permission].append(call.tool)
    for permission, tools in used.items():
        yield _Draft(
            what=f"Reduce the grant {permission} to what the workflow needs",
            why=f"{listed(tools)} wrote with it",
        )


def _secrets(case: Case) -> Iterator[_Draft]:
    if case.incident.type in _CREDENTIAL_RISK:
        systems = case.incident.affected_systems or case.current.systems
        for system in systems:
            yield _Draft(
                what=f"Revoke or rotate the credential for {system}",
                why="it was in reach of calls that should not have run",
            )


def _browser_sessions(case: Case) -> Iterator[_Draft]:
    tools = dict.fromkeys(call.tool for call in case.permitted if "browser" in call.tool.lower())
    for tool in tools:
        yield _Draft(what=f"End the browser sessions that {tool} opened", why="a session outlives the run")


def _queues(case: Case) -> Iterator[_Draft]:
    running = [run.id for run in case.runs if run.status is RunStatus.RUNNING]
    if running:
        yield _Draft(
            what=f"End or let finish {listed(running)}", why=f"{count_of(len(running), 'run')} going on"
        )
    flying = [call.id for call in case.calls if call.in_flight]
    if flying:
        yield _Draft(
            what="Wait for, or look up, the calls in flight",
            why=f"{count_of(len(flying), 'call')} without an outcome: {listed(flying)}",
        )
    waiting = [a.id for a in case.approvals if a.state in (ApprovalState.PENDING, ApprovalState.APPROVED)]
    if waiting:
        yield _Draft(
            what="Reject the approvals that are still open",
            why=f"{count_of(len(waiting), 'approval')} could still let a call run: {listed(waiting)}",
        )
    repeats = case.incident.type in (IncidentType.DUPLICATE_WORK, IncidentType.MISSED_WORKFLOW)
    if repeats:
        yield _Draft(
            what="Freeze retries and backfills of the workflow",
            why="another attempt would do the same work again before it is known what was done",
        )


def _webhooks(case: Case) -> Iterator[_Draft]:
    for trigger in dict.fromkeys(run.trigger for run in case.runs if run.trigger not in _BY_PEOPLE):
        yield _Draft(what=f"Disable the inbound trigger {trigger}", why="it started a run of this incident")


def _retrieval(case: Case) -> Iterator[_Draft]:
    read = dict.fromkeys(
        source for source in (*(s.source for s in case.steps), *(c.source for c in case.calls)) if source
    )
    for name in read:
        declared = case.current.sources.get(name)
        if declared is None:
            yield _Draft(
                what=f"Block the source {name}", why="the runs read it and the manifest does not name it"
            )
        elif case.incident.type in _INPUT_RISK or declared.trust is Trust.EXTERNAL:
            trust = "outside text" if declared.trust is Trust.EXTERNAL else "input"
            yield _Draft(
                what=f"Block the source {name} until it is checked", why=f"the runs worked from its {trust}"
            )


def _notifications(case: Case) -> Iterator[_Draft]:
    sends = [call for call in case.permitted if call.effect is EffectKind.SEND]
    for tool in dict.fromkeys(call.tool for call in sends):
        number = sum(1 for call in sends if call.tool == tool)
        yield _Draft(
            what=f"Stop what {tool} still has to deliver, until it is reviewed",
            why=f"{count_of(number, 'message')} sent in the runs of this incident",
        )


def _downstream(case: Case) -> Iterator[_Draft]:
    used = {call.tool for call in case.writes}
    for automation in case.current.downstream:
        tools = [tool for tool in automation.tools if tool in used]
        if tools:
            owner = f"; {automation.owner} can stop it" if automation.owner else ""
            yield _Draft(
                what=f"Disable {automation.name}",
                why=f"it reacts to {listed(tools)}, and would carry the damage on{owner}",
            )


_AREAS: Final[dict[ContainmentArea, Callable[[Case], Iterator[_Draft]]]] = {
    ContainmentArea.WRITE_TOOLS: _write_tools,
    ContainmentArea.QUEUES: _queues,
    ContainmentArea.NOTIFICATIONS: _notifications,
    ContainmentArea.DOWNSTREAM_AUTOMATIONS: _downstream,
    ContainmentArea.RETRIEVAL: _retrieval,
    ContainmentArea.WEBHOOKS: _webhooks,
    ContainmentArea.OAUTH_GRANTS: _oauth_grants,
    ContainmentArea.SECRETS: _secrets,
    ContainmentArea.BROWSER_SESSIONS: _browser_sessions,
}
"""The nine areas, in the order in which harm spreads."""
