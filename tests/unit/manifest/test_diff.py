"""The difference of two manifests: every change is named, and whether it gives the agent more room or less.

Each case is told once, as a change that loosens; made backwards, the same change must tighten, or be for people to judge where what is
gained takes the place of something else.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from stopwork.manifest.diff import Change, diff, gives_room, render
from stopwork.manifest.load import load
from tests.unit.manifest.files import EXAMPLES, GOOD, manifest, spoiled

# What is replaced and by what, and the field that changes: each loosens.
LOOSENS = {
    "observed only": ("title: Weekly", "mode: observe\ntitle: Weekly", "mode"),
    "less critical": ("title: Weekly", "criticality: low\ntitle: Weekly", "criticality"),
    "risk lowered": ("risk: medium", "risk: low", "tools[crm.create_task].risk"),
    "gate removed": ("    gate: {when: args.priority == 'urgent', approvers: [business], expires: 4h}\n", "", "tools[crm.create_task].gate"),
    "more approvers to choose from": ("approvers: [business]", "approvers: [business, technical]", "tools[crm.create_task].gate.approvers"),
    "longer to answer": ("expires: 4h", "expires: 2d", "tools[crm.create_task].gate.expires"),
    "condition removed": ("    deny_when: has(args.due) && timestamp(args.due) < now\n", "", "tools[crm.create_task].deny_when"),
    "tool added": ("tools:\n", "tools:\n  crm.delete: {effect: delete}\n", "tools[crm.delete]"),
    "budget raised": ("run_usd: 2.50", "run_usd: 25", "budget.run_usd"),
    "budget removed": (", run_calls: 200", "", "budget.run_calls"),
    "unpriced allowed": ("run_usd: 2.50", "unpriced: allow, run_usd: 2.50", "budget.unpriced"),
    "trigger added": ("[schedule, manual]", "[schedule, manual, webhook]", "triggers"),
    "source trusted": ("trust: external", "trust: internal", "sources.inbox.trust"),
    "later is fine": ("45m", "2h", "schedule.finish_within"),
    "always on time": ("  finish_within: 45m\n", "", "schedule.finish_within"),
    "owner removed": ("  backup: kim@acme.test\n", "", "owners.backup"),
    "class removed": ("data_classes: [customer_commitments]\n", "", "data_classes"),
    "nothing held": ("hold: tool", "hold: none", "alerts.duplicate_action.hold"),
    "seen for a shorter time": ("window: 7d", "window: 1d", "alerts.duplicate_action.window"),
    "alert off": ("window: 7d", "window: 7d, enabled: false", "alerts.duplicate_action.enabled"),
    "alert after more": ("alerts:\n", "alerts:\n  failed_run: {after: 3}\n", "alerts.failed_run.after"),
    "fewer samples": ("alerts:\n", "stages: {limited: {sample_rate: 0.01}}\nalerts:\n", "stages.limited.sample_rate"),
    "slower answer": ("alerts:\n", "response: {sev0: 1h}\nalerts:\n", "response.sev0"),
}  # fmt: skip


# The same, but whether the way back tightens is for people to judge: it is another rule than the one that stood in meanwhile.
LOOSENS_ONE_WAY = {
    "key removed": ("    idempotency: [args.id]\n", "", "tools[crm.close_task].idempotency"),
    "key narrowed": ("[run.trigger_id, args.account_id]", "[run.trigger_id, args.account_id, args.title]", "tools[crm.create_task].idempotency"),
    "object removed": ("    object: {system: crm, type: task, id: result.id}\n", "", "tools[crm.create_task].object"),
    "undo removed": ("    undo: {tool: crm.close_task, args: {id: object.id}}\n", "", "tools[crm.create_task].undo"),
    "source added": ("sources:\n", "sources:\n  web: {trust: external}\n", "sources.web"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "field"), LOOSENS.values(), ids=LOOSENS)
def test_what_loosens_and_its_reverse_tightens(old: str, new: str, field: str) -> None:
    before, after = manifest(), manifest(spoiled(old, new))
    [forth], [back] = diff(before, after), diff(after, before)
    assert (forth.field, forth.loosens) == (field, True)
    assert (back.field, back.loosens) == (field, False)
    assert (back.before, back.after) == (forth.after, forth.before)


@pytest.mark.parametrize(("old", "new", "field"), LOOSENS_ONE_WAY.values(), ids=LOOSENS_ONE_WAY)
def test_what_loosens_and_whose_reverse_people_have_to_judge(old: str, new: str, field: str) -> None:
    before, after = manifest(), manifest(spoiled(old, new))
    [forth], [back] = diff(before, after), diff(after, before)
    assert (forth.field, forth.loosens) == (field, True)
    assert (back.field, back.loosens) == (field, None)
    assert gives_room(after, before) == (back,)


# --- what counts, where something else stands in ------------------------------------------------------

ASKED = """\
workflow: renewals
owners: {business: dana@acme.test, technical: lee@acme.test, backup: kim@acme.test}
gates:
  medium: {approvers: [business, technical], expires: 2h}
  high: {approvers: [business], expires: 4h}
tools:
  crm.find: {effect: read}
  mail.send:
    effect: send
    risk: high
"""

# What is replaced in the manifest above, or added to its tool; the field, and which way the change goes.
IN_EFFECT: dict[str, tuple[str, str, str, bool | None]] = {
    "a gate that never asks": ("", '    gate: {when: "false"}\n', "gate", True),
    "a gate that asks less often": ("", "    gate: {when: size(args.to) > 3}\n", "gate", True),
    "a gate that asks more people": ("", "    gate: {approvers: [business, technical]}\n", "gate", True),
    "a gate that asks others": ("", "    gate: {approvers: [technical]}\n", "gate", None),
    "a gate that waits longer": ("", "    gate: {expires: 5h}\n", "gate", True),
    "a gate that is passed on sooner": ("", "    gate: {escalate_after: 1m}\n", "gate", None),
    "the same gate": ("", "    gate: {approvers: [business]}\n", "gate", False),
    "a gate that waits less": ("", "    gate: {expires: 1h}\n", "gate", False),
    "a higher risk whose gate waits longer": ("risk: medium", "risk: high", "risk", True),
    "a risk that nobody is asked about": ("risk: high", "risk: low", "risk", True),
    "a tool that is blocked": ("risk: high", "risk: blocked", "risk", False),
    "a tool that is blocked no more": ("risk: blocked", "risk: high", "risk", True),
    "a probe": ("", '    probe: {tool: crm.find, found_when: "false"}\n', "probe", None),
    "a first key": ("", "    idempotency: [run.id, args.to]\n", "idempotency", None),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "field", "loosens"), IN_EFFECT.values(), ids=IN_EFFECT)
def test_what_counts_is_judged_and_not_what_is_written(
    old: str, new: str, field: str, loosens: bool | None
) -> None:
    before = ASKED.replace("risk: high", old) if old else ASKED
    after = before.replace(old, new) if old else ASKED + new
    [change] = diff(manifest(before), manifest(after))
    assert (change.field, change.loosens) == (f"tools[mail.send].{field}", loosens)
    assert bool(gives_room(manifest(before), manifest(after))) is (loosens is not False)


def test_a_higher_risk_loosens_where_nobody_is_asked_about_it() -> None:
    before = ASKED.replace("risk: high", "risk: medium").replace(
        "  high: {approvers: [business], expires: 4h}\n", ""
    )
    [change] = diff(manifest(before), manifest(before.replace("risk: medium", "risk: high")))
    assert (change.field, change.loosens) == ("tools[mail.send].risk", True)


def test_a_tools_own_gate_that_goes_is_judged_by_the_gate_of_its_risk() -> None:
    own = ASKED + '    gate: {when: "false"}\n'
    [change] = diff(manifest(own), manifest(ASKED))
    assert (change.field, change.loosens) == ("tools[mail.send].gate", False)


def test_triggers_that_are_not_listed_any_more_leave_those_that_stand_in() -> None:
    listed = ASKED + "triggers: [webhook]\n"
    [change] = diff(manifest(listed), manifest(ASKED))
    assert (change.field, change.loosens) == ("triggers", None)
    [change] = diff(manifest(ASKED + "triggers: [manual, webhook]\n"), manifest(ASKED))
    assert (change.field, change.loosens) == ("triggers", False)


def test_a_first_schema_of_the_arguments_tightens_and_another_is_for_people_to_judge() -> None:
    one = ASKED + "    args_schema: {required: [to]}\n"
    [change] = diff(manifest(ASKED), manifest(one))
    assert (change.field, change.loosens) == ("tools[mail.send].args_schema.required", False)
    [change] = diff(manifest(one), manifest(one.replace("[to]", "[subject]")))
    assert change.loosens is None
    [change] = diff(manifest(one), manifest(ASKED))
    assert change.loosens is True


def test_a_write_that_is_called_a_read_loosens() -> None:
    text = (
        "workflow: w\nowners: {business: a@acme.test, technical: a@acme.test}\ntools: {t: {effect: update}}"
    )
    [change] = diff(manifest(text), manifest(text.replace("update", "read")))
    assert (change.field, change.loosens) == ("tools.t.effect", True)


# What is replaced and by what, and the field: people have to judge these.
OPEN = {
    "another condition": ("timestamp(args.due) < now", "timestamp(args.due) > now", "tools[crm.create_task].deny_when"),
    "another permission": ("crm.tasks.write", "crm.all.write", "tools[crm.create_task].permission"),
    "another owner": ("dana@acme.test", "ann@acme.test", "owners.business"),
    "another time": ("0 8 * * MON", "0 9 * * MON", "schedule.cron"),
    "other approvers": ("approvers: [business]", "approvers: [backup]", "tools[crm.create_task].gate.approvers"),
    "another title": ("title: Weekly", "title: Our weekly", "title"),
    "blocked tool added": ("tools:\n", "tools:\n  crm.delete: {effect: delete, risk: blocked}\n", "tools[crm.delete]"),
    "tool or permission held": ("hold: tool", "hold: permission", "alerts.duplicate_action.hold"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "field"), OPEN.values(), ids=OPEN)
def test_what_people_have_to_judge(old: str, new: str, field: str) -> None:
    [change] = diff(manifest(), manifest(spoiled(old, new)))
    assert (change.field, change.loosens) == (field, None)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_manifest_does_not_differ_from_itself(path: Path) -> None:
    loaded = load(path.read_bytes()).manifest
    assert diff(loaded, loaded) == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [("45m", "2700s"), ("risk: medium\n", "\n"), ("2.50", "2.5"), ("title:", "# so\ntitle:")],
)
def test_what_only_reads_differently_is_no_difference(old: str, new: str) -> None:
    assert diff(manifest(), manifest(GOOD.replace(old, new, 1))) == ()


def test_the_terminal_sees_what_goes_and_what_comes() -> None:
    text = (
        spoiled("risk: medium", "risk: low")
        .replace("run_usd: 2.50, ", "")
        .replace("window: 7d", "window: 30d")
    )
    assert render(diff(manifest(), manifest(text))).splitlines() == [
        "3 changes: 2 loosening and 1 tightening",
        "  ~ tools[crm.create_task].risk: medium → low  (loosens)",
        "  - budget.run_usd: 2.5  (loosens)",
        "  ~ alerts.duplicate_action.window: 7d → 30d  (tightens)",
    ]
    assert render(()) == "Nothing changes."
    limited = spoiled("run_usd: 2.50, ", "")
    [gained] = diff(manifest(limited), manifest())
    assert str(gained) == "+ budget.run_usd: 2.5  (tightens)"


def test_a_whole_part_is_shown_in_one_line() -> None:
    change = Change(
        field="tools[a]", before=None, after={"effect": "delete", "title": "x" * 500}, loosens=True
    )
    assert str(change).startswith('+ tools[a]: {"effect":"delete"')
    assert len(str(change)) < 160
