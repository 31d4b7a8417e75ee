"""Choosing items of a plan by a rule: a condition over what each item says, typed, and held to the words that there are.

``situation == 'duplicate_records' && at > timestamp('2026-03-02T08:14:00Z')`` chooses every copy made after 08:14. A rule chooses from
what the plan's digest covers and from nothing else, so it chooses the same for everybody who reads the same plan.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, Final

from stopwork.kernel.errors import Invalid
from stopwork.ledger.records import Item
from stopwork.ledger.words import Operation, RecoverySituation, Remedy, Reversibility
from stopwork.manifest.expressions import (
    Expression,
    ExpressionError,
    InvalidExpression,
    compile_expression,
)
from stopwork.manifest.uses import Use

EXAMPLE: Final = "situation == 'duplicate_records'"
NAMES: Final = tuple(sorted(Use.ITEMS.names))
_WORDS: Final[dict[str, type[StrEnum]]] = {
    "operation": Operation,
    "remedy": Remedy,
    "reversibility": Reversibility,
    "situation": RecoverySituation,
}
_COMPARED: Final = re.compile(rf"\b({'|'.join(_WORDS)})\s*(?:==|!=)\s*(?:'([^']*)'|\"([^\"]*)\")")


def choose(items: Iterable[Item], rule: str) -> tuple[Item, ...]:
    """Answer the items to which the rule applies, of those that the software can do; ``Invalid`` for a rule that cannot be told."""
    condition = _compiled(rule)
    return tuple(item for item in items if not item.remedy.by_people and _applies(condition, item))


def _compiled(rule: str) -> Expression:
    try:
        condition = compile_expression(rule, Use.ITEMS)
    except InvalidExpression as error:
        hint = f"A condition over {', '.join(NAMES)}, such as {EXAMPLE}."
        raise Invalid(f"the rule cannot be read: {error}", hint=hint, field="where") from None
    for name, single, double in _COMPARED.findall(rule):
        word, known = single or double, [each.value for each in _WORDS[name]]
        if word not in known:
            near = get_close_matches(word, known, n=1)
            hint = f"Perhaps {near[0]}." if near else f"One of: {', '.join(known)}."
            raise Invalid(f"there is no {name} {word!r}", hint=hint, field="where")
    return condition


def _applies(condition: Expression, item: Item) -> bool:
    try:
        return bool(condition.evaluate(_facts(item)))
    except ExpressionError as error:
        raise Invalid(
            f"the rule has no answer for {item.id}: {error}",
            hint="Ask first whether it is there, such as with has().",
            field="where",
            item=item.id,
        ) from None


def _facts(item: Item) -> dict[str, Any]:
    return {
        "object.system": item.object.system,
        "object.type": item.object.type,
        "object.id": item.object.id,
        "at": item.at,
        "calls": list(item.calls),
        "copy_of": str(item.copy_of or ""),
        "fields": list(item.changes),
        "operation": item.operation.value if item.operation else "",
        "remedy": item.remedy.value,
        "reversibility": item.reversibility.value,
        "runs": list(item.runs),
        "situation": item.situation.value,
        "stays": bool(item.keep),
        "tools": list(item.tools),
    }
