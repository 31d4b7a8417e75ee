"""What detectors may ask of the manifests in force."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from stopwork.ledger.words import ScopeKind, Severity
from stopwork.manifest.compiled import CompiledManifest
from stopwork.manifest.model import Alert, AutoHold, Manifest

Rulebook: TypeAlias = Callable[[str], CompiledManifest | None]
"""Answers the manifest in force of a workflow; ``None`` when it is not registered."""


def hold_of(alert: Alert) -> ScopeKind | None:
    """Answer the kind of hold that an alert asks for."""
    return None if alert.hold is AutoHold.NONE else ScopeKind(alert.hold.value)


def insists(alert: Alert) -> bool:
    """Answer whether the rule asks that its findings are weighed even where nothing came of them: by a severity, or a hold.

    What they weigh decides then: what is still sev3 is recorded, and holds nothing.
    """
    return weighs(alert) or alert.hold is not AutoHold.NONE


def weighs(alert: Alert) -> bool:
    """Answer whether the rule asks for an incident by its severity, where a hold of its own says nothing of that."""
    return alert.severity not in (None, Severity.SEV3)


def at_least(alert: Alert, severity: Severity) -> Severity:
    """Answer the graver of what a rule asks for and what the finding is by itself."""
    return min(alert.severity or severity, severity)


def manifest_of(rules: Rulebook, workflow: str) -> Manifest | None:
    """Answer what the workflow's manifest says; ``None`` when it is not registered."""
    compiled = rules(workflow)
    return compiled.manifest if compiled else None
