"""Looking at what is evidence: that somebody read what a call of a sensitive incident holds is recorded."""

from __future__ import annotations

from stopwork.ledger import records as r
from stopwork.operations import custody
from stopwork.server.api.endpoint import Given


def read_call(given: Given) -> r.Call:
    """Answer one call, and note the look where it belongs to an incident whose data is sensitive."""
    call = given.installation.store.read(lambda view: view.need(r.Call, given.path["call"]))
    custody.note_reading(given.installation, given.actor, run=call.run, what=f"call {call.id}")
    return call
