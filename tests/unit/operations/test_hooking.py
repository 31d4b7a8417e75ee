"""Contract of hooks: the intent is on record before, a probe decides, nothing runs twice or blindly, evidence comes first, and no secret is repeated."""

from __future__ import annotations

import sqlite3
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stopwork.incidents.contain import ENDED
from stopwork.kernel.errors import Conflict, Denied, Invalid, NotFound
from stopwork.ledger.events import HookEnded, HookStarted
from stopwork.ledger.records import Incident, Principal
from stopwork.ledger.words import (
    ContainmentArea,
    ContainmentProof,
    ContainmentState,
    IncidentStatus,
    PlaceKind,
    PrincipalKind,
    ScopeKind,
)
from stopwork.operations import containment, credentials, hooking, points, privacy
from tests.support.containing import KEY, Scene
from tests.support.office import AGENT, KIM, LEE, WORKFLOW
from tests.support.vault import Vault, vault

DONE, FAILED, IN_DOUBT = ContainmentState.DONE, ContainmentState.FAILED, ContainmentState.IN_DOUBT
IN_PROGRESS, PARTIAL, PROPOSED = (
    ContainmentState.IN_PROGRESS,
    ContainmentState.PARTIAL,
    ContainmentState.PROPOSED,
)


def revoking(kept: Vault, **more: Any) -> dict[str, Any]:
    """Answer a hook that revokes a token in the vault, with a probe that looks whether it is."""
    probe = {
        "kind": "http",
        "method": "GET",
        "url": f"{kept.url}/tokens/{{target}}",
        "expect": {"json": {"/token/active": False}},
    }
    hook = {
        "kind": "http",
        "serves": {"areas": ["secrets"]},
        "url": f"{kept.url}/tokens/{{target}}/revoke",
        "headers": {"authorization": "env:VAULT_KEY"},
        "body": {"because": "{incident}"},
        "timeout": "1s",
        "probe": probe,
    }
    return {name: value for name, value in (hook | more).items() if value is not None}


@pytest.fixture
def kept() -> Iterator[Vault]:
    with vault() as made:
        yield made


def scene(folder: Path, hooks: dict[str, Any], **options: Any) -> closing[Any]:
    made = Scene(folder, hooks, **options)
    made.close = made.office.close  # type: ignore[attr-defined]
    return closing(made)


def command(*program: str, **more: Any) -> dict[str, Any]:
    """Answer a hook that runs a piece of Python."""
    return {
        "kind": "command",
        "serves": {"areas": ["secrets"]},
        "argv": [sys.executable, "-c", *program],
        "timeout": "5s",
    } | more


def test_a_token_that_others_use_as_well_is_proposed_with_their_names(tmp_path: Path, kept: Vault) -> None:
    with scene(tmp_path, {"revoke": revoking(kept)}) as told:
        item = told.item()
        assert item.what == "Revoke or rotate crm-integration of crm"
        assert "this token is also used by 1 other workflow: invoices" in item.why
        assert "kim@acme.test can do it" in item.why
        assert [(each.kind, each.name, each.state) for each in item.places] == [
            (PlaceKind.HOOK, "revoke", PROPOSED)
        ]


def test_a_hook_is_done_when_its_probe_says_so(tmp_path: Path, kept: Vault) -> None:
    with scene(tmp_path, {"revoke": revoking(kept)}) as told:
        item = told.run()
        assert (item.state, item.proof, item.by) == (DONE, ContainmentProof.PROBE, LEE)
        assert kept.active == {"mail-key"}
        (_, _, headers, body) = kept.asked[0]
        assert headers["authorization"] == KEY
        assert told.incident.encode() in body
        begun, ended = told.events(HookStarted, HookEnded)
        assert (begun.number, begun.before_capture) == (1, "")
        assert (ended.state, ended.probed) == (DONE, True)


def test_a_hook_that_lies_has_failed_and_a_word_does_not_overrule_the_probe(
    tmp_path: Path, kept: Vault
) -> None:
    kept.lies = True
    with scene(tmp_path, {"revoke": revoking(kept)}) as told:
        item = told.run()
        assert item.state is FAILED
        assert "answered 200" in told.note()
        assert "The probe says no: another value at /token/active" in told.note()
        with pytest.raises(Conflict, match="is not safe"):
            told.record(DONE, "trust me")
        begin = partial(
            hooking._begin, item=told.item().id, hook=told.office.inst.hooks["revoke"], despite=""
        )
        told.office.write(begin, actor=LEE)
        assert told.note() == ""  # what the last try came to is not said of the next one
        told.office.wait(minutes=1)
        kept.lies = False
        assert told.run().state is DONE


def test_what_hangs_is_cut_off_and_its_probe_decides(tmp_path: Path, kept: Vault) -> None:
    kept.may_answer.clear()  # it revokes, and never answers
    with scene(tmp_path, {"revoke": revoking(kept)}) as told:
        assert told.run().state is DONE
        assert "did not answer" in told.note()


def test_what_hangs_without_a_probe_is_in_doubt_until_a_person_has_looked(
    tmp_path: Path, kept: Vault
) -> None:
    kept.may_answer.clear()
    with scene(tmp_path, {"revoke": revoking(kept, probe=None)}) as told:
        assert told.run().state is IN_DOUBT
        with pytest.raises(Conflict, match="is not known"):
            told.run()
        assert len(kept.paths("POST")) == 1
        told.record(FAILED, "the vault shows it as active")
        kept.may_answer.set()
        assert told.run().state is IN_PROGRESS
        item = told.record(DONE, "the vault shows it as revoked")
        assert (item.state, item.proof, item.by) == (DONE, ContainmentProof.ATTESTATION, LEE)


def test_a_hook_that_ends_nowhere_is_in_doubt_and_its_probe_is_asked_before_it_runs_again(
    tmp_path: Path, kept: Vault
) -> None:
    with scene(tmp_path, {"revoke": revoking(kept)}) as told:
        begin = partial(
            hooking._begin, item=told.item().id, hook=told.office.inst.hooks["revoke"], despite=""
        )
        told.office.write(begin, actor=LEE)  # and here the server ends
        with pytest.raises(Conflict, match="is running"):
            told.run(actor=KIM)
        with pytest.raises(Conflict, match="revoke is running for"):
            told.verify()  # nor is it looked at before its end
        told.office.wait(minutes=1)
        assert told.item().state is IN_DOUBT
        kept.active.discard("crm-integration")
        assert told.run(actor=KIM).state is DONE
        assert kept.paths("POST") == []  # it had taken hold: it was not run again
        assert "It was not run again." in told.note()


def test_it_runs_again_where_the_probe_says_that_it_had_not_taken_hold(tmp_path: Path, kept: Vault) -> None:
    with scene(tmp_path, {"revoke": revoking(kept)}) as told:
        begin = partial(
            hooking._begin, item=told.item().id, hook=told.office.inst.hooks["revoke"], despite=""
        )
        told.office.write(begin, actor=LEE)
        told.office.wait(minutes=1)
        assert told.run().state is DONE
        assert len(kept.paths("POST")) == 1


def test_two_responders_at_once_run_it_once(tmp_path: Path, kept: Vault) -> None:
    kept.may_answer.clear()
    with scene(tmp_path, {"revoke": revoking(kept, timeout="5s")}) as told:
        item = told.item().id
        first = threading.Thread(target=hooking.run, args=(told.office.inst, LEE), kwargs={"item": item})
        first.start()
        while not kept.asked:
            first.join(0.01)
        hooking.keep_watch(told.office.inst)  # somebody runs it: it is not in doubt
        with pytest.raises(Conflict, match="is running"):
            told.run(actor=KIM)
        kept.may_answer.set()
        first.join()
        assert told.item().state is DONE
        assert len(kept.paths("POST")) == 1


def test_a_hook_is_tried_so_often_and_then_people_do_it(tmp_path: Path, kept: Vault) -> None:
    kept.status = 503
    with scene(tmp_path, {"revoke": revoking(kept)}) as told:
        for _ in range(hooking.MAX_TRIES):
            assert told.run().state is FAILED
        with pytest.raises(Conflict, match="was tried 5 times"):
            told.run()


def test_a_try_in_which_it_did_not_run_is_none_of_them(tmp_path: Path, kept: Vault) -> None:
    with scene(tmp_path, {"revoke": revoking(kept)}) as told:
        kept.probe_status = 503  # it cannot be told whether it took hold
        for _ in range(hooking.MAX_TRIES + 2):
            assert told.run().state is IN_DOUBT
        assert len(kept.paths("POST")) == 1
        place = told.item().places[0]
        assert (place.tries, place.runs) == (hooking.MAX_TRIES + 2, 1)
        kept.active.add("crm-integration")
        kept.probe_status = 200
        assert told.run().state is DONE
        assert len(kept.paths("POST")) == 2


def test_evidence_comes_first_and_the_exception_has_a_reason(tmp_path: Path, kept: Vault) -> None:
    with scene(tmp_path, {"revoke": revoking(kept)}, sealed=False) as told:
        with pytest.raises(Conflict, match="is not sealed") as refused:
            told.run()
        assert f"stopwork incident seal {told.incident}" in refused.value.hint
        assert kept.asked == []
        assert told.run(despite="it is being used right now").state is DONE
        (begun,) = told.events(HookStarted)
        assert begun.before_capture == "it is being used right now"


def test_no_exception_is_on_record_where_the_evidence_is_sealed(tmp_path: Path, kept: Vault) -> None:
    with scene(tmp_path, {"revoke": revoking(kept)}) as told:
        assert told.run(despite="it is being used right now").state is DONE
        (begun,) = told.events(HookStarted)
        assert begun.before_capture == ""


def test_a_hold_waits_for_nothing_and_the_records_show_it(tmp_path: Path, kept: Vault) -> None:
    with scene(tmp_path, {}, sealed=False) as told:
        item = told.item(ContainmentArea.WRITE_TOOLS)
        assert item.scope is not None
        assert item.scope.kind is ScopeKind.TOOL
        held = hooking.run(told.office.inst, LEE, item=item.id)
        assert (held.state, held.proof) == (DONE, ContainmentProof.RECORDS)
        assert "no call is in flight" in held.verified_how


def test_a_guard_that_has_not_confirmed_makes_it_done_in_part(tmp_path: Path, kept: Vault) -> None:
    with scene(tmp_path, {}) as told:
        office = told.office
        office.write(lambda tx: points.register(tx, workflow=WORKFLOW, name="guard 1", point="point_1"))
        flying = office.ask(office.begin("tuesday"), "crm.update_account", account_id="acme", renewal="x")
        office.attempt(flying)
        item = hooking.run(office.inst, LEE, item=told.item(ContainmentArea.WRITE_TOOLS).id)
        assert item.state is IN_PROGRESS
        assert {(each.kind, each.state) for each in item.places} >= {
            (PlaceKind.HOLD, DONE),
            (PlaceKind.CALL, IN_PROGRESS),
        }
        office.finish(flying)
        office.wait(seconds=6)
        assert told.item(ContainmentArea.WRITE_TOOLS).state is DONE


def test_a_command_that_prints_a_secret_does_not_have_it_repeated(tmp_path: Path) -> None:
    printed = (
        "import os, sys; print('token=' + os.environ['TOKEN'] + ' AKIA' + 'Z7QWERTYUIOPASDF'); sys.exit(3)"
    )
    with scene(tmp_path, {"rotate": command(printed, env={"TOKEN": "env:VAULT_KEY"})}) as told:
        assert told.run().state is FAILED
        assert "ended with 3" in told.note()
        kept_on_disk = b"".join(each.read_bytes() for each in (tmp_path / "office").glob("stopwork.db*"))
        assert b"ended with 3" in kept_on_disk
        for secret in (KEY, "Z7QWERTYUIOPASDF"):
            assert secret.encode() not in kept_on_disk


def test_a_command_sees_hardly_anything_of_the_server_and_what_it_is_about_as_json(tmp_path: Path) -> None:
    looks = (
        "import json, os, sys; told = json.load(sys.stdin); "
        "sys.exit(0 if told['target'] == 'crm-integration' and set(os.environ) <= {'PATH', 'LANG', 'LC_CTYPE'} else 7)"
    )
    with scene(tmp_path, {"rotate": command(looks)}) as told:
        assert told.run().state is IN_PROGRESS
        assert "It has no probe: somebody has to look." in told.note()


def test_a_command_and_what_it_started_are_cut_off(tmp_path: Path) -> None:
    stays = "import subprocess, sys; subprocess.Popen(['sleep', '30']); import time; time.sleep(30)"
    with scene(tmp_path, {"rotate": command(stays, timeout="1s")}) as told:
        assert told.run().state is IN_DOUBT
        assert "was cut off after 1 s" in told.note()


def test_a_probe_may_be_a_command_or_a_statement(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "grants.db")) as database, database:
        database.execute("CREATE TABLE granted (name TEXT, revoked INTEGER)")
        database.execute("INSERT INTO granted VALUES ('crm-integration', 0), ('other', 0)")
    hook = {
        "kind": "sql",
        "serves": {"targets": ["crm-integration"]},
        "url": "grants.db",
        "statement": "UPDATE granted SET revoked = 1 WHERE name = :target",
        "probe": {
            "kind": "sql",
            "url": "grants.db",
            "statement": "SELECT 1 FROM granted WHERE name = :target AND revoked = 0",
            "expect": {"rows": 0},
        },
    }
    with scene(tmp_path, {"revoke": hook}) as told:
        assert told.run().state is DONE
        with closing(sqlite3.connect(tmp_path / "grants.db")) as database:
            assert database.execute("SELECT name FROM granted WHERE revoked = 1").fetchall() == [
                ("crm-integration",)
            ]


def test_of_several_hooks_each_is_a_place(tmp_path: Path, kept: Vault) -> None:
    both = {
        "revoke": revoking(kept),
        "proxy": command("import sys; sys.exit(1)", probe={"kind": "command", "argv": ["false"]}),
    }
    with scene(tmp_path, both) as told:
        assert told.run(hook="revoke").state is PARTIAL
        assert told.item().confirmed == 1
        assert told.run().state is FAILED
        assert len(kept.paths("POST")) == 1  # what is done is not done again


def test_a_probe_sees_what_a_person_has_done_by_hand(tmp_path: Path, kept: Vault) -> None:
    with scene(tmp_path, {"revoke": revoking(kept)}) as told:
        assert told.verify().state is PROPOSED
        kept.active.clear()
        assert (told.verify().state, told.item().proof) == (DONE, ContainmentProof.PROBE)
        assert told.events(HookStarted) == []


def test_an_item_is_given_to_a_named_person_until_a_time(tmp_path: Path) -> None:
    with scene(tmp_path, {}) as told:
        office, item = told.office, told.item().id
        due = office.clock.now() + timedelta(hours=1)
        assign = partial(containment.assign, manifests=office.inst.manifests, item=item)
        given = office.write(partial(assign, to="Kim@acme.test", due_at=due), actor=LEE)
        assert (given.assignee, given.due_at, given.state) == ("kim@acme.test", due, IN_PROGRESS)
        with pytest.raises(Invalid, match="due already"):
            office.write(partial(assign, to="kim@acme.test", due_at=office.clock.now()), actor=LEE)


def test_an_item_is_given_only_to_somebody_whom_the_server_knows_and_who_sees_the_incident(
    tmp_path: Path,
) -> None:
    with scene(tmp_path, {}) as told:
        office, item = told.office, told.item().id
        assign = partial(containment.assign, manifests=office.inst.manifests, item=item)
        with pytest.raises(Invalid, match=r"knows no nobody@else\.test") as refused:
            office.write(partial(assign, to="nobody@else.test"), actor=LEE)
        assert refused.value.fields["field"] == "to"
        # The manifest says that she can stop what it sets off; and nobody is somebody who can sign in.
        assert office.write(partial(assign, to="vera@acme.test"), actor=LEE).assignee == "vera@acme.test"
        nobody = Principal(kind=PrincipalKind.PERSON, id="nobody@else.test")
        token = office.write(partial(credentials.issue, principal=nobody), actor=hooking.AS_CONTAINMENT)
        assert office.write(partial(assign, to=nobody.id), actor=LEE).assignee == nobody.id
        office.write(
            partial(privacy.restrict, incident=told.incident, readers=["kim@acme.test"], reason="legal"),
            actor=LEE,
        )
        with pytest.raises(Invalid, match=r"nobody@else\.test does not see it"):
            office.write(partial(assign, to=nobody.id), actor=LEE)
        office.write(partial(privacy.open_up, incident=told.incident, reason="settled"), actor=LEE)
        office.write(
            partial(credentials.revoke, credential=token.credential.id, reason="left"),
            actor=hooking.AS_CONTAINMENT,
        )
        with pytest.raises(Invalid, match="knows no"):
            office.write(partial(assign, to=nobody.id), actor=LEE)


def test_in_a_drill_nothing_is_revoked(tmp_path: Path, kept: Vault) -> None:
    with scene(tmp_path, {"revoke": revoking(kept)}, practice=True) as told:
        with pytest.raises(Conflict, match="is for practice"):
            told.run()
        with pytest.raises(Conflict, match="is for practice"):
            told.run(despite="to see what happens")
        assert kept.asked == []
        assert told.record(ContainmentState.NOT_APPLICABLE, "I would have run revoke.").state in ENDED


def test_the_incident_is_contained_when_the_last_item_is(tmp_path: Path, kept: Vault) -> None:
    with scene(tmp_path, {"revoke": revoking(kept)}) as told:
        for item in told.items():
            if item.area is not ContainmentArea.SECRETS:
                told.office.write(
                    partial(containment.record, item=item.id, state=DONE, verified_how="looked"), actor=LEE
                )
        told.run()
        known = told.office.read(lambda view: view.need(Incident, told.incident))
        assert known.status is IncidentStatus.CONTAINED
        assert known.contained_at is not None
        (ended,) = told.events(HookEnded)
        assert ended.complete


def test_who_may_and_what_there_is(tmp_path: Path, kept: Vault) -> None:
    with scene(tmp_path, {"revoke": revoking(kept)}) as told:
        with pytest.raises(Denied):
            told.run(actor=AGENT)
        with pytest.raises(NotFound, match="no hook elsewhere"):
            told.run(hook="elsewhere")
        queues = told.item(ContainmentArea.WRITE_TOOLS)
        with pytest.raises(Invalid, match="does not serve"):
            hooking.run(told.office.inst, LEE, item=queues.id, hook="revoke")
        assert kept.asked == []
