"""Backfills: runs that make up for missed ones, by a person's order and after every check."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.group import Group
from stopwork.cli.invocation import Invocation, answers, paged, reason_option, yes_option
from stopwork.ledger.words import BackfillState

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper

_OCCASION = click.option(
    "--occasion",
    metavar="TIME",
    required=True,
    help="When it was due, as 2026-03-02T08:00 in the schedule's zone; without a schedule the occasion's id.",
)
_WHY = click.option(
    "--why", metavar="TEXT", default="", help="Why it may go ahead where nobody recorded how old a source is."
)
_AS_OF = click.option(
    "--as-of",
    metavar="SOURCE=TIME",
    multiple=True,
    help="How old a source is, as you know it. May be given again.",
)


@click.group(cls=Group, default="list")
def backfill() -> None:
    """Make up for missed runs: check, order, withdraw."""


def _show_checked(paper: Paper, found: Any) -> None:
    paper.facts(
        {"workflow": found["workflow"], "occasion": found["occasion"], "keys of": found["trigger_id"]}
    )
    _show_findings(paper, found["findings"])
    paper.line("Nothing stands in the way." if not found["against"] else "It cannot be ordered like this.")


def _show_findings(paper: Paper, findings: Any) -> None:
    paper.table(
        ("check", "state", "what was found"),
        [(each["check"], each["state"], each["text"]) for each in findings],
        empty="",
    )


@backfill.command("check")
@click.argument("workflow")
@_OCCASION
@_WHY
@_AS_OF
@answers(_show_checked)
def check(cli: Invocation, *, workflow: str, **asked: Any) -> Any:
    """Show what stands in the way of making up for a missed run. Nothing is recorded."""
    return _checked(cli, workflow, _asked(**asked))


def _show_order(paper: Paper, found: Any) -> None:
    paper.facts(
        {
            "backfill": found["id"],
            "workflow": found["workflow"],
            "occasion": found["occasion"],
            "state": found["state"] + (f" ({found['ended']})" if found["ended"] else ""),
            "ordered": f"{paper.when(found['ordered_at'])} by {found['ordered_by']['id']}",
            "reason": found["reason"],
            "goes ahead because": found["why"],
            "run": found["run"],
            "incident": found["incident"],
            "note": found["note"],
            "expires": paper.when(found["expires_at"]) if found["state"] == BackfillState.ORDERED else None,
        }
    )
    _show_findings(paper, found["findings"])


@backfill.command("order")
@click.argument("workflow")
@_OCCASION
@reason_option("Why it is made up for; asked for when it is left out.")
@click.option(
    "--incident", metavar="ID", help="The incident of the missed run; then its business owner orders it."
)
@_WHY
@_AS_OF
@yes_option
@answers(_show_order)
def order(
    cli: Invocation, *, workflow: str, reason: str | None, incident: str | None, yes: bool, **asked: Any
) -> Any:
    """Order that a missed run is made up for, once, after showing every check.

    A process with the workflow's tools takes it up. Sources, earlier attempts, holds and the stage are checked again then, and before
    each change; what an earlier attempt did is replayed and not done again.
    """
    body = _asked(**asked)
    found = _checked(cli, workflow, body)
    if not cli.as_json:
        cli.show(_show_checked, found)
    if not found["against"]:
        cli.confirm("Order it?", yes=yes)
    body |= {"reason": cli.ask(reason, "Why is it made up for?", option="--reason"), "incident": incident}
    return cli.server.post("/v1/workflows/{workflow}/backfills", body, workflow=workflow)


def _show_orders(paper: Paper, found: Any) -> None:
    paper.table(
        ("backfill", "workflow", "occasion", "state", "ordered", "by", "run"),
        [
            (
                each["id"],
                each["workflow"],
                each["occasion"],
                each["state"],
                paper.when(each["ordered_at"]),
                each["ordered_by"]["id"],
                each["run"],
            )
            for each in found
        ],
        empty="Nothing is ordered.",
    )


@backfill.command("list")
@click.option("--workflow", metavar="NAME", help="Only those of this workflow.")
@click.option("--state", type=click.Choice([each.value for each in BackfillState]), help="Only these.")
@click.option("--incident", metavar="ID", help="Only those of this incident.")
@paged
@answers(_show_orders)
def list_backfills(cli: Invocation, **filters: Any) -> Any:
    """List orders, newest first."""
    return cli.page("/v1/backfills", **filters)


@backfill.command("show")
@click.argument("backfill")
@answers(_show_order)
def show(cli: Invocation, *, backfill: str) -> Any:
    """Show one order, and what its checks found when it was taken up."""
    return cli.server.get("/v1/backfills/{backfill}", backfill=backfill)


@backfill.command("withdraw")
@click.argument("backfill")
@reason_option("Why; asked for when it is left out.")
@answers(_show_order)
def withdraw(cli: Invocation, *, backfill: str, reason: str | None) -> Any:
    """Take an order back. A run that carries it out changes nothing more."""
    body = {"reason": cli.ask(reason, "Why is it withdrawn?", option="--reason")}
    return cli.server.post("/v1/backfills/{backfill}/withdraw", body, backfill=backfill)


def _asked(*, occasion: str, why: str, as_of: tuple[str, ...]) -> dict[str, Any]:
    return {"occasion": occasion, "why": why, "as_of": dict(_age(each) for each in as_of)}


def _age(given: str) -> tuple[str, str]:
    source, _, text = given.partition("=")
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.UsageError(
            f"--as-of {given}: it looks like --as-of inbox=2026-03-02T07:45+01:00"
        ) from None
    return source, at.astimezone().isoformat()


def _checked(cli: Invocation, workflow: str, body: dict[str, Any]) -> Any:
    return cli.server.post("/v1/workflows/{workflow}/backfills/check", body, workflow=workflow)
