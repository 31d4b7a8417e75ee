"""The page of an incident, its lists and its report."""

from __future__ import annotations

from datetime import datetime

from stopwork.incidents.affected import AffectedObject
from stopwork.incidents.choosing import NAMES
from stopwork.incidents.communicate import Told
from stopwork.incidents.contain import ENDED
from stopwork.incidents.lifecycle import NextAction, PhaseState, PhaseView
from stopwork.incidents.offers import HookOffer, fitting
from stopwork.incidents.prepare import Preparedness
from stopwork.incidents.reenable import GOOD, CheckView
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations.acknowledging import Answering
from stopwork.operations.custody import CustodyLine
from stopwork.operations.similarities import SimilarCalls
from stopwork.server.pages.contexts.parts import (
    Choice,
    Context,
    FieldChange,
    Filter,
    Frame,
    HoldRow,
    IncidentRow,
    Paging,
    StageStep,
    TimelineRow,
    Unsettled,
)

# --- incident --------------------------------------------------------------------------------------


class DecisionNeeded(Context):
    """Something that waits for this visitor."""

    title: str
    href: str
    due: datetime | None = None


class KindCount(Context):
    """How many records of one kind the evidence holds."""

    kind: w.EvidenceKind
    records: int


class EvidencePanel(Context):
    """What would be sealed, or was, and what is missing."""

    kinds: tuple[KindCount, ...]
    missing: tuple[str, ...]
    bundle: r.Bundle | None = None
    verify_command: str = ""
    earlier: tuple[r.Bundle, ...] = ()
    custody: tuple[CustodyLine, ...] = ()
    legal_hold: r.LegalHold | None = None
    may_lift: bool = False


class AffectedRow(Context):
    """One object the runs touched, with the net change, field by field. ``calls`` are pairs of call and run.

    ``drifted`` is what had become of it when somebody last looked.
    """

    object: AffectedObject
    fields: tuple[FieldChange, ...]
    calls: tuple[tuple[str, str], ...]
    drifted: r.Drifted | None = None


class AuditPanel(Context):
    """The twelve answers, what they can know, and the first of the ``total`` objects that were touched.

    ``scope`` says which calls it is about where that is not every call of the incident, ``uncovered`` what of the incident is left out.
    ``similar`` are past calls like the bad ones, where all of them have to be looked at.
    """

    audit: r.Audit | None
    scope: str = ""
    uncovered: str = ""
    total: int = 0
    objects: tuple[AffectedRow, ...] = ()
    similar: SimilarCalls | None = None
    tools: tuple[str, ...] = ()


class ItemRow(Context):
    """One recovery item. With a ``conflict``, in words, its fields hold before, what the agent left and what is there now.

    ``ticked`` is how it is proposed to be decided, or what a rule chose. ``remedies``, ``values`` and ``args`` (name and text) may be changed.
    """

    item: r.Item
    fields: tuple[FieldChange, ...]
    conflict: str = ""
    ticked: bool = True
    drifted: r.Drifted | None = None
    remedies: tuple[Choice, ...] = ()
    values: tuple[tuple[str, str], ...] = ()
    args: tuple[tuple[str, str], ...] = ()


class RecoverPanel(Context):
    """The plan with its items, and whether this visitor may approve it. ``decided`` are items of earlier plans that are not asked again.

    ``rule`` is what chose the items that are ticked, how many they are, or what is wrong with it; ``looked`` is the newest look at the objects.
    The first ``in_full`` items are shown with their fields, the others in a line each. ``in_part`` says which calls are undone in part only.
    """

    plan: r.Plan | None
    items: tuple[ItemRow, ...] = ()
    in_full: int = 0
    decided: tuple[r.Item, ...] = ()
    approver: str = ""
    may_approve: bool = False
    why_not: str = ""
    rule: str = ""
    rule_chooses: int | None = None
    rule_wrong: str = ""
    rule_names: tuple[str, ...] = NAMES
    looked: r.Drift | None = None
    in_part: tuple[str, ...] = ()

    def counted(self, state: w.ItemState) -> int:
        return sum(row.item.state is state for row in self.items)

    @property
    def settled(self) -> int:
        return self.counted(w.ItemState.VERIFIED) + self.counted(w.ItemState.ACCEPTED)


class AudienceRow(Context):
    """An audience that must be told, and the message for it."""

    told: Told
    message: r.Message | None = None
    why_not: str = ""


class PostmortemField(Context):
    """One field of the postmortem; ``prefilled`` when the text comes from records."""

    name: str
    label: str
    value: str
    hint: str = ""
    prefilled: bool = False


class LearnPanel(Context):
    """The postmortem as a form, or as it was closed."""

    fields: tuple[PostmortemField, ...]
    follow_ups: tuple[r.FollowUp, ...]
    proposed: tuple[w.RemediationClass, ...]
    postmortem: r.Postmortem | None = None
    root_cause: str = ""
    shallow: str = ""
    mandatory: bool = False


class CheckRow(Context):
    """One re-enable check. ``answer`` is what this visitor may do about it, empty where only records count."""

    view: CheckView
    answer: str = ""


class ReenablePanel(Context):
    """The eleven checks and the ladder of stages."""

    checks: tuple[CheckRow, ...]
    stages: tuple[StageStep, ...]
    next_stage: w.Stage | None
    owner: str
    may_raise: bool = False
    why_not: str = ""

    @property
    def settled(self) -> int:
        return sum(row.view.state in GOOD for row in self.checks)


class Ending(Context):
    """Why an incident is none, or went on in another one, and who said so."""

    reason: str
    by: r.Principal
    at: datetime


class IncidentContext(Context):
    """Everything that one incident asks for, phase by phase.

    ``deciding`` is what it can be merged into. ``goes_on`` says what the holds leave running, ``touched`` what is known to be changed, and
    ``doubtful`` are the calls whose outcome nobody knows. ``weighed`` says what the severity comes from besides the factors.
    """

    frame: Frame
    incident: r.Incident
    deciding: IncidentRow
    workflow: r.Workflow
    phases: tuple[PhaseView, ...]
    next: NextAction | None
    decisions: tuple[DecisionNeeded, ...]
    signals: tuple[r.Signal, ...]
    holds: tuple[HoldRow, ...]
    goes_on: str
    touched: str
    doubtful: tuple[r.Call, ...]
    points: int
    proposed_pause: str
    evidence: EvidencePanel
    containment: tuple[r.ContainmentItem, ...]
    audit: AuditPanel
    recover: RecoverPanel
    audiences: tuple[AudienceRow, ...]
    not_told: tuple[Told, ...]
    learn: LearnPanel
    reenable: ReenablePanel
    preparedness: Preparedness
    timeline: tuple[TimelineRow, ...]
    timeline_left_out: int = 0
    people: tuple[str, ...] = ()
    offers: tuple[HookOffer, ...] = ()
    weighed: tuple[str, ...] = ()
    taken: Answering | None = None
    ending: Ending | None = None

    @property
    def uncontained(self) -> tuple[r.ContainmentItem, ...]:
        """What has still to be made safe."""
        return tuple(item for item in self.containment if item.state not in ENDED)

    def hooks_for(self, item: r.ContainmentItem) -> tuple[HookOffer, ...]:
        """Answer what this server can do about an item now; what runs or is confirmed is not done again, and what is in doubt not blindly."""
        held = item.scope is not None and item.place(w.PlaceKind.HOLD, str(item.scope))
        return tuple(
            each
            for each in fitting(self.offers, item, self.workflow.id)
            if (
                not (held and held.state is w.ContainmentState.DONE)
                if each.kind is w.HookKind.HOLD
                else not self.incident.practice
                and not (
                    (place := item.place(w.PlaceKind.HOOK, each.name))
                    and (
                        place.running
                        or place.state is w.ContainmentState.DONE
                        or (place.state is w.ContainmentState.IN_DOUBT and not each.has_probe)
                    )
                )
            )
        )

    def can_look(self, item: r.ContainmentItem) -> bool:
        """Answer whether a probe or the records can show how far an item is; of all others only people know."""
        return item.scope is not None or any(
            place.has_probe or place.kind is not w.PlaceKind.HOOK for place in item.places
        )

    def tried(self, item: r.ContainmentItem, hook: str) -> bool:
        """Answer whether a hook was begun for an item before."""
        place = item.place(w.PlaceKind.HOOK, hook)
        return place is not None and place.tries > 0

    @property
    def unsettled(self) -> Unsettled:
        """Everything that any hold of this incident still waits for."""
        return Unsettled.of(row.pause for row in self.holds)

    @property
    def one_click(self) -> str:
        """Where the next action is posted, if it needs nothing but the click; otherwise empty."""
        if self.next is None or self.ready_to_close:
            return ""
        plan = self.recover.plan
        no_plan_to_finish = plan is None or plan.state is w.PlanState.FINISHED
        known = {
            w.Phase.PRESERVE: "seal",
            w.Phase.CONTAIN: "" if self.containment else "containment/propose",
            w.Phase.AUDIT: "audit",
            w.Phase.RECOVER: "plan"
            if no_plan_to_finish
            else "recover"
            if plan and plan.state is not w.PlanState.PROPOSED
            else "",
            w.Phase.COMMUNICATE: "" if any(row.message for row in self.audiences) else "messages/draft",
            w.Phase.PREPARE: "prepare",
        }
        return known.get(self.next.phase, "")

    @property
    def ready_to_close(self) -> bool:
        """Whether every phase is done and only the closing is left."""
        return self.next is not None and all(step.state is PhaseState.DONE for step in self.phases)

    @property
    def answering(self) -> w.ReenableCheck | None:
        """The check that this visitor is asked for next; the other questions stay folded."""
        asked = (row.view.check for row in self.reenable.checks if row.answer)
        return next(asked, None) if self.next and self.next.phase is w.Phase.REENABLE else None

    @property
    def letter(self) -> w.Audience | None:
        """The audience whose message comes next; the other letters stay folded."""
        ended = (w.MessageState.SENT, w.MessageState.DISCARDED)
        letters = (row for row in self.audiences if row.message and row.message.state not in ended)
        return next((row.told.audience for row in letters), None)

    def step(self, phase: w.Phase) -> PhaseView:
        """Answer how one phase stands."""
        return next(step for step in self.phases if step.phase is phase)


class ObjectsContext(Context):
    """The affected objects of an incident, filtered and paged: ``fitting`` of the ``total``."""

    frame: Frame
    incident: r.Incident
    objects: tuple[AffectedRow, ...]
    total: int
    fitting: int
    filters: tuple[Filter, ...]
    paging: Paging
    call: str = ""


class IncidentsContext(Context):
    """Incidents, filtered and paged; those that are only proposed are decided here."""

    frame: Frame
    incidents: tuple[IncidentRow, ...]
    filters: tuple[Filter, ...]
    paging: Paging
    proposals: tuple[IncidentRow, ...] = ()


class OpenIncidentContext(Context):
    """The form that opens an incident; what happened is the one thing that must be said."""

    frame: Frame
    workflows: tuple[Choice, ...]
    types: tuple[Choice, ...]
    run: str = ""
    text: str = ""


class ReportContext(Context):
    """The one page of an incident, for print. ``lines`` are the template's fields in their order."""

    frame: Frame
    incident: r.Incident
    lines: tuple[tuple[str, str], ...]
    objects: tuple[AffectedRow, ...]
    timeline: tuple[TimelineRow, ...]
    durations: tuple[tuple[str, str], ...]
