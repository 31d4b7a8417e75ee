"""What a manifest says of one tool: what it does, who is asked, how it is undone, and how it is looked into."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import field

from stopwork.ledger.words import EffectKind, Risk, Role
from stopwork.manifest.duration import Duration
from stopwork.manifest.parts import (
    MAX_ENTRIES,
    MAX_KEY_PARTS,
    Condition,
    Found,
    Identity,
    KeyPart,
    Part,
    Place,
    Receiver,
    Slug,
    ToolName,
    Unit,
    Value,
    Verification,
    Whereto,
    Words,
    says,
)


class Object(Part, frozen=True):
    """The object a call changes, so that it can be listed and put back."""

    system: Annotated[Slug, says("The system's name, as configured where its credential lives.", "crm")]
    type: Annotated[Slug, says("The kind of object.", "account")]
    id: Annotated[
        Identity,
        says("Its id: from the arguments, or from the result of a call that makes it.", "args.account_id"),
    ]


class Undo(Part, frozen=True):
    """How a call is undone: exactly one of ``system``, ``tool`` or ``none``."""

    system: Annotated[Slug | None, says("Put the recorded content back through this system.")] = None
    tool: Annotated[ToolName | None, says("Call this inverse tool of the manifest.")] = None
    args: Annotated[
        dict[str, Value], says("The inverse tool's arguments.", {"id": "object.id"}, max_length=MAX_ENTRIES)
    ] = {}
    none: Annotated[
        Words | None, says("Why it cannot be undone; whoever is affected is told.", "A mail sent is gone.")
    ] = None


class Gate(Part, frozen=True):
    """A rule that asks people before a call runs."""

    when: Annotated[Condition, says("Ask when this is true.", "args.amount > 1000")] = "true"
    approvers: Annotated[
        tuple[Role, ...], says("The roles that may approve.", ["business"], min_length=1, max_length=7)
    ] = (Role.BUSINESS,)
    quorum: Annotated[int, says("How many different people must approve.", ge=1, le=7)] = 1
    expires: Annotated[Duration, says("Without an answer by then the call is denied.")] = field(
        default_factory=lambda: Duration(hours=4)
    )
    escalate_after: Annotated[
        Duration | None,
        says(
            "Undecided by then, the backup is asked as well; left out, after half the time that is left to answer."
        ),
    ] = None
    edits: Annotated[
        bool, says("Whether who is asked may change the arguments; then the changed ones run.")
    ] = True


class Gates(Part, frozen=True):
    """Who is asked before a call that changes something, by its risk: for every tool that has no gate of its own."""

    low: Annotated[Gate | None, says("For tools of low risk.")] = None
    medium: Annotated[Gate | None, says("For tools of medium risk.")] = None
    high: Annotated[Gate | None, says("For tools of high risk.")] = None

    def of(self, risk: Risk) -> Gate | None:
        """Answer the gate of this risk; a blocked tool needs none."""
        gate: Gate | None = getattr(self, risk.value, None)
        return gate


class Probe(Part, frozen=True):
    """How to find out whether a call whose end nobody saw has taken effect: by another tool, which only reads."""

    tool: Annotated[ToolName, says("The tool that looks.", "crm.find_task")]
    found_when: Annotated[
        Found,
        says("True of what it returned when the call has taken effect.", "size(result.tasks) > 0"),
    ]
    args: Annotated[
        dict[str, KeyPart],
        says("Its arguments, from those of the call.", {"title": "args.title"}, max_length=MAX_ENTRIES),
    ] = {}
    result: Annotated[
        Value | None,
        says("What the call is then said to have returned, to whoever repeats it.", "result.tasks[0]"),
    ] = None
    rest: Annotated[
        Duration,
        says(
            "Not found counts only when the call ended this long ago: what was cut off may arrive until then."
        ),
    ] = field(default_factory=lambda: Duration(minutes=2))


class Tool(Part, frozen=True):
    """One tool the agent may call. A tool that is not listed is denied."""

    effect: Annotated[EffectKind, says("What a call does to the world; only a read changes nothing.")]
    title: Annotated[Words | None, says("What people call it.", "Update account")] = None
    risk: Annotated[Risk, says("How bad a wrong call is; blocked calls are always denied.")] = Risk.MEDIUM
    permission: Annotated[
        ToolName | None, says("The connector scope it uses, so that the scope can be paused.", "crm.write")
    ] = None
    source: Annotated[
        Slug | None, says("The declared source it reads, so that the source can be paused.", "inbox")
    ] = None
    object: Annotated[
        Object | None, says("The object it changes; of a read tool the one it reads, or a list of ids.")
    ] = None
    also: Annotated[
        tuple[Place, ...],
        says(
            "What else a call changes as a matter of course: systems, or types of object in one. Anything else that it is seen to change, and its effect does not say, is found as a violation.",
            ["crm/activity"],
            max_length=MAX_ENTRIES,
        ),
    ] = ()
    idempotency: Annotated[
        tuple[KeyPart, ...],
        says(
            "Calls for which all these parts are equal take effect once.",
            ["run.trigger_id", "args.account_id"],
            max_length=MAX_KEY_PARTS,
        ),
    ] = ()
    probe: Annotated[
        Probe | None, says("How to find out whether a call took effect whose end nobody saw.")
    ] = None
    undo: Annotated[Undo | None, says("How a call is undone.")] = None
    deny_when: Annotated[Condition | None, says("Deny when this is true.", "timestamp(args.due) < now")] = (
        None
    )
    gate: Annotated[
        Gate | None, says("When people are asked first; it stands instead of the gate of its risk.")
    ] = None
    args_schema: Annotated[
        dict[str, Any],
        says(
            "The JSON Schema of its arguments: a call that does not meet it is denied, and so is a reviewer's change of them.",
            {"properties": {"days": {"type": "integer", "maximum": 90}}},
            max_length=MAX_ENTRIES,
        ),
    ] = {}
    verify: Annotated[
        Verification | None, says("True when the call took hold.", "result.status == 'created'")
    ] = None
    recipients: Annotated[Whereto | None, says("Who gets what is sent: text or a list.", "args.to")] = None
    destination: Annotated[
        Whereto | None, says("Where it goes: a channel, an account, an address.", "args.channel")
    ] = None
    only_to: Annotated[
        tuple[Receiver, ...],
        says(
            "Who may get it: addresses, domains, channels; a * stands at the beginning or the end. What goes to anybody else is found. "
            "Left out, what is usual decides.",
            ["*@acme.test", "brightwater.test"],
            max_length=MAX_ENTRIES,
        ),
    ] = ()
    data_classes: Annotated[
        tuple[Slug, ...],
        says(
            "Classes of data that may go where this tool carries them, out of the company as well.",
            ["banking_details"],
            max_length=MAX_ENTRIES,
        ),
    ] = ()
    unit: Annotated[
        Unit | None,
        says(
            "What a call of it is counted as, where it is paid by use: a run of a browser, an enrichment, a retrieval, an API call. "
            "Steps of kind retrieval are counted without it.",
        ),
    ] = None
    external: Annotated[bool, says("True when people outside the company can see the effect.")] = False

    @property
    def writes(self) -> bool:
        """Whether a call changes something."""
        return self.effect is not EffectKind.READ
