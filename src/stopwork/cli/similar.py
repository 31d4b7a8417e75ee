"""Similar actions: past calls that are like a bad one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.invocation import Invocation, answers, paged
from stopwork.kernel.phrases import count_of

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper


def _show_similar(paper: Paper, found: Any) -> None:
    paper.line(f"Compared with {count_of(len(found['of']), 'call')}; {found['found']} are like them.")
    paper.table(
        ("call", "tool", "when", "outcome", "like", "why"),
        [
            (
                each["call"]["id"],
                each["call"]["tool"],
                paper.when(each["call"]["requested_at"]),
                each["call"]["outcome"] or each["call"]["verdict"],
                each["like"],
                "; ".join(each["why"]),
            )
            for each in found["calls"]
        ],
        empty="No past call is like them.",
    )
    if found["cut"]:
        paper.line(found["cut"])
    if found["calls"] and len(found["calls"]) < found["found"]:
        paper.line(f"There may be more: --after {found['calls'][-1]['call']['id']}")


@click.command()
@click.argument("what", metavar="CALL…|INCIDENT", nargs=-1, required=True)
@paged
@answers(_show_similar)
def similar(cli: Invocation, what: tuple[str, ...], **page: Any) -> Any:
    """List past calls like these CALLs, or like those that the signals of INCIDENT are about, the most similar first.

    They have the same workflow and tool; what else they share is said: gate, shape and values of the arguments, source, destination.
    """
    first, *others = what
    if not first.startswith("AI-INC-"):
        more = ",".join(others) or None
        return cli.server.get("/v1/calls/{call}/similar", call=first, others=more, **page)
    if others:
        raise click.UsageError("name one incident, or calls")
    return cli.server.get("/v1/incidents/{incident}/similar", incident=first, **page)
