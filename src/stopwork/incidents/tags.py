"""Tags: what an incident is called in the lists of threats that security teams share, proposed from its type and its evidence.

The lists: OWASP Top 10 for Agentic Applications (2026), OWASP Top 10 for LLM Applications (2025), MITRE ATLAS (5.6). A tag is an id of one of
them; people may change them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from stopwork.kernel.errors import Invalid
from stopwork.ledger.words import IncidentType, SignalKind

NAMES: Final = {
    "ASI01": "Agent Goal Hijack",
    "ASI02": "Tool Misuse and Exploitation",
    "ASI03": "Identity and Privilege Abuse",
    "ASI04": "Agentic Supply Chain Vulnerabilities",
    "ASI05": "Unexpected Code Execution (RCE)",
    "ASI06": "Memory & Context Poisoning",
    "ASI07": "Insecure Inter-Agent Communication",
    "ASI08": "Cascading Failures",
    "ASI09": "Human-Agent Trust Exploitation",
    "ASI10": "Rogue Agents",
    "LLM01": "Prompt Injection",
    "LLM02": "Sensitive Information Disclosure",
    "LLM03": "Supply Chain",
    "LLM04": "Data and Model Poisoning",
    "LLM05": "Improper Output Handling",
    "LLM06": "Excessive Agency",
    "LLM07": "System Prompt Leakage",
    "LLM08": "Vector and Embedding Weaknesses",
    "LLM09": "Misinformation",
    "LLM10": "Unbounded Consumption",
    "AML.T0029": "Denial of AI Service",
    "AML.T0034.002": "Cost Harvesting: Agentic Resource Consumption",
    "AML.T0048.000": "External Harms: Financial",
    "AML.T0048.001": "External Harms: Reputational",
    "AML.T0048.003": "External Harms: User",
    "AML.T0051.000": "LLM Prompt Injection: Direct",
    "AML.T0051.001": "LLM Prompt Injection: Indirect",
    "AML.T0051.002": "LLM Prompt Injection: Triggered",
    "AML.T0053": "AI Agent Tool Invocation",
    "AML.T0054": "LLM Jailbreak",
    "AML.T0057": "LLM Data Leakage",
    "AML.T0070": "RAG Poisoning",
    "AML.T0080.000": "AI Agent Context Poisoning: Memory",
    "AML.T0080.001": "AI Agent Context Poisoning: Thread",
    "AML.T0081": "Modify AI Agent Configuration",
    "AML.T0083": "Credentials from AI Agent Configuration",
    "AML.T0086": "Exfiltration via AI Agent Tool Invocation",
    "AML.T0098": "AI Agent Tool Credential Harvesting",
    "AML.T0099": "AI Agent Tool Data Poisoning",
    "AML.T0101": "Data Destruction via AI Agent Tool Invocation",
    "AML.T0109": "AI Supply Chain Rug Pull",
    "AML.T0110": "AI Agent Tool Poisoning",
}
"""The tags that can be given, with their names in those lists."""

_BY_TYPE: Final[dict[IncidentType, tuple[str, ...]]] = {
    IncidentType.MISSED_WORKFLOW: (),
    IncidentType.DUPLICATE_WORK: ("ASI08",),
    IncidentType.STALE_OR_WRONG_INPUT: ("LLM09",),
    IncidentType.TOOL_MISUSE: ("ASI02", "LLM06", "AML.T0053"),
    IncidentType.APPROVAL_BYPASS: ("ASI03", "LLM06"),
    IncidentType.BAD_WRITEBACK: ("LLM05",),
    IncidentType.EXTERNAL_SEND: ("LLM06", "AML.T0048.001"),
    IncidentType.SENSITIVE_DATA_EXPOSURE: ("LLM02", "AML.T0057"),
    IncidentType.COST_RUNAWAY: ("LLM10", "AML.T0034.002"),
    IncidentType.PROMPT_INJECTION: ("ASI01", "LLM01", "AML.T0051.001"),
    IncidentType.POLICY_DRIFT: ("ASI04", "AML.T0081"),
}

#: A machine that fails is a fault and no threat.
_NO_THREAT: Final = frozenset({SignalKind.FAILED_RUN})

MAX_TAGS: Final = 20


def proposed(
    incident_type: IncidentType, noticed: SignalKind | None = None, *, sent: bool = False
) -> tuple[str, ...]:
    """Answer the tags for what happened; ``sent`` when something left by a tool, which makes an injection or exposure an exfiltration."""
    if noticed in _NO_THREAT:
        return ()
    tags = _BY_TYPE[incident_type]
    left = incident_type in (IncidentType.PROMPT_INJECTION, IncidentType.SENSITIVE_DATA_EXPOSURE) and sent
    return (*tags, "AML.T0086") if left else tags


def chosen(tags: Iterable[str]) -> tuple[str, ...]:
    """Answer the tags in the order of their lists, each once; ``Invalid`` for one that is in none."""
    asked = {each.strip().upper() for each in tags if each.strip()}
    if strange := sorted(asked - NAMES.keys()):
        raise Invalid(
            f"{strange[0][:40]!r} is no tag that is known here",
            hint="Use ids such as ASI01, LLM01 or AML.T0051.001: GET /v1/tags lists them.",
            field="tags",
        )
    if len(asked) > MAX_TAGS:
        raise Invalid(f"{len(asked)} tags are too many", hint=f"Give at most {MAX_TAGS}.", field="tags")
    return tuple(each for each in NAMES if each in asked)
