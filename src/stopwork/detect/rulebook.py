"""What detectors may ask of the manifests in force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from stopwork.ledger.words import ScopeKind
from stopwork.manifest.model import Alert, AutoHold, Manifest


class Rulebook(Protocol):
    """The manifests in force. A workflow that writes no alert rule is watched by the defaults."""

    def manifest(self, workflow: str) -> Manifest | None:
        """Answer the manifest in force; ``None`` when the workflow is not registered."""

    def alert_key(
        self, workflow: str, tool: str, args: Mapping[str, Any], run: Mapping[str, Any]
    ) -> str | None:
        """Answer what makes two calls the same action; ``None`` where no key is declared or it does not fit
        the call.

        ``run`` holds ``id``, ``workflow``, ``trigger``, ``trigger_id`` and ``attempt``. This never raises.
        """


def hold_of(alert: Alert) -> ScopeKind | None:
    """Answer the kind of hold that an alert asks for."""
    return None if alert.hold is AutoHold.NONE else ScopeKind(alert.hold.value)
