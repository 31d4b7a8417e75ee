"""Looking at what is evidence: that a person read what calls of a sensitive incident hold is recorded, whichever way they asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from stopwork.operations import custody, privacy
from stopwork.server.api.endpoint import Act, Given
from stopwork.storage.view import View


def looking_at(what: str, read: Callable[[View, Given], Any]) -> Act:
    """Answer what ``read`` does, and note the look at each sensitive incident to whose runs something in the answer belongs."""

    def act(given: Given) -> Any:
        store = given.installation.store
        answer = store.read(lambda view: read(privacy.seen_by(view, given.actor, store.clock.now()), given))
        named = what if isinstance(answer, list) else f"{what} {answer.id}"
        custody.note_reading(given.installation, given.actor, runs=frozenset(_runs_in(answer)), what=named)
        return answer

    return Act(act)


def _runs_in(answer: Any) -> Iterator[str]:
    """Answer the runs that records or lines of the journal are about."""
    for each in answer if isinstance(answer, list) else [answer]:
        event = getattr(each, "event", None)
        run = event.get("run") if isinstance(event, dict) else getattr(each, "run", None)
        if isinstance(run, str):
            yield run
