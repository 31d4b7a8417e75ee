"""A journal told in a few words, for tests of whatever reads the journal.

``tell(RUN, create("A"), after(seconds=5), …)`` gives the entries; ids are the words used, so that a test reads as a story.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from stopwork.detect.detector import Detector, Finding
from stopwork.detect.rulebook import Rulebook
from stopwork.detect.table import from_builtin, to_builtin
from stopwork.kernel.canonical import digest_of
from stopwork.ledger import events as e
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.manifest.compiled import compile_manifest
from stopwork.manifest.model import Manifest

START = datetime(2026, 3, 2, 13, 0, tzinfo=UTC)
AGENT = r.Principal(kind=w.PrincipalKind.AGENT, id="weekly-renewal-risk")
WORKFLOW = "weekly-renewal-risk"

S = TypeVar("S")


def rules_of(manifest: Manifest) -> Rulebook:
    """Answer a rulebook that knows one workflow."""
    compiled = compile_manifest(manifest)
    return {manifest.workflow: compiled}.get


class Story:
    """Writes entries one after the other; time moves only with ``after``."""

    def __init__(self, at: datetime = START, workflow: str = WORKFLOW) -> None:
        self.now = at
        self.workflow = workflow
        self.entries: list[e.Entry] = []
        self._calls: dict[str, e.CallDecided] = {}

    def write(self, event: e.Event) -> Story:
        self.entries.append(e.Entry(seq=len(self.entries) + 1, at=self.now, actor=AGENT, event=event))
        return self

    def after(self, **duration: float) -> Story:
        self.now += timedelta(**duration)
        return self

    def applied(self) -> Story:
        return self.write(
            e.ManifestApplied(
                workflow=self.workflow,
                version=1,
                title="Weekly renewal risk prep",
                mode=w.Mode.ENFORCE,
                stage=w.Stage.NORMAL,
                owners={},
                text="",
                digest="",
                reason="first",
            )
        )

    def run(
        self, run: str, *, trigger: str = "schedule", occasion: str = "monday", retry_of: str | None = None
    ) -> Story:
        return self.write(
            e.RunStarted(
                run=run,
                workflow=self.workflow,
                version=1,
                trigger=trigger,
                trigger_id=occasion,
                attempt=2 if retry_of else 1,
                mode=w.Mode.ENFORCE,
                retry_of=retry_of,
            )
        )

    def call(
        self,
        call: str,
        run: str = "r1",
        tool: str = "crm.create_task",
        effect: w.EffectKind = w.EffectKind.CREATE,
        verdict: w.Verdict = w.Verdict.ALLOW,
        would: w.Verdict | None = None,
        reasons: tuple[r.Reason, ...] = (),
        source: str | None = None,
        approval: str | None = None,
        suspicion: r.Suspicion | None = None,
        **args: Any,
    ) -> Story:
        event = e.CallDecided(
            call=call,
            run=run,
            workflow=self.workflow,
            version=1,
            tool=tool,
            effect=effect,
            risk=w.Risk.MEDIUM,
            permission="crm.tasks.write",
            trigger="schedule",
            args=args,
            args_digest=digest_of(args),
            key=call,
            business_key=None,
            verdict=verdict,
            would=would or verdict,
            reasons=reasons,
            epoch=1,
            not_after=None,
            source=source,
            approval=approval,
            suspicion=suspicion,
        )
        self._calls[call] = event
        return self.write(event)

    def outcome(
        self,
        call: str,
        outcome: w.Outcome = w.Outcome.SUCCEEDED,
        effects: tuple[r.Effect, ...] = (),
        *,
        result: Any = None,
        error: str | None = None,
        reconciled: bool = False,
    ) -> Story:
        decided = self._calls[call]
        return self.write(
            e.CallFinished(
                call=call,
                run=decided.run,
                workflow=self.workflow,
                tool=decided.tool,
                key=decided.key,
                outcome=outcome,
                result=result,
                error=error,
                effects=effects,
                reconciled=reconciled,
            )
        )

    def failed(self, call: str) -> Story:
        return self.outcome(call, w.Outcome.FAILED)

    def timed_out(self, call: str) -> Story:
        return self.outcome(call, w.Outcome.UNKNOWN)

    def step(self, run: str = "r1", *, tokens: int = 0, cost_usd: float | None = None) -> Story:
        return self.write(
            e.StepRecorded(
                step=f"s{len(self.entries)}",
                run=run,
                workflow=self.workflow,
                kind=w.StepKind.MODEL_CALL,
                name="model",
                tokens=tokens,
                cost_usd=cost_usd,
            )
        )

    def retrieval(
        self,
        source: str | None,
        run: str = "r1",
        *,
        old: timedelta | None = None,
        name: str = "export",
        **facts: Any,
    ) -> Story:
        """Read a source as it was ``old`` before; ``None`` does not say how old it was."""
        return self.write(
            e.StepRecorded(
                step=f"s{len(self.entries)}",
                run=run,
                workflow=self.workflow,
                kind=w.StepKind.RETRIEVAL,
                name=name,
                facts=facts,
                source=source,
                as_of=None if old is None else self.now - old,
            )
        )

    def noted(
        self,
        name: str,
        run: str = "r1",
        *,
        kind: w.StepKind = w.StepKind.RETRIEVAL,
        source: str | None = None,
        **facts: Any,
    ) -> Story:
        """Tell of a step whose facts hold something."""
        return self.write(
            e.StepRecorded(
                step=name, run=run, workflow=self.workflow, kind=kind, name=name, source=source, facts=facts
            )
        )

    def guardrail(self, name: str, run: str = "r1", **facts: Any) -> Story:
        return self.write(
            e.StepRecorded(
                step=f"s{len(self.entries)}",
                run=run,
                workflow=self.workflow,
                kind=w.StepKind.GUARDRAIL,
                name=name,
                facts=facts,
            )
        )

    def finished(self, run: str = "r1", status: w.RunStatus = w.RunStatus.SUCCEEDED) -> Story:
        return self.write(e.RunFinished(run=run, workflow=self.workflow, status=status))

    def hold(self, hold: str, kind: w.ScopeKind, name: str = "", workflow: str | None = None) -> Story:
        scope = r.Scope(kind=kind, name=name, workflow=workflow)
        return self.write(
            e.HoldSet(hold=hold, scope=scope, mode=w.HoldMode.BLOCK, reason="", epoch=2, workflow=workflow)
        )

    def told_twice(self) -> Story:
        """Have every entry come once more, in the same order."""
        self.entries += self.entries
        return self

    def lifted(self, hold: str) -> Story:
        scope = r.Scope(kind=w.ScopeKind.EVERYTHING)
        return self.write(e.HoldLifted(hold=hold, scope=scope, reason="", epoch=3))


def signs(found: list[Finding]) -> list[str]:
    """Answer each finding in short: its call, or else its key, with a ``?`` where it is only logged."""
    return [f"{finding.call or finding.key}{'' if finding.alarming else '?'}" for finding in found]


def findings(
    detector: Detector[Any], story: Story, rules: Rulebook, *, restored: bool = False
) -> list[Finding]:
    """Answer what a detector finds in a story from its beginning; its state may be stored and restored after every entry."""
    state = detector.start()
    found: list[Finding] = []
    for entry in story.entries:
        state, new = detector.step(state, entry, rules)
        found += new
        if restored:
            state = stored_and_restored(state)
    return found


def stored_and_restored(state: S) -> S:
    """Answer a detector's state as it is after a restart."""
    stored = msgspec.json.encode(state, enc_hook=to_builtin)
    return msgspec.json.decode(stored, type=type(state), dec_hook=from_builtin)


def finding_of(detector: Detector[Any], story: Story, rules: Rulebook) -> Finding:
    """Answer the one thing that a detector finds in a story."""
    (only,) = findings(detector, story, rules)
    return only
