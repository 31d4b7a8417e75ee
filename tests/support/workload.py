"""What agents and people do all at once, in a fixed order of chances: scripts that say what is asked next and are told what was answered.

A script knows nothing of threads, event loops or servers. :func:`in_threads` plays it on stores, :class:`tests.support.servers.Crowd` on
servers. Whatever comes back, also a refusal, it goes on until it is told that it is enough.
"""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any, Final

from msgspec import Struct

from stopwork.control import protocol as p
from stopwork.kernel.errors import StopworkError
from stopwork.ledger.records import Approval, Scope
from stopwork.ledger.words import ApprovalState, HoldMode, Outcome, ScopeKind, Verdict
from stopwork.operations import approvals, holds
from stopwork.storage.view import View
from tests.support.history import Asked, Paused, Witness
from tests.support.office import DANA, KIM, LEE, MANIFEST, WORKFLOW
from tests.support.replicas import Replica

#: With limits that runs reach now and then.
BUSY_MANIFEST: Final = (
    MANIFEST + "budget: {run_calls: 60, run_writes: 45}\nsources: {accounts: {trust: internal}}\n"
)
CREATE, UPDATE, READ, SEND = "crm.create_task", "crm.update_account", "crm.read_account", "mail.send"
#: So many accounts are updated by everybody, each once a week.
ACCOUNTS: Final = 40
#: All agents are one guard's threads: any of them may ask again about a call that waits.
SESSION: Final = "session-1"
MAX_WAITING: Final = 8
#: A pause stands for this long at most, and work goes on for this long between two.
LONGEST_S: Final = 0.15
LONGEST_BETWEEN_S: Final = 0.5

#: Each person pauses scopes of their own, so that nobody lifts what another counts on.
LEES: Final = (
    (Scope(kind=ScopeKind.TOOL, name=CREATE, workflow=WORKFLOW), HoldMode.BLOCK),
    (Scope(kind=ScopeKind.EVERYTHING), HoldMode.BLOCK),
    (Scope(kind=ScopeKind.PERMISSION, name="crm.accounts.write"), HoldMode.READ_ONLY),
    (Scope(kind=ScopeKind.WORKFLOW, name=WORKFLOW), HoldMode.READ_ONLY),
)
KIMS: Final = (
    (Scope(kind=ScopeKind.WORKFLOW, name=WORKFLOW), HoldMode.APPROVAL_REQUIRED),
    (Scope(kind=ScopeKind.TRIGGER, name="schedule", workflow=WORKFLOW), HoldMode.BLOCK),
    (Scope(kind=ScopeKind.TOOL, name=UPDATE), HoldMode.DRAFT_ONLY),
    (Scope(kind=ScopeKind.TOOL, name=SEND, workflow=WORKFLOW), HoldMode.BLOCK),
    (Scope(kind=ScopeKind.SOURCE, name="accounts", workflow=WORKFLOW, item="account-1"), HoldMode.BLOCK),
)


class Pause(Struct, frozen=True):
    scope: Scope
    mode: HoldMode
    by: str


class Lift(Struct, frozen=True):
    hold: str
    by: str


class Pending(Struct, frozen=True):
    """Ask which questions are open: their ids, with the digests of what is shown."""


class Decide(Struct, frozen=True):
    approval: str
    digest: str
    approve: bool
    by: str


class Rest(Struct, frozen=True):
    for_s: float


class Newest(Struct, frozen=True):
    """Ask how far the journal has come."""


Deed = Pause | Lift | Pending | Decide | Newest | Rest | p.Request[Any]
Script = Generator[Deed, Any, None]


class Scene(Struct):
    """What all scripts of one play share: what they wrote down, the calls that wait, and when it is enough."""

    seed: int
    witness: Witness
    enough: threading.Event
    waiting: deque[p.AskPermit]
    saw: Callable[[Asked], None]

    @classmethod
    def of(cls, seed: int, *, saw: Callable[[Asked], None] | None = None) -> Scene:
        """Answer a new play; each answer to a guard is told to ``saw``, or kept."""
        witness = Witness()
        return cls(seed, witness, threading.Event(), deque(maxlen=MAX_WAITING), saw or witness.asked.append)

    def agent(self, name: str) -> Script:
        """Make calls of all kinds, some with keys that other agents want too, some that wait for approval, and carry them through."""
        chance = random.Random(f"{self.seed}/{name}")
        for number in range(1_000_000):
            run = f"{name}-{number}"
            started = yield p.StartRun(
                workflow=WORKFLOW, trigger="schedule", trigger_id=f"week-{number}", run=run
            )
            if isinstance(started, StopworkError):
                yield Rest(0.01)
            for count in range(chance.randrange(20, 80)):
                if self.enough.is_set():
                    return
                yield from self._call(chance, f"{run}-{count}", run, number)

    def _call(self, chance: random.Random, call: str, run: str, week: int) -> Script:
        kind = chance.random()
        waiting = tuple(self.waiting)
        if kind < 0.2 and waiting:
            ask = chance.choice(waiting)
        elif kind < 0.5:
            ask = _asked(call, run, CREATE, title=call)
        elif kind < 0.8:
            account = f"account-{chance.randrange(ACCOUNTS)}"
            ask = _asked(call, run, UPDATE, account_id=account, renewal=f"week-{week}")
        elif kind < 0.9:
            ask = _asked(call, run, READ, account_id=f"account-{chance.randrange(2)}")
        else:
            ask = _asked(call, run, SEND, to=f"{call}@customer.test")
        asked_s = time.monotonic()
        answer = yield ask
        if isinstance(answer, StopworkError):
            return
        allowed = answer.verdict is Verdict.ALLOW
        self.saw(Asked(call=answer.call, asked_s=asked_s, answered_s=time.monotonic(), allowed=allowed))
        if answer.verdict is Verdict.WAIT and ask not in waiting:
            self.waiting.append(ask)
        if not allowed:
            return
        if chance.random() < 0.05:
            yield ask  # as after a lost answer
        begun = yield p.RecordAttempt(call=answer.call, session=SESSION)
        fate = chance.choices([Outcome.SUCCEEDED, Outcome.FAILED, Outcome.UNKNOWN], [80, 15, 5])[0]
        if isinstance(begun, StopworkError) and ask.tool != READ:
            fate = Outcome.FAILED
        yield p.RecordOutcome(call=answer.call, outcome=fate, result={"id": call}, session=SESSION)

    def pauser(self, name: str, by: str, other: str, scopes: Sequence[tuple[Scope, HoldMode]]) -> Script:
        """Pause and let another person lift it again."""
        chance = random.Random(f"{self.seed}/{name}")
        while not self.enough.is_set():
            yield Rest(chance.uniform(0, LONGEST_BETWEEN_S))
            scope, mode = chance.choice(scopes)
            asked_seq = yield Newest()
            while isinstance(hold := (yield Pause(scope, mode, by)), StopworkError):
                if self.enough.is_set():
                    return
                yield Rest(0.05)  # it may have been set: whoever asks again is told
            returned_s = time.monotonic()
            yield Rest(chance.uniform(0, LONGEST_S))
            lifted_s = time.monotonic()
            self.witness.paused.append(
                Paused(
                    hold=hold,
                    returned_s=returned_s,
                    lifted_s=lifted_s,
                    asked_seq=asked_seq if isinstance(asked_seq, int) else None,
                )
            )
            while isinstance((yield Lift(hold, other)), StopworkError):
                yield Rest(0.05)

    def approver(self, name: str, by: str) -> Script:
        """Answer the open questions, mostly with yes."""
        chance = random.Random(f"{self.seed}/{name}")
        while not self.enough.is_set():
            found = yield Pending()
            for approval, digest in [] if isinstance(found, StopworkError) else found:
                yield Decide(approval, digest, chance.random() < 0.8, by)
            yield Rest(0.02)

    def cast(self, agents: int) -> list[Script]:
        """Answer the scripts of so many agents and of the people around them."""
        return [
            *(self.agent(f"agent-{self.seed}-{n}") for n in range(agents)),
            self.pauser("lee", LEE.id, DANA.id, LEES),
            self.pauser("kim", KIM.id, DANA.id, KIMS),
            self.approver("dana", DANA.id),
        ]


def _asked(call: str, run: str, tool: str, **args: Any) -> p.AskPermit:
    source = "accounts" if tool in (READ, UPDATE) else None
    return p.AskPermit(call=call, run=run, tool=tool, args=args, session=SESSION, source=source)


# --- playing it on stores ----------------------------------------------------------------------------

PEOPLE: Final = {person.id: person for person in (DANA, KIM, LEE)}


def done_by(replica: Replica, deed: Deed) -> Any:
    """Do one deed on a server in this process."""
    match deed:
        case Pause(scope=scope, mode=mode, by=by):
            work = partial(holds.pause, scope=scope, mode=mode, reason="it floods")
            return replica.write(work, actor=PEOPLE[by], urgent=True).hold.id
        case Lift(hold=hold, by=by):
            return replica.write(partial(holds.lift, hold=hold, reason="looked"), actor=PEOPLE[by]).id
        case Pending():
            found = replica.store.read(newest_questions)
            return [(each.id, each.digest) for each in found]
        case Decide(approval=approval, digest=digest, approve=approve, by=by):
            decided = partial(approvals.decide, approval=approval, digest=digest, approve=approve)
            return replica.write(decided, actor=PEOPLE[by]).id
        case Newest():
            return replica.store.read(View.last_seq)
        case Rest(for_s=for_s):
            return time.sleep(for_s)
        case _:
            return replica.send(deed)


def newest_questions(view: View) -> list[Approval]:
    """Answer the open questions that were asked last: what is stale is never answered and stays open until it expires."""
    return view.find(Approval, state=ApprovalState.PENDING, order="-requested_at", limit=20)


def play(script: Script, do: Callable[[Deed], Any]) -> int:
    """Play a script to its end; answer how many deeds that were."""
    told: Any = None
    count = 0
    while True:
        try:
            deed = script.send(told)
        except StopIteration:
            return count
        count += 1
        try:
            told = do(deed)
        except StopworkError as error:
            told = error


def in_threads(replicas: Sequence[Replica], scene: Scene, *, agents: int, for_s: float) -> int:
    """Play it all on these servers, everybody in a thread; answer how many deeds that were."""
    chance = random.Random(scene.seed)
    counts: list[int] = []

    def perform(script: Script, own: Replica) -> None:
        counts.append(play(script, partial(done_by, own)))

    threads = [
        threading.Thread(target=perform, args=(script, chance.choice(replicas)), daemon=True)
        for script in scene.cast(agents)
    ]
    for thread in threads:
        thread.start()
    time.sleep(for_s)
    scene.enough.set()
    for thread in threads:
        thread.join(30)
    assert len(counts) == len(threads), f"not everybody came to an end; seed {scene.seed}"
    return sum(counts)
