"""March 2026 in five workflows: schedules across two changes to summer time, retries, people's edits, a holiday, a deployment with its change record,
busy Mondays and the end of the month. Nothing goes wrong that anybody should be woken for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from benchmarks.quiet.company import Agent, Company, Story
from benchmarks.quiet.manifests import INVOICES, RECRUITING, RENEWALS, SUPPORT, report
from stopwork.ledger.records import ObjectRef
from stopwork.ledger.words import RunStatus

BEGIN: Final = datetime(2026, 3, 1, tzinfo=UTC)
DAYS: Final = 31
HOLIDAY: Final = date(2026, 3, 17)
DEPLOYED: Final = datetime(2026, 3, 12, 15, tzinfo=UTC)
NEW_YORK, BERLIN = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")

ACCOUNTS: Final = [f"A-{number:03d}" for number in range(1, 41)]
SUPPLIERS: Final = ["brightwater", "northwind", "fabrikam", "contoso", "tailspin", "wingtip"]
IBANS: Final = [
    "DE44500105175407324931",
    "FR7630004000031234567890143",
    "NL20INGB0001234567",
    "ES7921000813610123456789",
    "BE71096123456769",
    "AT483200000012345864",
]
SUBJECTS: Final = [
    "My invoice shows the wrong address",
    "How do I add a colleague?",
    "The export is empty since yesterday",
    "Please call me back on +49 30 901820",
    "Order 4929123456789015 has not arrived",
    "I cannot reset my password: the link is expired",
    "Thank you, it works again",
    "Tracking 3f2a9c1e-4111-4929-8123-456789012345 says delivered",
]


class Skipped(set[tuple[str, date]]):
    """What a mishap takes the place of: a workflow's scheduled runs of a day."""


def furnish(company: Company) -> None:
    """Declare the workflows, and fill the systems of record."""
    for manifest in (RENEWALS, INVOICES, SUPPORT, RECRUITING, report("large-3")):
        company.apply(manifest, "first version")
    for account in ACCOUNTS:
        ref = ObjectRef(system="crm", type="account", id=account)
        company.changed(
            "import",
            ref,
            {"risk": "low", "renewal": "2026-06-01", "owner": "kim", "notes": "", "discount": 0},
            told=False,
        )


def plan(company: Company, skipped: Skipped) -> None:
    """Put the whole month on the calendar."""
    agents = {name: Agent(company, name) for name in ("renewals", "invoices", "recruiting", "report")}
    support = Agent(company, "support", model="small-2")
    for number in range(DAYS):
        day = BEGIN.date() + timedelta(days=number)
        company.later(_at(day, 12, 0, NEW_YORK), _people(company, day))
        company.later(_at(day, 3, 0, BERLIN), _pause_tests(company))
        if ("report", day) not in skipped:
            company.later(_late(company, _at(day, 2, 30, NEW_YORK)), report_night(agents["report"], day))
        if day.weekday() == 0:
            company.later(_late(company, _at(day, 8, 0, NEW_YORK)), renewals_monday(agents["renewals"], day))
        if day.weekday() < 5:
            company.later(
                _late(company, _at(day, 9, 30, BERLIN)), recruiting_morning(agents["recruiting"], day)
            )
            for hour in (8, 10, 12, 14, 16):
                company.later(
                    _late(company, _at(day, hour, 0, BERLIN)), invoices_hour(agents["invoices"], day, hour)
                )
        if day.weekday() < 5 and day != HOLIDAY:
            _tickets(company, support, day)
    company.later(DEPLOYED, _deploy(company, agents["report"]))


def _at(day: date, hour: int, minute: int, zone: ZoneInfo) -> datetime:
    at = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zone)
    # A time that the change to summer time leaves out is the moment of the change, as it is for cron.
    exists = at.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == at.replace(tzinfo=None)
    return (at if exists else at.replace(hour=hour + 1, minute=0)).astimezone(UTC)


def _late(company: Company, at: datetime) -> datetime:
    """Answer when a scheduler really starts what is due at a moment."""
    return at + timedelta(seconds=company.chance.uniform(1, 90))


def _deploy(company: Company, agent: Agent) -> Story:
    company.apply(report("large-4"), "the report moves to the new model")
    agent.model = "large-4"
    yield 0


def _pause_tests(company: Company) -> Story:
    company.test_pauses()
    yield 0


def _people(company: Company, day: date) -> Story:
    """People work in the same systems: they note what was said on the telephone, and change owners."""
    for _ in range(company.chance.randint(3, 9)):
        yield company.chance.uniform(300, 3_600)
        ref = ObjectRef(system="crm", type="account", id=company.chance.choice(ACCOUNTS))
        who = company.chance.choice(["kim@acme.test", "ann@acme.test", "joe@acme.test"])
        company.changed(who, ref, {"notes": f"Spoke to them on {day}"})


def renewals_monday(agent: Agent, day: date, *, only: int = len(ACCOUNTS)) -> Story:
    """Look at every account, note the risk, and make a task for those that may be lost."""
    chance = agent.company.chance
    run = agent.begin(f"{day}")
    for account in ACCOUNTS[:only]:
        risk = chance.choices(["low", "medium", "high"], [6, 3, 1])[0]
        seats = chance.randint(5, 400)
        yield from agent.call(
            run,
            "crm.read_account",
            result={"id": account, "seats": seats, "renewal": "2026-06-01", "owner": "csm@acme.test"},
            source="crm_export",
            account_id=account,
        )
        agent.think(run, 1_400)
        # Now and then the server is busy: the agent tries once more.
        for fails in (True, False) if chance.random() < 0.02 else (False,):
            yield from agent.call(
                run,
                "crm.update_account",
                result={"ok": True},
                fails=fails,
                sets={"risk": risk},
                account_id=account,
                risk=risk,
                usage=f"{seats} seats in the week of {day}",
            )
            yield 20
        if risk == "high":
            yield from agent.call(
                run,
                "crm.create_task",
                result={"id": f"T-{day}-{account}"},
                account_id=account,
                title=f"Call {account} about the renewal",
                due=f"{day + timedelta(days=3)}",
            )
    agent.end(run)


def invoices_hour(agent: Agent, day: date, hour: int) -> Story:
    """Read what has come in, record it, pay what is due; at the end of the month there is three times as much."""
    chance = agent.company.chance
    run = agent.begin(f"{day}T{hour:02d}")
    busy = 3 if day.day >= 28 or day.day <= 2 else 1
    for nth in range(chance.randint(0, 5) * busy if day != HOLIDAY else 0):
        which = chance.randrange(len(SUPPLIERS))
        supplier, number = SUPPLIERS[which], f"{SUPPLIERS[which][:3].upper()}-{day:%y%m%d}{hour:02d}{nth}"
        amount = round(chance.lognormvariate(6, 0.9), 2)
        text = f"Invoice {number} of {day}. Please pay {amount} EUR to {IBANS[which]}. Regards, {supplier}"
        yield from agent.call(
            run, "inbox.read", result={"from": f"billing@{supplier}.test", "text": text}, message=number
        )
        agent.think(run, 2_500)
        yield from agent.call(
            run,
            "erp.record_invoice",
            result={"ok": True},
            number=number,
            supplier=supplier,
            amount=amount,
            iban=IBANS[which],
        )
        if chance.random() < 0.1:
            yield from agent.call(
                run,
                "mail.ask_supplier",
                number=number,
                to=f"billing@{supplier}.test",
                body=f"Which order does invoice {number} belong to?",
            )
            continue
        yield from agent.call(
            run,
            "erp.pay_invoice",
            result={"ok": True},
            number=number,
            amount=amount,
            iban=IBANS[which],
            sets={"amount": amount, "state": "ordered"},
        )
    agent.end(run)


def _tickets(company: Company, agent: Agent, day: date) -> None:
    chance = company.chance
    for nth in range(chance.randint(15, 25) if day.weekday() else chance.randint(25, 40)):
        at = _at(day, 7, 0, BERLIN) + timedelta(seconds=chance.betavariate(2, 3) * 11 * 3_600)
        company.later(at, ticket(agent, f"S-{day:%m%d}-{nth:03d}", chance.choice(SUBJECTS)))


def ticket(agent: Agent, number: str, text: str, *, reply: Callable[[str], str] | None = None) -> Story:
    """Read a ticket, look into the handbook, set its priority, answer; customers are new people every day."""
    chance = agent.company.chance
    customer = f"user{chance.randint(1, 4_000)}@customer-{chance.randint(1, 600)}.test"
    run = agent.begin(number, trigger="ticket")
    yield from agent.call(
        run,
        "desk.read_ticket",
        result={"from": customer, "text": text, "opened": f"{agent.company.now()}"},
        ticket_id=number,
    )
    agent.think(run, 900)
    if chance.random() < 0.6:
        yield from agent.call(run, "handbook.search", result={"pages": ["Accounts", "Exports"]}, query=text)
    if chance.random() < 0.01:
        # The first try ends early, and the queue hands the ticket over again.
        agent.end(run, RunStatus.FAILED, "the model did not answer")
        yield 30
        run = agent.begin(number, trigger="ticket", attempt=2, retry_of=run)
        agent.think(run, 900)
    yield from agent.call(
        run,
        "desk.update_ticket",
        result={"ok": True},
        ticket_id=number,
        priority=chance.choices(["normal", "high", "urgent"], [20, 4, 1])[0],
        team=chance.choice(["billing", "product", "logistics"]),
    )
    words = (
        reply(customer)
        if reply
        else f"Thank you for writing about {text[:30].lower()}. We are looking into {number}."
    )
    yield from agent.call(run, "desk.reply", to=customer, body=words)
    agent.end(run)


def recruiting_morning(agent: Agent, day: date) -> Story:
    """Read who applied, find times, book and invite."""
    chance = agent.company.chance
    run = agent.begin(f"{day}")
    agent.retrieve(run, "calendar", hours_old=0.2, free=chance.randint(2, 9))
    for nth in range(chance.randint(1, 5) if day != HOLIDAY else 0):
        person = f"{chance.choice(['mia', 'tom', 'eva', 'lars', 'ines'])}.{day:%m%d}{nth}@mailbox-{chance.randint(1, 80)}.test"
        yield from agent.call(
            run,
            "applications.read",
            result={"email": person, "text": "I can begin in May."},
            application=f"{day}-{nth}",
        )
        agent.think(run, 1_800)
        starts_at = f"{day + timedelta(days=chance.randint(2, 8))}T{chance.randint(8, 16):02d}:{chance.choice(['00', '30'])}:00Z"
        yield from agent.call(
            run,
            "calendar.book",
            result={"id": f"E-{day}-{nth}"},
            candidate=person,
            starts_at=starts_at,
            title="Interview",
        )
        yield from agent.call(
            run,
            "mail.invite",
            to=person,
            starts_at=starts_at,
            body=f"We would like to meet you at {starts_at}.",
        )
    agent.end(run)


def report_night(
    agent: Agent, day: date, *, hours_old: float | None = None, to: str = "", tokens: int = 6_000
) -> Story:
    """Ask the warehouse, write the summary, post it; on Mondays two partners get it by mail."""
    chance = agent.company.chance
    run = agent.begin(f"{day}")
    agent.retrieve(run, "warehouse", hours_old=hours_old if hours_old is not None else chance.uniform(1, 8))
    for table in ("orders", "returns", "refunds", "stock"):
        yield from agent.call(
            run,
            "warehouse.query",
            result={"rows": chance.randint(80, 4_000), "table": table},
            table=table,
            day=f"{day}",
        )
        agent.think(run, tokens)
    yield from agent.call(
        run, "chat.post", channel="#sales", text=f"Sales of {day}: {chance.randint(90, 140)} % of plan."
    )
    if day.weekday() == 0 or to:
        people = [to] if to else ["csm@acme.test", "ops@brightwater.test", "sales@northwind.test"]
        yield from agent.call(run, "mail.send_report", to=people, body=f"The week before {day}.")
    agent.end(run)
