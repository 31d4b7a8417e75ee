"""Loading: a good file answers a checked manifest; a bad one names file, line, field, what was found and what is right.

Every problem of a step is reported at once. Nothing but ``InvalidManifest`` is ever raised.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from stopwork.ledger.words import Mode, Risk, Role, Severity
from stopwork.manifest.load import load
from stopwork.manifest.model import AutoHold, Unpriced
from stopwork.manifest.problems import InvalidManifest, Problem
from tests.unit.manifest.files import EXAMPLES, GOOD, manifest, spoiled


def problems(source: str | bytes) -> tuple[Problem, ...]:
    with pytest.raises(InvalidManifest) as caught:
        load(source, filename="job.yaml")
    return caught.value.problems


# --- what is good ----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_loads(path: Path) -> None:
    assert load(path.read_bytes(), filename=path.name).manifest.workflow


def test_the_smallest_manifest_has_sensible_defaults() -> None:
    smallest = manifest(
        "workflow: job\nowners: {business: dana@acme.test, technical: lee@acme.test}\ntools: {a: {effect: update}}"
    )
    assert smallest.mode is Mode.ENFORCE
    assert smallest.tools["a"].risk is Risk.MEDIUM
    assert smallest.accepted_triggers == ("manual",)
    assert smallest.budget.unpriced is Unpriced.DENY
    assert smallest.alerts.duplicate_action.hold is AutoHold.TOOL
    assert smallest.alerts.duplicate_action.window == timedelta(days=7)
    assert smallest.alerts.missed_run.enabled
    assert smallest.response.within(Severity.SEV0) == timedelta(minutes=15)
    assert smallest.owners.by_role() == {Role.BUSINESS: "dana@acme.test", Role.TECHNICAL: "lee@acme.test"}
    assert smallest.heading == "job"


def test_what_is_written_is_what_is_loaded() -> None:
    loaded = manifest()
    assert loaded.schedule is not None
    assert loaded.schedule.finish_within == timedelta(minutes=45)
    assert str(loaded.schedule.finish_within) == "45m"
    assert loaded.budget.run_usd == 2.5
    assert loaded.systems == ("crm",)
    assert loaded.accepted_triggers == ("schedule", "manual")


def test_json_is_as_good_as_yaml() -> None:
    text = json.dumps(
        {
            "workflow": "job",
            "title": "Smile \N{GRINNING FACE}",
            "owners": {"business": "dana@acme.test", "technical": "lee@acme.test"},
            "tools": {"a/b": {"effect": "read"}},
        },
        indent="\t",
    )
    assert "\\ud83d" in text
    assert manifest(text).title == "Smile \N{GRINNING FACE}"


@pytest.mark.parametrize(
    "spelling",
    [GOOD.replace("\n", "\r\n").encode(), b"\xef\xbb\xbf" + GOOD.encode()],
    ids=["windows line ends", "byte order mark"],
)
def test_other_spellings_mean_the_same_and_have_their_own_digest(spelling: bytes) -> None:
    loaded, plain = load(spelling), load(GOOD)
    assert loaded.manifest == plain.manifest
    assert loaded.source == spelling
    assert loaded.digest != plain.digest


def test_yaml_1_2_words_are_text() -> None:
    assert manifest(spoiled("title: Weekly renewal risk prep", "title: no")).title == "no"


# --- what is bad: the file -------------------------------------------------------------------------

FILES = {
    "empty": ("", 1, "the file is empty"),
    "white space only": ("\n  \n", 1, "the file is empty"),
    "comments only": ("# later\n", 1, "the file is empty"),
    "null": ("~", 1, "the file is empty"),
    "a list": ("- workflow\n", 1, "does not hold a mapping"),
    "plain text": ("hello", 1, "does not hold a mapping"),
    "not UTF-8": (b"workflow: a\ntitle: \xff\n", 2, "not UTF-8"),
    "UTF-16": (GOOD.encode("utf-16"), 1, "not UTF-8"),
    "half a surrogate": ("a: 1\nworkflow: \ud800", 2, "not UTF-8"),
    "too large": ("#" * 300_000, 1, "300,000 bytes"),
    "control character": ("a: 1\nworkflow: a\x00b", 2, "control character U+0000"),
    "control character in an escape": (
        '{"workflow": "a",\n"title": "\\u0000"}',
        2,
        "control character U+0000",
    ),
    "half an escape": ('{"workflow": "\\ud83d"}', 1, "half of an escaped character"),
    "tab": (spoiled("  business: dana", "\tbusiness: dana"), 4, "a tab indents this line"),
    "not closed": ("workflow: [a\nb", 2, "opened on line 1"),
    "quote not closed": ("workflow: 'a\n", 2, "opened on line 1"),
    "second colon": (spoiled("title: Weekly", "title: Weekly: "), 2, "a second colon"),
    "key twice": (
        spoiled("    risk: medium", "    effect: read"),
        20,
        'the key "effect" stands here a second time',
    ),
    "alias": ("a: &x [1]\nb: *x\n", 2, "the alias *x"),
    "alias bomb": ("a: &a [x]\nb: &b [*a,*a]\nc: [*b,*b]\n", 2, "the alias *a"),
    "merge key": (spoiled("    risk: medium", "    <<: {}"), 20, 'the key "<<" is not known'),
    "tag": ("a: 1\nb: !!python/name:os.system x\n", 2, "the tag"),
    "two documents": (GOOD + "---\nworkflow: other\n", 36, "a second document"),
    "too deep": ("a:\n  " + "[" * 50_000, 2, "nested more than"),
    "a list as key": ("? [a]\n: 1\n", 1, "a key that is not plain text"),
    "a key without end": ("? " + "a" * 2_000 + "\n: 1\n", 1, "a key of 2000 characters"),
    "other directive": ("%YAML 9.9\n---\na: 1\n", 1, "incompatible YAML"),
}


@pytest.mark.parametrize(("source", "line", "message"), FILES.values(), ids=FILES)
def test_a_file_that_cannot_be_read_is_refused_by_line(source: str | bytes, line: int, message: str) -> None:
    [problem] = problems(source)
    assert (problem.file, problem.line) == ("job.yaml", line)
    assert message in problem.message
    assert problem.expected


# --- what is bad: one value ------------------------------------------------------------------------

# What is replaced, by what, on which line, at which field, and words of the message and of what would be right.
VALUES = {
    "unknown key": ("    risk:", "    rsk:", 20, "tools[crm.create_task].rsk", '"rsk" is not known', '"risk"'),
    "unknown key at the top": ("triggers:", "triger:", 11, "triger", "not known", '"triggers"'),
    "missing key": ("  business: dana@acme.test\n", "", 3, "owners.business", "is missing", "mail address"),
    "missing effect": ("    effect: create\n", "", 18, "tools[crm.create_task].effect", "is missing", "pay, read"),
    "word not known": ("risk: medium", "risk: medum", 20, "tools[crm.create_task].risk", '"medum"', '"medium"'),
    "word in capitals": ("risk: medium", "risk: HIGH", 20, "tools[crm.create_task].risk", '"HIGH"', '"high"'),
    "number for text": ("title: Weekly renewal risk prep", "title: 42", 2, "title", "a number", '"42"'),
    "truth for text": ("title: Weekly renewal risk prep", "title: true", 2, "title", "true or false", '"true"'),
    "text for truth": ("effect: read,", "effect: read, external: yes,", 17, "tools[mail.search].external", "text", "true"),
    "nothing": ("    risk: medium", "    risk:", 20, "tools[crm.create_task].risk", "nothing behind", "no such line"),
    "text for a list": ("[schedule, manual]", "schedule", 11, "triggers", "text", "[schedule]"),
    "text for a mapping": ("undo: {system: crm}", "undo: crm", 31, "tools[crm.close_task].undo", "text", "system"),
    "mapping for text": ("cron: 0 8 * * MON", "cron: {a: 1}", 8, "schedule.cron", "mapping", "0 8 * * MON"),
    "text for a number": ("run_calls: 200", 'run_calls: "200"', 15, "budget.run_calls", "text", "without quotes"),
    "part of a number": ("run_calls: 200", "run_calls: 1.5", 15, "budget.run_calls", "1.5", "whole number"),
    "whole number as a float": ("run_calls: 200", "run_calls: 2.0", 15, "budget.run_calls", "2.0", "whole number"),
    "number below": ("run_usd: 2.50", "run_usd: 0", 15, "budget.run_usd", "too small", "more than 0"),
    "number above": ("run_calls: 200", f"run_calls: {10**30}", 15, "budget.run_calls", "too large", "at most"),
    "infinity": ("run_usd: 2.50", "run_usd: .inf", 15, "budget.run_usd", "text", "a number"),
    "endless number": ("run_usd: 2.50", f"run_usd: {'9' * 5000}", 15, "budget.run_usd", "text", "a number"),
    "duration in words": ("45m", "45 minutes", 10, "schedule.finish_within", "not a duration", '"45m"'),
    "duration without unit": ("45m", "45", 10, "schedule.finish_within", "a number", '"45m"'),
    "no duration": ("45m", "0m", 10, "schedule.finish_within", "more than nothing", '"45m"'),
    "endless duration": ("45m", "999999w", 10, "schedule.finish_within", "ten years", '"45m"'),
    "cron with a wrong hour": ("0 8 * *", "0 25 * *", 8, "schedule.cron", "bad hour", "0 8 * * MON"),
    "cron of four fields": ("0 8 * * MON", "0 8 * *", 8, "schedule.cron", "this has 4", "0 8 * * MON"),
    "cron that never comes": ("0 8 * * MON", "0 8 30 2 *", 8, "schedule.cron", "not a schedule", "0 8 * * MON"),
    "time zone": ("America/New_York", "America/NewYork", 9, "schedule.timezone", "no such", "America/New_York"),
    "address": ("lee@acme.test", "lee", 5, "owners.technical", "not a mail address", "dana@acme.test"),
    "two addresses": ("lee@acme.test", "lee@a.b;kim@a.b", 5, "owners.technical", "not a mail", "one address"),
    "name of a workflow": ("workflow: weekly-", "workflow: Weekly ", 1, "workflow", "not written", "small letters"),
    "line break in a name": ("weekly-renewal-risk", '"weekly\\n"', 1, "workflow", "not written", "small letters"),
    "name of a tool": ("mail.search:", "mail search:", 17, "tools.mail search", "cannot be a name", "letters"),
    "no approver": ("approvers: [business]", "approvers: []", 26, "tools[crm.create_task].gate.approvers", "empty", "list"),
    "unknown approver": ("[business]", "[boss]", 26, "tools[crm.create_task].gate.approvers[0]", '"boss"', "business"),
    "hold not known": ("hold: tool", "hold: agent", 33, "alerts.duplicate_action.hold", '"agent"', "workflow"),
    "share above one": ("alerts:\n", "alerts:\n  cost: {of_budget: 80}\n", 33, "alerts.cost.of_budget", "too large", "1"),
    "syntax of an expression": ("&& timestamp", "&&& timestamp", 25, "tools[crm.create_task].deny_when", "Syntax", "CEL"),
    "name in an expression": ("timestamp(args", "timestamp(arg", 25, "tools[crm.create_task].deny_when", "arg.due", '"args"'),
    "field of a run": ("run.trigger_id", "run.triggerid", 23, "tools[crm.create_task].idempotency[0]", "not known", "run.trigger_id"),
    "run by itself": ("run.trigger_id", "run", 23, "tools[crm.create_task].idempotency[0]", "by itself", "run.trigger_id"),
    "clock in a key": ("run.trigger_id", "string(now)", 23, "tools[crm.create_task].idempotency[0]", "every attempt", "args"),
    "result before the call": ("has(args.due)", "result.ok", 25, "tools[crm.create_task].deny_when", "before the call", "args"),
    "condition that is text": ("has(args.due) && timestamp(args.due) < now", "args.due + 'x'", 25, "tools[crm.create_task].deny_when", "answers text", "comparison"),
    "condition that is true": ("has(args.due) && timestamp(args.due) < now", "true", 25, "tools[crm.create_task].deny_when", "true or false", "quotes"),
    "text against a time": ("timestamp(args.due) <", "args.due <", 25, "tools[crm.create_task].deny_when", "never a time", "timestamp"),
    "expression without end": ("args.account_id]", f"{'a' * 1001}]", 23, "tools[crm.create_task].idempotency[1]", "1,001", "1,000"),
    "expression of an undo": ("{id: object.id}", "{id: objekt.id}", 24, "tools[crm.create_task].undo.args.id", "objekt", "object.id"),
    "expression of an id": ("id: result.id", "id: now", 22, "tools[crm.create_task].object.id", "every attempt", "args"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "field", "message", "expected"), VALUES.values(), ids=VALUES)
def test_a_wrong_value_is_named_by_line_and_field(
    old: str, new: str, line: int, field: str, message: str, expected: str
) -> None:
    [problem] = problems(spoiled(old, new))
    assert (problem.line, problem.field) == (line, field)
    assert message in problem.message
    assert expected in problem.expected


# --- what is bad: parts that do not fit ------------------------------------------------------------

CONTRADICTIONS = {
    "quorum above the people": ("expires: 4h", "quorum: 2", 26, "tools[crm.create_task].gate.quorum", "2 people must approve, but only 1 person holds the roles named"),
    "two ways of one remedy": (
        "downstream:",
        "recovery: {remedies: [{remedy: close, set: {status: \"'closed'\"}, tool: crm.close_task}]}\ndownstream:",
        34,
        "recovery.remedies[0]",
        "several ways to do it",
    ),
    "no way of a remedy": (
        "downstream:",
        "recovery: {remedies: [{remedy: close}]}\ndownstream:",
        34,
        "recovery.remedies[0]",
        "nothing says how it is done",
    ),
    "a field that sends": (
        "downstream:",
        "recovery: {remedies: [{remedy: resend, set: {sent: 'true'}}]}\ndownstream:",
        34,
        "recovery.remedies[0].set",
        "takes a tool",
    ),
    "a remedy by an unknown tool": (
        "downstream:",
        "recovery: {remedies: [{remedy: close, tool: crm.shut}]}\ndownstream:",
        34,
        "recovery.remedies[0].tool",
        "crm.shut",
    ),
    "a text without its own quotes": (
        "downstream:",
        "recovery: {remedies: [{remedy: close, set: {status: closed}}]}\ndownstream:",
        34,
        "recovery.remedies[0].set.status",
        "closed",
    ),
    "a situation without its remedy": (
        "downstream:",
        "recovery: {wrong_internal_tasks: reassign}\ndownstream:",
        34,
        "recovery.wrong_internal_tasks",
        "reassign",
    ),
    "escalated to nobody": ("downstream:", "response: {escalate_to: [backup, legal]}\ndownstream:", 34, "response.escalate_to[1]", 'nobody is "legal"'),
    "escalated in a circle": ("downstream:", "response: {escalate_to: [backup, technical, backup]}\ndownstream:", 34, "response.escalate_to", "stands here 2 times"),
    "recovery approver": ("downstream:", "recovery: {approver: legal}\ndownstream:", 34, "recovery.approver", "legal"),
    "schedule that starts nothing": ("[schedule, manual]", "[manual]", 11, "triggers", "may not be started by it"),
    "trigger twice": ("[schedule, manual]", "[schedule, manual, manual]", 11, "triggers", "2 times"),
    "undo by an unknown tool": ("tool: crm.close_task", "tool: crm.close", 24, "tools[crm.create_task].undo.tool", "no tool"),
    "undo by itself": ("tool: crm.close_task", "tool: crm.create_task", 24, "tools[crm.create_task].undo.tool", "cannot undo"),
    "undo by a read": ("tool: crm.close_task", "tool: mail.search", 24, "tools[crm.create_task].undo.tool", "cannot undo"),
    "undo in two ways": ("{system: crm}", "{system: crm, none: gone}", 31, "tools[crm.close_task].undo", "several ways"),
    "undo in no way": ("{system: crm}", "{}", 31, "tools[crm.close_task].undo", "no way"),
    "undo arguments alone": ("{system: crm}", "{system: crm, args: {a: args.a}}", 31, "tools[crm.close_task].undo.args", "without a tool"),
    "undo of a read": ("effect: read,", "effect: read, undo: {none: x},", 17, "tools[mail.search].undo", "this is a read"),
    "source not declared": ("source: inbox", "source: inbx", 17, "tools[mail.search].source", "inbx"),
    "alert without a tool": ("alerts:\n", "alerts:\n  missed_run: {hold: tool}\n", 33, "alerts.missed_run.hold", "not about a call"),
    "backup asked too late": ("expires: 4h", "expires: 1h, escalate_after: 1h", 26, "tools[crm.create_task].gate.escalate_after", "too late"),
    "gate of a risk above the people": ("alerts:\n", "gates: {high: {quorum: 2}}\nalerts:\n", 32, "gates.high.quorum", "2 people must approve"),
    "schema that is none": ("risk: medium", "risk: medium\n    args_schema: {type: {}}", 21, "tools[crm.create_task].args_schema", "not a JSON Schema"),
    "schema of a list": ("risk: medium", "risk: medium\n    args_schema: {type: array}", 21, "tools[crm.create_task].args_schema", "mapping"),
    "schema that is elsewhere": ("risk: medium", "risk: medium\n    args_schema: {$ref: 'https://x.test/s'}", 21, "tools[crm.create_task].args_schema", "nothing is fetched"),
    "downstream of an unknown tool": ("tools: [crm.create_task]", "tools: [crm.make_task]", 35, "downstream[0].tools[0]", "crm.make_task"),
    "credential of an unknown permission": ("downstream:", "credentials: {t: {kind: secret, permissions: [crm.rite]}}\ndownstream:", 34, "credentials.t.permissions[0]", "crm.rite"),
    "credential of an unknown tool": ("downstream:", "credentials: {t: {kind: secret, tools: [crm.gone]}}\ndownstream:", 34, "credentials.t.tools[0]", "crm.gone"),
    "credential of an unknown trigger": ("downstream:", "credentials: {t: {kind: secret, triggers: [hook]}}\ndownstream:", 34, "credentials.t.triggers[0]", "no trigger"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "message"), CONTRADICTIONS.values(), ids=CONTRADICTIONS
)
def test_parts_that_contradict_each_other_are_named(
    old: str, new: str, line: int, field: str, message: str
) -> None:
    [problem] = problems(spoiled(old, new))
    assert (problem.line, problem.field) == (line, field)
    assert message in problem.message
    assert problem.expected


def test_an_approver_whom_nobody_is_needs_a_backup() -> None:
    text = spoiled("[business]", "[business, legal]")
    [warning] = load(text).warnings
    assert (warning.field, warning.value) == ("tools[crm.create_task].gate.approvers[1]", '"legal"')
    assert "kim@acme.test is asked instead" in warning.message
    [problem] = problems(text.replace("  backup: kim@acme.test\n", ""))
    assert problem.field == "tools[crm.create_task].gate.approvers[1]"


def test_a_schedule_trigger_needs_a_schedule() -> None:
    text = "workflow: a\nowners: {business: a@b.c, technical: a@b.c}\ntools: {x: {effect: read}}\ntriggers: [schedule]"
    [problem] = problems(text)
    assert (problem.line, problem.field) == (4, "triggers")


def test_all_problems_are_told_at_once_in_the_order_of_the_file() -> None:
    text = spoiled("risk: medium", "risk: hgh").replace("45m", "45").replace("dana@acme.test", "dana")
    assert [problem.line for problem in problems(text)] == [4, 10, 20]


def test_the_error_can_be_read_and_sent() -> None:
    with pytest.raises(InvalidManifest) as caught:
        load(spoiled("risk: medium", "risk: hgh"), filename="job.yaml")
    error = caught.value
    assert "job.yaml:20:11: tools[crm.create_task].risk:" in str(error)
    sent = error.problem()
    assert sent["status"] == 422
    assert sent["problems"][0]["line"] == 20
    json.dumps(sent)


# --- warnings --------------------------------------------------------------------------------------

WARNINGS = {
    "no backup": ("  backup: kim@acme.test\n", "", 3, "owners", "backup"),
    "never late": ("  finish_within: 45m\n", "", 7, "schedule", "finish_within"),
    "class misspelt": ("[customer_commitments]", "[customer_commitment]", 12, "data_classes[0]", "customer_commitments"),
    "write without object": ("    object: {system: crm, type: task, id: result.id}\n", "", 18, "tools[crm.create_task]", "object"),
    "write without key": ("    idempotency: [args.id]\n", "", 27, "tools[crm.close_task]", "idempotency"),
    "source nobody reads": ("effect: read, source: inbox", "effect: read", 14, "sources.inbox", "source"),
    "high risk, nobody asked": ("idempotency: [args.id]", "risk: high\n    idempotency: [args.id]", 27, "tools[crm.close_task]", "gate"),
    "send to nobody": ("effect: update", "effect: send", 27, "tools[crm.close_task]", "recipients"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "field", "expected"), WARNINGS.values(), ids=WARNINGS)
def test_what_is_probably_not_meant_is_a_warning(
    old: str, new: str, line: int, field: str, expected: str
) -> None:
    [warning] = load(spoiled(old, new)).warnings
    assert (warning.line, warning.field) == (line, field)
    assert expected in warning.expected


def test_how_a_call_is_undone_need_not_be_said_where_its_object_is_named() -> None:
    text = spoiled("    undo: {system: crm}\n", "")
    assert load(text).warnings == ()
    warnings = load(text.replace("    object: {system: crm, type: task, id: args.id}\n", "")).warnings
    assert "undo: a system, a tool, or none with the reason" in {each.expected for each in warnings}


def test_a_hold_of_a_permission_that_no_tool_uses_is_a_warning() -> None:
    text = spoiled("alerts:\n", "alerts:\n  policy_violation: {hold: permission}\n")
    assert load(text).warnings == ()
    [warning] = load(text.replace("    permission: crm.tasks.write\n", "")).warnings
    assert (warning.field, warning.expected) == (
        "alerts.policy_violation.hold",
        "permission at the tools, or another hold",
    )


def test_the_good_manifest_has_no_warnings() -> None:
    assert load(GOOD).warnings == ()


# --- anything at all -------------------------------------------------------------------------------

LINES = GOOD.splitlines()
FRAGMENTS = st.sampled_from(
    ["", " ", "\t", "\n", ": ", "- ", "[", "]", "{", "}", "'", '"', "#", "&a ", "*a", "!!str ", "|", ">", "?", "%", "@", "`",
     "---\n", "...", "null", "true", "1e9", "-1", "0x1f", "\x00", "\x85", "\ufeff", "\ud800", "\U0001f600", "now", "args", "<<: "]
)  # fmt: skip


def problems_of(source: str | bytes) -> tuple[Problem, ...]:
    try:
        load(source)
    except InvalidManifest as error:
        return error.problems
    return ()


def loads_or_says_why(source: str | bytes) -> None:
    text = source if isinstance(source, str) else source.decode("utf-8", "replace")
    last_line = len(text.splitlines()) + 1
    for problem in problems_of(source):
        assert 1 <= problem.line <= last_line
        assert problem.column >= 1
        assert problem.message
        assert problem.expected


@given(st.integers(0, len(GOOD)), st.integers(0, 12), FRAGMENTS)
def test_a_spoiled_character_loads_or_says_why(at: int, removed: int, added: str) -> None:
    loads_or_says_why(GOOD[:at] + added + GOOD[at + removed :])


@given(st.data())
def test_spoiled_lines_load_or_say_why(data: st.DataObject) -> None:
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["drop", "repeat", "move", "indent"])):
            case "drop":
                del lines[at]
            case "repeat":
                lines.insert(at, lines[at])
            case "move":
                lines.insert(data.draw(st.integers(0, len(lines) - 1)), lines.pop(at))
            case "indent":
                lines[at] = " " * data.draw(st.integers(0, 6)) + lines[at].lstrip()
    loads_or_says_why("\n".join(lines))


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.data())
def test_any_value_anywhere_loads_or_says_why(data: st.DataObject) -> None:
    document: Any = YAML(typ="safe", pure=True).load(GOOD)
    holder: Any = {"": document}
    key: Any = ""
    while isinstance(spot := holder[key], dict | list) and spot and data.draw(st.booleans()):
        holder, key = (
            spot,
            data.draw(st.sampled_from(list(spot) if isinstance(spot, dict) else range(len(spot)))),
        )
    holder[key] = data.draw(PLAIN)
    loads_or_says_why(json.dumps(document))


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_anything_loads_or_says_why(source: str | bytes) -> None:
    loads_or_says_why(source)
