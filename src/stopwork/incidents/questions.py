"""The questions that every incident of a type is asked, because no record can answer them: whoever is on call at night need not think of them.

They stand beside those of the workflow's own manifest, and an incident keeps the ones that stood here when it was opened.
"""

from __future__ import annotations

from typing import Final

from stopwork.ledger.records import Asked
from stopwork.ledger.words import IncidentType, Phase
from stopwork.manifest.model import Manifest

USUAL: Final[dict[IncidentType, tuple[tuple[Phase, str], ...]]] = {
    IncidentType.MISSED_WORKFLOW: (
        (
            Phase.PAUSE,
            "Could a late start do harm now? Then hold the schedule before somebody starts it by hand.",
        ),
        (Phase.COMMUNICATE, "Who has already acted, or waited, because the result was not there?"),
        (Phase.RECOVER, "Has anybody done the work by hand meanwhile?"),
    ),
    IncidentType.DUPLICATE_WORK: (
        (Phase.CONTAIN, "Does anything outside the agent retry too: a queue, a webhook, a scheduler?"),
        (Phase.RECOVER, "Has anybody worked on a copy, so that it must not simply be deleted?"),
        (Phase.COMMUNICATE, "Who saw both the original and the copy?"),
    ),
    IncidentType.STALE_OR_WRONG_INPUT: (
        (Phase.PAUSE, "Does another workflow read the same source?"),
        (Phase.AUDIT, "Who has made a decision by the old result?"),
        (Phase.LEARN, "Who would have noticed that the source was old?"),
    ),
    IncidentType.TOOL_MISUSE: (
        (Phase.CONTAIN, "Can the same be done through another tool or another credential?"),
        (Phase.AUDIT, "Does an automation act on what was written?"),
    ),
    IncidentType.APPROVAL_BYPASS: (
        (Phase.PAUSE, "Which other ways lead to the same action without a decision?"),
        (Phase.COMMUNICATE, "Does the person who would have decided know of it?"),
        (Phase.AUDIT, "Would it have been approved?"),
    ),
    IncidentType.BAD_WRITEBACK: (
        (Phase.CONTAIN, "Which automations, reports or exports have read the wrong values already?"),
        (Phase.RECOVER, "Has anybody corrected some of it by hand?"),
    ),
    IncidentType.EXTERNAL_SEND: (
        (Phase.PAUSE, "Do more messages wait in an outbox or a queue that the hold does not reach?"),
        (Phase.COMMUNICATE, "Has a receiver answered, or acted on it?"),
        (Phase.COMMUNICATE, "Does it hold a promise, a price or a date that somebody may rely on?"),
    ),
    IncidentType.SENSITIVE_DATA_EXPOSURE: (
        (Phase.CONTAIN, "Who could read it where it went, and can it be taken away from there?"),
        (Phase.CONTAIN, "If it was a credential: is it revoked, and not only deleted?"),
        (Phase.COMMUNICATE, "Does a duty to report begin to run, and since when?"),
    ),
    IncidentType.COST_RUNAWAY: (
        (Phase.PAUSE, "Does something go on spending outside the agent: a browser, a batch, an enrichment?"),
        (Phase.CONTAIN, "Is there a limit at the provider that holds without this server?"),
    ),
    IncidentType.PROMPT_INJECTION: (
        (Phase.PAUSE, "Can other agents read the same document, page or mailbox?"),
        (Phase.CONTAIN, "Has the agent kept something of it: a memory, a draft, a task for its next run?"),
        (Phase.AUDIT, "Who could have put it there?"),
    ),
    IncidentType.POLICY_DRIFT: (
        (Phase.CONTAIN, "What else got the same change: a model, a prompt, a connector that others share?"),
        (Phase.LEARN, "Who knew of the change, and was it announced?"),
    ),
}
"""By type, in the order of the phases in which somebody thinks of them."""


def asked(incident_type: IncidentType, manifest: Manifest) -> tuple[Asked, ...]:
    """Answer what an incident is asked from the beginning: by its workflow first, then by its type."""
    own = tuple(
        Asked(id=f"{each.phase}/{number}", phase=each.phase, question=each.question)
        for number, each in enumerate(manifest.checklist, 1)
    )
    usual = tuple(
        Asked(id=f"{phase}/{incident_type}/{number}", phase=phase, question=question)
        for number, (phase, question) in enumerate(USUAL[incident_type], 1)
    )
    return own + usual
