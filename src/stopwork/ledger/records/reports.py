"""What traces tell of tool calls, whether or not the guard knew of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from stopwork.ledger.records.parts import Record


class TracedTool(Record):
    """One tool call in a trace. ``trace`` and ``span`` are the ids of OpenTelemetry in hex, ``call_id`` is the model's own.

    ``args`` are ``None`` where the trace does not hold them, ``error`` is empty where it tells of none. ``service`` and ``agent`` are the
    names that the trace gives.
    """

    trace: str
    span: str
    tool: str
    began_at: datetime
    ended_at: datetime
    parent: str = ""
    call_id: str = ""
    args: dict[str, Any] | None = None
    error: str = ""
    agent: str = ""
    service: str = ""
