"""Private incidents: who sees one is said by name, and for everybody else there is none.

Everything that people are shown is read through :func:`seen_by`, and everything they change passes :func:`require_seen`. What the software
decides by itself knows of every incident.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final

from stopwork.incidents.lifecycle import require_open
from stopwork.kernel.addresses import one_address
from stopwork.kernel.errors import Invalid, StopworkError
from stopwork.ledger import records as r
from stopwork.ledger.events import ReadersChanged
from stopwork.ledger.words import PrincipalKind
from stopwork.operations.people import administrators, require_known_person, require_person
from stopwork.storage.discreet import DiscreetView, may_tell
from stopwork.storage.glances import private_as
from stopwork.storage.store import Store
from stopwork.storage.transaction import Tx
from stopwork.storage.view import Stored, View, missing

MAX_READERS: Final = 50

#: What a request may name that belongs to an incident, by the name it is given under.
_KINDS: Final[dict[str, tuple[type[r.Record], ...]]] = {
    "incident": (r.Incident,),
    "into": (r.Incident,),
    "signal": (r.Signal,),
    "signals": (r.Signal,),
    "plan": (r.Plan,),
    "item": (r.Item, r.ContainmentItem),
    "items": (r.Item,),
    "message": (r.Message,),
    "record": (r.Signal, r.Plan, r.Item, r.Message, r.Bundle, r.Audit),
}


class _Private(r.Record):
    """Who sees a private incident, besides administrators."""

    id: str
    readers: tuple[str, ...] = ()


def hidden_from(view: View, reader: r.Principal, now: datetime) -> frozenset[str]:
    """Answer the incidents that are kept from this reader; administrators and the software itself see every one."""
    if reader.kind is PrincipalKind.SYSTEM:
        return frozenset()
    private = private_as(view, _Private)
    if not private:
        return frozenset()
    person = reader.id if reader.kind is PrincipalKind.PERSON else None
    if person in administrators(view, now):
        return frozenset()
    return frozenset(each.id for each in private if person not in each.readers)


def seen_by(view: View, reader: r.Principal, now: datetime) -> View:
    """Answer the view as this reader sees it."""
    hidden = hidden_from(view, reader, now)
    return DiscreetView(view, hidden) if hidden else view


def apart_from(view: View, incident: str) -> tuple[View, Callable[[Stored], bool]]:
    """Answer the view of whoever sees this incident and no other private one, and which journal rows they may be given as they are stored."""
    hidden = frozenset(each.id for each in private_as(view, _Private)) - {incident}
    if not hidden:
        return view, lambda _row: True
    discreet = DiscreetView(view, hidden)
    return discreet, discreet.shows


def require_seen(view: View, reader: r.Principal, now: datetime, *, named: dict[str, Any]) -> None:
    """Raise ``NotFound``, as if there were none, where a request names something of an incident that is kept from the reader."""
    asked = [
        (kind, each) for name, kinds in _KINDS.items() for each in _ids(named.get(name)) for kind in kinds
    ]
    hidden = hidden_from(view, reader, now) if asked else frozenset()
    if not hidden:
        return
    for kind, record_id in asked:
        record = view.get(kind, record_id)
        if record is not None and (record_id in hidden or getattr(record, "incident", None) in hidden):
            raise missing(kind, record_id)


def _ids(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list | tuple) else ()


def told(store: Store, reader: r.Principal, error: StopworkError) -> StopworkError:
    """Answer the error without the names of incidents that are kept from the reader, and without why their holds are there."""
    if reader.kind is not PrincipalKind.PERSON or not may_tell(f"{error} {error.fields}".encode()):
        return error
    return store.read(lambda view: _told(seen_by(view, reader, store.clock.now()), error))


def _told(seen: View, error: StopworkError) -> StopworkError:
    if isinstance(seen, DiscreetView):
        error.detail = seen.unsaid(error.detail)
        error.hint = seen.unsaid(error.hint)
        error.fields = {
            key: seen.unsaid(value) if isinstance(value, str) else value
            for key, value in error.fields.items()
            if not isinstance(value, list | tuple)
            or all(seen.unsaid(f"{each}") == f"{each}" for each in value)
        }
    return error


def restrict(tx: Tx, *, incident: str, readers: Iterable[str], reason: str) -> r.Incident:
    """Let only these people, whom the server knows, see the incident, and administrators; whoever asks and its commander are always among them."""
    person = require_person(tx, "make an incident private")
    known = tx.need(r.Incident, incident)
    require_open(known)
    named = dict.fromkeys(one_address(each, "readers") for each in readers)
    people = tuple(dict.fromkeys((person, known.commander, *named)))
    if len(people) > MAX_READERS:
        raise Invalid(
            f"{len(people)} people are named, and at most {MAX_READERS} can be",
            hint="Name those who work on it.",
            field="readers",
        )
    for each in named:
        require_known_person(tx, each, field="readers", besides=(person, known.commander, *known.readers))
    return _change(tx, known, private=True, readers=people, reason=reason)


def open_up(tx: Tx, *, incident: str, reason: str) -> r.Incident:
    """Let everybody see the incident again."""
    require_person(tx, "open a private incident up")
    known = tx.need(r.Incident, incident)
    return _change(tx, known, private=False, readers=(), reason=reason) if known.private else known


def _change(
    tx: Tx, incident: r.Incident, *, private: bool, readers: tuple[str, ...], reason: str
) -> r.Incident:
    if not reason.strip():
        raise Invalid("a reason is needed", hint="Say in a sentence why.", field="reason")
    if (incident.private, incident.readers) != (private, readers):
        tx.record(
            ReadersChanged(
                incident=incident.id,
                workflow=incident.workflow,
                private=private,
                readers=readers,
                reason=reason.strip(),
            )
        )
    return tx.need(r.Incident, incident.id)
