"""The manifest's records: every key of ``stopwork.yaml``, its meaning, its bounds and its default.

These structs are the one source of truth. The JSON Schema (:mod:`stopwork.manifest.schema`), the editor help
and the reference page are made from them; a description here is a sentence that users read.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import field
from msgspec.structs import force_setattr

from stopwork.ledger.records import ObjectRef
from stopwork.ledger.words import Mode, Phase, Role, Severity, Stage
from stopwork.manifest.alerts import (
    Alert,
    Alerts,
    CostAlert,
    DuplicateAlert,
    FailureAlert,
)
from stopwork.manifest.credentials import Credential
from stopwork.manifest.duration import Duration
from stopwork.manifest.objects import ObjectRule
from stopwork.manifest.parts import (
    MAX_ENTRIES,
    Address,
    AutoHold,
    Count,
    Criticality,
    Cron,
    Digest,
    Domain,
    DuplicateRule,
    FieldName,
    MessageRule,
    Part,
    Party,
    Place,
    PutThere,
    Ruled,
    SensitiveClass,
    Share,
    Slug,
    SummaryRule,
    TaskRule,
    TimeZone,
    ToolName,
    Trust,
    Unpriced,
    Usd,
    Words,
    WriteRule,
    says,
)
from stopwork.manifest.tools import (
    Gate,
    Gates,
    Probe,
    Tool,
)

__all__ = [
    "Alert",
    "Alerts",
    "AutoHold",
    "Budget",
    "CostAlert",
    "Criticality",
    "Domain",
    "DuplicateAlert",
    "DuplicateRule",
    "FailureAlert",
    "Gate",
    "Limited",
    "Manifest",
    "MessageRule",
    "Probe",
    "RemedyRule",
    "Ruled",
    "Schedule",
    "SensitiveClass",
    "SummaryRule",
    "TaskRule",
    "Tool",
    "Trust",
    "Unpriced",
    "WriteRule",
]

MAX_TOOLS = 500


class Owners(Part, frozen=True):
    """The people who answer for the workflow, by role."""

    business: Annotated[Address, says("Owns the outcome; approves actions, recovery and re-enable.")]
    technical: Annotated[Address, says("Owns the agent; contains, audits, patches.")]
    backup: Annotated[Address | None, says("Steps in when an owner does not answer.")] = None
    security: Annotated[Address | None, says("Told of exposure, injection and credential risk.")] = None
    legal: Annotated[Address | None, says("Told of regulated data and contractual risk.")] = None
    executive: Annotated[Address | None, says("Told of sev0 and sev1.")] = None
    communication: Annotated[Address | None, says("Words what other people are told.")] = None

    def __post_init__(self) -> None:
        # One person has one address, however it is written.
        for role, address in self.by_role().items():
            force_setattr(self, role.value, address.lower())

    def holding(self, role: Role) -> str | None:
        """Answer the address of the person who plays this role, or ``None`` when nobody does."""
        address: str | None = getattr(self, role.value)
        return address

    def by_role(self) -> dict[Role, str]:
        """Answer every role that somebody plays, with the address."""
        return {role: address for role in Role if (address := self.holding(role))}


class Schedule(Part, frozen=True):
    """When the workflow runs, and in what time it has to start and finish."""

    cron: Annotated[Cron, says("Five fields: minute, hour, day, month, weekday.", "0 8 * * MON")]
    timezone: Annotated[TimeZone, says("The time zone of the schedule.", "America/New_York")] = "UTC"
    start_within: Annotated[Duration, says("A run that has not started by then is missed.")] = field(
        default_factory=lambda: Duration(minutes=10)
    )
    finish_within: Annotated[Duration | None, says("A run not finished by then is missed.")] = None


class Source(Part, frozen=True):
    """Where input comes from."""

    trust: Annotated[Trust, says("Text from an external source is data, never an instruction.")]
    fresh_within: Annotated[Duration | None, says("Older input counts as stale.")] = None
    data_classes: Annotated[tuple[Slug, ...], says("Classes of data it holds.", max_length=MAX_ENTRIES)] = ()


class Budget(Part, frozen=True):
    """The most a run, and a day of runs, may spend; a limit left out does not limit."""

    run_usd: Annotated[Usd | None, says("Dollars per run.")] = None
    run_tokens: Annotated[Count | None, says("Model tokens per run.")] = None
    run_calls: Annotated[Count | None, says("Tool calls per run.")] = None
    run_writes: Annotated[Count | None, says("Calls per run that change something.")] = None
    day_usd: Annotated[Usd | None, says("Dollars per day.")] = None
    day_tokens: Annotated[Count | None, says("Model tokens per day.")] = None
    day_calls: Annotated[Count | None, says("Tool calls per day.")] = None
    day_writes: Annotated[Count | None, says("Calls per day that change something.")] = None
    unpriced: Annotated[
        Unpriced, says("Whether spending of unknown price is denied while a dollar limit is set.")
    ] = Unpriced.DENY


class RemedyRule(Part, frozen=True):
    """How one remedy is done: by setting fields, or by calling a tool. Of several that fit, the first one counts."""

    remedy: Annotated[Ruled, says("The remedy that this is about.")]
    system: Annotated[Slug | None, says("Only for objects of this system.", "crm")] = None
    type: Annotated[Slug | None, says("Only for this kind of object.", "task")] = None
    set: Annotated[
        dict[FieldName, PutThere],
        says(
            "The fields to set; each value is an expression, so text stands in quotes within quotes.",
            {"status": "'closed'", "duplicate_of": "original.id"},
            max_length=MAX_ENTRIES,
        ),
    ] = {}
    tool: Annotated[ToolName | None, says("Or the tool of the manifest to call.", "mail.send")] = None
    args: Annotated[
        dict[str, PutThere],
        says("The tool's arguments.", {"to": "args.to"}, max_length=MAX_ENTRIES),
    ] = {}

    def fits(self, ref: ObjectRef) -> bool:
        """Answer whether this rule is about such an object."""
        return self.system in (None, ref.system) and self.type in (None, ref.type)


class Recovery(Part, frozen=True):
    """How damage is put right: what is done in which situation, and how."""

    duplicate_records: Annotated[DuplicateRule, says("What is done with records made twice.")] = (
        DuplicateRule.CLOSE
    )
    wrong_internal_tasks: Annotated[
        TaskRule, says("What is done with records that should not have been made.")
    ] = TaskRule.UNDO
    bad_production_write: Annotated[WriteRule, says("What is done with records that were changed.")] = (
        WriteRule.UNDO
    )
    bad_external_message: Annotated[MessageRule, says("What is done about messages that were sent.")] = (
        MessageRule.TELL
    )
    stale_summary: Annotated[
        SummaryRule,
        says("What is done with text from stale or wrong sources, where a rule says how it is made again."),
    ] = SummaryRule.REGENERATE
    remedies: Annotated[tuple[RemedyRule, ...], says("How remedies are done.", max_length=MAX_ENTRIES)] = ()
    approver: Annotated[Role, says("The role that approves recovery plans.")] = Role.BUSINESS


class Limited(Part, frozen=True):
    """The stage before full autonomy: samples are reviewed and volume is capped."""

    sample_rate: Annotated[Share, says("The share of writes that people look at first.")] = 0.2
    run_writes: Annotated[Count | None, says("Calls per run that change something.")] = None
    day_writes: Annotated[Count | None, says("Calls per day that change something.")] = None


class Demotion(Part, frozen=True):
    """When autonomy is taken back by itself, and down to which stage. It comes back only with its owner."""

    to: Annotated[Stage, says("The stage it goes down to.")] = Stage.READ_ONLY
    severity: Annotated[
        Severity,
        says(
            "While autonomy is being given back: a signal of an incident this grave, or graver, takes it back."
        ),
    ] = Severity.SEV1
    on: Annotated[
        tuple[Slug, ...],
        says("The alert rules that take it back at any time.", ["duplicate_action"], max_length=MAX_ENTRIES),
    ] = ()


class Stages(Part, frozen=True):
    """How much autonomy the workflow starts with, and what ``limited`` means for it."""

    start: Annotated[Stage, says("The stage a new workflow starts in.")] = Stage.NORMAL
    limited: Annotated[Limited, says("The rules of the stage before full autonomy.")] = field(
        default_factory=Limited
    )
    demote: Annotated[Demotion, says("When autonomy is taken back by itself.")] = field(
        default_factory=Demotion
    )


class Response(Part, frozen=True):
    """In what time a responder acknowledges an incident, by severity, and whom it goes to when nobody does."""

    sev0: Annotated[Duration, says("For sev0.")] = field(default_factory=lambda: Duration(minutes=15))
    sev1: Annotated[Duration, says("For sev1.")] = field(default_factory=lambda: Duration(minutes=30))
    sev2: Annotated[Duration, says("For sev2.")] = field(default_factory=lambda: Duration(hours=4))
    sev3: Annotated[Duration, says("For sev3.")] = field(default_factory=lambda: Duration(days=1))
    escalate_to: Annotated[
        tuple[Role, ...],
        says(
            "The roles that are asked one after the other, each with that time, when nobody has taken it. "
            "The administrators come last.",
            ["backup", "executive"],
            max_length=7,
        ),
    ] = (Role.BACKUP, Role.EXECUTIVE)

    def within(self, severity: Severity) -> Duration:
        """Answer the time a responder has for this severity."""
        answer: Duration = getattr(self, severity.value)
        return answer


class PauseTesting(Part, frozen=True):
    """How often it is proved that a pause stops this workflow."""

    every: Annotated[
        Duration, says("While the mode is enforce, a test is done when the last one is this old.")
    ] = field(default_factory=lambda: Duration(days=30))


class ChangeControl(Part, frozen=True):
    """Who has to sign a new version that gives the agent more room before it is in force."""

    approver: Annotated[Role, says("The role that signs; whoever wrote the version never does.")] = (
        Role.BUSINESS
    )


class Downstream(Part, frozen=True):
    """An automation that reacts to what the agent changes."""

    name: Annotated[Slug, says("Its name.", "overdue-task-mailer")]
    tools: Annotated[
        tuple[ToolName, ...],
        says(
            "The tools whose effects it reacts to.", ["crm.create_task"], min_length=1, max_length=MAX_ENTRIES
        ),
    ]
    owner: Annotated[Address | None, says("Who can stop it.")] = None
    does: Annotated[Words | None, says("What it does.", "Mails the customer when a task is overdue.")] = None
    hooks: Annotated[
        tuple[Slug, ...],
        says("Hooks of the server, by name, that stop it.", ["stop-mailer"], max_length=MAX_ENTRIES),
    ] = ()


class Ask(Part, frozen=True):
    """A question of your own, asked in a phase of every incident of this workflow."""

    phase: Annotated[Phase, says("The phase it is asked in.", "pause")]
    question: Annotated[Words, says("The question.", "Is the mailer of the CRM stopped as well?")]


class Runtime(Part, frozen=True):
    """What runs the agent. A run that reports something else is drift."""

    agent: Annotated[Words | None, says("The agent's name.", "renewals-agent")] = None
    framework: Annotated[Words | None, says("The framework it is written in.", "langgraph")] = None
    model: Annotated[Words | None, says("The model it calls.", "gpt-5-mini")] = None
    prompt: Annotated[Digest | None, says("The digest of its prompt, as sha256: and 64 hex digits.")] = None


class Manifest(Part, frozen=True):
    """One recurring agent job: who owns it, when it runs, what it may do, and what happens when it goes wrong."""

    workflow: Annotated[Slug, says("The name of the job; it never changes.", "weekly-renewal-risk")]
    owners: Annotated[Owners, says("The people who answer for it.")]
    tools: Annotated[
        dict[ToolName, Tool],
        says(
            "Every tool the agent may call, under the name it calls it by.",
            min_length=1,
            max_length=MAX_TOOLS,
        ),
    ]
    title: Annotated[Words | None, says("What people call it.", "Weekly renewal risk prep")] = None
    description: Annotated[Words | None, says("What it is for.")] = None
    formerly: Annotated[
        Slug | None,
        says("The name it had before: holds on that name, and its stage, hold for this one too."),
    ] = None
    mode: Annotated[Mode, says("enforce stops calls; observe records what would have been stopped.")] = (
        Mode.ENFORCE
    )
    criticality: Annotated[
        Criticality, says("How much the business leans on it; high asks for a drill every quarter.")
    ] = Criticality.MEDIUM
    data_classes: Annotated[
        tuple[Slug, ...],
        says(
            "Classes of data it touches. These raise the severity of an incident: "
            + ", ".join(SensitiveClass)
            + ".",
            ["customer_commitments"],
            max_length=MAX_ENTRIES,
        ),
    ] = ()
    impact: Annotated[tuple[Domain, ...], says("The fields of business a mistake hurts.", max_length=5)] = ()
    affected_parties: Annotated[
        tuple[Party, ...], says("Who outside the team a mistake reaches.", max_length=5)
    ] = ()
    runtime: Annotated[Runtime | None, says("What runs the agent.")] = None
    schedule: Annotated[Schedule | None, says("When it runs.")] = None
    triggers: Annotated[
        tuple[Slug, ...],
        says(
            "What may start a run. Left out: manual, and schedule when there is one.",
            ["schedule", "manual"],
            max_length=MAX_ENTRIES,
        ),
    ] = ()
    sources: Annotated[
        dict[Slug, Source], says("Where its input comes from, by name.", max_length=MAX_ENTRIES)
    ] = {}
    gates: Annotated[Gates, says("Who is asked first, by risk, where a tool says nothing itself.")] = field(
        default_factory=Gates
    )
    budget: Annotated[Budget, says("What it may spend.")] = field(default_factory=Budget)
    stages: Annotated[Stages, says("How much autonomy it has.")] = field(default_factory=Stages)
    alerts: Annotated[Alerts, says("What is watched, and what an alert pauses.")] = field(
        default_factory=Alerts
    )
    response: Annotated[Response, says("How fast an incident is answered.")] = field(default_factory=Response)
    recovery: Annotated[Recovery, says("How damage is put right.")] = field(default_factory=Recovery)
    pause_test: Annotated[PauseTesting, says("How often a pause is tested.")] = field(
        default_factory=PauseTesting
    )
    change_control: Annotated[
        ChangeControl | None,
        says("When there, a version that gives the agent more room waits for a second person."),
    ] = None
    read_lease: Annotated[
        Duration,
        says(
            "How long a guard may go on with plain reads by itself when it does not hear from the server: 2s to 60s.",
        ),
    ] = field(default_factory=lambda: Duration(seconds=10))
    idempotency_keep: Annotated[
        Duration,
        says("How long after its last use an idempotency key is kept; then its call may be made again."),
    ] = field(default_factory=lambda: Duration(days=90))
    identities: Annotated[
        dict[Slug, tuple[Words, ...]],
        says(
            "As whom its agent writes, by system: a change that a feed of the system lays to one of these and no "
            "guarded call explains is a bypass.",
            {"crm": ["agent-renewals@acme.test"]},
            max_length=MAX_ENTRIES,
        ),
    ] = {}
    objects: Annotated[
        dict[Place, ObjectRule],
        says(
            "What is possible for the objects it changes, by system and type.",
            {"crm/account": {"fields": {"amount": {"min": 0}}}},
            max_length=MAX_ENTRIES,
        ),
    ] = {}
    downstream: Annotated[
        tuple[Downstream, ...],
        says("Automations that react to what it changes.", max_length=MAX_ENTRIES),
    ] = ()
    credentials: Annotated[
        dict[Slug, Credential],
        says(
            "The credentials its agent works with, by name and never by value: what an incident may ask to be revoked.",
            {"crm-token": {"kind": "secret", "system": "crm", "permissions": ["crm.write"]}},
            max_length=MAX_ENTRIES,
        ),
    ] = {}
    checklist: Annotated[
        tuple[Ask, ...],
        says(
            "Your own questions for its incidents. An incident keeps those that stood here when it was opened.",
            max_length=MAX_ENTRIES,
        ),
    ] = ()

    @property
    def heading(self) -> str:
        """The title, or the name where there is no title."""
        return self.title or self.workflow

    def gate_of(self, tool: str) -> Gate | None:
        """Answer the gate before this tool: its own, or that of its risk when it changes something."""
        declared = self.tools[tool]
        return declared.gate or (self.gates.of(declared.risk) if declared.writes else None)

    def gate_field(self, tool: str) -> str:
        """Answer where the gate before this tool stands in the manifest."""
        declared = self.tools[tool]
        return f"tools.{tool}.gate" if declared.gate else f"gates.{declared.risk}"

    @property
    def accepted_triggers(self) -> tuple[str, ...]:
        """What may start a run."""
        if self.triggers:
            return self.triggers
        return ("schedule", "manual") if self.schedule else ("manual",)

    @property
    def systems(self) -> tuple[str, ...]:
        """The systems its tools change, each once, in order of first mention."""
        named = (tool.object.system for tool in self.tools.values() if tool.object)
        return tuple(dict.fromkeys(named))
