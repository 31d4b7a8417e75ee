"""The verdict on one call: a function of the call, the controls and the time, and of nothing else.

The most restrictive answer wins (:mod:`stopwork.control.verdicts`). Reasons are looked for in the order of
:class:`~stopwork.ledger.words.ReasonKind`, and all of them are kept, not only the first. Whatever goes wrong while an
expression of the manifest is evaluated is a refusal.

In ``observe`` mode what the *manifest* says is only written down, as ``would``. What *people or rules have set* since, holds and
the stage, binds in both modes: a stop switch that does not stop is none (docs/decisions/0006-holds-bind-while-observing.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, Protocol

from msgspec.structs import replace

from stopwork.control import backfilling, budget, gates, holds, stages
from stopwork.control.keys import KeyStanding, KeyState
from stopwork.control.steering import reason as steered
from stopwork.control.verdicts import strictest
from stopwork.ledger.records import Approval, Hold, Principal, Reason, Record, Run, Suspicion, Workflow
from stopwork.ledger.words import (
    ApprovalState,
    EffectKind,
    Mode,
    ReasonKind,
    Risk,
    Role,
    RunStatus,
    Stage,
    Verdict,
)
from stopwork.manifest.model import Gate, Manifest, Tool

# What a tool that nobody declared is taken for: something that changes the world.
_UNDECLARED: Final = Tool(effect=EffectKind.UPDATE, risk=Risk.HIGH)
_OWNERS: Final = frozenset({Role.BUSINESS, Role.TECHNICAL, Role.BACKUP})
_ASKS_PEOPLE: Final = (Verdict.WAIT, Verdict.DRAFT)
_BINDS_WHILE_OBSERVING: Final = frozenset({ReasonKind.HOLD, ReasonKind.STAGE})


class Rules(Protocol):
    """What a decision asks of a compiled manifest. Any exception from it is a refusal."""

    @property
    def manifest(self) -> Manifest: ...

    def denies(self, tool: str, args: dict[str, Any], run: Run, now: datetime, source: str = "") -> bool:
        """Answer whether the tool's ``deny_when`` is true of this call."""
        ...

    def misfits(self, tool: str, args: dict[str, Any]) -> tuple[object, ...]:
        """Answer, in words, which arguments are not what the tool declares."""
        ...

    def gate_applies(
        self, tool: str, args: dict[str, Any], run: Run, now: datetime, source: str = ""
    ) -> bool:
        """Answer whether the gate before the tool asks people about this call."""
        ...


class CallRequest(Record):
    """One tool call that an agent wants to make.

    ``id`` is the call's own id, ``key`` its idempotency key. ``source`` and ``destinations`` are where its input comes from and
    where its effect goes, where that is known; ``destinations`` is ``None`` where it is declared and cannot be read. ``draft`` is
    the drafted call that it carries out: then it runs on a person's release alone, also after its run has ended.
    """

    id: str
    workflow: str
    run: Run
    tool: str
    args: dict[str, Any]
    key: str
    principal: Principal
    source: str | None = None
    destinations: tuple[str, ...] | None = ()
    draft: str | None = None


class Controls(Record):
    """Everything that bears on a call at the moment of the decision.

    ``lifted`` are the holds that were set since the approval was asked for and have been lifted again. ``draft_decided`` is why a call
    that was drafted is not to run by itself any more. ``backfill`` is how the order of a run that makes up for a missed one stands.
    ``suspicion`` is why the call may follow something that its run has read.
    """

    workflow: Workflow | None = None
    rules: Rules | None = None
    holds: tuple[Hold, ...] = ()
    epoch: int = 0
    key: KeyState = KeyState()
    usage: budget.Usage = budget.Usage()
    approval: Approval | None = None
    lifted: tuple[Hold, ...] = ()
    draft_decided: Reason | None = None
    backfill: backfilling.BackfillStanding | None = None
    suspicion: Suspicion | None = None


class Decided(Record):
    """The verdict and what follows from it.

    ``would`` is what enforcement would have answered; it differs from ``verdict`` only in ``observe`` mode. ``ask`` is the
    question to put to people when the call waits and nobody has been asked, or a draft has not been released. ``consumes`` is the approval that this permit
    uses up. ``replay_of`` is the call whose recorded result stands for this one.
    """

    verdict: Verdict
    would: Verdict
    reasons: tuple[Reason, ...]
    effect: EffectKind
    risk: Risk
    permission: str | None
    source: str | None
    source_class: str | None
    ask: gates.Ask | None = None
    consumes: str | None = None
    replay_of: str | None = None


class _Subject(Record):
    """The call as a hold sees it."""

    workflow: str
    trigger: str
    tool: str
    effect: EffectKind
    permission: str | None
    source: str | None
    source_class: str | None
    destinations: tuple[str, ...] | None
    args: dict[str, Any]


def decide(request: CallRequest, controls: Controls, now: datetime) -> Decided:
    """Answer the verdict on the call, with every reason for it."""
    declared = controls.rules.manifest.tools.get(request.tool) if controls.rules else None
    tool = declared or _UNDECLARED
    subject = _subject(request, controls, tool)
    found = list(_reasons(request, controls, tool, subject, now))
    if declared is not None and controls.rules is not None:
        gate, gate_reasons = _gate(request, controls.rules, declared, now)
        found.extend(gate_reasons)
    else:
        gate = None
    standing = (
        gates.standing(controls.approval, _binding(request, controls, subject), now)
        if controls.approval is not None
        else gates.Standing.NONE
    )
    if request.draft is not None:
        found = _released(found, standing, controls.approval)
    else:
        found = _settled(found, standing, controls.approval)
    if controls.draft_decided is not None:
        found.append(controls.draft_decided)

    would = strictest(reason.verdict for reason in found)
    if controls.workflow is not None and controls.workflow.mode is Mode.OBSERVE:
        verdict = strictest(reason.verdict for reason in found if reason.kind in _BINDS_WHILE_OBSERVING)
    else:
        verdict = would
    asks = verdict is Verdict.WAIT and standing is not gates.Standing.PENDING
    if request.draft is not None:
        asks = standing is gates.Standing.NONE
    used = controls.approval if standing is gates.Standing.GRANTED and verdict is Verdict.ALLOW else None
    return Decided(
        verdict=verdict,
        would=would,
        reasons=tuple(found),
        effect=tool.effect,
        risk=tool.risk,
        permission=tool.permission,
        source=subject.source,
        source_class=subject.source_class,
        ask=_ask(gate, found) if asks else None,
        consumes=used.id if used is not None and used.state is ApprovalState.APPROVED else None,
        replay_of=controls.key.call if verdict is Verdict.REPLAY else None,
    )


def binding(request: CallRequest, controls: Controls) -> gates.Binding:
    """Answer what an approval of this call binds, as things are now."""
    declared = controls.rules.manifest.tools.get(request.tool) if controls.rules else None
    return _binding(request, controls, _subject(request, controls, declared or _UNDECLARED))


def _binding(request: CallRequest, controls: Controls, subject: _Subject) -> gates.Binding:
    known = (*controls.holds, *controls.lifted)
    return gates.Binding(
        principal=request.principal,
        workflow=request.workflow,
        tool=request.tool,
        args=request.args,
        version=controls.workflow.version if controls.workflow else 0,
        moves=tuple(gates.moves(subject, controls.workflow, known)),
        call=request.id,
    )


def _reasons(
    request: CallRequest, controls: Controls, tool: Tool, subject: _Subject, now: datetime
) -> Iterator[Reason]:
    yield from _registration(request, controls)
    yield from _trigger(request, controls, tool)
    yield from holds.reasons(controls.holds, subject)
    if controls.workflow is not None:
        yield from _stage(request, controls, controls.workflow.stage, tool)
    if tool.risk is Risk.BLOCKED:
        yield _deny(
            ReasonKind.RISK, f"{request.tool} is blocked by the manifest", f"tools.{request.tool}.risk"
        )
    if controls.rules is not None and request.tool in controls.rules.manifest.tools:
        yield from _conditions(request, controls.rules, tool, now)
    if tool.effect is not EffectKind.READ:
        yield from _idempotency(controls.key)
    if controls.rules is not None and controls.workflow is not None:
        manifest = controls.rules.manifest
        limited = manifest.stages.limited if controls.workflow.stage is Stage.LIMITED else None
        yield from budget.reasons(controls.usage, manifest.budget, limited, tool.effect)
        if controls.suspicion is not None:
            yield steered.reason(controls.suspicion, manifest.alerts.prompt_injection.gate)


def _registration(request: CallRequest, controls: Controls) -> Iterator[Reason]:
    if controls.workflow is None or controls.rules is None:
        yield _deny(
            ReasonKind.REGISTRATION,
            f"no manifest is applied for workflow {request.workflow!r}; apply one with `stopwork apply`",
            request.workflow,
        )
    elif request.tool not in controls.rules.manifest.tools:
        yield _deny(
            ReasonKind.REGISTRATION,
            f"tool {request.tool!r} is not declared in version {controls.workflow.version} of {request.workflow}",
            f"{request.workflow}@{controls.workflow.version}",
        )
    if request.run.workflow != request.workflow:
        yield _deny(
            ReasonKind.REGISTRATION,
            f"run {request.run.id} belongs to workflow {request.run.workflow}, not to {request.workflow}",
            request.run.id,
        )
    if request.run.status is not RunStatus.RUNNING and request.draft is None:
        yield _deny(
            ReasonKind.REGISTRATION,
            f"run {request.run.id} is not running any more: it {_ENDED[request.run.status]}",
            request.run.id,
        )


def _trigger(request: CallRequest, controls: Controls, tool: Tool) -> Iterator[Reason]:
    """A run that something undeclared has started may look; it changes nothing."""
    if controls.rules is None or controls.workflow is None or tool.effect is EffectKind.READ:
        return
    if request.run.trigger == backfilling.BACKFILL:
        # What a person releases is permitted by that person, whatever has become of the order.
        if request.draft is None:
            yield from backfilling.reasons(request.run, controls.backfill)
        return
    accepted = controls.rules.manifest.accepted_triggers
    if request.run.trigger not in accepted:
        version = f"{request.workflow}@{controls.workflow.version}"
        text = (
            f"run {request.run.id} was started by {request.run.trigger!r}, and version {controls.workflow.version} of "
            f"{request.workflow} lists no such trigger; it lists {', '.join(accepted)}"
        )
        yield _deny(ReasonKind.REGISTRATION, text, version)


_ENDED: Final = {
    RunStatus.SUCCEEDED: "succeeded",
    RunStatus.FAILED: "failed",
    RunStatus.ABANDONED: "was abandoned",
}


def _subject(request: CallRequest, controls: Controls, tool: Tool) -> _Subject:
    source = request.source or tool.source
    known = controls.rules.manifest.sources.get(source) if controls.rules and source else None
    return _Subject(
        workflow=request.workflow,
        trigger=request.run.trigger,
        tool=request.tool,
        effect=tool.effect,
        permission=tool.permission,
        source=source,
        source_class=known.trust.value if known else None,
        destinations=request.destinations,
        args=request.args,
    )


def _stage(request: CallRequest, controls: Controls, stage: Stage, tool: Tool) -> Iterator[Reason]:
    verdict = stages.answer(stage, tool.effect)
    if verdict is not Verdict.ALLOW:
        text = f"{request.workflow} is at the stage {stages.named(stage)}: {stages.MEANING[stage]}"
        yield Reason(kind=ReasonKind.STAGE, verdict=verdict, text=text, source=stage.value)
    elif stage is Stage.LIMITED and tool.effect is not EffectKind.READ:
        share = controls.rules.manifest.stages.limited.sample_rate if controls.rules else 1.0
        if stages.sampled(request.key, share):
            text = f"{request.workflow} is at the stage {stages.named(stage)}: this call is in the sample of {share:.0%} that people see first"
            yield Reason(kind=ReasonKind.STAGE, verdict=Verdict.WAIT, text=text, source=stage.value)


def _conditions(request: CallRequest, rules: Rules, tool: Tool, now: datetime) -> Iterator[Reason]:
    where = f"tools.{request.tool}.args_schema"
    try:
        for misfit in rules.misfits(request.tool, request.args):
            yield _deny(ReasonKind.CONDITION, f"denied because of {misfit}", where)
    except Exception as error:  # noqa: BLE001 - arguments that cannot be compared are not known to be right
        yield _deny(
            ReasonKind.CONDITION, f"the arguments cannot be compared with their schema: {error}", where
        )
    where = f"tools.{request.tool}.deny_when"
    try:
        if rules.denies(request.tool, request.args, request.run, now, request.source or tool.source or ""):
            yield _deny(ReasonKind.CONDITION, f"denied when {tool.deny_when}", where)
    except Exception as error:  # noqa: BLE001 - whatever it was, the condition is not known to be false
        yield _deny(
            ReasonKind.CONDITION, f"the condition {tool.deny_when} cannot be evaluated: {error}", where
        )


def _idempotency(key: KeyState) -> Iterator[Reason]:
    match key.standing:
        case KeyStanding.FREE:
            return
        case KeyStanding.DONE:
            yield Reason(
                kind=ReasonKind.IDEMPOTENCY,
                verdict=Verdict.REPLAY,
                text=f"{key.call} has done this already; its recorded result is returned",
                source=key.call,
            )
        case KeyStanding.SETTLED:
            text = f"{key.call} has done this: {key.why}, without a result to return"
            yield _deny(ReasonKind.IDEMPOTENCY, text, key.call)
        case KeyStanding.IN_FLIGHT:
            text = f"{key.call} is doing this right now; ask again when its outcome is recorded"
            yield _deny(ReasonKind.IDEMPOTENCY, text, key.call)
        case KeyStanding.UNKNOWN:
            text = f"{key.call} may have done this: its outcome is unknown and has to be reconciled first"
            yield _deny(ReasonKind.IDEMPOTENCY, text, key.call)
        case KeyStanding.OTHER_ARGUMENTS:
            text = f"{key.call} holds this idempotency key with other arguments: {key.why}"
            yield _deny(ReasonKind.IDEMPOTENCY, text, key.call)
        case KeyStanding.UNREADABLE:
            yield _deny(ReasonKind.IDEMPOTENCY, f"the idempotency key cannot be computed: {key.why}", "")


def _gate(
    request: CallRequest, rules: Rules, tool: Tool, now: datetime
) -> tuple[Gate | None, tuple[Reason, ...]]:
    gate = rules.manifest.gate_of(request.tool)
    if gate is None:
        return None, ()
    where = rules.manifest.gate_field(request.tool)
    try:
        asks = rules.gate_applies(
            request.tool, request.args, request.run, now, request.source or tool.source or ""
        )
    except Exception as error:  # noqa: BLE001 - a gate that cannot say whether to ask refuses
        text = f"the gate {gate.when} cannot be evaluated: {error}"
        return None, (_deny(ReasonKind.GATE, text, where),)
    if not asks:
        return None, ()
    always = gate.when == "true"
    text = f"approval by {_approvers(gate)} is needed" + ("" if always else f" when {gate.when}")
    return gate, (Reason(kind=ReasonKind.GATE, verdict=Verdict.WAIT, text=text, source=where),)


def _approvers(gate: Gate) -> str:
    """Answer whose approval counts: any one of the roles, so many of them, or all."""
    roles = [f"the {role} owner" if role in _OWNERS else role.value for role in gate.approvers]
    if gate.quorum == 1:
        return " or ".join(roles)
    if gate.quorum >= len(roles):
        return " and ".join(roles)
    return f"{gate.quorum} of {', '.join(roles)}"


def _settled(found: list[Reason], standing: gates.Standing, approval: Approval | None) -> list[Reason]:
    """Answer the reasons after the people's answer, if there is one that counts for this call."""
    if approval is None:
        return found
    waiting = [reason for reason in found if reason.verdict is Verdict.WAIT]
    # The answer to a hold's question binds wherever the hold does, and is not asked for again by way of a draft.
    asking = [reason for reason in found if reason.verdict in _ASKS_PEOPLE]
    kind = asking[0].kind if asking else ReasonKind.GATE
    by = " and ".join(decision.person for decision in approval.decisions)
    if standing is gates.Standing.REJECTED:
        return [*found, _deny(kind, f"rejected by {by}", approval.id)]
    if standing is gates.Standing.EXPIRED and asking:
        return [*found, _deny(kind, f"approval {approval.id} expired without being used", approval.id)]
    if waiting and standing is gates.Standing.GRANTED:
        kept = [replace(reason, verdict=Verdict.ALLOW) if reason in waiting else reason for reason in found]
        return [*kept, Reason(kind=kind, verdict=Verdict.ALLOW, text=f"approved by {by}", source=approval.id)]
    return found


def _released(found: list[Reason], standing: gates.Standing, approval: Approval | None) -> list[Reason]:
    """Answer the reasons for a drafted call that a person has released: the release settles drafting and waiting, nothing else.

    Without a release that still counts it stays a draft, whatever else would let it run, also while observing; nobody is asked.
    """
    if standing is gates.Standing.GRANTED and approval is not None:
        by = " and ".join(decision.person for decision in approval.decisions)
        kept = [
            replace(each, verdict=Verdict.ALLOW) if each.verdict in _ASKS_PEOPLE else each for each in found
        ]
        released = f"released by {by}"
        return [
            *kept,
            Reason(kind=ReasonKind.STAGE, verdict=Verdict.ALLOW, text=released, source=approval.id),
        ]
    why = "nobody has released it" if approval is None else f"its release is {standing}"
    source = approval.id if approval else ""
    return [*found, Reason(kind=ReasonKind.STAGE, verdict=Verdict.DRAFT, text=why, source=source)]


def _ask(gate: Gate | None, found: list[Reason]) -> gates.Ask:
    why = "; ".join(reason.text for reason in found if reason.verdict is Verdict.WAIT)
    if gate is None:
        return gates.Ask(why=why)
    return gates.Ask(
        approvers=gate.approvers,
        quorum=gate.quorum,
        expires_after=gate.expires,
        escalate_after=gate.escalate_after,
        editable=gate.edits,
        why=why,
    )


def _deny(kind: ReasonKind, text: str, source: str) -> Reason:
    return Reason(kind=kind, verdict=Verdict.DENY, text=text, source=source)
