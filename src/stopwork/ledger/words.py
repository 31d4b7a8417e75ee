"""The product's words as enumerations: one code from the manifest to the column, the API and the screen."""

from __future__ import annotations

from enum import StrEnum

from stopwork.ledger.words_of_containment import ContainmentArea as ContainmentArea
from stopwork.ledger.words_of_containment import ContainmentProof as ContainmentProof
from stopwork.ledger.words_of_containment import ContainmentState as ContainmentState
from stopwork.ledger.words_of_containment import HookKind as HookKind
from stopwork.ledger.words_of_containment import PlaceKind as PlaceKind
from stopwork.ledger.words_of_recovery import AuditLinkKind as AuditLinkKind
from stopwork.ledger.words_of_recovery import DriftState as DriftState
from stopwork.ledger.words_of_recovery import ItemState as ItemState
from stopwork.ledger.words_of_recovery import PlanState as PlanState
from stopwork.ledger.words_of_recovery import Question as Question
from stopwork.ledger.words_of_recovery import RecoverySituation as RecoverySituation
from stopwork.ledger.words_of_recovery import Remedy as Remedy
from stopwork.ledger.words_of_recovery import Reversibility as Reversibility
from stopwork.ledger.words_of_recovery import SystemSight as SystemSight
from stopwork.ledger.words_of_telling import TellingState as TellingState
from stopwork.ledger.words_of_telling import TellingStep as TellingStep


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
    """What speaks for a call following a text that its run has read from outside; the last five speak against it."""

    ADDRESS_IN_TEXT = "address_in_text"
    ADDRESS_IN_DATA = "address_in_data"
    CONTROL_IN_TEXT = "control_in_text"
    AMOUNT_IN_TEXT = "amount_in_text"
    TEXT_CARRIED = "text_carried"
    DICTATED = "dictated"
    DEED_NAMED = "deed_named"
    OBJECT_NAMED = "object_named"
    UNREADABLE = "unreadable"
    NOT_ASKED = "not_asked"
    SPEAKS_TO_AGENT = "speaks_to_agent"
    HIDDEN = "hidden"
    STEERED_BEFORE = "steered_before"
    CARRIES_OUT = "carries_out"
    DELEGATED = "delegated"
    ASKED_ABOUT_ITEM = "asked_about_item"
    ASKED_FOR_VALUE = "asked_for_value"
    KNOWN_TO_PEOPLE = "known_to_people"
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
    changed in its system. A monitor only reads the log's checkpoints and hashes."""

    PERSON = "person"
    AGENT = "agent"
    SYSTEM = "system"
    REPORTER = "reporter"
    FEED = "feed"
    MONITOR = "monitor"


class SignalKind(StrEnum):
    ALERT = "alert"
    USER_REPORT = "user_report"
    FAILED_RUN = "failed_run"
    POLICY_VIOLATION = "policy_violation"
    DOWNSTREAM_ANOMALY = "downstream_anomaly"
    SECURITY = "security"
    COST = "cost"


class SignalState(StrEnum):
    """What became of a signal."""

    UNPLACED = "unplaced"
    INCIDENT = "incident"
    LOGGED = "logged"
    SERVER = "server"


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
    """Where an incident stands; ``proposed`` until a person accepts it, declines it, or merges it into another one."""

    PROPOSED = "proposed"
    INVESTIGATING = "investigating"
    CONTAINED = "contained"
    RECOVERING = "recovering"
    MONITORING = "monitoring"
    CLOSED = "closed"
    DECLINED = "declined"
    MERGED = "merged"

    @property
    def ended(self) -> bool:
        """Whether nothing is asked for any more, and no signal joins."""
        return self in (IncidentStatus.CLOSED, IncidentStatus.DECLINED, IncidentStatus.MERGED)


#: The statuses of incidents that still ask for something.
UNENDED = tuple(status for status in IncidentStatus if not status.ended)


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

    ADDED = "added"
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


class AnchorKind(StrEnum):
    """What keeps the log's checkpoints, outside the reach of who runs the server."""

    FILE = "file"
    WEBHOOK = "webhook"
    MAIL = "mail"
    STORE = "store"
    TIMESTAMP = "timestamp"
    WITNESS = "witness"


class BackfillState(StrEnum):
    """Where the order to make up for a missed run stands; ``taken`` is from when a guard has it until its run has ended."""

    ORDERED = "ordered"
    TAKEN = "taken"
    FINISHED = "finished"
    EXPIRED = "expired"
    WITHDRAWN = "withdrawn"
