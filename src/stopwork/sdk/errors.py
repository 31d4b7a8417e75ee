"""What a guarded call may raise besides what its tool raises.

::

    Denied
    └── CallRefused            the call did not run
        ├── CallDenied         and will not
        ├── CallDrafted        it is on record as a draft for people to look at
        └── CallWaiting        it waits for approval; resume it later
    Unavailable
    └── OutcomeNotRecorded     the call ran; that could not be put on record
"""

from __future__ import annotations

from typing import Any

from stopwork.control.protocol import Offered, PermitAnswer
from stopwork.control.steps import Unrecorded
from stopwork.kernel.errors import Denied, Unavailable
from stopwork.ledger.records import Reason
from stopwork.ledger.words import Verdict


class CallRefused(Denied):
    """The guard did not let the call run"""

    code = "call_refused"

    @classmethod
    def by(cls, tool: str, answer: PermitAnswer) -> CallRefused:
        """Answer the exception that says what the verdict on this call was, and why."""
        kind, what, hint = _VERDICTS[answer.verdict]
        # A verdict's own reasons explain it; a server that gives none of them is quoted in full.
        own = [reason.text for reason in answer.reasons if reason.verdict is answer.verdict]
        why = "; ".join(own or [reason.text for reason in answer.reasons]) or "no reason was given"
        return kind(
            f"{tool} {what}: {why}.",
            hint=hint,
            call=answer.call,
            tool=tool,
            verdict=answer.verdict.value,
            reasons=answer.reasons,
            approval=answer.approval,
            args=answer.args,
            probe=answer.probe,
        )

    @property
    def call(self) -> str:
        """The id of the call."""
        return str(self.fields["call"])

    @property
    def probe(self) -> Offered | None:
        """What could find out whether an earlier call, whose end nobody saw, has done this already."""
        probe: Offered | None = self.fields["probe"]
        return probe

    @property
    def verdict(self) -> Verdict:
        """What the guard answered."""
        return Verdict(self.fields["verdict"])

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Every reason for the verdict, each with the record that caused it."""
        return tuple(self.fields["reasons"])


class CallDenied(CallRefused):
    """The call was denied"""

    code = "call_denied"


class CallDrafted(CallRefused):
    """The call was recorded as a draft and not run"""

    code = "call_drafted"

    @property
    def draft(self) -> dict[str, Any]:
        """The arguments that were recorded and did not run."""
        return dict(self.fields["args"])


class CallWaiting(CallRefused):
    """The call waits for approval"""

    code = "call_waiting"

    @property
    def approval(self) -> str | None:
        """The id of the question that people are asked."""
        approval: str | None = self.fields["approval"]
        return approval

    @property
    def token(self) -> str:
        """What any process of the workflow can resume the call with; see :mod:`stopwork.sdk.resume`."""
        return str(self.fields["token"])


class OutcomeNotRecorded(Unavailable):
    """The call ran, but what came of it could not be recorded"""

    code = "outcome_not_recorded"

    @classmethod
    def of(cls, tool: str, ending: Unrecorded, result: Any) -> OutcomeNotRecorded:
        """Answer the exception for a call that ran and whose record is incomplete."""
        return cls(
            f"{tool} has run ({ending.outcome}), but its {ending.what} could not be recorded: {ending.error.detail}.",
            hint="Do not repeat the call. It is shown as in flight until someone reconciles it.",
            call=ending.call,
            tool=tool,
            outcome=ending.outcome.value,
            result=result,
        )

    @property
    def call(self) -> str:
        """The id of the call."""
        return str(self.fields["call"])

    @property
    def result(self) -> Any:
        """What the tool returned; ``None`` when it raised."""
        return self.fields["result"]


_VERDICTS: dict[Verdict, tuple[type[CallRefused], str, str]] = {
    Verdict.DENY: (CallDenied, "was denied", "Repeating the call does not change the answer."),
    Verdict.DRAFT: (CallDrafted, "was drafted, not run", "Go on without its effect; people see the draft."),
    Verdict.WAIT: (
        CallWaiting,
        "waits for approval",
        "Keep its token and give it to sw.resume(token) when people have answered, in this process or another.",
    ),
}
