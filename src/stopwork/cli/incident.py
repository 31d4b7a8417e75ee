"""Incidents: opened in one step, led through ten phases, closed when the workflow is back."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.contain import contain
from stopwork.cli.group import Group
from stopwork.cli.invocation import Invocation, answers, paged, reason_option, yes_option
from stopwork.cli.printing import in_short, object_name
from stopwork.cli.timeline import COMMANDS as ANSWERING
from stopwork.cli.timeline import acknowledged, moment
from stopwork.cli.triage import COMMANDS as SORTING
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger.words import DetectedBy, IncidentStatus, IncidentType, Severity

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper

_INCIDENT = click.argument("incident_id", metavar="INCIDENT")
_ROLES = ("commander", "communication_owner", "postmortem_owner")


@click.group(cls=Group, default="list")
def incident() -> None:
    """Incidents: one record each, ten phases."""


incident.add_command(contain)
for command in (*SORTING, *ANSWERING):
    incident.add_command(command)


def _show_incident(paper: Paper, found: Any) -> None:
    paper.facts(
        {
            "incident": found["id"],
            "title": found["title"],
            "severity": found["severity"],
            "status": found["status"],
            "practice": "yes: it counts nowhere" if found["practice"] else None,
            "private": f"seen by {listed(found['readers'], most=9)} and by administrators"
            if found["private"]
            else None,
            "went on in": found["merged_into"],
            "merged into it": ", ".join(found["merged"]),
            "split off from": found["split_from"],
            "split off": ", ".join(found["split"]),
            "opened by the rule": found["rule"],
            "type": found["type"],
            "workflow": f"{found['workflow']}, version {found['version']}",
            "detected": f"{paper.when(found['detected_at'])} by {found['detected_by']}",
            "opened": f"{paper.when(found['opened_at'])} by {found['opened_by']['id']}",
            "next update": paper.when(found["next_update_at"]) if found["next_update_at"] else None,
            "commander": found["commander"],
            "business owner": found["business_owner"],
            "technical owner": found["technical_owner"],
            "backup owner": found["backup_owner"],
            "communication": found["communication_owner"],
            "postmortem": found["postmortem_owner"],
            "systems": ", ".join(found["affected_systems"]),
            "data classes": ", ".join(found["data_classes"]),
            "affected parties": ", ".join(found["affected_parties"]),
            "runs": ", ".join(found["runs"]),
            "tags": ", ".join(found["tags"]),
            "root cause": found["root_cause"],
        }
    )


@incident.command("open")
@click.argument("workflow", required=False)
@click.option("--signal", metavar="ID", help="It is about this signal, and its workflow.")
@click.option(
    "--type", "kind", type=click.Choice([each.value for each in IncidentType]), help="What happened."
)
@click.option("--title", metavar="TEXT", help="In a few words; otherwise it is made from the type.")
@click.option(
    "--severity", type=click.Choice([each.value for each in Severity]), help="At least this severe."
)
@click.option(
    "--run", "runs", multiple=True, metavar="ID", help="It is about this run; give it once for each."
)
@click.option(
    "--detected-by", type=click.Choice([each.value for each in DetectedBy]), help="How it was noticed."
)
@click.option("--detected-at", type=moment, metavar="TIME", help="When it was noticed; otherwise now.")
@click.option("--request", metavar="ID", help="A name for this opening: saying it twice opens one incident.")
@click.option("--practice", is_flag=True, help="For practice: it counts nowhere, and nobody outside is told.")
@answers(_show_incident)
def open_incident(
    cli: Invocation, workflow: str | None, kind: str | None, runs: tuple[str, ...], **more: Any
) -> Any:
    """Open an incident about WORKFLOW, or a run or signal of it; nothing else has to be known.

    Owners and systems come from the manifest, the runs are those of the last day, the severity is proposed.
    """
    body = {"workflow": workflow, "type": kind, "runs": list(runs) or None, **more}
    return cli.server.post("/v1/incidents", body)


def _show_incidents(paper: Paper, found: Any) -> None:
    paper.table(
        ("incident", "severity", "status", "workflow", "title", "opened", "commander"),
        [
            (
                each["id"],
                each["severity"],
                each["status"],
                each["workflow"],
                each["title"],
                paper.when(each["opened_at"]),
                each["commander"],
            )
            for each in found
        ],
        empty="There is no incident.",
    )


@incident.command("list")
@click.option("--workflow", metavar="NAME", help="Only incidents of this workflow.")
@click.option("--status", type=click.Choice([each.value for each in IncidentStatus]), help="Only these.")
@paged
@answers(_show_incidents)
def list_incidents(cli: Invocation, **filters: Any) -> Any:
    """List incidents, newest first."""
    return cli.page("/v1/incidents", **filters)


def _show_with_phases(paper: Paper, found: Any) -> None:
    _show_incident(paper, found["incident"])
    paper.facts({"acknowledged": acknowledged(paper, found["answering"])})
    paper.heading("Severity")
    paper.table(
        ("factor", "level", "why"),
        [(each["factor"], each["level"], each["why"]) for each in found["incident"]["factors"]],
        empty="No factor is recorded.",
    )
    paper.heading("Phases")
    paper.table(
        ("phase", "state", "since", "why"),
        [
            (each["phase"], each["state"], paper.when(each["at"]), each["next_action"] or each["reason"])
            for each in found["phases"]
        ],
        empty="",
    )
    if found["next"] is not None:
        paper.heading(f"Next: {found['next']['title']}")
        paper.line(found["next"]["why"])
        paper.line(
            f"It waits for {found['next']['who']}." if found["next"]["who"] else "Any responder can do it."
        )


@incident.command("show")
@_INCIDENT
@answers(_show_with_phases)
def show_incident(cli: Invocation, incident_id: str) -> Any:
    """Show an incident, where each of its ten phases stands, and the one thing to do next."""
    known = cli.server.get("/v1/incidents/{incident}", incident=incident_id)
    return {
        "incident": known,
        "answering": cli.server.get("/v1/incidents/{incident}/response", incident=incident_id),
        **cli.server.get("/v1/incidents/{incident}/phases", incident=incident_id),
    }


def _show_note(paper: Paper, found: Any) -> None:
    paper.line(f"Noted in {found['incident']}.")


@incident.command("note")
@_INCIDENT
@click.argument("text")
@click.option("--occurred-at", type=moment, metavar="TIME", help="When it happened; otherwise now.")
@answers(_show_note)
def add_note(cli: Invocation, incident_id: str, text: str, occurred_at: str | None) -> Any:
    """Write TEXT into the timeline."""
    body = {"text": text, "occurred_at": occurred_at}
    return cli.server.post("/v1/incidents/{incident}/notes", body, incident=incident_id)


@incident.command("severity")
@_INCIDENT
@click.argument("severity", type=click.Choice([each.value for each in Severity]))
@reason_option("Why; lowering needs it, and verified containment.")
@answers(_show_incident)
def change_severity(cli: Invocation, incident_id: str, severity: str, reason: str | None) -> Any:
    """Raise the severity freely, or lower it after containment."""
    body = {"severity": severity, "reason": reason}
    return cli.server.post("/v1/incidents/{incident}/severity", body, incident=incident_id)


@incident.command("handover")
@_INCIDENT
@click.argument("role", type=click.Choice(_ROLES))
@click.argument("to", metavar="ADDRESS")
@click.option("--note", metavar="TEXT", help="What they need to know.")
@answers(_show_incident)
def hand_over(cli: Invocation, incident_id: str, role: str, to: str, note: str | None) -> Any:
    """Hand ROLE to the person at ADDRESS."""
    body = {"role": role, "to": to, "note": note}
    return cli.server.post("/v1/incidents/{incident}/handover", body, incident=incident_id)


@incident.command("root-cause")
@_INCIDENT
@click.argument("text")
@answers(_show_incident)
def record_root_cause(cli: Invocation, incident_id: str, text: str) -> Any:
    """Write down why the system allowed it."""
    return cli.server.post("/v1/incidents/{incident}/root-cause", {"text": text}, incident=incident_id)


@incident.command("next-update")
@_INCIDENT
@click.argument("at", type=moment, metavar="TIME")
@reason_option("Why; a later time than planned needs it.")
@answers(_show_incident)
def schedule_update(cli: Invocation, incident_id: str, at: str, reason: str | None) -> Any:
    """Say when the next update comes."""
    body = {"at": at, "reason": reason}
    return cli.server.post("/v1/incidents/{incident}/next-update", body, incident=incident_id)


def _show_bundle(paper: Paper, found: Any) -> None:
    paper.facts(
        {
            "bundle": found["id"],
            "incident": found["incident"],
            "digest": found["digest"],
            "size": count_of(found["size_bytes"], "byte"),
            "sealed": f"{paper.when(found['at'])} by {found['by']['id']}",
            "entries": f"{found['entries']:,} of the first {found['tree_size']:,} in the journal",
        }
    )
    paper.heading("Kinds of evidence")
    paper.table(("kind", "items"), list(found["kinds"].items()), empty="None.")
    for each in found["missing"]:
        paper.line(f"missing: {each}")


@incident.command("seal")
@_INCIDENT
@answers(_show_bundle)
def seal(cli: Invocation, incident_id: str) -> Any:
    """Seal the evidence into a bundle. Recovery cannot begin before; sealing again makes another bundle."""
    return cli.server.post("/v1/incidents/{incident}/seal", incident=incident_id)


def _show_drift(paper: Paper, found: Any) -> None:
    if found is None:
        paper.line("Nobody has looked yet.")
        return
    paper.line(
        f"Looked at {paper.when(found['at'])} by {found['by']['id']}; what has changed since is not shown."
    )
    paper.table(
        ("object", "since the calls", "by", "fields"),
        [
            (
                object_name(each["object"]),
                each["state"],
                each["by"] or in_short(each["note"], most=80) or None,
                listed(each["fields"]),
            )
            for each in found["objects"]
        ],
        empty="No object was changed.",
    )
    states = Counter(each["state"] for each in found["objects"])
    paper.line(listed((f"{number} {state}" for state, number in states.items()), most=9))


@incident.command("drift")
@_INCIDENT
@click.option("--last", is_flag=True, help="Show the newest look that is recorded; do not look again.")
@answers(_show_drift)
def show_drift(cli: Invocation, incident_id: str, *, last: bool) -> Any:
    """Look what has become of every affected object since the calls left it, and record that.

    Unchanged, changed (by whom, where that is known), gone, or unreadable.
    """
    ask = cli.server.get if last else cli.server.post
    return ask("/v1/incidents/{incident}/drift", incident=incident_id)


@incident.command("close")
@_INCIDENT
@reason_option("Why it is over; asked for when it is left out.")
@yes_option
@answers(_show_incident)
def close_incident(cli: Invocation, incident_id: str, reason: str | None, *, yes: bool) -> Any:
    """Close an incident whose workflow is back and whose postmortem is written."""
    body = {"reason": cli.ask(reason, "Why is it over?", option="--reason")}
    cli.confirm(f"Close {incident_id}? A closed incident does not change.", yes=yes)
    return cli.server.post("/v1/incidents/{incident}/close", body, incident=incident_id)
