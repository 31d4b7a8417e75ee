"""One look at one snapshot, and the rows that several pages build from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from msgspec import Struct

from stopwork.control import gates
from stopwork.incidents import images
from stopwork.incidents.offers import HOLD, HookOffer
from stopwork.kernel.errors import StopworkError
from stopwork.kernel.phrases import sentence
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations import holds, nagging
from stopwork.operations.manifests import Manifests
from stopwork.server.pages import contexts as c
from stopwork.storage.view import View
from stopwork.systems.base import System

MAX_PENDING: Final = 200
OPEN_STATUSES: Final = w.UNENDED

_COVERS: Final = {
    w.ScopeKind.EVERYTHING: "Every call of every agent.",
    w.ScopeKind.WORKFLOW: "Every call of {name}.",
    w.ScopeKind.TRIGGER: "Every call of runs that {name} starts{of}.",
    w.ScopeKind.TOOL: "Every call of the tool {name}{of}.",
    w.ScopeKind.PERMISSION: "Every call of a tool that uses {name}{of}.",
    w.ScopeKind.SOURCE: "Every call that is fed from {name}{of}.",
    w.ScopeKind.DESTINATION: "Every call that reaches {name}{of}.",
}


class Look(Struct, frozen=True, kw_only=True):
    """What every builder works with. ``query`` holds the filters that stand in the address, ``systems`` are the connected ones, ``offers`` the hooks."""

    view: View
    manifests: Manifests
    now: datetime
    visit: c.Visit
    query: Mapping[str, str] = {}
    systems: Mapping[str, System] = {}
    offers: tuple[HookOffer, ...] = (HOLD,)

    @property
    def person(self) -> r.Principal:
        return r.Principal(kind=w.PrincipalKind.PERSON, id=self.visit.person)

    def frame(self, title: str, section: str = "", *, watch: str = "all") -> c.Frame:
        """Answer what surrounds the page."""
        return c.Frame(
            title=title,
            visit=self.visit,
            now=self.now,
            seq=self.view.last_seq(),
            watch=watch,
            counts=c.Counts(
                incidents=self.view.count(r.Incident, status=OPEN_STATUSES, practice=False),
                approvals=sum(not row.why_not for row in pending_approvals(self)),
                drafts=self.view.count(r.Draft, state=w.DraftState.OPEN),
                holds=self.view.count(r.Hold, active=True),
            ),
            section=section,
        )

    def address(self, path: str, **changes: str) -> str:
        """Answer the address of this list with other filters; an empty value drops its filter."""
        kept = {name: value for name, value in {**self.query, **changes}.items() if value}
        return f"{path}?{urlencode(kept)}" if kept else path

    def chosen(self, name: str, label: str, choices: Iterable[tuple[str, str]]) -> c.Filter:
        """Answer a filter with the choice that the address names; an unknown value chooses nothing."""
        given = self.query.get(name, "")
        return c.Filter(
            name=name,
            label=label,
            choices=tuple(
                c.Choice(value=value, label=text, chosen=value == given) for value, text in choices
            ),
        )


def pending_approvals(look: Look) -> tuple[c.ApprovalRow, ...]:
    """Answer every open question, the soonest to expire first."""
    found = look.view.find(r.Approval, state=w.ApprovalState.PENDING, order="requested_at", limit=MAX_PENDING)
    return tuple(approval_row(look, each) for each in sorted(found, key=lambda each: each.expires_at))


def approval_row(look: Look, approval: r.Approval) -> c.ApprovalRow:
    """Answer a question together with why this visitor may not answer it."""
    try:
        gates.check_decider(approval, look.person, look.now)
    except StopworkError as error:
        return c.ApprovalRow(approval=approval, why_not=f"{sentence_of(error.detail)} {error.hint}".strip())
    return c.ApprovalRow(approval=approval)


def concerns(scope: r.Scope, workflow: str) -> bool:
    """Answer whether a hold of this scope can stop something of this workflow."""
    named = scope.name if scope.kind is w.ScopeKind.WORKFLOW else scope.workflow
    return named in (None, workflow)


def hold_row(look: Look, hold: r.Hold) -> c.HoldRow:
    """Answer a hold with what it has achieved."""
    of = f" in {hold.scope.workflow}" if hold.scope.workflow else ""
    return c.HoldRow(
        pause=holds.status(look.view, hold, now=look.now),
        covers=_COVERS[hold.scope.kind].format(name=_named(hold.scope), of=of),
        stopped_calls=nagging.calls_stopped(look.view, hold),
    )


def _named(scope: r.Scope) -> str:
    return scope.name if scope.item is None else f"the item {scope.item} of {scope.name}"


def field_changes(before: r.Image, after: r.Image, now: r.Image | None = None) -> tuple[c.FieldChange, ...]:
    """Answer a change field by field; an object that came or went is taken apart into its fields."""
    present = w.ImageState.PRESENT
    if before.state is present and after.state is present:
        names = list(images.changed_fields(before, after))
    else:
        contents = [image.content for image in (after, before, now) if image and image.state is present]
        if all(isinstance(content, dict) for content in contents):
            names = list(dict.fromkeys(images.field_name((key,)) for content in contents for key in content))
        else:
            names = [""]
    return tuple(
        c.FieldChange(
            name=name or "content",
            before=shown(before, name),
            after=shown(after, name),
            now=shown(now, name) if now else None,
            before_known=before.state is not w.ImageState.UNKNOWN,
            after_known=after.state is not w.ImageState.UNKNOWN,
            now_known=now is not None and now.state is not w.ImageState.UNKNOWN,
        )
        for name in names
    )


def shown(image: r.Image, name: str) -> Any:
    """Answer one field's value; ``None`` where there is none."""
    found = images.value_of(image, name)
    return None if found in (images.NO_FIELD, images.NOT_SEEN) else found


def sentence_of(text: str) -> str:
    """Answer an error's words as a sentence."""
    return sentence(text)
