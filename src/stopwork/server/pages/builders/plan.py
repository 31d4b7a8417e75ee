"""The recovery plan on an incident's page: what each item would do, what has become of its object, and what may be changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stopwork.incidents import images
from stopwork.incidents.case import Case
from stopwork.incidents.choosing import choose
from stopwork.incidents.undone import in_words, partly_undone
from stopwork.kernel.errors import Invalid
from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.server.pages import contexts as c
from stopwork.server.pages.builders.look import Look, field_changes
from stopwork.server.pages.planning import as_text, shown_fields
from stopwork.server.pages.vocabulary import label

#: How many items of a plan are shown in full and can be changed on the page; of a longer one the others are a line each.
MAX_IN_FULL: Final = 100


def recover_panel(look: Look, case: Case) -> c.RecoverPanel:
    """Answer the newest plan, and whether this visitor may approve it; a rule in the address ticks what it chooses."""
    owner = case.incident.business_owner
    mine = look.visit.person == owner
    looked = look.view.get(r.Drift, case.incident.id)
    drifted = {each.object: each for each in looked.objects} if looked else {}
    items = list(case.plan_items)
    asked = {each.object for each in items}
    rule = look.query.get("where", "") if case.plan and case.plan.state is w.PlanState.PROPOSED else ""
    chosen, wrong = _chosen(items, rule)
    return c.RecoverPanel(
        plan=case.plan,
        items=tuple(
            item_row(each, drifted.get(each.object), chosen, in_full=number < MAX_IN_FULL)
            for number, each in enumerate(items)
        ),
        in_full=min(len(items), MAX_IN_FULL),
        decided=tuple(each for each in case.items if each.object not in asked),
        approver=owner,
        may_approve=mine and case.incident.sealed_at is not None,
        why_not=""
        if mine and case.incident.sealed_at
        else f"Only {owner} approves a recovery."
        if not mine
        else "Seal the evidence first.",
        rule=rule,
        rule_chooses=None if chosen is None else len(chosen),
        rule_wrong=wrong,
        looked=looked,
        in_part=tuple(map(in_words, partly_undone(case.items))) if case.plan else (),
    )


def _chosen(items: list[r.Item], rule: str) -> tuple[frozenset[str] | None, str]:
    if not rule:
        return None, ""
    try:
        return frozenset(item.id for item in choose(items, rule)), ""
    except Invalid as error:
        return None, f"{error.detail}. {error.hint}"


def item_row(
    item: r.Item,
    drifted: r.Drifted | None = None,
    chosen: frozenset[str] | None = None,
    *,
    in_full: bool = True,
) -> c.ItemRow:
    """Answer an item with its fields; in a conflict beside what is there now, otherwise, ``in_full``, beside what would be."""
    editable = in_full and item.state is w.ItemState.PROPOSED
    stands_in_the_way = item.state is w.ItemState.CONFLICT or (item.earlier is not None and item.keep)
    conflict = stands_in_the_way and item.found is not None
    return c.ItemRow(
        item=item,
        fields=field_changes(item.target, item.expected, item.found)
        if conflict and item.found
        else _set(item)
        if in_full
        else (),
        conflict=(item.keep or item.note.partition("; ")[0]) if conflict else "",
        ticked=not item.keep if chosen is None else item.id in chosen,
        drifted=drifted,
        remedies=_remedies(item) if editable else (),
        values=_texts(shown_fields(item)) if editable else (),
        args=_texts(item.undo_args) if editable else (),
    )


def _texts(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name, as_text(value)) for name, value in values.items())


def _set(item: r.Item) -> tuple[c.FieldChange, ...]:
    return tuple(
        c.FieldChange(name=name or "content", before=_value(left), after=_value(back))
        for name, (left, back) in item.changes.items()
    )


def _remedies(item: r.Item) -> tuple[c.Choice, ...]:
    possible = dict.fromkeys((item.remedy, *(way.remedy for way in item.ways)))
    if isinstance(item.expected.content, dict):
        possible[w.Remedy.CORRECT] = None
    possible[w.Remedy.TELL] = None
    return tuple(
        c.Choice(value=each.value, label=label(each), chosen=each is item.remedy) for each in possible
    )


def _value(value: Any) -> Any:
    return None if value == images.NO_FIELD else value
