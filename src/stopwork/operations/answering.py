"""What a signal that was reported has to answer, by its kind: what nobody said is said to be so, and how a run failed is known from its own records.

What a detector finds answers its question by itself; what people and other tools say may leave it open.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from stopwork.detect import failed_run
from stopwork.detect.detector import Finding
from stopwork.ledger import records as r
from stopwork.ledger.events import name_of
from stopwork.ledger.words import RunStatus, SignalKind
from stopwork.storage.view import View

NOT_SAID: Final = "not said"
NOT_ENDED: Final = "its run has not ended"
NOT_FAILED: Final = "by its records its run did not fail"
TOO_LONG: Final = "its run has too many calls to look through them here"
#: So much of a run is looked through.
MOST_ENTRIES: Final = 10_000
#: The facts that answer the question of each kind; of ``security`` it is answered by the type.
ASKED: Final[dict[SignalKind, tuple[str, ...]]] = {
    SignalKind.ALERT: ("rule", "threshold", "value"),
    SignalKind.USER_REPORT: ("seen", "where", "when", "by"),
    SignalKind.FAILED_RUN: ("how",),
    SignalKind.POLICY_VIOLATION: ("rule",),
    SignalKind.DOWNSTREAM_ANOMALY: ("system",),
    SignalKind.SECURITY: (),
    SignalKind.COST: ("unit", "value"),
}
_OF_RUNS: Final = tuple(name_of(each) for each in failed_run.FailedRun.watches)


def answered(view: View, finding: Finding) -> Finding:
    """Answer a finding whose facts answer what its kind asks, as far as that is known."""
    facts = finding.facts
    if finding.kind is SignalKind.USER_REPORT:
        facts = {"seen": finding.summary} | facts
    elif finding.kind is SignalKind.FAILED_RUN and finding.run is not None:
        facts = facts | _of_run(view, finding.run)
    left_open = {name: NOT_SAID for name in ASKED[finding.kind] if facts.get(name) in (None, "")}
    return replace(finding, facts=facts | left_open)


def _of_run(view: View, run: str) -> dict[str, Any]:
    entries = view.entries(run=run, kinds=_OF_RUNS, limit=MOST_ENTRIES)
    if len(entries) == MOST_ENTRIES:
        return {"how": TOO_LONG}
    ended = view.need(r.Run, run).status is not RunStatus.RUNNING
    return failed_run.answers(entries) or {"how": NOT_FAILED if ended else NOT_ENDED}
