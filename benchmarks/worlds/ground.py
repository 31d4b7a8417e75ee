"""What the guard is told and can see: as an owner would have it, and with less."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from stopwork import Stopwork
from stopwork.operations.installation import Installation
from stopwork.operations.manifests import Manifests
from stopwork.sdk.embedded import LocalDesk
from stopwork.systems.base import System


class Variant(StrEnum):
    """What of the manifest's declared objects and the system's scan is there."""

    DECLARED = "declared and scanned"
    SCAN_ONLY = "scanned only"
    NO_SCAN = "declared only"

    @property
    def declares(self) -> bool:
        """Whether the manifest names the objects of its tools."""
        return self is not Variant.SCAN_ONLY

    @property
    def scans(self) -> bool:
        """Whether the system can be scanned around every call."""
        return self is not Variant.NO_SCAN


def manifest(file: Path, variant: Variant) -> str:
    """Answer the text of a manifest: the file itself, or the file without any object."""
    text = file.read_text(encoding="utf-8")
    if variant.declares:
        return text
    content: dict[str, Any] = yaml.safe_load(text)
    for tool in content["tools"].values():
        tool.pop("object", None)
    return str(yaml.safe_dump(content, sort_keys=False))


class QuietDesk(LocalDesk):
    """The embedded desk without its background duties: nothing is to happen but what the agent and the people do."""

    def close(self) -> None:
        """Give the folder back; there are no duties to stop."""
        self.installation.close()


class Ground:
    """Installations with one manifest in force: made once, then copied for each trial, so that no trial knows of another."""

    def __init__(self, folder: Path, declared: Path, variant: Variant) -> None:
        self.variant = variant
        self._made = folder / f"{declared.stem}-{variant}".replace(" ", "-")
        self._manifests = Manifests()
        file = folder / f"{self._made.name}.yaml"
        file.write_text(manifest(declared, variant), encoding="utf-8")
        Stopwork.embedded(self._made, manifest=file).close()

    def desk(self, folder: Path, systems: Mapping[str, System]) -> QuietDesk:
        """Answer a fresh installation in ``folder``. All share the compiled manifest, as the runs of one process do."""
        shutil.copytree(self._made, folder)
        installation = Installation.open(folder, systems=systems)
        installation.manifests = self._manifests
        return QuietDesk(installation)
