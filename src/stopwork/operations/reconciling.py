"""Reconciling: calls whose end nobody saw are settled by what their systems show, as a person would settle them who has looked.

It is a background duty, and settles nothing that a person would have to guess (:mod:`stopwork.incidents.doubt`). A call rests first:
what was cut off may still arrive. Then it is looked at, and again whenever it has been open for twice as long.
"""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from typing import Final

from stopwork.incidents.doubt import doubtful, shown
from stopwork.kernel.errors import Conflict
from stopwork.kernel.phrases import listed
from stopwork.ledger.records import Call, Effect, Principal
from stopwork.ledger.words import Outcome, PrincipalKind
from stopwork.operations.installation import Installation
from stopwork.operations.looking import look
from stopwork.operations.settling import settle
from stopwork.storage.view import View

AS_RECONCILING: Final = Principal(kind=PrincipalKind.SYSTEM, id="reconciling")
#: How long a call rests before its objects count: what was sent before a connection broke may take effect until then.
REST: Final = timedelta(minutes=10)
MOST_AT_ONCE: Final = 50
MOST_OPEN: Final = 1_000


class Reconciling:
    """The duty of one installation, and when it has looked at which call."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._looked_at: dict[str, datetime] = {}

    def look(self) -> int:
        """Look at what calls left whose turn it is, settle those that can be told, and answer how many those were."""
        store = self._installation.store
        now = store.clock.now()
        calls = store.read(lambda view: self._due(view, now))
        return sum(self._settled(call) for call in calls)

    def _due(self, view: View, now: datetime) -> list[Call]:
        open_calls = [
            call
            for call in view.find(Call, outcome=Outcome.UNKNOWN, order="-requested_at", limit=MOST_OPEN)
            if doubtful(call) and not _touched_since(view, call)
        ]
        known = {call.id for call in open_calls}
        self._looked_at = {call: at for call, at in self._looked_at.items() if call in known}
        due = [call for call in open_calls if self._is_due(call, now)][:MOST_AT_ONCE]
        self._looked_at |= {call.id: now for call in due}
        return due

    def _is_due(self, call: Call, now: datetime) -> bool:
        ended_at = call.finished_at or call.requested_at
        last = self._looked_at.get(call.id)
        return now - ended_at >= REST and (last is None or now - last >= last - ended_at)

    def _settled(self, call: Call) -> bool:
        systems = self._installation.systems
        objects = [each.object for each in call.before]
        outcome = shown(call, look(systems, objects))
        if outcome is None:
            return False
        what = listed([str(ref) for ref in objects])
        note = {
            Outcome.SUCCEEDED: f"{what} now holds what the call was to leave there, and did not before",
            Outcome.FAILED: f"{what} is exactly as it was before the call, and not as it asked",
        }[outcome]
        with contextlib.suppress(Conflict):  # somebody has settled it meanwhile
            settle(self._installation, AS_RECONCILING, call=call.id, outcome=outcome, note=note)
            return True
        return False


def _touched_since(view: View, call: Call) -> bool:
    """Answer whether another call has changed one of its objects since: then what is there says nothing of this one."""
    began_at = call.attempted_at or call.requested_at
    return any(
        each.call != call.id
        for captured in call.before
        for each in view.find(
            Effect, object_key=str(captured.object), at_from=began_at, order="at", limit=MOST_AT_ONCE
        )
    )
