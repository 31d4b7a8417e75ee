"""Contract of the communication: who must be told follows from the records, and only the approved bytes are sent."""

from __future__ import annotations

import re
from typing import Any

import pytest
from msgspec.structs import replace

from stopwork.incidents.communicate import (
    audiences,
    check_approval,
    check_sending,
    drafts,
    outstanding,
    text_digest,
)
from stopwork.incidents.drafting import LABELS, six_facts
from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.ledger.records import Image, Message
from stopwork.ledger.words import (
    Audience,
    EffectKind,
    IncidentType,
    ItemState,
    MessageState,
    Operation,
    Severity,
)
from tests.unit.detect.manifests import OWNERS, manifest
from tests.unit.incidents.cases import AGENT, DANA, DETECTORS, IncidentStory, bad_monday

OWNERS_ONLY = {Audience.BUSINESS_OWNER, Audience.TECHNICAL_OWNER}
USERS = Audience.AFFECTED_INTERNAL_USERS


def quiet(incident_type: IncidentType = IncidentType.MISSED_WORKFLOW, **declared: Any) -> IncidentStory:
    return IncidentStory(manifest(**declared)).opened(incident_type)


def sent_mail(**declared: Any) -> IncidentStory:
    story = IncidentStory(manifest(**declared))
    story.run("r1").call("S", tool="mail.send", effect=EffectKind.SEND, to="x@y.test").outcome("S")
    return story.opened(IncidentType.EXTERNAL_SEND)


# Each case: its name, then the story and the audiences that must be told besides the two owners.
CASES: dict[str, tuple[IncidentStory, set[Audience]]] = {
    "a missed run": (quiet(), set()),
    "duplicates": (bad_monday(), {USERS}),
    "customer commitments changed": (
        bad_monday(manifest(data_classes=["customer_commitments"])),
        {USERS, Audience.LEGAL_COMPLIANCE, Audience.EXECUTIVES},
    ),
    "customer commitments, nothing changed": (quiet(data_classes=["customer_commitments"]), set()),
    "a financial domain changed": (
        bad_monday(manifest(impact=["financial"])),
        {USERS, Audience.LEGAL_COMPLIANCE},
    ),
    "access permissions changed": (
        bad_monday(manifest(data_classes=["access_permissions"])),
        {USERS, Audience.SECURITY, Audience.EXECUTIVES},
    ),
    "an injection": (quiet(IncidentType.PROMPT_INJECTION), {Audience.SECURITY, Audience.EXECUTIVES}),
    "mail to people outside": (
        sent_mail(),
        {Audience.EXTERNAL_PARTIES, Audience.LEGAL_COMPLIANCE, Audience.EXECUTIVES},
    ),
    "records about customers": (
        bad_monday(manifest(affected_parties=["customer"])),
        {USERS, Audience.EXTERNAL_PARTIES},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_who_must_be_told(name: str) -> None:
    story, besides = CASES[name]
    assert {told.audience for told in audiences(story.case()) if told.needed} == OWNERS_ONLY | besides


def test_every_audience_is_answered_with_a_reason() -> None:
    told = audiences(bad_monday().case())
    assert [each.audience for each in told] == list(Audience)
    assert all(each.why for each in told)
    assert all(bool(each.recipients) is each.needed for each in told)


def test_where_nobody_is_named_somebody_passes_it_on_and_it_is_said() -> None:
    told = {each.audience: each for each in audiences(sent_mail().case())}
    assert told[Audience.LEGAL_COMPLIANCE].recipients == ("dana@acme.test",)
    assert told[Audience.LEGAL_COMPLIANCE].why.endswith("nobody is named, so dana@acme.test passes it on")
    named = sent_mail(owners=OWNERS | {"legal": "law@acme.test"})
    told = {each.audience: each for each in audiences(named.case())}
    assert told[Audience.LEGAL_COMPLIANCE].recipients == ("law@acme.test",)


def test_every_draft_holds_the_six_facts_in_order() -> None:
    for draft in drafts(bad_monday(manifest(affected_parties=["customer"])).paused().case()):
        found = [draft.body.index(f"{label}: ") for label in LABELS]
        assert found == sorted(found)
        assert draft.digest == text_digest(draft.audience, draft.recipients, draft.subject, draft.body)


def test_the_six_facts_of_a_bad_monday() -> None:
    facts = six_facts(bad_monday().paused().case())
    assert facts.what_happened == (
        "Weekly renewal risk prep did the same work twice. An alert noticed it at 2026-03-02 13:00 UTC. "
        "crm.create_task was permitted 2 times for the same action in one run, 10 seconds from first to last."
    )
    assert facts.what_is_paused == "Tool crm.create_task of weekly-renewal-risk."
    assert facts.known_affected == "2 tasks created in crm and 1 account changed in crm."
    assert facts.under_review == (
        "What each call of the agent did, how each object is put back and why the system allowed it."
    )
    assert facts.next_update == "Within 4 hours of this message."


def test_what_was_made_and_removed_again_is_not_told_as_created() -> None:
    story = bad_monday().paused()
    case = story.case()
    left = Image.present({"title": "Draft"})
    made = story.effect("A", "draft-1", kind="draft", after=left)
    gone = story.effect(
        "B", "draft-1", kind="draft", operation=Operation.DELETED, before=left, after=Image.absent()
    )
    facts = six_facts(replace(case, effects=(*case.effects, made, gone)))
    assert "1 draft created and removed again in crm" in facts.known_affected


def test_nothing_is_called_paused_that_is_not() -> None:
    assert six_facts(bad_monday().case()).what_is_paused == "Nothing yet."
    story = bad_monday()
    story.call("C", account_id="bolt")
    assert six_facts(story.paused().case()).what_is_paused == (
        "Tool crm.create_task of weekly-renewal-risk. 1 call that had begun before has no known outcome yet."
    )


def test_the_facts_follow_the_recovery() -> None:
    story = (
        bad_monday().paused().sealed().audited().planned(ItemState.VERIFIED, ItemState.CONFLICT).root_cause()
    )
    facts = six_facts(story.case())
    assert facts.known_affected.endswith("1 of 2 objects put back and read back.")
    assert facts.under_review == "Nothing; the root cause is known and recorded."


def test_people_outside_read_no_inner_names() -> None:
    (draft,) = [d for d in drafts(sent_mail().case()) if d.audience is Audience.EXTERNAL_PARTIES]
    text = draft.subject + draft.body.replace("dana@acme.test", "")
    assert not re.search(r"crm|mail\.send|AI-INC|sev\d|weekly-renewal-risk|hold", text)


def test_no_number_disagrees_with_its_noun() -> None:
    for draft in drafts(bad_monday(manifest(data_classes=["customer_commitments"])).paused().case()):
        assert not re.search(r"\b1 (tasks|accounts|calls|objects|minutes)\b", draft.body)


def test_a_draft_is_made_once_for_each_audience() -> None:
    story = bad_monday().message(Audience.BUSINESS_OWNER, MessageState.DRAFT)
    assert Audience.BUSINESS_OWNER not in {draft.audience for draft in drafts(story.case())}


def test_a_discarded_message_is_not_drafted_again_by_itself_but_counts_as_answered() -> None:
    story = bad_monday().message(Audience.BUSINESS_OWNER, MessageState.DISCARDED)
    assert Audience.BUSINESS_OWNER not in outstanding(story.case())


def test_all_told_when_each_has_been_sent_something() -> None:
    story = bad_monday()
    assert set(outstanding(story.case())) == OWNERS_ONLY | {USERS}
    assert not outstanding(story.told(*OWNERS_ONLY, USERS).case())


@pytest.fixture
def message() -> Message:
    draft = drafts(bad_monday().case())[0]
    known = bad_monday().message(Audience.BUSINESS_OWNER, MessageState.DRAFT).case().messages[0]
    return replace(
        known, recipients=draft.recipients, subject=draft.subject, body=draft.body, digest=draft.digest
    )


def test_a_person_approves_exactly_what_was_shown(message: Message) -> None:
    check_approval(message, DANA, message.digest)


def test_an_edited_text_is_not_the_approved_one(message: Message) -> None:
    for changed in (
        {"body": message.body + " "},
        {"subject": "other"},
        {"recipients": ("eve@acme.test",)},
    ):
        with pytest.raises(Conflict, match="not the text you saw"):
            check_approval(replace(message, **changed), DANA, message.digest)


@pytest.mark.parametrize("by", [AGENT, DETECTORS])
def test_no_machine_approves(message: Message, by: Any) -> None:
    with pytest.raises(Denied):
        check_approval(message, by, message.digest)


def test_a_message_to_nobody_is_not_approved(message: Message) -> None:
    with pytest.raises(Invalid):
        check_approval(replace(message, recipients=()), DANA, message.digest)


@pytest.mark.parametrize("state", [state for state in MessageState if state is not MessageState.DRAFT])
def test_only_a_draft_is_approved(message: Message, state: MessageState) -> None:
    with pytest.raises(Conflict):
        check_approval(replace(message, state=state), DANA, message.digest)


@pytest.mark.parametrize("state", MessageState)
def test_only_an_approved_message_is_sent(message: Message, state: MessageState) -> None:
    known = replace(message, state=state, approved_by="dana@acme.test")
    if state in (MessageState.APPROVED, MessageState.FAILED):
        check_sending(known)
    else:
        with pytest.raises(Conflict):
            check_sending(known)
    with pytest.raises(Conflict):
        check_sending(replace(known, approved_by=None))


def test_executives_hear_of_the_grave_ones() -> None:
    grave = bad_monday().opened(severity=Severity.SEV1).case()
    told = {each.audience: each for each in audiences(grave)}
    assert told[Audience.EXECUTIVES].why.startswith("every SEV1 goes to the executives")
