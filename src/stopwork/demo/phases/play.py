"""What the phases share while the demo is played: the company, the incident, and what was seen on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from stopwork.demo.company import Company, Contents
from stopwork.demo.people import Person
from stopwork.demo.promises import Promises
from stopwork.kernel.errors import NotFound


@dataclass
class Play:
    """One telling of the story. ``results`` is the folder for what stays of it."""

    company: Company
    promises: Promises
    tell: Callable[[str], None]
    results: Path
    incident: str = ""
    before: Contents = field(default_factory=dict)
    detected_after_s: float | None = None
    bundle: Path | None = None

    @property
    def dana(self) -> Person:
        """The business owner."""
        return self.company.dana

    @property
    def lee(self) -> Person:
        """The technical owner, who commands the incident."""
        return self.company.lee

    @property
    def kim(self) -> Person:
        """Their backup."""
        return self.company.kim

    @property
    def agent(self) -> Person:
        """The agent's own credential, to show what it is not good for."""
        return self.company.agent

    def at(self, path: str = "") -> str:
        """Answer the address of something of the incident; ``NotFound`` while there is none."""
        if not self.incident:
            raise NotFound("there is no incident", hint="The phase in which it opens has failed.")
        return f"/v1/incidents/{self.incident}{path}"
