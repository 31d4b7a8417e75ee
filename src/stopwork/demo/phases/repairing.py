"""Recover and communicate: what the agent changed is put back field by field, its copies go, and people are told what to trust."""

from __future__ import annotations

import email
import email.policy
from collections import Counter
from datetime import date, timedelta
from typing import Any, Final

from stopwork.demo.company import Contents
from stopwork.demo.phases.play import Play
from stopwork.kernel.errors import Conflict, Denied
from stopwork.kernel.phrases import count_of
from stopwork.ledger.words import ItemState, MessageState, PlanState

Json = dict[str, Any]

#: While the incident is open dana writes a note on one account that the agent changed, and corrects another by hand.
NOTED, CORRECTED = "A-101", "A-103"
NOTE: Final = "Spoke with their new buyer; the renewal stands."


def recover(play: Play) -> None:
    """Nothing runs before the owner approves; what somebody changed since is kept; success means read back."""
    check, refused = play.promises.check, play.promises.refused
    originals = _made_first(play)
    expected = _edited_by_dana(play) | originals
    plan: Json = play.lee.post(play.at("/plan"))
    items = play.lee.get(f"/v1/plans/{plan['id']}/items")
    play.tell(f"The plan has {count_of(len(items), 'item')}; the first: {items[0]['preview']}")
    to_stay = {item["object"]["id"] for item in items if item["keep"]}
    check(
        "of work done twice the copies go and the originals are proposed to stay",
        to_stay == originals.keys(),
        f"{count_of(len(to_stay), 'task')} to stay",
    )
    path = f"/v1/plans/{plan['id']}"
    refused("nothing runs before it is approved", Conflict, lambda: play.lee.post(f"{path}/run"))
    refused(
        "the technical owner cannot approve it",
        Denied,
        lambda: play.lee.post(f"{path}/approve", digest=plan["digest"]),
    )
    refused(
        "a plan that was not shown cannot be approved",
        Conflict,
        lambda: play.dana.post(f"{path}/approve", digest="sha256:" + "0" * 64),
    )
    check("until then nothing was put back", _recovered_by_stopwork(play) == 0)
    play.dana.post(f"{path}/approve", digest=plan["digest"])
    play.lee.post(f"{path}/run")
    _check_conflict(play, play.lee.get(f"{path}/items"))

    changes = _recovered_by_stopwork(play)
    _decide_conflict(play)
    check(
        "what is done is not done again",
        _recovered_by_stopwork(play) == changes,
        f"{count_of(changes, 'change')} in the CRM's log",
    )
    found = play.company.contents()
    differ = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
    check(
        "the CRM is as it was before the incident, with what dana changed since",
        differ == [],
        f"{len(found)} objects compared" if not differ else f"not equal: {', '.join(differ)}",
    )


def _made_first(play: Play) -> Contents:
    """Answer the agent's tasks as the CRM holds them, without those that repeat an earlier one."""
    contents = play.company.contents()
    made = (
        entry["object"]
        for entry in play.company.activity()
        if (entry["actor"], entry["action"]) == ("renewal agent", "created")
    )
    first: dict[str, str] = {}
    for task in made:
        first.setdefault(repr(sorted(contents[task].items())), task)
    return {task: contents[task] for task in first.values()}


def _edited_by_dana(play: Play) -> Contents:
    """Let dana work in the CRM, and answer what it must hold once the agent's changes are gone."""
    expected = {key: dict(content) for key, content in play.before.items()}
    signed = date.fromisoformat(expected[CORRECTED]["renewal_date"]) + timedelta(days=14)
    expected[NOTED]["notes"] = NOTE
    expected[CORRECTED]["renewal_date"] = signed.isoformat()
    play.company.edit_account(NOTED, notes=NOTE)
    play.company.edit_account(
        CORRECTED,
        renewal_date=signed.isoformat(),
        renewal_risk=expected[CORRECTED]["renewal_risk"],
    )
    play.tell(f"Meanwhile dana writes a note on {NOTED} and corrects {CORRECTED} by hand.")
    return expected


def _check_conflict(play: Play, items: list[Json]) -> None:
    check = play.promises.check
    states = Counter(item["state"] for item in items)
    conflicts = [item for item in items if item["state"] == ItemState.CONFLICT]
    check(
        "every other object is put back and read back, or stays as proposed",
        states[ItemState.VERIFIED] + states[ItemState.ACCEPTED] == len(items) - 1
        and states[ItemState.ACCEPTED] == sum(bool(item["keep"]) for item in items),
        ", ".join(f"{number} {state}" for state, number in states.items()),
    )
    check(
        "a later change by a person is a conflict with three columns, not overwritten",
        [item["object"]["id"] for item in conflicts] == [CORRECTED]
        and all(column in conflicts[0]["note"] for column in ("before", "agent", "now")),
        conflicts[0]["note"] if conflicts else "no conflict was found",
    )


def _decide_conflict(play: Play) -> None:
    """Let dana decide about the object in conflict: a second plan is about that only, and it stays as it is, for a reason."""
    plan: Json = play.lee.post(play.at("/plan"))
    items = play.lee.get(f"/v1/plans/{plan['id']}/items")
    finished: Json = play.dana.post(
        f"/v1/plans/{plan['id']}/approve",
        digest=plan["digest"],
        accept=[item["id"] for item in items],
        note=f"{CORRECTED} holds what I entered from the signed contract.",
    )
    play.promises.check(
        "the owner decides about the conflict, and about nothing else again",
        finished["state"] == PlanState.FINISHED and [item["object"]["id"] for item in items] == [CORRECTED],
        f"{count_of(len(items), 'object')} asked about again",
    )


def _recovered_by_stopwork(play: Play) -> int:
    """Answer how many changes the CRM's log has from the recovery."""
    return sum(entry["actor"] == "Stopwork recovery" for entry in play.company.activity())


def communicate(play: Play) -> None:
    """Everybody who must be told has a draft; nothing leaves before a person approved its exact text."""
    check, refused = play.promises.check, play.promises.refused
    drafts: list[Json] = play.dana.post(play.at("/messages"))
    check("a draft is made for everybody who must be told", len(drafts) > 0, _audiences(drafts))
    first = f"/v1/messages/{drafts[0]['id']}"
    refused("an unapproved message is not sent", Conflict, lambda: play.dana.post(f"{first}/send"))
    refused(
        "the agent cannot approve a message",
        Denied,
        lambda: play.agent.post(f"{first}/approve", digest=drafts[0]["digest"]),
    )
    play.dana.post(f"{first}/approve", digest=drafts[0]["digest"])
    edited = play.lee.post(
        first,
        recipients=drafts[0]["recipients"],
        subject=drafts[0]["subject"],
        body=drafts[0]["body"] + "\nDo not rely on tasks made by the agent today.",
    )
    refused(
        "a change of the text voids its approval",
        Conflict,
        lambda: play.dana.post(f"{first}/send"),
    )
    refused(
        "the old text cannot be approved any more",
        Conflict,
        lambda: play.dana.post(f"{first}/approve", digest=drafts[0]["digest"]),
    )
    messages = [edited, *drafts[1:]]
    for message in messages:
        play.dana.post(f"/v1/messages/{message['id']}/approve", digest=message["digest"])
        play.dana.post(f"/v1/messages/{message['id']}/send")
        play.tell(f"Told: {message['audience'].replace('_', ' ')} ({', '.join(message['recipients'])}).")
    sent = play.lee.get(play.at("/messages"))
    check("every message is sent", all(each["state"] == MessageState.SENT for each in sent), _audiences(sent))
    wrong = [each["id"] for each in messages if _left_as(play, each["id"]) != each["body"]]
    check("what left is exactly the approved text", wrong == [], wrong or f"{len(messages)} mails compared")
    check("then everybody has been told", play.lee.get(play.at())["communicated_at"] is not None)


def _audiences(messages: list[Json]) -> str:
    return ", ".join(each["audience"].replace("_", " ") for each in messages)


def _left_as(play: Play, message: str) -> str:
    """Answer the text of a mail as it lies in the server's folder for what was sent."""
    sent = play.company.data / "outbox" / f"{message}.eml"
    mail = email.message_from_bytes(sent.read_bytes(), policy=email.policy.default)
    body = mail.get_body()
    return str(body.get_content()) if body is not None else ""
