"""What a person who is asked gets to see: exactly what will run, where its values came from, the object as it is, calls like it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from stopwork.control import provenance
from stopwork.control.provenance import Origin
from stopwork.incidents import images
from stopwork.kernel.canonical import canonical_bytes
from stopwork.ledger.records import Approval, Call, Edit, Image, ObjectRef, Run, Step
from stopwork.ledger.words import EffectKind, ImageState, Outcome, Risk, Verdict
from stopwork.manifest.compiled import CompiledManifest
from stopwork.manifest.expressions import ExpressionError
from stopwork.manifest.model import Trust
from stopwork.operations.approvals import call_asked_about, stale_because
from stopwork.operations.looking import glance
from stopwork.operations.manifests import Manifests
from stopwork.storage.view import View
from stopwork.systems.base import System

#: How long whoever looks at the page may be kept waiting by a system.
LOOKS_WITHIN_S: Final = 2.0
MAX_EARLIER: Final = 500
MAX_SIMILAR: Final = 5


class WillRun(Struct, frozen=True, kw_only=True):
    """Exactly what runs when the question is approved: ``exact`` are the bytes that ``digest`` is of.

    ``asked`` are the agent's own arguments, where reviewers have put others in their place.
    """

    tool: str
    effect: EffectKind
    risk: Risk
    args: dict[str, Any]
    exact: str
    digest: str
    asked: dict[str, Any] | None = None
    edits: tuple[Edit, ...] = ()


class FieldNow(Struct, frozen=True, kw_only=True):
    """One field of the object that the call names: what it holds, and what the argument of that name says."""

    field: str
    now: Any
    would: Any


class ObjectNow(Struct, frozen=True, kw_only=True):
    """The object that the call would change, as it is at this moment; ``note`` says why it cannot be told."""

    object: ObjectRef
    image: Image
    differences: tuple[FieldNow, ...] = ()


class Similar(Struct, frozen=True, kw_only=True):
    """An earlier call of the same tool: what became of it, and who had said yes to it."""

    call: str
    run: str
    at: datetime
    args: dict[str, Any]
    verdict: Verdict
    outcome: Outcome | None
    decided_by: tuple[str, ...]


class ApprovalEvidence(Struct, frozen=True, kw_only=True):
    """What an approver decides by. ``stale`` says what has changed since, so that a yes would not count.

    ``origins`` were found by comparing values. ``object`` is ``None`` where the manifest names none, or only the result does.
    """

    approval: Approval
    will_run: WillRun | None
    origins: tuple[Origin, ...] = ()
    object: ObjectNow | None = None
    similar: tuple[Similar, ...] = ()
    stale: tuple[str, ...] = ()


def evidence(
    view: View, manifests: Manifests, systems: Mapping[str, System], *, approval: str
) -> ApprovalEvidence:
    """Answer what is known about the question now.

    The object is looked at while the view is open, for at most :data:`LOOKS_WITHIN_S`: a look at records keeps no writer waiting.
    """
    known = view.need(Approval, approval)
    call = call_asked_about(view, known)
    if call is None:
        return ApprovalEvidence(approval=known, will_run=None)
    rules = manifests.version(view, known.workflow, known.version)
    args: dict[str, Any] = known.content["args"]
    return ApprovalEvidence(
        approval=known,
        will_run=_will_run(known, call, args),
        origins=_origins(view, rules, known, call, args),
        object=object_now(systems, rules, call, args),
        similar=similar_to(view, call),
        stale=stale_because(view, known) if known.consumed_by is None else (),
    )


def _will_run(known: Approval, call: Call, args: dict[str, Any]) -> WillRun:
    bound = {name: known.content[name] for name in ("principal", "workflow", "tool", "args")}
    return WillRun(
        tool=call.tool,
        effect=call.effect,
        risk=call.risk,
        args=args,
        exact=canonical_bytes(bound).decode(),
        digest=known.digest,
        asked=known.edits[0].before if known.edits else None,
        edits=known.edits,
    )


def _origins(
    view: View, rules: CompiledManifest, known: Approval, call: Call, args: dict[str, Any]
) -> tuple[Origin, ...]:
    run = view.need(Run, call.run)
    sources = rules.manifest.sources
    asked_at = known.requested_at
    calls = view.find(Call, run=run.id, order="requested_at", limit=MAX_EARLIER)
    steps = view.find(Step, run=run.id, order="at", limit=MAX_EARLIER)
    return provenance.origins(
        args,
        run=run,
        calls=[each for each in calls if each.finished_at is not None and each.finished_at <= asked_at],
        steps=[each for each in steps if each.at <= asked_at],
        edits=known.edits,
        untrusted={name for name, source in sources.items() if source.trust is not Trust.INTERNAL},
    )


def object_now(
    systems: Mapping[str, System], rules: CompiledManifest, call: Call, args: dict[str, Any]
) -> ObjectNow | None:
    """Answer the object that the arguments name, as it is now; ``None`` for one that only the result will name."""
    if call.tool not in rules.manifest.tools:
        return None
    try:
        ref = rules.object_ref(call.tool, args)
    except ExpressionError:
        return None
    if ref is None:
        return None
    image = glance(systems, ref, within_s=LOOKS_WITHIN_S)
    return ObjectNow(object=ref, image=image, differences=_differences(image, args))


def _differences(image: Image, args: dict[str, Any]) -> tuple[FieldNow, ...]:
    """Answer the fields that the call names with another value: what it would set, if its arguments are called as the fields are."""
    if image.state is not ImageState.PRESENT or not isinstance(image.content, dict):
        return ()
    return tuple(
        FieldNow(field=name, now=image.content[name], would=value)
        for name, value in args.items()
        if name in image.content and not images.same(image.content[name], value)
    )


def similar_to(view: View, call: Call) -> tuple[Similar, ...]:
    """Answer the latest other calls of the tool."""
    earlier = view.find(
        Call, workflow=call.workflow, tool=call.tool, order="-requested_at", limit=MAX_SIMILAR + 1
    )
    return tuple(_shown(view, each) for each in earlier if each.id != call.id)[:MAX_SIMILAR]


def _shown(view: View, call: Call) -> Similar:
    asked = view.get(Approval, call.approval) if call.approval else None
    return Similar(
        call=call.id,
        run=call.run,
        at=call.requested_at,
        args=call.args,
        verdict=call.verdict,
        outcome=call.outcome,
        decided_by=tuple(decision.person for decision in asked.decisions) if asked else (),
    )
