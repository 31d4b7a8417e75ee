"""Signals: what the detectors and people noticed."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from stopwork.cli.group import Group
from stopwork.cli.invocation import Invocation, answers, paged
from stopwork.ledger.words import DetectedBy, IncidentType, SignalKind, SignalState

#: So much of each thing that a signal says is shown: what came in as one text is whole.
MAX_FACT_CHARS: Final = 10_000

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper


@click.group(cls=Group, default="list")
def signals() -> None:
    """What was noticed, and the incident it belongs to."""


def _about(signal: Any) -> str:
    """Answer which workflow a signal is about, or what else it is about."""
    from stopwork.ledger.records.incidents import ABOUT_A_DUTY

    of_none = "the server" if signal["key"].startswith(ABOUT_A_DUTY) else "not known yet"
    return str(signal["workflow"] or of_none)


def _show_signals(paper: Paper, found: Any) -> None:
    paper.table(
        ("signal", "when", "workflow", "type", "noticed by", "what", "incident"),
        [
            (
                each["id"],
                paper.when(each["occurred_at"]),
                _about(each),
                each["type"],
                each["detector"],
                each["summary"] + (f" (and {each['repeats']} more)" if each["repeats"] else ""),
                each["incident"],
            )
            for each in found
        ],
        empty="There is no signal.",
    )


@signals.command("list")
@click.option(
    "--workflow",
    metavar="NAME",
    help="Only signals about this workflow; '' for those about none.",
)
@click.option("--incident", metavar="ID", help="Only signals of this incident.")
@click.option("--kind", type=click.Choice([each.value for each in SignalKind]), help="Only of this kind.")
@click.option(
    "--state",
    type=click.Choice([each.value for each in SignalState]),
    help="Only those of which this became: in an incident, only logged, about no workflow that is known yet, "
    "about the server itself.",
)
@click.option("--text", metavar="WORDS", help="Only those that say each of these words.")
@paged
@answers(_show_signals)
def list_signals(cli: Invocation, **filters: Any) -> Any:
    """List signals, newest first."""
    return cli.page("/v1/signals", **filters)


def _show_signal(paper: Paper, found: Any) -> None:
    from stopwork.cli.printing import in_short

    paper.facts(
        {
            "signal": found["id"],
            "what": found["summary"],
            "kind": f"{found['kind']}, taken for {found['type']}",
            "noticed by": found["detector"],
            "workflow": _about(found),
            "run": found["run"],
            "call": found["call"],
            "happened": paper.when(found["occurred_at"]),
            "came in": paper.when(found["raised_at"]),
            "again": f"{found['repeats']} times, the last {paper.when(found['repeated_at'])}"
            if found["repeats"]
            else None,
            "incident": found["incident"] or "none",
        }
    )
    paper.heading("What it says")
    paper.facts(
        {
            name.replace("_", " "): in_short(value, most=MAX_FACT_CHARS)
            for name, value in found["facts"].items()
        }
    )


@signals.command("show")
@click.argument("signal")
@answers(_show_signal)
def show_signal(cli: Invocation, signal: str) -> Any:
    """Show one signal with all that it says."""
    return cli.server.get("/v1/signals/{signal}", signal=signal)


_BECAME: Final = {
    "raised": "It is recorded as {signal}.",
    "counted": "It has come in often: {signal} counts it.",
    "known": "It is known already, as {signal}.",
    "unassigned": "It is recorded as {signal}. Nobody could tell which workflow it is about; somebody will say so.",
}


_HOW: Final = {
    (True, False): "was opened for it",
    (True, True): "is proposed for it; a person accepts or declines it",
    (False, False): "has it",
    (False, True): "has it, and is only proposed",
}


def _show_received(paper: Paper, found: Any) -> None:
    paper.line(_BECAME[found["reception"]].format(signal=found["signal"]))
    if found["incident"]:
        paper.line(f"{found['incident']} {_HOW[found['opened'], found['proposed']]}.")


@signals.command("report")
@click.argument("text", required=False)
@click.option("--workflow", metavar="NAME", default="", help="Which one it is about, as far as you know.")
@click.option("--type", type=click.Choice([each.value for each in IncidentType]), help="What kind of thing.")
@click.option("--where", metavar="TEXT", default="", help="Where it was seen.")
@click.option("--when", metavar="TIME", help="When, as 2026-03-02T08:00+01:00; without a zone in yours.")
@click.option("--by", metavar="NAME", default="", help="Who saw it, where it was not you.")
@click.option(
    "--noticed-by", type=click.Choice([each.value for each in DetectedBy]), help="What they are to you."
)
@click.option("--run", metavar="ID", help="The run it is about.")
@click.option(
    "--request", metavar="ID", default="", help="Your own name for this report: sent twice it is one."
)
@click.option(
    "--mail", is_flag=True, help="Read a mail, as it came, from standard input. For a mail server's pipe."
)
@answers(_show_received)
def report(cli: Invocation, *, text: str | None, mail: bool, when: str | None, **told: Any) -> Any:
    """Report what somebody has seen. One sentence is enough; an incident opens where that is asked for."""
    if mail:
        return cli.server.post_raw("/v1/inbox/mail", sys.stdin.buffer.read(), media_type="message/rfc822")
    said = cli.ask(text, "What was seen?", option="TEXT")
    return cli.server.post("/v1/reports", {"text": said, "when": _moment(when), **told})


def _moment(given: str | None) -> str | None:
    if given is None:
        return None
    try:
        return datetime.fromisoformat(given).astimezone().isoformat()
    except ValueError:
        raise click.UsageError(f"--when {given}: it looks like 2026-03-02T08:00+01:00") from None


def _show_assigned(paper: Paper, found: Any) -> None:
    paper.line(f"{found['id']} is about {found['workflow']}.")
    if found["incident"]:
        paper.line(f"It belongs to {found['incident']}.")


@signals.command("assign")
@click.argument("signal")
@click.argument("workflow")
@click.option("--type", type=click.Choice([each.value for each in IncidentType]), help="What kind of thing.")
@answers(_show_assigned)
def assign(cli: Invocation, *, signal: str, workflow: str, **told: Any) -> Any:
    """Say which WORKFLOW a SIGNAL is about that came in without one."""
    return cli.server.post("/v1/signals/{signal}/assign", {"workflow": workflow, **told}, signal=signal)
