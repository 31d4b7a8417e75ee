"""Learn, re-enable, prepare: a control changes, the owner signs, and the agent returns one stage at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from stopwork.demo.agent import WORKFLOW
from stopwork.demo.company import eventually
from stopwork.demo.people import LEE
from stopwork.demo.phases.play import Play
from stopwork.demo.world import MANIFEST, MANIFEST_FIXED, AgentMode
from stopwork.incidents.lifecycle import PhaseState
from stopwork.incidents.reenable import GOOD
from stopwork.kernel.errors import Conflict, Denied
from stopwork.ledger.records import Run
from stopwork.ledger.words import (
    ApprovalState,
    CheckState,
    EffectKind,
    IncidentStatus,
    PreparednessCheck,
    ReenableCheck,
    RemediationClass,
    RunStatus,
    Stage,
    Verdict,
)
from stopwork.manifest.compiled import CompiledManifest, compile_manifest
from stopwork.manifest.load import load

Json = dict[str, Any]

ROOT_CAUSE: Final = (
    "A late answer of the CRM made the agent repeat a whole step, and crm.create_task declared no key by which a "
    "repeated call could be told from a new one. Nothing said how old the export may be."
)
WRITTEN: Final = {
    "detection_gap": "The second task was noticed at once; the wrong renewal dates before it were noticed by no rule.",
    "control_gap": "No idempotency key on crm.create_task, no limit on the age of the export, and a permission that "
    "reached renewal dates.",
    "what_worked": "One tool was held by itself, and reading went on.",
    "what_failed": "The agent took a late answer for a failed one.",
}
CHANGES: Final = {
    RemediationClass.IDEMPOTENCY: "Give crm.create_task a key of occasion, account and title",
    RemediationClass.INPUT_FRESHNESS: "Count an export older than a day as stale",
    RemediationClass.NARROWER_PERMISSIONS: "Let crm.update_account write the risk and nothing else",
}
ACCOUNTS_PER_RUN: Final = 2
RUN_ENDS_WITHIN_S: Final = 60.0


def learn(play: Play) -> None:
    """The postmortem is filled in from records, and is not closed while its only remedy is another prompt."""
    check = play.promises.check
    play.lee.post(play.at("/root-cause"), text=ROOT_CAUSE)
    prefilled: Json = play.lee.get(play.at("/postmortem"))
    known = [name for name, text in prefilled["fields"].items() if text.strip()]
    check("the records fill it in", len(known) >= len(prefilled["fields"]) // 2, f"{len(known)} fields")

    fields = prefilled["fields"] | WRITTEN
    prompt = "Improve the prompt"
    play.lee.put(
        play.at("/postmortem"),
        fields=fields | {"remediation": prompt},
        follow_ups=[_follow_up(RemediationClass.CHANGE_CONTROL, prompt)],
    )
    play.promises.refused(
        "a postmortem that only improves the prompt is shallow and is not closed",
        Conflict,
        lambda: play.lee.post(play.at("/postmortem/close")),
    )
    play.lee.put(
        play.at("/postmortem"),
        fields=fields | {"remediation": "\n".join(f"- {what}." for what in CHANGES.values())},
        follow_ups=[_follow_up(kind, what) for kind, what in CHANGES.items()],
    )
    closed: Json = play.lee.post(play.at("/postmortem/close"))
    check("one that changes controls is", closed["closed_at"] is not None, f"{len(CHANGES)} follow-ups")
    status = play.lee.get(play.at())["status"]
    check("closing it does not close the incident", status != IncidentStatus.CLOSED, status)


def _follow_up(kind: RemediationClass, what: str) -> Json:
    due = (datetime.now(UTC) + timedelta(days=14)).date().isoformat()
    return {"remediation": [kind], "what": what, "owner": LEE, "due_date": due}


def reenable(play: Play) -> None:
    """Eleven checks are answered, the business owner signs, and each stage needs a clean run on the one before."""
    check, refused = play.promises.check, play.promises.refused
    refused("nothing returns early", Conflict, lambda: play.dana.post(play.at("/raise")))
    _patch(play)
    for each in (ReenableCheck.MONITORING_UPDATED, ReenableCheck.RUNBOOK_UPDATED, ReenableCheck.TESTS_ADDED):
        if _checks(play)[each]["state"] not in GOOD:
            play.lee.post(play.at(f"/checks/{each}"), note=_attestation(play, each))
    refused(
        "the technical owner cannot sign the return",
        Denied,
        lambda: play.lee.post(play.at(f"/checks/{ReenableCheck.OWNER_APPROVED}"), note="It is fixed."),
    )
    play.dana.post(play.at(f"/checks/{ReenableCheck.OWNER_APPROVED}"), note="I have read the postmortem.")
    waiting = {name for name, each in _checks(play).items() if each["state"] not in GOOD}
    check(
        "eleven checks stand, and only the first run is still to come",
        list(_checks(play)) == list(ReenableCheck) and waiting == {ReenableCheck.FIRST_RUN_MONITORED},
        ", ".join(sorted(waiting)),
    )
    refused("the technical owner alone cannot re-enable", Denied, lambda: play.lee.post(play.at("/raise")))
    for stage, plays in _STAGES.items():
        _raise_to(play, stage)
        if stage is Stage.READ_ONLY:
            refused(
                "no stage is skipped: a run on this one comes first",
                Conflict,
                lambda: play.dana.post(play.at("/raise")),
            )
        plays(play, stage)
    view = _checks(play)[ReenableCheck.FIRST_RUN_MONITORED]
    check("the first run after the return was watched", view["state"] == CheckState.PASSED, view["why"])
    held = play.lee.get("/v1/holds", incident=play.incident, active=True)
    check("the incident's holds ended with its return", held == [], len(held))


def _checks(play: Play) -> dict[str, Json]:
    return {view["check"]: view for view in play.lee.get(play.at("/return"))["checks"]}


def _patch(play: Play) -> None:
    """Apply the patched manifest, after its rules were tried on the recorded calls."""
    applied = play.company.apply(
        MANIFEST_FIXED, reason=f"{play.incident}: keys, fresh inputs, fewer permissions"
    )
    play.tell(f"Version {applied['version']} of the manifest is in force: {len(applied['changes'])} changes.")
    before, after = (len(_stopped_by(play, manifest)) for manifest in (MANIFEST, MANIFEST_FIXED))
    play.promises.check(
        "the patch stops the recorded calls that went wrong, which the old version did not",
        before == 0 and after > 0,
        f"{after} of the incident's writes would not run again, {before} before the patch",
    )
    states = {
        name: _checks(play)[name]["state"]
        for name in (ReenableCheck.CONTROL_PATCHED, ReenableCheck.PERMISSIONS_REDUCED)
    }
    play.promises.check(
        "the records themselves say that a control is patched and permissions are reduced",
        set(states.values()) == {CheckState.PASSED},
        states,
    )


def _stopped_by(play: Play, manifest: Path) -> list[str]:
    """Answer the incident's writes that this manifest would not let run again: repeated, or under a condition."""
    rules = compile_manifest(load(manifest.read_bytes()).manifest)
    runs = {
        each: msgspec.convert(play.lee.get(f"/v1/runs/{each}"), Run)
        for each in play.lee.get(play.at())["runs"]
    }
    calls = [
        call for run in runs for call in play.lee.get("/v1/calls", run=run, verdict=Verdict.ALLOW, limit=500)
    ]
    calls.sort(key=lambda call: call["requested_at"])
    return list(_stopped(rules, runs, (call for call in calls if call["effect"] != EffectKind.READ)))


def _stopped(rules: CompiledManifest, runs: Mapping[str, Run], calls: Iterable[Json]) -> Iterable[str]:
    keys = set()
    for call in calls:
        tool, args, run = call["tool"], call["args"], runs[call["run"]]
        key = rules.business_key(tool, args, run)
        if (key is not None and key in keys) or rules.denies(tool, args, run, datetime.now(UTC)):
            yield call["id"]
        keys.add(key)


def _attestation(play: Play, check: ReenableCheck) -> str:
    match check:
        case ReenableCheck.TESTS_ADDED:
            stopped = len(_stopped_by(play, MANIFEST_FIXED))
            return f"The recorded calls were tried on both versions: the patched one stops {stopped}, the old one none."
        case ReenableCheck.MONITORING_UPDATED:
            return "The duplicate rule caught the first copy and stays; the audit counts an export older than a day as stale."
        case _:
            return "It says now: never repeat a step by hand; look at the held calls first."


# the stages


def _raise_to(play: Play, stage: Stage) -> None:
    raised: Json = play.dana.post(play.at("/raise"))
    in_force = play.lee.get(f"/v1/workflows/{WORKFLOW}")["stage"]
    play.promises.check(
        f"dana gives back one stage: {_words(stage)}", raised["stage"] == in_force == stage, in_force
    )


def _words(stage: Stage) -> str:
    return stage.value.replace("_", " ")


def _stopped_run(play: Play, stage: Stage) -> None:
    """Run the agent on a stage that lets nothing be written."""
    verdict = {Stage.READ_ONLY: Verdict.DENY, Stage.DRAFT_ONLY: Verdict.DRAFT}[stage]
    before = play.company.contents()
    writes, _ = _run(play)
    play.promises.check(
        f"on the stage {_words(stage)} every write is answered with {verdict.value}, and the CRM stays as it is",
        {call["verdict"] for call in writes} == {verdict} and play.company.contents() == before,
        f"{len(writes)} writes",
    )


def _asking_run(play: Play, stage: Stage) -> None:
    """Run the agent on a stage on which people see every write, or some, first."""
    before = play.company.contents()
    writes, approved = _run(play)
    made = [call for call in writes if call["verdict"] == Verdict.ALLOW]
    asked = {call["id"] for call in made if call["approval"]}
    must_ask = {
        call["id"] for call in made if stage is Stage.APPROVED_WRITES or call["effect"] == EffectKind.SEND
    }
    play.promises.check(
        f"on the stage {_words(stage)} {_ASKED[stage]} dana first, and what she approved is done",
        must_ask <= asked == approved and len(made) == len(writes) > 0,
        f"{len(made)} writes, {len(asked)} of them approved by dana",
    )
    changed = [key for key, content in play.company.contents().items() if before.get(key) != content]
    objects = [call for call in made if call["effect"] != EffectKind.SEND]
    play.promises.check(
        "each write was made once", 0 < len(changed) <= len(objects), f"{len(changed)} objects changed"
    )


_ASKED: Final = {
    Stage.APPROVED_WRITES: "every write asks",
    Stage.LIMITED: "a sample of the writes asks",
    Stage.NORMAL: "only mail asks",
}

_STAGES: Final[dict[Stage, Callable[[Play, Stage], None]]] = {
    Stage.READ_ONLY: _stopped_run,
    Stage.DRAFT_ONLY: _stopped_run,
    Stage.APPROVED_WRITES: _asking_run,
    Stage.LIMITED: _asking_run,
    Stage.NORMAL: _asking_run,
}


def _run(play: Play) -> tuple[list[Json], set[str]]:
    """Run the repaired agent while dana answers what it asks; answer its writes and the calls she approved."""
    agent = play.company.start_agent(
        AgentMode.STAGE_RUN, accounts=ACCOUNTS_PER_RUN, pace_s=0.0, approval_wait_s=RUN_ENDS_WITHIN_S
    )
    approved: set[str] = set()

    def ended() -> int | None:
        for approval in play.dana.get("/v1/approvals", state=ApprovalState.PENDING):
            play.dana.post(f"/v1/approvals/{approval['id']}/decide", approve=True, digest=approval["digest"])
            approved.add(approval["call"])
        return agent.exit_code

    exit_code = eventually(ended, within_s=RUN_ENDS_WITHIN_S, what="the end of the run")
    run: Json = play.lee.get("/v1/runs", workflow=WORKFLOW, limit=1)[0]
    play.promises.check(
        "the repaired agent ends well", exit_code == 0 and run["status"] == RunStatus.SUCCEEDED, run["status"]
    )
    calls = play.lee.get("/v1/calls", run=run["id"], limit=500)
    return [call for call in calls if call["effect"] != EffectKind.READ], approved


def prepare(play: Play) -> None:
    """A pause is tested, the workflow's readiness for its next incident is scored from records, and the incident is closed."""
    check = play.promises.check
    test: Json = play.lee.post(f"/v1/workflows/{WORKFLOW}/pause-test")
    check(
        "a pause test passes at all four levels",
        test["passed"] and all(each["state"] == CheckState.PASSED for each in test["levels"]),
        ", ".join(f"{each['level']} {each['state']}" for each in test["levels"]),
    )
    review: Json = play.lee.post(play.at("/preparedness"))
    passed = [each["check"] for each in review["checks"] if each["state"] == CheckState.PASSED]
    check(
        "ten questions are answered from records, and what is missing says what to do",
        [each["check"] for each in review["checks"]] == list(PreparednessCheck)
        and all(each["todo"] for each in review["checks"] if each["check"] not in passed),
        f"score {review['score']} of 100",
    )
    check("the score is the share that passed", review["score"] == 10 * len(passed), ", ".join(passed))
    check("the pause counts as tested", PreparednessCheck.PAUSE_CONTROL in passed)
    phases = play.lee.get(play.at("/phases"))["phases"]
    left = [each["phase"] for each in phases if each["state"] != PhaseState.DONE]
    check("all ten phases are done", left == [], ", ".join(left) or "ten")
    closed: Json = play.lee.post(
        play.at("/close"), reason="The workflow is back to normal and its control is patched."
    )
    check("the incident is closed", closed["status"] == IncidentStatus.CLOSED, closed["status"])
