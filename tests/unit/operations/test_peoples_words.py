"""Contract of what people write: it is bounded in every operation, whatever way it came in; what is too long is refused with its field, its length
and the way out, and nothing of it is on record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stopwork.kernel.errors import Invalid
from stopwork.ledger.peoples_words import MAX_SENTENCE_CHARS, MAX_TEXT_CHARS
from stopwork.ledger.records import Note, Scope
from stopwork.ledger.words import HoldMode, IncidentType, ScopeKind, Severity
from stopwork.operations import holds, incidents, legal_hold, privacy, timeline, triage
from stopwork.storage.transaction import Tx
from tests.support.office import DANA, LEE, MANIFEST, WORKFLOW, Office

LONG = "x" * (MAX_TEXT_CHARS + 1)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Office(tmp_path, manifest=MANIFEST) as opened:
        yield opened


def opened(office: Office) -> str:
    return office.write(
        lambda tx: incidents.open_by_hand(
            tx, office.inst.manifests, workflow=WORKFLOW, type=IncidentType.BAD_WRITEBACK
        ),
        actor=LEE,
    ).id


WAYS: dict[str, tuple[str, Callable[[Tx, Office, str], Any]]] = {
    "a note": ("text", lambda tx, _, of: incidents.add_note(tx, incident=of, text=LONG)),
    "a root cause": ("text", lambda tx, _, of: incidents.record_root_cause(tx, incident=of, text=LONG)),
    "a hand-over": (
        "note",
        lambda tx, _, of: incidents.hand_over(
            tx, incident=of, role="commander", to="kim@acme.test", note=LONG
        ),
    ),
    "a severity": (
        "reason",
        lambda tx, at, of: incidents.change_severity(
            tx, at.inst.manifests, incident=of, severity=Severity.SEV0, reason=LONG
        ),
    ),
    "a legal hold": ("reason", lambda tx, _, of: legal_hold.hold(tx, incident=of, reason=LONG)),
    "privacy": (
        "reason",
        lambda tx, _, of: privacy.restrict(tx, incident=of, readers=("kim@acme.test",), reason=LONG),
    ),
    "a false alarm": ("reason", lambda tx, _, of: triage.decline(tx, incident=of, reason=LONG)),
    "a pause": (
        "reason",
        lambda tx, _, __: holds.pause(
            tx, scope=Scope(kind=ScopeKind.WORKFLOW, name=WORKFLOW), mode=HoldMode.BLOCK, reason=LONG
        ),
    ),
    "a title": (
        "title",
        lambda tx, at, _: incidents.open_by_hand(
            tx, at.inst.manifests, workflow=WORKFLOW, type=IncidentType.COST_RUNAWAY, title=LONG
        ),
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_too_long_is_refused_with_its_field(office: Office, way: str) -> None:
    field, says = WAYS[way]
    incident = opened(office)
    before = office.store.last_seq
    with pytest.raises(Invalid) as refused:
        office.write(lambda tx: says(tx, office, incident), actor=DANA)
    problem = refused.value.problem()
    assert (problem["field"], problem["found"]) == (field, len(LONG))
    assert refused.value.hint
    assert len(str(problem)) < 1_000
    assert office.store.last_seq == before


def test_a_correction_is_bounded_as_the_note_is(office: Office) -> None:
    incident = opened(office)
    office.write(lambda tx: incidents.add_note(tx, incident=incident, text="so it was"), actor=LEE)
    entry = office.store.last_seq
    with pytest.raises(Invalid) as refused:
        office.write(
            lambda tx: timeline.correct(tx, incident=incident, entry=entry, reason="it was not", text=LONG),
            actor=LEE,
        )
    assert refused.value.problem()["field"] == "text"


def test_as_much_as_there_is_room_for_is_kept_whole(office: Office) -> None:
    incident = opened(office)
    text = "y" * MAX_TEXT_CHARS
    office.write(lambda tx: incidents.add_note(tx, incident=incident, text=text), actor=LEE)
    office.write(
        lambda tx: legal_hold.hold(tx, incident=incident, reason="z" * MAX_SENTENCE_CHARS), actor=DANA
    )
    [note] = office.read(lambda view: list(view.each(Note)))
    assert note.text == text
