"""What the records of a manifest are made of: the words that may stand in it, the kinds of value, and how each describes itself."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct

from stopwork.manifest.uses import Use

MAX_ENTRIES = 100
MAX_KEY_PARTS = 20


def says(description: str, *examples: Any, **bounds: Any) -> Meta:
    """Describe a field to its reader; the bounds are those of :class:`msgspec.Meta`."""
    return Meta(description=description, examples=list(examples) or None, **bounds)


def format_of(name: str) -> Meta:
    """Name a format that :mod:`stopwork.manifest.formats` checks."""
    return Meta(min_length=1, extra_json_schema={"format": name})


Slug = Annotated[str, Meta(pattern=r"^[a-z0-9]+([-_][a-z0-9]+)*$", max_length=80)]
ToolName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,127}$")]
Place = Annotated[str, Meta(pattern=r"^[a-z0-9]+([-_][a-z0-9]+)*(/.{1,120})?$")]
Words = Annotated[str, Meta(min_length=1, max_length=500)]
Digest = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
FieldName = Annotated[str, Meta(min_length=1, max_length=200)]
FieldPath = Annotated[str, Meta(pattern=r"^[^.\s]+(\.[^.\s]+){0,3}$", max_length=200)]
Address = Annotated[str, format_of("address")]
Cron = Annotated[str, format_of("cron")]
TimeZone = Annotated[str, format_of("timezone")]
Usd = Annotated[float, Meta(gt=0, le=1e9)]
Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Share = Annotated[float, Meta(ge=0, le=1)]

Condition = Annotated[str, format_of(Use.CONDITION)]
Verification = Annotated[str, format_of(Use.VERIFICATION)]
Identity = Annotated[str, format_of(Use.IDENTITY)]
KeyPart = Annotated[str, format_of(Use.KEY)]
Value = Annotated[str, format_of(Use.VALUE)]
Whereto = Annotated[str, format_of(Use.ADDRESS)]
Found = Annotated[str, format_of(Use.FOUND)]
Pattern = Annotated[str, format_of("pattern")]
Receiver = Annotated[str, Meta(pattern=r"^\*?[^*\s]+\*?$", max_length=254)]
PutThere = Annotated[str, format_of(Use.REMEDY)]


class Trust(StrEnum):
    """How far the content of a source may steer the agent."""

    INTERNAL = "internal"
    PARTNER = "partner"
    EXTERNAL = "external"


class Unpriced(StrEnum):
    """What a dollar limit does with spending whose price is unknown."""

    DENY = "deny"
    ALLOW = "allow"


class Party(StrEnum):
    """Who outside the team can be affected."""

    CUSTOMER = "customer"
    VENDOR = "vendor"
    CANDIDATE = "candidate"
    EMPLOYEE = "employee"
    PARTNER = "partner"


class Domain(StrEnum):
    """A field of business that a mistake would hurt."""

    FINANCIAL = "financial"
    LEGAL = "legal"
    HR = "hr"
    COMPLIANCE = "compliance"
    CUSTOMER = "customer"


class SensitiveClass(StrEnum):
    """The data classes that raise the severity of an incident; other names may be used besides."""

    PAYROLL = "payroll"
    CONTRACTS = "contracts"
    BANKING_DETAILS = "banking_details"
    HEALTH_DATA = "health_data"
    ACCESS_PERMISSIONS = "access_permissions"
    CUSTOMER_COMMITMENTS = "customer_commitments"


class Criticality(StrEnum):
    """How much the business leans on the workflow."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class AutoHold(StrEnum):
    """The scope that an alert pauses by itself."""

    NONE = "none"
    TOOL = "tool"
    PERMISSION = "permission"
    TRIGGER = "trigger"
    SOURCE = "source"
    WORKFLOW = "workflow"


class Unit(StrEnum):
    """What a call costs besides itself, where it is paid by use."""

    RETRIEVAL = "retrieval"
    BROWSER = "browser"
    ENRICHMENT = "enrichment"
    API = "api"


class InjectionGate(StrEnum):
    """What is done with a call that seems to follow what the agent has read."""

    DENY = "deny"
    ASK = "ask"
    OFF = "off"


class DuplicateRule(StrEnum):
    """What recovery does with a record that was made twice."""

    CLOSE = "close"
    DELETE = "delete"
    MERGE = "merge"
    MARK = "mark"


class TaskRule(StrEnum):
    """What recovery does with a record that should not have been made."""

    UNDO = "undo"
    CLOSE = "close"
    CORRECT = "correct"
    REASSIGN = "reassign"


class WriteRule(StrEnum):
    """What recovery does with a record that was changed wrongly."""

    UNDO = "undo"
    CORRECT = "correct"


class MessageRule(StrEnum):
    """What recovery does about a message that should not have been sent."""

    TELL = "tell"
    RESEND = "resend"


class SummaryRule(StrEnum):
    """What recovery does with text that was written from stale or wrong sources."""

    REGENERATE = "regenerate"
    UNDO = "undo"


class Ruled(StrEnum):
    """The remedies for which the manifest says how they are done."""

    CLOSE = "close"
    MARK = "mark"
    CORRECT = "correct"
    REASSIGN = "reassign"
    RESEND = "resend"
    REGENERATE = "regenerate"


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every part of a manifest: frozen, and an unknown key is an error."""
