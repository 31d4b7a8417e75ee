"""What a manifest says of the alert rules: what is watched, and what is done when it is found."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from msgspec import field

from stopwork.ledger.words import Severity, SignalKind
from stopwork.manifest.duration import Duration
from stopwork.manifest.parts import (
    MAX_ENTRIES,
    MAX_KEY_PARTS,
    AutoHold,
    Count,
    FieldPath,
    InjectionGate,
    KeyPart,
    Part,
    Pattern,
    Receiver,
    Share,
    Slug,
    says,
)

MAX_PATTERNS = 20


class Opening(StrEnum):
    """What a finding comes to: an incident, the proposal of one, or a signal that is only recorded."""

    ALWAYS = "always"
    PROPOSE = "propose"
    LOG = "log"


class Threshold(Part, frozen=True):
    """How often something is found before it is more than a signal."""

    count: Annotated[int, says("So many findings of one cause.", 3, ge=1, le=1000)]
    within: Annotated[Duration, says("In this time.", "1h")] = field(
        default_factory=lambda: Duration(hours=1)
    )


_HELD: Final = (
    "What is paused with the incident that is opened, proposed or joined, before anyone is asked. "
    "What is only recorded (at sev3, below the threshold, with open: log) pauses nothing."
)


class Alert(Part, frozen=True):
    """What happens when a detector finds something."""

    enabled: Annotated[bool, says("False switches the rule off.")] = True
    severity: Annotated[
        Severity | None, says("The least severity proposed; left out, the records alone decide.")
    ] = None
    hold: Annotated[AutoHold, says(_HELD)] = AutoHold.NONE
    open: Annotated[
        Opening,
        says(
            "What a finding of a new cause comes to: an incident at once, one that people accept or decline, or "
            "a signal only. What is found again joins the incident of its cause in any case."
        ),
    ] = Opening.ALWAYS
    threshold: Annotated[
        Threshold | None,
        says(
            "How often one cause is found before an incident is opened or proposed; left out, the first time."
        ),
    ] = None


class DuplicateAlert(Alert, frozen=True):
    """The same action done twice."""

    key: Annotated[
        tuple[KeyPart, ...],
        says(
            "Two writes for which all these parts are equal are the same action. Left out, or where a call lacks "
            "an argument named here, calls are compared by tool and all arguments: those that add something at once, "
            "others once they are seen to have changed the same again.",
            ["tool", "args.account_id", "args.title"],
            max_length=MAX_KEY_PARTS,
        ),
    ] = ()
    window: Annotated[Duration, says("How far back a first time is looked for.")] = field(
        default_factory=lambda: Duration(days=7)
    )
    alike: Annotated[
        Share,
        says(
            "Without a key: how alike the texts of two calls are that say the same in other words. At 1 only case, spacing and "
            "punctuation may differ. Names, numbers, dates and addresses are equal in any case."
        ),
    ] = 0.9
    hold: Annotated[AutoHold, says(_HELD)] = AutoHold.TOOL


class InputAlert(Alert, frozen=True):
    """Input that is too old, from a source nobody declared, or of somebody else's account."""

    account: Annotated[
        FieldPath | None,
        says(
            "Where each run works for one account: the field of arguments and of retrieved facts in which the account stands. "
            "The first one that a run names is its own; anything of another one is wrong input.",
            "customer_id",
        ),
    ] = None


class FailureAlert(Alert, frozen=True):
    """Runs that fail."""

    after: Annotated[
        int,
        says(
            "How many failures in a row raise the alert. One that wrote something before, or may have, raises it at once.",
            ge=1,
            le=1000,
        ),
    ] = 1


RUNTIME: Final = "runtime_s"
"""The time that runs take, among what they use."""


class UseLimits(Part, frozen=True):
    """How much use raises the alert; what is left out is compared with what is usual alone."""

    retrieval: Annotated[Count | None, says("Retrievals: steps of that kind, and calls counted so.")] = None
    browser: Annotated[Count | None, says("Runs of a browser.")] = None
    enrichment: Annotated[Count | None, says("Enrichments.")] = None
    api: Annotated[Count | None, says("Calls of an API that is paid by use.")] = None
    runtime: Annotated[
        Duration | None, says("The time from start to end of a run that waits for nobody.", "30m")
    ] = None

    def most(self, unit: str) -> float | None:
        """Answer the limit of a unit; of the time in seconds."""
        if unit == RUNTIME:
            return None if self.runtime is None else self.runtime.total_seconds()
        limit: float | None = getattr(self, unit)
        return limit


class CostAlert(Alert, frozen=True):
    """Spending out of proportion."""

    of_budget: Annotated[Share, says("The share of a budget that raises the alert.")] = 0.8
    over_usual: Annotated[
        float, says("How many times the usual cost of a run raises the alert.", gt=1, le=1000)
    ] = 3.0
    run: Annotated[
        UseLimits, says("The use of one run that raises the alert. Unlike a budget it denies no call.")
    ] = field(default_factory=UseLimits)
    day: Annotated[UseLimits, says("The same of a day of runs.")] = field(default_factory=UseLimits)
    hold: Annotated[AutoHold, says(_HELD)] = AutoHold.WORKFLOW


class LoopAlert(Alert, frozen=True):
    """Runs that go round in circles."""

    repeats: Annotated[
        int,
        says(
            "So many calls that repeat each other, without anything new between them, raise the alert; so do so many runs.",
            ge=5,
            le=10_000,
        ),
    ] = 20
    within: Annotated[Duration, says("In what time they have to come.")] = field(
        default_factory=lambda: Duration(minutes=5)
    )


class BypassAlert(Alert, frozen=True):
    """Changes that went past the people who are asked, or past the guard."""

    within: Annotated[
        Duration,
        says(
            "A change that a feed tells of may be that of a call which ran this shortly before or after it."
        ),
    ] = field(default_factory=lambda: Duration(minutes=5))


class WritebackAlert(Alert, frozen=True):
    """Values that cannot be right."""

    reverted_within: Annotated[
        Duration, says("A person who puts a field back in this time says that it was wrong.")
    ] = field(default_factory=lambda: Duration(days=7))


class ArgumentsAlert(Alert, frozen=True):
    """Arguments of another kind than this tool has ever been given."""

    after: Annotated[
        int, says("How many calls of a tool are learned from before one is unusual.", ge=10, le=10_000)
    ] = 30


class ExposureAlert(Alert, frozen=True):
    """Sensitive values where nobody declared them."""

    patterns: Annotated[
        dict[Slug, Pattern],
        says(
            "How values of further restricted classes are written: regular expressions in RE2 syntax, by class of data.",
            {"staff_numbers": "EMP-\\d{6}"},
            max_length=MAX_PATTERNS,
        ),
    ] = {}
    hold: Annotated[
        AutoHold, says("What is paused with the incident when such a value leaves the company.")
    ] = AutoHold.TOOL


class SendAlert(Alert, frozen=True):
    """Messages to the wrong people, or to too many."""

    inside: Annotated[
        tuple[Receiver, ...],
        says(
            "Who else is inside the company, besides everybody in the owners' domains: domains, addresses.",
            ["acme.example"],
            max_length=MAX_ENTRIES,
        ),
    ] = ()
    after: Annotated[
        int, says("How many messages of a tool are learned from before one is unusual.", ge=10, le=10_000)
    ] = 30
    over_usual: Annotated[
        float,
        says("How many times the most that is usual raises the alert, in a run or a day.", gt=1, le=1000),
    ] = 3.0
    run_recipients: Annotated[
        Count | None, says("The most recipients outside the company that one run may write to.")
    ] = None
    hold: Annotated[
        AutoHold,
        says(
            "What is paused with the incident when a message breaks a limit that is written here or at its tool."
        ),
    ] = AutoHold.TOOL


class InjectionAlert(Alert, frozen=True):
    """Calls that follow what the agent has read from a source outside, instead of its task."""

    gate: Annotated[
        InjectionGate,
        says(
            "What is done with such a call: ask has people approve it, deny refuses it, off only raises the alert."
        ),
    ] = InjectionGate.ASK
    score: Annotated[
        float,
        says("From which sum of clues on: less asks more often, more misses more.", ge=0.5, le=20),
    ] = 2.5


class ReportAlert(Alert, frozen=True):
    """What people or other tools say is wrong; no detector finds it."""

    enabled: Annotated[
        bool, says("False only records what is reported, as open: log does; nothing that is said is lost.")
    ] = True
    hold: Annotated[
        AutoHold,
        says(
            "What is paused with the incident that is opened, proposed or joined, before anyone is asked. "
            "What anybody could have said, as a mail is, pauses nothing."
        ),
    ] = AutoHold.NONE


class Alerts(Part, frozen=True):
    """The alert rules. All are on from the start; write one only to change it."""

    missed_run: Annotated[Alert, says("A scheduled run did not start or finish in time.")] = field(
        default_factory=lambda: Alert(severity=Severity.SEV2)
    )
    failed_run: Annotated[FailureAlert, says("A run failed.")] = field(default_factory=FailureAlert)
    duplicate_action: Annotated[DuplicateAlert, says("An action was done twice.")] = field(
        default_factory=DuplicateAlert
    )
    stale_input: Annotated[
        InputAlert,
        says(
            "Input was older than its source allows, or of a source or an account that is none of the run's."
        ),
    ] = field(default_factory=InputAlert)
    policy_violation: Annotated[Alert, says("A call was denied by a condition or a guardrail.")] = field(
        default_factory=Alert
    )
    cost: Annotated[CostAlert, says("Spending left its budget or its habit.")] = field(
        default_factory=CostAlert
    )
    loop: Annotated[LoopAlert, says("A run repeats the same calls and learns nothing.")] = field(
        default_factory=LoopAlert
    )
    prompt_injection: Annotated[
        InjectionAlert, says("A call seems to follow what was read from outside, instead of the task.")
    ] = field(default_factory=InjectionAlert)
    write_failure: Annotated[Alert, says("A write failed, or did not take hold.")] = field(
        default_factory=Alert
    )
    pause_test: Annotated[Alert, says("A pause test failed, or is overdue.")] = field(default_factory=Alert)
    approval_bypass: Annotated[BypassAlert, says("Something was done that nobody approved.")] = field(
        default_factory=BypassAlert
    )
    bad_writeback: Annotated[WritebackAlert, says("A value was written that cannot be right.")] = field(
        default_factory=WritebackAlert
    )
    unusual_arguments: Annotated[ArgumentsAlert, says("A tool was called as it never was before.")] = field(
        default_factory=ArgumentsAlert
    )
    drift: Annotated[Alert, says("What runs the agent, or how it behaves, is not what it was.")] = field(
        default_factory=Alert
    )
    sensitive_data: Annotated[
        ExposureAlert, says("A credential, or data of a restricted class, stood where it should not.")
    ] = field(default_factory=ExposureAlert)
    external_send: Annotated[SendAlert, says("Something was sent to the wrong people, or to too many.")] = (
        field(default_factory=SendAlert)
    )
    user_report: Annotated[
        ReportAlert,
        says("A person said that something is wrong: in the console, by mail, or through another tool."),
    ] = field(default_factory=ReportAlert)
    tool_report: Annotated[
        ReportAlert, says("Another tool said that something is wrong: an alert, a webhook, a trace.")
    ] = field(default_factory=ReportAlert)


#: The rules that no detector finds anything for.
REPORT_RULES: Final = ("user_report", "tool_report")


def rule_of_report(kind: SignalKind) -> str:
    """Answer the name of the rule for what was reported, whatever way it came in."""
    people, tools = REPORT_RULES
    return people if kind is SignalKind.USER_REPORT else tools
