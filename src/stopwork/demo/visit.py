"""The story with the visitor as its people."""

from __future__ import annotations

from stopwork.demo.company import Company
from stopwork.demo.narrator import Narrator


class Visit:
    def __init__(self, company: Company, narrator: Narrator) -> None: ...
    def lead(self) -> None: ...
