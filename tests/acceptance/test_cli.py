"""Contract: an incident can be led from the first signal to the signed return at the command line alone.

Real processes: ``stopwork up`` with its background work, an agent with the guard, and commands that nobody is there to answer.
"""

from __future__ import annotations

import json
import os
import pty
import re
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from stopwork.cli.exits import Exit
from tests.acceptance.office import OWNER, PATCHED, TECHNICAL, WORKFLOW, Office

NOTICED_WITHIN_S = 15


def eventually(look: Callable[[], Any]) -> Any:
    until = time.monotonic() + NOTICED_WITHIN_S
    while not (found := look()):
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.1)
    return found


def test_an_incident_from_the_first_signal_to_the_first_stage(
    office: Office, running: dict[str, Any]
) -> None:
    assert len(office.run_agent(running["url"], running["agent"], "w1", repeats=40)) < 40
    made = office.tasks()
    (incident,) = eventually(lambda: office.ask("incident", "list"))
    name = incident["id"]
    assert (incident["type"], incident["workflow"]) == ("duplicate_work", WORKFLOW)

    # Pause: the tool is held, and what is shown as paused is.
    (hold,) = office.ask("holds")
    assert hold["scope"] == {"kind": "tool", "name": "tasks.create", "workflow": WORKFLOW, "item": None}
    assert "state     paused" in office.command("holds", "show", hold["id"]).stdout
    assert (
        office.ask("holds", "lift", hold["id"], "--reason", "fine", code=Exit.REFUSED)["code"] == "conflict"
    )

    # Preserve: whatever was sealed by itself is sealed again by a person.
    office.ask("incident", "seal", name)
    assert office.ask("evidence", "export", name)["file"] == f"{name}.zip"
    assert office.ask("evidence", "verify", f"{name}.zip")["outcome"] == "verified"

    # Contain, audit.
    for item in office.ask("incident", "contain", name):
        if item["scope"]:
            office.ask("incident", "contain", name, item["id"], "verify")
        if item["state"] != "done":
            office.ask("incident", "contain", name, item["id"], "assign", "--to", TECHNICAL)
            office.ask("incident", "contain", name, item["id"], "done", "--how", "looked at it")
    part = office.ask("audit", name, "--version", "1", "--tool", "tasks.create", "--followed")["audit"]
    assert (part["scope"]["versions"], part["scope"]["tools"]) == ([1], ["tasks.create"])
    assert part["followed"]["links"] == []
    assert office.ask("audit", name, "--version", "9", code=Exit.INVALID)["field"] == "versions"
    assert office.ask("audit", name, "--look")["audit"]["id"] == part["id"]
    assert "decided by the guard" in office.read("audit", name, "--look")
    (newest, *_rest) = office.ask("calls", "list", "--tool", "tasks.create")
    assert office.ask("similar", newest["id"])["calls"][0]["why"][0] == "same tool, tasks.create"
    assert office.ask("similar", name)["of"] != []
    audit = office.ask("audit", name)
    assert len(audit["audit"]["answers"]) == 12
    assert [each["object"]["id"] for each in audit["objects"]] == [each for each in made if each != "t-0"]

    # Recover: the owner approves, the copies go, and each is read back; what was made first stays.
    proposed = office.ask("recover", "plan", name)["items"]
    kept = [each["object"]["id"] for each in proposed if each["keep"]]
    assert len(kept) == 1
    office.ask("recover", "approve", name, "--yes", person=TECHNICAL, code=Exit.DENIED)
    office.ask("recover", "approve", name, "--yes")
    ended = {
        each["object"]["id"]: each["state"] for each in office.ask("recover", "run", name, "--yes")["items"]
    }
    assert ended == {each["object"]["id"]: "verified" for each in proposed} | {kept[0]: "accepted"}
    assert office.tasks() == ["t-0", *kept]
    left = office.ask("recover", "plan", name, code=Exit.REFUSED)
    assert "nothing is left" in left["detail"]

    # Communicate: approved word for word, then sent.
    for message in office.ask("message", "draft", name):
        office.ask("message", "send", message["id"], code=Exit.REFUSED)
        office.ask("message", "approve", name, message["id"], "--yes")
        assert office.ask("message", "send", message["id"])["state"] == "sent"

    # Learn.
    office.ask("incident", "root-cause", name, "The tool declares no key, so a repeated call is a new one.")
    root_cause = "root_cause=The tool declares no key."
    office.ask("postmortem", "edit", name, "--set", root_cause, "--set", "detection_gap=None.")
    office.ask("postmortem", "close", name, "--yes")

    # Return: patched, checked, signed, and one stage up.
    office.manifest.write_text(PATCHED, encoding="utf-8")
    office.ask("apply", "--reason", "a key for each task", "--yes", person=TECHNICAL)
    office.ask("reenable", "raise", name, "--yes", code=Exit.REFUSED)
    for check in office.ask("reenable", "checks", name)["checks"]:
        if check["state"] in ("unknown", "failed") and check["how"] in ("attest", "except"):
            office.ask("reenable", "answer", name, check["check"], "--note", "seen in the runbook")
    office.ask("reenable", "answer", name, "owner_approved", "--note", "I have read the postmortem")
    office.ask("reenable", "raise", name, "--yes", person=TECHNICAL, code=Exit.DENIED)
    assert office.ask("reenable", "raise", name, "--yes") == {"stage": "read_only"}
    assert office.ask("holds") == []
    assert office.ask("workflows", "show", WORKFLOW)["workflow"]["stage"] == "read_only"

    # The incident is not over before the workflow is back.
    office.ask("incident", "close", name, "--reason", "done", "--yes", code=Exit.REFUSED)
    assert f"| Incident | {name} |" in office.command("report", name).stdout
    assert office.ask("report", name)["reenable_scope"].startswith("at the stage read only")
    assert office.ask("check", WORKFLOW, "--incident", name)["workflow"] == WORKFLOW
    shown = office.command("incident", "show", name).stdout
    assert re.search(r"^recover +done", shown, re.MULTILINE)
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (CET|CEST) \(", shown)


def test_a_gated_call_is_answered_at_the_command_line(office: Office, running: dict[str, Any]) -> None:
    approval = office.ask_to_send(running["url"], running["agent"], "w1")
    assert approval in office.read("approvals")
    shown = office.read("approvals", "show", approval)
    assert "customer@acme.test" in shown
    assert OWNER in shown
    office.ask("approvals", "approve", approval, "--yes", person=TECHNICAL, code=Exit.DENIED)
    digest = office.ask("approvals", "show", approval)["approval"]["digest"]
    office.ask("approvals", "approve", approval, "--digest", "sha256:other", code=Exit.REFUSED)
    decided = office.ask("approvals", "approve", approval, "--digest", digest, "--note", "I know them")
    assert (decided["state"], decided["decisions"][0]["note"]) == ("approved", "I know them")
    assert office.ask("approvals") == []
    other = office.ask_to_send(running["url"], running["agent"], "w2")
    assert office.ask("approvals", "reject", other, "--yes")["state"] == "rejected"
    assert {each["id"] for each in office.ask("approvals", "--state", "all")} == {approval, other}


def test_a_question_is_approved_with_another_argument(office: Office, running: dict[str, Any]) -> None:
    approval = office.ask_to_send(running["url"], running["agent"], "w1")
    assert "not seen before: made by the agent" in office.read("approvals", "show", approval)
    refused = office.ask(
        "approvals", "approve", approval, "--yes", "--set", "to=3", "--set", "cc=x", code=Exit.INVALID
    )
    assert refused["field"] == "args.cc"
    decided = office.ask("approvals", "approve", approval, "--yes", "--set", "to=other@acme.test")
    assert (decided["state"], decided["content"]["args"]) == ("approved", {"to": "other@acme.test"})
    shown = office.read("approvals", "show", approval)
    assert "dana@acme.test changed to from customer@acme.test to other@acme.test" in shown


def test_what_people_read(office: Office, running: dict[str, Any]) -> None:
    """Each answer in words, once with something in it."""
    assert "No run is recorded." in office.read("runs")
    assert "There is no incident." in office.read("incident")
    office.run_agent(running["url"], running["agent"], "w1", repeats=1)
    (run,), (call,) = office.ask("runs"), office.ask("calls")
    assert re.search(rf"^{run['id']} +{WORKFLOW} +inbox w1 +succeeded ", office.read("runs"), re.MULTILINE)
    assert "tasks.create" in office.read("runs", "show", run["id"])
    assert re.search(
        r"^office/task/w1-0 +created +absent +\{.*\} +declared +-$",
        office.read("calls", "show", call["id"]),
        re.MULTILINE,
    )
    assert office.read("calls", "--in-flight") == "No call is recorded.\n"

    name = office.ask("incident", "open", WORKFLOW, "--severity", "sev3", "--request", "desk-7")["id"]
    assert office.ask("incident", "open", WORKFLOW, "--severity", "sev3", "--request", "desk-7")["id"] == name
    assert "Noted in" in office.read(
        "incident", "note", name, "A customer called", "--occurred-at", "2026-03-02T08:14"
    )
    assert "sev1" in office.read("incident", "severity", name, "sev1")
    assert "lee@acme.test" in office.read("incident", "handover", name, "communication_owner", TECHNICAL)
    update = office.read("incident", "next-update", name, _in_an_hour(), "--reason", "all is known")
    assert re.search(r"^next update .* \(in (1 hour|59 minutes.*)\)$", update, re.MULTILINE)
    assert "A customer called" in office.read("incident", "timeline", name)
    _keep_timeline(office, name)
    assert "run_record" in office.read("incident", "seal", name)
    assert "2 objects" not in office.read("audit", name)
    assert "office/task/w1-0" in office.read("audit", name, "--look")
    assert "proposed" in office.read("incident", "contain", name)
    assert "Hold" in office.read("incident", "contain", name, "write_tools/1", "run")
    assert "unchanged" in office.read("incident", "drift", name)
    assert "1 unchanged" in office.read("incident", "drift", name, "--last")
    assert "w1-0" in office.read("recover", "plan", name)
    _edit_and_take_back(office, name)
    rule = "object.id == 'w1-0' && operation == 'created'"
    assert "1 approved" in office.read("recover", "approve", name, "--where", rule, "--yes")
    assert "is finished: 1 verified." in office.read("recover", "run", name, "--yes")
    assert "1 verified" in office.read("recover", "status", name)
    assert "proposed" in office.read("recover", "plan", name, "--reverse")
    message = office.ask("message", "draft", name)[0]["id"]
    assert message in office.read("message", "list", name)
    edited = office.read("message", "edit", name, message, "--to", OWNER, "--body", "All is well.")
    assert edited.rstrip().endswith("\n\nAll is well.")
    assert "is approved by" in office.read("message", "approve", name, message, "--yes")
    assert "was sent" in office.read("message", "send", message)
    assert "written to" in office.read("message", "show", name, message)
    other = office.ask("message", "list", name)[1]["id"]
    assert "is discarded" in office.read("message", "discard", other, "--reason", "they know")
    assert "(still to be written)" in office.read("postmortem", "show", name)
    assert "What else?" in office.read("postmortem", "edit", name, "--set", "summary=What else?")
    assert "the business owner signs, last" in office.read("reenable", "checks", name)
    assert "is attested" in office.read("reenable", "answer", name, "runbook_updated", "--note", "page 4")
    assert "Next is read_only" in office.read("reenable", "status", name)
    assert "% ready" in office.read("check", WORKFLOW)

    assert "There is no signal." in office.read("signals")
    assert "is on the stage draft_only" in office.read(
        "workflows", "stage", WORKFLOW, "draft_only", "--reason", "x"
    )
    assert re.search(rf"^{WORKFLOW} +Follow-up tasks +1 +enforce ", office.read("workflows"), re.MULTILINE)
    assert "first version" in office.read("workflows", "show", WORKFLOW)
    assert "paused" in office.read("pause", "--tool", "mail.send", "--reason", "x")
    assert "tool mail.send" in office.read("holds")
    assert "It is shown this once." in office.read("token", "create", "--person", OWNER, "--valid-for", "1h")
    assert "one-time link" in office.read("token", "list")
    assert "It signs kim@acme.test in once" in office.read("user", "link", "kim@acme.test", person="admin")
    assert re.search(r"^well +yes$", office.read("health"), re.MULTILINE)
    assert "as it was recorded" in office.read("db", "fsck", "--data", str(office.data))
    assert "the signing key" in office.read("db", "backup", "copy", "--data", str(office.data))
    assert "Signed out here." in office.read("logout")


def _keep_timeline(office: Office, name: str) -> None:
    [note] = office.ask("incident", "timeline", name, "--kind", "incident.note_added")
    entry = str(note["seq"])
    assert "is pinned by" in office.read("incident", "pin", name, entry)
    corrected = ("--text", "Two customers called", "--reason", "one more")
    assert "corrected 1 time" in office.read("incident", "correct", name, entry, *corrected)
    shown = office.read("incident", "timeline", name, "--pinned", "--order", "occurred")
    assert "Two customers called (corrected by" in shown
    assert "at first: A customer called" in shown
    assert "is not pinned" in office.read("incident", "unpin", name, entry)
    log = office.folder / "called.log"
    log.write_text("08:14 a customer called\n")
    assert "text/plain" in office.read("incident", "attach", name, str(log), "--why", "the switchboard")
    [kept] = office.ask("incident", "attachments", name)
    again = office.folder / "again.log"
    office.read("incident", "take", name, kept["digest"], "--out", str(again))
    assert again.read_text() == log.read_text()
    out = office.folder / "timeline.md"
    assert "is recorded" in office.read("incident", "export", name, "--form", "md", "--out", str(out))
    assert "Two customers called" in out.read_text()
    assert "called.log" in office.read("incident", "attachments", name)
    told = office.read("incident", "told", name)
    assert "acknowledged" in told or "Nobody has been told yet" in told


def _edit_and_take_back(office: Office, name: str) -> None:
    """The plan says exactly what it does; an item is edited, and the edit taken back."""
    shown = office.read("recover", "show", name)
    assert "undone fully" in shown
    assert re.search(r"^since the calls +unchanged, looked at ", shown, re.MULTILINE)
    (item,) = (each["id"] for each in office.ask("recover", "show", name)["items"])
    edited = office.read("recover", "edit", name, item, "--remedy", "tell", "--reason", "Kim deletes it.")
    assert re.search(r"^edited +by .*: Kim deletes it\.$", edited, re.MULTILINE)
    back = office.read("recover", "edit", name, item, "--undo", "--reason", "Kim is away.")
    assert re.search(r"^remedy +delete$", back, re.MULTILINE)
    wrong = office.ask("recover", "edit", name, item, "--set", "title=x", "--reason", "?", code=Exit.INVALID)
    assert "sets no fields" in wrong["detail"]
    refused = office.ask("recover", "approve", name, "--where", "operation == 'made'", code=Exit.INVALID)
    assert "there is no operation 'made'" in refused["detail"]


def _in_an_hour() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def test_a_changed_bundle_fails_with_its_own_exit_code(office: Office, running: dict[str, Any]) -> None:
    incident = office.ask("incident", "open", WORKFLOW, "--title", "A look")["id"]
    office.ask("evidence", "export", "AI-INC-2020-0101-001", code=Exit.NOT_FOUND)
    office.ask("incident", "seal", incident)
    office.ask("evidence", "export", incident, "--out", "b.zip")
    bundle = office.folder / "b.zip"
    office.ask("evidence", "export", incident, "--out", "b.zip", code=Exit.USAGE)
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)
    assert office.ask("evidence", "verify", "b.zip", code=Exit.TAMPERED)["outcome"] == "tampered"
    bundle.write_text("no bundle")
    assert office.ask("evidence", "verify", "b.zip", code=Exit.INVALID)["outcome"] == "unreadable"
    office.ask("evidence", "verify", "none.zip", code=Exit.NOT_FOUND)


def test_a_pause_says_what_is_closed_and_waits_for_it(office: Office, running: dict[str, Any]) -> None:
    nobody_asked = office.command("pause", "--workflow", WORKFLOW)
    assert (nobody_asked.returncode, nobody_asked.stdout) == (Exit.USAGE, "")
    assert "give --reason" in nobody_asked.stderr
    found = office.ask("pause", "--workflow", WORKFLOW, "--reason", "it looks odd", "--wait", "5")
    assert (found["state"], found["in_flight"], found["unconfirmed"]) == ("drained", [], [])
    assert office.run_agent(running["url"], running["agent"], "w1", repeats=1) == []
    hold = found["hold"]["id"]
    office.ask("holds", "lift", hold, "--reason", "it was nothing", code=Exit.DENIED)
    office.ask("holds", "lift", hold, "--reason", "it was nothing", person=TECHNICAL)
    assert office.run_agent(running["url"], running["agent"], "w2", repeats=1) == ["w2-0"]
    assert [call["verdict"] for call in office.ask("calls", "--workflow", WORKFLOW)] == ["allow", "deny"]


def test_a_pause_without_a_scope_proposes_the_smallest(office: Office, running: dict[str, Any]) -> None:
    nothing_known = office.command("pause", "--reason", "x", "--yes")
    assert nothing_known.returncode == Exit.USAGE
    assert "no incidents are open; give --incident, or --risk" in nothing_known.stderr
    unasked = office.command("pause", "--workflow", WORKFLOW, "--risk", "tool_misuse", "--reason", "x")
    assert (unasked.returncode, unasked.stdout) == (Exit.USAGE, "")
    assert "smallest first" in unasked.stderr
    assert f"Pause workflow {WORKFLOW}, mode read_only?" in unasked.stderr
    assert office.ask("holds") == []

    office.run_agent(running["url"], running["agent"], "w1", repeats=40)
    (incident,) = eventually(lambda: office.ask("incident", "list"))
    (alert,) = eventually(lambda: office.ask("holds"))
    assert alert["scope"]["kind"] == "tool"
    found = office.ask("pause", "--mode", "block", "--reason", "more of it", "--yes", "--wait")
    assert (found["hold"]["scope"]["kind"], found["hold"]["incident"]) == ("trigger", incident["id"])
    assert found["state"] == "drained"


def test_an_agents_token_opens_nothing_here(office: Office, running: dict[str, Any]) -> None:
    for command in (["holds"], ["incident", "list"], ["token", "list"], ["apply", "--reason", "x", "--yes"]):
        refused = office.ask(*command, "--token", running["agent"], code=Exit.DENIED)
        assert refused["code"] == "denied"


def test_a_manifest_with_mistakes_is_told_line_by_line(office: Office, running: dict[str, Any]) -> None:
    office.manifest.write_text(PATCHED.replace("risk: medium", "risk: meduim"), encoding="utf-8")
    for command in (["apply", "--reason", "x", "--yes"], ["manifest", "check"]):
        refused = office.command(*command)
        assert (refused.returncode, refused.stdout) == (Exit.INVALID, "")
        assert re.search(
            r"^stopwork\.yaml:\d+:\d+: tools\[tasks\.create\]\.risk: .*\"medium\"",
            refused.stderr,
            re.MULTILINE,
        )
    office.manifest.write_text(PATCHED, encoding="utf-8")
    assert "idempotency" in office.command("apply", "--dry-run").stdout
    assert office.ask("apply", "--dry-run")["version"] == 2
    assert len(office.ask("workflows", "show", WORKFLOW)["versions"]) == 1


def test_a_person_at_a_terminal_is_asked(office: Office, running: dict[str, Any]) -> None:
    office.manifest.write_text(PATCHED, encoding="utf-8")
    shown = at_terminal(office, ["apply"], ["a key for each task\n", "y\n"])
    assert "Why is this version applied?" in shown
    assert "Apply version 2 of follow-ups? [y/N]" in shown
    assert office.ask("workflows", "show", WORKFLOW)["versions"][0]["reason"] == "a key for each task"


def at_terminal(office: Office, arguments: list[str], answers: list[str]) -> str:
    """Run a command with a person at a terminal; answer everything that stood there."""
    person, terminal = pty.openpty()
    command = [sys.executable, "-m", "stopwork.cli.main", *arguments]
    process = subprocess.Popen(
        command, cwd=office.folder, env=office.environment(), stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    os.write(person, "".join(answers).encode())
    shown = b""
    with os.fdopen(person, "rb", buffering=0) as screen:
        while True:
            try:
                shown += screen.read(4096)
            except OSError:  # the other end is closed: the command has ended
                break
    assert process.wait(60) == Exit.OK, shown
    return shown.decode()


def test_two_servers_cannot_share_a_folder_or_a_port(office: Office, running: dict[str, Any]) -> None:
    up = ["up", "--systems", "systems.yaml"]
    same_folder = office.command(*up, "--port", "0", "--data", str(office.data))
    assert same_folder.returncode == Exit.REFUSED
    assert f"is in use by process {running['pid']}" in same_folder.stderr
    port = running["url"].rpartition(":")[2]
    same_port = office.command(*up, "--port", port, "--data", str(office.folder / "other"))
    assert same_port.returncode == Exit.REFUSED
    assert f"port {port} on 127.0.0.1 is taken" in same_port.stderr


def test_the_data_can_be_checked_and_copied_while_the_server_works(
    office: Office, running: dict[str, Any]
) -> None:
    data = ["--data", str(office.data)]
    assert office.ask("db", "fsck", *data)["clean"] is True
    office.ask("db", "backup", "copy", *data)
    office.ask("db", "backup", "copy", *data, code=Exit.REFUSED)
    copy = ["--data", "copy"]
    assert stat.S_IMODE((office.folder / "copy" / "stopwork.db").stat().st_mode) == 0o600
    assert office.ask("db", "upgrade", *copy)["before"] == office.ask("db", "upgrade", *copy)["after"]
    assert office.ask("db", "fsck", *copy)["clean"] is True
    (office.folder / "copy" / "evidence" / "AI-INC-2026-0302-009.zip").touch()
    assert office.ask("db", "fsck", *copy)["clean"] is True
    assert re.search(r"AI-INC-2026-0302-009\.zip .*not whole", office.read("db", "fsck", *copy))
    office.ask("db", "upgrade", *data, code=Exit.REFUSED)
    office.ask("db", "fsck", "--data", "nowhere", code=Exit.NOT_FOUND)
    assert office.ask("health")["ok"] is True


def test_the_data_is_compared_with_what_its_anchors_keep(office: Office, running: dict[str, Any]) -> None:
    assert running["url"]
    fsck = ["db", "fsck", "--data", str(office.data)]
    anchors = [*fsck, "--anchors", "anchors.yaml"]
    (office.folder / "anchors.yaml").write_text(
        "disk: {kind: file, path: kept.txt}\npeople: {kind: mail, to: [sec@acme.test]}\n"
    )
    found = office.ask(*anchors)
    assert (found["kept"], found["kept_by"], found["not_asked"]) == (0, ["disk"], ["people (mail)"])
    (office.folder / "kept.txt").write_text("This is no checkpoint.\n")
    [fault] = office.ask(*anchors, "--anchor", "disk", code=Exit.TAMPERED)["faults"]
    assert fault["where"] == "a checkpoint kept elsewhere (disk)"
    office.ask(*anchors, "--anchor", "people", code=Exit.INVALID)
    assert office.command(*fsck, "--anchor", "disk").returncode == Exit.USAGE


def test_a_revoked_token_is_refused_and_a_stopped_server_is_told(office: Office) -> None:
    with office.server() as serving:
        office.ask("login", serving["sign_in"])
        issued = office.ask("token", "create", "--person", TECHNICAL, "--valid-for", "30d")
        office.ask("login", serving["url"], "--token", issued["secret"], person=TECHNICAL)
        assert office.ask("workflows", person=TECHNICAL) == []
        office.ask("token", "revoke", issued["credential"]["id"], "--reason", "left the team")
        office.ask("workflows", person=TECHNICAL, code=Exit.DENIED)
        office.ask("login", serving["sign_in"], code=Exit.DENIED)
    gone = office.ask("workflows", code=Exit.UNAVAILABLE)
    assert gone["url"] == serving["url"]
    link = office.ask("user", "link", OWNER, "--data", str(office.data))["link"]
    assert json.dumps(link).count("/sign-in/sw_") == 1
