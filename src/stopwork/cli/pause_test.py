"""``stopwork pause-test``: prove that a pause stops a workflow, without stopping it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from stopwork.cli.exits import Exit
from stopwork.cli.invocation import Answer, Invocation, answers
from stopwork.kernel.phrases import count_of

if TYPE_CHECKING:
    from stopwork.cli.printing import Paper


def _show_test(paper: Paper, found: Any) -> None:
    paper.table(
        ("level", "held", "result", "refused after", "what was seen"),
        [
            (each["level"], each["name"], each["state"], _after(each["refused_after_s"]), each["text"])
            for each in found["levels"]
        ],
        empty="No level was tested.",
    )
    paper.line(_guards(found))
    for name in found["unconfirmed"]:
        paper.line(f"  {name} is alive and did not confirm")
    for name in found["silent"]:
        paper.line(f"  {name} is silent: it can begin nothing without a permit, and was not waited for")
    passed = "passed" if found["passed"] else "FAILED: a pause may not stop this workflow"
    paper.line(f"Pause test of version {found['version']}: {passed}. Nothing was stopped by it.")


def _guards(found: Any) -> str:
    if not found["points"]:
        return "No enforcement point is connected, so only the control plane was tested."
    heard = found["points"] - len(found["unconfirmed"]) - len(found["silent"])
    points = count_of(found["points"], "enforcement point")
    return f"{heard} of {points} confirmed within {found['confirmed_after_s']:.1f} s."


def _after(seconds: float | None) -> str | None:
    return None if seconds is None else f"{1_000 * seconds:.1f} ms"


@click.command("pause-test")
@click.argument("workflow")
@answers(_show_test)
def pause_test(cli: Invocation, workflow: str) -> Any:
    """Prove that a pause stops a workflow, at each of the four levels, without stopping it.

    A harmless probe asks for a call under a hold that nobody else ever meets, and each live guard confirms that it has heard. The
    result, with its time, goes into the workflow's preparedness. Exits with 1 when the test fails.
    """
    found = cli.server.post("/v1/workflows/{workflow}/pause-test", workflow=workflow)
    return found if found["passed"] else Answer(value=found, exit=Exit.REFUSED)
