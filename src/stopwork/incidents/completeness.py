"""What an audit can know: which calls the guard decided, which it only heard of, and where nobody could look.

Everything here is counted from records. The agent's own summary is never a source, so what an agent did beside the guard is not here, and
that is said.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Final

from msgspec.structs import replace

from stopwork.incidents.case import Case
from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger import records as r
from stopwork.ledger.words import EffectKind, Mode, Outcome, RunStatus, SystemSight, Verdict

#: How many ids a sentence names; the record has them all.
MAX_NAMED: Final = 5
#: How changes are known, the weakest first: a system is seen as well as the call of which least is known.
_WEAKEST_FIRST: Final = {
    SystemSight.DECLARED: "only the objects that the manifest names are known of {}, and other changes may be unseen",
    SystemSight.SCAN: "it was looked through around {}, so that changes which no manifest names were found",
    SystemSight.CAPTURE: "the place itself told every change of {}",
}


def completeness(case: Case, *, left_out: str = "") -> r.AuditCompleteness:
    """Answer what the audit of these calls can know."""
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
        systems=tuple(_systems(case)),
        unfinished=tuple(run.id for run in case.runs if run.status is RunStatus.RUNNING),
        left_out=left_out,
    )
    return replace(found, says=tuple(_sentences(found)))


def _mode(case: Case, call: r.Call) -> Mode | None:
    manifest = case.manifests.get(call.version)
    return manifest.mode if manifest else None


def _systems(case: Case) -> Iterator[r.SystemSeen]:
    """Answer each system that the calls may have changed.

    What a system could tell counts only for the calls of which it is on record that it did: the process that ran the others may
    not have been able to ask it.
    """
    changes = Counter(effect.object.system for effect in case.effects)
    sources: dict[tuple[str, str], set[str]] = {}
    for effect in case.effects:
        sources.setdefault((effect.object.system, effect.call), set()).add(effect.source)
    blind: Counter[str] = Counter()
    for call in case.calls:
        tool = case.tool(call)
        declared = tool.object if tool is not None and tool.effect is not EffectKind.READ else None
        if call.verdict is Verdict.ALLOW and declared is not None:
            sources.setdefault((declared.system, call.id), set())
        for system in call.unseen:
            sources[system, call.id] = set()
            blind[system] += 1
    seen: dict[str, Counter[SystemSight]] = {}
    for (system, _call), told in sources.items():
        seen.setdefault(system, Counter())[_sight(told)] += 1
    for system, sights in sorted(seen.items()):
        yield r.SystemSeen(
            system=system,
            sight=next(sight for sight in _WEAKEST_FIRST if sights[sight]),
            changes=changes[system],
            unseen=blind[system],
            calls={sight.value: sights[sight] for sight in _WEAKEST_FIRST if sights[sight]},
        )


def _sight(sources: Collection[str]) -> SystemSight:
    told = (sight for sight in (SystemSight.CAPTURE, SystemSight.SCAN) if sight.value in sources)
    return next(told, SystemSight.DECLARED)


def _sentences(found: r.AuditCompleteness) -> Iterator[str]:
    yield (
        f"{count_of(found.calls, 'call')}: {found.enforced} decided by the guard, {found.observed} only observed, "
        f"{count_of(found.reported, 'read')} decided by the guard on its lease and told afterwards."
    )
    if found.left_out:
        yield found.left_out
    if found.ends_unseen:
        yield f"Nobody has seen how {count_of(len(found.ends_unseen), 'call')} ended: {_named(found.ends_unseen)}."
    for each in found.systems:
        told = (
            _WEAKEST_FIRST[SystemSight(sight)].format(count_of(calls, "call"))
            for sight, calls in each.calls.items()
        )
        yield f"In {each.system}, {'; '.join(told)}."
    for each in found.systems:
        if each.unseen:
            yield f"After {count_of(each.unseen, 'call')} nobody could look into {each.system}."
    if found.unfinished:
        yield f"{count_of(len(found.unfinished), 'run')} never said to have ended: {_named(found.unfinished)}."
    unguarded = "what it did without the guard is not known here."
    if found.steps:
        word = "is as the agent reports it" if found.steps == 1 else "are as the agent reports them"
        yield f"{count_of(found.steps, 'step')} beside the calls (model calls, retrievals) {word}; {unguarded}"
    else:
        yield f"The agent reported no step beside the calls (model calls, retrievals); {unguarded}"


def _named(ids: tuple[str, ...]) -> str:
    return listed(ids, most=MAX_NAMED)
