"""Probes: what a guard is offered whose call is refused because nobody knows whether an earlier one has done the same."""

from __future__ import annotations

from stopwork.control.decide import Decided
from stopwork.control.keys import KeyStanding, KeyState
from stopwork.control.protocol import Offered
from stopwork.ledger.records import Call, Run
from stopwork.ledger.words import Outcome, ReasonKind, Verdict
from stopwork.manifest.compiled import CompiledManifest
from stopwork.manifest.expressions import ExpressionError
from stopwork.manifest.model import Probe
from stopwork.storage.view import View


def offer(view: View, rules: CompiledManifest | None, key: KeyState, decided: Decided) -> Offered | None:
    """Answer the probe that can tell whether a refused call has been made already; ``None`` where it is refused for more than that."""
    refusals = {reason.kind for reason in decided.reasons if reason.verdict is Verdict.DENY}
    if rules is None or key.standing is not KeyStanding.UNKNOWN or decided.verdict is not Verdict.DENY:
        return None
    unknown = view.need(Call, key.call)
    probe = probe_of(rules, unknown.tool)
    if probe is None or unknown.outcome is not Outcome.UNKNOWN or refusals != {ReasonKind.IDEMPOTENCY}:
        return None
    try:
        args = rules.probe_args(unknown.tool, unknown.args, view.need(Run, unknown.run), unknown.source or "")
    except ExpressionError:
        return None
    return Offered(call=unknown.id, tool=probe.tool, args=args)


def probe_of(rules: CompiledManifest, tool: str) -> Probe | None:
    """Answer how the manifest finds out about a call of the tool whose end nobody saw."""
    declared = rules.manifest.tools.get(tool)
    return declared.probe if declared else None
