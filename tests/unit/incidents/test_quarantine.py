"""Contract: for an injection the pause that is proposed first is that of the one item, where it is known which, and the audit shows what is in quarantine."""

from __future__ import annotations

from typing import Any

import pytest

from stopwork.incidents.pause import MOST_ITEMS, proposals
from stopwork.ledger.records import Scope
from stopwork.ledger.words import EffectKind, HoldMode, IncidentType, PauseRisk, ScopeKind
from stopwork.manifest.load import load

MANIFEST = load(
    """\
workflow: renewals
owners: {business: dana@acme.test, technical: lee@acme.test}
sources:
  inbox: {trust: external}
  crm: {trust: internal}
tools:
  mail.read: {effect: read, source: inbox}
  mail.send: {effect: send, external: true}
"""
).manifest


class Read:
    """A call that read something."""

    effect = EffectKind.READ

    def __init__(self, source: str, **args: Any) -> None:
        self.source, self.args = source, args


def item(name: str, source: str = "inbox") -> Scope:
    return Scope(kind=ScopeKind.SOURCE, name=source, item=name, workflow="renewals")


def offered(*, facts: dict[str, Any] | None = None, read: Any = (), **given: Any) -> list[Scope]:
    kind = given.pop("kind", IncidentType.PROMPT_INJECTION)
    found = proposals(kind, facts or {}, MANIFEST, read=read, **given)
    assert all(each.mode is HoldMode.BLOCK for each in found if each.scope.item)
    return [each.scope for each in found]


@pytest.mark.parametrize("kind", [IncidentType.PROMPT_INJECTION, IncidentType.SENSITIVE_DATA_EXPOSURE])
def test_the_item_that_a_guardrail_named_comes_first(kind: IncidentType) -> None:
    scopes = offered(facts={"source": "inbox", "item": "mail-17"}, kind=kind)
    assert scopes[0] == item("mail-17")
    assert scopes[1] == Scope(kind=ScopeKind.SOURCE, name="inbox", workflow="renewals")


def test_the_only_item_that_was_read_from_outside_comes_first() -> None:
    read = [Read("inbox", mail="mail-17", full=True), Read("crm", account="acme")]
    assert offered(read=read)[0] == item("mail-17")


def test_of_several_none_is_first_and_each_is_offered() -> None:
    scopes = offered(read=[Read("inbox", mail=f"mail-{number}") for number in range(9)])
    assert scopes[0] == Scope(kind=ScopeKind.SOURCE, name="inbox", workflow="renewals")
    assert [scope.item for scope in scopes if scope.item] == [f"mail-{n}" for n in range(MOST_ITEMS)]


def test_another_risk_has_no_items() -> None:
    facts = {"source": "inbox", "item": "mail-17"}
    assert not any(scope.item for scope in offered(facts=facts, risk=PauseRisk.DUPLICATE_WORK))


def test_it_is_said_what_it_stops() -> None:
    first, *_ = proposals(IncidentType.PROMPT_INJECTION, {"source": "inbox", "item": "mail-17"}, MANIFEST)
    assert "mail-17 of inbox" in first.stops
    assert first.keeps_running == "everything that does not read it"
