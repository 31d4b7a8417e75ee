"""What differs between two manifests, and whether each difference gives the agent more room or less.

A change *loosens* when after it the agent may do something it could not do before, or when something would be noticed,
asked or undone that no longer is. Where that cannot be told without knowing the business (another condition,
another schedule) the answer is ``None``, and a person has to look.

What is judged is what counts for a call, not what is written down: a line that is added may take the place of a stricter rule that stood
in for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from stopwork.kernel.phrases import count_of, listed
from stopwork.ledger.words import EffectKind, Risk, Severity, Stage
from stopwork.manifest.alerts import Opening
from stopwork.manifest.duration import Duration
from stopwork.manifest.model import AutoHold, Criticality, Manifest, Trust
from stopwork.manifest.parts import InjectionGate
from stopwork.manifest.problems import Path, field_name

MAX_SHOWN_CHARS = 120

Judge = Callable[[Any, Any], bool | None]


class Change(Struct, frozen=True, kw_only=True):
    """One difference. ``None`` before or after means that there is nothing; ``loosens`` is ``None`` where it is open."""

    field: str
    before: Any
    after: Any
    loosens: bool | None

    def __str__(self) -> str:
        meaning = {True: "  (loosens)", False: "  (tightens)", None: ""}[self.loosens]
        if self.before is None:
            return f"+ {self.field}: {_line(self.after)}{meaning}"
        if self.after is None:
            return f"- {self.field}: {_line(self.before)}{meaning}"
        return f"~ {self.field}: {_line(self.before)} → {_line(self.after)}{meaning}"


def diff(before: Manifest, after: Manifest) -> tuple[Change, ...]:
    """Answer every difference that matters, in the order of the manifest; text that reads the same is no difference."""
    return tuple(change for _, change in _compared(before, after))


def gives_room(before: Manifest, after: Manifest) -> tuple[Change, ...]:
    """Answer the differences that a second person has to look at.

    All but those that only tighten, and those of words that only people read. When in doubt a difference is one, and another owner
    always is: owners sign.
    """
    return tuple(
        change
        for path, change in _compared(before, after)
        if path[0] == "owners" or (change.loosens is not False and not _is_any(path, _ONLY_READ))
    )


def render(changes: Sequence[Change]) -> str:
    """Answer the changes as lines for a terminal, what loosens first told in the heading."""
    if not changes:
        return "Nothing changes."
    counts = [
        f"{sum(change.loosens is answer for change in changes)} {word}"
        for answer, word in ((True, "loosening"), (False, "tightening"), (None, "to be judged"))
        if any(change.loosens is answer for change in changes)
    ]
    heading = f"{count_of(len(changes), 'change')}: {listed(counts)}"
    return "\n".join([heading, *(f"  {change}" for change in changes)])


def _compared(before: Manifest, after: Manifest) -> Iterator[tuple[Path, Change]]:
    for path, old, new in _differing((), _plain(before), _plain(after)):
        loosens = _judged(_counting(before, path, old), _counting(after, path, new))
        yield path, Change(field=field_name(path), before=_tidy(old), after=_tidy(new), loosens=loosens)


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value, enc_hook=str)


def _differing(path: Path, before: Any, after: Any) -> Iterator[tuple[Path, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in before | after:
            yield from _differing((*path, key), before.get(key), after.get(key))
    elif before != after:
        yield path, before, after


def _tidy(value: Any) -> Any:
    """Answer a value without what it leaves out; what is empty is left out as well."""
    if isinstance(value, dict):
        value = {key: kept for key, item in value.items() if (kept := _tidy(item)) is not None}
    return None if value in ([], (), {}) else value


def _line(value: Any) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= MAX_SHOWN_CHARS else f"{text[: MAX_SHOWN_CHARS - 1]}…"


# --- which way a change goes -----------------------------------------------------------------------


def _counting(manifest: Manifest, path: Path, written: Any) -> dict[Path, Any]:
    """Answer what counts where this is written: that, or what stands in for it, with all that it chooses."""
    match path:
        case ("triggers",):
            return {path: list(manifest.accepted_triggers)}
        case ("tools", str(tool), "gate"):
            return {path: _plain(manifest.gate_of(tool))}
        case ("tools", str(tool), "risk") if written != Risk.BLOCKED:
            return {path: written, ("tools", tool, "gate"): _plain(manifest.gate_of(tool))}
        case ("tools", str(tool), "args_schema", *_):
            return {("tools", tool, "args_schema"): manifest.tools[tool].args_schema or None}
    return {path: written}


def _judged(before: dict[Path, Any], after: dict[Path, Any]) -> bool | None:
    """Answer which way several differences go that are one change: it tightens only where none of them loosens or is open."""
    answers = {
        _judge(path)(old, new)
        for place in before.keys() & after.keys()
        for path, old, new in _differing(place, before[place], after[place])
    }
    return True if True in answers else None if None in answers else False


def _judge(path: Path) -> Judge:
    return next((judge for pattern, judge in _JUDGES.items() if _is_any(path, (pattern,))), _open)


def _open(_before: Any, _after: Any) -> None:
    """What only people can judge."""


def _is_any(path: Path, patterns: Iterable[str]) -> bool:
    return any(
        len(keys) == len(path) and all(key in ("*", found) for key, found in zip(keys, path, strict=True))
        for keys in (pattern.split("/") for pattern in patterns)
    )


def _safeguard(before: Any, after: Any) -> bool | None:
    """A safeguard: losing it loosens, gaining it tightens, another one has to be looked at."""
    if before and not after:
        return True
    return False if after and not before else None


def _help(before: Any, after: Any) -> bool | None:
    """What helps where it is right: losing it loosens, and what is gained has to be looked at."""
    return True if before and not after else None


def _freedom(before: Any, after: Any) -> bool | None:
    """A freedom: gaining it loosens, losing it tightens."""
    safeguard = _safeguard(before, after)
    return None if safeguard is None else not safeguard


def _limit(before: Any, after: Any) -> bool:
    """A number or duration that bounds: no bound is the loosest."""
    if before is None or after is None:
        return after is None
    return bool(_size(after) > _size(before))


def _reach(before: Any, after: Any) -> bool:
    """A number or duration that says how much is watched: less is looser."""
    return bool(_size(after) < _size(before))


def _size(value: Any) -> Any:
    return Duration.parse(value) if isinstance(value, str) else value


def _fewer(before: Sequence[str], after: Sequence[str]) -> bool | None:
    """A set of safeguards: a subset is looser."""
    if set(after) < set(before):
        return True
    return False if set(after) > set(before) else None


def _more(before: Sequence[str], after: Sequence[str]) -> bool | None:
    """A set of freedoms: a superset is looser."""
    return _fewer(after, before)


def _key_parts(before: Sequence[str], after: Sequence[str]) -> bool | None:
    """A key of more parts takes fewer calls for the same.

    Nothing else is known to tighten: where there is no key all arguments count, and under another key nothing has been done yet.
    """
    return True if not after or (before and _more(before, after)) else None


def _source(before: Any, after: Any) -> bool | None:
    """A source more is a freedom; one that is not declared any more is of no class that could be held."""
    return True if after and not before else None


def _rank(words: Iterable[str]) -> Judge:
    """Words in an order, the strictest first; a missing word is looser than all."""
    order = list(words)

    def judge(before: Any, after: Any) -> bool | None:
        ranks = [order.index(word) if word in order else len(order) for word in (before, after)]
        return None if ranks[0] == ranks[1] else ranks[1] > ranks[0]

    return judge


def _tool(before: Any, after: Any) -> bool | None:
    """A tool that is always denied gives no freedom."""
    return None if (before or after)["risk"] == Risk.BLOCKED else _freedom(before, after)


def _effect(before: str, after: str) -> bool | None:
    """A write declared as a read escapes every safeguard of writes."""
    return after == EffectKind.READ if EffectKind.READ in (before, after) else None


def _always(before: str, after: str) -> bool | None:
    """Asking about every call is stricter than any condition."""
    return before == "true" if "true" in (before, after) else None


def _hold(before: str, after: str) -> bool | None:
    width = {AutoHold.NONE: 0, AutoHold.WORKFLOW: 2}
    widths = [width.get(AutoHold(word), 1) for word in (before, after)]
    return None if widths[0] == widths[1] else widths[1] < widths[0]


#: What no rule depends on.
_ONLY_READ = ("title", "description", "tools/*/title")

#: What is not named here is open. A probe that says "not found" lets a call run again; whoever a question is passed on to may answer it.
_JUDGES: dict[str, Judge] = {
    "mode": _rank(("enforce", "observe")),
    "criticality": _rank(reversed(Criticality)),
    "data_classes": _fewer,
    "impact": _fewer,
    "affected_parties": _fewer,
    "triggers": _more,
    "owners/*": _safeguard,
    "schedule/start_within": _limit,
    "schedule/finish_within": _limit,
    "sources/*": _source,
    "sources/*/trust": _rank(reversed(Trust)),
    "sources/*/fresh_within": _limit,
    "sources/*/data_classes": _fewer,
    "budget/unpriced": _rank(("deny", "allow")),
    "budget/*": _limit,
    "tools/*": _tool,
    "tools/*/effect": _effect,
    "tools/*/risk": _rank(reversed(Risk)),
    "tools/*/source": _safeguard,
    "tools/*/object": _help,
    "tools/*/also": _more,
    "tools/*/idempotency": _key_parts,
    "tools/*/undo": _help,
    "tools/*/undo/none": _freedom,
    "tools/*/deny_when": _safeguard,
    "tools/*/gate": _safeguard,
    "tools/*/gate/when": _always,
    "tools/*/gate/approvers": _more,
    "tools/*/gate/quorum": _reach,
    "tools/*/gate/expires": _limit,
    "tools/*/gate/edits": _freedom,
    "tools/*/args_schema": _safeguard,
    "gates/*": _safeguard,
    "gates/*/when": _always,
    "gates/*/approvers": _more,
    "gates/*/quorum": _reach,
    "gates/*/expires": _limit,
    "gates/*/edits": _freedom,
    "tools/*/verify": _safeguard,
    "tools/*/recipients": _safeguard,
    "tools/*/destination": _safeguard,
    "tools/*/external": _safeguard,
    "alerts/*/enabled": _safeguard,
    "alerts/*/severity": _rank(Severity),
    "alerts/*/gate": _rank(InjectionGate),
    "alerts/*/score": _limit,
    "alerts/*/hold": _hold,
    "alerts/*/open": _rank(Opening),
    "alerts/*/threshold": _freedom,
    "alerts/*/threshold/count": _limit,
    "alerts/*/threshold/within": _reach,
    "alerts/*/key": _key_parts,
    "alerts/*/window": _reach,
    "alerts/*/after": _limit,
    "alerts/*/of_budget": _limit,
    "alerts/*/over_usual": _limit,
    "stages/start": _rank(Stage),
    "stages/limited/sample_rate": _reach,
    "stages/limited/*": _limit,
    "stages/demote/to": _rank(Stage),
    "stages/demote/severity": _rank(reversed(Severity)),
    "stages/demote/on": _fewer,
    "pause_test/every": _limit,
    "change_control": _safeguard,
    "idempotency_keep": _reach,
    "response/*": _limit,
}
