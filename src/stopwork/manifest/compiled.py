"""A manifest ready for use: its expressions compiled once, its rules answered for one call at a time.

Every method answers or raises: ``ExpressionError`` when an expression has no answer for these values (the caller denies),
``NotFound`` for a tool that the manifest does not list (the caller denies).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from msgspec import UNSET, UnsetType

from stopwork.kernel.canonical import canonical_bytes, digest
from stopwork.kernel.errors import NotFound, StopworkError
from stopwork.ledger.records import ObjectRef, Run
from stopwork.ledger.words import EffectKind
from stopwork.manifest.args import ArgsSchema, Misfitting
from stopwork.manifest.expressions import Expression, ExpressionError, compile_expression
from stopwork.manifest.model import Budget, Gate, Manifest, RemedyRule, Ruled, Tool
from stopwork.manifest.problems import one_of, shown
from stopwork.manifest.restricted import Restricted
from stopwork.manifest.uses import Use

MAX_KEY_CHARS = 300

Args = Mapping[str, Any]


class Occasion(Protocol):
    """What a key may use of a run: what stays the same when the run is tried again."""

    @property
    def id(self) -> str: ...
    @property
    def trigger(self) -> str: ...
    @property
    def trigger_id(self) -> str: ...


class _Rules:
    """The compiled expressions of one tool; ``None`` where the manifest says nothing."""

    __slots__ = (
        "args_schema",
        "deny_when",
        "destination",
        "found_when",
        "gate",
        "idempotency",
        "object_id",
        "probe_args",
        "probe_result",
        "recipients",
        "undo",
        "verify",
    )

    def __init__(self, tool: Tool, gate: Gate | None) -> None:
        self.deny_when = _optional(tool.deny_when, Use.CONDITION)
        self.gate = _optional(gate.when if gate else None, Use.CONDITION)
        self.args_schema = ArgsSchema(tool.args_schema) if tool.args_schema else None
        self.verify = _optional(tool.verify, Use.VERIFICATION)
        self.object_id = _optional(tool.object.id if tool.object else None, Use.IDENTITY)
        self.recipients = _optional(tool.recipients, Use.ADDRESS)
        self.destination = _optional(tool.destination, Use.ADDRESS)
        self.idempotency = tuple(compile_expression(part, Use.KEY) for part in tool.idempotency)
        probe = tool.probe
        self.found_when = _optional(probe.found_when if probe else None, Use.FOUND)
        self.probe_result = _optional(probe.result if probe else None, Use.VALUE)
        self.probe_args = {
            name: compile_expression(value, Use.KEY) for name, value in (probe.args if probe else {}).items()
        }
        undo = tool.undo.args if tool.undo else {}
        self.undo = {name: compile_expression(value, Use.VALUE) for name, value in undo.items()}


class Prepared:
    """How one remedy is done, ready to be worked out for an object."""

    __slots__ = ("_values", "rule")

    def __init__(self, rule: RemedyRule) -> None:
        self.rule = rule
        values = rule.args if rule.tool else rule.set
        self._values = {name: compile_expression(value, Use.REMEDY) for name, value in values.items()}

    def worked_out(self, known: Mapping[str, Any]) -> dict[str, Any]:
        """Answer the fields to set, or the tool's arguments; ``ExpressionError`` where they cannot be told."""
        return {name: value.evaluate(known) for name, value in self._values.items()}


class Limit(NamedTuple):
    """What a run and a day may spend of one unit."""

    unit: str
    run: float | None
    day: float | None


def _limits(budget: Budget, *units: str) -> tuple[Limit, ...]:
    every = (Limit(unit, getattr(budget, f"run_{unit}"), getattr(budget, f"day_{unit}")) for unit in units)
    return tuple(each for each in every if (each.run, each.day) != (None, None))


class CompiledManifest:
    """What the guard asks of a manifest. Immutable, and safe to use from several threads."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self._rules = {name: _Rules(tool, manifest.gate_of(name)) for name, tool in manifest.tools.items()}
        self._remedies = [Prepared(rule) for rule in manifest.recovery.remedies]
        patterns = manifest.alerts.sensitive_data.patterns
        self.restricted = Restricted(patterns) if patterns else None
        self.limits_of_steps = _limits(manifest.budget, "usd", "tokens")
        self.limits_of_calls = _limits(manifest.budget, "calls", "writes")
        self._alert_key = tuple(
            compile_expression(part, Use.KEY) for part in manifest.alerts.duplicate_action.key
        )

    def tool(self, name: str) -> Tool:
        """Answer what the manifest declares for this tool."""
        if (tool := self.manifest.tools.get(name)) is None:
            raise NotFound(
                f'The workflow "{self.manifest.workflow}" lists no tool "{name}".',
                hint=f"Add it under tools in the manifest, or call {one_of(self.manifest.tools, name)}",
                tool=name,
                workflow=self.manifest.workflow,
            )
        return tool

    def denies(self, tool: str, args: Args, run: Run, now: datetime, source: str = "") -> bool:
        """Answer whether ``deny_when`` is true for this call."""
        rule = self._of(tool).deny_when
        return rule is not None and bool(rule.evaluate(self._moment(tool, args, run, now, source)))

    def misfits(self, tool: str, args: Args) -> tuple[Misfitting, ...]:
        """Answer what in the arguments does not meet ``args_schema``."""
        schema = self._of(tool).args_schema
        return () if schema is None else schema.misfits(args)

    def gate_applies(self, tool: str, args: Args, run: Run, now: datetime, source: str = "") -> bool:
        """Answer whether the gate before the tool asks people about this call."""
        rule = self._of(tool).gate
        return rule is not None and bool(rule.evaluate(self._moment(tool, args, run, now, source)))

    def object_ref(self, tool: str, args: Args, result: Any | UnsetType = UNSET) -> ObjectRef | None:
        """Answer the object that a call changes.

        ``None`` means that none is declared, or that its id stands in the result of a call that has not returned yet.
        """
        declared, rule = self.tool(tool).object, self._of(tool).object_id
        if declared is None or rule is None or ("result" in rule.names and result is UNSET):
            return None
        values = self._call(tool, args) | {"result": None if result is UNSET else result}
        identity = _identity(rule, values, rule.evaluate(values))
        return ObjectRef(system=declared.system, type=declared.type, id=identity)

    def objects_read(self, tool: str, args: Args, result: Any) -> tuple[ObjectRef, ...]:
        """Answer the objects that a call of a read tool has read, as its declared object names them: one id, or a list of ids.

        None where none is declared, or where arguments and result do not name them.
        """
        known = self.manifest.tools.get(tool)
        if known is None or known.object is None or known.effect is not EffectKind.READ:
            return ()
        declared, rule = known.object, self._rules[tool].object_id
        values = self._call(tool, args) | {"result": result}
        if rule is None:
            return ()
        try:
            answer = rule.evaluate(values)
            ids = [
                _identity(rule, values, each) for each in (answer if isinstance(answer, list) else [answer])
            ]
        except ExpressionError:
            return ()
        return tuple(
            ObjectRef(system=declared.system, type=declared.type, id=each) for each in dict.fromkeys(ids)
        )

    def business_key(self, tool: str, args: Args, run: Occasion, source: str = "") -> str | None:
        """Answer the key under which a call takes effect once, or ``None`` when the manifest declares none."""
        parts = self._of(tool).idempotency
        if not parts:
            return None
        values = self._occasion(tool, args, run, source)
        return _key(parts[0], values, [tool, *(part.evaluate(values) for part in parts)])

    def declared_alert_key(self, tool: str, args: Args, run: Occasion, source: str = "") -> str | None:
        """Answer the declared key by which a second call is recognised as the same action.

        ``None`` where no key is declared, or the call has no argument that the key names: then it says nothing.
        """
        values = self._occasion(tool, args, run, source)
        try:
            parts = [part.evaluate(values) for part in self._alert_key]
            return _key(self._alert_key[0], values, parts) if parts else None
        except ExpressionError:
            return None

    def undo_args(
        self, tool: str, args: Args, result: Any, ref: ObjectRef | None, run: Occasion, source: str = ""
    ) -> dict[str, Any]:
        """Answer the arguments of the inverse tool for one call."""
        values = self._occasion(tool, args, run, source) | _after(result, ref)
        return {name: rule.evaluate(values) for name, rule in self._of(tool).undo.items()}

    def remedies(self, ref: ObjectRef) -> list[Prepared]:
        """Answer how remedies are done for such an object, one rule a remedy."""
        found: dict[Ruled, Prepared] = {}
        for prepared in self._remedies:
            if prepared.rule.fits(ref):
                found.setdefault(prepared.rule.remedy, prepared)
        return list(found.values())

    def remedy_values(
        self, tool: str, args: Args, result: Any, ref: ObjectRef, run: Occasion, source: str = ""
    ) -> dict[str, Any]:
        """Answer what a remedy may use of the call that it puts right."""
        return self._occasion(tool, args, run, source) | _after(result, ref)

    def probe_args(self, tool: str, args: Args, run: Occasion, source: str = "") -> dict[str, Any]:
        """Answer the arguments with which the tool's probe looks for what one call would have done."""
        values = self._occasion(tool, args, run, source)
        return {name: rule.evaluate(values) for name, rule in self._of(tool).probe_args.items()}

    def was_found(self, tool: str, args: Args, result: Any) -> tuple[bool, Any]:
        """Answer whether the probe's ``result`` shows that a call took effect, and what that call is said to have returned."""
        rules = self._of(tool)
        values = self._call(tool, args) | {"result": result}
        found = rules.found_when is not None and bool(rules.found_when.evaluate(values))
        return found, rules.probe_result.evaluate(values) if found and rules.probe_result else None

    def took_hold(self, tool: str, args: Args, result: Any, ref: ObjectRef | None) -> bool | None:
        """Answer whether ``verify`` is true for a call that returned, or ``None`` when nothing is declared."""
        rule = self._of(tool).verify
        return None if rule is None else bool(rule.evaluate(self._call(tool, args) | _after(result, ref)))

    def recipients(self, tool: str, args: Args) -> tuple[str, ...]:
        """Answer who gets what a call sends."""
        rule = self._of(tool).recipients
        return (
            ()
            if rule is None
            else tuple(_texts(rule, values := self._call(tool, args), rule.evaluate(values)))
        )

    def destinations(self, tool: str, args: Args) -> tuple[str, ...]:
        """Answer where a call's effect goes: every single place."""
        rule = self._of(tool).destination
        if rule is None:
            return ()
        values = self._call(tool, args)
        return tuple(_texts(rule, values, rule.evaluate(values)))

    def _of(self, tool: str) -> _Rules:
        self.tool(tool)
        return self._rules[tool]

    def _call(self, tool: str, args: Args) -> dict[str, Any]:
        return {"args": args, "tool": tool, "workflow": self.manifest.workflow}

    def _occasion(self, tool: str, args: Args, run: Occasion, source: str) -> dict[str, Any]:
        return self._call(tool, args) | {
            "source": source,
            "run.id": run.id,
            "run.trigger": run.trigger,
            "run.trigger_id": run.trigger_id,
        }

    def _moment(self, tool: str, args: Args, run: Run, now: datetime, source: str) -> dict[str, Any]:
        return self._occasion(tool, args, run, source) | {
            "now": now,
            "run.attempt": run.attempt,
            "run.started_at": run.started_at,
        }


def compile_manifest(manifest: Manifest) -> CompiledManifest:
    """Answer the manifest ready for use.

    A manifest that :func:`stopwork.manifest.load.load` answered always compiles; one made by hand may raise
    ``InvalidExpression``.
    """
    return CompiledManifest(manifest)


def _optional(source: str | None, use: Use) -> Expression | None:
    return None if source is None else compile_expression(source, use)


def _after(result: Any, ref: ObjectRef | None) -> dict[str, Any]:
    if ref is None:
        return {"result": result}
    return {
        "result": result,
        "object.system": ref.system,
        "object.type": ref.type,
        "object.id": ref.id,
    }


def _identity(rule: Expression, values: Mapping[str, Any], answer: Any) -> str:
    match answer:
        case str() if answer:
            return answer
        case bool():
            pass
        case int():
            return str(answer)
        case float() if answer.is_integer():
            return str(int(answer))
    raise rule.error(values, f"the answer is {shown(answer)}, where an object's id is text or a whole number")


def _texts(rule: Expression, values: Mapping[str, Any], answer: Any) -> Iterator[str]:
    for text in answer if isinstance(answer, list) else [answer]:
        if not isinstance(text, str) or not text:
            raise rule.error(values, f"the answer is {shown(answer)}, where text or a list of text is needed")
        yield text


def _key(rule: Expression, values: Mapping[str, Any], parts: list[Any]) -> str:
    try:
        return _text_of(canonical_bytes(parts))
    except StopworkError as error:
        raise rule.error(values, f"the answer cannot be part of a key: {error.detail}") from None


def _text_of(key: bytes) -> str:
    """Answer a key that people can read where it is short, and its digest where it is not."""
    text = key.decode()
    return text if len(text) <= MAX_KEY_CHARS else digest(key)
