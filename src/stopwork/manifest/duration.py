"""Durations as people write them in a manifest: ``45m``, ``24h``, ``1h30m``, ``7d``."""

from __future__ import annotations

import re
from datetime import timedelta

_SECONDS_PER_UNIT = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
PATTERN = r"^(?=[0-9])([0-9]{1,6}w)?([0-9]{1,6}d)?([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?$"
LONGEST = timedelta(days=3_660)


class Duration(timedelta):
    """A positive length of time, written in days and smaller units."""

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Answer the duration that ``text`` means; raise ``ValueError`` in words for the author."""
        matched = re.fullmatch(PATTERN, text)
        parts = re.findall(r"([0-9]+)([wdhms])", text) if matched else []
        seconds = sum(int(amount) * _SECONDS_PER_UNIT[unit] for amount, unit in parts)
        if not parts:
            raise ValueError(f'"{text}" is not a duration')
        if not 0 < seconds <= LONGEST.total_seconds():
            raise ValueError(f'"{text}" must be more than nothing and at most ten years')
        return cls(seconds=seconds)

    def __str__(self) -> str:
        left, parts = int(self.total_seconds()), []
        for unit in "dhms":
            amount, left = divmod(left, _SECONDS_PER_UNIT[unit])
            if amount:
                parts.append(f"{amount}{unit}")
        return "".join(parts)
