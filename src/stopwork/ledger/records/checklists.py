"""The questions that an incident is asked besides those that its records answer."""

from __future__ import annotations

from datetime import datetime

from stopwork.ledger.records.parts import Record
from stopwork.ledger.words import Phase


class Asked(Record):
    """One question of a workflow's own or of the incident's type, as it stood when the incident was opened.

    A person's answer to it is an attestation.
    """

    id: str
    phase: Phase
    question: str
    answer: str = ""
    by: str = ""
    at: datetime | None = None
