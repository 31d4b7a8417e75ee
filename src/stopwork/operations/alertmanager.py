"""Alerts of Prometheus Alertmanager (webhook version 4) as reports.

The label ``workflow`` says what an alert is about, ``severity`` how bad, ``incident_type`` and ``signal_kind`` what it is, where they are
given. An alert that is over is noted with its incident and closes nothing: that is for people.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from stopwork.kernel.clock import in_utc
from stopwork.kernel.errors import Invalid
from stopwork.ledger.words import IncidentType, Severity, SignalKind
from stopwork.operations.reporting import Report

#: What Alertmanager sends at once; it can be told a smaller bound, and says itself what it left out.
MAX_ALERTS: Final = 2_000
_SEVERITY: Final = {
    "critical": Severity.SEV1,
    "page": Severity.SEV1,
    "error": Severity.SEV2,
    "high": Severity.SEV2,
    "warning": Severity.SEV3,
    "info": Severity.SEV3,
} | {each.value: each for each in Severity}


class Alert(Struct, frozen=True, kw_only=True, rename="camel"):
    """One alert. What is not named here is not looked at."""

    status: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    fingerprint: str = ""
    generator_url: str = msgspec.field(name="generatorURL", default="")


class Alerts(Struct, frozen=True, kw_only=True, rename="camel"):
    """One message of Alertmanager."""

    version: str = "4"
    alerts: Annotated[tuple[Alert, ...], Meta(max_length=MAX_ALERTS)] = ()
    truncated_alerts: int = 0
    external_url: str = msgspec.field(name="externalURL", default="")


def reports_of(message: Alerts) -> list[Report]:
    """Answer one report for each alert, and one for those that Alertmanager left out."""
    found = [_report(each) for each in message.alerts]
    if message.truncated_alerts > 0:
        found.append(
            Report(
                source="alertmanager",
                kind=SignalKind.ALERT,
                summary=f"Alertmanager left out {message.truncated_alerts} more alerts",
                key="truncated",
                facts={"rule": "truncated", "value": message.truncated_alerts}
                | ({"where": message.external_url} if message.external_url else {}),
            )
        )
    return found


def _report(alert: Alert) -> Report:
    labels, said = alert.labels, alert.annotations
    name = labels.get("alertname", "").strip() or "an alert without a name"
    over = alert.status == "resolved"
    summary = said.get("summary", "").strip() or said.get("description", "").strip() or name
    began = alert.starts_at.isoformat() if alert.starts_at else ""
    facts: dict[str, Any] = {
        "rule": name,
        "threshold": said.get("threshold", ""),
        "value": said.get("value", ""),
        "status": alert.status,
        "labels": labels,
        "where": alert.generator_url,
    }
    return Report(
        source="alertmanager",
        kind=_one_of(SignalKind, labels.get("signal_kind")) or SignalKind.ALERT,
        type=_one_of(IncidentType, labels.get("incident_type")),
        summary=f"over: {summary}" if over else summary,
        workflow=labels.get("workflow", ""),
        key=name,
        severity=_SEVERITY.get(labels.get("severity", "").lower()),
        occurred_at=(_in_the_calendar(alert.ends_at) if over else None) or _in_the_calendar(alert.starts_at),
        facts={key: value for key, value in facts.items() if value},
        run=labels.get("run"),
        delivery=f"{alert.fingerprint}/{began}/{alert.status}" if alert.fingerprint else "",
        alarming=not over,
    )


def _in_the_calendar(moment: datetime | None) -> datetime | None:
    """Answer a time that is one; what Go sends where there is none, the beginning of year 1, is none and keeps no other alert from being taken."""
    try:
        return moment and in_utc(moment)
    except Invalid:
        return None


def _one_of(words: Any, said: str | None) -> Any:
    return words(said) if said in set(words) else None
