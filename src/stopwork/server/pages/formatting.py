"""Words for times, amounts and ids: what a page shows always carries its unit, its zone and the right plural."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec
from markupsafe import Markup, escape

from stopwork.kernel import phrases
from stopwork.kernel.phrases import count_of
from stopwork.server.pages.opening import OPENED

#: An id as :mod:`stopwork.kernel.ids` makes it: a prefix and 26 characters.
_ID = re.compile(r"\b([a-z]{2,12})_[0-9a-hjkmnp-tv-z]{26}\b")
_PAGE_OF = dict.fromkeys(OPENED, "records") | {"hold": "holds", "run": "runs", "appr": "approvals"}

SHORT_ID_CHARS = 14
SHOWN_JSON_CHARS = 4_000
SHOWN_VALUE_CHARS = 240
BRIEF_CHARS = 160

_IRREGULAR = {
    "entry": "entries",
    "copy": "copies",
    "person": "people",
    "party": "parties",
    "is": "are",
    "has": "have",
    "was": "were",
}


def plural(count: int, noun: str) -> str:
    """Answer the noun (its last word) in the number that fits, without the number."""
    if count == 1:
        return noun
    head, space, last = noun.rpartition(" ")
    return (
        head + space + _IRREGULAR.get(last, last + ("es" if last.endswith(("s", "x", "ch", "sh")) else "s"))
    )


def counted(count: int, noun: str) -> str:
    """Answer ``no calls``, ``1 call``, ``12,000 calls``."""
    return count_of(count, noun, plural(2, noun))


def moment(at: datetime) -> str:
    """Answer a moment to the second, in UTC and saying so."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def clock_time(at: datetime) -> str:
    """Answer the time of day; only where the day stands beside it."""
    return f"{at:%H:%M:%S}"


def span(duration: timedelta) -> str:
    """Answer a length of time in its two largest units: ``45 s``, ``3 min 20 s``, ``2 h 5 min``, ``4 d 3 h``."""
    seconds = max(0, int(duration.total_seconds()))
    minutes, seconds_left = divmod(seconds, 60)
    hours, minutes_left = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    pairs = (
        (days, "d", hours_left, "h"),
        (hours, "h", minutes_left, "min"),
        (minutes, "min", seconds_left, "s"),
    )
    for large, large_unit, small, small_unit in pairs:
        if large:
            return f"{large} {large_unit} {small} {small_unit}" if small else f"{large} {large_unit}"
    return f"{seconds} s"


def span_precise(duration: timedelta) -> str:
    """Answer a short length with milliseconds, a longer one like :func:`span`."""
    milliseconds = round(duration.total_seconds() * 1000)
    return f"{milliseconds} ms" if milliseconds < 1000 else span(duration)


def relative(at: datetime, now: datetime) -> str:
    """Answer how long ago, or in how long: ``3 min ago``, ``in 2 h 5 min``, ``just now``."""
    gap = now - at
    if abs(gap) < timedelta(seconds=5):
        return "just now"
    return f"{span(gap)} ago" if gap > timedelta() else f"in {span(-gap)}"


def money(amount_usd: float | None) -> str:
    """Answer an amount of money; one that nobody knows is *unpriced*, never zero."""
    return "unpriced" if amount_usd is None else phrases.money(amount_usd)


def size(size_bytes: int) -> str:
    """Answer a size in the unit that leaves few digits."""
    for limit, unit in ((1_000_000, "MB"), (1_000, "kB")):
        if size_bytes >= limit:
            return f"{size_bytes / limit:.1f} {unit}"
    return f"{size_bytes} bytes"


def short(identifier: str) -> str:
    """Answer an id that fits in a line; the whole one belongs in the title beside it."""
    if len(identifier) <= SHORT_ID_CHARS:
        return identifier
    prefix, separator, rest = identifier.partition("_" if "_" in identifier else ":")
    return f"{prefix}{separator}…{rest[-6:]}" if separator else f"{identifier[:8]}…{identifier[-4:]}"


def pretty(value: Any) -> str:
    """Answer plain JSON on several lines, at most :data:`SHOWN_JSON_CHARS` long, saying what was left out."""
    return bounded(
        json.dumps(msgspec.to_builtins(value), indent=2, ensure_ascii=False, default=str), SHOWN_JSON_CHARS
    )


def value(found: Any) -> str:
    """Answer one field's value in one line: text as it is, everything else as JSON."""
    text = (
        found
        if isinstance(found, str)
        else json.dumps(msgspec.to_builtins(found), ensure_ascii=False, default=str)
    )
    return bounded(text, SHOWN_VALUE_CHARS)


def brief(args: Mapping[str, Any]) -> str:
    """Answer arguments in one line, cut at :data:`BRIEF_CHARS`."""
    return bounded(", ".join(f"{name}: {value(given)}" for name, given in args.items()), BRIEF_CHARS)


def capital(words: object) -> str:
    """Answer the words beginning with a capital; a name such as ``crm.send`` or an address stays as it is."""
    text = str(words)
    first = text.split(maxsplit=1)[0].rstrip(",;:") if text.strip() else ""
    return text[:1].upper() + text[1:] if first.replace("-", "").isalnum() else text


def linked(text: object) -> Markup:
    """Answer a text with the ids in it short, and as links where a page shows what they name."""
    said = escape(text)
    return Markup(_ID.sub(_link, said))  # noqa: S704 - escaped in the line before


def plain(text: object) -> str:
    """Answer a text with the ids in it short, where it stands in a link already."""
    return _ID.sub(lambda found: short(found[0]), str(text))


def _link(found: re.Match[str]) -> str:
    identifier, kind = found[0], found[1]
    shown = f'<span class="id" title="{identifier}">{short(identifier)}</span>'
    page = _PAGE_OF.get(kind)
    return f'<a href="/{page}/{identifier}">{shown}</a>' if page else shown


def bounded(text: str, limit: int) -> str:
    """Answer the text, cut at the limit with the number of characters that are not shown."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"
