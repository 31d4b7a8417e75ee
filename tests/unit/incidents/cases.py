"""Incidents told in a few words: a story of events, folded into the records that the phases read.

The fold is the product's own, so that a test sees what the software would see. ``bad_monday()`` is the story most tests begin
with: the agent creates the same task twice and changes a renewal date; the alert opens the incident.
"""

from __future__ import annotations

from typing import Any, TypeVar

from stopwork.incidents.affected import affected_objects
from stopwork.incidents.audit import answers
from stopwork.incidents.case import Case
from stopwork.incidents.open import opening
from stopwork.incidents.severity import Assessment, Circumstances, assess
from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.ledger.fold import changes
from stopwork.ledger.fold.change import Put
from stopwork.manifest.model import Manifest
from tests.unit.detect.manifests import manifest
from tests.unit.detect.story import START, WORKFLOW, Story

INCIDENT = "AI-INC-2026-0302-001"
DETECTORS = r.Principal(kind=w.PrincipalKind.SYSTEM, id="detectors")
DANA = r.Principal(kind=w.PrincipalKind.PERSON, id="dana@acme.test")
LEE = r.Principal(kind=w.PrincipalKind.PERSON, id="lee@acme.test")
AGENT = r.Principal(kind=w.PrincipalKind.AGENT, id=WORKFLOW)

R = TypeVar("R", bound=r.Record)


class Book:
    """The records that follow from a journal, in a dictionary."""

    def __init__(self, entries: list[e.Entry]) -> None:
        self._records: dict[tuple[type[r.Record], str], r.Record] = {}
        for entry in entries:
            for change in changes(entry):
                kind: type[r.Record]
                made: r.Record | None
                if isinstance(change, Put):
                    kind, key, made = type(change.record), change.record.id, change.record  # type: ignore[attr-defined]
                else:
                    kind, key = change.kind, change.id
                    made = change.evolve(self._records.get((kind, key)))
                if made is not None:
                    self._records[kind, key] = made

    def get(self, kind: type[R], key: str) -> R | None:
        found = self._records.get((kind, key))
        return found if isinstance(found, kind) else None

    def every(self, kind: type[R]) -> tuple[R, ...]:
        return tuple(record for record in self._records.values() if isinstance(record, kind))


class IncidentStory(Story):
    """A story with an incident in it."""

    def __init__(self, declared: Manifest | None = None) -> None:
        super().__init__(START)
        self.declared = declared or manifest()
        self.applied()

    def applied(self) -> IncidentStory:
        version = sum(isinstance(entry.event, e.ManifestApplied) for entry in self.entries) + 1
        self.write(
            e.ManifestApplied(
                workflow=WORKFLOW,
                version=version,
                title=self.declared.heading,
                mode=w.Mode.ENFORCE,
                stage=w.Stage.NORMAL,
                owners=self.declared.owners.by_role(),
                text="",
                digest="",
                reason="first",
            )
        )
        return self

    def effect(
        self,
        call: str,
        object_id: str,
        *,
        kind: str = "task",
        operation: w.Operation = w.Operation.CREATED,
        before: r.Image | None = None,
        after: r.Image | None = None,
    ) -> r.Effect:
        ref = r.ObjectRef(system="crm", type=kind, id=object_id)
        return r.Effect(
            id=f"{call}/{object_id}",
            call=call,
            run="r1",
            workflow=WORKFLOW,
            tool="crm.create_task",
            object=ref,
            operation=operation,
            before=before or r.Image.absent(),
            after=after or r.Image.present({"title": "Call them"}),
            at=self.now,
            source="scan",
            object_key=str(ref),
        )

    def opened(
        self,
        incident_type: w.IncidentType = w.IncidentType.DUPLICATE_WORK,
        severity: w.Severity | None = None,
        **changed: Any,
    ) -> IncidentStory:
        book = Book(self.entries)
        runs = book.every(r.Run)
        assessment = assess(
            Circumstances(
                type=incident_type,
                manifest=self.declared,
                calls=book.every(r.Call),
                effects=book.every(r.Effect),
                runs=runs,
            )
        )
        if severity is not None:
            assessment = Assessment(severity=severity, factors=assessment.factors, why="given")
        fields: dict[str, Any] = {
            "incident": INCIDENT,
            "cause": f"1/{incident_type}/{WORKFLOW}/crm.create_task",
            "incident_type": incident_type,
            "manifest": self.declared,
            "version": 1,
            "assessment": assessment,
            "noticed_by": w.DetectedBy.ALERT,
            "detected_at": self.now,
            "now": self.now,
            "opener": DETECTORS,
            "runs": tuple(run.id for run in runs),
        }
        return self.says(opening(**(fields | changed)), by=DETECTORS)

    def says(self, event: e.Event, *, by: r.Principal = LEE) -> IncidentStory:
        """Write an event as somebody else than the agent."""
        self.entries.append(e.Entry(seq=len(self.entries) + 1, at=self.now, actor=by, event=event))
        return self

    def signalled(self, summary: str, **facts: Any) -> IncidentStory:
        signal = f"s{len(self.entries)}"
        self.says(
            e.SignalRaised(
                signal=signal,
                kind=w.SignalKind.ALERT,
                type=w.IncidentType.DUPLICATE_WORK,
                detector="duplicate_action",
                key=f"1/duplicate_work/{WORKFLOW}/crm.create_task",
                workflow=WORKFLOW,
                summary=summary,
                occurred_at=self.now,
                facts=facts,
                run="r1",
            ),
            by=DETECTORS,
        )
        return self.says(
            e.SignalJoined(incident=INCIDENT, workflow=WORKFLOW, signal=signal, run="r1"), by=DETECTORS
        )

    def paused(self, tool: str = "crm.create_task") -> IncidentStory:
        scope = r.Scope(kind=w.ScopeKind.TOOL, name=tool, workflow=WORKFLOW)
        self.says(
            e.HoldSet(
                hold="hold_1",
                scope=scope,
                mode=w.HoldMode.BLOCK,
                reason="duplicates",
                epoch=2,
                workflow=WORKFLOW,
                incident=INCIDENT,
            ),
            by=DETECTORS,
        )
        return self.says(e.IncidentPaused(incident=INCIDENT, workflow=WORKFLOW, hold="hold_1"), by=DETECTORS)

    def sealed(self) -> IncidentStory:
        return self.says(
            e.EvidenceSealed(
                incident=INCIDENT,
                workflow=WORKFLOW,
                bundle="bundle_1",
                digest="sha256:00",
                size_bytes=10,
                entries=3,
                tree_size=3,
                kinds={"run_record": 1, "tool_trace": 3},
                missing=(),
                path="bundle.zip",
            )
        )

    def contained(self) -> IncidentStory:
        item = r.ContainmentItem(
            id=f"{INCIDENT}/queues/1",
            incident=INCIDENT,
            area=w.ContainmentArea.QUEUES,
            what="Freeze retries",
            why="they repeat",
            state=w.ContainmentState.PROPOSED,
        )
        self.says(e.ContainmentProposed(incident=INCIDENT, workflow=WORKFLOW, items=(item,)))
        self.says(
            e.ContainmentRecorded(
                incident=INCIDENT,
                workflow=WORKFLOW,
                item=item.id,
                state=w.ContainmentState.DONE,
                verified_how="looked at the queue",
                complete=True,
            )
        )
        return self.status(w.IncidentStatus.CONTAINED)

    def audited(self) -> IncidentStory:
        case = self.case()
        return self.says(
            e.AuditCompleted(
                incident=INCIDENT,
                workflow=WORKFLOW,
                audit="audit_1",
                runs=case.incident.runs,
                answers=answers(case),
                objects=len(affected_objects(case)),
            )
        )

    def planned(self, *states: w.ItemState, calls: tuple[str, ...] = ()) -> IncidentStory:
        """Propose a plan with one item a state, approve it, and let each item end in its state.

        Each item undoes one of ``calls``.
        """
        of_items = (*calls, *("B" for _ in states))
        items = tuple(
            self._item(number, call)
            for number, (_, call) in enumerate(zip(states, of_items, strict=False), start=1)
        )
        self.says(
            e.PlanProposed(
                incident=INCIDENT, workflow=WORKFLOW, plan="plan_1", digest="sha256:00", items=items
            )
        )
        if not states or states == (w.ItemState.PROPOSED,) * len(states):
            return self
        self.says(
            e.PlanApproved(
                incident=INCIDENT,
                workflow=WORKFLOW,
                plan="plan_1",
                digest="sha256:00",
                items=tuple(item.id for item in items),
            ),
            by=DANA,
        )
        if w.ItemState.APPROVED in states:
            return self
        for item, state in zip(items, states, strict=True):
            self.says(
                e.ItemFinished(
                    incident=INCIDENT,
                    workflow=WORKFLOW,
                    plan="plan_1",
                    item=item.id,
                    object=item.object,
                    state=state,
                    note="changed by somebody since" if state is w.ItemState.CONFLICT else "",
                )
            )
        return self.says(e.PlanFinished(incident=INCIDENT, workflow=WORKFLOW, plan="plan_1", outcome={}))

    def _item(self, number: int, call: str) -> r.Item:
        return r.Item(
            id=f"item_{number}",
            plan="plan_1",
            incident=INCIDENT,
            object=r.ObjectRef(system="crm", type="task", id=str(number)),
            situation=w.RecoverySituation.DUPLICATE_RECORDS,
            remedy=w.Remedy.DELETE,
            reversibility=w.Reversibility.FULLY,
            preview="delete it",
            calls=(call,),
            effects=(f"{call}/{number}",),
            expected=r.Image.present({}),
            target=r.Image.absent(),
            order=number,
            state=w.ItemState.PROPOSED,
        )

    def message(self, audience: w.Audience, state: w.MessageState, body: str = "text") -> IncidentStory:
        key = f"msg_{audience}"
        common = {"incident": INCIDENT, "workflow": WORKFLOW, "message": key}
        self.says(
            e.MessageDrafted(
                **common,
                audience=audience,
                recipients=("dana@acme.test",),
                subject="subject",
                body=body,
                digest="sha256:00",
            )
        )
        if state in (w.MessageState.APPROVED, w.MessageState.SENT, w.MessageState.FAILED):
            self.says(e.MessageApproved(**common, digest="sha256:00"), by=DANA)
        match state:
            case w.MessageState.SENT:
                self.says(e.MessageSent(**common, delivery={"dana@acme.test": "sent"}, complete=True))
            case w.MessageState.FAILED:
                self.says(e.MessageFailed(**common, error="the mail server refused it"))
            case w.MessageState.DISCARDED:
                self.says(e.MessageDiscarded(**common, reason="told by telephone"))
            case _:
                pass
        return self

    def told(self, *audiences: w.Audience) -> IncidentStory:
        for audience in audiences:
            self.message(audience, w.MessageState.SENT)
        return self

    def root_cause(self) -> IncidentStory:
        return self.says(
            e.RootCauseRecorded(
                incident=INCIDENT, workflow=WORKFLOW, text="Nothing told a retry from a new call."
            )
        )

    def status(self, after: w.IncidentStatus) -> IncidentStory:
        before = self.case().incident.status
        return self.says(e.StatusChanged(incident=INCIDENT, workflow=WORKFLOW, before=before, after=after))

    def case(self) -> Case:
        """Answer the case as the journal makes it."""
        book = Book(self.entries)
        incident, workflow = book.get(r.Incident, INCIDENT), book.get(r.Workflow, WORKFLOW)
        assert incident is not None
        assert workflow is not None
        audits, bundles = book.every(r.Audit), book.every(r.Bundle)
        return Case(
            incident=incident,
            workflow=workflow,
            runs=tuple(run for run in book.every(r.Run) if run.id in incident.runs),
            steps=book.every(r.Step),
            calls=book.every(r.Call),
            effects=book.every(r.Effect),
            approvals=book.every(r.Approval),
            signals=book.every(r.Signal),
            holds=book.every(r.Hold),
            items=book.every(r.Item),
            checks=book.every(r.Check),
            manifests=dict.fromkeys(range(1, workflow.version + 1), self.declared),
            current=self.declared,
            audit=audits[-1] if audits else None,
            plan=book.get(r.Plan, incident.plan) if incident.plan else None,
            bundle=bundles[-1] if bundles else None,
            postmortem=book.get(r.Postmortem, INCIDENT),
            later_runs=tuple(run for run in book.every(r.Run) if run.id not in incident.runs),
            containment=book.every(r.ContainmentItem),
            messages=book.every(r.Message),
        )


def bad_monday(declared: Manifest | None = None) -> IncidentStory:
    """The agent's task is created twice by a retry after a time-out, and an account's renewal date is wrong."""
    story = IncidentStory(declared)
    story.run("r1")
    story.after(seconds=1)
    story.call("U", tool="crm.update_account", effect=w.EffectKind.UPDATE, account_id="acme")
    changed = story.effect(
        "U",
        "acme",
        kind="account",
        operation=w.Operation.MODIFIED,
        before=r.Image.present({"renewal_date": "2026-12-01"}),
        after=r.Image.present({"renewal_date": "2027-01-01"}),
    )
    story.outcome("U", effects=(changed,))
    story.call("A", account_id="acme", title="Call them").outcome(
        "A", w.Outcome.UNKNOWN, (story.effect("A", "1"),)
    )
    story.after(seconds=10).call("B", account_id="acme", title="Call them").outcome(
        "B", effects=(story.effect("B", "2"),)
    )
    story.opened()
    return story.signalled(
        "crm.create_task was permitted 2 times for the same action in one run, 10 seconds from first to last",
        tool="crm.create_task",
        permission="crm.tasks.write",
        trigger="schedule",
    )
