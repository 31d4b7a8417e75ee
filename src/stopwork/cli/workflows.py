"""Workflows and how much each may do now; ``check`` says how ready one is for its next incident."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.group import Group
from stopwork.cli.invocation import Invocation, answers, paged, reason_option
from stopwork.cli.printing import in_short
from stopwork.ledger.words import Stage

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper


@click.group(cls=Group, default="list")
def workflows() -> None:
    """Workflows: what each may do, and who answers for it."""


def _show_workflows(paper: Paper, found: Any) -> None:
    paper.table(
        ("workflow", "title", "version", "mode", "stage", "business owner", "incident"),
        [
            (
                w["id"],
                w["title"],
                w["version"],
                w["mode"],
                w["stage"],
                w["owners"].get("business"),
                w["incident"],
            )
            for w in found
        ],
        empty="No workflow is declared yet. Begin with: stopwork apply stopwork.yaml",
    )


@workflows.command("list")
@paged
@answers(_show_workflows)
def list_workflows(cli: Invocation, limit: int, after: str | None) -> Any:
    """List workflows."""
    return cli.page("/v1/workflows", limit=limit, after=after)


def _show_workflow(paper: Paper, found: Any) -> None:
    workflow = found["workflow"]
    paper.facts(
        {
            "workflow": workflow["id"],
            "title": workflow["title"],
            "mode": workflow["mode"],
            "stage": workflow["stage"],
            "since": paper.when(workflow["stage_since"]) if workflow["stage_since"] else None,
            "because": workflow["stage_reason"] or None,
            "pause test": _pause_test(paper, workflow["pause_test"]),
            "incident": workflow["incident"],
            **{f"{role} owner": address for role, address in workflow["owners"].items()},
        }
    )
    paper.heading("Versions")
    paper.table(
        ("version", "applied", "by", "reason"),
        [
            (v["version"], paper.when(v["at"]), v["by"]["id"], in_short(v["reason"]))
            for v in found["versions"]
        ],
        empty="No version is recorded.",
    )


def _pause_test(paper: Paper, found: Any) -> str:
    if found is None:
        return "never done; begin with: stopwork pause-test WORKFLOW"
    return f"{'passed' if found['passed'] else 'FAILED'} {paper.when(found['at'])}"


@workflows.command("show")
@click.argument("workflow")
@answers(_show_workflow)
def show_workflow(cli: Invocation, workflow: str) -> Any:
    """Show one workflow and the versions of its manifest."""
    return {
        "workflow": cli.server.get("/v1/workflows/{workflow}", workflow=workflow),
        "versions": cli.server.get("/v1/workflows/{workflow}/versions", workflow=workflow),
    }


def _show_stage(paper: Paper, found: Any) -> None:
    paper.line(f"{found['id']} is on the stage {found['stage']}. It goes up again only through a re-enable.")


@workflows.command("stage")
@click.argument("workflow")
@click.argument("stage", type=click.Choice([each.value for each in Stage]))
@reason_option("Why; asked for when it is left out.")
@click.option("--incident", metavar="ID", help="The incident that this belongs to.")
@answers(_show_stage)
def change_stage(cli: Invocation, workflow: str, stage: str, reason: str | None, incident: str | None) -> Any:
    """Take autonomy away from a workflow, or give it the next stage.

    Anyone takes it away. The business owner gives the next stage after a run that succeeded on the present one; after an incident
    that is done with: stopwork reenable raise
    """
    reason = cli.ask(reason, "Why is it changed?", option="--reason")
    body = {"stage": stage, "reason": reason, "incident": incident}
    cli.server.post("/v1/workflows/{workflow}/stage", body, workflow=workflow)
    return cli.server.get("/v1/workflows/{workflow}", workflow=workflow)


def _show_preparedness(paper: Paper, found: Any) -> None:
    paper.line(f"{found['workflow']} is {found['score']} % ready for its next incident.")
    paper.table(
        ("check", "state", "found", "to do"),
        [(each["check"], each["state"], each["found"], each["todo"]) for each in found["checks"]],
        empty="No check is known.",
    )


@click.command()
@click.argument("workflow")
@click.option("--incident", metavar="ID", help="Record the answers as the last phase of this incident.")
@answers(_show_preparedness)
def check(cli: Invocation, workflow: str, incident: str | None) -> Any:
    """Say how ready a workflow is for its next incident: ten checks, answered from records."""
    if incident is not None:
        return cli.server.post("/v1/incidents/{incident}/preparedness", incident=incident)
    return cli.server.get("/v1/workflows/{workflow}/preparedness", workflow=workflow)
