"""The words of audit and recovery: what is asked about an agent's changes, and how each object is put right."""

from __future__ import annotations

from enum import StrEnum


class Question(StrEnum):
    """The twelve questions of the side-effect audit."""

    TRIGGER = "trigger"
    INPUTS_READ = "inputs_read"
    INPUT_FRESHNESS_AND_AUTHORITY = "input_freshness_and_authority"
    PROMPTS_AND_POLICIES = "prompts_and_policies"
    MODEL_CALLS = "model_calls"
    TOOL_CALLS = "tool_calls"
    WRITES = "writes"
    EXTERNAL_SENDS = "external_sends"
    APPROVALS = "approvals"
    RETRIES_AND_BACKFILLS = "retries_and_backfills"
    DOWNSTREAM_AUTOMATIONS = "downstream_automations"
    RECORDS_TO_CORRECT = "records_to_correct"


class RecoverySituation(StrEnum):
    MISSED_RUN = "missed_run"
    DUPLICATE_RECORDS = "duplicate_records"
    WRONG_INTERNAL_TASKS = "wrong_internal_tasks"
    BAD_EXTERNAL_MESSAGE = "bad_external_message"
    STALE_SUMMARY = "stale_summary"
    BAD_PRODUCTION_WRITE = "bad_production_write"
    APPROVAL_BYPASS = "approval_bypass"
    SENSITIVE_DATA_EXPOSURE = "sensitive_data_exposure"
    PROMPT_INJECTION = "prompt_injection"
    COST_SPIKE = "cost_spike"


class Remedy(StrEnum):
    """What one recovery item does to one object: sets fields, puts it there or removes it, calls a tool, or asks people."""

    RESTORE = "restore"
    RECREATE = "recreate"
    DELETE = "delete"
    INVERSE = "inverse"
    CLOSE = "close"
    MARK = "mark"
    MERGE = "merge"
    CORRECT = "correct"
    REASSIGN = "reassign"
    RESEND = "resend"
    REGENERATE = "regenerate"
    ACCEPT = "accept"
    TELL = "tell"

    @property
    def by_people(self) -> bool:
        """Whether the software has nothing to run."""
        return self in (Remedy.ACCEPT, Remedy.TELL)


class Reversibility(StrEnum):
    """How much of what the agent did to an object an item takes back."""

    FULLY = "fully"
    BY_TOOL = "by_tool"
    PARTLY = "partly"
    NOT = "not"


class ItemState(StrEnum):
    """Where one recovery item stands.

    ``in_doubt`` means an attempt began and no outcome is recorded, ``cancelled`` that the plan was cancelled before it was done.
    """

    PROPOSED = "proposed"
    APPROVED = "approved"
    IN_DOUBT = "in_doubt"
    VERIFIED = "verified"
    CONFLICT = "conflict"
    FAILED = "failed"
    ACCEPTED = "accepted"
    CANCELLED = "cancelled"


class SystemSight(StrEnum):
    """How changes in a system are known: its triggers tell them, it is looked through around calls, or only declared objects are read."""

    CAPTURE = "capture"
    SCAN = "scan"
    DECLARED = "declared"


class AuditLinkKind(StrEnum):
    """What a later call had to do with an affected object: it changed it, read it, was to change it, or came in the same run after a read."""

    CHANGED = "changed"
    READ = "read"
    NAMED = "named"
    AFTER = "after"


class DriftState(StrEnum):
    """What has become of an object since the calls left it; ``unreadable`` means that it cannot be compared."""

    UNCHANGED = "unchanged"
    CHANGED = "changed"
    GONE = "gone"
    UNREADABLE = "unreadable"


class PlanState(StrEnum):
    """Where a recovery plan stands; a cancelled one is ``running`` until nothing of it is in doubt, then ``finished``."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
