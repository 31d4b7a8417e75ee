"""The audit on an incident's page, and the list of affected objects on its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from stopwork.incidents import affected
from stopwork.incidents.case import Case
from stopwork.incidents.scope import described, uncovered
from stopwork.incidents.similar import REVIEWED
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations import audits, similarities
from stopwork.server.pages import contexts as c
from stopwork.server.pages.builders.incidents import affected_rows
from stopwork.server.pages.builders.look import Look
from stopwork.server.pages.vocabulary import label

#: How many objects, later calls and similar calls the incident's page shows before it refers to a page of their own.
SHOWN: Final = 25
OBJECTS_A_PAGE: Final = 50
MAX_CHOICES: Final = 200


def audit_panel(look: Look, case: Case) -> c.AuditPanel:
    """Answer the newest audit with the first of its objects, or the form for the first one."""
    known = case.audit
    tools = tuple(sorted(case.current.tools))
    if known is None:
        return c.AuditPanel(audit=None, tools=tools)
    view = look.view
    incident = case.incident.id
    scoped = audits.audited(view, look.manifests, incident) if known.scope.narrowed else case
    objects = affected.affected_objects(scoped)
    alike = None
    if case.incident.type in REVIEWED:
        bad = similarities.bad_calls(view, incident)
        alike = similarities.similar_calls(view, bad, limit=SHOWN) if bad else None
    return c.AuditPanel(
        audit=known,
        scope=described(known.scope) if known.scope.narrowed else "",
        uncovered=uncovered(case),
        total=len(objects),
        objects=_rows(look, scoped, objects[:SHOWN]),
        similar=alike,
        tools=tools,
    )


def objects(look: Look, incident_id: str) -> c.ObjectsContext:
    """Answer the affected objects, filtered and paged; the filters stand in the address."""
    case = audits.audited(look.view, look.manifests, incident_id)
    every = affected.affected_objects(case)
    operation = look.query.get("operation", "")
    can = {"yes": True, "no": False}.get(look.query.get("reversible", ""))
    fitting = affected.narrowed(
        every,
        affected.Narrowed(
            system=look.query.get("system", ""),
            type=look.query.get("type", ""),
            operation=w.Operation(operation) if operation in set(w.Operation) else None,
            call=look.query.get("call", ""),
            reversible=can,
        ),
    )
    after = look.query.get("after", "")
    found = affected.page_of(fitting, after=after, limit=OBJECTS_A_PAGE + 1)
    shown = found[:OBJECTS_A_PAGE]
    here = f"/incidents/{incident_id}/objects"
    return c.ObjectsContext(
        frame=look.frame(f"Affected objects of {incident_id}", "incidents", watch="none"),
        incident=case.incident,
        objects=_rows(look, case, shown),
        total=len(every),
        fitting=len(fitting),
        call=look.query.get("call", ""),
        filters=(
            _choices(look, "system", "System", [each.object.system for each in every]),
            _choices(look, "type", "Type", [each.object.type for each in every]),
            look.chosen(
                "operation",
                "Change",
                [("", "any"), *((it.value, label(it)) for it in sorted({each.operation for each in every}))],
            ),
            look.chosen("reversible", "Can be undone", [("", "any"), ("yes", "yes"), ("no", "no")]),
        ),
        paging=c.Paging(
            shown=len(shown),
            newest=look.address(here, after="") if after else None,
            older=look.address(here, after=str(shown[-1].object)) if len(found) > len(shown) else None,
        ),
    )


def _rows(look: Look, case: Case, objects: Sequence[affected.AffectedObject]) -> tuple[c.AffectedRow, ...]:
    return affected_rows(case.effects, case.items, tuple(objects), look.view.get(r.Drift, case.incident.id))


def _choices(look: Look, name: str, text: str, values: Sequence[str]) -> c.Filter:
    return look.chosen(name, text, [("", "any"), *((it, it) for it in sorted(set(values))[:MAX_CHOICES])])
