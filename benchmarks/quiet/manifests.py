"""What the five workflows declare: as much as a careful team writes on its first day, and nothing that only this month needs."""

from __future__ import annotations

from typing import Final

_OWNERS: Final = "owners: {business: dana@acme.test, technical: lee@acme.test, backup: kim@acme.test, security: sec@acme.test}"

RENEWALS: Final = f"""\
workflow: renewals
title: Weekly renewal preparation
{_OWNERS}
data_classes: [customer_commitments]
schedule: {{cron: "0 8 * * MON", timezone: America/New_York, finish_within: 3h}}
triggers: [schedule, manual]
identities: {{crm: [agent-renewals@acme.test]}}
sources: {{crm_export: {{trust: internal, fresh_within: 24h}}}}
budget: {{run_usd: 10, run_calls: 400, day_usd: 30}}
runtime: {{model: large-3}}
tools:
  crm.read_account: {{effect: read, risk: low, permission: crm.read, source: crm_export}}
  crm.update_account:
    effect: update
    permission: crm.accounts.write
    object: {{system: crm, type: account, id: args.account_id}}
    idempotency: [run.trigger_id, args.account_id]
    verify: result.ok
  crm.create_task:
    effect: create
    permission: crm.tasks.write
    object: {{system: crm, type: task, id: result.id}}
  crm.set_discount:
    effect: update
    permission: crm.accounts.write
    object: {{system: crm, type: account, id: args.account_id}}
    deny_when: args.percent > 20
alerts:
  duplicate_action: {{key: [tool, args.account_id, args.title], window: 6d}}
"""

INVOICES: Final = f"""\
workflow: invoices
title: Invoice intake
{_OWNERS}
data_classes: [banking_details]
schedule: {{cron: "0 8-16/2 * * MON-FRI", timezone: Europe/Berlin, finish_within: 8h}}
triggers: [schedule]
identities: {{erp: [agent-invoices@acme.test]}}
sources:
  invoice_inbox: {{trust: external, fresh_within: 7d}}
budget: {{run_usd: 20, day_usd: 60}}
runtime: {{model: large-3}}
tools:
  inbox.read: {{effect: read, risk: low, permission: inbox.read, source: invoice_inbox}}
  erp.record_invoice:
    effect: create
    permission: erp.invoices.write
    object: {{system: erp, type: invoice, id: args.number}}
    idempotency: [args.number]
  erp.pay_invoice:
    effect: pay
    risk: high
    permission: erp.payments
    object: {{system: erp, type: payment, id: args.number}}
    idempotency: [args.number]
    gate: {{when: args.amount > 1000, approvers: [business], expires: 8h}}
  mail.ask_supplier:
    effect: send
    permission: mail.send
    external: true
    recipients: args.to
    idempotency: [args.number]
"""

SUPPORT: Final = f"""\
workflow: support
title: Ticket triage
{_OWNERS}
triggers: [ticket]
identities: {{desk: [agent-support@acme.test]}}
sources: {{tickets: {{trust: external}}, handbook: {{trust: internal}}}}
budget: {{run_usd: 1, day_usd: 60}}
runtime: {{model: small-2}}
tools:
  desk.read_ticket: {{effect: read, risk: low, permission: desk.read, source: tickets}}
  handbook.search: {{effect: read, risk: low, source: handbook}}
  desk.update_ticket:
    effect: update
    permission: desk.write
    object: {{system: desk, type: ticket, id: args.ticket_id}}
  desk.reply:
    effect: send
    permission: desk.reply
    external: true
    recipients: args.to
    idempotency: [run.trigger_id]
"""

RECRUITING: Final = f"""\
workflow: recruiting
title: Interview scheduling
{_OWNERS}
schedule: {{cron: "30 9 * * MON-FRI", timezone: Europe/Berlin, finish_within: 1h}}
triggers: [schedule]
sources: {{calendar: {{trust: internal, fresh_within: 1h}}, applications: {{trust: external}}}}
budget: {{run_usd: 5, day_usd: 10}}
runtime: {{model: large-3}}
tools:
  calendar.read: {{effect: read, risk: low, source: calendar}}
  applications.read: {{effect: read, risk: low, source: applications}}
  calendar.book:
    effect: create
    permission: calendar.write
    object: {{system: calendar, type: event, id: result.id}}
    idempotency: [args.candidate, args.starts_at]
  mail.invite:
    effect: send
    permission: mail.send
    external: true
    recipients: args.to
    idempotency: [args.to, args.starts_at]
"""

REPORT: Final = f"""\
workflow: report
title: Nightly sales report
{_OWNERS}
schedule: {{cron: "30 2 * * *", timezone: America/New_York, finish_within: 1h}}
triggers: [schedule, manual]
sources: {{warehouse: {{trust: internal, fresh_within: 26h}}}}
budget: {{run_usd: 5, run_calls: 60}}
runtime: {{model: MODEL}}
tools:
  warehouse.query: {{effect: read, risk: low, source: warehouse}}
  chat.post:
    effect: send
    permission: chat.write
    destination: args.channel
    idempotency: [run.trigger_id, args.channel]
  mail.send_report:
    effect: send
    permission: mail.send
    recipients: args.to
    only_to: [acme.test, "*@brightwater.test", "*@northwind.test"]
    idempotency: [run.trigger_id]
"""

TASKS: Final = {
    "renewals": "Look at every account, set its renewal risk, and create a task for each that we may lose.",
    "invoices": "Read each invoice that has come in, record it with its number, supplier, amount and IBAN, and pay it. Where something is "
    "unclear, ask the supplier.",
    "support": "Read the ticket, set its priority and team, and reply to the customer.",
    "recruiting": "For everybody who applied, find a free time, book the interview and invite them.",
    "report": "Write the summary of yesterday's sales, post it to #sales, and on Mondays send it to our partners.",
}
"""What each agent is asked to do, word by word."""


def report(model: str) -> str:
    """Answer the manifest of the report, which changes its model in the middle of the month."""
    return REPORT.replace("MODEL", model)
