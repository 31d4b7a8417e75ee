"""What is held, in words that say what the holds cover and never more: a held tool is not a paused workflow."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from stopwork.control.holds import answer
from stopwork.kernel.phrases import listed
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.manifest.model import Manifest, Tool

_PARTS: Final = {
    w.ScopeKind.EVERYTHING: "everything",
    w.ScopeKind.WORKFLOW: "all of {name}",
    w.ScopeKind.TRIGGER: "runs started by {name}",
    w.ScopeKind.TOOL: "tool {name}",
    w.ScopeKind.PERMISSION: "permission {name}",
    w.ScopeKind.SOURCE: "input from {name}",
    w.ScopeKind.DESTINATION: "what goes to {name}",
}
_BUT: Final = {
    w.HoldMode.BLOCK: "",
    w.HoldMode.READ_ONLY: " but reading",
    w.HoldMode.DRAFT_ONLY: " but reading and drafts",
    w.HoldMode.APPROVAL_REQUIRED: " until approved",
}
_WHOLE: Final = (w.ScopeKind.EVERYTHING, w.ScopeKind.WORKFLOW)
#: What can be told from the name of a tool alone.
_BY_TOOL: Final = (*_WHOLE, w.ScopeKind.TOOL, w.ScopeKind.PERMISSION)


def part(scope: r.Scope) -> str:
    """Answer what a scope covers: ``tool crm.create_task``; within which workflow stands beside it."""
    of_item = f"{scope.item} of " if scope.item is not None else ""
    return _PARTS[scope.kind].format(name=f"{of_item}{scope.name}")


def held(holds: Iterable[r.Hold]) -> str:
    """Answer what active holds have stopped: ``Paused`` only when they stop a whole workflow."""
    every = tuple(holds)
    return "Paused" if _stops_all(every) else f"Held: {_parts(every)}"


def pausing(holds: Iterable[r.Hold]) -> str:
    """Answer what holds are about to stop, while something they cover may still run."""
    every = tuple(holds)
    return "Pausing" if _stops_all(every) else f"Pausing {_parts(every)}"


def enforced(holds: Iterable[r.Hold]) -> str:
    """Answer where nothing more is let begin, while something that began before may still run."""
    every = tuple(holds)
    return "Enforced" if _stops_all(every) else f"Enforced on {_parts(every)}"


def goes_on(holds: Iterable[r.Hold], manifest: Manifest) -> str:
    """Answer which tools may still run; empty where the answer hangs on more than the tool."""
    every = tuple(holds)
    if not every or any(hold.scope.kind not in _BY_TOOL for hold in every):
        return ""
    free = [
        name for name, tool in manifest.tools.items() if not any(_stops(hold, name, tool) for hold in every)
    ]
    return f"{listed(free)} may still run" if free else "nothing of this workflow runs"


def _stops_all(holds: tuple[r.Hold, ...]) -> bool:
    return any(hold.scope.kind in _WHOLE and hold.mode is w.HoldMode.BLOCK for hold in holds)


def _parts(holds: tuple[r.Hold, ...]) -> str:
    return listed(dict.fromkeys(f"{part(hold.scope)}{_BUT[hold.mode]}" for hold in holds))


def _stops(hold: r.Hold, name: str, tool: Tool) -> bool:
    covered = {w.ScopeKind.TOOL: name, w.ScopeKind.PERMISSION: tool.permission}.get(
        hold.scope.kind, hold.scope.name
    )
    return covered == hold.scope.name and answer(hold.mode, tool.effect) is not w.Verdict.ALLOW
