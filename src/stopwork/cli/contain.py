"""Containment: the checklist of what could do more harm, and how each item is made safe: by a hook, a hold, or a named person."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from stopwork.cli.invocation import Invocation, answers
from stopwork.ledger.words import ContainmentProof, ContainmentState

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper

#: What a person may say that an item has come to.
_ENDS: Final = (ContainmentState.DONE, ContainmentState.NOT_APPLICABLE, ContainmentState.FAILED)
_RUN, _VERIFY, _ASSIGN = "run", "verify", "assign"
_DEEDS: Final = [_RUN, _VERIFY, _ASSIGN, *(each.value for each in _ENDS)]


def _show_checklist(paper: Paper, found: Any) -> None:
    paper.table(
        ("item", "what", "why", "state", "by", "verified how"),
        [
            (
                each["id"].partition("/")[2],
                each["what"],
                each["why"],
                _state(each),
                each["by"]["id"] if each["by"] else each["assignee"] or None,
                _how(each),
            )
            for each in found
        ],
        empty="There is nothing to contain.",
    )


def _state(item: Any) -> str:
    places = item["places"]
    done = sum(place["state"] == ContainmentState.DONE for place in places)
    state = str(item["state"])
    return state if done in (0, len(places)) else f"{state} ({done} of {len(places)})"


def _how(item: Any) -> str:
    if item["state"] == ContainmentState.FAILED and item["verified_how"]:
        return f"found: {item['verified_how']}"
    if item["proof"] == ContainmentProof.ATTESTATION and item["verified_how"]:
        return f"attested: {item['verified_how']}"
    if item["verified_how"]:
        return str(item["verified_how"])
    return " ".join(
        dict.fromkeys(
            f"{place['name']} {place['state']}: {place['note']}" if place["note"] else place["name"]
            for place in item["places"]
            if place["state"] != ContainmentState.DONE
        )
    )


@click.command()
@click.argument("incident_id", metavar="INCIDENT")
@click.argument("item", required=False)
@click.argument("deed", required=False, type=click.Choice(_DEEDS))
@click.option("--how", metavar="TEXT", help="How it was verified; asked for when it is left out.")
@click.option(
    "--hook", metavar="NAME", default="", help="Only this hook; `hold` is one that every server has."
)
@click.option(
    "--despite", metavar="REASON", default="", help="Why a hook cannot wait until the evidence is sealed."
)
@click.option("--to", metavar="ADDRESS", help="Who has it from now on; with assign.")
@click.option(
    "--due",
    metavar="TIME",
    type=click.DateTime(["%Y-%m-%dT%H:%M%z"]),
    help="Until when, with its zone: 2026-03-02T15:30+0100.",
)
@answers(_show_checklist)
def contain(
    cli: Invocation,
    incident_id: str,
    item: str | None,
    deed: str | None,
    how: str | None,
    hook: str,
    despite: str,
    to: str | None,
    due: datetime | None,
) -> Any:
    """Show INCIDENT's checklist, or do something about one ITEM of it.

    An ITEM is named as the checklist has it: secrets/1. `run` makes it safe by the hooks of the server, or holds it, and tries again what
    has failed; `verify` only looks; `assign` gives it to a person. The others say in your name how it ended.
    """
    if item is not None:
        if deed is None:
            raise click.UsageError(f"say what is done about {item}: {', '.join(_DEEDS)}")
        full_name = item if item.startswith(f"{incident_id}/") else f"{incident_id}/{item}"
        match deed:
            case "run":
                body: dict[str, Any] = {"item": full_name, "hook": hook, "despite": despite}
                cli.server.post("/v1/incidents/{incident}/containment/run", body, incident=incident_id)
            case "verify":
                body = {"item": full_name}
                cli.server.post("/v1/incidents/{incident}/containment/verify", body, incident=incident_id)
            case "assign":
                body = {"item": full_name, "to": cli.ask(to, "Who has it?", option="--to")}
                if due is not None:
                    body["due_at"] = due.isoformat()
                cli.server.post("/v1/incidents/{incident}/containment/assign", body, incident=incident_id)
            case ended:
                told = {"state": ended, "verified_how": cli.ask(how, "How was it verified?", option="--how")}
                cli.server.post("/v1/containment/{item:path}", told, item=full_name)
    return cli.server.post("/v1/incidents/{incident}/containment", incident=incident_id)
