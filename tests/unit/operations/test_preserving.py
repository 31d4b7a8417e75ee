"""Contract of preserving: the evidence of a grave incident is sealed by itself, again when more has come, and not endlessly. It is held,
has all ten kinds or says what to do, holds what people added, and says who handled it.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from stopwork.incidents.preserve import FIRST_WAIT, MOST_BY_ITSELF, due_because
from stopwork.kernel.errors import Denied, Invalid, NotFound, Tampered, TooLarge
from stopwork.ledger.records import Bundle, Incident, LegalHold, Principal, Scope
from stopwork.ledger.verify import Outcome, verify_bundle
from stopwork.ledger.words import (
    CustodyDeed,
    EvidenceKind,
    IncidentStatus,
    IncidentType,
    Operation,
    PrincipalKind,
    RunStatus,
    ScopeKind,
    Severity,
)
from stopwork.operations import (
    attaching,
    custody,
    evidence,
    feeds,
    holds,
    incidents,
    preserving,
    privacy,
    runs,
    sealing,
)
from stopwork.operations.installation import BLOBS, EVIDENCE
from stopwork.operations.payload import LARGE_TEXT_CHARACTERS
from stopwork.operations.preserving import AS_PRESERVING
from stopwork.storage.blobs import MAX_BLOB_BYTES, FolderBlobs
from stopwork.storage.fsck import fsck
from stopwork.storage.tables import journal
from stopwork.storage.transaction import Tx
from tests.support.office import AGENT, DANA, LEE, WORKFLOW, Office
from tests.support.trouble import Trouble


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with Office(tmp_path) as office:
        yield office


@pytest.fixture
def trouble(office: Office) -> Trouble:
    return Trouble(office)


def bundles(trouble: Trouble) -> list[Bundle]:
    found = trouble.office.read(lambda view: list(view.each(Bundle, incident=trouble.incident)))
    return sorted(found, key=lambda bundle: bundle.path)


def content(trouble: Trouble, name: str) -> list[Any]:
    """Answer the lines of a file of the newest bundle."""
    with zipfile.ZipFile(trouble.office.inst.folder / EVIDENCE / bundles(trouble)[-1].path) as bag:
        return [json.loads(line) for line in bag.read(f"data/{name}").splitlines()]


def test_it_is_sealed_by_itself_when_it_opens_and_says_so(trouble: Trouble) -> None:
    (bundle,) = bundles(trouble)
    assert (bundle.by, bundle.automatic) == (AS_PRESERVING, True)
    assert "by itself, because the incident is SEV" in bundle.reason
    assert trouble.known.sealed_at is not None
    path = trouble.office.inst.folder / EVIDENCE / bundle.path
    assert verify_bundle(path, [trouble.office.inst.signer.vkey]).outcome is Outcome.VERIFIED


def test_nothing_new_means_nothing_is_sealed_again(trouble: Trouble) -> None:
    for _ in range(2):
        trouble.office.wait(hours=1)  # the run is given up, and that is a signal
    known = bundles(trouble)
    for _ in range(5):
        trouble.office.wait(minutes=30)
    assert bundles(trouble) == known


def test_what_comes_later_is_sealed_after_a_while(trouble: Trouble) -> None:
    office = trouble.office
    office.wait(seconds=10)
    office.write(partial(runs.finish, run=trouble.run, status=RunStatus.SUCCEEDED))
    office.wait(minutes=1)
    assert len(bundles(trouble)) == 1
    office.wait(minutes=5)
    (_, again) = bundles(trouble)
    assert (again.automatic, again.reason) == (True, "by itself, because more has come since")
    assert again.entries > bundles(trouble)[0].entries


class SlowBlobs(FolderBlobs):
    """Blobs that take their time: something else happens ``meanwhile``, once."""

    def __init__(self, folder: Path, meanwhile: Callable[[], object]) -> None:
        super().__init__(folder)
        self._meanwhile = iter([meanwhile])

    def read(self, digest: str) -> Iterator[bytes]:
        for happens in self._meanwhile:
            happens()
        return super().read(digest)


def test_what_comes_while_a_bundle_is_written_is_sealed_too(trouble: Trouble) -> None:
    office = trouble.office
    attach(trouble)
    office.wait(seconds=10)

    def the_run_ends() -> None:
        office.write(partial(runs.finish, run=trouble.run, status=RunStatus.SUCCEEDED))
        office.wait(minutes=2, without="preserving")

    office.inst.blobs = SlowBlobs(office.inst.folder / BLOBS, the_run_ends)
    evidence.seal(office.inst, LEE, incident=trouble.incident)
    office.wait(minutes=6)
    assert [bundle.automatic for bundle in bundles(trouble)] == [True, False, True]


def test_of_two_servers_that_seal_by_themselves_one_bundle_stays(trouble: Trouble) -> None:
    (first,) = bundles(trouble)
    late = evidence.seal(
        trouble.office.inst, AS_PRESERVING, incident=trouble.incident, reason="by itself", bundles=0
    )
    assert (late, bundles(trouble)) == (first, [first])
    assert [path.name for path in (trouble.office.inst.folder / EVIDENCE).iterdir()] == [first.path]


def test_each_time_it_waits_longer_and_it_ends(trouble: Trouble) -> None:
    (first,) = bundles(trouble)
    made, now = [first], first.at
    while now < first.at + timedelta(days=30):
        now += timedelta(minutes=1)
        if due_because(trouble.known, made, now, more=True):
            made.append(replace(first, at=now))
    waits = [later.at - earlier.at for earlier, later in pairwise(made)]
    assert waits == [FIRST_WAIT * 2**time for time in range(MOST_BY_ITSELF - 1)]


@pytest.mark.parametrize(
    "change",
    [{"severity": Severity.SEV3}, {"status": IncidentStatus.CLOSED}],
    ids=["a small one", "a closed one"],
)
def test_incidents_that_are_left_to_people(trouble: Trouble, change: dict[str, Any]) -> None:
    incident, now = trouble.known, trouble.office.clock.now()
    assert due_because(incident, [], now, more=False)
    assert not due_because(replace(incident, **change), [], now, more=False)


def test_a_small_incident_is_left_to_people_until_it_rises(office: Office) -> None:
    rules = office.inst.manifests
    known = office.write(
        partial(
            incidents.open_by_hand,
            manifests=rules,
            workflow="renewals",
            type=IncidentType.STALE_OR_WRONG_INPUT,
            severity=Severity.SEV3,
        ),
        actor=LEE,
    )
    office.wait(minutes=1)
    raised = office.read(lambda view: view.need(type(known), known.id))
    if raised.severity is Severity.SEV3:
        assert raised.bundle is None
        office.write(
            partial(
                incidents.change_severity,
                manifests=rules,
                incident=known.id,
                severity=Severity.SEV1,
                reason="A customer called.",
            ),
            actor=LEE,
        )
        office.wait(seconds=1)
    assert office.read(lambda view: view.need(type(known), known.id)).bundle is not None


def test_it_is_held_from_then_on_and_a_released_hold_is_not_set_again(trouble: Trouble) -> None:
    held = trouble.office.read(lambda view: view.need(LegalHold, trouble.incident))
    assert (held.active, held.set_by) == (True, AS_PRESERVING)
    trouble.seal()
    assert trouble.office.read(lambda view: view.need(LegalHold, trouble.incident)) == held


def test_every_kind_has_items_or_says_what_to_do(trouble: Trouble) -> None:
    bundle = trouble.seal()
    assert set(bundle.kinds) == {kind.value for kind in EvidenceKind}
    with zipfile.ZipFile(trouble.office.inst.folder / EVIDENCE / bundle.path) as bag:
        kinds = json.loads(bag.read("data/evidence/kinds.json"))
    for each in kinds:
        assert len(content(trouble, f"evidence/{each['kind']}.jsonl")) == each["items"]
        assert bool(each["items"]) != bool(each["missing"])
    assert all(". " in each["missing"] or "but yes" in each["missing"] for each in kinds if each["missing"])


def test_what_anchors_keep_of_the_log_is_in_it(trouble: Trouble) -> None:
    trouble.seal()
    assert content(trouble, "anchors.jsonl") == []  # this installation has none


def test_a_large_text_stands_in_a_file_of_its_own(trouble: Trouble) -> None:
    office = trouble.office
    text = "The whole page. " * (LARGE_TEXT_CHARACTERS // 8)
    office.do(trouble.run, "crm.create_task", account_id="acme", title=text)
    trouble.seal()
    titles = [call["args"].get("title") for call in content(trouble, "evidence/tool_trace.jsonl")]
    (beside,) = [title for title in titles if isinstance(title, dict)]
    assert beside["size_bytes"] == len(text)
    with zipfile.ZipFile(office.inst.folder / EVIDENCE / bundles(trouble)[-1].path) as bag:
        assert bag.read(f"data/blobs/{beside['blob'].removeprefix('sha256:')}").decode() == text


def attach(trouble: Trouble, name: str = "screen.png", data: bytes = b"\x89PNG\r\n") -> str:
    added = attaching.attach(
        trouble.office.inst,
        LEE,
        incident=trouble.incident,
        name=name,
        content=data,
        why="What the customer saw.",
    )
    return added.digest


def test_what_people_add_is_in_the_next_bundle(trouble: Trouble) -> None:
    digest = attach(trouble)
    bundle = trouble.seal()
    (listed,) = content(trouble, "blobs.jsonl")
    assert (listed["digest"], listed["name"]) == (digest, "screen.png")
    with zipfile.ZipFile(trouble.office.inst.folder / EVIDENCE / bundle.path) as bag:
        assert bag.read(f"data/{listed['file']}") == b"\x89PNG\r\n"
    assert verify_bundle(trouble.office.inst.folder / EVIDENCE / bundle.path).outcome is Outcome.VERIFIED


@pytest.mark.parametrize("harm", ["gone", "changed"])
def test_content_that_is_harmed_is_named_and_stops_no_sealing(trouble: Trouble, harm: str) -> None:
    digest = attach(trouble)
    (path,) = (trouble.office.inst.folder / BLOBS).glob("*/" + digest.removeprefix("sha256:"))
    path.unlink() if harm == "gone" else path.write_bytes(b"another picture")
    bundle = trouble.seal()
    assert any("screen.png" in each and digest in each for each in bundle.missing)
    (fault,) = fsck(trouble.office.store, blobs=trouble.office.inst.blobs).faults
    assert digest in fault.where
    assert "screen.png" in fault.what


def test_what_cannot_be_added_is_refused_with_the_reason(trouble: Trouble) -> None:
    add = partial(attaching.attach, trouble.office.inst, incident=trouble.incident, content=b"x")
    with pytest.raises(Denied):
        add(AGENT, name="log.txt")
    with pytest.raises(Invalid, match="no name"):
        add(LEE, name="\x00")
    with pytest.raises(TooLarge):
        attach(trouble, data=bytes(MAX_BLOB_BYTES + 1))
    with pytest.raises(NotFound):
        attaching.attach(trouble.office.inst, LEE, incident="AI-INC-2026-0101-001", name="a", content=b"x")


def test_custody_tells_who_did_what_and_only_looks_in_a_row_are_one(trouble: Trouble) -> None:
    office = trouble.office
    digest = attach(trouble)
    for _ in range(2):
        custody.note_look(office.inst, DANA, incident=trouble.incident, what="its page")
        blob, pieces = attaching.take(office.inst, DANA, incident=trouble.incident, digest=digest)
        assert (blob.name, b"".join(pieces)) == ("screen.png", b"\x89PNG\r\n")
    trouble.seal()
    evidence.fetch(office.inst, DANA, incident=trouble.incident)
    office.wait(minutes=20)
    custody.note_look(office.inst, DANA, incident=trouble.incident, what="its page")
    lines = office.read(lambda view: list(custody.custody(view, trouble.incident)))
    assert [(line.deed, line.by.id) for line in lines] == [
        (CustodyDeed.SEALED, "preserving"),
        (CustodyDeed.HELD, "preserving"),
        (CustodyDeed.ADDED, LEE.id),
        (CustodyDeed.VIEWED, DANA.id),
        (CustodyDeed.EXPORTED, DANA.id),
        (CustodyDeed.EXPORTED, DANA.id),
        (CustodyDeed.SEALED, LEE.id),
        (CustodyDeed.EXPORTED, DANA.id),
        (CustodyDeed.VIEWED, DANA.id),
    ]
    trouble.seal()
    told = content(trouble, "custody.jsonl")
    assert [line["deed"] for line in told] == [*(line.deed.value for line in lines), "sealed"]
    assert [line["digest"] for line in told[4:8:3]] == [digest, bundles(trouble)[1].digest]


def test_what_belongs_to_another_private_incident_is_not_in_it(trouble: Trouble) -> None:
    office, secret = trouble.office, "the director was called by name"
    stop = Scope(kind=ScopeKind.TOOL, name="mail.send", workflow=WORKFLOW)
    office.write(partial(holds.pause, scope=stop, reason=secret, incident=trouble.incident), actor=LEE)
    office.write(
        partial(privacy.restrict, incident=trouble.incident, readers=[DANA.id], reason=secret), actor=LEE
    )
    rules = office.inst.manifests
    other = office.write(
        partial(incidents.open_by_hand, manifests=rules, workflow=WORKFLOW, runs=(trouble.run,)), actor=LEE
    )
    for incident, told in ((other.id, False), (trouble.incident, True)):
        bundle = evidence.seal(office.inst, LEE, incident=incident)
        with zipfile.ZipFile(office.inst.folder / EVIDENCE / bundle.path) as bag:
            said = b"".join(bag.read(name) for name in bag.namelist())
        assert (secret.encode() in said, trouble.incident.encode() in said) == (told, told)
        assert any("private incident left out" in each for each in bundle.missing) is not told
        assert trouble.update.call.encode() in said, "what the run did is in both"


def test_what_the_system_itself_told_of_the_objects_is_in_the_connector_log(trouble: Trouble) -> None:
    office = trouble.office
    told = [
        feeds.Told(
            id=f"audit-{account}",
            at=office.clock.now(),
            by="svc-renewals",
            object=feeds.ChangedObject(type="account", id=account),
            operation=Operation.MODIFIED,
        )
        for account in ("acme", "of nobody here")
    ]
    feed = Principal(kind=PrincipalKind.FEED, id="crm")
    office.write(lambda tx: feeds.feed(tx, office.inst.manifests, system="crm", changes=told), actor=feed)
    trouble.seal()
    lines = content(trouble, f"evidence/{EvidenceKind.CONNECTOR_LOG}.jsonl")
    assert [line["id"] for line in lines if "told_at" in line] == ["crm/audit-acme"]


def test_an_incident_that_cannot_be_sealed_keeps_no_other_from_being(office: Office) -> None:
    harmed = Trouble(office, preserved=False)
    sealing.seal(office.store, office.inst.signer)
    other = office.write(
        partial(
            incidents.open_by_hand,
            manifests=office.inst.manifests,
            workflow="renewals",
            severity=Severity.SEV1,
            runs=(office.begin("another"),),
        ),
        actor=LEE,
    ).id
    edit_entry(office, run=harmed.run)
    with pytest.raises(Tampered):
        preserving.seal_due(office.inst)
    sealed = {known.id: known.bundle for known in office.read(lambda view: list(view.each(Incident)))}
    assert sealed[harmed.incident] is None
    assert sealed[other] is not None


def edit_entry(office: Office, *, run: str) -> None:
    """Change what the newest sealed entry of a run says, as somebody with the database would."""

    def work(tx: Tx) -> None:
        (row,) = tx.stored(run=run, newest_first=True, limit=1)
        changed = sa.update(journal).where(journal.c.seq == row.seq)
        tx.execute(changed.values(body=row.body.replace(b"acme", b"ACME") + b" "))

    office.write(work)
