"""One incident from its first run to its close, told over the API alone: every address is asked at least once.

Each chapter leaves the house as the next one finds it, so a test may stop where it likes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from msgspec import convert, to_builtins

from stopwork.incidents.learn import FIELDS
from stopwork.kernel.clock import ManualClock
from stopwork.ledger.records import Image, ObjectRef
from stopwork.ledger.words import CheckState, ReenableCheck
from tests.support.office import AGENT, DANA, KIM, LEE, WORKFLOW
from tests.unit.server.answered import answer, keep_the_timeline
from tests.unit.server.house import ADMIN, FEED, OTHER_MANIFEST, PATCHED, REPORTER, House, Json, wait_for
from tests.unit.server.sorting import sort_out

TITLE: Final = "Call about the renewal"


class Story:
    """What has happened so far, by the ids that the API gave."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.get, self.post, self.put = house.get, house.post, house.put
        self.incident = self.plan = self.held = ""

    def at(self, rest: str = "") -> str:
        return f"/v1/incidents/{self.incident}{rest}"

    def all(self) -> None:
        """Tell it to the end."""
        self.made_up_for()
        self.agent_repeats_itself()
        self.people_look()
        sort_out(self)
        self.reported()
        self.drafted()
        self.paused()
        self.opened()
        self.signed_version()
        self.put_right()
        self.returned()
        self.closed()

    def until_the_return(self) -> None:
        """Tell the shortest way to where the owner decides."""
        self.agent_repeats_itself()
        self.put_right()

    def put_right(self) -> None:
        self.sealed()
        self.contained()
        self.audited()
        self.recovered()
        self.told()
        self.learned()

    # --- the agent -------------------------------------------------------------------------------

    def call(self, run: str, name: str, tool: str = "crm.create_task", *, nth: int = 1, **args: str) -> Json:
        """Carry one call through, as a guard does; ``nth`` counts equal calls."""
        args = args or {"account_id": "acme", "title": TITLE}
        permit = self.post("/v1/permits", who=AGENT, call=name, run=run, tool=tool, args=args, nth=nth)
        if permit["verdict"] != "allow":
            return permit
        began = self.house.as_(AGENT).post(f"/v1/calls/{name}/attempt", json={"before": []})
        if began.status_code == 409:  # a hold came between: then nothing runs
            return permit
        assert began.is_success, began.text
        done = self.house.office.crm.run(tool, args)
        ended = self.post(f"/v1/calls/{name}/outcome", who=AGENT, outcome="succeeded", result=done)
        seen = [
            {
                "object": ref,
                "operation": "created",
                "before": {"state": "absent"},
                "after": {"state": "present", "content": self.house.office.crm.tasks[ref["id"]]},
            }
            for ref in ended["capture"]
        ]
        self.post(f"/v1/calls/{name}/effects", who=AGENT, observed=seen)
        return permit

    def lose(self, run: str, name: str) -> None:
        """Begin a call and never learn how it ended."""
        asked = {"call": name, "run": run, "tool": "crm.update_account"}
        args = {"account_id": "globex", "renewal": "2026-07-02"}
        [ref] = self.post("/v1/permits", who=AGENT, **asked, args=args)["capture"]
        held = self.house.office.crm.accounts["globex"]
        before = [{"object": ref, "image": {"state": "present", "content": held}}]
        self.post(f"/v1/calls/{name}/attempt", who=AGENT, before=before)
        self.post(f"/v1/calls/{name}/outcome", who=AGENT, outcome="unknown", error="it did not answer")

    def start(self, run: str) -> Json:
        return self.post(
            "/v1/runs",
            who=AGENT,
            run=run,
            workflow=WORKFLOW,
            trigger="manual",
            trigger_id=run,
            runtime={"a": 1},
        )

    def agent_repeats_itself(self) -> None:
        """The same task three times over: the second is noticed, and an incident opens by itself."""
        point = self.post("/v1/points", who=AGENT, workflow=WORKFLOW, name="a guard")
        self.start("run-0")
        self.post("/v1/runs/run-0/finish", who=AGENT, status="succeeded")
        if isinstance(clock := self.house.office.clock, ManualClock):
            clock.advance(timedelta(seconds=1))
        self.start("run-1")
        self.post(
            "/v1/runs/run-1/steps", who=AGENT, kind="model_call", name="think", tokens=10, cost_usd=0.01
        )
        nothing = self.post("/v1/runs/run-1/items", who=AGENT, source="inbox", items=["mail-17"])
        assert nothing == {"withheld": {}}
        self.lose("run-1", "call-lost")
        for number in (1, 2):
            self.call("run-1", f"call-{number}", nth=number)
        self.call("run-1", "call-mail", tool="mail.send", to="someone@example.test")
        # Other rules may have noticed something of this run too, before this one or after.
        [found] = wait_for(
            lambda: [each for each in self.get("/v1/incidents") if each["type"] == "duplicate_work"]
        )
        self.incident = found["id"]
        scope = {"kind": "tool", "name": "crm.create_task", "workflow": WORKFLOW}
        held = self.post("/v1/holds", scope=scope, reason="it repeats itself", incident=self.incident)
        self.held = held["hold"]["id"]
        assert self.held in [each["id"] for each in self.get("/v1/holds", active=True)]
        self.post(f"/v1/points/{point['point']}/heartbeat", who=AGENT, epoch=point["epoch"], lease=True)
        read = {
            "call": "call-read",
            "run": "run-1",
            "tool": "crm.read_account",
            "args": {"account_id": "acme"},
        }
        decided = {"version": 1, "epoch": 0, "began_ago_s": 0.2, "took_s": 0.1, "outcome": "succeeded"}
        self.post(f"/v1/points/{point['point']}/reads", who=AGENT, reads=[read | decided])
        self.get("/v1/points")
        self.post("/v1/runs/run-1/finish", who=AGENT, status="failed", error="it was stopped")
        gone = self.house.as_(AGENT).delete(f"/v1/points/{point['point']}")
        assert gone.is_success, gone.text

    def made_up_for(self) -> None:
        """A missed Monday is ordered, taken up, and the order of another one is withdrawn."""
        asked: dict[str, Any] = {"occasion": "2020-03-02T08:00"}
        found = self.post(f"/v1/workflows/{WORKFLOW}/backfills/check", **asked)
        assert found["against"] == []
        ordered = self.post(f"/v1/workflows/{WORKFLOW}/backfills", **asked, reason="The sheet is needed.")
        [taken] = self.post("/v1/backfills/claim", who=AGENT, workflow=WORKFLOW, session="s1")["backfills"]
        assert taken["backfill"] == ordered["id"]
        assert self.get(f"/v1/backfills/{ordered['id']}")["run"] == taken["run"]
        self.post(f"/v1/backfills/{ordered['id']}/withdraw", reason="It came by mail.")
        assert self.get("/v1/backfills", workflow=WORKFLOW)[0]["state"] == "withdrawn"

    # --- people ----------------------------------------------------------------------------------

    def people_look(self) -> None:
        for path in (
            "runs",
            "runs/run-1",
            "runs/run-1/steps",
            "calls",
            "calls/call-1",
            "calls/call-1/effects",
            "calls/call-1/similar",
        ):
            self.get(f"/v1/{path}")
        for path in ("signals", "journal", "me", "tokens", "health", "log", "workflows", "openapi.json"):
            self.get(f"/v1/{path}", who=ADMIN)
        for path in ("log/checkpoint", "log/tile/0/000.p/1"):
            self.house.as_(LEE).get(f"/v1/{path}").raise_for_status()
        self.get(f"/v1/workflows/{WORKFLOW}/observed")
        self.get("/v1/runs/run-1/difference", before="run-0")
        self.get(self.at("/difference"))
        for path in ("", "/versions", "/preparedness", "/pause-proposals"):
            self.get(f"/v1/workflows/{WORKFLOW}{path}")
        for rest in (
            "",
            "/phases",
            "/timeline",
            "/objects",
            "/similar",
            "/audit",
            "/containment",
            "/messages",
            "/report",
        ):
            self.get(self.at(rest))
        self.get(self.at("/report"), format="json")
        told = {"id": "1", "at": self.house.office.clock.now().isoformat(), "by": "jo@acme.test"}
        changed = {
            "object": {"type": "account", "id": "acme"},
            "operation": "modified",
            "fields": {"seats": [5, 6]},
        }
        assert self.post("/v1/feeds/crm/changes", who=FEED, changes=[told | changed])["taken"] == 1
        assert self.get("/v1/feeds/crm/changes")[0]["agents"] == []
        made = self.post("/v1/tokens", who=ADMIN, kind="person", id=KIM.id, valid_for_s=3600)
        self.post(f"/v1/tokens/{made['credential']['id']}/revoke", who=ADMIN, reason="it was an example")
        link = self.post("/v1/links", who=ADMIN, address=KIM.id)
        self.post("/v1/sessions", who=KIM, secret=link["secret"])
        self.post("/v1/calls/call-lost/reconcile", outcome="failed", note="I looked: nothing has changed.")
        # A guard whose probe comes too late is told what the person found.
        late = self.post("/v1/calls/call-lost/probe", who=AGENT, by="call-read")
        assert late["outcome"] == "failed"
        asked = self.get("/v1/approvals", state="pending")[0]
        self.get(f"/v1/approvals/{asked['id']}")
        shown = self.get(f"/v1/approvals/{asked['id']}/evidence")
        assert shown["will_run"]["digest"] == asked["digest"]
        self.post(
            f"/v1/approvals/{asked['id']}/decide", who=DANA, approve=False, digest=asked["digest"], note="No."
        )

    def reported(self) -> None:
        """A colleague reports, a tool says what it noticed, and somebody says which workflow a mail is about."""
        seen = self.post("/v1/reports", who=KIM, text="Globex has two tasks.", workflow="invoices")
        assert seen["reception"] == "raised"
        noticed = {"kind": "cost", "summary": "spend is up", "workflow": "invoices", "delivery": "1"}
        assert self.post("/v1/signals", who=REPORTER, **noticed)["reception"] == "raised"
        assert self.post("/v1/signals", who=REPORTER, **noticed)["reception"] == "known"
        mail = (
            b"From: jo@acme.test\r\nTo: reports@acme.test\r\nSubject: two invoices\r\n\r\nLook at them.\r\n"
        )
        self.house.as_(REPORTER).post(
            "/v1/inbox/mail", content=mail, headers={"content-type": "message/rfc822"}
        )
        alert = {
            "status": "firing",
            "labels": {"alertname": "Slow", "workflow": "invoices"},
            "fingerprint": "f",
        }
        alerts = {"version": "4", "status": "firing", "alerts": [alert]}
        assert self.post("/v1/webhooks/alertmanager", who=REPORTER, **alerts)["taken"] == {"raised": 1}
        ticket = {"title": "It is slow", "agent": "invoices", "topic": "speed"}
        assert self.post("/v1/webhooks/desk", who=REPORTER, **ticket)["taken"] == {"raised": 1}
        [unplaced] = self.get("/v1/signals", state="unplaced", kind="user_report", text="LOOK")
        assert self.get(f"/v1/signals/{unplaced['id']}") == unplaced
        assigned = self.post(f"/v1/signals/{unplaced['id']}/assign", workflow="invoices")
        assert assigned["workflow"] == "invoices"

    def stored(self) -> str:
        """Two calls are stored instead of run, under a hold whose id is the answer."""
        scope = {"kind": "tool", "name": "crm.update_account", "workflow": WORKFLOW}
        held = self.post("/v1/holds", scope=scope, mode="draft_only", reason="to look at each")
        self.start("run-2")
        self.post("/v1/runs/run-2/rejoin", who=AGENT)
        asked = {"run": "run-2", "tool": "crm.update_account"}
        for number, day in enumerate(("2026-06-02", "2026-06-03"), start=1):
            args = {"account_id": "acme", "renewal": day}
            self.post("/v1/permits", who=AGENT, call=f"call-d{number}", args=args, **asked)
        self.post("/v1/runs/run-2/finish", who=AGENT, status="succeeded")
        return str(held["hold"]["id"])

    def drafted(self) -> None:
        """Of two stored calls one is mended and released, and a guard carries it out; the other is discarded."""
        hold = self.stored()
        drafts = self.get("/v1/drafts", workflow=WORKFLOW, state="open")
        assert [each["id"] for each in drafts] == ["call-d2", "call-d1"]
        self.post("/v1/drafts/call-d2/discard", reason="It is not ours to change.")
        shown = self.get("/v1/drafts/call-d1")
        mended = self.post(
            "/v1/drafts/call-d1/edit",
            args=shown["args"] | {"renewal": "2026-06-04"},
            digest=shown["digest"],
            reason="a day off",
        )
        self.post("/v1/drafts/call-d1/release", who=DANA, digest=mended["digest"], reason="It is right now.")
        [claimed] = self.post("/v1/drafts/claim", who=AGENT, workflow=WORKFLOW, session="guard-1")["drafts"]
        self.carry(claimed, session="guard-1")
        assert self.get("/v1/drafts/call-d1/standing")["draft"]["state"] == "done"
        self.post(f"/v1/holds/{hold}/lift", who=KIM, reason="Both are looked at.")

    def carry(self, claimed: Json, session: str) -> None:
        """Carry a released draft out, as a guard does."""
        permit = self.post(
            "/v1/permits",
            who=AGENT,
            call=claimed["call"],
            run=claimed["run"]["ticket"]["run"],
            tool=claimed["tool"],
            args=claimed["args"],
            draft=claimed["draft"],
            session=session,
        )
        assert permit["verdict"] == "allow", permit
        [ref] = permit["capture"]
        before = {"state": "present", "content": dict(self.house.office.crm.accounts["acme"])}
        images = [{"object": ref, "image": before}]
        call = f"/v1/calls/{claimed['call']}"
        self.post(f"{call}/attempt", who=AGENT, before=images, session=session)
        result = self.house.office.crm.run(claimed["tool"], permit["args"])
        after = {"state": "present", "content": dict(self.house.office.crm.accounts["acme"])}
        seen = [{"object": ref, "operation": "modified", "before": before, "after": after}]
        self.post(
            f"{call}/outcome", who=AGENT, outcome="succeeded", result=result, observed=seen, session=session
        )

    def paused(self) -> None:
        scope = {"kind": "tool", "name": "mail.send", "workflow": WORKFLOW}
        self.post("/v1/holds", scope=scope, reason="also unsafe", incident=self.incident)
        apart = self.post("/v1/holds", scope={"kind": "workflow", "name": "invoices"}, reason="to be sure")
        self.get(f"/v1/holds/{apart['hold']['id']}")
        self.post(f"/v1/holds/{apart['hold']['id']}/lift", who=KIM, reason="It is another workflow.")
        self.post(f"/v1/workflows/{WORKFLOW}/stage", stage="read_only", reason="until it is mended")
        assert self.post(f"/v1/workflows/{WORKFLOW}/pause-test")["passed"]

    def opened(self) -> None:
        answer(self)
        self.post(self.at("/notes"), text="The customer was called three times.")
        keep_the_timeline(self)
        self.post(self.at("/severity"), severity="sev1", reason="customers see it")
        self.post(self.at("/handover"), role="commander", to=KIM.id, note="Kim is on duty.")
        self.post(self.at("/next-update"), at="2026-03-02T13:20:00Z", reason="every 20 minutes")
        self.post("/v1/incidents", workflow="invoices", title="Another one", request="once")
        known = self.get("/v1/calls/call-mail")
        assert known["verdict"] == "wait"

    def signed_version(self) -> None:
        """A version that gives more room is proposed, declined, proposed again and signed by a second person."""
        controlled = OTHER_MANIFEST + "change_control: {approver: technical}\n"
        assert not self.post("/v1/manifests", text=controlled, reason="two people")["proposed"]
        looser = controlled.replace("risk: high", "risk: medium")
        for version in (3, 4):
            asked = self.post("/v1/manifests", who=ADMIN, text=looser, reason="less to ask")
            assert (asked["proposed"], asked["version"], asked["signers"]) == (True, version, [LEE.id])
            at = f"/v1/workflows/invoices/versions/{version}"
            digest = self.get(at)["version"]["digest"]
            if version == 3:
                assert self.post(f"{at}/decline", reason="Not yet.")["state"] == "declined"
            else:
                assert self.post(f"{at}/approve", digest=digest)["decided_by"]["id"] == LEE.id
        assert self.get("/v1/workflows/invoices")["version"] == 4

    def sealed(self) -> None:
        self.post(self.at("/seal"))
        taken = self.house.as_(LEE).get(self.at("/bundle"))
        assert taken.is_success, taken.text
        assert taken.content.startswith(b"PK")
        assert self.get(self.at("/bundles"))[-1]["incident"] == self.get(self.at("/legal-hold"))["id"]
        assert self.get(self.at("/custody"))[-1]["deed"] == "exported"
        assert len(self.get(self.at("/attachments"))) <= 1
        self.post(self.at("/legal-hold/lift"), who=ADMIN, reason="The story asks for it.")
        assert self.post(self.at("/legal-hold"), reason="The customer asked for the records.")["active"]

    def contained(self) -> None:
        found = self.post(self.at("/containment"))
        assert self.get("/v1/hooks")[0]["kind"] == "hold"
        assert self.get(f"/v1/workflows/{WORKFLOW}/credentials") == []
        first = next(item["id"] for item in found if item["scope"])
        left = next(item["id"] for item in found if item["state"] == "proposed")
        assert self.post(self.at("/containment/assign"), item=left, to="kim@acme.test")["assignee"]
        held = self.post(self.at("/containment/run"), item=first, hook="hold")
        assert held["places"][0]["kind"] == "hold"
        assert self.post(self.at("/containment/verify"), item=first)["id"] == first
        for item in found:
            self.post(
                f"/v1/containment/{item['id']}", state="not_applicable", verified_how="Nothing of it is used."
            )

    def audited(self) -> None:
        self.post(self.at("/audit"), tools=["crm.create_task"], followed=True)
        self.post(self.at("/audit"))
        looked = self.post(self.at("/drift"))
        assert self.get(self.at("/drift")) == looked

    def proposed(self) -> Json:
        plan = self.post(self.at("/plan"))
        self.plan = plan["id"]
        return plan

    def recovered(self) -> None:
        first = self.proposed()
        self.get(f"/v1/plans/{self.plan}")
        self.get(f"/v1/plans/{self.plan}/items")
        self.get(f"/v1/plans/{self.plan}/partly-undone")
        edited = self.edited(first)
        chosen = self.get(f"/v1/plans/{self.plan}/chosen", where="operation == 'created'")
        assert chosen["digest"] == edited["digest"]
        assert len(chosen["items"]) + len(chosen["rest"]) == first["items"]
        self.post(f"/v1/plans/{self.plan}/approve", who=DANA, digest=edited["digest"])
        self.carried_out_by_the_agent()
        assert len(self.house.office.crm.tasks) < 2
        back = self.post(f"/v1/plans/{self.plan}/reverse")
        items = [each["id"] for each in self.get(f"/v1/plans/{back['id']}/items")]
        self.post(
            f"/v1/plans/{back['id']}/approve",
            who=DANA,
            digest=back["digest"],
            items=[],
            accept=items,
            note="The recovery was right.",
        )
        self.post(f"/v1/plans/{back['id']}/run")

    def edited(self, plan: Json) -> Json:
        """An item is edited and the edit taken back: each time it is another plan that is signed."""
        item = self.get(f"/v1/plans/{self.plan}/items")[0]["id"]
        at = f"/v1/plans/{self.plan}/items/{item}"
        changed = self.post(at, digest=plan["digest"], remedy="tell", reason="By hand.")
        assert changed["digest"] != plan["digest"]
        return self.post(f"{at}/take-back", digest=changed["digest"], reason="The software may.")

    def carried_out_by_the_agent(self) -> None:
        """Run the plan where the credentials are, with second thoughts before it."""
        crm = self.house.office.inst.systems.pop("crm")  # from here on the agent alone can reach it
        begun = self.post(f"/v1/plans/{self.plan}/run")
        assert begun["state"] == "running", begun
        [lane] = self.get(f"/v1/plans/{self.plan}/progress")["lanes"]
        assert "in a process that has it" in lane["waiting"]
        assert self.post(f"/v1/plans/{self.plan}/pause", reason="Wait for Kim.")["in_flight"] == []
        assert self.post(f"/v1/plans/{self.plan}/resume", reason="Kim agrees.")["state"] == "running"
        assert self.post(f"/v1/plans/{self.plan}/cancel", reason="Not today.")["plan"]["state"] == "finished"
        self.house.office.inst.systems["crm"] = crm
        again = self.proposed()
        self.post(f"/v1/plans/{self.plan}/approve", who=DANA, digest=again["digest"])
        del self.house.office.inst.systems["crm"]
        self.post(f"/v1/plans/{self.plan}/run")

        asked = {"workflow": WORKFLOW, "runner": "runner-1", "systems": ["crm"]}
        lane = self.post("/v1/recovery/claim", who=AGENT, **asked)["lane"]
        mine = {"system": "crm", "runner": "runner-1", "fence": lane["fence"]}
        refs = {each["item"]: ObjectRef(**each["object"]) for each in lane["items"]}
        looked = [{"item": item, "image": to_builtins(crm.read(ref))} for item, ref in refs.items()]
        orders = self.post(f"/v1/plans/{self.plan}/begin", who=AGENT, **mine, looked=looked)["orders"]
        self.post(f"/v1/plans/{self.plan}/keep", who=AGENT, **mine)
        for order in orders:
            expected, target = (convert(order[name], Image) for name in ("expected", "target"))
            crm.replace(refs[order["item"]], expected, target)
        ended = [{"item": item, "image": to_builtins(crm.read(ref))} for item, ref in refs.items()]
        self.post(f"/v1/plans/{self.plan}/end", who=AGENT, **mine, ended=ended)
        # What was put back is read once more before the plan is over.
        once_more = self.post("/v1/recovery/claim", who=AGENT, **asked)["lane"]
        looked = [
            {"item": each["item"], "image": to_builtins(crm.read(refs[each["item"]]))}
            for each in once_more["items"]
        ]
        assert not self.post(f"/v1/plans/{self.plan}/begin", who=AGENT, **mine, looked=looked)["orders"]
        self.house.office.inst.systems["crm"] = crm
        assert self.get(f"/v1/plans/{self.plan}")["state"] == "finished"

    def told(self) -> None:
        drafts = self.post(self.at("/messages"))
        first = drafts[0]
        drafts[0] = self.post(
            f"/v1/messages/{first['id']}",
            recipients=[DANA.id],
            subject=first["subject"],
            body=first["body"] + "\nThat is all for now.",
        )
        for each in drafts[:-1]:
            self.post(f"/v1/messages/{each['id']}/approve", who=DANA, digest=each["digest"])
            self.post(f"/v1/messages/{each['id']}/send", who=DANA)
        self.post(f"/v1/messages/{drafts[-1]['id']}/discard", reason="They were told in person.")

    def learned(self) -> None:
        self.post(self.at("/root-cause"), text="A retry repeated the write: the tool had no idempotency key.")
        self.post("/v1/manifests/preview", text=PATCHED)
        self.post("/v1/manifests", text=PATCHED, reason="an idempotency key", expected_version=1)
        found = self.get(self.at("/postmortem"))
        fields = {field.name: found["fields"].get(field.name) or "We wrote it down." for field in FIELDS}
        remedy = {"remediation": ["idempotency"], "what": "A key", "owner": LEE.id, "due_date": "2026-04-01"}
        self.put(self.at("/postmortem"), fields=fields, follow_ups=[remedy])
        self.post(self.at("/postmortem/close"))

    def signed(self) -> None:
        """Answer what records cannot tell, and sign."""
        for check in ReenableCheck:
            self._answer(check)

    def returned(self) -> None:
        """Come back a stage at a time, with a clean run on each."""
        self.signed()
        self.post(self.at("/preparedness"))
        for number in range(2, 10):
            if self.post(self.at("/raise"), who=DANA)["stage"] == "normal":
                break
            run = f"run-{number}"
            self.start(run)
            self.call(run, f"call-{run}", tool="crm.read_account", account_id="acme")
            self.post(f"/v1/runs/{run}/finish", who=AGENT, status="succeeded")
        self._answer(ReenableCheck.FIRST_RUN_MONITORED)

    def _answer(self, check: ReenableCheck) -> None:
        views = {view["check"]: view for view in self.get(self.at("/return"))["checks"]}
        if views[check]["state"] not in (CheckState.PASSED, CheckState.ATTESTED, CheckState.EXCEPTED):
            answer = self.house.as_(DANA).post(
                self.at(f"/checks/{check}"), json={"note": "I looked at it myself."}
            )
            assert answer.status_code in (200, 409), answer.text

    def closed(self) -> None:
        self.post(self.at("/close"), who=DANA, reason="It runs as it should.")
