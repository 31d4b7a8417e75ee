"""Contract of the twelve answers: on random worlds, every count and every id is what a slow look through the whole journal gives.

The journal is read entry by entry, with dictionaries and loops of its own: nothing of the product's fold, cases or answers is used.
A failure names its seed.
"""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from stopwork.ledger.events import name_of
from stopwork.ledger.records import Approval, AuditScope
from stopwork.ledger.words import Outcome, Question, RunStatus, StepKind, Verdict
from stopwork.operations import approvals, audits, incidents, runs
from tests.support.office import DANA, LEE, MANIFEST, WORKFLOW, Office

READ = "crm.read_account: {effect: read, risk: low, permission: crm.read"
DECLARED = MANIFEST.replace(READ, f"{READ}, object: {{system: crm, type: account, id: args.account_id}}") + (
    "sources:\n  crm_export: {trust: internal, fresh_within: 24h}\n"
    "downstream: [{name: task-mailer, tools: [crm.create_task]}]\n"
)
TOOLS = ("crm.read_account", "crm.update_account", "crm.create_task", "crm.set_discount", "mail.send")
Json = dict[str, Any]


def live(office: Office, dice: random.Random) -> list[str]:
    """Let agents and people do something of everything, and answer the runs."""
    began: list[str] = []
    for number in range(dice.randint(2, 4)):
        again = dice.choice([None, *began])
        occasion = f"day-{number // 2}"
        began.append(
            office.write(
                lambda tx, occasion=occasion, again=again: runs.start(  # type: ignore[misc]
                    tx,
                    office.inst.manifests,
                    workflow=WORKFLOW,
                    trigger=dice.choice(["schedule"] * 5 + ["manual"] * 5 + ["webhook"]),
                    trigger_id=occasion,
                    attempt=2 if again else 1,
                    retry_of=again,
                    runtime=dice.choice([{}, {"prompt": "p1"}, {"prompt": "p1", "model": "m"}]),
                )
            ).run
        )
    for _ in range(dice.randint(20, 45)):
        office.clock.advance(timedelta(seconds=dice.randint(0, 90)))  # type: ignore[attr-defined]
        run = dice.choice(began)
        if dice.random() < 0.25:
            step(office, dice, run)
        else:
            call(office, dice, run)
    if dice.random() < 0.5:
        office.write(lambda tx: runs.finish(tx, run=began[0], status=RunStatus.SUCCEEDED))
    return began


def step(office: Office, dice: random.Random, run: str) -> None:
    kind = dice.choice([StepKind.RETRIEVAL, StepKind.MODEL_CALL])
    now = office.clock.now()
    facts: Json = (
        {
            "source": dice.choice([None, "crm_export", "nowhere"]),
            "as_of": dice.choice([None, now, now - timedelta(days=3)]),
        }
        if kind is StepKind.RETRIEVAL
        else {"tokens": dice.randint(0, 9), "cost_usd": dice.choice([None, 0.5])}
    )
    office.write(lambda tx: runs.step(tx, run=run, kind=kind, name="one", **facts))


def call(office: Office, dice: random.Random, run: str) -> None:
    tool = dice.choice(TOOLS)
    account = dice.choice(["acme", "globex"])
    args: Json = {
        "crm.update_account": {"account_id": account, "renewal": f"2025-01-0{dice.randint(1, 2)}"},
        "crm.create_task": {"account_id": account, "title": dice.choice(["Call", "Write"])},
        "crm.set_discount": {"account_id": account, "percent": dice.choice(["1", "50"])},
        "mail.send": {"to": "x@acme.test"},
    }.get(tool, {"account_id": account})
    nth = dice.randint(1, 3)
    end = dice.random()
    if tool in ("crm.update_account", "crm.create_task") and end < 0.6:
        office.do(run, tool, nth=nth, **args)
        return
    permit = office.ask(run, tool, nth=nth, **args)
    if permit.verdict is Verdict.WAIT and end < 0.7:
        wanted = office.read(lambda view: view.first(Approval, call=permit.call))
        assert wanted is not None
        office.write(lambda tx: approvals.decide(tx, approval=wanted.id, approve=end < 0.5), actor=DANA)
        permit = office.ask(run, tool, nth=nth, call=permit.call, **args)
    if permit.verdict is not Verdict.ALLOW:
        return
    if tool != "crm.read_account":
        if end < 0.65:
            return  # permitted, and the process died
        office.attempt(permit)
    if end < 0.75:
        return  # nobody saw how it ended
    outcome = dice.choice(list(Outcome))
    office.finish(permit, outcome, result={"id": "task-x"} if outcome is Outcome.SUCCEEDED else None)


class Told:
    """What the journal says about these runs, entry by entry."""

    def __init__(self, office: Office, of: set[str]) -> None:
        self.runs: dict[str, Json] = {}
        self.steps: dict[str, Json] = {}
        self.calls: dict[str, Json] = {}
        self.effects: dict[str, Json] = {}
        self.approvals: dict[str, Json] = {}
        for entry in office.read(lambda view: view.entries(limit=100_000)):
            event: Json = msgspec.to_builtins(entry.event)
            kind = name_of(entry.event)
            if event.get("run") not in of:
                self._approval(kind, event)
                continue
            at = entry.at
            if kind == "run.started":
                self.runs[event["run"]] = event
            elif kind == "step.recorded":
                self.steps[event["step"]] = event | {"at": at}
            elif kind == "call.decided":
                known = self.calls.setdefault(event["call"], {"attempted": False, "outcome": None, "at": at})
                known |= event
            elif kind == "call.attempted":
                self.calls[event["call"]] |= {
                    "attempted": True,
                    "attempted_at": at,
                    "before": event["before"],
                }
            elif kind in ("call.finished", "call.effects_observed"):
                if kind == "call.finished":
                    self.calls[event["call"]]["outcome"] = event["outcome"]
                for effect in event["effects"]:
                    self.effects[effect["id"]] = effect
            self._approval(kind, event)

    def _approval(self, kind: str, event: Json) -> None:
        if kind.startswith("approval.") and event.get("approval"):
            known = self.approvals.setdefault(event["approval"], {"states": []})
            known |= {name: event[name] for name in ("call", "run") if event.get(name)}
            known["states"].append(kind)

    @property
    def allowed(self) -> dict[str, Json]:
        return {name: each for name, each in self.calls.items() if each["verdict"] == "allow"}

    def possible(self) -> set[tuple[str, str]]:
        """The pairs of call and object that a call may have changed whose end nobody saw."""
        found = set()
        for name, each in self.calls.items():
            if not each["attempted"] or each["outcome"] in ("succeeded", "failed"):
                continue
            refs = [tuple(one["object"][part] for part in ("system", "type", "id")) for one in each["before"]]
            if each["tool"] == "crm.update_account":
                refs.append(("crm", "account", each["args"]["account_id"]))
            found |= {(name, "/".join(ref)) for ref in refs}
        return found

    def began(self, ref: str) -> datetime:
        """When one of these calls first changed the object, or may have."""
        sure = [
            datetime.fromisoformat(each["at"]) for each in self.effects.values() if each["object_key"] == ref
        ]
        maybe: list[datetime] = [
            self.calls[name]["attempted_at"] for name, object_key in self.possible() if object_key == ref
        ]
        return min(sure + maybe)

    def changed(self) -> set[tuple[str, str]]:
        """The pairs of call and object that were changed, or may have been."""
        return {(each["call"], each["object_key"]) for each in self.effects.values()} | self.possible()


@pytest.mark.parametrize("seed", range(25))
def test_every_count_and_id_of_the_twelve_answers(tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    with Office(tmp_path, manifest=DECLARED) as office:
        began = live(office, dice)
        mine = tuple(began[: dice.randint(1, len(began))])
        incident = office.write(
            lambda tx: incidents.open_by_hand(tx, office.inst.manifests, workflow=WORKFLOW, runs=mine),
            actor=LEE,
        ).id
        audit = office.write(
            lambda tx: audits.complete(
                tx, office.inst.manifests, incident=incident, scope=AuditScope(followed=True)
            ),
            actor=LEE,
        )
        told = Told(office, set(mine))
        every = Told(office, set(began))
    answer = {each.question: each for each in audit.answers}
    compare(answer, told, set(mine))
    known = audit.completeness
    assert known is not None
    assert known.calls == len(told.calls)
    assert set(known.ends_unseen) == {
        name for name, each in told.allowed.items() if each["outcome"] in (None, "unknown")
    }
    assert audit.followed is not None
    assert {link.call for link in audit.followed.links} == _followed(told, every)


def _followed(told: Told, every: Told) -> set[str]:
    """The calls of other runs that changed, named or read an object after one of these had changed it, or changed something after
    their run had read it, over and over."""
    since = {ref: told.began(ref) for _call, ref in told.changed()}
    later: set[str] = set()
    while True:
        more = set(later)
        read_at: dict[str, datetime] = {}
        for name, each in every.calls.items():
            ref = f"crm/account/{each['args'].get('account_id')}"
            read = each["tool"] == "crm.read_account" and each["verdict"] == "allow"
            named = each["tool"] == "crm.update_account" and each["verdict"] == "allow"
            if named and ref in since and each["at"] >= since[ref]:
                more.add(name)
            if read and each["outcome"] != "failed" and ref in since and each["at"] >= since[ref]:
                more.add(name)
                # What ran on in an audited run after it had read is audited itself.
                read_at[each["run"]] = min(each["at"], read_at.get(each["run"], each["at"]))
        for effect in every.effects.values():
            at = datetime.fromisoformat(effect["at"])
            changed = effect["object_key"] in since and at >= since[effect["object_key"]]
            after = effect["run"] in read_at and at >= read_at[effect["run"]]
            if changed or after:
                more.add(effect["call"])
        more -= set(told.calls)
        for effect in every.effects.values():
            at = datetime.fromisoformat(effect["at"])
            if effect["call"] in more and at < since.get(effect["object_key"], at + timedelta(1)):
                since[effect["object_key"]] = at
        if more == later:
            return later
        later = more


def compare(answer: dict[Question, Any], told: Told, mine: set[str]) -> None:
    allowed, changed = told.allowed, told.changed()
    writing = {name for name, _ref in changed}
    trigger = answer[Question.TRIGGER]
    assert set(trigger.records) == mine
    undeclared = sum(each["trigger"] == "webhook" for each in told.runs.values())
    assert ("does not name" in trigger.summary) == bool(undeclared)

    retrievals = {name: each for name, each in told.steps.items() if each["kind"] == "retrieval"}
    reads = {name for name, each in allowed.items() if each["effect"] == "read"}
    assert set(answer[Question.INPUTS_READ].records) == set(retrievals) | reads

    wrong = {name for name, each in retrievals.items() if _wrong(each)}
    fresh = answer[Question.INPUT_FRESHNESS_AND_AUTHORITY]
    assert {each["step"] for each in fresh.findings if each["verdict"] != "in order"} == wrong
    assert set(fresh.records) == set(retrievals)

    silent = sum("prompt" not in each["runtime"] for each in told.runs.values())
    missing = answer[Question.PROMPTS_AND_POLICIES].missing
    assert any("prompt" in each for each in missing) == bool(silent)

    models = {name: each for name, each in told.steps.items() if each["kind"] == "model_call"}
    spoken = answer[Question.MODEL_CALLS]
    assert set(spoken.records) == set(models)
    assert sum(each["tokens"] for each in spoken.findings) == sum(each["tokens"] for each in models.values())

    tools = answer[Question.TOOL_CALLS]
    assert set(tools.records) == set(told.calls)
    assert sum(each["calls"] for each in tools.findings) == len(told.calls)
    by_tool = Counter((each["tool"], each["verdict"]) for each in told.calls.values())
    assert (
        Counter(
            {
                key: sum(f["calls"] for f in tools.findings if (f["tool"], f["verdict"]) == key)
                for key in by_tool
            }
        )
        == by_tool
    )

    writes = answer[Question.WRITES]
    assert set(writes.records) == (set(allowed) - reads) | (writing & reads)
    assert {(f["call"], ref) for f in writes.findings for ref in f["objects"]} == changed

    sent = {name for name, each in allowed.items() if each["tool"] == "mail.send"}
    assert set(answer[Question.EXTERNAL_SENDS].records) == sent

    asked = {name: each for name, each in told.approvals.items() if each.get("call") in told.calls}
    decided = answer[Question.APPROVALS]
    assert {f["approval"] for f in decided.findings if "approval" in f} == set(asked)
    used = {each["call"] for each in asked.values() if "approval.consumed" in each["states"]}
    gated = {name for name in sent if name not in used}
    assert {f["call"] for f in decided.findings if f["state"] == "bypassed"} <= gated

    occasions = Counter(each["trigger_id"] for each in told.runs.values())
    again = {
        name
        for name, each in told.runs.items()
        if each["attempt"] > 1 or each["retry_of"] or occasions[each["trigger_id"]] > 1
    }
    same: dict[tuple[str, str, str], set[str]] = {}
    for name in set(allowed) - reads:
        each = allowed[name]
        same.setdefault((each["run"], each["tool"], each["args_digest"]), set()).add(name)
    repeated = set().union(*(calls for calls in same.values() if len(calls) > 1))
    assert set(answer[Question.RETRIES_AND_BACKFILLS].records) == again | repeated

    reacted = {f["name"] for f in answer[Question.DOWNSTREAM_AUTOMATIONS].findings}
    made = any(allowed[name]["tool"] == "crm.create_task" for name in set(allowed) - reads)
    assert reacted == ({"task-mailer"} if made else set())

    listed = answer[Question.RECORDS_TO_CORRECT]
    objects: dict[str, set[str]] = {}
    for name, ref in changed:
        objects.setdefault(ref, set()).add(name)
    assert {f["object"]: set(f["calls"]) for f in listed.findings} == objects


def _wrong(each: Json) -> bool:
    if each["source"] == "nowhere":
        return True
    if each["source"] is None or each["as_of"] is None:
        return False
    return bool(each["at"] - datetime.fromisoformat(each["as_of"]) > timedelta(hours=24))
