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
@click.argument("what", metavar="CALL|INCIDENT")
@paged
@answers(_show_similar)
def similar(cli: Invocation, what: str, **page: Any) -> Any:
    """List past calls like CALL, or like those that the signals of INCIDENT are about, the most similar first.

    They have the same workflow and tool; what else they share is said: gate, shape and values of the arguments, source, destination.
    """
    if what.startswith("AI-INC-"):
        return cli.server.get("/v1/incidents/{incident}/similar", incident=what, **page)
    return cli.server.get("/v1/calls/{call}/similar", call=what, **page)
