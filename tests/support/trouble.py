"""An incident from its first harm on: what the agent did, and each phase done by the person whose it is."""

from __future__ import annotations

from functools import partial

from stopwork.control.protocol import PermitAnswer
from stopwork.ledger.records import Audit, Bundle, ContainmentItem, Incident, Item, Message, Plan
from stopwork.ledger.words import ContainmentState, IncidentType
from stopwork.operations import (
    audits,
    containment,
    evidence,
    incidents,
    messages,
    planning,
    plans,
    recovering,
)
from tests.support.office import DANA, LEE, WORKFLOW, Office

TITLE = "Prepare the renewal"


class Trouble:
    """The agent moves a renewal date and makes one task twice; the detectors open an incident about it."""

    def __init__(self, office: Office, *, incident: str = "", preserved: bool = True) -> None:
        """Make the trouble, or go on with an ``incident`` that is there. Its evidence is sealed by itself unless it is not ``preserved``."""
        self.office = office
        self.incident = incident or self._made(without="" if preserved else "preserving")

    @classmethod
    def of_run(
        cls, office: Office, run: str, *, about: IncidentType | None = None, practice: bool = False
    ) -> Trouble:
        """Answer an incident, or a drill, that a person opened about what the run did."""
        opened = partial(
            incidents.open_by_hand,
            manifests=office.inst.manifests,
            workflow=WORKFLOW,
            type=about,
            runs=(run,),
            practice=practice,
        )
        return cls(office, incident=office.write(opened, actor=LEE).id)

    def _made(self, *, without: str) -> str:
        office = self.office
        self.run = office.begin()
        self.update = office.do(self.run, "crm.update_account", account_id="acme", renewal="2025-01-01")
        self.tasks: list[PermitAnswer] = [
            office.do(self.run, "crm.create_task", account_id="acme", title=TITLE, nth=nth) for nth in (1, 2)
        ]
        office.wait(seconds=1, without=without)
        (opened,) = office.read(lambda view: list(view.each(Incident)))
        return opened.id

    @property
    def known(self) -> Incident:
        return self.office.read(lambda view: view.need(Incident, self.incident))

    def seal(self) -> Bundle:
        return evidence.seal(self.office.inst, LEE, incident=self.incident)

    def checklist(self) -> list[ContainmentItem]:
        return self.office.write(
            partial(containment.checklist, manifests=self.office.inst.manifests, incident=self.incident),
            actor=LEE,
        )

    def contain(self) -> None:
        for item in self.checklist():
            done = partial(
                containment.record, item=item.id, state=ContainmentState.DONE, verified_how="looked"
            )
            self.office.write(done, actor=LEE)

    def audit(self) -> Audit:
        return self.office.write(
            partial(audits.complete, manifests=self.office.inst.manifests, incident=self.incident), actor=LEE
        )

    def propose(self) -> Plan:
        return self.office.write(
            partial(
                planning.propose,
                manifests=self.office.inst.manifests,
                systems=self.office.inst.systems,
                incident=self.incident,
            ),
            actor=LEE,
        )

    def approve(self, plan: Plan) -> Plan:
        """Approve every item, also those that the plan proposes to leave as they are."""
        every = {item.id for item in self.items(plan).values()}
        return self.office.write(
            partial(planning.approve, plan=plan.id, digest=plan.digest, items=every), actor=DANA
        )

    def approved_plan(self) -> Plan:
        """Seal, audit, propose and approve, in the order that the product asks for."""
        self.seal()
        self.audit()
        return self.approve(self.propose())

    def approved_plan_as_proposed(self) -> Plan:
        """The same, leaving as it is what the plan proposes to leave."""
        self.seal()
        self.audit()
        plan = self.propose()
        return self.office.write(partial(planning.approve, plan=plan.id, digest=plan.digest), actor=DANA)

    def recover(self, plan: Plan) -> Plan:
        return recovering.run(self.office.inst, LEE, plan=plan.id)

    def reversal(self, plan: str) -> Plan:
        """Propose that a recovery is taken back."""
        return self.office.write(
            partial(
                planning.propose_reversal,
                manifests=self.office.inst.manifests,
                systems=self.office.inst.systems,
                plan=plan,
            ),
            actor=LEE,
        )

    def items(self, plan: Plan) -> dict[str, Item]:
        """Answer the items of a plan by the id of their object."""
        found = self.office.read(lambda view: plans.items_of(view, plan.id))
        return {item.object.id: item for item in found}

    def draft(self) -> list[Message]:
        return self.office.write(
            partial(messages.draft, manifests=self.office.inst.manifests, incident=self.incident), actor=LEE
        )
