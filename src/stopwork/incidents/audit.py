"""The side-effect audit: twelve questions, each answered from records and never from the agent's own account.

:func:`answers` gives one :class:`~stopwork.ledger.records.Answer` per question, in the order of
:class:`~stopwork.ledger.words.Question`. What the records cannot tell stands in ``missing``.
The list of changed objects that goes with them is :mod:`stopwork.incidents.affected`, what an audit can know at all
:mod:`stopwork.incidents.completeness`, and which calls it is about :mod:`stopwork.incidents.scope`.
"""

from __future__ import annotations

from collections.abc import Callable

from stopwork.incidents import audit_calls, audit_effects, audit_inputs
from stopwork.incidents.case import Case
from stopwork.ledger import records as r
from stopwork.ledger import words as w


def answers(case: Case) -> tuple[r.Answer, ...]:
    """Answer all twelve questions."""
    return tuple(_ANSWERS[question](case) for question in w.Question)


_ANSWERS: dict[w.Question, Callable[[Case], r.Answer]] = {
    w.Question.TRIGGER: audit_inputs.trigger,
    w.Question.INPUTS_READ: audit_inputs.inputs_read,
    w.Question.INPUT_FRESHNESS_AND_AUTHORITY: audit_inputs.freshness,
    w.Question.PROMPTS_AND_POLICIES: audit_inputs.prompts_and_policies,
    w.Question.MODEL_CALLS: audit_inputs.model_calls,
    w.Question.TOOL_CALLS: audit_calls.tool_calls,
    w.Question.WRITES: audit_effects.writes,
    w.Question.EXTERNAL_SENDS: audit_effects.external_sends,
    w.Question.APPROVALS: audit_calls.approvals,
    w.Question.RETRIES_AND_BACKFILLS: audit_calls.retries,
    w.Question.DOWNSTREAM_AUTOMATIONS: audit_calls.downstream,
    w.Question.RECORDS_TO_CORRECT: audit_effects.records_to_correct,
}
