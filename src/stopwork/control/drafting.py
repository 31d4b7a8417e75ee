"""Released drafts as guards ask for them: each is carried out once, by whoever has it."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from stopwork.control.protocol import Answer, Id, Request, RunRejoined


class ClaimedDraft(Answer):
    """A released draft that is this guard's to carry out: as ``call`` of the run that asked for it, with exactly these arguments."""

    draft: str
    call: str
    tool: str
    args: dict[str, Any]
    run: RunRejoined
    source: str | None = None


class DraftsClaimed(Answer):
    """The released drafts that nobody else carries out."""

    drafts: tuple[ClaimedDraft, ...] = ()


class ClaimDrafts(Request[DraftsClaimed]):
    """Take released drafts of a workflow. Each is this session's for a while; the same session again gets the same ones.

    ``tools`` are those that can be carried out here; none named means any.
    """

    path = "/v1/drafts/claim"
    answer = DraftsClaimed

    workflow: str
    session: Id
    point: Id | None = None
    tools: tuple[str, ...] = ()
    limit: Annotated[int, Meta(ge=1, le=50)] = 10
