"""What agents did: runs, and the tool calls in them with their verdicts and effects."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.group import Group
from stopwork.cli.invocation import Invocation, answers, paged
from stopwork.cli.printing import content_of, in_short, object_name
from stopwork.kernel.errors import Invalid
from stopwork.kernel.phrases import money
from stopwork.ledger.words import Outcome, RunStatus, Verdict

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper


@click.group(cls=Group, default="list")
def runs() -> None:
    """Runs of agents."""


def _show_runs(paper: Paper, found: Any) -> None:
    paper.table(
        ("run", "workflow", "trigger", "status", "started", "calls", "writes", "cost"),
        [
            (
                run["id"],
                run["workflow"],
                f"{run['trigger']} {run['trigger_id']}".strip(),
                run["status"],
                paper.when(run["started_at"]),
                run["calls"],
                run["writes"],
                _cost(run),
            )
            for run in found
        ],
        empty="No run is recorded.",
    )


@runs.command("list")
@click.option("--workflow", metavar="NAME", help="Only runs of this workflow.")
@click.option("--status", type=click.Choice([each.value for each in RunStatus]), help="Only these.")
@paged
@answers(_show_runs)
def list_runs(cli: Invocation, **filters: Any) -> Any:
    """List runs, newest first."""
    return cli.page("/v1/runs", **filters)


def _show_run(paper: Paper, found: Any) -> None:
    run = found["run"]
    paper.facts(
        {
            "run": run["id"],
            "workflow": f"{run['workflow']}, version {run['version']}, {run['mode']}",
            "trigger": f"{run['trigger']} {run['trigger_id']}".strip(),
            "attempt": run["attempt"]
            if not run["retry_of"]
            else f"{run['attempt']}, a retry of {run['retry_of']}",
            "status": run["status"],
            "started": paper.when(run["started_at"]),
            "finished": paper.when(run["finished_at"]),
            "error": run["error"],
            "tokens": run["tokens"],
            "cost": _cost(run),
            "runtime": run["runtime"],
        }
    )
    paper.heading("Calls")
    _show_calls(paper, found["calls"])


@runs.command("show")
@click.argument("run")
@answers(_show_run)
def show_run(cli: Invocation, run: str) -> Any:
    """Show one run with its calls, oldest first."""
    found = cli.server.get("/v1/runs/{run}", run=run)
    calls = cli.server.get("/v1/calls", run=run, limit=500)
    return {"run": found, "calls": calls[::-1]}


@click.group(cls=Group, default="list")
def calls() -> None:
    """Tool calls: what was asked, what was answered, what came of it."""


def _show_calls(paper: Paper, found: Any) -> None:
    paper.table(
        ("call", "tool", "arguments", "verdict", "outcome", "effects", "when", "why"),
        [
            (
                call["id"],
                call["tool"],
                in_short(call["args"], most=60),
                _verdict(call),
                call["outcome"] or ("in flight" if call["in_flight"] else None),
                _effects(call),
                paper.when(call["requested_at"]),
                "; ".join(reason["text"] for reason in call["reasons"]),
            )
            for call in found
        ],
        empty="No call is recorded.",
    )


@calls.command("list")
@click.option("--run", metavar="ID", help="Only calls of this run.")
@click.option("--workflow", metavar="NAME", help="Only calls of this workflow.")
@click.option("--tool", metavar="NAME", help="Only calls of this tool.")
@click.option(
    "--verdict", type=click.Choice([each.value for each in Verdict]), help="Only with this verdict."
)
@click.option(
    "--outcome", type=click.Choice([each.value for each in Outcome]), help="Only with this outcome."
)
@click.option("--in-flight", is_flag=True, default=None, help="Only permitted calls that have not ended.")
@paged
@answers(_show_calls)
def list_calls(cli: Invocation, **filters: Any) -> Any:
    """List calls, newest first."""
    return cli.page("/v1/calls", **filters)


def _show_call(paper: Paper, found: Any) -> None:
    call = found["call"]
    paper.facts(
        {
            "call": call["id"],
            "run": f"{call['run']} of {call['workflow']}, version {call['version']}",
            "tool": f"{call['tool']} ({call['effect']}, risk {call['risk']})",
            "arguments": call["args"],
            "verdict": _verdict(call),
            "outcome": call["outcome"],
            "asked": paper.when(call["requested_at"]),
            "permitted": paper.when(call["permitted_at"]),
            "ended": paper.when(call["finished_at"]),
            "decided by": "its guard, on a lease" if call["began_at"] else None,
            "result": call["result"],
            "error": call["error"],
            "not seen": "; ".join(f"{system}: {why}" for system, why in call["unseen"].items()) or None,
            "approval": call["approval"],
            "replay of": call["replay_of"],
            "key": call["key"],
        }
    )
    paper.heading("Reasons")
    paper.table(
        ("kind", "verdict", "text", "from"),
        [(reason["kind"], reason["verdict"], reason["text"], reason["source"]) for reason in call["reasons"]],
        empty="Nothing spoke against it.",
    )
    paper.heading("Effects")
    paper.table(
        ("object", "operation", "before", "after", "found by", "note"),
        [
            (
                object_name(effect["object"]),
                effect["operation"],
                content_of(effect["before"]),
                content_of(effect["after"]),
                effect["source"],
                f"declared as {effect['exceeds']} only" if effect["exceeds"] else None,
            )
            for effect in found["effects"]
        ],
        empty="No effect is recorded.",
    )


@calls.command("show")
@click.argument("call")
@answers(_show_call)
def show_call(cli: Invocation, call: str) -> Any:
    """Show one call, why it was answered as it was, and what it changed."""
    return {
        "call": cli.server.get("/v1/calls/{call}", call=call),
        "effects": cli.server.get("/v1/calls/{call}/effects", call=call, limit=500),
    }


def _show_reconciled(paper: Paper, found: Any) -> None:
    paper.line(f"{found['id']} ({found['tool']}) is recorded as {found['outcome']}.")


@calls.command("reconcile")
@click.argument("call")
@click.argument("outcome", type=click.Choice([Outcome.SUCCEEDED.value, Outcome.FAILED.value]))
@click.option(
    "--note", metavar="TEXT", help="What was looked at, and what was seen; asked for when left out."
)
@click.option(
    "--result",
    metavar="JSON",
    help="What the tool answered: later calls with the same key are answered that.",
)
@answers(_show_reconciled)
def reconcile_call(cli: Invocation, call: str, outcome: str, note: str | None, result: str | None) -> Any:
    """Settle a call whose outcome is unknown, after you have looked in its system.

    Until then nothing with its key runs again. What a call that succeeded has changed is read from its systems and recorded.
    Without --result a later call with the same key is denied, since there is nothing to answer it with.
    """
    body = {
        "outcome": outcome,
        "note": cli.ask(note, "What did you look at?", option="--note"),
        "result": _json(result),
    }
    return cli.server.post("/v1/calls/{call}/reconcile", body, call=call)


def _json(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError as error:
        raise Invalid(
            f"--result is not JSON: {error}", hint="Put text in double quotes, inside single ones."
        ) from None


def _verdict(call: Any) -> str:
    if call["would"] != call["verdict"]:
        return f"{call['verdict']}, would be {call['would']}"
    return str(call["verdict"])


def _effects(call: Any) -> str:
    return f"{call['effects']}, {call['exceeding']} undeclared" if call["exceeding"] else str(call["effects"])


def _cost(run: Any) -> str:
    known = money(run["cost_usd"])
    return f"{known} and {run['unpriced']} without a price" if run["unpriced"] else known
