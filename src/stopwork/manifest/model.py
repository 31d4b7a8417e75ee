"""The manifest's records: every key of ``stopwork.yaml``, its meaning, its bounds and its default.

These structs are the one source of truth. The JSON Schema (:mod:`stopwork.manifest.schema`), the editor help
and the reference page are made from them; a description here is a sentence that users read.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta, Struct, field

from stopwork.ledger.words import EffectKind, Mode, Risk, Role, Severity, Stage
from stopwork.manifest.duration import Duration
from stopwork.manifest.uses import Use

MAX_TOOLS = 500
MAX_ENTRIES = 100
MAX_KEY_PARTS = 20


def _says(description: str, *examples: Any, **bounds: Any) -> Meta:
    """Describe a field to its reader; the bounds are those of :class:`msgspec.Meta`."""
    return Meta(description=description, examples=list(examples) or None, **bounds)


def _format(name: str) -> Meta:
    """Name a format that :mod:`stopwork.manifest.formats` checks."""
    return Meta(min_length=1, extra_json_schema={"format": name})


Slug = Annotated[str, Meta(pattern=r"^[a-z0-9]+([-_][a-z0-9]+)*$", max_length=80)]
ToolName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,127}$")]
Words = Annotated[str, Meta(min_length=1, max_length=500)]
Digest = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
Address = Annotated[str, _format("address")]
Cron = Annotated[str, _format("cron")]
TimeZone = Annotated[str, _format("timezone")]
Usd = Annotated[float, Meta(gt=0, le=1e9)]
Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Share = Annotated[float, Meta(ge=0, le=1)]

Condition = Annotated[str, _format(Use.CONDITION)]
Verification = Annotated[str, _format(Use.VERIFICATION)]
Identity = Annotated[str, _format(Use.IDENTITY)]
KeyPart = Annotated[str, _format(Use.KEY)]
Value = Annotated[str, _format(Use.VALUE)]
Whereto = Annotated[str, _format(Use.ADDRESS)]
Found = Annotated[str, _format(Use.FOUND)]


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
    WORKFLOW = "workflow"


class DuplicateRule(StrEnum):
    """What recovery does with a record that was made twice."""

    CLOSE = "close"
    DELETE = "delete"
    MERGE = "merge"
    MARK = "mark"


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The base of every part of a manifest: frozen, and an unknown key is an error."""


class Owners(Part, frozen=True):
    """The people who answer for the workflow, by role."""

    business: Annotated[Address, _says("Owns the outcome; approves actions, recovery and re-enable.")]
    technical: Annotated[Address, _says("Owns the agent; contains, audits, patches.")]
    backup: Annotated[Address | None, _says("Steps in when an owner does not answer.")] = None
    security: Annotated[Address | None, _says("Told of exposure, injection and credential risk.")] = None
    legal: Annotated[Address | None, _says("Told of regulated data and contractual risk.")] = None
    executive: Annotated[Address | None, _says("Told of sev0 and sev1.")] = None
    communication: Annotated[Address | None, _says("Words what other people are told.")] = None

    def holding(self, role: Role) -> str | None:
        """Answer the address of the person who plays this role, or ``None`` when nobody does."""
        address: str | None = getattr(self, role.value)
        return address

    def by_role(self) -> dict[Role, str]:
        """Answer every role that somebody plays, with the address."""
        return {role: address for role in Role if (address := self.holding(role))}


class Schedule(Part, frozen=True):
    """When the workflow runs, and in what time it has to start and finish."""

    cron: Annotated[Cron, _says("Five fields: minute, hour, day, month, weekday.", "0 8 * * MON")]
    timezone: Annotated[TimeZone, _says("The time zone of the schedule.", "America/New_York")] = "UTC"
    start_within: Annotated[Duration, _says("A run that has not started by then is missed.")] = field(
        default_factory=lambda: Duration(minutes=10)
    )
    finish_within: Annotated[Duration | None, _says("A run not finished by then is missed.")] = None


class Source(Part, frozen=True):
    """Where input comes from."""

    trust: Annotated[Trust, _says("Text from an external source is data, never an instruction.")]
    fresh_within: Annotated[Duration | None, _says("Older input counts as stale.")] = None
    data_classes: Annotated[tuple[Slug, ...], _says("Classes of data it holds.", max_length=MAX_ENTRIES)] = ()


class Budget(Part, frozen=True):
    """The most a run, and a day of runs, may spend; a limit left out does not limit."""

    run_usd: Annotated[Usd | None, _says("Dollars per run.")] = None
    run_tokens: Annotated[Count | None, _says("Model tokens per run.")] = None
    run_calls: Annotated[Count | None, _says("Tool calls per run.")] = None
    run_writes: Annotated[Count | None, _says("Calls per run that change something.")] = None
    day_usd: Annotated[Usd | None, _says("Dollars per day.")] = None
    day_tokens: Annotated[Count | None, _says("Model tokens per day.")] = None
    day_calls: Annotated[Count | None, _says("Tool calls per day.")] = None
    day_writes: Annotated[Count | None, _says("Calls per day that change something.")] = None
    unpriced: Annotated[
        Unpriced, _says("Whether spending of unknown price is denied while a dollar limit is set.")
    ] = Unpriced.DENY


class Object(Part, frozen=True):
    """The object a call changes, so that it can be listed and put back."""

    system: Annotated[Slug, _says("The system's name, as configured where its credential lives.", "crm")]
    type: Annotated[Slug, _says("The kind of object.", "account")]
    id: Annotated[
        Identity,
        _says("Its id: from the arguments, or from the result of a call that makes it.", "args.account_id"),
    ]


class Undo(Part, frozen=True):
    """How a call is undone: exactly one of ``system``, ``tool`` or ``none``."""

    system: Annotated[Slug | None, _says("Put the recorded content back through this system.")] = None
    tool: Annotated[ToolName | None, _says("Call this inverse tool of the manifest.")] = None
    args: Annotated[
        dict[str, Value], _says("The inverse tool's arguments.", {"id": "object.id"}, max_length=MAX_ENTRIES)
    ] = {}
    none: Annotated[
        Words | None, _says("Why it cannot be undone; whoever is affected is told.", "A mail sent is gone.")
    ] = None


class Gate(Part, frozen=True):
    """A rule that asks people before a call runs."""

    when: Annotated[Condition, _says("Ask when this is true.", "args.amount > 1000")] = "true"
    approvers: Annotated[
        tuple[Role, ...], _says("The roles that may approve.", ["business"], min_length=1, max_length=7)
    ] = (Role.BUSINESS,)
    quorum: Annotated[int, _says("How many different people must approve.", ge=1, le=7)] = 1
    expires: Annotated[Duration, _says("Without an answer by then the call is denied.")] = field(
        default_factory=lambda: Duration(hours=4)
    )
    escalate_after: Annotated[
        Duration | None,
        _says(
            "Undecided by then, the backup is asked as well; left out, after half the time that is left to answer."
        ),
    ] = None
    edits: Annotated[
        bool, _says("Whether who is asked may change the arguments; then the changed ones run.")
    ] = True


class Gates(Part, frozen=True):
    """Who is asked before a call that changes something, by its risk: for every tool that has no gate of its own."""

    low: Annotated[Gate | None, _says("For tools of low risk.")] = None
    medium: Annotated[Gate | None, _says("For tools of medium risk.")] = None
    high: Annotated[Gate | None, _says("For tools of high risk.")] = None

    def of(self, risk: Risk) -> Gate | None:
        """Answer the gate of this risk; a blocked tool needs none."""
        gate: Gate | None = getattr(self, risk.value, None)
        return gate


class Probe(Part, frozen=True):
    """How to find out whether a call whose end nobody saw has taken effect: by another tool, which only reads."""

    tool: Annotated[ToolName, _says("The tool that looks.", "crm.find_task")]
    found_when: Annotated[
        Found,
        _says("True of what it returned when the call has taken effect.", "size(result.tasks) > 0"),
    ]
    args: Annotated[
        dict[str, KeyPart],
        _says("Its arguments, from those of the call.", {"title": "args.title"}, max_length=MAX_ENTRIES),
    ] = {}
    result: Annotated[
        Value | None,
        _says("What the call is then said to have returned, to whoever repeats it.", "result.tasks[0]"),
    ] = None
    rest: Annotated[
        Duration,
        _says(
            "Not found counts only when the call ended this long ago: what was cut off may arrive until then."
        ),
    ] = field(default_factory=lambda: Duration(minutes=2))


class Tool(Part, frozen=True):
    """One tool the agent may call. A tool that is not listed is denied."""

    effect: Annotated[EffectKind, _says("What a call does to the world; only a read changes nothing.")]
    title: Annotated[Words | None, _says("What people call it.", "Update account")] = None
    risk: Annotated[Risk, _says("How bad a wrong call is; blocked calls are always denied.")] = Risk.MEDIUM
    permission: Annotated[
        ToolName | None, _says("The connector scope it uses, so that the scope can be paused.", "crm.write")
    ] = None
    source: Annotated[
        Slug | None, _says("The declared source it reads, so that the source can be paused.", "inbox")
    ] = None
    object: Annotated[Object | None, _says("The object it changes.")] = None
    idempotency: Annotated[
        tuple[KeyPart, ...],
        _says(
            "Calls for which all these parts are equal take effect once.",
            ["run.trigger_id", "args.account_id"],
            max_length=MAX_KEY_PARTS,
        ),
    ] = ()
    probe: Annotated[
        Probe | None, _says("How to find out whether a call took effect whose end nobody saw.")
    ] = None
    undo: Annotated[Undo | None, _says("How a call is undone.")] = None
    deny_when: Annotated[Condition | None, _says("Deny when this is true.", "timestamp(args.due) < now")] = (
        None
    )
    gate: Annotated[
        Gate | None, _says("When people are asked first; it stands instead of the gate of its risk.")
    ] = None
    args_schema: Annotated[
        dict[str, Any],
        _says(
            "The JSON Schema of its arguments: a call that does not meet it is denied, and so is a reviewer's change of them.",
            {"properties": {"days": {"type": "integer", "maximum": 90}}},
            max_length=MAX_ENTRIES,
        ),
    ] = {}
    verify: Annotated[
        Verification | None, _says("True when the call took hold.", "result.status == 'created'")
    ] = None
    recipients: Annotated[Whereto | None, _says("Who gets what is sent: text or a list.", "args.to")] = None
    destination: Annotated[
        Whereto | None, _says("Where it goes: a channel, an account, an address.", "args.channel")
    ] = None
    external: Annotated[bool, _says("True when people outside the company can see the effect.")] = False

    @property
    def writes(self) -> bool:
        """Whether a call changes something."""
        return self.effect is not EffectKind.READ


class Alert(Part, frozen=True):
    """What happens when a detector finds something."""

    enabled: Annotated[bool, _says("False switches the rule off.")] = True
    severity: Annotated[
        Severity | None, _says("The least severity proposed; left out, the records alone decide.")
    ] = None
    hold: Annotated[AutoHold, _says("What is paused at once, before anyone is asked.")] = AutoHold.NONE


class DuplicateAlert(Alert, frozen=True):
    """The same action done twice."""

    key: Annotated[
        tuple[KeyPart, ...],
        _says(
            "Two writes for which all these parts are equal are the same action. Left out, or where a call lacks "
            "an argument named here, calls that add something are compared by tool and all arguments.",
            ["tool", "args.account_id", "args.title"],
            max_length=MAX_KEY_PARTS,
        ),
    ] = ()
    window: Annotated[Duration, _says("How far back a first time is looked for.")] = field(
        default_factory=lambda: Duration(days=7)
    )
    hold: Annotated[AutoHold, _says("What is paused at once, before anyone is asked.")] = AutoHold.TOOL


class FailureAlert(Alert, frozen=True):
    """Runs that fail."""

    after: Annotated[int, _says("How many failures in a row raise the alert.", ge=1, le=1000)] = 1


class CostAlert(Alert, frozen=True):
    """Spending out of proportion."""

    of_budget: Annotated[Share, _says("The share of a budget that raises the alert.")] = 0.8
    over_usual: Annotated[
        float, _says("How many times the usual cost of a run raises the alert.", gt=1, le=1000)
    ] = 3.0
    hold: Annotated[AutoHold, _says("What is paused at once, before anyone is asked.")] = AutoHold.WORKFLOW


class Alerts(Part, frozen=True):
    """The alert rules. All are on from the start; write one only to change it."""

    missed_run: Annotated[Alert, _says("A scheduled run did not start or finish in time.")] = field(
        default_factory=Alert
    )
    failed_run: Annotated[FailureAlert, _says("A run failed.")] = field(default_factory=FailureAlert)
    duplicate_action: Annotated[DuplicateAlert, _says("An action was done twice.")] = field(
        default_factory=DuplicateAlert
    )
    stale_input: Annotated[Alert, _says("Input was older than its source allows.")] = field(
        default_factory=Alert
    )
    policy_violation: Annotated[Alert, _says("A call was denied by a condition or a guardrail.")] = field(
        default_factory=Alert
    )
    cost: Annotated[CostAlert, _says("Spending left its budget or its habit.")] = field(
        default_factory=CostAlert
    )
    write_failure: Annotated[Alert, _says("A write failed, or did not take hold.")] = field(
        default_factory=Alert
    )
    pause_test: Annotated[Alert, _says("A pause test failed, or is overdue.")] = field(default_factory=Alert)


class Recovery(Part, frozen=True):
    """How damage is put right."""

    duplicate_records: Annotated[DuplicateRule, _says("What is done with records made twice.")] = (
        DuplicateRule.CLOSE
    )
    approver: Annotated[Role, _says("The role that approves recovery plans.")] = Role.BUSINESS


class Limited(Part, frozen=True):
    """The stage before full autonomy: samples are reviewed and volume is capped."""

    sample_rate: Annotated[Share, _says("The share of writes that people look at first.")] = 0.2
    run_writes: Annotated[Count | None, _says("Calls per run that change something.")] = None
    day_writes: Annotated[Count | None, _says("Calls per day that change something.")] = None


class Demotion(Part, frozen=True):
    """When autonomy is taken back by itself, and down to which stage. It comes back only with its owner."""

    to: Annotated[Stage, _says("The stage it goes down to.")] = Stage.READ_ONLY
    severity: Annotated[
        Severity,
        _says(
            "While autonomy is being given back: a signal of an incident this grave, or graver, takes it back."
        ),
    ] = Severity.SEV1
    on: Annotated[
        tuple[Slug, ...],
        _says("The alert rules that take it back at any time.", ["duplicate_action"], max_length=MAX_ENTRIES),
    ] = ()


class Stages(Part, frozen=True):
    """How much autonomy the workflow starts with, and what ``limited`` means for it."""

    start: Annotated[Stage, _says("The stage a new workflow starts in.")] = Stage.NORMAL
    limited: Annotated[Limited, _says("The rules of the stage before full autonomy.")] = field(
        default_factory=Limited
    )
    demote: Annotated[Demotion, _says("When autonomy is taken back by itself.")] = field(
        default_factory=Demotion
    )


class Response(Part, frozen=True):
    """In what time a responder acknowledges an incident, by severity."""

    sev0: Annotated[Duration, _says("For sev0.")] = field(default_factory=lambda: Duration(minutes=15))
    sev1: Annotated[Duration, _says("For sev1.")] = field(default_factory=lambda: Duration(minutes=30))
    sev2: Annotated[Duration, _says("For sev2.")] = field(default_factory=lambda: Duration(hours=4))
    sev3: Annotated[Duration, _says("For sev3.")] = field(default_factory=lambda: Duration(days=1))

    def within(self, severity: Severity) -> Duration:
        """Answer the time a responder has for this severity."""
        answer: Duration = getattr(self, severity.value)
        return answer


class PauseTesting(Part, frozen=True):
    """How often it is proved that a pause stops this workflow."""

    every: Annotated[
        Duration, _says("While the mode is enforce, a test is done when the last one is this old.")
    ] = field(default_factory=lambda: Duration(days=30))


class ChangeControl(Part, frozen=True):
    """Who has to sign a new version that gives the agent more room before it is in force."""

    approver: Annotated[Role, _says("The role that signs; whoever wrote the version never does.")] = (
        Role.BUSINESS
    )


class Downstream(Part, frozen=True):
    """An automation that reacts to what the agent changes."""

    name: Annotated[Slug, _says("Its name.", "overdue-task-mailer")]
    tools: Annotated[
        tuple[ToolName, ...],
        _says(
            "The tools whose effects it reacts to.", ["crm.create_task"], min_length=1, max_length=MAX_ENTRIES
        ),
    ]
    owner: Annotated[Address | None, _says("Who can stop it.")] = None
    does: Annotated[Words | None, _says("What it does.", "Mails the customer when a task is overdue.")] = None


class Runtime(Part, frozen=True):
    """What runs the agent. A run that reports something else is drift."""

    agent: Annotated[Words | None, _says("The agent's name.", "renewals-agent")] = None
    framework: Annotated[Words | None, _says("The framework it is written in.", "langgraph")] = None
    model: Annotated[Words | None, _says("The model it calls.", "gpt-5-mini")] = None
    prompt: Annotated[Digest | None, _says("The digest of its prompt, as sha256: and 64 hex digits.")] = None


class Manifest(Part, frozen=True):
    """One recurring agent job: who owns it, when it runs, what it may do, and what happens when it goes wrong."""

    workflow: Annotated[Slug, _says("The name of the job; it never changes.", "weekly-renewal-risk")]
    owners: Annotated[Owners, _says("The people who answer for it.")]
    tools: Annotated[
        dict[ToolName, Tool],
        _says(
            "Every tool the agent may call, under the name it calls it by.",
            min_length=1,
            max_length=MAX_TOOLS,
        ),
    ]
    title: Annotated[Words | None, _says("What people call it.", "Weekly renewal risk prep")] = None
    description: Annotated[Words | None, _says("What it is for.")] = None
    formerly: Annotated[
        Slug | None,
        _says("The name it had before: holds on that name, and its stage, hold for this one too."),
    ] = None
    mode: Annotated[Mode, _says("enforce stops calls; observe records what would have been stopped.")] = (
        Mode.ENFORCE
    )
    criticality: Annotated[
        Criticality, _says("How much the business leans on it; high asks for a drill every quarter.")
    ] = Criticality.MEDIUM
    data_classes: Annotated[
        tuple[Slug, ...],
        _says(
            "Classes of data it touches. These raise the severity of an incident: "
            + ", ".join(SensitiveClass)
            + ".",
            ["customer_commitments"],
            max_length=MAX_ENTRIES,
        ),
    ] = ()
    impact: Annotated[tuple[Domain, ...], _says("The fields of business a mistake hurts.", max_length=5)] = ()
    affected_parties: Annotated[
        tuple[Party, ...], _says("Who outside the team a mistake reaches.", max_length=5)
    ] = ()
    runtime: Annotated[Runtime | None, _says("What runs the agent.")] = None
    schedule: Annotated[Schedule | None, _says("When it runs.")] = None
    triggers: Annotated[
        tuple[Slug, ...],
        _says(
            "What may start a run. Left out: manual, and schedule when there is one.",
            ["schedule", "manual"],
            max_length=MAX_ENTRIES,
        ),
    ] = ()
    sources: Annotated[
        dict[Slug, Source], _says("Where its input comes from, by name.", max_length=MAX_ENTRIES)
    ] = {}
    gates: Annotated[Gates, _says("Who is asked first, by risk, where a tool says nothing itself.")] = field(
        default_factory=Gates
    )
    budget: Annotated[Budget, _says("What it may spend.")] = field(default_factory=Budget)
    stages: Annotated[Stages, _says("How much autonomy it has.")] = field(default_factory=Stages)
    alerts: Annotated[Alerts, _says("What is watched, and what an alert pauses.")] = field(
        default_factory=Alerts
    )
    response: Annotated[Response, _says("How fast an incident is answered.")] = field(
        default_factory=Response
    )
    recovery: Annotated[Recovery, _says("How damage is put right.")] = field(default_factory=Recovery)
    pause_test: Annotated[PauseTesting, _says("How often a pause is tested.")] = field(
        default_factory=PauseTesting
    )
    change_control: Annotated[
        ChangeControl | None,
        _says("When there, a version that gives the agent more room waits for a second person."),
    ] = None
    read_lease: Annotated[
        Duration,
        _says(
            "How long a guard may go on with plain reads by itself when it does not hear from the server: 2s to 60s.",
        ),
    ] = field(default_factory=lambda: Duration(seconds=10))
    idempotency_keep: Annotated[
        Duration,
        _says("How long after its last use an idempotency key is kept; then its call may be made again."),
    ] = field(default_factory=lambda: Duration(days=90))
    downstream: Annotated[
        tuple[Downstream, ...],
        _says("Automations that react to what it changes.", max_length=MAX_ENTRIES),
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
