"""Reports: what people and other tools say is wrong. Every way in ends here.

A report becomes a signal, and is never lost: one that names no known workflow waits without one until somebody assigns it. The same
delivered twice changes nothing. What comes in masses is one cause: the first reports of it are kept one by one, the rest are counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from stopwork.detect.detector import Finding
from stopwork.detect.rulebook import hold_of
from stopwork.incidents.open import cause_key
from stopwork.kernel.clock import in_utc
from stopwork.kernel.errors import Conflict, Denied, Invalid
from stopwork.ledger import records as r
from stopwork.ledger.events import SignalAssigned, SignalRepeated
from stopwork.ledger.words import (
    DetectedBy,
    IncidentStatus,
    IncidentType,
    PrincipalKind,
    Severity,
    SignalKind,
)
from stopwork.operations import signals
from stopwork.operations.answering import answered
from stopwork.operations.deliveries import delivered, delivery_digest, remember
from stopwork.operations.manifests import Manifests, known_workflow
from stopwork.operations.people import require_person
from stopwork.storage.transaction import Tx

#: In this time so many reports of one cause are kept one by one, with an open incident and without; the others are counted.
WINDOW: Final = timedelta(hours=1)
KEPT: Final = 10
KEPT_ALONE: Final = 100
#: A source that names more causes than this in that time, about one workflow, names no causes any more.
MOST_CAUSES: Final = 20
MANY: Final = "many"
MAX_SUMMARY: Final = 300
MAX_TEXT: Final = 10_000
MAX_FACTS: Final = 40
MAX_FACT_CHARS: Final = 2_000
MAX_KEY: Final = 64
#: The facts by which a signal that waits to be assigned is still as grave as it was said to be, and over if it was said to be.
_AT_LEAST: Final = "severity_at_least"
_OVER: Final = "said_to_be_over"
_DETECTED_BY: Final = "detected_by"
#: What of the facts is acted upon later, and so is nobody's to say in their own words.
_OURS: Final = frozenset({_AT_LEAST, _OVER, _DETECTED_BY})
W = TypeVar("W", bound=StrEnum)

#: What a report is taken for where it does not say; its facts tell that it did not. What is said to be about security need not be an injection.
USUAL_TYPE: Final = {
    SignalKind.ALERT: IncidentType.BAD_WRITEBACK,
    SignalKind.USER_REPORT: IncidentType.BAD_WRITEBACK,
    SignalKind.FAILED_RUN: IncidentType.MISSED_WORKFLOW,
    SignalKind.POLICY_VIOLATION: IncidentType.TOOL_MISUSE,
    SignalKind.DOWNSTREAM_ANOMALY: IncidentType.BAD_WRITEBACK,
    SignalKind.SECURITY: IncidentType.TOOL_MISUSE,
    SignalKind.COST: IncidentType.COST_RUNAWAY,
}


class Report(Struct, frozen=True, kw_only=True):
    """What somebody noticed. ``source`` is the way it came in, ``delivery`` the sender's own name for it: twice is once.

    ``key`` names the cause, as far as the sender can tell: reports of one key, about one workflow, belong together. What is not
    ``alarming`` joins an incident that is open about its cause, and opens none. What is not ``verified``, because anybody could have said
    it, only proposes one.
    """

    source: str
    kind: SignalKind
    summary: str
    workflow: str = ""
    type: IncidentType | None = None
    key: str = ""
    occurred_at: datetime | None = None
    severity: Severity | None = None
    noticed_by: DetectedBy | None = None
    facts: dict[str, Any] = {}
    run: str | None = None
    delivery: str = ""
    alarming: bool = True
    verified: bool = True


class Reception(StrEnum):
    """How a report was taken."""

    RAISED = "raised"
    COUNTED = "counted"
    KNOWN = "known"
    UNASSIGNED = "unassigned"


class Received(Struct, frozen=True, kw_only=True):
    """What became of a report. ``signal`` is the one that it is, or the one that counts it.

    ``opened`` tells that the incident is new, ``proposed`` that a person has still to accept it.
    """

    signal: str
    reception: Reception
    workflow: str
    incident: str | None = None
    opened: bool = False
    proposed: bool = False


def report(tx: Tx, manifests: Manifests, said: Report) -> Received:
    """Take one report."""
    return report_all(tx, manifests, (said,))[0]


def report_all(tx: Tx, manifests: Manifests, said: Sequence[Report]) -> list[Received]:
    """Take many reports as one transaction: what repeats costs one entry for each cause."""
    desk = _Desk(tx, manifests, said)
    answers = [desk.take(each) for each in said]
    desk.settle()
    return answers


def assign(
    tx: Tx,
    manifests: Manifests,
    *,
    signal: str,
    workflow: str,
    type: IncidentType | None = None,  # noqa: A002
) -> r.Signal:
    """Say which workflow a signal without one is about; from then on it is as any other. The same again changes nothing."""
    require_person(tx, "assign a signal")
    known = tx.need(r.Signal, signal)
    workflow = known_workflow(tx, workflow).id
    if known.workflow == workflow:
        return known
    if known.workflow:
        raise Conflict(
            f"{signal} is about {known.workflow} already",
            hint="Report it again for another workflow.",
            expected="",
            found=known.workflow,
        )
    finding = Finding(
        type=type or known.type,
        kind=known.kind,
        detector=known.detector,
        key=known.key.rpartition("/")[2],
        workflow=workflow,
        summary=known.summary,
        occurred_at=known.occurred_at,
        facts=known.facts,
        severity=_one_of(Severity, known.facts.get(_AT_LEAST)),
        title=_title(known.kind, known.summary),
        noticed_by=_one_of(DetectedBy, known.facts.get(_DETECTED_BY)),
        alarming=_OVER not in known.facts,
    )
    tx.record(SignalAssigned(signal=signal, workflow=workflow, type=finding.type, key=cause_key(finding)))
    signals.settle(tx, manifests, _ruled(tx, manifests, finding), signal)
    return tx.need(r.Signal, signal)


class _Standing:
    """What is known of one cause, and how often it came in since."""

    def __init__(self, newest: r.Signal | None, kept: int, most: int) -> None:
        self.signal = newest.id if newest else ""
        self.incident = newest.incident if newest else None
        self.kept = kept
        self.most = most
        self.counted: list[datetime] = []


class _Desk:
    """One transaction's reports."""

    def __init__(self, tx: Tx, manifests: Manifests, said: Iterable[Report]) -> None:
        self._tx = tx
        self._manifests = manifests
        self._delivered = delivered(
            tx, [digest for each in said if (digest := delivery_digest(each.source, each.delivery))]
        )
        self._new: dict[str, str] = {}
        self._standing: dict[tuple[str, str], _Standing] = {}
        self._causes: dict[tuple[str, str], set[str]] = {}

    def take(self, said: Report) -> Received:
        """Answer what becomes of a report; that it was counted is recorded by :meth:`settle`."""
        digest = delivery_digest(said.source, said.delivery)
        if digest and (earlier := self._new.get(digest) or self._delivered.get(digest)):
            known = self._tx.need(r.Signal, earlier)
            return Received(
                signal=earlier, reception=Reception.KNOWN, workflow=known.workflow, incident=known.incident
            )
        finding = _finding(self._tx, said)
        standing = self._of_cause(finding)
        if not standing.kept and self._is_one_too_many(finding):
            finding = replace(finding, key=MANY)
            standing = self._of_cause(finding)
        received = self._counted(finding, standing) or self._kept(finding, standing)
        if digest:
            self._new[digest] = received.signal
        return received

    def settle(self) -> None:
        """Record what was counted, and remember what was delivered."""
        for (workflow, _cause), standing in self._standing.items():
            if standing.counted:
                self._tx.record(
                    SignalRepeated(
                        signal=standing.signal,
                        workflow=workflow,
                        times=len(standing.counted),
                        first_at=min(standing.counted),
                        last_at=max(standing.counted),
                        incident=standing.incident,
                    )
                )
        remember(self._tx, self._new)

    def _of_cause(self, finding: Finding) -> _Standing:
        cause = cause_key(finding)
        known = self._standing.get((finding.workflow, cause))
        if known is None:
            known = self._standing[finding.workflow, cause] = self._look_up(cause)
        return known

    def _look_up(self, cause: str) -> _Standing:
        recent = self._tx.find(
            r.Signal,
            key=cause,
            raised_at_from=self._tx.now - WINDOW,
            order="-raised_at",
            limit=KEPT_ALONE,
        )
        # Of those of one transaction the one that counts already goes on counting.
        newest = max(recent, key=lambda each: (each.raised_at, each.repeats, each.id), default=None)
        home = self._tx.get(r.Incident, newest.incident) if newest and newest.incident else None
        if home is None:
            return _Standing(newest, len(recent), KEPT_ALONE)
        # What has ended takes nothing in any more: the next report is about something new.
        kept = 0 if home.status.ended else sum(each.incident == home.id for each in recent)
        return _Standing(newest, kept, KEPT)

    def _is_one_too_many(self, finding: Finding) -> bool:
        place = (finding.detector, finding.workflow)
        causes = self._causes.get(place)
        if causes is None:
            recent = self._tx.each(
                r.Signal,
                workflow=finding.workflow,
                raised_at_from=self._tx.now - WINDOW,
                order="raised_at",
            )
            causes = self._causes[place] = {each.key for each in recent if each.detector == finding.detector}
        causes.add(cause_key(finding))
        return len(causes) > MOST_CAUSES

    def _counted(self, finding: Finding, standing: _Standing) -> Received | None:
        if standing.kept < standing.most or self._says_worse(finding, standing):
            return None
        standing.counted.append(finding.occurred_at)
        return Received(
            signal=standing.signal,
            reception=Reception.COUNTED,
            workflow=finding.workflow,
            incident=standing.incident,
        )

    def _says_worse(self, finding: Finding, standing: _Standing) -> bool:
        """Answer whether a report is more than one more of the same: by its rule it says that its incident is graver than is known."""
        home = self._tx.get(r.Incident, standing.incident) if standing.incident else None
        return home is not None and signals.raises(_ruled(self._tx, self._manifests, finding), home)

    def _kept(self, finding: Finding, standing: _Standing) -> Received:
        finding = answered(self._tx, finding)
        if not finding.workflow:
            standing.signal = signals.record_finding(self._tx, finding)
            standing.kept += 1
            return Received(signal=standing.signal, reception=Reception.UNASSIGNED, workflow="")
        raised = signals.raise_finding(self._tx, self._manifests, _ruled(self._tx, self._manifests, finding))
        standing.kept = 1 if raised.incident != standing.incident else standing.kept + 1
        standing.signal, standing.incident = raised.signal, raised.incident
        standing.most = KEPT_ALONE if raised.incident is None else KEPT
        return Received(
            signal=raised.signal,
            reception=Reception.RAISED,
            workflow=finding.workflow,
            incident=raised.incident,
            opened=raised.opened,
            proposed=self._is_proposed(raised.incident),
        )

    def _is_proposed(self, incident: str | None) -> bool:
        return incident is not None and self._tx.need(r.Incident, incident).status is IncidentStatus.PROPOSED


def _finding(tx: Tx, said: Report) -> Finding:
    said = _findable(said)
    asked = said.workflow.strip()
    if tx.actor.kind is PrincipalKind.AGENT and asked not in ("", tx.actor.id):
        raise Denied(
            f"{tx.actor} reports about its own workflow only",
            hint="Report with a reporter's token: stopwork token create --reporter NAME",
            expected=tx.actor.id,
            found=asked,
        )
    if tx.actor.kind is PrincipalKind.AGENT:
        asked = tx.actor.id
    known = tx.get(r.Workflow, asked) if asked else None
    run = tx.get(r.Run, said.run) if said.run else None
    if run is not None and known is None:
        known = tx.get(r.Workflow, run.workflow)
    of_this = run is not None and known is not None and run.workflow == known.id
    summary = shortened(" ".join(said.summary.split()), MAX_SUMMARY)
    if not summary:
        raise Invalid("the report is empty", hint="Say in a sentence what was seen.", field="summary")
    told = in_utc(said.occurred_at) if said.occurred_at else tx.now
    noticed_by = said.noticed_by or _by_owner(tx, known)
    whole = {"seen": said.summary} if len(said.summary) > MAX_SUMMARY else {}
    told_us = {name: value for name, value in said.facts.items() if name not in _OURS}
    facts = bounded(whole | told_us) | {"source": said.source, "reported_by": str(tx.actor)}
    if noticed_by:
        facts[_DETECTED_BY] = noticed_by.value
    if told > tx.now:
        facts["said_to_occur_at"] = told.isoformat()
    if asked and known is None:
        facts["said_workflow"] = shortened(asked, MAX_FACT_CHARS)
    severity = said.severity or _least(said)
    if severity:
        facts[_AT_LEAST] = severity.value
    if not said.alarming:
        facts[_OVER] = "yes"
    taken_for = said.type or USUAL_TYPE[said.kind]
    if said.type is None:
        facts["incident_type"] = f"not said; taken for {taken_for} until somebody says"
    if said.run and not of_this:
        facts["said_run"] = shortened(said.run, MAX_FACT_CHARS)
    return Finding(
        type=taken_for,
        kind=said.kind,
        detector=said.source,
        key=short_key(said.key or "reported"),
        workflow=known.id if known else "",
        summary=summary,
        occurred_at=min(told, tx.now),
        facts=facts,
        run=run.id if run is not None and of_this else None,
        severity=severity,
        title=_title(said.kind, summary),
        noticed_by=noticed_by,
        alarming=said.alarming,
        verified=said.verified,
    )


def _findable(said: Report) -> Report:
    """Answer a report with nothing in what it is looked up by that PostgreSQL keeps in no text: else one of many loses all of its delivery."""
    names = ("source", "workflow", "run", "key")
    odd = {name: text for name in names if "\0" in (text := getattr(said, name) or "")}
    return (
        replace(said, **{name: text.replace("\0", "\ufffd") for name, text in odd.items()}) if odd else said
    )


def _ruled(tx: Tx, manifests: Manifests, finding: Finding) -> Finding:
    """Answer a finding as the workflow's alert rule for reports has it: how grave at least, and what is paused.

    What anybody could have said pauses nothing: else whoever can write a mail stops the work.
    """
    rule = signals.rule_of(tx, manifests, finding)
    return replace(
        finding,
        severity=min(filter(None, (rule.severity, finding.severity)), default=None),
        hold=hold_of(rule) if finding.verified else None,
        alarming=finding.alarming and rule.enabled,
    )


def _title(kind: SignalKind, summary: str) -> str:
    """Answer what an incident that opens by this is called: in the words of whoever noticed it."""
    return (
        f"Reported: {shortened(summary, 100)}" if kind is SignalKind.USER_REPORT else shortened(summary, 120)
    )


def _least(said: Report) -> Severity | None:
    """Answer how grave a report is at least that says neither how grave nor what it is: of security nobody waits to hear more."""
    return Severity.SEV1 if said.kind is SignalKind.SECURITY and said.type is None else None


def _by_owner(tx: Tx, workflow: r.Workflow | None) -> DetectedBy | None:
    owns = workflow is not None and tx.actor.id in workflow.owners.values()
    return DetectedBy.OWNER if owns and tx.actor.kind is PrincipalKind.PERSON else None


def _one_of(words: type[W], said: Any) -> W | None:
    return words(said) if said in set(words) else None


def bounded(facts: dict[str, Any]) -> dict[str, Any]:
    """Answer facts that fit into a signal: so many, each so long; what is left out is said."""
    kept = {
        shortened(str(name), 100): shortened(value, MAX_TEXT if name == "seen" else MAX_FACT_CHARS)
        if isinstance(value, str)
        else value
        for name, value in list(facts.items())[:MAX_FACTS]
    }
    left_out = len(facts) - len(kept)
    return kept | {"left_out": left_out} if left_out else kept


def shortened(text: str, most: int) -> str:
    """Answer the text, cut where it is longer than ``most`` characters, which is shown."""
    return text if len(text) <= most else text[: most - 1] + "…"


def short_key(key: str) -> str:
    """Answer a key of bounded length; long ones that differ stay different. A slash parts a cause, so there is none in a key."""
    flat = key.replace("/", "|")
    if len(flat) <= MAX_KEY:
        return flat
    return f"{flat[:40]}~{hashlib.sha256(key.encode()).hexdigest()[:16]}"
