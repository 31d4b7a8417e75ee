"""Weekly renewal risk prep: an agent as its developer would write it, guarded by Stopwork.

It is scripted (no model is asked), and what goes wrong with it is ordinary. As deployed it works from last quarter's
export, and when one answer of the CRM comes late it repeats the whole step with fresh requests: contracts that were
renewed since get their old dates back, and tasks pile up. ``--stage-run`` is the repaired agent: a fresh export,
no dates, patience, no step repeated, and each refusal taken as an answer.

The lines that know of Stopwork are ``sw.tool``, ``sw.run``, ``run.step`` and the exceptions.
"""

from __future__ import annotations

import argparse
import csv
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from stopwork.demo.crm_system import Crm
from stopwork.sdk import CallRefused, GuardedRun, Stopwork

WORKFLOW = "weekly-renewal-risk"
STEP_TRIES = 5
IMPATIENT_S = 1.0
PATIENT_S = 15.0
STOPPED_BY_GUARD = 3

log = logging.getLogger("renewal-agent")

Json = dict[str, Any]


class Export(NamedTuple):
    """Accounts as an export shows them; ``as_of`` is when that was true."""

    as_of: datetime
    accounts: list[dict[str, str]]


class Tools:
    """What the agent can do. Every call passes the guard; the arguments of the function are those of the call."""

    def __init__(self, sw: Stopwork, crm: httpx.Client, exports: Path, outbox: Path) -> None:
        @sw.tool("crm.list_accounts")
        def list_accounts() -> dict[str, Json]:
            items: dict[str, Json] = crm.get("/accounts").raise_for_status().json()["items"]
            return items

        @sw.tool("crm.read_export")
        def read_export(name: str) -> str:
            if name == "current":
                return crm.get("/exports/renewals").raise_for_status().text
            return (exports / name).read_text(encoding="utf-8")

        @sw.tool("crm.update_account")
        def update_account(account_id: str, changes: dict[str, str]) -> Json:
            account: Json = crm.patch(f"/accounts/{account_id}", json=changes).raise_for_status().json()
            return account

        @sw.tool("crm.create_task")
        def create_task(account_id: str, title: str, due: str, priority: str) -> Json:
            fields = {"account_id": account_id, "title": title, "due": due, "priority": priority}
            task: Json = crm.post("/tasks", json=fields).raise_for_status().json()
            return task

        @sw.tool("mail.send")
        def send_mail(to: str, subject: str, body: str) -> Json:
            mail = EmailMessage()
            mail["From"], mail["To"], mail["Subject"] = "renewals@acme.test", to, subject
            mail.set_content(body)
            letter = outbox / f"{time.time_ns()}.eml"
            letter.write_bytes(mail.as_bytes())
            return {"id": letter.stem}

        self.list_accounts = list_accounts
        self.read_export = read_export
        self.update_account = update_account
        self.create_task = create_task
        self.send_mail = send_mail


class Job(NamedTuple):
    """One week's preparation. ``limit`` bounds the accounts that the repaired agent works on."""

    tools: Tools
    occasion: str
    today: date
    limit: int | None

    def as_deployed(self, run: GuardedRun) -> None:
        """Bring the accounts in line with last quarter's export, then make a task for each at risk."""
        export = self._export(run, "renewals.csv")
        present = self.tools.list_accounts()
        at_risk = []
        for row in export.accounts:
            wanted = {"renewal_date": row["renewal_date"], "renewal_risk": self._risk(row)}
            changes = {
                name: value for name, value in wanted.items() if present[row["account_id"]][name] != value
            }
            if changes:
                self.tools.update_account(account_id=row["account_id"], changes=changes)
            if wanted["renewal_risk"] != "low":
                at_risk.append(row)
        self._tasks_with_retries(at_risk)

    def _tasks_with_retries(self, at_risk: list[dict[str, str]]) -> None:
        for attempt in range(1, STEP_TRIES + 1):
            try:
                for row in at_risk:
                    self.tools.create_task(**self._task(row))
                return
            except httpx.TimeoutException:
                log.warning("no answer from the CRM; repeating the step (try %d of %d)", attempt, STEP_TRIES)
        raise TimeoutError(f"The CRM did not answer in {STEP_TRIES} tries.")

    def as_repaired(self, run: GuardedRun) -> None:
        """Set the risk from a fresh export and make each task once; go on past what the guard does not allow."""
        export = self._export(run, "current")
        present = self.tools.list_accounts()
        tally: Counter[str] = Counter()
        for row in [row for row in export.accounts if self._risk(row) != "low"][: self.limit]:
            risk = self._risk(row)
            if present[row["account_id"]]["renewal_risk"] != risk:
                change = {"account_id": row["account_id"], "changes": {"renewal_risk": risk}}
                tally[_tried(self.tools.update_account, change)] += 1
            tally[_tried(self.tools.create_task, self._task(row))] += 1
        words = ", ".join(f"{count} {how}" for how, count in sorted(tally.items())) or "nothing to do"
        mail = {
            "to": "dana@acme.test",
            "subject": f"Renewal risk {self.occasion}",
            "body": f"Actions: {words}.",
        }
        tally[_tried(self.tools.send_mail, mail)] += 1
        run.step("message", "summary", facts=dict(tally))

    def _export(self, run: GuardedRun, name: str) -> Export:
        head, _, rows = self.tools.read_export(name=name).partition("\n")
        as_of = datetime.fromisoformat(head.removeprefix("# as of "))
        export = Export(as_of, list(csv.DictReader(rows.splitlines())))
        facts = {"name": name, "accounts": len(export.accounts)}
        run.step("retrieval", "renewals export", source="crm_export", as_of=as_of, facts=facts)
        log.info("export %s as of %s: %d accounts", name, as_of.isoformat(), len(export.accounts))
        return export

    def _risk(self, row: dict[str, str]) -> str:
        days = (date.fromisoformat(row["renewal_date"]) - self.today).days
        return "high" if days <= 30 else "medium" if days <= 90 else "low"

    def _task(self, row: dict[str, str]) -> dict[str, str]:
        renewal = date.fromisoformat(row["renewal_date"])
        due = max(self.today + timedelta(days=3), renewal - timedelta(days=14))
        return {
            "account_id": row["account_id"],
            "title": f"{self.occasion}: renewal call with {row['name']}",
            "due": due.isoformat(),
            "priority": "urgent" if self._risk(row) == "high" else "normal",
        }


def _tried(tool: Callable[..., Any], arguments: Json) -> str:
    """Answer what came of a call: ``done``, or the verdict that kept it from running."""
    try:
        tool(**arguments)
    except CallRefused as refused:
        log.info("%s", refused)
        return refused.verdict.value
    return "done"


def main() -> int:
    """Prepare one week. ``STOPWORK_TOKEN``, ``CRM_KEY`` and ``CRM_OPERATOR_KEY`` come from the environment."""
    parser = argparse.ArgumentParser(prog="python -m stopwork.demo.agent", description=main.__doc__)
    parser.add_argument("--server", required=True, help="address of Stopwork")
    parser.add_argument("--crm", required=True, help="address of the CRM")
    parser.add_argument("--exports", type=Path, required=True)
    parser.add_argument("--outbox", type=Path, required=True, help="folder that mail is put into")
    parser.add_argument("--occasion", required=True, help="the week, as in 2027-W03")
    parser.add_argument("--today", type=date.fromisoformat, required=True)
    parser.add_argument("--stage-run", action="store_true", help="run the repaired agent")
    parser.add_argument("--accounts", type=int, help="work on so many accounts only")
    parser.add_argument("--pace-s", type=float, default=0.1, help="pause before each request")
    parser.add_argument("--approval-wait-s", type=float, default=0.0, help="wait so long for each approval")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)

    # The guard sees objects with a key of its own, so that what it records does not hang on what the agent may read.
    systems = {"crm": Crm(options.crm, os.environ["CRM_OPERATOR_KEY"]).system()}
    crm = httpx.Client(
        base_url=options.crm,
        headers={"Authorization": f"Bearer {os.environ['CRM_KEY']}"},
        timeout=PATIENT_S if options.stage_run else IMPATIENT_S,
        event_hooks={"request": [lambda _: time.sleep(options.pace_s)]},
    )
    sw = Stopwork(
        options.server, os.environ["STOPWORK_TOKEN"], systems=systems, approval_wait_s=options.approval_wait_s
    )
    with sw, crm:
        job = Job(
            Tools(sw, crm, options.exports, options.outbox), options.occasion, options.today, options.accounts
        )
        trigger = "manual" if options.stage_run else "schedule"
        runtime = {
            "agent": "renewal-agent",
            "version": "2" if options.stage_run else "1",
            "model": "none: scripted",
        }
        try:
            with sw.run(WORKFLOW, trigger=trigger, trigger_id=options.occasion, runtime=runtime) as run:
                (job.as_repaired if options.stage_run else job.as_deployed)(run)
        except CallRefused as refused:
            log.error("stopped: %s", refused)
            return STOPPED_BY_GUARD
    log.info("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
