"""The words of containment: what could do more harm, how far it is made safe, and how one knows."""

from __future__ import annotations

from enum import StrEnum


class ContainmentArea(StrEnum):
    """Where harm can go on although the agent is paused."""

    SECRETS = "secrets"
    OAUTH_GRANTS = "oauth_grants"
    BROWSER_SESSIONS = "browser_sessions"
    QUEUES = "queues"
    WEBHOOKS = "webhooks"
    RETRIEVAL = "retrieval"
    WRITE_TOOLS = "write_tools"
    NOTIFICATIONS = "notifications"
    DOWNSTREAM_AUTOMATIONS = "downstream_automations"


class ContainmentState(StrEnum):
    """How far an item is, or one of its places.

    ``in_progress``: a hook runs, has run and is not confirmed, or a person has it. ``partial``: some of its places are confirmed.
    ``in_doubt``: a hook was begun, and whether it took hold is not known. ``done`` is said of what is verified, and of nothing else.
    """

    PROPOSED = "proposed"
    IN_PROGRESS = "in_progress"
    PARTIAL = "partial"
    IN_DOUBT = "in_doubt"
    DONE = "done"
    NOT_APPLICABLE = "not_applicable"
    FAILED = "failed"


class ContainmentProof(StrEnum):
    """How one knows that something is made safe: our own records show it, a probe saw it, or a person says so by name."""

    RECORDS = "records"
    PROBE = "probe"
    ATTESTATION = "attestation"


class PlaceKind(StrEnum):
    """Where an item is made safe: by a hook, or as the records tell of a hold, a guard, a call, a run or an approval."""

    HOOK = "hook"
    HOLD = "hold"
    POINT = "point"
    CALL = "call"
    RUN = "run"
    APPROVAL = "approval"


class HookKind(StrEnum):
    """How a hook does what it does."""

    WEBHOOK = "webhook"
    HTTP = "http"
    COMMAND = "command"
    SQL = "sql"
    HOLD = "hold"
