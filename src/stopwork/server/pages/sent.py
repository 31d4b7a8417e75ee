"""What a person sent with a form, and where they land."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from stopwork.ledger import records as r
from stopwork.ledger import words as w
from stopwork.operations.installation import Installation
from stopwork.storage.transaction import Tx


class Sent(Struct, frozen=True, kw_only=True):
    """A form that a signed-in person sent: path parameters and fields; a field may come several times."""

    installation: Installation
    person: r.Principal
    path: dict[str, str]
    fields: dict[str, list[str]]

    def get(self, name: str) -> str:
        """Answer a field's value, without surrounding space and with each line's end one character; empty when it was not sent."""
        return self.fields.get(name, [""])[0].strip().replace("\r\n", "\n")

    def all(self, name: str) -> list[str]:
        """Answer every value of a field that may come several times."""
        return [value.strip() for value in self.fields.get(name, [])]

    def write(self, work: Callable[[Tx], Any], *, urgent: bool = False) -> Any:
        """Run one transaction in this person's name; an urgent one stops others and goes before them."""
        return self.installation.store.write(work, actor=self.person, urgent=urgent)

    @property
    def incident(self) -> str:
        return self.path["incident"]

    def at(self, phase: w.Phase | str) -> str:
        """Answer the address of a phase on the incident's page."""
        return f"/incidents/{self.incident}#{phase}"


class Landed(Struct, frozen=True):
    """What is said, and where the person is taken."""

    said: str
    to: str
