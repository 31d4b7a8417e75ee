"""Webhooks of other tools: what they send becomes reports by a mapping that the operator writes.

A mapping says for each field of a report what it is: a bare word stands for itself, anything else is an expression (CEL) over ``body``,
what was sent, and ``item``, the part of it that is looked at. What a mapping cannot read is reported all the same, with what was wrong: a
tool that changed its format loses nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from stopwork.kernel.clock import in_utc
from stopwork.kernel.errors import Invalid
from stopwork.ledger.words import IncidentType, Severity, SignalKind
from stopwork.manifest.expressions import Expression, ExpressionError, InvalidExpression, compile_expression
from stopwork.manifest.uses import Use
from stopwork.operations.reporting import MAX_FACT_CHARS, Report, shortened

#: More items of one delivery than this are not looked at one by one; the last report says how many there are.
MAX_ITEMS: Final = 500
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_NAMES: Final = frozenset({"body", "item", "true", "false", "null"})
_FIELDS: Final = (
    "kind",
    "type",
    "summary",
    "workflow",
    "key",
    "severity",
    "occurred_at",
    "run",
    "delivery",
)


class WebhookSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One webhook in the intake file. ``each`` names a list of which every item is a report, ``when`` which of them are."""

    summary: str
    kind: str = SignalKind.ALERT.value
    type: str = ""
    workflow: str = ""
    key: str = ""
    severity: str = ""
    occurred_at: str = ""
    run: str = ""
    delivery: str = ""
    facts: dict[str, str] = {}
    each: str = ""
    when: str = ""
    secret: str = ""


class Mapped(Struct, frozen=True, kw_only=True):
    """What a delivery comes to: its reports, and how many items the mapping does not want."""

    reports: tuple[Report, ...]
    unwanted: int = 0


class Webhook:
    """One tool's way in, ready to be used. ``key`` is what its messages are signed with, where they have to be."""

    def __init__(self, name: str, settings: WebhookSettings, key: bytes | None = None) -> None:
        self.name = name
        self.key = key
        self._fields = {
            field: _compiled(name, field, source)
            for field in _FIELDS
            if (source := getattr(settings, field).strip())
        }
        _require_words(name, self._fields)
        self._facts = {
            fact: _compiled(name, f"facts.{fact}", source) for fact, source in settings.facts.items()
        }
        self._each = _compiled(name, "each", settings.each) if settings.each.strip() else None
        self._when = _compiled(name, "when", settings.when, Use.WANTED) if settings.when.strip() else None

    def reports(self, body: Any, *, delivery: str = "") -> Mapped:
        """Answer what this body says; ``delivery`` is the sender's own name for it, where the mapping gives none."""
        wrong: dict[str, str] = {}
        items = self._items(body, wrong)
        found = [
            self._report(
                {"body": body, "item": item}, dict(wrong), f"{delivery}/{number}" if delivery else ""
            )
            for number, item in enumerate(items[:MAX_ITEMS])
        ]
        wanted = [each for each in found if each is not None]
        if len(items) > MAX_ITEMS:
            wanted.append(_too_many(self.name, len(items), delivery))
        return Mapped(reports=tuple(wanted), unwanted=len(found) - sum(each is not None for each in found))

    def _items(self, body: Any, wrong: dict[str, str]) -> list[Any]:
        if self._each is None:
            return [body]
        items = self._value("each", self._each, {"body": body, "item": body}, wrong)
        if isinstance(items, list):
            return items
        wrong.setdefault("each", "it is no list")
        return [body]

    def _report(self, values: dict[str, Any], wrong: dict[str, str], delivery: str) -> Report | None:
        if self._when is not None and self._value("when", self._when, values, wrong) is False:
            return None
        said = {
            name: value
            for name, source in self._fields.items()
            if (value := self._value(name, source, values, wrong)) is not None and str(value).strip()
        }
        facts = {name: self._value(name, source, values, wrong) for name, source in self._facts.items()}
        occurred_at = _time(said.pop("occurred_at", None), wrong)
        kind = _word(SignalKind, said.pop("kind", None), "kind", wrong)
        incident_type = _word(IncidentType, said.pop("type", None), "type", wrong)
        severity = _word(Severity, said.pop("severity", None), "severity", wrong)
        if wrong:
            facts["mapping_failed"] = "; ".join(f"{name}: {why}" for name, why in wrong.items())
            facts["sent"] = shortened(msgspec.json.encode(values["item"]).decode(), MAX_FACT_CHARS)
        told = {name: shortened(str(value), MAX_FACT_CHARS) for name, value in said.items()}
        return Report(
            source=f"webhook {self.name}",
            kind=kind or SignalKind.ALERT,
            type=incident_type,
            summary=told.get("summary", f"{self.name} sent something that its mapping cannot read"),
            workflow=told.get("workflow", ""),
            key=told.get("key", ""),
            severity=severity,
            occurred_at=occurred_at,
            facts={name: value for name, value in facts.items() if value not in (None, "")},
            run=told.get("run"),
            delivery=told.get("delivery", delivery),
        )

    def _value(
        self, name: str, source: str | Expression, values: dict[str, Any], wrong: dict[str, str]
    ) -> Any:
        if isinstance(source, str):
            return source
        try:
            return source.evaluate(values)
        except ExpressionError as error:
            wrong[name] = error.message
            return None


def _compiled(name: str, field: str, source: str, use: Use = Use.DELIVERY) -> str | Expression:
    source = source.strip()
    if _WORD.fullmatch(source) and source not in _NAMES:
        return source
    try:
        return compile_expression(source, use)
    except InvalidExpression as error:
        raise Invalid(
            f"intake file, webhooks.{name}.{field}: {error}",
            hint="A bare word stands for itself; anything else is an expression over body and item.",
            field=f"webhooks.{name}.{field}",
        ) from error


def _require_words(name: str, fields: dict[str, str | Expression]) -> None:
    """Refuse a word that is written out and is none of those that may stand there."""
    for field, words in (("kind", SignalKind), ("type", IncidentType), ("severity", Severity)):
        source = fields.get(field)
        if isinstance(source, str) and source not in set(words):
            raise Invalid(
                f"intake file, webhooks.{name}.{field}: {source!r} is none",
                hint=f"Possible: {', '.join(words)}; or an expression over body and item.",
                field=f"webhooks.{name}.{field}",
            )


def _word(words: Any, value: Any, name: str, wrong: dict[str, str]) -> Any:
    """Answer the word that this value is one of; ``None`` where it is none, which is noted."""
    if value is None:
        return None
    if isinstance(value, str) and value in set(words):
        return words(value)
    wrong[name] = f"{shortened(str(value), 60)!r} is none of {', '.join(words)}"
    return None


def _time(value: Any, wrong: dict[str, str]) -> datetime | None:
    """Answer a time that is RFC 3339 text, or seconds since 1970."""
    if value is None:
        return None
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        found = datetime.fromisoformat(str(value))
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        in_utc(found)  # what has no place in the calendar there is no time either
    except (ValueError, OverflowError, OSError, Invalid):
        wrong["occurred_at"] = f"{shortened(str(value), 60)!r} is no time"
        return None
    return found


def _too_many(name: str, count: int, delivery: str) -> Report:
    return Report(
        source=f"webhook {name}",
        kind=SignalKind.ALERT,
        summary=f"{name} sent {count} items at once; {MAX_ITEMS} were looked at",
        delivery=f"{delivery}/more" if delivery else "",
    )


def described(mapped: Mapped) -> Iterator[dict[str, Any]]:
    """Answer what would come in, as plain content for a person who tries a mapping."""
    for each in mapped.reports:
        yield {
            name: value for name, value in msgspec.to_builtins(each).items() if value not in (None, "", {})
        }
