"""Which of its signals an incident names: the first ones up to a bound, and of the others only how many they are."""

from __future__ import annotations

from collections.abc import Sequence

from stopwork.ledger.fold.change import replace
from stopwork.ledger.records.incidents import MAX_NAMED, Incident


def joined(incident: Incident, signals: Sequence[str]) -> Incident:
    """Answer the incident with these signals, none of which was its own before."""
    named = (*incident.signals, *signals[: max(0, MAX_NAMED - len(incident.signals))])
    more = len(incident.signals) + len(signals) - len(named)
    return replace(incident, signals=named, more_signals=incident.more_signals + more)


def left(incident: Incident, signals: Sequence[str]) -> Incident:
    """Answer the incident without these signals, all of which were its own."""
    gone = set(signals)
    named = tuple(each for each in incident.signals if each not in gone)
    more = len(gone) - (len(incident.signals) - len(named))
    return replace(incident, signals=named, more_signals=incident.more_signals - more)
