"""A world of objects that tools change and a guard looks at."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from stopwork.ledger.records import Image, ObjectRef


class World:
    """A system of plain objects; it can be told to fail."""

    name = "crm"

    def __init__(self, *, scans: bool = False) -> None:
        self.scans = scans
        self.objects: dict[str, dict[str, Any]] = {"acme": {"due": "May"}}
        self.failing = ""
        self.reads = 0
        self.before_read: Callable[[ObjectRef], None] = lambda _ref: None

    def read(self, ref: ObjectRef) -> Image:
        self.reads += 1
        self.before_read(ref)
        if self.failing:
            raise OSError(self.failing)
        found = self.objects.get(ref.id)
        return Image.absent() if found is None else Image.present(copy.deepcopy(found))

    def replace(self, ref: ObjectRef, expected: Image, target: Image) -> None:
        self.objects[ref.id] = target.content

    def scan(self) -> dict[ObjectRef, Any]:
        if self.failing:
            raise OSError(self.failing)
        return {ref(name): copy.deepcopy(content) for name, content in self.objects.items()}


def ref(name: str, system: str = "crm") -> ObjectRef:
    return ObjectRef(system=system, type="account", id=name)
