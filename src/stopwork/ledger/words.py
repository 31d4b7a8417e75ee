"""The product's words as enumerations: one code from the manifest to the column, the API and the screen."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What the guard answers for a call."""

    ALLOW = "allow"
    WAIT = "wait"
    DRAFT = "draft"
    DENY = "deny"
    REPLAY = "replay"


class Outcome(StrEnum):
    """How a permitted call ended; a permit without an outcome is *in flight*."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"


class ReasonKind(StrEnum):
    """Why a verdict is what it is, in the order in which the reasons are looked for."""

    REGISTRATION = "registration"
    HOLD = "hold"
    STAGE = "stage"
    RISK = "risk"
    CONDITION = "condition"
    IDEMPOTENCY = "idempotency"
    BUDGET = "budget"
    INJECTION = "injection"
    GATE = "gate"


class Clue(StrEnum):
    """What speaks for a call following a text that its run has read from outside; the last two speak against it."""

    ADDRESS_IN_TEXT = "address_in_text"
    ADDRESS_IN_DATA = "address_in_data"
    CONTROL_IN_TEXT = "control_in_text"
    TEXT_CARRIED = "text_carried"
    DICTATED = "dictated"
    DEED_NAMED = "deed_named"
    OBJECT_NAMED = "object_named"
    NOT_ASKED = "not_asked"
    SPEAKS_TO_AGENT = "speaks_to_agent"
    HIDDEN = "hidden"
    STEERED_BEFORE = "steered_before"
    CARRIES_OUT = "carries_out"
    ASKED_ABOUT_ITEM = "asked_about_item"
    NO_TASK = "no_task"


class EffectKind(StrEnum):
    """What a tool does to the world."""

    READ = "read"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    SEND = "send"
    PAY = "pay"
    APPROVE = "approve"
    TRIGGER = "trigger"


class Operation(StrEnum):
    """What was seen to happen to one object."""

    CREATED = "created"
    MODIFIED = "modified"
    DELETED = "deleted"
    SENT = "sent"
    PAID = "paid"
    APPROVED = "approved"
    TRIGGERED = "triggered"


class ImageState(StrEnum):
    """``unknown`` is not ``absent``: the first means that nobody looked, or that looking failed."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Risk(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    BLOCKED = "blocked"


class Mode(StrEnum):
    """Whether the guard stops anything for a workflow, or only records what it would have stopped."""

    OBSERVE = "observe"
    ENFORCE = "enforce"


class VersionState(StrEnum):
    """What became of a version of a manifest; of those that were applied the newest in force is the workflow's."""

    APPLIED = "applied"
    PROPOSED = "proposed"
    DECLINED = "declined"
    SUPERSEDED = "superseded"


class ScopeKind(StrEnum):
    """What a hold covers."""

    EVERYTHING = "everything"
    WORKFLOW = "workflow"
    TRIGGER = "trigger"
    TOOL = "tool"
    PERMISSION = "permission"
    SOURCE = "source"
    DESTINATION = "destination"


class HoldMode(StrEnum):
    BLOCK = "block"
    READ_ONLY = "read_only"
    DRAFT_ONLY = "draft_only"
    APPROVAL_REQUIRED = "approval_required"


class Stage(StrEnum):
    """How much autonomy a workflow has; declared in the order in which it is given back."""

    READ_ONLY = "read_only"
    DRAFT_ONLY = "draft_only"
    APPROVED_WRITES = "approved_writes"
    LIMITED = "limited"
    NORMAL = "normal"


class RunStatus(StrEnum):
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABANDONED = "abandoned"


class StepKind(StrEnum):
    MODEL_CALL = "model_call"
    RETRIEVAL = "retrieval"
    GUARDRAIL = "guardrail"
    MESSAGE = "message"


class ApprovalState(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CONSUMED = "consumed"


class DraftState(StrEnum):
    """Where a drafted call stands; ``released`` is a person's yes that no guard has carried out yet."""

    OPEN = "open"
    RELEASED = "released"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DISCARDED = "discarded"
    SUPERSEDED = "superseded"


class Role(StrEnum):
    """The part a person plays for a workflow."""

    BUSINESS = "business"
    TECHNICAL = "technical"
    BACKUP = "backup"
    SECURITY = "security"
    LEGAL = "legal"
    EXECUTIVE = "executive"
    COMMUNICATION = "communication"


class PrincipalKind(StrEnum):
    """Who acts; an agent can never approve, lift, sign or send, and a reporter only says what it noticed, a feed what
    changed in its system."""

    PERSON = "person"
    AGENT = "agent"
    SYSTEM = "system"
    REPORTER = "reporter"
    FEED = "feed"


class SignalKind(StrEnum):
    ALERT = "alert"
    USER_REPORT = "user_report"
    FAILED_RUN = "failed_run"
    POLICY_VIOLATION = "policy_violation"
    DOWNSTREAM_ANOMALY = "downstream_anomaly"
    SECURITY = "security"
    COST = "cost"


class IncidentType(StrEnum):
    MISSED_WORKFLOW = "missed_workflow"
    DUPLICATE_WORK = "duplicate_work"
    STALE_OR_WRONG_INPUT = "stale_or_wrong_input"
    TOOL_MISUSE = "tool_misuse"
    APPROVAL_BYPASS = "approval_bypass"
    BAD_WRITEBACK = "bad_writeback"
    EXTERNAL_SEND = "external_send"
    SENSITIVE_DATA_EXPOSURE = "sensitive_data_exposure"
    COST_RUNAWAY = "cost_runaway"
    PROMPT_INJECTION = "prompt_injection"
    POLICY_DRIFT = "policy_drift"


class Severity(StrEnum):
    """How bad; ``sev0`` is the worst."""

    SEV0 = "sev0"
    SEV1 = "sev1"
    SEV2 = "sev2"
    SEV3 = "sev3"


class SeverityFactor(StrEnum):
    EXTERNAL_EXPOSURE = "external_exposure"
    SENSITIVE_DATA = "sensitive_data"
    DOMAIN_IMPACT = "domain_impact"
    PRODUCTION_WRITES = "production_writes"
    AFFECTED_VOLUME = "affected_volume"
    REVERSIBILITY = "reversibility"
    STILL_RUNNING = "still_running"
    ROOT_CAUSE_KNOWN = "root_cause_known"
    COULD_REPEAT_NEXT_RUN = "could_repeat_next_run"


class IncidentStatus(StrEnum):
    INVESTIGATING = "investigating"
    CONTAINED = "contained"
    RECOVERING = "recovering"
    MONITORING = "monitoring"
    CLOSED = "closed"


class PauseRisk(StrEnum):
    """What a pause is meant to keep from happening again."""

    BAD_SCHEDULED_RUN = "bad_scheduled_run"
    BAD_WRITEBACK = "bad_writeback"
    EXTERNAL_SEND = "external_send"
    PROMPT_INJECTION = "prompt_injection"
    SENSITIVE_DATA_EXPOSURE = "sensitive_data_exposure"
    DUPLICATE_WORK = "duplicate_work"
    BROWSER_ERROR = "browser_error"
    TOOL_MISUSE = "tool_misuse"
    COST_RUNAWAY = "cost_runaway"


class DetectedBy(StrEnum):
    ALERT = "alert"
    OWNER = "owner"
    USER_REPORT = "user_report"
    QA_SAMPLE = "qa_sample"
    VENDOR = "vendor"
    CUSTOMER = "customer"
    SECURITY_TOOL = "security_tool"
    FAILED_RUN = "failed_run"


class Phase(StrEnum):
    """The ten phases, in the order in which a person meets them."""

    OPEN = "open"
    PAUSE = "pause"
    PRESERVE = "preserve"
    CONTAIN = "contain"
    AUDIT = "audit"
    RECOVER = "recover"
    COMMUNICATE = "communicate"
    LEARN = "learn"
    REENABLE = "reenable"
    PREPARE = "prepare"


class CustodyDeed(StrEnum):
    """What was done with evidence."""

    SEALED = "sealed"
    VIEWED = "viewed"
    EXPORTED = "exported"
    HELD = "held"
    RELEASED = "released"


class EvidenceKind(StrEnum):
    RUN_RECORD = "run_record"
    PROMPT_VERSION = "prompt_version"
    MODEL_VERSION = "model_version"
    INPUT_SNAPSHOT = "input_snapshot"
    TOOL_TRACE = "tool_trace"
    APPROVAL_STATE = "approval_state"
    OUTPUTS = "outputs"
    CONNECTOR_LOG = "connector_log"
    GUARDRAIL_RESULTS = "guardrail_results"
    ALERTS_AND_CHAT = "alerts_and_chat"


class ContainmentArea(StrEnum):
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
    PROPOSED = "proposed"
    DONE = "done"
    NOT_APPLICABLE = "not_applicable"
    FAILED = "failed"


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


class Audience(StrEnum):
    BUSINESS_OWNER = "business_owner"
    TECHNICAL_OWNER = "technical_owner"
    SECURITY = "security"
    LEGAL_COMPLIANCE = "legal_compliance"
    AFFECTED_INTERNAL_USERS = "affected_internal_users"
    EXTERNAL_PARTIES = "external_parties"
    EXECUTIVES = "executives"


class MessageState(StrEnum):
    """Where a message stands; ``sending`` without an end means that nobody knows whether it left."""

    DRAFT = "draft"
    APPROVED = "approved"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    DISCARDED = "discarded"


class RemediationClass(StrEnum):
    NARROWER_PERMISSIONS = "narrower_permissions"
    INPUT_FRESHNESS = "input_freshness"
    IDEMPOTENCY = "idempotency"
    BLOCKED_ACTIONS = "blocked_actions"
    APPROVAL_GATE = "approval_gate"
    RUN_RECORD = "run_record"
    ALERT_THRESHOLD = "alert_threshold"
    ADVERSARIAL_TESTS = "adversarial_tests"
    VERSION_CONTROL = "version_control"
    CHANGE_CONTROL = "change_control"
    OWNER_TRAINING = "owner_training"
    REENABLE_CRITERIA = "reenable_criteria"


class ReenableCheck(StrEnum):
    PAUSED_OR_NARROWED = "paused_or_narrowed"
    AUDIT_COMPLETE = "audit_complete"
    RECORDS_CORRECTED = "records_corrected"
    ROOT_CAUSE_KNOWN = "root_cause_known"
    CONTROL_PATCHED = "control_patched"
    PERMISSIONS_REDUCED = "permissions_reduced"
    TESTS_ADDED = "tests_added"
    MONITORING_UPDATED = "monitoring_updated"
    RUNBOOK_UPDATED = "runbook_updated"
    OWNER_APPROVED = "owner_approved"
    FIRST_RUN_MONITORED = "first_run_monitored"


class PreparednessCheck(StrEnum):
    OWNER_MAP = "owner_map"
    PAUSE_CONTROL = "pause_control"
    RUN_RECORDS = "run_records"
    AFFECTED_OBJECT_TRACKING = "affected_object_tracking"
    APPROVAL_GATES = "approval_gates"
    SEVERITY_MATRIX = "severity_matrix"
    ALERT_RULES = "alert_rules"
    RECOVERY_PATHS = "recovery_paths"
    CHANGE_CONTROL = "change_control"
    TABLETOP_DRILL = "tabletop_drill"


class CheckState(StrEnum):
    """What a check found; ``attested`` names a person where no record can tell."""

    PASSED = "passed"
    FAILED = "failed"
    ATTESTED = "attested"
    EXCEPTED = "excepted"
    UNKNOWN = "unknown"


class BackfillState(StrEnum):
    """Where the order to make up for a missed run stands; ``taken`` is from when a guard has it until its run has ended."""

    ORDERED = "ordered"
    TAKEN = "taken"
    FINISHED = "finished"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
