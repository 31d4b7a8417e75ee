"""Time comes in from outside, so that every decision can be replayed."""

from __future__ import annotations

import time
from datetime import MAXYEAR, MINYEAR, UTC, datetime, timedelta
from typing import Protocol

from stopwork.kernel.errors import Invalid


class Clock(Protocol):
    """Answers what time it is; aware and in UTC."""

    def now(self) -> datetime: ...


class SystemClock:
    """The machine's wall clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ManualClock:
    """A clock that moves only when told to: for stories that fast-forward."""

    def __init__(self, start: datetime) -> None:
        self._now = in_utc(start)

    def now(self) -> datetime:
        return self._now

    def advance(self, duration: timedelta) -> datetime:
        self._now += duration
        return self._now


def in_utc(moment: datetime) -> datetime:
    """Answer the same moment in UTC; a moment without a zone is refused, never guessed."""
    if moment.tzinfo is None:
        raise Invalid(
            "a time without a zone was given", hint="Add an offset, for example +00:00.", found=str(moment)
        )
    # At both ends of the calendar there is a zone in which the moment has no date, so that nobody there could read it.
    if not MINYEAR < moment.year < MAXYEAR:
        raise Invalid(
            "a time outside the calendar was given", hint="Give a year from 2 to 9998.", found=str(moment)
        )
    return moment.astimezone(UTC)


def boottime() -> float:
    """Answer seconds on a clock that keeps counting while the machine is suspended.

    A lease measured on a clock that stops during suspend would outlive its grant (``CLOCK_BOOTTIME``, Linux;
    elsewhere the monotonic clock is the nearest there is).
    """
    clock_id = getattr(time, "CLOCK_BOOTTIME", None)
    return time.clock_gettime(clock_id) if clock_id is not None else time.monotonic()
