"""The forms by which people answer: an agent's questions, the calls it could only draft, a manifest that gives more room."""

from __future__ import annotations

from typing import Any

from stopwork.kernel.errors import Invalid
from stopwork.kernel.foreign_json import read_json
from stopwork.kernel.phrases import count_of
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations import approvals, drafts, versions
from stopwork.server.pages.sent import Landed, Sent
from stopwork.storage.transaction import Tx


def answer_approval(sent: Sent) -> Landed:
    """Approve or reject exactly what was shown."""
    decision = sent.get("decision")
    if decision not in ("approve", "edit", "reject"):
        raise Invalid("choose to approve or to reject", hint="Use one of the buttons.", field="decision")
    if decision == "reject" and not sent.get("note"):
        raise Invalid("say why it is rejected", hint="One sentence, for whoever asked.", field="note")
    manifests = sent.installation.manifests
    decided = sent.write(
        lambda tx: approvals.answer(
            tx,
            manifests,
            approval=sent.path["approval"],
            approve=decision != "reject",
            args=_edited(sent, tx.need(r.Approval, sent.path["approval"])) if decision == "edit" else None,
            note=sent.get("note"),
            digest=sent.get("digest"),
        )
    )
    left = decided.quorum - sum(each.approve for each in decided.decisions)
    waiting = f"; {count_of(left, 'other', 'others')} must agree" if left > 0 else ""
    said = {
        "reject": "Rejected: the agent is told, and the call does not run.",
        "approve": f"Approved{waiting or ': it runs when the agent asks again'}.",
        "edit": f"Approved as you changed it{waiting or ': that is what runs'}.",
    }
    return Landed(said[decision], f"/approvals/{decided.id}")


def _edited(sent: Sent, approval: r.Approval) -> dict[str, Any]:
    """Answer the arguments as they were sent: text as it is, everything else as JSON. What was not sent stays."""
    asked: dict[str, Any] = approval.content.get("args", {})
    return {name: _argument(sent, name, value) for name, value in asked.items()}


def _argument(sent: Sent, name: str, asked: Any) -> Any:
    given = sent.fields.get(f"arg:{name}")
    if given is None:
        return asked
    # A browser sends line ends as \r\n, whatever they were.
    text = given[0].replace("\r\n", "\n")
    if isinstance(asked, str):
        return asked if text == asked.replace("\r\n", "\n") else text
    try:
        return read_json(text)
    except ValueError:
        raise Invalid(
            f"args.{name}: {text!r:.80} cannot be read",
            hint="Give a number, true, false, null, a list or a mapping, as JSON.",
            field=f"args.{name}",
        ) from None


def decide_draft(sent: Sent) -> Landed:
    """Release, edit or discard a drafted call."""
    manifests, draft, reason = sent.installation.manifests, sent.path["draft"], sent.get("reason")
    match sent.get("decision"):
        case "release":
            released = sent.write(
                lambda tx: drafts.release(
                    tx, manifests, draft=draft, reason=reason, digest=sent.get("digest")
                )
            )
            pending = sent.installation.store.read(
                lambda view: view.need(r.Approval, released.release.approval).state
            )
            waiting = pending is w.ApprovalState.PENDING
            said = (
                "Released; others have to agree." if waiting else "Released: a guard of its workflow runs it."
            )
        case "edit":

            def edit(tx: Tx) -> r.Draft:
                asked = tx.need(r.Draft, draft).args
                args = {name: _argument(sent, name, value) for name, value in asked.items()}
                return drafts.edit(
                    tx, manifests, draft=draft, args=args, reason=reason, digest=sent.get("digest")
                )

            sent.write(edit)
            said = "Changed. Release it now, or leave it to somebody else."
        case "discard":
            sent.write(lambda tx: drafts.discard(tx, draft=draft, reason=reason))
            said = "Discarded: it will not run."
        case _:
            raise Invalid("choose what to do with it", hint="Use one of the buttons.", field="decision")
    return Landed(said, f"/drafts/{draft}")


def answer_version(sent: Sent) -> Landed:
    """Sign a proposed version of a manifest, or turn it down."""
    workflow, number = sent.path["workflow"], sent.path["version"]
    version = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0
    to = f"/workflows/{workflow}/versions#version-{version}"
    match sent.get("decision"):
        case "approve":
            digest, note = sent.get("digest"), sent.get("note")
            sent.write(
                lambda tx: versions.approve(tx, workflow=workflow, version=version, digest=digest, note=note)
            )
            return Landed(f"Signed: version {version} is in force.", to)
        case "decline":
            if not sent.get("note"):
                raise Invalid("say why it is declined", hint="One sentence, for its author.", field="note")
            sent.write(
                lambda tx: versions.decline(tx, workflow=workflow, version=version, reason=sent.get("note"))
            )
            return Landed(f"Version {version} is declined.", to)
    raise Invalid("choose to sign or to decline", hint="Use one of the two buttons.", field="decision")
