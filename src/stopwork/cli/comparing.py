"""Comparisons: ``observed`` before a workflow is enforced, ``diff`` when a run has gone wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.access import duration_s
from stopwork.cli.invocation import Invocation, answers
from stopwork.cli.printing import in_short
from stopwork.kernel.phrases import count_of

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper


def _show_observed(paper: Paper, found: Any) -> None:
    paper.line(
        f"Of {count_of(found['calls'], 'call')} of {found['workflow']} since {paper.when(found['since'])}, enforcement would have "
        f"stopped {found['stopped']} and asked about {found['asked']}."
    )
    if found["good_stopped"]:
        paper.line(
            f"{count_of(found['good_stopped'], 'good call')} would have been stopped: look at them before you enforce."
        )
    for each in found["divergences"]:
        paper.heading(
            f"{each['tool']}: {each['would']} for {each['kind']}, {count_of(each['calls'], 'call')}, {each['good']} good"
        )
        paper.table(
            ("call", "run", "arguments", "when", "good", "why"),
            [
                (
                    example["call"],
                    example["run"],
                    in_short(example["args"], most=60),
                    paper.when(example["at"]),
                    "yes" if example["good"] else "no",
                    example["text"],
                )
                for example in each["examples"]
            ],
            empty="No example is recorded.",
        )


@click.command()
@click.argument("workflow")
@click.option(
    "--since",
    "since_s",
    type=duration_s,
    metavar="DURATION",
    default="7d",
    show_default=True,
    help="How far to look back: 12h, 30d.",
)
@answers(_show_observed)
def observed(cli: Invocation, workflow: str, since_s: int) -> Any:
    """Say what enforcement would have done with the calls of a workflow that is only observed.

    Each call counts once, under the first of its strictest reasons. Good are calls that succeeded and that no signal names, other than one
    about the manifest's own rules.
    """
    return cli.server.get("/v1/workflows/{workflow}/observed", workflow=workflow, since_s=since_s)


def _show_difference(paper: Paper, found: Any) -> None:
    before, after = found["before"], found["after"]
    paper.line(
        f"{before['id']} ({before['status']}, {paper.when(before['started_at'])}) and "
        f"{after['id']} ({after['status']}, {paper.when(after['started_at'])}) of {found['workflow']}"
    )
    paper.table(
        ("in", "what", "before", "after"),
        [
            (each["part"], each["name"], _shown(each["before"]), _shown(each["after"]))
            for each in found["differences"]
        ],
        empty="The runs do not differ in what is compared.",
    )
    if found["manifest"]:
        paper.heading("Manifest")
        paper.table(
            ("field", "before", "after"),
            [(each["field"], _shown(each["before"]), _shown(each["after"])) for each in found["manifest"]],
            empty="It did not change.",
        )


@click.command()
@click.argument("runs", nargs=-1, metavar="[RUN RUN]")
@click.option(
    "--incident",
    metavar="ID",
    help="Compare its first bad run with the last good one, instead of naming two.",
)
@answers(_show_difference)
def diff(cli: Invocation, runs: tuple[str, ...], incident: str | None) -> Any:
    """Show how the second run differs from the first: version, runtime, tools, shapes of arguments, sources, effects, cost.

    With one RUN it is compared with the last good one before it.

    The last good run is the newest before the first bad one that succeeded and that no incident or signal names.
    """
    if incident is not None and not runs:
        return cli.server.get("/v1/incidents/{incident}/difference", incident=incident)
    if incident is None and len(runs) == 1:
        return cli.server.get("/v1/runs/{run}/difference", run=runs[0])
    if incident is not None or len(runs) != 2:
        raise click.UsageError("name one run, or two with the earlier one first, or give --incident")
    return cli.server.get("/v1/runs/{run}/difference", run=runs[1], before=runs[0])


def _shown(value: Any) -> str | None:
    return None if value is None else in_short(value)
