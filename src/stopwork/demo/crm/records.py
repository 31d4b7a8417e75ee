"""What the CRM keeps, and what it starts with."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Literal

from msgspec import Struct, structs

RiskLevel = Literal["low", "medium", "high"]


class Account(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A customer: who owns the relation, when the contract renews, and how likely that is."""

    name: str
    owner: str
    renewal_date: date
    plan: Literal["starter", "business", "enterprise"]
    amount_usd: int
    renewal_risk: RiskLevel
    notes: str = ""


class Task(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something to do for an account."""

    account_id: str
    title: str
    due: date
    priority: Literal["normal", "urgent"] = "normal"
    status: Literal["open", "done"] = "open"
    created_by: str = ""


class Activity(Struct, frozen=True, kw_only=True):
    """One change: ``changes`` maps a field to ``[before, after]``."""

    at: str
    actor: str
    action: Literal["created", "changed", "deleted"]
    object: str
    changes: dict[str, list[Any]]


class Seed(Struct, frozen=True):
    """An account as the CRM starts with it.

    ``renews_in_days`` counts from today. ``renewed`` marks a contract that was renewed for another year in the
    last quarter: an export older than that still shows the date before the renewal.
    """

    id: str
    name: str
    owner: str
    plan: Literal["starter", "business", "enterprise"]
    amount_usd: int
    renews_in_days: int
    renewal_risk: RiskLevel
    renewed: bool = False
    notes: str = ""

    def account(self, today: date) -> Account:
        return Account(
            name=self.name,
            owner=self.owner,
            renewal_date=today + timedelta(days=self.renews_in_days),
            plan=self.plan,
            amount_usd=self.amount_usd,
            renewal_risk=self.renewal_risk,
            notes=self.notes,
        )

    def last_quarter(self, today: date) -> Account:
        """Answer the same account as it stood before this quarter's renewals."""
        account = self.account(today)
        if not self.renewed:
            return account
        return structs.replace(account, renewal_date=account.renewal_date - timedelta(days=365))


SEEDS = (
    Seed("A-101", "Alderbrook Logistics", "mia@acme.test", "enterprise", 84_000, 347, "low", renewed=True),
    Seed("A-102", "Bluefern Clinics", "mia@acme.test", "business", 31_500, 41, "low"),
    Seed("A-103", "Calder & Moss Legal", "jon@acme.test", "business", 22_800, 352, "low", renewed=True),
    Seed("A-104", "Driftwood Hotels", "jon@acme.test", "starter", 6_400, 198, "low"),
    Seed("A-105", "Emberline Foods", "mia@acme.test", "enterprise", 117_000, 19, "medium", notes="New CFO."),
    Seed("A-106", "Fenwick Robotics", "ada@acme.test", "enterprise", 143_250, 359, "low", renewed=True),
    Seed("A-107", "Greyharbor Freight", "ada@acme.test", "business", 27_900, 66, "medium"),
    Seed("A-108", "Hollyoak Schools", "jon@acme.test", "business", 18_200, 338, "low", renewed=True),
    Seed(
        "A-109",
        "Ironbark Energy",
        "ada@acme.test",
        "enterprise",
        205_000,
        28,
        "high",
        notes="Asked for terms.",
    ),
    Seed("A-110", "Juniper Field Farms", "mia@acme.test", "starter", 4_900, 265, "low"),
    Seed("A-111", "Kestrel Air Parts", "ada@acme.test", "business", 39_600, 371, "low", renewed=True),
    Seed("A-112", "Lanternworks Studio", "jon@acme.test", "starter", 7_200, 84, "medium"),
)

# The CRM runs a long automation for this account before it answers: the write is done, the answer is late.
SLOW_ACCOUNT = "A-108"
