"""Stopping: ``pause`` sets a hold on the smallest scope, ``holds`` shows what stands and lifts it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from stopwork.cli.exits import Exit
from stopwork.cli.group import Group
from stopwork.cli.invocation import MAX_LIMIT, Answer, Invocation, answers, paged, reason_option, yes_option
from stopwork.cli.printing import in_short
from stopwork.kernel.phrases import count_of, lasting, listed
from stopwork.ledger.words import HoldMode, IncidentStatus, PauseRisk, ScopeKind

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper

POLL_S: Final = 0.25
WAIT_S: Final = 60
#: What can be named together with a workflow, each with its option.
_WITHIN_WORKFLOW: Final = (
    ScopeKind.TOOL,
    ScopeKind.TRIGGER,
    ScopeKind.PERMISSION,
    ScopeKind.SOURCE,
    ScopeKind.DESTINATION,
)


def _show_pause(paper: Paper, found: Any) -> None:
    hold = found["hold"]
    paper.facts(
        {
            "hold": hold["id"],
            "state": _state(found),
            "scope": scope_name(hold["scope"]),
            "mode": hold["mode"],
            "reason": hold["reason"],
            "set by": hold["set_by"]["id"],
            "set": paper.when(hold["set_at"]),
            "incident": hold["incident"],
            "lifted": f"{paper.when(hold['lifted_at'])} by {hold['lifted_by']['id']}"
            if hold["lifted_by"]
            else None,
            "lifted because": hold["lift_reason"],
            "reminded": _reminder(paper, hold["nag"]) if hold["nag"] else None,
        }
    )
    if found["in_flight"]:
        paper.heading("Still in flight: permitted before the hold, and may still be running until they end")
        paper.table(
            ("call", "tool", "run", "arguments", "permitted", "attempted"),
            [
                (
                    c["id"],
                    c["tool"],
                    c["run"],
                    in_short(c["args"], most=60),
                    paper.when(c["permitted_at"]),
                    paper.when(c["attempted_at"]) if c["attempted_at"] else "",
                )
                for c in found["in_flight"]
            ],
            empty="",
        )
    if found["unconfirmed"]:
        paper.heading("Not confirmed yet: these guards have not said that they know of it")
        paper.table(
            ("enforcement point", "workflow", "name", "state", "silent for", "may read for", "next try"),
            [
                (
                    p["point"],
                    p["workflow"],
                    p["name"],
                    p["state"],
                    lasting(p["silent_s"]),
                    lasting(p["lease_left_s"]) if p["lease_left_s"] else "asks first",
                    f"in {lasting(p['next_try_s'])}" if p["next_try_s"] else "due",
                )
                for p in found["unconfirmed"]
            ],
            empty="",
        )


@click.command()
@click.option("--workflow", metavar="NAME", help="One workflow; with another scope, that scope within it.")
@click.option("--tool", metavar="NAME", help="One tool.")
@click.option("--trigger", metavar="NAME", help="What one trigger starts.")
@click.option("--permission", metavar="NAME", help="Every tool that uses one permission.")
@click.option(
    "--source",
    metavar="NAME",
    help="What came from one source; class:external is every source of that trust.",
)
@click.option("--item", metavar="ID", help="Only this item of --source: it is put in quarantine.")
@click.option("--destination", metavar="NAME", help="What goes to one destination.")
@click.option("--everything", is_flag=True, help="Every workflow.")
@click.option(
    "--mode",
    type=click.Choice([each.value for each in HoldMode]),
    help="What may still happen; nothing, when it is left out beside a scope.",
)
@reason_option("Why; asked for when it is left out.")
@click.option("--incident", metavar="ID", help="The incident that this belongs to.")
@click.option(
    "--risk",
    type=click.Choice([each.value for each in PauseRisk]),
    help="What must not happen again: proposes the scope, for --workflow or for the incident.",
)
@yes_option
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, 3600),
    is_flag=False,
    flag_value=str(WAIT_S),
    metavar="[SECONDS]",
    help=f"Wait until no guard can start anything and nothing is in flight, at most so long; {WAIT_S} when it is not said.",
)
@answers(_show_pause)
def pause(
    cli: Invocation,
    *,
    mode: str | None,
    reason: str | None,
    incident: str | None,
    risk: str | None,
    yes: bool,
    wait_s: float | None,
    **named: Any,
) -> Any:
    """Stop the smallest part that is unsafe.

    Without a scope it proposes one for the incident, or for the only open one, or for a --risk, tells what it would have stopped, and
    asks.

    When this returns, no new call in the scope starts. Calls that were permitted before may still be running: the
    answer names them, and the guards that have not confirmed. A hold never ends by itself.
    """
    if risk or not any(named.values()):
        scope, mode, incident = _proposed(cli, named, incident=incident, risk=risk, mode=mode, yes=yes)
    else:
        scope, mode = _scope(**named), mode or HoldMode.BLOCK
    body = {
        "scope": scope,
        "mode": mode,
        "reason": cli.ask(reason, "Why is it paused?", option="--reason"),
        "incident": incident,
    }
    found = cli.server.post("/v1/holds", body)
    return found if wait_s is None else _drained(cli, found, wait_s)


@click.group(cls=Group, default="list")
def holds() -> None:
    """What is paused."""


def _show_holds(paper: Paper, found: Any) -> None:
    paper.table(
        ("hold", "scope", "mode", "set", "by", "reason", "incident", "state", "reminded"),
        [
            (
                hold["id"],
                scope_name(hold["scope"]),
                hold["mode"],
                paper.when(hold["set_at"]),
                hold["set_by"]["id"],
                in_short(hold["reason"]),
                hold["incident"],
                "active" if hold["active"] else "lifted",
                _reminder(paper, hold["nag"]) if hold["nag"] else None,
            )
            for hold in found
        ],
        empty="Nothing is held.",
    )


@holds.command("list")
@click.option("--all", "every", is_flag=True, help="Also those that were lifted.")
@click.option("--incident", metavar="ID", help="Only holds of this incident.")
@paged
@answers(_show_holds)
def list_holds(cli: Invocation, *, every: bool, **filters: Any) -> Any:
    """List the holds that stand, newest first."""
    return cli.page("/v1/holds", active=None if every else True, **filters)


@holds.command("show")
@click.argument("hold")
@answers(_show_pause)
def show_hold(cli: Invocation, hold: str) -> Any:
    """Show what a hold has achieved: what is closed, in flight, and not confirmed."""
    return cli.server.get("/v1/holds/{hold}", hold=hold)


def _show_lifted(paper: Paper, found: Any) -> None:
    paper.line(
        f"{found['id']} is lifted: {scope_name(found['scope'])} may run again, as far as nothing else holds it "
        "(stopwork holds list)."
    )


@holds.command("lift")
@click.argument("hold")
@reason_option("Why it is safe; asked for when it is left out.")
@answers(_show_lifted)
def lift_hold(cli: Invocation, hold: str, reason: str | None) -> Any:
    """Lift a hold that belongs to no open incident, as another person than who set it.

    A hold of an open incident ends with the incident's re-enable.
    """
    body = {"reason": cli.ask(reason, "Why is it safe?", option="--reason")}
    return cli.server.post("/v1/holds/{hold}/lift", body, hold=hold)


def scope_name(scope: Any) -> str:
    """Answer a scope in words: ``tool crm.create_task of weekly-renewal-risk``."""
    if scope["kind"] == ScopeKind.EVERYTHING:
        return "everything"
    within = scope.get("workflow") and scope["kind"] != ScopeKind.WORKFLOW
    item = f"item {scope['item']} of " if scope.get("item") else ""
    return f"{item}{scope['kind']} {scope['name']}" + (f" of {scope['workflow']}" if within else "")


def _scope(
    *, workflow: str | None, everything: bool, item: str | None, **names: str | None
) -> dict[str, Any]:
    if item and not names[ScopeKind.SOURCE.value]:
        raise click.UsageError("--item names an item of a --source")
    named = [(kind, name) for kind in _WITHIN_WORKFLOW if (name := names[kind.value])]
    if len(named) + everything > 1 or (everything and workflow):
        raise click.UsageError("name one scope; --workflow may stand beside one of the others")
    if everything:
        return {"kind": ScopeKind.EVERYTHING}
    if named:
        (kind, name), *_ = named
        return {"kind": kind, "name": name, "workflow": workflow} | ({"item": item} if item else {})
    return {"kind": ScopeKind.WORKFLOW, "name": workflow}


def _proposed(
    cli: Invocation,
    named: Mapping[str, Any],
    *,
    incident: str | None,
    risk: str | None,
    mode: str | None,
    yes: bool,
) -> tuple[Any, str, str | None]:
    """Answer the smallest hold that is not set yet, once the person agrees: its scope, its mode, and the incident it is for."""
    if [name for name, given in named.items() if given and name != "workflow"]:
        raise click.UsageError("--risk proposes the scope; only --workflow may stand beside it")
    workflow = named["workflow"]
    if incident is None and workflow is None:
        incident = _only_open_incident(cli)
    if incident is not None:
        workflow = cli.server.get("/v1/incidents/{incident}", incident=incident)["workflow"]
    offers = cli.server.get(
        "/v1/workflows/{workflow}/pause-proposals", workflow=workflow, incident=incident, risk=risk
    )
    if not cli.as_json:
        cli.show(_show_offers, offers)
    chosen = next(
        (each for each in offers if not each["held"] and mode in (None, each["proposal"]["mode"])), None
    )
    if chosen is None:
        raise click.UsageError("everything that fits is held already; name a scope to pause more")
    proposal = chosen["proposal"]
    named_so = f"{scope_name(proposal['scope'])}, mode {proposal['mode']}"
    cli.confirm(
        f"Pause {named_so}? It stops {proposal['stops']}; in 7 days it {_effect(chosen['impact'])}.", yes=yes
    )
    return proposal["scope"], proposal["mode"], incident


def _only_open_incident(cli: Invocation) -> str:
    latest = cli.server.get("/v1/incidents", limit=MAX_LIMIT)
    opened = [each["id"] for each in latest if not IncidentStatus(each["status"]).ended]
    if len(opened) == 1:
        return str(opened[0])
    options = listed([*(f"--{kind}" for kind in _WITHIN_WORKFLOW), "--workflow", "--everything"], most=9)
    found = f"{count_of(len(opened), 'incident')} are open"
    raise click.UsageError(
        f"{found}; give --incident, or --risk with --workflow, or say what to pause, the smallest part that is unsafe: {options}"
    )


def _show_offers(paper: Paper, found: Any) -> None:
    paper.heading("What can be paused, smallest first")
    paper.table(
        ("scope", "mode", "last and next 7 days", "keeps running", "held by"),
        [
            (
                scope_name(each["proposal"]["scope"]),
                each["proposal"]["mode"],
                _effect(each["impact"]),
                each["proposal"]["keeps_running"],
                each["held"]["id"] if each["held"] else None,
            )
            for each in found
        ],
        empty="",
    )


def _effect(impact: Any) -> str:
    """Answer what a hold would have done, and will do."""
    stopped, kept = impact["calls_stopped"], impact["calls_kept"]
    runs = count_of(impact["runs_stopped"], "scheduled run")
    newest = "the newest " if impact["calls_since"] else ""
    return f"would have stopped {stopped} of {newest}{count_of(stopped + kept, 'call')} in 7 days, will stop {runs}"


def _reminder(paper: Paper, nag: Any) -> str:
    cost = f"{count_of(nag['calls_stopped'], 'call')} stopped, {count_of(nag['runs_due'], 'scheduled run')} fell due"
    return f"{paper.when(nag['at'])} to {nag['owner'] or 'everybody'}: {cost}"


def _state(found: Any) -> str:
    """Answer what may be said truthfully: *paused* only when nothing of the scope can still run."""
    if not found["hold"]["active"]:
        return "lifted"
    left = []
    told = sum(point["state"] == "requested" for point in found["unconfirmed"])
    if told:
        left.append(count_of(told, "enforcement point") + " not confirmed")
    if silent := len(found["unconfirmed"]) - told:
        left.append(count_of(silent, "enforcement point") + " out of reach, which can start nothing")
    if found["in_flight"]:
        left.append(count_of(len(found["in_flight"]), "call") + " in flight, which may still be running")
    word = "paused" if found["state"] == "drained" else found["state"]
    return f"{word} ({listed(left)})" if left else word


def _drained(cli: Invocation, found: Any, wait_s: float) -> Any:
    """Answer the hold's state once nothing is left to wait for, or with ``REFUSED`` when the time is over."""
    until, said = time.monotonic() + wait_s, ""
    while found["state"] != "drained":
        if time.monotonic() >= until:
            cli.say(f"after {lasting(wait_s)}: {_state(found)}; the hold stands")
            return Answer(value=found, exit=Exit.REFUSED)
        if not cli.as_json and (state := _state(found)) != said:
            cli.say(state)
            said = state
        time.sleep(POLL_S)
        found = cli.server.get("/v1/holds/{hold}", hold=found["hold"]["id"])
    return found
