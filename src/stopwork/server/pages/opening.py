"""Opening a record by its id: every id that a page shows leads to the page that tells about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from stopwork.kernel.errors import NotFound
from stopwork.ledger import records as r
from stopwork.ledger.words import Phase
from stopwork.storage.view import View


def _of_incident(record: Any, phase: Phase) -> str:
    return f"/incidents/{record.incident}#{phase}"


_PAGES: Final[dict[str, tuple[type[r.Record], Callable[[Any], str]]]] = {
    "call": (r.Call, lambda it: f"/runs/{it.run}#{it.id}"),
    "eff": (r.Effect, lambda it: f"/runs/{it.run}#{it.call}"),
    "step": (r.Step, lambda it: f"/runs/{it.run}"),
    "msg": (r.Message, lambda it: _of_incident(it, Phase.COMMUNICATE)),
    "audit": (r.Audit, lambda it: _of_incident(it, Phase.AUDIT)),
    "plan": (r.Plan, lambda it: _of_incident(it, Phase.RECOVER)),
    "item": (r.Item, lambda it: _of_incident(it, Phase.RECOVER)),
    "bundle": (r.Bundle, lambda it: _of_incident(it, Phase.PRESERVE)),
    "run": (r.Run, lambda it: f"/runs/{it.id}"),
    "hold": (r.Hold, lambda it: f"/holds/{it.id}"),
    "sig": (r.Signal, lambda it: f"/incidents/{it.incident}" if it.incident else f"/signals#{it.id}"),
    "appr": (r.Approval, lambda it: f"/approvals/{it.id}"),
}
#: The kinds of id that can be opened.
OPENED: Final = frozenset(_PAGES)


def page_of(view: View, record_id: str) -> str:
    """Answer the address of the page that tells about the record with this id; ``NotFound`` where there is none.

    What a call may have changed, whose end nobody saw, is called by the call and the object: it stands with the call.
    """
    for each in dict.fromkeys((record_id, record_id.partition(":")[0])):
        prefix = each.partition("_")[0]
        kinds = [_PAGES[prefix]] if prefix in _PAGES else list(_PAGES.values())
        for kind, address in kinds:
            record = view.get(kind, each)
            if record is not None:
                return address(record)
    raise NotFound(f"there is no record {record_id:.100}", hint="Look it up in the journal.")
