"""What a person may make of a call's arguments: other values, never other arguments.

The edited arguments run as they are, so they have to be what the tool takes. Everything that depends on when the call runs (holds,
stage, budget, keys, destinations) is decided at the permit, on the edited arguments.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final, Protocol

from stopwork.kernel.canonical import plain, revive
from stopwork.kernel.errors import Invalid, StopworkError
from stopwork.kernel.phrases import listed
from stopwork.ledger.records import Run
from stopwork.manifest.args import Misfitting
from stopwork.manifest.model import Manifest

_KINDS: Final = {
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a mapping",
}


class Rules(Protocol):
    """What a check of edited arguments asks of a compiled manifest. Any exception from it is a refusal."""

    @property
    def manifest(self) -> Manifest: ...

    def misfits(self, tool: str, args: dict[str, Any]) -> tuple[Misfitting, ...]: ...

    def denies(self, tool: str, args: dict[str, Any], run: Run, now: datetime, source: str = "") -> bool: ...

    def object_ref(self, tool: str, args: dict[str, Any]) -> object: ...

    def business_key(self, tool: str, args: dict[str, Any], run: Run) -> object: ...

    def destinations(self, tool: str, args: dict[str, Any]) -> object: ...


def checked(
    rules: Rules,
    tool: str,
    *,
    asked: dict[str, Any],
    edited: dict[str, Any],
    run: Run,
    now: datetime,
    source: str = "",
) -> dict[str, Any]:
    """Answer the edited arguments as they will run; ``Invalid`` names the argument that cannot be so, and what is allowed there."""
    strangers = sorted(edited.keys() - asked.keys())
    missing = sorted(asked.keys() - edited.keys())
    if strangers or missing:
        name = (strangers or missing)[0]
        raise Invalid(
            f"args.{name}: the tool is not called with it" if strangers else f"args.{name}: it is missing",
            hint=f"Give a value for each of these, and for no other: {listed(asked, most=20) or 'none'}.",
            field=f"args.{name}",
            expected=sorted(asked),
            found=sorted(edited),
        )
    edited = {name: _as_recorded(name, value) for name, value in edited.items()}
    if edited == asked:
        raise Invalid(
            "nothing was changed", hint="Change a value, or approve what is asked as it is.", field="args"
        )
    declared = rules.manifest.tools.get(tool)
    for misfit in rules.misfits(tool, edited) if declared is not None else ():
        raise Invalid(
            f"{misfit.field}: {misfit.message}",
            hint=f"Allowed there: {misfit.allowed}.",
            field=misfit.field,
            expected=misfit.allowed,
        )
    by_schema = declared is not None and bool(declared.args_schema)
    for name, value in edited.items():
        _require_same_kind(name, asked[name], value, by_schema=by_schema)
    _require_usable(rules, tool, edited, run, now, source)
    return edited


def _as_recorded(name: str, value: Any) -> Any:
    try:
        return plain(revive(value))
    except StopworkError as error:
        raise _unfit(name, f"cannot be recorded: {error.detail}", "plain JSON values") from None


def _require_same_kind(name: str, asked: Any, value: Any, *, by_schema: bool) -> None:
    """Raise ``Invalid`` when the tool would get another kind of value than the one that it was called with."""
    notation = _notation(asked)
    if notation != _notation(value):
        allowed = f'a mapping with "{notation}" only, as it was asked' if notation else "a plain value"
        raise _unfit(name, "is of another kind than what was asked", allowed)
    if by_schema or asked is None:
        return
    expected = _KINDS[type(asked)]
    if value is None or _KINDS[type(value)] != expected:
        found = "nothing" if value is None else _KINDS[type(value)]
        raise _unfit(name, f"is {found}", f"{expected}, as it was asked")


def _notation(value: Any) -> str | None:
    """Answer the notation by which the value stands for one that JSON has no word for; ``None`` for a plain one."""
    if isinstance(value, dict) and len(value) == 1:
        [key] = value
        return key if key.startswith("$") else None
    return None


def _require_usable(
    rules: Rules, tool: str, edited: dict[str, Any], run: Run, now: datetime, source: str
) -> None:
    declared = rules.manifest.tools.get(tool)
    if declared is None:
        return  # the permit refuses what nobody declared
    where, condition = "deny_when", declared.deny_when
    try:
        if rules.denies(tool, edited, run, now, source):
            raise Invalid(
                f"the manifest denies these arguments: {condition}",
                hint=f"Allowed are arguments for which this is not true: {condition}.",
                field="args",
                expected=f"not ({condition})",
            )
        where = "object"
        rules.object_ref(tool, edited)
        where = "idempotency"
        rules.business_key(tool, edited, run)
        where = "destination"
        rules.destinations(tool, edited)
    except Invalid:
        raise
    except Exception as error:
        raise Invalid(
            f"tools.{tool}.{where} cannot be evaluated for these arguments: {error}",
            hint="Give values that it can be evaluated for.",
            field="args",
        ) from error


def _unfit(name: str, what: str, allowed: str) -> Invalid:
    return Invalid(
        f"args.{name}: it {what}", hint=f"Allowed there: {allowed}.", field=f"args.{name}", expected=allowed
    )
