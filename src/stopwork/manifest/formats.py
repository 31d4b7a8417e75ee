"""The formats that a manifest's text may have beyond its type; each check says what is wrong and what is right."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from difflib import get_close_matches
from functools import cache
from zoneinfo import available_timezones

from cronsim import CronSim, CronSimError
from jsonschema import FormatChecker

from stopwork.manifest.duration import Duration
from stopwork.manifest.expressions import compile_expression
from stopwork.manifest.problems import Misfit
from stopwork.manifest.restricted import check_pattern
from stopwork.manifest.uses import Use

MAX_ADDRESS_CHARS = 254

_ADDRESS = re.compile(r"[^@\s<>()\[\],;:\\\"]+@[^@\s<>()\[\],;:\\\".]+(\.[^@\s<>()\[\],;:\\\".]+)+")
_ANY_DAY = datetime(2024, 1, 1, tzinfo=UTC)


def check_address(text: str) -> None:
    """Refuse what is not one mail address."""
    if len(text) > MAX_ADDRESS_CHARS or not _ADDRESS.fullmatch(text):
        raise Misfit("this is not a mail address", 'one address, such as "dana@acme.test"')


def check_cron(text: str) -> None:
    """Refuse what is not five cron fields, and what would never come round."""
    expected = 'minute, hour, day, month and weekday, such as "0 8 * * MON"'
    if len(text.split()) != 5:
        raise Misfit(f"a schedule has five fields, this has {len(text.split())}", expected)
    try:
        next(CronSim(text, _ANY_DAY))
    except CronSimError as error:
        raise Misfit(f"this is not a schedule: {str(error).lower()}", expected) from None
    except StopIteration:
        raise Misfit("this schedule would never come round", expected) from None


def check_timezone(text: str) -> None:
    """Refuse what is not the name of a time zone."""
    if text not in _timezones():
        near = get_close_matches(text, _timezones(), n=1, cutoff=0.6)
        raise Misfit("there is no such time zone", f'a name such as "{near[0] if near else "Europe/Berlin"}"')


@cache
def _timezones() -> set[str]:
    return available_timezones()


def check_duration(text: str) -> None:
    """Refuse what is not a duration."""
    try:
        Duration.parse(text)
    except ValueError as error:
        raise Misfit(str(error), 'a number and a unit, such as "45m", "24h" or "7d"') from None


def _check_expression(use: Use) -> Callable[[str], None]:
    def check(text: str) -> None:
        compile_expression(text, use)

    return check


@cache
def format_checker() -> FormatChecker:
    """Answer the checker for every format the schema names."""
    checks: dict[str, Callable[[str], None]] = {
        "address": check_address,
        "cron": check_cron,
        "timezone": check_timezone,
        "duration": check_duration,
        "pattern": check_pattern,
    } | {use.value: _check_expression(use) for use in Use}
    checker = FormatChecker(formats=())
    for name, check in checks.items():
        checker.checks(name, raises=Misfit)(_only_text(check))
    return checker


def _only_text(check: Callable[[str], None]) -> Callable[[object], bool]:
    """Leave everything but text to the type check."""

    def passes(value: object) -> bool:
        if isinstance(value, str):
            check(value)
        return True

    return passes
