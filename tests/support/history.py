"""What a history of permits and pauses must show, whoever made it and wherever: one pass over the journal, and what guards and people saw.

The journal is one sequence, so that it has an order is no finding: found out is whether each entry may stand where it stands. What the
journal cannot show, that somebody was *told* something which it does not bear out, is compared with what they wrote down: a pause that
had returned before a guard even asked, a permit that was answered and is not there.

The time it takes grows with the number of entries, and what it keeps in mind with what is unfinished, and with the keys.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from functools import singledispatchmethod
from typing import Final

import msgspec

from stopwork.control import stages
from stopwork.control.holds import answer, covers
from stopwork.kernel.errors import StopworkError
from stopwork.ledger import events as e
from stopwork.ledger.records import Day
from stopwork.ledger.words import EffectKind, Mode, Outcome, Stage, Verdict
from stopwork.manifest.load import load
from stopwork.manifest.model import Budget
from stopwork.storage.database import MAX_BATCH
from stopwork.storage.view import View

PAGE: Final = 5_000
#: Of a history in which everything is wrong, the first faults say enough.
MAX_FAULTS: Final = 100
#: What may be committed between asking for a pause and its hold: the batch that is being made, of each server, and what it records.
MAX_AHEAD: Final = 4 * MAX_BATCH


class Rule(StrEnum):
    """What every history keeps to."""

    NUMBERS = "entries have every number once"
    EPOCHS = "the control epoch rises by one with each change of the controls"
    NEWEST = "a permit is decided by the newest controls"
    PAUSE = "no permit that a hold covers commits after it"
    STAGE = "no permit commits that the stage does not allow"
    BEGINNING = "a call begins once, under a permit that still counts"
    KEY = "a key takes effect once"
    APPROVAL = "an approval counts once, for its call, when people have given it"
    BUDGET = "a budget is not overrun"
    RETURNED = "a call that is asked for after a pause has returned is not permitted"
    KEPT = "what was answered is there"
    URGENT = "a pause does not wait for what waits already"


class Fault(msgspec.Struct, frozen=True):
    """One place at which a history breaks a rule."""

    rule: Rule
    text: str
    seq: int = 0

    def __str__(self) -> str:
        return f"entry {self.seq}: {self.text} ({self.rule})"


# --- what is told from outside -----------------------------------------------------------------------


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A guard asked for a permit and was answered, at these times of a clock that all of this machine share."""

    call: str
    asked_s: float
    answered_s: float
    allowed: bool


class Paused(msgspec.Struct, frozen=True, kw_only=True):
    """A pause was asked for when the journal had come to ``asked_seq`` and had returned at ``returned_s``; nobody asked for its end before
    ``lifted_s``.
    """

    hold: str
    returned_s: float
    asked_seq: int | None = None
    lifted_s: float = float("inf")


class Witness(msgspec.Struct):
    """What guards and people wrote down."""

    asked: list[Asked] = []
    paused: list[Paused] = []

    def suspects(self) -> dict[str, list[str]]:
        """Answer the calls that were permitted though they were asked for after a pause had returned, each with such holds."""
        found: dict[str, list[str]] = {}
        returns = deque(sorted(self.paused, key=lambda paused: paused.returned_s))
        standing: list[Paused] = []
        for asked in sorted((each for each in self.asked if each.allowed), key=lambda each: each.asked_s):
            while returns and returns[0].returned_s < asked.asked_s:
                standing.append(returns.popleft())
            standing = [paused for paused in standing if paused.lifted_s > asked.asked_s]
            if under := [paused.hold for paused in standing if paused.lifted_s > asked.answered_s]:
                found[asked.call] = under
        return found


# --- what the journal shows --------------------------------------------------------------------------


class _Running(msgspec.Struct):
    """A permit whose call has not ended."""

    decided: e.CallDecided
    begun: bool = False


class _Question(msgspec.Struct):
    """An approval as far as it has come."""

    requested: e.ApprovalRequested
    agreed: set[str] = msgspec.field(default_factory=set)
    refused: bool = False
    expired: bool = False
    used_by: str | None = None


class Checker:
    """Reads a journal entry by entry, from the first one, and gathers what is wrong with it."""

    def __init__(self, witness: Witness | None = None) -> None:
        witness = witness or Witness()
        self.faults: list[Fault] = []
        self.read = 0
        self.permits = 0
        self._at: datetime | None = None
        self._epoch = 0
        self._holds: dict[str, e.HoldSet] = {}
        self._every_hold: dict[str, e.HoldSet] = {}
        self._stages: dict[str, tuple[Stage, int]] = {}
        self._rules: dict[str, tuple[Mode, Budget | None]] = {}
        self._running: dict[str, _Running] = {}
        self._keys: dict[str, str] = {}
        self._questions: dict[str, _Question] = {}
        self._used: Counter[tuple[str, str]] = Counter()
        # Suspected calls that the journal has before their pause.
        self._too_early: dict[str, list[e.CallDecided]] = {}
        self._suspects = witness.suspects()
        self._pauses_asked = {
            paused.hold: paused.asked_seq for paused in witness.paused if paused.asked_seq is not None
        }
        self._told = {asked.call for asked in witness.asked if asked.allowed}

    def check(self, entry: e.Entry) -> None:
        """Read the next entry."""
        self.read += 1
        if entry.seq != self.read:
            self._fault(Rule.NUMBERS, f"{self.read} is expected and {entry.seq} is found")
            self.read = entry.seq
        self._at = entry.at
        self._see(entry.event)

    def end(self) -> list[Fault]:
        """Answer everything that is wrong, now that there is no more."""
        lost = sorted(self._told)
        self.faults += [
            Fault(Rule.KEPT, f"{call} was permitted to somebody and never recorded") for call in lost
        ]
        return self.faults[:MAX_FAULTS]

    @singledispatchmethod
    def _see(self, event: e.Event) -> None:
        """Take in what happened; most of it concerns no rule."""

    # the controls

    @_see.register
    def _(self, event: e.ManifestApplied) -> None:
        try:
            manifest = load(event.text).manifest
        except StopworkError:
            return  # a story that applies no real one
        self._rules[event.workflow] = (event.mode, manifest.budget)
        self._stages.setdefault(event.workflow, (event.stage, 0))

    @_see.register
    def _(self, event: e.HoldSet) -> None:
        self._next_epoch(event.epoch)
        for decided in self._too_early.pop(event.hold, ()):
            self._check_returned(event, decided)
        self._holds[event.hold] = event
        self._every_hold[event.hold] = event
        asked = self._pauses_asked.get(event.hold)
        if asked is not None and self.read - asked > MAX_AHEAD:
            self._fault(Rule.URGENT, f"{self.read - asked} entries went ahead of {event.hold}")

    @_see.register
    def _(self, event: e.HoldLifted) -> None:
        self._next_epoch(event.epoch)
        self._holds.pop(event.hold, None)

    @_see.register
    def _(self, event: e.StageChanged) -> None:
        self._next_epoch(event.epoch)
        self._stages[event.workflow] = (event.after, event.epoch)

    @_see.register
    def _(self, event: e.PauseTestBegan) -> None:
        self._next_epoch(event.epoch)

    # calls

    @_see.register
    def _(self, event: e.CallDecided) -> None:
        if event.verdict is not Verdict.ALLOW:
            running = self._running.pop(event.call, None)
            if running is not None and running.begun:
                self._fault(Rule.BEGINNING, f"{event.call} was decided again while it ran")
            self._give_back(event.workflow, event.key, event.call)
            return
        if event.began_at is not None:
            self._check_budget(event, None)  # its guard has decided it: it is counted, and never refused
            self._running[event.call] = _Running(event)
            return
        self.permits += 1
        self._told.discard(event.call)
        if event.epoch != self._epoch:
            self._fault(
                Rule.NEWEST, f"{event.call} was decided at epoch {event.epoch}, and it is {self._epoch}"
            )
        known = self._running.get(event.call)
        if known is not None and known.begun:
            self._fault(Rule.BEGINNING, f"{event.call} was permitted again while it ran")
        self._check_holds(event)
        self._check_stage(event)
        for hold in self._suspects.pop(event.call, ()):
            held = self._every_hold.get(hold)
            if held is None:
                self._too_early.setdefault(hold, []).append(event)
            else:
                self._check_returned(held, event)
        mode, budget = self._rules.get(event.workflow, (Mode.OBSERVE, None))
        if mode is Mode.ENFORCE:
            self._check_key(event)
            self._check_budget(event, budget)
        self._running[event.call] = _Running(event)

    @_see.register
    def _(self, event: e.CallAttempted) -> None:
        running = self._running.get(event.call)
        if running is None:
            self._fault(Rule.BEGINNING, f"{event.call} began without a permit")
            return
        decided = running.decided
        if running.begun:
            self._fault(Rule.BEGINNING, f"{event.call} began twice")
        running.begun = True
        if decided.not_after is not None and self._at is not None and self._at > decided.not_after:
            self._fault(Rule.BEGINNING, f"{event.call} began after its permit had run out")
        for held in self._holds.values():
            if held.epoch > decided.epoch and self._forbids(held, decided):
                self._fault(Rule.BEGINNING, f"{event.call} began although {held.hold} had overtaken it")
        stage, since = self._stages.get(decided.workflow, (Stage.NORMAL, 0))
        if since > decided.epoch and stages.answer(stage, decided.effect) is not Verdict.ALLOW:
            self._fault(Rule.BEGINNING, f"{event.call} began although stage {stage} had overtaken it")

    @_see.register
    def _(self, event: e.CallFinished) -> None:
        self._running.pop(event.call, None)
        if event.outcome is Outcome.FAILED and not event.effects:
            self._give_back(event.workflow, event.key, event.call)

    @_see.register
    def _(self, event: e.KeysExpired) -> None:
        for key in event.keys:
            self._keys.pop(key, None)

    @_see.register
    def _(self, event: e.StepRecorded) -> None:
        for span in self._spans(event.run, event.workflow):
            self._used[span, "tokens"] += event.tokens

    # approvals

    @_see.register
    def _(self, event: e.ApprovalRequested) -> None:
        self._questions[event.approval] = _Question(event)

    @_see.register
    def _(self, event: e.ApprovalEdited) -> None:
        if (question := self._questions.get(event.approval)) is not None:
            question.agreed.clear()

    @_see.register
    def _(self, event: e.ApprovalDecided) -> None:
        question = self._questions.get(event.approval)
        if question is None or question.used_by is not None or question.expired:
            self._fault(Rule.APPROVAL, f"{event.approval} was decided when it was no question any more")
            return
        if event.person == question.requested.requested_by.id:
            self._fault(Rule.APPROVAL, f"{event.person} approved what they asked for")
        question.refused |= not event.approve
        question.agreed.add(event.person)

    @_see.register
    def _(self, event: e.ApprovalExpired) -> None:
        if (question := self._questions.get(event.approval)) is not None:
            question.expired = True

    @_see.register
    def _(self, event: e.ApprovalConsumed) -> None:
        question = self._questions.get(event.approval)
        if question is None:
            self._fault(Rule.APPROVAL, f"{event.approval} was used and never asked for")
            return
        asked = question.requested
        if question.used_by is not None:
            self._fault(Rule.APPROVAL, f"{event.approval} was used by {question.used_by} and by {event.by}")
        question.used_by = event.by
        if question.refused or len(question.agreed) < asked.quorum:
            self._fault(Rule.APPROVAL, f"{event.approval} was used and had not been given")
        if question.expired or (self._at is not None and self._at >= asked.expires_at):
            self._fault(Rule.APPROVAL, f"{event.approval} was used after it had expired")
        if asked.call is not None and asked.call != event.by:
            self._fault(Rule.APPROVAL, f"{event.approval} is about {asked.call} and was used by {event.by}")

    # what they are held to

    def _check_holds(self, decided: e.CallDecided) -> None:
        for held in self._holds.values():
            if self._forbids(held, decided) and not self._approved_since(decided, held.epoch):
                self._fault(Rule.PAUSE, f"{decided.call} was permitted under {held.hold}")

    def _check_returned(self, held: e.HoldSet, decided: e.CallDecided) -> None:
        if self._forbids(held, decided) and not self._approved_since(decided, held.epoch):
            self._fault(Rule.RETURNED, f"{decided.call} was asked for after {held.hold} had returned")

    def _check_stage(self, decided: e.CallDecided) -> None:
        stage, since = self._stages.get(decided.workflow, (Stage.NORMAL, 0))
        verdict = stages.answer(stage, decided.effect)
        if verdict is Verdict.ALLOW or (verdict is not Verdict.DENY and self._approved_since(decided, since)):
            return
        self._fault(Rule.STAGE, f"{decided.call} was permitted at stage {stage}")

    def _approved_since(self, decided: e.CallDecided, epoch: int) -> bool:
        """Answer whether the permit rests on an approval that was asked for when the controls had come this far."""
        question = self._questions.get(decided.approval or "")
        return question is not None and question.used_by == decided.call and question.requested.epoch >= epoch

    def _forbids(self, held: e.HoldSet, decided: e.CallDecided) -> bool:
        """Answer whether the hold covers this call and lets it run by no means, or only when people have said yes to it since."""
        return covers(held.scope, decided) and answer(held.mode, decided.effect) is not Verdict.ALLOW

    def _check_key(self, decided: e.CallDecided) -> None:
        if decided.effect is EffectKind.READ:
            return
        holder = self._keys.setdefault(f"{decided.workflow}/{decided.key}", decided.call)
        if holder != decided.call:
            self._fault(Rule.KEY, f"{decided.call} was permitted with the key that {holder} holds")

    def _give_back(self, workflow: str, key: str, call: str) -> None:
        if self._keys.get(f"{workflow}/{key}") == call:
            del self._keys[f"{workflow}/{key}"]

    def _check_budget(self, decided: e.CallDecided, budget: Budget | None) -> None:
        writes = decided.effect is not EffectKind.READ
        for span in self._spans(decided.run, decided.workflow):
            counted = [("calls", 1), ("writes", int(writes))]
            for what, more in counted:
                # A permit that is asked for again is still one call.
                self._used[span, what] += 0 if decided.renewed else more
                limit = getattr(budget, f"{span.partition(':')[0]}_{what}", None)
                if limit is not None and more and self._used[span, what] > limit:
                    self._fault(Rule.BUDGET, f"{decided.call} is one of more than {limit} {what} of {span}")
            tokens = getattr(budget, f"{span.partition(':')[0]}_tokens", None)
            if tokens is not None and self._used[span, "tokens"] >= tokens:
                self._fault(Rule.BUDGET, f"{decided.call} was permitted when the tokens of {span} were used")

    def _spans(self, run: str, workflow: str) -> tuple[str, str]:
        day = Day.id_of(workflow, self._at) if self._at is not None else workflow
        return f"run:{run}", f"day:{day}"

    def _next_epoch(self, epoch: int) -> None:
        if epoch != self._epoch + 1:
            self._fault(Rule.EPOCHS, f"epoch {epoch} follows {self._epoch}")
        self._epoch = epoch

    def _fault(self, rule: Rule, text: str) -> None:
        self.faults.append(Fault(rule, text, self.read))


# --- reading it --------------------------------------------------------------------------------------


def faults_of(entries: Iterable[e.Entry], witness: Witness | None = None) -> list[Fault]:
    """Answer what is wrong with a history, the first first."""
    checker = Checker(witness)
    for entry in entries:
        checker.check(entry)
    return checker.end()


def entries_of(view: View) -> Iterator[e.Entry]:
    """Answer the whole journal."""
    seen = 0
    while page := view.entries(after=seen, limit=PAGE):
        yield from page
        seen = page[-1].seq


def history_faults(view: View, witness: Witness | None = None) -> list[Fault]:
    """Answer everything that is wrong with the journal, and with what was told of it."""
    return faults_of(entries_of(view), witness)
