"""How many calls a second all detectors judge, on one core, from the journal's stored bytes: what a catch-up after an outage costs.

The seconds are those of one core at work (CPU time), so that what else the machine does counts as little as can be.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from benchmarks.timing.figures import Figure, paired
from benchmarks.timing.yardsticks import BareDatabase
from stopwork.detect.registry import Watch
from stopwork.detect.rulebook import Rulebook
from stopwork.kernel.canonical import canonical_bytes, digest_of
from stopwork.ledger.events import (
    CallAttempted,
    CallDecided,
    CallFinished,
    Entry,
    Event,
    RunFinished,
    RunStarted,
    StepRecorded,
)
from stopwork.ledger.records import Captured, Effect, Image, ObjectRef, Principal
from stopwork.ledger.words import (
    EffectKind,
    Mode,
    Operation,
    Outcome,
    PrincipalKind,
    Risk,
    RunStatus,
    StepKind,
    Verdict,
)
from stopwork.manifest.compiled import CompiledManifest, compile_manifest
from stopwork.manifest.load import load
from stopwork.storage.view import entry_of

ROUNDS: Final = 5
RUNS: Final = 1_500
#: So many runs go on at the same time, so that their entries lie among each other as they do in a journal.
AT_ONCE: Final = 16
#: How many entries are handed over at a time, and then the passing of time, as the duty does it.
BATCH: Final = 500
WORKFLOWS: Final = tuple(f"renewal-risk-{number}" for number in range(5))
COUNTED: Final = (
    "The rate is by CPU time of one core. A call is all that the journal tells of it: the step of the model before it, its decision, "
    "its attempt where it writes (six of ten do), its end. Where the other core is busy, this one does up to a quarter less."
)
BEGIN: Final = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

#: What a run does, one call after the other.
CALLS: Final = (
    ("crm.list_accounts", EffectKind.READ),
    ("crm.read_account", EffectKind.READ),
    ("crm.update_account", EffectKind.UPDATE),
    ("crm.create_task", EffectKind.CREATE),
    ("crm.read_account", EffectKind.READ),
    ("crm.update_account", EffectKind.UPDATE),
    ("crm.create_task", EffectKind.CREATE),
    ("crm.read_account", EffectKind.READ),
    ("crm.update_account", EffectKind.UPDATE),
    ("mail.send", EffectKind.SEND),
)
MANIFEST: Final = """\
workflow: {name}
owners: {{business: dana@acme.test, technical: lee@acme.test}}
schedule: {{cron: "0 8 * * *", finish_within: 45m}}
triggers: [schedule]
sources:
  crm_export: {{trust: internal, fresh_within: 24h}}
  inbox: {{trust: external}}
budget: {{run_usd: 2.50, run_calls: 200, day_usd: 2000}}
tools:
  crm.list_accounts: {{effect: read}}
  crm.read_account: {{effect: read}}
  crm.update_account:
    effect: update
    object: {{system: crm, type: account, id: args.account_id}}
  crm.create_task:
    effect: create
    object: {{system: crm, type: task, id: result.id}}
  mail.send: {{effect: send, risk: high, recipients: args.to}}
"""


def measure(_folder: Path, _bare: BareDatabase) -> list[Figure]:
    """Answer the rate of all rules together, and beside it that of reading the entries and doing nothing with them."""
    journal = [canonical_bytes(entry) for entry in entries()]
    rules, calls = rules_in_force(), RUNS * len(CALLS)
    read_per_s, judged_per_s = [], []
    for _ in range(ROUNDS):
        read_per_s.append(calls / _core_s(lambda: _read(journal)))
        judged_per_s.append(calls / _core_s(lambda: _judged(journal, rules)))
    return [
        Figure(
            name="calls judged by all rules, read from the journal",
            unit="/s",
            yardstick="their entries only read and decoded",
            rounds=paired(judged_per_s, read_per_s),
            aim="≥ 20000 /s",
        ),
    ]


def _core_s(work: Callable[[], object]) -> float:
    """Answer how many seconds a core has worked for it."""
    started = time.process_time()
    work()
    return time.process_time() - started


def _read(journal: list[bytes]) -> None:
    for begin in range(0, len(journal), BATCH):
        [entry_of(body) for body in journal[begin : begin + BATCH]]


def _judged(journal: list[bytes], rules: Rulebook) -> None:
    watch = Watch()
    for begin in range(0, len(journal), BATCH):
        _follow(watch, journal[begin : begin + BATCH], rules)


def _follow(watch: Watch, bodies: list[bytes], rules: Rulebook) -> None:
    """Have the watch go through these entries. As in the duty they are let go of before the next ones are read."""
    every = [entry_of(body) for body in bodies]
    _, found, failures = watch.follow(every, rules)
    _, overdue, failures_in_time = watch.tick(every[-1].at, rules)
    if found or overdue or failures or failures_in_time:
        raise ValueError(f"a quiet journal showed {[*found, *overdue, *failures, *failures_in_time]}")


def rules_in_force() -> Rulebook:
    """Answer the manifests of all workflows."""
    known: dict[str, CompiledManifest] = {
        name: compile_manifest(load(MANIFEST.format(name=name)).manifest) for name in WORKFLOWS
    }
    return known.get


def entries() -> Iterator[Entry]:
    """Yield a quiet morning: scheduled runs that go on at the same time, each of ten calls that never repeat each other."""
    chance, seq = random.Random(7), 0
    waiting = iter(range(RUNS))
    going = [_run(number, chance) for number in (next(waiting) for _ in range(AT_ONCE))]
    while going:
        place = chance.randrange(len(going))
        if (told := next(going[place], None)) is None:
            number = next(waiting, None)
            going[place : place + 1] = [] if number is None else [_run(number, chance)]
            continue
        seq += 1
        actor = Principal(kind=PrincipalKind.AGENT, id=told[0])
        yield Entry(seq=seq, at=BEGIN + timedelta(milliseconds=3 * seq), actor=actor, event=told[1])


def _run(number: int, chance: random.Random) -> Iterator[tuple[str, Event]]:
    workflow, run = WORKFLOWS[number % len(WORKFLOWS)], f"run_{number:08d}"
    yield (
        workflow,
        RunStarted(
            run=run,
            workflow=workflow,
            version=1,
            trigger="schedule",
            trigger_id=run,
            attempt=1,
            mode=Mode.ENFORCE,
            digests={"prompt": "sha256:1", "model": "sha256:2"},
        ),
    )
    yield workflow, _step(workflow, run, "retrieval", source="crm_export", as_of=BEGIN - timedelta(hours=1))
    for nth, (tool, effect) in enumerate(CALLS):
        yield workflow, _step(workflow, run, f"model-{nth}", tokens=chance.randint(900, 1100))
        for event in call_told(workflow, run, nth, tool, effect, chance):
            yield workflow, event
    yield workflow, RunFinished(run=run, workflow=workflow, status=RunStatus.SUCCEEDED)


def _step(
    workflow: str,
    run: str,
    name: str,
    *,
    source: str | None = None,
    as_of: datetime | None = None,
    tokens: int = 0,
) -> StepRecorded:
    return StepRecorded(
        step=f"{run}-{name}",
        run=run,
        workflow=workflow,
        kind=StepKind.RETRIEVAL if source else StepKind.MODEL_CALL,
        name=name,
        facts={"model": "large-3", "temperature": 0.2} if tokens else {"query": "renewals due this week"},
        source=source,
        as_of=as_of,
        tokens=tokens,
        cost_usd=tokens * 3e-6 if tokens else None,
    )


def call_told(
    workflow: str, run: str, nth: int, tool: str, effect: EffectKind, chance: random.Random
) -> Iterator[Event]:
    """Yield what the journal tells of one call: decided, attempted where it is a write, and finished."""
    call, account = f"call_{run}_{nth}", f"account-{run[4:]}-{nth}"
    args = _args(effect, account, chance)
    yield CallDecided(
        call=call,
        run=run,
        workflow=workflow,
        version=1,
        tool=tool,
        effect=effect,
        risk=Risk.MEDIUM,
        permission="crm.accounts",
        trigger="schedule",
        args=args,
        args_digest=digest_of(args),
        key=call,
        business_key=None,
        verdict=Verdict.ALLOW,
        would=Verdict.ALLOW,
        reasons=(),
        epoch=1,
        not_after=BEGIN + timedelta(days=1),
        source="crm_export" if effect is EffectKind.READ else None,
        destinations=("csm@acme.test",) if effect is EffectKind.SEND else (),
        session="session-1",
        point="point-1",
    )
    effects: tuple[Effect, ...] = ()
    if effect is not EffectKind.READ:
        before = (
            Image.absent() if effect is EffectKind.CREATE else Image.present({"risk": "low", "note": account})
        )
        found = ObjectRef(system="crm", type="account", id=account)
        if effect is not EffectKind.SEND:
            effects = (_effect(workflow, run, call, tool, found, before, Image.present(args)),)
        yield CallAttempted(
            call=call,
            run=run,
            workflow=workflow,
            before=tuple(Captured(object=found, image=before) for _ in effects),
        )
    yield CallFinished(
        call=call,
        run=run,
        workflow=workflow,
        tool=tool,
        key=call,
        outcome=Outcome.SUCCEEDED,
        result={
            "id": account,
            "name": "Northwind Traders",
            "renewal": "2026-04-01",
            "owner": "csm@acme.test",
        },
        effects=effects,
    )


def _args(effect: EffectKind, account: str, chance: random.Random) -> dict[str, Any]:
    match effect:
        case EffectKind.READ:
            return {"account_id": account}
        case EffectKind.SEND:
            body = f"The renewal of {account} is at risk: usage fell by {chance.randint(10, 60)} percent since the last quarter."
            return {"to": "csm@acme.test", "subject": f"Renewal risk of {account}", "body": body}
        case EffectKind.CREATE:
            return {"account_id": account, "title": f"Call {account} about the renewal", "priority": "normal"}
        case _:
            return {
                "account_id": account,
                "risk": chance.choice(["low", "medium", "high"]),
                "note": f"usage of {account}",
            }


def _effect(
    workflow: str, run: str, call: str, tool: str, found: ObjectRef, before: Image, after: Image
) -> Effect:
    return Effect(
        id=f"eff-{call}",
        call=call,
        run=run,
        workflow=workflow,
        tool=tool,
        object=found,
        operation=Operation.MODIFIED if before.content else Operation.CREATED,
        before=before,
        after=after,
        at=BEGIN,
        source="declared",
        object_key=str(found),
    )
