"""The forms of a recovery plan: proposed, looked at again, edited item by item, approved."""

from __future__ import annotations

import json
from typing import Any

from stopwork.incidents.choosing import choose
from stopwork.incidents.images import NO_FIELD, value_of
from stopwork.kernel.errors import Invalid
from stopwork.kernel.foreign_json import read_json
from stopwork.kernel.phrases import count_of
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations import drifting, plan_edits, planning
from stopwork.server.pages.sent import Landed, Sent
from stopwork.storage.transaction import Tx


def propose_plan(sent: Sent) -> Landed:
    """Propose the recovery, or what is left of it."""
    plan = planning.plan(sent.installation, sent.person, incident=sent.incident)
    return Landed(f"A plan with {count_of(plan.items, 'item')} is proposed.", sent.at(w.Phase.RECOVER))


def look_again(sent: Sent) -> Landed:
    """Look what has become of the affected objects."""
    found = drifting.look_at_objects(sent.installation, sent.person, incident=sent.incident)
    same = sum(each.state is w.DriftState.UNCHANGED for each in found.objects)
    return Landed(
        f"Looked at {count_of(len(found.objects), 'object')}: {same or 'none'} as the calls left them.",
        sent.at(w.Phase.RECOVER if sent.get("place") == w.Phase.RECOVER else w.Phase.AUDIT),
    )


def approve_plan(sent: Sent) -> Landed:
    """Approve what is ticked; what is not ticked stays as it is. A rule that chose exactly this is kept with the approval."""
    ticked, note, rule = set(sent.all("item")), sent.get("note"), sent.get("where")

    def work(tx: Tx) -> r.Plan:
        every = list(tx.each(r.Item, plan=sent.get("plan")))
        by_rule = bool(rule) and {item.id for item in choose(every, rule)} == ticked
        # Without a word from the owner, what the plan proposes to leave as it is stays for the reason that the plan gives.
        stays = {item.id for item in every if note or not item.keep} - ticked
        return planning.approve(
            tx,
            plan=sent.get("plan"),
            digest=sent.get("digest"),
            items=None if by_rule else ticked,
            accept=() if by_rule else stays,
            where=rule if by_rule else "",
            note=note or "left as it is by the owner",
        )

    sent.write(work)
    return Landed(f"{count_of(len(ticked), 'item')} approved.", sent.at(w.Phase.RECOVER))


def edit_item(sent: Sent) -> Landed:
    """Change what one item does, or take the last change back; what was left as it was shown stays."""
    plan, digest, reason = sent.get("plan"), sent.get("digest"), sent.get("reason")
    item = sent.installation.store.read(lambda view: view.need(r.Item, sent.get("item")))
    if sent.get("undo"):
        sent.write(lambda tx: plan_edits.take_back(tx, plan=plan, item=item.id, digest=digest, reason=reason))
        return Landed("The last change is taken back.", sent.at(w.Phase.RECOVER))
    remedy, turn = sent.get("remedy"), sent.get("order")
    if turn and not turn.isdecimal():
        raise Invalid(f"{turn!r} is no turn", hint="Give a whole number.", field="order")
    plan_edits.edit(
        sent.installation,
        sent.person,
        plan=plan,
        item=item.id,
        digest=digest,
        reason=reason,
        remedy=w.Remedy(remedy) if remedy in set(w.Remedy) and remedy != item.remedy else None,
        fields=_changed(sent, "field:", shown_fields(item)),
        args=_changed(sent, "arg:", item.undo_args),
        order=int(turn) if turn and int(turn) != item.order else None,
    )
    return Landed("Changed. The plan has to be read again before it is approved.", sent.at(w.Phase.RECOVER))


#: How many fields of an object that would be removed are offered to be corrected instead.
MAX_FIELDS = 12


def shown_fields(item: r.Item) -> dict[str, Any]:
    """Answer the fields that a person may change, with what would be put there: those that are set, or else all that are simple."""
    if item.undo_tool is None and item.target.state is w.ImageState.PRESENT:
        shown = {name: value_of(item.target, name) for name in item.changes if name}
        return {name: None if value == NO_FIELD else value for name, value in shown.items()}
    left = item.expected.content if isinstance(item.expected.content, dict) else {}
    simple = {name: value for name, value in left.items() if not isinstance(value, dict | list)}
    return dict(list(simple.items())[:MAX_FIELDS])


def as_text(value: Any) -> str:
    """Answer a value as it stands in a field of a form: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _changed(sent: Sent, prefix: str, shown: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, held in shown.items():
        given = sent.fields.get(f"{prefix}{name}")
        text = given[0].replace("\r\n", "\n") if given else as_text(held)
        if text == as_text(held).replace("\r\n", "\n"):
            continue
        try:
            found[name] = text if isinstance(held, str) else read_json(text)
        except ValueError:
            raise Invalid(
                f"{name}: {text!r:.80} cannot be read",
                hint="Give a number, true, false, null, a list or a mapping, as JSON.",
                field=name,
            ) from None
    return found
