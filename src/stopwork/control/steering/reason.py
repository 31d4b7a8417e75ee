"""A suspicion in words: as the reason for a verdict, which the approver reads."""

from __future__ import annotations

from typing import Final

from stopwork.ledger.records import Reason, Suspicion
from stopwork.ledger.words import Clue, ReasonKind, Verdict
from stopwork.manifest.parts import InjectionGate

_VERDICTS: Final = {
    InjectionGate.DENY: Verdict.DENY,
    InjectionGate.ASK: Verdict.WAIT,
    InjectionGate.OFF: Verdict.ALLOW,
}
_SAYS: Final = {
    Clue.ADDRESS_IN_TEXT: "where it goes stands in the midst of that text",
    Clue.ADDRESS_IN_DATA: "where it goes stands in what was read",
    Clue.CONTROL_IN_TEXT: "what it sets stands in the midst of that text",
    Clue.AMOUNT_IN_TEXT: "its amount stands in the midst of that text",
    Clue.TEXT_CARRIED: "it carries that text on word by word",
    Clue.DICTATED: "the text asks for just this, with these values",
    Clue.DEED_NAMED: "the text asks for such a thing to be done",
    Clue.UNREADABLE: "the passage is in a language that cannot be told here, and may ask for it",
    Clue.NO_TASK: "the run was begun without a task, which would tell whether it was asked for",
    Clue.NOT_ASKED: "the task does not ask for it",
    Clue.SPEAKS_TO_AGENT: "the text speaks to an agent",
    Clue.HIDDEN: "it was hidden there",
    Clue.STEERED_BEFORE: "the run has followed such a text before",
    Clue.CARRIES_OUT: "the address carries what the run has read",
    Clue.DELEGATED: "though the task leaves such calls to what is read",
    Clue.ASKED_ABOUT_ITEM: "though the task asks for it and names the item",
    Clue.ASKED_FOR_VALUE: "though the task asks for it, with what the item says",
    Clue.KNOWN_TO_PEOPLE: "though people have let a call with it pass before",
}


def reason(suspicion: Suspicion, gate: InjectionGate) -> Reason:
    """Answer the suspicion as a reason for what the manifest does with such a call."""
    return Reason(
        kind=ReasonKind.INJECTION, verdict=_VERDICTS[gate], text=in_words(suspicion), source=suspicion.record
    )


def in_words(suspicion: Suspicion) -> str:
    """Answer why the call may follow what was read, and quote it."""
    where = f"{suspicion.item!r} of {suspicion.source}" if suspicion.item else suspicion.source
    what = f"{suspicion.field} {suspicion.value!r}: " if suspicion.field else ""
    why = "; ".join(_SAYS[clue] for clue in suspicion.clues if clue in _SAYS)
    hidden = f" (as {suspicion.disguise})" if suspicion.disguise else ""
    quoted = f"; it says{hidden}: “{suspicion.passage}”" if suspicion.passage else ""
    return f"it may follow what {suspicion.record} read from {where}, and not the task: {what}{why}{quoted}"
