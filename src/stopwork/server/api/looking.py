"""Looking at what is evidence: that a person read what a sensitive incident or its calls hold is recorded, whichever way they asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from stopwork.operations import custody, privacy
from stopwork.server.api.endpoint import Act, Given
from stopwork.storage.view import View


def looking_at(what: str, read: Callable[[View, Given], Any]) -> Act:
    """Answer what ``read`` does, and note the look at each sensitive incident to whose runs something in the answer belongs."""

    def act(given: Given) -> Any:
        answer = _seen(given, read)
        named = what if isinstance(answer, list) else f"{what} {answer.id}"
        custody.note_reading(given.installation, given.actor, what=named, runs=frozenset(_runs_in(answer)))
        return answer

    return Act(act)


def looking_into(what: str, read: Callable[[View, Given], Any]) -> Act:
    """Answer what ``read`` does, and note the look at the incident that the path names or that the answer is about, where it is sensitive."""

    def act(given: Given) -> Any:
        answer = _seen(given, read)
        if incident := given.path.get("incident") or _incident_in(answer):
            custody.note_reading(given.installation, given.actor, what=what, incident=incident)
        return answer

    return Act(act)


def _seen(given: Given, read: Callable[[View, Given], Any]) -> Any:
    store = given.installation.store
    return store.read(lambda view: read(privacy.seen_by(view, given.actor, store.clock.now()), given))


def _runs_in(answer: Any) -> Iterator[str]:
    """Answer the runs that records or lines of the journal are about."""
    for each in answer if isinstance(answer, list) else [answer]:
        event = getattr(each, "event", None)
        run = event.get("run") if isinstance(event, dict) else getattr(each, "run", None)
        if isinstance(run, str):
            yield run


def _incident_in(answer: Any) -> str | None:
    """Answer the incident that a record, or all of several, are about."""
    found: str | None = getattr(
        answer[0] if isinstance(answer, list) and answer else answer, "incident", None
    )
    return found
