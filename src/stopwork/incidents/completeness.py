"""What an audit can know: which calls the guard decided, which it only heard of, and where nobody could look.

Everything here is counted from records. The agent's own summary is never a source, so what an agent did beside the guard is not here, and
that is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec.structs import replace

from stopwork.incidents.case import Case
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger import records as r
from stopwork.ledger.words import EffectKind, Mode, Outcome, RunStatus, SystemSight, Verdict

#: How many ids a sentence names; the record has them all.
MAX_NAMED: Final = 5
_SIGHT: Final = {
    SystemSight.CAPTURE: "In {}, the place itself tells every change of a call.",
    SystemSight.SCAN: "{} is looked through around calls, so that changes which no manifest names are found.",
    SystemSight.DECLARED: "In {}, only the objects that the manifest names are looked at; other changes there are not seen.",
}


def completeness(
    case: Case, *, able: Mapping[str, SystemSight] | None = None, left_out: str = ""
) -> r.AuditCompleteness:
    """Answer what the audit of these calls can know. ``able`` is what the connected systems can do."""
    reported = [call for call in case.calls if call.began_at is not None]
    decided = [call for call in case.calls if call.began_at is None]
    observed = [call for call in decided if _mode(case, call) is Mode.OBSERVE]
    found = r.AuditCompleteness(
        calls=len(case.calls),
        enforced=len(decided) - len(observed),
        observed=len(observed),
        reported=len(reported),
        steps=len(case.steps),
        ends_unseen=tuple(
            call.id for call in case.permitted if call.outcome is Outcome.UNKNOWN or call.in_flight
        ),
        systems=tuple(_systems(case, able or {})),
        unfinished=tuple(run.id for run in case.runs if run.status is RunStatus.RUNNING),
        left_out=left_out,
    )
    return replace(found, says=tuple(_sentences(found)))


def _mode(case: Case, call: r.Call) -> Mode | None:
    manifest = case.manifests.get(call.version)
    return manifest.mode if manifest else None


def _systems(case: Case, able: Mapping[str, SystemSight]) -> Iterator[r.SystemSeen]:
    """Answer each system that the calls may have changed: seen as their effects tell, else as well as the connected one can."""
    seen: dict[str, list[str]] = {}
    for effect in case.effects:
        seen.setdefault(effect.object.system, []).append(effect.source)
    blind: dict[str, int] = {}
    for call in case.calls:
        tool = case.tool(call)
        declared = tool.object if tool is not None and tool.effect is not EffectKind.READ else None
        if call.verdict is Verdict.ALLOW and declared is not None:
            seen.setdefault(declared.system, [])
        for system in call.unseen:
            seen.setdefault(system, [])
            blind[system] = blind.get(system, 0) + 1
    for system, sources in sorted(seen.items()):
        by_itself = (sight for sight in (SystemSight.CAPTURE, SystemSight.SCAN) if sight.value in sources)
        yield r.SystemSeen(
            system=system,
            sight=next(by_itself, None) or able.get(system, SystemSight.DECLARED),
            changes=len(sources),
            unseen=blind.get(system, 0),
        )


def _sentences(found: r.AuditCompleteness) -> Iterator[str]:
    yield (
        f"{count_of(found.calls, 'call')}: {found.enforced} decided by the guard, {found.observed} only observed, "
        f"{count_of(found.reported, 'read')} decided by the guard on its lease and told afterwards."
    )
    if found.left_out:
        yield found.left_out
    if found.ends_unseen:
        yield f"Nobody has seen how {count_of(len(found.ends_unseen), 'call')} ended: {_named(found.ends_unseen)}."
    for sight, text in _SIGHT.items():
        if systems := [each.system for each in found.systems if each.sight is sight]:
            yield text.format(listed(systems, most=MAX_NAMED))
    for each in found.systems:
        if each.unseen:
            yield f"After {count_of(each.unseen, 'call')} nobody could look into {each.system}."
    if found.unfinished:
        yield f"{count_of(len(found.unfinished), 'run')} never said to have ended: {_named(found.unfinished)}."
    yield (
        f"{count_of(found.steps, 'step')} beside the calls (model calls, retrievals) "
        "are as the agent reports them; what it did without the guard is not known here."
    )


def _named(ids: tuple[str, ...]) -> str:
    return listed(ids, most=MAX_NAMED)
