"""Open, pause, contain: the agent goes wrong, and is stopped at the smallest scope."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from stopwork.demo.agent import STOPPED_BY_GUARD, WORKFLOW
from stopwork.demo.company import eventually
from stopwork.demo.detection import detection_of
from stopwork.demo.phases.play import Play
from stopwork.demo.world import MANIFEST, AgentMode
from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.kernel.phrases import listed
from stopwork.ledger.words import (
    ContainmentArea,
    ContainmentState,
    HoldMode,
    IncidentStatus,
    IncidentType,
    PrincipalKind,
    ReasonKind,
    RunStatus,
    ScopeKind,
    SeverityFactor,
    Verdict,
)
from stopwork.operations.holds import PauseState
from stopwork.sdk import CallRefused

Json = dict[str, Any]

HELD_WITHIN_S: Final = 2.0
AGENT_WITHIN_S: Final = 60.0
INCIDENT_WITHIN_S: Final = 20.0
DRAINED_WITHIN_S: Final = 20.0
FLOODED: Final = "crm.create_task"


def open_(play: Play) -> None:
    """The agent repeats its writes; an incident opens by itself, with the hold that its manifest asks for."""
    company, check = play.company, play.promises.check
    company.introduce(MANIFEST)
    play.before = company.contents()
    play.tell("The agent starts its weekly run.")
    agent = company.start_agent(AgentMode.FLAWED, pace_s=0.05)

    def first_incident() -> Json | None:
        found: list[Json] = play.lee.get("/v1/incidents", workflow=WORKFLOW)
        return found[-1] if found else None

    incident = eventually(first_incident, within_s=INCIDENT_WITHIN_S, what="an incident")
    play.incident = incident["id"]
    play.tell(f"{play.incident} is open: {incident['title']}.")
    detection = detection_of(play.lee, play.incident)
    play.detected_after_s = detection.after_s
    check(
        f"the tool is held within {HELD_WITHIN_S:g} s of the first duplicate",
        detection.after_s < HELD_WITHIN_S,
        f"{detection.after_s:.3f} s",
    )
    board = play.lee.page("/")
    shown = {"incident": play.incident in board, "hold": detection.hold["scope"]["name"] in board}
    check(
        "the console's board shows the incident, and what is held",
        all(shown.values()),
        "both"
        if all(shown.values())
        else f"no {listed([what for what, there in shown.items() if not there])}",
    )
    exit_code = eventually(lambda: agent.exit_code, within_s=AGENT_WITHIN_S, what="the end of the run")
    check("the agent's next write is refused, and it ends", exit_code == STOPPED_BY_GUARD, exit_code)

    eventually(lambda: _signal(play, "failed_run"), within_s=INCIDENT_WITHIN_S, what="the signal of the run")
    opened = play.lee.get("/v1/incidents", workflow=WORKFLOW)
    check("all signals of one cause share one incident", len(opened) == 1, [each["id"] for each in opened])
    incident = play.lee.get(play.at())
    check(
        "it was opened by the detectors, as what it is",
        (incident["opened_by"]["kind"], incident["type"])
        == (PrincipalKind.SYSTEM, IncidentType.DUPLICATE_WORK),
        f"{incident['type']}, opened by {incident['opened_by']['id']}",
    )
    factors = [factor["factor"] for factor in incident["factors"]]
    check(
        "its severity comes with nine factors, each with a reason",
        factors == list(SeverityFactor) and all(factor["why"] for factor in incident["factors"]),
        incident["severity"],
    )


def _signal(play: Play, detector: str) -> Json | None:
    signals = play.lee.get("/v1/signals", incident=play.incident)
    return next((signal for signal in signals if signal["detector"] == detector), None)


def pause(play: Play) -> None:
    """The hold covers one tool and nothing else; what it has achieved is told truthfully, and proven by trying."""
    check, hold = play.promises.check, detection_of(play.lee, play.incident).hold
    scope = hold["scope"]
    check(
        "one tool of one workflow is held, and nothing else",
        scope == {"kind": ScopeKind.TOOL, "name": FLOODED, "workflow": WORKFLOW, "item": None},
        f"{scope['kind']} {scope['name']}",
    )
    drained = eventually(
        lambda: _drained(play, hold["id"]),
        within_s=DRAINED_WITHIN_S,
        what="a pause without anything in flight",
    )
    play.tell("Nothing that the hold covers is in flight, and no guard is left that has not confirmed it.")
    check(
        "three sets say what has stopped: closed, in flight, not confirmed",
        drained["closed"] == scope and _in_flight(play) == [] and _behind(play, hold["epoch"]) == [],
        drained["state"],
    )

    tasks = len(play.company.contents())
    with play.company.agents_tools("does the pause hold") as (tools, _run):
        accounts = tools.list_accounts()
        check("reading goes on, for the hold is small", len(accounts) > 0, f"{len(accounts)} accounts read")
        reason = _refusal(
            lambda: tools.create_task(account_id="A-101", title="probe", due="2999-01-01", priority="normal")
        )
    check(
        "a write that the hold covers is denied, and the answer names the hold",
        reason.get("source") == hold["id"],
        reason.get("text", "it was allowed"),
    )
    check("the CRM did not change", len(play.company.contents()) == tasks, f"{tasks} objects")
    permitted = _permitted_after(_journal(play), hold["id"])
    check(
        "no permit for it was committed after the hold", permitted == [], permitted or "none in the journal"
    )
    play.promises.refused(
        "the agent cannot lift its own hold",
        Denied,
        lambda: play.agent.post(f"/v1/holds/{hold['id']}/lift", reason="I am fine again"),
    )
    play.promises.refused(
        "nobody lifts it past the incident's return",
        Conflict,
        lambda: play.kim.post(f"/v1/holds/{hold['id']}/lift", reason="it was only a hiccup"),
    )


def _drained(play: Play, hold: str) -> Json | None:
    found: Json = play.lee.get(f"/v1/holds/{hold}")
    return found if found["state"] == PauseState.DRAINED else None


def _in_flight(play: Play) -> list[str]:
    calls = play.lee.get("/v1/calls", workflow=WORKFLOW, tool=FLOODED, in_flight=True)
    return [call["id"] for call in calls]


def _behind(play: Play, epoch: int) -> list[str]:
    """Answer the live guards that have not confirmed the hold."""
    return [point["point"] for point in play.lee.get("/v1/points") if point["epoch"] < epoch]


def _journal(play: Play) -> list[Json]:
    lines: list[Json] = []
    while page := play.lee.get(
        "/v1/journal", workflow=WORKFLOW, limit=1000, after=lines[-1]["seq"] if lines else 0
    ):
        lines += page
    return lines


def _permitted_after(journal: list[Json], hold: str) -> list[int]:
    """Answer the permits of the flooded tool that stand behind the hold in the journal."""
    (held_at,) = (
        line["seq"] for line in journal if line["kind"] == "hold.set" and line["event"]["hold"] == hold
    )
    return [
        line["seq"]
        for line in journal
        if line["kind"] == "call.decided"
        and line["seq"] > held_at
        and (line["event"]["tool"], line["event"]["verdict"]) == (FLOODED, Verdict.ALLOW)
    ]


def _refusal(attempt: Callable[[], Any]) -> dict[str, str]:
    """Answer the hold's reason for which a call was refused; nothing when it ran."""
    try:
        attempt()
    except CallRefused as refused:
        found = (reason for reason in refused.reasons if reason.kind is ReasonKind.HOLD)
        return next(({"text": reason.text, "source": reason.source} for reason in found), {})
    return {}


def contain(play: Play) -> None:
    """The checklist is made from what the incident touched; lee ends each item and says how it was verified."""
    check, hold = play.promises.check, detection_of(play.lee, play.incident).hold["id"]
    items: list[Json] = play.lee.post(play.at("/containment"))
    check(
        "what a hold already makes safe is done, and says by which hold",
        any(item["automatic"] and hold in item["verified_how"] for item in items),
        f"{len(items)} items",
    )
    ended = (ContainmentState.DONE, ContainmentState.NOT_APPLICABLE)
    open_items = [item for item in items if item["state"] not in ended]
    # What still can write comes first; the rest is only true once that is held.
    open_items.sort(key=lambda item: item["area"] != ContainmentArea.WRITE_TOOLS)
    if open_items:
        play.promises.refused(
            "no item ends without a word on how one knows",
            Invalid,
            lambda: play.lee.post(
                f"/v1/containment/{open_items[0]['id']}", state=ContainmentState.DONE, verified_how=" "
            ),
        )
    for item in open_items:
        state, how = _MADE_SAFE[item["area"]](play, item)
        play.tell(f"{item['what']}: {state.value.replace('_', ' ')}. {how}")
        play.lee.post(f"/v1/containment/{item['id']}", state=state, verified_how=how)
    found = play.lee.get(play.at("/containment"))
    check(
        "every item ended well, with how it was verified",
        all(each["state"] in ended and each["verified_how"].strip() for each in found),
        ", ".join(f"{each['area']} {each['state']}" for each in found),
    )
    incident = play.lee.get(play.at())
    check(
        "only then the incident counts as contained",
        incident["status"] == IncidentStatus.CONTAINED,
        incident["status"],
    )


Ending = tuple[ContainmentState, str]


def _hold_the_tool(play: Play, item: Json) -> Ending:
    """Hold the tool that the item names, and see that it is held."""
    tool = next(call["tool"] for call in _writes(play) if call["tool"] in item["what"])
    held = play.lee.post(
        "/v1/holds",
        scope={"kind": ScopeKind.TOOL, "name": tool, "workflow": WORKFLOW},
        mode=HoldMode.BLOCK,
        reason="its records are wrong; it may not write before they are audited",
        incident=play.incident,
    )
    hold = held["hold"]["id"]
    eventually(lambda: _drained(play, hold), within_s=DRAINED_WITHIN_S, what=f"the pause of {tool}")
    return (
        ContainmentState.DONE,
        f"Held by {hold}: no call of {tool} is in flight, and every guard has confirmed.",
    )


def _writes(play: Play) -> list[Json]:
    found: list[Json] = play.lee.get("/v1/calls", workflow=WORKFLOW, verdict=Verdict.ALLOW, limit=500)
    return found


def _nothing_runs(play: Play, _item: Json) -> Ending:
    running = play.lee.get("/v1/runs", workflow=WORKFLOW, status=RunStatus.RUNNING)
    if running:
        return ContainmentState.FAILED, f"{len(running)} runs go on."
    return (
        ContainmentState.DONE,
        "The agent's process has ended, nothing starts it again, and no run is going on.",
    )


def _no_grant(play: Play, item: Json) -> Ending:
    holds = play.lee.get("/v1/holds", incident=play.incident, active=True)
    tools = [hold["scope"]["name"] for hold in holds if hold["scope"]["name"] in item["why"]]
    if not tools:
        return ContainmentState.FAILED, "Nothing that uses it is held."
    how = (
        f"The CRM has keys and no grants that could be reduced; what used this one is held: {listed(tools)}."
    )
    return ContainmentState.NOT_APPLICABLE, how


_MADE_SAFE: Final[dict[str, Callable[[Play, Json], Ending]]] = {
    ContainmentArea.WRITE_TOOLS: _hold_the_tool,
    ContainmentArea.QUEUES: _nothing_runs,
    ContainmentArea.OAUTH_GRANTS: _no_grant,
}
"""How lee makes each area safe in which this incident has something to do."""
