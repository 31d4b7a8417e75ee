"""Whether the parts of a manifest fit together: what contradicts itself, and what is worth a second thought."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from difflib import get_close_matches

from stopwork.kernel.phrases import count_of, figure
from stopwork.ledger.words import EffectKind, Risk, Role, Stage
from stopwork.manifest.args import unusable
from stopwork.manifest.duration import Duration
from stopwork.manifest.model import (
    AutoHold,
    Gate,
    Manifest,
    RemedyRule,
    Response,
    Ruled,
    SensitiveClass,
    Tool,
    Trust,
)
from stopwork.manifest.problems import Path, Problem, one_of
from stopwork.manifest.reader import Document

SCHEDULE = "schedule"
SHORTEST_LEASE = Duration(seconds=2)
LONGEST_LEASE = Duration(seconds=60)
_BY_TOOL_ONLY = (Ruled.RESEND, Ruled.REGENERATE)
_OF_ANY_ALERT = (AutoHold.NONE, AutoHold.TRIGGER, AutoHold.WORKFLOW)
_ALERTS_ABOUT_A_SOURCE = ("prompt_injection", "stale_input")
_ALERTS_ABOUT_A_CALL = (
    "prompt_injection",
    "duplicate_action",
    "policy_violation",
    "write_failure",
    "approval_bypass",
    "bad_writeback",
    "unusual_arguments",
    "sensitive_data",
    "external_send",
)


def contradictions(manifest: Manifest, document: Document) -> Iterator[Problem]:
    """Yield what makes the manifest unusable although each part by itself is right."""
    yield from _schedule(manifest, document)
    yield from _approvers(manifest, document)
    yield from _escalation(manifest, document)
    yield from _alert_holds(manifest, document)
    yield from _downstream(manifest, document)
    yield from _credentials(manifest, document)
    yield from _demotion(manifest, document)
    yield from _signer(manifest, document)
    yield from _read_lease(manifest, document)
    yield from _remedies(manifest, document)
    yield from _fields(manifest, document)
    for name, tool in manifest.tools.items():
        yield from _tool(manifest, document, name, tool)


def doubts(manifest: Manifest, document: Document) -> Iterator[Problem]:
    """Yield what is allowed and probably not meant."""
    yield from _unknown_classes(manifest, document)
    if manifest.schedule and manifest.schedule.finish_within is None:
        message = "a run that never ends will not be noticed"
        yield document.problem(("schedule",), message, 'finish_within, such as "45m"')
    if manifest.owners.backup is None:
        message = "nobody steps in when an owner does not answer"
        yield document.problem(("owners",), message, "backup: an address")
    yield from _absent_approvers(manifest, document)
    yield from _idle_holds(manifest, document)
    for name, tool in manifest.tools.items():
        if tool.writes:
            yield from _doubts_about_write(manifest, document, name)


def _schedule(manifest: Manifest, document: Document) -> Iterator[Problem]:
    if manifest.schedule and SCHEDULE not in manifest.accepted_triggers:
        message = "there is a schedule, but a run may not be started by it"
        yield document.problem(("triggers",), message, '"schedule" among the triggers, or no schedule')
    if SCHEDULE in manifest.triggers and not manifest.schedule:
        message = '"schedule" is a trigger, but there is no schedule'
        yield document.problem(("triggers",), message, "schedule with a cron line, or no such trigger")
    lists: tuple[tuple[Path, tuple[str, ...]], ...] = (
        (("triggers",), manifest.triggers),
        (("data_classes",), manifest.data_classes),
        (("response", "escalate_to"), manifest.response.escalate_to),
    )
    for path, names in lists:
        for name, times in Counter(names).items():
            if times > 1:
                yield document.problem(path, f'"{name}" stands here {times} times', "each name once")


def _read_lease(manifest: Manifest, document: Document) -> Iterator[Problem]:
    if not SHORTEST_LEASE <= manifest.read_lease <= LONGEST_LEASE:
        message = "a pause of reads would wait for this long, or guards would ask without end"
        expected = f"from {SHORTEST_LEASE} to {LONGEST_LEASE}"
        yield document.problem(("read_lease",), message, expected, value=str(manifest.read_lease))


def _approvers(manifest: Manifest, document: Document) -> Iterator[Problem]:
    yield from _owned(manifest, document, ("recovery", "approver"), manifest.recovery.approver)
    for path, gate in _gates(manifest):
        backup = manifest.owners.backup
        if backup is None:
            for index, role in enumerate(gate.approvers):
                yield from _owned(manifest, document, (*path, "approvers", index), role)
        people = {manifest.owners.holding(role) or backup for role in gate.approvers} - {None}
        if people and gate.quorum > len(people):
            yield document.problem(
                (*path, "quorum"),
                f"{gate.quorum} people must approve, but {_held_by(len(people))} the roles named",
                f"at most {len(people)}, or a role among the approvers that somebody else holds",
                value=gate.quorum,
            )
        if gate.escalate_after is not None and gate.escalate_after >= gate.expires:
            yield document.problem(
                (*path, "escalate_after"),
                "the backup would be asked when it is too late to answer",
                f"less than {gate.expires}, when the question expires",
                value=str(gate.escalate_after),
            )


def _escalation(manifest: Manifest, document: Document) -> Iterator[Problem]:
    """An escalation that somebody wrote leads to somebody; of the one that is there from the start an owner may be missing."""
    if manifest.response.escalate_to != Response().escalate_to:
        for index, role in enumerate(manifest.response.escalate_to):
            yield from _owned(manifest, document, ("response", "escalate_to", index), role)


def _gates(manifest: Manifest) -> Iterator[tuple[Path, Gate]]:
    for name, tool in manifest.tools.items():
        if tool.gate:
            yield ("tools", name, "gate"), tool.gate
    for risk in Risk:
        if gate := manifest.gates.of(risk):
            yield ("gates", risk.value), gate


def _absent_approvers(manifest: Manifest, document: Document) -> Iterator[Problem]:
    for path, gate in _gates(manifest):
        for index, role in enumerate(gate.approvers):
            if manifest.owners.holding(role) is None and manifest.owners.backup:
                message = f'nobody is "{role}" among the owners, so {manifest.owners.backup} is asked instead'
                yield document.problem(
                    (*path, "approvers", index), message, f"owners.{role}: an address", value=role
                )


def _signer(manifest: Manifest, document: Document) -> Iterator[Problem]:
    if manifest.formerly == manifest.workflow:
        yield document.problem(
            ("formerly",), "this is its name now", "the name it had before, or no such line"
        )
    if manifest.change_control and manifest.owners.holding(manifest.change_control.approver) is None:
        yield from _owned(
            manifest, document, ("change_control", "approver"), manifest.change_control.approver
        )


def _held_by(people: int) -> str:
    return f"only {count_of(people, 'person', 'people')} {'holds' if people == 1 else 'hold'}"


def _owned(manifest: Manifest, document: Document, path: Path, role: Role) -> Iterator[Problem]:
    if manifest.owners.holding(role) is None:
        held = one_of(manifest.owners.by_role())
        yield document.problem(
            path, f'nobody is "{role}" among the owners', f"{held}; or owners.{role}", value=role
        )


def _alert_holds(manifest: Manifest, document: Document) -> Iterator[Problem]:
    """An alert that is not about a call cannot pause its tool or its permission."""
    for name in manifest.alerts.__struct_fields__:
        hold: AutoHold = getattr(manifest.alerts, name).hold
        if hold in (AutoHold.TOOL, AutoHold.PERMISSION) and name not in _ALERTS_ABOUT_A_CALL:
            yield document.problem(
                ("alerts", name, "hold"),
                f'this alert is not about a call, so it knows no "{hold}" to pause',
                one_of(word for word in AutoHold if word in _OF_ANY_ALERT),
                value=hold,
            )
        if hold is AutoHold.SOURCE and name not in _ALERTS_ABOUT_A_SOURCE:
            yield document.problem(
                ("alerts", name, "hold"),
                "this alert is not about what was read, so it knows no source to pause",
                one_of(word for word in AutoHold if word in _OF_ANY_ALERT),
                value=hold,
            )


def _idle_holds(manifest: Manifest, document: Document) -> Iterator[Problem]:
    if any(tool.permission for tool in manifest.tools.values()):
        return
    for name in manifest.alerts.__struct_fields__:
        if getattr(manifest.alerts, name).hold is AutoHold.PERMISSION:
            message = "no tool says which permission it uses, so there is none to hold"
            expected = "permission at the tools, or another hold"
            yield document.problem(("alerts", name, "hold"), message, expected, value=AutoHold.PERMISSION)


def _demotion(manifest: Manifest, document: Document) -> Iterator[Problem]:
    rules = manifest.alerts.__struct_fields__
    for index, name in enumerate(manifest.stages.demote.on):
        if name not in rules:
            path: Path = ("stages", "demote", "on", index)
            yield document.problem(path, f'there is no alert rule "{name}"', one_of(rules, name), value=name)
    if manifest.stages.demote.to is Stage.NORMAL:
        message = '"normal" is no stage to go down to'
        yield document.problem(("stages", "demote", "to"), message, one_of(list(Stage)[:-1]), value="normal")


def _downstream(manifest: Manifest, document: Document) -> Iterator[Problem]:
    for index, automation in enumerate(manifest.downstream):
        for place, tool in enumerate(automation.tools):
            yield from _declared_tool(manifest, document, ("downstream", index, "tools", place), tool)


def _credentials(manifest: Manifest, document: Document) -> Iterator[Problem]:
    """What a credential opens has to be there: containment goes by it."""
    carried = {tool.permission for tool in manifest.tools.values() if tool.permission}
    for name, credential in manifest.credentials.items():
        for index, tool in enumerate(credential.tools):
            yield from _declared_tool(manifest, document, ("credentials", name, "tools", index), tool)
        for field, words, known in (
            ("permissions", credential.permissions, carried),
            ("triggers", credential.triggers, manifest.accepted_triggers),
        ):
            for index, word in enumerate(words):
                if word not in known:
                    path: Path = ("credentials", name, field, index)
                    message = (
                        f'no tool uses "{word}"' if field == "permissions" else f'"{word}" is no trigger'
                    )
                    expected = one_of(sorted(known), word) if known else f"{field} that are declared"
                    yield document.problem(path, message, expected, value=word)


def _declared_tool(manifest: Manifest, document: Document, path: Path, tool: str) -> Iterator[Problem]:
    if tool not in manifest.tools:
        yield document.problem(path, f'there is no tool "{tool}"', one_of(manifest.tools, tool), value=tool)


def _tool(manifest: Manifest, document: Document, name: str, tool: Tool) -> Iterator[Problem]:
    path: Path = ("tools", name)
    if tool.source and tool.source not in manifest.sources:
        declared = one_of(manifest.sources, tool.source) if manifest.sources else f"sources.{tool.source}"
        message = f'there is no source "{tool.source}"'
        yield document.problem((*path, "source"), message, declared, value=tool.source)
    if not tool.writes:
        for key in ("undo", "idempotency", "verify", "probe"):
            if getattr(tool, key):
                message = f'"{key}" is for calls that change something, and this is a read'
                yield document.problem((*path, key), message, "another effect, or no such line")
    if tool.args_schema and (why := unusable(tool.args_schema)):
        expected = "a JSON Schema of the arguments, such as {properties: {days: {type: integer}}}"
        yield document.problem((*path, "args_schema"), why, expected)
    if tool.probe:
        yield from _declared_tool(manifest, document, (*path, "probe", "tool"), tool.probe.tool)
        looks = manifest.tools.get(tool.probe.tool)
        if looks and looks.writes:
            message = f'"{tool.probe.tool}" changes something, and a probe only looks'
            yield document.problem(
                (*path, "probe", "tool"), message, "a tool whose effect is read", value=tool.probe.tool
            )
    if tool.undo:
        yield from _undo(manifest, document, name, tool)


def _undo(manifest: Manifest, document: Document, name: str, tool: Tool) -> Iterator[Problem]:
    undo, path = tool.undo, ("tools", name, "undo")
    if undo is None:
        return
    ways = [key for key in ("system", "tool", "none") if getattr(undo, key)]
    if len(ways) != 1:
        message = "several ways to undo" if ways else "no way to undo"
        yield document.problem(path, message, "exactly one of: system, tool, none")
    if undo.args and not undo.tool:
        yield document.problem((*path, "args"), "arguments without a tool", "tool: the inverse tool")
    if undo.tool:
        yield from _declared_tool(manifest, document, (*path, "tool"), undo.tool)
        inverse = manifest.tools.get(undo.tool)
        if undo.tool == name or (inverse and not inverse.writes):
            message = f'"{undo.tool}" cannot undo this'
            expected = "a tool that changes back what this one changes"
            yield document.problem((*path, "tool"), message, expected, value=undo.tool)


def _fields(manifest: Manifest, document: Document) -> Iterator[Problem]:
    for place, declared in manifest.objects.items():
        for name, rule in declared.fields.items():
            if rule.min is not None and rule.max is not None and rule.min > rule.max:
                message = "the smallest possible value is larger than the largest"
                yield document.problem(
                    ("objects", place, "fields", name, "min"),
                    message,
                    f"at most {figure(rule.max)}",
                    value=rule.min,
                )


def _remedies(manifest: Manifest, document: Document) -> Iterator[Problem]:
    recovery = manifest.recovery
    for index, rule in enumerate(recovery.remedies):
        yield from _remedy(manifest, document, ("recovery", "remedies", index), rule)
    ruled = {rule.remedy.value for rule in recovery.remedies}
    for situation in ("wrong_internal_tasks", "bad_production_write", "bad_external_message"):
        word = getattr(recovery, situation).value
        if word in set(Ruled) - ruled:
            yield document.problem(
                ("recovery", situation),
                f'nothing says how to "{word}"',
                f"recovery.remedies: a rule whose remedy is {word}",
                value=word,
            )


def _remedy(manifest: Manifest, document: Document, path: Path, rule: RemedyRule) -> Iterator[Problem]:
    ways = [key for key in ("set", "tool") if getattr(rule, key)]
    if len(ways) != 1:
        message = "several ways to do it" if ways else "nothing says how it is done"
        yield document.problem(path, message, "exactly one of: set, tool")
    if rule.args and not rule.tool:
        yield document.problem((*path, "args"), "arguments without a tool", "tool: the tool to call")
    if rule.set and rule.remedy in _BY_TOOL_ONLY:
        message = f'to "{rule.remedy}" takes a tool: no field of the object does it'
        yield document.problem((*path, "set"), message, "tool and args")
    if rule.tool:
        yield from _declared_tool(manifest, document, (*path, "tool"), rule.tool)
        called = manifest.tools.get(rule.tool)
        if called and not called.writes:
            message = f'"{rule.tool}" only reads'
            expected = "a tool that puts something right"
            yield document.problem((*path, "tool"), message, expected, value=rule.tool)


def _unknown_classes(manifest: Manifest, document: Document) -> Iterator[Problem]:
    for index, name in enumerate(manifest.data_classes):
        near = get_close_matches(name, list(SensitiveClass), n=1, cutoff=0.75)
        if near and near[0] != name:
            message = f'"{name}" does not raise the severity of an incident'
            yield document.problem(
                ("data_classes", index), message, f'"{near[0]}", if that is meant', value=name
            )
    for name, source in manifest.sources.items():
        readers = [tool for tool in manifest.tools.values() if tool.source == name]
        if source.trust is Trust.EXTERNAL and not readers:
            message = "no tool is declared to read this source, so pausing it stops nothing"
            yield document.problem(("sources", name), message, f"source: {name} at the tools that read it")


def _doubts_about_write(manifest: Manifest, document: Document, name: str) -> Iterator[Problem]:
    tool, path = manifest.tools[name], ("tools", name)
    if not tool.object and tool.effect is not EffectKind.SEND:
        message = (
            f"the effect is {tool.effect}, but no object is declared: the audit will not name what changed"
        )
        yield document.problem(path, message, "object: system, type and id")
    if not tool.idempotency:
        message = "a repeated call is only recognised by all its arguments"
        yield document.problem(path, message, "idempotency: the parts that make two calls the same")
    if not tool.undo and not tool.object:  # an object is put back by its own system
        message = "nothing says how a call is undone"
        yield document.problem(path, message, "undo: a system, a tool, or none with the reason")
    if tool.risk is Risk.HIGH and not manifest.gate_of(name):
        yield document.problem(path, "the risk is high, but nobody is asked first", "gate: who approves")
    if tool.effect is EffectKind.SEND and not tool.recipients:
        message = "nothing says who gets what is sent"
        yield document.problem(path, message, "recipients: an expression, such as args.to")
