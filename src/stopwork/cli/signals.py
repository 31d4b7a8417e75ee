"""Signals: what the detectors and people noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.group import Group
from stopwork.cli.invocation import Invocation, answers, paged

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper


@click.group(cls=Group, default="list")
def signals() -> None:
    """What was noticed, and the incident it belongs to."""


def _show_signals(paper: Paper, found: Any) -> None:
    paper.table(
        ("signal", "when", "workflow", "type", "noticed by", "what", "incident"),
        [
            (
                each["id"],
                paper.when(each["occurred_at"]),
                each["workflow"],
                each["type"],
                each["detector"],
                each["summary"],
                each["incident"],
            )
            for each in found
        ],
        empty="Nothing was noticed.",
    )


@signals.command("list")
@click.option("--workflow", metavar="NAME", help="Only signals about this workflow.")
@click.option("--incident", metavar="ID", help="Only signals of this incident.")
@paged
@answers(_show_signals)
def list_signals(cli: Invocation, **filters: Any) -> Any:
    """List signals, newest first."""
    return cli.page("/v1/signals", **filters)
